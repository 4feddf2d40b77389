"""Sentences on a user's own data and on networks that have learned from them, where they are not
what the answers take them for."""

import math

import numpy as np

from trust.ask.estimates import agreement
from trust.ask.reference import Reference
from trust.ask.varied import spread_rows
from trust.data.datasets import Dataset
from trust.data.images import ImageSet
from trust.filter.filters import Filter
from trust.statistics import clopper_pearson, z_of_difference

ASKED = 5000  # training images that the referee is asked about
SUREST = 0.25  # of the test images: where a network of few mistakes makes none
LEAST = 0.02  # a share of wrong labels from which on it is said
CHANCE = 3.0  # standard deviations from which a difference is told


def of_data(data: Dataset, reference: Reference) -> list[str]:
    """On data that did not come with the code, by the referee that has learned from all training
    images."""
    if data.bundled:
        return []
    test, judged = data.test, reference.judged
    if nothing := learned_nothing("referee", agreement(judged.labels, test.labels), test.labels):
        return nothing
    some = data.train.take(spread_rows(np.arange(len(data.train)), ASKED))
    disputed = reference.judge(some.images).labels != some.labels
    mistaken = judged.labels != test.labels
    notes = wrong_training_labels(disputed, mistaken)
    return notes + wrong_test_labels(mistaken, judged.confidence)


def of_filter(accept: Filter | None, test: ImageSet) -> list[str]:
    """On a classifier and its temperature, if there is one."""
    if accept is None:
        return []
    found = agreement(accept.classify(test.images).predicted, test.labels)
    return learned_nothing("classifier", found, test.labels) + at_its_bound(accept.temperature)


def learned_nothing(name: str, accuracy: float, labels: np.ndarray) -> list[str]:
    """On a network that is right on a share `accuracy` of test images with labels (n,) integer: is
    it more than the most frequent class has?"""
    chance, n = np.bincount(labels).max() / len(labels), len(labels)
    if accuracy > chance + CHANCE * math.sqrt(chance * (1 - chance) / n):
        return []
    return [f"the {name} is right on {accuracy:.1%} of the test images, no better than chance"]


def at_its_bound(temperature: float) -> list[str]:
    """On a temperature at which the search for it ended."""
    if 0.011 < temperature < 99:
        return []
    return [f"the temperature, {temperature:.4g}, is at its bound: confidence means nothing"]


def wrong_training_labels(disputed: np.ndarray, mistaken: np.ndarray) -> list[str]:
    """On training labels with which a network disagrees that has learned them, (m,) bool, more
    often than with those of test images, (n,) bool: right ones are learned better than that."""
    own, other = float(np.mean(disputed)), float(np.mean(mistaken))
    z = z_of_difference(own, len(disputed), other, len(mistaken))
    if not (own > 1.5 * other and own - other > LEAST and z > CHANCE):
        return []
    return [
        f"the referee calls {own:.1%} of the training images another class than their label, of "
        f"which it has learned, but {other:.1%} of the test images: about so many training labels "
        "are probably wrong"
    ]


def wrong_test_labels(mistaken: np.ndarray, confidence: np.ndarray) -> list[str]:
    """On test labels that a network disputes where it is surest, and nearly half as often as
    everywhere.  Its own mistakes are where it is less sure: among the surest quarter there was none
    in MNIST and Fashion-MNIST cut to 1,000 and 3,000 images, and with 5 and 15 % of all labels
    swapped there were 7 and 11 to 15 %.

    mistaken: (n,) bool, whether it disagrees with the label.  confidence: (n,) float.
    """
    order = np.argsort(-confidence, kind="stable")
    surest = mistaken[order[: max(int(SUREST * len(order)), 1)]]
    share = float(np.mean(surest))
    low, _ = clopper_pearson(int(surest.sum()), len(surest))
    if low <= LEAST or share < 0.4 * np.mean(mistaken):
        return []
    return [
        f"the referee disputes {share:.1%} of the test labels where it is surest: about so many "
        "labels of the data are probably wrong"
    ]
