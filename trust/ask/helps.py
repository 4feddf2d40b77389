"""Whether the images help a classifier that learns from real ones too: a part of *useful*."""

import math

import numpy as np

from trust.ask import useful
from trust.ask.questions import Asked
from trust.ask.reference import Reference
from trust.ask.verdicts import FALSE_ALARM
from trust.data.checks import to_bytes
from trust.data.images import ImageSet
from trust.statistics import ratio, t_quantile

TRAININGS = 2  # of each kind, each with a seed of its own
LEAST = 50  # images for each class, of a set and of real ones, or nothing could be seen
TIMES = 5  # real images at most for each one of the set: among too many it could not be seen
MOST_REAL, MOST_ADDED = 15_000, 10_000  # which bounds the time; of more images, random ones


def ask(asked: Asked, rng: np.random.Generator) -> dict:
    """{subject: {key: number}}: see compare().  The real images are those that the generator has
    learned from, or may have."""
    reference, rng = asked.reference, rng.spawn(1)[0]
    soft, lessons = asked.beside.soft_labels, {}
    for name, filtered in asked.subjects.items():
        images = filtered.passing
        targets = images.probabilities.astype(np.float32) if soft else images.labels
        lessons[name] = images.images, targets
    return compare(lessons, reference.real.take(reference.parts["training"]), reference, rng)


def compare(lessons: dict, real: ImageSet, reference: Reference, rng: np.random.Generator) -> dict:
    """{set: {key: number}}: the accuracy of classifiers that learn from real images and the set,
    that of classifiers that learn from the same real images alone, in as many steps, and whether
    the difference is more than chance.  Nothing of sets with too few images.

    lessons: {set: (images (n, h, w[, c]), uint8 or float32 in [0, 1]; targets: labels (n,), or
    probabilities (n, classes) float32)}.  As many real images are used as MOST_REAL and TIMES the
    largest set allow; all sets have the same.
    """
    least = LEAST * reference.classes
    lessons = {name: each for name, each in lessons.items() if len(each[0]) >= least}
    if not lessons or len(real) < least:
        return {}
    chosen = {name: _some(len(each[0]), MOST_ADDED, rng) for name, each in lessons.items()}
    most = max(map(len, chosen.values()))
    real = real.take(_some(len(real), min(MOST_REAL, TIMES * most), rng))
    own = to_bytes(real.images)

    def trained(images, targets, first):
        # The number of steps follows from that of the images: fewer ones are repeated.
        rows = np.resize(rng.permutation(len(images)), len(real) + most)
        seeds = range(first, first + TRAININGS)
        images, targets = images[rows], targets[rows]
        return np.array(
            [useful.right_after_training(images, targets, reference, seed) for seed in seeds]
        )

    alone, found = trained(own, real.labels, first=0), {}
    for name, rows in chosen.items():
        images, targets = (each[rows] for each in lessons[name])
        labels = real.labels
        if targets.ndim == 2:
            labels = np.eye(reference.classes, dtype=np.float32)[labels]
        together = trained(
            np.concatenate([own, to_bytes(images)]),
            np.concatenate([labels, targets]),
            first=TRAININGS,
        )
        found[name] = difference(together, alone, reference.test.labels, reference.classes)
        found[name] |= {"real_images": len(real), "added_images": len(rows)}
    return found


def difference(
    together: np.ndarray, alone: np.ndarray, labels: np.ndarray, classes: int
) -> dict[str, float]:
    """Whether two kinds of training differ in accuracy, by a t-test.

    together, alone: (trainings, n) float each, of every training and test image whether it was
    recognised.  labels: (n,) integer, of the test images.  Where helps_z is beyond helps_limit, or
    its negative, the difference is more than chance.

    By chance trainings differ, and other test images would have shown another difference.  Both are
    in the error; what is random in single images is in both, so it is rather too large.
    """
    spreads = [useful.spread_of_trainings(each, labels, classes) for each in (together, alone)]
    own = together.mean(axis=0) - alone.mean(axis=0)
    error = math.sqrt(
        sum(spread**2 for spread in spreads) / len(alone) + np.var(own, ddof=1) / len(own)
    )
    return {
        "accuracy_with_real": float(together.mean()),
        "accuracy_real_alone": float(alone.mean()),
        "helps_z": ratio(float(own.mean()), error),
        "helps_limit": t_quantile(1 - FALSE_ALARM, 2 * ((len(alone) - 1) * classes // 2)),
    }


def _some(n, most, rng):
    """The rows of all of n images, or of so many random ones, in rising order."""
    return np.sort(rng.permutation(n)[:most])
