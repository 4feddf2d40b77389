"""The naive method, as such a demo is usually written, for comparison with this project.

python -m benchmarks.naive --out naive.npz

A convolutional VAE with two latents, a dense classifier, latents from N(0, I), raw softmax.
Prints its seconds and writes the strong images, of which `python -m trust` asks the same
questions as demo_dnn_vae.py asks of its own.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

DATA = Path(__file__).parents[1] / "data"
WANTED = 10_000


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(keras.ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + keras.ops.exp(0.5 * z_log_var) * epsilon


def build_networks():
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, activation="relu", strides=2, padding="same")(image)
    x = layers.Conv2D(64, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    z_mean, z_log_var = layers.Dense(2)(x), layers.Dense(2)(x)
    encoder = keras.Model(image, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
    z = keras.Input((2,))
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
    x = layers.Conv2DTranspose(64, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(32, 3, activation="relu", strides=2, padding="same")(x)
    return encoder, keras.Model(
        z, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    )


class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = build_networks()
        self.loss_tracker = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        return [self.loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            crossentropy = keras.losses.binary_crossentropy(data, self.decoder(z))
            kl = -0.5 * (1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
            loss = tf.reduce_mean(tf.reduce_sum(crossentropy, axis=(1, 2)))
            loss += tf.reduce_mean(tf.reduce_sum(kl, axis=1))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=["mnist", "fashion_mnist"], default="mnist")
    parser.add_argument("--images", type=int, help="use this many training images only")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the VAE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="naive.npz", help="the strong images, as .npz")
    arguments = parser.parse_args()
    start = time.perf_counter()
    keras.utils.set_random_seed(arguments.seed)
    with np.load(DATA / f"{arguments.dataset}.npz") as data:
        x_train = np.expand_dims(data["x_train"][: arguments.images], -1).astype("float32") / 255
        y_train = data["y_train"][: arguments.images]

    classifier = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    classifier.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    classifier.fit(x_train, y_train, epochs=5, batch_size=128)

    vae = VAE()
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(x_train, epochs=arguments.epochs, batch_size=128)

    z = np.random.default_rng(arguments.seed).standard_normal((WANTED, 2))
    images = vae.decoder.predict(z)
    probabilities = classifier.predict(images)
    strong = probabilities.max(axis=1) >= 0.95
    np.savez(
        arguments.out,
        images=images[strong, ..., 0],
        labels=probabilities.argmax(axis=1)[strong],
        confidence=probabilities.max(axis=1)[strong],
        drawn=WANTED,
        seed=arguments.seed,
    )
    print(f"{strong.mean():.2%} of {WANTED:,} images are strong")
    print(f"the naive method took {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
