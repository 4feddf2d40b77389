"""What the tests of the scripts share: how a script is run, and what it has to leave behind."""

import json
import subprocess
import sys

import numpy as np
from conftest import ROOT
from PIL import Image

FIGURES = {
    *("calibration.png", "class-balance.png", "copies.png", "dnn-vae-strong.png"),
    *("dnn-vae-weak.png", "pred-dist.png", "prior.png", "risk-coverage.png"),
}
SHEET = {"audit.png", "audit.csv", "audit.json"}
OUTPUTS = "--out imgs --report report.json --save-images strong.npz"


def command(script, *flags):
    return [sys.executable, str(ROOT / script), *" ".join(flags).split()]


def run(folder, script, *flags):
    done = subprocess.run(command(script, *flags), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith("The figures are in ")
    return done.stdout


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
            assert question in ("right", "balanced", "varied", "new", "useful")
    classes = list(values["classes"].values())
    counts = {f"class_counts_{key}": [each[key] for each in classes] for key in classes[0]}
    return flat | values["run"] | counts


def assert_drawn(file):
    with Image.open(file) as image:
        assert image.width == 1860 and image.height > 150
        assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 20
        pixels = np.asarray(image.convert("L"))
    # Ink down to the last tenth of the page: nothing stopped half-way.
    assert (pixels[-pixels.shape[0] // 10 :] < 200).any()


def assert_all_drawn(folder, but=()):
    assert {file.name for file in (folder / "imgs").iterdir()} - SHEET == FIGURES
    for name in FIGURES.difference(but):
        assert_drawn(folder / "imgs" / name)
