"""Blur: how much fine detail an image has, and whose are the most blurred images of two sets."""

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage, stats

from trust.ask import blur
from trust.ask.verdicts import FALSE_ALARM
from trust.data.datasets import load_dataset
from trust.data.images import ImageSet, first_of_each_class

RNG = np.random.default_rng


def of(detail, labels):
    """Images (n, 3, 3) whose fine detail rises with `detail`, (n,) float above 0: a point in the
    middle of a slope."""
    images = np.zeros((len(detail), 3, 3))
    images[:] = [[0, 1, 2]] * 3
    images[:, 1, 1] += detail
    return ImageSet(images, np.asarray(labels))


def compared(yours, real, labels=None, alarm=0.001, seed=0):
    labels = np.zeros(len(yours), int) if labels is None else labels
    return blur.compare_blur(of(yours, labels), of(real, labels), alarm=alarm, rng=RNG(seed))


# Fine detail


def test_fine_detail_is_scipys_laplacian_over_numpys_differences():
    images = RNG(0).random((5, 7, 9))
    for image, found in zip(images, blur.fine_detail(images), strict=True):
        laplacian = np.abs(ndimage.laplace(image)[1:-1, 1:-1]).mean()
        gradient = sum(np.abs(np.diff(image, axis=axis)).mean() for axis in (0, 1))
        assert found == pytest.approx(laplacian / gradient, rel=1e-5)


def test_neither_contrast_nor_brightness_nor_the_format_counts():
    images = RNG(1).integers(0, 120, (6, 8, 8, 3)).astype(np.uint8)
    found = blur.fine_detail(images)
    np.testing.assert_allclose(blur.fine_detail(images * 2 + 9), found, rtol=1e-5)
    np.testing.assert_allclose(blur.fine_detail(images / np.float32(255)), found, rtol=1e-5)


def test_each_pass_of_a_filter_takes_detail_away():
    image = RNG(2).random((1, 28, 28))
    passes = [blur.fine_detail(image)[0]]
    for _ in range(4):
        image = ndimage.uniform_filter(image, (0, 3, 3))
        passes.append(blur.fine_detail(image)[0])
    assert all(np.diff(passes) < 0)


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 2, 9), (4, 1, 1, 3), (0, 8, 8)])
def test_an_image_without_detail_has_none(shape):
    np.testing.assert_array_equal(blur.fine_detail(np.full(shape, 7, np.uint8)), np.zeros(shape[0]))


# Two sets


def test_by_hand():
    # Of 40 images the two most blurred count; both are not real.
    found = compared(np.arange(1, 21), np.arange(101, 121))
    assert found["blurred"] == 1
    deviation = stats.hypergeom(40, 20, 2).std()
    assert found["blurred_z"] == pytest.approx((2 - 1 - 0.5) / deviation)
    assert found["blurred_limit"] == 1  # two images are too few to be more than chance
    found = compared(np.arange(1, 1001), np.arange(1001, 2001))
    deviation = stats.hypergeom(2000, 1000, 100).std()
    level = stats.norm.isf(0.001)
    assert found["blurred_limit"] == pytest.approx((50 + 0.5 + level * deviation) / 100)
    assert compared(np.arange(101, 121), np.arange(1, 21))["blurred"] == 0


def test_each_class_is_compared_with_its_own():
    """A blurred class is not blurred beside real images that are as blurred."""
    labels = np.repeat([0, 1], 1000)
    rng, level = RNG(3), np.repeat([1, 50], 1000)
    yours, real = (level + rng.random(2000) for _ in range(2))
    assert abs(compared(yours, real, labels)["blurred_z"]) < 3
    # The most blurred of all are in the first class, but those of the second count as well.
    worse = np.where(labels == 1, yours - 0.9, yours)
    found = compared(worse, real, labels)
    assert found["blurred"] > found["blurred_limit"]
    none = np.zeros(2000, int)
    assert abs(compared(worse, real, none)["blurred_z"]) < 3


def test_equal_images_are_nobodys():
    found = compared(np.ones(2000), np.ones(2000))
    assert 0.35 < found["blurred"] < 0.65


@pytest.mark.parametrize("n", [0, 1, 3])
def test_of_a_handful_nothing_is_more_than_chance(n):
    for yours in itertools.permutations(range(1, n + 1)):
        found = compared(np.array(yours, float), 10.0 + np.arange(n))
        assert not found["blurred"] > found["blurred_limit"]
    assert n or math.isnan(found["blurred_z"])


@pytest.mark.parametrize("n, classes", [(60, 3), (200, 10), (260, 26), (1000, 10)])
def test_honest_sets_are_above_the_limit_as_rarely_as_promised(n, classes):
    """Whatever the distribution: only the order counts, and all orders are equally probable."""
    rng, alarm, draws = RNG(4), 0.01, 20_000
    each = n // classes
    most = math.ceil(blur.MOST_BLURRED * 2 * each)
    found = rng.hypergeometric(each, each, most, (draws, classes)).sum(axis=1) / (most * classes)
    labels = np.repeat(np.arange(classes), each)
    limit = compared(rng.random(n) + 1, rng.random(n) + 1, labels, alarm=alarm)["blurred_limit"]
    alarms = np.count_nonzero(found > limit)
    assert stats.binomtest(alarms, draws, alarm, alternative="greater").pvalue > 0.001
    assert alarms > 0 or most * classes < 15  # where there are images enough, it can be reached


def test_the_counts_are_hypergeometric():
    """The mean and the spread of real draws are those that z is made with."""
    rng, labels = RNG(5), np.repeat([0, 1, 2], [20, 40, 100])
    z = [
        compared(rng.random(160) + 1, rng.random(160) + 1, labels, seed=k)["blurred_z"]
        for k in range(2000)
    ]
    shift = 0.5 / math.sqrt(sum(stats.hypergeom(2 * n, n, n // 10).var() for n in (20, 40, 100)))
    assert np.mean(z) == pytest.approx(-shift, abs=0.1)
    assert np.std(z) == pytest.approx(1, abs=0.06)


def test_a_few_blurred_images_among_many_are_found():
    rng = RNG(6)
    real = RNG(7).random((4000, 8, 8))
    labels = np.arange(2000) % 4
    yours = real[:2000].copy()
    rows = rng.permutation(2000)[:60]
    yours[rows] = ndimage.uniform_filter(yours[rows], (0, 3, 3))
    sides = ImageSet(yours, labels), ImageSet(real[2000:], labels)
    found = blur.compare_blur(*sides, alarm=0.001, rng=rng)
    assert found["blurred"] > found["blurred_limit"] and found["blurred_z"] > 4


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_of_few_grey_levels_are_sharper_than_real_ones(name):
    data = load_dataset(name)
    real, yours = data.train.take(slice(3000)), data.test.take(slice(1000))
    counts = np.minimum(yours.counts(10), real.counts(10))
    real, yours = (each.take(first_of_each_class(each.labels, counts)) for each in (real, yours))
    few = ImageSet(yours.images // 32 * 32, yours.labels)
    found = blur.compare_blur(few, real, alarm=0.001, rng=RNG(0))
    assert found["blurred"] < 0.2 and found["blurred_z"] < blur.SHARPER_Z
    honest = blur.compare_blur(yours, real, alarm=0.001, rng=RNG(0))
    assert honest["blurred_z"] > blur.SHARPER_Z


@pytest.mark.parametrize("classes", [1, 2, 10, 26])
@pytest.mark.parametrize("n", [5, 20, 100, 1000])
def test_honest_images_are_hardly_ever_called_sharper(n, classes):
    """Exactly, by the convolution of the counts of all classes."""
    most = math.ceil(blur.MOST_BLURRED * 2 * n)
    own = stats.hypergeom(2 * n, n, most).pmf(np.arange(most + 1))
    counts = np.ones(1)
    for _ in range(classes):
        counts = np.convolve(counts, own)
    mean, deviation = most * classes / 2, math.sqrt(classes * stats.hypergeom(2 * n, n, most).var())
    z = (np.arange(len(counts)) - mean - 0.5) / deviation
    assert counts[z < blur.SHARPER_Z].sum() < FALSE_ALARM / 100


def test_many_images_are_looked_at_a_block_at_a_time():
    images = RNG(8).integers(0, 256, (2 * blur.BLOCK + 7, 6, 5, 3)).astype(np.uint8)
    found = blur.fine_detail(images)
    rows = [0, blur.BLOCK - 1, blur.BLOCK, 2 * blur.BLOCK, len(images) - 1]
    np.testing.assert_array_equal(
        found[rows], [blur.fine_detail(images[i : i + 1])[0] for i in rows]
    )
