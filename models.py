"""The networks, in Keras 3 on TensorFlow: a variational autoencoder and a dense classifier.

Read it top to bottom: the sampling layer, the encoder and the decoder, the VAE that trains them
together, and the classifier.  Images enter as (batch, h, w, c) float32 in [0, 1] and are treated as
Bernoulli means; all losses are in nats per image.  Encoder and classifier subtract the mean of the
pixels, so that dark on light is learned as well as light on dark.
"""

import math

import keras
import tensorflow as tf
from keras import layers

IMAGE_SHAPE = (28, 28, 1)


class Sampling(layers.Layer):
    """z = z_mean + exp(z_log_var / 2) * epsilon, epsilon from N(0, I).

    The reparameterisation of Kingma & Welling 2014, section 2.4.
    Takes [z_mean, z_log_var], both (batch, latent_dim) float32; returns z of the same shape.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(keras.ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + keras.ops.exp(0.5 * z_log_var) * epsilon


def build_encoder(latent_dim, hidden=(512, 256), shape=IMAGE_SHAPE, mean=(0.0,)):
    """Dense encoder: images (batch, *shape) float32 in [0, 1] -> [z_mean, z_log_var], both
    (batch, latent_dim) float32.

    hidden: the units of each layer.  mean: of each channel, subtracted from the pixels.
    """
    image = keras.Input(shape)
    x = layers.Normalization(mean=mean, variance=[1.0] * len(mean))(image)
    # Half the resolution still identifies the image, and needs a quarter of the arithmetic.
    x = layers.AveragePooling2D(2, padding="same")(x) if min(shape[:2]) >= 16 else x
    x = layers.Flatten()(x)
    for units in hidden:
        x = layers.Dense(units, activation="silu", kernel_initializer="he_normal")(x)
    z_mean = layers.Dense(latent_dim, name="z_mean")(x)
    # Without bounds, one unusual image at a high learning rate can make the variance overflow.
    z_log_var = keras.ops.clip(layers.Dense(latent_dim, name="z_log_var")(x), -10.0, 4.0)
    return keras.Model(image, [z_mean, z_log_var], name="encoder")


def build_decoder(latent_dim, hidden=(512, 512), shape=IMAGE_SHAPE):
    """Dense decoder: z (batch, latent_dim) -> Bernoulli logits (batch, *shape), all float32."""
    x = z = keras.Input((latent_dim,))
    for units in hidden:
        x = layers.Dense(units, activation="silu", kernel_initializer="he_normal")(x)
    logits = layers.Dense(math.prod(shape), name="logits")(x)
    return keras.Model(z, layers.Reshape(shape)(logits), name="decoder")


def kl_divergence(z_mean, z_log_var):
    """KL(N(z_mean, exp(z_log_var)) || N(0, I)) in nats, (batch,), of arrays (batch, latent_dim).

    Kingma & Welling 2014, appendix B.
    """
    kl = 0.5 * (tf.exp(z_log_var) + z_mean**2 - 1.0 - z_log_var)
    return tf.reduce_sum(kl, axis=1)


class VAE(keras.Model):
    """A variational autoencoder with the prior N(0, I).

    Training minimises the objective, sharpness * reconstruction + KL.  The reported loss is the
    negative ELBO, where both terms have weight 1.  All are in nats per image.

    encoder: images (batch, h, w, c) float32 in [0, 1] -> [z_mean, z_log_var].
    decoder: z (batch, latent_dim) -> Bernoulli logits (batch, h, w, c).
    most_sharpness: the upper bound of the sharpness, which is estimated from the data; with 1 the
    objective is the negative ELBO itself.
    """

    def __init__(self, encoder, decoder, most_sharpness=1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.most_sharpness = most_sharpness
        self.sampling = Sampling(seed)
        names = ("loss", "reconstruction_loss", "kl_loss", "objective", "sharpness")
        self.trackers = {name: keras.metrics.Mean(name) for name in names}
        self.built = True

    @property
    def metrics(self):
        return list(self.trackers.values())

    def call(self, images):
        """Reconstructions (batch, h, w, c) float32 in [0, 1], from z_mean: the same every time."""
        z_mean, _ = self.encoder(images)
        return self.decode(z_mean)

    def decode(self, z):
        """Latents (batch, latent_dim) -> images (batch, h, w, c) float32 in [0, 1]."""
        return keras.ops.sigmoid(self.decoder(z))

    def forward(self, images):
        """Logits (batch, h, w, c) from one sample of q(z|x), and the two terms of the negative
        ELBO, -log p(x|z) and KL(q(z|x) || N(0, I)): (batch,) each, in nats.

        Kingma & Welling 2014, eq. 10 and appendix B.
        """
        z_mean, z_log_var = self.encoder(images)
        logits = self.decoder(self.sampling([z_mean, z_log_var]))
        nats = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
        reconstruction = tf.reduce_sum(nats, axis=[1, 2, 3])
        return logits, reconstruction, kl_divergence(z_mean, z_log_var)

    def sharpness(self, images, logits):
        """The weight of the reconstruction, a scalar from 1 to most_sharpness, without a gradient.

        A Bernoulli variable with mean p has the variance p (1 - p); a grey pixel has less.  The
        quasi-likelihood (Wedderburn 1974) takes this into account: it multiplies the Bernoulli log
        likelihood by the ratio of the two variances.  The ratio is Pearson's estimate from one
        batch of images and logits (batch, h, w, c).
        """
        means = tf.sigmoid(logits)
        ratio = tf.reduce_mean(means * (1.0 - means)) / tf.reduce_mean((images - means) ** 2)
        return tf.stop_gradient(tf.clip_by_value(ratio, 1.0, self.most_sharpness))

    def train_step(self, images):
        with tf.GradientTape() as tape:
            logits, reconstruction, kl = self.forward(images)
            sharpness = self.sharpness(images, logits)
            objective = sharpness * reconstruction + kl
            # Several devices add up their gradients, so each divides its loss by their number.
            share = tf.reduce_mean(objective) / self.distribute_strategy.num_replicas_in_sync
        gradients = tape.gradient(share, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.track(reconstruction, kl, objective=objective, sharpness=sharpness)

    def test_step(self, images):
        _, reconstruction, kl = self.forward(images)
        return self.track(reconstruction, kl)

    def track(self, reconstruction, kl, **values):
        """Adds a batch to the running means that Keras shows; `loss` is the negative ELBO.

        reconstruction, kl: (batch,) in nats.  Returns {name: mean so far}.
        """
        values |= {"reconstruction_loss": reconstruction, "kl_loss": kl}
        values["loss"] = reconstruction + kl
        for name, value in values.items():
            self.trackers[name].update_state(value)
        return {name: self.trackers[name].result() for name in values}


def build_vae(latent_dim, shape=IMAGE_SHAPE, mean=(0.0,), **settings):
    """A VAE with the encoder and the decoder above; `settings` are passed to VAE."""
    encoder = build_encoder(latent_dim, shape=shape, mean=mean)
    return VAE(encoder, build_decoder(latent_dim, shape=shape), **settings)


def build_classifier(classes, hidden=(384, 256), dropout=0.2, shape=IMAGE_SHAPE, mean=(0.0,)):
    """Dense classifier (DNN): images (batch, *shape) float32 in [0, 1] -> logits (batch, classes).

    hidden, mean: as in build_encoder().  dropout: the rate before the last layer.
    """
    image = keras.Input(shape)
    x = layers.Flatten()(layers.Normalization(mean=mean, variance=[1.0] * len(mean))(image))
    for units in hidden:
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="classifier")
