"""The examination: the only place where the five questions are asked about a set of images."""

from typing import NamedTuple

import keras
import numpy as np

from trust import new, right, varied
from trust.datasets import Labelled
from trust.new import Neighbours
from trust.referee import Judged, judge
from trust.useful import accuracy_after_training
from trust.verdicts import QUESTIONS


class Reference(NamedTuple):
    """What every set of images is compared with; knows no generator.

    real: images that the generator learned from, and images that it did not; unseen: (n,) bool,
    which are the latter.  centred_real: real, each with its centre of mass in the middle.
    like_seen: neighbours of more images of the kind of the seen ones, where the unseen are of
    another kind; else None.
    test: images that no network has learned from; judged: what the referee says of them.
    """

    real: Labelled
    centred_real: Labelled
    unseen: np.ndarray
    test: Labelled
    judged: Judged
    referee: keras.Model
    classes: int
    seed: int
    like_seen: Neighbours | None = None


def build_reference(seen: Labelled, unseen: Labelled, test: Labelled, referee, seed) -> Reference:
    """The Reference of three sets that share no image.  referee: of referee.build_referee."""
    real = Labelled(*map(np.concatenate, zip(seen, unseen, strict=True)))
    marks = np.arange(len(real.labels)) >= len(seen.labels)
    centred = Labelled(new.centred(real.images), real.labels)
    classes = int(real.labels.max()) + 1
    judged = judge(referee, test.images)
    return Reference(real, centred, marks, test, judged, referee, classes, seed)


class Known(NamedTuple):
    """Labels of images whose truth is known, the referee's labels and the true ones: (n,) integer
    each."""

    labels: np.ndarray
    referee_labels: np.ndarray
    truth: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Known(*(array[rows] for array in self))


def of_real_images(reference: Reference) -> Known:
    """The test images with their true labels: every disagreement is a mistake of the referee."""
    truth = reference.test.labels
    return Known(truth, reference.judged.labels, truth)


class Examined(NamedTuple):
    """A flat dict of numbers for each question, NaN where the set is too small, and what is known
    of each image: the referee's word and the nearest real image."""

    right: dict
    balanced: dict
    varied: dict
    new: dict
    useful: dict
    judged: Judged
    neighbours: Neighbours

    def answers(self) -> dict:
        """{question: {key: number}}, as a report holds them."""
        return {question: getattr(self, question) for question in QUESTIONS}

    def of_each_image(self, rows, unseen) -> dict:
        """{name: (n,)}: what a file of the images keeps.  rows (m,): where the real images stand in
        the user's data.  unseen (m,) bool."""
        nearest = self.neighbours.nearest
        return {
            "referee_labels": self.judged.labels,
            "referee_confidence": self.judged.confidence,
            "nearest_index": rows[nearest.index],
            "nearest_distance": nearest.distance,
            "nearest_was_seen": ~unseen[nearest.index],
        }


def find_neighbours(images, labels, reference: Reference) -> Neighbours:
    """Of images (n, h, w[, c]) and their labels (n,), among the real images of the class."""
    nearest = new.nearest_of_class(images, labels, *reference.real)
    moved = new.nearest_of_class(new.centred(images), labels, *reference.centred_real)
    nearer = moved.distance < nearest.distance
    return Neighbours(labels, nearest, nearest.put(nearer, moved.take(nearer)))


def examine_newness(neighbours: Neighbours, reference: Reference) -> dict:
    """Question 4 alone."""
    return new.seen_or_unseen(
        neighbours, reference.real.labels, reference.unseen, reference.like_seen
    )


def examine_variety(features, reference: Reference) -> dict:
    """Question 3 alone, of the referee's features (n, d) of images."""
    others = reference.judged.features
    frechet = varied.frechet_distance(features, others)
    return {"frechet": frechet, **varied.variety(*map(varied.spread_rows, (features, others)))}


def examine_likeness(features: np.ndarray, others: np.ndarray, reference: Reference) -> dict:
    """How alike two sets are, by the referee's features (n, d) and (m, d).  A temperature or an
    error of one set holds for the other as far as they are alike."""
    rng = np.random.default_rng(reference.seed)
    share, z = varied.own_neighbours(*map(varied.spread_rows, (features, others)), rng)
    return {"own_neighbours": share, "own_neighbours_z": z}


def examine_rightness(labels, judged: Judged, known: Known) -> dict:
    """Question 1 about images without true labels.  known: other images, as blurred as these."""
    return {
        "images": len(labels),
        "agreement": right.agreement(labels, judged.labels),
        "worst_class_agreement": right.worst_class(labels, judged.labels),
        "referee_confidence": right.mean(judged.confidence),
        **right.error_estimate(labels, judged.labels, *known),
    }


def examine_usefulness(images, targets, reference: Reference) -> dict:
    """Question 5 alone.  targets: labels (n,), or probabilities (n, classes) float32."""
    to = reference.test, reference.classes, reference.seed
    return {"accuracy": accuracy_after_training(images, targets, *to)}


def examine(labelled, targets, known: Known, reference: Reference, alike=None) -> Examined:
    """All questions about one set of labelled images.

    labelled: has images (n, h, w[, c]), uint8 or float32 in [0, 1], and labels (n,) integer.
    targets: what a classifier that learns from them is told, the labels or probabilities
    (n, classes) float32.  known: see examine_rightness.
    alike: the rows that are compared with real images in right and varied, where both need as many
    images; all if left out.
    """
    images, labels = labelled.images, labelled.labels
    rows = np.arange(len(labels)) if alike is None else alike
    judged = judge(reference.referee, images)
    neighbours = find_neighbours(images, labels, reference)
    return Examined(
        right=examine_rightness(labels[rows], judged.take(rows), known),
        balanced={"images": len(rows)},
        varied=examine_variety(judged.features[rows], reference),
        new=examine_newness(neighbours, reference),
        useful=examine_usefulness(images, targets, reference),
        judged=judged,
        neighbours=neighbours,
    )
