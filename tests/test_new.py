import itertools
import math

import numpy as np
import pytest
from conftest import ROOT

from trust.ask import neighbours, new
from trust.ask.neighbours import Nearest, Neighbours
from trust.ask.reference import Reference
from trust.data.images import ImageSet

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
    index, distance, second = neighbours.nearest_of_class(
        images, labels, training_images, training_labels
    )
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
        index, distance, _ = neighbours.nearest_of_class(
            images, labels, training_images, training_labels
        )
        np.testing.assert_array_equal(distance, 0)
        np.testing.assert_array_equal(training_images[index], copies)


def test_sets_that_are_searched_for_together_find_what_each_finds_alone(real):
    training_images, training_labels, images, labels = real
    own = np.arange(0, 2000, 23)
    sets = [
        (images, labels),
        (blurred(images[:7]), labels[:7]),
        (training_images[own], training_labels[own], own),
        (images[labels == 3], labels[labels == 3]),  # of one class alone
    ]
    together = neighbours.nearest_of_each(
        [neighbours.Sought(*each) for each in sets], training_images, training_labels
    )
    assert len(together) == len(sets)
    for (asked, names, *rows), found in zip(sets, together, strict=True):
        squares = brute_force(asked, names, training_images, training_labels)
        for here in rows:
            squares[np.arange(len(here)), here] = np.inf
        squares = np.sort(squares, axis=1)
        np.testing.assert_allclose(found.distance, np.sqrt(squares[:, 0]) / 255, rtol=1e-5)
        np.testing.assert_allclose(found.second, np.sqrt(squares[:, 1]) / 255, rtol=1e-5)
        np.testing.assert_array_equal(training_labels[found.index], names)
        alone = neighbours.nearest_of_class(asked, names, training_images, training_labels, *rows)
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, other)
    none, some = neighbours.nearest_of_each(
        [neighbours.Sought(images[:0], labels[:0]), neighbours.Sought(images, labels)],
        training_images,
        training_labels,
    )
    assert len(none.index) == len(none.distance) == len(none.second) == 0
    np.testing.assert_array_equal(some.index, together[0].index)


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
    index, distance, _ = neighbours.nearest_of_class(
        images, np.array([5, 2, 5]), training_images, training_labels
    )
    np.testing.assert_array_equal(index, [2, 3, 0])
    np.testing.assert_allclose(distance, np.array([2**0.5, 5, 0]) / 255, rtol=1e-6)
    # a tie: one of the two
    images[0, 0, :2] = [3, 0]
    index, distance, _ = neighbours.nearest_of_class(
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


def test_nearest_of_colour_images():
    rng = RNG(6)
    real_images = rng.integers(0, 256, (60, 7, 5, 3), dtype=np.uint8)
    images = rng.random((20, 7, 5, 3), np.float32)
    assert_nearest(images, np.arange(20) % 2, real_images, np.arange(60) % 2)
    only = real_images.copy()
    only[:, ..., :2] = 0  # one channel does not stand for the others
    assert_nearest(images, np.arange(20) % 2, only, np.arange(60) % 2)


def test_more_images_than_a_block(monkeypatch):
    rng = RNG(4)
    training_images = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    training_labels = np.arange(50) % 3
    images = rng.random((neighbours.BLOCK + 300, 28, 28), np.float32)
    labels = np.zeros(len(images), int)
    labels[::100] = 1
    assert_nearest(images, labels, training_images, training_labels)
    for block in (1, 7, 13):  # blocks that end in the middle, and with the last image
        monkeypatch.setattr(neighbours, "BLOCK", block)
        assert_nearest(images[:91], labels[:91], training_images, training_labels)


def test_nearest_of_nothing():
    training = RNG(5).integers(0, 256, (10, 28, 28), dtype=np.uint8), np.zeros(10, int)
    nothing = np.empty((0, 28, 28), np.float32), np.empty(0, int)
    index, distance, _ = neighbours.nearest_of_class(*nothing, *training)
    assert index.shape == distance.shape == (0,)


# Seen or unseen


def made_up(seed, n, per_class, classes=3, share=0.25):
    """Neighbours of n images among per_class real ones of each class, some more often than others;
    real labels, and which were not seen."""
    rng = RNG(seed)
    labels = rng.integers(0, classes, n)
    real_labels = np.repeat(np.arange(classes), per_class)

    def draw():
        popular = rng.gamma(0.7, size=per_class)
        index = labels * per_class + rng.choice(per_class, n, p=popular / popular.sum())
        distance = rng.uniform(1, 2, n)
        return Nearest(index, distance, distance * rng.uniform(1, 2, n))

    unseen = np.zeros(len(real_labels), bool)
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(real_labels == label))
        unseen[rows[: round(share * per_class)]] = True
    return Neighbours(labels, draw(), draw()), real_labels, unseen


def permuted(rng, real_labels, unseen):
    """The marks in another order within each class."""
    marks = unseen.copy()
    for label in np.unique(real_labels):
        here = real_labels == label
        marks[here] = rng.permutation(marks[here])
    return marks


def test_the_test_is_that_of_all_permutations():
    """Mean and variance over random permutations are what z is made of, at every depth, and what
    the figure shows."""
    found, real_labels, unseen = made_up(0, 400, 80)
    numbers = new.seen_or_unseen(found, real_labels, unseen)
    shares = {
        moved: {
            depth: rest
            for depth, *rest in new.shares_by_depth(found, real_labels, unseen, moved=moved)
        }
        for moved in (False, True)
    }
    rng = RNG(1)
    marks = np.stack([permuted(rng, real_labels, unseen) for _ in range(20_000)])
    for key, depth, moved in (
        ("lean_z", 100, False),
        ("closest_5_lean_z", 5, False),
        ("closest_5_moved_lean_z", 5, True),
    ):
        nearest = found.moved if moved else found.nearest
        rows = np.argsort(nearest.distance / nearest.second)[: 4 * depth]
        counts = marks[:, nearest.index[rows]].sum(axis=1)
        count = unseen[nearest.index[rows]].sum()
        assert numbers[key] == pytest.approx((count - counts.mean()) / counts.std(), abs=0.05)
        seen, expected, deviation = shares[moved][depth]
        assert seen == pytest.approx(1 - count / len(rows))
        assert expected == pytest.approx(0.75)
        assert deviation == pytest.approx(counts.std() / len(rows), rel=0.03)
    share = unseen[found.nearest.index].mean()
    assert numbers["seen_share"] == pytest.approx(1 - share)
    assert numbers["expected_share"] == pytest.approx(0.75)
    assert numbers["lean"] == pytest.approx(1 - share / 0.25)
    assert numbers["nearest_distance_median"] == np.median(found.nearest.distance)


@pytest.mark.parametrize(("n", "share"), [(400, 1 / 6), (1000, 1 / 7), (10_000, 1 / 6)])
def test_a_detectable_lean_is_found_in_four_of_five_cases(n, share):
    """Each image has its nearest neighbour among many, unseen with a given probability."""
    rng, every = RNG(0), 50_000
    labels, real_labels = np.zeros(n, int), np.zeros(every, int)
    first = round(share * every)
    unseen = np.arange(every) < first

    def examined(lean):
        away = rng.random(n) < share * (1 - lean)
        index = np.where(away, rng.integers(0, first, n), rng.integers(first, every, n))
        nearest = Nearest(index, distance=rng.uniform(1, 2, n), second=np.full(n, 2.0))
        return new.seen_or_unseen(Neighbours(labels, nearest, nearest), real_labels, unseen)

    lean = examined(0)["lean_detectable"]
    assert 0.05 < lean < 0.5
    caught = np.mean([examined(lean)["lean_z"] < new.LEAN_Z for _ in range(400)])
    assert caught == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("error", [0.0, 0.4, math.nan])
def test_where_no_lean_could_show_none_is_named(error):
    assert math.isnan(new.detectable_lean(error))


def test_seen_or_unseen_by_hand():
    # one class of four, one of them unseen: three images at it, one at another
    nearest = Nearest(np.array([3, 3, 3, 0]), np.ones(4), 2 * np.ones(4))
    labels, real_labels = np.zeros(4, int), np.zeros(4, int)
    unseen = np.array([False, False, False, True])
    numbers = new.seen_or_unseen(Neighbours(labels, nearest, nearest), real_labels, unseen)
    assert numbers["seen_share"] == 0.25 and numbers["expected_share"] == 0.75
    assert numbers["lean"] == -2
    variance = 1 / 4 * 3 / 4 * 4 / 3 * (9 + 1 - 16 / 4)
    assert numbers["lean_z"] == pytest.approx(2 / variance**0.5)
    # the image that is closest is at the unseen one: 1, where 1 / 4 is expected
    assert numbers["closest_5_lean_z"] == pytest.approx(0.75 / (3 / 16) ** 0.5)
    swapped = new.seen_or_unseen(Neighbours(labels, nearest, nearest), real_labels, ~unseen)
    assert swapped["lean_z"] == pytest.approx(-numbers["lean_z"])


def test_where_others_measure_the_closest_tenth_of_them_is_enough_for_the_closest_hundredth():
    """Of 100 images the closest is at an unseen real image; so are six of the closest ten others,
    and none of the rest."""
    real_labels, unseen = np.zeros(10, int), np.arange(10) >= 5

    def of(index):
        nearest = Nearest(index, np.arange(100.0), np.full(100, 100.0))
        return Neighbours(np.zeros(100, int), nearest, nearest)

    found, others = of(np.full(100, 9)), of(np.where(np.arange(100) < 6, 9, 0))
    shares = {
        depth: rest for depth, *rest in new.shares_by_depth(found, real_labels, unseen, others)
    }
    assert [shares[depth][0] for depth in (100, 5, 1)] == [0, 0, 0]
    assert [shares[depth][1] for depth in (100, 5, 1)] == pytest.approx([0.94, 0.4, 0.4])
    elsewhere = others._replace(moved=of(np.where(np.arange(100) < 3, 9, 0)).nearest)
    moved = new.shares_by_depth(found, real_labels, unseen, elsewhere, moved=True)
    assert [expected for _, _, expected, _ in moved] == pytest.approx([0.97, 0.7, 0.7])
    # of a class that is not among the others, the marks say what to expect
    elsewhere = others._replace(labels=np.ones(100, int))
    numbers = new.seen_or_unseen(found, real_labels, unseen, elsewhere)
    assert numbers["expected_share"] == 0.5
    assert numbers == new.seen_or_unseen(found, real_labels, unseen)


def test_images_that_owe_nothing_to_the_split_are_rarely_far_out():
    """Real test images, over random splits of the real ones into seen and unseen."""
    with np.load(ROOT / "data" / "mnist.npz") as file:
        real = file["x_train"][:6000], file["y_train"][:6000].astype(int)
        images, labels = file["x_test"][:600], file["y_test"][:600].astype(int)
    nearest = neighbours.nearest_of_class(images, labels, *real)
    rng, scores = RNG(2), []
    for _ in range(500):
        unseen = permuted(rng, real[1], np.arange(6000) % 6 == 0)
        numbers = new.seen_or_unseen(Neighbours(labels, nearest, nearest), real[1], unseen)
        scores.append([numbers["lean_z"], numbers["closest_5_lean_z"]])
    scores = np.array(scores)
    assert np.abs(scores.mean(axis=0)).max() < 0.15
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.12)
    assert (np.abs(scores) > 3).mean() < 0.02


def test_centred_images_have_their_centre_of_mass_in_the_middle(real):
    images = real[2]
    moved = neighbours.centred(images)
    assert moved.dtype == images.dtype and moved.shape == images.shape
    weights = moved.astype(float) ** 2
    for axis in (1, 2):
        line = weights.sum(axis=3 - axis)
        centre = (line @ np.arange(28)) / line.sum(axis=1)
        # what was rolled over the edge counts at the other
        assert np.mean(np.abs(centre - 13.5) <= 0.5 + 1e-6) > 0.6
    np.testing.assert_array_equal(np.sort(moved.reshape(40, -1)), np.sort(images.reshape(40, -1)))
    blank = np.zeros((2, 28, 28), np.uint8)
    np.testing.assert_array_equal(neighbours.centred(blank), blank)
    assert neighbours.centred(blank[:0]).shape == (0, 28, 28)


def test_a_dot_is_centred_from_wherever_it_is():
    dots = np.zeros((784, 28, 28), np.float32)
    dots[np.arange(784), np.arange(784) // 28, np.arange(784) % 28] = 1
    moved = neighbours.centred(dots)
    rows, columns = np.argwhere(moved == 1)[:, 1:].T
    assert np.isin(rows, (13, 14)).all() and np.isin(columns, (13, 14)).all()


@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_dark_thing_on_light_ground_is_centred_like_a_light_one_on_dark(real, colours):
    images = np.broadcast_to(
        real[2].reshape(40, 28, 28, *(1 for _ in colours)), (40, 28, 28, *colours)
    )
    expected = neighbours.centred(real[2]).reshape(40, 28, 28, *(1 for _ in colours))
    np.testing.assert_array_equal(
        neighbours.centred(images), np.broadcast_to(expected, images.shape)
    )
    np.testing.assert_array_equal(
        255 - neighbours.centred(255 - images), neighbours.centred(images)
    )


def test_the_closest_are_those_with_one_real_image_far_nearer_than_all_others():
    nearest = Nearest(
        index=np.array([10, 11, 12, 13, 14]),
        distance=np.array([4.0, 1.0, 0.0, 0.5, 3.0]),
        # the third is a copy of an image that is there twice; the fourth has no second real image
        second=np.array([5.0, 2.0, 0.0, np.inf, 9.0]),
    )
    assert nearest.closest(100).tolist() == [2, 4, 1, 0, 3]
    assert nearest.closest(41).tolist() == [2, 4, 1]  # rounded up
    alike = Nearest(np.zeros(999, int), 1 - np.arange(999) % 2 / 2, np.ones(999))
    assert alike.closest(1).tolist() == list(range(1, 21, 2))
    found = Neighbours(np.array([0, 1, 2, 3, 4]), nearest, nearest.take([4, 3, 2, 1, 0]))
    assert [each.tolist() for each in found.closest(40)] == [[2, 4], [12, 14]]
    assert [each.tolist() for each in found.closest(40, moved=True)] == [[2, 0], [12, 14]]


def test_put_replaces_rows_and_leaves_the_rest_as_it_was():
    def of(start):
        return Nearest(
            np.arange(start, start + 3), np.full(3, start + 0.5), np.full(3, start + 0.7)
        )

    real, others = (Neighbours(np.array([5, 6, 7]), of(i), of(i + 10)) for i in (0, 100))
    mixed = real.put(np.array([2, 0]), others.take(slice(2)))
    assert mixed.labels.tolist() == [5, 6, 7]
    assert mixed.nearest.index.tolist() == [101, 1, 100]
    assert mixed.nearest.distance.tolist() == [100.5, 0.5, 100.5]
    assert mixed.moved.second.tolist() == [110.7, 10.7, 110.7]
    assert real.nearest.index.tolist() == [0, 1, 2]


def test_a_moved_copy_is_found_by_the_search_that_looks_for_it():
    bright = np.zeros((40, 28, 28), np.float32)
    bright[:, 3:-3, 3:-3] = RNG(30).random((40, 22, 22))  # room to move
    real = ImageSet(bright, np.zeros(40, int))
    steps = 10 * [(2, 0), (-2, 1), (0, -2), (1, 2)]
    moved = np.stack([np.roll(image, by, (0, 1)) for image, by in zip(bright, steps, strict=True)])

    def search(images):
        copies = neighbours.Sought(images, np.zeros(40, int))
        return neighbours.find_neighbours([copies], real, neighbours.centred(real.images))[0]

    found = search(moved)
    np.testing.assert_array_equal(found.moved.index, np.arange(40))
    np.testing.assert_allclose(found.moved.distance, 0, atol=1e-6)
    assert np.mean(found.nearest.index == np.arange(40)) < 0.5
    still = search(bright)
    np.testing.assert_array_equal(still.moved.index, still.nearest.index)
    np.testing.assert_array_equal(still.nearest.index, np.arange(40))


def test_whichever_search_finds_the_nearer_one_is_believed():
    """Images whose centre of mass is dragged away: only the plain search finds what they copy."""
    rng = RNG(31)
    real = ImageSet((rng.random((30, 12, 12)) * 0.5).astype(np.float32), np.zeros(30, int))
    spoilt = real.images.copy()
    spoilt[:15, 0, 0] = spoilt[:15, 1, 0] = 1
    images = neighbours.Sought(spoilt, np.zeros(30, int))
    (found,) = neighbours.find_neighbours([images], real, neighbours.centred(real.images))
    alone = neighbours.nearest_of_class(
        neighbours.centred(spoilt), images.labels, neighbours.centred(real.images), real.labels
    )
    assert (alone.index != found.nearest.index).any()
    np.testing.assert_array_equal(found.nearest.index, np.arange(30))
    nearer = alone.distance < found.nearest.distance
    expected = np.where(nearer, alone.index, found.nearest.index)
    np.testing.assert_array_equal(found.moved.index, expected)
    distances = np.minimum(alone.distance, found.nearest.distance)
    np.testing.assert_array_equal(found.moved.distance, distances)


# Planted copies


def half_unseen():
    """A Reference of 2,000 real images of one class, of which those in even rows were not seen."""
    return Reference(
        real=ImageSet(None, np.zeros(2000, int)),
        centred=None,
        unseen=np.arange(2000) % 2 == 0,
        test=None,
        judged=None,
        referee=None,
        classes=1,
        seed=0,
    )


def each_at(index, ratio):
    index = np.array(index)
    nearest = Nearest(index, np.full(len(index), ratio), np.ones(len(index)))
    return Neighbours(np.zeros(len(index), int), nearest, nearest)


def test_closest_of_each_class():
    labels, distance = np.array([3, 0, 3, 0, 3, 7]), np.array([2.0, 1.0, 0.5, 1.5, 0.5, 9.0])
    second = np.array([2.0, 4.0, 5.0, 1.5, 0.6, 10.0])
    nearest = Nearest(np.zeros(6, int), distance, second)
    assert new.closest_of_each_class(labels, nearest) == {0: 1, 3: 2, 7: 5}
    assert new.closest_of_each_class(labels[:0], nearest.take(slice(0))) == {}


@pytest.mark.filterwarnings("error")
def test_of_no_image_nothing_is_said():
    nothing = Nearest(np.empty(0, int), np.empty(0), np.empty(0))
    real_labels, unseen = np.zeros(4, int), np.array([True, False, False, False])
    numbers = new.seen_or_unseen(
        Neighbours(np.empty(0, int), nothing, nothing), real_labels, unseen
    )
    assert all(np.isnan(value) for value in numbers.values())
    two = Nearest(np.zeros(2, int), np.ones(2), np.ones(2))
    none_unseen = new.seen_or_unseen(
        Neighbours(np.zeros(2, int), two, two),
        real_labels,
        np.zeros(4, bool),
    )
    assert np.isnan(none_unseen["lean"]) and np.isnan(none_unseen["lean_z"])


@pytest.mark.filterwarnings("error")
def test_where_chance_has_no_say_there_is_no_z():
    """One real image of a class; and counts that are those of the others but for rounding."""
    alone = each_at([0, 0], 0.5)
    numbers = new.seen_or_unseen(alone, np.zeros(1, int), np.array([True]))
    assert numbers["seen_share"] == numbers["expected_share"] == 0 and np.isnan(numbers["lean_z"])
    found, others = each_at([0, 1], 0.5), each_at(49 * [0, 1], 0.5)
    assert 2 / 98 * 49 != 1
    marks = np.array([True, False, False])
    numbers = new.seen_or_unseen(found, np.zeros(3, int), marks, others)
    assert numbers["expected_share"] == pytest.approx(0.5) and np.isnan(numbers["lean_z"])
    assert np.isnan(numbers["lean_detectable"])
    # a class whose counts are in proportion has no variance, whatever the rounding
    rows = np.repeat([0, 1, 2], [7, 5, 9])
    new.shares_by_depth(each_at(rows, 0.5), np.zeros(3, int), marks, each_at(np.tile(rows, 3), 0.5))
