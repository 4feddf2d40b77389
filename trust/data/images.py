"""Sets of images: the one type that goes from reading to the report."""

import os
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from trust.cli import UserError


class DataError(UserError):
    """A data set cannot be used; the message is one sentence for the user."""


class Raw(NamedTuple):
    """Images and labels as stored, and the names of both in messages.  files: of pictures, the Path
    of each."""

    images: np.ndarray
    labels: np.ndarray | None
    names: tuple
    files: list | None = None


def printable(name) -> str:
    """A name as text on one line: bytes that are no UTF-8 are replaced."""
    text = name if isinstance(name, bytes) else os.fsencode(name)
    return " ".join(text.decode("utf-8", "replace").splitlines())


class Pixels(NamedTuple):
    """What a network must know about its images: their shape (h, w, c), and the mean of each of the
    c channels in [0, 1]."""

    shape: tuple
    mean: tuple


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, and what is known of each; None where it is not known.

    images: (n, h, w[, 3]) uint8, or float32 in [0, 1].  labels: (n,) integer, what they are said to
    show: by the file, or by the classifier.  truth: (n,) integer, what they do show.
    predicted: (n,) integer, the class that the classifier takes for the likeliest; confidence: (n,)
    float, how sure it is of that; probabilities, logits: (n, classes), its output, calibrated and
    as it was.
    rows: (n,) integer, their places in the file or set that they come from.  names: (n,) str, the
    files that they come from, below the folder that was read.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    truth: np.ndarray | None = None
    predicted: np.ndarray | None = None
    confidence: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    logits: np.ndarray | None = None
    rows: np.ndarray | None = None
    names: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows) -> "ImageSet":
        """Some of them: rows is an array of row numbers, (n,) bool, or a slice."""
        return ImageSet(**{name: values[rows] for name, values in self.known().items()})

    def known(self) -> dict:
        """{name: array} of what is known."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def counts(self, classes: int) -> np.ndarray:
        """How many images have each label: (classes,) integer."""
        return np.bincount(self.labels, minlength=classes)

    def absent(self, class_names) -> list[str]:
        """The names of the classes of which there is no image."""
        counts = self.counts(len(class_names))
        return [name for name, n in zip(class_names, counts, strict=True) if not n]


def join(sets: list[ImageSet]) -> ImageSet:
    """One set after the other.  All must know the same of their images."""
    known = [each.known() for each in sets]
    return ImageSet(**{name: np.concatenate([each[name] for each in known]) for name in known[0]})


def pixels_of(images: np.ndarray) -> Pixels:
    """The Pixels of images (n, h, w[, c]), from 5,000 of them."""
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)
    some = images[np.linspace(0, len(images) - 1, min(len(images), 5000)).astype(int)]
    some = some.reshape(-1, shape[2]) / (255 if images.dtype == np.uint8 else 1)
    return Pixels(shape, tuple(some.mean(axis=0).tolist()))


def first_of_each_class(labels: np.ndarray, counts) -> np.ndarray:
    """Rows, in rising order, of the first counts[k] images of every class k, or as many as it has.

    labels: (n,) integer.  counts: (classes,) integer.  Returns (m,) integer.
    """
    rows = [np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)]
    return np.sort(np.concatenate(rows))


def random_of_each_class(labels: np.ndarray, counts, rng) -> np.ndarray:
    """Rows, in rising order, of counts[k] random images of every class k, or of all where it has
    fewer.  labels: (n,) integer.  Returns (m,) integer."""
    order = rng.permutation(len(labels))
    return np.sort(order[first_of_each_class(labels[order], counts)])


def cut_alike(*sets: ImageSet) -> list[ImageSet]:
    """The sets, cut to the same number of images of each class: the first ones, in their old
    order."""
    classes = max(each.labels.max(initial=-1) for each in sets) + 1
    counts = np.min([each.counts(classes) for each in sets], axis=0)
    return [each.take(first_of_each_class(each.labels, counts)) for each in sets]
