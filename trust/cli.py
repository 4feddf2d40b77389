"""What the scripts share on the command line: flags, errors of one sentence, a quiet start."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

PLAIN = os.environ.get("TRUST_PLAIN", "0") not in ("", "0")  # turns off what train/fast.py does


class UserError(Exception):
    """An error that only the user can correct; the message is one sentence for the user."""


class TooBad(Exception):
    """An answer is as bad as --fail-on forbids; the message is one sentence for the user."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Accepts no abbreviated flags, shows defaults in the help, reports an error in one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=Help, **settings)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.splitlines())}\n")


def checked(kind: type, fits: Callable, wanted: str) -> Callable[[str], object]:
    """A type for argparse: turns text into a `kind`, and refuses values for which `fits` is false.
    `wanted`: what the error says that the text is not."""

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


def add_shared_arguments(parser: Parser, later: dict | None = None, **defaults) -> None:
    """Adds the flags of both scripts.  Defaults in `later` only appear in the help: these flags are
    None if left out, and settled later."""

    def add(flag, kind, metavar, text, **settings):
        if (name := flag[2:].replace("-", "_")) in (later or {}):
            text, defaults[name] = f"{text} (default: {later[name]})", None
        parser.add_argument(flag, type=kind, metavar=metavar, help=text, **settings)

    add("--dataset", path, "NAME", "mnist, fashion_mnist, or a file or folder: see the README")
    add("--epochs", positive_int, "N", "the VAE's passes over its images")
    add("--latent-dim", latent_dim, "N", "size of the VAE's code, up to 256")
    add("--learning-rate", positive_float, "X", "the VAE's peak rate; it rises, then falls")
    add("--seed", seed, "N", "same seed, same machine, same result", default=0)
    add("--out", path, "DIR", "folder for the figures", default="imgs")
    parser.set_defaults(**defaults)


def add_endings(parser: Parser) -> None:
    """Adds the flags of both doors that say what becomes of the examined images and verdicts."""
    add = parser.add_argument
    kept = "write the images that pass and what is known of each, as .npz; or into a folder, as "
    kept += "pictures: those to trust, and beside them the others by what is against each"
    add("--save-images", metavar="FILE.npz|DIR", type=path, help=kept)
    add("--scores", metavar="FILE", type=path, help="write a line for each image, as CSV")
    bad = "exit with status 1 where an answer is at least that bad; 'cannot tell' is not bad"
    add("--fail-on", choices=["worse", "fails"], help=bad)


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow in this block: each operation then uses half of the cores, TensorFlow's log
    messages are hidden where there is no GPU, and Keras starts from known settings."""
    if (keras := sys.modules.get("keras")) and (own := keras.config.backend()) != "tensorflow":
        cure = "start Python anew with KERAS_BACKEND=tensorflow"
        raise UserError(f"Keras runs on {own} here, but this code needs TensorFlow: {cure}")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if not PLAIN:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(cores() // 2, 1)))
    kept = os.dup(2)
    if not os.path.exists("/dev/nvidiactl"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # some messages come before it is read
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    set_keras()


def set_keras(layout="channels_last", floats="float32", policy="float32") -> None:
    """Sets Keras, if it is imported: by default to what this code needs, whatever the user's
    keras.json says."""
    if keras := sys.modules.get("keras"):
        keras.config.set_image_data_format(layout)
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def unchanged_environment() -> Iterator[None]:
    """TensorFlow may be imported and used in this block, with as many threads as it likes, and
    Keras starts from known settings; after it the environment's variables and Keras are as before.
    """
    if keras := sys.modules.get("keras"):
        config = keras.config
        own = config.image_data_format(), config.floatx(), config.dtype_policy()
        set_keras()
    names = "TF_NUM_INTRAOP_THREADS", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"
    before = {name: os.environ.get(name) for name in names}
    os.environ.setdefault(names[0], "0")  # TensorFlow's word for its own choice
    try:
        yield
    finally:
        if keras:
            set_keras(*own)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def say(text: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(text, flush=True)


class Clock:
    """`with clock(stage):` says the stage when it begins and its seconds when it ends.
    seconds: {stage: seconds}.  say: a function of a text.  bars: whether Keras may show progress on
    the standard output."""

    def __init__(self, say: Callable[[str], None] = say, bars: bool = True):
        self.say, self.bars = say, bars
        self.seconds, self._start = {}, time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.say(f"\n{stage} ...")
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
        self.say(f"{stage}: {self.seconds[stage]:.1f} s")

    def resources(self) -> dict:
        """Seconds of each stage and in total, and peak memory in GB so far, for a report."""
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
    """Calls main() and exits with status 0, with 1 where --fail-on says so, or with 2, 130, 141 or
    143, and at most one line.  An unexpected exception, a bug, keeps its traceback.  In a notebook,
    signals and streams are left as they are."""
    own_process = not hasattr(sys, "ps1")  # which an interactive Python has
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed: else the next opened file gets its number
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w", closefd=False))
    if own_process:
        sys.stdout.reconfigure(errors="replace")  # characters that the terminal cannot show
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    status, sentence = 2, ""
    try:
        main()
        sys.stdout.flush()
        status = 0
    except (KeyboardInterrupt, SystemExit) as stop:
        status = getattr(stop, "code", 130)  # argparse has printed its own message
        sentence = "stopped; files written earlier are whole" if status > 2 else ""
    except BrokenPipeError:
        status = 141
    except TooBad as error:
        status, sentence = 1, str(error)
    except UserError as error:
        sentence = f"error: {error}"
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            sentence = f"error: cannot write: {error.strerror}"
        elif type(error).__name__ in ("MemoryError", "ResourceExhaustedError"):  # TensorFlow's
            sentence = "error: there is not enough memory: try a smaller data set or fewer images"
        else:
            raise
    if own_process:
        for number in (signal.SIGINT, signal.SIGTERM):  # would only interrupt Python's cleanup
            signal.signal(number, signal.SIG_IGN)
    line = f"{program()}: {' '.join(sentence.splitlines())}\n"
    for number, stream, text in ((1, sys.stdout, ""), (2, sys.stderr, line if sentence else "")):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # the reader of the pipe has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(status)


def program() -> str:
    """What the user typed to start this program: a script's name, or "python -m trust"."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # there is one after python -m
    if spec and spec.origin == sys.argv[0]:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return os.path.basename(sys.argv[0])
