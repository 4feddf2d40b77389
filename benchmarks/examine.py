"""Ask of any images what demo_dnn_vae.py asks of its own, with its referee and its filter's rivals.

python demo_dnn_vae.py --save models.npz
python -m benchmarks.naive --out naive.npz
python -m benchmarks.examine naive.npz --load models.npz --report naive.json

FILE: an .npz with images (n, 28, 28), float32 in [0, 1] or uint8, labels (n,), drawn, how many
images they were selected from, and seed, by which they were drawn.
"""

import numpy as np

from trust import cli, datasets, outputs, report, saving

THRESHOLD = 0.95


def read_images(path, classes):
    """What the file holds: a Labelled, how many images were drawn, and the seed."""
    try:
        with np.load(path) as file:
            images, labels, drawn, seed = (
                file[name] for name in ("images", "labels", "drawn", "seed")
            )
    except (OSError, KeyError, ValueError) as error:
        raise cli.UserError(f"{path!r} does not hold images, labels, drawn and seed") from error
    known = labels.dtype.kind in "iu" and ((labels >= 0) & (labels < classes)).all()
    if not known or images.shape != (*labels.shape, 28, 28) or not len(images):
        raise cli.UserError(
            f"{path!r}: images must be (n, 28, 28) and labels (n,) whole numbers below {classes}"
        )
    return datasets.Labelled(images, labels.astype(np.int64)), int(drawn), int(seed)


def main():
    parser = cli.Parser(description="Ask of any images what demo_dnn_vae.py asks of its own.")
    add = parser.add_argument
    add("file", type=cli.path, help="the images, as benchmarks.naive writes them")
    add("--dataset", type=cli.path, default="mnist")
    add("--load", metavar="FILE", type=cli.path, required=True)
    add("--report", metavar="FILE", type=cli.path)
    given = parser.parse_args()
    data = datasets.load_dataset(given.dataset)
    images, drawn, seed = read_images(given.file, data.classes)
    saved = saving.read_save(given.load)
    settings = saving.settle({}, data, saved.settings, given.load)
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import examination, selection, trained, training
        from trust.generator import Generator
    streams = training.make_reproducible(settings.seed)
    rng, split = streams.draws, datasets.split(data, settings.split, streams.split)
    networks = trained.load(saved, data, split, clock)
    generator = Generator(networks.vae, networks.mixture)

    with clock("examining"):
        held_out = split.held_out
        reconstructed = generator.reconstruct(held_out.images, rng)
        accept = selection.fit_filter(networks.classifier, held_out, reconstructed, THRESHOLD)
        reference = examination.build_reference(
            split.vae, held_out, data.test, networks.referee, settings.seed
        )
        # As many of each class as demo_dnn_vae.py could examine, so that both are held alike.
        real = accept.classify(held_out.images).strong(THRESHOLD)
        counts = np.bincount(selection.cut_alike(images, real)[0].labels, minlength=data.classes)
        known = examination.of_real_images(reference)
        rows = selection.first_of_each_class(images.labels, counts)
        answers = examination.examine(images, images.labels, known, reference, rows).answers()
        answers["right"]["strong_rate"] = len(images.labels) / drawn
        counts = np.bincount(images.labels, minlength=data.classes)
        answers["balanced"]["class_balance"] = counts.min() / counts.max()
    for row in report.ROWS:
        number = report.show(answers[row.question].get(row.key), row.form)
        print(f"{row.title:46}{number:>14}")
    if given.report:
        values = report.origin(settings, {}, training.devices()) | {
            # The seed of the images, not that of the models that examine them.
            "settings": {"file": given.file, "load": given.load, "seed": seed},
            "sets": {"generated": answers},
            "classes": report.by_class(data.class_names, {"strong": counts}),
            **clock.resources(),
        }
        outputs.write_json(given.report, values)


if __name__ == "__main__":
    cli.run(main)
