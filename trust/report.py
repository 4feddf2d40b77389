"""One list of rows for the table in the terminal, the report and the tables of the results.

A report is a dict {"sets": {set: {question: {key: number}}}, "classes": {name: counts}, "run":
{key: number}} and says where it comes from; a number that was not measured is left out.
"""

import importlib.metadata
import math
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

PERCENT, PLAIN, TWO_DIGITS, COUNT = "{:.2f} %", "{:.4f}", "{:.2f}", "{:,.0f}"
EXACT = "{:.9g}"
COLUMNS = ("generated", "real", "reconstructed", "other_prior")  # sets with a column
YOURS = ("yours", "real")  # the same for images that another generator made
REAL = {  # which images these are
    COLUMNS: "real: test images in new and right (but for what passes), held-out images elsewhere",
    YOURS: "real: test images in right, held-out images elsewhere",
}


class Row(NamedTuple):
    """The title of a number, the question it answers, its key there, and its format.  An arrow in
    the title says which direction is good."""

    title: str
    question: str
    key: str
    form: str


# Of each set; a set that was not examined for a question has no number there.
ROWS = [
    Row("pass the filter (strong)", "right", "strong_rate", PERCENT),
    Row("below 50 % (weak)", "right", "weak_rate", PERCENT),
    Row("strong images compared with real ones", "right", "images", COUNT),
    Row("referee agrees with strong images ↑", "right", "agreement", PERCENT),
    Row("... in the worst class ↑", "right", "worst_class_agreement", PERCENT),
    Row("referee's own confidence in them ↑", "right", "referee_confidence", PERCENT),
    Row("mean confidence of strong images", "right", "mean_confidence", PERCENT),
    Row("strong images that are right by true labels ↑", "right", "true_agreement", PERCENT),
    Row("nearest neighbour is of the same set", "right", "own_neighbours", PERCENT),
    Row("... z (50 % by chance)", "right", "own_neighbours_z", TWO_DIGITS),
    Row("estimated error of strong images ↓", "right", "error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "error_low", PERCENT),
    Row("... to", "right", "error_high", PERCENT),
    Row("referee agrees with the whole accepted set ↑", "right", "accepted_agreement", PERCENT),
    Row("referee agrees with all images ↑", "right", "all_agreement", PERCENT),
    Row("referee agrees with weak images", "right", "weak_agreement", PERCENT),
    Row("calibration error, by the referee ↓", "right", "ece", PLAIN),
    Row("... by chance alone, mean", "right", "ece_floor", PLAIN),
    Row("... by chance alone, 95 % point", "right", "ece_floor_95", PLAIN),
    Row("... by true labels ↓", "right", "ece_true_labels", PLAIN),
    Row("... with the temperature of real images ↓", "right", "ece_real_temperature", PLAIN),
    Row("confidence minus accuracy, all images", "right", "confidence_gap", PLAIN),
    Row("smallest class / largest class, strong ↑", "balanced", "class_balance", TWO_DIGITS),
    Row("images examined for variety", "balanced", "images", COUNT),
    Row("Fréchet distance to test images ↓", "varied", "frechet", PLAIN),
    Row("precision ↑", "varied", "precision", PLAIN),
    Row("recall ↑", "varied", "recall", PLAIN),
    Row("density ↑", "varied", "density", PLAIN),
    Row("coverage ↑", "varied", "coverage", PLAIN),
    Row("distance to nearest real image, median", "new", "nearest_distance_median", TWO_DIGITS),
    Row("nearest real image was seen ↓", "new", "seen_share", PERCENT),
    Row("... expected", "new", "expected_share", PERCENT),
    Row("lean to seen images ↓", "new", "lean", PERCENT),
    Row("... z (below -3: more than chance)", "new", "lean_z", TWO_DIGITS),
    Row("... z of the closest 5 %", "new", "closest_5_lean_z", TWO_DIGITS),
    Row("... z of the closest 5 %, also centred", "new", "closest_5_moved_lean_z", TWO_DIGITS),
    Row("... z of the closest 1 % (below -3: copies)", "new", "closest_1_lean_z", TWO_DIGITS),
    Row("... z of the closest 1 %, also centred", "new", "closest_1_moved_lean_z", TWO_DIGITS),
    Row("a classifier trained on them: accuracy ↑", "useful", "accuracy", PERCENT),
    Row("... share of images used twice ↓", "useful", "repeated", PERCENT),
]
# Of sets without a column: {set: rows}.
CONTROL_ROWS = {
    "planted": [
        Row("noisy copies are found from", "new", "noisy_copies", PERCENT),
        Row("moved noisy copies are found from", "new", "moved_copies", PERCENT),
        Row("reconstructed copies are found from", "new", "reconstructed_copies", PERCENT),
    ],
    "unfiltered": [
        Row("one trained on unfiltered real images ↑", "useful", "accuracy", PERCENT),
        Row("... share of images used twice", "useful", "repeated", PERCENT),
    ],
    "halfway": [
        Row("half-way between two classes: pass filter ↓", "right", "strong_rate", PERCENT),
        Row("... and the referee agrees with those", "right", "agreement", PERCENT),
    ],
}
# Of a run with --max-error.
PROMISE_ROWS = [
    Row("promised: at most this share wrong", "right", "max_error", PERCENT),
    Row("... at this threshold", "right", "threshold", EXACT),
    Row("held-out images that pass it", "right", "images", COUNT),
    Row("... of those wrong", "right", "wrong", PERCENT),
    Row("... upper bound for this threshold alone", "right", "bound", PERCENT),
    Row("of test images that pass: wrong", "right", "test_error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "test_error_low", PERCENT),
    Row("... to", "right", "test_error_high", PERCENT),
    Row("examined images that pass: estimated error", "right", "estimated_error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "estimated_error_low", PERCENT),
    Row("... to", "right", "estimated_error_high", PERCENT),
]
# Of the run.
RUN_ROWS = [
    Row("drawn from the mixture: pass", "run", "strong_rate_mixture", PERCENT),
    Row("drawn from N(0, I): pass", "run", "strong_rate_normal", PERCENT),
    Row("temperature in use", "run", "temperature", PLAIN),
    Row("temperature, fitted on reconstructions", "run", "temperature_reconstructions", PLAIN),
    Row("temperature, fitted on real images", "run", "temperature_real_images", PLAIN),
    Row("classifier accuracy, test images ↑", "run", "classifier_test_accuracy", PERCENT),
    Row("referee accuracy, test images ↑", "run", "referee_test_accuracy", PERCENT),
    Row("negative ELBO, prior N(0, I), nats ↓", "run", "negative_elbo_normal", TWO_DIGITS),
    Row("negative ELBO, fitted mixture, nats ↓", "run", "negative_elbo_mixture", TWO_DIGITS),
    Row("sharpness of test images after training", "run", "sharpness", TWO_DIGITS),
]
TEMPERATURES = ("temperature", "temperature_reconstructions", "temperature_real_images")


def check(sets: dict, run: dict) -> None:
    """Raises ValueError where a number has no row or a row has no number: a mistake in the code."""
    rows = {"columns": ROWS, "run": RUN_ROWS, **CONTROL_ROWS}
    if "promise" in sets:
        rows["promise"] = PROMISE_ROWS
    expected = {name: {(row.question, row.key) for row in own} for name, own in rows.items()}
    found = {
        name: {(question, key) for question, numbers in answers.items() for key in numbers}
        for name, answers in (sets | {"run": {"run": run}}).items()
    }
    found["columns"] = set().union(*(found.pop(name) for name in COLUMNS))
    for name in expected | found:
        if expected.get(name) != found.get(name):
            unmatched = expected.get(name, set()) ^ found.get(name, set())
            raise ValueError(f"{name}: without a row or without a number: {unmatched}")


def origin(settings, options: dict, devices: str) -> dict:
    """Where a report comes from.  settings: saving.Settings.  options: the flags {name: value}."""
    packages = ("tensorflow", "keras", "numpy", "matplotlib")
    settled = {name: value for name, value in asdict(settings).items() if name in options}
    return {
        "dataset": settings.dataset,
        "fingerprint": settings.fingerprint,
        "settings": options | settled,
        "devices": devices,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def by_class(class_names, counts: dict) -> dict:
    """{class: {name: count}} of {name: (classes,) integer}."""
    columns = zip(*(each.tolist() for each in counts.values()), strict=True)
    rows = (dict(zip(counts, row, strict=True)) for row in columns)
    return dict(zip(class_names, rows, strict=True))


def show(value, form: str) -> str:
    """A number as text: an empty string for None, "none" for NaN."""
    if value is None:
        return ""
    return "none" if math.isnan(value) else form.format(value * (100 if form == PERCENT else 1))


def _row(question, key):
    return next(row for row in ROWS if (row.question, row.key) == (question, key))


# The five answers: the row that answers each question.
ANSWERS = [
    _row("right", "error_estimate"),
    _row("balanced", "class_balance"),
    _row("varied", "recall"),
    _row("new", "seen_share"),
    _row("useful", "accuracy"),
]


def answers(report: dict) -> list[str]:
    """The five answers, a line for each: question, verdict, the number, and that of real images."""
    sets, lines = report["sets"], []
    subject = sets["yours" if "yours" in sets else "generated"]
    for row in ANSWERS:
        question, verdict = f"{row.question}?", report["verdicts"][row.question]
        number, real = (
            show(each[row.question][row.key], row.form) for each in (subject, sets["real"])
        )
        if row.question == "new":
            real += f", expected {show(subject['new']['expected_share'], row.form)}"
        lines.append(f"{question:10}{verdict:9}{_title(row, report)} {number} (real {real})")
    right = subject["right"]
    if not math.isnan(right["error_low"]):
        low, high = (show(right[f"error_{end}"], PERCENT) for end in ("low", "high"))
        agreement = {name: each["agreement"] for name, each in report["classes"].items()}
        least = min(agreement, key=lambda name: np.nan_to_num(agreement[name], nan=1.0))
        lines[0] += f", 95 % interval {low} to {high}; the referee agrees least in class {least}: "
        lines[0] += show(agreement[least], PERCENT)
    missed = [name for name, dose in sets["planted"]["new"].items() if math.isnan(dose)]
    if missed:
        lines[3] += f"; could not have found {', '.join(missed).replace('_', ' ')}"
    return lines


def promised(report: dict) -> list[str]:
    """What was promised and whether it held: two lines, or none without a promise."""
    if "promise" not in report["sets"]:
        return []
    right = report["sets"]["promise"]["right"]
    texts = {key: show(value, PERCENT) for key, value in right.items()}
    bounds = {name: numbers["promise_bound"] for name, numbers in report["classes"].items()}
    most = max(bounds, key=lambda name: np.nan_to_num(bounds[name]))
    theirs = "yours" in report["sets"]
    kinds = ("", "your images") if theirs else ("reconstructions of ", "images drawn")
    interval = f"{texts['estimated_error_low']} to {texts['estimated_error_high']}"
    return [
        f"promise   with 95 % confidence at most {texts['max_error']} of all that passes is wrong, "
        f"at the threshold {show(right['threshold'], EXACT)}; found on {kinds[0]}held-out images",
        f"          wrong: {texts['wrong']} of {right['images']:,} of these (class {most}: at most "
        f"{show(bounds[most], PERCENT)}), {texts['test_error_estimate']} of {kinds[0]}test images, "
        f"an estimated {texts['estimated_error_estimate']} of {kinds[1]} ({interval})",
    ]


def _title(row: Row, report: dict) -> str:
    """The title of a row, without the word strong if there is no threshold."""
    strong = report["settings"]["threshold"] is not None
    return row.title if strong else row.title.replace(", strong", "").replace("strong ", "")


def print_report(report: dict) -> None:
    """Prints the five answers, a table with a row for each number and a column for each set, and
    the numbers of each class."""
    sets, settings = report["sets"], report["settings"]
    threshold = settings["threshold"]
    passing = f"threshold {threshold:g}" if threshold is not None else "no filter"
    print(f"\n{report['dataset']}, seed {settings['seed']}, {passing}")
    notes = [*promised(report), *(f"note: {each}" for each in report["notes"])]
    print(*answers(report), *notes, sep="\n", end="\n\n")
    columns = YOURS if "yours" in sets else COLUMNS
    print(f"{'↑ more is better, ↓ less is better':46}", *(f"{name:>13}" for name in columns))
    for row in ROWS:
        values = [sets[name].get(row.question, {}).get(row.key) for name in columns]
        if any(value is not None for value in values):
            cells = (f"{show(value, row.form):>14}" for value in values)
            print(f"{_title(row, report):46}" + "".join(cells))
    print(f"{REAL[columns]}\n")
    everything = sets | {"run": {"run": report["run"]}}
    others = {**CONTROL_ROWS, "promise": PROMISE_ROWS, "run": RUN_ROWS}
    for name, rows in others.items():
        for row in rows:
            value = everything.get(name, {}).get(row.question, {}).get(row.key)
            if value is not None:
                print(f"{row.title:46}{show(value, row.form):>14}")
    forms = {"generated": "{:,}", "strong": "{:,}", "accepted": "{:,}"}
    shares = "agreement", "agreement_low", "agreement_high", "promise_wrong", "promise_bound"
    forms |= dict.fromkeys(shares, PERCENT)
    there = next(iter(report["classes"].values()))
    forms = {name: form for name, form in forms.items() if name in there}
    print(f"\n{'class':20}" + "".join(f"{name:>16}" for name in forms))
    for name, numbers in report["classes"].items():
        cells = (f"{show(numbers[column], form):>16}" for column, form in forms.items())
        print(f"{name:20}" + "".join(cells))
    print("\nstage, seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:46}{seconds:14.1f}")
    print(f"{'peak memory, GB':46}{report['peak_memory_gb']:14.2f}")
    verdicts = (f"{question}? {verdict}" for question, verdict in report["verdicts"].items())
    print(f"\nIn short: {', '.join(verdicts)}")
