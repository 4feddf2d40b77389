"""One list of rows for the terminal's table, the JSON's order and the README's tables.

python -m trust.report benchmarks/results     (the reports are written by `make table`)
"""

import importlib.metadata
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust.cli import Parser, UserError, run

PERCENT, PLAIN, TWO_DIGITS, COUNT = "{:.2f} %", "{:.4f}", "{:.2f}", "{:,.0f}"
# The sets that are compared, and how the keys of each begin in a report.
SETS = {"generated": "", "real": "real_", "reconstructed": "reconstructed_", "planted": "planted_"}


class Row(NamedTuple):
    """What a number is called, its key in a report, and its format."""

    title: str
    key: str
    form: str


# Of each set; a set that a question was not put to has no number there.
ROWS = [
    Row("pass the filter (strong)", "strong_rate", PERCENT),
    Row("below 50 % (weak)", "weak_rate", PERCENT),
    Row("strong images that are wrong", "strong_error", PERCENT),
    Row("... at most, with 95 % confidence", "strong_error_bound", PERCENT),
    Row("referee agrees with strong images", "strong_agreement", PERCENT),
    Row("... with the whole balanced set", "balanced_agreement", PERCENT),
    Row("referee agrees with all images", "agreement", PERCENT),
    Row("referee agrees with weak images", "weak_agreement", PERCENT),
    Row("calibration error", "ece", PLAIN),
    Row("... with the temperature of real images", "ece_real_temperature", PLAIN),
    Row("rarest per commonest class, strong", "class_balance", TWO_DIGITS),
    Row("examined: as many of each class", "images", COUNT),
    Row("Fréchet distance to test images", "frechet", PLAIN),
    Row("precision", "precision", PLAIN),
    Row("recall", "recall", PLAIN),
    Row("density", "density", PLAIN),
    Row("coverage", "coverage", PLAIN),
    Row("distance to closest training image", "nearest_distance_median", TWO_DIGITS),
    Row("within closest 1 % of test images", "copy_rate", PERCENT),
    Row("within closest 1 % of reconstructed images", "copy_rate_of_blurred", PERCENT),
    Row("copying z (above 3: copies)", "copying_z", TWO_DIGITS),
    Row("trained on them: accuracy", "usefulness_accuracy", PERCENT),
]
# Of the run.
RUN_ROWS = [
    Row("trained on as many real images, no filter", "unfiltered_usefulness_accuracy", PERCENT),
    Row("half-way between two classes: pass", "halfway_strong_rate", PERCENT),
    Row("... and the referee agrees with those", "halfway_strong_agreement", PERCENT),
    Row("drawn from the mixture: pass", "strong_rate_mixture", PERCENT),
    Row("drawn from N(0, I): pass", "strong_rate_normal", PERCENT),
    Row("temperature in use", "temperature", PLAIN),
    Row("temperature, fitted on reconstructions", "temperature_reconstructions", PLAIN),
    Row("temperature, fitted on real images", "temperature_real_images", PLAIN),
    Row("classifier accuracy, test images", "classifier_test_accuracy", PERCENT),
    Row("referee accuracy, test images", "referee_test_accuracy", PERCENT),
    Row("negative ELBO, prior N(0, I), nats", "negative_elbo_normal", TWO_DIGITS),
    Row("negative ELBO, fitted mixture, nats", "negative_elbo_mixture", TWO_DIGITS),
    Row("sharpness of test images after training", "sharpness", TWO_DIGITS),
]
# The README's short table has these rows, its long one these columns.
HEADLINE = (
    *("strong_rate", "strong_agreement", "class_balance", "frechet"),
    *("recall", "coverage", "copy_rate_of_blurred", "usefulness_accuracy"),
)
KINDS = (
    ("naive", "as in the naive method"),
    ("this", "generated"),
    ("disjoint", "disjoint halves"),
)
CONTROLS = (
    ("real", "real, same filter"),
    ("reconstructed", "reconstructions of test images"),
    ("planted", "5 % planted copies"),
)


def merge(*parts):
    """Several {set: {key: number}} as one."""
    merged = {}
    for part in parts:
        for name, metrics in part.items():
            merged[name] = merged.get(name, {}) | metrics
    return merged


def flatten(metrics, run):
    """A report: {set: {key: number}} and {key: number} as one flat dict, in the rows' order."""
    keys = [
        (prefix + row.key, metrics[name].get(row.key))
        for row in ROWS
        for name, prefix in SETS.items()
    ]
    run = run | {
        f"{name}_{key}": value
        for name in ("unfiltered", "halfway")
        for key, value in metrics.get(name, {}).items()
    }
    keys += [(row.key, run.get(row.key)) for row in RUN_ROWS]
    return {key: value for key, value in keys if value is not None}


def origin(arguments, settings):
    """Where a report comes from: the data set, all flags and the versions, a dict."""
    packages = ("tensorflow", "keras", "numpy", "matplotlib")
    flags = {name: value for name, value in vars(arguments).items() if name != "given"}
    return {
        "dataset": settings["dataset"],
        "fingerprint": settings["fingerprint"],
        "flags": flags,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def show(value, form):
    """A number as text; nothing where there is no number, "none" where it has no value."""
    if value is None:
        return ""
    return "none" if math.isnan(value) else form.format(value * (100 if form == PERCENT else 1))


def print_report(report, class_names):
    """The report as tables: a row a question, a column a set; then images of each class."""
    print(f"\n{'':44}" + "".join(f"{name:>14}" for name in SETS))
    for row in ROWS:
        values = (report.get(prefix + row.key) for prefix in SETS.values())
        print(f"{row.title:44}" + "".join(f"{show(value, row.form):>14}" for value in values))
    print()
    for row in RUN_ROWS:
        print(f"{row.title:44}{show(report.get(row.key), row.form):>14}")
    counts = [report[f"class_counts_{which}"] for which in ("generated", "strong", "balanced")]
    print(f"\n{'class':20}{'generated':>12}{'strong':>12}{'balanced':>12}")
    for name, *row in zip(class_names, *counts, strict=True):
        print(f"{name:20}" + "".join(f"{count:>12,}" for count in row))
    print("\nstage, seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:44}{seconds:14.1f}")
    print(f"{'peak memory, GB':44}{report['peak_memory_gb']:14.2f}")


def cell(values, form):
    """Mean and standard deviation of the values as text: nothing where one is missing, which is an
    empty string, and "none" where one has no value, which is None or NaN."""
    if "" in values:
        return ""
    values = np.array(values, dtype=float) * (100 if form == PERCENT else 1)  # None is NaN
    if np.isnan(values).any():
        return "none"
    number, unit = form.removesuffix(" %"), " %" * form.endswith(" %")
    spread = f" ± {number.format(values.std(ddof=1))}" if len(values) > 1 else ""
    return number.format(values.mean()) + unit + spread


def read_reports(folder):
    """{(data set, kind): reports} of the files <data set>-<kind>-<seed>.json that `make table`
    wrote.  Raises UserError where there is none, or a file is not the report that it is called."""
    found = {}
    for path in sorted(Path(folder).glob("*-*-*.json")):
        dataset, kind, seed = path.stem.rsplit("-", 2)
        try:
            report = json.loads(path.read_text())
            if report["dataset"] != dataset or str(report["flags"]["seed"]) != seed:
                raise ValueError
            dict(report["seconds"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{str(path)!r} is no report of {dataset}: run make table") from error
        found.setdefault((dataset, kind), []).append(report)
    if not any(kind == "this" for _, kind in found):
        raise UserError(f"{str(folder)!r} has no reports: run make table first")
    return found


def table(titles, rows):
    """A Markdown table: titles of the columns; rows, each a title and a cell for each column."""
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows if any(cells)]
    return "\n".join(lines)


def results_table(columns, rows):
    """A Markdown table of (title, reports, beginning of the keys) columns and Row rows."""
    cells = {
        row.title: [
            cell([report.get(prefix + row.key, "") for report in reports], row.form)
            for _, reports, prefix in columns
        ]
        for row in rows
    }
    return table([title for title, *_ in columns], cells.items())


def short_table(reports, keys):
    """A Markdown table of some rows: generated images, and real ones through the same filter."""
    columns = [("generated", reports, ""), ("real, same filter", reports, "real_")]
    return results_table(columns, [row for row in ROWS if row.key in keys])


def readme_tables(folder):
    """The README's tables, from the reports in a folder: {title: Markdown}."""
    found, tables = read_reports(folder), {}
    sets = sorted({dataset for dataset, kind in found if kind == "this"}, reverse=True)
    for dataset in sets:
        this = found[dataset, "this"]
        tables[f"{dataset}, {len(this)} seeds"] = short_table(this, HEADLINE)
        kinds = [
            (title, found[dataset, kind], "") for kind, title in KINDS if (dataset, kind) in found
        ]
        controls = [(title, this, SETS[name]) for name, title in CONTROLS]
        tables[f"{dataset}, everything"] = results_table(kinds + controls, ROWS)
        tables[f"{dataset}, the models"] = results_table(kinds, RUN_ROWS)
        if (dataset, "soft") in found:
            soft = short_table(found[dataset, "soft"], ["usefulness_accuracy"])
            tables[f"{dataset}, --soft-labels"] = soft
    seconds = [[report["seconds"] | report for report in found[name, "this"]] for name in sets]
    each_stage = (stage for reports in seconds for each in reports for stage in each["seconds"])
    stages = {stage: stage for stage in each_stage} | {"peak_memory_gb": "peak memory, GB"}
    rows = [
        (title, [cell([each.get(stage, "") for each in reports], "{:.1f}") for reports in seconds])
        for stage, title in stages.items()
    ]
    tables["seconds, and peak memory in GB"] = table(sets, rows)
    return tables


INTRODUCTION = """# Results

What `make table` and `make naive` print: means and standard deviations over the seeds whose reports
are in this folder.

- *Generated*: the balanced strong images; they and the real ones are cut to the smaller number of
  each class. The *whole balanced set*, before the cut, has a row of its own: it has as many images
  of each class, also where few real ones pass.
  The shares that pass, the weak and the balance are of all images drawn; calibration, and what the
  referee says of all and of weak images, of the first 10,000.
- *Disjoint halves*: the same with `--split disjoint`; the VAE learns from one half of the images in
  as many steps, the classifier from the other.
- *As in the naive method*: `benchmarks/naive.py`, examined by `benchmarks/examine.py` against the
  models of seed 0 and cut to what it has in each class.
- *Real, same filter*: held-out images, from which neither VAE nor classifier learned; but test
  images, with their true labels, in the rows on wrong strong images, agreement and calibration,
  since the referee has learned from the held-out ones.
- *Strong images that are wrong*: by the referee where images are generated, by their true labels
  elsewhere. The referee's own word is in the row *referee agrees with strong images*.
- *--soft-labels*: what learns from generated or real images that passed the filter is told the
  classifier's calibrated probabilities; what learns from unfiltered ones, their labels as before.
- Two controls: *reconstructions of test images* are blurred as generated ones are, yet no copies;
  *5 % planted copies* are the generated set with a twentieth replaced by noisy training images.
"""


def main():
    parser = Parser(description="Print the README's tables from the reports in a folder.")
    parser.add_argument("folder", help="where `make table` wrote its reports")
    tables = readme_tables(parser.parse_args().folder)
    print(INTRODUCTION)
    print("\n\n".join(f"## {title}\n\n{markdown}" for title, markdown in tables.items()))


if __name__ == "__main__":
    run(main)
