"""Realistic: networks that tell images from real ones, beside what chance does; twins in a set."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

from trust.ask import realistic, varied
from trust.ask.neighbours import gaps_within
from trust.ask.realistic import Comparison
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS, FALSE_ALARM, WORSE
from trust.data.images import ImageSet
from trust.filter.filters import Filtered
from trust.show import figures
from trust.show.rows import remarks
from trust.train import inference, loops, telling

RNG = np.random.default_rng
CLASSES = 3


def in_turn(n):
    return np.arange(n) % CLASSES


def textures(seed, n, shape=(8, 8)):
    """Images of three classes, each a bright bar at a place of its own, which moves a little in
    width, on noise: (n, *shape) uint8."""
    rng = RNG(seed)
    images = rng.integers(0, 60, (n, *shape))
    for row, label in enumerate(in_turn(n)):
        width = rng.integers(1, 3)
        images[row, :, 2 * label : 2 * label + width] += rng.integers(100, 180)
    return ImageSet(images.astype(np.uint8), in_turn(n))


def faint(seed, n, lighter=0):
    """Noise of two classes that is a little lighter: nothing but the mean can tell."""
    pixels = RNG(seed).normal(120 + lighter, 20, (n, 4, 4))
    return ImageSet(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), in_turn(n))


class Direction:
    """Stands for a network: the difference of the means of what it has learned from.  Two crossed
    ones see the same chance: the worst case."""

    def __init__(self, images, others):
        self.way = (images.mean(axis=0) - others.mean(axis=0)).ravel() / 255
        self.middle = (images.mean(axis=0) + others.mean(axis=0)).ravel() / 2 / 255

    def __call__(self, pixels, training):
        pixels = np.asarray(pixels)
        return (pixels.reshape(len(pixels), -1) - self.middle) @ self.way[:, None]


@pytest.fixture
def directions(monkeypatch):
    learn = lambda lessons, **_: [Direction(*each) for each in lessons]  # noqa: E731
    monkeypatch.setattr(telling, "learn_to_tell", learn)


def asked_about(images, real, counts=None):
    """What the room is asked, as at the third door."""
    counts = images.counts(CLASSES) if counts is None else counts
    beside = SimpleNamespace(
        counts=counts, held_out={"real": Filtered(real)}, like_fresh=lambda: real
    )
    reference = SimpleNamespace(classes=CLASSES, seed=0)
    return SimpleNamespace(subjects={"yours": Filtered(images)}, beside=beside, reference=reference)


def examined(images, real, **kwargs):
    """Its numbers, its Verdict, and how unreal each image looks."""
    loops.make_reproducible(0)
    sets, told = realistic.ask(asked_about(images, real, **kwargs), RNG(0))
    verdict = realistic.verdict(sets["yours"], sets["real"])
    return sets["yours"], verdict, told["yours"].unreal


# What is counted


@pytest.mark.parametrize("n", [2, 30, 400])
def test_t_is_scipys(n):
    values, others = RNG(n).normal(0.3, 1, n), RNG(n + 1).normal(0, 3, n)
    expected = stats.ttest_ind(values, others, equal_var=False).statistic
    assert realistic.t_of(values, others) == pytest.approx(expected)
    assert math.isnan(realistic.t_of(np.ones(n), np.ones(n)))


def test_chance_is_known_whatever_the_network_and_the_mean_of_two_varies_no_more(directions):
    z, shares, single = [], [], []
    for seed in range(400):
        images, real = faint(2 * seed, 120), faint(2 * seed + 1, 120)
        counts = np.full(CLASSES, 40)
        for crossed, found in ((True, z), (False, single)):
            one = [Comparison(images, real, counts, crossed)]
            told = realistic.tell_apart(one, seed=0, rng=RNG(seed))[0]
            found.append(told.z)
        shares.append(told.share)
    assert abs(np.mean(z)) < 0.2 and abs(np.mean(single)) < 0.2
    assert 0.8 < np.std(z) < 1.1 and 0.9 < np.std(single) < 1.1
    # both networks' z divided by the root of two would vary more than chance is thought to
    assert np.std(z) * math.sqrt(2) > 1.15
    assert abs(np.mean(shares) - 0.5) < 0.01
    assert np.mean(np.array(z) > stats.t.ppf(1 - FALSE_ALARM, 118)) <= 3 / 400


def test_what_is_planted_is_found_and_the_share_is_that_of_the_best_cut(directions):
    images, real = faint(1, 3000, lighter=10), faint(2, 3000)
    one = [Comparison(images, real, np.full(CLASSES, 1000), True)]
    told = realistic.tell_apart(one, seed=0, rng=RNG(0))[0]
    # the mean of 16 pixels with a deviation of 20 has one of 5, and the cut is half-way
    assert told.share == pytest.approx(stats.norm.cdf(1), abs=0.02)
    assert told.images == 3000 and told.z > 30
    assert told.unreal.shape == (3000,) and told.unreal.mean() > 0.5
    # beyond the upper thousandth of real images, two deviations from the mean of these
    assert told.surely.shape == (3000,)
    assert told.surely.mean() == pytest.approx(stats.norm.sf(stats.norm.isf(0.001) - 2), abs=0.06)
    assert told.unreal[told.surely].min() > np.median(told.unreal)


def test_of_real_images_at_most_one_in_a_thousand_is_surely_unreal():
    assert not realistic.beyond_real(np.full(9, 99.0), np.arange(998.0)).any()
    logits = np.array([997.9, 998, 998.1, np.nan, 2000])
    found = realistic.beyond_real(logits, RNG(0).permutation(np.arange(999.0)))
    assert found.tolist() == [False, False, True, False, True]
    assert realistic.beyond_real(np.arange(2500.0), np.arange(2500.0)).sum() == 1  # above 2,498
    rng, n, rounds = RNG(1), 500, 400
    for m, share in ((999, 1 / 1000), (1800, 1 / 1801), (3999, 4 / 4000)):
        found = [
            realistic.beyond_real(values[:n], values[n:]).sum()
            for values in rng.standard_normal((rounds, n + m))
        ]
        error = np.std(found) / rounds**0.5
        assert abs(np.mean(found) - n * share) < 4 * error, m


def test_networks_learn_from_as_many_bytes_of_each_class_and_no_image_is_judged_by_its_pupil(
    monkeypatch,
):
    lessons = []

    class Rote:
        def __init__(self, images, others):
            self.known = {each.tobytes() for each in (*images, *others)}

        def __call__(self, pixels, training):
            seen = np.rint(np.asarray(pixels)[..., 0] * 255).astype(np.uint8)
            return np.array([[100.0 if each.tobytes() in self.known else -1] for each in seen])

    def learn(pairs, seed, bench):
        lessons.extend(pairs)
        return [Rote(*each) for each in pairs]

    monkeypatch.setattr(telling, "learn_to_tell", learn)
    images = textures(1, 300)
    images = ImageSet(images.images / np.float32(255), images.labels)
    real = textures(2, 500)
    numbers, _, unreal = examined(images, real, counts=np.array([60, 80, 41]))
    # also those beyond the counts are judged, and none by a network that has learned it
    assert unreal == pytest.approx(1 / (1 + math.e))
    assert numbers["images"] == 60 + 80 + 40
    for own, others in lessons:
        assert own.dtype == others.dtype == np.uint8 and len(own) == len(others)
    # a lesson is half of what is compared
    assert sorted(len(own) for own, _ in lessons)[-1] == 90


# Verdicts


def numbers_of(share, z=50.0, images=2000, low=None, nonsense_z=20.0, blurred=0.5):
    low = share - 0.01 if low is None else low
    return {
        "told_apart": share,
        "told_apart_low": low,
        "told_apart_z": z,
        "images": images,
        "nonsense_z": nonsense_z,
        "blurred": blurred,
        "blurred_z": 100 * (blurred - 0.5),
        "blurred_limit": 0.54,
    }


def test_the_rules():
    def word(*args, **kwargs):
        return realistic.verdict(numbers_of(*args, **kwargs), {}).word

    assert word(0.5, z=0.3) == AS_REAL and word(0.5, z=-9) == AS_REAL
    assert word(0.53, z=3.2) == WORSE and word(0.53, z=3.0) == AS_REAL
    assert word(0.5, z=0, blurred=0.55) == WORSE and word(0.5, z=0, blurred=0.53) == AS_REAL
    assert word(0.5, z=0, blurred=1.0, nonsense_z=0) == WORSE  # blur needs no network
    assert word(0.5, z=0, blurred=math.nan) == AS_REAL
    assert word(0.5, z=0, blurred=0.454) == WORSE and word(0.5, z=0, blurred=0.456) == AS_REAL
    assert word(0.9) == FAILS and word(0.755, low=0.745) == WORSE and word(0.76, low=0.75) == FAILS
    assert word(0.9, nonsense_z=0) == FAILS  # what is found is found
    assert word(0.5, z=0, images=50) == CANNOT_TELL
    assert word(math.nan, z=math.nan, low=math.nan, images=0, nonsense_z=math.nan) == CANNOT_TELL
    few = realistic.verdict(numbers_of(0.5, z=0.3, nonsense_z=2.0), {})
    assert few.word == CANNOT_TELL and few.why == "too few images to learn from"
    evidence = realistic.evidence(numbers_of(0.5, z=0.3, blurred=0.52), {})
    assert evidence == pytest.approx({"told_apart": 0.3, "blurred": 2, "sharper": -4 / 3})
    evidence = realistic.evidence(numbers_of(0.5, z=0, blurred=0.455), {})
    assert evidence["sharper"] == pytest.approx(3)  # of one seed the same verdict


def test_what_would_have_shown_is_found_in_four_of_five_cases():
    n, rng = 1000, RNG(3)
    excess = realistic.verdict(numbers_of(0.5, z=0, images=n), {}).detectable
    # one network is asked about half of the images and as many real ones
    shares = rng.binomial(n, 0.5 + excess, 20_000) / n
    z = (shares - 0.5) / (0.5 / math.sqrt(n))
    assert np.mean(z > stats.norm.ppf(1 - FALSE_ALARM / 2)) == pytest.approx(0.8, abs=0.02)


# The network itself


@pytest.mark.parametrize("shape", [(8, 8), (11, 17, 3)])
def test_the_network_tells_nonsense_and_lets_honest_images_pass(shape):
    real = textures(1, 3000, shape)
    honest, verdict, _ = examined(textures(2, 600, shape), real)
    assert verdict.word == AS_REAL and abs(honest["told_apart"] - 0.5) < 0.05
    assert honest["nonsense_z"] > 4 and honest["images"] == 600

    rng, planted = RNG(5), textures(6, 1000, shape)
    rows = rng.permutation(1000)[:200]
    planted.images[rows] = rng.integers(0, 255, (200, *shape))
    numbers, verdict, unreal = examined(planted, real)
    assert verdict.word == WORSE and numbers["told_apart_z"] > 5
    assert 0.55 < numbers["told_apart"] < 0.65  # a fifth is nonsense, the others are anybody's
    worst = np.argsort(-unreal)[:200]
    assert np.isin(worst, rows).mean() > 0.9


def test_the_same_seed_gives_the_same_numbers():
    one = [Comparison(textures(2, 90), textures(1, 90), np.full(CLASSES, 30))]
    found = []
    for _ in range(2):
        loops.make_reproducible(0)
        found.append(realistic.tell_apart(one, seed=5, rng=RNG(0))[0])
    assert found[0][:3] == found[1][:3]
    np.testing.assert_array_equal(found[0].unreal, found[1].unreal)


def test_what_was_trained_before_changes_nothing():
    """As in the second of several sets, after the trainings of useful."""
    lesson = (textures(2, 300).images, textures(1, 300).images)
    asked_about, found = textures(3, 50).images, []
    for seed in (0, 3):
        tf.random.set_seed(seed)
        (network,) = realistic.networks_of([lesson], seed=5)
        found.append(inference.predict(network, asked_about))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("n", [0, 1, 7, 60])
def test_of_a_handful_of_images_nothing_can_be_said(n):
    numbers, verdict, unreal = examined(textures(2, n), textures(1, 900))
    assert verdict.word not in CAUGHT and verdict.word == CANNOT_TELL
    assert verdict.why == "too few images to learn from"
    assert len(unreal) == n and (numbers["images"] > 0 or np.isnan(unreal).all())


def test_few_real_images_are_too_few_as_well(directions):
    numbers, verdict, unreal = examined(textures(1, 900), textures(2, 47))
    assert numbers["images"] == 46 and verdict.word == CANNOT_TELL
    assert math.isnan(numbers["nonsense_z"]) and np.isfinite(unreal).all()


def test_reconstructions_stand_beside_them(directions):
    images, real = faint(1, 300, lighter=10), faint(2, 900)
    asked = asked_about(images, real)
    asked.beside.held_out["reconstructed"] = Filtered(faint(3, 300, lighter=10))
    sets, _ = realistic.ask(asked, RNG(0))
    assert sets["yours"]["told_apart"] > 0.7 and sets["reconstructed"]["told_apart"] > 0.7
    assert abs(sets["yours"]["told_apart_from_reconstructed_z"]) < 3.5
    assert abs(sets["real"]["told_apart_z"]) < 3.5


# The figure


@pytest.mark.parametrize("n", [0, 5, 40])
def test_the_figure_is_drawn_and_says_where_there_is_nothing(n, tmp_path):
    images = textures(1, n)
    sizes = []
    for name, unreal in (("a", np.linspace(0, 1, n)), ("b", np.full(n, np.nan))):
        file = tmp_path / f"{name}.png"
        figures.draw_least_real(file, images, unreal, ["one", "two", "three"], dataset="bars")
        sizes.append(file.stat().st_size)
    assert (sizes[0] > sizes[1]) == (n > 0)


# Twins


def twins_of(images, known):
    """The numbers of a set beside real sets of the same size."""
    ratios = np.concatenate([gaps_within(each) for each in known])
    return varied.count_twins(gaps_within(images), ratios)


@pytest.mark.parametrize("n", [30, 200, 1000])
def test_honest_sets_have_no_twins_but_by_chance(n):
    # ratios of pairs: each image and its nearest have the same, which is the worst case
    rng, found = RNG(n), []
    for _ in range(2000):
        known = np.repeat(rng.random(2000), 2)
        numbers = varied.count_twins(np.repeat(rng.random(n // 2), 2), known)
        found.append(numbers["twins"] >= numbers["twins_limit"])
    assert np.mean(found) <= varied.COUNTED_ALARM + 3 * math.sqrt(varied.COUNTED_ALARM / 2000)


def test_repeats_are_counted():
    known = [textures(100 + i, 300) for i in range(10)]
    honest = twins_of(textures(1, 300), known)
    assert honest["twins"] < honest["twins_limit"] < 20
    assert honest["twins_expected"] == pytest.approx(300 / 1000, rel=0.5)
    # thirty images twice, one of them with a little noise
    images = textures(2, 300)
    some = images.images[:30].astype(int) + RNG(0).integers(0, 4, (30, 8, 8))
    images.images[30:60] = np.clip(some, 0, 255)
    numbers = twins_of(images, known)
    assert numbers["twins_limit"] <= 58 <= numbers["twins"] <= 62
    # ten pictures over and over
    ten = textures(3, 300).take(np.arange(300) % 9)
    assert twins_of(ten, known)["twins"] == 300
    assert twins_of(ten.take(slice(0)), known)["twins"] == 0
    assert twins_of(ten, [ten.take(slice(0))])["twins_limit"] == 301


def test_a_few_blurred_images_are_found_though_no_network_finds_them(directions):
    """A twentieth of the images, at the third door."""
    images, real = textures(1, 1500), textures(2, 3000)
    rows = RNG(3).permutation(1500)[:75]
    images.images[rows] = ndimage.uniform_filter(images.images[rows], (0, 3, 3), mode="nearest")
    numbers, verdict, _ = examined(images, real)
    assert numbers["told_apart_z"] < 3.09 and verdict.word == WORSE
    assert numbers["blurred"] > numbers["blurred_limit"] > 0.5
    told = numbers | {"detectable": verdict.detectable}
    said = remarks("realistic", verdict.word, verdict.why, told, {})
    assert said[-1].startswith(
        f"{100 * numbers['blurred']:.2f} % of the most blurred images are not"
    )
    numbers, verdict, _ = examined(textures(4, 1500), real)
    assert not numbers["blurred"] > numbers["blurred_limit"]


def test_images_that_are_sharper_than_real_ones_are_found_and_it_is_said(directions):
    images, real = textures(1, 1500), textures(2, 3000)
    real.images[:] = ndimage.uniform_filter(real.images, (0, 2, 2), mode="nearest")
    numbers, verdict, _ = examined(images, real)
    assert numbers["blurred_z"] < -5 and verdict.word == WORSE
    told = numbers | {"detectable": verdict.detectable}
    said = remarks("realistic", verdict.word, verdict.why, told, {})
    share = f"{100 * numbers['blurred']:.2f} %"
    assert said[-1] == f"only {share} of the most blurred images are not real: they are sharper"
