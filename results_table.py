"""The README's tables from the reports of several runs: mean and standard deviation over seeds.

python results_table.py results     (the reports are written by `make table`)
"""

import json
from pathlib import Path

import numpy as np

import cli

PERCENT, PLAIN, NATS = "{:.2f} %", "{:.4f}", "{:.2f}"
# Row title, key of the generated column, key of the real column, format.
ROWS = [
    ("generated images that pass 95 %", "strong_rate", "real_strong_rate", PERCENT),
    ("generated images below 50 %", "weak_rate", "real_weak_rate", PERCENT),
    ("referee agrees with strong images", "strong_agreement", "real_strong_agreement", PERCENT),
    ("referee agrees with all images", "agreement", "real_agreement", PERCENT),
    ("referee agrees with weak images", "weak_agreement", None, PERCENT),
    ("calibration error against the referee", "generated_ece", None, PLAIN),
    ("calibration error, test images, raw", None, "ece_raw", PLAIN),
    ("calibration error, test images, as used", None, "ece_calibrated", PLAIN),
    ("classifier accuracy, test images", None, "classifier_test_accuracy", PERCENT),
    ("referee accuracy, test images", None, "referee_test_accuracy", PERCENT),
    ("negative ELBO, test images, nats", "vae_test_negative_elbo", None, NATS),
    ("rarest class per commonest, strong", "class_counts_strong", None, NATS),
    (
        "correlation with the closest training image",
        "closest_correlation_median",
        "real_closest_correlation_median",
        PLAIN,
    ),
    ("closer than the closest 1 % of real images", "copy_rate", "real_copy_rate", PERCENT),
    ("copying z", "copying_z", None, NATS),
    ("trained on them: accuracy", "usefulness_accuracy", "real_usefulness_accuracy", PERCENT),
]
COLUMNS = [("naive", "as in the naive method"), ("this", "this repo"), ("disjoint", "disjoint")]


def number(report, key):
    """A report's value as one number: counts as the ratio of the least to the most."""
    value = report[key]
    if isinstance(value, list):
        return min(value) / max(value)
    return np.nan if value is None else value


def cell(reports, key, form):
    """Mean and standard deviation over the reports, as text."""
    if key is None:
        return ""
    scale = 100 if form == PERCENT else 1
    values = scale * np.array([number(report, key) for report in reports])
    if np.isnan(values).any():
        return "none"
    return f"{form.format(values.mean())} ± {form.format(values.std(ddof=1)).removesuffix(' %')}"


def read_reports(folder, dataset, kind):
    """The reports that `make table` wrote for one column, a seed each."""
    paths = sorted(folder.glob(f"{dataset}-{kind}-*.json"))
    return [json.loads(path.read_text()) for path in paths]


def print_table(folder, dataset):
    """One Markdown table; the column of real images comes from the runs of this repo."""
    reports = {kind: read_reports(folder, dataset, kind) for kind, _ in COLUMNS}
    present = [(kind, title) for kind, title in COLUMNS if len(reports[kind]) > 1]
    titles = [title for _, title in present] + ["real images"]
    print(f"\n{dataset}, {len(reports['this'])} seeds\n")
    print(f"| | {' | '.join(titles)} |\n|---|{'---|' * len(titles)}")
    for title, generated, real, form in ROWS:
        cells = [cell(reports[kind], generated or real, form) for kind, _ in present]
        cells.append(cell(reports["this"], real, form) if generated else "")
        print(f"| {title} | {' | '.join(cells)} |")


def print_times(folder, datasets):
    """Seconds of every stage and peak memory of the runs of this repo, as a Markdown table."""
    columns = [read_reports(folder, dataset, "this") for dataset in datasets]
    columns = [[report["seconds"] | report for report in reports] for reports in columns]
    print(f"\n| seconds | {' | '.join(datasets)} |\n|---|{'---|' * len(datasets)}")
    for key in [*columns[0][0]["seconds"], "peak_memory_gb"]:
        title = {"total": "**all**", "peak_memory_gb": "peak memory, GB"}.get(key, key)
        print(f"| {title} | {' | '.join(cell(reports, key, '{:.1f}') for reports in columns)} |")


def main():
    parser = cli.Parser(description="Print the README's tables from the reports in a folder.")
    parser.add_argument("folder", help="where `make table` wrote its reports")
    folder = Path(parser.parse_args().folder)
    datasets = sorted({p.name.split("-this-")[0] for p in folder.glob("*-this-*.json")})
    if not datasets:
        raise cli.UserError(f"{str(folder)!r} has no reports *-this-*.json: run make table first")
    for dataset in datasets:
        print_table(folder, dataset)
    print_times(folder, datasets)


if __name__ == "__main__":
    cli.run(main)
