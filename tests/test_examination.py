import math

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from sklearn.decomposition import PCA

from trust import examination, new, priors, report, right, selection, varied
from trust.datasets import Labelled
from trust.new import nearest_of_class

RNG = np.random.default_rng


# Calibration


def test_reliability_by_hand():
    confidence = np.array([0.0, 0.2, 0.25, 0.4, 0.9, 1.0])
    correct = np.array([False, True, False, True, True, True])
    diagram = right.reliability(confidence, correct, bins=5)
    np.testing.assert_allclose(diagram["edges"], [0, 0.2, 0.4, 0.6, 0.8, 1])
    # closed on the right: 0.2 is in the first bin, 0.4 in the second, 1 in the last
    np.testing.assert_array_equal(diagram["count"], [2, 2, 0, 0, 2])
    np.testing.assert_allclose(diagram["confidence"], [0.1, 0.325, np.nan, np.nan, 0.95])
    np.testing.assert_allclose(diagram["accuracy"], [0.5, 0.5, np.nan, np.nan, 1])
    assert diagram["ece"] == pytest.approx((2 * 0.4 + 2 * 0.175 + 2 * 0.05) / 6)


def test_reliability_of_nothing():
    diagram = right.reliability(np.empty(0), np.empty(0, dtype=bool))
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
    diagram = right.reliability(confidence, correct)
    assert diagram["ece"] == pytest.approx(gap / len(pairs), abs=1e-12)
    assert diagram["count"].sum() == len(pairs)


def test_calibration_error_by_hand():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.8, 0.0], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]])
    labels = np.array([0, 0, 1, 2])
    # 0.8 is right once of twice; 0.4 wrong; 1.0 right
    error = right.expected_calibration_error(probabilities, labels)
    assert error == pytest.approx((2 * 0.3 + 0.4 + 0) / 4)


def test_calibration_error_ends():
    certain = np.eye(4)
    assert right.expected_calibration_error(certain, np.arange(4)) == 0
    assert right.expected_calibration_error(certain, (np.arange(4) + 1) % 4) == 1


def test_calibrated_predictions_have_a_small_error():
    rng = RNG(0)
    confidence = rng.random(200_000)
    correct = rng.random(200_000) < confidence
    assert right.reliability(confidence, correct)["ece"] < 0.01
    overconfident = rng.random(200_000) < confidence - 0.1 * (confidence > 0.5)
    assert right.reliability(confidence, overconfident)["ece"] == pytest.approx(0.05, abs=0.01)


def test_calibration_with_either_temperature():
    rng = RNG(1)
    logits = rng.normal(0, 3, (20_000, 5))
    shares = selection.softmax(logits, 2.0)
    labels = (shares.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    errors = right.calibration(logits, labels, 2.0, 0.7)
    # by hand: 15 bins of the largest probability
    top = np.exp(logits / 0.7 - np.logaddexp.reduce(logits / 0.7, axis=1)[:, None])
    gap, place = 0, np.ceil(top.max(axis=1) * 15)
    for each in np.unique(place):
        here = place == each
        hits = (logits[here].argmax(axis=1) == labels[here]).mean()
        gap += here.mean() * abs(hits - top[here].max(axis=1).mean())
    assert errors["ece"] < 0.02
    assert errors["ece_real_temperature"] == pytest.approx(gap)
    assert errors["ece_real_temperature"] > 0.1


# Errors


def test_agreement():
    assert right.agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    assert math.isnan(right.agreement(np.empty(0, int), np.empty(0, int)))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 59, 300, 2000, 20_000])
def test_the_bound_is_clopper_pearsons(n):
    for errors in sorted({0, 1, 2, 7, n // 100, n // 10, n // 2, n - 1} & set(range(n))):
        for confidence in (0.95, 0.99):
            expected = stats.beta.ppf(confidence, errors + 1, n - errors)
            bound = right.error_bound(errors, n, confidence)
            assert bound == pytest.approx(expected, rel=1e-6), errors


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_at_the_bound_so_few_errors_have_a_chance_of_5_percent(case):
    errors, n = case
    bound = right.error_bound(errors, n)
    assert errors / n <= bound <= 1
    if errors < n:
        assert stats.binom.cdf(errors, n, bound) == pytest.approx(0.05, rel=1e-6)


def test_the_bound_by_hand():
    # no error in n: (1 - p)^n = 0.05, about 3 / n
    assert right.error_bound(0, 1) == pytest.approx(0.95)
    assert right.error_bound(0, 10_000) == pytest.approx(1 - 0.05**1e-4, rel=1e-9)
    assert right.error_bound(0, 10_000) == pytest.approx(3e-4, rel=0.01)
    # one right of two: p^2 = 0.95
    assert right.error_bound(1, 2) == pytest.approx(0.95**0.5)
    assert right.error_bound(5, 5) == right.error_bound(0, 0) == 1


def test_the_bound_holds_19_times_in_20():
    wrong = RNG(2).binomial(400, 0.01, 4000)
    bounds = {errors: right.error_bound(errors, 400) for errors in np.unique(wrong)}
    assert np.mean([bounds[errors] >= 0.01 for errors in wrong]) > 0.945


def test_errors_and_their_bound():
    result = right.errors(np.array([1, 2, 3, 4, 5]), np.array([1, 2, 0, 4, 5]))
    expected = {"strong_error": 0.2, "strong_error_bound": stats.beta.ppf(0.95, 2, 4)}
    assert result == pytest.approx(expected)
    nothing = right.errors(np.empty(0, int), np.empty(0, int))
    assert list(nothing) == list(expected) and all(map(math.isnan, nothing.values()))


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


# Copies


def simulate(rng, n, m, classes=5):
    """Distances of n images and m reference images of each class, of one kind but for the class."""
    labels, reference_labels = np.repeat(np.arange(classes), n), np.repeat(np.arange(classes), m)
    scale = 1.0 + 3 * np.arange(classes)
    distance = scale[labels] * rng.gamma(9, 1, n * classes)
    reference = scale[reference_labels] * rng.gamma(9, 1, m * classes)
    return distance, labels, reference, reference_labels


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (300, 99), (200, 20), (40, 450), (30, 3)])
def test_images_of_the_reference_kind_are_close_at_the_stated_rate(n, m):
    rng, runs = RNG(26), 1200
    rates, scores = np.array([new.closest_rate(*simulate(rng, n, m)) for _ in range(runs)]).T
    assert rates.mean() == pytest.approx(0.01, abs=4 * rates.std() / runs**0.5)
    assert scores.mean() == pytest.approx(0, abs=4 / runs**0.5)
    # exact for many reference images, and on the safe side for few
    assert (0.9 if m > 50 else 0.7) < scores.std() < 1.1
    assert np.mean(scores > 3) < 0.02  # the report's limit


def test_copies_raise_rate_and_z_in_whatever_class_they_are():
    rng = RNG(27)
    for label in range(5):
        distance, labels, reference, reference_labels = simulate(rng, 1000, 1000)
        here = np.flatnonzero(labels == label)[:50]  # 1 % of all images
        distance[here] = 0.1
        rate, z = new.closest_rate(distance, labels, reference, reference_labels)
        assert rate == pytest.approx(0.02, abs=0.004)
        assert z > 3


def test_closest_rate_by_hand():
    # of 199 reference images the 2nd is the limit, 2 / 200 = 1 %
    reference = np.concatenate((np.arange(1.0, 200), np.arange(1001.0, 1200)))
    reference_labels = np.repeat([0, 1], 199)
    distance = np.array([1.5, 2.0, 50, 3, 1001.5, 1000, 1100, 1])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])  # no reference image is of class 2
    rate, z = new.closest_rate(distance, labels, reference, reference_labels)
    assert rate == pytest.approx(3 / 7)
    variance = 0.01 * 0.99 * (4 * (1 + 4 / 199) + 3 * (1 + 3 / 199))
    assert z == pytest.approx((3 - 0.07) / math.sqrt(variance))
    # of 9 reference images the 1st is the limit, 10 % of its kind, scaled to 1 %
    rate, _ = new.closest_rate(np.array([0.5, 5, 5, 5]), labels[:4], reference[:9], 0 * [1])
    assert math.isnan(rate)
    rate, _ = new.closest_rate(
        np.array([0.5, 5, 5, 5]), labels[:4], reference[:9], reference_labels[:9]
    )
    assert rate == pytest.approx(0.01 * (1 / 4) / 0.1)
    rate, _ = new.closest_rate(
        np.array([2.5, 5, 5, 5]), labels[:4], reference[:9], reference_labels[:9], quantile=0.3
    )
    assert rate == pytest.approx(1 / 4)


def test_closest_rate_without_images_of_one_class():
    distance, labels, reference, reference_labels = simulate(RNG(28), 50, 50)
    nothing = distance[:0], labels[:0]
    for arguments in (
        (*nothing, reference, reference_labels),
        (distance, labels, *nothing),
        (distance, labels, reference, reference_labels + 5),
    ):
        assert all(math.isnan(value) for value in new.closest_rate(*arguments))


def soft(images):
    """A mean over 3 x 3 pixels, (n, 28, 28) float32 in [0, 1]."""
    padded = np.pad(images / 255, ((0, 0), (1, 1), (1, 1)))
    return (sum(padded[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3)) / 9).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def mnist():
    """Training images and labels, test images and labels."""
    with np.load(ROOT / "data" / "mnist.npz") as file:
        arrays = file["x_train"], file["y_train"], file["x_test"], file["y_test"]
    sizes = 3000, 3000, 2000, 2000
    return [array[:n] for array, n in zip(arrays, sizes, strict=True)]


def test_planted_copies_are_one_in_twenty_and_of_the_same_label(mnist):
    training_images, training_labels, images, labels = mnist
    images, before = soft(images), soft(images)
    planted = new.plant_copies(images, labels, training_images, training_labels, RNG(0))
    np.testing.assert_array_equal(images, before)
    assert planted.shape == images.shape and planted.dtype == np.float32
    assert planted.min() >= 0 and planted.max() <= 1
    changed = (planted != images).any(axis=(1, 2))
    assert changed.sum() == 100
    index, distance = nearest_of_class(
        planted[changed], labels[changed], training_images, training_labels
    )
    # noise of 0.05 on 784 pixels, half of it cut off at 0
    assert (distance < 0.05 * 28).all() and (distance > 0.05 * 28 / 2).all()
    np.testing.assert_array_equal(training_labels[index], labels[changed])
    assert len(np.unique(index)) > 90
    twin = training_images[index] / 255
    noise = (planted[changed] - twin)[(twin > 0.2) & (twin < 0.8)]
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.std() == pytest.approx(0.05, rel=0.05)
    again = new.plant_copies(images, labels, training_images, training_labels, RNG(0))
    np.testing.assert_array_equal(planted, again)


@pytest.mark.parametrize(("n", "share", "expected"), [(0, 0.05, 0), (1, 0.05, 1), (40, 0.1, 4)])
def test_how_many_copies_are_planted(n, share, expected):
    images, labels = np.full((n, 28, 28), 0.5, np.float32), np.zeros(n, int)
    training = np.zeros((3, 28, 28), np.uint8), np.array([1, 0, 1])
    planted = new.plant_copies(images, labels, *training, RNG(0), share, noise=0)
    assert planted.shape == (n, 28, 28)
    assert (planted == 0).all(axis=(1, 2)).sum() == expected


def test_the_copying_test_finds_planted_copies_among_blurred_images(mnist):
    # the control of the report: blur alone does not fire, 5 % of copies do
    training_images, training_labels, images, labels = mnist
    training = training_images, training_labels
    reference, images = soft(images[::2]), soft(images[1::2])
    reference_labels, labels = labels[::2], labels[1::2]
    blurred = nearest_of_class(reference, reference_labels, *training)[1], reference_labels
    planted = new.plant_copies(images, labels, *training, RNG(1))
    _, z = new.closest_rate(nearest_of_class(images, labels, *training)[1], labels, *blurred)
    assert abs(z) < 3
    rate, z = new.closest_rate(nearest_of_class(planted, labels, *training)[1], labels, *blurred)
    assert rate > 0.03 and z > 6


def test_closest_of_each_class():
    labels = np.array([3, 0, 3, 0, 3, 7])
    distance = np.array([2.0, 1.0, 0.5, 1.5, 0.5, 9.0])
    assert new.closest_of_each_class(labels, distance) == {0: 1, 3: 2, 7: 5}
    assert new.closest_of_each_class(labels[:0], distance[:0]) == {}


# All questions of one set


def judge(images):
    """The label is the brightness of the first pixel in tenths, the features are six pixels."""
    pixels = np.asarray(images, np.float32).reshape(len(images), 784)
    return np.round(10 * pixels[:, 0]).astype(int), pixels[:, 1:7]


def made_up(seed, n, classes=3):
    rng = RNG(seed)
    labels = np.arange(n) % classes
    images = rng.random((n, 28, 28), np.float32)
    images[:, 0, 0] = labels / 10
    return images, labels


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """A referee and a learner whose answers are known; returns what the learner was told."""
    told = []

    def learn(images, targets, test, classes, seed):
        told.append(targets)
        return len(images) / 1000

    monkeypatch.setattr(examination, "judge", lambda referee, images: judge(images))
    monkeypatch.setattr(examination, "accuracy_after_training", learn)
    return told


def reference(seed=30, n=120):
    seen, test = Labelled(*made_up(seed, n)), Labelled(*made_up(seed + 1, n))
    distance = nearest_of_class(*test, *seen).distance
    return examination.Reference(
        seen=seen,
        test=test,
        referee=None,
        test_labels=judge(test.images)[0],
        test_features=judge(test.images)[1],
        real=new.Distances(distance, test.labels),
        blurred=new.Distances(distance + 0.1, test.labels),
        classes=3,
        seed=0,
    )


def numbers_of(examined):
    """All keys of all questions, none of them twice."""
    answers = examined.answers()
    assert list(answers) == ["right", "balanced", "varied", "new", "useful"]
    keys = [key for numbers in answers.values() for key in numbers]
    assert len(set(keys)) == len(keys)
    return {key: value for numbers in answers.values() for key, value in numbers.items()}


def test_every_question_is_asked_and_is_a_row_of_the_report():
    images, labels = made_up(32, 90)
    examined = examination.examine(images, labels, labels, reference())
    metrics, (index, distance) = numbers_of(examined), examined.nearest
    rows = {row.key for row in report.ROWS}
    assert set(metrics) <= rows
    # the others are about the filter
    assert rows - set(metrics) == {
        *("strong_rate", "weak_rate", "class_balance", "agreement", "weak_agreement"),
        *("balanced_agreement", "ece", "ece_real_temperature"),
    }
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["images"] == 90 and metrics["accuracy"] == 0.09
    assert index.shape == distance.shape == (90,)


def test_the_answers_are_those_of_the_questions_one_by_one(stand_ins):
    images, labels = made_up(33, 90)
    labels[:9] = (labels[:9] + 1) % 3  # of which the judge says otherwise
    stick = reference()
    targets = np.full((90, 3), 1 / 3, np.float32)
    examined = examination.examine(images, labels, targets, stick)
    metrics, (index, distance) = numbers_of(examined), examined.nearest
    assert len(stand_ins) == 1 and stand_ins[0] is targets
    assert metrics["accuracy"] == 0.09
    np.testing.assert_array_equal(examined.referee_labels, judge(images)[0])
    assert metrics["strong_agreement"] == 0.9 and metrics["strong_error"] == pytest.approx(0.1)
    assert metrics["strong_error_bound"] == right.error_bound(9, 90)
    features = images.reshape(90, 784)[:, 1:7]
    expected = varied.frechet_distance(features, stick.test_features)
    assert metrics["frechet"] == pytest.approx(expected)
    expected = naive_variety(features, stick.test_features, 5)
    assert {key: metrics[key] for key in expected} == pytest.approx(expected)
    pixels, others = (x.reshape(len(x), 784).astype(float) for x in (images, stick.seen[0]))
    gaps = np.sqrt(((pixels[:, None] - others) ** 2).sum(axis=2))
    gaps[labels[:, None] != stick.seen[1]] = np.inf
    np.testing.assert_array_equal(index, gaps.argmin(axis=1))
    np.testing.assert_allclose(distance, gaps.min(axis=1), rtol=1e-6)
    assert metrics["nearest_distance_median"] == pytest.approx(np.median(gaps.min(axis=1)))
    rate, _ = new.closest_rate(distance, labels, *stick.real)
    assert metrics["copy_rate"] == rate
    rate_z = new.closest_rate(distance, labels, *stick.blurred)
    assert (metrics["copy_rate_of_blurred"], metrics["copying_z"]) == rate_z


def test_closeness_is_that_part_of_the_examination():
    images, labels = made_up(34, 60)
    examined = examination.examine(images, labels, labels, reference())
    metrics, (index, distance) = numbers_of(examined), examined.nearest
    close, nearest = examination.examine_newness(images, labels, reference())
    assert close == {key: metrics[key] for key in close}
    np.testing.assert_array_equal(nearest[0], index)
    np.testing.assert_array_equal(nearest[1], distance)
    copies, copied_labels = (array[:40] for array in reference().seen)
    close, _ = examination.examine_newness(copies, copied_labels, reference())
    assert close["nearest_distance_median"] == 0 and close["copying_z"] > 10


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6])
def test_of_small_sets_what_cannot_be_answered_is_nan(n):
    images, labels = made_up(35, n)
    examined = examination.examine(images, labels, labels, reference())
    metrics, nearest = numbers_of(examined), examined.nearest
    unanswered = {key for key, value in metrics.items() if math.isnan(value)}
    expected = set()
    if n < 6:
        expected |= {"precision", "recall", "density", "coverage"}
    if n < 2:
        expected |= {"frechet"}
    if n == 0:
        expected |= {
            *("strong_agreement", "strong_error", "strong_error_bound", "nearest_distance_median"),
            *("copy_rate", "copy_rate_of_blurred", "copying_z"),
        }
    assert unanswered == expected
    assert metrics["images"] == n and [len(each) for each in nearest] == [n, n]


@pytest.mark.filterwarnings("error")
def test_without_strong_test_images_nothing_is_said_of_copies():
    nothing = np.empty(0), np.empty(0, int)
    stick = reference()._replace(real=new.Distances(*nothing), blurred=new.Distances(*nothing))
    metrics = numbers_of(examination.examine(*made_up(36, 30), np.zeros(30, int), stick))
    for key in ("copy_rate", "copy_rate_of_blurred", "copying_z"):
        assert math.isnan(metrics[key])
    assert math.isfinite(metrics["nearest_distance_median"])


def test_variety_is_asked_of_images_from_the_whole_set(monkeypatch):
    monkeypatch.setattr(varied, "IMAGES", 40)
    images, labels = made_up(37, 100)
    images[:, 0, 1] = np.arange(100)  # the first feature
    seen = {}

    def variety(features, reference):
        seen["features"], seen["reference"] = features, reference
        return {}

    monkeypatch.setattr(varied, "variety", variety)
    examination.examine(images, labels, labels, reference())
    rows = seen["features"][:, 0]
    assert len(np.unique(rows)) == 40 and rows[0] == 0 and rows[-1] == 99
    assert set(np.diff(rows)) == {2, 3}
    assert len(seen["reference"]) == 40


# The axes of a figure


@pytest.mark.parametrize("d", [2, 3, 24])
def test_principal_axes_are_sklearns_up_to_their_sign(d):
    points, other = gaussian(40, 300, d, shift=5), gaussian(41, 70, d, shift=-1)
    pca = PCA(2, svd_solver="full").fit(points.astype(float))
    ours = priors.principal_axes(points, other)
    theirs = [pca.transform(each) for each in (points, other)]
    assert [each.shape for each in ours] == [(300, 2), (70, 2)]
    for axis in (0, 1):
        sign = np.sign(ours[0][0, axis] * theirs[0][0, axis])
        for mine, yours in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(sign * mine[:, axis], yours[:, axis], rtol=1e-3, atol=0.01)


def test_principal_axes_of_one_latent_leave_the_second_empty():
    points, other = np.array([[1.0], [3.0], [8.0]]), np.array([[4.0]])
    first, second = priors.principal_axes(points, other)
    np.testing.assert_allclose(np.abs(first), [[3, 0], [1, 0], [4, 0]])
    np.testing.assert_allclose(second, [[0, 0]])
    assert first[2, 0] * first[0, 0] < 0


# Everything a run asks


def classified(images, labels, sure=0.99, classes=3):
    probabilities = np.full((len(labels), classes), (1 - sure) / (classes - 1))
    probabilities[np.arange(len(labels)), labels] = sure
    confidence = np.full(len(labels), sure)
    return selection.Classified(images, labels, confidence, probabilities, np.log(probabilities))


def whole_run(generated, real, reconstructed=None):
    """examine_all() of classified sets whose strong images are all of them."""
    stick = reference()
    as_bytes = np.rint(255 * stick.seen.images).astype(np.uint8)
    stick = stick._replace(seen=Labelled(as_bytes, stick.seen.labels))
    quota = selection.ClassQuota(len(generated.labels), 3)
    quota.take(generated.labels, generated.confidence, 0.95)
    test = classified(stick.test.images, stick.test.labels)
    controls = examination.Controls(
        held_out=real,
        held_out_reconstructed=real,
        test=test,
        reconstructed=reconstructed or test,
        halfway=generated,
        other_prior=generated,
    )
    held_out = Labelled(real.images, real.labels)
    chosen = selection.Selection(generated, generated, quota)
    accept = selection.Filter(None, 1.0, 0.95, 1.0, 2.0)
    return examination.examine_all(chosen, controls, held_out, stick, accept, False, RNG(0), print)


def test_two_equal_sets_have_equal_answers():
    images = classified(*made_up(50, 90))
    answers = whole_run(images, images)
    report.check(answers.sets, {row.key: 0.0 for row in report.RUN_ROWS})
    for question in ("balanced", "varied", "new", "useful"):
        assert answers.sets["generated"][question] == answers.sets["real"][question]
    index, distance = answers.nearest["generated"]
    np.testing.assert_array_equal(index, answers.nearest["real"].index)
    np.testing.assert_array_equal(distance, answers.nearest["real"].distance)
    np.testing.assert_array_equal(answers.sample_labels, images.labels)


def test_errors_are_of_true_labels_where_there_are_some_and_the_referees_elsewhere():
    images, labels = made_up(51, 90)
    wrong = labels.copy()
    wrong[:18] = (wrong[:18] + 1) % 3
    stick = reference()
    mistaken = stick.test.labels.copy()
    mistaken[:12] = (mistaken[:12] + 1) % 3
    answers = whole_run(
        classified(images, wrong),
        classified(*made_up(52, 240)),
        classified(stick.test.images, mistaken),
    ).sets
    assert answers["generated"]["right"]["strong_error"] == pytest.approx(0.2)
    assert answers["generated"]["right"]["agreement"] == pytest.approx(0.8)
    assert answers["real"]["right"]["strong_error"] == 0
    right_of = answers["reconstructed"]["right"]
    assert 0 < right_of["strong_error"] <= 12 / 90 + 1e-9
    assert right_of["strong_agreement"] == pytest.approx(1 - right_of["strong_error"])
    # the temperatures in their places: a set that is sure and right is worse off with a higher one
    real = answers["real"]["right"]
    assert real["ece"] == pytest.approx(0.01, abs=1e-6) and real["ece_real_temperature"] > 0.05


def test_the_sets_examined_are_as_many_of_each_class_and_copies_are_planted_among_them():
    answers = whole_run(classified(*made_up(53, 120)), classified(*made_up(54, 60)))
    assert np.bincount(answers.accepted.labels).tolist() == [20, 20, 20]
    assert answers.sets["generated"]["balanced"]["images"] == 60
    assert answers.sets["real"]["balanced"]["images"] == 60
    z = {name: answers.sets[name]["new"]["copying_z"] for name in ("generated", "planted")}
    assert z["planted"] > z["generated"]
