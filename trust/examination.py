"""The examination: the only place where the questions are asked of a set of images."""

import math
from typing import NamedTuple

import keras
import numpy as np

from trust import new, right, varied
from trust.datasets import Dataset, Labelled
from trust.referee import judge
from trust.selection import Classified
from trust.useful import accuracy_after_training


class Reference(NamedTuple):
    """What every set of images is held against; knows no generator.

    seen: what the generator learned from.  test: real images that nobody learned from.
    referee: a network of referee.build_referee; test_labels (m,) integer and test_features (m, d)
    float32 are its word on the test images.
    real, blurred: how far strong test images, and strong reconstructions of held-out images, are
    from the nearest seen image of their class.
    """

    seen: Labelled
    test: Labelled
    referee: keras.Model
    test_labels: np.ndarray
    test_features: np.ndarray
    real: new.Distances
    blurred: new.Distances
    classes: int
    seed: int


class Examined(NamedTuple):
    """A flat dict of numbers for each question, NaN where the set is too small, and what is known
    of each image: the referee's label (n,) integer, and the nearest seen image of its class."""

    right: dict
    balanced: dict
    varied: dict
    new: dict
    useful: dict
    referee_labels: np.ndarray
    nearest: new.Nearest

    def numbers(self) -> dict:
        """All numbers as one flat dict."""
        return self.right | self.balanced | self.varied | self.new | self.useful


def build_reference(
    data: Dataset,
    seen: Labelled,
    referee: keras.Model,
    real: Classified,
    blurred: Classified,
    seed: int,
) -> Reference:
    """The Reference of a data set.

    seen: what the generator learned from.  real, blurred: strong test images, and strong
    reconstructions of held-out images.
    """
    distances = [
        new.Distances(
            new.nearest_of_class(images.images, images.labels, *seen).distance, images.labels
        )
        for images in (real, blurred)
    ]
    test = Labelled(data.x_test, data.y_test)
    words = judge(referee, test.images)
    return Reference(seen, test, referee, *words, *distances, data.classes, seed)


def examine_newness(images, labels, reference: Reference) -> tuple[dict, new.Nearest]:
    """Question 4 alone, of images (n, 28, 28) and their labels (n,): for the controls."""
    nearest = new.nearest_of_class(images, labels, *reference.seen)
    blurred_rate, z = new.closest_rate(nearest.distance, labels, *reference.blurred)
    numbers = {
        "nearest_distance_median": float(np.median(nearest.distance)) if len(images) else math.nan,
        "copy_rate": new.closest_rate(nearest.distance, labels, *reference.real)[0],
        "copy_rate_of_blurred": blurred_rate,
        "copying_z": z,
    }
    return numbers, nearest


def examine(images, labels, targets, reference: Reference) -> Examined:
    """All questions of one set of labelled images.

    images: (n, 28, 28) uint8, or float32 in [0, 1].  labels: (n,) integer.
    targets: what a classifier that learns from them is told, the labels or probabilities
    (n, classes) float32.
    """
    referee_labels, features = judge(reference.referee, images)
    newness, nearest = examine_newness(images, labels, reference)
    balls = map(varied.spread_rows, (features, reference.test_features))
    accuracy = accuracy_after_training(
        images, targets, reference.test, reference.classes, reference.seed
    )
    return Examined(
        right={
            "strong_agreement": right.agreement(labels, referee_labels),
            **right.errors(labels, referee_labels),
        },
        balanced={"images": len(images)},
        varied={
            "frechet": varied.frechet_distance(features, reference.test_features),
            **varied.variety(*balls),
        },
        new=newness,
        useful={"usefulness_accuracy": accuracy},
        referee_labels=referee_labels,
        nearest=nearest,
    )
