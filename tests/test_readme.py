"""The README says what the committed reports say, and shows figures that exist."""

import re
import subprocess
import sys

from conftest import ROOT

from benchmarks import tables as tables_

README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"


def test_the_tables_are_those_that_the_reports_give():
    tables = tables_.readme_tables(RESULTS)
    for title in ("the five answers", "forgeries, the short form"):
        assert tables[title] in README, title


def test_the_page_of_results_is_what_the_command_prints():
    command = [sys.executable, "-m", "benchmarks.tables", RESULTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (RESULTS / "README.md").read_text()


def test_the_prose_has_numbers_that_the_tables_have():
    """Every percentage of the prose with two digits after the point is in a table."""
    tables = "\n".join(tables_.readme_tables(RESULTS).values())
    prose = [line for line in README.splitlines() if not line.startswith("|")]
    numbers = re.findall(r"\d+\.\d\d (?=%)", "\n".join(prose))
    assert len(numbers) > 9
    assert [number for number in numbers if f" {number}%" not in tables] == []


def test_every_figure_and_page_is_there():
    paths = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(paths) > 9
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_flags_named_in_commands_are_known():
    flags = set(re.findall(r"python demo_dnn_vae\.py (--[a-z-]+)", README)) - {"--help"}
    known = set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "demo_dnn_vae.py").read_text()))
    known |= set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "trust" / "cli.py").read_text()))
    assert flags and flags <= known
