import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import selection

RNG = np.random.default_rng


def naive_loss(logits, labels, temperature):
    """Mean negative log-likelihood, one image at a time."""
    losses = []
    for row, label in zip(logits / temperature, labels, strict=True):
        losses.append(math.log(sum(math.exp(x - row[label]) for x in row)))
    return sum(losses) / len(losses)


def labels_drawn_from(probabilities, rng):
    return (probabilities.cumsum(axis=1) > rng.random((len(probabilities), 1))).argmax(axis=1)


def test_softmax_of_two_classes_is_the_logistic_function():
    x = np.linspace(-30, 30, 61)
    probabilities = selection.softmax(np.column_stack((x, np.zeros_like(x))))
    np.testing.assert_allclose(probabilities[:, 0], 1 / (1 + np.exp(-x)), rtol=1e-12)


def test_softmax_by_hand():
    logits = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(selection.softmax(logits), [[0.125, 0.25, 0.625]])
    # a temperature of one half squares the odds
    np.testing.assert_allclose(selection.softmax(logits, 0.5), [[1 / 30, 4 / 30, 25 / 30]])


def test_softmax_neither_shifts_nor_overflows():
    logits = RNG(0).normal(0, 5, (50, 10)).astype(np.float32)
    probabilities = selection.softmax(logits, 1.7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    far = selection.softmax(logits.astype(float) + 1e6, 1.7)
    np.testing.assert_allclose(far, probabilities, rtol=1e-8)
    np.testing.assert_allclose(selection.softmax(logits * 2, 3.4), probabilities, rtol=1e-12)
    extreme = selection.softmax(np.array([[1e5, 0.0, -1e5], [-1e5, -1e5, -1e5]]))
    np.testing.assert_array_equal(extreme, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 1.6, 4.0])
def test_temperature_is_recovered(true_temperature):
    rng = RNG(1)
    logits = rng.normal(0, 3, (10_000, 10))
    labels = labels_drawn_from(selection.softmax(logits, true_temperature), rng)
    assert selection.fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_temperature_beats_a_grid_and_has_no_slope():
    rng = RNG(2)
    logits = rng.normal(0, 4, (300, 10)).astype(np.float32)
    labels = labels_drawn_from(selection.softmax(logits, 2.5), rng)
    best = selection.fit_temperature(logits, labels)
    logits = logits.astype(float)
    least = naive_loss(logits, labels, best)
    assert all(least <= naive_loss(logits, labels, t) for t in np.geomspace(0.05, 50, 150))
    step = 1e-5
    left, right = (1 / (1 / best - s) for s in (step, -step))
    slope = (naive_loss(logits, labels, right) - naive_loss(logits, labels, left)) / (2 * step)
    assert abs(slope) < 1e-8


def test_temperature_of_one_wrong_label_by_hand():
    # nine of ten images right, all with the odds e^4: the likeliest odds are nine to one
    logits = np.tile([[4.0, 0.0]], (10, 1))
    labels = np.array([0] * 9 + [1])
    assert selection.fit_temperature(logits, labels) == pytest.approx(4 / math.log(9), rel=1e-9)


def test_temperature_does_not_depend_on_a_shift_of_the_logits():
    rng = RNG(3)
    logits = rng.normal(0, 4, (200, 5))
    labels = labels_drawn_from(selection.softmax(logits, 2.0), rng)
    shifted = logits + rng.normal(0, 50, (200, 1))
    fitted = selection.fit_temperature(logits, labels)
    assert selection.fit_temperature(shifted, labels) == pytest.approx(fitted, rel=1e-9)


def test_temperature_stays_in_its_range():
    labels = np.arange(30) % 3
    right = 5.0 * np.eye(3)[labels]
    assert selection.fit_temperature(right, labels) == pytest.approx(0.01)
    assert selection.fit_temperature(-right, labels) == pytest.approx(100)
    assert selection.fit_temperature(np.full((30, 3), 7.5), labels) == 1
    assert selection.fit_temperature(1e4 * right, labels) == 1  # already certain, and right


def test_confidence_and_hesitation():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]])
    labels, confidence = selection.confidence(probabilities)
    np.testing.assert_array_equal(labels, [1, 0, 2])
    np.testing.assert_array_equal(confidence, [0.5, 0.4, 1.0])
    labels, shares = selection.hesitation(probabilities)
    np.testing.assert_array_equal(labels, [[1, 2], [0, 2], [2, 0]])
    np.testing.assert_array_equal(shares, [[0.5, 0.3], [0.4, 0.4], [1.0, 0.0]])


def test_a_weak_image_has_no_majority():
    assert selection.WEAK == 0.5


@settings(deadline=None)
@given(
    drawn=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60),
    per_class=st.integers(1, 5),
    chunk=st.integers(1, 20),
)
def test_balance_keeps_the_first_strong_of_every_class(drawn, per_class, chunk):
    room = dict.fromkeys(range(4), per_class)
    expected = []
    for label, strong in drawn:
        expected.append(strong and room[label] > 0)
        room[label] -= expected[-1]

    balance = selection.Balance(per_class, classes=4)
    kept = []
    for start in range(0, len(drawn), chunk):
        labels = np.array([label for label, _ in drawn[start : start + chunk]])
        strong = np.array([strong for _, strong in drawn[start : start + chunk]])
        kept.extend(balance.take(labels, strong))

    assert kept == expected
    assert list(balance.shortfall) == list(room.values())
    for label in range(4):
        of_class = [
            (strong, k) for (one, strong), k in zip(drawn, expected, strict=True) if one == label
        ]
        assert balance.generated[label] == len(of_class)
        assert balance.strong[label] == sum(strong for strong, _ in of_class)
        assert balance.kept[label] == sum(k for _, k in of_class)


def test_balance_by_hand():
    balance = selection.Balance(per_class=2, classes=3)
    keep = balance.take(np.array([0, 0, 1, 0, 1]), np.array([True, False, True, True, True]))
    np.testing.assert_array_equal(keep, [True, False, True, True, True])
    np.testing.assert_array_equal(balance.shortfall, [0, 0, 2])
    keep = balance.take(np.array([0, 2, 1, 2, 2]), np.ones(5, dtype=bool))
    np.testing.assert_array_equal(keep, [False, True, False, True, False])
    assert not balance.shortfall.any()
    np.testing.assert_array_equal(balance.generated, [4, 3, 3])
    np.testing.assert_array_equal(balance.strong, [3, 3, 3])
    np.testing.assert_array_equal(balance.kept, [2, 2, 2])
