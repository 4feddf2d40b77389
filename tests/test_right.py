import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trust import statistics
from trust.ask import estimates, right
from trust.ask.verdicts import AS_REAL
from trust.data.images import ImageSet
from trust.filter.filters import Filter
from trust.show import rows
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
    assert easy["error_high"] == pytest.approx(statistics.wilson_interval(0, 10)[1])
    corrected = estimates.corrected_error(labels, labels, known, truth, known)
    assert corrected["error_high"] < easy["error_high"]
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


# What a filter does at every threshold


def test_risk_and_coverage_are_those_of_each_threshold():
    rng = RNG(61)
    confidence, wrong = rng.integers(1, 9, 60) / 8, rng.random(60) < 0.3
    kept, risk = right.risk_coverage(confidence, wrong)
    thresholds = np.unique(confidence)[::-1]
    assert kept == pytest.approx([np.mean(confidence >= x) for x in thresholds])
    assert risk == pytest.approx([wrong[confidence >= x].mean() for x in thresholds])
    assert all(len(each) == 0 for each in right.risk_coverage(confidence[:0], wrong[:0]))


# The numbers of one set


def judged(labels, confidence=1.0):
    labels = np.array(labels)
    return Judged(labels, np.zeros((len(labels), 2)), np.broadcast_to(confidence, len(labels)))


def labelled(labels, **known):
    return ImageSet(np.zeros((len(labels), 2, 2)), labels=np.array(labels), **known)


def test_images_whose_truth_is_known_are_wrong_by_their_truth_and_not_by_the_referee():
    images = labelled([0, 0, 1, 1, 1], truth=np.array([0, 1, 1, 1, 0]))
    words = judged([0, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5])
    found = right.examine_known(images, words)
    low, high = stats.binomtest(2, 5).proportion_ci(0.95, method="wilson")
    assert found == {
        "images": 5,
        "agreement": 0.6,
        "worst_class_agreement": pytest.approx(1 / 3),
        "referee_confidence": pytest.approx(0.7),
        "true_agreement": 0.6,
        "error_estimate": 0.4,
        "error_low": pytest.approx(low, abs=1e-7),
        "error_high": pytest.approx(high, abs=1e-7),
    }
    other = right.examine_known(images, judged([1, 1, 0, 0, 0]))
    assert other["agreement"] == 0 and other["true_agreement"] == 0.6


def test_images_whose_truth_is_not_known_are_wrong_by_the_referee_corrected():
    # It disagrees with two of five; of ten known images one is wrong unseen, two are false alarms.
    truth = np.zeros(10, int)
    known = labelled(truth + (np.arange(10) == 0), truth=truth)
    words = known.labels + (np.arange(10) >= 8)
    found = right.examine_unknown(labelled([0, 0, 1, 1, 1]), judged([0, 1, 1, 1, 0]), known, words)
    assert found["error_estimate"] == pytest.approx(0.4 + 0.1 - 0.2)
    assert found["images"] == 5 and found["agreement"] == 0.6
    assert found["worst_class_agreement"] == 0.5 and "true_agreement" not in found


def accept_at(threshold):
    return Filter(
        None,
        temperature=1.0,
        threshold=threshold,
        temperature_reconstructions=1.0,
        temperature_real_images=2.0,
    )


def sample():
    """Of two classes, the first by 0.9 or 0.64, whose roots are as 3 to 1 and as 4 to 3."""
    first = np.array([0.9, 0.9, 0.64, 0.64])
    probabilities = np.column_stack([first, 1 - first])
    return labelled(
        [0, 0, 0, 0], confidence=first, probabilities=probabilities, logits=np.log(probabilities)
    )


def test_calibration_at_both_temperatures_by_hand():
    accept = accept_at(0.5)
    found = right.examine_calibration(sample(), np.array([0, 0, 0, 1]), accept, RNG(0))
    floor, most = right.calibration_floor(sample().confidence, RNG(0))
    assert found == pytest.approx(
        {
            "ece": (2 * 0.1 + 2 * 0.14) / 4,
            "ece_floor": floor,
            "ece_floor_95": most,
            "confidence_gap": 0.77 - 0.75,
            "ece_real_temperature": (2 * (1 - 3 / 4) + 2 * (4 / 7 - 1 / 2)) / 4,
        }
    )
    # by chance: 0.9 is right in 81 of 100 pairs of draws, and so on
    both = [(0.1, 0.81), (0.4, 0.18), (0.9, 0.01)]
    other = [(0.36, 0.4096), (0.14, 0.4608), (0.64, 0.1296)]
    expected = sum(gap * p for gap, p in both) / 2 + sum(gap * p for gap, p in other) / 2
    assert floor == pytest.approx(expected, abs=0.02)


def test_the_sample_is_scored_whole_and_where_the_classifier_doubts():
    accept = accept_at(0.95)
    unsure = np.array([0.49, 0.5, 0.4, 0.3])
    images = ImageSet(**sample().known() | {"confidence": unsure})
    words = np.array([0, 0, 1, 1])
    found = right.examine_sample(images, words, accept, RNG(0))
    assert found["all_agreement"] == 0.5
    assert found["weak_agreement"] == pytest.approx(1 / 3)  # 0.5 is not weak
    assert found["confidence_gap"] == pytest.approx(unsure.mean() - 0.5)


def test_agreement_of_each_class():
    labels = np.arange(90) % 3
    words = labels.copy()
    words[labels == 2] = [1, 1, 1, *[2] * 27]
    found = right.agreement_by_class(labelled(labels), judged(words), classes=4)
    np.testing.assert_allclose(found["agreement"], [1, 1, 0.9, np.nan])
    intervals = [
        stats.binomtest(hits, 30).proportion_ci(0.95, method="wilson") for hits in (30, 30, 27)
    ]
    for key in ("low", "high"):
        expected = [getattr(each, key) for each in intervals]
        np.testing.assert_allclose(found[f"agreement_{key}"], [*expected, np.nan], atol=1e-7)


def test_what_could_hide_is_said_where_it_is_more_than_would_have_shown():
    numbers = {"detectable": 0.014}
    [shown] = rows.remarks("right", AS_REAL, "", numbers, {})
    assert shown == "an error higher by 1.40 % would have shown"
    assert rows.remarks("right", AS_REAL, "", numbers | {"unlike": 0.013}, {}) == [shown]
    told = rows.remarks("right", AS_REAL, "", numbers | {"unlike": 0.027, "hidden": 0.02}, {})
    assert told == [
        shown,
        "labels like the referee's could hide 2.00 % more",
        "images unlike known ones could hide 2.70 % more",
    ]
