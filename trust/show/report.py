"""The report: all numbers of a run as one dict, and the code that made them.

{"dataset", "fingerprint", "code", "settings", "devices", "versions", "verdicts": {question:
verdict}, "reasons": {question: why it cannot tell},
"evidence": {question: {number: standard deviations}}, "notes", "sets": {set: {question: {key:
number}}}, "classes": {class: {key: number}}, "run": {key: number}}; a number that was not measured
is left out.

Of several sets "verdicts", "reasons", "evidence" and "classes" are {set: the same}; "sets" are
those that were examined and the real images beside the first; "beside": {set: what stands beside
it, as in "sets"}; "differences": [{"sets": [first, second], "z": {question: by how many standard
deviations the first is better}, "limit": from where on that is more than chance}]; "best": {"set":
the best one or null, "why": a sentence}.
"""

import hashlib
import importlib.metadata
import subprocess
from pathlib import Path

import numpy as np

from trust.ask import right
from trust.ask.doubts import CHANCE
from trust.data.datasets import Dataset
from trust.examination import Run
from trust.show import figures
from trust.show.rows import TEMPERATURES
from trust.train import loops

ROOT = Path(__file__).parents[2]


def build_report(run: Run, data: Dataset, settings: dict, networks: dict, notes: list[str]) -> dict:
    """The report of a run.  settings: {flag: value}, as they were settled.  networks: numbers about
    the networks themselves."""
    packages = ("tensorflow", "keras", "numpy", "matplotlib")
    accept = run.asked.beside.accept
    threshold = accept.threshold if accept and accept.threshold > 0 else None
    values = {
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "code": code_version(),
        "settings": settings | {"threshold": threshold},
        "devices": loops.devices(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "verdicts": {},
        "reasons": {},
        "evidence": {},
        "notes": notes,
        "sets": run.sets,
        "classes": {},
        "run": networks | numbers_of_filter(run),
    }
    if not run.alone:
        return values | _answers(run, data)
    answers = {name: _answers(own, data) for name, own in run.alone.items()}
    keys = next(iter(answers.values()))
    values |= {key: {name: own[key] for name, own in answers.items()} for key in keys}
    values["sets"] = {name: run.sets[name] for name in (*run.alone, "real")}
    values["beside"] = {
        name: {other: numbers for other, numbers in own.sets.items() if other != name}
        for name, own in run.alone.items()
    }
    values["differences"] = [
        {"sets": [first, second], "z": z, "limit": limit}
        for first, second, z, limit in run.differences
    ]
    name, why = run.best()
    values["best"] = {"set": name, "why": why}
    return values


def _answers(run: Run, data: Dataset) -> dict:
    """The parts of the report that are of one set."""
    found = run.verdicts[run.subject]
    return {
        "verdicts": {question: each.word for question, each in found.items()},
        "reasons": {question: each.why for question, each in found.items() if each.why},
        "evidence": run.evidence[run.subject],
        "classes": by_class(data.class_names, numbers_by_class(run, data.classes)),
    }


def compared(run: Run) -> str:
    """A sentence on how many images the differences between several sets are of."""
    counts = np.min([each.asked.beside.counts for each in run.alone.values()], axis=0)
    return (
        f"what differs in realistic and varied is of {counts.sum():,} images of each set, as many "
        "of each class as the set with the fewest has"
    )


def vanished(run: Run, class_names) -> list[str]:
    """A sentence on classes of which no image was examined, though others were."""
    names = run.accepted.absent(class_names)
    if not names or not len(run.accepted):
        return []
    return [f"there is no image of class {', '.join(names)} to examine"]


def doubts(run: Run, class_names) -> list[str]:
    """Sentences on what makes the numbers of a run doubtful.  class_names: those that are drawn."""
    notes, numbers, beside = [], run.sets[run.subject]["realistic"], run.asked.beside
    if not len(run.accepted):
        notes.append("no image passes the filter: there is nothing to examine")
    if names := figures.unknown_to_the_font(class_names):
        notes.append(f"the figures cannot show the name {', '.join(names)}")
    if numbers.get("told_apart_from_reconstructed_z", 0.0) > CHANCE:
        share = numbers["told_apart_from_reconstructed"]
        notes.append(
            f"accepted images differ from reconstructions: a network tells {share:.1%} apart, 50% "
            "would mean no difference; the temperature and a promise may not hold for accepted "
            "images"
        )
    if beside.promised_on is not None and beside.like == "real":
        notes.append("the promise stands on real images: yours may be harder to classify")
    return notes


def code_version(root: Path = ROOT) -> str:
    """The commit of the code, with "-dirty" where files were changed since; where there is no git,
    the SHA-256 of the files."""
    git = ["git", f"--git-dir={root / '.git'}", f"--work-tree={root}"]
    words = "describe --always --dirty --abbrev=12 --exclude=*".split()
    try:
        done = subprocess.run([*git, *words], capture_output=True, text=True, timeout=20)
        if done.returncode == 0:
            return done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    digest = hashlib.sha256()
    for file in sorted([*root.glob("*.py"), *root.glob("trust/**/*.py")]):
        digest.update(file.read_bytes())
    return f"sha256 {digest.hexdigest()[:12]}"


def numbers_of_filter(run: Run) -> dict:
    """The temperatures, and how many images drawn from each prior pass; nothing of images that
    somebody else drew."""
    beside = run.asked.beside
    if "other_prior" not in beside.others:
        return {}
    rates = {
        f"strong_rate_{beside.prior}": run.sets[run.subject]["right"]["strong_rate"],
        f"strong_rate_{beside.other_prior}": run.sets["other_prior"]["right"]["strong_rate"],
    }
    return rates | {name: getattr(beside.accept, name) for name in TEMPERATURES}


def numbers_by_class(run: Run, classes: int) -> dict:
    """{key: (classes,)}: how many images of each class there are, how often the referee agrees with
    the accepted ones, and what was promised of them."""
    quota, accept = run.filtered.quota, run.asked.beside.accept
    counts = {"accepted": run.accepted.counts(classes)}
    if quota is not None:
        counts = {"generated": quota.generated, "strong": quota.strong, "accepted": quota.kept}
    agreed = right.agreement_by_class(run.accepted, run.asked.judged[run.subject], classes)
    promised = accept.promise.by_class(classes) if accept and accept.promise else {}
    return counts | agreed | promised


def by_class(class_names, numbers: dict[str, np.ndarray]) -> dict:
    """{class: {key: number}} of {key: (classes,)}."""
    columns = zip(*(each.tolist() for each in numbers.values()), strict=True)
    rows = (dict(zip(numbers, row, strict=True)) for row in columns)
    return dict(zip(class_names, rows, strict=True))
