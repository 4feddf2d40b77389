"""The variational autoencoder and the dense classifier, in Keras 3 on TensorFlow.

Read it top to bottom: the sampling layer, the two priors, the encoder and the decoder, the VAE
that trains them together, and the classifier. Real images enter as (batch, 28, 28, 1) float32
in [0, 1] and are treated as Bernoulli means; all losses are in nats per image.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

IMAGE_SHAPE = (28, 28, 1)
LOG_TWO_PI = math.log(2.0 * math.pi)
# The prior's numbers are kept divided by this. Adam's steps are of one size whatever the scale of
# a variable, so the prior moves this much faster than the networks and keeps up with the codes.
PRIOR_PACE = 5.0


@keras.saving.register_keras_serializable("vae")
class Sampling(keras.layers.Layer):
    """z = z_mean + exp(z_log_var / 2) * epsilon, epsilon from N(0, I).

    The reparameterisation of Kingma & Welling 2014, section 2.4.
    Takes [z_mean, z_log_var], both (batch, latent_dim) float32; returns z of the same shape.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(keras.ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + keras.ops.exp(0.5 * z_log_var) * epsilon

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("vae")
class StandardNormalPrior(keras.layers.Layer):
    """p(z) = N(0, I): the prior of the naive method, kept for the comparison."""

    def __init__(self, latent_dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.seed = latent_dim, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def kl(self, z_mean, z_log_var, z):
        """KL(N(z_mean, exp(z_log_var)) || N(0, I)) in nats, (batch,): in closed form, so that
        the sample z is not needed. Kingma & Welling 2014, appendix B."""
        return 0.5 * tf.reduce_sum(tf.exp(z_log_var) + z_mean**2 - 1.0 - z_log_var, axis=1)

    def log_prob(self, z):
        """log p(z) in nats, (batch,)."""
        return -0.5 * tf.reduce_sum(z**2 + LOG_TWO_PI, axis=1)

    def sample(self, n):
        """n latents, (n, latent_dim) float32."""
        return keras.random.normal((n, self.latent_dim), seed=self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim, "seed": self.seed}


@keras.saving.register_keras_serializable("vae")
class MixturePrior(keras.layers.Layer):
    """p(z) = sum_k w_k N(mean_k, covariance_k), every covariance full, trained inside the ELBO.

    A prior that follows the encoder's codes leaves no holes to draw bad images from
    (Hoffman & Johnson 2016). Tomczak & Welling 2018, section 2, train a mixture with diagonal
    covariances; full ones fit the codes better. Each component keeps the triangular factor L of
    its precision, L^T L = covariance^-1, the diagonal as a logarithm, so that every L is valid.
    """

    def __init__(self, latent_dim, components=100, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.components, self.seed = latent_dim, components, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Spread like N(0, I), each half as wide: wherever a code starts, a component is near.
        self._means = self.add_weight(
            shape=(components, latent_dim),
            initializer=keras.initializers.RandomNormal(stddev=1.0 / PRIOR_PACE, seed=seed),
            name="means",
        )
        self._log_diagonals = self.add_weight(
            shape=(components, latent_dim),
            initializer=keras.initializers.Constant(math.log(2.0) / PRIOR_PACE),
            name="log_diagonals",
        )
        self._triangles = self.add_weight(
            shape=(components, latent_dim, latent_dim), initializer="zeros", name="triangles"
        )
        self._weight_logits = self.add_weight(
            shape=(components,), initializer="zeros", name="weight_logits"
        )
        self.built = True

    @property
    def means(self):
        """(components, latent_dim)."""
        return PRIOR_PACE * self._means

    @property
    def log_weights(self):
        """(components,), natural logarithms."""
        return tf.nn.log_softmax(PRIOR_PACE * self._weight_logits)

    @property
    def log_diagonals(self):
        """Logarithms of the diagonals of all L, (components, latent_dim)."""
        return PRIOR_PACE * self._log_diagonals

    @property
    def precision_factors(self):
        """L of every component, (components, latent_dim, latent_dim), lower triangular."""
        below = tf.linalg.band_part(PRIOR_PACE * self._triangles, -1, 0)
        return tf.linalg.set_diag(below, tf.exp(self.log_diagonals))

    def log_prob(self, z):
        """log p(z) in nats, (batch,)."""
        # L_k (z - mean_k) for all k at once: one product of z with all factors side by side. To
        # expand the square is faster, but rounding can make it negative, which training exploits.
        factors = self.precision_factors
        side_by_side = tf.reshape(tf.transpose(factors, (2, 0, 1)), (self.latent_dim, -1))
        offsets = tf.reshape(tf.linalg.matvec(factors, self.means), (-1,))
        whitened = tf.matmul(z, side_by_side) - offsets
        whitened = tf.reshape(whitened, (-1, self.components, self.latent_dim))
        squares = tf.reduce_sum(whitened**2, axis=2)
        log_scales = tf.reduce_sum(self.log_diagonals, axis=1) - 0.5 * self.latent_dim * LOG_TWO_PI
        return tf.reduce_logsumexp(self.log_weights + log_scales - 0.5 * squares, axis=1)

    def kl(self, z_mean, z_log_var, z):
        """KL(q(z|x) || p(z)) in nats, (batch,), an unbiased estimate from one sample z of q:
        the entropy of q in closed form, the cross-entropy, which has none, at z."""
        entropy = 0.5 * tf.reduce_sum(1.0 + LOG_TWO_PI + z_log_var, axis=1)
        return -entropy - self.log_prob(z)

    def sample(self, n):
        """n latents, (n, latent_dim) float32: a component first, then a point of it."""
        component = keras.random.categorical(self.log_weights[None], n, seed=self.seed_generator)[0]
        epsilon = keras.random.normal((n, self.latent_dim), seed=self.seed_generator)
        # L^-1 epsilon has covariance (L^T L)^-1.
        spreads = tf.gather(tf.linalg.inv(self.precision_factors), component)
        return tf.gather(self.means, component) + tf.linalg.matvec(spreads, epsilon)

    def get_config(self):
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "components": self.components,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("vae")
def silu(x):
    """x * sigmoid(x), Elfwing et al. 2018; keras.activations.silu gives the same numbers, but
    computes the sigmoid a second time to save memory that is not short here."""

    @tf.custom_gradient
    def with_gradient(x):
        sigmoid = tf.sigmoid(x)
        y = x * sigmoid
        return y, lambda upstream: upstream * (sigmoid + y * (1.0 - sigmoid))

    return with_gradient(x)


def build_encoder(latent_dim, hidden=(256, 256)):
    """Dense encoder: (batch, 28, 28, 1) in [0, 1] -> z_mean, z_log_var: (batch, latent_dim)."""
    image = keras.Input(IMAGE_SHAPE)
    # Half the resolution is enough to tell which image it is: better than all pixels, since less
    # is learned by heart, and a quarter of the arithmetic.
    x = pixels = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(image))
    for units in hidden:
        # Most pixels are 0, so the first layer starts at twice the variance He et al. 2015 advise.
        gain = 4.0 if x is pixels else 2.0
        start = keras.initializers.VarianceScaling(gain)
        x = keras.layers.Dense(units, activation=silu, kernel_initializer=start)(x)

    def code(name):
        # Small at first, so that z starts near N(0, I). The shortcut straight from the pixels,
        # like the decoder's, buys more nats than a wider layer for less time.
        start = keras.initializers.VarianceScaling
        deep = keras.layers.Dense(latent_dim, kernel_initializer=start(0.25))(x)
        shortcut = keras.layers.Dense(latent_dim, kernel_initializer=start(0.1), use_bias=False)
        return keras.layers.Add(name=name)([deep, shortcut(pixels)])

    # A variance without bounds overflows when a single odd image meets a high learning rate.
    z_log_var = keras.ops.clip(code("z_log_var"), -10.0, 4.0)
    return keras.Model(image, [code("z_mean"), z_log_var], name="encoder")


def build_decoder(latent_dim, mean_image, hidden=(256, 448)):
    """Dense decoder: z (batch, latent_dim) -> Bernoulli logits (batch, 28, 28, 1).

    mean_image: (28, 28) in [0, 1], what the decoder draws before it has learned anything.
    """
    z = keras.Input((latent_dim,))
    x = z
    for units in hidden:
        x = keras.layers.Dense(units, activation=silu, kernel_initializer="he_normal")(x)
    pixels = math.prod(IMAGE_SHAPE)
    deep = keras.layers.Dense(pixels, name="logits")
    shortcut = keras.layers.Dense(pixels, use_bias=False)
    logits = keras.layers.Add()([deep(x), shortcut(z)])
    mean = np.clip(mean_image.ravel(), 0.005, 0.995)
    deep.bias.assign(np.log(mean / (1.0 - mean)))
    return keras.Model(z, keras.layers.Reshape(IMAGE_SHAPE)(logits), name="decoder")


@tf.custom_gradient
def bernoulli_nats(logits, pixels):
    """-log p(pixels | logits), Bernoulli, in nats per image: (batch,), summed over all pixels.

    logits, pixels: (batch, 28, 28, 1) float32, pixels in [0, 1].
    Equal to tf.nn.sigmoid_cross_entropy_with_logits, and as stable, since the logarithm is of a
    number in [0.5, 1]; but TensorFlow's CPU kernels compute log and sigmoid several values at a
    time and log1p one by one, and the backward pass needs nothing but the same sigmoid.
    """
    means = tf.sigmoid(logits)
    softplus = tf.nn.relu(logits) - tf.math.log(tf.maximum(means, 1.0 - means))

    def gradient(upstream):
        per_image = tf.reshape(upstream, [-1, 1, 1, 1])
        return per_image * (means - pixels), -per_image * logits

    return tf.reduce_sum(softplus - logits * pixels, axis=[1, 2, 3]), gradient


def side_by_side(function, batch):
    """function(batch), computed for two halves of the batch that do not wait for each other.

    On a processor that is faster than to split every single operation among its cores, which
    have to meet after each. batch: a tensor (batch, ...).
    function: gives a tensor or a tuple of tensors, (batch, ...).
    """
    half = tf.shape(batch)[0] // 2
    parts = function(batch[:half]), function(batch[half:])
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *parts)


def in_batches(function, array, batch_size=2500):
    """function(array) as one NumPy array, computed in batches, two of them at once.

    function: gives a tensor with a row for each row of the batch.
    """

    def compute(start):
        return function(array[start : start + batch_size]).numpy()

    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(compute, range(0, len(array), batch_size))))


@keras.saving.register_keras_serializable("vae")
class VAE(keras.Model):
    """A variational autoencoder whose loss is the negative ELBO in nats per image.

    encoder: images (batch, 28, 28, 1) float32 in [0, 1] -> [z_mean, z_log_var].
    decoder: z (batch, latent_dim) -> Bernoulli logits (batch, 28, 28, 1).
    prior: a layer with kl(z_mean, z_log_var, z) and sample(n), such as the two above.
    """

    def __init__(self, encoder, decoder, prior, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder, self.prior, self.seed = encoder, decoder, prior, seed
        self.sampling = Sampling(seed)
        self.loss_tracker = keras.metrics.Mean("loss")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction_loss")
        self.kl_tracker = keras.metrics.Mean("kl_loss")
        self.built = True

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker]

    def call(self, images):
        """Reconstructions in [0, 1] from z_mean, (batch, 28, 28, 1): the same every time."""
        z_mean, _ = self.encoder(images)
        return self.decode(z_mean)

    def decode(self, z):
        """Images in [0, 1] from latents (batch, latent_dim), (batch, 28, 28, 1)."""
        return keras.ops.sigmoid(self.decoder(z))

    def reconstruct(self, images):
        """-log p(x|z) in nats (batch,) for one sample z of q(z|x), then z_mean, z_log_var and z,
        (batch, latent_dim) each."""
        z_mean, z_log_var = self.encoder(images)
        z = self.sampling([z_mean, z_log_var])
        return bernoulli_nats(self.decoder(z), images), z_mean, z_log_var, z

    def negative_elbo(self, images):
        """The two terms of the negative ELBO from one sample of q(z|x), in nats: (batch,) each."""
        reconstruction, *code = self.reconstruct(images)
        return reconstruction, self.prior.kl(*code)

    def train_step(self, images):
        with tf.GradientTape() as tape:
            reconstruction, *code = side_by_side(self.reconstruct, images)
            kl = self.prior.kl(*code)
            # With several devices their gradients are added up, so each takes its share.
            loss = tf.reduce_mean(reconstruction + kl)
            replicas = self.distribute_strategy.num_replicas_in_sync
            share = loss / replicas
        gradients = tape.gradient(share, self.trainable_weights)
        if replicas > 1:  # equal shares of the whole gradient, so that a clip treats them alike
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self._track(reconstruction, kl)

    def test_step(self, images):
        return self._track(*self.negative_elbo(images))

    def _track(self, reconstruction, kl):
        self.loss_tracker.update_state(reconstruction + kl)
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        return {metric.name: metric.result() for metric in self.metrics}

    def reseed(self, seed):
        """Starts the random generators afresh: what is drawn from here on depends on seed alone,
        not on what was drawn before or on whether the model was trained or loaded."""
        for generator in (self.sampling.seed_generator, self.prior.seed_generator):
            generator.state.assign(np.array([seed, 0], generator.state.dtype))

    def generate(self, n):
        """n images drawn from the prior and decoded, (n, 28, 28) float32 in [0, 1]."""
        return in_batches(self.decode, self.prior.sample(n))[..., 0]

    def get_config(self):
        parts = {"encoder": self.encoder, "decoder": self.decoder, "prior": self.prior}
        serialised = {k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}
        return {**super().get_config(), **serialised, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        for part in ("encoder", "decoder", "prior"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def build_classifier(classes, hidden=(384, 256), dropout=0.2, name="classifier"):
    """Dense classifier (DNN): (batch, 28, 28, 1) in [0, 1] -> logits (batch, classes)."""
    image = keras.Input(IMAGE_SHAPE)
    x = keras.layers.Flatten()(image)
    for units in hidden:
        x = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
    # After every layer it would cost more time, and neither accuracy nor calibration gains.
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=name)


def predict_logits(model, images, batch_size=2500):
    """Logits (n, classes) float32 of images (n, 28, 28), uint8 or float32 in [0, 1]."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0

    def predict(batch):
        return model(batch[..., None].astype("float32") / scale, training=False)

    return in_batches(predict, images, batch_size)
