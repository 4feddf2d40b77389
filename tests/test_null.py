"""Varied, balanced and useful beside what chance does: honest sets pass, planted faults do not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trust.ask import balanced, useful, varied
from trust.ask.neighbours import gaps_within
from trust.ask.questions import Asked, Beside, disjoint_sets
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS, FALSE_ALARM, WORSE
from trust.data.images import ImageSet
from trust.filter.filters import Filter, Filtered
from trust.filter.quotas import ClassQuota
from trust.show.rows import remarks
from trust.statistics import t_quantile, t_tail
from trust.train.referee import Judged

RNG = np.random.default_rng


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 19, 20, 101, 1000])
def test_t_is_scipys(freedom):
    for t in (-30, -2.5, 0, 0.7, 4.5, 40):
        assert t_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-6, abs=1e-13)
    for share in (0.002, 0.5, 0.8, 0.998, 1 - 0.002 / 6):
        expected = stats.t.ppf(share, freedom)
        assert t_quantile(share, freedom) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert math.isnan(t_quantile(0.9, 0)) and math.isnan(t_tail(math.nan, 3))


def test_disjoint_sets_share_no_image_and_have_the_classes_asked_for():
    labels = RNG(0).integers(0, 4, 300)
    counts = np.array([5, 0, 12, 3])
    found = disjoint_sets(labels, counts, most=20, rng=RNG(1))
    assert len(found) == min(np.bincount(labels)[[0, 2, 3]] // [5, 12, 3])
    assert len(np.unique(np.concatenate(found))) == 20 * len(found)
    for rows in found:
        assert (np.diff(rows) > 0).all()
        np.testing.assert_array_equal(np.bincount(labels[rows], minlength=4), counts)
    assert len(disjoint_sets(labels, counts, most=2, rng=RNG(1))) == 2
    assert not disjoint_sets(labels[labels != 3], counts, most=2, rng=RNG(1))
    assert [len(rows) for rows in disjoint_sets(labels, 0 * counts, 2, RNG(1))] == [0, 0]


# Balanced?


def verdict_on(counts, real):
    counts, real = np.asarray(counts), np.asarray(real)
    lack = balanced.smallest_lack(counts.sum(), real)
    return balanced.verdict(balanced.examine_balance(counts, real) | {"detectable": lack}, {})


def test_chi_square_is_scipys_and_its_chance_too_where_counts_are_large():
    rng = RNG(2)
    for _ in range(5):
        counts, real = rng.multinomial(900, np.full(5, 0.2)), rng.multinomial(3000, np.full(5, 0.2))
        expected = stats.chi2_contingency([counts, real], correction=False)
        assert balanced.chi_square(counts, real) == pytest.approx(expected.statistic)
        found = balanced.chance_of(counts, real, draws=10_000)
        assert found == pytest.approx(expected.pvalue, abs=0.02)


def test_the_chance_of_few_images_is_exact():
    counts, real = np.array([5, 0]), np.array([20, 17])
    # with two classes both tables and both tails are ordered by the chi-square
    tables = np.arange(6)
    both = np.stack([tables, 5 - tables], axis=1)
    found = balanced.chi_square(both, counts + real - both)
    mass = stats.hypergeom(42, 25, 5).pmf(tables)
    exact = mass[found >= balanced.chi_square(counts, real) - 1e-9].sum()
    assert balanced.chance_of(counts, real, draws=100_000) == pytest.approx(exact, abs=0.005)
    same = [balanced.chance_of(counts, real, draws=100) for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize(("n", "classes"), [(100, 26), (200, 62), (500, 100), (100, 10)])
def test_honest_multinomials_of_many_classes_are_balanced(n, classes, monkeypatch):
    rng, due = RNG(3), 1 / np.arange(1, classes + 1) ** 0.5
    due /= due.sum()
    monkeypatch.setattr(balanced, "DRAWS", 1000)
    found = []
    for _ in range(100):
        counts, real = rng.multinomial(n, due), rng.multinomial(5000, due)
        numbers = balanced.examine_balance(counts, real) | {"detectable": 0.5}
        found.append(balanced.verdict(numbers, {}).word)
    assert np.mean(np.isin(found, CAUGHT)) <= 2 / 100 and FAILS not in found


def test_balanced_fails_where_a_class_surely_has_less_than_its_share():
    real = np.full(10, 1000)
    fair = np.full(10, 500)
    assert verdict_on(fair, real).word == AS_REAL
    for few, word in ((0, FAILS), (5, FAILS), (25, WORSE), (300, WORSE), (470, AS_REAL)):
        counts = fair.copy()
        counts[3] = few
        assert verdict_on(counts, real).word == word
        # where the tail is below the level, the interval of Clopper & Pearson is below the bound
        tail = balanced.examine_balance(counts, real)["scarcest_chance"]
        high = stats.beta.ppf(1 - FALSE_ALARM / 10, few + 1, counts.sum() - few)
        assert (tail < FALSE_ALARM) == (high < balanced.LEAST_BALANCE * 0.1)
    # as unbalanced as the real images are
    assert verdict_on([8000, 80], [1000, 10]).word == AS_REAL
    # what is common among real images is rare here
    assert verdict_on([50, 8000], [800, 50]).word == FAILS
    few = verdict_on(np.full(10, 5), real)
    assert few.word == CANNOT_TELL and few.why
    assert verdict_on(np.zeros(10, int), real).word == CANNOT_TELL


def test_what_would_have_been_found_is_found_in_four_of_five_cases():
    rng, due, n = RNG(4), np.full(10, 0.1), 2000
    lack = balanced.smallest_lack(n, np.full(10, 1000))
    thinned = due.copy()
    thinned[7] *= 1 - lack
    counts = rng.multinomial(n, thinned / thinned.sum(), 4000)
    found = balanced.chi_square(counts, rng.multinomial(10_000, due, 4000))
    caught = found > stats.chi2.isf(FALSE_ALARM, 9)  # so many images have this distribution
    assert 0.77 < np.mean(caught) < 0.83
    assert balanced.smallest_lack(10_000, np.full(10, 1000)) < lack
    assert math.isnan(balanced.smallest_lack(20, np.full(10, 1000)))


def test_the_scarcest_class_of_honest_sets_is_what_the_real_number_says(monkeypatch):
    """Both counts vary, those of the real images too, which are few in a rare class."""
    monkeypatch.setattr(balanced, "chance_of", lambda *_: math.nan)
    rng, due = RNG(6), np.array([0.02, 0.18, 0.3, 0.5])
    found = []
    for _ in range(400):
        counts, real = rng.multinomial(2000, due), rng.multinomial(5000, due)
        numbers = balanced.examine_balance(counts, real)
        found.append([numbers[key] for key in ("scarcest", "scarcest_real", "scarcest_real_low")])
    scarcest, mean, low = np.transpose(found)
    assert np.mean(scarcest) == pytest.approx(np.mean(mean), abs=0.02)
    assert np.std(scarcest) > 0.08 and np.mean(scarcest < low) < 0.02
    assert np.mean(mean) > np.mean(low) + 0.2


def test_what_would_have_been_found_is_of_the_rarest_class():
    """So that any other class that lacks as much is found as well."""
    rng, n = RNG(5), 4000
    real = np.array([50, 900, 900, 900])
    due, lack = real / real.sum(), balanced.smallest_lack(n, real)
    caught = []
    for label in range(2):
        thinned = due.copy()
        thinned[label] *= 1 - lack
        counts = rng.multinomial(n, thinned / thinned.sum(), 300)
        caught.append(
            np.mean([balanced.chance_of(each, real, 2000) < FALSE_ALARM for each in counts])
        )
    assert caught[0] == pytest.approx(0.8, abs=0.15) and caught[1] > 0.98
    # Where the rarest class could be missing unseen, one cannot tell, however fair the counts are.
    few = verdict_on([2, 60, 60, 60], [14, 420, 420, 420])
    assert few.word == CANNOT_TELL and few.why == "too few images of the rarest class"
    assert verdict_on([60, 60, 60], [420, 420, 420]).word == AS_REAL
    # So where no real image of it passes: nobody knows how many of it there should be.
    none = verdict_on([600, 600, 600, 0], [420, 420, 420, 0])
    assert none.word == CANNOT_TELL and none.why == "too few images of the rarest class"


@pytest.mark.filterwarnings("error")
def test_of_fewer_images_than_classes_nothing_would_have_been_found():
    for n in (1, 2, 30):
        assert math.isnan(balanced.smallest_lack(n, np.full(62, 100)))


# Varied?


class Reference:
    """An image is its own features."""

    classes = 3

    def __init__(self, test):
        self.judged = self.judge(test)

    def judge(self, images):
        return Judged(np.zeros(len(images), int), images, np.ones(len(images)))

    within = staticmethod(gaps_within)


def drawn(rng, n, modes=4, shares=None):
    """n images of three classes in 6 dimensions, each of them with modes of its own."""
    labels, mode = np.arange(n) % 3, rng.choice(modes, n, p=shares)
    centres = 2 * RNG(99).normal(size=(3, modes, 6))
    return ImageSet((centres[labels, mode] + rng.normal(size=(n, 6))).astype(np.float32), labels)


def beside_real(held_out, counts, pool, **more):
    """Nothing but real images."""
    return Beside(
        counts=counts,
        tested={},
        held_out={"real": Filtered(held_out)},
        like="real",
        known=held_out,
        fresh={},
        copies={},
        pool=pool,
        **more,
    )


def asked_about(images, held_out, test, seed=0):
    counts = images.counts(3)
    beside = beside_real(held_out, counts, pool=held_out)
    reference = Reference(test.images)
    return Asked(
        subjects={"yours": Filtered(images)},
        beside=beside,
        reference=reference,
        rows={"yours": np.arange(len(images))},
        judged={"yours": reference.judge(images.images)},
        sampled={},
        sampled_confidence={},
        judged_tested={},
        judged_held_out={},
        rng=RNG(seed),
    )


def asked_varied(images, held_out, test, seed=0):
    sets, _ = varied.ask(asked_about(images, held_out, test, seed))
    return sets, varied.verdict(sets["yours"], sets["real"])


@pytest.fixture(scope="module")
def real_sets():
    return drawn(RNG(10), 4000), drawn(RNG(11), 400)


def test_honest_sets_are_as_varied_as_real_ones(real_sets):
    held_out, test = real_sets
    words = [
        asked_varied(drawn(RNG(20 + i), n), held_out, test, seed=i)[1].word
        for i, n in enumerate([90, 150, 300] * 20)
    ]
    assert np.mean(np.isin(words, CAUGHT)) <= 1 / 60
    assert words.count(AS_REAL) >= 58


def test_a_few_images_are_not_as_varied_as_real_ones_as_half_of_the_coverage_could_be_missing(
    real_sets,
):
    """Recall alone would have shown a loss of half: of so few images it is nearly one."""
    held_out, test = real_sets
    for n in (15, 21, 30):
        sets, told = asked_varied(drawn(RNG(n), n), held_out, test)
        assert told.detectable < 0.5 * sets["real"]["recall"]
        assert (told.word, told.why) == (
            CANNOT_TELL,
            "a loss of half of the coverage would not have shown",
        )
    sets, told = asked_varied(drawn(RNG(2), 300), held_out, test)
    assert told.word == AS_REAL
    vague = sets["real"] | {"coverage_sd": 0.2 * sets["real"]["coverage"]}
    assert varied.verdict(sets["yours"], vague).word == CANNOT_TELL


def test_real_numbers_are_of_parts_as_large(real_sets, monkeypatch):
    monkeypatch.setattr(varied, "PART", 200)
    sets, _ = asked_varied(drawn(RNG(30), 600), *real_sets)
    assert sets["yours"]["parts"] == 3 and sets["yours"]["images"] == 594  # 66 of a class
    real = sets["real"]
    assert real["parts"] == 20 and real["images"] == 20 * 198
    assert 0 < real["recall_sd"] < 0.1 and 0 < real["coverage_sd"] < 0.1
    # few held-out images: smaller parts, so that there are enough of them
    held_out, test = real_sets
    sets, _ = asked_varied(drawn(RNG(31), 300), held_out.take(slice(600)), test)
    assert sets["real"]["parts"] >= varied.LEAST_PARTS
    assert sets["yours"]["parts"] == 6 and sets["yours"]["images"] == 6 * 48
    assert sets["real"]["images"] == sets["real"]["parts"] * 48


def test_planted_faults_are_not_varied(real_sets):
    held_out, test = real_sets
    few = drawn(RNG(40), 30)
    repeated = few.take(np.arange(900) % 30)
    sets, verdict = asked_varied(repeated, held_out, test)
    assert verdict.word == FAILS
    assert sets["yours"]["recall"] < 0.5 * sets["real"]["recall"]
    one_mode = drawn(RNG(41), 600, shares=[1, 0, 0, 0])
    assert asked_varied(one_mode, held_out, test)[1].word in CAUGHT
    # three of four modes thinned: only the Frechet distance tells
    thinned = drawn(RNG(42), 900, shares=[0.55, 0.15, 0.15, 0.15])
    assert asked_varied(thinned, held_out, test)[1].word == WORSE
    sets, verdict = asked_varied(drawn(RNG(43), 3), held_out, test)
    assert verdict.word == CANNOT_TELL and math.isnan(sets["yours"]["recall"])
    assert asked_varied(drawn(RNG(43), 0), held_out, test)[1].word == CANNOT_TELL


def test_a_set_with_fewer_images_of_a_class_than_another_is_compared_as_far_as_it_goes(real_sets):
    held_out, test = real_sets
    many, few = drawn(RNG(44), 600), drawn(RNG(45), 600)
    few = few.take((few.labels != 2) | (np.arange(600) < 90))  # 30 of class 2
    asked = asked_about(many, held_out, test)
    for name, images in (("few", few), ("none", few.take(few.labels != 2))):
        asked.subjects[name], asked.rows[name] = Filtered(images), np.arange(len(images))
        asked.judged[name] = asked.reference.judge(images.images)
    sets, _ = varied.ask(asked)
    parts = sets["yours"]["parts"]
    assert parts == 2 and sets["yours"]["images"] == 600
    assert sets["few"]["parts"] == sets["none"]["parts"] == parts
    assert sets["few"]["images"] == 430 and sets["none"]["images"] == 400
    assert sets["none"]["coverage"] < sets["few"]["coverage"] < sets["yours"]["coverage"]


@pytest.mark.parametrize("whole", [1, 3, 12])
def test_the_chance_of_a_frechet_distance_is_that_of_many_sets(whole):
    rng, others = RNG(70), RNG(71).normal(0.1, 1, (500, 5))
    sets = [varied.frechet_distance(rng.normal(size=(40 * whole, 5)), others) for _ in range(400)]
    found = [
        varied.frechet_by_chance(list(rng.normal(size=(12, 40, 5))), others, whole)
        for _ in range(60)
    ]
    mean, deviation = np.mean(found, axis=0)
    assert mean == pytest.approx(np.mean(sets), abs=4 * np.std(sets) / 60**0.5)
    assert 0.9 < deviation / np.std(sets) < 1.5  # rather too large


def test_moments_of_parts_are_those_of_the_whole():
    a, b = RNG(72).normal(3, 1, (90, 4)), RNG(73).normal(size=(70, 4))
    parts = varied.joined([varied.moments(each) for each in (a[:20], a[20:])])
    found = varied.frechet_of_moments(parts, varied.gaussian(varied.moments(b)))
    assert found == pytest.approx(varied.frechet_distance(a, b))


def test_a_recall_lower_by_what_is_detectable_is_found_in_four_of_five_cases():
    rng, parts, others, sd = RNG(50), 2, 12, 0.01
    found = []
    for _ in range(1500):
        real = rng.normal(0.9, sd, others)
        numbers = {"parts": others, "frechet": 0.1, "coverage": 0.9, "recall": real.mean()}
        numbers |= {"frechet_sd": 0.01, "coverage_sd": 0.01, "recall_sd": real.std(ddof=1)}
        numbers |= {"twins": 0, "twins_limit": 5, "class_spread": 1.0, "class_spread_limit": 0.8}
        yours = numbers | {"parts": parts, "images": 2000, "recall": 0.9}
        lack = varied.verdict(yours, numbers).detectable
        yours["recall"] = rng.normal(0.9 - lack, sd, parts).mean()
        found.append(varied.verdict(yours, numbers).word in CAUGHT)
    assert 0.75 < np.mean(found) < 0.9


def test_the_radius_may_be_known_and_one_dimension_is_enough():
    a, b = RNG(60).normal(size=(80, 3)), RNG(61).normal(size=(90, 3))
    assert varied.variety(a, b, radius=varied.ball_radius(b)) == varied.variety(a, b)
    one, other = a[:, :1], 2 * b[:, :1] + 1
    expected = (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    assert varied.frechet_distance(one, other) == pytest.approx(expected)


# Useful?


def trainings(rng, labels, count, spread=0.02, accuracy=0.9):
    """(count, n) bool: what each class gains, the next one loses."""
    shift = rng.normal(0, spread, (count, 10))
    rate = accuracy + shift - np.roll(shift, 1, axis=1)
    return rng.random((count, len(labels))) < rate[:, labels]


def numbers_of(right, labels):
    spread = useful.spread_of_trainings(right, labels, 10)
    sets, accuracy = len(right), float(right.mean())
    return {"accuracy": accuracy, "accuracy_sd": spread, "sets": sets, "freedom": (sets - 1) * 5}


def test_honest_trainings_are_rarely_worse_and_a_detectable_loss_is_found():
    rng, labels = RNG(70), np.arange(2000) % 10
    words, found = [], []
    for _ in range(600):
        right = trainings(rng, labels, 5)
        real = numbers_of(right[:3], labels)
        verdict = useful.verdict({"accuracy": right[3].mean()}, real)
        words.append(verdict.word)
        loss = {"accuracy": right[4].mean() - verdict.detectable}
        found.append(useful.verdict(loss, real).word in CAUGHT)
    assert np.mean(np.isin(words, CAUGHT)) <= 3 / 600
    assert np.mean(found) > 0.8


def test_the_verdict_of_useful():
    real = {"accuracy": 0.9, "accuracy_sd": 0.003, "sets": 3, "freedom": 10}
    for accuracy, word in ((0.95, AS_REAL), (0.895, AS_REAL), (0.88, WORSE), (0.79, FAILS)):
        assert useful.verdict({"accuracy": accuracy}, real).word == word
    vague = real | {"accuracy_sd": 0.05}
    assert useful.verdict({"accuracy": 0.79}, vague).word == CANNOT_TELL
    assert useful.verdict({"accuracy": 0.5}, vague).word == FAILS
    assert math.isnan(useful.spread_of_trainings(np.ones((1, 5)), np.zeros(5, int), 1))


def test_all_learn_from_equally_many_different_images(monkeypatch):
    learned = []

    def right_after_training(images, targets, reference, seed=0):
        learned.append((images, targets, seed))
        return np.ones(len(reference.test))

    monkeypatch.setattr(useful, "right_after_training", right_after_training)
    pool = ImageSet(np.arange(900, dtype=np.uint16), np.arange(900) % 3)
    yours = ImageSet(np.arange(150, dtype=np.uint16), np.repeat([0, 1, 2], [120, 20, 10]))
    asked = asked_about(yours, pool, drawn(RNG(1), 30))
    every = ImageSet(np.arange(2000, dtype=np.uint16), truth=np.arange(2000) % 3)
    quota = ClassQuota(0, 3)
    asked.beside.held_out["real"] = Filtered(pool, every, quota)
    asked.reference.test = ImageSet(np.zeros(30), np.arange(30) % 3)
    sets = useful.ask(asked, RNG(0))
    # of the first class a third of the 300 real images
    assert len(learned) == 5
    for images, targets, _ in learned:
        assert len(np.unique(images)) == len(images) == 130
        assert np.bincount(targets).tolist() == [100, 20, 10]
    seeds = [seed for *_, seed in learned]
    assert seeds == [1, 2, 3, 0, 0]
    three = np.concatenate([images for images, *_ in learned[:3]])
    assert len(np.unique(three)) == 390
    assert sets["real"]["sets"] == 3 and sets["real"]["freedom"] == 3
    assert {name: each["images"] for name, each in sets.items()} == dict.fromkeys(
        ["real", "yours", "unfiltered"], 130
    )


def test_the_spread_of_a_class_is_the_trace_of_its_covariance(real_sets):
    features, labels = RNG(60).normal(size=(300, 4)) * [1, 2, 3, 4], np.arange(300) % 3
    known = varied.class_spreads(features, labels)
    for label in range(3):
        own = features[labels == label]
        assert known[label].mean == pytest.approx(np.trace(np.cov(own.T)))
    few, few_labels = features[:31] * np.where(labels[:31] == 2, 0.5, 1)[:, None], labels[:31]
    found = varied.narrowest_class(few, few_labels, known)
    trace = np.trace(np.cov(few[few_labels == 2].T))
    assert found["class_spread"] == pytest.approx(trace / known[2].mean)
    # nothing is said of a class with one image, or of one that is not known
    nothing = varied.narrowest_class(features[:3], labels[:3], known)
    assert math.isnan(nothing["class_spread"]) and math.isnan(nothing["class_spread_limit"])
    unknown = varied.narrowest_class(few, few_labels + 5, known)
    assert math.isnan(unknown["class_spread"])
    # a share below which nothing could be
    two = varied.narrowest_class(features[:6], labels[:6], known)
    assert 0 < two["class_spread"] < 1 and two["class_spread_limit"] == 0


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("tail", [False, True])
def test_honest_classes_are_seldom_too_narrow(n, tail, monkeypatch):
    """With a larger level, so that few draws show whether it is kept; also where squared distances
    have a long tail."""
    monkeypatch.setattr(varied, "COUNTED_ALARM", 0.05)
    rng, labels, alarms, draws = RNG(61), np.arange(4 * n) % 4, 0, 1000
    for _ in range(draws):
        points = rng.normal(size=(1200, 6)) * (rng.gamma(1, size=(1200, 1)) if tail else 1)
        known = varied.class_spreads(points[4 * n :], np.arange(1200 - 4 * n) % 4)
        found = varied.narrowest_class(points[: 4 * n], labels, known)
        alarms += found["class_spread"] < found["class_spread_limit"]
    assert alarms / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("dimensions", [1, 2, 16, 128])
def test_honest_points_on_a_sphere_are_not_too_narrow(dimensions):
    """All are as far from the middle, so what varies by chance is the middle of a set."""
    rng = RNG(dimensions)

    def points(n, radius=1.0):
        found = rng.normal(size=(n, dimensions))
        return radius * found / np.linalg.norm(found, axis=1, keepdims=True), np.zeros(n, int)

    known = varied.class_spreads(*points(4000))

    def too_narrow(radius):
        found = varied.narrowest_class(*points(400, radius), known)
        return found["class_spread"] < found["class_spread_limit"]

    assert sum(too_narrow(1.0) for _ in range(300)) <= 2
    assert all(too_narrow(0.9) for _ in range(20))


def test_a_class_that_is_mostly_one_picture_is_not_varied(real_sets):
    held_out, test = real_sets
    honest = drawn(RNG(62), 400)
    own = np.flatnonzero(honest.labels == 1)
    repeated = np.arange(400)
    repeated[own[: int(0.9 * len(own))]] = own[0]
    images = honest.take(repeated)
    noise = RNG(63).normal(scale=0.02, size=images.images.shape)
    sets, verdict = asked_varied(replace(images, images=images.images + noise), held_out, test)
    assert verdict.word == WORSE
    assert sets["yours"]["class_spread"] < 0.35 < sets["yours"]["class_spread_limit"]
    told = remarks("varied", WORSE, "", sets["yours"] | {"detectable": math.nan}, sets["real"])
    assert told[0].startswith("the narrowest class has ")
    sets, verdict = asked_varied(honest, held_out, test)
    assert verdict.word == AS_REAL
    assert sets["yours"]["class_spread"] > sets["yours"]["class_spread_limit"]


# Which real images


@pytest.mark.parametrize(
    ("threshold", "labelled", "all_of_them"),
    [(None, True, True), (0.0, True, True), (0.0, False, False), (0.8, True, False)],
)
def test_a_classifier_that_only_tells_what_it_thinks_changes_no_answer(
    threshold, labelled, all_of_them
):
    """As with --scores: it neither chooses images nor names them.  Else it has learned from some of
    the real ones, so that only the held-out ones pass as others do."""
    every, held_out = (ImageSet(np.zeros((n, 2, 2), np.uint8), np.zeros(n, int)) for n in (60, 10))
    beside = beside_real(
        held_out,
        counts=np.array([10]),
        pool=every,
        accept=None if threshold is None else Filter(None, 1.0, threshold, 1.0, 1.0),
        any_label=held_out if labelled else None,
    )
    assert len(beside.like_fresh()) == (60 if all_of_them else 10)
