"""A generator: a VAE and the density that its latents are drawn from."""

from typing import NamedTuple

import numpy as np

import models
from trust import priors, saving, training
from trust.datasets import Labelled


class Generator(NamedTuple):
    """vae: models.VAE.  prior: a GaussianMixture or StandardNormal."""

    vae: models.VAE
    prior: priors.GaussianMixture | priors.StandardNormal

    def sample(self, n: int, rng: np.random.Generator, label: int | None = None) -> np.ndarray:
        """n new images (n, h, w[, c]) float32 in [0, 1].  label: draw images of this class only,
        which needs a mixture; ValueError where it has no component of that class."""
        prior = self.prior if label is None else self.prior.of_class(label)
        return training.decode(self.vae, prior.sample(n, rng))

    def reconstruct(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Images decoded from one sample of q(z|x) each, (n, h, w[, c]) float32 in [0, 1]."""
        codes = training.encode(self.vae, images)
        return training.decode(self.vae, training.sample_codes(*codes, rng))

    def halfway(self, labelled: Labelled, rng: np.random.Generator) -> np.ndarray:
        """Pairs each image with another at random, and decodes the point half-way between their
        codes if their labels differ: (m, h, w[, c]) float32 in [0, 1]."""
        z_mean, _ = training.encode(self.vae, labelled.images)
        partner = rng.permutation(len(z_mean))
        differ = labelled.labels != labelled.labels[partner]
        return training.decode(self.vae, (z_mean + z_mean[partner])[differ] / 2)


def load_generator(path) -> Generator:
    """The Generator in a file that --save wrote.  Raises UserError where the file is not one."""
    saved = saving.read_save(path)
    vae = models.build_vae(saved.settings.latent_dim, **saved.settings.pixels._asdict())
    saving.fill(vae, saved.weights["vae"])
    return Generator(vae, saved.mixture)


def fit_prior(vae: models.VAE, labelled: Labelled, rng) -> priors.GaussianMixture:
    """The mixture fitted to the codes of images, those that the VAE has learned from, and then
    narrowed.  rng: a numpy.random.Generator."""
    codes = training.encode(vae, labelled.images)
    return priors.fit_mixture(*codes, labelled.labels, rng).narrowed(priors.NARROWING)
