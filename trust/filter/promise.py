"""The promise: the loosest threshold that, with 95 % confidence, lets few enough errors pass."""

import math
from typing import NamedTuple

import numpy as np

from trust import statistics
from trust.cli import UserError
from trust.data.images import ImageSet
from trust.data.splits import distinct
from trust.filter.quotas import WEAK

# Thresholds from strict to loose, 0.999999 to WEAK, fixed before any image is seen: ten steps for
# each power of ten, in the round numbers of Renard's series.
STEPS = np.array([1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8])
GRID = np.round(1 - np.outer(10.0 ** np.arange(-6, 0), STEPS).ravel(), 9)
GRID = GRID[GRID >= WEAK]


class PromiseError(UserError):
    """No threshold keeps the promise; the message says the least that so many images can show."""


class Promise(NamedTuple):
    """What was promised, and the evidence: the labelled images that pass the threshold, with the
    labels (n,) that the classifier gave to them and their true ones, truth (n,)."""

    max_error: float
    threshold: float
    labels: np.ndarray
    truth: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Which of the labels are wrong, (n,) bool."""
        return self.labels != self.truth

    def by_class(self, classes: int) -> dict:
        """{key: (classes,) float}: the share of wrong ones among the images that the classifier
        takes for each class; the upper bound of that share alone; and a lower bound, which holds
        for all classes together with a probability of 95 %; NaN where there is none."""
        counts = np.bincount(self.labels, minlength=classes)
        wrong = np.bincount(self.labels[self.wrong], minlength=classes)
        pairs, risk = list(zip(wrong, counts, strict=True)), 0.05 / classes
        with np.errstate(invalid="ignore"):
            return {
                "promise_wrong": wrong / counts,
                "promise_low": np.array([statistics.lower_bound(k, n, risk) for k, n in pairs]),
                "promise_bound": np.array([statistics.upper_bound(k, n) for k, n in pairs]),
            }


def loosest_threshold(confidence: np.ndarray, wrong: np.ndarray, max_error: float) -> float | None:
    """The loosest threshold of GRID before the first that fails.  GRID is searched from strict to
    loose; a threshold fails if the upper bound (95 % confidence) on the share of wrong images among
    those that pass it is above max_error.  None if the first threshold fails.

    Each threshold is a hypothesis, and they are tested in a fixed order until one fails.  So the
    share is at most max_error with a probability of 95 % at the threshold that is found, though
    many were tried (Angelopoulos et al. 2021, fixed sequence testing; the bound of Geifman &
    El-Yaniv 2017).  The first is the strictest that lets enough images pass for one of them to be
    wrong.  This start depends on the confidence, not on which images are wrong; that is safe as
    long as surer images are no more often wrong.  The loosest is WEAK, whatever the promise.

    confidence: (n,) float.  wrong: (n,) bool.  max_error: above 0, below 1.
    """
    found = None
    for threshold in GRID:
        passing = confidence >= threshold
        n = np.count_nonzero(passing)
        if statistics.binomial_tail(1, n, max_error) > 0.05:
            continue
        # The bound is above max_error if, at that share, so few wrong images are not unlikely.
        if statistics.binomial_tail(np.count_nonzero(wrong & passing), n, max_error) > 0.05:
            break
        found = float(threshold)
    return found


def halves(held_out: ImageSet, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of two halves of the held-out images, one for the temperature, one for the threshold.
    Of equal images only the first is used, because the bound assumes independent images."""
    first, _ = distinct(held_out.images)
    return np.array_split(rng.permutation(first), 2)


def least_error(n: int) -> float:
    """The smallest max_error that n labelled images, one of them wrong, can show, rounded up to two
    digits."""
    least = statistics.upper_bound(1, max(n, 1))
    unit = 10.0 ** (math.floor(math.log10(least)) - 1)
    return math.ceil(least / unit) * unit


def check_possible(max_error: float, n: int) -> None:
    """Raises PromiseError where n labelled images could not show so small an error."""
    if statistics.binomial_tail(1, n, max_error) > 0.05:
        raise PromiseError(
            f"--max-error {max_error:g} is too small: half of the held-out images, {n:,}, can show "
            f"no less than {least_error(n):.2g}"
        )
