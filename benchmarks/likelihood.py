"""The test likelihood of the VAE trained on the negative ELBO itself, by importance samples.

python -m benchmarks.likelihood --dataset mnist --seed 0

The network, latents, epochs and learning rate are those of demo_dnn_vae.py.  The weight of the
reconstruction is 1 and the VAE learns from all training images, so that the result can be compared
with published ones.  Prints nats per image, with N(0, I) as the prior and with a mixture fitted to
the codes.
"""

import math

import numpy as np

from trust import cli
from trust.data import datasets
from trust.data.images import (
    pixels_of,
)
from trust.train import saves

with cli.quiet_tensorflow():
    from trust.train import inference, loops, priors


def negative_log_likelihood(vae, prior, images, samples, rng):
    """An estimate of -log p(x) in nats, (n,) float, of images (n, 28, 28) uint8.  On average it is
    too high, less so with more samples.

    Importance samples of z from q(z|x): Burda, Grosse & Salakhutdinov 2016, eq. 8.
    """
    nats = np.empty(len(images))
    for row, image in enumerate(images):
        z_mean, z_log_var = inference.encode(vae, image[None])
        codes = np.repeat(z_mean, samples, axis=0), np.repeat(z_log_var, samples, axis=0)
        z = inference.sample_codes(*codes, rng)
        logits = vae.decoder(z).numpy()[..., 0].astype(float)
        log_p = -(np.logaddexp(0, logits) - image / 255 * logits).sum(axis=(1, 2))
        log_weights = log_p + prior.log_prob(z) - inference.log_posterior(z, z_mean, z_log_var)
        nats[row] = math.log(samples) - np.logaddexp.reduce(log_weights)
    return nats


def main():
    parser = cli.Parser(description="Estimate the test likelihood of the VAE trained at weight 1.")
    defaults = saves.DEFAULTS
    add = parser.add_argument
    add("--dataset", type=cli.path, default="mnist")
    add("--latent-dim", type=cli.positive_int, default=defaults["latent_dim"])
    add("--epochs", type=cli.positive_int, default=defaults["epochs"])
    add("--learning-rate", type=cli.positive_float, default=defaults["learning_rate"])
    add("--samples", type=cli.positive_int, default=500, help="samples of z per image")
    add("--images", type=cli.positive_int, default=1000, help="use at most this many test images")
    add("--seed", type=cli.seed, default=0)
    given = parser.parse_args()
    data = datasets.load_dataset(given.dataset)
    loops.make_reproducible(given.seed)
    images = data.train.images
    vae = loops.new_vae(
        given.latent_dim, pixels_of(images), len(images), given.seed, most_sharpness=1.0
    )
    loops.train_vae(vae, data.train.images, given.epochs, given.learning_rate, given.seed)
    mixture = priors.fit_mixture(
        *inference.encode(vae, data.train.images), data.train.labels, given.seed
    )
    # Evenly spread: the first half of MNIST's test set is easier.
    spread = data.test.images[:: math.ceil(len(data.test.images) / given.images)]
    for name, prior in (
        ("N(0, I)", priors.StandardNormal(given.latent_dim)),
        ("fitted mixture", mixture),
    ):
        rng = np.random.default_rng(given.seed)
        bound = inference.negative_elbo(vae, prior, data.test.images, rng)
        nats = negative_log_likelihood(vae, prior, spread, given.samples, rng)
        error = nats.std(ddof=1) / math.sqrt(len(nats))
        print(
            f"prior {name}: negative ELBO {bound:.2f}, -log p(x) at most {nats.mean():.2f} "
            f"(standard error {error:.2f}) nats"
        )


if __name__ == "__main__":
    cli.run(main)
