"""The peers' dense network in this project's VAE, trained and timed as torch_vae.py is.

python -m benchmarks.keras_vae data/mnist.npz

Prints a line for each epoch, with the seconds of training so far; then the test negative ELBO in
nats per image.  --arch default: the networks of this project instead, at weight 1 and with its
schedule, timed as a whole, compilation included.
"""

import argparse
import time

import numpy as np

from trust import cli

with cli.quiet_tensorflow():
    import keras

    from trust.data.images import pixels_of
    from trust.train import fast, inference, loops, priors
    from trust.train.architectures import models


def dense_networks(latent_dim):
    """Encoder and decoder, 784-400-z-400-784, ReLU."""
    layers = keras.layers
    image, z = keras.Input(models.IMAGE_SHAPE), keras.Input((latent_dim,))
    x = layers.Dense(400, activation="relu")(layers.Flatten()(image))
    encoder = keras.Model(image, [layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)])
    x = layers.Dense(784)(layers.Dense(400, activation="relu")(z))
    return encoder, keras.Model(z, layers.Reshape(models.IMAGE_SHAPE)(x))


class EpochSeconds(keras.callbacks.Callback):
    """Prints what torch_vae.py prints."""

    spent = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.spent += time.perf_counter() - self.start
        print(f"epoch {epoch + 1}: {self.spent:.2f} s", flush=True)


def train_dense(arguments, images):
    """A models.VAE with the peers' network, trained at a constant learning rate as theirs is."""
    vae = fast.VAE(*dense_networks(arguments.latent), seed=1)
    batches = loops.shuffled_batches(images, batch_size=arguments.batch, seed=1)
    steps = len(images) // arguments.batch
    optimizer = fast.adam(arguments.learning_rate)
    # Several steps in one call from Python: 13 calls of 18 steps are an epoch of 60,000 images.
    vae.compile(optimizer, steps_per_execution=18)
    settings = {"epochs": arguments.epochs, "steps_per_epoch": steps, "verbose": 0}
    vae.fit(batches, shuffle=False, callbacks=[EpochSeconds()], **settings)
    return vae


def train_default(epochs, images):
    """The VAE of vae_demo.py with 20 latents: trained on the negative ELBO itself.

    Batch size and learning rate were chosen for the fewest seconds with two epochs, not for the
    best quality.
    """
    loops.VAE_BATCH = 128
    start = time.perf_counter()
    vae = loops.new_vae(20, pixels_of(images), len(images), seed=1, most_sharpness=1.0)
    loops.train_vae(vae, images, epochs, 6e-3, seed=1)
    print(f"epoch {epochs}: {time.perf_counter() - start:.2f} s")
    return vae


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--arch", choices=["dense", "default"], default="dense")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--latent", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    data = np.load(arguments.data)
    loops.make_reproducible(1)
    if arguments.arch == "default":
        vae = train_default(arguments.epochs, data["x_train"])
    else:
        vae = train_dense(arguments, data["x_train"])
    prior = priors.StandardNormal(vae.decoder.input_shape[1])
    nats = inference.negative_elbo(vae, prior, data["x_test"], np.random.default_rng(1))
    print(f"{nats:.2f} nats")


if __name__ == "__main__":
    main()
