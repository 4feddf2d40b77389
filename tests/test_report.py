import argparse
import importlib.metadata
import math
import re
import statistics
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from trust import outputs, report
from trust.cli import UserError

SET_KEYS = [row.key for row in report.ROWS]
RUN_KEYS = [row.key for row in report.RUN_ROWS]


def full_metrics():
    """Every key of every set and of the run, each number another."""
    numbers = iter(np.linspace(0.1, 0.9, 500).round(5).tolist())
    metrics = {name: {key: next(numbers) for key in SET_KEYS} for name in report.SETS}
    return metrics, {key: next(numbers) for key in RUN_KEYS}


def full_report():
    rest = {
        "class_counts_generated": np.array([12_345, 4321]),
        "class_counts_strong": np.array([10_111, 222]),
        "class_counts_balanced": np.array([50, 49]),
        "seconds": {"training": 61.27, "total": 75.0},
        "peak_memory_gb": 3.456,
    }
    return report.flatten(*full_metrics()) | rest


def printed(report_, names, capsys):
    report.print_report(report_, names)
    return capsys.readouterr().out


def line_of(title, text):
    (line,) = [line for line in text.splitlines() if line.startswith(f"{title:44}")]
    return [cell.strip() for cell in line.removeprefix(title).split("  ") if cell.strip()]


def test_merge_keeps_all_and_the_last_word_counts():
    first = {"generated": {"a": 1, "b": 2}, "real": {"a": 3}}
    second = {"generated": {"b": 4, "c": 5}, "planted": {"a": 6}}
    merged = report.merge(first, second)
    expected = {"generated": {"a": 1, "b": 4, "c": 5}, "real": {"a": 3}, "planted": {"a": 6}}
    assert merged == expected
    assert first == {"generated": {"a": 1, "b": 2}, "real": {"a": 3}}  # unchanged
    assert report.merge() == {} and report.merge(first) == first


def test_keys_and_titles_are_unique():
    keys = [prefix + key for prefix in report.SETS.values() for key in SET_KEYS] + RUN_KEYS
    assert len(set(keys)) == len(keys)
    titles = [row.title for row in report.ROWS + report.RUN_ROWS]
    assert len(set(titles)) == len(titles)
    assert max(map(len, titles)) <= 44  # the width of their column on the terminal


def test_a_report_is_in_the_order_of_the_rows_whatever_the_order_of_the_metrics():
    metrics, run = full_metrics()
    shuffled = {
        name: dict(reversed(list(metrics[name].items()))) for name in reversed(list(report.SETS))
    }
    flat = report.flatten(shuffled, dict(reversed(list(run.items()))))
    prefixes = ["", "real_", "reconstructed_", "planted_"]
    expected = [prefix + key for key in SET_KEYS for prefix in prefixes] + RUN_KEYS
    assert list(flat) == expected
    for name, prefix in report.SETS.items():
        assert [flat[prefix + key] for key in SET_KEYS] == list(metrics[name].values())
    assert [flat[key] for key in RUN_KEYS] == list(run.values())


def test_a_report_leaves_out_what_was_not_asked_but_not_what_has_no_value():
    metrics = {name: {} for name in report.SETS}
    metrics["real"] = {"strong_rate": math.nan, "frechet": 0.0}
    flat = report.flatten(metrics, {"temperature": 1.25})
    assert list(flat) == ["real_strong_rate", "real_frechet", "temperature"]
    assert math.isnan(flat["real_strong_rate"]) and flat["real_frechet"] == 0


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (None, report.PERCENT, ""),
        (math.nan, report.PERCENT, "none"),
        (math.nan, report.COUNT, "none"),
        (np.float64("nan"), report.TWO_DIGITS, "none"),
        (0.98765, report.PERCENT, "98.77 %"),
        (1, report.PERCENT, "100.00 %"),
        (0.0, report.PERCENT, "0.00 %"),
        (0.98765, report.PLAIN, "0.9877"),
        (np.float32(-17.8), report.TWO_DIGITS, "-17.80"),
        (12_345, report.COUNT, "12,345"),
        (math.inf, report.TWO_DIGITS, "inf"),
    ],
)
def test_a_number_as_text(value, form, expected):
    assert report.show(value, form) == expected


def test_every_number_is_printed_once_a_row(capsys):
    full = full_report()
    text = printed(full, ("shirt", "coat"), capsys)
    for row in report.ROWS:
        expected = [report.show(full[p + row.key], row.form) for p in report.SETS.values()]
        assert line_of(row.title, text) == expected
    for row in report.RUN_ROWS:
        assert line_of(row.title, text) == [report.show(full[row.key], row.form)]
    lines = [re.sub(" +", " ", line) for line in text.splitlines()]
    assert "shirt 12,345 10,111 50" in lines and "coat 4,321 222 49" in lines
    assert "training 61.3" in lines and "total 75.0" in lines
    assert "peak memory, GB 3.46" in lines
    header = next(line for line in lines if "generated" in line)
    assert header.split() == list(report.SETS)


def test_columns_stay_in_line_with_gaps_and_missing_values(capsys):
    full = full_report()
    del full["real_strong_rate"], full["planted_strong_rate"]
    full["reconstructed_strong_rate"] = math.nan
    for key in list(full):
        if key.startswith("planted_"):
            del full[key]
    text = printed(full, ("shirt", "coat"), capsys)
    title, shown = report.ROWS[0].title, report.show(full["strong_rate"], report.PERCENT)
    expected = f"{title:44}{shown:>14}{'':14}{'none':>14}{'':14}"
    assert [line for line in text.splitlines() if line.startswith(title)] == [expected]


def test_where_a_report_comes_from():
    arguments = argparse.Namespace(dataset="mnist", seed=3, threshold=0.95, given={"seed"})
    settings = {"dataset": "mnist", "fingerprint": "ab12", "epochs": 12}
    origin = report.origin(arguments, settings)
    assert origin["dataset"] == "mnist" and origin["fingerprint"] == "ab12"
    assert origin["flags"] == {"dataset": "mnist", "seed": 3, "threshold": 0.95}
    assert origin["versions"]["numpy"] == np.__version__
    assert origin["versions"]["matplotlib"] == importlib.metadata.version("matplotlib")


# The README's tables


def write_reports(folder, dataset, kind, seeds, start):
    """Reports whose k-th number is start + k / 1000 + seed / 100, and what they hold."""
    reports = []
    for seed in seeds:
        keys = [prefix + key for prefix in report.SETS.values() for key in SET_KEYS] + RUN_KEYS
        values = {key: start + k / 1000 + seed / 100 for k, key in enumerate(keys)}
        values |= {"dataset": dataset, "peak_memory_gb": 1.0 + seed, "flags": {"seed": seed}}
        values["seconds"] = {"generating": 2.0 * seed, "total": 60.0}
        outputs.write_json(folder / f"{dataset}-{kind}-{seed}.json", values)
        reports.append(values)
    return reports


def rows_of(markdown):
    """{title: cells} of a Markdown table; the title of the first line is nothing."""
    lines = [line.strip("|").split("|") for line in markdown.splitlines()]
    assert len({len(line) for line in lines}) == 1 and set(lines[1]) == {"---"}
    return {
        title.strip(): [cell.strip() for cell in cells]
        for title, *cells in lines
        if title.strip() != "---"
    }


def expected_cell(values, form):
    """By hand: "12.30 % ± 1.00" and the like."""
    unit = " %" if form.endswith(" %") else ""
    number, scale = form.removesuffix(" %"), 100 if unit else 1
    mean = number.format(scale * statistics.mean(values))
    return f"{mean}{unit} ± {number.format(scale * statistics.stdev(values))}"


def test_a_cell_by_hand():
    assert report.cell([0.25, 0.26, 0.27], report.PERCENT) == "26.00 % ± 1.00"
    assert report.cell([1.5], report.TWO_DIGITS) == "1.50"
    assert report.cell([0.5], report.PERCENT) == "50.00 %"
    assert report.cell([1000, 3000], report.COUNT) == "2,000 ± 1,414"
    assert report.cell([0.1, math.nan], report.PLAIN) == "none"
    assert report.cell([0.1, None], report.PLAIN) == "none"
    assert report.cell([0.1, ""], report.PLAIN) == ""


def test_the_tables_are_means_and_deviations_of_the_reports(tmp_path):
    this = write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    naive = write_reports(tmp_path, "mnist", "naive", (0, 1, 2), 0.1)
    fashion = write_reports(tmp_path, "fashion_mnist", "this", (0, 1), 0.2)
    tables = report.readme_tables(tmp_path)
    (title,) = [title for title in tables if title.startswith("mnist, 3")]
    short = rows_of(tables[title])
    assert short.pop("") == ["generated", "real, same filter"]
    assert len(short) == len(report.HEADLINE)
    rows = {row.title: row for row in report.ROWS}
    for title, cells in short.items():
        row = rows[title]
        assert row.key in report.HEADLINE
        for prefix, cell in zip(("", "real_"), cells, strict=True):
            assert cell == expected_cell([each[prefix + row.key] for each in this], row.form)
    full = rows_of(tables["mnist, everything"])
    header = full.pop("")
    assert header[:2] == ["as in the naive method", "generated"] and len(header) == 5
    assert list(full) == [row.title for row in report.ROWS]
    for title, cells in full.items():
        row = rows[title]
        columns = (naive, ""), (this, ""), *((this, p) for p in list(report.SETS.values())[1:])
        for (reports, prefix), cell in zip(columns, cells, strict=True):
            assert cell == expected_cell([each[prefix + row.key] for each in reports], row.form)
    models = rows_of(tables["fashion_mnist, the models"])
    assert models.pop("") == ["generated"]
    for row in report.RUN_ROWS:
        expected = expected_cell([each[row.key] for each in fashion], row.form)
        assert models[row.title] == [expected]


def test_soft_labels_have_a_table_of_their_own(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1), 0.5)
    assert not any("soft" in title for title in report.readme_tables(tmp_path))
    soft = write_reports(tmp_path, "mnist", "soft", (0, 1), 0.3)
    rows = rows_of(report.readme_tables(tmp_path)["mnist, --soft-labels"])
    keys = "usefulness_accuracy", "real_usefulness_accuracy"
    expected = [expected_cell([each[key] for each in soft], report.PERCENT) for key in keys]
    assert rows == {"": ["generated", "real, same filter"], "trained on them: accuracy": expected}


def test_seconds_and_memory_stand_beside_each_other(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    write_reports(tmp_path, "fashion_mnist", "this", (1, 2), 0.5)
    *_, last = report.readme_tables(tmp_path).values()
    seconds = rows_of(last)
    assert seconds[""] == ["mnist", "fashion_mnist"]
    assert seconds["generating"] == ["2.0 ± 2.0", "3.0 ± 1.4"]
    assert seconds["total"] == ["60.0 ± 0.0"] * 2
    assert seconds["peak memory, GB"] == ["2.0 ± 1.0", "2.5 ± 0.7"]


def test_a_row_without_numbers_is_left_out(tmp_path):
    for values in write_reports(tmp_path, "mnist", "this", (0, 1), 0.5):
        seed = round(values["peak_memory_gb"]) - 1
        for key in ("frechet", "real_frechet", "planted_frechet", "reconstructed_frechet"):
            del values[key]
        del values["real_recall"]
        outputs.write_json(tmp_path / f"mnist-this-{seed}.json", values)
    full = rows_of(report.readme_tables(tmp_path)["mnist, everything"])
    titles = {row.key: row.title for row in report.ROWS}
    assert titles["frechet"] not in full
    assert full[titles["recall"]][1] == "" and full[titles["recall"]][0] != ""


def run_script(folder):
    command = [sys.executable, "-m", "trust.report", folder]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_script_prints_all_tables(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    for title, markdown in report.readme_tables(tmp_path).items():
        assert title in done.stdout and markdown in done.stdout


def test_a_folder_without_reports_is_a_sentence(tmp_path):
    done = run_script(tmp_path)
    assert done.returncode == 2 and "run make table first" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'"dataset"',
        b"{}",
        b"\xff\xfe",
        b'{"dataset": "fashion_mnist", "seconds": {}}',
        b'{"dataset": "mnist", "seconds": 5}',
        b'{"dataset": "mnist", "seconds": {"total": 1.0',
    ],
)
def test_a_damaged_report_is_a_sentence(tmp_path, content):
    write_reports(tmp_path, "mnist", "this", (0, 1), 0.5)
    (tmp_path / "mnist-this-2.json").write_bytes(content)
    with pytest.raises(UserError, match=r"mnist-this-2\.json"):
        report.readme_tables(tmp_path)


def test_one_seed_has_no_deviation(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    tables = report.readme_tables(tmp_path)
    assert "±" not in "".join(tables.values())
    assert rows_of(tables["mnist, everything"])[report.ROWS[0].title][0] == "50.00 %"


def test_only_reports_of_another_kind_are_a_sentence_too(tmp_path):
    write_reports(tmp_path, "mnist", "naive", (0, 1), 0.5)
    with pytest.raises(UserError):
        report.readme_tables(tmp_path)


def test_reports_with_other_stages_leave_a_gap(tmp_path):
    (first,) = write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    write_reports(tmp_path, "fashion_mnist", "this", (0,), 0.5)
    first["seconds"] = {"training the referee": 12.0} | first["seconds"]
    outputs.write_json(tmp_path / "mnist-this-0.json", first)
    *_, last = report.readme_tables(tmp_path).values()
    assert rows_of(last)["training the referee"] == ["12.0", ""]
    assert rows_of(last)["total"] == ["60.0", "60.0"]
