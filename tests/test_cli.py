import argparse
import os
import signal
import subprocess
import sys
import threading
import time

import cli
import datasets
import pytest
from conftest import ROOT, hear_ctrl_c

PREAMBLE = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport cli, datasets, outputs\n"


def script(folder, text):
    (folder / "script.py").write_text(PREAMBLE + text)
    return [sys.executable, "script.py"]


def run_script(folder, text, *arguments):
    command = [*script(folder, text), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def raising(expression):
    return f"def main():\n    raise {expression}\ncli.run(main)\n"


@pytest.mark.parametrize(
    "expression, line",
    [
        ("datasets.DataError('no labels')", "script.py: error: no labels"),
        ("outputs.OutputError('disk full')", "script.py: error: disk full"),
        ("cli.UserError('a name\\nin two lines')", "script.py: error: a name in two lines"),
        ("MemoryError", "script.py: error: there is not enough memory: "),
    ],
)
def test_what_the_user_can_put_right_is_one_line(tmp_path, expression, line):
    done = run_script(tmp_path, raising(expression))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1


def test_tensorflow_without_memory_is_one_line(tmp_path):
    imported = "with cli.quiet_tensorflow():\n    import tensorflow as tf\n"
    failure = "tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor')"
    done = run_script(tmp_path, imported + raising(failure))
    assert done.returncode == 2
    assert done.stderr.startswith("script.py: error: there is not enough memory: ")
    assert done.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback(tmp_path):
    done = run_script(tmp_path, raising("ValueError('our mistake')"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "our mistake" in done.stderr


def test_success_is_silent(tmp_path):
    done = run_script(tmp_path, "cli.run(lambda: print('done'))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_cleans_up(tmp_path, number, status):
    (tmp_path / "file").write_bytes(b"old")
    command = script(
        tmp_path,
        """
import time
def main():
    with (
        outputs.replacing("file") as file,
        outputs.replacing_folder("saved") as folder,
        outputs.saving_images("images.npz"),
    ):
        file.write(b"new")
        (folder / "model").write_bytes(b"new")
        print("writing", flush=True)
        time.sleep(600)
cli.run(main)
""",
    )
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stdout.readline() == "writing\n"
    assert len(list(tmp_path.glob(".*.unfinished"))) == 2
    process.send_signal(number)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == status
    assert stderr.startswith("script.py: stopped") and stderr.count("\n") == 1
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"script.py", "file", "saved"}
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_meets_a_destructor_is_not_lost(tmp_path, number, status):
    command = script(
        tmp_path,
        f"""
import os, time
class Deaf:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
def main():
    Deaf()
    print("still running", flush=True)
    time.sleep(600)
cli.run(main)
""",
    )
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, preexec_fn=hear_ctrl_c
    )
    assert done.stdout == "still running\n"
    assert done.returncode == status
    assert done.stderr.startswith("script.py: stopped") and done.stderr.count("\n") == 1


def test_notes_of_the_import_are_not_seen_but_errors_are(tmp_path):
    done = run_script(
        tmp_path,
        """
import os
with cli.quiet_tensorflow():
    os.write(2, b"a note from C++")
os.write(2, b"after")
with cli.quiet_tensorflow():
    import no_such_module
""",
    )
    assert done.stderr.startswith("afterTraceback")
    assert "No module named 'no_such_module'" in done.stderr
    assert done.returncode == 1


def test_tensorflow_starts_in_silence(tmp_path):
    done = run_script(
        tmp_path,
        """
with cli.quiet_tensorflow():
    import keras
    import tensorflow as tf
print(float(tf.reduce_sum(keras.ops.ones((2, 3)))))
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6.0\n", "")


@pytest.mark.parametrize(
    "parse, good, bad",
    [
        (cli.positive_int, {"1": 1, "1000000": 10**6}, ["0", "-1", "1.5", "", "many", "9" * 5000]),
        (cli.seed, {"0": 0, "2147483647": 2**31 - 1}, ["-1", "2147483648", "1e3"]),
        (cli.fraction, {"1": 1.0, "0.95": 0.95}, ["0", "1.01", "-0.5", "nan", "inf", "high", ""]),
        (cli.positive_float, {"2": 2.0, "1e-3": 1e-3}, ["0", "-1", "nan", "inf", "fast"]),
        (cli.whole_number(3, 5), {"3": 3, "5": 5}, ["2", "6"]),
    ],
    ids=["positive_int", "seed", "fraction", "positive_float", "whole_number"],
)
def test_argument_types(parse, good, bad):
    assert {text: parse(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            parse(text)


def parser():
    parser = cli.Parser(prog="demo", description="What it does.")
    cli.add_shared_arguments(parser, dataset="mnist", epochs=20, latent_dim=16)
    return parser


def test_shared_arguments():
    settings = parser().parse_args([])
    assert (settings.dataset, settings.epochs, settings.latent_dim) == ("mnist", 20, 16)
    assert (settings.seed, settings.out) == (0, "imgs")
    changed = parser().parse_args("--dataset a.npz --epochs 3 --latent-dim 2 --seed 7".split())
    assert (changed.dataset, changed.epochs, changed.latent_dim, changed.seed) == ("a.npz", 3, 2, 7)


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["--epochs", "0"], "--epochs"),
        (["--epoch", "3"], "--epoch"),
        (["--epochs"], "--epochs"),
        (["--latent-dim", "9999999"], "--latent-dim"),
        (["left over\n"], "left over"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_line(capsys, arguments, word):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(arguments)
    captured = capsys.readouterr()
    assert stop.value.code == 2 and captured.out == ""
    assert captured.err.startswith("demo: error: ") and captured.err.count("\n") == 1
    assert word in captured.err


def test_help_fits_a_screen_and_shows_defaults(capsys, monkeypatch):
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert len(text.splitlines()) <= 20
    for default in ("mnist", "20", "16", "imgs"):
        assert f"default: {default})" in " ".join(text.split())
    assert "None" not in text


# Work beside the main thread


def test_work_beside_waits_for_its_turn_in_another_thread():
    done = []

    def work(seconds):
        time.sleep(seconds)
        done.append(seconds)
        return threading.current_thread()

    futures = [cli.beside(work, seconds) for seconds in (0.2, 0)]
    assert not done
    first, second = (future.result() for future in futures)
    assert done == [0.2, 0]
    assert first is second and first is not threading.current_thread()


def test_what_goes_wrong_elsewhere_is_raised_where_the_result_is_asked_for():
    future = cli.beside(datasets.load_dataset, "missing.npz")
    with pytest.raises(datasets.DataError, match="does not exist"):
        future.result()


@pytest.mark.parametrize(
    "accident, status, said",
    [
        ("raise cli.UserError('enough')", 2, "script.py: error: enough"),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", 143, "script.py: stopped by"),
        ("os.killpg(0, signal.SIGINT); time.sleep(9)", 130, "script.py: stopped;"),  # Ctrl-C
    ],
)
def test_nobody_waits_for_work_that_is_not_wanted_any_more(tmp_path, accident, status, said):
    text = (
        "import os, signal, time\ndef main():\n    print('started')\n"
        "    cli.beside(time.sleep, 300)\n    cli.beside(print, 'later')\n"
        "    time.sleep(1)\n"
        f"    {accident}\ncli.run(main)\n"
    )
    done = subprocess.run(
        script(tmp_path, text),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=hear_ctrl_c,
        start_new_session=True,
    )
    assert done.returncode == status and done.stdout == "started\n"
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1
