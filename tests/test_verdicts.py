"""The one rule of all verdicts, and the verdict of several seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, TOO_FEW, WORSE, decide, pooled
from trust.examination import ROOMS


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
    # where one number is not known, the other counts
    blurred = [{"told_apart": math.nan, "blurred": 9.0}] * 3
    assert pooled([WORSE] * 3, blurred) == WORSE
    assert pooled([AS_REAL] * 3, [{"told_apart": math.nan}] * 3) == AS_REAL
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


# The grey of answers.png


def judged_by(question, number):
    """The Verdict and the Scale of a set of which one number is given, all else as of real ones."""
    room = ROOMS[question]
    real = {"error_estimate": 0.01, "error_low": 0.005, "error_high": 0.02, "told_apart": 0.5}
    real |= {"recall": 0.9, "recall_sd": 0.01, "coverage": 0.9, "coverage_sd": 0.01, "parts": 15}
    real |= {"frechet": 1.0, "frechet_sd": 0.1, "accuracy": 0.9, "accuracy_sd": 0.004, "sets": 4}
    real |= {"freedom": 3, "referee_confidence": 0.99, "images": 1000}
    few = {"detectable": 0.001, "twins": 0, "twins_limit": 9, "copies": 0, "copies_moved": 0}
    few |= {"copies_limit": 9, "class_spread": 1.0, "class_spread_limit": 0.8, "nonsense_z": 9.0}
    few |= {"blurred": 0.5, "blurred_z": 0.0, "blurred_limit": 0.6, "worse_from": 0.025}
    few |= {"told_apart_low": 0.5, "told_apart_high": 0.6, "expected_share": 0.8, "lean": 0.0}
    few |= {"lean_detectable": 0.2}
    few |= {"flagged_noisy": 1.0, "closest_5_lean_z": 0.0, "closest_5_moved_lean_z": 0.0}
    numbers = real | few
    key = {"right": "error_estimate", "realistic": "told_apart", "varied": "recall"}
    key |= {"new": "seen_share", "useful": "accuracy"}
    numbers[key[question]] = number
    numbers["told_apart_z"] = (numbers["told_apart"] - 0.5) / (0.5 / math.sqrt(1000))
    if question == "new":
        numbers["lean_z"] = (0.8 - number) / 0.01
    return room.verdict(numbers, real), room.scale(numbers, real)


@pytest.mark.parametrize(
    ("question", "ordinary", "worse_above"),
    [
        ("right", 0.011, True),
        ("realistic", 0.501, True),
        ("varied", 0.899, False),
        ("new", 0.801, True),
        ("useful", 0.899, False),
    ],
)
def test_a_set_is_worse_just_where_the_grey_ends(question, ordinary, worse_above):
    """By this number, of course: a set may be worse by another one."""
    _, scale = judged_by(question, ordinary)
    edge, step = (scale.real_high, 1e-6) if worse_above else (scale.real_low, -1e-6)
    assert scale.real_low < scale.real < scale.real_high
    assert judged_by(question, edge - step)[0].word == AS_REAL
    assert judged_by(question, edge + step)[0].word == WORSE
