"""Which training images VAE and classifier learn from, and which are held out."""

from typing import NamedTuple

import numpy as np

from trust.data import near
from trust.data.images import DataError, ImageSet, join

HELD_OUT = 6  # one training image in this many is held out


class Split(NamedTuple):
    """The training images: those that the VAE learns from, those that the classifier learns from,
    and the held-out sixth, from which neither learns; and the test images, from which no network
    learns.

    near_copies: the share of the test images, or of the held-out ones if it is larger, of which
    there is a near copy among the images that are learned from: errors and promises are too good.
    repeats: the share of the test images that are there again, equal or near: what is counted on
    them is less certain than it seems.  Both are 0 where they are too few to matter, and for the
    bundled data sets.  notes: sentences for the user about them.
    """

    vae: ImageSet
    classifier: ImageSet
    held_out: ImageSet
    test: ImageSet
    near_copies: float = 0.0
    repeats: float = 0.0
    notes: tuple = ()

    @property
    def doubt(self) -> str:
        """Why errors that are counted on these images may not be believed, or an empty string."""
        return "near copies in the data" if self.near_copies or self.repeats else ""


def split(dataset, kind: str, seed) -> Split:
    """A Dataset as a Split, of which every sixth of each class is held out.  kind: VAE and
    classifier learn from the same images ("shared") or from halves ("disjoint").
    All copies of an image are on one side.  seed: a number, or a numpy.random.Generator.
    Raises DataError where a class has too few images for halves."""
    train = dataset.train
    first, which = distinct(train.images)
    if not dataset.bundled:  # they have few near copies: none of 1,000 asked, and six
        first, which = pictures(train.images, train.labels)
    held_out = one_in_six(train.labels, first, which, seed)
    rest, held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    for_vae = for_classifier = rest
    if kind == "disjoint":
        _, first, which = np.unique(which[rest], return_index=True, return_inverse=True)
        halves = disjoint_halves(train.labels[rest][first], seed)
        for_vae, for_classifier = (rest[np.isin(which, half)] for half in halves)
    parts = Split(
        vae=train.take(for_vae),
        classifier=train.take(for_classifier),
        held_out=train.take(held_out),
        test=dataset.test,
    )
    if dataset.bundled:
        return parts
    parts = look_for_copies(parts, train.take(rest))
    if not (absent := parts.test.absent(dataset.class_names)):
        return parts
    note = f"no test image is of class {', '.join(absent)}: nothing is measured on it"
    return parts._replace(notes=(note, *parts.notes))


def look_for_copies(parts: Split, learned: ImageSet) -> Split:
    """The Split with what it says of near copies.  learned: all images that are learned from; the
    referee learns from the held-out ones too."""
    test, held_out = parts.test, parts.held_out
    every = join([learned, held_out])
    waves, tested = near.spectra(every.images), near.spectra(test.images)
    notes, shares, there = [], [], len(learned)
    for name, images, own, count in (
        ("test", test, tested, len(every)),
        ("held-out", held_out, waves[there:], there),
    ):
        share = near.near_copies(own, images.labels, waves[:count], every.labels[:count]).share
        shares.append(share)
        if share:
            notes.append(
                f"near copies of training images among the {name} images: about "
                f"{share * len(images):,.0f} of {len(images):,}: errors and promises are too good"
            )
    repeats = near.near_copies(tested, test.labels).repeats
    if repeats:
        kept = f"about {(1 - repeats) * len(test):,.0f} pictures and near copies of them"
        notes.append(
            f"the {len(test):,} test images are {kept}: errors are less certain than they seem"
        )
    return parts._replace(near_copies=max(shares), repeats=repeats, notes=tuple(notes))


def one_in_six(labels, first, which, seed):
    """A random sixth of each class, (n,) bool: all copies of an image or none.  labels: (n,)
    integer.  first, which: by distinct() or pictures()."""
    order, rank = _shuffled_by_class(labels[first], seed)
    return np.isin(which, order[rank % HELD_OUT == HELD_OUT - 1])


def distinct(images):
    """Groups equal images.  Returns the row of the first image of each group, in rising order, and
    for each image the number of its group, (n,) integer."""
    places = {}
    which = np.array([places.setdefault(image.tobytes(), len(places)) for image in images], int)
    return np.unique(which, return_index=True)[1], which


def pictures(images, labels, least=HELD_OUT):
    """Groups equal images and, where the set is full of them, also near copies in a class.  Takes
    images (n, h, w[, c]) and labels (n,); returns the same as distinct().

    Where a class would have fewer than `least` groups, only equal images are grouped: none of the
    class could be held out.
    """
    first, which = distinct(images)
    waves, labels = near.spectra(images[first]), labels[first]
    found = near.near_copies(waves, labels)
    if not found.share:
        return first, which
    group = np.arange(len(first))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for gap in near.LINKED:
            own = near.linked(waves[rows], 2 * found.copies.max(), gap)
            if len(np.unique(own)) >= least:
                group[rows] = rows[own]
                break
    _, leaders, group = np.unique(group, return_index=True, return_inverse=True)
    return first[leaders], group[which]


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
