"""Question 1, are the labels right? Calibration, agreement with the referee, estimated error."""

import math

import numpy as np

Z95 = 1.959964  # 95 % of a normal distribution lie within this many standard deviations
ERROR = ("error_estimate", "error_low", "error_high")


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


def risk_coverage(confidence: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a filter does at every threshold: the share of images that it keeps, and the share of
    those that are wrong, each (k,) float, for each of the k different confidences, highest first.

    confidence: (n,) float.  wrong: (n,) bool.  El-Yaniv & Wiener 2010, sec. 2.
    """
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    last = np.diff(-confidence[order], append=np.inf) > 0  # equal confidences pass together
    errors = np.cumsum(wrong[order])
    return kept[last] / max(len(order), 1), errors[last] / kept[last]


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy, weighted by how many images fall in each bin.

    probabilities: (n, classes) float, rows sum to 1.  labels: (n,) integer.
    Returns a float in [0, 1].  Guo et al. 2017, eq. 3.
    """
    correct = probabilities.argmax(axis=1) == labels
    return reliability(probabilities.max(axis=1), correct, bins)["ece"]


def calibration_floor(confidence: np.ndarray, rng, draws: int = 200) -> tuple[float, float]:
    """The calibration error that a perfectly calibrated classifier would show by chance alone: its
    mean and its 95 % quantile, two floats.

    Labels are drawn at random: an image is right with a probability of its confidence, (n,) float.
    rng: a numpy.random.Generator.  NaN for n = 0.
    """
    if not len(confidence):
        return math.nan, math.nan
    errors = [
        reliability(confidence, rng.random(len(confidence)) < confidence)["ece"]
        for _ in range(draws)
    ]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def agreement(labels: np.ndarray, referee_labels: np.ndarray) -> float:
    """Share of the images to which the referee gives the same label.

    labels, referee_labels: (n,) integer.  Returns a float in [0, 1], NaN for n = 0.
    """
    return float(np.mean(labels == referee_labels)) if len(labels) else math.nan


def worst_class(labels: np.ndarray, referee_labels: np.ndarray) -> float:
    """The least agreement of any class that has an image, a float; NaN for n = 0."""
    shares = [
        agreement(labels[rows], referee_labels[rows])
        for rows in (labels == label for label in np.unique(labels))
    ]
    return min(shares, default=math.nan)


def mean(values: np.ndarray) -> float:
    """The mean of values (n,), NaN for n = 0."""
    return float(np.mean(values)) if len(values) else math.nan


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """A 95 % interval for the share that gave `hits` in n independent images: two floats in [0, 1],
    NaN for n = 0.  Wilson 1927."""
    if not n:
        return math.nan, math.nan
    share, spread = hits / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def binomial_tail(k: int, n: int, p: float) -> float:
    """The probability of at most k hits in n independent images, each a hit with probability p in
    [0, 1]: a float in [0, 1].  It falls as p rises."""
    if k < 0 or k >= n:
        return float(k >= 0)
    if p in (0, 1):
        return 1.0 - p
    hits = np.arange(k + 1)
    steps = np.log(n + 1 - hits[1:]) - np.log(hits[1:])  # of the log binomial coefficient
    choices = np.concatenate([[0.0], np.cumsum(steps)])
    logs = choices + hits * math.log(p) + (n - hits) * math.log1p(-p)
    return min(float(np.exp(logs).sum()), 1.0)


def _share_with_tail(k, n, tail):
    """The share at which at most k hits in n images, 0 <= k < n, have the probability `tail`."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(k, n, middle) > tail else (low, middle)
    return (low + high) / 2


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """An interval for the share that gave k hits in n independent images: two floats in [0, 1].  It
    contains the share with a probability of at least 95 %, however rare hits are and however few
    the images; NaN for n = 0.  Clopper & Pearson 1934."""
    if not n:
        return math.nan, math.nan
    low = _share_with_tail(k - 1, n, 0.975) if k else 0.0
    return low, _share_with_tail(k, n, 0.025) if k < n else 1.0


def upper_bound(k: int, n: int) -> float:
    """The largest share that k hits in n independent images leave possible: a float in [0, 1], at
    least the true share with a probability of at least 95 %; NaN for n = 0.  The upper end of a
    one-sided interval of Clopper & Pearson 1934."""
    if not n:
        return math.nan
    return _share_with_tail(k, n, 0.05) if k < n else 1.0


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
    found = corrected_error(labels, referee_labels, known, known_referee_labels, truth)
    wrong = labels != referee_labels
    uncorrected = wilson_interval(np.count_nonzero(wrong), len(wrong))[1]
    return found | {"error_high": float(np.maximum(found["error_high"], uncorrected))}  # keeps NaN
