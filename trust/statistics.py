"""Intervals and tests that the filter, the questions and the audit share."""

import functools
import math
from statistics import NormalDist

import numpy as np

Z95 = 1.959964  # 95 % of a normal distribution lie within this many standard deviations


def mean(values: np.ndarray) -> float:
    """The mean of values (n,), NaN for n = 0."""
    return float(np.mean(values)) if len(values) else math.nan


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """A 95 % interval for the share that gave `hits` in n independent images: two floats in [0, 1],
    NaN for n = 0.  Wilson 1927."""
    if not n:
        return math.nan, math.nan
    share, spread = hits / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def binomial_tail(k: int, n: int, p: float) -> float:
    """The probability of at most k hits in n independent images, each a hit with probability p in
    [0, 1]: a float in [0, 1].  It falls as p rises."""
    if k < 0 or k >= n:
        return float(k >= 0)
    if p in (0, 1):
        return 1.0 - p
    hits = np.arange(k + 1)
    steps = np.log(n + 1 - hits[1:]) - np.log(hits[1:])  # of the log binomial coefficient
    choices = np.concatenate([[0.0], np.cumsum(steps)])
    logs = choices + hits * math.log(p) + (n - hits) * math.log1p(-p)
    return min(float(np.exp(logs).sum()), 1.0)


def _share_with_tail(k, n, tail):
    """The share at which at most k hits in n images, 0 <= k < n, have the probability `tail`."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(k, n, middle) > tail else (low, middle)
    return (low + high) / 2


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """An interval for the share that gave k hits in n independent images: two floats in [0, 1].  It
    contains the share with a probability of at least 95 %, however rare hits are and however few
    the images; NaN for n = 0.  Clopper & Pearson 1934."""
    if not n:
        return math.nan, math.nan
    low = _share_with_tail(k - 1, n, 0.975) if k else 0.0
    return low, _share_with_tail(k, n, 0.025) if k < n else 1.0


def upper_bound(k: int, n: int) -> float:
    """The largest share that k hits in n independent images leave possible: a float in [0, 1], at
    least the true share with a probability of at least 95 %; NaN for n = 0.  The upper end of a
    one-sided interval of Clopper & Pearson 1934."""
    if not n:
        return math.nan
    return _share_with_tail(k, n, 0.05) if k < n else 1.0


def z_of_difference(share: float, n: int, other: float, m: int) -> float:
    """How many standard deviations the share of n images lies above that of m others, if both are
    drawn from the same distribution.  NaN where a share is NaN or n or m is 0; 0 where both shares
    are 0 or both are 1."""
    if math.isnan(share) or math.isnan(other) or not n * m:
        return math.nan
    pooled = (share * n + other * m) / (n + m)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return (share - other) / deviation if deviation > 1e-12 else 0.0


def share_with_hits(k: int, n: int, probability: float) -> float:
    """The share of hits at which k or more of n independent images are hits with that probability:
    a float in [0, 1], 0 for k = 0, NaN for k > n."""
    if k > n:
        return math.nan
    return _share_with_tail(k - 1, n, 1 - probability) if k else 0.0


def beta_binomial_tails(n: int, a: int, b: int) -> np.ndarray:
    """The probabilities of at least 0, 1, ..., n hits in n images, if each is a hit with the same
    probability, which has a beta distribution with the parameters a and b: (n + 1,) float.

    So are the hits distributed that lie below the a-th smallest of a + b - 1 others, where all are
    drawn from one continuous distribution (Wilks 1942)."""
    before, k = np.arange(a), np.arange(n)
    none = np.sum(np.log(b + before) - np.log(n + b + before))
    steps = np.log((n - k) / (k + 1)) + np.log((k + a) / (n - k - 1 + b))
    logs = none + np.concatenate([[0.0], np.cumsum(steps)])
    return np.minimum(np.exp(logs)[::-1].cumsum()[::-1], 1.0)


def least_hits(n: int, a: int, b: int, alarm: float) -> int:
    """The least number of hits in n images of which beta_binomial_tails() are at most `alarm`;
    n + 1 where there is none."""
    return int(np.count_nonzero(beta_binomial_tails(n, a, b) > alarm))


def lower_bound(k: int, n: int, risk: float = 0.05) -> float:
    """The smallest share that k hits in n independent images leave possible: a float in [0, 1], at
    most the true share with a probability of at least 1 - risk; NaN for n = 0.  The lower end of a
    one-sided interval of Clopper & Pearson 1934."""
    if not n:
        return math.nan
    return _share_with_tail(k - 1, n, 1 - risk) if k else 0.0


def weighted_share(
    hits: np.ndarray, weights: np.ndarray, others: float = math.inf
) -> tuple[float, float, float]:
    """The share of hits, (n,) bool, among images with weights (n,) of sum 1, and its 95 % interval:
    three floats in [0, 1], NaN for n = 0.  others: the interval is for the share among so many
    other images, and so wider than that for the share among all that there could be.

    The interval is wilson_interval() of as many equal images as have the share's variance (Korn &
    Graubard 1998).  The variance is counted with one more hit of the mean weight, so that it is not
    0 where there are no hits (Fay & Feuer 1997).  With equal weights it is wilson_interval().
    """
    if not len(hits):
        return math.nan, math.nan, math.nan
    share, mean_weight = float(weights[hits].sum()), float((weights**2).sum())
    variance = float((weights[hits] ** 2).sum()) + mean_weight**2
    n = 1 / (variance / (share + mean_weight) + 1 / others)
    low, high = wilson_interval(share * n, n)
    return share, max(low - 1 / others, 0.0), high  # among few others there may be no hit


def t_tail(t: float, freedom: int) -> float:
    """The probability that Student's t with so many degrees of freedom, at least 1, is above t: a
    float in [0, 1].  Abramowitz & Stegun 1964, 26.7.3 and 26.7.4."""
    if math.isnan(t):
        return math.nan
    angle = math.atan(t / math.sqrt(freedom))
    # The sums are 1 + 1/2 c^2 + 1/2 3/4 c^4 ... for even freedom, c + 2/3 c^3 ... for odd.
    odd = freedom % 2
    steps = np.arange(1 + odd, freedom - 2, 2)
    terms = np.cumprod(np.append(1.0, steps / (steps + 1) * math.cos(angle) ** 2))
    if odd:
        total = math.sin(angle) * math.cos(angle) * terms.sum() if freedom > 1 else 0.0
        inside = 2 / math.pi * (angle + total)
    else:
        inside = math.sin(angle) * terms.sum()
    return min(max((1 - inside) / 2, 0.0), 1.0)


def z_of_t(t: float, freedom: int) -> float:
    """The value that a standard normal variable exceeds as rarely as Student's t with so many
    degrees of freedom exceeds t: a float, at most 7.9 in size, NaN where t is, or for less than one
    degree of freedom."""
    if math.isnan(t) or freedom < 1:
        return math.nan
    tail = max(t_tail(abs(t), freedom), 1e-15)  # of which double precision knows no less
    return math.copysign(NormalDist().inv_cdf(tail), t) if tail < 0.5 else 0.0


def furthest(z: list[float]) -> float:
    """The number furthest from 0 of several that are standard normal by chance, drawn in as much as
    it is further because it was chosen (Bonferroni): a float, NaN where all are."""
    known = [each for each in z if not math.isnan(each)]
    if not known:
        return math.nan
    found = max(known, key=abs)
    tail = len(known) * max(NormalDist().cdf(-abs(found)), 1e-300)
    return math.copysign(NormalDist().inv_cdf(tail), found) if tail < 0.5 else 0.0


@functools.cache
def t_quantile(share: float, freedom: int) -> float:
    """The value below which Student's t with so many degrees of freedom lies with the probability
    `share`, in (0, 1): a float; NaN for less than one degree of freedom."""
    if freedom < 1:
        return math.nan
    low, high = -1e6, 1e6
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, freedom) > 1 - share else (low, middle)
    return (low + high) / 2


def ratio(value: float, error: float) -> float:
    """How many errors a value is; NaN where the error is 0."""
    return value / error if error else math.nan
