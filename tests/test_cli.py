import argparse
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, hear_ctrl_c

from trust import cli

PREAMBLE = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from trust import cli, outputs
from trust.data.images import DataError
"""
# As a user has it: output to a pipe waits in a buffer.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def script(folder, text):
    (folder / "script.py").write_text(PREAMBLE + text)
    return [sys.executable, "script.py"]


def run_script(folder, text, redirections="", **settings):
    """redirections: as a shell has them, such as "2>&-"."""
    command = ["sh", "-c", f'exec "$0" "$@" {redirections}', *script(folder, text)]
    return subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        timeout=600,
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings),
    )


def raising(expression):
    return f"def main():\n    print('begun')\n    raise {expression}\ncli.run(main)\n"


# How a run ends


@pytest.mark.parametrize(
    "expression, line",
    [
        ("DataError('no labels')", "script.py: error: no labels"),
        ("cli.UserError('a name\\nin two lines')", "script.py: error: a name in two lines"),
        ("MemoryError", "script.py: error: there is not enough memory: "),
        (
            "type('ResourceExhaustedError', (Exception,), {})",
            "script.py: error: there is not",
        ),
    ],
)
def test_what_the_user_can_put_right_is_one_line(tmp_path, expression, line):
    done = run_script(tmp_path, raising(expression))
    assert done.returncode == 2 and done.stdout == "begun\n"
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback(tmp_path):
    done = run_script(tmp_path, raising("ValueError('our mistake')"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "our mistake" in done.stderr


def stopped_while_writing(folder, number):
    """The exit status and standard error of a script that a signal met amid two files."""
    (folder / "file").write_bytes(b"old")
    text = """
def main():
    with outputs.replacing("file") as file, outputs.replacing("new/file") as other:
        file.write(b"new")
        other.write(b"new")
        print("writing", flush=True)
        time.sleep(600)
cli.run(main)
"""
    process = subprocess.Popen(
        script(folder, text),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stdout.readline() == "writing\n"
    assert len(list(folder.rglob(".file.*"))) == 2
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)  # at once where the machine is idle
    return process.returncode, stderr


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_cleans_up(tmp_path, number, status):
    found, stderr = stopped_while_writing(tmp_path, number)
    assert found == status
    assert stderr.startswith("script.py: stopped") and stderr.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"script.py", "file", "new"}
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_run_that_is_killed_leaves_whole_files(tmp_path):
    """And no time to tidy up."""
    assert stopped_while_writing(tmp_path, signal.SIGKILL) == (-signal.SIGKILL, "")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not (tmp_path / "new" / "file").exists()


# Settings of other programs

SETTINGS = """
def main():
    with cli.quiet_tensorflow():
        from trust.train import loops
        from trust.data.images import Pixels
    network = loops.new_classifier(3, Pixels((12, 10, 1), (0.5,)))
    print(network.compute_dtype, loops.keras.config.backend(), network.count_params())
    print(loops.keras.config.floatx(), loops.keras.config.image_data_format())
cli.run(main)
"""


RUNNING = """
import types
config = types.SimpleNamespace(backend=lambda: "jax")
sys.modules["keras"] = types.SimpleNamespace(config=config)
"""


@pytest.mark.parametrize("before", ["", RUNNING])
def test_the_users_settings_of_keras_are_not_ours(tmp_path, before):
    """A keras.json with another backend; Keras that runs already is told of in one sentence."""
    written = {"floatx": "float16", "image_data_format": "channels_first", "backend": "numpy"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(written))
    home = {"KERAS_HOME": str(tmp_path / ".keras"), "KERAS_BACKEND": "numpy"}
    done = run_script(tmp_path, f"import os\nos.environ |= {home}\n{before}{SETTINGS}")
    if before:
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "Keras runs on jax here" in done.stderr and "KERAS_BACKEND" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("float32 tensorflow ")
        assert done.stdout.endswith("float32 channels_last\n")


# Streams that are closed, full or read by nobody

PRINTING = """
def main():
    for number in range(5000):
        print(number, flush=True)
        print("note", file=sys.stderr)
    with outputs.replacing("file") as file:
        file.write(b"new")
    with cli.quiet_tensorflow():
        pass
cli.run(main)
"""


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_streams_change_nothing_else(tmp_path, closed):
    done = run_script(tmp_path, PRINTING, closed)
    assert done.returncode == 0
    assert (tmp_path / "file").read_bytes() == b"new"
    assert done.stdout.count("\n") == (0 if " >&-" in f" {closed}" else 5000)
    assert done.stderr.count("\n") == (0 if "2>&-" in closed else 5000)


def test_output_piped_into_head(tmp_path):
    # `head` has gone long before the last line.
    text = PRINTING.replace("range(5000)", "range(10**9)")
    process = subprocess.Popen(
        script(tmp_path, text),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=open(tmp_path / "stderr", "w"),
    )
    head = subprocess.run(["head", "-n", "2"], stdin=process.stdout, capture_output=True)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert head.stdout == b"0\n1\n"
    assert set((tmp_path / "stderr").read_text().split("\n")) <= {"note", ""}
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("error, status", [("cli.UserError('no')", 2), ("KeyboardInterrupt", 130)])
def test_nobody_reads_the_output(tmp_path, error, status):
    """What waits in the buffer meets the closed pipe only at the end."""
    read, write = os.pipe()
    os.close(read)
    done = run_script(tmp_path, raising(error), stdout=write)
    os.close(write)
    assert done.returncode == status and done.stderr.count("\n") == 1


@pytest.mark.parametrize("flush", [True, False])
def test_output_to_a_full_disk_is_one_line(tmp_path, flush):
    done = run_script(tmp_path, f"cli.run(lambda: print('done', flush={flush}))", ">/dev/full")
    assert done.returncode == 2
    assert done.stderr == "script.py: error: cannot write: No space left on device\n"


# A quiet start


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


@pytest.mark.parametrize("cores, given, expected", [(1, "", 1), (2, "", 1), (9, "", 4), (9, 7, 7)])
def test_an_operation_gets_half_of_the_cores(tmp_path, cores, given, expected):
    """Of those that this process may use; the user's own setting stays."""
    name = "TF_NUM_INTRAOP_THREADS"
    done = run_script(
        tmp_path,
        f"""
import os
os.environ.pop({name!r}, None)
if {str(given)!r}:
    os.environ[{name!r}] = {str(given)!r}
os.sched_getaffinity = lambda process: range({cores})
with cli.quiet_tensorflow():
    pass
print(os.environ[{name!r}])
""",
    )
    assert done.stdout == f"{expected}\n"


def test_where_a_gpu_is_present_notes_are_seen(tmp_path):
    text = """
import os
os.path.exists = lambda path: path == "/dev/nvidiactl"
with cli.quiet_tensorflow():
    os.write(2, b"no driver")
"""
    assert run_script(tmp_path, text).stderr == "no driver"


def test_what_the_terminal_cannot_show_is_replaced(tmp_path):
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "cp1251"}
    text = "cli.run(lambda: print('Fr\\u00e9chet'))"
    done = subprocess.run(
        script(tmp_path, text), cwd=tmp_path, env=environment, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Fr?chet\n", b"")


# Flags


@pytest.mark.parametrize(
    "parse, good, bad",
    [
        (cli.positive_int, {"1": 1, "1000000": 10**6}, ["0", "-1", "1.5", "", "many", "9" * 5000]),
        (cli.seed, {"0": 0, "2147483647": 2**31 - 1}, ["-1", "2147483648", "1e3"]),
        (cli.fraction, {"1": 1.0, "0.95": 0.95}, ["0", "1.01", "-0.5", "nan", "inf", "high", ""]),
        (cli.share, {"0.01": 0.01, "0.999": 0.999}, ["0", "1", "-0.1", "nan", "1 %"]),
        (cli.latent_dim, {"1": 1, "256": 256}, ["0", "257", "2.5"]),
        (cli.sheet_size, {"1": 1, "1000": 1000}, ["0", "1001", "ten"]),
        (cli.positive_float, {"2": 2.0, "1e-3": 1e-3}, ["0", "-1", "nan", "inf", "fast"]),
        (cli.path, {"a b": "a b", "/": "/"}, ["", "  ", "\n"]),
    ],
    ids="positive_int seed fraction share latent_dim sheet_size positive_float path".split(),
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


def test_a_default_that_is_settled_later_is_told_and_not_stored(capsys):
    parser = cli.Parser(prog="demo")
    cli.add_shared_arguments(parser, {"seed": 5, "out": "a or b"}, dataset="mnist", epochs=2)
    settings = parser.parse_args([])
    assert (settings.seed, settings.out, settings.epochs) == (None, None, 2)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: 5)" in text and "(default: a or b)" in text


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
