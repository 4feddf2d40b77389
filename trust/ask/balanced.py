"""Question 3, are the classes balanced? How many images of each class there are, beside real images
behind the same filter."""

import math
from statistics import NormalDist

import numpy as np

from trust.ask.questions import Asked
from trust.ask.verdicts import FALSE_ALARM, POWER, TOO_FEW, Scale, Verdict, decide
from trust.statistics import binomial_tail

LEAST_BALANCE = 0.05  # balanced fails where a class surely has less than this share of its due
DRAWS = 10_000  # of counts by chance
TOO_FEW_OF_RAREST = "too few images of the rarest class"
STEPS, DRAWS_OF_STEP = 12, 2000  # of the search for what would have been found


def ask(asked: Asked) -> dict:
    """{set: {key: number}}, of all images that pass; a class's due is its share of those real
    images that pass as fresh ones do."""
    beside, classes = asked.beside, asked.reference.classes
    real = beside.like_fresh().counts(classes)
    passed = {
        name: filtered.strong(classes)
        for name, filtered in (asked.subjects | beside.held_out | beside.others).items()
        if name != "halfway"
    }
    sets = {name: {"class_balance": class_balance(counts)} for name, counts in passed.items()}
    for name, counts in passed.items():
        if name != "real":
            sets[name] |= examine_balance(counts, real)
        if name in asked.rows:
            sets[name]["images"] = len(asked.rows[name])
        if name in asked.subjects:
            sets[name]["detectable"] = smallest_lack(counts.sum(), real)
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from how probable such counts are by chance; `real` is in the numbers already."""
    return decide(
        fails=numbers["scarcest_chance"] < FALSE_ALARM,
        worse=numbers["chance"] < FALSE_ALARM,
        detectable=numbers["detectable"],
        bound=1 - LEAST_BALANCE,
        too_few=TOO_FEW if math.isnan(numbers["scarcest"]) else TOO_FEW_OF_RAREST,
    )


def evidence(numbers: dict, real: dict) -> dict:
    """The probability of such counts by chance, in standard deviations."""
    return {"chance": -NormalDist().inv_cdf(min(numbers["chance"], 1 - 1e-9))}


def scale(numbers: dict, real: dict) -> Scale:
    """The scarcest class's share of its due, between that of random real sets and LEAST_BALANCE."""
    return Scale(
        "scarcest",
        number=numbers["scarcest"],
        real=numbers["scarcest_real"],
        real_low=numbers["scarcest_real_low"],
        real_high=1.0,
        fails_at=LEAST_BALANCE,
        shows_from=1 - numbers["detectable"],
    )


def class_balance(counts: np.ndarray) -> float:
    """Smallest class / largest class, of the counts (classes,) of images; 0 without an image."""
    return counts.min() / max(counts.max(), 1)


def examine_balance(counts: np.ndarray, real: np.ndarray) -> dict:
    """How far the counts of a set are from those of real images, (classes,) integer each.

    chance: the probability of counts that differ as much, if both are drawn from one distribution.
    scarcest: the class with the smallest share of its due, and this share.  scarcest_chance: the
    largest probability of so few images in a class that has LEAST_BALANCE of its due, times the
    number of classes: below a level where an interval of Clopper & Pearson, with that level over
    all classes, is below the bound.  scarcest_real, scarcest_real_low: the same share in random
    real sets as large, beside as many real images as here; its mean, and what all but FALSE_ALARM
    of them have.  NaN without an image.
    """
    n, classes = int(counts.sum()), np.flatnonzero(real)
    if not n or not len(classes):
        keys = "chance", "scarcest", "scarcest_chance", "scarcest_real", "scarcest_real_low"
        return dict.fromkeys(keys, math.nan)
    due = real[classes] / real.sum()
    tails = [
        binomial_tail(int(count), n, LEAST_BALANCE * share)
        for count, share in zip(counts[classes], due, strict=True)
    ]
    rng, m = np.random.default_rng(0), int(real.sum())
    drawn, others = rng.multinomial(n, due, DRAWS), rng.multinomial(m, due, DRAWS)
    shares = np.divide(drawn / n, others / m, out=np.ones(drawn.shape), where=others > 0)
    scarcest = np.min(shares, axis=1)
    return {
        "chance": chance_of(counts, real, DRAWS),
        "scarcest": float(np.min(counts[classes] / n / due)),
        "scarcest_real": float(scarcest.mean()),
        "scarcest_real_low": float(np.quantile(scarcest, FALSE_ALARM)),
        "scarcest_chance": min(min(tails) * len(classes), 1.0),
    }


def chance_of(counts: np.ndarray, real: np.ndarray, draws: int) -> float:
    """The probability that two random sets of the same images have counts that differ at least as
    much as these, (classes,) integer each, by the chi-square of homogeneity: a float in (0, 1].  It
    holds however few images a class has.  Patefield 1981; the counts themselves are one of the
    draws."""
    both = counts + real
    drawn = _random_halves(both, int(counts.sum()), draws)
    found = chi_square(counts, real)
    return float((1 + np.sum(chi_square(drawn, both - drawn) >= found - 1e-9)) / (draws + 1))


def chi_square(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The chi-square of homogeneity of two sets of counts, (..., classes) integer each: (...)."""
    both = counts + others
    n, m = counts.sum(axis=-1, keepdims=True), others.sum(axis=-1, keepdims=True)
    gaps = (counts - both * (n / (n + m))) ** 2 * (n + m) ** 2 / (n * m)
    return np.sum(np.divide(gaps, both, out=np.zeros_like(gaps), where=both > 0), axis=-1)


def smallest_lack(n: int, real: np.ndarray) -> float:
    """The smallest share of its images that a class must lack, so that a set of n images is called
    worse in POWER of all cases: a float, NaN where even a class without an image would not be.
    The class is the rarest one, so that a lack in any other shows as well; of a class without a
    real image nobody knows the due.  real: (classes,) integer, counts of real images.
    """
    m = int(real.sum())
    if not n or len(real) < 2 or not real.all():
        return math.nan
    due = real / m
    rarest = np.argmin(due)
    expected = np.rint(due * n).astype(int)
    if not expected.any():  # so few images of so many classes
        return math.nan
    both = real + expected
    drawn = _random_halves(both, int(both.sum()) - m, DRAWS)
    limit = np.quantile(chi_square(drawn, both - drawn), 1 - FALSE_ALARM)

    def found(lack):
        rng, shares = np.random.default_rng(0), due.copy()
        shares[rarest] *= 1 - lack
        counts = rng.multinomial(n, shares / shares.sum(), DRAWS_OF_STEP)
        others = rng.multinomial(m, due, DRAWS_OF_STEP)
        return np.mean(chi_square(counts, others) > limit) >= POWER

    if not found(1.0):
        return math.nan
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        half = (low + high) / 2
        low, high = (low, half) if found(half) else (half, high)
    return high


def _random_halves(both: np.ndarray, n: int, draws: int) -> np.ndarray:
    """The counts of n random images of a set with the counts `both`, (classes,): (draws, classes).
    Always the same ones, so that a verdict is."""
    rng = np.random.default_rng(0)
    return rng.multivariate_hypergeometric(both, n, draws, method="marginals")
