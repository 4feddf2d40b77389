"""Copies counted outright: exact where nothing tells the images from real ones, and found where
they are planted."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

from trust import controls, statistics
from trust.ask import neighbours, new, reference
from trust.ask.neighbours import Nearest, Neighbours
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, TOO_FEW, WORSE
from trust.data.images import ImageSet, join
from trust.data.splits import Split
from trust.filter.filters import Filtered
from trust.show.rows import CONTROL_ROWS, ROWS

RNG = np.random.default_rng


def at_ratio(ratio, index=0):
    """Neighbours of images of one class with these ratios."""
    ratio = np.asarray(ratio, float)
    nearest = Nearest(np.zeros(len(ratio), int) + index, ratio, np.ones(len(ratio)))
    return Neighbours(np.zeros(len(ratio), int), nearest, nearest)


# The nearest real image of a real image


def test_a_real_image_does_not_find_itself():
    rng = RNG(0)
    real, labels = rng.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 3
    real[33] = real[3]  # there twice, and of one class
    own = np.array([3, 10, 33, 59, 0])
    found = neighbours.nearest_of_class(real[own], labels[own], real, labels, own=own)
    pixels = real.reshape(60, -1) / 255
    gaps = np.sqrt(((pixels[own][:, None] - pixels) ** 2).sum(axis=2))
    gaps[labels[own][:, None] != labels] = np.inf
    gaps[np.arange(5), own] = np.inf
    np.testing.assert_array_equal(found.index, gaps.argmin(axis=1))
    np.testing.assert_allclose(found.distance, np.sort(gaps)[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.second, np.sort(gaps)[:, 1], atol=1e-6)
    assert found.index[0] == 33 and found.ratio()[0] == 0


def test_where_a_class_has_no_other_real_image_there_is_no_distance():
    real, labels = RNG(1).random((3, 4, 4), np.float32), np.array([0, 1, 1])
    own = np.arange(3)
    found = neighbours.nearest_of_class(real, labels, real, labels, own=own)
    assert np.isinf(found.distance).tolist() == [True, False, False]
    assert np.isinf(found.second).all() and np.isinf(found.ratio()).all()
    assert found.index[1:].tolist() == [2, 1]


# The count of flagged images


@pytest.mark.parametrize(
    ("n", "a", "b"), [(40, 8, 3993), (1000, 8, 3993), (9000, 20, 9981), (3, 1, 1), (0, 1, 9)]
)
def test_tails_are_scipys(n, a, b):
    shares = stats.betabinom.pmf(np.arange(n + 1), n, a, b)
    expected = shares[::-1].cumsum()[::-1]
    np.testing.assert_allclose(statistics.beta_binomial_tails(n, a, b), expected, atol=1e-9)


@pytest.mark.parametrize(("k", "n"), [(1, 1), (3, 100), (47, 10_000)])
def test_share_with_hits_is_the_one_that_scipy_finds(k, n):
    share = statistics.share_with_hits(k, n, 0.8)
    assert stats.binom.sf(k - 1, n, share) == pytest.approx(0.8)
    assert math.isnan(statistics.share_with_hits(n + 1, n, 0.8))


def test_the_count_is_beta_binomial_whatever_the_ratios_are():
    rng, n, m = RNG(2), 300, 1000
    draws = [rng.beta(5, 0.3, n + m) for _ in range(1500)]
    counts = [new.flag(at_ratio(each[:n]), at_ratio(each[n:]))[0].sum() for each in draws]
    found = np.bincount(counts, minlength=6)
    exact = stats.betabinom(n, 2, m - 1)
    expected = 1500 * np.append(exact.pmf(np.arange(5)), exact.sf(4))
    found = np.append(found[:5], found[5:].sum())
    assert stats.chisquare(found, expected).pvalue > 0.001


@pytest.mark.parametrize("kind", ["smooth", "many at 0", "few values", "all equal"])
def test_real_images_reach_the_limit_no_more_often_than_is_said(kind, monkeypatch):
    monkeypatch.setattr(new, "COPIES_ALARM", 0.02)
    rng, n, m = RNG(3), 200, 800
    limit, alarms = new.copies_limit(n, m), 0
    for _ in range(500):
        ratio = {
            "smooth": lambda: rng.random(n + m),
            "many at 0": lambda: np.maximum(rng.random(n + m) - 0.02, 0),
            "few values": lambda: rng.integers(0, 900, n + m) / 900,
            "all equal": lambda: np.zeros(n + m),
        }[kind]()
        alarms += new.flag(at_ratio(ratio[:n]), at_ratio(ratio[n:]))[0].sum() >= limit
    exact = stats.betabinom.sf(limit - 1, n, 2, m - 1)
    assert exact <= 0.02 < stats.betabinom.sf(limit - 2, n, 2, m - 1)
    assert alarms <= stats.binom.ppf(0.999, 500, exact)
    if kind == "smooth":
        assert alarms >= stats.binom.ppf(0.001, 500, exact)


def test_a_count_that_no_set_reaches():
    assert new.copies_limit(3, 20) == 4  # three of three are not rare enough
    assert new.copies_limit(5, 0) == 6  # no other image measures
    assert new.copies_limit(0, 500) == 1


def test_the_smallest_share_is_found_in_four_of_five_cases():
    rng, n, flagged = RNG(4), 1000, 0.85
    limit = new.copies_limit(n, 4000)
    share = new.smallest_share(n, limit, flagged)
    assert 0.005 < share < 0.02
    copies = rng.binomial(n, share, 20_000)
    assert np.mean(rng.binomial(copies, flagged) >= limit) == pytest.approx(0.8, abs=0.01)
    for never in (0.0, math.nan, 1e-4):
        assert math.isnan(new.smallest_share(n, limit, never))
    assert math.isnan(new.smallest_share(3, 4, 1.0))


# The verdict


def numbers(**changed):
    return {
        **{"copies": 2, "copies_moved": 3, "copies_limit": 10, "flagged_noisy": 0.9},
        **{"detectable": 0.02, "seen_share": 0.83, "expected_share": 0.83, "lean": 0.0},
        **{"lean_z": 0.0, "closest_5_lean_z": 0.0, "closest_5_moved_lean_z": 0.0},
        "lean_detectable": 0.2,
    } | changed


@pytest.mark.parametrize(
    ("changed", "word", "why"),
    [
        ({}, AS_REAL, ""),
        ({"copies": 9, "copies_moved": 9}, AS_REAL, ""),
        ({"copies": 10}, FAILS, ""),
        ({"copies_moved": 10}, FAILS, ""),
        ({"lean_z": -3.3, "lean": 0.4}, WORSE, ""),
        ({"lean_z": -3.3, "lean": 0.6}, FAILS, ""),
        ({"lean_z": -3.1, "lean": 0.6}, AS_REAL, ""),
        ({"closest_5_lean_z": -3.3}, WORSE, ""),
        ({"closest_5_moved_lean_z": -3.3}, WORSE, ""),
        ({"lean_z": 60.0, "lean": -5.0, "seen_share": 0.0}, FAILS, ""),
        ({"lean_z": 10.0, "lean": -0.9, "seen_share": 0.7}, AS_REAL, ""),
        ({"detectable": 0.06}, CANNOT_TELL, TOO_FEW),
        ({"detectable": math.nan}, CANNOT_TELL, TOO_FEW),
        ({"detectable": 0.06, "flagged_noisy": 0.1}, CANNOT_TELL, "no copies could have been"),
        ({"detectable": 0.04, "flagged_noisy": 0.1}, AS_REAL, ""),
        ({"detectable": 0.9, "copies": 12}, FAILS, ""),
        ({"lean_detectable": 0.51}, CANNOT_TELL, "a lean of half"),
        ({"lean_detectable": 0.51, "closest_5_lean_z": -3.3}, WORSE, ""),
        ({"lean_detectable": 0.49, "detectable": 0.04}, AS_REAL, ""),
        ({"near_copies": 0.2}, CANNOT_TELL, "near copies in the data"),
        ({"near_copies": 0.2, "closest_5_lean_z": -3.3}, CANNOT_TELL, "near copies"),
        ({"near_copies": 0.2, "lean_z": -9.0, "lean": 0.6}, CANNOT_TELL, "near copies"),
        ({"near_copies": 0.2, "copies": 10}, FAILS, ""),
        (
            {"lean_z": math.nan, "lean": math.nan, "lean_detectable": math.nan},
            CANNOT_TELL,
            "a lean",
        ),
    ],
)
def test_verdict(changed, word, why):
    found = new.verdict(numbers(**changed))
    assert found.word == word and found.why.startswith(why) and bool(found.why) == bool(why)
    assert found.detectable == pytest.approx(numbers(**changed)["detectable"], nan_ok=True)


# What is drawn and planted


def test_real_images_are_drawn_with_the_same_mix_and_never_twice():
    labels = np.repeat([0, 1, 2], [6000, 3000, 50])
    pool = ImageSet(np.arange(9050), labels, rows=np.arange(9050))
    wanted = np.array([200.0, 99.2, 100])
    drawn, rest = new.draw_real(pool, wanted, RNG(5), most=np.array([9000, 9000, 25]))
    assert drawn.counts(3).tolist() == [200, 100, 25]
    assert sorted([*drawn.rows, *rest.rows]) == list(range(9050))
    assert new.draw_real(pool, wanted, RNG(5))[0].counts(3).tolist() == [200, 100, 50]
    assert np.corrcoef(drawn.rows[:200], np.arange(200))[0, 1] > 0.9 and drawn.rows[199] > 5500
    assert len(new.draw_real(pool, np.zeros(3), RNG(5))[0]) == 0


def test_planting_replaces_that_share_and_its_labels():
    real, copies = at_ratio(np.full(200, 0.9)), at_ratio(np.full(30, 0.1), index=7)
    copies = copies._replace(labels=np.arange(30))
    mixed = new.plant(real, copies)
    planted = np.flatnonzero(mixed.nearest.index == 7)
    assert len(planted) == 10 and mixed.labels[planted].tolist() == list(range(10))
    assert (real.labels == 0).all() and (real.nearest.index == 0).all()
    assert len(np.flatnonzero(new.plant(real, copies.take(slice(4))).nearest.index)) == 4


def test_planted_copies_have_the_classes_of_the_examined_images():
    labels = np.arange(600) % 6
    seen = ImageSet(RNG(6).integers(0, 256, (600, 5, 5), np.uint8), labels)
    few = controls.to_copy(np.array([2, 2, 4]), seen, RNG(6))
    assert len(few) == controls.PLANTED and set(few.labels) == {2, 4}
    assert len(controls.to_copy(np.zeros(20_000, int), seen, RNG(6))) == 1000
    assert len(controls.to_copy(np.empty(0, int), seen, RNG(6))) == controls.PLANTED
    kinds = controls.copies_of(few, RNG(6))
    for copies in kinds.values():
        np.testing.assert_array_equal(copies.labels, few.labels)
    gaps = kinds["noisy_copies"].images - few.images / 255
    assert 0.03 < np.std(gaps) < 0.05  # clipped


# The whole question, on real images


@pytest.fixture(scope="module")
def digits():
    """A Split of 3,000 + 500 training images and 500 test images of three classes, and 1,000
    more that nobody has: drawn at random from all of MNIST."""
    with np.load(ROOT / "data" / "mnist.npz") as file:
        images, labels = (
            np.concatenate([file[f"{kind}_train"], file[f"{kind}_test"]]) for kind in "xy"
        )
    rows = RNG(7).permutation(np.flatnonzero(labels < 3))[:5000]
    every = ImageSet(images[rows], labels[rows].astype(int), rows=rows)
    parts = np.split(np.arange(5000), [3000, 3500, 4000])
    vae, held_out, test, fresh = (every.take(part) for part in parts)
    return Split(vae, vae, held_out, test), fresh


@pytest.fixture
def no_referee(monkeypatch):
    """Without a look at the images, and with fewer real ones that say what to expect."""
    monkeypatch.setattr(reference, "judge", lambda referee, images: None)
    monkeypatch.setattr(new, "MEASURED", 1000)


def judged(given, truth=None):
    """What a referee says: the labels of the images, or the truth {set: (n,) integer}."""
    labels = {name: each.passing.labels for name, each in given.items()} | (truth or {})
    return {name: SimpleNamespace(labels=each) for name, each in labels.items()}


def third_door(split, truth=None, **subjects):
    """The numbers of images that somebody else's generator made, and the Neighbours.  truth:
    {set: what the referee says of it}, the labels if left out."""
    given = {name: Filtered(images) for name, images in subjects.items()}
    first = next(iter(given.values()))
    beside = controls.beside_submitted(first, None, split, labelled=True, rng=RNG(8))
    real = reference.build_reference(
        seen=split.vae,
        unseen=split.test,
        test=split.test,
        referee=None,
        seed=0,
        like_seen=beside.like_seen,
    )
    asked = SimpleNamespace(
        subjects=given, beside=beside, reference=real, rng=RNG(9), judged=judged(given, truth)
    )
    return new.ask(asked)


def with_copies(honest, copies):
    return join([honest.take(slice(len(honest) - len(copies))), copies])


def test_at_the_third_door_copies_of_each_part_are_found_and_named(digits, no_referee):
    split, fresh = digits
    some = slice(40)
    held_out = split.held_out.take(some)
    noisy = ImageSet(controls.noisy_copies(held_out.images, RNG(10)), held_out.labels)
    soft = ImageSet((fresh.images / 255).astype(np.float32), fresh.labels)
    sets, found = third_door(
        split,
        honest=fresh,
        training=with_copies(fresh, split.vae.take(some)),
        held_out=with_copies(soft, noisy),
        test=with_copies(fresh, split.test.take(some)),
        forty=split.test.take(some),
    )
    told = {name: new.verdict(each) for name, each in sets.items() if name != "planted"}
    assert told["honest"].word == told["real"].word == AS_REAL
    honest = sets["honest"]
    for part in ("training", "held_out", "test"):
        assert told[part].word == FAILS
        more = {
            key: sets[part][f"copies_{key}"] - honest[f"copies_{key}"]
            for key in ("training", "held_out", "test")
        }
        assert max(more, key=more.get) == part and more[part] >= 36
    assert told["forty"].word == FAILS and sets["forty"]["copies_test"] == 40
    assert told["honest"].detectable == honest["detectable"] < 0.04
    assert sets["planted"].keys() == {"noisy_copies", "moved_copies"}
    assert 1000 <= len(found[new.MEASURE].labels) <= 1003


def test_every_number_of_the_question_has_a_row_and_every_row_a_number(digits, no_referee):
    split, fresh = digits
    sets, found = third_door(split, yours=fresh.take(slice(150)))
    planted = sets.pop("planted")
    keys = {row.key for row in ROWS if row.question == "new"}
    assert sets["yours"].keys() == sets["real"].keys() == keys - {"near_copies"}  # there are none
    assert planted.keys() <= {row.key for row in CONTROL_ROWS["planted"]}
    assert found.keys() == {"yours", "real", new.MEASURE, *planted}


def test_what_stands_beside_a_small_set_is_as_small(digits, no_referee):
    split, fresh = digits
    _, found = third_door(split, yours=fresh.take(slice(100)))
    sizes = {name: len(each.labels) for name, each in found.items()}
    assert 100 <= sizes["real"] <= 103 and sizes[new.MEASURE] <= new.MEASURED + 3


def test_copies_with_wrong_labels_are_copies(digits, no_referee):
    split, _ = digits
    truth, classes = split.vae.labels[:300], split.vae.labels.max() + 1
    copies = ImageSet(split.vae.images[:300], (truth + 1) % classes)
    sets, found = third_door(split, truth={"yours": truth}, yours=copies)
    assert sets["yours"]["copies"] == 300 and new.verdict(sets["yours"]).word == FAILS
    np.testing.assert_array_equal(found["yours"].nearest.distance, 0)
    np.testing.assert_array_equal(found["yours"].labels, truth)
    # A referee that is wrong itself hides no copy.
    sets, found = third_door(
        split, truth={"yours": (truth + 1) % classes}, yours=split.vae.take(slice(300))
    )
    assert sets["yours"]["copies"] == 300
    np.testing.assert_array_equal(found["yours"].labels, truth)


def test_of_no_images_nothing_is_said(digits, no_referee):
    split, fresh = digits
    sets, _ = third_door(split, yours=fresh.take(slice(0)))
    assert new.verdict(sets["yours"]).word == CANNOT_TELL


def test_at_the_second_door_only_what_the_generator_could_have_seen_is_searched(digits, no_referee):
    split, fresh = digits
    real = reference.build_reference(split.vae, split.held_out, split.test, None, 0)
    pool = join([split.vae, split.held_out])
    pool = ImageSet(pool.images, pool.labels, rows=np.arange(3500))
    copied = with_copies(fresh.take(slice(600)), split.held_out.take(slice(30)))
    labels = fresh.labels[:600]
    beside = SimpleNamespace(
        pool=pool.take(np.arange(3500) % 10 > 0),  # the others do not pass the filter
        fresh={"real": split.test},
        copies=controls.copies_of(controls.to_copy(labels, split.vae, RNG(11)), RNG(11)),
        near_copies=0.0,
    )
    subjects = {"generated": Filtered(fresh.take(slice(600))), "copied": Filtered(copied)}
    asked = SimpleNamespace(
        subjects=subjects, beside=beside, reference=real, rng=RNG(12), judged=judged(subjects)
    )
    sets, found = new.ask(asked)
    assert "copies_test" not in sets["generated"]
    words = {name: new.verdict(sets[name]).word for name in ("generated", "copied", "real")}
    assert words == {"generated": AS_REAL, "copied": FAILS, "real": AS_REAL}
    assert sets["copied"]["copies_held_out"] >= 30 > sets["copied"]["copies_training"]
    assert len(found["real"].labels) == 500  # those that were given


def test_a_data_set_in_which_copies_cannot_be_told_says_so(no_referee):
    """A hundred pictures, each there twenty times with other noise."""
    rng = RNG(13)
    pictures = rng.integers(0, 256, (100, 8, 8), np.uint8)
    images = np.clip(np.repeat(pictures, 20, 0) + rng.integers(-9, 10, (2000, 8, 8)), 0, 255)
    every = ImageSet(images.astype(np.uint8), np.zeros(2000, int), rows=np.arange(2000))
    order = rng.permutation(2000)
    vae, held_out, test, yours = (every.take(rows) for rows in np.split(order, [1000, 1200, 1400]))
    sets, _ = third_door(Split(vae, vae, held_out, test), yours=yours)
    found = new.verdict(sets["yours"])
    assert found.word == CANNOT_TELL and found.why == "no copies could have been found"


def test_a_generator_that_knows_everything_by_heart_fails_and_so_do_blurred_test_images(
    digits, no_referee
):
    split, _ = digits
    everything = join([split.vae, split.held_out, split.test])
    learned = everything.take(RNG(14).permutation(4000)[:400])
    by_heart = ImageSet(controls.noisy_copies(learned.images, RNG(15)), learned.labels)
    padded = np.pad(split.test.images[:500] / 255, ((0, 0), (1, 1), (1, 1)))
    shifted = [padded[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
    blurred = ImageSet(np.mean(shifted, axis=0).astype(np.float32), split.test.labels[:500])
    sets, _ = third_door(split, by_heart=by_heart, blurred=blurred)
    assert new.verdict(sets["by_heart"]).word == FAILS
    assert abs(sets["by_heart"]["lean"]) < 0.5  # the lean sees nothing
    assert new.verdict(sets["blurred"]).word == FAILS
    assert sets["blurred"]["lean_z"] > 10
