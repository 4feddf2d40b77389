"""Which generated images to keep: by calibrated confidence, and as many of every class."""

from typing import NamedTuple

import keras
import numpy as np

from trust import training

CHUNK = 10_000  # images drawn at a time; the first chunk is the sample
WEAK = 0.5  # below this confidence the other classes together are likelier than the chosen one

PRIOR_WIDTH = 0.2  # standard deviation of the prior of 1 / temperature, about 1


def softmax(logits, temperature=1.0):
    """Probabilities of the classes; a temperature above 1 makes them less confident.

    logits: (n, classes) float.  temperature: positive float.
    Returns (n, classes) float64, rows sum to 1.  Guo et al. 2017, eq. 9.
    """
    scaled = np.asarray(logits, dtype=float) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def fit_temperature(logits, labels):
    """The likeliest temperature, given the labels of images that the classifier never learned from.

    Guo et al. 2017, sec. 4.2, with a normal prior on 1 / temperature about 1: thousands of images
    outweigh it, but a few, or a set without an error, leave the temperature near 1.  The negative
    log posterior is convex in 1 / temperature, so bisection of its slope finds the minimum.
    logits: (n, classes) float.  labels: (n,) integer.  Returns a float from 0.01 to 100.
    """
    logits = np.asarray(logits, dtype=float)
    logits = logits - logits.max(axis=1, keepdims=True)
    true_logits = logits[np.arange(len(labels)), labels]

    def slope(inverse):
        expected = np.einsum("ij,ij->i", softmax(logits * inverse), logits)
        return np.sum(expected - true_logits) + (inverse - 1.0) / PRIOR_WIDTH**2

    low, high = 0.01, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(2 / (low + high))


def top_two(probabilities):
    """The two likeliest classes of each image, the likelier first, and their probabilities.

    probabilities: (n, classes) float.  Returns (n, 2) integer and (n, 2) float.
    """
    labels = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return labels, np.take_along_axis(probabilities, labels, axis=1)


def first_of_each_class(labels, counts):
    """Rows, in rising order, of the first counts[k] images of every class k, or as many as it has.

    labels: (n,) integer.  counts: (classes,) integer.  Returns (m,) integer.
    """
    rows = [np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)]
    return np.sort(np.concatenate(rows))


class ClassQuota:
    """Keeps the first `per_class` strong images of every class, in the order they were drawn.

    generated, strong, kept: (classes,) integer, how many images of each class so far.
    weak: how many images so far whose confidence is below WEAK.
    """

    def __init__(self, per_class, classes=10):
        self.per_class, self.weak = per_class, 0
        self.generated, self.strong, self.kept = np.zeros((3, classes), dtype=int)

    def take(self, labels, confidence, threshold):
        """Says which images of the next chunk to keep.

        labels: (n,) integer, the classifier's.  confidence: (n,) float.  Returns (n,) bool.
        """
        strong = confidence >= threshold
        keep = np.zeros(len(labels), dtype=bool)
        for label, room in enumerate(self.shortfall):
            keep[np.flatnonzero(strong & (labels == label))[:room]] = True
        classes = len(self.kept)
        self.generated += np.bincount(labels, minlength=classes)
        self.strong += np.bincount(labels[strong], minlength=classes)
        self.kept += np.bincount(labels[keep], minlength=classes)
        self.weak += np.count_nonzero(confidence < WEAK)
        return keep

    @property
    def shortfall(self):
        """How many strong images each class still lacks: (classes,) integer, all 0 when done."""
        return self.per_class - self.kept

    def progress(self, class_names):
        """How many are drawn, and what is still missing, as a sentence."""
        pairs = zip(class_names, self.shortfall, strict=True)
        lacking = [f"{count:,} of {name}" for name, count in pairs if count]
        if len(lacking) > 8:
            lacking[8:] = [f"and of {len(lacking) - 8} other classes"]
        missing = f"; strong images still missing: {', '.join(lacking)}" if lacking else ""
        return f"{self.generated.sum():,} drawn{missing}"

    def rates(self):
        """Shares of all images so far, {question: {key: float}}: the strong ones, the weak ones,
        and, of the strong ones, smallest class / largest class."""
        total = self.generated.sum() or np.nan  # without images the shares are NaN
        return {
            "right": {"strong_rate": self.strong.sum() / total, "weak_rate": self.weak / total},
            "balanced": {"class_balance": self.strong.min() / max(self.strong.max(), 1)},
        }


class Classified(NamedTuple):
    """Images and what the classifier says of them.

    images: (n, h, w[, c]) uint8, or float32 in [0, 1].  labels: (n,) integer, the likeliest class.
    confidence: (n,) float and probabilities: (n, classes), calibrated.  logits: (n, classes).
    """

    images: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray
    logits: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Classified(*(array[rows] for array in self))

    @property
    def soft_labels(self):
        """The probabilities, (n, classes) float32, as targets to learn from."""
        return self.probabilities.astype(np.float32)

    def rows(self, threshold):
        """The rows of those that pass the filter, (m,) integer."""
        return np.flatnonzero(self.confidence >= threshold)

    def strong(self, threshold):
        """Those that pass the filter, Classified."""
        return self.take(self.rows(threshold))

    def rates(self, threshold):
        """ClassQuota.rates() of them all."""
        quota = ClassQuota(len(self.labels), self.logits.shape[1])
        quota.take(self.labels, self.confidence, threshold)
        return quota.rates()


class Filter(NamedTuple):
    """A classifier, the temperature that calibrates it, the least confidence of a strong image, and
    the temperatures fitted on reconstructions of held-out images and on these images themselves."""

    classifier: keras.Model
    temperature: float
    threshold: float
    temperature_reconstructions: float
    temperature_real_images: float

    def classify(self, images) -> Classified:
        """What the classifier says of images (n, h, w[, c]), uint8 or float32 in [0, 1]."""
        logits = training.predict(self.classifier, images)
        probabilities = softmax(logits, self.temperature)
        labels, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        return Classified(images, labels, confidence, probabilities, logits)


def fit_filter(classifier, held_out, reconstructed, threshold, temperature=None):
    """A Filter.  Its temperature, unless given, is fitted on reconstructions of held-out images,
    because they are as blurred as generated images.

    held_out: Labelled, images that neither VAE nor classifier has learned from.  reconstructed:
    their reconstructions (n, h, w[, c]).  threshold: the least confidence of a strong image.
    """
    fitted, real = (
        fit_temperature(training.predict(classifier, images), held_out.labels)
        for images in (reconstructed, held_out.images)
    )
    return Filter(classifier, temperature or fitted, threshold, fitted, real)


class Selection(NamedTuple):
    """The strong images that fill the quota, the first chunk that was drawn, and the quota, which
    counted all that was drawn."""

    accepted: Classified
    sample: Classified
    quota: ClassQuota


def generate(draw, accept, quota, most, progress) -> Selection:
    """Draws images, CHUNK at a time, until every class has its strong ones or `most` are drawn.

    draw: n -> images (n, h, w[, c]) float32 in [0, 1].  accept: a Filter.
    quota: a ClassQuota, which counts all that is drawn.  progress: called after each chunk.
    """
    kept, sample = [], None
    while quota.shortfall.any() and (drawn := quota.generated.sum()) < most:
        chunk = accept.classify(draw(int(min(CHUNK, most - drawn))))
        kept.append(chunk.take(quota.take(chunk.labels, chunk.confidence, accept.threshold)))
        sample = sample or chunk
        progress()
    accepted = Classified(*(np.concatenate(parts) for parts in zip(*kept, strict=True)))
    return Selection(accepted, sample, quota)


def cut_alike(*sets):
    """The sets, Labelled or Classified, cut to the same number of images of each class: the first
    ones, in their old order."""
    classes = max(each.labels.max(initial=-1) for each in sets) + 1
    counts = np.min([np.bincount(each.labels, minlength=classes) for each in sets], axis=0)
    return [each.take(first_of_each_class(each.labels, counts)) for each in sets]


def as_many_of_each_class(labels: np.ndarray, counts, rng) -> tuple[np.ndarray, float]:
    """Rows of the first counts[k] images of every class k.  Where a class has too few, all of them,
    and some of them again, at random.

    labels: (n,) integer.  Returns (m,) integer, and the share of the rows that repeat another.
    """
    rows = first_of_each_class(labels, counts)
    repeats = [
        rng.choice(own, count - len(own))
        for label, count in enumerate(counts)
        if 0 < len(own := np.flatnonzero(labels == label)) < count
    ]
    rows = np.concatenate([rows, *repeats])
    return rows, sum(map(len, repeats)) / max(len(rows), 1)
