import contextlib
import io
import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from trust.cli import UserError
from trust.data import datasets
from trust.data.images import ImageSet, pixels_of
from trust.filter import filters
from trust.train import loops, referee
from trust.train.loops import make_reproducible

IMAGES = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
IDENTITY = np.tile(np.eye(2, dtype=np.float32), (5, 1, 1))
ZERO = np.zeros((5, 2), np.float32)
SHARP = np.zeros(5, np.float32)


# Distortion, by hand


def test_no_distortion_changes_nothing():
    assert np.array_equal(referee.distort(IMAGES, IDENTITY, ZERO, SHARP), IMAGES)


def test_a_whole_shift_moves_every_pixel_right_and_down_and_the_edge_goes_on():
    shift = np.tile(np.float32([3, -2]), (5, 1))
    shifted = referee.distort(IMAGES, IDENTITY, shift, SHARP)
    padded = np.pad(IMAGES, ((0, 0), (0, 2), (3, 0), (0, 0)), "edge")
    np.testing.assert_allclose(shifted, padded[:, 2:, :-3], atol=1e-5)


def test_a_quarter_turn_is_about_the_centre_of_the_image():
    turn = np.tile(np.float32([[0, 1], [-1, 0]]), (5, 1, 1))
    turned = referee.distort(IMAGES, turn, ZERO, SHARP)
    np.testing.assert_allclose(turned, np.rot90(IMAGES, -1, (1, 2)), atol=1e-5)


def test_a_wider_view_makes_the_image_smaller():
    large, small = np.zeros((2, *IMAGES.shape), np.float32)
    large[:, 8:20, 8:20] = small[:, 11:17, 11:17] = 1
    np.testing.assert_allclose(referee.distort(large, 2 * IDENTITY, ZERO, SHARP), small, atol=1e-5)


def test_blur_mixes_each_pixel_with_the_mean_of_its_neighbours():
    blur = np.float32([0, 0.25, 0.5, 0.75, 1])
    mean = np.zeros_like(IMAGES)
    for row in range(28):
        for column in range(28):
            near = IMAGES[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            mean[:, row, column] = near.mean(axis=(1, 2))
    share = blur[:, None, None, None]
    expected = (1 - share) * IMAGES + share * mean
    np.testing.assert_allclose(referee.distort(IMAGES, IDENTITY, ZERO, blur), expected, atol=1e-5)


# Augmentation


@pytest.mark.parametrize("mirror", [False, True])
def test_augmentation_shifts_within_two_pixels_and_turns_nothing_far(monkeypatch, mirror):
    """A spot at the centre moves by the shift alone, one beside it also by the linear map."""
    monkeypatch.setattr(referee, "NOISE", 0.0)
    grid = np.arange(28) - 13.5
    centres = []
    for x in (0, 6):
        spot = np.exp(-0.5 * ((grid[None, :] - x) ** 2 + grid[:, None] ** 2) / 1.5**2)
        images = np.tile(spot.astype(np.float32)[None, :, :, None], (4000, 1, 1, 1))
        changed = referee.augment(tf.constant(images), [1, 2], mirror).numpy()[..., 0]
        mass = changed.sum(axis=(1, 2))
        right = (changed.sum(axis=1) @ grid) / mass
        down = (changed.sum(axis=2) @ grid) / mass
        centres.append(np.stack([right, down], axis=1))
    shift, beside = centres
    assert 1.5 < np.abs(shift).max() < 2.1
    np.testing.assert_allclose(shift.mean(axis=0), 0, atol=0.1)
    # Uniform in +-2, where images may be mirrored times another uniform in +-1.
    np.testing.assert_allclose(shift.std(axis=0), 2 / (3 if mirror else np.sqrt(3)), atol=0.05)
    if mirror:
        return
    arm = beside - shift
    assert np.abs(np.degrees(np.arctan2(arm[:, 1], arm[:, 0]))).max() < 13
    assert 0.8 < np.linalg.norm(arm, axis=1).min() / 6 < 0.95
    assert 1.05 < np.linalg.norm(arm, axis=1).max() / 6 < 1.25


def test_augmentation_differs_between_images_and_seeds_and_repeats_with_the_seed():
    images = tf.tile(IMAGES[:1], (3, 1, 1, 1))
    first, again, other = (referee.augment(images, [7, s]).numpy() for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert np.abs(first[0] - first[1]).max() > 0.01


def test_half_of_the_images_are_mirrored_where_asked_for():
    """A bright left half stays bright on the left, or comes to be on the right."""
    images = np.zeros((400, 28, 28, 1), np.float32)
    images[:, :, :14] = 1
    for mirror, fewest, most in ((False, 0, 0), (True, 140, 260)):  # six deviations about 200
        seen = referee.augment(images, [7, 0], mirror).numpy()[..., 0]
        left, right = seen[:, 8:20, 6:10].mean(axis=(1, 2)), seen[:, 8:20, 18:22].mean(axis=(1, 2))
        assert np.all(np.abs(left - right) > 0.6)
        assert fewest <= np.count_nonzero(right > left) <= most


# The network and its word


def test_the_layer_of_features_feeds_the_last():
    keras.utils.set_random_seed(0)
    network = referee.build_referee(4)
    labels, features, confidence = referee.judge(network, IMAGES[..., 0])
    logits = network(IMAGES, training=False)[0].numpy()
    assert logits.shape == (5, 4) and features.shape == (5, 128)
    kernel, bias = network.layers[-1].get_weights()
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-5)
    assert labels.shape == (5,) and np.array_equal(labels, logits.argmax(axis=1))
    probabilities = keras.ops.softmax(logits).numpy()
    np.testing.assert_allclose(confidence, probabilities.max(axis=1), atol=1e-6)


def test_a_set_is_judged_whole_as_bytes_or_as_floats():
    """1,203 images: more than two batches, the last of them a part."""
    keras.utils.set_random_seed(0)
    network = referee.build_referee(10)
    images = np.random.default_rng(1).integers(0, 256, (1203, 28, 28), dtype=np.uint8)
    labels, features, _ = referee.judge(network, images)
    assert labels.shape == (1203,) and features.shape == (1203, 128)
    some = [0, 499, 500, 1000, 1202]
    pixels = (images / 255).astype(np.float32)
    some_labels, some_features, _ = referee.judge(network, pixels[some])
    np.testing.assert_allclose(some_features, features[some], atol=1e-5)
    assert np.array_equal(some_labels, labels[some])


def test_no_images_get_no_labels():
    labels, features, _ = referee.judge(referee.build_referee(3), np.zeros((0, 28, 28), np.float32))
    assert labels.shape == (0,) and features.shape == (0, 128)


# Training


def test_small_sets_are_seen_more_often():
    assert [referee.epochs_for(count) for count in (1000, 2000, 10_000, 60_000)] == [40, 20, 6, 6]


def bars(count, seed):
    """Three classes of bars, (count, 28, 28) uint8: upright, level, and sloping."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    along = np.arange(28) - rng.uniform(10, 18, (count, 1))
    down, right = np.broadcast_arrays(along[:, :, None], along[:, None, :])
    across = [right, down, (right + down) / np.sqrt(2)]
    distance = np.choose(labels[:, None, None], across)
    images = 200 * np.exp(-0.5 * (distance / 1.5) ** 2) + rng.uniform(0, 55, (count, 28, 28))
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def commanded(tmp_path_factory):
    """What the command makes of 300 images of bars: the folder, the test images, and what it
    prints."""
    images, labels = bars(360, seed=0)
    small = datasets.load_dataset("mnist")._replace(
        train=ImageSet(images[:300], labels[:300]),
        test=ImageSet(images[300:], labels[300:]),
    )
    folder, printed = tmp_path_factory.mktemp("data"), io.StringIO()
    (folder / "referees.json").write_text('{"fashion_mnist": {"test_accuracy": 0.5}}')
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(datasets, "load_dataset", lambda name: small)
        patch.setattr(datasets, "DATA", folder)
        patch.setattr("sys.argv", ["referee.py", "--epochs", "6", "--seed", "3"])
        referee.main()
        network = referee.bundled_referee("mnist")
    return SimpleNamespace(folder=folder, small=small, network=network, printed=printed.getvalue())


def test_a_referee_learns(commanded):
    images, truth = bars(300, seed=1)
    found = referee.judge(commanded.network, images).labels
    assert np.mean(found == truth) > 0.95  # a third by chance


def test_the_same_seed_trains_the_same_bits(commanded):
    make_reproducible(3)
    network, train = referee.build_referee(10), commanded.small.train
    referee.train_referee(network, train, epochs=6, seed=3)
    assert getattr(network, "optimizer", None) is None  # or it would be saved with the weights
    assert all(map(np.array_equal, network.get_weights(), commanded.network.get_weights()))


def test_the_command_keeps_a_record_of_it_and_the_other_referee(commanded):
    records = json.loads((commanded.folder / "referees.json").read_text())
    assert records["fashion_mnist"] == {"test_accuracy": 0.5}
    command = "python -m trust.train.referee --dataset mnist --epochs 6 --seed 3"
    assert records["mnist"]["commands"] == [command]
    names = sorted(path.name for path in commanded.folder.iterdir())
    assert names == ["referee_mnist.weights.h5", "referees.json"]
    found, *_ = referee.judge(commanded.network, commanded.small.test.images)
    accuracy = np.mean(found == commanded.small.test.labels)
    assert accuracy == records["mnist"]["test_accuracy"]
    assert f"{accuracy:.2%}" in commanded.printed


def test_a_log_gets_one_line_of_losses_an_epoch_without_control_codes(commanded):
    assert not set("\x08\r\x1b") & set(commanded.printed)
    lines = [line for line in commanded.printed.splitlines() if "loss: " in line]
    assert len(lines) == 6 and all(line.count(" loss: ") == 1 for line in lines)


# The bundled ones


@pytest.mark.parametrize("name", datasets.BUNDLED)
def test_bundled_referee_is_as_good_as_recorded(name):
    record = json.loads((datasets.DATA / "referees.json").read_text())[name]
    data = datasets.load_dataset(name)
    labels, features, _ = referee.judge(referee.bundled_referee(name), data.test.images)
    accuracy = np.mean(labels == data.test.labels)
    assert features.shape == (10_000, 128)
    # Another processor may round three images to the other side.
    assert accuracy == pytest.approx(record["test_accuracy"], abs=3e-4)
    assert accuracy >= {"mnist": 0.996, "fashion_mnist": 0.938}[name]
    command = f"python -m trust.train.referee --dataset {name} "
    assert all(line.startswith(command) for line in record["commands"])
    assert referee.bundled_weights(name).stat().st_size < 1.6e6


@pytest.mark.parametrize("damage", ["cut short", "no weights", "missing", "of another network"])
def test_a_damaged_referee_is_refused_with_a_sentence(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    path = referee.bundled_weights("mnist")
    assert path.parent == tmp_path
    if damage == "cut short":
        shutil.copy(ROOT / "data" / path.name, path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "no weights":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    elif damage == "of another network":
        referee.build_referee(7).save_weights(path)
    with pytest.raises(UserError, match=path.name) as caught:
        referee.bundled_referee("mnist")
    assert len(str(caught.value).splitlines()) == 1 and "git checkout" in str(caught.value)


def test_some_images_get_noise_and_others_none():
    grey = np.full((2000, 28, 28, 1), 0.5, np.float32)
    for mirror, share in ((False, referee.NOISY), (True, referee.NOISY_MIRRORED)):
        spread = referee.augment(grey, [3, 1], mirror).numpy()[:, 4:-4, 4:-4].std(axis=(1, 2, 3))
        assert np.mean(spread > 1e-4) == pytest.approx(share, abs=0.04)
        # uniform from none to the most, some of which is cut off at black and white
        assert np.median(spread[spread > 1e-4]) == pytest.approx(referee.NOISE / 2, abs=0.02)
        assert 0.8 * referee.NOISE < spread.max() < 1.05 * referee.NOISE


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.985), ("fashion_mnist", 0.85)])
def test_noise_does_not_mislead_the_bundled_ones(name, least):
    data = datasets.load_dataset(name)
    images, labels = data.test.images[:2000], data.test.labels[:2000]
    noisy = images / 255 + 0.2 * np.random.default_rng(0).standard_normal(images.shape)
    words, _, sure = referee.judge(referee.bundled_referee(name), np.clip(noisy, 0, 1).astype("f4"))
    assert np.mean(words == labels) > least
    assert abs(sure.mean() - np.mean(words == labels)) < 0.04


@pytest.mark.parametrize("name", datasets.BUNDLED)
def test_a_classifier_of_the_run_stops_images_that_were_made_against_the_bundled_one(name):
    """The weights of the referee are public: projected gradient descent (Madry et al. 2018) turns
    its word to a false label, but not that of a classifier that nobody had before."""
    data = datasets.load_dataset(name)
    learned, held_out = data.train.take(slice(12_000)), data.train.take(slice(50_000, 55_000))
    make_reproducible(0)
    classifier = loops.new_classifier(10, pixels_of(learned.images))
    loops.train_classifier(classifier, learned.images, learned.labels, seed=0, epochs=2)
    accept = filters.fit_filter(classifier, held_out, held_out.images, threshold=0.9)
    images = data.test.take(slice(300))
    real = filters.sift_labelled(images, accept)
    false = (images.labels + np.random.default_rng(0).integers(1, 10, 300)) % 10
    network = referee.bundled_referee(name)
    pixels = made = tf.constant(images.images[..., None] / np.float32(255))
    for _ in range(12):
        with tf.GradientTape() as tape:
            tape.watch(made)
            logits = network(made, training=False)[0]
            loss = keras.losses.sparse_categorical_crossentropy(false, logits, from_logits=True)
        made = made - 0.04 * tf.sign(tape.gradient(loss, made))
        made = tf.clip_by_value(tf.clip_by_value(made, pixels - 0.25, pixels + 0.25), 0, 1)
    forged = ImageSet(made.numpy()[..., 0], false)
    assert np.mean(referee.judge(network, forged.images).labels == false) > 0.9
    assert len(filters.sift_labelled(forged, accept).passing) < 0.05 * len(real.passing)


def test_what_lies_outside_is_as_the_edge_is():
    """A dark image on light: turned and moved, no black corner comes in."""
    light = np.ones((50, 20, 24, 3), np.float32)
    light[:, 8:12, 8:16] = 0
    seen = referee.augment(light, [5, 2], mirror=True).numpy()
    corners = seen[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    still = seen.std(axis=(1, 2, 3))
    assert np.median(corners) == 1 and seen.shape == light.shape and still.min() > 0.1
