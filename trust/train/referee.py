"""The referee: a residual convolutional network that judges generated images and never selects.

It stands in for a human eye.  It is of another kind than the dense classifier that selects, far
more accurate, and trained on distorted and blurred images, because generated ones are like these.

python -m trust.train.referee --dataset fashion_mnist --epochs 50     (makes a bundled one again)
python -m trust.train.referee --dataset fashion_mnist --epochs 8 --more     (goes on with it)
"""

import json
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from trust import cli, outputs
from trust.data import datasets
from trust.data.images import ImageSet
from trust.train import fast, inference, loops, saves
from trust.train.inference import softmax

MIRRORED = {"fashion_mnist"}  # bundled sets whose images mean the same in a mirror
BATCH, SMALL_SET = 128, 10_000  # for fewer images a quarter of BATCH: else too few steps
PEAK_RATE = 0.1  # of SGD with Nesterov momentum, He et al. 2016
RATE_OF_MORE = 0.02  # peak rate for a network that is trained further
WEIGHT_DECAY = 5e-4
LINEAR = 0.15  # how far each entry of the random 2 x 2 map may be from the identity's
SHIFT = 1 / 14  # of the width and height
NOISE = 0.3  # the largest standard deviation of the noise on each pixel
NOISY, NOISY_MIRRORED = 0.5, 0.2  # the share of images that get noise


def build_referee(classes, shape=(28, 28, 1)):
    """Residual network from images (n, *shape) float32 in [0, 1] to logits (n, classes) and the
    features behind them (n, 128): float32.  For one device: on several, TensorFlow aborts."""

    def convolution(x, filters, strides=1, activation="relu"):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        # The default momentum of 0.99 needs more steps than a small data set has.
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.Activation(activation)(x)

    x = images = keras.Input(shape)
    for filters, strides in ((16, 1), (32, 2), (32, 1), (64, 2)):
        x = convolution(x, filters, strides)
    change = convolution(convolution(x, 64), 64, activation="linear")
    x = layers.ReLU()(layers.Add()([x, change]))
    x = convolution(x, 128, strides=2)
    features = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, [layers.Dense(classes)(features), features], name="referee")


def distort(images, linear, shift, blur):
    """Images (n, h, w, c) float32, each mapped affinely about its centre, then softened.
    linear: (n, 2, 2), rows and columns ordered x, y.  shift: (n, 2) pixels to the right and down.
    blur: (n,) in [0, 1], the share of the 3 x 3 mean."""
    # An output pixel p takes the value at linear (p - shift - centre) + centre, or of the nearest
    # pixel if that is outside the image: a background may be dark or light.
    height, width = images.shape[1:3]
    centre = tf.constant([[(width - 1) / 2], [(height - 1) / 2]], tf.float32)
    offset = centre - linear @ (shift[:, :, None] + centre)
    rows = tf.reshape(tf.concat([linear, offset], axis=2), (-1, 6))
    transforms = tf.pad(rows, [[0, 0], [0, 2]])
    images = keras.ops.image.affine_transform(images, transforms, fill_mode="nearest")
    softened = keras.ops.average_pool(images, 3, strides=1, padding="same")
    return images + blur[:, None, None, None] * (softened - images)


def augment(images, seed, mirror=False):
    """Images (n, h, w, c) float32, each with its own random turn, stretch, shift, blur and, some of
    them, noise on each pixel.

    seed: (2,) integer.  mirror: mirror half of the images, which would spoil digits and letters,
    and distort each by a random fraction only, because garments bear less than strokes do.
    """
    noise = tf.random.stateless_uniform((tf.shape(images)[0], 10), seed, -1.0, 1.0)
    strength = tf.abs(noise[:, :1]) if mirror else 1.0
    linear = tf.eye(2) + LINEAR * tf.reshape(strength * noise[:, 1:5], (-1, 2, 2))
    shift = strength * noise[:, 5:7] * [SHIFT * side for side in images.shape[2:0:-1]]
    # Most blurs are slight, so that most images stay sharp.
    images = distort(images, linear, shift, noise[:, 7] ** 2)
    if mirror:
        images = tf.where(noise[:, 8, None, None, None] > 0, images[:, :, ::-1], images)
    grain = tf.random.stateless_normal(tf.shape(images), tf.add(seed, 1))
    least = 1 - 2 * (NOISY_MIRRORED if mirror else NOISY)
    level = NOISE * tf.nn.relu(noise[:, 9, None, None, None] - least) / (1 - least)
    return tf.clip_by_value(images + level * grain, 0.0, 1.0)


def train_referee(network, train: ImageSet, epochs, seed, mirror=False, **settings):
    """Trains a network of build_referee on augmented images (n, h, w[, c]) uint8 and their labels.
    mirror: as in augment().  settings: peak_rate, and those of Keras's fit, such as verbose.
    Several devices share each batch, so the number of epochs does not depend on them."""
    peak_rate = settings.pop("peak_rate", PEAK_RATE)
    settings.setdefault("verbose", loops.progress())
    size = BATCH if len(train) >= SMALL_SET else BATCH // 4
    batches = tf.data.Dataset.from_tensor_slices((train.images, train.labels))
    batches = batches.shuffle(len(train), seed)
    batches = batches.batch(size, drop_remainder=True)
    # New seeds in every epoch, so that no image is distorted twice in the same way.
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

    def prepare(batch, noise):
        noise = tf.stack([tf.cast(seed, tf.int64), noise])
        return augment(inference.as_pixels(batch[0]), noise, mirror), batch[1]

    augmented = tf.data.Dataset.zip(batches, seeds).map(prepare, num_parallel_calls=2)
    peak, steps = peak_rate * (size / BATCH) ** 0.5, epochs * len(batches)
    # A copy of the network is trained on every device, and the network itself stays on one: spread
    # over devices it would judge each image twice.
    with loops.every_device():
        twin = keras.models.clone_model(network)
        twin.set_weights(network.get_weights())
        trainee = keras.Model(twin.inputs, twin.outputs[0], name=network.name)
        rate = loops.OneCycle(peak, steps, warmup=0.1)
        optimizer = keras.optimizers.SGD(rate, 0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        trainee.compile(optimizer, loss, metrics=["accuracy"])
    batches = fast.without_autotune(augmented.prefetch(2))
    trainee.fit(batches, epochs=epochs, shuffle=False, **settings)
    network.set_weights(twin.get_weights())


def epochs_for(count):
    """Epochs for `count` images of the user's own: so many that about 40,000 images pass, at least
    6."""
    return max(6, 40_000 // count)


def bundled_weights(name):
    """The path of the weights of a bundled set's referee."""
    return datasets.DATA / f"referee_{name}.weights.h5"


def bundled_referee(name):
    """The trained referee of the bundled set `name`, as build_referee makes it.  Raises
    UserError where its file is missing or damaged."""
    network = build_referee(len(datasets.BUNDLED[name]))
    try:
        saves.load_weights(network, bundled_weights(name))
    except cli.UserError as error:
        raise cli.UserError(f"{error}: get it back with git checkout data") from error
    return network


class Judged(NamedTuple):
    """The referee's labels (n,) integer, features (n, 128) float32 and confidence (n,) float."""

    labels: np.ndarray
    features: np.ndarray
    confidence: np.ndarray

    def take(self, rows):
        """Of some of the images: rows is an array of row numbers, or (n,) bool."""
        return Judged(*(array[rows] for array in self))


def judge(network: keras.Model, images: np.ndarray) -> Judged:
    """What the referee says of images (n, h, w[, c]), uint8 or float32 in [0, 1]."""
    # Compiled, the convolutions take a third less time than one by one.  They are compiled here,
    # before in_batches starts two threads, so that both run the same code.
    network.predict_on_batch(np.zeros((1, *network.input_shape[1:]), np.float32))
    logits, features = inference.in_batches(
        lambda batch: network.predict_on_batch(inference.as_pixels(batch)), images, 500
    )
    return Judged(logits.argmax(axis=1), features, softmax(logits).max(axis=1))


def main():
    parser = cli.Parser(description="Train the referee of a bundled data set and keep it in data/.")
    parser.add_argument("--dataset", choices=list(datasets.BUNDLED), default="mnist")
    parser.add_argument("--epochs", type=cli.positive_int, default=20, help="passes over the data")
    parser.add_argument("--seed", type=cli.seed, default=0, help="same seed, same result")
    parser.add_argument("--more", action="store_true", help="train the one that is there further")
    arguments = parser.parse_args()
    epochs, seed, more = arguments.epochs, arguments.seed, arguments.more
    data = datasets.load_dataset(arguments.dataset)
    loops.make_reproducible(seed)
    network = bundled_referee(data.name) if more else build_referee(data.classes)
    train_referee(
        network,
        data.train,
        epochs=epochs,
        seed=seed,
        mirror=data.name in MIRRORED,
        peak_rate=RATE_OF_MORE if more else PEAK_RATE,
    )
    accuracy = float(np.mean(judge(network, data.test.images).labels == data.test.labels))
    path, records = bundled_weights(data.name), datasets.DATA / "referees.json"
    with outputs.replacing(path) as file:
        network.save_weights(file.name)
    command = f"python -m trust.train.referee --dataset {data.name} --epochs {epochs} --seed {seed}"
    kept = json.loads(records.read_text())
    commands = [*kept[data.name]["commands"], f"{command} --more"] if more else [command]
    record = {"test_accuracy": accuracy, "commands": commands}
    outputs.write_json(records, kept | {data.name: record})
    print(f"{path}: {accuracy:.2%} of the test images right")


if __name__ == "__main__":
    cli.run(main)
