"""Inside an interactive Python: a script, as a notebook runs it with %run, and trust.examine()."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from running import call

import trust
from trust import cli
from trust.cli import UserError

NOTEBOOK = """
import os, runpy, signal, sys

class Output:  # a notebook's stream has neither reconfigure nor, at times, isatty
    def __init__(self, stream):
        self.stream = stream
    def write(self, text):
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()

sys.ps1 = "In : "
before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
sys.stdout = Output(sys.stdout)
script, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
sys.path.insert(0, os.path.dirname(script))  # as %run does
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as end:
    print("ended with", end.code)
assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
print("signals are as before")
"""


def test_a_notebook_runs_a_script_and_keeps_its_signals(tmp_path, small_npz):
    # From another folder, by a path with a space.
    code, here = tmp_path / "my code", tmp_path / "here"
    code.symlink_to(ROOT)
    here.mkdir()
    flags = f"--dataset {small_npz} --epochs 1 --out figures".split()
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(code / "vae_demo.py"), *flags],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    *_, code, signals = done.stdout.splitlines()
    assert (code, signals) == ("ended with 0", "signals are as before")
    assert (here / "figures" / f"demo_{small_npz.stem}.png").exists()


EXAMINE = """
import os, random, signal, sys

sys.path.insert(0, sys.argv[1])
import trust
assert not {"numpy", "tensorflow", "matplotlib"} & set(sys.modules)  # import trust is quick

import json, matplotlib, numpy as np
from trust.data import datasets

folder, prints, file = sys.argv[2:]
datasets.DATA, datasets.FINGERPRINTS = datasets.Path(folder), json.loads(prints)
names = "TF_NUM_INTRAOP_THREADS", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"
told = [os.environ.get(name) for name in names]
import trust.answered  # TensorFlow itself sets variables and draws numbers when it is imported
assert told == [os.environ.get(name) for name in names]
random.seed(1), np.random.seed(2)

def world():
    signals = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    state = [random.getstate(), str(np.random.get_state()), signals, os.getcwd()]
    state.append(keras.config.dtype_policy().name)
    return [*state, sorted(os.listdir()), dict(os.environ), dict(matplotlib.rcParams)]

import keras
keras.config.set_dtype_policy("mixed_float16")
before = world()
with np.load(file) as own:
    images, labels = own["images"], own["labels"]
run = trust.examine(images, labels, dataset="mnist")
assert world() == before
print(run)
assert repr(run) == str(run)
with open(file + ".png", "wb") as picture, open(file + ".json", "w") as report:
    picture.write(run._repr_png_())
    json.dump(run.report["sets"], report)
"""


def test_examine_gives_what_the_third_door_gives_and_leaves_all_as_it_was(
    tmp_path, slices, bundled
):
    folder, prints = slices
    file, here = tmp_path / "images.npz", tmp_path / "here"
    here.mkdir()
    with np.load(folder / "mnist.npz") as data:
        np.savez(file, images=data["x_test"][:300], labels=data["y_test"][:300])
    words = [sys.executable, "-c", EXAMINE, str(ROOT), str(folder), json.dumps(prints), str(file)]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    door = call(tmp_path, "trust.__main__", f"{file} --dataset mnist --report report.json")
    assert door.returncode == 0, door.stderr
    answers = done.stdout.strip()
    assert answers.startswith("mnist, seed 0, no filter\nright?") and answers in door.stdout
    sets = json.loads((tmp_path / "report.json").read_text())["sets"]
    found = json.loads((tmp_path / "images.npz.json").read_text(), parse_constant=lambda _: None)
    assert found == sets
    assert (tmp_path / "images.npz.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"images": np.zeros(9)}, "images are"),
        ({"images": [[[0]], [[0, 1]]]}, "images or labels are no arrays"),
        ({"labels": np.arange(8)}, "9 images, but labels has 8 labels"),
        ({"labels": np.full(9, "cat")}, "labels has the label cat, but the classes are 0, 1, 2"),
        ({"dataset": "minst"}, "'minst' does not exist"),
        ({"threshold": 2}, "threshold: '2' is not a number above 0 and at most 1"),
        ({"seed": -1}, "seed: '-1' is not a whole number"),
    ],
)
def test_examine_refuses_what_it_cannot_examine_in_one_sentence(bundled, capfd, arguments, said):
    images = np.full((9, 28, 28), 200)
    with pytest.raises(UserError, match=said) as refusal:
        trust.examine(**{"images": images, "labels": None} | arguments)
    assert len(str(refusal.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_settings_of_keras_are_known_inside_and_afterwards_as_before():
    import keras

    cli.set_keras("channels_first", "float16", "mixed_float16")
    try:
        with cli.unchanged_environment():
            assert keras.config.floatx() == keras.config.dtype_policy().name == "float32"
            assert keras.config.image_data_format() == "channels_last"
        assert keras.config.floatx() == "float16"
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert keras.config.image_data_format() == "channels_first"
    finally:
        cli.set_keras()
