"""Which training images VAE and classifier learn from, and which are held out."""

from typing import NamedTuple

import numpy as np

from trust.data.images import DataError, ImageSet

HELD_OUT = 6  # one training image in this many is held out


class Split(NamedTuple):
    """The training images: those that the VAE learns from, those that the classifier learns from,
    and the held-out sixth, from which neither learns; and the test images, from which no network
    learns."""

    vae: ImageSet
    classifier: ImageSet
    held_out: ImageSet
    test: ImageSet


def split(dataset, kind: str, seed) -> Split:
    """A Dataset as a Split, of which every sixth of each class is held out.  kind: VAE and
    classifier learn from the same images ("shared") or from halves ("disjoint").
    All copies of an image are on one side.  seed: a number, or a numpy.random.Generator.
    Raises DataError where a class has too few images for halves."""
    train = dataset.train
    images, labels = train.images, train.labels
    held_out = one_in_six(images, labels, seed)
    rest, held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    for_vae = for_classifier = rest
    if kind == "disjoint":
        first, which = distinct(images[rest])
        halves = disjoint_halves(labels[rest][first], seed)
        for_vae, for_classifier = (rest[np.isin(which, half)] for half in halves)
    return Split(
        vae=train.take(for_vae),
        classifier=train.take(for_classifier),
        held_out=train.take(held_out),
        test=dataset.test,
    )


def one_in_six(images, labels, seed):
    """A random sixth of each class, (n,) bool: all copies of an image or none."""
    first, which = distinct(images)
    order, rank = _shuffled_by_class(labels[first], seed)
    return np.isin(which, order[rank % HELD_OUT == HELD_OUT - 1])


def distinct(images):
    """Groups equal images.  Returns the row of the first image of each group, in rising order, and
    for each image the number of its group, (n,) integer."""
    places = {}
    which = np.array([places.setdefault(image.tobytes(), len(places)) for image in images], int)
    return np.unique(which, return_index=True)[1], which


def disjoint_halves(labels, seed):
    """Rows, in rising order, of two halves of the labels (n,) that share none.  The halves differ
    by one at most in the count of each class and in total.
    Raises DataError where a class has a single image."""
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = names[counts.argmin()]
        raise DataError(f"class {name} has one training image, but two halves need two")
    order, _ = _shuffled_by_class(labels, seed)
    return [np.sort(order[first::2]) for first in (0, 1)]


def _shuffled_by_class(labels, seed):
    """Row numbers in random order but class after class, and the rank of each in its class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    _, first = np.unique(labels[order], return_index=True)
    counts = np.diff(np.append(first, len(labels)))
    return order, np.arange(len(labels)) - np.repeat(first, counts)
