"""Train a VAE on MNIST and on Fashion-MNIST and draw what it learned: the sanity check.

python vae_demo.py
"""

from pathlib import Path
from statistics import NormalDist

import numpy as np

from trust import cli, outputs
from trust.data import datasets
from trust.train import priors

SIDE = 20  # images on each side of the manifold
SHOWN = 20  # two rows of a figure that is ten images wide


def latent_grid(side):
    """A grid of latents, (side * side, 2) float32, row by row from the top; the second latent grows
    upwards.  The inverse CDF of the Gaussian spaces the grid, so that each cell holds the same
    share of the prior."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype("float32")


def main(flags=None):
    """Runs the script.  flags: a list of them, or None for those of the command line."""
    parser = cli.Parser(description="Train a VAE on each data set and draw what it learned.")
    cli.add_shared_arguments(parser, epochs=10, latent_dim=2, learning_rate=1.5e-2)
    options = parser.parse_args(flags)
    names = [options.dataset] if options.dataset else datasets.BUNDLED
    loaded = [datasets.load_dataset(name) for name in names]
    outputs.check_outputs(options.out, inputs=[data.path for data in loaded])
    for data in loaded:
        datasets.check_enough(data, minimum=256)
        print(data.understood)
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.show import figures
        from trust.train import inference, loops
    print(f"devices: {loops.devices()}")
    latent_dim, seed = options.latent_dim, options.seed
    for data in loaded:
        train, test = data.train, data.test
        with clock(f"{data.name}: training a VAE with {latent_dim} latents"):
            loops.make_reproducible(seed)
            vae = loops.new_vae(
                latent_dim, data.pixels, n_images=len(train), seed=seed, most_sharpness=1.0
            )
            history = loops.train_vae(
                vae,
                train.images,
                epochs=options.epochs,
                learning_rate=options.learning_rate,
                seed=seed,
                validation_images=test.images,
            )
        with clock(f"{data.name}: drawing"):
            codes, _ = inference.encode(vae, test.images)
            z = priors.StandardNormal(latent_dim).sample(3 * SHOWN, np.random.default_rng(seed))
            (axes,), manifold = priors.principal_axes(codes), None
            if latent_dim == 2:
                manifold, axes = inference.decode(vae, latent_grid(SIDE)), codes
            with outputs.replacing(Path(options.out, f"demo_{data.name}.png")) as file:
                learned = figures.Learned(
                    manifold=manifold,
                    codes=axes,
                    code_labels=test.labels,
                    class_names=data.class_names,
                    originals=test.images[:SHOWN],
                    reconstructions=inference.decode(vae, codes[:SHOWN]),
                    samples=inference.decode(vae, z),
                    history=history,
                )
                title = f"{data.name}: a VAE with {latent_dim} latents"
                figures.draw_demo(file, title, learned)
        nats = history["val_loss"][-1]
        print(f"{data.name}: negative ELBO of the test set {nats:.2f} nats per image")
        if nats > (mean := inference.nats_of_the_mean(train.images, test.images)):
            print(
                f"note: the mean of the training images does as well ({mean:.2f}): "
                "the VAE has learned nothing"
            )
    print(f"peak memory {cli.peak_memory():.2f} GB")
    print(f"The figures are in {options.out}")


if __name__ == "__main__":
    cli.run(main)
