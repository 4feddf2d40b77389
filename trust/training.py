"""How the networks are trained: data in memory, one cycle of learning rate, every GPU there is, and
the same bits for the same seed."""

import contextlib
import math
import sys
from functools import partial

import keras
import numpy as np
import tensorflow as tf

import models
from trust import fast
from trust.cli import UserError, cores

VAE_BATCH, CLASSIFIER_BATCH = 512, 256  # on each device
# In an epoch on one device, so that fewer than 51,200 images are seen more often by the VAE.
LEAST_STEPS = 100
WHOLE_STEPS = 10  # an epoch on one device has a multiple of them, for fast.STEPS_TOGETHER
IMAGES_PER_SHARPNESS = 5000
COLLAPSED_NATS = 0.5  # per image; a VAE of MNIST with a single latent keeps about 4


class TrainingError(UserError):
    """Training went wrong in a way the user can do something about; the message says what."""


class StopOnBadNumbers(keras.callbacks.Callback):
    """Raises TrainingError as soon as the loss, or the objective that a VAE follows instead, is not
    a finite number."""

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "objective"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise TrainingError(
                    f"the {name} of the {self.model.name} became {logs[name]} in epoch "
                    f"{epoch + 1}: try a smaller --learning-rate or another --seed"
                )


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate: a line up to the peak, one down to zero. Smith & Topin 2018.

    warmup: the share of the steps in which it rises.
    """

    def __init__(self, peak, steps, warmup=0.05):
        self.peak, self.steps, self.warmup = peak, steps, warmup
        self.top = max(int(warmup * steps), 1)

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        up = step / self.top
        down = (self.steps - step) / max(self.steps - self.top, 1)
        return self.peak * tf.maximum(tf.minimum(up, down), 0.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}


def make_reproducible(seed):
    """Seeds Python, NumPy and TensorFlow and makes every kernel deterministic."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


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
    """Keras's verbose: a moving bar on a terminal (1), else a line an epoch, as for a log (2)."""
    return 1 if sys.stdout.isatty() else 2


def new_vae(
    latent_dim: int, n_images: int, seed: int, most_sharpness: float | None = None
) -> models.VAE:
    """An untrained VAE on every device there is, to be trained on n_images.

    most_sharpness: what that many images allow, if left out; 1 trains on the negative ELBO.
    """
    bound = sharpness_bound(n_images) if most_sharpness is None else most_sharpness
    with every_device():
        encoder, decoder = models.build_encoder(latent_dim), models.build_decoder(latent_dim)
        return fast.VAE(encoder, decoder, bound, seed, name="vae")


def new_classifier(classes: int) -> keras.Model:
    """An untrained classifier on every device there is."""
    with every_device():
        return models.build_classifier(classes)


def sharpness_bound(n):
    """The most that the reconstruction may weigh in a VAE trained on n images: a float.

    Sharper images need codes that carry more, and fewer codes teach the mixture less about them.
    """
    return 1.0 + n / IMAGES_PER_SHARPNESS


def shuffled_batches(images, *others, batch_size, seed):
    """Endless batches of a set that stays in memory as it is, in a new order in each pass.

    images: (n, 28, 28) uint8 (0 to 255) or float32 in [0, 1]; others: arrays of the same length.
    Yields images as (batch_size, 28, 28, 1) float32 in [0, 1], alone or in a tuple with the
    others.  A batch may hold the end of one pass and the start of the next: none is left out.
    """
    images, *others = (tf.constant(array) for array in (images, *others))

    def gather(rows):
        pixels = as_pixels(tf.gather(images, rows))
        return (pixels, *(tf.gather(array, rows) for array in others)) if others else pixels

    # To shuffle the row numbers and not the images moves a thousand times fewer bytes.
    rows = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed).repeat()
    batches = rows.batch(batch_size, drop_remainder=True).map(gather)
    return fast.without_autotune(batches.prefetch(4))


def shifted(batches, seed):
    """The same batches (images, targets), each image moved by up to one pixel: worth a third of a
    dense classifier's errors on MNIST.

    Not the network's first layer, as there it would not run beside the training.
    """
    shift = keras.layers.RandomTranslation(1 / 28, 1 / 28, fill_mode="constant", seed=seed)
    moved = batches.map(lambda images, targets: (shift(images, training=True), targets))
    return fast.without_autotune(moved.prefetch(4))


def as_pixels(images):
    """(n, 28, 28) uint8 (0 to 255) or float32 in [0, 1] -> (n, 28, 28, 1) float32 in [0, 1]."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return tf.cast(images, tf.float32)[..., None] / scale


def steps_in_epoch(images, batch_size, devices=1):
    """Steps for a pass over the images, and for as many images as LEAST_STEPS see on one device.

    batch_size: on each of the devices.  However many there are, they see as many images.
    """
    steps = max(math.ceil(len(images) / batch_size), LEAST_STEPS)
    return math.ceil(math.ceil(steps / WHOLE_STEPS) * WHOLE_STEPS / devices)


def train_vae(vae, images, epochs, learning_rate, seed, validation_images=None, verbose=None):
    """Trains the VAE on images (n, 28, 28) uint8; returns Keras's history of losses in nats.

    verbose: Keras's; what suits standard output if left out.

    Raises TrainingError where the loss stops being a number, and where the latents collapse:
    then every image is the same blur, whatever is drawn.
    """
    history = _fit(
        vae,
        [images],
        epochs,
        VAE_BATCH,
        learning_rate,
        seed,
        validation_data=None if validation_images is None else batches_in_order(validation_images),
        verbose=progress() if verbose is None else verbose,
    )
    if history["kl_loss"][-1] < COLLAPSED_NATS:
        raise TrainingError(
            f"the latents of the VAE collapsed: they carry {history['kl_loss'][-1]:.2f} nats per "
            f"image, below {COLLAPSED_NATS}; try more --epochs, another --seed or "
            "--learning-rate, or data with more structure"
        )
    return history


def train_classifier(classifier, images, targets, seed, epochs=5, learning_rate=4e-3, verbose=0):
    """Trains the classifier on images (n, 28, 28), uint8 or float32 in [0, 1], and their targets:
    labels (n,), or soft ones, the probabilities of the classes (n, classes).
    Returns Keras's history of the loss in nats per image."""
    losses = {
        1: keras.losses.SparseCategoricalCrossentropy,
        2: keras.losses.CategoricalCrossentropy,
    }
    loss = losses[targets.ndim](from_logits=True)
    arrays, size, shift = [images, targets], CLASSIFIER_BATCH, partial(shifted, seed=seed)
    return _fit(
        classifier, arrays, epochs, size, learning_rate, seed, shift, loss=loss, verbose=verbose
    )


def _fit(
    model,
    arrays,
    epochs,
    batch_size,
    learning_rate,
    seed,
    prepare=lambda batches: batches,
    loss=None,
    **settings,
):
    """Keras's fit on shuffled batches of the arrays, under the model's own strategy.

    batch_size: on each device.  prepare: what is done to the batches first.
    """
    devices = model.distribute_strategy.num_replicas_in_sync
    steps = steps_in_epoch(arrays[0], batch_size, devices)
    # TensorFlow cannot loop over steps that several devices share (Keras's issue 19246).
    together = fast.STEPS_TOGETHER if devices == 1 else 1
    with model.distribute_strategy.scope():
        optimizer = fast.adam(OneCycle(learning_rate, epochs * steps))
        model.compile(optimizer, loss, steps_per_execution=together)
    history = model.fit(
        prepare(shuffled_batches(*arrays, batch_size=batch_size * devices, seed=seed)),
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[StopOnBadNumbers()],
        **settings,
    )
    return history.history


def batches_in_order(images, batch_size=500):
    """Each of the images (n, 28, 28) uint8 once, as (500, 28, 28, 1) float32 in [0, 1]."""
    batches = tf.data.Dataset.from_tensor_slices(images).batch(batch_size)
    return fast.without_autotune(batches.map(as_pixels))


def in_batches(function, array, batch_size=1000):
    """function(batch) of all batches of the array, joined: a NumPy array, or a tuple of them where
    the function gives several tensors.
    """
    if not len(array):  # Keras cannot convolve an empty batch
        blank = in_batches(function, np.zeros((1, *array.shape[1:]), array.dtype))
        return tf.nest.map_structure(lambda values: values[:0], blank)
    starts = range(0, len(array), batch_size)
    batches = (array[start : start + batch_size] for start in starts)
    parts = fast.map_two(function, batches)
    return tf.nest.map_structure(lambda *same: np.concatenate([*map(np.asarray, same)]), *parts)


def predict(model, images):
    """What the model gives for images (n, 28, 28), uint8 or float32 in [0, 1], as NumPy arrays."""
    return in_batches(lambda batch: model(as_pixels(batch), training=False), images)


def encode(vae, images):
    """z_mean and z_log_var, (n, latent_dim) float32 each, of images (n, 28, 28)."""
    return predict(vae.encoder, images)


def sample_codes(z_mean, z_log_var, rng):
    """z from N(z_mean, exp(z_log_var)), (n, latent_dim) float32, by a numpy.random.Generator."""
    epsilon = rng.standard_normal(z_mean.shape, np.float32)
    return z_mean + np.exp(0.5 * z_log_var) * epsilon


def log_posterior(z, z_mean, z_log_var):
    """log q(z|x) in nats, (n,), of z (n, latent_dim) under N(z_mean, exp(z_log_var))."""
    squares = (z - z_mean) ** 2 / np.exp(z_log_var)
    return -0.5 * np.sum(math.log(2 * math.pi) + z_log_var + squares, axis=1)


def decode(vae, z):
    """Images (n, 28, 28) float32 in [0, 1] of latents (n, latent_dim)."""
    return in_batches(vae.decode, z)[..., 0]


def reconstruct(vae, images, rng):
    """Images decoded from one sample of q(z|x) each, (n, 28, 28) float32 in [0, 1]."""
    return decode(vae, sample_codes(*encode(vae, images), rng))


def halfway_images(vae, images, labels, rng):
    """Images decoded half-way between the codes of two images of different classes.

    images (n, 28, 28), labels (n,): each is paired with another at random.
    Returns (m, 28, 28) float32 in [0, 1], m <= n.
    """
    z_mean, _ = encode(vae, images)
    partner = rng.permutation(len(images))
    differ = labels != labels[partner]
    return decode(vae, (z_mean + z_mean[partner])[differ] / 2)


def negative_elbo(vae, prior, images, rng):
    """-E_q[log p(x|z) + log p(z) - log q(z|x)] in nats, from one z an image: a float.

    Both terms have weight 1, whatever the VAE was trained with.  prior: has log_prob(z).
    images: (n, 28, 28) uint8.
    """
    z_mean, z_log_var = encode(vae, images)
    z = sample_codes(z_mean, z_log_var, rng)
    logits = in_batches(vae.decoder, z)
    nats = in_batches(
        lambda rows: tf.nn.sigmoid_cross_entropy_with_logits(
            labels=as_pixels(images[rows]), logits=logits[rows]
        ),
        np.arange(len(images)),
    )
    log_q = log_posterior(z, z_mean, z_log_var)
    return float(np.mean(nats.sum(axis=(1, 2, 3)) + log_q - prior.log_prob(z)))


def mean_sharpness(vae, images):
    """What the data say the reconstruction should weigh, within the VAE's bound: a float.

    images: (n, 28, 28) uint8, reconstructed from z_mean.
    """

    def sharpness(batch):
        pixels = as_pixels(batch)
        return vae.sharpness(pixels, vae.decoder(vae.encoder(pixels)[0]))[None]

    return float(in_batches(sharpness, images).mean())
