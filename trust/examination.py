"""The examination: the only place where the questions are asked about sets of images."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from trust.ask import balanced, helps, new, promised, realistic, right, useful, varied
from trust.ask.neighbours import Neighbours
from trust.ask.questions import Asked, Beside, look
from trust.ask.reference import Reference
from trust.ask.verdicts import Verdict
from trust.data.images import ImageSet
from trust.filter.filters import Filtered

# An image belongs to the first group that applies, in this order: our filter stops it; the referee
# says another class; new.flag() flags it; realistic.beyond_real() does; nothing is against it.
GROUPS = ("doubtful", "another-class", "copy", "surely-unreal", "trusted")
DOUBTFUL, ANOTHER_CLASS, COPY, SURELY_UNREAL, TRUSTED = GROUPS

ROOMS = {
    "right": right,
    "realistic": realistic,
    "balanced": balanced,
    "varied": varied,
    "new": new,
    "useful": useful,
}


@dataclass(frozen=True, eq=False)
class Run:
    """All that is printed, written or drawn.

    sets: {set: {question: {key: number}}}, of the subjects and of what stands beside them.
    verdicts: {subject: {question: Verdict}}.  evidence: {subject: {question: {number: by how
    many standard deviations it is worse than that of real images}}}.
    neighbours: {set: Neighbours}.  told: {subject: Told}, how unreal each of its images looks to a
    network.
    asked: the sets themselves, and what the referee says of them.
    """

    sets: dict
    verdicts: dict[str, dict[str, Verdict]]
    evidence: dict[str, dict[str, dict]]
    neighbours: dict[str, Neighbours]
    told: dict[str, realistic.Told]
    asked: Asked

    @property
    def subject(self) -> str:
        """The name of the first set that was examined."""
        return next(iter(self.verdicts))

    @property
    def filtered(self) -> Filtered:
        """That set, before and after the filter."""
        return self.asked.subjects[self.subject]

    @property
    def accepted(self) -> ImageSet:
        """The images of that set that were examined."""
        return self.filtered.passing

    def of_each_image(self) -> dict:
        """{name: (n,) array}, of each of the accepted images: what is written to a file."""
        judged, reference = self.asked.judged[self.subject], self.asked.reference
        neighbours, told = self.neighbours[self.subject], self.told[self.subject]
        nearest, copy = neighbours.nearest, new.flag(neighbours, self.neighbours[new.MEASURE])
        known = {
            "referee_labels": judged.labels,
            "referee_confidence": judged.confidence,
            "unreal": told.unreal,
            "surely_unreal": told.surely,
            "nearest_index": reference.real.rows[nearest.index],
            "nearest_distance": nearest.distance,
            "nearest_was_seen": ~reference.unseen[nearest.index],
            "copy": copy.any(axis=0),
        }
        against = {
            ANOTHER_CLASS: judged.labels != self.accepted.labels,
            COPY: known["copy"],
            SURELY_UNREAL: told.surely,
        }
        return known | {"group": np.select([*against.values()], [*against], default=TRUSTED)}


def examine(
    subjects: dict[str, Filtered],
    beside: Beside,
    reference: Reference,
    rng: np.random.Generator,
    questions: Collection[str] = tuple(ROOMS),
    say: Callable[[str], None] = print,
) -> Run:
    """The questions about sets of images, {name: Filtered}, and about what stands beside them.

    questions: the names of those that are asked; there are verdicts on no others.  say: called with
    a line for each question.
    """
    say("  the referee looks at all images")
    asked = look(subjects, beside, reference, rng.spawn(1)[0])
    answers, neighbours, told, fidelity = {}, {}, {}, {}
    rooms = {question: room for question, room in ROOMS.items() if question in questions}
    for question, room in rooms.items():
        say(f"  {question}?")
        if room in (right, useful):
            answers[question] = room.ask(asked, rng)
        elif room is realistic:
            answers[question], told = realistic.ask(asked, rng)
        elif room is varied:
            answers[question], fidelity = varied.ask(asked)
        elif room is new:
            answers[question], neighbours = new.ask(asked)
        else:
            answers[question] = room.ask(asked)
    sets: dict = {}
    for question, numbers in answers.items():
        for name, found in numbers.items():
            sets.setdefault(name, {})[question] = found
    if "realistic" in rooms:
        for name, found in fidelity.items():
            sets[name]["realistic"] = sets[name].get("realistic", {}) | found
    if "right" in rooms and (kept := promised.ask(asked)):
        sets["promise"] = {"right": kept}
    if "useful" in rooms:
        for name, numbers in helps.ask(asked, rng).items():
            sets[name]["useful"] |= numbers
    found = {
        name: {
            question: room.verdict(sets[name][question], sets["real"][question])
            for question, room in rooms.items()
        }
        for name in subjects
    }
    evidence = {
        name: {
            question: room.evidence(sets[name][question], sets["real"][question])
            for question, room in rooms.items()
        }
        for name in subjects
    }
    for name, verdicts in found.items():
        for question, verdict in verdicts.items():
            sets[name][question]["detectable"] = verdict.detectable
    return Run(
        sets=sets,
        verdicts=found,
        evidence=evidence,
        neighbours=neighbours,
        told=told,
        asked=asked,
    )
