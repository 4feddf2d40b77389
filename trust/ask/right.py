"""Question 1, are the labels right? Calibration, agreement with the referee, estimated error."""

import math

import numpy as np

from trust.ask.estimates import agreement, error_estimate, known_error
from trust.ask.questions import Asked
from trust.ask.varied import examine_likeness
from trust.data.images import ImageSet, first_of_each_class
from trust.filter.filters import Filter
from trust.filter.quotas import WEAK
from trust.statistics import mean, wilson_interval
from trust.train.inference import softmax
from trust.train.referee import Judged


def ask(asked: Asked, rng: np.random.Generator) -> dict:
    """{set: {key: number}}: of images whose truth is known by their truth, of the subjects by the
    referee.  rng: for what calibration shows by chance."""
    beside, reference, sets = asked.beside, asked.reference, {}
    for kind, filtered in beside.tested.items():
        passing, judged = filtered.passing, asked.judged_tested[kind]
        passing = passing.take(first_of_each_class(passing.labels, beside.counts))
        sets[kind] = examine_known(passing, judged.take(passing.rows))
        sets[kind] |= beside.held_out[kind].rates()
        if filtered.quota is not None:
            sets[kind]["mean_confidence"] = mean(passing.confidence)
            sets[kind] |= examine_calibration(filtered.every, judged.labels, beside.accept, rng)
            correct = filtered.every.labels == filtered.every.truth
            found = reliability(filtered.every.confidence, correct)["ece"]
            sets[kind]["ece_true_labels"] = found
    known_words = asked.judged_tested[beside.like].labels[beside.known.rows]
    for name, filtered in asked.subjects.items():
        rows, judged = asked.rows[name], asked.judged[name]
        alike = filtered.passing.take(rows)
        sets[name] = examine_unknown(alike, judged.take(rows), beside.known, known_words)
        sets[name] |= filtered.rates()
        sets[name]["accepted_agreement"] = agreement(filtered.passing.labels, judged.labels)
        if filtered.quota is not None:
            sets[name]["mean_confidence"] = mean(alike.confidence)
            sets[name] |= examine_sample(filtered.every, asked.sampled[name], beside.accept, rng)
    for name, filtered in beside.others.items():
        sets[name] = filtered.rates()
    if "halfway" in beside.others:
        passing = beside.others["halfway"].passing
        words = reference.judge(passing.images).labels
        sets["halfway"] = {
            "strong_rate": sets["halfway"]["strong_rate"],
            "agreement": agreement(passing.labels, words),
        }
    for name, numbers in likeness(asked).items():
        sets[name] |= numbers
    return sets


def likeness(asked: Asked) -> dict:
    """{set: {key: number}}: how like the reconstructions of held-out images the other sets are, and
    one half of them the other; nothing where there are none."""
    if "reconstructed" not in asked.judged_held_out:
        return {}
    blurred, seed = asked.judged_held_out["reconstructed"].features, asked.reference.seed
    # Not held-out images: the nearest neighbour of each would be its own reconstruction.
    passing = asked.beside.tested["real"].passing
    passing = passing.take(first_of_each_class(passing.labels, asked.beside.counts))
    real = asked.judged_tested["real"].features[passing.rows]
    return {
        "real": examine_likeness(real, blurred, seed),
        "reconstructed": examine_likeness(blurred[::2], blurred[1::2], seed),
        **{
            name: examine_likeness(judged.features[asked.rows[name]], blurred, seed)
            for name, judged in asked.judged.items()
        },
    }


def examine_labels(images: ImageSet, judged: Judged) -> dict:
    """What the referee says of labels, whether their truth is known or not."""
    return {
        "images": len(images),
        "agreement": agreement(images.labels, judged.labels),
        "worst_class_agreement": worst_class(images.labels, judged.labels),
        "referee_confidence": mean(judged.confidence),
    }


def examine_known(images: ImageSet, judged: Judged) -> dict:
    """Images whose truth is known."""
    return {
        **examine_labels(images, judged),
        "true_agreement": agreement(images.labels, images.truth),
        **known_error(images.labels, images.truth),
    }


def examine_unknown(
    images: ImageSet, judged: Judged, known: ImageSet, known_words: np.ndarray
) -> dict:
    """Images whose truth is not known.  known: others, whose truth is, and which are as blurred;
    known_words: the referee's labels of these."""
    return {
        **examine_labels(images, judged),
        **error_estimate(
            images.labels,
            judged.labels,
            known=known.labels,
            known_referee_labels=known_words,
            truth=known.truth,
        ),
    }


def examine_sample(sample: ImageSet, words, accept: Filter, rng) -> dict:
    """Images before the filter.  words: (n,) integer, the referee's labels of them."""
    weak = sample.confidence < WEAK
    return {
        "all_agreement": agreement(sample.labels, words),
        "weak_agreement": agreement(sample.labels[weak], words[weak]),
        **examine_calibration(sample, words, accept, rng),
    }


def examine_calibration(images: ImageSet, words, accept: Filter, rng) -> dict:
    """The calibration error by the referee's labels, words (n,); what chance alone would give; mean
    confidence minus accuracy; and the error with the temperature fitted on real images."""
    correct = images.labels == words
    floor, floor_95 = calibration_floor(images.confidence, rng)
    probabilities = softmax(images.logits, accept.temperature_real_images)
    return {
        "ece": reliability(images.confidence, correct)["ece"],
        "ece_floor": floor,
        "ece_floor_95": floor_95,
        "confidence_gap": mean(images.confidence - correct),
        "ece_real_temperature": expected_calibration_error(probabilities, words),
    }


def agreement_by_class(images: ImageSet, judged: Judged, classes: int) -> dict:
    """{key: (classes,) float}: the referee's agreement with the images of each class, and its 95 %
    interval."""
    counts = images.counts(classes)
    hits = images.take(images.labels == judged.labels).counts(classes)
    intervals = [wilson_interval(k, n) for k, n in zip(hits, counts, strict=True)]
    with np.errstate(invalid="ignore"):
        low, high = np.transpose(intervals)
        return {"agreement": hits / counts, "agreement_low": low, "agreement_high": high}


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


def worst_class(labels: np.ndarray, referee_labels: np.ndarray) -> float:
    """The least agreement of any class that has an image, a float; NaN for n = 0."""
    shares = [
        agreement(labels[rows], referee_labels[rows])
        for rows in (labels == label for label in np.unique(labels))
    ]
    return min(shares, default=math.nan)
