"""The questions: is the confidence honest, does a referee agree, are the images varied, copies,
useful?  Each is a pure function; `examine` asks all of them of one set of images."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trust.neighbours import nearest_of_class
from trust.selection import softmax

VARIETY_IMAGES, NEIGHBOURS = 5000, 5
CLOSEST = 0.01  # share of the reference images of each class that counts as very close


def reliability(confidence, correct, bins=15):
    """How often predictions are right, by how sure they were: the reliability diagram.

    Bins are of equal width and closed on the right, 0 falls in the first one.
    confidence: (n,) float in [0, 1].  correct: (n,) bool.
    Returns a dict: edges (bins + 1,), the means confidence and accuracy (bins,), NaN where a bin
    is empty, count (bins,) integer, and ece, their mean gap weighted by count (NaN for n = 0).
    Guo et al. 2017, sec. 2 and eq. 3.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, correct, bins) / count
        ece = np.nansum(count * np.abs(accuracy - mean_confidence)) / count.sum()
    return {
        "edges": edges,
        "confidence": mean_confidence,
        "accuracy": accuracy,
        "count": count,
        "ece": float(ece),
    }


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy, weighted by how many images fall in each bin.

    probabilities: (n, classes) float, rows sum to 1.  labels: (n,) integer.
    Returns a float in [0, 1].  Guo et al. 2017, eq. 3.
    """
    correct = probabilities.argmax(axis=1) == labels
    return reliability(probabilities.max(axis=1), correct, bins)["ece"]


def calibration(logits, labels, temperature, temperature_real_images):
    """The expected calibration error with either temperature: a dict of floats.

    logits: (n, classes) float.  labels: (n,) integer.
    """
    return {
        "ece": expected_calibration_error(softmax(logits, temperature), labels),
        "ece_real_temperature": expected_calibration_error(
            softmax(logits, temperature_real_images), labels
        ),
    }


def agreement(labels, referee_labels):
    """Share of the images to which the referee gives the same label.

    labels, referee_labels: (n,) integer.  Returns a float in [0, 1], NaN for n = 0.
    """
    return float(np.mean(labels == referee_labels)) if len(labels) else math.nan


def error_bound(errors, n, confidence=0.95):
    """An upper bound on the rate of errors, exact: Clopper & Pearson 1934, one-sided.

    The rate at which so few errors in n independent images have probability 1 - confidence.
    errors, n: whole numbers, errors <= n.  Returns a float in [0, 1]; 1 where all are errors or
    there is no image.
    """
    if errors >= n:
        return 1.0
    k = np.arange(errors + 1)
    log_factorials = np.array([math.lgamma(i + 1) for i in range(n + 1)])
    log_choices = log_factorials[n] - log_factorials[k] - log_factorials[n - k]
    low, high = errors / n, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        few = np.exp(log_choices + k * math.log(rate) + (n - k) * math.log1p(-rate)).sum()
        low, high = (rate, high) if few > 1 - confidence else (low, rate)
    return (low + high) / 2


def errors(labels, truth):
    """The share of labels that are wrong and its upper bound: a dict of floats, NaN for n = 0.

    labels, truth: (n,) integer.
    """
    wrong, n = int(np.count_nonzero(labels != truth)), len(labels)
    rate = wrong / n if n else math.nan
    return {"strong_error": rate, "strong_error_bound": error_bound(wrong, n) if n else math.nan}


def frechet_distance(features, reference):
    """Between the Gaussians with the means and covariances of two sets: Heusel et al. 2017, eq. 6.

    features (n, d), reference (m, d): float.  Returns a float, 0 for equal sets, NaN for n < 2 or
    m < 2.
    """
    if min(len(features), len(reference)) < 2:
        return math.nan
    difference = features.mean(axis=0) - reference.mean(axis=0)
    first, second = np.cov(features.T), np.cov(reference.T)
    # The trace of the root of first @ second, which has the eigenvalues of a symmetric matrix.
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0))
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * roots.sum())


def variety(features, reference, k=NEIGHBOURS):
    """How well two sets cover each other, by balls that reach to the k-th neighbour in a set.

    precision: share of the images in a ball of the reference; recall: share of the reference in a
    ball of the images (Kynkaanniemi et al. 2019).  density: balls of the reference about an image,
    over k; coverage: share of the reference's balls with an image (Naeem et al. 2020).
    features (n, d), reference (m, d): float.  Returns a dict of floats, NaN where a set has no
    more than k images.
    """
    if min(len(features), len(reference)) <= k:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), math.nan)
    between = _squared_distances(features, reference)
    radius = _neighbour_distance(features, k)
    reference_radius = _neighbour_distance(reference, k)
    in_reference = between <= reference_radius
    return {
        "precision": float(in_reference.any(axis=1).mean()),
        "recall": float((between <= radius[:, None]).any(axis=0).mean()),
        "density": float(in_reference.sum() / (k * len(features))),
        "coverage": float(in_reference.any(axis=0).mean()),
    }


def _squared_distances(a, b):
    """(n, m) from a (n, d) and b (m, d)."""
    squares = (np.einsum("ij,ij->i", x, x) for x in (a, b))
    return np.add.outer(*squares) - 2 * a @ b.T


def _neighbour_distance(points, k):
    """The squared distance of each point to its k-th nearest other point, (n,)."""
    squares = _squared_distances(points, points)
    np.fill_diagonal(squares, np.inf)
    return np.partition(squares, k - 1, axis=1)[:, k - 1]


def closest_rate(distance, labels, reference_distance, reference_labels, quantile=CLOSEST):
    """Share of images closer to a training image than the closest 1 % of reference images of the
    same class, and how many standard deviations that is above 1 %.

    Per class, since some classes are much denser than others.  For images of the reference's own
    kind the share is `quantile` and z about standard normal; copies raise both.
    distance (n,), reference_distance (m,): float, to the nearest training image of the class.
    labels (n,), reference_labels (m,): integer.
    Returns two floats, NaN where no class has images of both kinds.
    """
    close = expected = variance = 0
    for label in np.intersect1d(labels, reference_labels):
        reference = np.sort(reference_distance[reference_labels == label])
        here = distance[labels == label]
        # Of m + 1 images of one kind, each is as likely as the others to be among the closest.
        rank = max(1, int(quantile * (len(reference) + 1)))
        share = rank / (len(reference) + 1)
        close += np.count_nonzero(here < reference[rank - 1])
        expected += share * len(here)
        # The quantile of m reference images is itself uncertain.
        variance += len(here) * share * (1 - share) * (1 + len(here) / len(reference))
    if expected == 0:
        return math.nan, math.nan
    return quantile * close / expected, (close - expected) / math.sqrt(variance)


class Yardstick(NamedTuple):
    """What every set of images is measured against.

    judge: images (n, 28, 28) -> the referee's labels (n,) and features (n, d).
    score: images, targets -> accuracy on test images of a classifier trained on these alone;
    targets are labels (n,), or probabilities (n, classes).
    training: what the VAE has learned from: images (n, 28, 28) and labels (n,).
    test_labels (m,) and test_features (m, d): the referee's, of test images.
    test_nearest, reconstructed_nearest: of strong test images, and of strong reconstructions of
    held-out images, the distance to the nearest training image of their class, and the label.
    """

    judge: Callable
    score: Callable
    training: tuple
    test_labels: np.ndarray
    test_features: np.ndarray
    test_nearest: tuple
    reconstructed_nearest: tuple


def closeness(images, labels, yardstick):
    """How near a set is to the training images, against test images and their reconstructions.

    images: (n, 28, 28).  labels: (n,) integer.
    Returns metrics, a dict of floats, and the nearest training images: index (n,) and distance
    (n,).
    """
    nearest = nearest_of_class(images, labels, *yardstick.training)
    blurred_rate, z = closest_rate(nearest[1], labels, *yardstick.reconstructed_nearest)
    metrics = {
        "nearest_distance_median": float(np.median(nearest[1])) if len(images) else math.nan,
        "copy_rate": closest_rate(nearest[1], labels, *yardstick.test_nearest)[0],
        "copy_rate_of_blurred": blurred_rate,
        "copying_z": z,
    }
    return metrics, nearest


def examine(images, labels, targets, yardstick):
    """All questions of one set of accepted images.

    images: (n, 28, 28) uint8, or float32 in [0, 1].  labels: (n,) integer, the classifier's.
    targets: what a classifier that is trained on them is told, as Yardstick.score takes them.
    Returns the metrics, a flat dict of numbers, NaN where the set is too small, and the nearest
    training images: index (n,) and distance (n,).
    """
    referee_labels, features = yardstick.judge(images)
    close, nearest = closeness(images, labels, yardstick)
    metrics = {
        "images": len(images),
        "strong_agreement": agreement(labels, referee_labels),
        **errors(labels, referee_labels),
        "frechet": frechet_distance(features, yardstick.test_features),
        **variety(_spread(features), _spread(yardstick.test_features)),
        **close,
        "usefulness_accuracy": yardstick.score(images, targets),
    }
    return metrics, nearest


def _spread(rows):
    """VARIETY_IMAGES of the rows, evenly spaced: the first half of MNIST's test set is easier."""
    return rows[np.linspace(0, len(rows) - 1, min(VARIETY_IMAGES, len(rows))).astype(int)]


def plant_copies(images, labels, training_images, training_labels, rng, share=0.05, noise=0.05):
    """The control that a test for copies has to pass: images (n, 28, 28) in [0, 1] with copies.

    Every 1 / share-th image gives way to a random training image (m, 28, 28) uint8 of its label,
    with normal noise of that standard deviation on each pixel.  Returns (n, 28, 28) float32.
    """
    planted = images.astype(np.float32)
    for row in range(0, len(images), round(1 / share)):
        twin = rng.choice(np.flatnonzero(training_labels == labels[row]))
        noisy = training_images[twin] / 255 + noise * rng.standard_normal((28, 28))
        planted[row] = np.clip(noisy, 0, 1)
    return planted


def closest_of_each_class(labels, distance):
    """{label: row of its image of the least distance}; labels (n,) integer, distance (n,) float."""
    rows = {}
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        rows[int(label)] = here[distance[here].argmin()]
    return rows


def principal_axes(points, *others):
    """The points (n, d), and others (m, d), on the two axes along which the points vary most:
    (n, 2) and (m, 2) each.  With d < 2 the missing axis is 0."""
    padding = [(0, 0), (0, max(0, 2 - points.shape[1]))]
    centre = points.mean(axis=0)
    points, *others = (np.pad(each - centre, padding) for each in (points, *others))
    _, vectors = np.linalg.eigh(points.T @ points)
    axes = vectors[:, :-3:-1]
    return [each @ axes for each in (points, *others)]
