"""The filter: temperature, quota, what passes, and generating until the quota is met."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from trust.ask.balanced import class_balance
from trust.data.images import ImageSet, cut_alike, first_of_each_class
from trust.filter import calibrate, filters, quotas
from trust.filter.filters import Filter, Filtered
from trust.train import inference

RNG = np.random.default_rng


def naive_loss(logits, labels, inverse):
    """Negative log-likelihood and log-prior of 1 / temperature, one image at a time."""
    loss = (inverse - 1) ** 2 / (2 * calibrate.PRIOR_WIDTH**2)
    for row, label in zip(logits.astype(float) * inverse, labels, strict=True):
        loss += math.log(sum(math.exp(x - row[label]) for x in row))
    return loss


def naive_temperature(logits, labels):
    best = minimize_scalar(
        lambda inverse: naive_loss(logits, labels, inverse),
        bounds=(0.05, 10),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return 1 / best.x


def labels_drawn_from(probabilities, rng):
    return (probabilities.cumsum(axis=1) > rng.random((len(probabilities), 1))).argmax(axis=1)


def numbered(labels):
    """Labelled images, of which image i is filled with i."""
    images = np.arange(len(labels), dtype=np.float32)[:, None, None]
    return ImageSet(np.broadcast_to(images, (len(labels), 28, 28)), np.array(labels, int))


def numbers(images):
    return images[:, 0, 0].astype(int).tolist()


def written(logits):
    """Images (n, 4, 4) float32 with the logits (n, classes) in their first pixels."""
    images = np.zeros((len(logits), 4, 4), np.float32)
    images.reshape(len(logits), 16)[:, : logits.shape[1]] = logits
    return images


def reader(classes):
    """A classifier that finds the logits that written() left."""

    def classify(pixels, training):
        assert not training
        return np.reshape(pixels, (len(pixels), 16))[:, :classes]

    return classify


def filter_of(classes, threshold, temperature=1.0):
    return Filter(reader(classes), temperature, threshold, temperature, 1.0)


# Probabilities


def test_softmax_of_two_classes_is_the_logistic_function():
    x = np.linspace(-30, 30, 61)
    probabilities = inference.softmax(np.column_stack((x, np.zeros_like(x))))
    np.testing.assert_allclose(probabilities[:, 0], 1 / (1 + np.exp(-x)), rtol=1e-12)


def test_softmax_by_hand():
    logits = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(inference.softmax(logits), [[0.125, 0.25, 0.625]])
    # a temperature of one half squares the odds
    np.testing.assert_allclose(inference.softmax(logits, 0.5), [[1 / 30, 4 / 30, 25 / 30]])


def test_softmax_neither_shifts_nor_overflows():
    logits = RNG(0).normal(0, 5, (50, 10)).astype(np.float32)
    probabilities = inference.softmax(logits, 1.7)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    far = inference.softmax(logits.astype(float) + 1e6, 1.7)
    np.testing.assert_allclose(far, probabilities, rtol=1e-8)
    np.testing.assert_allclose(inference.softmax(logits * 2, 3.4), probabilities, rtol=1e-12)
    extreme = inference.softmax(np.array([[1e5, 0.0, -1e5], [-1e5, -1e5, -1e5]]))
    np.testing.assert_array_equal(extreme, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_the_two_likeliest():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]])
    labels, shares = calibrate.top_two(probabilities)
    np.testing.assert_array_equal(labels, [[1, 2], [0, 2], [2, 0]])
    np.testing.assert_array_equal(shares, [[0.5, 0.3], [0.4, 0.4], [1.0, 0.0]])


def test_the_two_likeliest_by_sorting_each_image():
    probabilities = RNG(1).dirichlet(np.ones(10), 200)
    labels, shares = calibrate.top_two(probabilities)
    for row, two, share in zip(probabilities, labels, shares, strict=True):
        assert sorted(range(10), key=lambda k: -row[k])[:2] == two.tolist()
        assert sorted(row, reverse=True)[:2] == share.tolist()
    first, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    np.testing.assert_array_equal(labels[:, 0], first)
    np.testing.assert_array_equal(shares[:, 0], confidence)


# Temperature


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 1.6, 4.0])
def test_temperature_is_recovered(true_temperature):
    rng = RNG(2)
    logits = rng.normal(0, 3, (10_000, 10))
    labels = labels_drawn_from(inference.softmax(logits, true_temperature), rng)
    assert calibrate.fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


@pytest.mark.parametrize("n", [1, 3, 30, 300])
@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_temperature_is_the_likeliest_by_brute_force(n, true_temperature):
    rng = RNG(n)
    logits = rng.normal(0, 4, (n, 5)).astype(np.float32)
    labels = labels_drawn_from(inference.softmax(logits, true_temperature), rng)
    expected = naive_temperature(logits, labels)
    assert calibrate.fit_temperature(logits, labels) == pytest.approx(expected, rel=1e-6)


def test_temperature_of_one_wrong_label_by_hand():
    # Nine of ten images right, all with the odds e^4.  At 1 / temperature = b each class that is
    # chosen has the probability p = 1 / (1 + e^-4b), so the slope 4 (10 p - 9) + 25 (b - 1) is 0.
    logits = np.tile([[4.0, 0.0]], (10, 1))
    labels = np.array([0] * 9 + [1])
    b = 1 / calibrate.fit_temperature(logits, labels)
    assert 4 * (10 / (1 + math.exp(-4 * b)) - 9) + 25 * (b - 1) == pytest.approx(0, abs=1e-9)
    # of so many that the prior has no say, the likeliest odds are nine to one
    logits, labels = np.tile(logits, (5000, 1)), np.tile(labels, 5000)
    assert calibrate.fit_temperature(logits, labels) == pytest.approx(4 / math.log(9), rel=1e-3)


@pytest.mark.parametrize("n", [0, 1, 5, 20, 200])
def test_temperature_of_a_set_without_errors_is_near_1(n):
    # labels as likely as the classifier says, but only images for which it was right
    rng = RNG(3)
    logits = 6 * rng.normal(size=(4 * n, 10)) + 10 * np.eye(10)[rng.integers(0, 10, 4 * n)]
    labels = labels_drawn_from(inference.softmax(logits), rng)
    right = np.flatnonzero(logits.argmax(axis=1) == labels)[:n]
    assert len(right) == n
    temperature = calibrate.fit_temperature(logits[right], labels[right])
    assert 0.5 < temperature <= 1
    if n <= 20:
        assert temperature > 0.9


def test_temperature_of_a_tiny_set_is_near_1_though_all_are_wrong():
    logits = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert 1 < calibrate.fit_temperature(logits, np.array([1, 2])) < 1.4


def test_temperature_does_not_depend_on_a_shift_of_the_logits():
    rng = RNG(4)
    logits = rng.normal(0, 4, (200, 5))
    labels = labels_drawn_from(inference.softmax(logits, 2.0), rng)
    shifted = logits + rng.normal(0, 50, (200, 1))
    fitted = calibrate.fit_temperature(logits, labels)
    assert calibrate.fit_temperature(shifted, labels) == pytest.approx(fitted, rel=1e-9)


def test_temperature_of_extreme_logits():
    labels = np.arange(30) % 3
    certain = 1e5 * np.eye(3)[labels]
    assert calibrate.fit_temperature(certain, labels) == pytest.approx(1)
    assert calibrate.fit_temperature(-certain, labels) == pytest.approx(100)
    assert calibrate.fit_temperature(np.full((30, 3), 7.5), labels) == pytest.approx(1)


# The quota


@settings(deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.3, 0.49, 0.5, 0.9, 0.95, 1.0])),
        max_size=60,
    ),
    per_class=st.integers(1, 5),
    chunk=st.integers(1, 20),
)
def test_the_quota_keeps_the_first_strong_of_every_class(drawn, per_class, chunk):
    room = dict.fromkeys(range(4), per_class)
    expected = []
    for label, confidence in drawn:
        expected.append(confidence >= 0.95 and room[label] > 0)
        room[label] -= expected[-1]

    quota = quotas.ClassQuota(per_class, classes=4)
    kept = []
    for start in range(0, len(drawn), chunk):
        labels, confidence = zip(*drawn[start : start + chunk], strict=True)
        kept.extend(quota.count(np.array(labels), np.array(confidence), threshold=0.95))

    assert kept == expected
    assert list(quota.shortfall) == list(room.values())
    generated = Counter(label for label, _ in drawn)
    strong = Counter(label for label, confidence in drawn if confidence >= 0.95)
    assert list(quota.generated) == [generated[k] for k in range(4)]
    assert list(quota.strong) == [strong[k] for k in range(4)]
    assert list(quota.kept) == [min(strong[k], per_class) for k in range(4)]
    assert quota.weak == sum(confidence < 0.5 for _, confidence in drawn)
    if drawn:
        rates = quota.rates()
        assert list(rates) == ["strong_rate", "weak_rate"]
        assert rates["strong_rate"] == pytest.approx(strong.total() / len(drawn))
        assert rates["weak_rate"] == pytest.approx(quota.weak / len(drawn))
        most, least = max(strong.values(), default=0), min(strong[k] for k in range(4))
        assert class_balance(quota.strong) == pytest.approx(least / most if most else 0)
    else:
        assert all(map(math.isnan, quota.rates().values()))


def rates_of(quota):
    rates = quota.rates()
    return rates["strong_rate"], rates["weak_rate"], class_balance(quota.strong)


def test_the_quota_by_hand():
    quota = quotas.ClassQuota(per_class=2, classes=3)
    keep = quota.count(np.array([0, 0, 1, 0, 1]), np.array([1, 0.4, 0.9, 0.8, 0.95]), 0.8)
    np.testing.assert_array_equal(keep, [True, False, True, True, True])
    np.testing.assert_array_equal(quota.shortfall, [0, 0, 2])
    assert rates_of(quota) == (0.8, 0.2, 0)
    keep = quota.count(np.array([0, 2, 1, 2, 2]), np.ones(5), 0.8)
    np.testing.assert_array_equal(keep, [False, True, False, True, False])
    assert not quota.shortfall.any()
    np.testing.assert_array_equal(quota.generated, [4, 3, 3])
    np.testing.assert_array_equal(quota.strong, [3, 3, 3])
    np.testing.assert_array_equal(quota.kept, [2, 2, 2])
    assert rates_of(quota) == (0.9, 0.1, 1)


def test_no_strong_image_is_no_balance_and_a_threshold_is_itself_strong():
    quota = quotas.ClassQuota(2, classes=2)
    assert not quota.count(np.array([0, 1]), np.array([0.6, 0.7]), 0.71).any()
    assert rates_of(quota) == (0, 0, 0)
    assert quota.count(np.array([0]), np.array([0.71]), 0.71).all()


# What passes

# Of two classes, the confidence is that of the odds: 1 to 1, 99 to 1, 4 to 1, 95 to 5, 94 to 6.
ODDS = np.array([[0.5, 0.5], [0.01, 0.99], [0.2, 0.8], [0.05, 0.95], [0.94, 0.06]])


def test_classify_takes_the_calibrated_confidence():
    logits = np.log([[9.0, 1.0], [1.0, 4.0]]).astype(np.float32)
    found = filter_of(2, threshold=0.95, temperature=2.0).classify(written(logits), truth="truth")
    np.testing.assert_array_equal(found.logits, logits)
    np.testing.assert_array_equal(found.images, written(logits))
    assert found.labels.tolist() == found.predicted.tolist() == found.rows.tolist() == [0, 1]
    np.testing.assert_allclose(found.probabilities, [[3 / 4, 1 / 4], [1 / 3, 2 / 3]], rtol=1e-6)
    np.testing.assert_allclose(found.confidence, [3 / 4, 2 / 3], rtol=1e-6)
    assert found.truth == "truth"


def test_what_passes_keeps_together_with_what_is_known_of_it():
    images, truth = written(np.log(ODDS)), np.array([1, 1, 0, 0, 0])
    accept = filter_of(2, threshold=0.9499)
    found = accept.sift(images, truth)
    passing, every = found.passing, found.every
    assert accept.passes(every).tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(every.confidence, [0.5, 0.99, 0.8, 0.95, 0.94], rtol=1e-5)
    assert every.labels.tolist() == [0, 1, 1, 1, 0] and len(every) == 5
    assert passing.rows.tolist() == [1, 3] and passing.labels.tolist() == [1, 1]
    assert passing.truth.tolist() == [1, 0]
    np.testing.assert_array_equal(passing.images, images[[1, 3]])
    np.testing.assert_allclose(passing.probabilities, ODDS[[1, 3]], rtol=1e-5)
    np.testing.assert_array_equal(passing.logits, every.logits[[1, 3]])


def test_a_filter_counts_all_that_it_sees():
    images = written(np.log(ODDS))
    strict = filter_of(2, threshold=0.9).sift(images)
    assert strict.quota.generated.tolist() == [2, 3]
    assert strict.strong(2).tolist() == strict.quota.strong.tolist() == [1, 2]
    assert strict.rates() == {"strong_rate": 0.6, "weak_rate": 0.0}
    unsure = filter_of(2, threshold=1.0, temperature=1e9).sift(images)
    assert len(unsure.passing) == 0 and unsure.strong(2).tolist() == [0, 0]
    three = written(np.log([[0.4, 0.3, 0.3], [0.6, 0.2, 0.2]]))
    assert filter_of(3, threshold=0.3).sift(three).rates() == {"strong_rate": 1, "weak_rate": 0.5}


def test_where_only_what_passed_is_known_that_is_counted_and_there_are_no_rates():
    some = Filtered(numbered([0, 2, 2]))
    assert some.strong(4).tolist() == [1, 0, 2, 0] and some.rates() == {}


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), max_size=30),
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_the_first_of_each_class(labels, counts):
    room, expected = list(counts), []
    for row, label in enumerate(labels):
        if label < len(room) and room[label]:
            room[label] -= 1
            expected.append(row)
    rows = first_of_each_class(np.array(labels, int), np.array(counts))
    assert rows.tolist() == expected


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), max_size=20), min_size=1, max_size=3),
    st.lists(st.integers(0, 3), min_size=1, max_size=20),
)
def test_sets_cut_alike_have_the_same_counts_and_their_first_images(others, last):
    sets = [*others, last]
    cut = cut_alike(*(numbered(labels) for labels in sets))
    least = {k: min(labels.count(k) for labels in sets) for k in range(4)}
    for labels, result in zip(sets, cut, strict=True):
        expected = [
            row for row, label in enumerate(labels) if labels[:row].count(label) < least[label]
        ]
        assert numbers(result.images) == expected
        assert result.labels.tolist() == [labels[row] for row in expected]


# Generating


class Fake:
    """A generator of images 0, 1, 2, ... and a filter that has settled what it says of them."""

    threshold = 0.95

    def __init__(self, seed, n, probabilities):
        rng = RNG(seed)
        self.labels = rng.choice(len(probabilities), n, p=probabilities)
        self.confidence = rng.choice([0.3, 0.7, 0.96, 0.99], n)
        self.classes, self.chunks, self.progress = len(probabilities), [], 0

    def draw(self, n):
        assert n > 0
        start = sum(self.chunks)
        self.chunks.append(n)
        rows = np.arange(start, start + n, dtype=np.float32)
        return np.broadcast_to(rows[:, None, None], (n, 28, 28))

    def classify(self, images):
        rows = images[:, 0, 0].astype(int)
        both = np.tile(rows[:, None], (1, self.classes))
        return ImageSet(
            images,
            labels=self.labels[rows],
            confidence=self.confidence[rows],
            probabilities=both,
            logits=-both,
        )

    def run(self, quota, most):
        def progress():
            self.progress += 1
            assert quota.generated.sum() == sum(self.chunks)

        found = filters.generate(self.draw, self, quota, max_draws=most, progress=progress)
        assert found.quota is quota
        return found.passing, found.every

    def expected(self, per_class, drawn):
        room, rows = [per_class] * self.classes, []
        for row in range(drawn):
            if self.confidence[row] >= 0.95 and room[self.labels[row]]:
                room[self.labels[row]] -= 1
                rows.append(row)
        return rows


def assert_together(images, fake):
    rows = numbers(images.images)
    np.testing.assert_array_equal(images.labels, fake.labels[rows])
    np.testing.assert_array_equal(images.confidence, fake.confidence[rows])
    np.testing.assert_array_equal(images.probabilities[:, 0], rows)
    np.testing.assert_array_equal(images.logits[:, -1], np.negative(rows))


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_the_quota_is_met_with_the_first_that_were_drawn(monkeypatch, chunk):
    monkeypatch.setattr(filters, "CHUNK", chunk)
    fake, quota = Fake(0, 3000, [0.5, 0.3, 0.15, 0.05]), quotas.ClassQuota(6, classes=4)
    accepted, sample = fake.run(quota, most=3000)
    drawn = sum(fake.chunks)
    assert set(fake.chunks) == {chunk} and fake.progress == len(fake.chunks)
    assert np.bincount(accepted.labels).tolist() == [6] * 4
    assert numbers(accepted.images) == fake.expected(6, drawn)
    assert_together(accepted, fake)
    # the last chunk was needed
    assert len(fake.expected(6, drawn - chunk)) < 24
    assert numbers(sample.images) == list(range(chunk))
    assert_together(sample, fake)
    assert quota.generated.tolist() == np.bincount(fake.labels[:drawn], minlength=4).tolist()


@pytest.mark.parametrize(("most", "chunks"), [(5, [5]), (10, [10]), (25, [10, 10, 5])])
def test_no_more_are_drawn_than_allowed(monkeypatch, most, chunks):
    monkeypatch.setattr(filters, "CHUNK", 10)
    fake, quota = Fake(1, 100, [0.9, 0.1, 0.0]), quotas.ClassQuota(8, classes=3)
    accepted, sample = fake.run(quota, most)
    assert fake.chunks == chunks and quota.generated.sum() == most
    assert numbers(accepted.images) == fake.expected(8, most)
    assert quota.shortfall[2] == 8
    assert numbers(sample.images) == list(range(chunks[0]))


def test_where_none_is_strong_none_is_accepted():
    fake, quota = Fake(2, 30, [0.5, 0.5]), quotas.ClassQuota(3, classes=2)
    fake.confidence[:] = 0.94
    accepted, sample = fake.run(quota, most=30)
    assert accepted.images.shape == (0, 28, 28) and accepted.labels.dtype.kind == "i"
    assert len(sample.labels) == 30
    cut = cut_alike(accepted, sample)
    assert [len(each.labels) for each in cut] == [0, 0]


def test_what_is_missing_is_said_and_nothing_where_all_is_there():
    quota = quotas.ClassQuota(2, classes=3)
    names = ("coat", "shirt", "bag")
    quota.count(np.array([0, 0, 2]), np.ones(3), 0.9)
    said = quota.progress(names)
    assert said == "3 drawn; strong images still missing: 2 of shirt, 1 of bag"
    quota.count(np.array([1, 1, 2]), np.ones(3), 0.9)
    assert quota.progress(names) == "6 drawn"
    assert "and of 4 other classes" in quotas.ClassQuota(1, classes=12).progress("abcdefghijkl")


def test_the_filter_takes_the_temperature_of_reconstructions_unless_told():
    rng = RNG(5)
    labels = rng.integers(0, 3, 900)
    sure = (4.0 * np.eye(3)[labels] + rng.normal(0, 1, (900, 3))).astype(np.float32)
    unsure = (4.0 * np.eye(3)[rng.permutation(labels)]).astype(np.float32)
    fitted, real = (calibrate.fit_temperature(each, labels) for each in (unsure, sure))
    assert real < fitted
    classifier, held_out = reader(3), ImageSet(written(sure), labels)
    accept = filters.fit_filter(classifier, held_out, written(unsure), threshold=0.9)
    assert accept == Filter(classifier, fitted, 0.9, fitted, real)
    accept = filters.fit_filter(
        classifier, held_out, written(unsure), threshold=0.9, temperature=1.5
    )
    assert accept == Filter(classifier, 1.5, 0.9, fitted, real)
