"""What trained networks say of images: predictions, codes, decoded images, nats."""

import math

import numpy as np
import tensorflow as tf

from trust.train import fast
from trust.train.architectures import models


def as_pixels(images):
    """(n, h, w[, c]) uint8 (0 to 255) or float32 in [0, 1] -> (n, h, w, c) float32 in [0, 1]."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    images = images[..., None] if len(images.shape) == 3 else images
    return tf.cast(images, tf.float32) / scale


def in_batches(function, array, batch_size=1000):
    """function(batch) for all batches of the array, joined: a NumPy array, or a tuple of arrays if
    the function returns several tensors."""
    if not len(array):  # Keras cannot convolve an empty batch
        blank = in_batches(function, np.zeros((1, *array.shape[1:]), array.dtype))
        return tf.nest.map_structure(lambda values: values[:0], blank)
    batches = (array[start : start + batch_size] for start in range(0, len(array), batch_size))
    parts = fast.map_two(function, batches)
    return tf.nest.map_structure(lambda *same: np.concatenate([*map(np.asarray, same)]), *parts)


def predict(model, images):
    """The model's outputs for images (n, h, w[, c]), uint8 or in [0, 1], as NumPy arrays."""
    return in_batches(lambda batch: model(as_pixels(batch), training=False), images)


def encode(vae, images):
    """z_mean and z_log_var, (n, latent_dim) float32 each, of images (n, h, w[, c])."""
    return predict(vae.encoder, images)


def sample_codes(z_mean, z_log_var, rng):
    """z drawn from N(z_mean, exp(z_log_var)), (n, latent_dim) float32.  rng: a
    numpy.random.Generator."""
    return z_mean + np.exp(0.5 * z_log_var) * rng.standard_normal(z_mean.shape, np.float32)


def log_posterior(z, z_mean, z_log_var):
    """log q(z|x) in nats, (n,), of z (n, latent_dim) under N(z_mean, exp(z_log_var))."""
    squares = (z - z_mean) ** 2 / np.exp(z_log_var)
    return -0.5 * np.sum(math.log(2 * math.pi) + z_log_var + squares, axis=1)


def decode(vae, z):
    """Latents (n, latent_dim) -> images (n, h, w) or (n, h, w, 3) float32 in [0, 1]."""
    images = in_batches(vae.decode, z)
    return images[..., 0] if images.shape[3] == 1 else images


def negative_elbo(vae, prior, images, rng):
    """-E_q[log p(x|z) + log p(z) - log q(z|x)] in nats, from one z per image: a float, the mean.

    images: (n, h, w[, c]) uint8.  prior: has log_prob(z).  rng: a numpy.random.Generator.  Both
    terms have weight 1, whatever the sharpness in training.
    """
    z_mean, z_log_var = encode(vae, images)
    z = sample_codes(z_mean, z_log_var, rng)

    def reconstruction(rows):
        pixels, logits = as_pixels(images[rows]), vae.decoder(z[rows])
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=pixels, logits=logits)

    nats = in_batches(reconstruction, np.arange(len(images))).sum(axis=(1, 2, 3))
    return float(np.mean(nats + log_posterior(z, z_mean, z_log_var) - prior.log_prob(z)))


def mean_kl(vae, images):
    """KL(q(z|x) || N(0, I)) in nats, the mean of images (n, h, w[, c]) uint8: a float."""
    return float(np.mean(models.kl_divergence(*encode(vae, images))))


def nats_of_the_mean(seen, images):
    """-log p(x) in nats, the mean of images (n, h, w[, c]) uint8, if the prediction for each pixel
    is its mean over the images `seen`, uint8: a float."""
    mean = np.clip(seen.mean(axis=0) / 255, 1e-3, 1 - 1e-3)
    found = images.mean(axis=0) / 255
    return float(-np.sum(found * np.log(mean) + (1 - found) * np.log1p(-mean)))


def mean_sharpness(vae, images):
    """The sharpness, within the VAE's bound, that follows from images (n, h, w[, c]) uint8 and
    their reconstructions from z_mean: a float, the mean over batches."""

    def sharpness(batch):
        pixels = as_pixels(batch)
        return vae.sharpness(pixels, vae.decoder(vae.encoder(pixels)[0]))[None]

    return float(in_batches(sharpness, images).mean())


def softmax(logits, temperature=1.0):
    """Probabilities of the classes; a temperature above 1 makes them less confident.

    logits: (n, classes) float.  temperature: positive float.
    Returns (n, classes) float64, rows sum to 1.  Guo et al. 2017, eq. 9.
    """
    scaled = np.asarray(logits, dtype=float) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
