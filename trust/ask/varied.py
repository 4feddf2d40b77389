"""Question 4, are the images varied? Frechet distance, recall, coverage, twins in the set itself,
and how far the images of each class spread.

These numbers depend on how many images there are, and so does how much they vary by chance.  So a
set is cut into parts of at most PART images, and beside them stand parts of real images, as large
and with as many images of each class.  The number of a set is the mean of its parts; how much it
varies by chance is seen in the real parts.  The Frechet distance is that of the whole set, because
it needs many images to find a small difference.  So are its twins and the spread of its classes.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from trust.ask.questions import Asked, disjoint_sets
from trust.ask.verdicts import FALSE_ALARM, POWER, Scale, Verdict, decide
from trust.statistics import furthest, least_hits, ratio, t_quantile, z_of_difference, z_of_t

IMAGES, NEIGHBOURS = 5000, 5
PART = 500  # images that are looked at together
LEAST_PARTS, MOST_PARTS = 12, 20  # of real images, enough to see how much they vary
LEAST_VARIETY = 0.5  # varied fails below this share of real images' recall or coverage
BLOCK = 1000  # points at a time
SHARES, FIDELITY = ("recall", "coverage"), ("precision", "density")
RARE = 1000  # an image has a twin if its gap is as of one real image in so many
# Of recall, coverage and Frechet distance half of the level: recall has a longer tail than a normal
# distribution.
ALARM = FALSE_ALARM / 2 / 3
COUNTED_ALARM = FALSE_ALARM / 4  # the false alarms of the count of twins, and of the spread
# How much further than that of a normal distribution the tail of the squared length of a mean
# reaches, in one dimension, where it is longest: a chi-square at COUNTED_ALARM.
LONG_TAIL = 2.5


def ask(asked: Asked) -> tuple[dict, dict]:
    """{set: {key: number}}, by the referee's features; of real images also the standard deviation
    of recall and coverage between parts, and of the Frechet distance between sets.  And {set:
    {"precision", "density"}}, which answer another question: whether images are realistic."""
    beside, reference, rng = asked.beside, asked.reference, asked.rng.spawn(1)[0]
    real, others = beside.like_fresh(), reference.judged.features
    available = real.counts(reference.classes)
    counts = np.minimum(beside.counts, available)
    parts = parts_of(counts, available)
    counts = counts // parts
    radius = ball_radius(spread_rows(others))

    rows = disjoint_sets(real.labels, counts, max(2 * parts, MOST_PARTS), rng)
    features = reference.judge(real.images[np.concatenate(rows)]).features
    real_parts = np.split(features, len(rows))
    parts = min(parts, len(rows))
    sets = {"real": examine_parts(real_parts, others, radius, whole=parts)}
    wholes = [
        np.concatenate(rows[at : at + parts]) for at in range(0, len(rows) - parts + 1, parts)
    ]
    known = np.concatenate([reference.within(real.take(whole)) for whole in wholes])
    sets["real"] |= count_twins(known[: len(wholes[0])], known)
    labels = real.labels[np.concatenate(rows)]
    spreads, half = class_spreads(features, labels), len(rows) // 2 * len(rows[0])
    rest = class_spreads(features[half:], labels[half:])
    sets["real"] |= narrowest_class(features[:half], labels[:half], rest)
    judged = {name: each.take(asked.rows[name]) for name, each in asked.judged.items()}
    for name, each in (judged | asked.judged_held_out).items():
        images = (asked.subjects | beside.held_out)[name].passing.take(asked.rows[name])
        # Of several subjects one may have fewer images of a class than are compared.
        own = np.minimum(counts, images.counts(len(counts)) // parts)
        rows = disjoint_sets(images.labels, own, parts, rng)
        sets[name] = examine_parts([each.features[part] for part in rows], others, radius)
        whole = np.concatenate(rows) if rows else np.arange(len(images))
        sets[name] |= count_twins(reference.within(images.take(whole)), known)
        sets[name] |= narrowest_class(each.features[whole], images.labels[whole], spreads)
    fidelity = {name: {key: numbers.pop(key) for key in FIDELITY} for name, numbers in sets.items()}
    return sets, fidelity


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from recall, coverage and Frechet distance, by a one-sided t-test of each, from
    the count of twins and from the spread of the narrowest class."""
    others = real["parts"]
    chance = t_quantile(1 - ALARM, others - 1)
    beyond = {key: z > chance for key, z in evidence(numbers, real).items()}
    few = [beyond[key] and numbers[key] < LEAST_VARIETY * real[key] for key in SHARES]
    lost = {key: detectable_loss(key, numbers, real) for key in SHARES}
    vague = not lost["coverage"] <= LEAST_VARIETY * real["coverage"]  # also where it is NaN
    return decide(
        fails=any(few),
        worse=any(beyond.values())
        or numbers["twins"] >= numbers["twins_limit"]
        or numbers["class_spread"] < numbers["class_spread_limit"],
        detectable=lost["recall"],
        bound=LEAST_VARIETY * real["recall"],
        doubt="a loss of half of the coverage would not have shown" if vague else "",
    )


def detectable_loss(key: str, numbers: dict, real: dict) -> float:
    """How much recall or coverage must be lower for it to be found in four of five cases."""
    freedom = real["parts"] - 1
    deviations = t_quantile(1 - ALARM, freedom) + t_quantile(POWER, freedom)
    return deviations * _error(key, numbers, real)


def scale(numbers: dict, real: dict) -> Scale:
    """Recall or coverage, whichever is further on its way from that of real images to the bound."""
    lost = {key: 1 - numbers[key] / real[key] if real[key] else math.nan for key in SHARES}
    return scale_by("coverage" if lost["coverage"] > lost["recall"] else "recall", numbers, real)


def scale_by(key: str, numbers: dict, real: dict) -> Scale:
    """The Scale of recall or of coverage."""
    reach = t_quantile(1 - ALARM, real["parts"] - 1) * _error(key, numbers, real)
    return Scale(
        key,
        number=numbers[key],
        real=real[key],
        real_low=real[key] - reach,
        real_high=real[key] + reach,
        fails_at=LEAST_VARIETY * real[key],
        shows_from=real[key] - detectable_loss(key, numbers, real),
    )


def evidence(numbers: dict, real: dict) -> dict:
    """By how many standard deviations recall and coverage are below those of real images, and the
    Frechet distance above: its logarithm is nearly normal, itself it is not."""
    found = {key: (real[key] - numbers[key]) / _error(key, numbers, real) for key in SHARES}
    higher = math.log(max(numbers["frechet"], 1e-9) / max(real["frechet"], 1e-9))
    spread = max(real["frechet_sd"], 1e-9) * math.sqrt(1 + numbers["parts"] / real["parts"])
    return found | {"frechet": real["frechet"] * higher / spread}


def differs(numbers: dict, others: dict, *, parts: dict, other_parts: dict, real: dict) -> float:
    """By how many standard deviations of a normal distribution a set is more varied than another:
    by their counts of twins where one of them has too many, else by recall or coverage, whichever
    differs more, by a t-test of the parts.

    parts, other_parts: by shares_of_parts().  A part varies by chance as much as real ones do, or
    as the parts of both sets, whichever is more.
    """
    n, m = numbers["images"], others["images"]
    if not n * m:
        return math.nan
    if any(each["twins"] >= each["twins_limit"] for each in (numbers, others)):  # come in pairs
        return -z_of_difference(numbers["twins"] / n, n // 2, others["twins"] / m, m // 2)
    found = []
    for key in SHARES:
        own, other = parts[key], other_parts[key]
        k, count = len(own), len(other)
        if not k * count:
            return math.nan
        squares = sum(float(np.sum((each - each.mean()) ** 2)) for each in (own, other))
        spread = max(real[f"{key}_sd"], math.sqrt(squares / max(k + count - 2, 1)))
        t = ratio(float(own.mean() - other.mean()), spread * math.sqrt(1 / k + 1 / count))
        found.append(z_of_t(t, real["parts"] - 1))
    return furthest(found)


def shares_of_parts(asked: Asked, name: str, counts: np.ndarray) -> dict[str, np.ndarray]:
    """{"recall", "coverage"} of each of the random parts into which as many images of a subject as
    counts, (classes,) integer, are cut: (parts,) float each."""
    parts = max(math.ceil(counts.sum() / PART), 1)
    labels, judged = asked.subjects[name].passing.labels, asked.judged[name]
    cut = disjoint_sets(labels, counts // parts, parts, np.random.default_rng(0))
    others = spread_rows(asked.reference.judged.features)
    radius = ball_radius(others)
    found = [variety(judged.features[part], others, radius=radius) for part in cut]
    return {key: np.array([each[key] for each in found], float) for key in SHARES}


def _error(key, numbers, real):
    """The standard deviation, by chance, of the difference between a share and that of real images.
    Between parts a share varies as it does in real ones; but where nearly all recall is 1, it
    hardly does, until an image is unlike the others."""
    spread = max(real[f"{key}_sd"], numbers["parts"] / max(numbers["images"], 1))
    return spread * math.sqrt(1 / numbers["parts"] + 1 / real["parts"])


def examine_parts(
    parts: list[np.ndarray], others: np.ndarray, radius: np.ndarray, whole: int | None = None
) -> dict:
    """All numbers of a set, of its parts (n, d) and others (m, d), features.  whole: of so many
    parts is a set; then also how much each number varies by chance."""
    found = [variety(each, spread_rows(others), radius=radius) for each in parts]
    numbers = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
    numbers |= {"images": sum(map(len, parts)), "parts": len(parts)}
    if whole is None:
        return numbers | {"frechet": frechet_distance(np.concatenate(parts), others)}
    distance, deviation = frechet_by_chance(parts, others, whole)
    numbers |= {"frechet": distance, "frechet_sd": deviation}
    for key in ("recall", "coverage"):
        numbers[f"{key}_sd"] = _deviation([each[key] for each in found])
    return numbers


def frechet_by_chance(
    parts: list[np.ndarray], others: np.ndarray, whole: int
) -> tuple[float, float]:
    """The mean Frechet distance of sets of `whole` of these parts, and its standard deviation
    between such sets that share no part: two floats, NaN where too few parts are known.

    Its variance has a share that falls with the number of images, which the jackknife of all parts
    finds, and one that falls with the square of it, which makes single parts vary more than the
    first share says.  Efron & Stein 1981: the jackknife is rather too large than too small.
    """
    count, known = len(parts), [moments(each) for each in parts]
    reference = gaussian(moments(others))

    def distance(chosen):
        return frechet_of_moments(joined([known[row % count] for row in chosen]), reference)

    starts = range(count if whole < count else 1)
    mean = float(np.mean([distance(range(first, first + whole)) for first in starts]))
    if count < 2:
        return mean, math.nan
    without = [distance(range(first, first + count - 1)) for first in range(count)]
    linear = (count - 1) ** 2 * np.var(without, ddof=1)
    single = np.var([distance([row]) for row in range(count)], ddof=1)
    return mean, math.sqrt(linear / whole + max(single - linear, 0) / whole**2)


def _deviation(values):
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


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


def count_twins(ratios: np.ndarray, known: np.ndarray) -> dict:
    """How many images have a twin or a near twin in their own set, or belong to a group of them:
    {"twins", "twins_expected", "twins_limit"}.

    ratios: (n,), by gaps_within().  known: (m,), of real images, from sets of the same size.  An
    image has a twin if its ratio is below that of one in RARE real ones.  By chance twins come in
    pairs: in d dimensions the ratio from image j to the next is below r with probability r^(jd), so
    a group of three is as rare as two pairs.  So half as many pairs are counted, of which chance is
    known as in new.flag(), at most all of them twice: where no two images were each other's
    nearest, the count would vary less.
    """
    pairs, others = len(ratios) // 2, len(known) // 2
    if not others:
        return {"twins": 0, "twins_expected": 0.0, "twins_limit": len(ratios) + 1}
    rank = max(round(others / RARE), 1)
    bound = np.partition(known, 2 * rank - 1)[2 * rank - 1]
    return {
        "twins": int(np.count_nonzero(ratios < bound)),
        "twins_expected": len(ratios) * rank / (others + 1),
        "twins_limit": 2 * least_hits(pairs, rank, others - rank + 1, alarm=COUNTED_ALARM),
    }


class Spread(NamedTuple):
    """Of the images of a class: the mean of the squared distances of their features to the mean
    features of the class, the standard deviation of these, how many images there are, and the trace
    of the square of their covariance."""

    mean: float
    deviation: float
    count: int
    square: float


def spread_of(features: np.ndarray) -> Spread:
    """The Spread of at least two features (n, d).  Its mean has no bias: it is the sum over
    n - 1."""
    apart = features - features.mean(axis=0)
    squares = np.sum(apart**2, axis=1, dtype=float)
    mean = float(squares.sum()) / (len(squares) - 1)
    # The Gram matrix of the side that is shorter has the same eigenvalues.
    gram = apart.T @ apart if apart.shape[1] < len(apart) else apart @ apart.T
    square = float(np.sum(gram**2, dtype=float)) / (len(squares) - 1) ** 2
    return Spread(mean, deviation=float(squares.std()), count=len(squares), square=square)


def class_spreads(features: np.ndarray, labels: np.ndarray) -> dict[int, Spread]:
    """{class: Spread} of features (n, d) and labels (n,), of classes with at least two images."""
    own = {int(label): features[labels == label] for label in np.unique(labels)}
    return {label: spread_of(each) for label, each in own.items() if len(each) > 1}


def narrowest_class(features: np.ndarray, labels: np.ndarray, known: dict[int, Spread]) -> dict:
    """How far the images of the narrowest class spread: {"class_spread", "class_spread_limit"}.

    features (n, d), labels (n,): of a set.  known: class_spreads() of real images.  class_spread:
    the mean squared distance of the class over that of real images, near 0 if most of the class is
    one picture.  Below the limit it is more than chance, by a test of the mean squared distance in
    each class, which varies as it does in real images.  NaN where no class has two images.
    """
    own = class_spreads(features, labels)
    level = NormalDist().inv_cdf(1 - COUNTED_ALARM / max(len(own), 1))
    found = []
    for label in sorted(own.keys() & known.keys()):
        yours, real = own[label], known[label]
        # In a Gaussian of any dimension this is exact.
        chance = real.deviation * math.sqrt(1 / (yours.count - 1) + 1 / (real.count - 1))
        # Where all points are as far from the middle, as on a sphere, it is the mean that varies.
        of_means = math.sqrt(2 * real.square) * math.hypot(1 / yours.count, 1 / real.count)
        chance = max(chance, LONG_TAIL * of_means)
        if real.mean > 0 and chance > 0:
            z = (real.mean - yours.mean) / chance
            limit = max(1 - level * chance / real.mean, 0.0)
            found.append((z, yours.mean / real.mean, limit))
    _, share, limit = max(found, default=(0.0, math.nan, math.nan))
    return {"class_spread": share, "class_spread_limit": limit}


def examine_variety(features: np.ndarray, others: np.ndarray, radius=None) -> dict:
    """How varied a set is beside others: all numbers of this question, of features (n, d) and
    (m, d) float.  radius: ball_radius() of spread_rows(others), if it is known."""
    frechet = frechet_distance(features, others)
    return {
        "frechet": frechet,
        **variety(spread_rows(features), spread_rows(others), radius=radius),
    }


class Moments(NamedTuple):
    """The number of points, their sum (d,) and the sum of their products (d, d), float64."""

    count: int
    total: np.ndarray
    product: np.ndarray


class Gaussian(NamedTuple):
    """A Gaussian that stands for `count` points: its mean (d,), and the square root (d, d) and the
    trace of its covariance."""

    count: int
    mean: np.ndarray
    root: np.ndarray
    trace: float


def moments(points: np.ndarray) -> Moments:
    """The Moments of points (n, d)."""
    points = points.astype(float)
    return Moments(len(points), points.sum(axis=0), points.T @ points)


def joined(parts: list[Moments]) -> Moments:
    """The Moments of all points of several sets."""
    return Moments(*(sum(each) for each in zip(*parts, strict=True)))


def frechet_distance(features, reference):
    """The Frechet distance between two sets, each taken as a Gaussian with its mean and covariance.
    Heusel et al. 2017, eq. 6.

    features (n, d), reference (m, d): float.  Returns a float, 0 for equal sets, NaN for n < 2 or
    m < 2.
    """
    return frechet_of_moments(moments(features), gaussian(moments(reference)))


def frechet_of_moments(first: Moments, second: Gaussian) -> float:
    """frechet_distance() of two sets of which only the moments are known."""
    if min(first.count, second.count) < 2:
        return math.nan
    gap, covariance = _mean(first) - second.mean, _covariance(first)
    # The trace of the square root of the product of both covariances, whose eigenvalues are those
    # of a symmetric matrix.
    product = second.root @ covariance @ second.root
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0))
    return float(gap @ gap + np.trace(covariance) + second.trace - 2 * roots.sum())


def gaussian(each: Moments) -> Gaussian:
    """The Gaussian with these Moments."""
    if each.count < 2:
        return Gaussian(each.count, _mean(each), root=np.zeros_like(each.product), trace=math.nan)
    covariance = _covariance(each)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return Gaussian(each.count, _mean(each), root=root, trace=float(np.trace(covariance)))


def _mean(each):
    return each.total / max(each.count, 1)


def _covariance(each):
    mean = _mean(each)
    return (each.product - each.count * np.outer(mean, mean)) / (each.count - 1)


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


def squared_to_nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The squared distance of each point (n, d) to the nearest of the others (m, d): (n,)."""
    blocks = np.split(points, range(BLOCK, len(points), BLOCK))
    return np.concatenate([_squared_distances(each, others).min(axis=1) for each in blocks])


def spread_rows(rows, most: int | None = None):
    """At most `most` of the rows, IMAGES if left out, evenly spaced: the first half of MNIST's test
    set is easier."""
    most = most or IMAGES
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
