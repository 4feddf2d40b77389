"""What the tests of the scripts share: how a script is run, and what it has to leave behind."""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from trust import cli
from trust.ask.verdicts import QUESTIONS
from trust.show import rows

FIGURES = {
    *("answers.png", "calibration.png", "class-balance.png", "copies.png", "dnn-vae-strong.png"),
    *("least-real.png", "dnn-vae-weak.png", "pred-dist.png", "prior.png", "risk-coverage.png"),
}
SHEET = {"audit.png", "audit.csv", "audit.json"}
OUTPUTS = "--out imgs --report report.json --save-images strong.npz"


def command(script, *flags):
    return [sys.executable, str(ROOT / script), *" ".join(flags).split()]


def assert_finished(done):
    """What it printed."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith("The figures are in ")
    return done.stdout


def run(folder, script, *flags):
    """A script in a process of its own."""
    words = command(script, *flags)
    return assert_finished(subprocess.run(words, cwd=folder, capture_output=True, text=True))


def call(folder, module, *flags):
    """A script in this process, which saves the import of TensorFlow: how it ended.  As in a
    notebook, where cli.run() leaves the signals alone."""
    main, words = importlib.import_module(module).main, " ".join(map(str, flags)).split()
    out, err, before = io.StringIO(), io.StringIO(), os.getcwd()
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(sys, "ps1", "In : ", raising=False)
        patch.setattr(sys, "argv", [module, *words])
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.callback(os.chdir, before)
        os.chdir(folder)
        with pytest.raises(SystemExit) as end:
            cli.run(main)
    return subprocess.CompletedProcess(words, end.value.code, out.getvalue(), err.getvalue())


def run_here(folder, module, *flags):
    """The same as run(), in this process."""
    return assert_finished(call(folder, module, *flags))


def run_in_shell(folder, line, script):
    """The words of a script as "$@" of a line of Bash, which may close or pipe its streams."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def read(folder):
    """The report, its numbers under one name each: real_varied_frechet, varied_frechet, ..."""
    values = json.loads((folder / "report.json").read_text())
    flat = {key: values[key] for key in values if key not in ("sets", "run", "classes")}
    for name, answers in values["sets"].items():
        prefix = "" if name == "generated" else f"{name}_"
        for question, numbers in answers.items():
            flat |= {f"{prefix}{question}_{key}": number for key, number in numbers.items()}
            assert question in QUESTIONS
    classes = list(values["classes"].values())
    counts = {f"class_counts_{key}": [each[key] for each in classes] for key in classes[0]}
    return flat | values["run"] | counts


# Rows for images of somebody else's generator, for data with near copies, and for enough images.
ELSEWHERE = {("right", "hidden"), ("new", "copies_test")}
ELSEWHERE |= {("right", "near_copies"), ("new", "near_copies")}
HELPS = "accuracy_with_real", "accuracy_real_alone", "helps_z", "helps_limit"
ELSEWHERE |= {("useful", key) for key in (*HELPS, "real_images", "added_images")}


def assert_numbers_have_rows(values):
    """Every number of a report has a row in the table, and every row that belongs to such a run has
    a number.  Of images that somebody else made, some things cannot be measured."""
    sets = values["sets"]
    columns = rows.YOURS if "yours" in sets else rows.COLUMNS
    expected = {"columns": rows.ROWS, "run": rows.RUN_ROWS, **rows.CONTROL_ROWS}
    if values["settings"]["max_error"] is not None:
        expected["promise"] = rows.PROMISE_ROWS
    expected = {name: {row[1:3] for row in own} for name, own in expected.items()}
    found = {
        name: {(question, key) for question, numbers in answers.items() for key in numbers}
        for name, answers in (sets | {"run": {"run": values["run"]}}).items()
    }
    found["columns"] = set().union(*(found.pop(name) for name in columns))
    if "yours" in sets:
        assert all(found[name] <= expected[name] for name in found), found
        assert "run" in found and not found["run"]
    else:
        expected["columns"] -= ELSEWHERE - found["columns"]
        assert found == expected


def draw_only(monkeypatch, *names):
    """Lets the main script, in this process, draw some of its figures: their files."""
    from trust.show import pages  # which imports TensorFlow

    monkeypatch.setattr(pages, "GENERATED", {name: pages.GENERATED[name] for name in names})
    return [f"{name}.png" for name in names]


def assert_drawn(file):
    with Image.open(file) as image:
        assert image.width == 1860 and image.height > 150
        assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 20
        pixels = np.asarray(image.convert("L"))
    # Ink down to the last tenth of the page: nothing stopped half-way.
    assert (pixels[-pixels.shape[0] // 10 :] < 200).any()


def assert_all_drawn(folder, but=()):
    drawn = {file.name for file in (folder / "imgs").iterdir() if file.is_file()}
    assert drawn - SHEET == FIGURES
    for name in FIGURES.difference(but):
        assert_drawn(folder / "imgs" / name)
