"""One function a figure: chooses what it shows of a Run.

Each takes the file, the Run and the Dataset, and calls its function in figures.py.
"""

import math

import numpy as np

from trust import statistics
from trust.ask import new, right
from trust.ask.new import MEASURE
from trust.ask.verdicts import Scale
from trust.data.datasets import Dataset
from trust.data.images import ImageSet
from trust.examination import ROOMS, Run
from trust.filter.calibrate import top_two
from trust.filter.quotas import WEAK
from trust.show import figures, rows, scores
from trust.show.sheets import Sheet
from trust.train.inference import softmax

PRIORS = {"mixture": "Gaussian mixture", "normal": "N(0, I)"}  # what the figures call them


def answers(file, run: Run, data: Dataset) -> None:
    """The answers about all sets that were examined."""
    subjects, kinds = [*run.verdicts], {"generated": "generated images", "yours": "images of yours"}
    n = len(run.asked.subjects[run.subject].passing)
    which = f"{n:,} {kinds.get(run.subject, 'images')}"
    note = ""
    if len(subjects) > 1:
        which, note = f"{len(subjects)} sets of images", f"Best: {run.best().why}"
    found = {
        question: [
            answer(run, name, question, scale) for name, scale in scales_of(run, question).items()
        ]
        for question in run.verdicts[run.subject]
    }
    title = f"how far can you trust these {which}?"
    figures.draw_answers(file, found, title=title, dataset=data.name, note=note)


def scales_of(run: Run, question: str) -> dict[str, Scale]:
    """{set: its Scale}.  Where a question has several numbers, sets side by side have one kind of
    them, that of the set which is furthest on its way to the bound."""
    numbers = {
        name: [run.of(name).sets[each][question] for each in (name, "real")]
        for name in run.verdicts
    }
    room = ROOMS[question]
    found = {name: room.scale(*each) for name, each in numbers.items()}
    if len({scale.key for scale in found.values()}) == 1:
        return found

    def way(scale):
        part = statistics.ratio(scale.number - scale.real, scale.fails_at - scale.real)
        return np.nan_to_num(part)

    key = max(found.values(), key=way).key
    return {name: room.scale_by(key, *each) for name, each in numbers.items()}


def answer(run: Run, name: str, question: str, scale: Scale) -> figures.Answer:
    """The answer to a question about one set."""
    numbers, real = (run.of(name).sets[each][question] for each in (name, "real"))
    verdict = run.verdicts[name][question]
    form = rows.form_of(question, scale.key)
    number, low, high, of_real = (
        rows.show(each, form) for each in (scale.number, scale.low, scale.high, scale.real)
    )
    said = rows.remarks(question, verdict.word, verdict.why, numbers, real)
    if not math.isnan(scale.low + scale.high):
        said.insert(bool(verdict.why), f"95 % interval {low} to {high}")
    side = "from" if scale.key == "copies" else "above" if scale.fails_at > scale.real else "below"
    bound = rows.show(float(f"{scale.fails_at:.3g}"), rows.SHORT[form])
    return figures.Answer(
        name if len(run.verdicts) > 1 else "",
        word=verdict.word,
        measured=rows.MEASURED[scale.key],
        scale=scale,
        number="not measured" if math.isnan(scale.number) else number,
        real=of_real,
        bound=f"fails {side} {bound}",
        remarks=said,
    )


def strong(file, run: Run, data: Dataset) -> None:
    """The accepted images, and how sure the classifier is of each."""
    figures.draw_strong(
        file,
        run.accepted,
        class_names=data.class_names,
        threshold=run.asked.beside.accept.threshold,
        dataset=data.name,
    )


def weak(file, run: Run, data: Dataset) -> None:
    """The images that the classifier doubts most, and images half-way between two classes."""
    sample, accept = run.filtered.every, run.asked.beside.accept
    shown = sample.take(np.argsort(sample.confidence, kind="stable"))
    shown = shown.take(shown.confidence < WEAK)
    labels, confidence = top_two(shown.probabilities)
    halfway = run.asked.beside.others["halfway"].every
    control = figures.Halfway(
        halfway.images,
        labels=np.where(accept.passes(halfway), halfway.labels, -1),
        strong_rate=run.sets["halfway"]["right"]["strong_rate"],
        generated_rate=run.sets[run.subject]["right"]["strong_rate"],
    )
    figures.draw_weak(
        file,
        figures.Weak(shown.images, labels, confidence),
        halfway=control,
        class_names=data.class_names,
        limit=WEAK,
        dataset=data.name,
    )


def confidence(file, run: Run, data: Dataset) -> None:
    """How sure the classifier is of generated and of real images."""
    figures.draw_confidence(
        file,
        run.filtered.every.confidence,
        real=run.asked.beside.held_out["real"].every.confidence,
        threshold=run.asked.beside.accept.threshold,
        weak=WEAK,
        dataset=data.name,
    )


def class_balance(file, run: Run, data: Dataset) -> None:
    """How many images of each class were drawn, passed and were accepted, and of real test images
    how many pass."""
    quota, real = run.filtered.quota, run.asked.beside.tested["real"].passing
    kinds = {"generated": quota.generated, "strong": quota.strong, "accepted": quota.kept}
    kinds["strong, real"] = real.counts(data.classes)
    figures.draw_class_balance(file, kinds, class_names=data.class_names, dataset=data.name)


def calibration(file, run: Run, data: Dataset) -> None:
    """Reliability diagrams of real, reconstructed and generated images, and of generated ones with
    the temperature fitted on real images."""
    sample, beside = run.filtered.every, run.asked.beside
    referee_labels = run.asked.sampled[run.subject]
    real, blurred = (beside.tested[kind].every for kind in ("real", "reconstructed"))
    other = softmax(sample.logits, beside.accept.temperature_real_images)
    panels = [
        ("test images, by label", real.probabilities, real.truth),
        ("reconstructed, by label", blurred.probabilities, blurred.truth),
        ("generated, by the referee", sample.probabilities, referee_labels),
        ("generated, temperature of real images", other, referee_labels),
    ]
    reliabilities = [
        (title, right.reliability(p.max(axis=1), p.argmax(axis=1) == labels))
        for title, p, labels in panels
    ]
    figures.draw_calibration(file, reliabilities, dataset=data.name)


def risk_coverage(file, run: Run, data: Dataset) -> None:
    """How many are wrong at each threshold."""
    sample, beside = run.filtered.every, run.asked.beside
    referee_labels, accept = run.asked.sampled[run.subject], beside.accept
    kinds: dict[str, tuple[ImageSet, np.ndarray]] = {
        "generated, by the referee (not corrected)": (sample, referee_labels)
    }
    for kind, name in ("reconstructed", "reconstructions of test images"), ("real", "test images"):
        every = beside.tested[kind].every
        kinds[f"{name}, by their labels"] = every, every.truth
    curves = {}
    for name, (images, labels) in kinds.items():
        wrong, passes = images.labels != labels, accept.passes(images)
        kept, risk = right.risk_coverage(images.confidence, wrong)
        in_use = statistics.mean(passes), statistics.mean(wrong[passes])
        curves[name] = kept, risk, in_use
    classes = {}
    for label, name in enumerate(data.class_names):
        own = sample.labels == label
        wrong = sample.labels[own] != referee_labels[own]
        classes[name] = right.risk_coverage(sample.confidence[own], wrong)
    figures.draw_risk_coverage(
        file,
        curves,
        classes,
        max_error=accept.promise.max_error if accept.promise else None,
        dataset=data.name,
    )


def prior(file, run: Run, data: Dataset) -> None:
    """Unfiltered images from both priors, and latents from both beside the codes of images."""
    beside = run.asked.beside
    images = {
        beside.prior: run.filtered.every.images,
        beside.other_prior: beside.others["other_prior"].every.images,
    }
    rates = {
        beside.prior: run.sets[run.subject]["right"]["strong_rate"],
        beside.other_prior: run.sets["other_prior"]["right"]["strong_rate"],
    }
    titles = {"codes": "codes of images", **PRIORS}
    figures.draw_prior(
        file,
        {title: images[name] for name, title in PRIORS.items()},
        strong_rates={title: rates[name] for name, title in PRIORS.items()},
        clouds={title: beside.clouds[name] for name, title in titles.items()},
        dataset=data.name,
    )


def copies(file, run: Run, data: Dataset) -> None:
    """How many images have a nearest real image that was seen, and the closest pairs."""
    reference = run.asked.reference
    titles = {
        run.subject: "generated",
        "real": "real",
        "reconstructed": "reconstructions of test images",
        "noisy_copies": "real with 5 % noisy copies",
        "moved_copies": "real with 5 % moved copies",
        "reconstructed_copies": "real with 5 % reconstructed copies",
    }
    shares = {
        title: new.shares_by_depth(
            run.neighbours[name],
            reference.real.labels,
            reference.unseen,
            others=run.neighbours[MEASURE],
            moved=name == "moved_copies",
        )
        for name, title in titles.items()
        if name in run.neighbours
    }
    labels, nearest, _ = run.neighbours[run.subject]
    pairs = {}
    for label, row in new.closest_of_each_class(labels, nearest).items():
        twin = nearest.index[row]
        seen = not reference.unseen[twin]
        pairs[label] = run.accepted.images[row], reference.real.images[twin], seen
    figures.draw_copies(file, shares, pairs, data.class_names, dataset=data.name)


def doubtful(file, run: Run, data: Dataset) -> None:
    """The images that the referee doubts most, and what it says of them."""
    accepted, judged = run.accepted, run.asked.judged[run.subject]
    order = scores.by_doubt(accepted.labels, judged.labels, judged.confidence)
    figures.draw_doubtful(
        file,
        accepted.take(order),
        judged=judged.take(order),
        class_names=data.class_names,
        dataset=data.name,
    )


def least_real(file, run: Run, data: Dataset) -> None:
    """The accepted images of each class that look the least real to a network, and the most."""
    unreal = run.told[run.subject].unreal
    figures.draw_least_real(
        file, run.accepted, unreal=unreal, class_names=data.class_names, dataset=data.name
    )


def audit_sheet(file, sheet: Sheet, images: np.ndarray) -> None:
    """The images that a sheet shows.  images: (m, h, w[, c]), all that were accepted."""
    figures.draw_audit(
        file, images[sheet.shown], sheet.class_names, sheet.identity, dataset=sheet.dataset
    )


# What each door draws: {name of the file: function}.
GENERATED = {
    "answers": answers,
    "dnn-vae-strong": strong,
    "dnn-vae-weak": weak,
    "pred-dist": confidence,
    "class-balance": class_balance,
    "calibration": calibration,
    "copies": copies,
    "risk-coverage": risk_coverage,
    "prior": prior,
    "least-real": least_real,
}
SUBMITTED = {"answers": answers, "doubtful": doubtful, "least-real": least_real, "copies": copies}
