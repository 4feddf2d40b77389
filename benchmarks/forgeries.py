"""Does the examination catch generators that cheat, and does it pass one that does not?

python -m benchmarks.forgeries --dataset fashion_mnist --report forgeries.json

Two sixths of the training images are held out.  The forgeries are made from one of them.  The other
serves as the real images of each verdict, and as the images that a generator has not seen.  The
referee has learned from all of them, so it judges labels a little better here than elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from trust import cli, outputs
from trust.ask.verdicts import CAUGHT, QUESTIONS
from trust.data import datasets, splits
from trust.data.images import ImageSet, join
from trust.plan import new_streams

EPOCHS = 8  # of the VAE that draws reconstructions
LEAST, MOST = 1000, 10_000  # the fewest training images, the most images of a forged set
DOSES = (1, 2, 5, 10)  # percent of forged images
EXPECTED = {  # which question has to catch it
    "honest": None,
    "noisy copies": "new",
    "shifted copies": "new",
    "reconstructions of training images": "new",
    "swapped labels": "right",
    "a class left out": "balanced",
    "a class at a tenth": "balanced",
    "ten images of each class": "varied",
    "halves of two images": "varied",
    "inverted": "varied",
    "blurred": "varied",
}


class Forgery(NamedTuple):
    """What it is called in EXPECTED, how many percent of the images are forged (None: all), and
    make: () -> ImageSet."""

    name: str
    dose: int | None
    make: Callable


def replaced(labelled, forged, dose):
    """A ImageSet whose first `dose` percent of images are replaced by forged ones; labels stay."""
    n = len(labelled.labels) * dose // 100
    images = np.concatenate([forged[:n], as_floats(labelled.images[n:])])
    return ImageSet(images, labelled.labels)


def as_floats(images):
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images


def swapped(labelled, dose, classes, rng):
    """A ImageSet in which `dose` percent of the labels are changed to another class, at random."""
    labels, rows = labelled.labels.copy(), rng.permutation(len(labelled.labels))
    rows = rows[: len(rows) * dose // 100]
    labels[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    return ImageSet(labelled.images, labels)


def thinned(labelled, label, share):
    """A ImageSet with this share of the images of one class, and all images of the others."""
    own = np.flatnonzero(labelled.labels == label)
    return labelled.take(np.delete(np.arange(len(labelled.labels)), own[int(share * len(own)) :]))


def repeated(labelled, each):
    """A ImageSet in which each class repeats its first `each` images, as often as it has images."""
    rows = np.empty(len(labelled.labels), int)
    for label in np.unique(labelled.labels):
        own = np.flatnonzero(labelled.labels == label)
        rows[own] = np.resize(own[:each], len(own))
    return labelled.take(rows)


def blurred(images, passes=2):
    """Each pixel of images (n, h, w) becomes the mean of 3 x 3 pixels, `passes` times: float32."""
    images = as_floats(images)
    for _ in range(passes):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        height, width = images.shape[1:]
        images = (
            sum(padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)) / 9
        )
    return images.astype(np.float32)


def halves(images, rng):
    """The upper half of each image (n, 28, 28) above the lower half of another."""
    images = images.copy()
    images[:, 14:] = images[rng.permutation(len(images)), 14:]
    return images


def forgeries(honest, seen, vae, classes, rng):
    """The list of Forgery.  honest, seen: ImageSet, images that the generator has not seen and
    images that it learned from.  vae: a models.VAE that learned from the latter."""
    from trust import controls
    from trust.ask.new import DOSES
    from trust.generator import Generator

    twins = seen.images[controls.twins(honest.labels, seen.labels, rng)]
    most = len(honest.labels) * DOSES[-1] // 100
    noisy = controls.noisy_copies(twins[:most], rng)
    copies = {
        "noisy copies": noisy,
        "shifted copies": controls.moved_by_two(noisy, rng),
        "reconstructions of training images": Generator(vae, None).reconstruct(twins[:most], rng),
    }
    images, labels = honest.images, honest.labels
    made = [Forgery("honest", None, lambda: honest)]
    made += [
        Forgery(name, dose, lambda forged=forged, dose=dose: replaced(honest, forged, dose))
        for name, forged in copies.items()
        for dose in DOSES
    ]
    made += [
        Forgery("swapped labels", dose, lambda d=dose: swapped(honest, d, classes, rng))
        for dose in DOSES
    ]
    label = ImageSet
    return [
        *made,
        Forgery("halves of two images", None, lambda: label(halves(images, rng), labels)),
        Forgery("inverted", None, lambda: label(255 - images, labels)),
        Forgery("a class left out", None, lambda: thinned(honest, 0, 0)),
        Forgery("a class at a tenth", None, lambda: thinned(honest, 0, 0.1)),
        Forgery("ten images of each class", None, lambda: repeated(honest, 10)),
        Forgery("blurred", None, lambda: label(blurred(images), labels)),
    ]


def summary(found):
    """{forgery: {question: text}}: the verdict that catches the forgery, or the smallest dose from
    which on it is caught or cannot be judged; an empty string if it is not caught.  found: the list
    of a report."""
    forged = {}
    for each in sorted(found, key=lambda each: -(each["dose"] or 0)):
        forged.setdefault(each["forgery"], []).append(each)
    return {
        name: {question: _caught(forged[name], question) for question in QUESTIONS}
        for name in dict.fromkeys(each["forgery"] for each in found)
    }


def _caught(doses, question):
    """What summary() says of one forgery, the largest dose first."""
    caught = [*takewhile(lambda each: each["verdicts"][question] in CAUGHT, doses)]
    if not caught:
        return ""
    dose, verdict = caught[-1]["dose"], caught[-1]["verdicts"][question]
    return f"from {dose} %" if dose else verdict


def in_three(labelled, rng, most):
    """The images that the generator saw, and two sixths that it did not: three ImageSet.  most: how
    many images to use, None for all."""
    rows = rng.permutation(len(labelled.labels))[:most]
    cut = len(rows) // splits.HELD_OUT
    return (labelled.take(part) for part in (rows[2 * cut :], rows[:cut], rows[cut : 2 * cut]))


def parse_arguments():
    parser = cli.Parser(description="Does the examination catch generators that cheat?")
    add = parser.add_argument
    add("--dataset", metavar="NAME", choices=list(datasets.BUNDLED), default="mnist")
    few = "use N training images; all if left out"
    add("--images", metavar="N", type=cli.positive_int, help=few)
    add("--seed", metavar="N", type=cli.seed, default=0)
    add("--report", metavar="FILE", type=cli.path, help="the verdicts as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data = datasets.load_dataset(given.dataset)
    if (given.images or LEAST) < LEAST:
        raise cli.UserError(f"--images {given.images}: at least {LEAST} are needed")
    clock, seed = cli.Clock(), given.seed
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import controls
        from trust.ask.questions import Beside
        from trust.ask.reference import build_reference
        from trust.examination import examine
        from trust.filter.filters import Filtered
        from trust.train import loops, saves
        from trust.train.referee import bundled_referee
    streams = new_streams(seed)
    rng = streams.draws
    loops.make_reproducible(seed)
    seen, honest, real = in_three(data.train, rng, given.images)
    honest = honest.take(slice(MOST))
    with clock("training the VAE"):
        vae = loops.new_vae(
            saves.DEFAULTS["latent_dim"], data.pixels, n_images=len(seen), seed=seed
        )
        loops.train_vae(
            vae,
            seen.images,
            epochs=EPOCHS,
            learning_rate=saves.DEFAULTS["learning_rate"],
            seed=seed,
            verbose=0,
        )
    with clock("examining"):
        reference = build_reference(seen, real, data.test, bundled_referee(data.name), seed)
        # The referee has learned from both sets, so the comparison is fair.
        known = replace(real, truth=real.labels, rows=np.arange(len(real)))
        everything = join([seen, real])
        made = forgeries(honest, seen, vae, data.classes, rng)
        beside = Beside(
            counts=np.full(data.classes, len(real)),
            tested={"real": Filtered(known, every=known)},
            held_out={"real": Filtered(real.take(slice(MOST)))},
            like="real",
            known=known,
            fresh={"real": honest},
            pool=replace(everything, truth=everything.labels, rows=np.arange(len(everything))),
            copies=controls.copies_of(controls.to_copy(honest.labels, seen, rng), rng),
        )
        subjects = {str(i): Filtered(forgery.make()) for i, forgery in enumerate(made)}
        run = examine(subjects, beside, reference, streams.chance)
    found = [
        {
            "forgery": forgery.name,
            "dose": forgery.dose,
            "verdicts": {q: each.word for q, each in run.verdicts[str(i)].items()},
        }
        for i, forgery in enumerate(made)
    ]
    print(f"\n{data.name}, seed {seed}: how a forgery is caught, or the smallest share that is")
    print(f"{'':36}" + "".join(f"{question:>12}" for question in QUESTIONS))
    for name, cells in summary(found).items():
        print(f"{name:36}" + "".join(f"{cell or '-':>12}" for cell in cells.values()))
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
