"""What leaves the process: written beside its name, then renamed into place in one step.

So whatever stops a run, a full disk, a signal or a power cut, the earlier file or folder of that
name is still there and whole.  The unfinished ones are hidden, `.name.pid.unfinished`, and
removed on the way out, or by the next run where this one was killed.
"""

import contextlib
import json
import math
import os
import re
from pathlib import Path

import numpy as np

from trust.cli import UserError

PROBE_BYTES = 1_000_000


class OutputError(UserError):
    """An output cannot be written; one sentence for the user."""


@contextlib.contextmanager
def replacing(path):
    """Yield a binary file that becomes `path` when the block ends well, and vanishes if not.

    Folders that are missing are made.  Raises OutputError where the file cannot be written.
    """
    path = _resolved(path)
    unfinished = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def check_outputs(folder, files=(), inputs=()):
    """Raises OutputError now rather than when the work is done.  Leaves nothing behind.

    folder: where figures go.  files: paths to be written; None is one that nobody asked for.
    inputs: paths that are read, or kept by others, and have to stay as they are.
    """
    files = list(filter(None, files))
    for number, path in enumerate(files):
        check_output_file(path)
        for other in (*inputs, folder, *files[:number], *files[number + 1 :]):
            if _resolved(path) in (_resolved(other), *_resolved(other).parents):
                raise OutputError(f"{str(path)!r} would be written over {str(other)!r}")
    check_output_folder(folder)


def draw(folder, name, function, *arguments):
    """function(file, *arguments), a function of figures.py, whose file becomes folder/name.png."""
    with replacing(Path(folder) / f"{name}.png") as file:
        function(file, *arguments)


def check_output_file(path):
    """Raises OutputError where `path` cannot become a file of ours.  Leaves nothing behind."""
    path = _resolved(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputError(f"{str(path)!r} is a folder or a device, but must name a file")
    _check_writable(path, path)


def check_output_folder(path):
    """Raises OutputError where no files can be written to `path`.  Leaves nothing behind."""
    path = _resolved(path)
    if os.path.exists(path) and not os.path.isdir(path):
        raise OutputError(f"{str(path)!r} is a file, but must name a folder")
    _check_writable(path, path / "figure.png")


def write_json(path, values):
    """A flat dict as a JSON object, in its order; numbers that are not finite become null."""

    def plain(value):
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        return None if isinstance(value, float) and not math.isfinite(value) else value

    plain_values = {name: plain(value) for name, value in values.items()}
    with replacing(path) as file:
        file.write(json.dumps(plain_values, indent=2, allow_nan=False).encode() + b"\n")


def write_images(path, images, labels, confidence, probabilities):
    """One .npz: images (n, 28, 28) float32, labels (n,) int64, confidence (n,) float32,
    probabilities (n, classes) float32.

    The same data give the same bytes.  Not compressed: the last bits of a float are noise.
    """
    with replacing(path) as file:
        np.savez(
            file,
            images=np.asarray(images, "<f4"),
            labels=np.asarray(labels, "<i8"),
            confidence=np.asarray(confidence, "<f4"),
            probabilities=np.asarray(probabilities, "<f4"),
        )


def _resolved(path):
    """The file or folder itself where `path` is a link to it, so that links are kept."""
    return Path(os.path.realpath(path))


def _unfinished(path):
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")


def _cannot_write(path, error):
    return OutputError(f"cannot write {str(path)!r}: {error.strerror or error}")


def _check_writable(path, file):
    """Writes a megabyte where `file` will be written and undoes it, folders it takes included;
    also removes what runs that are gone left unfinished there."""
    unfinished, made = _unfinished(file), []
    try:
        for folder in reversed([f for f in file.parents if not f.exists()]):
            folder.mkdir()
            made.append(folder)
        for entry in file.parent.iterdir():
            match = re.fullmatch(r"\..+\.([0-9]+)\.unfinished", entry.name)
            if match and not _is_another_run(int(match[1])):
                entry.unlink(missing_ok=True)
        unfinished.write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        with contextlib.suppress(OSError):
            for folder in reversed(made):
                folder.rmdir()


def _is_another_run(pid):
    """Whether `pid` may be a process that is still writing; our own writes nothing yet."""
    if os.name == "nt":  # where os.kill(pid, 0) is not a question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid != os.getpid()
