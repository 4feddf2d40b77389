import argparse
import importlib.metadata
import math
import re

import numpy as np
import pytest

from trust import report

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
    return line[44:].split("  ")


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
    assert max(map(len, titles)) < 50


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
        (np.float64("nan"), report.NATS, "none"),
        (0.98765, report.PERCENT, "98.77 %"),
        (1, report.PERCENT, "100.00 %"),
        (0.0, report.PERCENT, "0.00 %"),
        (0.98765, report.PLAIN, "0.9877"),
        (np.float32(-17.8), report.NATS, "-17.80"),
        (12_345, report.COUNT, "12,345"),
        (math.inf, report.NATS, "inf"),
    ],
)
def test_a_number_as_text(value, form, expected):
    assert report.show(value, form) == expected


def test_every_number_is_printed_once_a_row(capsys):
    full = full_report()
    text = printed(full, ("shirt", "coat"), capsys)
    for row in report.ROWS:
        expected = [report.show(full[p + row.key], row.form) for p in report.SETS.values()]
        cells = [cell.strip() for cell in line_of(row.title, text) if cell.strip()]
        assert cells == expected
    for row in report.RUN_ROWS:
        assert report.show(full[row.key], row.form) in "  ".join(line_of(row.title, text))
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
