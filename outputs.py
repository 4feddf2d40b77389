"""What leaves the process: written beside its name, then renamed into place in one step.

So whatever stops a run, a full disk, a signal or a power cut, the earlier file or folder of that
name is still there and whole.  The unfinished ones are hidden, `.name.pid.unfinished`, and
removed on the way out, or by the next run where this one was killed.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

PROBE_BYTES = 1_000_000
CHECKSUMS = "SHA256SUMS"


class OutputError(Exception):
    """An output cannot be written, or a saved folder not be read; one sentence for the user."""


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


@contextlib.contextmanager
def replacing_folder(path):
    """Yield a new folder to fill, which becomes the newest version in `path` if the block ends
    well, and vanishes if not.

    A folder cannot be renamed over another, so versions are numbered, `path/models-1` and so on,
    and the highest counts: a single rename replaces the old version, which is then removed.
    `saved_folder` finds the newest.  Raises OutputError where it cannot be written.
    """
    path = _resolved(path)
    old = _versions(path)
    new = path / f"models-{max(old, default=0) + 1}"
    unfinished = _unfinished(new)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        sums = [f"{_sha256(file)}  {file.name}\n" for file in sorted(unfinished.iterdir())]
        (unfinished / CHECKSUMS).write_text("".join(sums))
        for file in unfinished.iterdir():
            with open(file, "r+b") as stream:
                os.fsync(stream.fileno())
        unfinished.rename(new)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    with contextlib.suppress(OSError):
        for folder in old.values():
            shutil.rmtree(folder.rename(_unfinished(folder)), ignore_errors=True)


def saved_folder(path, names):
    """The newest version in a folder made by `replacing_folder`, with the files `names` in it.

    Raises OutputError where there is none, or a file is missing or not as it was saved.
    """
    path = _resolved(path)
    try:
        versions = _versions(path)
    except OSError as error:
        raise OutputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if not versions:
        raise OutputError(f"{str(path)!r} holds no saved models, as --save makes them")
    newest = versions[max(versions)]
    file = newest / CHECKSUMS
    try:
        lines = file.read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        for file in (newest / name for name in names):
            if sums.get(file.name) != _sha256(file):
                raise ValueError("the checksums differ")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{str(file)!r} is missing or not as it was saved: save the models again"
        ) from error
    return newest


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


def check_replaceable_folder(path):
    """Raises OutputError where `path` is in use for something else than `replacing_folder`."""
    check_output_folder(path)
    path = _resolved(path)
    if os.path.exists(path) and any(path.iterdir()) and not _versions(path):
        raise OutputError(
            f"{str(path)!r} holds other files, but must be new, empty or made by --save"
        )


def write_json(path, values):
    """A flat dict as a JSON object, in its order; numbers that are not finite become null."""

    def plain(value):
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        return None if isinstance(value, float) and not math.isfinite(value) else value

    plain_values = {name: plain(value) for name, value in values.items()}
    with replacing(path) as file:
        file.write(json.dumps(plain_values, indent=2, allow_nan=False).encode() + b"\n")


@contextlib.contextmanager
def saving_images(path):
    """Yield append(images, labels, confidence), all of which ends up in one .npz at `path`:

    images (n, 28, 28) float32, labels (n,) int64, confidence (n,) float32.  Images wait on disk,
    so a run of any length needs little memory.  The same data give the same bytes.
    """
    labels, confidences = [np.zeros(0, "<i8")], [np.zeros(0, "<f4")]
    with replacing(path) as file, tempfile.TemporaryFile(dir=_resolved(path).parent) as waiting:

        def append(images, label, confidence):
            images = np.asarray(images, "<f4").reshape(len(label), 28, 28)
            waiting.write(images.tobytes())
            labels.append(np.asarray(label, "<i8"))
            confidences.append(np.asarray(confidence, "<f4"))

        yield append

        arrays = {"labels": np.concatenate(labels), "confidence": np.concatenate(confidences)}
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(arrays["labels"]), 28, 28)}
        waiting.seek(0)
        # Not compressed: the last bits of a float are noise, so deflating saves only 5 %.
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open("images.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                shutil.copyfileobj(waiting, member)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array)


def _resolved(path):
    """The file or folder itself where `path` is a link to it, so that links are kept."""
    return Path(os.path.realpath(path))


def _unfinished(path):
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")


def _cannot_write(path, error):
    return OutputError(f"cannot write {str(path)!r}: {error.strerror or error}")


def _sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _versions(path):
    """{number: folder} of the versions that `replacing_folder` has put in `path`."""
    if not os.path.isdir(path):
        return {}
    numbered = ((re.fullmatch(r"models-([0-9]+)", entry.name), entry) for entry in path.iterdir())
    return {
        int(match[1]): entry for match, entry in numbered if match and (entry / CHECKSUMS).exists()
    }


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
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
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
