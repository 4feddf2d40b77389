import math

import numpy as np
import pytest
from scipy import stats

from trust import statistics


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (1, 10), (7, 20), (30, 30), (4990, 5000)])
def test_the_interval_is_wilsons(hits, n):
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert statistics.wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-7)


@pytest.mark.parametrize("n", [0, 1, 9, 300, 10_000])
@pytest.mark.parametrize("share", [0, 1e-9, 0.003, 0.3, 0.5, 0.97, 1])
def test_the_binomial_tail_is_scipys(n, share):
    for k in {-1, 0, n // 300, n // 3, n - 1, n}:
        found = statistics.binomial_tail(k, n, share)
        assert found <= 1
        assert found == pytest.approx(stats.binom.cdf(k, n, share), rel=1e-8, abs=1e-300)


COUNTS = [(0, 1), (1, 1), (0, 300), (1, 10), (7, 20), (299, 300), (30, 30), (31, 10_000)]


@pytest.mark.parametrize(("hits", "n"), COUNTS)
def test_the_exact_intervals_are_scipys(hits, n):
    both = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert statistics.clopper_pearson(hits, n) == pytest.approx((both.low, both.high), abs=1e-12)
    one_sided = stats.binomtest(hits, n, alternative="less").proportion_ci(0.95, method="exact")
    assert statistics.upper_bound(hits, n) == pytest.approx(one_sided.high, abs=1e-12)


def test_no_error_in_300_images_leaves_one_in_a_hundred():
    """The rule of three, in closed form: (1 - p)^n = 5 %."""
    assert statistics.upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert statistics.upper_bound(0, 300) == pytest.approx(0.01, rel=0.01)


@pytest.mark.filterwarnings("error")
def test_of_nothing_there_is_no_mean_and_no_interval():
    assert math.isnan(statistics.mean(np.empty(0)))
    assert all(map(math.isnan, statistics.wilson_interval(0, 0)))
    assert all(map(math.isnan, statistics.clopper_pearson(0, 0)))
    assert math.isnan(statistics.upper_bound(0, 0))


def test_the_mean():
    assert statistics.mean(np.array([True, False, False, False])) == 0.25


@pytest.mark.parametrize("counts", [(30, 1000, 10, 2000), (5, 50, 0, 70), (900, 1000, 1500, 2000)])
def test_the_z_of_two_shares_is_the_root_of_pearsons_chi_square(counts):
    a, n, b, m = counts
    table = [[a, n - a], [b, m - b]]
    theirs = stats.chi2_contingency(table, correction=False).statistic
    found = statistics.z_of_difference(a / n, n, b / m, m)
    assert abs(found) == pytest.approx(theirs**0.5)
    assert (found > 0) == (a / n > b / m)


def test_two_shares_without_a_difference():
    assert statistics.z_of_difference(0.0, 10, 0.0, 20) == 0
    assert statistics.z_of_difference(1.0, 10, 1.0, 20) == 0
    assert math.isnan(statistics.z_of_difference(math.nan, 0, 0.5, 20))
    assert math.isnan(statistics.z_of_difference(0.5, 0, 0.5, 20))
    assert math.isnan(statistics.z_of_difference(0.5, 20, 0.5, 0))
