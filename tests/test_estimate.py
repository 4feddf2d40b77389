"""The estimated error of labels: known images stand for the examined ones."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from trust import statistics
from trust.ask import right
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS
from trust.data.images import ImageSet
from trust.filter.promise import Promise
from trust.train.referee import Judged

RNG = np.random.default_rng
CLASSES = 5


# Intervals


def test_with_equal_weights_a_weighted_share_is_a_share():
    for hits in (0, 3, 40):
        found = statistics.weighted_share(np.arange(40) < hits, np.full(40, 1 / 40))
        assert found == pytest.approx((hits / 40, *statistics.wilson_interval(hits, 40)))
    assert all(map(math.isnan, statistics.weighted_share(np.zeros(0, bool), np.zeros(0))))


@pytest.mark.parametrize(("rates", "m"), [((0.002, 0.03), 1000), ((0.1, 0.3), 200)])
def test_the_interval_of_a_weighted_share_holds(rates, m):
    """Strata of equal size, one of which weighs nine times as much."""
    rng, inside, inside_others = RNG(1), 0, 0
    second = np.arange(m) >= m // 2
    weights = np.where(second, 0.1, 0.9) / (m // 2)
    true = 0.9 * rates[0] + 0.1 * rates[1]
    for _ in range(1000):
        hits = rng.random(m) < np.where(second, rates[1], rates[0])
        _, low, high = statistics.weighted_share(hits, weights)
        inside += low <= true <= high
        _, low, high = statistics.weighted_share(hits, weights, others=300)
        inside_others += low <= rng.binomial(300, true) / 300 <= high
    assert 0.93 <= inside / 1000
    assert 0.93 <= inside_others / 1000


def test_the_share_that_is_found_and_the_lower_bound():
    assert stats.binom.sf(6, 300, statistics.share_with_hits(7, 300, 0.8)) == pytest.approx(0.8)
    assert statistics.share_with_hits(0, 9, 0.8) == 0
    assert math.isnan(statistics.share_with_hits(10, 9, 0.8))
    exact = stats.binomtest(7, 50, alternative="greater").proportion_ci(0.99, "exact").low
    assert statistics.lower_bound(7, 50, risk=0.01) == pytest.approx(exact)
    assert statistics.lower_bound(0, 50) == 0 and math.isnan(statistics.lower_bound(0, 0))


# Weights


def test_weighted_known_images_have_the_classes_and_the_confidence_of_the_examined_ones():
    rng = RNG(2)
    labels, sure = rng.integers(0, 3, 500), rng.random(500)
    known, known_sure = np.repeat([0, 1, 2], [640, 100, 5]), rng.random(745) ** 2
    weights = right.alike_weights(labels, sure, known, known_confidence=known_sure)
    assert weights.sum() == pytest.approx(1) and weights.min() >= 0
    # Class 0: the lowest 20 of 640, and as many, then twice as many, and so on.
    order = np.sort(known_sure[known == 0])
    edges = [-1, *order[[19, 39, 79, 159, 319]], 2]
    pooled = known_sure, np.sort(known_sure)
    # Class 2 has five known images: all known ones stand for it.
    share = np.mean(labels == 2)
    edges_of_all = [-1, *pooled[1][np.ceil(745 * 0.5 ** np.arange(5, 0, -1)).astype(int) - 1], 2]
    rest = np.zeros(745)
    for low, high in itertools.pairwise(edges_of_all):
        there = (known_sure > low) & (known_sure <= high)
        rest[there] = np.mean((labels == 2) & (sure > low) & (sure <= high)) / there.sum()
    assert rest.sum() == pytest.approx(share)
    own = weights - rest
    np.testing.assert_allclose(own[known == 2], 0, atol=1e-12)
    for low, high in itertools.pairwise(edges):
        there = (known == 0) & (known_sure > low) & (known_sure <= high)
        wanted = np.mean((labels == 0) & (sure > low) & (sure <= high))
        assert own[there].sum() == pytest.approx(wanted)
        assert np.ptp(own[there]) < 1e-12


def test_images_weigh_the_same_for_others_that_are_like_them():
    rng = RNG(3)
    labels, sure = rng.integers(0, 4, 900), rng.random(900).round(2)  # with ties
    weights = right.alike_weights(labels, sure, labels, known_confidence=sure)
    np.testing.assert_allclose(weights, 1 / 900)
    certain = right.class_weights(labels[:0], labels)
    np.testing.assert_allclose(certain, 1 / 900)
    assert len(right.class_weights(labels, labels[:0])) == 0


def test_classes_weigh_as_they_do_in_the_examined_set():
    known = np.repeat([0, 1], [900, 100])
    weights = right.class_weights(np.repeat([0, 1], [50, 50]), known)
    error = right.known_error(np.where(known == 1, 0, 0), known * 0 + (known == 1), weights)
    assert error["error_estimate"] == pytest.approx(0.5)  # class 1 is always wrong
    ratio = right.class_frequencies(np.repeat([0, 1], [50, 50]), known, 3)
    np.testing.assert_allclose(ratio, [1.8, 0.2, 0])


# A made-up world: a referee that is wrong as often as it says, and a classifier that shares some
# of its mistakes


@pytest.fixture(autouse=True)
def few_measure(monkeypatch):
    """The features of this world are all the same: few of them say so."""
    monkeypatch.setattr(right, "MEASURED", 50)


def world(n, rng):
    """truth, the referee's labels and confidence, the classifier's labels, all (n,)."""
    truth, sure = rng.integers(0, CLASSES, n), 1 - 0.5 * rng.random(n) ** 12
    wrong = rng.random(n) > sure
    words = np.where(wrong, other(truth, rng), truth)
    own = rng.random(n) < 0.02
    repeats = wrong & (rng.random(n) < 0.6)
    classified = np.where(repeats, words, np.where(own, other(truth, rng), truth))
    return truth, words, sure, classified


def other(labels, rng):
    """Another class for each."""
    return (labels + rng.integers(1, CLASSES, len(labels))) % CLASSES


def swapped(labels, share, rng):
    """Labels, so many of which are replaced by another."""
    return np.where(rng.random(len(labels)) < share, other(labels, rng), labels)


def images_of(labels, truth):
    return ImageSet(np.zeros((len(truth), 1)), labels, truth, rows=np.arange(len(truth)))


def ask(labels, words, sure, known, labelled):
    """Numbers and verdict for labels, beside a world of known images.  labelled: they came with the
    images; else the classifier gave them."""
    truth, known_words, known_sure, classified = known
    real = images_of(truth if labelled else classified, truth)
    judged = Judged(known_words, np.zeros((len(truth), 1)), known_sure)
    beside = SimpleNamespace(
        known=real,
        like="real",
        tested={"real": SimpleNamespace(passing=real)},
        any_label=images_of(None, truth) if labelled else None,
        near_copies=0.0,
    )
    asked = SimpleNamespace(beside=beside, judged_tested={"real": judged})
    own = Judged(words, np.zeros((len(words), 1)), sure)
    numbers = right.examine_subject(images_of(labels, labels), own, asked)
    weights = right.class_weights(labels, real.labels)
    return numbers, right.verdict(numbers, right.examine_known(real, judged, weights))


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("n", [100, 1000])
def test_honest_labels_are_not_called_worse(n, labelled):
    rng, called, inside, runs = RNG(4), 0, 0, 60
    for _ in range(runs):
        truth, words, sure, classified = world(n, rng)
        labels = truth if labelled else classified
        numbers, verdict = ask(labels, words, sure, world(4000, rng), labelled)
        called += verdict.word in CAUGHT
        inside += numbers["error_low"] <= np.mean(labels != truth) <= numbers["error_high"]
    assert called <= 1
    assert inside >= 0.93 * runs


@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_said_to_be_detectable_is_found_in_four_of_five_cases(labelled):
    rng, found, runs = RNG(5), 0, 80
    for _ in range(runs):
        truth, words, sure, classified = world(1000, rng)
        known, labels = world(4000, rng), truth if labelled else classified
        numbers, _ = ask(labels, words, sure, known, labelled)
        labels = swapped(labels, numbers["detectable"], rng)
        found += ask(labels, words, sure, known, labelled)[1].word in CAUGHT
    assert 0.65 <= found / runs <= 0.95


def test_false_alarms_elsewhere_hide_no_swapped_labels_of_easy_images():
    rng = RNG(6)
    for share in (0.0, 0.02, 0.04):
        truth, words, sure, _ = world(5000, rng)
        easy = sure > np.quantile(sure, 0.3)
        labels = swapped(truth[easy], share, rng)
        numbers, verdict = ask(labels, words[easy], sure[easy], world(5000, rng), True)
        error = np.mean(labels != truth[easy])
        assert numbers["error_estimate"] == pytest.approx(error, abs=0.006)
        assert numbers["error_low"] <= error <= numbers["error_high"]
        assert (verdict.word in CAUGHT) == (share > 0)


def test_labels_that_share_the_referees_mistakes_lie_in_the_interval():
    rng = RNG(7)
    for _ in range(20):
        truth, words, sure, classified = world(3000, rng)
        known = world(5000, rng)
        for labels in (truth, classified, words):  # true, a classifier's, the referee's own
            numbers, verdict = ask(labels, words, sure, known, True)
            error = np.mean(labels != truth)
            assert numbers["error_low"] <= error <= numbers["error_high"]
            assert verdict.word != AS_REAL or error < right.MOST_ERRORS
        plain = right.error_estimate(words, words, known[0], known[1], known[0])
        assert plain["error_high"] < error  # as if they were true labels


def test_where_labels_of_unknown_origin_could_hide_too_much_the_verdict_says_so():
    numbers = {"error_estimate": 0.0, "error_low": 0.0, "worse_from": 0.02, "detectable": 0.02}
    numbers["referee_confidence"] = 0.99
    real = {"referee_confidence": 0.99}
    assert right.verdict(numbers, real).word == AS_REAL
    assert right.verdict(numbers | {"hidden": 0.02}, real).word == AS_REAL
    found = right.verdict(numbers | {"hidden": 0.04}, real)
    assert found.word == CANNOT_TELL and found.why == "labels of unknown origin"
    found = right.verdict(numbers | {"hidden": 0.04, "detectable": 0.06}, real)
    assert found.word == CANNOT_TELL and found.why == "too few images"
    much = numbers | {"error_estimate": 0.1, "error_low": 0.06}
    assert right.verdict(much, real).word == FAILS
    # As many labels of real images are wrong, so it is not the set; but nobody should trust them.
    found = right.verdict(much | {"worse_from": 0.12}, real)
    assert found.word == CANNOT_TELL and found.why == "above the bound, but not above real images"
    found = right.verdict(much, {"referee_confidence": 1.0 + right.LOST_BELOW})
    assert found.word == CANNOT_TELL and found.why == "unlike real ones"
    nothing = dict.fromkeys(much, math.nan)
    assert right.verdict(nothing, real).word == CANNOT_TELL


def test_images_unlike_known_ones_are_counted_where_the_referee_agrees(monkeypatch):
    monkeypatch.setattr(right, "MEASURED", 2000)
    rng = RNG(11)
    known, honest = rng.standard_normal((2, 2000, 8))
    assert right.share_unlike(honest, known, len(honest)) < 0.02
    strange = np.concatenate([honest[:900], honest[900:1000] + 20])
    assert right.share_unlike(strange, known, 1000) == pytest.approx(0.1, abs=0.02)
    assert right.share_unlike(strange[:900], known, 1000) < 0.02  # it disputes the others' labels
    assert right.share_unlike(known[:0], known, 0) == 0.0
    assert math.isnan(right.share_unlike(honest, known[:0], 2000))
    # Float rounding of the distances of equal features tells nobody apart.
    assert right.share_unlike(known, known, len(known)) == 0.0


def test_noise_of_which_the_referee_is_sure_is_not_as_real():
    numbers = {"error_estimate": 0.0, "error_low": 0.0, "worse_from": 0.02, "detectable": 0.02}
    numbers["referee_confidence"], real = 1.0, {"referee_confidence": 0.99}
    assert right.verdict(numbers | {"unlike": 0.02}, real).word == AS_REAL
    found = right.verdict(numbers | {"unlike": 0.04, "hidden": 0.01}, real)
    assert found.word == CANNOT_TELL and found.why == "unlike real ones"
    swapped_too = numbers | {"error_estimate": 0.1, "error_low": 0.06, "unlike": 0.9}
    assert right.verdict(swapped_too, real).word == FAILS


def test_without_images_nothing_is_said():
    rng = RNG(8)
    empty = np.zeros(0, int)
    for known in (world(1000, rng), world(0, rng)):
        for labelled in (True, False):
            numbers, verdict = ask(empty, empty, np.zeros(0), known, labelled)
            assert verdict.word == CANNOT_TELL and math.isnan(numbers["error_estimate"])
    truth, words, sure, _ = world(100, rng)
    numbers, verdict = ask(truth, words, sure, world(0, rng), labelled=False)
    assert verdict.word == CANNOT_TELL and math.isnan(numbers["error_estimate"])


def test_a_mistake_counts_as_often_as_its_class():
    """Class 0 is always right, class 1 is wrong in one of ten images, and the referee sees it."""
    truth = np.repeat([0, 1], [4000, 1000])
    wrong = (truth == 1) & (np.arange(5000) % 10 == 0)
    words = np.where(wrong, 2, truth)
    known = words, words, np.full(5000, 0.99), truth  # the classifier says 0 or 1, the truth is 2
    labels = np.repeat([0, 1], [500, 500])
    disputed = (labels == 1) & (np.arange(1000) % 10 == 0)
    numbers, _ = ask(labels, np.where(disputed, 2, labels), np.full(1000, 0.99), known, False)
    assert numbers["error_estimate"] == pytest.approx(0.05)
    assert numbers["error_real_classes"] == pytest.approx(0.02)


def test_shared_mistakes_grow_with_the_disagreement():
    """Of 2,000 known images 20 are wrong, and the referee sees five.  It disputes twice as many."""
    known = np.zeros(2000, int)
    truth, words = np.where(np.arange(2000) < 20, 1, 0), np.where(np.arange(2000) < 5, 1, 0)
    labels = np.zeros(2000, int)
    disputed = np.where(np.arange(2000) < 10, 1, 0)
    same = np.full(2000, 0.99)
    numbers, _ = ask(labels, disputed, same, (truth, words, same, known), False)
    assert numbers["error_estimate"] == pytest.approx((10 + 15) / 2000)
    # with one more disputed among the known ones, so that it is never none
    assert numbers["error_if_shared"] == pytest.approx((10 + 15 * 10 / 6) / 2000)


# The promise


def test_classes_in_which_a_promise_surely_does_not_hold():
    labels = np.repeat([0, 1, 2], [300, 100, 50])
    truth = labels.copy()
    truth[300:320] = 0
    low = Promise(0.01, 0.9, labels, truth).by_class(4)["promise_low"]
    exact = stats.binomtest(20, 100, alternative="greater").proportion_ci(1 - 0.05 / 4, "exact").low
    np.testing.assert_allclose(low, [0, exact, 0, np.nan])
