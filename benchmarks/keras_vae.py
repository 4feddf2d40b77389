"""The peer's two networks in this project's VAE, trained and timed as torch_vae.py is.

PYTHONPATH=. python benchmarks/keras_vae.py data/mnist.npz --arch conv

Prints, an epoch a line: seconds of training so far; then the test negative ELBO in nats per image.
--arch default: the networks of this project instead, by their own recipe and weight 1, timed as a
whole, compilation included.
"""

import argparse
import time

import numpy as np

from trust import cli

with cli.quiet_tensorflow():
    import keras
    import tensorflow as tf

    import demo_dnn_vae
    import models
    from trust import priors, training


class LastConv2DTranspose(keras.layers.Conv2DTranspose):
    """A 4 x 4 transposed convolution with stride 2 and "same" padding, for very few filters.

    The same numbers as Keras's layer, but computed as a 3 x 3 convolution that gives each output
    pixel of every 2 x 2 block a channel: with one filter, oneDNN's own is several times slower.
    """

    def call(self, inputs):
        filters, channels = self.filters, inputs.shape[-1]
        # Output pixels 2p and 2p + 1 see inputs p - 1, p, p + 1 through taps (3, 1, none) and
        # (none, 2, 0).
        taps = tf.pad(self.kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
        taps = tf.reshape(taps, (3, 2, 3, 2, filters, channels))[::-1, :, ::-1]
        taps = tf.reshape(tf.transpose(taps, (0, 2, 5, 1, 3, 4)), (3, 3, channels, 4 * filters))
        blocks = tf.nn.conv2d(inputs, taps, 1, "SAME")
        return self.activation(tf.nn.depth_to_space(blocks, 2) + self.bias)


def dense_networks(latent_dim):
    """784-400-z-400-784, ReLU."""
    layers = keras.layers
    image, z = keras.Input(models.IMAGE_SHAPE), keras.Input((latent_dim,))
    x = layers.Dense(400, activation="relu")(layers.Flatten()(image))
    encoder = keras.Model(image, [layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)])
    x = layers.Dense(784)(layers.Dense(400, activation="relu")(z))
    return encoder, keras.Model(z, layers.Reshape(models.IMAGE_SHAPE)(x))


def conv_networks(latent_dim):
    """16 and 32 filters 4 x 4 with stride 2, dense 256, mirrored, SiLU."""
    layers, silu = keras.layers, keras.activations.silu
    halving = {"kernel_size": 4, "strides": 2, "padding": "same"}
    image, z = keras.Input(models.IMAGE_SHAPE), keras.Input((latent_dim,))
    x = layers.Conv2D(16, **halving, activation=silu)(image)
    x = layers.Conv2D(32, **halving, activation=silu)(x)
    x = layers.Dense(256, activation=silu)(layers.Flatten()(x))
    encoder = keras.Model(image, [layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)])
    x = layers.Dense(1568, activation=silu)(layers.Dense(256, activation=silu)(z))
    x = layers.Reshape((7, 7, 32))(x)
    x = layers.Conv2DTranspose(16, **halving, activation=silu)(x)
    return encoder, keras.Model(z, LastConv2DTranspose(1, **halving)(x))


class EpochSeconds(keras.callbacks.Callback):
    """Prints what torch_vae.py prints."""

    spent = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.spent += time.perf_counter() - self.start
        print(f"epoch {epoch + 1}: {self.spent:.2f} s", flush=True)


def train_peer_networks(arguments, images):
    """A trained models.VAE of the peer's networks, at a constant learning rate as there."""
    networks = {"dense": dense_networks, "conv": conv_networks}[arguments.arch]
    vae = models.VAE(*networks(arguments.latent), seed=1)
    batches = training.shuffled_batches(images, batch_size=arguments.batch, seed=1)
    vae.compile(keras.optimizers.Adam(arguments.learning_rate))
    steps = len(images) // arguments.batch
    settings = {"epochs": arguments.epochs, "steps_per_epoch": steps, "verbose": 0}
    vae.fit(batches, shuffle=False, callbacks=[EpochSeconds()], **settings)
    return vae


def train_default(epochs, images):
    """The VAE of vae_demo.py with 20 latents: trained on the negative ELBO itself."""
    start = time.perf_counter()
    vae = models.build_vae(20, seed=1)
    training.train_vae(vae, images, epochs, demo_dnn_vae.TRAINING["learning_rate"], seed=1)
    print(f"epoch {epochs}: {time.perf_counter() - start:.2f} s")
    return vae


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--arch", choices=["dense", "conv", "default"], default="dense")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--latent", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    data = np.load(arguments.data)
    training.make_reproducible(1)
    if arguments.arch == "default":
        vae = train_default(arguments.epochs, data["x_train"])
    else:
        vae = train_peer_networks(arguments, data["x_train"])
    prior = priors.StandardNormal(vae.decoder.input_shape[1])
    nats = training.negative_elbo(vae, prior, data["x_test"], np.random.default_rng(1))
    print(f"{nats:.2f} nats")


if __name__ == "__main__":
    main()
