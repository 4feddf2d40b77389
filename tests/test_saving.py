import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from test_outputs import contents

from trust.cli import UserError
from trust.data.images import Pixels
from trust.train import priors, saves
from trust.train.saves import Settings

PIXELS = Pixels((28, 28, 1), (0.1,))
SETTINGS = Settings("mnist", "ab12", ("cat", "dog"), PIXELS, epochs=12, latent_dim=2)


def build(width=20):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Dense(width)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.BatchNormalization()(x))


def filled(value):
    network = build()
    network.set_weights([np.full_like(weights, value) for weights in network.get_weights()])
    return network


def mixture(value):
    covariances = np.stack([np.eye(2)] * 3) * (1 + value)
    means, labels = np.full((3, 2), float(value)), np.array([0, 0, 1])
    return priors.GaussianMixture(np.ones(3) / 3, means, covariances, labels)


NETWORKS = {value: {"vae": filled(value)} for value in (1, 2)}
BLANK = build()


def save(path, value):
    saves.save_models(path, replace(SETTINGS, seed=value), NETWORKS[value], mixture(value))


def saved(path):
    """The value with which everything in the file was saved; fails where they differ."""
    settings, weights, loaded = saves.read_save(path)
    saves.fill(BLANK, weights["vae"])
    assert all((own == settings.seed).all() for own in BLANK.get_weights())
    assert (loaded.means == settings.seed).all()
    return settings.seed


def test_everything_comes_back_equal(tmp_path):
    rng = np.random.default_rng(0)
    networks = {name: build(width) for name, width in (("vae", 20), ("classifier", 3))}
    for network in networks.values():
        network.set_weights([rng.standard_normal(w.shape) for w in network.get_weights()])
    saves.save_models(tmp_path / "new" / "models.npz", SETTINGS, networks, mixture(0.3))
    settings, weights, loaded = saves.read_save(tmp_path / "new" / "models.npz")
    assert settings == SETTINGS and list(contents(tmp_path)) == ["new/models.npz"]
    assert weights.keys() == networks.keys()
    for name, network in networks.items():
        for before, after in zip(network.get_weights(), weights[name], strict=True):
            np.testing.assert_array_equal(before, after)
    for part in priors.PARAMETERS:
        np.testing.assert_array_equal(getattr(loaded, part), getattr(mixture(0.3), part))


def test_a_save_over_other_models_is_announced_and_over_the_same_is_not(tmp_path):
    path = tmp_path / "models.npz"
    assert saves.check_save(path, SETTINGS) is None
    save(path, 3 - 1)
    assert saves.check_save(path, replace(SETTINGS, seed=2)) is None
    assert saves.check_save(path, SETTINGS).endswith("replaces other models of mnist, seed 2")


# Files of others, and damaged ones


def cut(file):
    file.write_bytes(file.read_bytes()[:-2])


def flipped(file):
    content = bytearray(file.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 1  # in the first array
    file.write_bytes(content)


def changed(**arrays):
    """The file with other arrays in place of its own, None for none; / is written as __."""

    def change(file):
        with np.load(file) as old:
            new = dict(old) | {name.replace("__", "/"): a for name, a in arrays.items()}
        np.savez(file, **{name: array for name, array in new.items() if array is not None})

    return change


def setting(**values):
    """The file with other settings, None for none."""
    new = {name: v for name, v in (asdict(SETTINGS) | values).items() if v is not None}
    return changed(settings=json.dumps(new))


DAMAGES = {
    "cut": cut,
    "flipped": flipped,
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("thesis\n" * 99),
    "another's arrays": lambda file: np.savez(file, x_train=np.ones(3)),
    "one .npy": lambda file: np.save(file.open("wb"), np.ones(3)),
    "pickled": changed(mixture__means=np.array([print], object)),
    "no means": changed(mixture__means=None),
    "means of one latent": changed(mixture__means=np.ones((3, 1))),
    "no density": changed(mixture__covariances=-np.ones((3, 2, 2))),
    "settings that are no JSON": changed(settings="{"),
    "a setting too many": setting(colour="red"),
    "latents beyond bounds": setting(latent_dim=10**9),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_no_save_is_neither_read_nor_replaced(tmp_path, damage):
    path = tmp_path / "models.npz"
    save(path, 1)
    damage(path)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"none that --save wrote"):
        saves.read_save(path)
    with pytest.raises(UserError, match="a file that it did not write") as refusal:
        saves.check_save(path, SETTINGS)
    assert len(str(refusal.value).splitlines()) == 1 and contents(tmp_path) == before


@pytest.mark.parametrize("path", ["absent", "folder"])
def test_what_was_never_saved_is_not_loaded(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=f"{path} holds no models"):
        saves.read_save(tmp_path / path)


def test_weights_of_another_network_are_refused():
    for arrays in (build(21).get_weights(), BLANK.get_weights()[:-1], []):
        with pytest.raises(UserError, match="do not fit"):
            saves.fill(BLANK, arrays)


@pytest.mark.parametrize("damage", [cut, lambda file: file.unlink(), "swapped"])
def test_a_damaged_keras_file_is_refused_in_one_sentence(tmp_path, damage):
    file = tmp_path / "a.weights.h5"
    build(21 if damage == "swapped" else 20).save_weights(file)
    if damage != "swapped":
        damage(file)
    with pytest.raises(UserError, match="missing, damaged or another network's"):
        saves.load_weights(build(), file)


# What is settled


DATA = SimpleNamespace(name="mnist", fingerprint="ab12", class_names=["cat", "dog"], pixels=PIXELS)


def test_what_is_not_given_is_the_default():
    settings = saves.settle({"epochs": 3, "seed": None, "threshold": 0.5}, DATA)
    assert settings == Settings("mnist", "ab12", ("cat", "dog"), PIXELS, epochs=3)


@pytest.mark.parametrize("name", saves.DEFAULTS)
def test_what_contradicts_a_save_is_refused_also_where_it_is_the_default(name):
    trained = Settings("mnist", "ab12", ("cat",), PIXELS, 3, 7, 1e-3, 5, "disjoint")
    flag, default = "--" + name.replace("_", "-"), saves.DEFAULTS[name]
    said = f"^{flag} {default}: the models in m were trained with {getattr(trained, name)}"
    with pytest.raises(UserError, match=said):
        saves.settle({name: default}, DATA, trained, "m")


def test_models_of_other_data_are_refused():
    with pytest.raises(UserError, match=r"trained on other data \(mnist\)"):
        saves.settle({}, DATA, replace(SETTINGS, fingerprint="cd"), "m")
