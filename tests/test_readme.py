"""The README says what the committed reports say, and shows figures that exist."""

import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
from conftest import ROOT

from benchmarks import tables as tables_
from trust.ask import balanced, new, realistic, right, useful, varied
from trust.ask.verdicts import QUESTIONS
from trust.show import terminal

PAGES = {
    path: path.read_text()
    for path in (ROOT / "README.md", ROOT / "docs" / "details.md", ROOT / "docs" / "your-images.md")
}
README, DETAILS, YOURS = PAGES.values()
RESULTS = ROOT / "benchmarks" / "results"

LONG = "the answers", "forgeries, the short form", "false alarms, the short form"


def test_the_tables_are_those_that_the_reports_give():
    tables = tables_.readme_tables(RESULTS)
    short = [f"{question}, in short" for question in QUESTIONS]
    for title in (*LONG, *short):
        assert tables[title] in README, title
    for title in ("what more epochs buy", "promises"):
        assert tables[title] in DETAILS, title


def test_the_bounds_are_those_of_the_rooms():
    bounds = [
        f"above {right.MOST_ERRORS:.0%} wrong",
        f"above {realistic.MOST_TOLD:.0%} told apart",
        f"a class below {balanced.LEAST_BALANCE:.0%} of its due",
        f"recall or coverage below {varied.LEAST_VARIETY:.0%} of real",
        f"copies, or a lean above {new.LARGE_LEAN:.0%}",
        f"accuracy {useful.MOST_LOSS:.0%} lower than real",
    ]
    assert f"| *fails* | {' | '.join(bounds)} |".replace("%", " %") in README


def test_the_answers_that_are_shown_are_those_of_a_report():
    report = json.loads((RESULTS / "mnist-naive-0.json").read_text())
    head, *lines = terminal.summary(report).splitlines()
    assert len(lines) >= len(QUESTIONS)
    assert "\n".join([head, *lines[: len(QUESTIONS)]]) in YOURS


def test_the_page_of_results_is_what_the_command_prints():
    command = [sys.executable, "-m", "benchmarks.tables", RESULTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (RESULTS / "README.md").read_text()


def prose(text):
    """A page without code, tables, headings, figures and the targets of links, on one line."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#", "!["))]
    text = re.sub(r"`[^`]*`", "code", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(lines)))
    return re.sub(r"\s+", " ", text)


def test_few_numbers_stand_in_the_prose():
    numbers = re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*", prose(README))
    words = re.findall(r"[A-Za-z][\w'-]*", prose(README))
    assert len(words) > 1000 and 100 * len(numbers) / len(words) <= 4


def mean_of(dataset, name, question, key, kind="this"):
    """Of the reports of a data set the mean of a number of a set, or of the run."""
    found = tables_.read_reports(RESULTS)[dataset, kind]
    values = [
        (each["run"] if name == "run" else each["sets"][name][question])[key] for each in found
    ]
    return float(np.mean(values))


# What the prose says of both data sets, and the number of the reports that it has to be.
SAID = [
    (
        r"an estimated ([\d.]+) % of the accepted images are wrong .*? on Fashion-MNIST ([\d.]+) %",
        ("generated", "right", "error_estimate"),
        "{:.2f}",
    ),
    (
        r"\(real images: ([\d.]+) %\), on Fashion-MNIST [\d.]+ % \(([\d.]+) %\)",
        ("real", "right", "error_estimate"),
        "{:.2f}",
    ),
    (
        r"its test accuracy is ([\d.]+) % on MNIST and ([\d.]+) % on Fashion-MNIST",
        ("run", "run", "referee_test_accuracy"),
        "{:.1f}",
    ),
    (
        r"(\d+) % of these pass on MNIST and (\d+) % on Fashion-MNIST",
        ("halfway", "right", "strong_rate"),
        "{:.0f}",
    ),
    (
        r"is right in (\d+) % of cases for digits and in (\d+) % for clothes",
        ("generated", "realistic", "told_apart"),
        "{:.0f}",
    ),
    (
        r"it is right in (\d+) % of cases on MNIST and in (\d+) % on Fashion-MNIST",
        ("generated", "realistic", "told_apart_from_reconstructed"),
        "{:.0f}",
    ),
]
NATS = [
    ("negative_elbo_normal", r"is then ([\d.]+) nats on MNIST and ([\d.]+) on Fashion-MNIST with"),
    ("negative_elbo_mixture", r"with N\(0, I\), ([\d.]+) and ([\d.]+) with the mixture"),
]


def test_the_shares_in_the_prose_are_those_of_the_set_and_row_it_speaks_of():
    text, told = prose(README), []
    for words, place, form in SAID:
        found = re.search(words, text).groups()
        for dataset, number in zip(("mnist", "fashion_mnist"), found, strict=True):
            assert number == form.format(100 * mean_of(dataset, *place)), words
        told += found
    # 95 is the threshold and the confidence; 2 is a dose.
    others = {"95", "2"}
    assert sorted({*re.findall(r"(\d+(?:\.\d+)?) %", text)} - others) == sorted({*told} - others)


def test_the_nats_are_those_of_the_reports():
    text = prose(DETAILS)
    for key, words in NATS:
        found = re.search(words, text).groups()
        for dataset, number in zip(("mnist", "fashion_mnist"), found, strict=True):
            assert number == f"{mean_of(dataset, 'run', 'run', key):.1f}"


def test_broken_promises_are_counted():
    """Of all reports that found a threshold."""
    lines = [
        line
        for runs in tables_.read_lists(RESULTS, "promises").values()
        for run in runs
        for line in run
        if "threshold" in line
    ]
    keys = "test_error_estimate", "estimated_error_estimate"
    counts = [sum(line[key] > line["max_error"] for line in lines) for key in keys]
    above = [f"{count} of {len(lines)}" for count in counts]
    clear = sum(line["estimated_error_low"] > line["max_error"] for line in lines)
    words = (
        r"above the promise in (\d+ of \d+) cases.* above it in (\d+ of \d+), .*in (\d+) of these"
    )
    assert list(re.search(words, prose(README)).groups()) == [*above, str(clear)]


def test_no_sentence_is_longer_than_a_breath():
    for page in (README, YOURS):
        for sentence in re.split(
            r"(?<=[.!?:;]) ", prose(page).split("- a folder of pictures (")[0]
        ):
            assert len(sentence.split()) <= 36, sentence


def anchors_of(text):
    """The anchors of the headings of a page, as GitHub makes them."""
    titles = [line.lstrip("#").strip().lower() for line in text.splitlines() if line[:1] == "#"]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


def test_every_figure_page_and_heading_is_there():
    links = {}
    for path, text in PAGES.items():
        links[path] = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", text)
        for name, anchor in links[path]:
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), name
            assert not anchor or anchor in anchors_of(target.read_text()), (name, anchor)
    assert all(len(each) > 2 for each in links.values()) and len(links[ROOT / "README.md"]) > 20


def test_flags_named_in_commands_are_known():
    pages = "\n".join(PAGES.values())
    flags = set(re.findall(r"python demo_dnn_vae\.py (--[a-z-]+)", pages)) - {"--help"}
    known = set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "demo_dnn_vae.py").read_text()))
    known |= set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "trust" / "cli.py").read_text()))
    assert flags and flags <= known


def test_modules_named_in_commands_are_there():
    files = [ROOT / "Makefile", ROOT / "data" / "referees.json", *ROOT.glob("[!.]*/**/*.md")]
    files += [ROOT / "README.md", *ROOT.glob("trust/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    text = "\n".join(file.read_text() for file in files)
    names = set(re.findall(r"python -m ((?:trust|benchmarks)\b[\w.]*\b)", text))
    names -= {"benchmarks", "benchmarks.NAME"}  # any of them
    assert {"trust", "trust.audit", "trust.train.referee", "benchmarks.forgeries"} <= names
    assert [name for name in sorted(names) if importlib.util.find_spec(name) is None] == []
