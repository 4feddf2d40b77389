"""How the networks are trained: data in memory, many steps an execution, one cycle of learning
rate, every GPU there is, and the same bits for the same seed."""

import math

import keras
import tensorflow as tf

from cli import UserError

BATCH_SIZE = 256  # on each device
EXECUTIONS = 6  # in an epoch: fewer would cost nothing, but the progress bar is to move
COLLAPSED_NATS = 0.5  # per image; a VAE of MNIST with a single latent keeps about 4
CLASSIFIER_LEARNING_RATE = 4e-3
CLASSIFIER_EPOCHS, CLASSIFIER_IMAGES = 5, 20_000


class TrainingError(UserError):
    """Training went wrong in a way the user can do something about; the message says what."""


@keras.saving.register_keras_serializable("vae")
class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015), each variable updated by TensorFlow's one fused kernel.

    The same numbers as keras.optimizers.Adam, whose update is a dozen passes over memory.
    """

    use_nesterov = False

    def update_step(self, gradient, variable, learning_rate):
        step = tf.cast(self.iterations + 1, tf.float32)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
            use_nesterov=self.use_nesterov,
        )


@keras.saving.register_keras_serializable("vae")
class FusedNesterovAdam(FusedAdam):
    """Adam that looks one step ahead: beta_1 m + (1 - beta_1) gradient where Adam has m.

    Dozat 2016, without his schedule of beta_1. Worth 0.3 nats to the VAE, and its higher beta_1
    as much again.
    """

    use_nesterov = True


class StopOnBadNumbers(keras.callbacks.Callback):
    """Raises TrainingError as soon as the loss is not a finite number."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss of the {self.model.name} became {logs['loss']} in epoch {self.epoch}: "
                "try a smaller --learning-rate or another --seed"
            )


def make_reproducible(seed):
    """Seeds Python, NumPy and TensorFlow and makes every kernel deterministic."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def distribution_strategy():
    """MirroredStrategy where there is more than one GPU, else TensorFlow's default strategy."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def feed(images, *others, batch_size, seed, passes=1):
    """Shuffled batches of a set that stays in memory as it is, a new order in each pass over it.

    images: (n, 28, 28) uint8 (0 to 255) or float32 in [0, 1]; others: arrays of the same length.
    Yields images as (batch_size, 28, 28, 1) float32 in [0, 1], alone or in a tuple with the
    others. The images left over in one pass, few, have their turn in another.
    """
    images, *others = (tf.constant(array) for array in (images, *others))
    steps = len(images) // batch_size
    steps -= steps % EXECUTIONS if steps > EXECUTIONS else 0
    scale = 255.0 if images.dtype == tf.uint8 else 1.0

    def batches_of_indices(pass_seed):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(images)), [seed, pass_seed])
        rows = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        return tf.data.Dataset.from_tensor_slices(rows)

    def gather(indices):
        pixels = tf.cast(tf.gather(images, indices), tf.float32)[..., None] / scale
        return (pixels, *(tf.gather(array, indices) for array in others)) if others else pixels

    # Shuffling a whole pass at once costs a fifth of Dataset.shuffle, which moves single indices.
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(passes)
    batches = seeds.flat_map(batches_of_indices).map(gather).prefetch(8)
    batches = batches.apply(tf.data.experimental.assert_cardinality(passes * steps))
    return without_autotune(batches)


def batches_in_order(images):
    """Each of the images (n, 28, 28) uint8 once, as (500, 28, 28, 1) float32 in [0, 1]."""
    pixels = images[..., None].astype("float32") / 255
    return without_autotune(tf.data.Dataset.from_tensor_slices(pixels).batch(500))


def without_autotune(batches):
    """The same tf.data.Dataset, its buffers as they were set.

    Autotuning finds nothing to gain here, and to end it, after every pass, sometimes takes 5 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def shifted_by_a_pixel(images, labels):
    """The batch moved by up to one pixel each way, each quarter of it elsewhere: the cheapest
    augmentation there is, worth a third of a dense classifier's errors on MNIST."""
    quarters = tf.split(images, 4) if images.shape[0] % 4 == 0 else [images]
    offsets = tf.random.uniform((len(quarters), 2), -1, 2, tf.int32)
    shifted = [tf.roll(part, offsets[i], axis=(1, 2)) for i, part in enumerate(quarters)]
    return tf.concat(shifted, axis=0), labels


@keras.saving.register_keras_serializable("vae")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate: a line up to the peak in the first twentieth of the steps, one down to zero.

    Worth 0.1 nats more than a cosine. Smith & Topin 2018.
    """

    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps
        self.warmup = max(steps // 20, 1)

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        up = step / self.warmup
        down = (self.steps - step) / max(self.steps - self.warmup, 1)
        return self.peak * tf.maximum(tf.minimum(up, down), 0.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


def train_vae(vae, images, epochs, learning_rate, seed, validation_images=None):
    """Trains the VAE on images (n, 28, 28) uint8; returns Keras's history of losses in nats.

    Raises TrainingError where the loss stops being a number, and where the latents collapse:
    then every image is the same blur, whatever is drawn.
    """
    batches = feed(images, batch_size=_global_batch_size(vae), seed=seed)
    validation = None if validation_images is None else batches_in_order(validation_images)
    schedule = OneCycle(learning_rate, epochs * len(batches))
    replicas = vae.distribute_strategy.num_replicas_in_sync
    with vae.distribute_strategy.scope():
        vae.compile(
            # Fashion-MNIST with seed 2 ended in NaN without a clip. Each device clips its share.
            FusedNesterovAdam(schedule, beta_1=0.95, beta_2=0.99, global_clipnorm=100.0 / replicas),
            steps_per_execution=max(len(batches) // EXECUTIONS, 1),
            jit_compile=False,
        )
        vae.optimizer.build(vae.trainable_variables)  # else fit compiles train_step twice
    history = vae.fit(
        batches,
        epochs=epochs,
        validation_data=validation,
        shuffle=False,
        callbacks=[StopOnBadNumbers()],
    ).history
    if history["kl_loss"][-1] < COLLAPSED_NATS:
        raise TrainingError(
            f"the latents of the VAE collapsed: they carry {history['kl_loss'][-1]:.2f} nats per "
            f"image, below {COLLAPSED_NATS}; try more --epochs, another --seed or "
            "--learning-rate, or data with more structure"
        )
    return history


def train_classifiers(classifiers, sets, seed):
    """Trains classifiers of different names at the same time, each on images (n, 28, 28), uint8
    or float32 in [0, 1], and labels (n,) of its own, in as many steps; returns Keras's history of
    the loss (nats per image), or where they are several of each one's and the sum.

    They share nothing but the time: each has the gradients that it would have alone.
    An epoch is a pass over the smallest set, or where that is small as many as show
    CLASSIFIER_IMAGES.
    """
    size = _global_batch_size(classifiers[0])
    passes = max(1, round(CLASSIFIER_IMAGES / min(len(labels) for _, labels in sets)))
    feeds = [
        feed(images, labels, batch_size=size, seed=seed, passes=passes).map(shifted_by_a_pixel)
        for images, labels in sets
    ]
    batches = tf.data.Dataset.zip(tuple(feeds))
    batches = batches.map(lambda *pairs: tuple(zip(*pairs, strict=True))).prefetch(8)
    with classifiers[0].distribute_strategy.scope():
        images = [keras.Input(classifier.input_shape[1:]) for classifier in classifiers]
        logits = [classifier(x) for classifier, x in zip(classifiers, images, strict=True)]
        trainee = keras.Model(images, logits, name="classifier")
        schedule = OneCycle(CLASSIFIER_LEARNING_RATE, CLASSIFIER_EPOCHS * len(batches))
        trainee.compile(
            FusedAdam(schedule, beta_2=0.99),
            [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in sets],
            steps_per_execution=max(len(batches) // EXECUTIONS, 1),
            jit_compile=False,
        )
        # As above; the losses' running means are made when they are first asked for.
        trainee.optimizer.build(trainee.trainable_variables)
        trainee.compute_loss(
            y=[tf.zeros(1) for _ in sets], y_pred=[tf.zeros((1, x.shape[1])) for x in logits]
        )
    return trainee.fit(
        batches,
        epochs=CLASSIFIER_EPOCHS,
        shuffle=False,
        callbacks=[StopOnBadNumbers()],
        verbose=0,
    ).history


def _global_batch_size(model):
    return BATCH_SIZE * model.distribute_strategy.num_replicas_in_sync


def negative_elbo(vae, images):
    """Mean over images (n, 28, 28) uint8, in nats, from one sample of z for each image."""
    with vae.distribute_strategy.scope():
        vae.compile()
    return vae.evaluate(batches_in_order(images), verbose=0, return_dict=True)["loss"]
