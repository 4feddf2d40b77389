import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluation

RNG = np.random.default_rng
DATA = Path(__file__).parent.parent / "data"


# Calibration


def test_reliability_by_hand():
    confidence = np.array([0.0, 0.2, 0.25, 0.4, 0.9, 1.0])
    correct = np.array([False, True, False, True, True, True])
    diagram = evaluation.reliability(confidence, correct, bins=5)
    np.testing.assert_allclose(diagram["edges"], [0, 0.2, 0.4, 0.6, 0.8, 1])
    # closed on the right: 0.2 is in the first bin, 0.4 in the second, 1 in the last
    np.testing.assert_array_equal(diagram["count"], [2, 2, 0, 0, 2])
    np.testing.assert_allclose(diagram["confidence"], [0.1, 0.325, np.nan, np.nan, 0.95])
    np.testing.assert_allclose(diagram["accuracy"], [0.5, 0.5, np.nan, np.nan, 1])
    assert diagram["ece"] == pytest.approx((2 * 0.4 + 2 * 0.175 + 2 * 0.05) / 6)


def test_reliability_of_nothing():
    diagram = evaluation.reliability(np.empty(0), np.empty(0, dtype=bool))
    assert math.isnan(diagram["ece"])
    assert diagram["count"].sum() == 0
    assert np.isnan(diagram["accuracy"]).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_calibration_error_is_the_weighted_gap(pairs):
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    edges = np.linspace(0, 1, 16)
    gap = 0
    for i in range(15):
        inside = (confidence > edges[i]) & (confidence <= edges[i + 1])
        if i == 0:
            inside |= confidence == 0
        gap += abs(correct[inside].sum() - confidence[inside].sum())
    diagram = evaluation.reliability(confidence, correct)
    assert diagram["ece"] == pytest.approx(gap / len(pairs), abs=1e-12)
    assert diagram["count"].sum() == len(pairs)


def test_calibration_error_by_hand():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.8, 0.0], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]])
    labels = np.array([0, 0, 1, 2])
    # 0.8 is right once of twice; 0.4 wrong; 1.0 right
    error = evaluation.expected_calibration_error(probabilities, labels)
    assert error == pytest.approx((2 * 0.3 + 0.4 + 0) / 4)


def test_calibration_error_ends():
    certain = np.eye(4)
    assert evaluation.expected_calibration_error(certain, np.arange(4)) == 0
    assert evaluation.expected_calibration_error(certain, (np.arange(4) + 1) % 4) == 1


def test_calibrated_predictions_have_a_small_error():
    rng = RNG(0)
    confidence = rng.random(200_000)
    correct = rng.random(200_000) < confidence
    assert evaluation.reliability(confidence, correct)["ece"] < 0.01
    overconfident = rng.random(200_000) < confidence - 0.1 * (confidence > 0.5)
    assert evaluation.reliability(confidence, overconfident)["ece"] == pytest.approx(0.05, abs=0.01)


def test_agreement():
    assert evaluation.agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    assert math.isnan(evaluation.agreement(np.empty(0, int), np.empty(0, int)))


# Closest training images


def brute_force(images, training_images):
    """Every pair, pixel by pixel, in float64; on 0 to 255, where ties of uint8 images are exact."""

    def pixels(images):
        scale = np.float32(1 if images.dtype == np.uint8 else 255)
        return (images.astype(np.float32) * scale).astype(float)

    index, distance = [], []
    others = pixels(training_images)
    for image in pixels(images):
        distances = np.sqrt(((image - others) ** 2).sum(axis=(1, 2)))
        index.append(distances.argmin())
        distance.append(distances.min() / 255)
    return np.array(index), np.array(distance)


def assert_exact(images, training_images):
    index, distance = evaluation.closest_training_images(images, training_images)
    expected_index, expected_distance = brute_force(images, training_images)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_allclose(distance, expected_distance, rtol=1e-12, atol=0)


def blurred(images):
    padded = np.pad(images / 255, ((0, 0), (1, 1), (1, 1)))
    shifts = itertools.product(range(3), repeat=2)
    return (sum(padded[:, i : i + 28, j : j + 28] for i, j in shifts) / 9).astype(np.float32)


@pytest.fixture(scope="module", params=["mnist", "fashion_mnist"])
def real(request):
    with np.load(DATA / f"{request.param}.npz") as file:
        return file["x_train"][:4000], file["x_test"][:24]


def test_closest_real_images(real):
    training, test = real
    assert_exact(test, training)
    assert_exact(blurred(test), training)
    assert_exact(((blurred(test[::2]) + blurred(test[1::2])) / 2), training)


def test_closest_to_images_unlike_any_training_image(real):
    training, _ = real
    noise = RNG(0).random((4, 28, 28), dtype=np.float32)
    flat = np.full((3, 28, 28), [[[0.0]], [[0.5]], [[1.0]]], dtype=np.float32)
    assert_exact(np.concatenate((noise, flat, 1 - blurred(training[:2]))), training)


def test_closest_of_copies_is_the_first_at_distance_zero(real):
    training, _ = real
    training = np.concatenate((training[:500], training[:500], training[250:1000]))
    copies = training[[900, 0, 499, 1500, 1100]]
    for images in (copies, copies.astype(np.float32) / 255):
        index, distance = evaluation.closest_training_images(images, training)
        np.testing.assert_array_equal(index, [400, 0, 499, 1500, 350])
        np.testing.assert_array_equal(distance, 0)
        np.testing.assert_array_equal(evaluation.correlation(images, training[index]), 1)


def test_closest_among_near_ties():
    # all training images differ from one another by at most 1 in a pixel of an otherwise wide range
    rng = RNG(4)
    base = rng.integers(1, 255, (28, 28))
    training = (base + rng.integers(-1, 2, (3000, 28, 28)) * (rng.random((28, 28)) < 0.02)).astype(
        np.uint8
    )
    images = (base + rng.integers(-1, 2, (70, 28, 28))).astype(np.uint8)
    assert_exact(images, training)
    assert_exact((images / 255 + rng.normal(0, 1e-3, images.shape)).astype(np.float32), training)


@pytest.mark.parametrize("value", [0, 37, 255])
def test_closest_when_all_training_images_are_equal(value):
    training = np.full((300, 28, 28), value, dtype=np.uint8)
    images = RNG(5).random((5, 28, 28), dtype=np.float32)
    index, distance = evaluation.closest_training_images(images, training)
    np.testing.assert_array_equal(index, 0)
    np.testing.assert_allclose(distance, brute_force(images, training)[1], rtol=1e-12)
    index, distance = evaluation.closest_training_images(training[:3], training)
    np.testing.assert_array_equal(index, 0)
    np.testing.assert_array_equal(distance, 0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 5), (9, 8), (16, 16)])
@pytest.mark.parametrize("many", [1, 2, 700])
def test_closest_for_other_sizes(shape, many):
    rng = RNG(6)
    training = rng.integers(0, 256, (many, *shape), dtype=np.uint8)
    assert_exact(rng.integers(0, 256, (130, *shape), dtype=np.uint8), training)
    assert_exact(rng.random((65, *shape), dtype=np.float32), training)


def test_closest_of_nothing():
    training = RNG(7).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    index, distance = evaluation.closest_training_images(training[:0], training)
    assert index.shape == distance.shape == (0,)


def test_bounds_never_exceed_the_distance(real):
    # the claim on which ruling out rests, for both lengths of coordinates
    training, test = real
    components = np.linalg.qr(RNG(8).normal(size=(784, evaluation.FINE)))[0]
    mean = training.mean(axis=0).ravel()
    fine, other = (evaluation._coordinates(x, mean, components) for x in (training[:300], test))
    difference = training[:300].astype(float) - test[:, None]
    true = np.sqrt((difference**2).sum(axis=(2, 3)))
    for a, b in ((fine, other), (evaluation._shorten(fine), evaluation._shorten(other))):
        bound = np.linalg.norm(a.astype(float) - b[:, None], axis=2)
        assert (bound <= true * (1 + 1e-5)).all()
        assert bound.mean() > 0.3 * true.mean()


# Correlation


def test_correlation_is_numpys():
    rng = RNG(9)
    images = rng.random((20, 28, 28), dtype=np.float32)
    others = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    expected = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, others, strict=True)
    ]
    np.testing.assert_allclose(evaluation.correlation(images, others), expected, atol=1e-6)


def test_correlation_by_hand():
    images = np.array([[[0, 10], [20, 30]]] * 5, dtype=np.uint8)
    others = np.array(
        [
            [[0, 10], [20, 30]],
            [[30, 20], [10, 0]],
            [[0, 20], [40, 60]],
            [[7, 7], [7, 7]],
            [[0, 1], [1, 0]],
        ],
        dtype=np.uint8,
    )
    np.testing.assert_allclose(evaluation.correlation(images, others), [1, -1, 1, 0, 0], atol=1e-12)


def test_correlation_with_a_constant_image_is_zero():
    flat = np.full((2, 28, 28), 0.1, dtype=np.float32)
    image = RNG(10).random((2, 28, 28), dtype=np.float32)
    for pair in ((flat, image), (image, flat), (flat, flat)):
        np.testing.assert_array_equal(evaluation.correlation(*pair), 0)


# Copies


def pair_count_z(sample, reference):
    """Mann-Whitney by counting all pairs, with the exact variance over all relabellings."""
    u = sum((a > b) + 0.5 * (a == b) for a in sample for b in reference)
    n, m = len(sample), len(reference)
    everything = [*sample, *reference]
    # the variance of a sum of n midranks drawn without replacement
    midranks = [sum((b < a) + 0.5 * (b == a) for b in everything) + 0.5 for a in everything]
    spread = np.var(midranks) * n * m / (n + m - 1)
    return (u - n * m / 2) / math.sqrt(spread) if spread else 0.0


@settings(deadline=None)
@given(
    sample=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    reference=st.lists(st.integers(0, 6), min_size=1, max_size=12),
)
def test_one_cell_is_the_mann_whitney_test(sample, reference):
    z = evaluation.three_sample_z(
        np.array(sample, float),
        np.array(reference, float),
        np.zeros(len(sample), int),
        np.zeros(len(reference), int),
        minimum=1,
    )
    assert z == pytest.approx(pair_count_z(sample, reference), abs=1e-9)


def test_mann_whitney_by_hand():
    # 1 and 2 beat nothing, 5 beats 3: U = 1 of 6, mean 3, variance 3 * 2 * 6 / 12 = 3
    z = evaluation.three_sample_z(
        np.array([1.0, 2, 5]), np.array([3.0, 6]), np.zeros(3, int), np.zeros(2, int), minimum=1
    )
    assert z == pytest.approx((1 - 3) / math.sqrt(3))


def test_null_has_mean_0_and_the_stated_spread():
    rng = RNG(11)
    pool = np.round(rng.gamma(3, 1, 400), 1)  # rounded, so that there are ties
    cells = np.arange(200) % 4
    scores = []
    for _ in range(600):
        rng.shuffle(pool)
        scores.append(evaluation.three_sample_z(pool[:200], pool[200:], cells, cells))
    assert np.mean(scores) == pytest.approx(0, abs=0.08)
    assert np.std(scores) == pytest.approx(0.5, abs=0.05)  # 1 / sqrt(4 cells)
    one = np.zeros(200, int)
    scores = []
    for _ in range(600):
        rng.shuffle(pool)
        scores.append(evaluation.three_sample_z(pool[:200], pool[200:], one, one))
    assert np.std(scores) == pytest.approx(1, abs=0.1)


def test_cells_are_weighted_by_test_images():
    rng = RNG(12)
    generated, test = rng.random(300), rng.random(400)
    generated_cells = np.repeat([0, 1, 2, 3], [150, 100, 31, 19])
    test_cells = np.repeat([0, 1, 3, 5], [100, 240, 40, 20])
    z = evaluation.three_sample_z(generated, test, generated_cells, test_cells)
    # cell 2 has no test image, 3 too few generated ones, 5 none: 0 and 1 are left
    first = pair_count_z(generated[:150], test[:100])
    second = pair_count_z(generated[150:250], test[100:340])
    assert z == pytest.approx((100 * first + 240 * second) / 340)


def test_copies_are_negative_and_poor_fits_positive():
    rng = RNG(13)
    distance, cells = rng.normal(5, 1, 1000), np.arange(1000) % 10
    assert evaluation.three_sample_z(0.5 * distance, distance, cells, cells) < -5
    assert evaluation.three_sample_z(2 * distance, distance, cells, cells) > 5
    assert evaluation.three_sample_z(distance, distance, cells, cells) == pytest.approx(0)


def test_three_sample_z_without_evidence():
    few = np.ones(5), np.ones(5), np.zeros(5, int), np.zeros(5, int)
    assert math.isnan(evaluation.three_sample_z(*few))
    assert evaluation.three_sample_z(*few, minimum=5) == 0  # all tied
    nothing = np.empty(0), np.ones(5), np.empty(0, int), np.zeros(5, int)
    assert math.isnan(evaluation.three_sample_z(*nothing))


def test_copy_rate_by_hand():
    real = np.arange(1, 102, dtype=float)  # the first percentile is 2
    assert evaluation.copy_rate(np.array([1.0, 2.0, 2.5, 50.0]), real) == 0.5
    assert evaluation.copy_rate(np.array([3.0]), real) == 0
    assert evaluation.copy_rate(np.array([10.0, 12.0]), real, quantile=0.1) == 0.5
    assert math.isnan(evaluation.copy_rate(np.empty(0), real))


def test_real_images_copy_at_the_stated_rate():
    real = RNG(14).random(10_000)
    assert evaluation.copy_rate(real, real) == pytest.approx(0.01, abs=1e-4)
