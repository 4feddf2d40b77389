"""Temperature scaling: how sure a classifier may be of its labels."""

import numpy as np

from trust.train.inference import softmax

PRIOR_WIDTH = 0.2  # standard deviation of the prior of 1 / temperature, about 1


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
