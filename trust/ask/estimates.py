"""The share of wrong labels, known or estimated by what a referee says of them."""

import math

import numpy as np

from trust.statistics import wilson_interval

ERROR = ("error_estimate", "error_low", "error_high")


def agreement(labels: np.ndarray, referee_labels: np.ndarray) -> float:
    """Share of the images to which the referee gives the same label.

    labels, referee_labels: (n,) integer.  Returns a float in [0, 1], NaN for n = 0.
    """
    return float(np.mean(labels == referee_labels)) if len(labels) else math.nan


def known_error(labels, truth) -> dict:
    """The share of labels (n,) that are wrong, where the truth (n,) is known, in the keys of
    error_estimate()."""
    wrong = labels != truth
    found = agreement(wrong, True), *wilson_interval(np.count_nonzero(wrong), len(wrong))
    return dict(zip(ERROR, found, strict=True))


def corrected_error(labels, referee_labels, known, known_referee_labels, truth) -> dict:
    """The share of labels that are wrong, where no truth is known, in the keys of ERROR: a dict of
    floats.

    The referee makes mistakes, and shares some with the classifier.  Images of the same kind whose
    truth is known show how far its disagreement is from the error: it misses an error where the
    label is wrong and it agrees, and it raises a false alarm where the label is right and it
    disagrees.  error_estimate = disagreement + missed errors - false alarms, each a share.
    error_low and error_high are a 95 % interval, combined from the intervals of the three shares
    (Zou & Donner 2008).  NaN where a set is empty.

    labels, referee_labels: (n,) integer, of the images in question.
    known, known_referee_labels, truth: (m,) integer, of the others.
    """
    right_by_referee = known == known_referee_labels
    shares = (
        (labels != referee_labels, 1),
        (right_by_referee & (known != truth), 1),
        (~right_by_referee & (known == truth), -1),
    )
    estimate = below = above = 0.0
    for hits, sign in shares:
        share = agreement(hits, True)
        low, high = wilson_interval(np.count_nonzero(hits), len(hits))
        estimate += sign * share
        down, up = (share - low, high - share)[::sign]
        below, above = below + down**2, above + up**2
    found = estimate, estimate - math.sqrt(below), estimate + math.sqrt(above)
    return dict(zip(ERROR, np.clip(found, 0, 1).tolist(), strict=True))


def error_estimate(labels, referee_labels, known, known_referee_labels, truth) -> dict:
    """corrected_error() of images that may be easier for the referee than the known ones.  It then
    raises fewer false alarms than there, so error_high is at least the upper end of the interval
    for the disagreement itself.  Takes and returns the same."""
    found = corrected_error(
        labels,
        referee_labels,
        known=known,
        known_referee_labels=known_referee_labels,
        truth=truth,
    )
    wrong = labels != referee_labels
    uncorrected = wilson_interval(np.count_nonzero(wrong), len(wrong))[1]
    return found | {"error_high": float(np.maximum(found["error_high"], uncorrected))}  # keeps NaN
