import math

import numpy as np
import pytest
from scipy import stats

from trust.ask import verdicts
from trust.ask.estimates import ERROR, known_error


def rightness(error, n=5000, sure=0.99):
    """Of n images, so many of which are wrong."""
    wrong = np.arange(n) < round(error * n)
    return known_error(wrong.astype(int), np.zeros(n, int)) | {"referee_confidence": sure}


def test_right():
    real = rightness(0.005)
    assert verdicts.right(rightness(0.006), real) == "as real"
    assert verdicts.right(rightness(0.0), real) == "as real"  # better is not worse
    assert verdicts.right(rightness(0.0), rightness(0.05)) == "as real"
    assert verdicts.right(rightness(0.015), real) == "worse"
    assert verdicts.right(rightness(0.02, n=100), real) == "as real"
    assert verdicts.right(rightness(0.058), real) == "fails"
    assert verdicts.right(rightness(0.058, n=500), real) == "worse"  # may be below 5 %
    assert verdicts.right(rightness(0.1, sure=0.88), real) == "cannot judge"
    assert verdicts.right(rightness(0.1, sure=0.9), real) == "fails"
    nothing = dict.fromkeys([*ERROR, "referee_confidence"], math.nan)
    assert verdicts.right(nothing, real) == verdicts.right(real, nothing) == "unknown"


def test_balanced():
    real = np.array([1000, 900, 800])
    assert verdicts.balanced(np.array([500, 480, 410]), real) == "as real"
    assert verdicts.balanced(np.array([500, 500, 500]), real) == "as real"
    assert verdicts.balanced(np.array([500, 500, 200]), real) == "worse"
    assert verdicts.balanced(np.array([5, 5, 2]), real) == "as real"  # too few to say
    assert verdicts.balanced(np.array([500, 500, 20]), real) == "fails"
    assert verdicts.balanced(np.array([500, 500, 0]), real) == "fails"
    assert verdicts.balanced(np.array([0, 0, 0]), real) == "fails"
    assert verdicts.balanced(np.array([5, 4, 3]), np.array([9, 0, 9])) == "unknown"
    even = np.array([1000, 1000, 1000])
    assert verdicts.balanced(np.array([500, 500, 25]), even) == "fails"
    assert verdicts.balanced(np.array([500, 500, 26]), even) == "worse"
    # as unbalanced as the real images are
    assert verdicts.balanced(np.array([800, 80]), np.array([1000, 100])) == "as real"
    assert verdicts.balanced(np.array([800, 8]), np.array([1000, 10])) == "as real"
    # what is common among real images is rare here
    assert verdicts.balanced(np.array([50, 800]), np.array([800, 50])) == "fails"


def test_two_draws_of_one_kind_are_rarely_called_unbalanced():
    rng, shares = np.random.default_rng(0), np.linspace(1, 2, 10) / 15
    draws = rng.multinomial(5000, shares, (2000, 2))
    calls = [verdicts.balanced(*pair) for pair in draws]
    assert np.mean([call == "worse" for call in calls]) < 0.01


def variety(recall, coverage):
    return {"recall": recall, "coverage": coverage}


def test_varied():
    real = variety(0.9, 0.96)
    assert verdicts.varied(variety(0.89, 0.955), real, 10_000) == "as real"
    assert verdicts.varied(variety(0.85, 0.96), real, 10_000) == "worse"
    assert verdicts.varied(variety(0.9, 0.94), real, 10_000) == "worse"
    assert verdicts.varied(variety(0.85, 0.96), real, 100) == "as real"
    assert verdicts.varied(variety(0.44, 0.96), real, 10_000) == "fails"
    assert verdicts.varied(variety(0.9, 0.47), real, 10_000) == "fails"
    assert verdicts.varied(variety(math.nan, math.nan), real, 10_000) == "unknown"
    assert verdicts.varied(variety(0.89, math.nan), real, 10_000) == "unknown"
    assert verdicts.varied(variety(0.44, math.nan), real, 10_000) == "fails"  # that is enough
    # No more than 5,000 images are looked at: 94 of them fewer are three standard deviations.
    assert verdicts.varied(variety(0.8825, 0.96), real, 10_000) == "as real"
    assert verdicts.varied(variety(0.8805, 0.96), real, 10_000) == "worse"


def newness(**z):
    depths = (f"closest_{depth}lean_z" for depth in ("1_", "5_", "1_moved_", "5_moved_"))
    keys = "lean_z", *depths
    return dict.fromkeys(keys, -2.9) | z


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        ("lean_z", "worse"),
        ("closest_5_lean_z", "worse"),
        ("closest_5_moved_lean_z", "worse"),
        ("closest_1_lean_z", "fails"),
        ("closest_1_moved_lean_z", "fails"),
    ],
)
def test_new(key, verdict):
    assert verdicts.new(newness()) == "as real"
    assert verdicts.new(newness(**{key: -3.1})) == verdict
    assert verdicts.new(newness(**{key: 9.0})) == "as real"  # a lean to what was not seen
    assert verdicts.new(newness(**{key: math.nan})) == "unknown"
    other = "lean_z" if key != "lean_z" else "closest_5_lean_z"
    assert verdicts.new(newness(**{key: -3.1, other: math.nan})) == verdict


def test_useful():
    real = {"accuracy": 0.9}
    assert verdicts.useful({"accuracy": 0.895}, real, 10_000) == "as real"
    assert verdicts.useful({"accuracy": 0.95}, real, 10_000) == "as real"
    assert verdicts.useful({"accuracy": 0.88}, real, 10_000) == "worse"
    assert verdicts.useful({"accuracy": 0.88}, real, 500) == "as real"
    assert verdicts.useful({"accuracy": 0.79}, real, 500) == "fails"
    assert verdicts.useful({"accuracy": math.nan}, real, 500) == "unknown"


def test_chance_alone_rarely_makes_a_set_worse():
    rng = np.random.default_rng(1)
    shares = rng.binomial(5000, 0.01, (5000, 2)) / 5000
    calls = [verdicts.right(rightness(a), rightness(b)) for a, b in shares]
    # one-sided: what is better than real images is not called worse
    assert np.mean([call == "worse" for call in calls]) < 3 * stats.norm.sf(3)


def test_a_verdict_for_each_question():
    numbers = {
        "right": rightness(0.01),
        "varied": variety(0.9, 0.9),
        "new": newness(lean_z=-4.0),
        "useful": {"accuracy": 0.7},
    }
    real = numbers | {"useful": {"accuracy": 0.9}}
    counts = np.array([5, 5])
    assert verdicts.verdicts(numbers, real, counts, counts, 1000) == {
        "right": "as real",
        "balanced": "as real",
        "varied": "as real",
        "new": "worse",
        "useful": "fails",
    }
