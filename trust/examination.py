"""The examination: the only place where the questions are asked about sets of images."""

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np

from trust.ask import balanced, between, helps, new, promised, realistic, right, useful, varied
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
    alone: {subject: the Run of it alone}, where there are several: with the real images that stand
    beside it.  Then what stands beside the first is in `sets`.
    differences: of each two subjects; see between.py.
    """

    sets: dict
    verdicts: dict[str, dict[str, Verdict]]
    evidence: dict[str, dict[str, dict]]
    neighbours: dict[str, Neighbours]
    told: dict[str, realistic.Told]
    asked: Asked
    alone: dict[str, "Run"] = field(default_factory=dict)
    differences: list[between.Difference] = field(default_factory=list)

    def of(self, name: str) -> "Run":
        """The Run of one subject alone."""
        return self.alone.get(name, self)

    def best(self) -> between.Best:
        """Which of several subjects is best, and why."""
        words = {
            name: {question: verdict.word for question, verdict in verdicts.items()}
            for name, verdicts in self.verdicts.items()
        }
        return between.best_of(words, self.differences)

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

    Each of several is examined as it would be alone, with the same random numbers, so that nothing
    of it hangs on what the others are; only what differs between them is of as many images of each
    class as the one with the fewest has.
    questions: the names of those that are asked; there are verdicts on no others.  say: called with
    a line for each question.
    """
    if len(subjects) == 1:
        return _examine(subjects, beside, reference, rng, questions=questions, say=say)
    alone: dict[str, Run] = {}
    for name, filtered in subjects.items():
        say(f"  {name}:")
        counts = filtered.passing.counts(len(beside.counts))
        alone[name] = _examine(
            {name: filtered},
            replace(
                beside,
                counts=np.minimum(beside.counts, counts),
                copies=beside.own_copies.get(name, beside.copies),
            ),
            reference,
            deepcopy(rng),
            questions=questions,
            say=lambda line: say(f"  {line}"),
        )
    return _together(alone, reference, say)


def _together(alone: dict[str, Run], reference: Reference, say: Callable[[str], None]) -> Run:
    """The Run of several subjects, of the Run of each."""
    runs = [*alone.values()]
    say("  what differs between them")
    sets = {name: run.sets[name] for name, run in alone.items()}
    asked = {name: run.asked for name, run in alone.items()}
    return Run(
        sets=sets | {name: own for name, own in runs[0].sets.items() if name not in sets},
        verdicts={name: run.verdicts[name] for name, run in alone.items()},
        evidence={name: run.evidence[name] for name, run in alone.items()},
        neighbours=runs[0].neighbours
        | {name: run.neighbours[name] for name, run in alone.items() if run.neighbours},
        told={name: run.told[name] for name, run in alone.items() if run.told},
        asked=replace(
            runs[0].asked,
            subjects={name: each.subjects[name] for name, each in asked.items()},
            rows=runs[0].asked.rows | {name: each.rows[name] for name, each in asked.items()},
            judged={name: each.judged[name] for name, each in asked.items()},
        ),
        alone=alone,
        differences=between.differences(
            asked, {name: run.sets for name, run in alone.items()}, reference.seed
        ),
    )


def _examine(
    subjects: dict[str, Filtered],
    beside: Beside,
    reference: Reference,
    rng: np.random.Generator,
    *,
    questions: Collection[str],
    say: Callable[[str], None],
) -> Run:
    """examine() of one subject."""
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
