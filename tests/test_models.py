import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from trust.train import fast
from trust.train.architectures import models

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 28, 28, 1), np.float32)


def small_vae(most_sharpness=1.0, seed=7, kind=models.VAE):
    keras.utils.set_random_seed(seed)
    encoder, decoder = models.build_encoder(3, (16,)), models.build_decoder(3, (16,))
    return kind(encoder, decoder, most_sharpness, seed)


def assert_mean(values, expected):
    """The mean of the values is the expected one, but for six standard errors."""
    error = 6 * np.std(values, axis=0) / np.sqrt(len(values))
    assert np.all(np.abs(np.mean(values, axis=0) - expected) <= error)
    assert np.all(error < 0.15)


def cross_entropy(logits, pixels):
    """Nats per image in float64, by the definition: -x log p - (1 - x) log(1 - p)."""
    logits, pixels = logits.astype(float), pixels.astype(float)
    nats = pixels * np.logaddexp(0, -logits) + (1 - pixels) * np.logaddexp(0, logits)
    return nats.sum(axis=(1, 2, 3))


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, float)))


# Sampling


def test_sampling_has_the_mean_and_the_variance_asked_for():
    z_mean = np.tile(np.float32([1, -2, 0]), (100_000, 1))
    z_log_var = np.tile(np.log(np.float32([4, 0.25, 1])), (100_000, 1))
    z = models.Sampling(seed=1)([z_mean, z_log_var]).numpy()
    assert_mean(z, [1, -2, 0])
    assert_mean((z - z_mean) ** 2, [4, 0.25, 1])
    assert_mean((z[:, 0] - 1) * (z[:, 1] + 2), 0)


def test_sampling_draws_anew_and_repeats_with_the_seed():
    where = [np.zeros((2, 3), np.float32)] * 2
    first, second = models.Sampling(seed=1), models.Sampling(seed=1)
    draws = [first(where).numpy() for _ in range(3)]
    assert not np.any(draws[0] == draws[1]) and not np.any(draws[0][0] == draws[0][1])
    assert np.array_equal(draws, [second(where).numpy() for _ in range(3)])
    assert not np.any(draws[0] == models.Sampling(seed=2)(where).numpy())


# The networks


def test_encoder_gives_a_mean_and_a_log_variance_for_every_latent():
    z_mean, z_log_var = models.build_encoder(3, hidden=(16, 8))(IMAGES)
    assert z_mean.shape == z_log_var.shape == (12, 3)
    assert len(np.unique(z_mean)) == len(np.unique(z_log_var)) == 36
    assert not np.any(z_mean == z_log_var)


def test_codes_stay_finite_whatever_the_weights():
    encoder = models.build_encoder(3, hidden=(16,))
    for weight in encoder.trainable_weights:
        weight.assign(1e3 * weight)
    z_mean, z_log_var = encoder(IMAGES)
    assert np.ptp(z_mean) > 1e3  # or the weights were too tame to prove anything
    assert np.all(np.isfinite(models.Sampling(seed=0)([z_mean, z_log_var])))
    assert 0 < np.exp(z_log_var).min() and np.exp(z_log_var).max() < 100


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_decoder_gives_a_logit_for_every_pixel(latent_dim):
    logits = models.build_decoder(latent_dim, (16,))(RNG.normal(size=(5, latent_dim))).numpy()
    assert logits.shape == (5, 28, 28, 1)
    assert logits.min() < 0 < logits.max()
    assert len(np.unique(logits)) > 3000  # no pixel is another's


# The classifier


def test_classifier_gives_unnormalised_logits():
    logits = models.build_classifier(7, hidden=(16,))(IMAGES).numpy()
    assert logits.shape == (12, 7)
    assert logits.min() < 0 and np.abs(np.exp(logits).sum(axis=1) - 1).max() > 0.01


def test_inference_drops_nothing():
    classifier = models.build_classifier(3, hidden=(8,), dropout=0.5)
    x = IMAGES.reshape(12, 784)
    kernels = [weight.numpy() for weight in classifier.trainable_weights]
    hidden = np.maximum(x @ kernels[0] + kernels[1], 0)
    expected = hidden @ kernels[2] + kernels[3]
    for _ in range(2):
        np.testing.assert_allclose(classifier(IMAGES, training=False), expected, atol=1e-5)
    assert np.abs(classifier(IMAGES, training=True) - expected).max() > 0.01


# The VAE's two terms


def test_kl_is_the_closed_form_between_two_normals():
    """Against the general formula, KL(N(m, S) || N(0, I)) with matrices."""
    mean, log_var = RNG.normal(0, 2, (20, 4)), RNG.normal(0, 1, (20, 4))
    expected = [
        (np.trace(np.diag(np.exp(v))) + m @ m - 4 - np.log(np.linalg.det(np.diag(np.exp(v))))) / 2
        for m, v in zip(mean, log_var, strict=True)
    ]
    codes = [tf.constant(array, tf.float32) for array in (mean, log_var)]
    vae = models.VAE(lambda images: codes, lambda z: tf.zeros((20, 28, 28, 1)))
    _, _, kl = vae.forward(np.zeros((20, 28, 28, 1), np.float32))
    np.testing.assert_allclose(kl, expected, rtol=1e-4)


def test_kl_is_what_a_monte_carlo_estimate_says():
    mean, log_var = np.array([0.5, -1, 2]), np.array([-1, 0.3, -0.5])
    codes = [tf.constant(array[None], tf.float32) for array in (mean, log_var)]
    vae = models.VAE(lambda images: codes, lambda z: tf.zeros((1, 28, 28, 1)))
    _, _, kl = vae.forward(np.zeros((1, 28, 28, 1), np.float32))
    z = mean + np.exp(log_var / 2) * np.random.default_rng(1).normal(size=(400_000, 3))
    log_q = -0.5 * (np.log(2 * np.pi) + log_var + (z - mean) ** 2 / np.exp(log_var)).sum(axis=1)
    log_p = -0.5 * (np.log(2 * np.pi) + z**2).sum(axis=1)
    assert_mean(log_q - log_p, float(kl[0]))


def test_reconstruction_is_the_bernoulli_cross_entropy_of_a_sample_of_the_code():
    """Every pair of an ordinary or extreme logit and a black, white or grey pixel, and noise."""
    pairs = np.meshgrid([-100, -30, -1, -1e-4, 0, 1e-4, 1, 30, 100], [0, 1e-3, 0.5, 0.9, 1])
    logits, pixels = RNG.normal(0, 5, (4, 28, 28, 1)), RNG.random((4, 28, 28, 1))
    for array, corner in zip((logits, pixels), pairs, strict=True):
        array[0, : corner.shape[0], : corner.shape[1], 0] = corner
    logits, pixels = logits.astype(np.float32), pixels.astype(np.float32)
    codes = [tf.ones((4, 2)), tf.zeros((4, 2))]
    decoded = []
    vae = models.VAE(lambda images: codes, lambda z: decoded.append(z) or tf.constant(logits))
    same, reconstruction, _ = vae.forward(pixels)
    np.testing.assert_array_equal(same, logits)
    np.testing.assert_allclose(reconstruction, cross_entropy(logits, pixels), rtol=1e-5)
    assert np.ptp(decoded[0]) > 0.1  # not the mean of the code, which is 1 everywhere


# Sharpness


@pytest.mark.parametrize("factor", [3.0, 6.0])
def test_sharpness_is_the_dispersion_of_the_pixels(factor):
    """Beta variables of mean p and a + b = factor - 1 have variance p (1 - p) / factor."""
    p = RNG.uniform(0.1, 0.9, (200, 28, 28, 1))
    pixels = RNG.beta(p * (factor - 1), (1 - p) * (factor - 1)).astype(np.float32)
    logits = np.log(p / (1 - p)).astype(np.float32)
    found = float(small_vae(most_sharpness=100.0).sharpness(pixels, logits))
    assert found == pytest.approx(factor, rel=0.02)
    exact = np.mean(p * (1 - p)) / np.mean((pixels - p) ** 2)
    assert found == pytest.approx(exact, rel=1e-4)
    for most in (1.0, 2.5):
        assert float(small_vae(most_sharpness=most).sharpness(pixels, logits)) == most


def test_sharpness_of_coins_is_one_and_never_less():
    p = RNG.uniform(0.1, 0.9, (200, 28, 28, 1))
    coins = (RNG.random(p.shape) < p).astype(np.float32)
    logits = np.log(p / (1 - p)).astype(np.float32)
    vae = small_vae(most_sharpness=100.0)
    assert float(vae.sharpness(coins, logits)) == pytest.approx(1, abs=0.02)
    assert float(vae.sharpness(coins, -logits)) == 1  # means far off: the ratio is below 1
    still = np.full_like(coins, 0.5)
    assert float(vae.sharpness(still, np.zeros_like(coins))) == 100  # no scatter at all


# Training


@pytest.mark.parametrize("most_sharpness", [1.0, 100.0])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind, parts", [(models.VAE, 1), (fast.SideBySideVAE, 2)])
def test_train_step_follows_the_gradient_of_the_objective(most_sharpness, compiled, kind, parts):
    """One step of plain gradient descent against a loss written down anew, the sharpness in it a
    constant from NumPy.  Images are not far from what the VAE draws, so that it is above 1."""
    vae = small_vae(most_sharpness, kind=kind)
    images = (vae(IMAGES).numpy() + IMAGES) / 2
    before = [weight.numpy() for weight in vae.trainable_weights]
    with tf.GradientTape() as tape:
        z_mean, z_log_var = vae.encoder(images)
        sampling, zeros = models.Sampling(seed=7), [tf.zeros((12 // parts, 3))] * 2
        epsilon = tf.concat([sampling(zeros) for _ in range(parts)], axis=0)
        logits = vae.decoder(z_mean + tf.sqrt(tf.exp(z_log_var)) * epsilon)
        p = sigmoid(logits)
        ratio = np.mean(p * (1 - p)) / np.mean((images - p) ** 2)
        weight = np.clip(ratio, 1, most_sharpness)
        nats = images * tf.nn.softplus(-logits) + (1 - images) * tf.nn.softplus(logits)
        reconstruction = tf.reduce_sum(nats, axis=[1, 2, 3])
        kl = tf.reduce_sum(tf.exp(z_log_var) + z_mean**2 - 1 - z_log_var, axis=1) / 2
        loss = tf.reduce_mean(tf.constant(weight, tf.float32) * reconstruction + kl)
    gradients = tape.gradient(loss, vae.trainable_weights)
    assert 1.5 < weight < 99 or most_sharpness == 1

    vae.compile(keras.optimizers.SGD(1e-4), run_eagerly=not compiled)
    logs = vae.fit(images, batch_size=12, shuffle=False, verbose=0).history
    assert logs["sharpness"] == pytest.approx([weight], rel=1e-4)
    assert logs["reconstruction_loss"] == pytest.approx([np.mean(reconstruction)], rel=1e-5)
    assert logs["kl_loss"] == pytest.approx([np.mean(kl)], rel=1e-4)
    assert logs["objective"] == pytest.approx([float(loss)], rel=1e-4)
    elbo = np.mean(reconstruction) + np.mean(kl)  # whatever the weight
    assert logs["loss"] == pytest.approx([elbo], rel=1e-5)
    for variable, old, gradient in zip(vae.trainable_weights, before, gradients, strict=True):
        size = np.abs(gradient).max()
        assert size > 0
        step = (old - variable.numpy()) / 1e-4
        np.testing.assert_allclose(step, gradient, atol=1e-3 * size + 2e-3 * np.abs(old).max())


@pytest.mark.parametrize("kind", [models.VAE, fast.SideBySideVAE])
@pytest.mark.parametrize("most_sharpness", [1.0, 50.0])
def test_evaluation_is_the_negative_elbo_whatever_the_sharpness(most_sharpness, kind):
    vae = small_vae(most_sharpness, kind=kind)
    vae.compile()
    before = [weight.numpy() for weight in vae.trainable_weights]
    images = tf.data.Dataset.from_tensor_slices(IMAGES).batch(6)
    logs = vae.evaluate(images, verbose=0, return_dict=True)
    for old, weight in zip(before, vae.trainable_weights, strict=True):
        assert np.array_equal(old, weight.numpy())

    sampling, terms = models.Sampling(seed=7), []
    for batch in (IMAGES[:6], IMAGES[6:]):
        z_mean, z_log_var = vae.encoder(batch)
        reconstruction = cross_entropy(vae.decoder(sampling([z_mean, z_log_var])).numpy(), batch)
        kl = np.sum(np.exp(z_log_var) + z_mean.numpy() ** 2 - 1 - z_log_var.numpy(), axis=1) / 2
        terms.append([reconstruction, kl])
    reconstruction, kl = np.concatenate(terms, axis=1)
    assert logs["reconstruction_loss"] == pytest.approx(reconstruction.mean(), rel=1e-5)
    assert logs["kl_loss"] == pytest.approx(kl.mean(), rel=1e-4)
    assert logs["loss"] == pytest.approx((reconstruction + kl).mean(), rel=1e-5)


# What comes out


def test_reconstructions_are_decoded_from_the_mean():
    vae = small_vae()
    z_mean, _ = vae.encoder(IMAGES)
    expected = sigmoid(vae.decoder(z_mean))
    for _ in range(2):
        np.testing.assert_allclose(vae(IMAGES), expected, rtol=1e-4)
    np.testing.assert_allclose(vae.decode(z_mean), expected, rtol=1e-4)


def test_images_stay_between_zero_and_one_when_logits_saturate():
    vae = small_vae()
    for weight in vae.decoder.trainable_weights:
        weight.assign(1e4 * weight)
    images = vae.decode(RNG.normal(size=(50, 3))).numpy()
    assert images.min() == 0 and images.max() == 1


def test_weights_on_disk_are_those_of_the_vae(tmp_path):
    vae, other = small_vae(seed=1), small_vae(seed=2)
    for weight in vae.trainable_weights:
        weight.assign(2 * weight + 1)
    vae.save_weights(tmp_path / "vae.weights.h5")
    assert not np.array_equal(vae(IMAGES), other(IMAGES))
    other.load_weights(tmp_path / "vae.weights.h5")
    assert np.array_equal(vae(IMAGES), other(IMAGES))
    for ours, theirs in zip(vae.encoder(IMAGES), other.encoder(IMAGES), strict=True):
        assert np.array_equal(ours, theirs)


def test_the_vae_of_the_scripts_has_the_latents_asked_for():
    vae = models.build_vae(5, most_sharpness=3.0, seed=0)
    z_mean, _ = vae.encoder(IMAGES[:2])
    assert z_mean.shape == (2, 5) and vae(IMAGES[:2]).shape == (2, 28, 28, 1)
    assert vae.most_sharpness == 3 and models.build_vae(2).most_sharpness == 1


def test_networks_take_the_shape_of_the_images_and_subtract_their_mean():
    images = RNG.random((4, 9, 12, 3), np.float32)
    mean = (0.2, 0.5, 0.9)
    vae = models.build_vae(2, shape=(9, 12, 3), mean=mean)
    assert vae(images).shape == images.shape
    centred = models.build_encoder(2, (16,), (9, 12, 3))
    encoder = models.build_encoder(2, (16,), (9, 12, 3), mean)
    encoder.set_weights(centred.get_weights())
    for ours, theirs in zip(encoder(images), centred(images - np.float32(mean)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    plain = models.build_classifier(3, (8,), 0, (9, 12, 3))
    classifier = models.build_classifier(3, (8,), 0, (9, 12, 3), mean)
    classifier.set_weights(plain.get_weights())
    np.testing.assert_allclose(classifier(images), plain(images - np.float32(mean)), atol=1e-5)


# Beside the code of others

USED = """
import sys

sys.path[:0] = [sys.argv[1], sys.argv[2]]
from trust.generator import load_generator
import trust.examination
import models
from trust.train import architectures

print(models.own, architectures.models.__file__, load_generator.__name__)
"""


def test_a_project_with_a_models_py_of_its_own_can_use_this_one(tmp_path):
    (tmp_path / "models.py").write_text("own = 'yes'")
    command = [sys.executable, "-c", USED, tmp_path, ROOT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["yes", str(ROOT / "models.py"), "load_generator"]
