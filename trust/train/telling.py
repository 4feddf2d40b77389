"""Small networks that learn to tell images from real ones."""

import keras
import numpy as np
import tensorflow as tf
from keras import initializers, layers, losses

from trust.train import fast, loops

FILTERS, BATCH, PEAK_RATE = (16, 32), 128, 3e-3
STEPS, EPOCHS = 560, (6, 12)  # steps in all, but so many epochs at least and at most
LEAST_STEPS = 10  # an epoch has at least so many, or few images would teach nothing


def build_network(shape: tuple, seed: int) -> keras.Model:
    """An untrained network from images (n, *shape) float32 in [0, 1] to a logit (n, 1) float32,
    above 0 where it takes the image for one of those that are not real."""
    x = images = keras.Input(shape)
    for place, filters in enumerate(FILTERS):
        start = initializers.GlorotUniform(seed + place)
        x = layers.Conv2D(
            filters, 3, 2, padding="same", activation="relu", kernel_initializer=start
        )(x)
    start = initializers.GlorotUniform(seed + len(FILTERS))
    x = layers.Dense(64, activation="relu", kernel_initializer=start)(layers.Flatten()(x))
    x = layers.Dropout(0.3, seed=seed)(x)
    start = initializers.GlorotUniform(seed + len(FILTERS) + 1)
    return keras.Model(images, layers.Dense(1, kernel_initializer=start)(x))


def learn_to_tell(lessons: list[tuple], seed: int, bench: fast.Workbench) -> list[keras.Model]:
    """A network for each lesson, which has learned from it alone: a pair of images (n, h, w[, c])
    and real images (m, h, w[, c]), uint8, of the same shape in all lessons, n and m at least 1.

    All learn in one model, where TensorFlow computes them side by side, on one device.
    bench: the same for all images of one shape.
    """
    images = lessons[0][0]
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)
    networks = [build_network(shape, seed + 10 * place) for place in range(len(lessons))]
    steps = max(max(len(a) + len(b) for a, b in lessons) // BATCH, LEAST_STEPS)
    epochs = int(np.clip(STEPS // steps, *EPOCHS))
    inputs, outputs = [each.input for each in networks], [each.output for each in networks]

    def compile_for(model):
        model.compile(
            fast.adam(loops.OneCycle(PEAK_RATE, epochs * steps)),
            [losses.BinaryCrossentropy(from_logits=True) for _ in networks],
            steps_per_execution=fast.STEPS_TOGETHER,
        )

    batches = tf.data.Dataset.zip(
        tuple(
            loops.shuffled_batches(
                np.concatenate([a, b]),
                np.repeat(np.float32([1, 0]), [len(a), len(b)])[:, None],
                batch_size=BATCH,
                seed=seed + place,
            )
            for place, (a, b) in enumerate(lessons)
        )
    )
    batches = batches.map(lambda *pairs: tuple(zip(*pairs, strict=True)))
    bench.fit(
        keras.Model(inputs, outputs),
        fast.without_autotune(batches),
        compile_for=compile_for,
        terms=(len(networks), steps),
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    return networks
