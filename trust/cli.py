"""What the scripts share on the command line: flags, one-sentence errors, a quiet start."""

import argparse
import contextlib
import errno
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from glob import glob

# The switch that turns off what trust/fast.py does; here, as it is needed before TensorFlow.
PLAIN = os.environ.get("TRUST_PLAIN", "0") not in ("", "0")


class UserError(Exception):
    """Something only the user can put right; the message is one sentence saying what."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a flag's default where it has one."""

    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that knows no abbreviations and answers a mistake in one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=Help, **settings)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {_one_line(message)}\n")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An argument type: an int from low to high, both included."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= int(text) <= high:
                return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return parse


def positive_float(text: str, highest: float = sys.float_info.max) -> float:
    """An argument type: a finite float above 0, at most `highest`."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= highest:
            return float(text)
    most = f" and at most {highest}" if highest < sys.float_info.max else ""
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0{most}")


def path(text: str) -> str:
    """An argument type: a path that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is missing")
    return text


positive_int = whole_number(1, 10**9)
seed = whole_number(0, 2**31 - 1)
fraction = partial(positive_float, highest=1)
latent_dim = whole_number(1, 256)  # the mixture's covariances grow with its square


def add_shared_arguments(parser: Parser, told: dict | None = None, **defaults) -> None:
    """The flags that both scripts have; `defaults` are the script's own.

    told: {name: default} of flags that stay None where they are not given, because what the
    script learns later settles them; their help tells this default.
    """

    def add(flag, kind, text, **settings):
        name = flag[2:].replace("-", "_")
        if name in (told or {}):
            text, defaults[name] = f"{text} (default: {told[name]})", None
        parser.add_argument(flag, type=kind, help=text, **settings)

    named = "mnist, fashion_mnist, or an .npz with x_train, y_train, x_test, y_test"
    add("--dataset", path, named, metavar="NAME")
    add("--epochs", positive_int, "the VAE's passes", metavar="N")
    add("--latent-dim", latent_dim, "size of the VAE's code, up to 256", metavar="N")
    add("--learning-rate", positive_float, "the VAE's, at its peak", metavar="X")
    add("--seed", seed, "same seed, same machine, same result", metavar="N", default=0)
    add("--out", path, "folder for the figures", metavar="DIR", default="imgs")
    parser.set_defaults(**defaults)


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow inside this block: each of its operations gets half of the cores, for the
    sake of trust/fast.py (the plain way: all of them), and its start-up notes are not seen.

    Some come from C++ code before any setting can silence it, so standard error leads nowhere
    meanwhile; Python's exceptions pass.  Where there is a GPU, the notes say why it is not used.
    """
    if not PLAIN:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(cores() // 2, 1)))
    if glob("/dev/nvidia*"):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    try:
        _lead_nowhere(2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Clock:
    """Says which stage begins and how long it took.

    with clock("training the VAE"): ...     seconds: {stage: seconds}, in the order they ran.
    """

    def __init__(self):
        self.seconds, self._start = {}, time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        print(f"\n{stage} ...", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
        print(f"{stage}: {self.seconds[stage]:.1f} s", flush=True)

    def resources(self) -> dict:
        """Seconds of every stage and of all, and the most memory so far, for a report."""
        total = {"total": time.perf_counter() - self._start}
        return {"seconds": self.seconds | total, "peak_memory_gb": peak_memory()}


def every_few_seconds(say: Callable[[], str], seconds: float = 5.0) -> Callable[[], None]:
    """A function without arguments that prints say(), but not more often than that."""
    last = time.perf_counter()

    def print_sometimes():
        nonlocal last
        if time.perf_counter() - last >= seconds:
            print(say(), flush=True)
            last = time.perf_counter()

    return print_sometimes


def peak_memory() -> float:
    """The most memory this process has held so far, in GB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that both clean up in the same way."""


def run(main: Callable[[], None]) -> None:
    """Calls main() and ends the process; what a user can expect to happen is one line and a status.

    2: a mistake in the arguments, the data or the outputs.  130: Ctrl-C.  143: SIGTERM.
    141: whoever read standard output has gone, as `| head` does.
    Anything else is a bug and keeps its traceback.
    """
    _prepare_streams()
    signal.signal(signal.SIGTERM, _raise_terminated)
    status, sentence = 0, ""
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        status, sentence = 2, f"error: {error}"
    except KeyboardInterrupt as stop:
        status = 143 if isinstance(stop, Terminated) else 130
        sentence = "stopped; files written earlier are whole"
    except SystemExit as leaving:  # argparse has said what it had to
        status = leaving.code
    except BrokenPipeError:
        status = 141
    except Exception as error:
        status = 2
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            sentence = f"error: cannot write: {error.strerror}"
        # TensorFlow's own error may not have been imported.
        elif type(error).__name__ in ("MemoryError", "ResourceExhaustedError"):
            sentence = "error: there is not enough memory: try a smaller data set or fewer images"
        else:
            raise
    _leave(status, sentence)


def _raise_terminated(number, frame):
    raise Terminated


def _lead_nowhere(number):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def _prepare_streams():
    """A standard stream that was closed before the start (`2>&-`) leads nowhere: else the next file
    that is opened takes its number.  What a terminal cannot show becomes a question mark."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _lead_nowhere(number)
            setattr(sys, name, open(number, "w", closefd=False))
        getattr(sys, name).reconfigure(errors="replace")


def _leave(status, sentence):
    """Ends the process; what a stream does not take, because its reader has gone, is dropped."""
    for number in (signal.SIGINT, signal.SIGTERM):  # would only interrupt Python's clearing up
        signal.signal(number, signal.SIG_IGN)
    if sentence:
        # A progress bar may have left the cursor in the middle of a line.
        start = "\n" if sys.stderr.isatty() else ""
        sentence = f"{start}{os.path.basename(sys.argv[0])}: {_one_line(sentence)}\n"
    for number, stream, text in ((1, sys.stdout, ""), (2, sys.stderr, sentence)):
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            _lead_nowhere(number)
    sys.exit(status)


def _one_line(text):
    return " ".join(str(text).splitlines())
