"""The verdict on each question, by rules that were fixed beforehand.

A set of images *fails* where a bound below is passed, is *worse* where it differs from real images
by more than chance (three standard deviations), and else it is *as real*.  Where a number could not
be measured the verdict is *unknown*, and where the images are strange to the referee it *cannot
judge* whether they are right.
"""

import math

import numpy as np

from trust.right import Z95
from trust.varied import IMAGES

QUESTIONS = ("right", "balanced", "varied", "new", "useful")
AS_REAL, WORSE, FAILS, UNKNOWN = "as real", "worse", "fails", "unknown"
LOST = "cannot judge"
CAUGHT = WORSE, FAILS
CHANCE = 3.0  # standard deviations
LOST_BELOW = 0.1  # the referee is lost where it is so much less sure than of real images
MOST_ERRORS = 0.05  # right fails where more are wrong for certain: the classifier was 95 % sure
LEAST_BALANCE = 0.05  # balanced fails where a class has less of another's share of real images
LEAST_VARIETY = 0.5  # varied fails below this share of real images' recall or coverage
MOST_LOSS = 0.1  # useful fails where accuracy falls short by more


def verdict(fails: bool, worse: bool, *numbers: float) -> str:
    """One of the four, from whether the rules hold and the numbers that they were asked of."""
    if fails:
        return FAILS
    if worse:
        return WORSE
    return UNKNOWN if any(map(math.isnan, numbers)) else AS_REAL


def z_of_difference(share: float, n: int, other: float, m: int) -> float:
    """How many standard deviations the share of n images lies above that of m others, if both are
    drawn from the same: NaN where a share is or an n is 0, 0 where both are all or nothing."""
    if math.isnan(share) or math.isnan(other) or not n * m:
        return math.nan
    pooled = (share * n + other * m) / (n + m)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return (share - other) / deviation if deviation > 1e-12 else 0.0


def right(numbers: dict, real: dict) -> str:
    """From the error of either kind and its interval, and how sure the referee is of its word."""
    if real["referee_confidence"] - numbers["referee_confidence"] > LOST_BELOW:
        return LOST
    difference = numbers["error_estimate"] - real["error_estimate"]
    below = numbers["error_estimate"] - numbers["error_low"]
    above = real["error_high"] - real["error_estimate"]
    chance = CHANCE * math.hypot(below, above) / Z95  # Zou & Donner 2008
    return verdict(numbers["error_low"] > MOST_ERRORS, difference > chance, difference)


def balanced(counts: np.ndarray, real_counts: np.ndarray) -> str:
    """From the images of each class, (classes,) integer, of both kinds."""
    if not real_counts.all():
        return UNKNOWN
    shares = counts / real_counts
    if shares.min() <= LEAST_BALANCE * shares.max():
        return FAILS
    least, real_least = (each.min() / each.max() for each in (counts, real_counts))
    # The logarithm of a ratio of counts has about this variance.
    ends = [end for each in (counts, real_counts) for end in (each.min(), each.max())]
    z = math.log(real_least / least) / math.sqrt(sum(1 / n for n in ends))
    return verdict(False, z > CHANCE, z)


def varied(numbers: dict, real: dict, n: int) -> str:
    """From recall and coverage of n test images."""
    n = min(n, IMAGES)
    pairs = [(numbers[key], real[key]) for key in ("recall", "coverage")]
    z = [z_of_difference(other, n, share, n) for share, other in pairs]
    fails = any(share < LEAST_VARIETY * other for share, other in pairs)
    return verdict(fails, any(each > CHANCE for each in z), *z)


def new(numbers: dict) -> str:
    """From the test seen or unseen, whose counterpart is chance: copies fail, a lean to what was
    seen is worse."""
    copies = [numbers[key] for key in ("closest_1_lean_z", "closest_1_moved_lean_z")]
    lean = [numbers[key] for key in ("lean_z", "closest_5_lean_z", "closest_5_moved_lean_z")]
    found = (any(z < -CHANCE for z in each) for each in (copies, lean))
    return verdict(*found, *copies, *lean)


def useful(numbers: dict, real: dict, n: int) -> str:
    """From the accuracy on n test images of what learned from images of either kind."""
    accuracy, other = numbers["accuracy"], real["accuracy"]
    z = z_of_difference(other, n, accuracy, n)
    return verdict(other - accuracy > MOST_LOSS, z > CHANCE, z)


def verdicts(numbers: dict, real: dict, counts, real_counts, n: int) -> dict:
    """{question: verdict} of {question: {key: number}} of a set and of real images, the images of
    each class in both, (classes,) integer, and n test images."""
    return {
        "right": right(numbers["right"], real["right"]),
        "balanced": balanced(counts, real_counts),
        "varied": varied(numbers["varied"], real["varied"], n),
        "new": new(numbers["new"]),
        "useful": useful(numbers["useful"], real["useful"], n),
    }
