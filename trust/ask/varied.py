"""Question 3, are the images varied? Frechet distance, precision, recall, density, coverage."""

import math

import numpy as np

from trust.ask.questions import Asked
from trust.ask.verdicts import IMAGES

NEIGHBOURS = 5
BLOCK = 1000  # points at a time


def ask(asked: Asked) -> dict:
    """{set: {key: number}}, by the referee's features."""
    others = asked.reference.judged.features
    features = {kind: judged.features for kind, judged in asked.judged_held_out.items()}
    for name, judged in asked.judged.items():
        features[name] = judged.features[asked.rows[name]]
    return {name: examine_variety(each, others) for name, each in features.items()}


def examine_variety(features: np.ndarray, others: np.ndarray) -> dict:
    """How varied a set is beside others: all numbers of this question, of features (n, d) and
    (m, d) float."""
    frechet = frechet_distance(features, others)
    return {"frechet": frechet, **variety(spread_rows(features), spread_rows(others))}


def examine_likeness(features: np.ndarray, others: np.ndarray, seed: int) -> dict:
    """How similar two sets are in the referee's features, (n, d) and (m, d).  A temperature or a
    share of wrong labels that was found on one set holds for the other as far as both are alike."""
    rng = np.random.default_rng(seed)
    share, z = own_neighbours(spread_rows(features), spread_rows(others), rng)
    return {"own_neighbours": share, "own_neighbours_z": z}


def frechet_distance(features, reference):
    """The Frechet distance between two sets, each taken as a Gaussian with its mean and covariance.
    Heusel et al. 2017, eq. 6.

    features (n, d), reference (m, d): float.  Returns a float, 0 for equal sets, NaN for n < 2 or
    m < 2.
    """
    if min(len(features), len(reference)) < 2:
        return math.nan
    difference = features.mean(axis=0) - reference.mean(axis=0)
    first, second = np.cov(features.T), np.cov(reference.T)
    # The trace of the square root of first @ second, whose eigenvalues are those of a symmetric
    # matrix.
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0))
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * roots.sum())


def variety(features, reference, k=NEIGHBOURS):
    """How well two sets cover each other.  Each point has a ball up to its k-th nearest neighbour.

    precision: share of the images in a ball of the reference; recall: share of the reference in a
    ball of the images (Kynkaanniemi et al. 2019).  density: balls of the reference about an image,
    over k; coverage: share of the reference's balls with an image (Naeem et al. 2020).
    features (n, d), reference (m, d): float.  Returns a dict of floats, NaN where a set has no
    more than k images.
    """
    if min(len(features), len(reference)) <= k:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), math.nan)
    between = _squared_distances(features, reference)
    radius = _neighbour_distance(features, k)
    reference_radius = _neighbour_distance(reference, k)
    in_reference = between <= reference_radius
    return {
        "precision": float(in_reference.any(axis=1).mean()),
        "recall": float((between <= radius[:, None]).any(axis=0).mean()),
        "density": float(in_reference.sum() / (k * len(features))),
        "coverage": float(in_reference.any(axis=0).mean()),
    }


def own_neighbours(
    features: np.ndarray, others: np.ndarray, rng: np.random.Generator, draws: int = 200
) -> tuple[float, float]:
    """Share of the points of two sets whose nearest neighbour is of their own set; the larger set
    is cut to the size of the other.  It is about 0.5 where both are drawn from one distribution, 1
    where they are apart.

    features (n, d), others (m, d): float.  Returns two floats: the share, and by how many standard
    deviations it is above that of random marks, measured in `draws` permutations.  NaN where a set
    has fewer than 2 points.  Schilling 1986, with one neighbour.
    """
    n = min(len(features), len(others))
    if n < 2:
        return math.nan, math.nan
    points, marks = np.concatenate([features[:n], others[:n]]), np.arange(2 * n) < n
    nearest = np.empty(2 * n, int)
    for block in np.array_split(np.arange(2 * n), math.ceil(2 * n / BLOCK)):
        squares = _squared_distances(points[block], points)
        squares[np.arange(len(block)), block] = np.inf
        nearest[block] = squares.argmin(axis=1)

    def share(marks):
        return float(np.mean(marks == marks[nearest]))

    chance = [share(rng.permutation(marks)) for _ in range(draws)]
    return share(marks), (share(marks) - (n - 1) / (2 * n - 1)) / float(np.std(chance))


def _squared_distances(a, b):
    """(n, m) from a (n, d) and b (m, d)."""
    squares = (np.einsum("ij,ij->i", x, x) for x in (a, b))
    return np.add.outer(*squares) - 2 * a @ b.T


def _neighbour_distance(points, k):
    """The squared distance of each point to its k-th nearest other point, (n,)."""
    squares = _squared_distances(points, points)
    np.fill_diagonal(squares, np.inf)
    return np.partition(squares, k - 1, axis=1)[:, k - 1]


def spread_rows(rows):
    """IMAGES of the rows, evenly spaced: the first half of MNIST's test set is easier."""
    return rows[np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).astype(int)]
