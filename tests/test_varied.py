import math

import numpy as np
import prdc
import pytest
from conftest import first_images
from scipy import linalg

from trust.ask import varied
from trust.ask.neighbours import gaps_within
from trust.ask.questions import disjoint_sets
from trust.data.images import ImageSet

RNG = np.random.default_rng


# Varied?


def gaussian(seed, n, d=6, scale=1.0, shift=0.0):
    rng = RNG(seed)
    mixing = RNG(99).normal(size=(d, d))
    return (shift + scale * rng.normal(size=(n, d)) @ mixing).astype(np.float32)


@pytest.mark.parametrize(("n", "m", "d"), [(500, 400, 6), (200, 900, 20), (30, 300, 40)])
def test_frechet_distance_is_the_formula_with_a_matrix_root(n, m, d):
    a, b = gaussian(3, n, d), gaussian(4, m, d, scale=1.3, shift=0.5)
    first, second = (np.cov(x.astype(float).T) for x in (a, b))
    gap = a.mean(axis=0, dtype=float) - b.mean(axis=0, dtype=float)
    # a little on the diagonal: fewer images than features have no root that SciPy finds
    shaky = 1e-9 * np.eye(d)
    root = linalg.sqrtm((first + shaky) @ (second + shaky)).real
    expected = gap @ gap + np.trace(first + second - 2 * root)
    assert varied.frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)


def test_frechet_distance_in_closed_form():
    a = gaussian(5, 300)
    shift = np.array([1, -2, 0, 0.5, 3, 0], np.float32)
    assert varied.frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert varied.frechet_distance(a + shift, a) == pytest.approx(14.25, rel=1e-4)
    # twice as wide about the same mean: the trace of (2 - 1)^2 of the covariance
    wide = a.mean(axis=0) + 2 * (a - a.mean(axis=0))
    expected = np.trace(np.cov(a.T))
    assert varied.frechet_distance(wide, a) == pytest.approx(expected, rel=1e-4)
    assert varied.frechet_distance(a, wide) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_without_a_covariance():
    a = gaussian(6, 50)
    assert math.isnan(varied.frechet_distance(a[:0], a))
    assert math.isnan(varied.frechet_distance(a[:1], a))
    assert math.isfinite(varied.frechet_distance(a[:2], a))


@pytest.mark.parametrize("references", [0, 1])
def test_frechet_distance_to_too_few_test_images(references):
    a = gaussian(6, 50)
    assert math.isnan(varied.frechet_distance(a, a[:references]))


@pytest.mark.parametrize(("n", "m", "d", "k"), [(300, 200, 6, 5), (40, 500, 20, 3), (99, 99, 1, 5)])
def test_variety_is_that_of_the_library_of_its_authors(n, m, d, k):
    a, b = RNG(7).normal(0.2, 1.2, (n, d)), RNG(8).normal(size=(m, d))
    found = varied.variety(a, b, k=k)
    expected = prdc.compute_prdc(real_features=b, fake_features=a, nearest_k=k)
    assert found == pytest.approx(expected)


def naive_variety(features, reference, k):
    def distance(a, b):
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))

    def radii(points):
        return [
            sorted(distance(a, b) for j, b in enumerate(points) if i != j)[k - 1]
            for i, a in enumerate(points)
        ]

    features, reference = features.astype(float).tolist(), reference.astype(float).tolist()
    own, theirs = radii(features), radii(reference)
    between = [[distance(a, b) for b in reference] for a in features]
    balls = [[gap <= r for gap, r in zip(row, theirs, strict=True)] for row in between]
    return {
        "precision": np.mean([any(row) for row in balls]),
        "recall": np.mean(
            [
                any(between[i][j] <= own[i] for i in range(len(features)))
                for j in range(len(reference))
            ]
        ),
        "density": sum(sum(row) for row in balls) / (k * len(features)),
        "coverage": np.mean([any(column) for column in zip(*balls, strict=True)]),
    }


@pytest.mark.parametrize(("n", "m", "k"), [(60, 45, 5), (6, 50, 5), (40, 40, 1), (30, 70, 3)])
def test_variety_by_two_loops(n, m, k):
    a, b = gaussian(7, n, 3, scale=0.8, shift=0.4), gaussian(8, m, 3)
    result = varied.variety(a, b, k)
    assert result == pytest.approx(naive_variety(a, b, k), abs=1e-9)
    assert 0 < result["recall"] < 1 and all(isinstance(value, float) for value in result.values())


def test_variety_by_hand():
    # k = 1: the reference's balls are [-1, 1], [0, 2], [8, 12], [8, 12], those of the images
    # [0, 1] and [0, 1] about 0.5 - 0.5 and 0.5 + 0.5, and [-19, 21] about 20's nearest, 1
    reference = np.array([[0.0], [1.0], [10.0], [12.0]])
    images = np.array([[0.25], [0.75], [20.0]])
    result = varied.variety(images, reference, k=1)
    # 0.25 and 0.75 are in two balls each, 20 in none; 0 and 1 are 0.25 from an image whose ball
    # reaches 0.5; the ball of 20 reaches 19.25, to all but 0
    expected = {"precision": 2 / 3, "recall": 1, "density": 4 / 3, "coverage": 1 / 2}
    assert result == pytest.approx(expected)


def test_variety_of_real_images_is_what_theory_expects():
    k, n = 5, 1500
    results = [
        varied.variety(gaussian(10 + 2 * i, n, 4), gaussian(11 + 2 * i, n, 4), k) for i in range(3)
    ]
    mean = {key: np.mean([result[key] for result in results]) for key in results[0]}
    # Naeem et al. 2020, sec. 3.3: where both sets are of one kind
    missed = math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert mean["density"] == pytest.approx(1, abs=0.03)
    assert mean["coverage"] == pytest.approx(1 - missed, abs=0.01)
    assert mean["precision"] > 0.93 and mean["recall"] > 0.93


def test_variety_of_a_collapsed_and_of_a_scattered_set():
    reference = gaussian(20, 800)
    collapsed = reference[:1] + 0.01 * RNG(21).normal(size=(800, 6)).astype(np.float32)
    result = varied.variety(collapsed, reference)
    assert result["precision"] == 1 and result["density"] > 1
    assert result["recall"] < 0.01 and result["coverage"] < 0.05
    # half of the classes are missing
    half = gaussian(22, 800)
    half = half[half[:, 0] > 0]
    result = varied.variety(half, reference)
    assert result["precision"] > 0.85
    assert 0.4 < result["recall"] < 0.75 and 0.4 < result["coverage"] < 0.7
    far = varied.variety(gaussian(23, 800, scale=20), reference)
    assert far["precision"] < 0.2 and far["recall"] > 0.8 and far["density"] < 0.2


@pytest.mark.parametrize("n", [0, 1, 5])
def test_variety_of_too_few_images(n):
    few, many = gaussian(24, n), gaussian(25, 50)
    for result in (varied.variety(few, many), varied.variety(many, few)):
        assert list(result) == ["precision", "recall", "density", "coverage"]
        assert all(math.isnan(value) for value in result.values())


# All numbers of one set


def test_both_kinds_of_numbers_are_of_images_from_the_whole_set(monkeypatch):
    """The first half of a test set may be easier, so the images are not the first ones."""
    monkeypatch.setattr(varied, "IMAGES", 40)
    features, others = gaussian(37, 100), gaussian(38, 50)
    features[:, 0] = np.arange(100)
    some, few = varied.spread_rows(features), varied.spread_rows(others)
    rows = some[:, 0]
    assert len(rows) == len(few) == 40 and rows[0] == 0 and rows[-1] == 99
    assert set(np.diff(rows)) == {2, 3}
    found = varied.examine_variety(features, others)
    assert found.pop("frechet") == varied.frechet_distance(features, others)  # of all
    assert found == pytest.approx(naive_variety(some, few, 5), abs=1e-9)


def test_a_small_set_is_used_whole():
    points = gaussian(39, 30)
    np.testing.assert_array_equal(varied.spread_rows(points), points)
    assert len(varied.spread_rows(points[:0])) == 0


# Twins, and groups of near copies


def on_a_line(*places):
    """Images of one pixel and one class."""
    pixels = np.array(places, np.float32).reshape(-1, 1, 1) / 100
    return ImageSet(pixels, np.zeros(len(places), int))


def test_the_gap_behind_a_group_of_three():
    gaps = gaps_within(on_a_line(0, 1, 2, 20, 40, 60, 80, 90, 100))
    # From 0 the others are 1, 2, 20, 40, 60, 80 away, and two more that are left out.
    expected = [2 / 20, 1 / 19, 2 / 18, 20 / 40, 20 / 38, 20 / 30, 10 / 20, 10 / 30, 10 / 20]
    np.testing.assert_allclose(gaps, expected, rtol=1e-4)


def test_all_beside_one_that_is_unlike_them_are_no_group():
    gaps = gaps_within(on_a_line(0, 3, 4, 6, 99))
    np.testing.assert_allclose(gaps[:4], [4 / 6, 1 / 3, 1 / 2, 1 / 2], rtol=1e-4)


def test_equal_images_have_no_gap_to_one_another_and_few_images_none_at_all():
    assert (gaps_within(on_a_line(*[7] * 5)) < 1e-3).all()
    assert (gaps_within(on_a_line(*[7] * 5, 8, 20, 50, 90))[:5] < 1e-3).all()
    assert np.isinf(gaps_within(on_a_line(3, 4))).all()
    assert gaps_within(on_a_line()).shape == (0,)


@pytest.mark.parametrize("block", [7, 1000])
def test_a_gap_is_sought_among_the_nearer_images_of_the_class(monkeypatch, block):
    monkeypatch.setattr("trust.ask.neighbours.BLOCK", block)
    rng, labels = RNG(1), np.arange(40) % 3 % 2
    pixels = rng.integers(0, 256, (40, 3, 4)).astype(np.uint8)
    pixels[3:9:3] = pixels[0]
    flat = pixels.reshape(40, -1) / 255
    for row, found in enumerate(gaps_within(ImageSet(pixels, labels))):
        others = [i for i in range(40) if i != row and labels[i] == labels[row]]
        near = np.sort(np.linalg.norm(flat[others] - flat[row], axis=1))
        near = near[: int(0.75 * len(others))]
        ratios = near[:-1][near[1:] > 0] / near[1:][near[1:] > 0]
        assert found == pytest.approx(min(ratios), rel=1e-4, abs=1e-6)


@pytest.fixture(scope="module", params=["mnist", "fashion_mnist"])
def sets_of_200(request):
    """The gaps within 20 sets of 200 real images, as varied.ask() draws them, and 23 such sets."""
    data = first_images(request.param, 10_000, 0)
    counts = np.full(10, 20)
    rows = disjoint_sets(data["y_train"], counts, 43, RNG(0))
    sets = [ImageSet(data["x_train"][each], data["y_train"][each]) for each in rows]
    return np.concatenate([gaps_within(each) for each in sets[:20]]), sets[20:]


def has_twins(images, known):
    numbers = varied.count_twins(gaps_within(images), known)
    return numbers["twins"] >= numbers["twins_limit"]


def with_near_copies(images, pictures, times, noise):
    """Images of which the first `pictures` in a random order stand there `times` times each, in the
    place of others, all with noise of this standard deviation."""
    rng = RNG(pictures)
    order = rng.permutation(len(images))
    copied, pixels = np.resize(order[:pictures], pictures * times), images.images / 255
    noisy = pixels[copied] + noise * rng.standard_normal((len(copied), *pixels.shape[1:]))
    pixels[order[: len(copied)]] = np.clip(noisy, 0, 1)
    labels = images.labels.copy()
    labels[order[: len(copied)]] = labels[copied]
    return ImageSet(pixels.astype(np.float32), labels)


@pytest.mark.parametrize("noise", [0, 0.02, 0.05])
@pytest.mark.parametrize(("pictures", "times"), [(10, 2), (66, 3), (6, 3), (4, 10), (1, 30)])
def test_groups_of_near_copies_are_caught_whatever_their_size(sets_of_200, pictures, times, noise):
    known, sets = sets_of_200
    planted = [with_near_copies(each, pictures, times, noise) for each in sets[:10]]
    assert sum(has_twins(each, known) for each in planted) >= 9


def test_sets_of_real_images_have_no_groups_of_near_copies(sets_of_200):
    known, sets = sets_of_200
    assert not any(has_twins(each, known) for each in sets)
