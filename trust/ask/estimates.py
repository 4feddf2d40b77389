"""The share of wrong labels, known or estimated by what a referee says of them."""

import math

import numpy as np

from trust.statistics import weighted_share, wilson_interval

ERROR = ("error_estimate", "error_low", "error_high")


def agreement(labels: np.ndarray, referee_labels: np.ndarray) -> float:
    """Share of the images to which the referee gives the same label.

    labels, referee_labels: (n,) integer.  Returns a float in [0, 1], NaN for n = 0.
    """
    return float(np.mean(labels == referee_labels)) if len(labels) else math.nan


def known_error(labels, truth, weights=None) -> dict:
    """The share of labels (n,) that are wrong, where the truth (n,) is known, in the keys of ERROR.
    weights: (n,) float of sum 1, all the same if left out."""
    weights = equal_weights(len(labels)) if weights is None else weights
    return dict(zip(ERROR, weighted_share(labels != truth, weights), strict=True))


def equal_weights(n: int) -> np.ndarray:
    """(n,) float of sum 1."""
    return np.full(n, 1 / max(n, 1))


def corrected_error(
    labels, referee_labels, known, known_referee_labels, truth, weights=None
) -> dict:
    """The share of labels that are wrong, where no truth is known, in the keys of ERROR: a dict of
    floats.

    The referee makes mistakes, and shares some with the classifier.  Images of the same kind whose
    truth is known show how far its disagreement is from the error: it misses an error where the
    label is wrong and it agrees, and it raises a false alarm where the label is right and it
    disagrees.  error_estimate = disagreement + missed errors - false alarms, each a share.
    error_low and error_high are a 95 % interval, combined from the intervals of the three shares
    (Zou & Donner 2008).  NaN where a set is empty.

    labels, referee_labels: (n,) integer, of the images in question.
    known, known_referee_labels, truth: (m,) integer, of the others; weights: (m,) float, see
    alike_weights(); all the same if left out.
    """
    weights = equal_weights(len(known)) if weights is None else weights
    disputed = weighted_share(labels != referee_labels, equal_weights(len(labels)))
    share, below, above = correction(known, known_referee_labels, truth, weights)
    middle = disputed[0] + share
    low = middle - math.hypot(disputed[0] - disputed[1], below)
    high = middle + math.hypot(disputed[2] - disputed[0], above)
    return dict(zip(ERROR, np.clip([middle, low, high], 0, 1).tolist(), strict=True))


def correction(
    known, known_referee_labels, truth, weights, others=math.inf
) -> tuple[float, float, float]:
    """Missed errors minus false alarms, and how far its 95 % interval reaches down and up.  Takes
    the same as corrected_error(), and others as weighted_share() does."""
    agreed, wrong = known == known_referee_labels, known != truth
    return sum_of_shares(
        (1, weighted_share(agreed & wrong, weights, others)),
        (-1, weighted_share(~agreed & ~wrong, weights, others)),
    )


def sum_of_shares(*parts):
    """The sum of shares, and how far its interval reaches down and up (Zou & Donner 2008).  Each
    part is a sign and a share with both ends of its interval."""
    total = below = above = 0.0
    for sign, (share, low, high) in parts:
        total += sign * share
        down, up = (share - low, high - share)[::sign]
        below, above = below + down**2, above + up**2
    return total, math.sqrt(below), math.sqrt(above)


def error_estimate(
    labels, referee_labels, known, known_referee_labels, truth, weights=None
) -> dict:
    """corrected_error() of images that may be easier for the referee than the known ones, also
    within a stratum.  It then raises fewer false alarms than there, so error_high is at least the
    upper end of the interval for the disagreement itself.  Takes and returns the same."""
    found = corrected_error(
        labels,
        referee_labels,
        known=known,
        known_referee_labels=known_referee_labels,
        truth=truth,
        weights=weights,
    )
    wrong = labels != referee_labels
    uncorrected = wilson_interval(np.count_nonzero(wrong), len(wrong))[1]
    return found | {"error_high": float(np.maximum(found["error_high"], uncorrected))}  # keeps NaN
