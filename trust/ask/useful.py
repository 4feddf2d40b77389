"""Question 6, are the images useful? The accuracy of a classifier that learns from them alone
(classification accuracy score)."""

import math

import numpy as np

from trust.ask.questions import Asked, disjoint_sets
from trust.ask.reference import Reference
from trust.ask.verdicts import FALSE_ALARM, POWER, Scale, Verdict, decide
from trust.data.images import pixels_of, random_of_each_class
from trust.statistics import ratio, t_quantile, z_of_t
from trust.train import inference, loops

MOST_LOSS = 0.1  # useful fails if accuracy is below that of real images by more than this
EPOCHS = 4  # six of them raise the accuracy, of any 10,000 real images alike, by 0.2 points
REAL_SETS = 3  # random real sets that classifiers learn from


def ask(asked: Asked, rng: np.random.Generator) -> dict:
    """{set: {key: number}}: of the subjects, of random real sets, and of real images that went
    through no filter.  All have equally many images of each class, none of them twice: as many as
    each subject has, and at most one in REAL_SETS of the real ones."""
    reference, rng = asked.reference, rng.spawn(1)[0]
    classes, pool, every = reference.classes, asked.beside.pool, asked.beside.held_out["real"].every
    passing = {name: filtered.passing for name, filtered in asked.subjects.items()}
    have = [*(each.counts(classes) for each in passing.values())]
    counts = np.min([*have, pool.counts(classes) // REAL_SETS], axis=0)

    def right(images, rows, seed=0):
        chosen = images.take(rows)
        targets = _soft(chosen) if asked.beside.soft_labels else chosen.labels
        return right_after_training(chosen.images, targets, reference, seed)

    own = disjoint_sets(pool.labels, counts, REAL_SETS, rng)
    real = np.array([right(pool, rows, seed) for seed, rows in enumerate(own, start=1)])
    sets = {
        "real": {
            "accuracy": float(real.mean()),
            "accuracy_sd": spread_of_trainings(real, reference.test.labels, classes),
            "sets": len(own),
            "freedom": (len(own) - 1) * classes // 2,
        }
    }
    for name, images in passing.items():
        found = right(images, random_of_each_class(images.labels, counts, rng))
        sets[name] = {"accuracy": float(found.mean())}
    if every is not None:
        rows = random_of_each_class(every.truth, counts, rng)
        found = right_after_training(every.images[rows], every.truth[rows], reference)
        sets["unfiltered"] = {"accuracy": float(found.mean()), "images": len(rows)}
    for name in ("real", *passing):
        sets[name]["images"] = int(counts.sum())
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from the accuracy of classifiers that learned from the set and from real images,
    by a one-sided t-test of one training against several."""
    loss, freedom = real["accuracy"] - numbers["accuracy"], real["freedom"]
    chance, error = t_quantile(1 - FALSE_ALARM, freedom), _error(real)
    return decide(
        fails=loss > max(MOST_LOSS, chance * error),
        worse=loss > chance * error,
        detectable=(chance + t_quantile(POWER, freedom)) * error,
        bound=MOST_LOSS,
    )


def scale(numbers: dict, real: dict) -> Scale:
    """The accuracy, between that of real images and MOST_LOSS below it."""
    reach = t_quantile(1 - FALSE_ALARM, real["freedom"]) * _error(real)
    return Scale(
        "accuracy",
        number=numbers["accuracy"],
        real=real["accuracy"],
        real_low=real["accuracy"] - reach,
        real_high=real["accuracy"] + reach,
        fails_at=real["accuracy"] - MOST_LOSS,
        shows_from=real["accuracy"] - numbers["detectable"],
    )


def evidence(numbers: dict, real: dict) -> dict:
    """By how many standard deviations the accuracy is below that of real images."""
    return {"accuracy": ratio(real["accuracy"] - numbers["accuracy"], _error(real))}


def _error(real):
    """The standard deviation, by chance, of the difference between one training and the mean of
    several; NaN without any."""
    return real["accuracy_sd"] * math.sqrt(1 + 1 / real["sets"]) if real["sets"] else math.nan


def differs(numbers: dict, others: dict, real: dict, other_real: dict) -> float:
    """By how many standard deviations of a normal distribution a set's accuracy is further above
    that of as many real images, real, than another set's is, other_real.  The test images are the
    same, so what varies by chance is the training: as much as that of random real sets."""
    gap, other = (
        each["accuracy"] - own["accuracy"] for each, own in ((numbers, real), (others, other_real))
    )
    error = math.hypot(_error(real), _error(other_real))
    return z_of_t(ratio(gap - other, error), min(real["freedom"], other_real["freedom"]))


def spread_of_trainings(right: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """The standard deviation of the accuracy between trainings, on the same test images.

    right: (trainings, n), from right_after_training().  labels: (n,) integer,
    theirs.  NaN for fewer than two trainings.

    Three trainings say little of their own variance, and it is easily far too small.  So the
    variances of the classes' parts of the accuracy are added to it: these are more numbers, and
    their sum is better known.  What one class gains, another mostly loses, as an image between two
    is counted to either; so this sum alone is mostly larger than the variance.
    """
    if len(right) < 2:
        return math.nan
    parts = np.array([right[:, labels == label].sum(axis=1) for label in range(classes)])
    spread = np.var(parts, axis=1, ddof=1).sum() + np.var(parts.sum(axis=0), ddof=1)
    return math.sqrt(spread) / len(labels)


def _soft(images):
    """The calibrated probabilities, (n, classes) float32, as targets to learn from."""
    return images.probabilities.astype(np.float32)


def right_after_training(
    images: np.ndarray, targets: np.ndarray, reference: Reference, seed: int = 0
) -> np.ndarray:
    """Of each test image whether a classifier recognises it that was trained on these images alone,
    (n,) float: 1 or 0, NaN for fewer than two classes.  Ravuri & Vinyals 2019.

    images: (n, h, w[, c]), uint8 or float32 in [0, 1].  targets: labels (n,), or probabilities
    (n, classes) float32.  seed: added to that of the reference.
    """
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return np.full(len(reference.test), np.nan)
    seed += reference.seed
    loops.make_reproducible(seed)
    # All subtract the same mean, so that they differ in nothing but what they learn from.
    classifier = loops.new_classifier(reference.classes, pixels_of(reference.test.images))
    loops.train_on_still_images(
        classifier, images, targets, seed=seed, epochs=EPOCHS, bench=reference.bench
    )
    found = inference.predict(classifier, reference.test.images).argmax(axis=1)
    return (found == reference.test.labels).astype(float)
