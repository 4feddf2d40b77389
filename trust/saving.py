"""Trained models on disk: Keras's weight files, the mixture as .npz, and one settings file.

The settings name the other files and are replaced in one step, last of all: a run that is killed
leaves the old save or the new one, whole.  Networks are built by code; nothing in a file runs.
"""

import contextlib
import json
import os
import secrets
from pathlib import Path

import numpy as np

from trust.cli import UserError
from trust.outputs import OutputError, check_output_folder, replacing, write_json
from trust.priors import GaussianMixture

SETTINGS = "settings.json"


class SavedModelsError(UserError):
    """A folder with saved models cannot be read; one sentence for the user."""


def check_save_folder(path):
    """Raises OutputError where models cannot be saved in `path`, or other files live there."""
    check_output_folder(path)
    path = Path(path)
    if path.exists() and any(path.iterdir()) and not (path / SETTINGS).exists():
        raise OutputError(f"{str(path)!r} holds other files, but must be new, empty or from --save")


def save_models(path, settings, networks, mixture):
    """Keeps the networks {name: keras.Model}, the GaussianMixture and the settings, a flat dict."""
    path = Path(path)
    token = secrets.token_hex(4)
    files = {name: f"{name}-{token}.weights.h5" for name in networks}
    files["mixture"] = f"mixture-{token}.npz"
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, network in networks.items():
            network.save_weights(path / files[name])
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    with replacing(path / files["mixture"]) as file:
        np.savez(
            file,
            weights=mixture.weights,
            means=mixture.means,
            covariances=mixture.covariances,
        )
    write_json(path / SETTINGS, settings | {"files": files})
    for entry in path.iterdir():
        if entry.name != SETTINGS and entry.name not in files.values():
            with contextlib.suppress(OSError):
                entry.unlink()


def read_settings(path, required):
    """The settings that save_models kept in the folder `path`, with the names of its files.

    Raises SavedModelsError where there are none, one that is required is not among them, or a file
    that they name is missing.
    """
    file = Path(path) / SETTINGS
    try:
        settings = json.loads(file.read_text())
        _ = [settings[name] for name in required]
        missing = [name for name in settings["files"].values() if not (Path(path) / name).is_file()]
    except OSError as error:
        raise SavedModelsError(f"{str(path)!r} holds no models that --save kept") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SavedModelsError(f"{str(file)!r} is not one that --save wrote") from error
    if missing:
        raise SavedModelsError(f"{os.fspath(Path(path) / missing[0])!r} is missing: save again")
    return settings


def load_models(path, settings, networks):
    """Loads the networks' weights {name: keras.Model} and returns the GaussianMixture."""
    path = Path(path)
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
        network.load_weights(file)
    except Exception as error:  # a damaged file can make the loader raise almost anything
        raise SavedModelsError(
            f"{os.fspath(file)!r} is missing, damaged or of another network"
        ) from error
