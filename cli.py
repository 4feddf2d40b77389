"""What the two scripts share on the command line: flags, one-sentence errors, a quiet start."""

import argparse
import contextlib
import gc
import math
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from datasets import DataError
from outputs import OutputError

NO_MEMORY = "error: there is not enough memory: try a smaller data set or fewer images"

_thread = ThreadPoolExecutor(1)
_begun = []


class UserError(Exception):
    """Something only the user can put right; the message is one sentence saying what."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that both clean up in the same way."""


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


def add_shared_arguments(parser, **defaults):
    """The flags that both scripts have; `defaults` are the script's own."""
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="mnist, fashion_mnist, or an .npz with x_train, y_train, x_test, y_test",
    )
    parser.add_argument("--epochs", metavar="N", type=positive_int, help="passes over the data")
    parser.add_argument(
        "--latent-dim", metavar="N", type=whole_number(1, 784), help="size of the VAE's code"
    )
    parser.add_argument(
        "--learning-rate", metavar="X", type=positive_float, help="the VAE's, at its peak"
    )
    parser.add_argument(
        "--seed", metavar="N", type=seed, default=0, help="same seed, same machine, same result"
    )
    parser.add_argument("--out", metavar="DIR", default="imgs", help="folder for the figures")
    parser.set_defaults(**defaults)


@contextlib.contextmanager
def quiet_tensorflow():
    """Import TensorFlow inside this block without its start-up notes.

    They are written by C++ code, some of it before any setting can silence it, so the standard
    error of the process is closed for as long as the import takes.  Python's exceptions pass.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Each operation gets half of the cores, since the models compute two at a time.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max((os.cpu_count() or 1) // 2, 1)))
    # TensorFlow asks only some processors for these kernels, but others gain as well.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    stderr = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    # Half a million objects are made that stay: to look for garbage among them, now and in every
    # later collection, would take a second and more.
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(50_000)
        gc.enable()
        os.dup2(stderr, 2)
        os.close(stderr)


def beside(function, *arguments):
    """Calls function(*arguments) in a thread of its own, after what it was given before; returns
    a Future. Where the run stops early nobody waits for the result.
    """
    return _remember(_thread.submit(function, *arguments))


def _remember(future):
    _begun.append(future)
    return future


def peak_memory():
    """The most memory this process has held so far, in GB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def run(main):
    """Calls main() and turns what a user can expect to happen into one line and an exit status.

    2: a mistake in the arguments, the data or the outputs.  130: Ctrl-C.  143: SIGTERM.
    Anything else is a bug and keeps its traceback.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job is deaf
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _report_unraisable
    try:
        main()
    except (DataError, OutputError, UserError) as error:
        _stop(2, f"error: {error}")
    except MemoryError:
        _stop(2, NO_MEMORY)
    except Terminated:
        _stop(143, "stopped by SIGTERM; files written earlier are whole")
    except KeyboardInterrupt:
        _stop(130, "stopped; files written earlier are whole")
    except Exception as error:
        if type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's, perhaps not imported
            raise
        _stop(2, NO_MEMORY)


def _interrupt(number, frame):
    """Stops the run now or, where Python happens to be in a destructor and ignores every
    exception, as soon as it is out of it; 2 s are ample for the clean-up in between."""
    stop = Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def again(number, frame):
        raise stop

    if hasattr(signal, "setitimer"):  # not on Windows
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 2, 2)
    raise stop


def _report_unraisable(ignored):
    if not issubclass(ignored.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)


def _stop(status, sentence):
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    # A progress bar may have left the cursor in the middle of a line.
    start = "\n" if sys.stderr.isatty() else ""
    print(f"{start}{os.path.basename(sys.argv[0])}: {_one_line(sentence)}", file=sys.stderr)
    if not all(future.done() for future in _begun):  # Python would wait for them
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _one_line(text):
    return " ".join(str(text).splitlines())
