"""Question 1, is the label right: calibration, agreement with the referee, errors."""

import math

import numpy as np

from trust.selection import softmax


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
    means = {"confidence": mean_confidence, "accuracy": accuracy}
    return {"edges": edges, **means, "count": count, "ece": float(ece)}


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy, weighted by how many images fall in each bin.

    probabilities: (n, classes) float, rows sum to 1.  labels: (n,) integer.
    Returns a float in [0, 1].  Guo et al. 2017, eq. 3.
    """
    correct = probabilities.argmax(axis=1) == labels
    return reliability(probabilities.max(axis=1), correct, bins)["ece"]


def calibration(logits, labels, temperature, temperature_real_images):
    """The calibration error of logits (n, classes) with either temperature: a dict of floats."""
    temperatures = {"ece": temperature, "ece_real_temperature": temperature_real_images}
    return {
        key: expected_calibration_error(softmax(logits, value), labels)
        for key, value in temperatures.items()
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
