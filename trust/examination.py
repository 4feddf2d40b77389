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
    """What every set of images is compared with; it holds nothing of a generator.

    real: images that the generator learned from, and images that it did not; unseen: (n,) bool,
    which are the latter.  centred_real: real, each with its centre of mass in the middle.
    like_seen: Neighbours of further images of the same kind as the seen ones, where the unseen are
    of another kind; else None.
    test: images that no network learned from, not even the referee; judged: what it says of them.
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
    """The Reference of seen, unseen and test images.  referee: a network of build_referee()."""
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


class Examined(NamedTuple):
    """A flat dict of numbers for each question, NaN where the set is too small, and for each image
    what the referee says (judged) and its nearest real image (neighbours)."""

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
        """{name: (n,) array}: what is written to a file for each image.  rows: (m,) integer, the
        rows of the real images in the user's data.  unseen: (m,) bool."""
        nearest = self.neighbours.nearest
        return {
            "referee_labels": self.judged.labels,
            "referee_confidence": self.judged.confidence,
            "nearest_index": rows[nearest.index],
            "nearest_distance": nearest.distance,
            "nearest_was_seen": ~unseen[nearest.index],
        }


def find_neighbours(images, labels, reference: Reference) -> Neighbours:
    """The Neighbours of images (n, h, w[, c]) with labels (n,) among real images of their class."""
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
    """How similar two sets are in the referee's features, (n, d) and (m, d).  A temperature or a
    share of wrong labels that was found on one set holds for the other as far as both are alike."""
    rng = np.random.default_rng(reference.seed)
    share, z = varied.own_neighbours(*map(varied.spread_rows, (features, others)), rng)
    return {"own_neighbours": share, "own_neighbours_z": z}


def examine_rightness(labels, judged: Judged, known: Known) -> dict:
    """Question 1 of images whose true labels are not known.  labels: (n,) integer.  judged: what
    the referee says of them.  known: Known of other images, which are as blurred."""
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
    targets: what a classifier is trained to predict, the labels (n,) or probabilities (n, classes)
    float32.  known: see examine_rightness().
    alike: the rows to use in right and varied, where all sets must be equally large; all rows if
    left out.
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
