"""One list of rows for the terminal's table, the report and the tables of the results.

A report holds {"sets": {set: {question: {key: number}}}, "classes": {name: counts}, "run": {key:
number}} and where it comes from; what was not measured is not there.
"""

import importlib.metadata
import math
from dataclasses import asdict
from typing import NamedTuple

PERCENT, PLAIN, TWO_DIGITS, COUNT = "{:.2f} %", "{:.4f}", "{:.2f}", "{:,.0f}"
COLUMNS = ("generated", "real", "reconstructed", "planted")  # the sets with a column of their own


class Row(NamedTuple):
    """What a number is called, the question it answers, its key there, and its format."""

    title: str
    question: str
    key: str
    form: str


# Of each set; a set that a question was not put to has no number there.
ROWS = [
    Row("pass the filter (strong)", "right", "strong_rate", PERCENT),
    Row("below 50 % (weak)", "right", "weak_rate", PERCENT),
    Row("strong images that are wrong", "right", "strong_error", PERCENT),
    Row("... at most, with 95 % confidence", "right", "strong_error_bound", PERCENT),
    Row("referee agrees with strong images", "right", "strong_agreement", PERCENT),
    Row("... with the whole balanced set", "right", "balanced_agreement", PERCENT),
    Row("referee agrees with all images", "right", "agreement", PERCENT),
    Row("referee agrees with weak images", "right", "weak_agreement", PERCENT),
    Row("calibration error", "right", "ece", PLAIN),
    Row("... with the temperature of real images", "right", "ece_real_temperature", PLAIN),
    Row("rarest per commonest class, strong", "balanced", "class_balance", TWO_DIGITS),
    Row("examined: as many of each class", "balanced", "images", COUNT),
    Row("Fréchet distance to test images", "varied", "frechet", PLAIN),
    Row("precision", "varied", "precision", PLAIN),
    Row("recall", "varied", "recall", PLAIN),
    Row("density", "varied", "density", PLAIN),
    Row("coverage", "varied", "coverage", PLAIN),
    Row("distance to closest training image", "new", "nearest_distance_median", TWO_DIGITS),
    Row("within closest 1 % of test images", "new", "copy_rate", PERCENT),
    Row("within closest 1 % of reconstructed images", "new", "copy_rate_of_blurred", PERCENT),
    Row("copying z (above 3: copies)", "new", "copying_z", TWO_DIGITS),
    Row("trained on them: accuracy", "useful", "accuracy", PERCENT),
]
# Of sets without a column, whose name comes first.
CONTROL_ROWS = {
    "unfiltered": [Row("trained on as many real images, no filter", "useful", "accuracy", PERCENT)],
    "halfway": [
        Row("half-way between two classes: pass", "right", "strong_rate", PERCENT),
        Row("... and the referee agrees with those", "right", "strong_agreement", PERCENT),
    ],
}
# Of the run.
RUN_ROWS = [
    Row("drawn from the mixture: pass", "run", "strong_rate_mixture", PERCENT),
    Row("drawn from N(0, I): pass", "run", "strong_rate_normal", PERCENT),
    Row("temperature in use", "run", "temperature", PLAIN),
    Row("temperature, fitted on reconstructions", "run", "temperature_reconstructions", PLAIN),
    Row("temperature, fitted on real images", "run", "temperature_real_images", PLAIN),
    Row("classifier accuracy, test images", "run", "classifier_test_accuracy", PERCENT),
    Row("referee accuracy, test images", "run", "referee_test_accuracy", PERCENT),
    Row("negative ELBO, prior N(0, I), nats", "run", "negative_elbo_normal", TWO_DIGITS),
    Row("negative ELBO, fitted mixture, nats", "run", "negative_elbo_mixture", TWO_DIGITS),
    Row("sharpness of test images after training", "run", "sharpness", TWO_DIGITS),
]
TEMPERATURES = ("temperature", "temperature_reconstructions", "temperature_real_images")


def check(sets: dict, run: dict) -> None:
    """Raises ValueError where a number has no row or a row no number, a mistake in the code."""
    rows = {"columns": ROWS, "run": RUN_ROWS, **CONTROL_ROWS}
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


def origin(settings, options: dict) -> dict:
    """Where a report comes from.  settings: saving.Settings.  options: the flags {name: value}."""
    packages = ("tensorflow", "keras", "numpy", "matplotlib")
    settled = {name: value for name, value in asdict(settings).items() if name in options}
    return {
        "dataset": settings.dataset,
        "fingerprint": settings.fingerprint,
        "settings": options | settled,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def by_class(class_names, counts: dict) -> dict:
    """{class: {name: count}} of {name: (classes,) integer}."""
    columns = zip(*(each.tolist() for each in counts.values()), strict=True)
    rows = (dict(zip(counts, row, strict=True)) for row in columns)
    return dict(zip(class_names, rows, strict=True))


def show(value, form: str) -> str:
    """A number as text; nothing where there is no number, "none" where it has no value."""
    if value is None:
        return ""
    return "none" if math.isnan(value) else form.format(value * (100 if form == PERCENT else 1))


def print_report(report: dict) -> None:
    """The report as tables: a row a question, a column a set; then images of each class."""
    sets, settings = report["sets"], report["settings"]
    print(f"\n{report['dataset']}, seed {settings['seed']}, threshold {settings['threshold']:g}")
    print(f"{'':44}" + "".join(f"{name:>14}" for name in COLUMNS))
    for row in ROWS:
        values = (sets[name].get(row.question, {}).get(row.key) for name in COLUMNS)
        print(f"{row.title:44}" + "".join(f"{show(value, row.form):>14}" for value in values))
    print()
    everything = sets | {"run": {"run": report["run"]}}
    for name, rows in (*CONTROL_ROWS.items(), ("run", RUN_ROWS)):
        for row in rows:
            print(f"{row.title:44}{show(everything[name][row.question][row.key], row.form):>14}")
    columns = ("generated", "strong", "accepted")
    print(f"\n{'class':20}" + "".join(f"{name:>12}" for name in columns))
    for name, counts in report["classes"].items():
        print(f"{name:20}" + "".join(f"{counts[column]:>12,}" for column in columns))
    print("\nstage, seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:44}{seconds:14.1f}")
    print(f"{'peak memory, GB':44}{report['peak_memory_gb']:14.2f}")
