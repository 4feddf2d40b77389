import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import datasets
import models
import referee as referees
import train_referee

NAMES = ("mnist", "fashion_mnist")
IMAGES = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
IDENTITY = np.tile(np.eye(2, dtype=np.float32), (5, 1, 1))
ZERO = np.zeros((5, 2), np.float32)
SHARP = np.zeros(5, np.float32)


def test_no_distortion_changes_nothing():
    assert np.array_equal(referees.distort(IMAGES, IDENTITY, ZERO, SHARP), IMAGES)


def test_a_whole_shift_moves_every_pixel_right_and_down():
    shift = np.tile(np.float32([3, -2]), (5, 1))
    shifted = referees.distort(IMAGES, IDENTITY, shift, SHARP)
    rolled = np.roll(IMAGES, (-2, 3), (1, 2))
    rolled[:, -2:], rolled[:, :, :3] = 0, 0  # what rolled over the edge
    np.testing.assert_allclose(shifted, rolled, atol=1e-5)


def test_a_quarter_turn_is_about_the_centre_of_the_image():
    turn = np.tile(np.float32([[0, 1], [-1, 0]]), (5, 1, 1))
    turned = referees.distort(IMAGES, turn, ZERO, SHARP)
    np.testing.assert_allclose(turned, np.rot90(IMAGES, -1, (1, 2)), atol=1e-5)


def test_a_wider_view_makes_the_image_smaller():
    halved = referees.distort(np.ones_like(IMAGES), 2 * IDENTITY, ZERO, SHARP)
    square = np.zeros_like(IMAGES)
    square[:, 7:21, 7:21] = 1
    np.testing.assert_allclose(halved, square, atol=1e-5)


def test_blur_mixes_each_pixel_with_the_mean_of_its_neighbours():
    blur = np.float32([0, 0.25, 0.5, 0.75, 1])
    mean = np.zeros_like(IMAGES)
    for row in range(28):
        for column in range(28):
            near = IMAGES[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            mean[:, row, column] = near.mean(axis=(1, 2))
    share = blur[:, None, None, None]
    expected = (1 - share) * IMAGES + share * mean
    np.testing.assert_allclose(referees.distort(IMAGES, IDENTITY, ZERO, blur), expected, atol=1e-5)


def test_augmentation_shifts_evenly_within_two_pixels_and_turns_nothing_far():
    """A spot at the centre moves by the shift alone, one beside it also by the linear map."""
    grid = np.arange(28) - 13.5
    spots = [
        np.exp(-0.5 * ((grid[None, :] - x) ** 2 + grid[:, None] ** 2) / 1.5**2) for x in (0, 6)
    ]
    centres = []
    for spot in spots:
        images = np.tile(spot.astype(np.float32)[None, :, :, None], (4000, 1, 1, 1))
        changed = referees.augment(tf.constant(images), [1, 2]).numpy()[..., 0]
        mass = changed.sum(axis=(1, 2))
        right = (changed.sum(axis=1) @ grid) / mass
        down = (changed.sum(axis=2) @ grid) / mass
        centres.append(np.stack([right, down], axis=1))
    shift, beside = centres
    assert np.abs(shift).max() < 2.1
    np.testing.assert_allclose(shift.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(shift.std(axis=0), 2 / np.sqrt(3), atol=0.05)  # uniform in +-2
    arm = beside - shift
    assert np.abs(np.degrees(np.arctan2(arm[:, 1], arm[:, 0]))).max() < 13
    assert 0.8 < np.linalg.norm(arm, axis=1).min() / 6 < 0.95
    assert 1.05 < np.linalg.norm(arm, axis=1).max() / 6 < 1.25


def test_augmentation_differs_between_images_and_seeds_and_repeats_with_the_seed():
    images = tf.tile(IMAGES[:1], (3, 1, 1, 1))
    first, again, other = (referees.augment(images, [7, s]).numpy() for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert np.abs(first[0] - first[1]).max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_bundled_referee_is_as_good_as_recorded(name):
    data = datasets.load_dataset(name)
    referee = referees.load_referee(name)
    logits = referee.predict(data.x_test[..., None] / np.float32(255), batch_size=500, verbose=0)
    assert logits.shape == (10_000, 10)
    assert logits.min() < 0  # not probabilities
    record = json.loads((referees.DATA / "referees.json").read_text())[name]
    accuracy = (logits.argmax(axis=1) == data.y_test).mean()
    # Another processor may round three images to the other side.
    assert accuracy == pytest.approx(record["test_accuracy"], abs=3e-4)
    assert accuracy >= {"mnist": 0.994, "fashion_mnist": 0.92}[name]


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "missing", "no record"])
def test_a_referee_that_is_not_the_bundled_one_is_refused(tmp_path, damage):
    for name in ("referee_mnist.keras", "referees.json"):
        shutil.copy(referees.DATA / name, tmp_path)
    assert referees.load_referee("mnist", tmp_path).output_shape == (None, 10)
    path = tmp_path / "referee_mnist.keras"
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut short":
        path.write_bytes(content[:-1])
    elif damage == "missing":
        path.unlink()
    else:
        (tmp_path / "referees.json").write_text("{}")
    with pytest.raises(referees.RefereeError, match=r"train_referee.py --dataset mnist"):
        referees.load_referee("mnist", tmp_path)


def test_the_script_trains_a_referee_and_keeps_the_other(tmp_path, monkeypatch, small_npz, capsys):
    small = datasets.load_dataset(small_npz)
    small = small._replace(name="mnist", x_train=small.x_train[:1000], y_train=small.y_train[:1000])
    monkeypatch.setattr(datasets, "load_dataset", lambda name: small)
    monkeypatch.setattr(referees, "DATA", tmp_path)
    monkeypatch.setattr("sys.argv", ["train_referee.py", "--epochs", "4", "--seed", "3"])
    (tmp_path / "referees.json").write_text('{"fashion_mnist": {"test_accuracy": 0.5}}')
    train_referee.main()

    records = json.loads((tmp_path / "referees.json").read_text())
    assert records["fashion_mnist"] == {"test_accuracy": 0.5}
    assert (
        records["mnist"]["command"] == "python train_referee.py --dataset mnist --epochs 4 --seed 3"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "referee_mnist.keras",
        "referees.json",
    ]
    referee = referees.load_referee("mnist", tmp_path)
    labels = referee.predict(small.x_test[..., None] / np.float32(255), verbose=0).argmax(axis=1)
    accuracy = (labels == small.y_test).mean()
    assert accuracy == records["mnist"]["test_accuracy"]
    assert accuracy > 0.8  # 0.1 by chance
    assert f"{accuracy:.2%}" in capsys.readouterr().out


def test_small_sets_are_seen_more_often():
    assert [referees.epochs_for(count) for count in (1000, 2000, 10_000, 60_000)] == [20, 10, 6, 6]


def test_a_network_is_trained_side_by_side_as_it_is_alone():
    images, labels = np.tile(IMAGES, (2, 1, 1, 1)), np.arange(10) % 3
    found = []
    for wrap in (referees.SideBySide, lambda network: network):
        keras.utils.set_random_seed(0)
        network = models.build_classifier(3, hidden=(16,), dropout=0)
        trainee = wrap(network)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        trainee.compile(keras.optimizers.SGD(0.1), loss)
        trainee.fit(images, labels, batch_size=10, epochs=3, shuffle=False, verbose=0)
        found.append(network.get_weights())
    for side_by_side, alone in zip(*found, strict=True):
        np.testing.assert_allclose(side_by_side, alone, atol=1e-6)
