"""What leaves the process: written beside its name, then renamed into place in one step, so that
whatever stops a run, the earlier file of that name is still there and whole."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trust.cli import UserError


class OutputError(UserError):
    """An output cannot be written; one sentence for the user."""


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends well, and vanishes if not.

    Folders that are missing are made.  Raises OutputError where the file cannot be written.
    """
    path, unfinished = _resolved(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(**_beside(path), delete=False) as file:
            unfinished = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.umask(mask := os.umask(0))  # the one way to ask for it
        os.chmod(unfinished, 0o666 & ~mask)  # a temporary file is its owner's alone
        os.replace(unfinished, path)
    except BaseException as error:
        if unfinished:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


def check_outputs(folder: str, files: Iterable = (), inputs: Iterable = ()) -> None:
    """Raises OutputError now rather than when the work is done.  Leaves nothing behind.

    folder: where figures go.  files: paths to be written.  inputs: paths that are read and have to
    stay as they are.  None among them is one that nobody asked for.
    """
    files, inputs = list(filter(None, files)), list(filter(None, inputs))
    for number, path in enumerate(files):
        if os.path.exists(path) and not os.path.isfile(path):
            raise OutputError(f"{str(path)!r} is a folder or a device, but must name a file")
        for other in (*inputs, folder, *files[:number], *files[number + 1 :]):
            if _resolved(path) in (_resolved(other), *_resolved(other).parents):
                raise OutputError(f"{str(path)!r} would be written over {str(other)!r}")
        _check_writable(_resolved(path))
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"{str(folder)!r} is a file, but must name a folder")
    _check_writable(_resolved(folder) / "figure.png")


def figures_folder(out: str | None, dataset_name: str) -> str:
    """`out` where it was given, else imgs for MNIST and a folder in it for any other data set."""
    return out or ("imgs" if dataset_name == "mnist" else f"imgs/{dataset_name}")


def draw(folder: str | Path, name: str, function: Callable, *arguments, **keywords) -> None:
    """function(file, ...), a function of figures.py, whose file becomes folder/name.png."""
    with replacing(Path(folder) / f"{name}.png") as file:
        function(file, *arguments, **keywords)


def write_json(path: str | Path, values: dict) -> None:
    """A dict, nested or flat, as a JSON object; numbers that are not finite become null."""
    with replacing(path) as file:
        file.write(json.dumps(_plain(values), indent=2, allow_nan=False).encode() + b"\n")


def write_images(path: str | Path, images, labels, confidence, probabilities) -> None:
    """One .npz: images (n, 28, 28) float32, labels (n,) int64, confidence (n,) float32,
    probabilities (n, classes) float32.  Not compressed: the last bits of a float are noise."""
    arrays = {"images": images, "confidence": confidence, "probabilities": probabilities}
    arrays = {name: np.asarray(array, "<f4") for name, array in arrays.items()}
    with replacing(path) as file:
        np.savez(file, labels=np.asarray(labels, "<i8"), **arrays)


def _plain(value):
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _resolved(path):
    """The file or folder itself where `path` is a link to it, so that links are kept."""
    return Path(os.path.realpath(path))


def _beside(path):
    return {"dir": path.parent, "prefix": f".{path.name}."}


def _cannot_write(path, error):
    return OutputError(f"cannot write {str(path)!r}: {error.strerror or error}")


def _check_writable(path):
    """Makes a file beside `path` and undoes it, folders it takes included."""
    made = []
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir()
            made.append(folder)
        tempfile.NamedTemporaryFile(**_beside(path)).close()
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            for folder in reversed(made):
                folder.rmdir()
