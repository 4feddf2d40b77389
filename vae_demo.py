"""Train a VAE on MNIST and on Fashion-MNIST and draw what it learned: the sanity check.

python vae_demo.py
"""

import time
from pathlib import Path
from statistics import NormalDist

import numpy as np

import cli
import datasets
import outputs

MANIFOLD_SIDE = 20
SHOWN = 20  # two rows of a figure that is ten images wide


def parse_arguments():
    parser = cli.Parser(description="Train a VAE on each data set and draw what it learned.")
    cli.add_shared_arguments(parser, epochs=6, latent_dim=2, learning_rate=1e-2)
    return parser.parse_args()


def latent_grid(side):
    """(side * side, 2) float32 latents through the inverse CDF of the Gaussian, so that every
    cell of the grid holds the same share of the prior; the second latent grows upwards."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype("float32")


def principal_axes(codes):
    """Codes (n, d) as they are where d is 2, else on the two axes along which they vary most."""
    if codes.shape[1] == 2:
        return codes
    padded = np.pad(codes, ((0, 0), (0, max(0, 2 - codes.shape[1]))))
    centred = padded - padded.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


def main():
    started = time.perf_counter()
    arguments = parse_arguments()
    outputs.check_output_folder(arguments.out)
    names = [arguments.dataset] if arguments.dataset else list(datasets.BUNDLED)
    loaded = [datasets.load_dataset(name) for name in names]
    for data in loaded:
        datasets.check_enough(data, minimum=256)

    with cli.quiet_tensorflow():
        import figures
        import models
        import training
    training.make_reproducible(arguments.seed)

    for data in loaded:
        print(f"{data.name}: training a VAE with {arguments.latent_dim} latents", flush=True)
        with training.distribution_strategy().scope():
            mean_image = data.x_train.mean(axis=0) / 255
            vae = models.VAE(
                models.build_encoder(arguments.latent_dim),
                models.build_decoder(arguments.latent_dim, mean_image),
                models.StandardNormalPrior(arguments.latent_dim, seed=arguments.seed),
                seed=arguments.seed,
            )
        history = training.train_vae(
            vae,
            data.x_train,
            epochs=arguments.epochs,
            learning_rate=arguments.learning_rate,
            seed=arguments.seed,
            validation_images=data.x_test,
        )

        pixels = data.x_test[..., None].astype("float32") / 255
        z_mean = vae.encoder(pixels)[0].numpy()
        manifold = None
        if arguments.latent_dim == 2:
            manifold = vae.decode(latent_grid(MANIFOLD_SIDE)).numpy()
            manifold = manifold.reshape(MANIFOLD_SIDE, MANIFOLD_SIDE, 28, 28)
        path = Path(arguments.out) / f"demo_{data.name}.png"
        with outputs.replacing(path) as file:
            figures.draw_demo(
                file,
                f"{data.name}: a VAE with {arguments.latent_dim} latents",
                manifold,
                principal_axes(z_mean),
                data.y_test,
                data.class_names,
                data.x_test[:SHOWN],
                vae(pixels[:SHOWN])[..., 0].numpy(),
                vae.generate(3 * SHOWN),
                history,
            )
        print(
            f"{data.name}: negative ELBO of the test set {history['val_loss'][-1]:.2f} nats "
            f"per image, {time.perf_counter() - started:.1f} s since the start",
            flush=True,
        )
    print(f"peak memory {cli.peak_memory():.2f} GB")
    print(f"The figures are in {arguments.out}")


if __name__ == "__main__":
    cli.run(main)
