"""The nearest real images of each image, by exhaustive search."""

import math
from typing import NamedTuple

import numpy as np

from trust.data.images import ImageSet

BLOCK = 1000  # images at a time
MOST_OF_CLASS = 3 / 4  # a group of near copies is sought among so many of the other images
EQUAL = 1e-9  # half a squared distance: above rounding, below one grey level in one pixel


class Nearest(NamedTuple):
    """For each image: index (n,) of the nearest real image, distance (n,) to it, and second (n,),
    the distance to the second nearest one, infinite where there is none."""

    index: np.ndarray
    distance: np.ndarray
    second: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Nearest(*(array[rows] for array in self))

    def ratio(self):
        """The distance to the nearest real image over that to the second nearest, (n,) float: near
        0 for a copy, near 1 for most other images.  Infinite where there is no second real image; 0
        for a copy of a real image that is there twice, which has distance 0 to both."""
        ratio = np.where(np.isinf(self.second), np.inf, 0.0)
        some = (self.distance > 0) & np.isfinite(self.second)
        ratio[some] = self.distance[some] / self.second[some]
        return ratio

    def closest(self, percent):
        """The rows of the closest `percent` percent of the images, in order of ratio()."""
        order = np.argsort(self.ratio(), kind="stable")
        return order[: math.ceil(len(order) * percent / 100)]

    def put(self, rows, others):
        """A copy with other values in some rows (k,) integer: those of `others`, a Nearest."""
        mixed = Nearest(*(array.copy() for array in self))
        for array, values in zip(mixed, others, strict=True):
            array[rows] = values
        return mixed


class Sought(NamedTuple):
    """Images (n, h, w[, c]) uint8, or float32 in [0, 1], and their labels (n,) integer, whose
    nearest real images are sought.  own: (n,) integer, where they are real images themselves: which
    of these they are, not to be found as their own neighbours; or None."""

    images: np.ndarray
    labels: np.ndarray
    own: np.ndarray | None = None


def gaps_within(images: ImageSet) -> np.ndarray:
    """How clearly a group of near copies stands apart, seen from each of the images: (n,) float64.

    It is the smallest ratio of the distance to the j-th nearest image of the same set and label to
    that to the next one, over all j.  In a group of k near copies it is near 0, because image k - 1
    is one of them and image k is not; of most images it is near 1.  Infinite where there is no
    second other image, about 0 where all are equal.

    The farthest quarter of the other images is left out: beside one that is unlike all others,
    these would look like a group.  So a group of more than three quarters of its class is not seen;
    a whole class of them shows in recall and in the Frechet distance, four fifths not always.
    """
    found = np.full(len(images), np.inf)
    for label in np.unique(images.labels):
        rows = np.flatnonzero(images.labels == label)
        if len(rows) < 3:
            continue
        last = max(int(MOST_OF_CLASS * (len(rows) - 1)), 2)
        points = _pixels(images.images[rows]).astype(float)
        points -= points.mean(axis=0)
        norms = np.einsum("ij,ij->i", points, points) / 2
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            # Half of the squared distance; float64 until the large terms have cancelled.
            squares = points[block] @ points.T
            np.subtract(norms, squares, out=squares)
            squares += norms[block, None]
            squares = squares.astype(np.float32)
            squares[np.arange(len(squares)), np.arange(len(rows))[block]] = np.inf  # itself
            squares.sort(axis=1)
            ratios = squares[:, : last - 1] / (squares[:, 1:last] + EQUAL)
            found[rows[block]] = np.sqrt(np.maximum(ratios.min(axis=1), 0))
    return found


def nearest_of_class(images, labels, real_images, real_labels, own=None) -> Nearest:
    """nearest_of_each() of one set of images."""
    return nearest_of_each([Sought(images, labels, own)], real_images, real_labels)[0]


def nearest_of_each(sets: list[Sought], real_images, real_labels) -> list[Nearest]:
    """The nearest real images of the class of each image, by exhaustive search.

    A copy of a real image has the label of that image, so only that class is searched.  All sets
    are searched for together, because each class of the real images must be prepared for it.
    real_images (m, h, w[, c]): uint8, or float32 in [0, 1].  real_labels (m,): integer; each of the
    labels of the sets must have a real image.
    Returns Nearest of each set: index into the real images, and distances, float64, Euclidean over
    pixels in [0, 1], infinite where there is no image but their own.  If two are equally near, up
    to rounding to float32, either may be returned.
    """
    sizes = [len(each.images) for each in sets]
    found = [Nearest(*(np.empty(n, kind) for kind in (int, float, float))) for n in sizes]
    for label in np.unique(np.concatenate([each.labels for each in sets])):
        others = np.flatnonzero(real_labels == label)
        candidates = _pixels(real_images[others])
        # Without the mean, small differences between similar images survive rounding to float32.
        centre = candidates.mean(axis=0)
        centred = candidates - centre
        half_norms = np.einsum("ij,ij->i", centred, centred) / 2
        for (images, labels, own), (index, distance, second) in zip(sets, found, strict=True):
            rows = np.flatnonzero(labels == label)
            for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
                pixels = _pixels(images[block])
                # Minus half of the squared distance, up to a constant for each image.
                scores = (pixels - centre) @ centred.T
                scores -= half_norms
                if own is not None:
                    scores[others == own[block, None]] = -np.inf
                best, distance[block] = _strike_nearest(scores, candidates, pixels)
                index[block] = others[best]
                _, second[block] = _strike_nearest(scores, candidates, pixels)
    return found


def _strike_nearest(scores, candidates, pixels):
    """Of scores (n, m) the column of the highest, which is then struck off, and the distances (n,)
    from pixels (n, d) to candidates (m, d) there, infinite where all columns had been struck."""
    best, here = scores.argmax(axis=1), np.arange(len(scores))
    distance = np.linalg.norm(candidates[best].astype(float) - pixels, axis=1)
    distance[np.isneginf(scores[here, best])] = np.inf
    scores[here, best] = -np.inf
    return best, distance


def centred(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w[, c]) each rolled by whole pixels until its centre of mass is in the middle.
    Pixels that differ from the median of the edge have mass, whether they are lighter or darker."""
    n, height, width = images.shape[:3]
    pixels = _pixels(images).reshape(*images.shape[:3], math.prod(images.shape[3:])).mean(axis=3)
    rows, columns = pixels[:, [0, -1]], pixels[:, :, [0, -1]]
    edges = np.concatenate([rows.reshape(n, 2 * width), columns.reshape(n, 2 * height)], axis=1)
    background = np.median(edges, axis=1)
    weights = (pixels - background[:, None, None]) ** 2  # squared: faint noise hardly counts
    mass = weights.sum(axis=(1, 2)) + 1e-9
    rows, columns = (
        (np.rint(weights.sum(axis=axis) @ (place - place.mean()) / mass)[:, None] + place)
        % len(place)
        for axis, place in ((2, np.arange(height)), (1, np.arange(width)))
    )
    rows, columns = rows.astype(int)[:, :, None], columns.astype(int)[:, None, :]
    return images[np.arange(n)[:, None, None], rows, columns]


def _pixels(images):
    """(n, h, w[, c]) -> (n, h * w * c) float32 in [0, 1]."""
    flat = images.reshape(len(images), math.prod(images.shape[1:])).astype(np.float32)
    return flat / np.float32(255) if images.dtype == np.uint8 else flat


class Neighbours(NamedTuple):
    """labels: (n,) integer, of images.  nearest: the nearest real image of the same label.  moved:
    the nearest if all images may also be centred."""

    labels: np.ndarray
    nearest: Nearest
    moved: Nearest

    def take(self, rows):
        """Some of them: rows is an array of row numbers, (n,) bool, or a slice."""
        return Neighbours(self.labels[rows], self.nearest.take(rows), self.moved.take(rows))

    def put(self, rows, others):
        """A copy with other values in some rows (k,) integer: those of `others`, Neighbours of
        images with the same labels."""
        nearest = self.nearest.put(rows, others.nearest)
        return Neighbours(self.labels, nearest, self.moved.put(rows, others.moved))

    def closest(self, percent, moved=False):
        """The labels of the closest `percent` percent of the images, and the indices of their
        nearest real images, (k,) each.  moved: use `moved` instead of `nearest`."""
        nearest = self.moved if moved else self.nearest
        rows = nearest.closest(percent)
        return self.labels[rows], nearest.index[rows]


def find_neighbours(sets: list[Sought], real: ImageSet, real_centred) -> list[Neighbours]:
    """The Neighbours of labelled images, set by set, among real images of their class.
    real_centred: the real images after centred()."""
    nearest = nearest_of_each(sets, real.images, real.labels)
    rolled = [each._replace(images=centred(each.images)) for each in sets]
    moved = nearest_of_each(rolled, real_centred, real.labels)
    return [
        Neighbours(each.labels, plain, _nearer(plain, other))
        for each, plain, other in zip(sets, nearest, moved, strict=True)
    ]


def _nearer(plain: Nearest, moved: Nearest) -> Nearest:
    """Of each image the nearer one of the two."""
    nearer = np.flatnonzero(moved.distance < plain.distance)
    return plain.put(nearer, moved.take(nearer))
