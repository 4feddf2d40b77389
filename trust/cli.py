"""What the scripts share on the command line: flags, errors of one sentence, a quiet start."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

PLAIN = os.environ.get("TRUST_PLAIN", "0") not in ("", "0")  # turns off what trust/fast.py does


class UserError(Exception):
    """A mistake that only the user can correct; the message says in one sentence what it is."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Accepts no abbreviations, shows defaults, and reports a mistake in one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=Help, **settings)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.splitlines())}\n")


def checked(kind: type, fits: Callable, wanted: str) -> Callable[[str], object]:
    """An argument type: a `kind` that `fits`; `wanted` says what that is."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if fits(kind(text)):
                return kind(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")

    return parse


path = checked(str, str.strip, "a name")
positive_int = checked(int, lambda n: 1 <= n <= 10**9, "a whole number from 1 to 1000000000")
seed = checked(int, lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")
latent_dim = checked(int, lambda n: 1 <= n <= 256, "a whole number from 1 to 256")
sheet_size = checked(int, lambda n: 1 <= n <= 1000, "a whole number from 1 to 1000")
positive_float = checked(float, lambda x: 0 < x < float("inf"), "a number above 0")
fraction = checked(float, lambda x: 0 < x <= 1, "a number above 0 and at most 1")
share = checked(float, lambda x: 0 < x < 1, "a number above 0 and below 1")


def add_shared_arguments(parser: Parser, told: dict | None = None, **defaults) -> None:
    """The flags of both scripts; the defaults in `told` are only in the help, and settled later."""

    def add(flag, kind, metavar, text, **settings):
        if (name := flag[2:].replace("-", "_")) in (told or {}):
            text, defaults[name] = f"{text} (default: {told[name]})", None
        parser.add_argument(flag, type=kind, metavar=metavar, help=text, **settings)

    add("--dataset", path, "NAME", "mnist, fashion_mnist, or a file or folder: see the README")
    add("--epochs", positive_int, "N", "the VAE's passes over its images")
    add("--latent-dim", latent_dim, "N", "size of the VAE's code, up to 256")
    add("--learning-rate", positive_float, "X", "the VAE's highest rate; it rises, then falls")
    add("--seed", seed, "N", "same seed, same machine, same result", default=0)
    add("--out", path, "DIR", "folder for the figures", default="imgs")
    parser.set_defaults(**defaults)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow in this block: each operation gets half of the cores, and its log is only
    shown where there is a GPU."""
    if not PLAIN:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(cores() // 2, 1)))
    kept = os.dup(2)
    if not os.path.exists("/dev/nvidiactl"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # some notes come before that is read
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Clock:
    """`with clock(stage):` says what begins and how long it took; seconds: {stage: seconds}."""

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
        seconds = self.seconds | {"total": time.perf_counter() - self._start}
        return {"seconds": seconds, "peak_memory_gb": peak_memory()}


def peak_memory() -> float:
    """The most memory this process has held so far, in GB; NaN where the system does not say."""
    with contextlib.suppress(ImportError):  # Windows has no such module
        import resource

        unit = 1e9 if sys.platform == "darwin" else 1e9 / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return float("nan")


def run(main: Callable[[], None]) -> None:
    """Calls main() and ends with status 2, 130, 141 or 143 and one line, or a bug's traceback."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed: else the next file takes its number
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w", closefd=False))
    sys.stdout.reconfigure(errors="replace")  # what the terminal cannot show
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    status, sentence = 2, ""
    try:
        main()
        sys.stdout.flush()
        status = 0
    except (KeyboardInterrupt, SystemExit) as stop:
        status = getattr(stop, "code", 130)  # argparse has said what it had to
        sentence = "stopped; files written earlier are whole" if status > 2 else ""
    except BrokenPipeError:
        status = 141
    except UserError as error:
        sentence = f"error: {error}"
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            sentence = f"error: cannot write: {error.strerror}"
        elif type(error).__name__ in ("MemoryError", "ResourceExhaustedError"):  # TensorFlow's
            sentence = "error: there is not enough memory: try a smaller data set or fewer images"
        else:
            raise
    for number in (signal.SIGINT, signal.SIGTERM):  # would only interrupt Python's clearing up
        signal.signal(number, signal.SIG_IGN)
    line = f"{os.path.basename(sys.argv[0])}: {' '.join(sentence.splitlines())}\n"
    for number, stream, text in ((1, sys.stdout, ""), (2, sys.stderr, line if sentence else "")):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # the reader of the pipe has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(status)
