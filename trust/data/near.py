"""Near copies: the same picture saved again, scaled, moved, lighter, or with a little noise."""

import math
from typing import NamedTuple

import numpy as np

GAP = 0.5  # copies are at most this far away, as a share of the distance to the next image
LINKED = 0.7, 0.5, 0.25  # the same where a set is known to be full; the first that leaves enough
FULL = 0.1  # fewer images than this share with a near copy hardly change an error
LEAST = 3  # images with a near copy: one or two may be chance
ASKED = 1000  # images at random on which a set is judged
FREQUENCIES = 3, 6  # of the waves that are compared: a quarter of the side, from 3 to 6
RANKS = 20  # nearest images from which dimensions are estimated
NOTHING = 1e-3  # distances below it are rounding
BLOCK = 1000  # images at a time


class Found(NamedTuple):
    """copies: (m,) integer, how many near copies each of m images has.  by_chance: the share that
    would have some if there were none, as many images lie close together by themselves."""

    copies: np.ndarray
    by_chance: float

    @property
    def share(self) -> float:
        """The share of the images with a near copy; 0 where it may be chance, or is small."""
        m = max(len(self.copies), 1)
        share = np.count_nonzero(self.copies) / m
        # Twice, because the dimensions are estimated from the same images, and differ among them.
        chance = 2 * self.by_chance + 3 * math.sqrt(self.by_chance / m)
        return share if share >= max(FULL, LEAST / m, chance) else 0.0

    @property
    def repeats(self) -> float:
        """The share of the images that would be left out if one of each picture were kept, where
        copies were sought among the images themselves; 0 where there are hardly any."""
        return 1 - float(np.mean(1 / (1 + self.copies))) if self.share else 0.0


def near_copies(waves, labels, others=None, other_labels=None) -> Found:
    """How many near copies each of ASKED random images has.

    waves (n, d), others (k, d): spectra() of images, and of those among which copies are sought;
    of the images themselves if left out.  labels (n,), other_labels (k,): integer.

    Sort the distances of an image to the others of its class, d_1 <= d_2 <= ...  It has k near
    copies if d_k <= GAP d_(k + 1), for the largest such k up to half of the class.  If the whole
    class is nearer than GAP times the nearest image of another class, all of it are copies of one
    picture.

    Where images are drawn independently from a smooth density in D dimensions, (d_k / d_(k + 1))^(k
    D) is uniform (Facco et al. 2017).  With ten dimensions one image in a thousand has such a gap,
    whatever n.  With two it is one in three: by_chance is from the largest D that the median of a
    ratio gives, for k up to RANKS.  Copies with noise lie in as many dimensions as there are.
    """
    asked = np.sort(np.random.default_rng(0).permutation(len(waves))[:ASKED])
    alone = others is None
    if alone:
        others, other_labels = waves, labels
    copies, ratios = np.zeros(len(asked), int), np.full((RANKS, len(asked)), np.nan)
    for label in np.unique(labels[asked]):
        here = np.flatnonzero(labels[asked] == label)
        own, mine = other_labels == label, waves[asked[here]]
        distances = _distances(mine @ others[own].T)
        if alone:  # an image is no copy of itself
            distances[asked[here][:, None] == np.flatnonzero(own)] = np.inf
        distances = np.sort(distances, axis=1)[:, : own.sum() - alone]
        count = distances.shape[1]
        few = distances[:, : RANKS + 1].T
        ratios[: max(count - 1, 0), here] = few[:-1] / few[1:]
        copies[here] = _before_gap(distances, (count + 1) // 2, GAP)
        if count > 1 and not own.all():
            stranger = _distances((mine @ others[~own].T).max(axis=1))
            copies[here[distances[:, -1] <= GAP * stranger]] = count
    return Found(copies, _share_of_gaps(_dimensions(ratios)))


def linked(waves, most, gap):
    """Links each image of one class with its near copies, of which it has at most `most`; gap: as
    GAP.  waves: (n, d), by spectra().  Returns the first row of the group of each image, (n,)
    integer."""
    n, pairs = len(waves), []
    most = min(most, (n - 1) // 2)
    if most < 1:
        return np.arange(n)
    for start in range(0, n, BLOCK):
        cosines = waves[start : start + BLOCK] @ waves.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf  # an image is no copy of itself
        nearest = -np.sort(-np.partition(cosines, n - most - 1, axis=1)[:, n - most - 1 :], axis=1)
        copies = _before_gap(_distances(nearest), most, gap)
        rows = rows[copies > 0]
        first, second = np.nonzero(cosines[rows] >= nearest[rows, copies[rows] - 1][:, None])
        pairs.append(np.stack([start + rows[first], second]))
    return _components(n, np.concatenate(pairs, axis=1))


def spectra(images):
    """Images (n, h, w[, c]) -> (n, d) float32 of length 1: how strong the long waves across them
    are, whatever their phase.  An image that was moved before a plain background has nearly the
    same, and so has one with other brightness or contrast; noise and the traces of JPEG and of
    scaling are mostly in the short waves."""
    height, width, channels = *images.shape[1:3], math.prod(images.shape[3:])
    tall, wide = (int(np.clip(side // 4, *FREQUENCIES)) for side in (height, width))
    down, across = _waves(np.arange(-tall, tall + 1), height), _waves(np.arange(wide + 1), width).T
    found = []
    for block in np.split(images, range(BLOCK, len(images), BLOCK)):
        pixels = block.reshape(len(block), height, width, channels).astype(np.float32)
        pixels = np.moveaxis(pixels, 3, 1)
        strength = np.abs(down @ (pixels @ across.real + 1j * (pixels @ across.imag)))
        strength[:, :, tall, 0] = 0  # the mean
        found.append(strength.reshape(len(block), math.prod(strength.shape[1:])))
    found = np.concatenate(found)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1)  # less is rounding


def _waves(frequencies, side):
    """Waves that fit `frequencies` (k,) times into the side of an image: (k, side) complex64."""
    phase = np.outer(frequencies, np.arange(side)) / side
    return np.exp(-2j * math.pi * phase).astype(np.complex64)


def _distances(cosines):
    """Euclidean distances between points at distance 1 from 0, at least NOTHING."""
    return np.sqrt(np.maximum(2 - 2 * cosines, NOTHING**2))


def _before_gap(distances, most, gap):
    """The largest k <= most with d_k <= gap d_(k + 1), 0 if there is none: (n,) integer.
    distances: (n, m), each row sorted, m > most; or m = most = 1, then there is no gap."""
    after = distances[:, 1 : most + 1]
    gaps = distances[:, : after.shape[1]] <= gap * after
    ranks = np.arange(1, gaps.shape[1] + 1)
    return np.max(gaps * ranks, axis=1, initial=0)


def _components(n, pairs):
    """The smallest number that each of n points is linked with, directly or through others: (n,)
    integer.  pairs: (2, k) integer, links."""
    group = np.arange(n)
    while True:
        least = np.minimum(*group[pairs])
        merged = group.copy()
        for ends in pairs:
            np.minimum.at(merged, group[ends], least)  # the whole group, not only this point
        merged = merged[merged]
        if np.array_equal(merged, group):
            return group
        group = merged


def _dimensions(ratios) -> float:
    """The largest D for which the median of (d_k / d_(k + 1))^(k D) is 1 / 2, for any k.
    ratios: (ranks, m), NaN where there is no such image."""
    most = 0.0
    for k, row in enumerate(ratios, start=1):
        known = row[~np.isnan(row)]
        if len(known) > len(row) / 2:  # else they are of a few classes
            typical = math.log(np.median(known))
            most = max(most, -math.log(2) / (k * typical) if typical < 0 else math.inf)
    return most


def _share_of_gaps(dimensions: float) -> float:
    """The share of images in so many dimensions with any d_k <= GAP d_(k + 1): one minus the
    product over k of 1 - GAP^(k dimensions)."""
    return 1 - math.prod(1 - GAP ** (k * dimensions) for k in range(1, RANKS + 1))
