"""What differs between two sets that were examined beside the same real images."""

import itertools
import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from trust.ask import new, realistic, right, useful, varied
from trust.ask.questions import Asked
from trust.ask.verdicts import AS_REAL, CAUGHT, FALSE_ALARM


class Difference(NamedTuple):
    """first, second: the names of two sets.  z: {question: by how many standard deviations the
    first is better}, NaN where it cannot be said.  limit: from there on it is more than chance."""

    first: str
    second: str
    z: dict[str, float]
    limit: float


class Sides(NamedTuple):
    """The questions in which the first of two sets is better than the second, in which it is worse,
    in which they differ by no more than chance, and in which that cannot be said.  for_first,
    for_second: those in which neither is better, and only this one is as real."""

    better: list[str]
    worse: list[str]
    same: list[str]
    unknown: list[str]
    for_first: list[str]
    for_second: list[str]


class Best(NamedTuple):
    """name: of the best of several sets, None where no set is.  why: a sentence."""

    name: str | None
    why: str


def limit_of(pairs: int) -> float:
    """The z that is more than chance among so many pairs: with the probability FALSE_ALARM one of
    them, of equal sets, is beyond it in a question (Bonferroni), in one direction or the other."""
    return NormalDist().inv_cdf(1 - FALSE_ALARM / 2 / max(pairs, 1))


def differences(asked: dict[str, Asked], sets: dict[str, dict], seed: int) -> list[Difference]:
    """The Difference of each two subjects.  *Balanced* is not compared: how far a set is from the
    classes' due is no matter of chance alone.

    asked: {subject: Asked, of it alone}.  sets: {subject: {set: {question: {key: number}}}}, of it
    and of what stands beside it.  seed: of the network that ranks the sets.
    """
    pairs = [*itertools.combinations(asked, 2)]
    own = {name: each[name] for name, each in sets.items()}
    some = next(iter(asked.values()))
    counts = np.min([each.beside.counts for each in asked.values()], axis=0)
    passing = {name: each.subjects[name].passing for name, each in asked.items()}
    real = {name: each["real"] for name, each in sets.items()}
    rooms = next(iter(real.values()))
    logits, parts, smallest = {}, {}, ""
    if "realistic" in rooms:
        logits = realistic.rank_together(passing, some.beside.like_fresh(), counts, seed)
    if "varied" in rooms:
        parts = {name: varied.shares_of_parts(each, name, counts) for name, each in asked.items()}
        # Its real parts are the most like those that are compared.
        smallest = min(own, key=lambda name: own[name]["varied"]["images"])

    def differ(question, a, b):
        numbers, others = own[a][question], own[b][question]
        if question == "right":
            return right.differs(numbers, others, real[a]["right"])
        if question == "realistic":
            return realistic.differs(logits[a], logits[b])
        if question == "varied":
            return varied.differs(
                numbers,
                others,
                parts=parts[a],
                other_parts=parts[b],
                real=real[smallest]["varied"],
            )
        if question == "new":
            return new.differs(numbers, others, n=len(passing[a]), m=len(passing[b]))
        return useful.differs(numbers, others, real[a]["useful"], real[b]["useful"])

    compared = "right", "realistic", "varied", "new", "useful"
    there = [question for question in compared if question in rooms]
    return [
        Difference(a, b, {each: differ(each, a, b) for each in there}, limit_of(len(pairs)))
        for a, b in pairs
    ]


def sides(
    z: dict[str, float], limit: float, words: dict[str, str], others: dict[str, str]
) -> Sides:
    """What speaks for either of two sets.  z, limit: as in Difference.  words, others: {question:
    verdict} of the first and of the second.  *Balanced* has no z: there the verdicts decide."""
    found = Sides([], [], [], [], [], [])
    for question, word in words.items():
        value, other = z.get(question, math.nan), others[question]
        if abs(value) >= limit:
            (found.better if value > 0 else found.worse).append(question)
            continue
        for_first, for_second = word == AS_REAL != other, other == AS_REAL != word
        if question not in z and {word, other} & {*CAUGHT} and (for_first or for_second):
            (found.better if for_first else found.worse).append(question)
            continue
        if question in z:
            (found.unknown if math.isnan(value) else found.same).append(question)
        if for_first or for_second:
            (found.for_first if for_first else found.for_second).append(question)
    return found


def best_of(verdicts: dict[str, dict[str, str]], found: list[Difference]) -> Best:
    """The set that is better than each other in some question, while nothing speaks for another: no
    difference that is more than chance, and no verdict.  verdicts: {set: {question: word}}."""
    better: dict[tuple, list[str]] = {}  # {(set, another): in which questions it is better}
    only: dict[tuple, list[str]] = {}  # ... or it alone is as real
    for first, second, z, limit in found:
        each = sides(z, limit, verdicts[first], verdicts[second])
        better |= {(first, second): each.better, (second, first): each.worse}
        only |= {(first, second): each.for_first, (second, first): each.for_second}

    def beaten(name):
        return next((other for other in verdicts if better.get((other, name))), None)

    leading = [name for name in verdicts if not beaten(name)]
    if not leading:
        of_each = (
            f"{name} than {other} in {', '.join(better[other, name])}"
            for name in verdicts
            if (other := beaten(name))
        )
        return Best(None, f"none, as each is worse than another: {'; '.join(of_each)}")
    name = leading[0]
    others = [other for other in verdicts if other != name]
    if equal := [other for other in others if not better[name, other]]:
        nothing = f"between {_joined([name, *equal])} nothing more than chance"
        if len(equal) + 1 == len(verdicts):
            return Best(None, f"none, as {nothing} was found")
        return Best(
            None,
            f"none, as {nothing} was found, though {name} is better than each other one",
        )
    for other in others:
        if questions := only[other, name]:
            question = questions[0]
            return Best(
                None,
                f"none, as {name} is better than each other in something, but its answer to "
                f"{question} is {verdicts[name][question]}, that of {other} is {AS_REAL}",
            )
    why = ", ".join(f"than {other} in {' and '.join(better[name, other])}" for other in others)
    why = f"{name}, better {why}; nothing speaks for another"
    if bad := [f"{key}? {word}" for key, word in verdicts[name].items() if word in CAUGHT]:
        why += f"; but beside real images {', '.join(bad)}"
    return Best(name, why)


def _joined(names) -> str:
    """a, b and c."""
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last
