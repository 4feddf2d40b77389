"""What is done for speed alone, with the plain way of each trick.

TRUST_PLAIN=1 in the environment takes all the plain ways; results differ only by rounding and the
order in which noise is drawn.  The last trick is in cli.quiet_tensorflow, as it has to come before
TensorFlow: one operation gets half of the cores, which suits two halves or two batches at a time.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import keras
import tensorflow as tf

import models
from trust.cli import PLAIN

# Training steps in one call of TensorFlow.  The plain way: steps_per_execution=1.
STEPS_TOGETHER = 1 if PLAIN else 10


class FusedAdam(keras.optimizers.Optimizer):
    """Adam in TensorFlow's own kernel, which goes over memory once.  Kingma & Ba 2015.  The
    plain way: keras.optimizers.Adam."""

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7

    def build(self, variables):
        super().build(variables)
        # Of a variable on several devices, Keras hands update_step the part on one.
        parts_of = tf.distribute.get_strategy().experimental_local_results
        moments = {}
        for variable in variables:
            kinds = "momentum", "velocity"
            both = [self.add_variable_from_reference(variable, kind) for kind in kinds]
            parts = [parts_of(each.value) for each in (variable, *both)]
            moments |= {part.ref(): both for part, *both in zip(*parts, strict=True)}
        self.moments = moments.__getitem__  # Keras wants to track a dictionary, keys and all

    def update_step(self, gradient, variable, learning_rate):
        """One variable's step.  gradient, variable: of the same shape, float32."""
        m, v = self.moments(variable.ref())
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def save_own_variables(self, store):
        """Nothing: Keras would keep them with a network's weights, three times as many bytes."""


adam = keras.optimizers.Adam if PLAIN else FusedAdam  # takes a learning rate, or its schedule


class SideBySideVAE(models.VAE):
    """A VAE that is trained on two halves of a batch that do not wait for each other.  The plain
    way: models.VAE, where all cores of a CPU wait for each other after every operation."""

    def forward(self, images):
        """As of models.VAE, for images (n, h, w, c) float32."""
        half, forward = tf.shape(images)[0] // 2, super().forward
        parts = forward(images[:half]), forward(images[half:])
        return tuple(tf.concat(halves, axis=0) for halves in zip(*parts, strict=True))

    def test_step(self, images):
        # Evaluated whole, so that the noise does not depend on how the VAE was trained.
        _, reconstruction, kl = super().forward(images)
        return self.track(reconstruction, kl)


VAE = models.VAE if PLAIN else SideBySideVAE


def map_two(function: Callable, batches: Iterable) -> list:
    """function(batch) of each, two of them at a time.  The plain way: one after the other."""
    with ThreadPoolExecutor(1 if PLAIN else 2) as pool:
        return list(pool.map(function, batches))


def without_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, their buffers as they were set.  The plain way: as TensorFlow tunes them.
    That can take long to end after a fit, and gains nothing: the data are in memory."""
    options = tf.data.Options()
    options.autotune.enabled = PLAIN
    return batches.with_options(options)
