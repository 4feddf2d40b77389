"""Trained models on disk: one .npz of weights, mixture and settings; loading it runs no code."""

import json
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust.cli import UserError
from trust.data.images import Pixels
from trust.outputs import write_arrays
from trust.train.priors import PARAMETERS, GaussianMixture

SPLITS = ("shared", "disjoint")


@dataclass(frozen=True)
class Settings:
    """The settings that are fixed when the models are trained."""

    dataset: str  # The name of the data set they were trained on.
    fingerprint: str  # Its SHA-256, by which other data under the same name are noticed.
    class_names: tuple  # What its classes are called, in the order of their labels.
    pixels: Pixels  # The shape and the mean of its images.
    epochs: int = 16  # How often the VAE sees every image.
    latent_dim: int = 24  # How many numbers the VAE's code of an image has.
    learning_rate: float = 1e-2  # The VAE's, at its peak.
    seed: int = 0  # What all random numbers start from.
    split: str = "shared"  # Whether VAE and classifier learn from one set, or disjoint halves.


DEFAULTS = {field.name: field.default for field in fields(Settings)[4:]}


class Saved(NamedTuple):
    """What one file holds.  weights: {network: its arrays, in Keras's order}.  mixture: None where
    there is no VAE, which `python -m trust` needs none of."""

    settings: Settings
    weights: dict
    mixture: GaussianMixture | None


def settle(options: dict, data, saved: Settings | None = None, path: str = "") -> Settings:
    """Settings from the options that are not None, or `saved` if there is one.  Raises UserError
    where options or data contradict `saved`, the settings of the file `path`.  data: a Dataset."""
    given = {name: options[name] for name in DEFAULTS if options.get(name) is not None}
    if saved is None:
        return Settings(
            dataset=data.name,
            fingerprint=data.fingerprint,
            class_names=tuple(data.class_names),
            pixels=data.pixels,
            **given,
        )
    if saved.fingerprint != data.fingerprint:
        raise UserError(f"--load {path}: these models were trained on other data ({saved.dataset})")
    for name, value in given.items():
        if value != (trained := getattr(saved, name)):
            flag = f"--{name.replace('_', '-')} {value}"
            raise UserError(f"{flag}: the models in {path} were trained with {trained}")
    return saved


def check_save(path: str | Path, settings: Settings) -> str | None:
    """A sentence if --save would replace other models, else None.  Raises UserError where it would
    replace a file that is no save."""
    try:
        old = read_save(path).settings if Path(path).exists() else settings
    except UserError as error:
        raise UserError(f"--save would replace a file that it did not write: {error}") from error
    replaced = f"{path} replaces other models of {old.dataset}, seed {old.seed}"
    return replaced if old != settings else None


def save_models(
    path: str | Path, settings: Settings, networks: dict, mixture: GaussianMixture | None = None
) -> None:
    """Keeps the networks {name: keras.Model}, the mixture and the settings in one file."""
    arrays = {}
    if mixture is not None:
        arrays = {f"mixture/{name}": getattr(mixture, name) for name in PARAMETERS}
    for name, network in networks.items():
        arrays |= {f"{name}/{i}": weights for i, weights in enumerate(network.get_weights())}
    write_arrays(path, settings=json.dumps(asdict(settings)), **arrays)


def read_save(path: str | Path) -> Saved:
    """What save_models() wrote.  Raises UserError where the file is missing, damaged or no save."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays, weights = dict(file), {}
        values = json.loads(str(arrays.pop("settings")))
        values["class_names"] = tuple(values["class_names"])
        settings = Settings(**values | {"pixels": Pixels(*map(tuple, values["pixels"]))})
        for name, array in arrays.items():
            weights.setdefault(name.split("/")[0], []).append(array)
        mixture = None
        if "mixture" in weights or "vae" in weights or not weights:
            mixture = GaussianMixture(*weights.pop("mixture"))
            mixture.sample(1, np.random.default_rng(0)).reshape(settings.latent_dim)  # or is none
        return Saved(settings, weights, mixture)
    except Exception as error:  # a damaged file can make the reader raise almost anything
        raise UserError(f"{path} holds no models, or none that --save wrote completely") from error


def fill(network, arrays: list[np.ndarray]) -> None:
    """Sets the weights of a keras.Model.  Raises UserError where they are of another network."""
    if [array.shape for array in arrays] != [own.shape for own in network.get_weights()]:
        raise UserError(f"the saved weights do not fit the network {network.name!r}")
    network.set_weights(arrays)


def load_weights(network, file: str | Path) -> None:
    """Fills the network with the weights in a Keras .weights.h5 file.  Raises UserError where the
    file is missing, damaged or of another network."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns before it raises
            network.load_weights(file)
    except Exception as error:  # a damaged file can make the loader raise almost anything
        raise UserError(f"{str(file)!r} is missing, damaged or another network's") from error
