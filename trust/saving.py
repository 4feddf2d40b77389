"""Trained models on disk: one .npz of weights, the mixture and the settings; nothing in it runs."""

import json
import os
import warnings
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust.cli import UserError, latent_dim, seed
from trust.outputs import OutputError, replacing
from trust.priors import GaussianMixture

SPLITS = ("shared", "disjoint")
MIXTURE = ("weights", "means", "covariances", "labels")


class SavedModelsError(UserError):
    """Saved models cannot be read; one sentence for the user."""


@dataclass(frozen=True)
class Settings:
    """What is settled when the models are trained."""

    dataset: str  # The name of the data set they were trained on.
    fingerprint: str  # Its SHA-256, by which other data under the same name are noticed.
    class_names: tuple[str, ...]  # What its classes are called, in the order of their labels.
    epochs: int = 16  # How often the VAE sees every image.
    latent_dim: int = 24  # How many numbers the VAE's code of an image has.
    learning_rate: float = 1e-2  # The VAE's, at its peak.
    seed: int = 0  # What all random numbers start from.
    split: str = "shared"  # Whether VAE and classifier learn from one set, or disjoint halves.


DEFAULTS = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}


class Saved(NamedTuple):
    """What one file holds.  weights: {network: its arrays, in Keras's order}."""

    settings: Settings
    weights: dict[str, list[np.ndarray]]
    mixture: GaussianMixture


def settle(options: dict, data, saved: Settings | None = None, path: str = "") -> Settings:
    """The settings of models to be trained on `data`, a Dataset, or of those `saved` in `path`.

    options: what was given, of the names in DEFAULTS; None or absent is what was not.
    Raises UserError where the saved models are of other data or contradict what was given.
    """
    given = {name: options[name] for name in DEFAULTS if options.get(name) is not None}
    if saved is None:
        return Settings(data.name, data.fingerprint, tuple(data.class_names), **given)
    if saved.fingerprint != data.fingerprint:
        raise UserError(
            f"--load {path}: these models were trained on other data ({saved.dataset}): "
            "name the same --dataset"
        )
    for name, value in given.items():
        if value != (trained := getattr(saved, name)):
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{flag} {value}: the models in {path} were trained with {trained}: "
                f"leave {flag} or --load out"
            )
    return saved


def check_save(path: str | Path, settings: Settings) -> str | None:
    """A sentence where a save would replace other models than those of `settings`, else None.

    Raises OutputError where the file is not one that --save wrote.
    """
    if not os.path.lexists(path):
        return None
    try:
        old = read_save(path).settings
    except SavedModelsError as error:
        raise OutputError(f"--save would replace another's file: {error}") from error
    same = old == settings
    return None if same else f"{path} replaces the models of {old.dataset}, seed {old.seed}"


def save_models(path: str | Path, settings: Settings, networks: dict, mixture) -> None:
    """Keeps the networks {name: keras.Model}, the GaussianMixture and the settings in one file."""
    arrays = {f"mixture/{name}": getattr(mixture, name) for name in MIXTURE}
    for name, network in networks.items():
        arrays |= {f"{name}/{i}": weights for i, weights in enumerate(network.get_weights())}
    with replacing(path) as file:
        np.savez(file, settings=json.dumps(asdict(settings)), **arrays)


def read_save(path: str | Path) -> Saved:
    """What save_models kept.  Raises SavedModelsError where anything in the file is not so."""
    if not os.path.isfile(path):
        raise SavedModelsError(f"{str(path)!r} holds no models that --save kept")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = _settings(json.loads(str(arrays.pop("settings"))))
        weights = {}
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(key)
            weights.setdefault(key.rpartition("/")[0], {})[key.rpartition("/")[2]] = array
        mixture = _mixture(settings, weights.pop("mixture"))
        weights = {name: [own[str(i)] for i in range(len(own))] for name, own in weights.items()}
        return Saved(settings, weights, mixture)
    except Exception as error:  # a damaged file can make the reader raise almost anything
        raise SavedModelsError(f"{str(path)!r} is damaged or none that --save wrote") from error


def _settings(values):
    """Settings of a dict read from JSON; raises whatever it likes where they make no sense."""
    settings = Settings(**values | {"class_names": tuple(values["class_names"])})
    for name, kind in Settings.__annotations__.items():
        if name not in values or (name != "class_names" and type(values[name]) is not kind):
            raise TypeError(name)
    latent_dim(str(settings.latent_dim)), seed(str(settings.seed))
    if {*map(type, settings.class_names)} != {str} or settings.split not in SPLITS:
        raise ValueError(values)
    return settings


def _mixture(settings, arrays):
    """The GaussianMixture of {name: array}; raises whatever it likes where it is none."""
    k, d = len(arrays["weights"]), settings.latent_dim
    shapes = {name: array.shape for name, array in arrays.items()}
    labels = arrays["labels"]
    if shapes != {"weights": (k,), "means": (k, d), "covariances": (k, d, d), "labels": (k,)}:
        raise ValueError(shapes)
    if labels.dtype.kind not in "iu" or not set(labels) <= set(range(len(settings.class_names))):
        raise ValueError(labels)
    mixture = GaussianMixture(**arrays)
    mixture.sample(1, np.random.default_rng(0))  # which notices what is no density
    return mixture


def fill(network, arrays: list[np.ndarray]) -> None:
    """Gives the keras.Model these weights; raises SavedModelsError where they are another's."""
    if [array.shape for array in arrays] != [own.shape for own in network.get_weights()]:
        raise SavedModelsError(f"the saved weights do not fit the network {network.name!r}")
    network.set_weights(arrays)


def load_weights(network, file: str | Path) -> None:
    """Fills the network with the weights in a Keras .weights.h5 file; raises SavedModelsError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras remarks on what it then refuses
            network.load_weights(file)
    except Exception as error:  # a damaged file can make the loader raise almost anything
        message = f"{os.fspath(file)!r} is missing, damaged or of another network"
        raise SavedModelsError(message) from error
