import itertools
import json
import math
import statistics
import subprocess
import sys

import pytest
from conftest import ROOT
from scipy.stats import beta

from benchmarks import forgeries, tables
from trust import outputs
from trust.ask.verdicts import QUESTIONS
from trust.cli import UserError
from trust.show.rows import (
    ANSWERS,
    COLUMNS,
    CONTROL_ROWS,
    COUNT,
    PERCENT,
    PLAIN,
    ROWS,
    RUN_ROWS,
    TWO_DIGITS,
)

SETS = {**{name: ROWS for name in COLUMNS}, **CONTROL_ROWS}


def write_reports(folder, dataset, kind, seeds, start):
    """Reports whose k-th number is start + k / 1009 + seed / 100, and what they hold."""
    reports = []
    for seed in seeds:
        numbers = (start + k / 1009 + seed / 100 for k in itertools.count())
        sets = {}
        for name, rows in SETS.items():
            answers = sets[name] = {}
            for row in rows:
                answers.setdefault(row.question, {})[row.key] = next(numbers)
        values = {
            "dataset": dataset,
            "settings": {"seed": seed},
            "sets": sets,
            "verdicts": dict.fromkeys(sets["generated"], "worse" if seed else "as real"),
            "evidence": {each: {"number": 3.0 * seed, "other": -1.0} for each in sets["generated"]},
            "run": {row.key: next(numbers) for row in RUN_ROWS},
            "seconds": {"generating": 2.0 * seed, "total": 60.0},
            "peak_memory_gb": 1.0 + seed,
        }
        outputs.write_json(folder / f"{dataset}-{kind}-{seed}.json", values)
        reports.append(values)
    return reports


def number(values, name, row):
    return values["sets"][name][row.question][row.key]


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
    assert tables.cell([0.25, 0.26, 0.27], PERCENT) == "26.00 % ± 1.00"
    assert tables.cell([1.5], TWO_DIGITS) == "1.50"
    assert tables.cell([0.5], PERCENT) == "50.00 %"
    assert tables.cell([1000, 3000], COUNT) == "2,000 ± 1,414"
    assert tables.cell([0.1, math.nan], PLAIN) == "none"
    assert tables.cell([0.1, None], PLAIN) == "none"
    assert tables.cell([0.1, ""], PLAIN) == ""


def test_the_tables_are_means_and_deviations_of_the_reports(tmp_path):
    this = write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    naive = write_reports(tmp_path, "mnist", "naive", (0, 1, 2), 0.1)
    fashion = write_reports(tmp_path, "fashion_mnist", "this", (0, 1), 0.2)
    found = tables.readme_tables(tmp_path)
    rows = {row.title: row for row in ROWS}
    answers = rows_of(found["the answers"])
    titles = ["mnist", "mnist: real", "mnist: verdict"]
    assert answers.pop("") == titles + [title.replace("mnist", "fashion_mnist") for title in titles]
    worst = answers.pop("... referee agrees, worst class ↑")
    assert worst[2] == worst[5] == "" and worst[:2] == [
        expected_cell([number(each, name, tables.WORST_CLASS) for each in this], PERCENT)
        for name in ("generated", "real")
    ]
    shown = [row for row in ROWS if row.key == "detectable"]
    for row, least, (title, cells), (below, seen) in zip(
        ANSWERS, shown, *(iter(answers.items()),) * 2, strict=True
    ):
        assert title == f"{row.question}? {row.title}" and below == least.title
        for reports, own, would, verdict in (
            (this, cells[:3], seen[:3], "worse"),  # z is 9 in all, over the root of three
            (fashion, cells[3:], seen[3:], "as real"),  # 3 over the root of two
        ):
            values = [number(each, "generated", least) for each in reports]
            assert would == [expected_cell(values, least.form), "", ""]
            values, others = (
                [number(each, name, row) for each in reports] for name in ("generated", "real")
            )
            expected = [expected_cell(each, row.form) for each in (values, others)]
            assert own == [*expected, verdict]
    full = rows_of(found["mnist, everything"])
    header = full.pop("")
    assert header[:2] == ["as in the naive method", "generated"] and len(header) == 5
    assert list(full) == [row.title for row in ROWS]
    for title, cells in full.items():
        row = rows[title]
        columns = (naive, "generated"), *((this, name) for name in COLUMNS)
        for (reports, name), cell in zip(columns, cells, strict=True):
            assert cell == expected_cell([number(each, name, row) for each in reports], row.form)
    models = rows_of(found["fashion_mnist, the models"])
    assert models.pop("") == ["generated"]
    for row in RUN_ROWS:
        expected = expected_cell([each["run"][row.key] for each in fashion], row.form)
        assert models[row.title] == [expected]


def test_soft_labels_have_a_table_of_their_own(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1), 0.5)
    assert not any("soft" in title for title in tables.readme_tables(tmp_path))
    soft = write_reports(tmp_path, "mnist", "soft", (0, 1), 0.3)
    rows = rows_of(tables.readme_tables(tmp_path)["mnist, --soft-labels"])
    (row,) = [row for row in ROWS if row.key == "accuracy"]
    expected = [
        expected_cell([number(each, name, row) for each in soft], PERCENT)
        for name in ("generated", "real")
    ]
    assert rows == {"": ["generated", "real, same filter"], row.title: expected}


def test_each_question_has_a_short_table_with_its_control(tmp_path):
    mnist = write_reports(tmp_path, "mnist", "this", (0, 1), 0.5)
    write_reports(tmp_path, "fashion_mnist", "this", (0, 1), 0.3)
    found = tables.readme_tables(tmp_path)
    rows = {row.key: row for row in ROWS if row.question == "right"}
    right = rows_of(found["right, in short"])
    assert right[""] == [rows[key].title for key in ("strong_rate", "agreement", "error_estimate")]
    kinds = ("generated", "real", "reconstructed", "half-way between two classes")
    assert list(right)[1:5] == [f"mnist: {kind}" for kind in kinds]
    for place, key in ((0, "strong_rate"), (1, "agreement")):
        values = [number(each, "halfway", rows[key]) for each in mnist]
        expected = expected_cell(values, rows[key].form)
        assert right["mnist: half-way between two classes"][place] == expected
    assert {f"{question}, in short" for question in QUESTIONS} <= set(found)


def test_promises_are_told_with_their_spread_and_none_where_no_threshold_kept_one(tmp_path):
    (tmp_path / "promises").mkdir()
    for seed, threshold in enumerate((0.9, 0.95, 0.92)):
        kept = {key: 0.01 * (1 + seed) for key, *_ in tables.PROMISED} | {"threshold": threshold}
        lines = [{"max_error": 0.02, **kept}, {"max_error": 0.001, "kept": None}]
        lines.append(lines[seed > 1] | {"max_error": 0.005})
        (tmp_path / "promises" / f"mnist-{seed}.json").write_text(json.dumps(lines))
    write_reports(tmp_path, "mnist", "this", (0, 1), 0.5)
    rows = rows_of(tables.readme_tables(tmp_path)["promises"])
    assert rows[""][0] == "threshold" and list(rows)[1:] == [
        "mnist: at most 2 %",
        "mnist: at most 0.1 %, 0 of 3 seeds",
        "mnist: at most 0.5 %, 2 of 3 seeds",
    ]
    assert rows["mnist: at most 0.5 %, 2 of 3 seeds"][:2] == ["0.9250 ± 0.0354", "1.50 % ± 0.71"]
    assert rows["mnist: at most 2 %"][:2] == ["0.9233 ± 0.0252", "2.00 % ± 1.00"]
    assert set(rows["mnist: at most 0.1 %, 0 of 3 seeds"]) == {"none"}


def test_what_more_epochs_buy_is_told_a_row_each(tmp_path):
    (tmp_path / "epochs").mkdir()
    for seed in range(3):
        lines = [
            {"epochs": epochs, "seconds": 9 - seed}
            | {key: epochs + seed for key, *_ in tables.EPOCHS}
            for epochs in (4, 16)
        ]
        (tmp_path / "epochs" / f"mnist-{seed}.json").write_text(json.dumps(lines))
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    rows = rows_of(tables.readme_tables(tmp_path)["what more epochs buy"])
    assert list(rows)[1:] == ["mnist: 4 epochs", "mnist: 16 epochs"]
    assert rows[""][0] == "seconds of training" and rows["mnist: 4 epochs"][:2] == [
        "7",
        "5.0 ± 1.0",
    ]
    assert rows["mnist: 16 epochs"][4:6] == ["17.0000 ± 1.0000"] * 2


def test_whether_generated_images_help_is_told_a_row_each_and_counted(tmp_path):
    (tmp_path / "helps").mkdir()
    nothing = {"n": 10_000}  # too few images pass
    for seed, (z, others) in enumerate(((3.4, 2), (-3.4, 9), (None, 3.31))):
        numbers = {"real_images": 833, "added_images": 830, "accuracy_real_alone": 0.9}
        numbers |= {"accuracy_with_real": 0.91 + seed / 100, "helps_z": z, "helps_limit": 3.3}
        few = {"n": 1000, **numbers, "others_accuracy_with_real": 0.95, "others_helps_z": others}
        outputs.write_json(tmp_path / "helps" / f"mnist-{seed}.json", [few, nothing])
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    markdown, said = tables.readme_tables(tmp_path)["do they help a classifier?"].split("\n\n")
    rows = rows_of(markdown)
    assert list(rows)[1:] == ["mnist, cut to 1,000"]
    assert rows["mnist, cut to 1,000"] == [
        *("833 ± 0", "830 ± 0", "90.00 % ± 0.00", "92.00 % ± 1.00", "none"),
        *("95.00 % ± 0.00", "4.77 ± 3.72"),
    ]
    assert said == (
        "Beyond chance, generated images help in 1 of 3 cases and harm in 1; as many other real "
        "images help in 2."
    )


def entry(forgery, dose, draw=0, n=200, **caught):
    """An entry of a report of forgeries: *as real*, but for what is given."""
    verdicts = dict.fromkeys(QUESTIONS, "as real") | caught
    return {
        **{"forgery": forgery, "n": n, "images": n, "dose": dose, "draw": draw},
        "verdicts": verdicts,
    }


def test_forgeries_are_told_for_all_seeds():
    runs = []
    for word in ("worse", "as real"):
        found = [entry("noisy copies", 100, new="fails"), entry("noisy copies", 20, new=word)]
        found += [entry("blurred", 100, n=1000, varied="fails"), entry("inverted", 100)]
        found += [entry("labels by a classifier", 100, right="cannot tell")]
        found += [entry("honest", 100), entry("honest", 100, draw=1, balanced=word)]
        runs.append(found)
    rows = rows_of(tables.forgeries_table(runs))
    assert rows[""] == [*QUESTIONS] and len(rows) == 6
    new = QUESTIONS.index("new")
    assert rows["noisy copies, n = 200"][new] == "from 100 %"  # at 20 % in one of two seeds
    assert set(rows["noisy copies, n = 200"]) == {"from 100 %", "-"}
    assert rows["blurred, n = 1,000"][QUESTIONS.index("varied")] == "from 100 %"
    assert set(rows["**inverted, n = 200**"]) == {"-"}
    assert rows["labels by a classifier, n = 200"][QUESTIONS.index("right")] == "caught"
    assert rows["honest, n = 200"][QUESTIONS.index("balanced")] == "as real 3, worse 1"
    short = rows_of(tables.short_forgeries_table({"mnist": runs}))
    assert short[""] == ["caught by", "mnist, n = 200", "mnist, n = 1,000"]
    there = {each["forgery"] for each in runs[0]}
    assert list(short)[1:] == [name for name in forgeries.KINDS if name in there]
    assert short["noisy copies"] == ["new", "from 100 %", "too few pass"]
    assert short["inverted"][1:] == ["**not caught**", "too few pass"]
    assert short["honest"] == ["none", "1 of 4", "too few pass"]


def test_a_dose_counts_if_all_larger_ones_are_caught_in_four_of_five_sets():
    words = {1: "wwwww", 2: "wwww-", 5: "wwwww", 10: "www--", 20: "wwww-", 100: "wwwww"}
    found = [
        entry("swapped labels", dose, draw, right="worse" if letter == "w" else "as real")
        for dose, letters in words.items()
        for draw, letter in enumerate(letters)
    ]

    def said(found, question="right"):
        return forgeries.summary(found)["swapped labels", 200][question]

    assert said(found) == "from 20 %"
    assert said([each for each in found if each["dose"] != 10]) == "from 1 %"
    assert said([each for each in found if each["dose"] == 10]) == ""
    assert said(found, "new") == ""
    for each in found:  # one set in all was asked about
        if each["dose"] < 100 or each["draw"]:
            del each["verdicts"]["useful"]
    found[-5]["verdicts"]["useful"] = "fails"
    assert said(found, "useful") == "from 100 %"
    for each in found:
        each["verdicts"].pop("useful", None)
    assert said(found, "useful") == "not asked"


def test_the_question_that_catches_the_smallest_dose_speaks_for_a_forgery(monkeypatch):
    kind = forgeries.KINDS["blurred"]._replace(caught_by=("varied", "right", "unknown question"))
    monkeypatch.setitem(forgeries.KINDS, "blurred", kind)
    assert kind.expected() == ["varied", "right"]
    texts = dict.fromkeys(QUESTIONS, "from 1 %") | {"varied": "from 20 %", "right": "from 5 %"}
    assert forgeries.as_expected("blurred", texts) == "from 5 %"
    assert forgeries.as_expected("blurred", texts | {"right": ""}) == "from 20 %"
    assert forgeries.as_expected("blurred", dict.fromkeys(QUESTIONS, "")) == "not caught"
    nobody = texts | {"right": "not asked", "varied": ""}
    assert forgeries.as_expected("blurred", nobody) == "not caught"


def test_false_alarms_are_told_by_size_and_in_all(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    (tmp_path / "alarms").mkdir()
    counts = [
        {
            **{"door": door, "n": n, "question": question, "draws": 200, "alarms": alarms},
            **{"cannot_tell": 50, "detectable": n / 1e4},
            "planted": {"swapped": {"caught": 8 * door, "draws": 30}} if n == 100 else {},
        }
        for door, n, question, alarms in (
            (2, 100, "right", 1),
            (2, 500, "right", 0),
            (3, 100, "right", 0),
            (3, 500, "new", 2),
        )
    ]
    outputs.write_json(tmp_path / "alarms" / "mnist-0.json", counts)
    (tmp_path / "trained_alarms").mkdir()
    trained = [counts[0] | {"question": "useful", "draws": 40, "alarms": 0, "planted": {}}]
    outputs.write_json(tmp_path / "trained_alarms" / "mnist-0.json", trained)
    found = tables.readme_tables(tmp_path)
    full = found["mnist, false alarms and power"].splitlines()
    assert full[0] == "| | n = 100 | n = 500 |"
    assert full[2:6] == [
        "| right, behind the filter: called worse | 1 of 200 | 0 of 200 |",
        "| ... cannot tell | 25% | 25% |",
        "| ... would have shown, median | 0.0100 | 0.0500 |",
        "| ... swapped: caught | 16 of 30 |  |",
    ]
    short = rows_of(found["false alarms, the short form"])
    assert short[""] == ["mnist, behind the filter", "mnist, your images"]
    most = 100 * beta.ppf(0.95, 2, 399)  # Clopper & Pearson
    assert short["right: honest sets called worse"] == [
        f"1 of 400 (at most {most:.2f} %)",
        f"0 of 200 (at most {100 * beta.ppf(0.95, 1, 200):.2f} %)",
    ]
    few = f"0 of 40 (at most {100 * beta.ppf(0.95, 1, 40):.2f} %)"
    assert short["useful: honest sets called worse"] == [few, ""]
    assert "| useful, behind the filter: called worse | 0 of 40 |  |" in full
    assert short["new: honest sets called worse"][0] == ""
    assert short["... faults that should have shown: caught"][0] in ("53% of 30", "")
    sizes = rows_of(found["false alarms, by size"])
    assert sizes[""] == ["n = 100", "n = 500"]
    assert sizes["right"] == [
        f"1 of 400 (at most {most:.2f} %)",
        short["right: honest sets called worse"][1],
    ]
    assert sizes["useful"] == [few, ""] and "realistic" not in sizes


def test_false_alarms_of_several_seeds_are_counted_together(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    (tmp_path / "alarms").mkdir()
    where = {"door": 3, "n": 100, "question": "balanced"}
    for seed, draws, alarms, detectable, planted in (
        (0, 100, 1, 0.2, {}),
        (1, 50, 2, 0.4, {"thinned": {"caught": 3, "draws": 5, "recall_lost": None}}),
        (2, 50, 0, None, {"thinned": {"caught": 4, "draws": 5, "recall_lost": None}}),
    ):
        counts = {"draws": draws, "alarms": alarms, "cannot_tell": 10, "detectable": detectable}
        report = [where | counts | {"planted": planted}, where | counts | {"n": 500, "planted": {}}]
        outputs.write_json(tmp_path / "alarms" / f"mnist-{seed}.json", report)
    found = tables.readme_tables(tmp_path)["mnist, false alarms and power"].splitlines()
    assert found[2:] == [
        "| balanced, your images: called worse | 3 of 200 | 3 of 200 |",
        "| ... cannot tell | 15% | 15% |",
        "| ... would have shown, median | 0.3000 | 0.3000 |",
        "| ... thinned: caught | 7 of 10 |  |",
    ]


def test_seconds_and_memory_stand_beside_each_other(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    write_reports(tmp_path, "fashion_mnist", "this", (1, 2), 0.5)
    *_, last = tables.readme_tables(tmp_path).values()
    seconds = rows_of(last)
    assert seconds[""] == ["mnist", "fashion_mnist"]
    assert seconds["generating"] == ["2.0 ± 2.0", "3.0 ± 1.4"]
    assert seconds["total"] == ["60.0 ± 0.0"] * 2
    assert seconds["peak memory, GB"] == ["2.0 ± 1.0", "2.5 ± 0.7"]


def test_a_row_without_numbers_is_left_out(tmp_path):
    for values in write_reports(tmp_path, "mnist", "this", (0, 1), 0.5):
        seed = round(values["peak_memory_gb"]) - 1
        for name in COLUMNS:
            del values["sets"][name]["varied"]["frechet"]
        del values["sets"]["real"]["varied"]["recall"]
        outputs.write_json(tmp_path / f"mnist-this-{seed}.json", values)
    full = rows_of(tables.readme_tables(tmp_path)["mnist, everything"])
    titles = {row.key: row.title for row in ROWS}
    assert titles["frechet"] not in full
    assert full[titles["recall"]][1] == "" and full[titles["recall"]][0] != ""


def run_script(folder):
    command = [sys.executable, "-m", "benchmarks.tables", folder]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_script_prints_all_tables(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0, 1, 2), 0.5)
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    for title, markdown in tables.readme_tables(tmp_path).items():
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
        tables.readme_tables(tmp_path)


def test_one_seed_has_no_deviation(tmp_path):
    write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    found = tables.readme_tables(tmp_path)
    assert "±" not in "".join(found.values())
    assert rows_of(found["mnist, everything"])[ROWS[0].title][0] == "50.00 %"


def test_only_reports_of_another_kind_are_a_sentence_too(tmp_path):
    write_reports(tmp_path, "mnist", "naive", (0, 1), 0.5)
    with pytest.raises(UserError):
        tables.readme_tables(tmp_path)


def test_reports_with_other_stages_leave_a_gap(tmp_path):
    (first,) = write_reports(tmp_path, "mnist", "this", (0,), 0.5)
    write_reports(tmp_path, "fashion_mnist", "this", (0,), 0.5)
    first["seconds"] = {"training the referee": 12.0} | first["seconds"]
    outputs.write_json(tmp_path / "mnist-this-0.json", first)
    *_, last = tables.readme_tables(tmp_path).values()
    assert rows_of(last)["training the referee"] == ["12.0", ""]
    assert rows_of(last)["total"] == ["60.0", "60.0"]
