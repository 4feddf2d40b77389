"""The verdict on each question, by rules that were fixed beforehand.

A set of images *fails* if it is beyond one of the bounds below.  It is *worse* if it differs from
real images by more than chance (three standard deviations), and *as real* otherwise.  The verdict
is *unknown* if a number could not be measured, and *cannot judge* if the images are too strange to
the referee for it to judge whether they are right.
"""

import math

import numpy as np

from trust.statistics import Z95, z_of_difference

QUESTIONS = ("right", "balanced", "varied", "new", "useful")
AS_REAL, WORSE, FAILS, UNKNOWN = "as real", "worse", "fails", "unknown"
LOST = "cannot judge"
CAUGHT = WORSE, FAILS
CHANCE = 3.0  # standard deviations
LOST_BELOW = 0.1  # cannot judge if the referee is less sure than of real images by more than this
MOST_ERRORS = 0.05  # right fails if error_low is above this: the classifier was 95 % sure
LEAST_BALANCE = 0.05  # balanced fails at this smallest class / largest class, over real counts
IMAGES = 5000  # that recall and coverage are measured with
LEAST_VARIETY = 0.5  # varied fails below this share of real images' recall or coverage
MOST_LOSS = 0.1  # useful fails if accuracy is below that of real images by more than this


def verdict(fails: bool, worse: bool, *numbers: float) -> str:
    """One of four verdicts, from whether either rule applies and the numbers that the rules use."""
    if fails:
        return FAILS
    if worse:
        return WORSE
    return UNKNOWN if any(map(math.isnan, numbers)) else AS_REAL


def right(numbers: dict, real: dict) -> str:
    """The verdict from the estimated errors of the set and of real images, their intervals, and how
    sure the referee is of its labels."""
    if real["referee_confidence"] - numbers["referee_confidence"] > LOST_BELOW:
        return LOST
    difference = numbers["error_estimate"] - real["error_estimate"]
    below = numbers["error_estimate"] - numbers["error_low"]
    above = real["error_high"] - real["error_estimate"]
    chance = CHANCE * math.hypot(below, above) / Z95  # Zou & Donner 2008
    return verdict(numbers["error_low"] > MOST_ERRORS, difference > chance, difference)


def balanced(counts: np.ndarray, real_counts: np.ndarray) -> str:
    """The verdict from the counts of each class, (classes,) integer, in the set and real images."""
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
    """The verdict from recall and coverage, each a share of n test images."""
    n = min(n, IMAGES)
    pairs = [(numbers[key], real[key]) for key in ("recall", "coverage")]
    z = [z_of_difference(other, n, share, n) for share, other in pairs]
    fails = any(share < LEAST_VARIETY * other for share, other in pairs)
    return verdict(fails, any(each > CHANCE for each in z), *z)


def new(numbers: dict) -> str:
    """The verdict from new.seen_or_unseen(), which is compared with chance: a lean of the closest
    1 % fails, because it points to copies; a lean of more images is worse."""
    copies = [numbers[key] for key in ("closest_1_lean_z", "closest_1_moved_lean_z")]
    lean = [numbers[key] for key in ("lean_z", "closest_5_lean_z", "closest_5_moved_lean_z")]
    found = (any(z < -CHANCE for z in each) for each in (copies, lean))
    return verdict(*found, *copies, *lean)


def useful(numbers: dict, real: dict, n: int) -> str:
    """The verdict from the accuracy, on n test images, of classifiers that learned from the set and
    from real images."""
    accuracy, other = numbers["accuracy"], real["accuracy"]
    z = z_of_difference(other, n, accuracy, n)
    return verdict(other - accuracy > MOST_LOSS, z > CHANCE, z)


def verdicts(numbers: dict, real: dict, counts, real_counts, n: int) -> dict:
    """{question: verdict} for a set.  numbers, real: {question: {key: number}} of the set and of
    real images.  counts, real_counts: (classes,) integer, the images of each class in both.  n: the
    number of test images."""
    return {
        "right": right(numbers["right"], real["right"]),
        "balanced": balanced(counts, real_counts),
        "varied": varied(numbers["varied"], real["varied"], n),
        "new": new(numbers["new"]),
        "useful": useful(numbers["useful"], real["useful"], n),
    }
