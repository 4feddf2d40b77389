"""Question 3, are the images varied? Frechet distance, precision, recall, density, coverage.

These numbers depend on how many images there are, and so does how much they vary by chance.  So a
set is cut into parts of at most PART images, and beside them stand parts of real images, as large
and with as many images of each class.  The number of a set is the mean of its parts; how much it
varies by chance is seen in the real parts.
"""

import math

import numpy as np

from trust.ask.questions import Asked, disjoint_sets
from trust.ask.verdicts import FALSE_ALARM, POWER, Verdict, decide
from trust.statistics import t_quantile

IMAGES, NEIGHBOURS = 5000, 5
PART = 1000  # images that are looked at together
LEAST_PARTS, MOST_PARTS = 8, 20  # of real images, enough to see how much they vary
REAL_IMAGES = 10_000  # in all real parts: the referee needs most of the time
LEAST_VARIETY = 0.5  # varied fails below this share of real images' recall or coverage
BLOCK = 1000  # points at a time
SHARES = "recall", "coverage"


def ask(asked: Asked) -> dict:
    """{set: {key: number}}, by the referee's features: the mean of the parts of each set, and the
    standard deviation of the real parts."""
    beside, reference, rng = asked.beside, asked.reference, asked.rng.spawn(1)[0]
    real, others = beside.like_fresh(), reference.judged.features
    available = real.counts(reference.classes)
    counts = np.minimum(beside.counts, available)
    parts = parts_of(counts, available)
    counts = counts // parts
    radius = ball_radius(spread_rows(others))

    judged = {name: each.take(asked.rows[name]) for name, each in asked.judged.items()}
    sets = {}
    for name, each in (judged | asked.judged_held_out).items():
        passing = (asked.subjects | beside.held_out)[name].passing
        own = disjoint_sets(passing.labels[asked.rows[name]], counts, parts, rng)
        sets[name] = _mean_of(
            [examine_variety(each.features[rows], others, radius) for rows in own]
        )
        sets[name] |= {"images": int(len(own) * counts.sum()), "parts": len(own)}
    most = max(LEAST_PARTS, min(REAL_IMAGES // max(counts.sum(), 1), MOST_PARTS))
    own = disjoint_sets(real.labels, counts, most, rng)
    features = reference.judge(real.images[np.concatenate(own)]).features
    found = [examine_variety(each, others, radius) for each in np.split(features, len(own))]
    sets["real"] = _mean_of(found) | {"images": len(features), "parts": len(own)}
    for key in ("frechet", "recall", "coverage"):
        values = [each[key] for each in found]
        sets["real"][f"{key}_sd"] = float(np.std(values, ddof=1)) if len(own) > 1 else math.nan
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from recall, coverage and Frechet distance, by a one-sided t-test of each."""
    parts, others = numbers["parts"], real["parts"]
    # Half of the level: recall has a longer tail than a normal distribution.
    chance = t_quantile(1 - FALSE_ALARM / 2 / 3, others - 1)
    beyond = {key: z > chance for key, z in evidence(numbers, real).items()}
    few = [beyond[key] and numbers[key] < LEAST_VARIETY * real[key] for key in SHARES]
    detectable = chance + t_quantile(POWER, others - 1)
    error = _spread("recall", numbers, real) * math.sqrt(1 / parts + 1 / others)
    return decide(
        fails=any(few),
        worse=any(beyond.values()),
        detectable=detectable * error,
        bound=LEAST_VARIETY * real["recall"],
    )


def evidence(numbers: dict, real: dict) -> dict:
    """By how many standard deviations recall and coverage are below those of real images, and the
    Frechet distance above: its logarithm is nearly normal, itself it is not."""
    factor = math.sqrt(1 / numbers["parts"] + 1 / real["parts"])
    found = {
        key: (real[key] - numbers[key]) / (_spread(key, numbers, real) * factor) for key in SHARES
    }
    higher = math.log(max(numbers["frechet"], 1e-9) / max(real["frechet"], 1e-9))
    spread = max(real["frechet_sd"], 1e-9) * factor
    return found | {"frechet": real["frechet"] * higher / spread}


def _spread(key, numbers, real):
    """The standard deviation of a share between parts.  Where nearly all recall is 1, it hardly
    varies, until an image is unlike the others."""
    return max(real[f"{key}_sd"], numbers["parts"] / max(numbers["images"], 1))


def parts_of(counts: np.ndarray, available: np.ndarray) -> int:
    """How many parts a set is cut into: so many that none is larger than PART, and that the real
    images are enough for LEAST_PARTS, as long as a part has images enough to measure.

    counts, available: (classes,) integer, of each class in the set and among the real images.
    """
    least = max(math.ceil(counts.sum() / PART), 1)
    wanted = counts > 0
    scarce = np.max(LEAST_PARTS * counts[wanted] / available[wanted], initial=1)
    parts = max(least, math.ceil(scarce))
    return parts if (counts // parts).sum() > NEIGHBOURS else least


def _mean_of(found: list[dict]) -> dict:
    """{key: float}, the mean of each number."""
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}


def examine_variety(features: np.ndarray, others: np.ndarray, radius=None) -> dict:
    """How varied a set is beside others: all numbers of this question, of features (n, d) and
    (m, d) float.  radius: ball_radius() of spread_rows(others), if it is known."""
    frechet = frechet_distance(features, others)
    return {
        "frechet": frechet,
        **variety(spread_rows(features), spread_rows(others), radius=radius),
    }


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
    first, second = (np.atleast_2d(np.cov(each.T)) for each in (features, reference))
    # The trace of the square root of first @ second, whose eigenvalues are those of a symmetric
    # matrix.
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0))
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * roots.sum())


def variety(features, reference, k=NEIGHBOURS, radius=None):
    """How well two sets cover each other.  Each point has a ball up to its k-th nearest neighbour.

    precision: share of the images in a ball of the reference; recall: share of the reference in a
    ball of the images (Kynkaanniemi et al. 2019).  density: balls of the reference about an image,
    over k; coverage: share of the reference's balls with an image (Naeem et al. 2020).
    features (n, d), reference (m, d): float.  radius: ball_radius(reference, k), if it is known.
    Returns a dict of floats, NaN where a set has no more than k images.
    """
    if min(len(features), len(reference)) <= k:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), math.nan)
    between = _squared_distances(features, reference)
    in_reference = between <= (ball_radius(reference, k) if radius is None else radius)
    return {
        "precision": float(in_reference.any(axis=1).mean()),
        "recall": float((between <= ball_radius(features, k)[:, None]).any(axis=0).mean()),
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


def ball_radius(points, k=NEIGHBOURS):
    """The squared distance of each point to its k-th nearest other point, (n,); NaN where there are
    no more than k points."""
    if len(points) <= k:
        return np.full(len(points), np.nan)
    squares = _squared_distances(points, points)
    np.fill_diagonal(squares, np.inf)
    return np.partition(squares, k - 1, axis=1)[:, k - 1]


def spread_rows(rows):
    """IMAGES of the rows, evenly spaced: the first half of MNIST's test set is easier."""
    return rows[np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).astype(int)]
