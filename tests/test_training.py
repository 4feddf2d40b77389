import contextlib
import itertools
import math
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from trust.ask import useful
from trust.data import datasets
from trust.data.images import (
    ImageSet,
    pixels_of,
)
from trust.generator import Generator
from trust.train import inference, loops, priors, trained
from trust.train.architectures import models

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
LABELS = np.arange(100) % 7


def small_vae(seed=0, latent_dim=2, most_sharpness=1.0):
    keras.utils.set_random_seed(seed)
    encoder, decoder = models.build_encoder(latent_dim, (16,)), models.build_decoder(latent_dim, ())
    return models.VAE(encoder, decoder, most_sharpness, seed)


def blobs(count):
    """Images of a soft spot anywhere, (count, 28, 28) uint8: what a small VAE can learn."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(6, 22, (2, count, 1, 1))
    grid = np.arange(28)
    spots = np.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / 20)
    return (255 * spots).astype(np.uint8)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, float)))


@pytest.fixture
def few_steps(monkeypatch):
    """So that a small set is not seen more often than others."""
    monkeypatch.setattr(loops, "LEAST_STEPS", 1)


# Batches


def drawn(images, *others, passes, batch_size=8, seed=0):
    """The rows that shuffled_batches yields until each image had its turn `passes` times, one row
    of the result a pass.  Checks on the way that images are scaled and the others in step."""
    pixels = images / np.float32(255) if images.dtype == np.uint8 else images
    row_of = {image.tobytes(): row for row, image in enumerate(pixels)}
    assert len(row_of) == len(images)
    batches = loops.shuffled_batches(images, *others, batch_size=batch_size, seed=seed)
    rows = []
    for batch in batches.take(math.ceil(passes * len(images) / batch_size)):
        shown, *rest = batch if others else (batch,)
        assert shown.shape == (batch_size, 28, 28, 1) and shown.dtype == tf.float32
        here = [row_of[image.tobytes()] for image in shown.numpy()]
        for array, other in zip(rest, others, strict=True):
            assert np.array_equal(array, other[here])
        rows += here
    return np.reshape(rows[: passes * len(images)], (passes, len(images)))


@pytest.mark.parametrize("batch_size", [8, 150])
@pytest.mark.parametrize("count", [5, 8, 47, 100])
def test_every_pass_has_every_image_once_however_batches_divide_it(count, batch_size):
    passes = drawn(IMAGES[:count], passes=5, batch_size=batch_size)
    assert np.array_equal(np.sort(passes, axis=1), np.tile(np.arange(count), (5, 1)))


def test_every_pass_has_its_own_order_and_the_seed_repeats_them():
    first, again, other = (drawn(IMAGES, passes=3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert len(np.unique(np.concatenate([first, other, [np.arange(100)]]), axis=0)) == 7


def test_what_comes_with_the_images_stays_with_them():
    drawn(IMAGES, LABELS, np.arange(100.0), passes=2)


def test_images_in_zero_to_one_pass_unchanged():
    drawn(np.random.default_rng(1).random((50, 28, 28), np.float32), LABELS[:50], passes=2)


def test_steps_in_an_epoch():
    """At least 100, at least a pass over the images, and whole tens."""
    counts = [1, 256, 25_600, 25_601, 60_000]
    steps = [loops.steps_in_epoch(np.zeros(count), 256) for count in counts]
    assert steps == [100, 100, 100, 110, 240]


@pytest.mark.parametrize("devices", [2, 5, 8])
def test_several_devices_see_as_many_images_in_an_epoch_as_one(devices):
    for count in (1, 5000, 60_000):
        images = np.zeros(count)
        many = loops.steps_in_epoch(images, 256, devices) * devices
        one = loops.steps_in_epoch(images, 256)
        assert one <= many < one + devices


def shifted(images, passes=1, seed=3):
    """What a classifier sees of images (n, 28, 28) float32, in whole batches of 40, while it
    trains: (passes, n, 28, 28)."""
    batches = loops.shuffled_batches(images, np.arange(len(images)), batch_size=40, seed=0)
    shown, rows = zip(*loops.shifted(batches, seed).take(passes * len(images) // 40), strict=True)
    assert all(batch.shape == (40, 28, 28, 1) for batch in shown)
    order = np.concatenate(rows).reshape(passes, -1)
    seen = np.concatenate(shown)[..., 0].reshape(passes, *images.shape)
    return np.stack([part[np.argsort(rows)] for part, rows in zip(seen, order, strict=True)])


@pytest.mark.parametrize("row, column", [(0, 14), (27, 14), (14, 0), (14, 27)])
def test_training_images_do_not_wrap_round_the_edge(row, column):
    images = np.zeros((1000, 28, 28), np.float32)
    images[:, row, column] = 1
    seen = shifted(images)[0].max(axis=0)
    near = np.zeros((28, 28), bool)
    near[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    assert seen[~near].max() < 1e-5
    assert seen[near].min() > 0.3  # every neighbour is reached


def test_training_images_are_shifted_evenly_within_a_pixel_each_way():
    images = np.zeros((2000, 28, 28), np.float32)
    images[:, 10:16, 12:20] = 1
    seen, grid = shifted(images)[0], np.arange(28)
    mass = seen.sum(axis=(1, 2))
    np.testing.assert_allclose(mass, 48, rtol=1e-4)  # nothing of the middle is lost
    down = seen.sum(axis=2) @ grid / mass - 12.5
    right = seen.sum(axis=1) @ grid / mass - 15.5
    for shift in (down, right):
        assert 0.97 < np.abs(shift).max() < 1.001
        assert abs(shift.mean()) < 6 * shift.std() / math.sqrt(2000)
        np.testing.assert_allclose(shift.std(), 1 / np.sqrt(3), atol=0.05)  # uniform in +-1
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.15  # each way for itself


def test_shifts_differ_from_pass_to_pass_and_repeat_with_the_seed():
    images = np.random.default_rng(0).random((40, 28, 28), np.float32)
    first, again, other = (shifted(images, passes=5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    for a, b in itertools.combinations([*first, *other], 2):
        assert not np.any(np.all(a == b, axis=(1, 2)))


# The learning rate


def test_one_cycle_rises_to_the_peak_and_falls_to_zero_in_straight_lines():
    rate = loops.OneCycle(0.8, 100)
    rates = [float(rate(step)) for step in range(102)]
    np.testing.assert_allclose(rates[:5], [0.16, 0.32, 0.48, 0.64, 0.8], atol=1e-6)
    np.testing.assert_allclose(rates[4:101], np.linspace(0.8, 0, 97), atol=1e-6)
    assert rates[101] == 0


def test_one_cycle_warms_up_for_as_long_as_asked():
    rate = loops.OneCycle(0.8, 8, warmup=0.5)
    rates = [float(rate(tf.constant(step, tf.int64))) for step in range(9)]
    expected = [0.2, 0.4, 0.6, 0.8, 0.64, 0.48, 0.32, 0.16, 0]
    np.testing.assert_allclose(rates, expected, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_cycle_works_with_few_steps(steps):
    rate = loops.OneCycle(0.8, steps)
    rates = [float(rate(step)) for step in range(steps)]
    assert min(rates) > 0 and max(rates) == pytest.approx(0.8)


def test_a_seed_gives_each_purpose_random_numbers_of_its_own():
    first, again = (
        [stream.random(50) for stream in loops.make_reproducible(seed)] for seed in (4, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 50 * len(first)
    assert not np.isin(first, [s.random(50) for s in loops.make_reproducible(5)]).any()


def test_the_bound_on_sharpness_grows_with_the_images_from_one():
    bounds = [loops.sharpness_bound(n) for n in (0, 1000, 50_000)]
    assert bounds[0] == 1 and bounds == sorted(bounds)
    assert (bounds[2] - 1) / (bounds[1] - 1) == pytest.approx(50)
    # a whole image weighs the same, however many values it has
    weights = [(loops.sharpness_bound(1000, n) - 1) * n for n in (64, 784, 3072)]
    assert weights == pytest.approx([weights[0]] * 3)


# Training


def test_training_learns_and_reports_nats(few_steps, capsys):
    loops.make_reproducible(0)
    images = blobs(1024)
    vae = small_vae()
    history = loops.train_vae(vae, images, 20, 0.02, seed=0, validation_images=images[:100])
    assert set(history) >= {"loss", "reconstruction_loss", "kl_loss", "val_loss"}
    assert all(len(values) == 20 for values in history.values())
    assert history["loss"][-1] < history["loss"][0] - 5
    assert history["val_loss"][-1] == pytest.approx(history["loss"][-1], rel=0.2)
    prior, rng = priors.StandardNormal(2), np.random.default_rng(0)
    again = inference.negative_elbo(vae, prior, images[:100], rng)
    assert again == pytest.approx(history["val_loss"][-1], rel=0.03)  # another z, same images


def test_a_classifier_learns(few_steps):
    loops.make_reproducible(0)
    images = blobs(1024)
    labels = (images.sum(axis=1).argmax(axis=1) > 13).astype(int)  # left or right
    classifier = models.build_classifier(2, hidden=(16,))
    history = loops.train_classifier(classifier, images / np.float32(255), labels, 0, epochs=10)
    logits = inference.predict(classifier, images)
    assert np.mean(logits.argmax(axis=1) == labels) > 0.9
    assert len(history["loss"]) == 10 and history["loss"][-1] < math.log(2) / 2


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_a_classifier_that_learns_from_probabilities_gives_them_back(few_steps, share):
    loops.make_reproducible(0)
    images = blobs(1024)
    right = images.sum(axis=1).argmax(axis=1) > 13
    targets = np.where(right[:, None], [1 - share, share], [share, 1 - share]).astype(np.float32)
    classifier = models.build_classifier(2, hidden=(16,), dropout=0.0)
    loops.train_classifier(classifier, images, targets, 0, epochs=20, learning_rate=1e-2)
    probabilities = np.exp(inference.predict(classifier, images))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert np.median(probabilities.max(axis=1)) == pytest.approx(share, abs=0.03)
    assert np.mean((probabilities[:, 1] > 0.5) == right) > 0.9


def test_a_classifier_learns_from_shifted_images(few_steps):
    """Of a single lit pixel it is told which of nine neighbours it is at, too."""
    loops.make_reproducible(0)
    images = np.zeros((512, 28, 28), np.uint8)
    images[:256, 14, 14] = 255
    classifier = models.build_classifier(2, hidden=(), dropout=0.0)
    before = classifier.trainable_weights[0].numpy().reshape(28, 28, 2)
    loops.train_classifier(classifier, images, np.arange(512) // 256, 0, epochs=2)
    moved = np.any(classifier.trainable_weights[0].numpy().reshape(28, 28, 2) != before, axis=2)
    assert np.array_equal(np.argwhere(moved), [(i, j) for i in (13, 14, 15) for j in (13, 14, 15)])


def test_small_sets_are_seen_more_often(monkeypatch):
    loops.make_reproducible(0)
    monkeypatch.setattr(loops, "LEAST_STEPS", 70)
    classifier = models.build_classifier(2, hidden=(4,))
    loops.train_classifier(classifier, IMAGES, LABELS % 2, 0, epochs=2)
    assert classifier.optimizer.iterations.numpy() == 140


def test_a_loss_that_is_no_number_stops_the_training_with_a_sentence(few_steps):
    loops.make_reproducible(0)
    with pytest.raises(loops.TrainingError, match=r"epoch [1-5]: try") as caught:
        loops.train_vae(small_vae(), blobs(600), 5, 1e30, seed=0)
    assert "vae" in str(caught.value) and "--learning-rate" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["loss", "objective"])
def test_both_the_loss_and_the_objective_are_watched(name):
    watch = loops.StopOnBadNumbers()
    watch.set_model(models.build_classifier(2, (4,)))
    watch.on_epoch_end(0, {"loss": 1.0})
    watch.on_epoch_end(0, {"loss": 1.0, "objective": 2.0})
    with pytest.raises(loops.TrainingError, match=f"the {name} of .* nan in epoch 3"):
        watch.on_epoch_end(2, {"loss": 1.0, "objective": 2.0} | {name: math.nan})


def test_the_loss_in_the_history_is_the_negative_elbo_without_the_weight(few_steps, monkeypatch):
    monkeypatch.setattr(loops, "COLLAPSED_NATS", 0)
    loops.make_reproducible(0)
    history = loops.train_vae(small_vae(most_sharpness=9.0), blobs(600), 5, 0.02, seed=0)
    found = {name: np.array(values) for name, values in history.items()}
    elbo = found["reconstruction_loss"] + found["kl_loss"]
    np.testing.assert_allclose(found["loss"], elbo, rtol=1e-5)
    assert found["sharpness"][-1] > 1.5 and np.all(found["objective"] > 1.05 * elbo)


LOGGED = """
import numpy as np
from trust import cli
with cli.quiet_tensorflow():
    from trust.data import datasets, checks, splits
    from trust.data.images import ImageSet, Pixels, pixels_of
    from trust.train import referee, loops, inference
loops.make_reproducible(0)
loops.LEAST_STEPS, loops.COLLAPSED_NATS = 20, 0
images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
vae = loops.new_vae(2, pixels_of(images), 200, 0)
loops.train_vae(vae, images, 3, 0.001, 0, images)
network = referee.build_referee(2)
referee.train_referee(network, images, np.arange(200) % 2, 2, 0)
"""


def test_a_log_gets_one_line_of_losses_an_epoch_without_control_codes():
    done = subprocess.run([sys.executable, "-c", LOGGED], cwd=ROOT, check=True, capture_output=True)
    assert not set(b"\x08\r\x1b") & set(done.stdout)
    lines = [line for line in done.stdout.splitlines() if b"loss: " in line]
    assert len(lines) == 3 + 2 and all(line.count(b" loss: ") == 1 for line in lines)


def test_a_terminal_gets_a_moving_bar(monkeypatch):
    monkeypatch.setattr("sys.stdout", type("Terminal", (), {"isatty": lambda self: True})())
    assert loops.progress() == 1


def test_collapsed_latents_stop_the_training_with_a_sentence(few_steps):
    """Images that are all the same leave the latents nothing to say."""
    loops.make_reproducible(0)
    same = np.full((3000, 28, 28), 100, np.uint8)
    with pytest.raises(loops.TrainingError, match=r"collapsed.* mean picture") as caught:
        loops.train_vae(small_vae(), same, 40, 0.02, seed=0)
    assert "--epochs" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_the_same_seed_trains_the_same_bits(few_steps, monkeypatch):
    monkeypatch.setattr(loops, "COLLAPSED_NATS", 0)  # so few steps teach next to nothing

    def weights(seed):
        loops.make_reproducible(seed)
        images = blobs(600)
        vae, classifier = small_vae(seed), models.build_classifier(7, hidden=(16,))
        loops.train_vae(vae, images, 2, 0.01, seed)
        loops.train_classifier(classifier, images, np.arange(600) % 7, seed, epochs=2)
        return [weight.numpy() for weight in vae.trainable_weights + classifier.trainable_weights]

    first, again, other = weights(1), weights(1), weights(2)
    assert all(map(np.array_equal, first, again))
    assert not any(np.any((a == b) & (a != 0)) for a, b in zip(first, other, strict=True))


def test_the_optimizer_is_not_kept_with_the_weights(few_steps, tmp_path):
    loops.make_reproducible(0)
    classifier = models.build_classifier(7, hidden=(128,))
    loops.train_classifier(classifier, IMAGES, LABELS, 0, epochs=1)
    classifier.save_weights(tmp_path / "classifier.weights.h5")
    bytes_of_weights = sum(weights.nbytes for weights in classifier.get_weights())
    assert (tmp_path / "classifier.weights.h5").stat().st_size < 1.2 * bytes_of_weights
    again = models.build_classifier(7, hidden=(128,))
    again.load_weights(tmp_path / "classifier.weights.h5")
    expected = inference.predict(classifier, IMAGES)
    np.testing.assert_array_equal(inference.predict(again, IMAGES), expected)


# What trained networks say


@pytest.mark.parametrize("batch_size", [1, 7, 23, 1000])
def test_batches_are_joined_in_order(batch_size):
    array = np.arange(46).reshape(23, 2)
    doubled = inference.in_batches(lambda batch: tf.constant(2 * batch), array, batch_size)
    np.testing.assert_array_equal(doubled, 2 * array)
    sizes = []

    def both(batch):
        sizes.append(len(batch))
        return tf.constant(batch), tf.reduce_sum(batch, axis=1)

    same, sums = inference.in_batches(both, array, batch_size)
    np.testing.assert_array_equal(same, array)
    np.testing.assert_array_equal(sums, array.sum(axis=1))
    assert max(sizes) == min(batch_size, 23) and sum(sizes) == 23


def test_what_goes_wrong_in_a_batch_is_said():
    def fail(batch):
        raise ValueError(f"{len(batch)} rows")

    with pytest.raises(ValueError, match="2 rows"):
        inference.in_batches(fail, np.zeros((8, 1)), 2)


def test_nothing_in_gives_nothing_out():
    same, sums = inference.in_batches(
        lambda batch: (tf.constant(batch), tf.reduce_sum(batch, axis=1)), np.zeros((0, 3))
    )
    assert same.shape == (0, 3) and sums.shape == (0,)
    assert inference.decode(small_vae(), np.zeros((0, 2), np.float32)).shape == (0, 28, 28)
    assert inference.predict(models.build_classifier(4, (8,)), IMAGES[:0]).shape == (0, 4)


@pytest.mark.parametrize("pixel_type", [np.uint8, np.float32])
def test_predict_is_what_the_model_predicts(pixel_type):
    classifier = models.build_classifier(5, hidden=(16,), dropout=0.5)
    pixels = IMAGES[..., None] / np.float32(255)
    given = IMAGES if pixel_type == np.uint8 else pixels[..., 0]
    logits = inference.predict(classifier, given)
    assert logits.shape == (100, 5) and logits.dtype == np.float32
    expected = classifier.predict(pixels, verbose=0)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_codes_and_images_of_a_vae():
    vae = small_vae()
    z_mean, z_log_var = inference.encode(vae, IMAGES)
    expected_mean, expected_log_var = vae.encoder(IMAGES[..., None] / np.float32(255))
    np.testing.assert_allclose(z_mean, expected_mean, atol=1e-5)
    np.testing.assert_allclose(z_log_var, expected_log_var, atol=1e-5)
    assert z_mean.shape == (100, 2)
    images = inference.decode(vae, z_mean)
    assert images.shape == (100, 28, 28) and images.dtype == np.float32
    np.testing.assert_allclose(images, sigmoid(vae.decoder(z_mean))[..., 0], atol=1e-6)

    z = z_mean + np.exp(z_log_var / 2) * np.random.default_rng(5).standard_normal((100, 2), "f4")
    found = Generator(vae, None).reconstruct(IMAGES, np.random.default_rng(5))
    np.testing.assert_allclose(found, sigmoid(vae.decoder(z))[..., 0], atol=1e-5)


def test_sampled_codes_have_the_moments_of_the_posterior():
    z_mean, z_log_var = np.float32([[1, -2]] * 50_000), np.log(np.float32([[4, 0.25]] * 50_000))
    z = inference.sample_codes(z_mean, z_log_var, np.random.default_rng(0))
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), [1, -2], atol=6 * 2 / math.sqrt(50_000))
    np.testing.assert_allclose(z.std(axis=0), [2, 0.5], rtol=0.02)


def test_halfway_images_lie_between_the_codes_of_two_classes():
    """Codes of class 0 at -1 and of class 1 at 1 on one latent, and of class 2 at 10."""
    level = {0: -1.0, 1: 1.0, 2: 10.0}
    labels = np.arange(60) % 3
    images = np.zeros((60, 28, 28), np.float32)
    images[:, 0, 0] = [level[label] for label in labels]
    vae = models.VAE(keras.Sequential(), keras.Sequential())
    vae.encoder = lambda pixels, training: (pixels[:, 0, :1, 0], pixels[:, 0, :1, 0])
    vae.decode = lambda z: tf.tile(tf.constant(z)[:, None, None], [1, 28, 28, 1])
    found = Generator(vae, None).halfway(ImageSet(images, labels), np.random.default_rng(0))
    assert found.shape[1:] == (28, 28) and 25 < len(found) < 55  # two thirds, about
    assert set(np.unique(found)) == {0, 4.5, 5.5}  # never of a class with itself: -1, 1, 10
    alike = Generator(vae, None).halfway(ImageSet(images, 0 * labels), np.random.default_rng(0))
    assert alike.shape == (0, 28, 28)


def test_mean_sharpness_is_that_of_reconstructions_from_the_mean():
    pixels = IMAGES[..., None] / np.float32(255)
    for most in (1.0, 1000.0):
        vae = small_vae(most_sharpness=most)
        p = sigmoid(vae.decoder(vae.encoder(pixels)[0]))
        ratio = np.mean(p * (1 - p)) / np.mean((pixels - p) ** 2)
        found = inference.mean_sharpness(vae, IMAGES)
        assert found == pytest.approx(np.clip(ratio, 1, most), rel=1e-4)
    assert ratio > 1


@pytest.mark.parametrize("kind", ["normal", "mixture"])
def test_negative_elbo_is_the_integral_over_the_code(kind):
    """One image 4,000 times, one latent: against quadrature on a grid of z, and above -log p(x)."""
    vae = small_vae(latent_dim=1, most_sharpness=9.0)
    image = blobs(1)
    (z_mean,), (z_log_var,) = (part[0] for part in inference.encode(vae, image))
    z = np.linspace(-12, 12, 4001)
    width = z[1] - z[0]
    mixture = priors.GaussianMixture(
        np.array([0.3, 0.7]),
        np.array([[-1.0], [0.8]]),
        np.array([[[0.5]], [[0.2]]]),
        np.zeros(2, int),
    )
    prior = {"normal": priors.StandardNormal(1), "mixture": mixture}[kind]

    def normal(mean, variance):
        return np.exp(-0.5 * (z - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)

    p = normal(0, 1) if kind == "normal" else 0.3 * normal(-1, 0.5) + 0.7 * normal(0.8, 0.2)
    q = normal(z_mean, np.exp(z_log_var))
    logits = vae.decoder(z[:, None].astype(np.float32)).numpy()[..., 0].astype(float)
    x = image / 255
    nats = (x * np.logaddexp(0, -logits) + (1 - x) * np.logaddexp(0, logits)).sum(axis=(1, 2))
    log_ratio = np.log(np.maximum(q, 1e-300)) - np.log(np.maximum(p, 1e-300))
    expected = width * np.sum(q * (nats + log_ratio))
    spread = np.sqrt(width * np.sum(q * (nats + log_ratio - expected) ** 2))

    many = np.repeat(image, 4000, axis=0)
    found = inference.negative_elbo(vae, prior, many, np.random.default_rng(3))
    assert found == pytest.approx(expected, abs=6 * spread / math.sqrt(4000))
    assert 6 * spread / math.sqrt(4000) < 0.02 * expected
    log_likelihood = np.log(width * np.sum(p * np.exp(nats.min() - nats))) - nats.min()
    assert found > -log_likelihood


# Usefulness


def test_usefulness_is_the_accuracy_of_what_was_learned(few_steps):
    images = blobs(1024)
    labels = (images.sum(axis=1).argmax(axis=1) > 13).astype(int)
    test = ImageSet(images[:300], labels[:300])
    right = useful.accuracy_after_training(images, labels, test, 2, seed=0)
    soft = np.eye(2, dtype=np.float32)[labels]
    assert right > 0.8 and useful.accuracy_after_training(images, soft, test, 2, seed=0) > 0.8
    assert useful.accuracy_after_training(images, 1 - labels, test, 2, seed=0) < 0.2
    assert math.isnan(useful.accuracy_after_training(images, 0 * labels, test, 2, seed=0))


# Several devices


def test_the_devices_are_told_in_words(monkeypatch):
    monkeypatch.setattr(loops, "cores", lambda: 2)
    assert loops.devices() == "2 cores, no GPU"
    for count, words in ((1, "1 GPU"), (2, "2 GPUs")):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, n=count: [kind] * n)
        assert loops.devices() == words


def test_one_device_needs_no_strategy():
    with loops.every_device() as scope:
        assert scope is None
        assert not tf.distribute.has_strategy()
    assert isinstance(loops.every_device(), contextlib.nullcontext)


ON_DEVICES = """
import sys
from types import SimpleNamespace
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
from trust.train.architectures import models
from trust.data import datasets, checks, splits
from trust.data.images import ImageSet, Pixels, pixels_of
from trust.train import fast, loops, inference


def listed(kind=None):
    return tf_devices("CPU")[:count] if kind == "GPU" else tf_devices(kind)


def mirrored():
    return strategy(["CPU:0", "CPU:1"])


def in_order(images, *others, batch_size, **_):
    # Keras looks at a batch before it trains on several devices, which then see the next one first.
    pixels = inference.as_pixels(images)
    arrays = (pixels, *others) if others else pixels
    return tf.data.Dataset.from_tensor_slices(arrays).repeat().batch(batch_size)


folder, translate = sys.argv[2], keras.layers.RandomTranslation.call
tf_devices, tf.config.list_logical_devices = tf.config.list_logical_devices, listed
strategy, tf.distribute.MirroredStrategy = tf.distribute.MirroredStrategy, mirrored
loops.shuffled_batches = in_order
loops.LEAST_STEPS = 6
# Unlike Adam, gradient descent sees how long gradients are.
fast.adam = {"SGD": keras.optimizers.SGD, "Adam": fast.FusedAdam}[sys.argv[3]]
for count in (1, 2):
    loops.VAE_BATCH = loops.CLASSIFIER_BATCH = 64 // count
    loops.make_reproducible(3)
    with loops.every_device():
        # Each device draws its own epsilon: a variance of nearly 0 makes that no difference.
        pixels = keras.Input((28, 28, 1))
        x = keras.layers.Flatten()(pixels)
        tiny = keras.initializers.Constant(-60)
        z_log_var = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer=tiny)
        encoder = keras.Model(pixels, [keras.layers.Dense(2)(x), z_log_var(x)])
        vae = models.VAE(encoder, models.build_decoder(2, hidden=(16,)), seed=3)
        classifier = models.build_classifier(5, hidden=(16,), dropout=0)
    assert vae.distribute_strategy.num_replicas_in_sync == count
    assert classifier.distribute_strategy.num_replicas_in_sync == count
    trained = vae.trainable_weights + classifier.trainable_weights
    start = [weight.numpy() for weight in trained]
    images, labels = np.load(sys.argv[1]), np.arange(400) % 5
    history = loops.train_vae(vae, images, 3, 0.002, seed=3)
    keras.layers.RandomTranslation.call = lambda self, images, training=True: images
    classified = loops.train_classifier(classifier, images, labels, 3, 3, learning_rate=0.05)
    history |= {f"classifier {name}": values for name, values in classified.items()}

    vae.save_weights(f"{folder}/vae {count}.weights.h5")
    np.savez(
        f"{folder}/found {count}.npz",
        z_mean=inference.encode(vae, images)[0],
        logits=inference.predict(classifier, images),
        images=inference.decode(vae, np.ones((5, 2), np.float32)),
        sharpness_of_all=inference.mean_sharpness(vae, images),
        **history,
        **{f"weight {i}": weight.numpy() for i, weight in enumerate(trained)},
        **{f"start {i}": weight for i, weight in enumerate(start)},
    )
    keras.layers.RandomTranslation.call = translate  # random, so no two runs are alike
    loops.CLASSIFIER_BATCH, loops.LEAST_STEPS = 32, 20
    loss = loops.train_classifier(classifier, images, labels, 3, 2)["loss"]
    assert np.all(np.isfinite(loss))
    assert int(classifier.optimizer.iterations.numpy()) * count == 40  # the same passes

    pixels = pixels_of(images)
    built = loops.new_vae(2, pixels, 400, 3), loops.new_classifier(5, pixels)
    assert all(model.distribute_strategy.num_replicas_in_sync == count for model in built)
"""


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_two_devices_train_as_one_does(tmp_path, optimizer):
    """In a process of its own: its devices are settled before TensorFlow starts."""
    np.save(tmp_path / "images.npy", blobs(400))
    arguments = [sys.executable, "-c", ON_DEVICES, tmp_path / "images.npy", tmp_path, optimizer]
    subprocess.run(arguments, cwd=ROOT, check=True, timeout=600)
    one, two = (dict(np.load(tmp_path / f"found {count}.npz")) for count in (1, 2))
    assert {"loss", "kl_loss", "reconstruction_loss", "classifier loss", "weight 0"} <= set(one)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-3, err_msg=name)
    weights = [name for name in one if name.startswith("weight")]
    moved = [np.abs(one[name] - one[name.replace("weight", "start")]).max() for name in weights]
    assert np.mean(np.array(moved) > 0.003) > 0.6  # both have trained, and in the same way


def test_still_images_stay_where_they_are():
    """Two classes that differ by where a column stands: by half a pixel of what a shift may do."""
    images = np.zeros((1000, 28, 28), np.uint8)
    labels = np.arange(1000) % 2
    images[np.arange(1000), :, 13 + labels] = 255
    found = {}
    for train in loops.train_on_still_images, loops.train_classifier:
        keras.utils.set_random_seed(0)
        classifier = loops.new_classifier(2, pixels_of(images))
        found[train] = train(classifier, images, labels, seed=0, epochs=1)["loss"][-1]
    assert found[loops.train_on_still_images] < 0.1 < found[loops.train_classifier]


def test_the_nats_of_the_mean_picture_are_those_of_pixels_with_its_probabilities():
    rng = np.random.default_rng(2)
    seen, images = (rng.integers(0, 256, (n, 8, 8), dtype=np.uint8) for n in (40, 7))
    mean = seen.mean(axis=0) / 255
    pixels = images / 255
    by_hand = -(pixels * np.log(mean) + (1 - pixels) * np.log(1 - mean)).sum(axis=(1, 2)).mean()
    assert inference.nats_of_the_mean(seen, images) == pytest.approx(by_hand)
    assert np.isfinite(inference.nats_of_the_mean(0 * seen, images))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"negative_elbo_normal": 900.0}, ["explains test images no better than the mean"]),
        # sharp codes: 60 of 120 nats are KL, which the reconstruction's weight pays for
        ({"negative_elbo_normal": 120.0, "kl": 60.0, "sharpness": 20.0}, []),
        ({"negative_elbo_normal": 120.0, "kl": 60.0}, ["no better than the mean"]),
        ({"classifier_test_accuracy": 0.3}, ["30.0% of the test images, no better than chance"]),
        ({"temperature": 100.0}, ["the temperature, 100, is at its bound"]),
        ({"accepted": 0}, ["no generated image passes the filter"]),
        ({"class_names": ("a", "b", "犬")}, ["cannot show the name 犬"]),
    ],
)
def test_a_failed_training_is_told(change, said):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (90, 12, 12), dtype=np.uint8)
    labelled = ImageSet(images, np.arange(90) % 3)
    names = change.get("class_names", ("a", "b", "c"))
    data = datasets.Dataset("d", "", labelled, labelled, names, "", False)
    run = {"negative_elbo_normal": 60.0, "classifier_test_accuracy": 0.9, "sharpness": 1.0} | change
    code = np.full((90, 2), change.get("kl", 0.0) ** 0.5, np.float32)  # two latents of variance 1
    vae = SimpleNamespace(encoder=lambda images, training: (code, 0 * code))
    flags = change.get("temperature", 1.2), change.get("accepted", 9)
    found = trained.warn(vae, run, data, *flags)
    assert len(found) == len(said)
    for sentence, word in zip(found, said, strict=True):
        assert word in sentence


def test_the_kl_is_keras_own():
    vae, images = small_vae(), blobs(300)
    vae.compile()
    expected = vae.evaluate(inference.as_pixels(images), verbose=0, return_dict=True)["kl_loss"]
    assert inference.mean_kl(vae, images) == pytest.approx(expected, rel=1e-4)


def test_dark_on_light_is_learned_as_light_on_dark():
    data = datasets.load_dataset("mnist")
    accuracy = []
    for flip in (0, 255):
        train, test = (
            np.abs(flip - each.astype(int)).astype(np.uint8)
            for each in (data.train.images[:3000], data.test.images[:2000])
        )
        loops.make_reproducible(0)
        classifier = loops.new_classifier(10, pixels_of(train))
        loops.train_classifier(classifier, train, data.train.labels[:3000], 0)
        found = inference.predict(classifier, test).argmax(axis=1)
        accuracy.append(np.mean(found == data.test.labels[:2000]))
    assert abs(accuracy[0] - accuracy[1]) < 0.01 and min(accuracy) > 0.9
