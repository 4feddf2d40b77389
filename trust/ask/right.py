"""Question 1, are the labels right? Calibration, agreement with the referee, estimated error."""

import math

import numpy as np

from trust.ask.estimates import (
    ERROR,
    agreement,
    correction,
    equal_weights,
    error_estimate,
    known_error,
    sum_of_shares,
)
from trust.ask.questions import Asked
from trust.ask.varied import ball_radius, spread_rows, squared_to_nearest
from trust.ask.verdicts import POWER, Scale, Verdict, decide
from trust.data.images import ImageSet
from trust.filter.filters import Filter
from trust.filter.quotas import WEAK
from trust.statistics import Z95, mean, ratio, share_with_hits, weighted_share, wilson_interval
from trust.train.inference import softmax
from trust.train.referee import Judged

MOST_ERRORS = 0.05  # right fails if it is worse and error_low is above this
Z80 = 0.841621  # POWER of a normal distribution lies below so many standard deviations
CHANCE = 3.0  # standard deviations from which an error is more than chance
LEAST_KNOWN = 20  # known images in a stratum, for what is counted in it to say something
LOST_BELOW = 0.1  # cannot tell if the referee is less sure than of real images by more than this
OUTSIDE = 0.01  # an image is unlike known ones if it is as far from them as so few are from others
MEASURED = 1000  # known images that say how far that is


def ask(asked: Asked, rng: np.random.Generator) -> dict:
    """{set: {key: number}}: of images whose truth is known by their truth, with the classes of the
    first subject; of the subjects by the referee.  rng: for what calibration shows by chance, and
    for random rows."""
    beside, reference, sets = asked.beside, asked.reference, {}
    first = next(iter(asked.subjects.values())).passing
    for kind, filtered in beside.tested.items():
        passing, judged = filtered.passing, asked.judged_tested[kind]
        weights = class_weights(first.labels, passing.labels)
        sets[kind] = examine_known(passing, judged.take(passing.rows), weights)
        sets[kind] |= beside.held_out[kind].rates()
        if filtered.quota is not None:
            sets[kind]["mean_confidence"] = weighted_mean(passing.confidence, weights)
            sets[kind] |= examine_calibration(filtered.every, judged.labels, beside.accept, rng)
            correct = filtered.every.labels == filtered.every.truth
            found = reliability(filtered.every.confidence, correct)["ece"]
            sets[kind]["ece_true_labels"] = found
    for name, filtered in asked.subjects.items():
        sets[name] = examine_subject(filtered.passing, asked.judged[name], asked)
        sets[name] |= filtered.rates()
        if filtered.quota is not None:
            sets[name]["mean_confidence"] = mean(filtered.passing.confidence)
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
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from the estimated error of the set, from where on it is more than chance beside
    that of real images of the same classes, and how sure the referee is of its labels."""
    doubt, detectable = "", numbers["detectable"]
    hidden, unlike = numbers.get("hidden", 0.0), numbers.get("unlike", 0.0)
    if detectable <= MOST_ERRORS < detectable + hidden + unlike:
        doubt = "labels of unknown origin" if hidden > unlike else "unlike real ones"
    if numbers.get("near_copies"):
        doubt = "near copies in the data"
    if numbers["error_estimate"] > MOST_ERRORS:  # and not worse: by names of a weak classifier
        doubt = "above the bound, but not above real images"
    lost = real["referee_confidence"] - numbers["referee_confidence"] > LOST_BELOW
    if lost:
        doubt = "unlike real ones"
    worse = numbers["error_estimate"] >= numbers["worse_from"] and not lost
    return decide(
        fails=worse and numbers["error_low"] > MOST_ERRORS,
        worse=worse,
        detectable=detectable,
        bound=MOST_ERRORS,
        doubt=doubt,
    )


def evidence(numbers: dict, real: dict) -> dict:
    """By how many standard deviations the estimated error is above that of real images."""
    of_real = real["error_estimate"]
    reach = numbers["worse_from"] - of_real
    return {"error_estimate": ratio(CHANCE * (numbers["error_estimate"] - of_real), reach)}


def scale(numbers: dict, real: dict) -> Scale:
    """The estimated error, between that of real images and MOST_ERRORS."""
    found, of_real = ([each[key] for key in ERROR] for each in (numbers, real))
    return Scale(
        "error_estimate",
        number=found[0],
        low=found[1],
        high=found[2],
        real=of_real[0],
        real_low=of_real[1],
        real_high=numbers["worse_from"],
        fails_at=MOST_ERRORS,
        shows_from=of_real[0] + numbers["detectable"],
    )


def differs(numbers: dict, others: dict, real: dict) -> float:
    """By how many standard deviations the estimated error is below that of another set, by the
    intervals of both (Zou & Donner 2008): rather too few, as both hang on the same known images.
    NaN where the referee cannot judge one of them, because it is unlike real images."""
    sides = numbers, others
    lost = real["referee_confidence"] - min(each["referee_confidence"] for each in sides)
    if lost > LOST_BELOW or max(each.get("unlike", 0.0) for each in sides) > MOST_ERRORS:
        return math.nan
    (own, *ends), (other, *other_ends) = ([each[key] for key in ERROR] for each in sides)
    better = other > own
    down = other - other_ends[0] if better else other_ends[1] - other
    up = ends[1] - own if better else own - ends[0]
    return Z95 * ratio(other - own, math.hypot(down, up))


def examine_labels(images: ImageSet, judged: Judged, weights: np.ndarray | None) -> dict:
    """What the referee says of labels, whether their truth is known or not.  weights: (n,) float of
    sum 1, None if all are the same."""
    return {
        "images": len(images),
        "agreement": weighted_mean(images.labels == judged.labels, weights),
        "worst_class_agreement": worst_class(images.labels, judged.labels),
        "referee_confidence": weighted_mean(judged.confidence, weights),
    }


def examine_known(images: ImageSet, judged: Judged, weights: np.ndarray | None = None) -> dict:
    """Images whose truth is known.  Takes the same as examine_labels()."""
    return {
        **examine_labels(images, judged, weights),
        "true_agreement": weighted_mean(images.labels == images.truth, weights),
        **known_error(images.labels, images.truth, weights),
    }


def examine_unknown(
    images: ImageSet, judged: Judged, known: ImageSet, known_words: np.ndarray, weights=None
) -> dict:
    """Images whose truth is not known.  known: others, whose truth is, and which are as blurred;
    known_words: the referee's labels of these; weights: of these, see alike_weights()."""
    return {
        **examine_labels(images, judged, weights=None),
        **error_estimate(
            images.labels,
            judged.labels,
            known=known.labels,
            known_referee_labels=known_words,
            truth=known.truth,
            weights=weights,
        ),
    }


def examine_subject(images: ImageSet, judged: Judged, asked: Asked) -> dict:
    """All that is said of the labels of a subject: {key: number}.

    missed, false_alarms: of known images that are as the examined ones.
    error_real_classes: the estimate if the classes were as frequent as among real images.
    error_if_shared: if shared mistakes grow with the disagreement; or, for labels of unknown
    origin, if they share all of the referee's mistakes that they can.  hidden: by how much that can
    make the estimate too small; only for these.  unlike: see share_unlike().
    worse_from, detectable: see what_shows().  near_copies: see Beside; only where there are some.
    """
    beside = asked.beside
    known, real, other = beside.known, beside.tested["real"].passing, beside.any_label
    of_known = asked.judged_tested[beside.like].take(known.rows)
    weights = alike_weights(
        images.labels, judged.confidence, known.labels, known_confidence=of_known.confidence
    )
    numbers = examine_unknown(images, judged, known, of_known.labels, weights)
    if beside.near_copies:
        numbers["near_copies"] = beside.near_copies
    agreed, wrong = known.labels == of_known.labels, known.labels != known.truth
    missed, false_alarms = agreed & wrong, ~agreed & ~wrong
    numbers["missed"] = missed_share = weighted_mean(missed, weights)
    numbers["false_alarms"] = weighted_mean(false_alarms, weights)

    disputed = images.labels != judged.labels
    numbers["unlike"] = share_unlike(judged.features[~disputed], of_known.features, len(images))
    of_the_set = correction(
        known.labels, of_known.labels, known.truth, weights, others=max(len(images), 1)
    )
    numbers |= widened(numbers, mean(disputed), of_the_set)

    classes = 1 + max(each.labels.max(initial=0) for each in (images, known, real))
    frequency = class_frequencies(images.labels, real.labels, classes)
    corrections = frequency[known.labels] * (1.0 * missed - false_alarms)
    found = mean(frequency[images.labels] * disputed) + weighted_mean(corrections, weights)
    numbers["error_real_classes"] = float(np.clip(found, 0, 1))

    if other is None:
        expected = weighted_mean(~agreed, weights) + float((weights**2).sum())  # never 0
        growth = max(mean(disputed) / expected, 1.0) if len(known) and len(images) else math.nan
        most = mean(disputed) + missed_share * growth - numbers["false_alarms"]
        numbers["error_if_shared"] = float(np.clip(most, 0, 1))
    else:
        words = asked.judged_tested["real"].take(other.rows)
        numbers |= of_unknown_origin(images, judged, other, words)
        numbers["hidden"] += numbers["false_alarms"]
    error = known_error(real.labels, real.truth, class_weights(images.labels, real.labels))
    # How many mistakes the referee misses also depends on which images happen to be examined.
    corrected = sum_of_shares(
        (1, weighted_share(missed, weights, others=max(len(images), 1))),
        (-1, weighted_share(false_alarms, weights)),
    )
    return numbers | what_shows(len(images), corrected, error)


def share_unlike(features: np.ndarray, known: np.ndarray, n: int) -> float:
    """How much larger the share of n images is that are unlike the known ones than it is by chance:
    a float in [0, 1], NaN without known ones.  Of these the referee may be sure and wrong, as it is
    of pure noise, and all their labels may be wrong unseen.

    features: (k, d) float, of those of the images of which the referee says the same as their
    labels.  known: (m, d), of the known images.
    """
    known = spread_rows(known, MEASURED)
    if len(known) < 2:
        return math.nan
    limit = np.quantile(ball_radius(known, 1), 1 - OUTSIDE)
    outside = np.count_nonzero(squared_to_nearest(features, known) > limit)
    return max(outside / max(n, 1) - OUTSIDE, 0.0)


def widened(numbers: dict, disagreement: float, corrected: tuple) -> dict:
    """The ends of the interval in `numbers`, moved apart where it does not hold the error of these
    very images.  Their disagreement is known; what the referee misses among them varies more than
    what it misses in the long run.  corrected: by correction(), of so many others."""
    share, below, above = corrected
    low, high = np.clip([disagreement + share - below, disagreement + share + above], 0, 1)
    return {
        "error_low": float(np.minimum(numbers["error_low"], low)),
        "error_high": float(np.maximum(numbers["error_high"], high)),
    }


def of_unknown_origin(images: ImageSet, judged: Judged, other: ImageSet, words: Judged) -> dict:
    """The bounds for labels that may be anybody's, also the referee's own: a label is wrong only
    where the referee disagrees with it, or is wrong itself.

    other: see Beside.any_label; words: what the referee says of these.
    """
    labels = words.labels if other.labels is None else other.labels
    weights = alike_weights(
        images.labels, judged.confidence, labels, known_confidence=words.confidence
    )
    wrong, n = (labels == words.labels) & (labels != other.truth), len(images)
    disputed = weighted_share(images.labels != judged.labels, equal_weights(n))
    most, _, above = sum_of_shares((1, disputed), (1, weighted_share(wrong, weights)))
    of_the_set = weighted_share(wrong, weights, others=max(n, 1))
    return {
        "error_if_shared": float(np.minimum(most, 1)),
        "error_high": float(np.clip(np.maximum(most + above, disputed[0] + of_the_set[2]), 0, 1)),
        "hidden": of_the_set[0],
    }


def what_shows(n: int, corrected: tuple, error: dict) -> dict:
    """worse_from: the least estimated error of n images that is more than chance beside that of
    real images, error, which is a dict with the keys of ERROR.  detectable: how much more often
    than theirs labels must be wrong at random, so that it is found in four of five sets.

    corrected: by correction().  An estimate is more than chance if it is above that of real images
    by CHANCE / Z95 times as much as the 95 % interval of the difference reaches down (Zou & Donner
    2008).
    """
    correct, below, _ = corrected
    of_real, _, high = (error[key] for key in ERROR)
    if not n or math.isnan(correct) or math.isnan(of_real):
        return {"worse_from": math.nan, "detectable": math.nan}

    def is_chance(disputed):
        """Whether it is, if the referee disagrees with so many of the images."""
        share, down = disputed / n, disputed / n - wilson_interval(disputed, n)[0]
        reach = math.hypot(down, below, high - of_real)
        return share + correct - of_real <= CHANCE / Z95 * reach

    chance, least = -1, n + 1
    while least - chance > 1:
        middle = (chance + least) // 2
        chance, least = (middle, least) if is_chance(middle) else (chance, middle)
    if least > n:
        return {"worse_from": math.nan, "detectable": math.nan}
    found, expected = share_with_hits(least, n, POWER), max(of_real - correct, 0.0)
    # In four of five cases also of what was known from the other images.
    own, of_others = math.sqrt(found * (1 - found) / n), math.hypot(below, high - of_real) / Z95
    found += Z80 * (math.hypot(own, of_others) - own)
    return {
        "worse_from": (least - 0.5) / n + correct,
        "detectable": max((found - expected) / (1 - expected), 0.0),
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


def weighted_mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    """Of values (n,) with weights (n,) of sum 1, None if all are the same; NaN for n = 0."""
    if weights is None or not len(values):
        return mean(values)
    return float(weights @ values)


def class_weights(labels: np.ndarray, known_labels: np.ndarray) -> np.ndarray:
    """alike_weights() by the classes alone."""
    return alike_weights(
        labels, np.ones(len(labels)), known_labels, known_confidence=np.ones(len(known_labels))
    )


def class_frequencies(labels: np.ndarray, other: np.ndarray, classes: int) -> np.ndarray:
    """How many times as frequent each class is in `other`, (m,) integer, as in labels (n,):
    (classes,) float, 0 where it is not in labels."""
    own, theirs = (
        np.bincount(each, minlength=classes) / max(len(each), 1) for each in (labels, other)
    )
    return np.divide(theirs, own, where=own > 0, out=np.zeros(classes))


def alike_weights(labels, confidence, known_labels, known_confidence) -> np.ndarray:
    """A weight for each known image, (m,) float of sum 1, so that as large a share of them is of
    each class, and in each stratum of the referee's confidence in this class, as of the images in
    question (post-stratification, Holt & Smith 1979).

    The lowest stratum has at least LEAST_KNOWN known images, the next as many, and each further one
    twice as many as the one below: mistakes are where the referee is least sure.  Classes with
    fewer known images are one class, and stand for it with all known images.

    labels, known_labels: (n,) and (m,) integer.  confidence: (n,) and (m,) float.
    """
    if not len(labels) or not len(known_labels):
        return equal_weights(len(known_labels))
    weights = np.zeros(len(known_labels))
    names, counts = np.unique(known_labels, return_counts=True)
    names = names[counts >= LEAST_KNOWN]
    groups = [(labels == name, known_labels == name) for name in names]
    groups.append((~np.isin(labels, names), np.ones(len(known_labels), bool)))
    for group, known in groups:
        if not group.any():
            continue
        halvings = max(int(math.log2(known.sum() / LEAST_KNOWN)), 0)
        shares = 0.5 ** np.arange(halvings, 0, -1)
        sure = known_confidence[known]
        edges = np.unique(np.quantile(sure, shares, method="inverted_cdf"))
        edges = edges[edges < sure.max()]  # so that there are known images in each stratum
        strata, wanted = (np.searchsorted(edges, each) for each in (sure, confidence[group]))
        there, wanted = (np.bincount(each, minlength=len(edges) + 1) for each in (strata, wanted))
        weights[known] += (wanted / there)[strata] / len(labels)
    return weights
