import importlib.metadata
import math
import re

import numpy as np
import pytest

from trust.data.images import (
    Pixels,
)
from trust.show import report
from trust.train import saves

SETS = {
    **{name: report.ROWS for name in report.COLUMNS},
    **report.CONTROL_ROWS,
}


def full_numbers():
    """Every key of every set and of the run, each number another."""
    numbers = iter(np.linspace(0.1, 0.9, 500).round(5).tolist())
    sets = {}
    for name, rows in SETS.items():
        answers = sets[name] = {}
        for row in rows:
            answers.setdefault(row.question, {})[row.key] = next(numbers)
    return sets, {row.key: next(numbers) for row in report.RUN_ROWS}


def full_report():
    sets, run = full_numbers()
    counts = {"generated": [12_345, 4321], "strong": [10_111, 222], "accepted": [50, 49]}
    counts = {name: np.array(each) for name, each in counts.items()}
    counts |= dict.fromkeys(("agreement", "agreement_low", "agreement_high"), np.array([0.5, 0.25]))
    return {
        "dataset": "shop",
        "settings": {"seed": 3, "threshold": 0.95},
        "notes": ["something to know"],
        "verdicts": dict(zip(sets["generated"], ("worse", "fails", "as real") * 2, strict=False)),
        "sets": sets,
        "classes": report.by_class(("shirt", "coat"), counts),
        "run": run,
        "seconds": {"training": 61.27, "total": 75.0},
        "peak_memory_gb": 3.456,
    }


def printed(report_, capsys):
    report.print_report(report_)
    return capsys.readouterr().out


def line_of(title, text):
    (line,) = [line for line in text.splitlines() if line.startswith(f"{title:46}")]
    return [cell.strip() for cell in line.removeprefix(title).split("  ") if cell.strip()]


def test_keys_and_titles_are_unique():
    for rows in (*SETS.values(), report.RUN_ROWS):
        assert len({(row.question, row.key) for row in rows}) == len(rows)
    titles = [row.title for row in report.ROWS + report.RUN_ROWS]
    titles += [row.title for rows in report.CONTROL_ROWS.values() for row in rows]
    assert len(set(titles)) == len(titles)
    assert max(map(len, titles)) <= 45  # the width of their column on the terminal


def test_a_full_report_passes_the_check():
    report.check(*full_numbers())


@pytest.mark.parametrize("name", [*SETS, "run"])
def test_a_key_without_a_row_and_a_row_without_a_key_are_errors(name):
    for change in ("more", "less"):
        sets, run = full_numbers()
        if name == "run":
            places = [run]
        else:  # a row is missing where no column has its number
            places = [sets[each]["right"] for each in report.COLUMNS if name in report.COLUMNS]
            places = places or [next(iter(sets[name].values()))]
        for numbers in places[:1] if change == "more" else places:
            if change == "more":
                numbers["surprise"] = 1.0
            else:
                del numbers[next(iter(numbers))]
        with pytest.raises(ValueError, match="row"):
            report.check(sets, run)


def test_a_set_without_a_row_is_an_error():
    sets, run = full_numbers()
    with pytest.raises(ValueError, match="surprise"):
        report.check(sets | {"surprise": {}}, run)


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
    text = printed(full, capsys)
    for row in report.ROWS:
        values = [full["sets"][name][row.question][row.key] for name in report.COLUMNS]
        assert line_of(row.title, text) == [report.show(value, row.form) for value in values]
    for name, rows in report.CONTROL_ROWS.items():
        for row in rows:
            value = full["sets"][name][row.question][row.key]
            assert line_of(row.title, text) == [report.show(value, row.form)]
    for row in report.RUN_ROWS:
        assert line_of(row.title, text) == [report.show(full["run"][row.key], row.form)]
    lines = [re.sub(" +", " ", line) for line in text.splitlines()]
    assert "shop, seed 3, threshold 0.95" in lines
    assert "shirt 12,345 10,111 50 50.00 % 50.00 % 50.00 %" in lines
    assert "coat 4,321 222 49 25.00 % 25.00 % 25.00 %" in lines
    assert "training 61.3" in lines and "total 75.0" in lines
    assert "peak memory, GB 3.46" in lines
    header = next(line for line in lines if "other_prior" in line)
    assert header.split("less is better")[1].split() == list(report.COLUMNS)
    assert lines[-1] == "In short: " + ", ".join(
        f"{question}? {verdict}" for question, verdict in full["verdicts"].items()
    )
    assert f"\n{report.REAL[report.COLUMNS]}\n" in text


def test_columns_stay_in_line_with_gaps_and_missing_values(capsys):
    full = full_report()
    del full["sets"]["real"]["right"]["strong_rate"]
    full["sets"]["reconstructed"]["right"]["strong_rate"] = math.nan
    del full["sets"]["other_prior"]["right"]["strong_rate"]
    text = printed(full, capsys)
    title = report.ROWS[0].title
    shown = report.show(full["sets"]["generated"]["right"]["strong_rate"], report.PERCENT)
    expected = f"{title:46}{shown:>14}{'':14}{'none':>14}{'':14}"
    assert [line for line in text.splitlines() if line.startswith(title)] == [expected]


def test_the_five_answers_come_first(capsys):
    full = full_report()
    generated, real = full["sets"]["generated"], full["sets"]["real"]
    lines = printed(full, capsys).splitlines()
    answers = lines[2:7]
    assert lines[7:9] == ["note: something to know", ""] and report.answers(full) == answers
    questions = ["right?", "balanced?", "varied?", "new?", "useful?"]
    assert [line.split()[0] for line in answers] == questions
    for line, (question, verdict) in zip(answers, full["verdicts"].items(), strict=True):
        assert line.startswith(f"{question}?".ljust(10) + verdict.ljust(8))
    for line, row in zip(answers, report.ANSWERS, strict=True):
        number, other = (
            report.show(each[row.question][row.key], row.form) for each in (generated, real)
        )
        assert f"{row.title} {number} (real {other}" in line
    expected = report.show(generated["new"]["expected_share"], report.PERCENT)
    assert answers[3].endswith(f", expected {expected})")
    for key in "error_low", "error_high":
        assert report.show(generated["right"][key], report.PERCENT) in answers[0]
    assert real["right"]["agreement"] != generated["right"]["agreement"]
    assert answers[0].endswith("least in class coat: 25.00 %")
    assert "could not have found" not in answers[3]


def test_a_run_that_could_not_have_found_copies_says_so():
    full = full_report()
    full["sets"]["planted"]["new"]["moved_copies"] = math.nan
    assert report.answers(full)[3].endswith("; could not have found moved copies")
    full["sets"]["planted"]["new"]["noisy_copies"] = math.nan
    assert report.answers(full)[3].endswith("; could not have found noisy copies, moved copies")


def test_where_a_report_comes_from():
    settings = saves.Settings(
        "mnist", "ab12", ("0", "1"), Pixels((28, 28, 1), (0.1,)), epochs=12, seed=3
    )
    origin = report.origin(settings, {"epochs": None, "seed": 3, "threshold": 0.95}, "1 GPU")
    assert origin["devices"] == "1 GPU"
    assert origin["dataset"] == "mnist" and origin["fingerprint"] == "ab12"
    assert origin["settings"] == {"epochs": 12, "seed": 3, "threshold": 0.95}
    assert origin["versions"]["numpy"] == np.__version__
    assert origin["versions"]["matplotlib"] == importlib.metadata.version("matplotlib")


def test_images_of_another_generator_have_a_table_of_their_own(capsys):
    full = full_report()
    sets = {name: full["sets"][name] for name in ("real", "planted")}
    full |= {"sets": sets | {"yours": full["sets"]["generated"]}, "run": {}}
    full["settings"] = full["settings"] | {"threshold": None}
    text = printed(full, capsys)
    assert "no filter" in text.splitlines()[0] + text.splitlines()[1]
    head = next(line for line in text.splitlines() if "yours" in line)
    assert (
        head.split("less is better")[1].split() == ["yours", "real"] and "strong images" not in text
    )
    for row in report.ROWS:
        value = full["sets"]["yours"][row.question][row.key]
        assert report.show(value, row.form) in text
