"""A script that is run inside an interactive Python, as a notebook does with %run."""

import subprocess
import sys

from conftest import ROOT

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
