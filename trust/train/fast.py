"""Tricks for speed alone, and the plain way that each replaces.

TRUST_PLAIN=1 in the environment takes all the plain ways: the same results but for rounding and the
order in which noise is drawn.  The last trick is in cli.quiet_tensorflow, because it must come
before TensorFlow is imported: one operation gets half of the cores, since two halves of a batch, or
two batches, are computed at a time.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import keras
import tensorflow as tf

from trust.cli import PLAIN
from trust.train.architectures import models

# Training steps in one call of TensorFlow.  The plain way: steps_per_execution=1.
STEPS_TOGETHER = 1 if PLAIN else 10


class FusedAdam(keras.optimizers.Optimizer):
    """Adam (Kingma & Ba 2015) in TensorFlow's fused kernel, which passes over memory once.  The
    plain way: keras.optimizers.Adam."""

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7

    def build(self, variables):
        super().build(variables)
        # If a variable is on several devices, Keras passes update_step the part on one device.
        parts_of = tf.distribute.get_strategy().experimental_local_results
        moments = {}
        for variable in variables:
            kinds = "momentum", "velocity"
            both = [self.add_variable_from_reference(variable, kind) for kind in kinds]
            parts = [parts_of(each.value) for each in (variable, *both)]
            moments |= {part.ref(): both for part, *both in zip(*parts, strict=True)}
        self.moments = moments.__getitem__  # Keras would track a dictionary and its keys

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
        """Saves nothing: with the moments, Keras would save three times the bytes of a network."""


adam = keras.optimizers.Adam if PLAIN else FusedAdam  # takes a learning rate, or its schedule


class SideBySideVAE(models.VAE):
    """A VAE that is trained on the two halves of a batch in parallel.  The plain way: models.VAE,
    where all cores of a CPU wait for each other after every operation."""

    def forward(self, images):
        """The same as models.VAE.forward(), for images (n, h, w, c) float32."""
        half, forward = tf.shape(images)[0] // 2, super().forward
        parts = forward(images[:half]), forward(images[half:])
        return tuple(tf.concat(halves, axis=0) for halves in zip(*parts, strict=True))

    def test_step(self, images):
        # Evaluated whole, so that the noise does not depend on how the VAE was trained.
        _, reconstruction, kl = super().forward(images)
        return self.track(reconstruction, kl)


VAE = models.VAE if PLAIN else SideBySideVAE


class Workbench:
    """Trains models of one architecture, one after the other, in a copy that TensorFlow traces
    once: tracing takes longer than a hundred steps.  The plain way: each is trained itself."""

    def __init__(self):
        self.copies = {}

    def fit(
        self,
        model: keras.Model,
        batches: tf.data.Dataset,
        compile_for: Callable[[keras.Model], None],
        terms: tuple,
        **settings,
    ) -> keras.callbacks.History:
        """Keras's fit, of a model that is not compiled.  compile_for(model): compiles it.  terms:
        hashable, the same only where models and compile_for do not differ.  settings: of fit."""
        if PLAIN or model.distribute_strategy.num_replicas_in_sync > 1:
            compile_for(model)
            return model.fit(batches, **settings)
        if terms not in self.copies:
            copy = keras.models.clone_model(model)
            compile_for(copy)
            copy.optimizer.build(copy.trainable_variables)
            start = [variable.numpy() for variable in copy.optimizer.variables]
            self.copies[terms] = copy, start
        copy, start = self.copies[terms]
        for variable, value in zip(copy.optimizer.variables, start, strict=True):
            variable.assign(value)
        _copy_variables(model, copy)
        history = copy.fit(batches, **settings)
        _copy_variables(copy, model)
        return history


def _copy_variables(source, target):
    """Weights, and the states of random numbers, from one model to another of its architecture."""
    for one, other in zip(source.layers, target.layers, strict=True):
        for value, variable in zip(one.variables, other.variables, strict=True):
            variable.assign(value)


def map_two(function: Callable, batches: Iterable) -> list:
    """function(batch) of each, two of them at a time.  The plain way: one after the other."""
    with ThreadPoolExecutor(1 if PLAIN else 2) as pool:
        return list(pool.map(function, batches))


def without_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, with buffers of fixed size.  The plain way: TensorFlow tunes the sizes,
    which can take long to end after a fit, and gains nothing for data in memory."""
    options = tf.data.Options()
    options.autotune.enabled = PLAIN
    return batches.with_options(options)
