"""What the two scripts share on the command line: flags, one-sentence errors, a quiet start."""

import argparse
import contextlib
import errno
import math
import os
import signal
import sys
import time

# The switch that turns off what trust/fast.py does; here, as it is needed before TensorFlow.
PLAIN = os.environ.get("TRUST_PLAIN", "0") not in ("", "0")


class UserError(Exception):
    """Something only the user can put right; the message is one sentence saying what."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a flag's default where it has one."""

    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class Given(argparse.Action):
    """Stores the value, and that the user gave it: `namespace.given` holds the names."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        namespace.given = getattr(namespace, "given", frozenset()) | {self.dest}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that knows no abbreviations and answers a mistake in one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=Help, **settings)
        self.set_defaults(given=frozenset())

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {_one_line(message)}\n")


def whole_number(low, high):
    """An argument type: an int from low to high, both included."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= int(text) <= high:
                return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return parse


positive_int = whole_number(1, 10**9)
seed = whole_number(0, 2**31 - 1)


def fraction(text):
    """An argument type: a float above 0, at most 1."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and at most 1")


def positive_float(text):
    """An argument type: a finite float above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def path(text):
    """An argument type: a path that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is missing")
    return text


def add_shared_arguments(parser, **defaults):
    """The flags that both scripts have; `defaults` are the script's own."""
    add = parser.add_argument
    named = "mnist, fashion_mnist, or an .npz with x_train, y_train, x_test, y_test"
    add("--dataset", metavar="NAME", type=path, help=named)
    add("--epochs", metavar="N", type=positive_int, action=Given, help="the VAE's passes")
    dimension = whole_number(1, 784)
    add("--latent-dim", metavar="N", type=dimension, action=Given, help="size of the VAE's code")
    peak = "the VAE's, at its peak"
    add("--learning-rate", metavar="X", type=positive_float, action=Given, help=peak)
    same = "same seed, same machine, same result"
    add("--seed", metavar="N", type=seed, default=0, action=Given, help=same)
    add("--out", metavar="DIR", type=path, default="imgs", help="folder for the figures")
    parser.set_defaults(**defaults)


def cores():
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def quiet_tensorflow():
    """Import TensorFlow inside this block: each of its operations gets half of the cores, for the
    sake of trust/fast.py (the plain way: all of them), and its start-up notes are not seen.

    The notes are written by C++ code, some of it before any setting can silence it, so standard
    error leads nowhere for as long as the import takes.  Python's exceptions pass.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not PLAIN:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(cores() // 2, 1)))
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
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
    def __call__(self, stage):
        print(f"\n{stage} ...", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
        print(f"{stage}: {self.seconds[stage]:.1f} s", flush=True)

    def resources(self):
        """Seconds of every stage and of all, and the most memory so far, for a report."""
        total = {"total": time.perf_counter() - self._start}
        return {"seconds": self.seconds | total, "peak_memory_gb": peak_memory()}


def every_few_seconds(say, seconds=5.0):
    """A function without arguments that prints say(), but not more often than that."""
    last = time.perf_counter()

    def print_sometimes():
        nonlocal last
        if time.perf_counter() - last >= seconds:
            print(say(), flush=True)
            last = time.perf_counter()

    return print_sometimes


def peak_memory():
    """The most memory this process has held so far, in GB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that both clean up in the same way."""


def run(main):
    """Calls main() and turns what a user can expect to happen into one line and an exit status.

    2: a mistake in the arguments, the data or the outputs.  130: Ctrl-C.  143: SIGTERM.
    141: whoever read standard output has gone, as `| head` does.
    Anything else is a bug and keeps its traceback.
    """
    _open_closed_streams()
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        main()
        sys.stdout.flush()
        _ignore_signals()
    except UserError as error:
        _leave(2, f"error: {error}")
    except Terminated:
        _leave(143, "stopped by SIGTERM; files written earlier are whole")
    except KeyboardInterrupt:
        _leave(130, "stopped; files written earlier are whole")
    except SystemExit as leaving:  # argparse has said what it had to
        _leave(leaving.code)
    except BrokenPipeError:
        _leave(141)
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _leave(2, f"error: cannot write: {error.strerror}")
        # TensorFlow's own error may not have been imported.
        if type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
            raise
        _leave(2, "error: there is not enough memory: try a smaller data set or fewer images")


def _open_closed_streams():
    """A standard stream that was closed before the start (`2>&-`) leads nowhere instead: else the
    next file that is opened would take its number."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w", closefd=False))


def _raise_terminated(number, frame):
    raise Terminated


def _ignore_signals():
    """Nothing is left to stop: a signal would only interrupt Python's own clearing up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _leave(status, sentence=None):
    """Ends the process; what a stream does not take, because its reader has gone, is dropped."""
    _ignore_signals()
    if sentence:
        # A progress bar may have left the cursor in the middle of a line.
        start = "\n" if sys.stderr.isatty() else ""
        sentence = f"{start}{os.path.basename(sys.argv[0])}: {_one_line(sentence)}\n"
    for number, stream, text in ((1, sys.stdout, ""), (2, sys.stderr, sentence or "")):
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(status)


def _one_line(text):
    return " ".join(str(text).splitlines())
