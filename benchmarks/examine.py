"""Ask of any images what demo_dnn_vae.py asks of its own, with its referee and its filter's rivals.

python demo_dnn_vae.py --save models.npz
python benchmarks/naive.py --out naive.npz
PYTHONPATH=. python benchmarks/examine.py naive.npz --load models.npz --report naive.json

FILE: an .npz with images (n, 28, 28) float32 in [0, 1], labels (n,), confidence (n,), and drawn,
how many images they were selected from.
"""

import numpy as np

import demo_dnn_vae as demo
from trust import cli, datasets, outputs, report, selection


def main():
    parser = cli.Parser(description="Ask of any images what demo_dnn_vae.py asks of its own.")
    parser.add_argument(
        "file", type=cli.path, help="the images, as benchmarks/naive.py writes them"
    )
    parser.add_argument("--dataset", type=cli.path, default="mnist")
    parser.add_argument("--load", metavar="FILE", type=cli.path, required=True)
    parser.add_argument("--report", metavar="FILE", type=cli.path)
    given = parser.parse_args()
    with np.load(given.file) as file:
        images, labels, confidence, drawn, seed = (
            file[name] for name in ("images", "labels", "confidence", "drawn", "seed")
        )
    arguments = demo.parse_arguments(["--dataset", given.dataset, "--load", given.load])
    arguments.per_class = 1
    data = datasets.load_dataset(arguments.dataset)
    settings, saved = demo.check_before_training(arguments, data)
    clock = cli.Clock()
    demo.import_tensorflow()
    rng = np.random.default_rng(arguments.seed)
    sets = datasets.split(data, arguments.split, arguments.seed)
    networks = demo.build_networks(arguments, data, sets)
    mixture = demo.load(saved, networks)
    temperature = demo.fit_temperatures(arguments, sets, networks, rng)["temperature"]
    _, filtered = demo.generate(arguments, data, sets, networks, mixture, temperature, rng)

    with clock("examining"):
        none = np.empty((len(labels), 0))
        theirs = selection.Classified(images, labels, confidence, none, none)
        filtered = filtered._replace(accepted=theirs)
        strong = (
            images.strong(arguments.threshold)
            for images in (filtered.test, filtered.held_out_reconstructed)
        )
        reference = demo.examination.build_reference(
            data, sets.vae, networks["referee"], *strong, arguments.seed
        )
        _, metrics, _ = demo.examine_sets(arguments, sets, filtered, reference)
        counts = np.bincount(labels, minlength=data.classes)
        metrics["generated"] |= {
            "strong_rate": len(labels) / int(drawn),
            "class_balance": counts.min() / counts.max(),
        }
    values = {"class_counts_strong": counts} | clock.resources()
    values |= report.flatten(
        {name: {} for name in report.SETS} | {"generated": metrics["generated"]}, {}
    )
    for row in report.ROWS:
        print(f"{row.title:44}{report.show(values.get(row.key), row.form):>14}")
    if given.report:
        origin = report.origin(arguments, vars(settings))
        flags = {"file": given.file, "load": given.load, "seed": int(seed)}
        outputs.write_json(given.report, origin | {"flags": flags} | values)


if __name__ == "__main__":
    cli.run(main)
