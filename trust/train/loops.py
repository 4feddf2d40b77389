"""How the networks are trained: data in memory, one cycle of the learning rate, on every GPU, with
the same result for the same seed."""

import contextlib
import math
import random
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import losses

from trust.cli import UserError, cores
from trust.data.images import Pixels
from trust.train import fast
from trust.train.architectures import models
from trust.train.inference import as_pixels

VAE_BATCH, CLASSIFIER_BATCH = 512, 256  # on each device
LEAST_STEPS = 100  # per epoch on one device: a VAE sees each of fewer than 51,200 images repeatedly
STILL_PASSES, LEAST_STILL_STEPS = 5, 10  # the same for images that are not moved
WHOLE_STEPS = 10  # an epoch on one device has a multiple of them, for fast.STEPS_TOGETHER
IMAGES_PER_SHARPNESS = 5000  # images of 28 x 28 values that allow one more unit of sharpness
COLLAPSED_NATS = 0.5  # least KL per image; a VAE of MNIST with a single latent has about 4


class TrainingError(UserError):
    """Training failed in a way that the user can do something about; the message says what."""


class StopOnBadNumbers(keras.callbacks.Callback):
    """Raises TrainingError where the loss, or the objective of a VAE, is not a finite number."""

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "objective"):
            if not math.isfinite(value := logs.get(name, 0.0)):
                problem = f"the {name} of the {self.model.name} became {value} in epoch {epoch + 1}"
                raise TrainingError(f"{problem}: try a smaller --learning-rate or another --seed")


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly to the peak in a share `warmup` of the steps, then falls
    linearly.  It would be zero one step before the first and one after the last.  Smith & Topin
    2018."""

    def __init__(self, peak, steps, warmup=0.05):
        self.peak, self.steps, self.top = peak, steps, max(int(warmup * steps), 1)

    def __call__(self, step):
        step = tf.cast(step, tf.float32) + 1.0
        up = step / self.top
        down = (self.steps + 1 - step) / (self.steps + 1 - self.top)
        return self.peak * tf.maximum(tf.minimum(up, down), 0.0)


def make_reproducible(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow and makes every kernel deterministic."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def kept_randomness():
    """After this block the random numbers of Python and NumPy are as before it, whatever
    make_reproducible() did inside."""
    numbers, numpy_numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(numbers)
        np.random.set_state(numpy_numbers)  # noqa: NPY002


def every_device():
    """A scope: models built inside it are trained on every GPU, where there is more than one."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


def devices() -> str:
    """What the networks are trained on: "2 cores, no GPU", or "1 GPU"."""
    if count := len(tf.config.list_logical_devices("GPU")):
        return f"{count} GPU{'s' * (count > 1)}"
    return f"{cores()} core{'s' * (cores() > 1)}, no GPU"


def progress() -> int:
    """Keras's verbose: a moving bar on a terminal (1), else a line per epoch, as for a log (2)."""
    terminal = getattr(sys.stdout, "isatty", bool)()  # not every replacement of it has one
    return 1 if terminal else 2


def new_vae(latent_dim, pixels: Pixels, n_images, seed, most_sharpness=None) -> models.VAE:
    """An untrained VAE on every device there is.  n_images: how many it will be trained on.
    most_sharpness: see models.VAE; sharpness_bound(n_images, ...) if left out."""
    bound = most_sharpness or sharpness_bound(n_images, math.prod(pixels.shape))
    with every_device():
        encoder = models.build_encoder(latent_dim, **pixels._asdict())
        decoder = models.build_decoder(latent_dim, shape=pixels.shape)
        return fast.VAE(encoder, decoder, bound, seed, name="vae")


def new_classifier(classes: int, pixels: Pixels) -> keras.Model:
    """An untrained classifier on every device there is."""
    with every_device():
        return models.build_classifier(classes, **pixels._asdict())


def sharpness_bound(n: int, values: int = 28 * 28) -> float:
    """The largest weight of the reconstruction for a VAE that is trained on n images, each of so
    many values (pixels times channels): a float.

    Sharper images need codes that carry more information, and the mixture needs more codes to learn
    their density.  The information grows with the weight of the whole image, so each value of a
    small image may weigh more.
    """
    return 1.0 + n / IMAGES_PER_SHARPNESS * (28 * 28 / values)


def shuffled_batches(images, *others, batch_size, seed):
    """Endless batches, in a new order for each pass; a batch may span the end of one pass and the
    start of the next.

    images: (n, h, w[, c]) uint8 (0 to 255) or float32 in [0, 1]; others: arrays of the same length.
    Yields (batch_size, h, w, c) float32 in [0, 1], alone or in a tuple with the others.
    """
    images, *others = map(tf.constant, (images, *others))

    def gather(rows):
        pixels = as_pixels(tf.gather(images, rows))
        return (pixels, *(tf.gather(array, rows) for array in others)) if others else pixels

    # Shuffling row numbers instead of images moves a thousand times fewer bytes.
    rows = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed).repeat()
    batches = rows.batch(batch_size, drop_remainder=True).map(gather)
    return fast.without_autotune(batches.prefetch(4))


def shifted(batches, seed):
    """Batches (images, targets), each image moved by up to one pixel: this removes a third of the
    errors of a dense classifier on MNIST.  As a layer of the network it would not run in parallel
    with training."""
    height, width = batches.element_spec[0].shape[1:3]
    # The edge pixels are repeated: a background may be dark or light.
    shift = keras.layers.RandomTranslation(1 / height, 1 / width, fill_mode="nearest", seed=seed)
    moved = batches.map(lambda images, targets: (shift(images, training=True), targets))
    return fast.without_autotune(moved.prefetch(4))


def steps_in_epoch(images, batch_size, devices=1, passes=math.inf):
    """Steps per epoch, of batch_size images on each device: enough for a pass over the images, and
    at least LEAST_STEPS on one device, or as many as `passes` need and at least LEAST_STILL_STEPS.
    Several devices together see as many images as one."""
    once = math.ceil(len(images) / batch_size)
    steps = max(once, min(LEAST_STEPS, max(passes * once, LEAST_STILL_STEPS)))
    return math.ceil(math.ceil(steps / WHOLE_STEPS) * WHOLE_STEPS / devices)


def train_vae(vae, images, epochs, learning_rate, seed, validation_images=None, **settings) -> dict:
    """Trains the VAE on images (n, h, w[, c]) uint8; returns Keras's history of losses in nats.
    settings: of Keras's fit, such as verbose.

    Raises TrainingError where the loss is not finite, and where the latents collapse: then every
    latent is decoded to the same blurred image.
    """
    settings.setdefault("verbose", progress())
    if validation_images is not None:
        batches = tf.data.Dataset.from_tensor_slices(validation_images).batch(500)
        settings["validation_data"] = fast.without_autotune(batches.map(as_pixels))
    size, steps = _sizes(vae, images, VAE_BATCH)
    _compile(vae, OneCycle(learning_rate, epochs * steps))
    batches = shuffled_batches(images, batch_size=size, seed=seed)
    history = _fit(vae, batches, epochs, steps, **settings)
    if (nats := history["kl_loss"][-1]) < COLLAPSED_NATS:
        problem = f"they carry {nats:.2f} nats per image, so it explains no image better than the "
        problem += "mean picture does"
        cure = "try more --epochs, another --seed or --learning-rate, or data with more structure"
        raise TrainingError(f"the latents of the VAE collapsed: {problem}; {cure}")
    return history


def train_classifier(classifier, images, targets, seed, epochs=5, learning_rate=4e-3) -> dict:
    """Trains the classifier on images (n, h, w[, c]), uint8 or float32 in [0, 1], and targets:
    labels (n,), or soft ones, the probabilities of the classes (n, classes).
    Returns Keras's history of the loss in nats per image."""
    size, steps = _sizes(classifier, images, CLASSIFIER_BATCH)
    _compile(classifier, OneCycle(learning_rate, epochs * steps), _cross_entropy(targets))
    batches = shuffled_batches(images, targets, batch_size=size, seed=seed)
    return _fit(classifier, shifted(batches, seed), epochs, steps, verbose=0)


def train_on_still_images(
    classifier, images, targets, seed, epochs, learning_rate=4e-3, bench=None
) -> dict:
    """train_classifier() without moving the images: it learns from exactly these images, and needs
    fewer steps: over few images STILL_PASSES passes are an epoch.  bench: the fast.Workbench of
    several classifiers that are built alike."""
    size, steps = _sizes(classifier, images, CLASSIFIER_BATCH, passes=STILL_PASSES)

    def compile_for(model):
        _compile(model, OneCycle(learning_rate, epochs * steps), _cross_entropy(targets))

    history = (bench or fast.Workbench()).fit(
        classifier,
        shuffled_batches(images, targets, batch_size=size, seed=seed),
        compile_for=compile_for,
        terms=(epochs, steps, learning_rate, targets.ndim),
        epochs=epochs,
        **_fit_settings(steps),
        verbose=0,
    )
    return history.history


def _cross_entropy(targets):
    """The loss for labels (n,), or for probabilities (n, classes)."""
    hard, soft = losses.SparseCategoricalCrossentropy, losses.CategoricalCrossentropy
    return (hard if targets.ndim == 1 else soft)(from_logits=True)


def _sizes(model, images, size, passes=math.inf):
    """The images of a batch on all devices of the model, `size` on each, and the steps of an
    epoch; passes: see steps_in_epoch()."""
    devices = model.distribute_strategy.num_replicas_in_sync
    return size * devices, steps_in_epoch(images, size, devices, passes=passes)


def _compile(model, rate, loss=None):
    # TensorFlow cannot loop over steps that several devices share (Keras's issue 19246).
    several = model.distribute_strategy.num_replicas_in_sync > 1
    together = 1 if several else fast.STEPS_TOGETHER
    with model.distribute_strategy.scope():
        model.compile(fast.adam(rate), loss, steps_per_execution=together)


def _fit(model, batches, epochs, steps, **settings):
    """Keras's fit; returns its history."""
    return model.fit(batches, epochs=epochs, **_fit_settings(steps), **settings).history


def _fit_settings(steps):
    """What all calls of Keras's fit have in common."""
    return {"steps_per_epoch": steps, "callbacks": [StopOnBadNumbers()], "shuffle": False}
