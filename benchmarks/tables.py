"""The tables of the README and of the page of results, from the reports in a folder.

python -m benchmarks.tables benchmarks/results     (the reports are written by `make table`)
"""

import json
from pathlib import Path

import numpy as np

from trust.cli import Parser, UserError, run
from trust.report import CONTROL_ROWS, PERCENT, ROWS, RUN_ROWS

# The README's short table has these rows, the long one these columns.
HEADLINE = (
    *("strong_rate", "strong_agreement", "class_balance", "frechet"),
    *("recall", "coverage", "copy_rate_of_blurred", "accuracy"),
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
            if report["dataset"] != dataset or str(report["settings"]["seed"]) != seed:
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


def number(report, name, row):
    """A report's number of a set and a row; an empty string where it was not measured."""
    return report["sets"].get(name, {}).get(row.question, {}).get(row.key, "")


def results_table(columns, rows):
    """A Markdown table of (title, reports, set) columns and Row rows."""
    cells = [
        (
            row.title,
            [
                cell([number(report, name, row) for report in reports], row.form)
                for _, reports, name in columns
            ],
        )
        for row in rows
    ]
    return table([title for title, *_ in columns], cells)


def short_table(reports, keys):
    """A Markdown table of some rows: generated images, and real ones through the same filter."""
    columns = [("generated", reports, "generated"), ("real, same filter", reports, "real")]
    return results_table(columns, [row for row in ROWS if row.key in keys])


def models_table(columns):
    """A Markdown table of the controls without a column and of the run; (title, reports)."""
    rows = [
        (
            row.title,
            [
                cell([number(report, name, row) for report in reports], row.form)
                for _, reports in columns
            ],
        )
        for name, own in CONTROL_ROWS.items()
        for row in own
    ]
    rows += [
        (
            row.title,
            [
                cell([report.get("run", {}).get(row.key, "") for report in reports], row.form)
                for _, reports in columns
            ],
        )
        for row in RUN_ROWS
    ]
    return table([title for title, _ in columns], rows)


def readme_tables(folder):
    """The README's tables, from the reports in a folder: {title: Markdown}."""
    found, tables = read_reports(folder), {}
    sets = sorted({dataset for dataset, kind in found if kind == "this"}, reverse=True)
    for dataset in sets:
        this = found[dataset, "this"]
        tables[f"{dataset}, {len(this)} seeds"] = short_table(this, HEADLINE)
        kinds = [(title, found[dataset, kind]) for kind, title in KINDS if (dataset, kind) in found]
        controls = [(title, this, name) for name, title in CONTROLS]
        columns = [(title, reports, "generated") for title, reports in kinds]
        tables[f"{dataset}, everything"] = results_table(columns + controls, ROWS)
        tables[f"{dataset}, the models"] = models_table(kinds)
        if (dataset, "soft") in found:
            soft = short_table(found[dataset, "soft"], ["accuracy"])
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
