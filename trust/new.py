"""Question 4, are the images new? Was the nearest real image seen, or was it not?"""

import math
from typing import NamedTuple

import numpy as np

BLOCK = 1000  # images at a time
DEPTHS = (100, 5, 1)  # percent of the images, the closest in the order of Nearest.closest()
DOSES = (1, 2, 5, 10)  # percent of copies that are planted among real images


class Nearest(NamedTuple):
    """For each image: index (n,) of the nearest real image, distance (n,) to it, and second (n,),
    the distance to the second nearest one, infinite where there is none."""

    index: np.ndarray
    distance: np.ndarray
    second: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Nearest(*(array[rows] for array in self))

    def closest(self, percent):
        """The rows of the closest `percent` percent of the images, in order of the ratio of the
        distances to the nearest and to the second nearest real image."""
        # Without a second real image there is no ratio, and the image comes last.  A copy of a real
        # image that is there twice has distance 0 to both; its ratio counts as 0.
        ratio = np.where(np.isinf(self.second), np.inf, 0.0)
        some = (self.distance > 0) & np.isfinite(self.second)
        ratio[some] = self.distance[some] / self.second[some]
        order = np.argsort(ratio, kind="stable")
        return order[: math.ceil(len(order) * percent / 100)]

    def put(self, rows, others):
        """A copy with other values in some rows (k,) integer: those of `others`, a Nearest."""
        mixed = Nearest(*(array.copy() for array in self))
        for array, values in zip(mixed, others, strict=True):
            array[rows] = values
        return mixed


def nearest_of_class(images, labels, real_images, real_labels):
    """The nearest real image of each image's class, by exhaustive search.

    A copy of a real image has the label of that image, so only that class is searched.
    images (n, h, w[, c]), real_images (m, h, w[, c]): uint8, or float32 in [0, 1].
    labels (n,), real_labels (m,): integer; each of the labels must have a real image.
    Returns Nearest: index into the real images, and distances, float64, Euclidean over pixels in
    [0, 1].  If two are equally near, up to rounding to float32, either may be returned.
    """
    index, distance = np.empty(len(images), int), np.empty(len(images))
    second = np.full(len(images), np.inf)
    for label in np.unique(labels):
        rows, others = np.flatnonzero(labels == label), np.flatnonzero(real_labels == label)
        candidates = _pixels(real_images[others])
        # Without the mean, small differences between similar images survive rounding to float32.
        centre = candidates.mean(axis=0)
        centred = candidates - centre
        half_norms = np.einsum("ij,ij->i", centred, centred) / 2
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            pixels = _pixels(images[block])
            # Minus half of the squared distance, up to a constant for each image.
            scores = (pixels - centre) @ centred.T
            scores -= half_norms
            best = scores.argmax(axis=1)
            index[block] = others[best]
            distance[block] = np.linalg.norm(candidates[best].astype(float) - pixels, axis=1)
            if len(others) > 1:
                scores[np.arange(len(block)), best] = -np.inf
                next_best = candidates[scores.argmax(axis=1)].astype(float)
                second[block] = np.linalg.norm(next_best - pixels, axis=1)
    return Nearest(index, distance, second)


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


def seen_or_unseen(neighbours: Neighbours, real_labels, unseen, others=None) -> dict:
    """Whether images lie nearer to the real images that were seen than to those that were not.

    If the images owe nothing to which real images were seen, the marks seen and unseen are a random
    permutation over the real images of a class.  Let n images have N real images of their class, of
    which a share s is unseen, and let c_h of the n images have their nearest neighbour in h.  Then
    the count of unseen neighbours has mean s n and variance s (1 - s) N / (N - 1) (sum c_h^2 -
    n^2 / N).  This holds for any subset that is chosen without using the marks, such as the closest
    images, by the ratio of the distances to the nearest and to the second nearest real image.

    Where the unseen images are of another kind than the seen ones, for example by other writers,
    the marks are not exchangeable.  Then m other real images, of the kind of the seen ones, measure
    what to expect.  If d_h of them have their nearest neighbour in h, the mean is n / m times their
    count of unseen neighbours, and the variance has c_h - d_h n / m in the place of c_h.

    real_labels: (m,) integer.  unseen: (m,) bool.  others: Neighbours of real images that no
    network has seen, or None.  Returns a dict of floats, NaN where nothing can be said: the median
    distance; the share of nearest real images that were seen, as found and as expected; lean, how
    far the count of unseen ones falls short of the expected count, as a share of it; and z, the
    same in standard deviations, negative for a lean: of all images, of the closest 1 % and 5 %, and
    of these if images may also be centred.
    """
    found, expected, _ = _unseen_neighbours(neighbours, real_labels, unseen, others, 100)
    n = len(neighbours.labels) or math.nan
    numbers = {
        "nearest_distance_median": _median(neighbours.nearest.distance),
        "seen_share": 1 - found / n,
        "expected_share": 1 - expected / n,
        "lean": 1 - found / expected if expected else math.nan,
    }
    for key, percent, moved in (
        ("lean_z", 100, False),
        ("closest_1_lean_z", 1, False),
        ("closest_5_lean_z", 5, False),
        ("closest_5_moved_lean_z", 5, True),
        ("closest_1_moved_lean_z", 1, True),
    ):
        counts = _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved)
        found, expected, variance = counts
        numbers[key] = (found - expected) / math.sqrt(variance) if variance > 1e-9 else math.nan
    return numbers


def shares_by_depth(neighbours: Neighbours, real_labels, unseen, others=None, moved=False) -> list:
    """What a figure shows of seen_or_unseen, for each of the DEPTHS: (percent of the images,
    share of nearest images that were seen, expected share, standard deviation by chance)."""
    shares = []
    for percent in DEPTHS:
        counts = _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved)
        found, expected, variance = counts
        n = math.ceil(len(neighbours.labels) * percent / 100) or math.nan
        shares.append((percent, 1 - found / n, 1 - expected / n, math.sqrt(variance) / n))
    return shares


def _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved=False):
    """The count of unseen neighbours among the closest `percent` percent of the images, and its
    expected mean and variance."""
    labels, index = neighbours.closest(percent, moved)
    found, expected, variance = int(np.count_nonzero(unseen[index])), 0.0, 0.0
    if others is not None:
        # Twice that percentage of the others, at least 10: fewer would measure too little.
        other_labels, other_index = others.closest(min(max(2 * percent, 10), 100), moved)
    for label in np.unique(labels):
        pool = np.flatnonzero(real_labels == label)
        own, total = unseen[pool], len(pool)
        share, n = np.mean(own), np.count_nonzero(labels == label)
        counts = np.bincount(index[labels == label], minlength=len(unseen))[pool].astype(float)
        if others is not None and (m := np.count_nonzero(other_labels == label)):
            theirs = np.bincount(other_index[other_labels == label], minlength=len(unseen))[pool]
            expected += n / m * theirs[own].sum()
            counts -= n / m * theirs
        else:
            expected += share * n
        if total > 1:
            spread = np.sum(counts**2) - counts.sum() ** 2 / total
            variance += share * (1 - share) * total / (total - 1) * spread
    return found, float(expected), float(variance)


def _median(distance):
    return float(np.median(distance)) if len(distance) else math.nan


def twins(labels: np.ndarray, seen_labels: np.ndarray, rng) -> np.ndarray:
    """For each label (k,) the row of a random seen image with that label: (k,) integer.  rng: a
    numpy.random.Generator."""
    return np.array([rng.choice(np.flatnonzero(seen_labels == label)) for label in labels], int)


def noisy_copies(images, rng, noise=0.05):
    """Images (n, h, w[, c]) uint8 with normal noise on each pixel, whose standard deviation is
    `noise`: (n, h, w[, c]) float32 in [0, 1].  A generator that copies would draw such images."""
    noisy = images / 255 + noise * rng.standard_normal(images.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def moved_by_two(images, rng):
    """Images (n, h, w[, c]) each moved at random by up to two pixels vertically and horizontally,
    never by zero in both; pixels that leave at one edge come in at the opposite one."""
    steps = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if y or x])
    shifts = rng.choice(steps, len(images))
    moved = [np.roll(image, by, (0, 1)) for image, by in zip(images, shifts, strict=True)]
    return np.reshape(moved, images.shape).astype(images.dtype)


def planted_rows(n: int, dose: int = DOSES[-1]) -> np.ndarray:
    """The rows of n images that copies replace, `dose` percent of them: (k,) integer."""
    return np.arange(0, n, 100 // dose)


def closest_of_each_class(labels, nearest: Nearest) -> dict:
    """{label: row of its closest image, in the order of Nearest.closest()}; labels (n,) integer."""
    order = nearest.closest(100)
    names, first = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), order[first].tolist(), strict=True))
