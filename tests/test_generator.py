"""A generator out of a save, by hand."""

import re

import numpy as np
import pytest
from conftest import ROOT

from trust.cli import UserError
from trust.data.images import ImageSet, Pixels
from trust.generator import Generator, generators, load_generator
from trust.train import inference, loops, priors, saves
from trust.train.architectures import models
from trust.train.trained import fit_prior

RNG = np.random.default_rng
PIXELS = Pixels((28, 28, 1), (0.1,))


@pytest.fixture
def generator():
    loops.make_reproducible(0)
    means = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 4.0]])
    covariances = np.stack([np.eye(2) / 100] * 3)
    weights, labels = np.array([0.5, 0.25, 0.25]), np.array([0, 1, 1])
    mixture = priors.GaussianMixture(weights, means, covariances, labels)
    return Generator(models.build_vae(2), mixture)


def test_images_are_decoded_draws_of_the_prior(generator):
    images = generator.sample(6, RNG(1))
    z = generator.prior.sample(6, RNG(1))
    logits = generator.vae.decoder.predict(z, verbose=0)[..., 0]
    np.testing.assert_allclose(images, 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert images.shape == (6, 28, 28) and images.dtype == np.float32


def test_a_class_is_drawn_from_its_own_components(generator):
    z = generator.prior.of_class(1).sample(4000, RNG(2))
    near = [np.linalg.norm(z - mean, axis=1) < 1 for mean in generator.prior.means]
    assert not near[0].any() and near[1].mean() == pytest.approx(0.5, abs=0.03)
    assert (near[1] | near[2]).all()
    np.testing.assert_array_equal(
        generator.sample(5, RNG(3), label=1),
        inference.decode(generator.vae, generator.prior.of_class(1).sample(5, RNG(3))),
    )
    with pytest.raises(ValueError, match="class 7"):
        generator.sample(1, RNG(0), label=7)


@pytest.mark.parametrize("name", ["mixture", "normal"])
def test_the_other_generator_has_the_prior_that_is_not_in_use(generator, name):
    vae, mixture = generator.vae, generator.prior
    own, other = generators(vae, mixture, name)
    assert own.name == name and {own.name, other.name} == {"mixture", "normal"}
    assert own.vae is other.vae is vae
    both = {each.name: each.prior for each in (own, other)}
    assert both["mixture"] is mixture
    assert isinstance(both["normal"], priors.StandardNormal) and both["normal"].latent_dim == 2


def test_a_save_draws_the_same_images(generator, tmp_path):
    settings = saves.Settings("digits", "ab", ("a", "b"), PIXELS, latent_dim=2)
    saves.save_models(tmp_path / "models.npz", settings, {"vae": generator.vae}, generator.prior)
    again = load_generator(tmp_path / "models.npz")
    np.testing.assert_array_equal(again.sample(5, RNG(4)), generator.sample(5, RNG(4)))


def test_a_save_without_a_vae_is_refused_in_one_sentence(generator, tmp_path):
    settings = saves.Settings("digits", "ab", ("a", "b"), PIXELS, latent_dim=2)
    saves.save_models(tmp_path / "models.npz", settings, {}, generator.prior)
    with pytest.raises(UserError, match="do not fit the network 'vae"):
        load_generator(tmp_path / "models.npz")


def test_the_pages_lines_draw_from_a_save(generator, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "your-images.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (lines,) = [block for block in code if "load_generator" in block]
    mixture = generator.prior
    mixture.labels = np.array([3, 1, 1])
    settings = saves.Settings("digits", "ab", tuple("0123"), PIXELS, latent_dim=2)
    saves.save_models(tmp_path / "models.npz", settings, {"vae": generator.vae}, mixture)
    monkeypatch.chdir(tmp_path)
    values = {}
    exec(lines, values)
    images = values["images"]
    assert images.shape == (100, 28, 28) and 0 <= images.min() < images.max() <= 1


def test_the_prior_is_the_mixture_of_the_codes_narrowed(generator):
    images = (RNG(5).random((400, 28, 28)) * 255).astype(np.uint8)
    labels = np.arange(400) % 2
    z_mean, z_log_var = inference.encode(generator.vae, images)
    fitted = priors.fit_mixture(z_mean, z_log_var, labels, 0)
    narrowed = fit_prior(generator.vae, ImageSet(images, labels), 0)
    np.testing.assert_allclose(narrowed.covariances, 0.94 * fitted.covariances, rtol=1e-6)
    np.testing.assert_array_equal(narrowed.labels, fitted.labels)
    assert set(narrowed.labels) == {0, 1}
