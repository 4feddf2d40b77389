import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from trust import controls, examination, statistics
from trust.ask import new, right, varied
from trust.data.images import (
    ImageSet,
)
from trust.filter import filters, quotas
from trust.show import report
from trust.train import priors
from trust.train.referee import Judged

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


@pytest.mark.parametrize("n", [300, 3000])
def test_the_floor_is_the_error_of_a_perfectly_calibrated_classifier(n):
    rng = RNG(70)
    confidence = 1 - rng.beta(0.3, 3, n)
    mean, most = right.calibration_floor(confidence, rng, draws=400)
    # labels drawn class by class from whole probabilities, and the error of those
    probabilities = np.column_stack([confidence, (1 - confidence) / 2, (1 - confidence) / 2])
    cumulative = probabilities.cumsum(axis=1)
    errors = []
    for _ in range(400):
        labels = (rng.random((n, 1)) > cumulative).sum(axis=1)
        own = np.maximum(confidence, (1 - confidence) / 2)
        errors.append(right.reliability(own, labels == 0)["ece"])
    assert mean == pytest.approx(np.mean(errors), rel=0.05)
    assert most == pytest.approx(np.quantile(errors, 0.95), rel=0.07)
    assert most > mean > 0
    assert all(map(math.isnan, right.calibration_floor(np.empty(0), rng)))


# Errors


def test_agreement():
    labels, referee = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])
    assert right.agreement(labels, referee) == 0.75
    assert math.isnan(right.agreement(labels[:0], referee[:0]))


def test_the_worst_class():
    labels, referee = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 1])
    assert right.worst_class(labels, referee) == 0.75  # class 2 has no image
    assert math.isnan(right.worst_class(labels[:0], referee[:0]))


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (1, 10), (7, 20), (30, 30), (4990, 5000)])
def test_the_interval_is_wilsons(hits, n):
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert statistics.wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-7)


@pytest.mark.parametrize("n", [1, 9, 300, 10_000])
@pytest.mark.parametrize("share", [0, 1e-9, 0.003, 0.3, 0.5, 0.97, 1])
def test_the_binomial_tail_is_scipys(n, share):
    for k in {-1, 0, n // 300, n // 3, n - 1, n}:
        expected = stats.binom.cdf(k, n, share)
        assert statistics.binomial_tail(k, n, share) == pytest.approx(
            expected, rel=1e-8, abs=1e-300
        )


COUNTS = [(0, 1), (1, 1), (0, 300), (1, 10), (7, 20), (299, 300), (30, 30), (31, 10_000)]


@pytest.mark.parametrize(("hits", "n"), COUNTS)
def test_the_exact_intervals_are_scipys(hits, n):
    both = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert statistics.clopper_pearson(hits, n) == pytest.approx((both.low, both.high), abs=1e-12)
    one_sided = stats.binomtest(hits, n, alternative="less").proportion_ci(0.95, method="exact")
    assert statistics.upper_bound(hits, n) == pytest.approx(one_sided.high, abs=1e-12)


def test_no_error_in_300_images_leaves_one_in_a_hundred():
    """The rule of three, by hand: (1 - p)^n = 5 %."""
    assert statistics.upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))


def test_the_intervals_of_nothing():
    assert all(map(math.isnan, statistics.wilson_interval(0, 0)))
    assert all(map(math.isnan, statistics.clopper_pearson(0, 0))) and math.isnan(
        statistics.upper_bound(0, 0)
    )


def test_the_error_estimate_by_hand():
    # ten images, the referee disagrees with three
    labels, words = np.zeros(10, int), np.array([1, 1, 1, *[0] * 7])
    # of twenty known ones two are wrong unseen, one is right and called wrong, one wrong and seen
    known = np.zeros(20, int)
    truth, known_words = known.copy(), known.copy()
    truth[:2] = 1
    known_words[2] = 1
    truth[3] = known_words[3] = 1
    found = right.error_estimate(labels, words, known, known_words, truth)
    assert found["error_estimate"] == pytest.approx(0.3 + 2 / 20 - 1 / 20)
    # which is disagreement + (true error - disagreement) of the known ones
    disagreement, error = np.mean(known != known_words), np.mean(known != truth)
    assert found["error_estimate"] == pytest.approx(0.3 + error - disagreement)
    (a, b), (c, d), (e, f) = (
        statistics.wilson_interval(*pair) for pair in ((3, 10), (2, 20), (1, 20))
    )
    below = math.hypot(0.3 - a, 0.1 - c, f - 0.05)
    above = math.hypot(b - 0.3, d - 0.1, 0.05 - e)
    assert found["error_low"] == pytest.approx(0.35 - below)
    assert found["error_high"] == pytest.approx(0.35 + above)
    # Where the referee is right about these, what it gets wrong elsewhere makes them no better.
    easy = right.error_estimate(labels, labels, known, truth, known)
    assert easy["error_estimate"] == easy["error_low"] == 0
    assert easy["error_high"] >= statistics.wilson_interval(0, len(labels))[1] > 0
    nothing = right.error_estimate(labels[:0], words[:0], known, known_words, truth)
    assert all(map(math.isnan, nothing.values()))
    # the true labels and the referee's are not the same thing
    swapped = right.error_estimate(labels, words, known, truth, known_words)
    assert swapped["error_estimate"] != pytest.approx(found["error_estimate"])


@pytest.mark.parametrize(
    ("error", "shared", "false_alarms", "n", "m"),
    [
        (0.004, 0.3, 0.002, 7800, 8800),
        (0.01, 0.5, 0.004, 5000, 5500),
        (0.05, 0.3, 0.02, 500, 500),
        (0.01, 0.6, 0.01, 200, 200),
        (0.15, 0.2, 0.05, 300, 300),
    ],
)
def test_the_interval_holds_the_true_error(error, shared, false_alarms, n, m):
    """A made-up referee: it repeats a share of the mistakes and sees some where there are none."""
    rng, runs, inside = RNG(71), 1000, 0

    def draw(count):
        wrong = rng.random(count) < error
        disagrees = rng.random(count) < np.where(wrong, 1 - shared, false_alarms)
        return np.zeros(count, int), disagrees.astype(int), np.where(wrong, 2, 0)

    for _ in range(runs):
        found = right.error_estimate(*draw(n)[:2], *draw(m))
        inside += found["error_low"] <= error <= found["error_high"]
    assert 0.93 <= inside / runs <= 0.99


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


# All questions of one set


def judge(images):
    """The label is the brightness of the first pixel in tenths, the features are six pixels, the
    confidence is another."""
    pixels = np.asarray(images, np.float32).reshape(len(images), 784)
    return Judged(np.round(10 * pixels[:, 0]).astype(int), pixels[:, 1:7], pixels[:, 7])


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

    for module in examination, control:
        monkeypatch.setattr(module, "judge", lambda referee, images: judge(images))
    monkeypatch.setattr(examination, "accuracy_after_training", learn)
    return told


def reference(seed=30, n=120):
    sets = (ImageSet(*made_up(seed + i, count)) for i, count in enumerate((n, n // 4, n)))
    return examination.build_reference(*sets, None, 0)


def numbers_of(examined):
    """{(question, key): number}."""
    answers = examined.answers()
    assert list(answers) == ["right", "balanced", "varied", "new", "useful"]
    return {
        (name, key): value for name, numbers in answers.items() for key, value in numbers.items()
    }


def examined_alone(images, labels, stick, targets=None, alike=None):
    targets = labels if targets is None else targets
    truth = stick.test.labels
    known = examination.Known(truth, stick.judged.labels, truth)
    return examination.examine(ImageSet(images, labels), targets, known, stick, alike)


def test_every_question_is_asked_and_is_a_row_of_the_report():
    metrics = numbers_of(examined_alone(*made_up(32, 90), reference()))
    rows = {(row.question, row.key) for row in report.ROWS}
    assert set(metrics) <= rows
    # the others are about the filter
    assert {key for _, key in rows - set(metrics)} == {
        *("strong_rate", "weak_rate", "class_balance", "mean_confidence"),
        *("accepted_agreement", "all_agreement", "weak_agreement", "true_agreement", "repeated"),
        *("ece", "ece_floor", "ece_floor_95", "ece_true_labels", "ece_real_temperature"),
        *("confidence_gap", "own_neighbours", "own_neighbours_z"),
    }
    finite = {key for key, value in metrics.items() if math.isfinite(value)}
    assert set(metrics) == finite
    assert metrics["balanced", "images"] == metrics["right", "images"] == 90
    assert metrics["useful", "accuracy"] == 0.09


def test_the_answers_are_those_of_the_questions_one_by_one(stand_ins):
    images, labels = made_up(33, 90)
    labels[:9] = (labels[:9] + 1) % 3  # of which the judge says otherwise
    stick = reference()
    targets = np.full((90, 3), 1 / 3, np.float32)
    examined = examined_alone(images, labels, stick, targets)
    metrics = numbers_of(examined)
    assert len(stand_ins) == 1 and stand_ins[0] is targets
    for mine, theirs in zip(examined.judged, judge(images), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert metrics["right", "agreement"] == 0.9
    # the made-up judge makes no mistake with test images
    assert metrics["right", "error_estimate"] == pytest.approx(0.1)
    features, others = judge(images).features, judge(stick.test.images).features
    assert metrics["varied", "frechet"] == pytest.approx(varied.frechet_distance(features, others))
    expected = naive_variety(features, others, 5)
    assert {key: metrics["varied", key] for key in expected} == pytest.approx(expected)
    pixels, real = (x.reshape(len(x), 784).astype(float) for x in (images, stick.real.images))
    gaps = np.sqrt(((pixels[:, None] - real) ** 2).sum(axis=2))
    gaps[labels[:, None] != stick.real.labels] = np.inf
    nearest = examined.neighbours.nearest
    np.testing.assert_array_equal(nearest.index, gaps.argmin(axis=1))
    np.testing.assert_allclose(nearest.distance, gaps.min(axis=1), rtol=1e-6)
    unseen = gaps.argmin(axis=1) >= 120
    np.testing.assert_array_equal(stick.unseen, np.arange(150) >= 120)
    assert metrics["new", "seen_share"] == pytest.approx(1 - unseen.mean())
    assert metrics["new", "expected_share"] == pytest.approx(0.8)
    kept = examined.of_each_image(1000 + np.arange(150), stick.unseen)
    np.testing.assert_array_equal(kept["nearest_index"], 1000 + gaps.argmin(axis=1))
    np.testing.assert_array_equal(kept["nearest_was_seen"], ~unseen)
    np.testing.assert_array_equal(kept["referee_labels"], judge(images).labels)
    np.testing.assert_array_equal(kept["referee_confidence"], judge(images).confidence)
    np.testing.assert_array_equal(kept["nearest_distance"], nearest.distance)


def test_what_needs_equal_numbers_is_asked_of_some_rows_and_the_rest_of_all():
    images, labels = made_up(38, 90)
    labels[80:] = (labels[80:] + 1) % 3
    stick = reference()
    some, every = (
        numbers_of(examined_alone(images, labels, stick, alike=rows))
        for rows in (np.arange(60), None)
    )
    first = numbers_of(examined_alone(images[:60], labels[:60], stick))
    for metric, value in some.items():
        like = first if metric[0] in ("right", "varied", "balanced") else every
        assert value == like[metric]
    assert some["right", "agreement"] == 1 != every["right", "agreement"]


def test_a_moved_copy_is_found_by_the_search_that_looks_for_it():
    stick = reference()
    bright = stick.real.images[:40].copy()
    bright[:, :, :3] = bright[:, :, -3:] = bright[:, -3:] = bright[:, :3] = 0  # room to move
    stick = examination.build_reference(
        ImageSet(bright[:30], np.zeros(30, int)),
        ImageSet(bright[30:], np.zeros(10, int)),
        stick.test,
        None,
        0,
    )
    moved = np.stack(
        [
            np.roll(image, by, (0, 1))
            for image, by in zip(bright, 10 * [(2, 0), (-2, 1), (0, -2), (1, 2)], strict=True)
        ]
    )
    found = examination.find_neighbours(moved, np.zeros(40, int), stick)
    np.testing.assert_array_equal(found.moved.index, np.arange(40))
    np.testing.assert_allclose(found.moved.distance, 0, atol=1e-6)
    assert np.mean(found.nearest.index == np.arange(40)) < 0.5
    still = examination.find_neighbours(bright, np.zeros(40, int), stick)
    np.testing.assert_array_equal(still.moved.index, still.nearest.index)
    np.testing.assert_array_equal(still.nearest.index, np.arange(40))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6])
def test_of_small_sets_what_cannot_be_answered_is_nan(n):
    metrics = numbers_of(examined_alone(*made_up(35, n), reference()))
    unanswered = {key for (_, key), value in metrics.items() if math.isnan(value)}
    expected = set()
    if n < 6:
        expected |= {"precision", "recall", "density", "coverage"}
    if n < 2:
        expected |= {"frechet"}
    if n == 0:
        expected |= {key for question, key in metrics if question == "new"}
        expected |= {"agreement", "worst_class_agreement", "referee_confidence", *right.ERROR}
    assert unanswered == expected
    assert metrics["balanced", "images"] == n


def test_variety_is_asked_of_images_from_the_whole_set(monkeypatch):
    monkeypatch.setattr(varied, "IMAGES", 40)
    images, labels = made_up(37, 100)
    images[:, 0, 1] = np.arange(100)  # the first feature
    seen = {}

    def variety(features, reference):
        seen["features"], seen["reference"] = features, reference
        return {}

    monkeypatch.setattr(varied, "variety", variety)
    examined_alone(images, labels, reference())
    rows = seen["features"][:, 0]
    assert len(np.unique(rows)) == 40 and rows[0] == 0 and rows[-1] == 99
    assert set(np.diff(rows)) == {2, 3}
    assert len(seen["reference"]) == 40


# Are two sets alike?


def by_brute_force(features, others):
    n = min(len(features), len(others))
    points, marks = np.concatenate([features[:n], others[:n]]), np.arange(2 * n) < n
    _, nearest = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points)
    return np.mean(marks == marks[nearest[:, 1]])


@pytest.mark.parametrize("n, m, shift", [(60, 60, 0), (40, 90, 1), (90, 40, 3)])
def test_own_neighbours_are_sklearns(n, m, shift):
    features, others = gaussian(80, n, 6), gaussian(81, m, 6, shift=shift)
    share, _ = varied.own_neighbours(features, others, RNG(0))
    assert share == pytest.approx(by_brute_force(features, others))


def test_z_of_own_neighbours_is_standard_where_both_are_alike_and_finds_what_is_planted():
    z = [
        varied.own_neighbours(gaussian(i, 150, 4), gaussian(1000 + i, 150, 4), RNG(i))[1]
        for i in range(200)
    ]
    assert abs(np.mean(z)) < 0.25 and 0.85 < np.std(z) < 1.15
    assert np.mean(np.abs(z) > 3) < 0.02
    others = gaussian(91, 400, 4)
    others[:200] += 1.5  # half of one set lies elsewhere
    share, z = varied.own_neighbours(gaussian(90, 400, 4), others, RNG(0))
    assert share > 0.55 and z > 3


def test_own_neighbours_of_one_point_are_not_a_number():
    assert all(map(math.isnan, varied.own_neighbours(np.ones((1, 3)), np.ones((5, 3)), RNG(0))))


def test_generated_images_that_are_unlike_reconstructions_are_told():
    numbers = {"own_neighbours": 0.612, "own_neighbours_z": 3.5}
    (said,) = controls.warn_unlike(numbers)
    assert "61.2%" in said and "promise" in said
    for z in (2.5, -4.0, math.nan):
        assert controls.warn_unlike(numbers | {"own_neighbours_z": z}) == []


# What a filter does at every threshold


def test_risk_and_coverage_are_those_of_each_threshold():
    rng = RNG(61)
    confidence, wrong = rng.integers(1, 9, 60) / 8, rng.random(60) < 0.3
    kept, risk = right.risk_coverage(confidence, wrong)
    thresholds = np.unique(confidence)[::-1]
    assert kept == pytest.approx([np.mean(confidence >= x) for x in thresholds])
    assert risk == pytest.approx([wrong[confidence >= x].mean() for x in thresholds])
    assert all(len(each) == 0 for each in right.risk_coverage(confidence[:0], wrong[:0]))


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
    return filters.Classified(images, labels, confidence, probabilities, np.log(probabilities))


def whole_run(generated, real, reconstructed=None, stick=None):
    """examine_all() of classified sets whose strong images are all of them."""
    stick = stick or reference()
    quota = quotas.ClassQuota(len(generated.labels), 3)
    quota.take(generated.labels, generated.confidence, 0.95)
    test = classified(stick.test.images, stick.test.labels)
    rows = new.planted_rows(len(test.labels))
    twins = new.twins(test.labels[rows], stick.real.labels[~stick.unseen], RNG(1))
    copies = dict.fromkeys(controls.COPIES, stick.real.images[twins])
    controls = controls.Controls(
        held_out=real,
        blurred=real,
        test=test,
        reconstructed=reconstructed or test,
        halfway=generated,
        other_prior=generated,
        copies=copies,
    )
    held_out = ImageSet(real.images, real.labels)
    chosen = quotas.Selection(generated, generated, quota)
    accept = filters.Filter(None, 1.0, 0.95, 1.0, 2.0)
    return controls.examine_all(chosen, controls, held_out, stick, accept, False, RNG(0), print)


def test_two_equal_sets_have_equal_rows():
    stick = reference()
    images = classified(stick.test.images, stick.test.labels)
    answers = whole_run(images, images, stick=stick)
    report.check(answers.sets, {row.key: 0.0 for row in report.RUN_ROWS})
    generated = answers.sets["generated"]
    for name in ("real", "reconstructed"):
        for question, numbers in answers.sets[name].items():
            for key, value in numbers.items():
                # What is drawn, the interval, which is wider where the truth is not known, and
                # which sets are held against each other.
                drawn = key.startswith(("ece_floor", "own_")) or key in right.ERROR[1:]
                if key in generated[question] and not drawn:
                    assert generated[question][key] == pytest.approx(value, nan_ok=True), key
    assert set(answers.verdicts.values()) == {"as real"}
    np.testing.assert_array_equal(answers.sample_labels, images.labels)


def test_the_referees_word_is_one_row_and_the_true_labels_are_another():
    images, labels = made_up(51, 90)
    wrong = labels.copy()
    wrong[:36] = (wrong[:36] + 1) % 3
    stick = reference()
    # the truth of six test images is not what judge and classifier say
    truth = stick.test.labels.copy()
    truth[:6] = (truth[:6] + 1) % 3
    mistaken = stick.test.labels.copy()
    mistaken[:12] = (mistaken[:12] + 1) % 3
    answers = whole_run(
        classified(images, wrong),
        classified(*made_up(52, 240)),
        classified(stick.test.images, mistaken),
        stick._replace(test=ImageSet(stick.test.images, truth)),
    )
    generated, real, blurred = (
        answers.sets[name]["right"] for name in ("generated", "real", "reconstructed")
    )
    assert generated["agreement"] == generated["all_agreement"] == pytest.approx(0.6)
    assert "true_agreement" not in generated
    # whole_run's classifier says of test images what their labels are, the judge what it sees
    n = real["images"]
    assert n == 90 and real["true_agreement"] == 1
    assert real["agreement"] == pytest.approx(1 - 6 / 90)
    assert blurred["agreement"] == pytest.approx(1 - 12 / 90)
    assert blurred["true_agreement"] == pytest.approx(1 - 6 / 90)
    assert generated["error_estimate"] == pytest.approx(0.4 + 6 / 90 - 12 / 90)
    assert real["ece"] != pytest.approx(real["ece_true_labels"])
    assert answers.verdicts["right"] == "fails"


def test_either_temperature_is_in_its_place_and_the_gap_has_a_sign():
    answers = whole_run(classified(*made_up(53, 120)), classified(*made_up(54, 60))).sets
    real = answers["real"]["right"]
    # sure and right: worse off with a higher temperature, and not sure enough
    assert real["ece"] == pytest.approx(0.01, abs=1e-6) and real["ece_real_temperature"] > 0.05
    assert real["confidence_gap"] == pytest.approx(-0.01, abs=1e-6)
    assert real["mean_confidence"] == pytest.approx(0.99)


def test_numbers_are_equal_where_they_must_be_and_the_whole_set_is_scored(stand_ins):
    answers = whole_run(classified(*made_up(53, 120)), classified(*made_up(54, 60)))
    for name in ("generated", "real", "reconstructed"):
        assert answers.sets[name]["balanced"]["images"] == 60
    assert answers.sets["generated"]["right"]["images"] == 60
    # accuracy of the stand-in is the number of images
    assert answers.sets["generated"]["useful"] == {"accuracy": 0.12}
    for name in ("real", "unfiltered"):
        assert answers.sets[name]["useful"] == {"accuracy": 0.12, "repeated": 0.5}
    assert [np.bincount(told).tolist() for told in stand_ins] == 3 * [[40, 40, 40]]
    assert len(answers.examined.judged.labels) == 120


def test_copies_among_real_images_are_found():
    stick = reference(n=1200)
    generated = classified(*made_up(55, 990))
    answers = whole_run(generated, classified(*made_up(56, 240)), stick=stick)
    found = answers.sets["planted"]["new"]
    assert set(found) == set(controls.COPIES)
    # a twentieth of 1,200 are 60 copies, a fifth of the real images was not seen
    assert all(0.01 <= dose <= 0.1 for dose in found.values())
    assert answers.verdicts["new"] == "as real"
    # with the marks swapped nothing is found
    swapped = whole_run(
        generated, classified(*made_up(56, 240)), stick=stick._replace(unseen=~stick.unseen)
    )
    assert all(map(math.isnan, swapped.sets["planted"]["new"].values()))


def test_agreement_of_each_class():
    accepted = classified(*made_up(57, 90))
    wrong = accepted.labels.copy()
    wrong[wrong == 2] = [1, 1, 1, *[2] * 27]
    examined = examined_alone(accepted.images, accepted.labels, reference())
    examined = examined._replace(judged=examined.judged._replace(labels=wrong))
    found = controls.agreement_by_class(accepted, examined, 4)
    np.testing.assert_allclose(found["agreement"], [1, 1, 0.9, np.nan])
    assert (found["agreement_low"][2], found["agreement_high"][2]) == statistics.wilson_interval(
        27, 30
    )
