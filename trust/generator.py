"""A generator: a VAE and the density that its latents are drawn from."""

from typing import NamedTuple

import numpy as np

from trust.data.images import ImageSet
from trust.train import inference, priors, saves
from trust.train.architectures import models


class Generator(NamedTuple):
    """vae: models.VAE.  prior: a GaussianMixture or StandardNormal, "mixture" or "normal"."""

    vae: models.VAE
    prior: priors.GaussianMixture | priors.StandardNormal
    name: str = "mixture"

    def sample(self, n: int, rng: np.random.Generator, label: int | None = None) -> np.ndarray:
        """n new images (n, h, w[, c]) float32 in [0, 1].  label: draw images of this class only,
        which needs a mixture; ValueError where it has no component of that class."""
        prior = self.prior if label is None else self.prior.of_class(label)
        return inference.decode(self.vae, prior.sample(n, rng))

    def reconstruct(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Images decoded from one sample of q(z|x) each, (n, h, w[, c]) float32 in [0, 1]."""
        z_mean, z_log_var = inference.encode(self.vae, images)
        return inference.decode(self.vae, inference.sample_codes(z_mean, z_log_var, rng))

    def halfway(self, labelled: ImageSet, rng: np.random.Generator) -> np.ndarray:
        """Pairs each image with another at random, and decodes the point half-way between their
        codes if their labels differ: (m, h, w[, c]) float32 in [0, 1]."""
        z_mean, _ = inference.encode(self.vae, labelled.images)
        partner = rng.permutation(len(z_mean))
        differ = labelled.labels != labelled.labels[partner]
        return inference.decode(self.vae, (z_mean + z_mean[partner])[differ] / 2)


def generators(vae: models.VAE, mixture: priors.GaussianMixture, name: str):
    """Two Generators: with the prior that is called `name`, and with the other one."""
    both = {"mixture": mixture, "normal": priors.StandardNormal(mixture.latent_dim)}
    (other,) = both.keys() - {name}
    return Generator(vae, both[name], name), Generator(vae, both[other], other)


def load_generator(path) -> Generator:
    """The Generator in a file that --save wrote.  Raises UserError where the file is not one."""
    saved = saves.read_save(path)
    vae = models.build_vae(saved.settings.latent_dim, **saved.settings.pixels._asdict())
    saves.fill(vae, saved.weights.get("vae", []))
    return Generator(vae, saved.mixture)
