"""Trained models on disk: Keras's weight files, the mixture as .npz, and one settings file.

The settings name the other files and are replaced in one step, last of all: a run that is killed
leaves the old save or the new one, whole.  Networks are built by code; nothing in a file runs.
"""

import contextlib
import json
import os
import re
import secrets
import warnings
from pathlib import Path

import numpy as np

from trust.cli import UserError
from trust.outputs import OutputError, check_output_folder, replacing, write_json
from trust.priors import GaussianMixture

SETTINGS = "settings.json"
OURS = re.compile(r"\w+-[0-9a-f]{8}\.(weights\.h5|npz)")  # what save_models names its files

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)  # bad settings


class SavedModelsError(UserError):
    """A folder with saved models cannot be read; one sentence for the user."""


def check_save_folder(path):
    """Raises OutputError where models cannot be saved in `path`, or other files live there."""
    check_output_folder(path)
    path = Path(path)
    foreign = path.exists() and any(not OURS.fullmatch(entry.name) for entry in path.iterdir())
    if foreign and _named_files(path) is None:
        raise OutputError(f"{str(path)!r} holds other files, but must be new, empty or from --save")


def save_models(path, settings, networks, mixture):
    """Keeps the networks {name: keras.Model}, the GaussianMixture and the settings, a flat dict."""
    path = Path(path)
    token = secrets.token_hex(4)
    files = {name: f"{name}-{token}.weights.h5" for name in networks}
    files["mixture"] = f"mixture-{token}.npz"
    try:
        for name, network in networks.items():
            _save_weights(network, path / files[name])
        with replacing(path / files["mixture"]) as file:
            np.savez(
                file,
                weights=mixture.weights,
                means=mixture.means,
                covariances=mixture.covariances,
            )
        write_json(path / SETTINGS, settings | {"files": files})
    finally:
        _tidy(path)


def _save_weights(network, file):
    """Keras's weight file, whole and on the disk.

    HDF5 makes the process crash when a disk is full, so zeros are written first: more than enough.
    """
    with replacing(file) as room:
        room.write(bytes(sum(10_000 + weights.nbytes for weights in network.get_weights())))
    try:
        network.save_weights(file)
        with open(file, "rb+") as written:
            os.fsync(written.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {str(file)!r}: {error.strerror or error}") from error


def _named_files(path):
    """The names of the files that the settings in the folder `path` name; None without settings."""
    try:
        return set(json.loads((path / SETTINGS).read_text())["files"].values())
    except (OSError, *UNREADABLE):
        return None


def _tidy(path):
    """Removes what an earlier save, or one that was stopped, has left: files of ours that the
    settings do not name.  Files of the user's stay."""
    with contextlib.suppress(OSError):
        for entry in path.iterdir():
            if OURS.fullmatch(entry.name) and entry.name not in (_named_files(path) or ()):
                entry.unlink()


def read_settings(path, required):
    """The settings that save_models kept in the folder `path`, with the names of its files.

    required: {name: a value of its type}.
    Raises SavedModelsError where there are none, one that is required is not among them or of
    another type, or a file that they name is missing.
    """
    file = Path(path) / SETTINGS
    try:
        settings = json.loads(file.read_text())
        for name, example in required.items():
            if type(settings[name]) is not type(example):
                raise TypeError(name)
        missing = [name for name in settings["files"].values() if not (Path(path) / name).is_file()]
    except OSError as error:
        raise SavedModelsError(f"{str(path)!r} holds no models that --save kept") from error
    except UNREADABLE as error:
        raise SavedModelsError(f"{str(file)!r} is not one that --save wrote") from error
    if missing:
        raise SavedModelsError(f"{os.fspath(Path(path) / missing[0])!r} is missing: save again")
    return settings


def load_models(path, settings, networks):
    """Loads the networks' weights {name: keras.Model} and returns the GaussianMixture."""
    path = Path(path)
    for name in (*networks, "mixture"):
        if name not in settings["files"]:
            raise SavedModelsError(f"{str(path / SETTINGS)!r} names no {name}: save again")
    for name, network in networks.items():
        load_weights(network, path / settings["files"][name])
    try:
        with np.load(path / settings["files"]["mixture"], allow_pickle=False) as arrays:
            return GaussianMixture(**arrays)
    except Exception as error:  # a damaged file can make the reader raise almost anything
        raise SavedModelsError(f"--load {path}: the mixture cannot be read: save again") from error


def load_weights(network, file):
    """Fills the network with the weights in a Keras .weights.h5 file; raises SavedModelsError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras remarks on what it then refuses
            network.load_weights(file)
    except Exception as error:  # a damaged file can make the loader raise almost anything
        raise SavedModelsError(
            f"{os.fspath(file)!r} is missing, damaged or of another network"
        ) from error
