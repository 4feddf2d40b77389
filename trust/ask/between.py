"""What differs between two sets that were examined beside the same real images."""

import itertools
from statistics import NormalDist
from typing import NamedTuple

from trust.ask import new, realistic, right, useful, varied
from trust.ask.questions import Asked
from trust.ask.verdicts import FALSE_ALARM


class Difference(NamedTuple):
    """first, second: the names of two sets.  z: {question: by how many standard deviations the
    first is better}, NaN where it cannot be said.  limit: from there on it is more than chance."""

    first: str
    second: str
    z: dict[str, float]
    limit: float


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
    passing = {name: each.subjects[name].passing for name, each in asked.items()}
    logits, parts = {}, {}
    real = next(iter(sets.values()))["real"]
    if "realistic" in real:
        logits = realistic.rank_together(
            passing, some.beside.like_fresh(), some.beside.counts, seed
        )
    if "varied" in real:
        parts = {
            name: varied.shares_of_parts(each, name, own[name]["varied"]["parts"])
            for name, each in asked.items()
        }

    def differ(question, a, b):
        numbers, others = own[a][question], own[b][question]
        if question == "right":
            return right.differs(numbers, others, real["right"])
        if question == "realistic":
            return realistic.differs(logits[a], logits[b])
        if question == "varied":
            return varied.differs(
                numbers, others, parts=parts[a], other_parts=parts[b], real=real["varied"]
            )
        if question == "new":
            return new.differs(numbers, others, n=len(passing[a]), m=len(passing[b]))
        return useful.differs(numbers, others, real["useful"])

    compared = "right", "realistic", "varied", "new", "useful"
    there = [question for question in compared if question in real]
    return [
        Difference(a, b, {each: differ(each, a, b) for each in there}, limit_of(len(pairs)))
        for a, b in pairs
    ]
