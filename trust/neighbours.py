"""The nearest training image of the same class."""

import numpy as np

BLOCK = 1000  # images at a time


def nearest_of_class(images, labels, training_images, training_labels):
    """The nearest training image of each image's class, by exhaustive search.

    A copy of a training image is looked for where it would be: among the images of its label.
    images (n, 28, 28), training_images (m, 28, 28): uint8, or float32 in [0, 1].
    labels (n,), training_labels (m,): integer; each label has a training image.
    Returns index (n,) integer into the training images, and distance (n,) float64, Euclidean over
    pixels in [0, 1].  Of two that are equally near but for rounding to float32 it is either.
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
    return index, distance


def _pixels(images):
    """(n, 28, 28) -> (n, 784) float32 in [0, 1]."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(255) if images.dtype == np.uint8 else flat
