"""The four verdicts, and the one rule by which each question gives them.

A set of images *fails* if it is beyond the bound of the question.  It is *worse* if it differs from
real images by more than chance.  It is *as real* only if a set that fails would have been seen: if
the smallest difference that is found in four of five cases is not beyond the bound, for each number
that has one.  Else the verdict is *cannot tell*, with the reason in a few words.  The bounds stand
in the rooms of the questions; they were fixed before any set was examined.
"""

import math
from typing import NamedTuple

QUESTIONS = ("right", "realistic", "balanced", "varied", "new", "useful")
AS_REAL, WORSE, FAILS, CANNOT_TELL = "as real", "worse", "fails", "cannot tell"
CAUGHT = WORSE, FAILS  # the bad ones, the worst last
FALSE_ALARM = 0.002  # the probability, of each question, that an honest set is called worse
POWER = 0.8  # the share of cases in which a difference is found that counts as detectable
CHANCE = 3.0  # standard deviations from which several seeds together are worse
TOO_FEW = "too few images"


class Verdict(NamedTuple):
    """word: one of the four.  why: the reason of *cannot tell*, else an empty string.
    detectable: the smallest difference from real images, in the unit of the question's number, that
    would have been called worse in four of five cases; NaN where it is not known."""

    word: str
    why: str
    detectable: float


class Scale(NamedTuple):
    """How far a set is on the way from real images to the bound at which it fails, by the number
    of the question that the verdict hangs on: what a picture of the answer shows.

    key: of this number.  number, low, high: of the set, with a 95 % interval if one is known.
    real: of real images.  Between real_low and real_high a set is not called worse by this number.
    fails_at: the bound, above or below `real`.  shows_from: the smallest difference that would have
    been called worse in four of five cases lies here.  All in one unit, NaN where not known.
    """

    key: str
    number: float
    real: float
    fails_at: float
    low: float = math.nan
    high: float = math.nan
    real_low: float = math.nan
    real_high: float = math.nan
    shows_from: float = math.nan


def decide(
    fails: bool,
    worse: bool,
    detectable: float,
    bound: float,
    doubt: str = "",
    too_few: str = TOO_FEW,
) -> Verdict:
    """The Verdict from whether the rules apply.  detectable, bound: differences in the same unit.
    doubt: a reason why nothing can be said in favour of the set, or an empty string.  too_few: the
    reason where what fails would not have been seen."""
    if fails:
        return Verdict(FAILS, "", detectable)
    if worse:
        return Verdict(WORSE, "", detectable)
    if doubt or not detectable <= bound:  # also where it is NaN
        return Verdict(CANNOT_TELL, doubt or too_few, detectable)
    return Verdict(AS_REAL, "", detectable)


def pooled(words: list[str], evidence: list[dict]) -> str:
    """The verdict of several seeds together.  words: the verdict of each.  evidence: for each the
    {number: by how many standard deviations it is worse than that of real images}.

    Where most seeds fail, or most cannot tell, so do all together.  Else the sum of a number's
    evidence over the root of how many there are says whether it is worse (Stouffer et al. 1949).
    """
    most = [word for word in (FAILS, CANNOT_TELL) if 2 * words.count(word) > len(words)]
    if most:
        return most[0]
    z = [sum(each[key] for each in evidence) / math.sqrt(len(evidence)) for key in evidence[0]]
    known = [each for each in z if not math.isnan(each)]
    return WORSE if max(known, default=0.0) > CHANCE else AS_REAL
