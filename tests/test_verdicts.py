"""The one rule of all verdicts, and the verdict of several seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, TOO_FEW, WORSE, decide, pooled


@pytest.mark.parametrize(
    ("fails", "worse", "detectable", "doubt", "word", "why"),
    [
        (False, False, 0.04, "", AS_REAL, ""),
        (False, False, 0.05, "", AS_REAL, ""),  # just seen
        (False, False, 0.051, "", CANNOT_TELL, TOO_FEW),  # what fails would not have been seen
        (False, False, math.nan, "", CANNOT_TELL, TOO_FEW),
        (False, False, 0.04, "unlike real ones", CANNOT_TELL, "unlike real ones"),
        (False, False, 0.06, "unlike real ones", CANNOT_TELL, "unlike real ones"),
        # what was seen was seen, however few images there are
        (False, True, math.nan, "", WORSE, ""),
        (False, True, 0.04, "unlike real ones", WORSE, ""),
        (True, True, 0.9, "unlike real ones", FAILS, ""),
        (True, False, math.nan, "", FAILS, ""),
    ],
)
def test_the_rule(fails, worse, detectable, doubt, word, why):
    found = decide(fails, worse, detectable, bound=0.05, doubt=doubt)
    assert (found.word, found.why) == (word, why)
    assert found.detectable is detectable


def test_seeds_together_are_worse_where_their_sum_is_more_than_chance():
    def of(*z):
        return pooled([AS_REAL] * len(z), [{"a": each, "b": 0.1} for each in z])

    assert of(0.96, 2.4, 2.9) == WORSE  # none of them alone
    assert of(1.7, 1.7, 1.7) == AS_REAL and of(2.9) == AS_REAL and of(-9.0, 1.0, 1.0) == AS_REAL
    rng = np.random.default_rng(0)
    for z in rng.normal(1.5, 1, (50, 3)):
        chance = stats.combine_pvalues(stats.norm.sf(z), method="stouffer").pvalue
        assert (of(*z) == WORSE) == (chance < stats.norm.sf(3))


def test_most_seeds_decide_that_all_fail_or_that_nothing_can_be_said():
    high, low = {"a": 9.0}, {"a": 0.0}
    assert pooled([FAILS, FAILS, AS_REAL], [low, low, low]) == FAILS
    assert pooled([FAILS, AS_REAL, AS_REAL], [low, low, low]) == AS_REAL
    assert pooled([FAILS, AS_REAL], [high, low]) == WORSE
    assert pooled([CANNOT_TELL, CANNOT_TELL, WORSE], [low, low, high]) == CANNOT_TELL
    assert pooled([WORSE], [high]) == WORSE and pooled([AS_REAL], [low]) == AS_REAL
