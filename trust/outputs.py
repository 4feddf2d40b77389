"""Writes all output files.  Whatever stops a run, the earlier file of that name stays complete."""

import contextlib
import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import permutations, product
from pathlib import Path

import numpy as np

from trust.cli import UserError

LONGEST = 200  # bytes of a name; file systems take 255
FORBIDDEN = r'[/\\:*?"<>|\x00-\x1f\x7f]'  # in names, on one system or another


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[str]:
    """A temporary folder beside a path.  That it cannot be removed is no failed write: network file
    systems keep an entry of a file for a while."""
    folder = tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True
    )
    try:
        with folder as name:
            yield name
    finally:
        folder.cleanup()  # once more: a signal may have come while it was removed


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator:
    """Yields a binary file.  If the block ends without an error, it replaces `path` in one step,
    else it is deleted.  Raises UserError where it cannot be written."""
    path = Path(path).resolve()  # so that a symbolic link stays one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as folder:
            with open(Path(folder, path.name), "x+b") as file:
                yield file
            os.replace(file.name, path)
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder.  If the block ends without an error, it becomes `path` in one step,
    else it is deleted.  Raises UserError where it cannot be written, or where `path` is there and
    not an empty folder."""
    path = Path(path).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as above:
            (folder := Path(above, path.name)).mkdir()
            yield folder
            if path.exists():
                path.rmdir()
            os.rename(folder, path)
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def check_outputs(
    folder: str | None, files: Iterable = (), inputs: Iterable = (), whole: str | None = None
) -> None:
    """Raises UserError where an output could not be written or is another output or an input.
    folder: where the figures go, if there are any.  whole: a folder that new_folder() writes."""
    files, inputs, folders, wholes = (
        [*filter(None, paths)] for paths in (files, inputs, [folder], [whole])
    )
    real = {path: Path(path).resolve() for path in (*files, *inputs, *folders, *wholes)}
    for path in files:
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"{str(path)!r} is a folder or a device, but must name a file")
    files += wholes
    for path, other in (*product(files, (*inputs, *folders)), *permutations(files, 2)):
        if real[path] in (real[other], *real[other].parents):
            raise UserError(f"{str(path)!r} would be written over {str(other)!r}")
    for folder, path in product([*folders, *wholes], inputs):
        if os.path.isdir(path) and real[path] in (real[folder], *real[folder].parents):
            raise UserError(f"{str(folder)!r} would be written into {str(path)!r}")
    for folder in folders:
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise UserError(f"{str(folder)!r} is a file, but must name a folder")
    for folder in wholes:
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise UserError(
                f"{str(folder)!r} is a file, but must name a new folder or an .npz file"
            )
        if os.path.isdir(folder) and os.listdir(folder):
            raise UserError(f"{str(folder)!r} is a folder that is not empty: give a new one")
        if os.path.ismount(folder) or real[folder] == Path.cwd():  # cannot be replaced
            raise UserError(f"{str(folder)!r} must be a new folder: give one in it")
    for path in (*map(real.get, files), *(real[folder] / "figure.png" for folder in folders)):
        try:
            there = next(parent for parent in path.parents if parent.exists())
            tempfile.NamedTemporaryFile(dir=there, prefix=f".{path.name}.").close()
        except OSError as error:
            raise UserError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def is_npz(path: str | Path) -> bool:
    """Whether the path names an .npz file, and not a folder."""
    return Path(path).suffix.lower() == ".npz"


def write_json(path: str | Path, values: dict) -> None:
    """A dict, nested or flat, as a JSON object; numbers that are not finite become null."""
    text = json.dumps(values, default=lambda array: array.tolist())
    finite = json.loads(text, parse_constant=lambda name: None)
    with replacing(path) as file:
        file.write(json.dumps(finite, indent=2).encode() + b"\n")


def write_table(path: str | Path, lines: Iterable) -> None:
    """Lines of values as CSV."""
    with replacing(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        csv.writer(text).writerows(lines)


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """The arrays as one .npz, not compressed."""
    with replacing(path) as file:
        np.savez(file, **arrays)


def fit_for_files(name: str) -> str:
    """The name as one of a file or folder: "T-shirt/top" becomes "T-shirt-top"."""
    name = re.sub(FORBIDDEN, "-", name).encode("utf-8", "ignore")[:LONGEST]
    return name.decode("utf-8", "ignore").strip(" .") or "-"


def distinct(names: list[str]) -> list[str]:
    """The names in their order; one that was there before, also in other letters, gets a number."""
    taken, last, found = {name.casefold() for name in names}, {}, []
    for name in names:
        if (key := name.casefold()) in last:
            while f"{key}-{last[key]}" in taken:
                last[key] += 1
            name = f"{name}-{last[key]}"
            taken.add(name.casefold())
        else:
            last[key] = 2
        found.append(name)
    return found


def of_set(path: str | Path, name: str) -> str:
    """Where the file goes that is of one of several sets: scores-NAME.csv for scores.csv."""
    path = Path(path)
    return str(path.with_stem(f"{path.stem}-{fit_for_files(name)}"))


def folder_of_set(path: str | Path, name: str) -> str:
    """The same for a folder: NAME in it."""
    return str(Path(path, fit_for_files(name)))
