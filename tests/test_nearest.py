import itertools

import numpy as np
import pytest
from conftest import ROOT

from trust import new

RNG = np.random.default_rng


def brute_force(images, labels, training_images, training_labels):
    """Every pair of the same class, pixel by pixel, in float64; squared distances (n, m) on the
    scale 0 to 255, where those of uint8 images are whole, and infinite between classes."""

    def pixels(images):
        scale = 1 if images.dtype == np.uint8 else 255
        return images.reshape(len(images), -1).astype(float) * scale

    others = pixels(training_images)
    squares = np.array([((image - others) ** 2).sum(axis=1) for image in pixels(images)])
    return np.where(labels[:, None] == training_labels, squares, np.inf)


def assert_nearest(images, labels, training_images, training_labels):
    index, distance = new.nearest_of_class(images, labels, training_images, training_labels)
    assert index.dtype.kind == "i" and distance.dtype == np.float64
    squares = brute_force(images, labels, training_images, training_labels)
    expected = np.sqrt(squares.min(axis=1)) / 255
    # float32 pixels are off by 1e-7; an image that is farther would be off by more
    np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-6)
    found = np.sqrt(squares[np.arange(len(images)), index]) / 255
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    return index, distance


def blurred(images):
    padded = np.pad(images / 255, ((0, 0), (1, 1), (1, 1)))
    shifts = itertools.product(range(3), repeat=2)
    return (sum(padded[:, i : i + 28, j : j + 28] for i, j in shifts) / 9).astype(np.float32)


@pytest.fixture(scope="module", params=["mnist", "fashion_mnist"])
def real(request):
    with np.load(ROOT / "data" / f"{request.param}.npz") as file:
        training = file["x_train"][:2000], file["y_train"][:2000].astype(int)
        return *training, file["x_test"][:40], file["y_test"][:40].astype(int)


def test_nearest_of_real_images_and_of_soft_ones(real):
    training_images, training_labels, images, labels = real
    for each in (images, blurred(images), (images / 255).astype(np.float32)):
        assert_nearest(each, labels, training_images, training_labels)
    soft = blurred(training_images)
    for each in (images, blurred(images)):
        assert_nearest(each, labels, soft, training_labels)


def test_nearest_is_of_the_label_even_where_another_class_is_nearer(real):
    training_images, training_labels, images, labels = real
    wrong = (labels + 1) % 10
    index, distance = assert_nearest(images, wrong, training_images, training_labels)
    np.testing.assert_array_equal(training_labels[index], wrong)
    _, right = assert_nearest(images, labels, training_images, training_labels)
    assert np.mean(distance > right) > 0.8


def test_nearest_of_images_unlike_any_training_image(real):
    training_images, training_labels, *_ = real
    noise = RNG(0).random((4, 28, 28), dtype=np.float32)
    flat = np.full((3, 28, 28), [[[0.0]], [[0.5]], [[1.0]]], dtype=np.float32)
    images = np.concatenate((noise, flat, 1 - blurred(training_images[:2])))
    assert_nearest(images, np.arange(9), training_images, training_labels)


def test_a_copy_is_found_at_distance_zero(real):
    training_images, training_labels, *_ = real
    rows = np.arange(0, 2000, 19)
    copies, labels = training_images[rows], training_labels[rows]
    for images in (copies, copies.astype(np.float32) / np.float32(255)):
        index, distance = new.nearest_of_class(images, labels, training_images, training_labels)
        np.testing.assert_array_equal(distance, 0)
        np.testing.assert_array_equal(training_images[index], copies)


def test_duplicates_among_the_training_images():
    rng = RNG(1)
    originals = rng.integers(0, 256, (12, 28, 28), dtype=np.uint8)
    training_images = np.tile(originals, (9, 1, 1))
    training_labels = np.tile(np.arange(12) % 2, 9)
    labels = np.arange(12) % 2
    index, distance = assert_nearest(originals, labels, training_images, training_labels)
    np.testing.assert_array_equal(distance, 0)
    np.testing.assert_array_equal(index % 12, np.arange(12))
    noisy = np.clip(originals / 255 + 0.05 * rng.standard_normal(originals.shape), 0, 1)
    index, _ = assert_nearest(noisy.astype(np.float32), labels, training_images, training_labels)
    np.testing.assert_array_equal(index % 12, np.arange(12))


@pytest.mark.parametrize("spread", [0, 1, 3])
def test_nearest_among_training_images_that_hardly_differ(spread):
    # All lie within `spread` of 255 of one another, in pixels that are far from 0.
    rng = RNG(2)
    base = rng.integers(3, 253, (28, 28))
    steps = rng.integers(-spread, spread + 1, (2000, 28, 28))
    training_images = (base + steps * (rng.random((28, 28)) < 0.02)).astype(np.uint8)
    images = (base + rng.integers(-1, 2, (50, 28, 28))).astype(np.uint8)
    labels, training_labels = np.arange(50) % 2, np.arange(2000) % 2
    assert_nearest(images, labels, training_images, training_labels)
    soft = (images / 255 + rng.normal(0, 1e-3, images.shape)).astype(np.float32)
    assert_nearest(soft, labels, training_images, training_labels)


def test_by_hand():
    # Two pixels that count: (0, 0), (3, 4) and (6, 8) of class 5, (3, 4) of class 2
    training_images = np.zeros((4, 28, 28), np.uint8)
    training_images[:, 0, :2] = [[0, 0], [3, 4], [6, 8], [3, 4]]
    training_labels = np.array([5, 5, 5, 2])
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 0, :2] = [[5, 7], [0, 0], [0, 0]]
    index, distance = new.nearest_of_class(
        images, np.array([5, 2, 5]), training_images, training_labels
    )
    np.testing.assert_array_equal(index, [2, 3, 0])
    np.testing.assert_allclose(distance, np.array([2**0.5, 5, 0]) / 255, rtol=1e-6)
    # a tie: one of the two
    images[0, 0, :2] = [3, 0]
    index, distance = new.nearest_of_class(
        images[:1], np.array([5]), training_images, training_labels
    )
    assert index[0] == 0 and distance[0] == pytest.approx(3 / 255)


@pytest.mark.parametrize("counts", [(1, 1), (1, 2), (3, 40), (4, 5)])
def test_classes_of_few_training_images(counts):
    rng = RNG(3)
    training_labels = np.repeat([0, 7], counts)
    training_images = rng.integers(0, 256, (len(training_labels), 28, 28), dtype=np.uint8)
    labels = 7 * rng.integers(0, 2, 30)
    assert_nearest(rng.random((30, 28, 28), np.float32), labels, training_images, training_labels)


def test_more_images_than_a_block(monkeypatch):
    rng = RNG(4)
    training_images = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    training_labels = np.arange(50) % 3
    images = rng.random((new.BLOCK + 300, 28, 28), np.float32)
    labels = np.zeros(len(images), int)
    labels[::100] = 1
    assert_nearest(images, labels, training_images, training_labels)
    for block in (1, 7, 13):  # blocks that end in the middle, and with the last image
        monkeypatch.setattr(new, "BLOCK", block)
        assert_nearest(images[:91], labels[:91], training_images, training_labels)


def test_nearest_of_nothing():
    training = RNG(5).integers(0, 256, (10, 28, 28), dtype=np.uint8), np.zeros(10, int)
    nothing = np.empty((0, 28, 28), np.float32), np.empty(0, int)
    index, distance = new.nearest_of_class(*nothing, *training)
    assert index.shape == distance.shape == (0,)
