"""The README says what the committed reports say, and shows figures that exist."""

import re

from conftest import ROOT

from trust import report

README = (ROOT / "README.md").read_text()


def test_every_table_is_the_one_that_the_reports_give():
    tables = report.readme_tables(ROOT / "benchmarks" / "results")
    assert len(tables) == 7
    for title, markdown in tables.items():
        assert markdown in README, title


def test_every_figure_and_page_is_there():
    paths = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(paths) > 9
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_flags_named_in_commands_are_known():
    import demo_dnn_vae

    flags = set(re.findall(r"python demo_dnn_vae\.py (--[a-z-]+)", README)) - {"--help"}
    known = set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "demo_dnn_vae.py").read_text()))
    known |= set(re.findall(r'add\("(--[a-z-]+)"', (ROOT / "trust" / "cli.py").read_text()))
    assert flags and flags <= known and demo_dnn_vae.TRAINING["seed"] == 0
