"""Train a VAE on MNIST and on Fashion-MNIST and draw what it learned: the sanity check.

python vae_demo.py
"""

from functools import partial
from statistics import NormalDist

import numpy as np

from trust import cli, datasets, outputs, priors

SIDE = 20  # images on each side of the manifold
SHOWN = 20  # two rows of a figure that is ten images wide


def latent_grid(side):
    """A grid of latents, (side * side, 2) float32, row by row from the top; the second latent grows
    upwards.  The inverse CDF of the Gaussian spaces the grid, so that each cell holds the same
    share of the prior."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype("float32")


def main(words=None):
    """Runs the script.  words: the flags as a list, or None for those of the command line."""
    parser = cli.Parser(description="Train a VAE on each data set and draw what it learned.")
    cli.add_shared_arguments(parser, epochs=10, latent_dim=2, learning_rate=1.5e-2)
    arguments = parser.parse_args(words)
    outputs.check_outputs(arguments.out)
    names = [arguments.dataset] if arguments.dataset else datasets.BUNDLED
    loaded = [datasets.load_dataset(name) for name in names]
    for data in loaded:
        datasets.check_enough(data, minimum=256)
        print(data.understood)
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import figures, training
    print(f"devices: {training.devices()}")
    latent_dim, seed = arguments.latent_dim, arguments.seed
    for data in loaded:
        train, test = data.train.images, data.test
        title = f"{data.name}: a VAE with {latent_dim} latents"
        with clock(f"{data.name}: training a VAE with {latent_dim} latents"):
            training.make_reproducible(seed)
            vae = training.new_vae(
                latent_dim, datasets.pixels_of(train), len(train), seed, most_sharpness=1.0
            )
            settings = arguments.epochs, arguments.learning_rate, seed
            history = training.train_vae(vae, train, *settings, test.images)
        with clock(f"{data.name}: drawing"):
            decode = partial(training.decode, vae)
            codes, _ = training.encode(vae, test.images)
            z = priors.StandardNormal(latent_dim).sample(3 * SHOWN, np.random.default_rng(seed))
            (axes,), manifold = priors.principal_axes(codes), None
            if latent_dim == 2:
                manifold, axes = decode(latent_grid(SIDE)), codes
            latents = manifold, axes, test.labels, data.class_names
            images = test.images[:SHOWN], decode(codes[:SHOWN]), decode(z)
            draw = partial(outputs.draw, arguments.out, f"demo_{data.name}", figures.draw_demo)
            draw(title, *latents, *images, history)
        nats = history["val_loss"][-1]
        print(f"{data.name}: negative ELBO of the test set {nats:.2f} nats per image")
        if nats > (mean := training.nats_of_the_mean(train, test.images)):
            print(
                f"note: the mean of the training images does as well ({mean:.2f}): "
                "the VAE has learned nothing"
            )
    print(f"peak memory {cli.peak_memory():.2f} GB")
    print(f"The figures are in {arguments.out}")


if __name__ == "__main__":
    cli.run(main)
