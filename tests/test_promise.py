"""The promise: the threshold that is searched for, and how often what it promises is broken."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, control_fwer
from scipy import stats

from trust import statistics
from trust.ask import estimates, promised, right
from trust.data.images import ImageSet
from trust.filter import filters, promise
from trust.filter.filters import Filter, Filtered
from trust.filter.quotas import WEAK
from trust.train.inference import softmax
from trust.train.referee import Judged


def upper(k, n):
    """The one-sided bound of Clopper and Pearson, by the beta distribution."""
    return 1.0 if k == n else stats.beta.ppf(0.95, k + 1, n - k)


@pytest.mark.parametrize("n", [2, 60, 473, 5000, 12_345])
def test_the_least_that_can_be_shown_can_be_shown(n):
    least = promise.least_error(n)
    assert upper(1, n) <= least <= 1.1 * upper(1, n)
    promise.check_possible(float(f"{least:.2g}"), n)
    for small in (0.99 * upper(1, n), 1e-20):
        with pytest.raises(promise.PromiseError, match="is too small"):
            promise.check_possible(small, n)


def test_the_grid_goes_from_strict_to_loose():
    assert (np.diff(promise.GRID) < 0).all()
    assert promise.GRID[0] == 0.999999 and promise.GRID[-1] == WEAK
    assert {0.99, 0.95, 0.9, 0.8} <= set(promise.GRID)


def made_up(rng, n, overconfident=1.0, bump=0.0):
    """Confidence of n images, and which are wrong: more often than the confidence says, and most of
    all just where it is 0.97, so that the risk does not fall with the threshold."""
    confidence = 1 - 0.5 * rng.beta(0.3, 2.0, n)
    risk = overconfident * (1 - confidence) + bump * (np.abs(confidence - 0.97) < 0.01)
    return confidence, rng.random(n) < risk


@pytest.mark.parametrize("max_error", [0.05, 0.02, 0.01])
def test_the_threshold_is_the_last_before_the_first_failure(max_error):
    rng = np.random.default_rng(3)
    for _ in range(20):
        confidence, wrong = made_up(rng, 1500, bump=0.05)
        expected = None
        for threshold in promise.GRID:
            passing = confidence >= threshold
            n, k = int(passing.sum()), int(wrong[passing].sum())
            if upper(1, n) > max_error if n else True:
                continue  # too few to bear one error
            if upper(k, n) > max_error:
                break
            expected = threshold
        assert promise.loosest_threshold(confidence, wrong, max_error) == expected


@pytest.mark.filterwarnings("ignore:Fixed sequence testing:UserWarning")
@pytest.mark.filterwarnings("ignore:No predict parameters:UserWarning")
@pytest.mark.parametrize("max_error", [0.05, 0.02, 0.01])
def test_mapie_finds_the_same_threshold(max_error):
    """Its controller of precision rounds n errors up to n + 1 where n / m * m is above n, so it is
    now and then stricter; its fixed sequence testing of SciPy's exact p-values is the same."""
    rng, found, controlled = np.random.default_rng(4), [], []
    for _ in range(20):
        confidence, wrong = made_up(rng, 1500, bump=0.05)
        passing = [confidence >= threshold for threshold in promise.GRID]
        enough = [each.any() and upper(1, each.sum()) <= max_error for each in passing]
        first = np.flatnonzero(enough)[0]
        counts = np.array([(wrong[each].sum(), each.sum()) for each in passing[first:]])
        p_values = stats.binom.cdf(*counts.T, max_error)
        valid = promise.GRID[first:][control_fwer(p_values, 0.05, fwer_method="fixed_sequence")]
        found.append(promise.loosest_threshold(confidence, wrong, max_error))
        assert found[-1] == (valid.min() if len(valid) else None)
        controller = BinaryClassificationController(
            predict_function=lambda values: np.stack([1 - values, values], axis=1),
            risk="precision",
            target_level=1 - max_error,
            confidence_level=0.95,
            list_predict_params=promise.GRID[first:],
            fwer_method="fixed_sequence",
        )
        valid = controller.calibrate(confidence, ~wrong).valid_predict_params
        controlled.append(valid.min() if len(valid) else None)
    pairs = list(zip(found, controlled, strict=True))
    assert all(other is None or one <= other for one, other in pairs)
    assert sum(one == other for one, other in pairs) > 10
    assert len({*found}) > 2


@pytest.mark.parametrize(
    ("n", "max_error", "overconfident", "bump"),
    [(5000, 0.01, 0.5, 0.0), (1500, 0.02, 1.0, 0.0), (800, 0.02, 1.0, 0.08), (300, 0.05, 1.5, 0.1)],
)
def test_the_promise_is_broken_in_at_most_one_of_twenty_worlds(n, max_error, overconfident, bump):
    rng, broken, without_bound, kept = np.random.default_rng(5), 0, 0, 0
    confidence, wrong = made_up(rng, 400_000, overconfident, bump)
    true = np.array([wrong[confidence >= threshold].mean() for threshold in promise.GRID])
    runs = 300
    for _ in range(runs):
        some = rng.choice(len(wrong), n)
        found = promise.loosest_threshold(confidence[some], wrong[some], max_error)
        kept += found is not None
        broken += found is not None and true[promise.GRID == found][0] > max_error
        # what one would do without a bound: the loosest at which few enough are wrong
        here = [
            passing.any() and wrong[some][passing].mean() <= max_error
            for passing in (confidence[some] >= threshold for threshold in promise.GRID)
        ]
        loosest = np.flatnonzero(here).max(initial=-1)
        without_bound += loosest >= 0 and true[loosest] > max_error
    assert broken / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
    assert without_bound / runs > 0.2  # the test can fail
    assert kept / runs > 0.5


def test_no_threshold_where_too_many_are_wrong():
    confidence = np.linspace(0.5, 1, 2000)
    assert promise.loosest_threshold(confidence, np.ones(2000, bool), 0.05) is None
    assert promise.loosest_threshold(confidence[:10], np.zeros(10, bool), 0.05) is None
    assert promise.loosest_threshold(confidence, np.zeros(2000, bool), 0.05) == WEAK


def classifier(pixels, training):
    """Its logits are what lies in the images' first pixels."""
    return np.asarray(pixels)[:, 0, :3, 0]


@pytest.fixture(scope="module")
def held_out():
    """1,200 images, all different, whose classifier is too sure, some of them labelled wrong."""
    rng = np.random.default_rng(7)
    images = rng.random((1200, 4, 4)).astype(np.float32)
    images[:, 0, :3] = 12 * rng.random((1200, 3))
    probabilities = softmax(images[:, 0, :3], 1.5)
    labels = (probabilities.cumsum(axis=1) > rng.random((1200, 1))).argmax(axis=1)
    return ImageSet(images, labels)


def test_temperature_and_threshold_come_from_different_halves(held_out):
    first, second = promise.halves(held_out, np.random.default_rng(1))
    assert not set(first) & set(second) and len(first) + len(second) == 1200
    images = held_out.images

    def fit(labels, **settings):
        rng = np.random.default_rng(1)
        own = ImageSet(images, labels)
        accept = filters.fit_promise(classifier, own, images, max_error=0.1, rng=rng, **settings)
        assert accept.threshold == accept.promise.threshold in promise.GRID
        assert accept.promise.max_error == 0.1
        return accept

    accept = fit(held_out.labels)
    assert accept.temperature == pytest.approx(1.5, abs=0.2)
    changed = held_out.labels.copy()
    changed[first[:60]] = (changed[first[:60]] + 1) % 3
    assert fit(changed).temperature != accept.temperature
    changed = held_out.labels.copy()
    # every label of the other half as the classifier says: nothing is wrong, no threshold needed
    changed[second] = images[second, 0, :3].argmax(axis=1)
    without_errors = fit(changed)
    assert without_errors.temperature == accept.temperature
    assert without_errors.threshold < accept.threshold
    # the bound of the images that pass, of the other half alone
    strong = softmax(images[second, 0, :3], accept.temperature)
    strong, labels = strong.max(axis=1) >= accept.threshold, strong.argmax(axis=1)
    np.testing.assert_array_equal(accept.promise.labels, labels[strong])
    np.testing.assert_array_equal(accept.promise.truth, held_out.labels[second][strong])
    assert upper(accept.promise.wrong.sum(), strong.sum()) <= 0.1
    assert fit(held_out.labels, temperature=3.0).temperature == 3.0


def test_the_promise_is_found_on_the_images_that_are_given(held_out):
    """On their reconstructions, say, which are harder: more of these are wrong."""
    blurred = held_out.images.copy()
    blurred[:, 0, :3] = blurred[::-1, 0, :3]
    blurred = np.where(np.arange(1200)[:, None, None] % 12, held_out.images, blurred)
    clear, harder = (
        filters.fit_promise(
            classifier, held_out, images, max_error=0.25, rng=np.random.default_rng(1)
        )
        for images in (held_out.images, blurred)
    )
    assert harder.threshold > clear.threshold and harder.temperature > clear.temperature
    # the temperature of the real images themselves is the same
    assert harder.temperature_real_images == clear.temperature_real_images


def test_copies_of_an_image_count_once(held_out):
    doubled = held_out.take(np.tile(np.arange(1200), 2))
    rows = np.concatenate(promise.halves(doubled, np.random.default_rng(0)))
    assert sorted(rows) == list(range(1200))


def test_what_cannot_be_promised_is_said(held_out):
    with pytest.raises(promise.PromiseError, match=r", 600, can show no less than 0\.0079"):
        promise.check_possible(0.0001, 600)
    promise.check_possible(0.0079, 600)
    images = held_out.images
    wrong = ImageSet(images, (images[:, 0, :3].argmax(axis=1) + 1) % 3)
    rng = np.random.default_rng(1)
    with pytest.raises(promise.PromiseError, match=r"no threshold keeps .* 100\.00% of 600"):
        filters.fit_promise(classifier, wrong, images, max_error=0.1, rng=rng)


def test_each_class_by_hand():
    labels, truth = np.array([0] * 30 + [1] * 20), np.array([0] * 29 + [1] * 18 + [0] * 3)
    found = promise.Promise(0.1, 0.9, labels, truth).by_class(3)
    assert found["promise_wrong"][:2] == pytest.approx([1 / 30, 3 / 20])
    assert found["promise_bound"][:2] == pytest.approx([upper(1, 30), upper(3, 20)])
    assert np.isnan(found["promise_wrong"][2]) and np.isnan(found["promise_bound"][2])


PROMISE = promise.Promise(0.1, 0.9, np.array([0] * 50), np.array([0] * 48 + [1] * 2))


def known_images():
    """40 images that are said to be of class 0, of which three are not, and the referee's labels,
    which see one of the three."""
    truth = np.array([0] * 37 + [1] * 3)
    known = ImageSet(np.zeros((40, 1, 1)), labels=np.zeros(40, int), truth=truth)
    return known, np.array([0] * 39 + [1])


def test_whether_it_held_by_hand():
    known, known_words = known_images()
    labels, words = np.array([0] * 20), np.array([0] * 18 + [1] * 2)
    found = promised.did_it_hold(PROMISE, known, known_words, labels=labels, words=words)
    assert found["max_error"] == 0.1 and found["threshold"] == 0.9
    assert found["images"] == 50 and found["wrong"] == 0.04
    assert found["bound"] == pytest.approx(upper(2, 50))
    assert found["test_error_estimate"] == pytest.approx(3 / 40)
    # the referee sees one of the three
    assert found["estimated_error_estimate"] == pytest.approx(2 / 20 + 2 / 40)
    ends = found["test_error_low"], found["test_error_high"]
    assert ends == pytest.approx(statistics.wilson_interval(3, 40))
    estimate = right.error_estimate(labels, words, known.labels, known_words, known.truth)
    assert estimate == {key: found[f"estimated_{key}"] for key in estimates.ERROR}


def asked(accept, drawn=True):
    """What is asked about images of class 0, of which the first ten that pass are kept.  drawn:
    whether we drew them, so that all are known."""
    confidence = np.array([0.95] * 12 + [0.5, 0.9, 0.89])
    words = np.array([0] * 9 + [1] * 6)  # the referee's; it disputes four of the 13 that pass
    every = ImageSet(np.zeros((15, 1, 1)), labels=np.zeros(15, int), confidence=confidence)
    kept = np.flatnonzero(confidence >= 0.9)[:10]
    known, known_words = known_images()
    # The known images are every second one of the test images.
    of_tests = np.full(80, 2)
    of_tests[::2] = known_words
    known = replace(known, rows=np.arange(0, 80, 2))
    return SimpleNamespace(
        subjects={"made": Filtered(every.take(kept), every if drawn else None)},
        beside=SimpleNamespace(
            promised_on=known if accept.promise else None, like="real", accept=accept
        ),
        judged={"made": SimpleNamespace(labels=words[kept], confidence=np.ones(len(kept)))},
        sampled={"made": words} if drawn else {},
        sampled_confidence={"made": np.ones(15)} if drawn else {},
        judged_tested={"real": Judged(of_tests, np.zeros((80, 1)), np.ones(80))},
    )


ACCEPT = Filter(None, 1.0, 0.9, 1.0, 1.0, PROMISE)


def test_a_promise_is_for_all_that_passes_also_beyond_the_quota():
    known, known_words = known_images()

    def expected(n, disputed):
        words = np.array([0] * (n - disputed) + [1] * disputed)
        return promised.did_it_hold(
            PROMISE, known, known_words, labels=np.zeros(n, int), words=words
        )

    assert promised.ask(asked(ACCEPT)) == expected(13, 4)
    # of images that somebody else drew, only those that pass are known
    assert promised.ask(asked(ACCEPT, drawn=False)) == expected(10, 1)


def test_without_a_promise_nothing_is_said_of_one():
    assert promised.ask(asked(replace(ACCEPT, promise=None))) == {}
