"""Question 4, are the images new: the nearest training image of the class, and planted copies."""

import math
from typing import NamedTuple

import numpy as np

BLOCK = 1000  # images at a time
CLOSEST = 0.01  # share of the reference images of each class that counts as very close


class Nearest(NamedTuple):
    """Of each image the training image that is nearest: index (n,) and distance (n,)."""

    index: np.ndarray
    distance: np.ndarray


class Distances(NamedTuple):
    """Of images of a known kind, how far the nearest training image is: distance (m,) float,
    labels (m,) integer."""

    distance: np.ndarray
    labels: np.ndarray


def nearest_of_class(images, labels, training_images, training_labels):
    """The nearest training image of each image's class, by exhaustive search.

    A copy of a training image is looked for where it would be: among the images of its label.
    images (n, 28, 28), training_images (m, 28, 28): uint8, or float32 in [0, 1].
    labels (n,), training_labels (m,): integer; each label has a training image.
    Returns Nearest: index (n,) integer into the training images, and distance (n,) float64,
    Euclidean over pixels in [0, 1].  Of two that are equally near but for rounding to float32
    it is either.
    """
    index, distance = np.empty(len(images), int), np.empty(len(images))
    for label in np.unique(labels):
        rows, others = np.flatnonzero(labels == label), np.flatnonzero(training_labels == label)
        candidates = _pixels(training_images[others])
        # Of images that are all alike, the differences count: they survive rounding to float32.
        centre = candidates.mean(axis=0)
        centred = candidates - centre
        half_norms = np.einsum("ij,ij->i", centred, centred) / 2
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            pixels = _pixels(images[block])
            # Minus half of the squared distance, but for the norm of the image itself.
            scores = (pixels - centre) @ centred.T
            scores -= half_norms
            best = scores.argmax(axis=1)
            index[block] = others[best]
            distance[block] = np.linalg.norm(candidates[best].astype(float) - pixels, axis=1)
    return Nearest(index, distance)


def _pixels(images):
    """(n, 28, 28) -> (n, 784) float32 in [0, 1]."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(255) if images.dtype == np.uint8 else flat


def closest_rate(distance, labels, reference_distance, reference_labels, quantile=CLOSEST):
    """Share of images closer to a training image than the closest 1 % of reference images of the
    same class, and how many standard deviations that is above 1 %.

    Per class, since some classes are much denser than others.  For images of the reference's own
    kind the share is `quantile` and z about standard normal; copies raise both.
    distance (n,), reference_distance (m,): float.  labels (n,), reference_labels (m,): integer.
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
