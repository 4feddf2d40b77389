"""Was the promise kept?"""

import numpy as np

from trust import statistics
from trust.ask import right
from trust.ask.questions import Asked
from trust.data.images import ImageSet
from trust.filter.promise import Promise


def ask(asked: Asked) -> dict:
    """What did_it_hold() says of the first subject, all of it that passes, or of the first that
    were drawn; nothing without a promise.  {key: number}"""
    beside = asked.beside
    if beside.promised_on is None:
        return {}
    name, filtered = next(iter(asked.subjects.items()))
    labels, judged = filtered.passing.labels, asked.judged[name]
    words, confidence = judged.labels, judged.confidence
    if filtered.every is not None:
        strong = beside.accept.passes(filtered.every)
        labels, words = filtered.every.labels[strong], asked.sampled[name][strong]
        confidence = asked.sampled_confidence[name][strong]
    known = asked.judged_tested[beside.like].take(beside.promised_on.rows)
    weights = right.alike_weights(
        labels, confidence, beside.promised_on.labels, known_confidence=known.confidence
    )
    return did_it_hold(
        beside.accept.promise,
        known=beside.promised_on,
        known_words=known.labels,
        labels=labels,
        words=words,
        weights=weights,
    )


def did_it_hold(
    promise: Promise, known: ImageSet, known_words: np.ndarray, labels, words, weights=None
) -> dict:
    """The evidence for the promise and whether it held, as a dict of numbers: the threshold, its
    upper bound as if it had been fixed beforehand, and two shares of wrong images with 95 %
    intervals: of test images by their labels, of the examined images by right.error_estimate().

    known: the test images that pass, of the same kind as those that the promise was found on, and
    the referee's labels of them, known_words.
    labels, words: (n,) integer, of the examined images that pass: their own and the referee's.
    weights: of the known images, see right.alike_weights(); all the same if left out.
    """
    errors = {
        "test": right.known_error(known.labels, known.truth),
        "estimated": right.error_estimate(
            labels,
            words,
            known=known.labels,
            known_referee_labels=known_words,
            truth=known.truth,
            weights=weights,
        ),
    }
    numbers = {
        "max_error": promise.max_error,
        "threshold": promise.threshold,
        "images": len(promise.labels),
        "wrong": statistics.mean(promise.wrong),
        "bound": statistics.upper_bound(np.count_nonzero(promise.wrong), len(promise.labels)),
    }
    for name, found in errors.items():
        numbers |= {f"{name}_{key}": value for key, value in found.items()}
    return numbers
