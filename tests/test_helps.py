"""Whether images help a classifier that learns from real ones too: what is more than chance, who
learns from what, and real trainings."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import first_images, halved
from scipy import stats

from trust.ask import helps, useful
from trust.ask.verdicts import FALSE_ALARM
from trust.data.images import ImageSet
from trust.filter.filters import Filtered
from trust.show import rows
from trust.train.fast import Workbench

RNG = np.random.default_rng
CLASSES = 10


# What is more than chance


def recognised(rng, easy, trainings=3, spread=0.01):
    """(trainings, n) float, of test images that are recognised with the probabilities `easy`.  By
    chance a training gains in a class what it loses in the next one."""
    shift = rng.normal(0, spread, (trainings, CLASSES))
    rate = easy + (shift - np.roll(shift, 1, axis=1))[:, np.arange(len(easy)) % CLASSES]
    return (rng.random((trainings, len(easy))) < rate).astype(float)


def two_kinds(rng, gain=0.0, n=1000):
    """recognised() of two kinds of training on new test images.  A tenth of these are harder for
    the one, another tenth for the other, and the first has `gain` in all."""
    easy, other = rng.beta(9, 1, (2, n))
    together = np.where(rng.random(n) < 0.2, other, easy) + gain
    return recognised(rng, together), recognised(rng, easy)


def test_equal_kinds_of_training_rarely_differ_and_a_gain_is_found():
    """On other test images every time: nothing but chance is in the difference."""
    rng, labels = RNG(1), np.arange(1000) % CLASSES
    found = [helps.difference(*two_kinds(rng), labels, CLASSES) for _ in range(500)]
    limit = found[0]["helps_limit"]
    assert limit == pytest.approx(stats.t.ppf(1 - FALSE_ALARM, 20), rel=1e-6)
    z = np.array([each["helps_z"] for each in found])
    gaps = [each["accuracy_with_real"] - each["accuracy_real_alone"] for each in found]
    assert abs(np.mean(z)) < 0.15 and 0.5 < np.std(z) <= 1  # rather too careful
    assert np.mean(np.abs(z) > limit) <= 2 / 500
    gain = (limit + 1.5) * np.median(np.array(gaps) / z)
    for sign in (1, -1):
        z = [
            helps.difference(*two_kinds(rng, sign * gain), labels, CLASSES)["helps_z"]
            for _ in range(100)
        ]
        assert np.mean(sign * np.array(z) > limit) > 0.8


def test_a_difference_by_hand():
    labels = np.arange(20) % 2
    together, alone = np.ones((2, 20)), np.zeros((2, 20))
    together[0, 0] = together[1, 1] = 0  # each recognises 19, one in each class is doubtful
    alone[:, 5] = 1
    found = helps.difference(together, alone, labels, 2)
    assert (found["accuracy_with_real"], found["accuracy_real_alone"]) == (0.95, 0.05)
    own = np.array([0.5, 0.5, 1, 1, 1, 0, *[1] * 14])
    # In each class one training has one image more, which is a variance of a half.
    error = math.sqrt((0.5 + 0.5) / 20**2 / 2 + own.var(ddof=1) / 20)
    assert found["helps_z"] == pytest.approx(0.9 / error)
    assert found["helps_limit"] == pytest.approx(stats.t.ppf(1 - FALSE_ALARM, 2), rel=1e-6)


def test_what_is_said_of_it():
    numbers = {"accuracy_with_real": 0.981, "accuracy_real_alone": 0.98, "helps_limit": 3.3}
    numbers |= {"real_images": 15000, "detectable": math.nan}
    told = "15,000 real images alone give 98.00 %, with these added 98.10 %: "
    for z, words in ((3.2, "no more than chance"), (3.4, "they help"), (-3.4, "they harm")):
        assert rows.remarks("useful", "as real", "", numbers | {"helps_z": z}, {}) == [told + words]
    for nothing in ({}, {"helps_z": math.nan}):
        assert rows.remarks("useful", "as real", "", numbers | nothing, {}) == []


# Who learns from what


@pytest.fixture(autouse=True)
def small_sets(monkeypatch):
    """Ten images for each class are enough to be asked about; three trainings of each kind."""
    monkeypatch.setattr(helps, "LEAST", 10)
    monkeypatch.setattr(helps, "TRAININGS", 3)


@pytest.fixture
def lessons(monkeypatch):
    """No training: what would have been learned from, (images, targets, seed) each."""
    lessons = []

    def right(images, targets, reference, seed):
        lessons.append((images, targets, seed))
        return RNG(seed).integers(0, 2, len(reference.test)).astype(float)

    monkeypatch.setattr(useful, "right_after_training", right)
    return lessons


def numbered(first, n, classes=3):
    """Images whose pixels are their number."""
    number = np.arange(first, first + n)
    images = np.stack([number // 256, number % 256], axis=1).astype(np.uint8)
    return ImageSet(images[:, None], number % classes)


def numbers_of(images):
    return images[:, 0].astype(int) @ [256, 1]


def known(real, classes=3):
    """A Reference as far as it is asked: besides the real images some that nobody may learn."""
    both = ImageSet(*(np.concatenate([each, each]) for each in (real.images, real.labels)))
    both.images[len(real) :] = 255
    training = np.arange(len(both)) < len(real)
    return SimpleNamespace(
        real=both, parts={"training": training}, test=numbered(0, 30), classes=classes, seed=0
    )


def test_both_kinds_learn_in_as_many_steps_from_the_same_real_images(lessons):
    real, yours, few = numbered(0, 400), numbered(1000, 90), numbered(2000, 50)
    lost = numbered(3000, 29)  # of three classes 30 are asked for
    reference = known(real)
    sets = {
        name: (each.images, each.labels)
        for name, each in (("yours", yours), ("few", few), ("lost", lost))
    }
    found = helps.compare(sets, real, reference, RNG(0))
    assert [*found] == ["yours", "few"]
    assert [found[name]["added_images"] for name in found] == [90, 50]
    assert {each["real_images"] for each in found.values()} == {400}
    assert [seed for *_, seed in lessons] == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    for k, added in enumerate((None, yours, few)):
        for images, targets, _ in lessons[3 * k : 3 * k + 3]:
            assert len(images) == len(targets) == 490
            number = numbers_of(images)
            assert np.array_equal(targets, number % 3)
            expected = set(range(400)) | set(numbers_of(added.images) if added else ())
            assert set(number) == expected
            assert np.bincount(number)[[*expected]].max() - 490 // len(expected) <= 1
    assert helps.compare({"lost": sets["lost"]}, real, reference, RNG(0)) == {}
    assert helps.compare(sets, real.take(slice(29)), reference, RNG(0)) == {}
    assert len(lessons) == 9


def test_of_many_images_random_ones_are_used(lessons, monkeypatch):
    monkeypatch.setattr(helps, "MOST_REAL", 300)
    monkeypatch.setattr(helps, "MOST_ADDED", 100)
    for n, real_images, added_images in ((40, 200, 40), (90, 300, 90), (150, 300, 100)):
        lessons.clear()
        yours, real = numbered(1000, n), numbered(0, 400)
        sets = {"yours": (yours.images, yours.labels)}
        found = helps.compare(sets, real, known(real), RNG(0))["yours"]
        assert (found["real_images"], found["added_images"]) == (real_images, added_images)
        alone, together = ({*numbers_of(lessons[k][0])} for k in (0, 3))
        assert len(alone) == real_images and len(together) == real_images + added_images
        assert alone < together and max(alone) >= real_images  # not the first ones
        assert len(lessons[0][0]) == len(together)


@pytest.mark.parametrize("soft", [False, True])
def test_it_is_asked_of_the_examined_images_and_those_the_generator_may_know(lessons, soft):
    real, yours = numbered(0, 400), numbered(1000, 90)
    chances = RNG(3).dirichlet(np.ones(3), 90)
    passing = ImageSet(yours.images / np.float32(255), yours.labels, probabilities=chances)
    asked = SimpleNamespace(
        subjects={"yours": Filtered(passing)},
        beside=SimpleNamespace(soft_labels=soft),
        reference=known(real),
    )
    rng, same = RNG(5), RNG(5)
    assert [*helps.ask(asked, rng)] == ["yours"]
    assert rng.random() == same.random()
    images, targets, _ = lessons[3]
    number = numbers_of(images)
    assert {*number} == {*range(400), *range(1000, 1090)}
    expected = np.eye(3)[number % 3]
    if soft:
        expected[number >= 1000] = chances[number[number >= 1000] - 1000]
        np.testing.assert_allclose(targets, expected, rtol=1e-6)
    else:
        assert np.array_equal(targets, number % 3)
    assert np.array_equal(lessons[0][1], numbers_of(lessons[0][0]) % 3)


# Real trainings


def test_other_real_images_help_and_swapped_labels_harm_those_who_have_few(monkeypatch):
    monkeypatch.setattr(helps, "TRAININGS", 2)
    arrays = first_images("mnist", 600, 1000)
    small, labels = halved(arrays["x_train"]), arrays["y_train"].astype(int)
    test = ImageSet(halved(arrays["x_test"]), arrays["y_test"].astype(int))
    reference = SimpleNamespace(test=test, classes=CLASSES, seed=0, bench=Workbench())
    few, others = ImageSet(small[:100], labels[:100]), small[100:]
    sets = {
        "others": (others, labels[100:]),
        "swapped": (others, (labels[100:] + 1) % CLASSES),
        "copies": (np.tile(few.images, (5, 1, 1)), np.tile(few.labels, 5)),
    }
    found = helps.compare(sets, few, reference, RNG(0))
    z = {name: each["helps_z"] / each["helps_limit"] for name, each in found.items()}
    assert z["others"] > 1 and z["swapped"] < -1 and abs(z["copies"]) < 0.7
    (alone,) = {each["accuracy_real_alone"] for each in found.values()}
    assert found["others"]["accuracy_with_real"] > 0.8 > alone > 0.6
