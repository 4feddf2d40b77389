"""Train the referee of a bundled data set and keep it in data/, with its checksum and accuracy.

python train_referee.py --dataset fashion_mnist
"""

import hashlib
import json
import tempfile
from pathlib import Path

import cli
import datasets
import outputs


def main():
    parser = cli.Parser(description="Train the referee of a bundled data set and keep it in data/.")
    parser.add_argument("--dataset", choices=list(datasets.BUNDLED), default="mnist")
    parser.add_argument(
        "--epochs", metavar="N", type=cli.positive_int, default=10, help="passes over the data"
    )
    parser.add_argument(
        "--seed", metavar="N", type=cli.seed, default=0, help="same seed, same machine, same result"
    )
    arguments = parser.parse_args()
    data = datasets.load_dataset(arguments.dataset)
    with cli.quiet_tensorflow():
        from referee import DATA, train_referee

    referee = train_referee(
        data.x_train, data.y_train, len(data.class_names), arguments.epochs, arguments.seed, "auto"
    )
    pixels = data.x_test[..., None].astype("float32") / 255
    labels = referee.predict(pixels, batch_size=500, verbose=0).argmax(axis=1)
    accuracy = float((labels == data.y_test).mean())

    # Keras writes to a path of its own; replacing() then changes the bundled file in one step.
    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / "referee.keras"
        referee.save(unfinished)
        content = unfinished.read_bytes()
    path = DATA / f"referee_{data.name}.keras"
    with outputs.replacing(path) as file:
        file.write(content)
    records = DATA / "referees.json"
    others = json.loads(records.read_text()) if records.exists() else {}
    record = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "test_accuracy": accuracy,
        "command": f"python train_referee.py --dataset {data.name} "
        f"--epochs {arguments.epochs} --seed {arguments.seed}",
    }
    outputs.write_json(records, {**others, data.name: record})
    print(f"{path}: {accuracy:.2%} of the test images right")


if __name__ == "__main__":
    cli.run(main)
