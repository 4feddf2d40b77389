"""The referee: a convolutional network that judges generated images and never selects them.

It stands in for a human eye: of another kind than the dense classifier that selects, far
stronger, and trained on distorted and softened images, as generated ones are.
"""

import hashlib
import json
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from cli import UserError
from models import side_by_side
from training import FusedAdam, OneCycle, feed, make_reproducible, without_autotune

DATA = Path(__file__).parent / "data"
BATCH = 64
PEAK_RATE = 3e-3
WEIGHT_DECAY = 0.05  # per unit of learning rate, as in AdamW (Loshchilov & Hutter 2019)
LINEAR = 0.15  # how far each entry of the random 2 x 2 map may be from the identity's
SHIFT = 2.0  # pixels


class RefereeError(UserError):
    """A bundled referee is missing or is not the file its checksum promises."""


def build_referee(classes):
    """Convolutional network from images (n, 28, 28, 1) float32 in [0, 1] to logits (n, classes).

    Every layer that sees many pixels is small: half the arithmetic is at 7 x 7 and below.
    """

    def convolution(x, filters, size, strides=1):
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        # The default momentum of 0.99 needs more steps than a small data set has.
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    images = keras.Input((28, 28, 1))
    x = convolution(images, 32, 5, strides=2)
    x = convolution(x, 32, 3)
    x = convolution(x, 64, 3, strides=2)
    x = convolution(x, 64, 3)
    x = convolution(x, 128, 3, strides=2)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(classes)(x), name="referee")


def distort(images, linear, shift, blur):
    """Map each image affinely about its centre, then soften it.

    images: (n, 28, 28, 1) float32.  linear: (n, 2, 2), rows and columns ordered x, y; the
    identity changes nothing.  shift: (n, 2) pixels to the right and down.
    blur: (n,) in [0, 1], the share of the 3 x 3 mean.  Returns the shape and type of images.
    """
    # An output pixel p takes the value at linear (p - shift - centre) + centre.
    centre = tf.constant([[13.5], [13.5]])
    offset = centre - linear @ (shift[:, :, None] + centre)
    rows = tf.reshape(tf.concat([linear, offset], axis=2), (-1, 6))
    images = keras.ops.image.affine_transform(images, tf.pad(rows, [[0, 0], [0, 2]]))
    softened = keras.ops.average_pool(images, 3, strides=1, padding="same")
    return images + blur[:, None, None, None] * (softened - images)


def augment(images, seed):
    """Distort every image by its own random turn, stretch, slant, shift and blur.

    images: (n, 28, 28, 1) float32.  seed: (2,) integer; the same seed, the same images.
    No image is mirrored: that would spoil digits and letters, and the data may be anyone's.
    """
    noise = tf.random.stateless_uniform((tf.shape(images)[0], 7), seed, -1.0, 1.0)
    linear = tf.eye(2) + LINEAR * tf.reshape(noise[:, :4], (-1, 2, 2))
    # Most blurs stay slight, so that sharp images remain the ordinary case.
    return distort(images, linear, SHIFT * noise[:, 4:6], noise[:, 6] ** 2)


class SideBySide(keras.Model):
    """The network itself, to be trained: the same weights, outputs and name."""

    def __init__(self, network):
        super().__init__(name=network.name)
        self.network = network

    def call(self, images, training=None):
        return side_by_side(lambda half: self.network(half, training=training), images)


def train_referee(images, labels, classes, epochs, seed=0, verbose=0):
    """Train a referee from scratch on augmented images.

    images: (n, 28, 28) uint8.  labels: (n,) integer below classes.  Returns an uncompiled
    keras.Model that gives logits (n, classes).
    """
    make_reproducible(seed)
    batches = feed(images, labels, batch_size=min(BATCH, len(images)), seed=seed)
    # New seeds in every epoch, so that no image is distorted twice in the same way.
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    augmented = tf.data.Dataset.zip(batches, seeds).map(
        lambda batch, noise: (augment(batch[0], [seed, noise]), batch[1]),
        num_parallel_calls=2,
    )
    referee = build_referee(classes)
    trainee = SideBySide(referee)
    trainee.compile(
        FusedAdam(OneCycle(PEAK_RATE, epochs * len(batches)), weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    # The metric is an object and the optimizer built, else fit compiles the step twice.
    trainee.optimizer.build(trainee.trainable_variables)
    trainee.fit(
        without_autotune(augmented.prefetch(2)), epochs=epochs, verbose=verbose, shuffle=False
    )
    return referee


def epochs_for(count):
    """Epochs for a training set of `count` images that is not bundled.

    A small set is seen more often, until 20,000 images have passed. Six epochs of 10,000 images
    take about 30 seconds on two cores.
    """
    return max(6, 20_000 // count)


def load_referee(name, folder=DATA):
    """The bundled referee of a bundled data set, an uncompiled keras.Model that gives logits.

    Raises RefereeError if the file is missing or differs from its checksum in referees.json.
    """
    path = folder / f"referee_{name}.keras"
    again = f"make it again with: python train_referee.py --dataset {name}"
    try:
        expected = json.loads((folder / "referees.json").read_text())[name]["sha256"]
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError) as error:
        raise RefereeError(f"{path} cannot be verified ({error}); {again}") from error
    if found != expected:
        raise RefereeError(f"{path} is damaged: its sha256 is not in referees.json; {again}")
    return keras.saving.load_model(path, compile=False)
