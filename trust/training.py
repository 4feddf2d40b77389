"""How the networks are trained: data in memory, one cycle of learning rate, every GPU there is, and
the same bits for the same seed."""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from trust.cli import UserError

VAE_BATCH, CLASSIFIER_BATCH = 512, 256  # on each device
STEPS_TOGETHER = 10  # in one call of TensorFlow; one by one, the whole job takes a twelfth longer
LEAST_STEPS = 100  # in an epoch, so that fewer than 51,200 images are seen more often by the VAE
IMAGES_PER_SHARPNESS = 5000
COLLAPSED_NATS = 0.5  # per image; a VAE of MNIST with a single latent keeps about 4


class TrainingError(UserError):
    """Training went wrong in a way the user can do something about; the message says what."""


class StopOnBadNumbers(keras.callbacks.Callback):
    """Raises TrainingError as soon as the loss is not a finite number."""

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss of the {self.model.name} became {logs['loss']} in epoch {epoch + 1}: "
                "try a smaller --learning-rate or another --seed"
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


class FusedAdam(keras.optimizers.Optimizer):
    """keras.optimizers.Adam in TensorFlow's own kernel: the same numbers, but for rounding.

    Keras's goes over memory a dozen times, this once; with Keras's the whole job takes a twelfth
    longer.  Kingma & Ba 2015.
    """

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7

    def __init__(self, learning_rate):
        super().__init__(learning_rate)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums, self.velocities = (
            [self.add_variable_from_reference(variable, name) for variable in variables]
            for name in ("momentum", "velocity")
        )

    def apply(self, grads, trainable_variables):
        """One step.  Several devices add their gradients up, as with all of Keras's optimizers."""
        self.build(trainable_variables)
        grads = tf.distribute.get_replica_context().all_reduce("sum", list(grads))
        step = tf.cast(self.iterations + 1, tf.float32)
        settings = {
            "lr": self.learning_rate,
            "beta1": self.beta_1,
            "beta2": self.beta_2,
            "epsilon": self.epsilon,
            "beta1_power": self.beta_1**step,
            "beta2_power": self.beta_2**step,
        }
        for grad, *variables in zip(
            grads, trainable_variables, self.momentums, self.velocities, strict=True
        ):
            var, m, v = (variable.value.handle for variable in variables)
            tf.raw_ops.ResourceApplyAdam(var=var, m=m, v=v, grad=grad, **settings)
        self.iterations.assign_add(1)

    def save_own_variables(self, store):
        """Nothing: Keras would keep them with a network's weights, three times as many bytes."""


def make_reproducible(seed):
    """Seeds Python, NumPy and TensorFlow and makes every kernel deterministic."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def every_device():
    """A scope: models built inside it are trained on every GPU, where there is more than one."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


def sharpness_bound(n):
    """The most that the reconstruction may weigh in a VAE trained on n images: a float.

    Sharper images need codes that carry more, and fewer codes teach the mixture less about them.
    """
    return 1.0 + n / IMAGES_PER_SHARPNESS


def side_by_side(function, batch):
    """function(batch), computed for two halves of the batch that do not wait for each other.

    The plain way is function(batch).  There, on a CPU, all cores wait for each other after every
    operation, and the whole job takes a sixth longer.
    batch: (n, ...).  function: gives a tuple of tensors (n, ...).  Returns such a tuple.
    """
    half = tf.shape(batch)[0] // 2
    parts = function(batch[:half]), function(batch[half:])
    return tuple(tf.concat(halves, axis=0) for halves in zip(*parts, strict=True))


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
    return without_autotune(rows.batch(batch_size, drop_remainder=True).map(gather).prefetch(4))


def shifted(batches, seed):
    """The same batches (images, targets), each image moved by up to one pixel: worth a third of a
    dense classifier's errors on MNIST.

    As the network's first layer it would not run beside the training: the whole job would take a
    twelfth longer.
    """
    shift = keras.layers.RandomTranslation(1 / 28, 1 / 28, fill_mode="constant", seed=seed)
    moved = batches.map(lambda images, targets: (shift(images, training=True), targets))
    return without_autotune(moved.prefetch(4))


def without_autotune(batches):
    """The same tf.data.Dataset, its buffers as they were set.

    To end autotuning after a fit takes 15 s now and then, half of the VAE's training, and there is
    nothing to gain: the data are in memory.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def as_pixels(images):
    """(n, 28, 28) uint8 (0 to 255) or float32 in [0, 1] -> (n, 28, 28, 1) float32 in [0, 1]."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return tf.cast(images, tf.float32)[..., None] / scale


def steps_in_epoch(images, batch_size):
    """Batches for a pass over the images and LEAST_STEPS at least, a multiple of STEPS_TOGETHER."""
    steps = max(math.ceil(len(images) / batch_size), LEAST_STEPS)
    return math.ceil(steps / STEPS_TOGETHER) * STEPS_TOGETHER


def train_vae(vae, images, epochs, learning_rate, seed, validation_images=None, verbose="auto"):
    """Trains the VAE on images (n, 28, 28) uint8; returns Keras's history of losses in nats.

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
        verbose=verbose,
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
    batch_size *= devices
    steps = steps_in_epoch(arrays[0], batch_size)
    # TensorFlow cannot loop over steps that several devices share (Keras's issue 19246).
    together = STEPS_TOGETHER if devices == 1 else 1
    with model.distribute_strategy.scope():
        optimizer = FusedAdam(OneCycle(learning_rate, epochs * steps))
        model.compile(optimizer, loss, steps_per_execution=together)
    history = model.fit(
        prepare(shuffled_batches(*arrays, batch_size=batch_size, seed=seed)),
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
    return without_autotune(batches.map(as_pixels))


def in_batches(function, array, batch_size=1000):
    """function(batch) of all batches of the array, joined: a NumPy array, or a tuple of them where
    the function gives several tensors.

    Two batches at a time.  The plain way is one after the other; as one operation has half of the
    cores (cli.quiet_tensorflow), the whole job would take a sixth longer.
    """
    if not len(array):  # Keras cannot convolve an empty batch
        blank = in_batches(function, np.zeros((1, *array.shape[1:]), array.dtype))
        return tf.nest.map_structure(lambda values: values[:0], blank)
    starts = range(0, len(array), batch_size)
    batches = (array[start : start + batch_size] for start in starts)
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(function, batches))
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
