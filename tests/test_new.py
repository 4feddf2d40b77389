import itertools

import numpy as np
import pytest
from conftest import ROOT

from trust.ask import new

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
    index, distance, second = new.nearest_of_class(images, labels, training_images, training_labels)
    assert index.dtype.kind == "i" and distance.dtype == np.float64
    squares = brute_force(images, labels, training_images, training_labels)
    expected = np.sqrt(squares.min(axis=1)) / 255
    # float32 pixels are off by 1e-7; an image that is farther would be off by more
    np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-6)
    found = np.sqrt(squares[np.arange(len(images)), index]) / 255
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        second, np.sqrt(np.sort(squares, axis=1)[:, 1]) / 255, rtol=1e-6, atol=1e-6
    )
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
        index, distance, _ = new.nearest_of_class(images, labels, training_images, training_labels)
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
    index, distance, _ = new.nearest_of_class(
        images, np.array([5, 2, 5]), training_images, training_labels
    )
    np.testing.assert_array_equal(index, [2, 3, 0])
    np.testing.assert_allclose(distance, np.array([2**0.5, 5, 0]) / 255, rtol=1e-6)
    # a tie: one of the two
    images[0, 0, :2] = [3, 0]
    index, distance, _ = new.nearest_of_class(
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
    index, distance, _ = new.nearest_of_class(*nothing, *training)
    assert index.shape == distance.shape == (0,)


# Seen or unseen


def made_up(seed, n, per_class, classes=3, share=0.25):
    """Nearest of n images among per_class real ones of each class, some more often than others;
    labels, real labels, and which were not seen."""
    rng = RNG(seed)
    labels = rng.integers(0, classes, n)
    real_labels = np.repeat(np.arange(classes), per_class)
    popular = rng.gamma(0.7, size=per_class)
    index = labels * per_class + rng.choice(per_class, n, p=popular / popular.sum())
    distance = rng.uniform(1, 2, n)
    nearest = new.Nearest(index, distance, distance * rng.uniform(1, 2, n))
    unseen = np.zeros(len(real_labels), bool)
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(real_labels == label))
        unseen[rows[: round(share * per_class)]] = True
    return nearest, labels, real_labels, unseen


def permuted(rng, real_labels, unseen):
    """The marks in another order within each class."""
    marks = unseen.copy()
    for label in np.unique(real_labels):
        here = real_labels == label
        marks[here] = rng.permutation(marks[here])
    return marks


def test_the_test_is_that_of_all_permutations():
    """Mean and variance over random permutations are what z is made of, at every depth."""
    nearest, labels, real_labels, unseen = made_up(0, 400, 80)
    numbers = new.seen_or_unseen(new.Neighbours(labels, nearest, nearest), real_labels, unseen)
    order = np.argsort(nearest.distance / nearest.second)
    rng = RNG(1)
    marks = np.stack([permuted(rng, real_labels, unseen) for _ in range(20_000)])
    for key, rows in (
        ("lean_z", order),
        ("closest_5_lean_z", order[:20]),
        ("closest_1_lean_z", order[:4]),
        ("closest_5_moved_lean_z", order[:20]),
        ("closest_1_moved_lean_z", order[:4]),
    ):
        counts = marks[:, nearest.index[rows]].sum(axis=1)
        expected = (unseen[nearest.index[rows]].sum() - counts.mean()) / counts.std()
        assert numbers[key] == pytest.approx(expected, abs=0.05)
    share = unseen[nearest.index].mean()
    assert numbers["seen_share"] == pytest.approx(1 - share)
    assert numbers["expected_share"] == pytest.approx(0.75)
    assert numbers["lean"] == pytest.approx(1 - share / 0.25)
    assert numbers["nearest_distance_median"] == np.median(nearest.distance)


def test_seen_or_unseen_by_hand():
    # one class of four, one of them unseen: three images at it, one at another
    nearest = new.Nearest(np.array([3, 3, 3, 0]), np.ones(4), 2 * np.ones(4))
    labels, real_labels = np.zeros(4, int), np.zeros(4, int)
    unseen = np.array([False, False, False, True])
    numbers = new.seen_or_unseen(new.Neighbours(labels, nearest, nearest), real_labels, unseen)
    assert numbers["seen_share"] == 0.25 and numbers["expected_share"] == 0.75
    assert numbers["lean"] == -2
    variance = 1 / 4 * 3 / 4 * 4 / 3 * (9 + 1 - 16 / 4)
    assert numbers["lean_z"] == pytest.approx(2 / variance**0.5)
    swapped = new.seen_or_unseen(new.Neighbours(labels, nearest, nearest), real_labels, ~unseen)
    assert swapped["lean_z"] == pytest.approx(-numbers["lean_z"])


def test_images_that_owe_nothing_to_the_split_are_rarely_far_out():
    """Real test images, over random splits of the real ones into seen and unseen."""
    with np.load(ROOT / "data" / "mnist.npz") as file:
        real = file["x_train"][:6000], file["y_train"][:6000].astype(int)
        images, labels = file["x_test"][:600], file["y_test"][:600].astype(int)
    nearest = new.nearest_of_class(images, labels, *real)
    rng, scores = RNG(2), []
    for _ in range(500):
        unseen = permuted(rng, real[1], np.arange(6000) % 6 == 0)
        numbers = new.seen_or_unseen(new.Neighbours(labels, nearest, nearest), real[1], unseen)
        scores.append([numbers["lean_z"], numbers["closest_5_lean_z"]])
    scores = np.array(scores)
    assert np.abs(scores.mean(axis=0)).max() < 0.15
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.12)
    assert (np.abs(scores) > 3).mean() < 0.02


def test_planted_rows_are_among_those_of_the_largest_share():
    for n in (0, 1, 99, 100, 1234):
        for dose in new.DOSES:
            rows = new.planted_rows(n, dose)
            assert set(rows) <= set(new.planted_rows(n)) and len(rows) == -(-n * dose // 100)


def test_twins_are_of_the_label():
    labels, seen_labels = RNG(6).integers(0, 3, 200), RNG(7).integers(0, 3, 50)
    rows = new.twins(labels, seen_labels, RNG(8))
    np.testing.assert_array_equal(seen_labels[rows], labels)
    assert len(np.unique(rows)) > 40
    assert new.twins(labels[:0], seen_labels, RNG(8)).shape == (0,)


def test_images_are_moved_by_two_pixels_at_most_and_never_by_none():
    images = RNG(9).random((400, 28, 28), np.float32)
    moved = new.moved_by_two(images, RNG(10))
    steps = set()
    for image, other in zip(images, moved, strict=True):
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if np.array_equal(np.roll(image, (y, x), (0, 1)), other)
        ]
        assert len(found) == 1 and found[0] != (0, 0)
        steps.add(found[0])
    assert len(steps) == 24


def test_centred_images_have_their_centre_of_mass_in_the_middle(real):
    images = real[2]
    moved = new.centred(images)
    assert moved.dtype == images.dtype and moved.shape == images.shape
    weights = moved.astype(float) ** 2
    for axis in (1, 2):
        line = weights.sum(axis=3 - axis)
        centre = (line @ np.arange(28)) / line.sum(axis=1)
        # what was rolled over the edge counts at the other
        assert np.mean(np.abs(centre - 13.5) <= 0.5 + 1e-6) > 0.6
    np.testing.assert_array_equal(np.sort(moved.reshape(40, -1)), np.sort(images.reshape(40, -1)))
    blank = np.zeros((2, 28, 28), np.uint8)
    np.testing.assert_array_equal(new.centred(blank), blank)
    assert new.centred(blank[:0]).shape == (0, 28, 28)


def test_a_dot_is_centred_from_wherever_it_is():
    dots = np.zeros((784, 28, 28), np.float32)
    dots[np.arange(784), np.arange(784) // 28, np.arange(784) % 28] = 1
    moved = new.centred(dots)
    rows, columns = np.argwhere(moved == 1)[:, 1:].T
    assert np.isin(rows, (13, 14)).all() and np.isin(columns, (13, 14)).all()


def test_shares_by_depth_are_those_of_the_test():
    nearest, labels, real_labels, unseen = made_up(11, 400, 80)
    numbers = new.seen_or_unseen(new.Neighbours(labels, nearest, nearest), real_labels, unseen)
    keys = "lean_z", "closest_5_lean_z", "closest_1_lean_z"
    depths = new.shares_by_depth(new.Neighbours(labels, nearest, nearest), real_labels, unseen)
    for key, (_, found, expected, deviation) in zip(keys, depths, strict=True):
        assert -(found - expected) / deviation == pytest.approx(numbers[key])
    assert depths[0][:3] == (100, numbers["seen_share"], numbers["expected_share"])


def test_closest_of_each_class():
    labels, distance = np.array([3, 0, 3, 0, 3, 7]), np.array([2.0, 1.0, 0.5, 1.5, 0.5, 9.0])
    second = np.array([2.0, 4.0, 5.0, 1.5, 0.6, 10.0])
    nearest = new.Nearest(np.zeros(6, int), distance, second)
    assert new.closest_of_each_class(labels, nearest) == {0: 1, 3: 2, 7: 5}
    assert new.closest_of_each_class(labels[:0], nearest.take(slice(0))) == {}


@pytest.mark.filterwarnings("error")
def test_of_no_image_nothing_is_said():
    nothing = new.Nearest(np.empty(0, int), np.empty(0), np.empty(0))
    real_labels, unseen = np.zeros(4, int), np.array([True, False, False, False])
    numbers = new.seen_or_unseen(
        new.Neighbours(np.empty(0, int), nothing, nothing), real_labels, unseen
    )
    assert all(np.isnan(value) for value in numbers.values())
    two = new.Nearest(np.zeros(2, int), np.ones(2), np.ones(2))
    none_unseen = new.seen_or_unseen(
        new.Neighbours(np.zeros(2, int), two, two),
        real_labels,
        np.zeros(4, bool),
    )
    assert np.isnan(none_unseen["lean"]) and np.isnan(none_unseen["lean_z"])


def test_noise_of_copies():
    images = np.full((50, 28, 28), 128, np.uint8)
    noisy = new.noisy_copies(images, RNG(4))
    assert noisy.dtype == np.float32 and noisy.std() == pytest.approx(0.05, rel=0.03)
    assert noisy.mean() == pytest.approx(128 / 255, abs=1e-3)
