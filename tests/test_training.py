import contextlib
import io
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

from trust import plan
from trust.ask import networks, useful
from trust.data.datasets import Dataset, load_dataset
from trust.data.images import ImageSet, pixels_of
from trust.generator import Generator
from trust.train import fast, inference, loops, priors, referee
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


def left_or_right(images):
    """Which half of each image the spot is in, (n,) bool."""
    return images.sum(axis=1).argmax(axis=1) > 13


@contextlib.contextmanager
def small_steps(least=1, size=64):
    """Training steps of `size` images, and at least so many steps an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "LEAST_STEPS", least)
        patch.setattr(loops, "LEAST_STILL_STEPS", max(least, loops.LEAST_STILL_STEPS))
        patch.setattr(loops, "VAE_BATCH", size)
        patch.setattr(loops, "CLASSIFIER_BATCH", size)
        yield


@pytest.fixture
def few_steps():
    with small_steps():
        yield


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


def test_an_epoch_over_few_still_images_has_a_few_passes():
    """Five, in whole tens of steps, but 10 steps at least; as many as ever from 4,609 images on."""
    counts = [1, 200, 1024, 1025, 2560, 4608, 4609, 25_600, 25_601]
    steps = [loops.steps_in_epoch(np.zeros(count), 256, passes=5) for count in counts]
    assert steps == [10, 10, 20, 30, 50, 90, 100, 100, 110]


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


def test_training_images_do_not_wrap_round_the_edge():
    images, spots = np.zeros((1600, 28, 28), np.float32), [(0, 14), (27, 14), (14, 0), (14, 27)]
    for place, (row, column) in enumerate(spots):
        images[place::4, row, column] = 1
    seen = shifted(images)[0]
    for place, (row, column) in enumerate(spots):
        brightest, near = seen[place::4].max(axis=0), np.zeros((28, 28), bool)
        near[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
        assert brightest[~near].max() < 1e-5
        assert brightest[near].min() > 0.3  # every neighbour is reached


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
    first, again = ([stream.random(50) for stream in plan.new_streams(seed)] for seed in (4, 4))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 50 * len(first)
    assert not np.isin(first, [stream.random(50) for stream in plan.new_streams(5)]).any()


def test_the_bound_on_sharpness_grows_with_the_images_from_one():
    bounds = [loops.sharpness_bound(n) for n in (0, 1000, 50_000)]
    assert bounds[0] == 1 and bounds == sorted(bounds)
    assert (bounds[2] - 1) / (bounds[1] - 1) == pytest.approx(50)
    # a whole image weighs the same, however many values it has
    weights = [(loops.sharpness_bound(1000, n) - 1) * n for n in (64, 784, 3072)]
    assert weights == pytest.approx([weights[0]] * 3)


# Training


SPOTS = blobs(1024)
EPOCHS, LEAST = 12, 30  # without a least number, these images would take 20 steps an epoch


def learn(seed):
    """A VAE and a classifier of spots, with their histories and what was printed."""
    loops.make_reproducible(seed)
    encoder, decoder = models.build_encoder(2, (16,)), models.build_decoder(2, ())
    vae, classifier = models.VAE(encoder, decoder, 9.0, seed), models.build_classifier(2, (128,))
    printed = io.StringIO()
    with small_steps(LEAST), contextlib.redirect_stdout(printed):
        history = loops.train_vae(vae, SPOTS, EPOCHS, 0.02, seed, validation_images=SPOTS[:100])
        labels = left_or_right(SPOTS).astype(int)
        losses = loops.train_classifier(classifier, SPOTS / np.float32(255), labels, seed)
    return SimpleNamespace(
        vae=vae,
        classifier=classifier,
        history={name: np.array(values) for name, values in history.items()},
        losses=losses["loss"],
        printed=printed.getvalue(),
        weights=[weight.numpy() for weight in vae.trainable_weights + classifier.trainable_weights],
    )


@pytest.fixture(scope="module")
def learned():
    return learn(1)


def test_training_learns_and_reports_nats(learned):
    history, images = learned.history, SPOTS[:100]
    assert all(len(history[name]) == EPOCHS for name in ("loss", "reconstruction_loss", "kl_loss"))
    assert history["loss"][-1] < history["loss"][0] - 5
    assert history["val_loss"][-1] == pytest.approx(history["loss"][-1], rel=0.2)
    prior, rng = priors.StandardNormal(2), np.random.default_rng(0)
    again = inference.negative_elbo(learned.vae, prior, images, rng)
    assert again == pytest.approx(history["val_loss"][-1], rel=0.03)  # another z, same images


def test_a_classifier_learns(learned):
    logits = inference.predict(learned.classifier, SPOTS)
    assert np.mean(logits.argmax(axis=1) == left_or_right(SPOTS)) > 0.9
    assert len(learned.losses) == 5 and learned.losses[-1] < math.log(2) / 2


def test_small_sets_are_seen_more_often(learned):
    assert learned.vae.optimizer.iterations.numpy() == EPOCHS * LEAST
    assert learned.classifier.optimizer.iterations.numpy() == 5 * LEAST


def test_the_loss_in_the_history_is_the_negative_elbo_without_the_weight(learned):
    found = learned.history
    elbo = found["reconstruction_loss"] + found["kl_loss"]
    np.testing.assert_allclose(found["loss"], elbo, rtol=1e-5)
    assert found["sharpness"][-1] > 1.5 and np.all(found["objective"] > 1.05 * elbo)


def test_a_log_gets_one_line_of_losses_an_epoch_without_control_codes(learned):
    assert not set("\x08\r\x1b") & set(learned.printed)
    lines = [line for line in learned.printed.splitlines() if "loss: " in line]
    assert len(lines) == EPOCHS and all(line.count(" loss: ") == 1 for line in lines)


def test_the_same_seed_trains_the_same_bits(learned):
    again, other = learn(1), learn(2)
    assert all(map(np.array_equal, learned.weights, again.weights))
    for a, b in zip(learned.weights, other.weights, strict=True):
        assert not np.any((a == b) & (a != 0))


def test_the_optimizer_is_not_kept_with_the_weights(learned, tmp_path):
    file = tmp_path / "classifier.weights.h5"
    learned.classifier.save_weights(file)
    assert file.stat().st_size < 1.2 * sum(each.nbytes for each in learned.classifier.get_weights())
    again = models.build_classifier(2, (128,))
    again.load_weights(file)
    expected = inference.predict(learned.classifier, SPOTS)
    np.testing.assert_array_equal(inference.predict(again, SPOTS), expected)


def test_a_classifier_that_learns_from_probabilities_gives_them_back(few_steps):
    """It is told that half of the images are class 1, and others class 0 with three quarters."""
    loops.make_reproducible(0)
    right = left_or_right(SPOTS)
    targets = np.where(right[:, None], [0, 1], [0.75, 0.25]).astype(np.float32)
    classifier = models.build_classifier(2, hidden=(16,), dropout=0.0)
    loops.train_classifier(classifier, SPOTS, targets, 0, epochs=20, learning_rate=1e-2)
    probabilities = inference.softmax(inference.predict(classifier, SPOTS))
    assert np.median(probabilities[right, 1]) == pytest.approx(1, abs=0.03)
    assert np.median(probabilities[~right, 1]) == pytest.approx(0.25, abs=0.03)
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


def test_a_terminal_gets_a_moving_bar(monkeypatch):
    monkeypatch.setattr("sys.stdout", type("Terminal", (), {"isatty": lambda self: True})())
    assert loops.progress() == 1


def test_collapsed_latents_stop_the_training_with_a_sentence(few_steps):
    """Images that are all the same leave the latents nothing to say."""
    loops.make_reproducible(0)
    same = np.full((640, 28, 28), 100, np.uint8)
    with pytest.raises(loops.TrainingError, match=r"collapsed.* mean picture") as caught:
        loops.train_vae(small_vae(), same, 30, 0.02, seed=0)
    assert "--epochs" in str(caught.value) and len(str(caught.value).splitlines()) == 1


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


def test_usefulness_is_the_accuracy_on_test_images_of_what_was_learned(few_steps):
    """A third of the test labels are wrong, so two thirds is the most that it may find."""
    labels = left_or_right(SPOTS).astype(int)
    test = ImageSet(SPOTS[:300], np.where(np.arange(300) % 3, labels[:300], 1 - labels[:300]))
    reference = SimpleNamespace(test=test, classes=2, seed=0, bench=fast.Workbench())
    for targets in (labels, np.eye(2, dtype=np.float32)[labels]):
        found = useful.right_after_training(SPOTS, targets, reference)
        assert found.shape == (300,) and set(found) == {0, 1}
        # right where the label is that of the image, wrong where it was exchanged
        assert np.mean(found == (test.labels == labels[:300])) > 0.97
    assert np.isnan(useful.right_after_training(SPOTS, 0 * labels, reference)).all()


# Several devices


def test_the_devices_are_told_in_words(monkeypatch):
    monkeypatch.setattr(loops, "cores", lambda: 2)
    assert loops.devices() == "2 cores, no GPU"
    for count, words in ((1, "1 GPU"), (2, "2 GPUs")):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, n=count: [kind] * n)
        assert loops.devices() == words


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_several_devices_and_no_fewer_share_a_network(monkeypatch, count):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind] * count)
    with loops.every_device():
        assert tf.distribute.has_strategy() == (count > 1)


def networks_without_chance(seed=3):
    """A VAE whose codes vary by next to nothing, and a classifier that drops nothing: on two
    devices they see what they would on one."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(pixels)
    tiny = keras.initializers.Constant(-60)
    z_log_var = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer=tiny)
    encoder = keras.Model(pixels, [keras.layers.Dense(2)(x), z_log_var(x)])
    vae = models.VAE(encoder, models.build_decoder(2, hidden=(16,)), seed=seed)
    return vae, models.build_classifier(5, hidden=(16,), dropout=0)


def learn_on(count):
    """{name: array} of networks trained on so many of the CPU's devices, taken for GPUs.  A batch
    is the whole set, so that the order of the images makes no difference."""
    strategy = tf.distribute.MirroredStrategy([f"CPU:{place}" for place in range(count)])
    loops.every_device = strategy.scope
    images, labels = blobs(64), np.arange(64) % 5
    with loops.every_device():
        (vae, classifier), (plain, _) = networks_without_chance(), networks_without_chance()
        plain.compile(keras.optimizers.SGD(0.002))
    built = loops.new_vae(2, pixels_of(images), 64, 3), loops.new_classifier(5, pixels_of(images))
    for each in (vae, classifier, plain, *built):
        assert each.distribute_strategy.num_replicas_in_sync == count
    trainable = [x for each in (vae, classifier, plain) for x in each.trainable_weights]
    found = {f"start {i}": weight.numpy() for i, weight in enumerate(trainable)}
    with small_steps(10 * count, 64 // count):
        found |= loops.train_vae(vae, images, 3, 0.005, seed=3)
        losses = loops.train_on_still_images(classifier, images, labels, 3, 3, learning_rate=0.01)
    # Unlike Adam, gradient descent sees how long gradients are.
    batches = tf.data.Dataset.from_tensors(inference.as_pixels(images)).repeat(20)
    slow = plain.fit(batches, verbose=0).history

    return found | {
        "classifier loss": losses["loss"],
        "loss by gradient descent": slow["loss"],
        "z_mean": inference.encode(vae, images)[0],
        "logits": inference.predict(classifier, images),
        "images": inference.decode(vae, np.ones((5, 2), np.float32)),
        "sharpness of all": inference.mean_sharpness(vae, images),
        **{f"weight {i}": weight.numpy() for i, weight in enumerate(trainable)},
    }


def how_often_a_referee_is_right():
    images = blobs(256)
    truth = left_or_right(images).astype(int)
    judge = referee.build_referee(2, (14, 14, 1))
    referee.train_referee(judge, ImageSet(images[:, ::2, ::2], truth), epochs=4, seed=0)
    return np.mean(referee.judge(judge, images[:, ::2, ::2]).labels == truth)


ON_DEVICES = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

sys.path.append("tests")
import test_training

test_training.loops.make_reproducible(3)
for count in (1, 2):
    np.savez(f"{sys.argv[1]}/{count}.npz", **test_training.learn_on(count))
print("right:", test_training.how_often_a_referee_is_right())
"""


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    """What learn_on() found on one device and on two, and what was printed.  In a process of its
    own: its devices are settled before TensorFlow starts."""
    folder = tmp_path_factory.mktemp("devices")
    command = [sys.executable, "-c", ON_DEVICES, folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"{count}.npz")) for count in (1, 2)], done.stdout


def test_two_devices_train_as_one_does(on_devices):
    (one, two), _ = on_devices
    assert {"loss", "kl_loss", "reconstruction_loss", "classifier loss", "weight 0"} <= set(one)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-3, err_msg=name)
    weights = [name for name in one if name.startswith("weight")]
    moved = [np.abs(one[name] - one[name.replace("weight", "start")]).max() for name in weights]
    assert np.mean(np.array(moved) > 0.003) > 0.6  # both have trained, and in the same way


def test_the_referee_learns_on_two_devices(on_devices):
    _, printed = on_devices
    assert float(printed.split("right:")[1]) > 0.9
    assert printed.count("\n8/8 - ") == 4  # a quarter of 128 at a time, in each of the passes


def test_still_images_stay_where_they_are():
    """Two classes that differ by where a column stands: by half a pixel of what a shift may do."""
    images = np.zeros((640, 28, 28), np.uint8)
    labels = np.arange(640) % 2
    images[np.arange(640), :, 13 + labels] = 255
    found = {}
    for train in loops.train_on_still_images, loops.train_classifier:
        keras.utils.set_random_seed(0)
        classifier = models.build_classifier(2, hidden=(64,))
        with small_steps():
            found[train] = train(classifier, images, labels, seed=0, epochs=2)["loss"][-1]
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
    ],
)
def test_a_failed_training_is_told(change, said):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (90, 12, 12), dtype=np.uint8)
    labelled = ImageSet(images, np.arange(90) % 3)
    data = Dataset("d", "", labelled, labelled, ("a", "b", "c"), "", False)
    numbers = {"negative_elbo_normal": 60.0, "sharpness": 1.0}
    code = np.full((90, 2), change.get("kl", 0.0) ** 0.5, np.float32)  # two latents of variance 1
    vae = SimpleNamespace(encoder=lambda images, training: (code, 0 * code))
    trained = SimpleNamespace(vae=vae)
    found = networks.doubts(trained, numbers | change, data)
    assert len(found) == len(said)
    for sentence, word in zip(found, said, strict=True):
        assert word in sentence


def test_the_kl_is_keras_own():
    vae, images = small_vae(), blobs(300)
    vae.compile()
    expected = vae.evaluate(inference.as_pixels(images), verbose=0, return_dict=True)["kl_loss"]
    assert inference.mean_kl(vae, images) == pytest.approx(expected, rel=1e-4)


def test_dark_on_light_is_learned_as_light_on_dark(small_npz):
    """From the same start, but for the sign of what the first layer makes of a pixel."""
    data, found = load_dataset(small_npz), []
    for flip in (0, 255):
        train, test = (
            np.abs(flip - each.images.astype(int)).astype(np.uint8)
            for each in (data.train, data.test)
        )
        loops.make_reproducible(0)
        classifier = loops.new_classifier(10, pixels_of(train))
        if flip:
            first = classifier.trainable_weights[0]
            first.assign(-first)
        with small_steps(20, 128):
            loops.train_classifier(classifier, train, data.train.labels, 0)
        found.append(inference.predict(classifier, test).argmax(axis=1))
    accuracy = [np.mean(each == data.test.labels) for each in found]
    assert abs(accuracy[0] - accuracy[1]) < 0.01 and min(accuracy) > 0.9
    assert np.mean(found[0] == found[1]) > 0.99
