"""All questions at once, and what stands beside the examined images at both doors.

The images are noise, but for a few pixels that say what referee and classifier see in them.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from trust import controls
from trust.ask import estimates, helps, new, reference, useful, varied
from trust.ask.neighbours import centred
from trust.ask.questions import Beside
from trust.ask.reference import build_reference
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS, QUESTIONS, WORSE
from trust.controls import beside_generated, beside_submitted
from trust.data.images import ImageSet, join
from trust.data.splits import Split
from trust.examination import examine
from trust.filter.filters import Filter, Filtered, generate, sift_labelled
from trust.filter.promise import Promise
from trust.filter.quotas import ClassQuota
from trust.show import report, rows
from trust.train import priors, telling
from trust.train.referee import Judged

RNG = np.random.default_rng
SIDE, CLASSES = 14, 5
SURE, UNSURE = 252 / 255, 153 / 255  # 0.988 and 0.6, as a pixel holds them


# Networks whose answers are known


SEEN = REFEREE, CLASSIFIER, SURENESS = 0, 1, 2
SEEN_BLURRED = BLURRED_REFEREE, BLURRED_CLASSIFIER, BLURRED_SURENESS = 3, 4, 5


def signs(images):
    """A view, (n, 6), of the pixels that say what is seen: the classes in tenths, and how sure the
    classifier is; then the same after reconstruction."""
    return images[:, 3, 3:9]


def pictures(seed, labels, sure=SURE, blurred_sure=SURE, **classes):
    """Images (n, 14, 14) uint8 with a dark edge.  classes: what is seen by the `referee` and the
    `classifier`, and after reconstruction, `blurred_`; the labels if left out."""
    labels = np.asarray(labels)
    images = np.zeros((len(labels), SIDE, SIDE), np.uint8)
    images[:, 3:-3, 3:-3] = RNG(seed).integers(0, 256, (len(labels), SIDE - 6, SIDE - 6))
    seen = signs(images)
    names = "referee", "classifier", "blurred_referee", "blurred_classifier"
    for name, column in zip(names, (*SEEN[:2], *SEEN_BLURRED[:2]), strict=True):
        seen[:, column] = 25 * np.asarray(classes.pop(name, labels))
    assert not classes
    seen[:, SURENESS] = np.rint(255 * np.asarray(sure))
    seen[:, BLURRED_SURENESS] = np.rint(255 * np.asarray(blurred_sure))
    return images


def unit(images):
    return images / 255 if images.dtype == np.uint8 else images.astype(float)


def judge(network, images):
    """The features are six pixels, the confidence is another."""
    pixels = unit(images)
    labels = np.rint(10 * signs(pixels)[:, REFEREE]).astype(int)
    return Judged(labels, pixels[:, 4, 3:9], pixels[:, 4, 9])


def features_of(images):
    return judge(None, images).features


def classify(pixels, training=False):
    """A classifier: logits (n, 5) of images (n, 14, 14, 1)."""
    seen = signs(np.asarray(pixels, float)[..., 0])
    sure = np.clip(seen[:, [SURENESS]], 0.01, 0.999)
    chosen = np.rint(10 * seen[:, [CLASSIFIER]]) == np.arange(CLASSES)
    return np.log(np.where(chosen, sure, (1 - sure) / (CLASSES - 1)))


def accept_at(threshold, promise=None):
    return Filter(
        classify,
        temperature=1.0,
        threshold=threshold,
        temperature_reconstructions=1.0,
        temperature_real_images=2.0,
        promise=promise,
    )


class Constant:
    """A prior whose draws are all the same."""

    def __init__(self, value):
        self.value = value

    def sample(self, n, rng):
        return np.full((n, 3), self.value, np.float32)


class Painter:
    """A generator.  Its codes are three pixels, nearly without noise."""

    def __init__(self, name="mixture", drawn=None):
        self.name, self.drawn = name, drawn
        self.prior = Constant({"mixture": 1.0, "normal": 2.0}[name])
        self.vae = SimpleNamespace(encoder=self.encode)

    @staticmethod
    def encode(pixels, training=False):
        z = np.asarray(pixels, np.float32)[:, 5, 3:6, 0]
        return z, np.full_like(z, -40)

    def sample(self, n, rng):
        return self.drawn[:n]

    def reconstruct(self, images, rng):
        """Fainter, and the classifier may see something else."""
        faint = 0.1 + 0.8 * unit(images)
        signs(faint)[:] = signs(unit(images))
        signs(faint)[:, SEEN] = signs(faint)[:, SEEN_BLURRED]
        return faint.astype(np.float32)

    def halfway(self, labelled, rng):
        return unit(labelled.images)[:40].astype(np.float32)


class Lightness:
    """A network that tells images from real ones by the sum of their pixels alone: the cut is
    half-way between the means of what it has learned from."""

    def __init__(self, images, real):
        means = [unit(each).sum(axis=(1, 2)).mean() for each in (images, real)]
        self.sign, self.cut = np.sign(means[0] - means[1]), np.mean(means)

    def __call__(self, pixels, training=False):
        sums = np.asarray(pixels, float).reshape(len(pixels), -1).sum(axis=1)
        return self.sign * (sums - self.cut)[:, None]


@pytest.fixture(autouse=True)
def lessons(monkeypatch):
    """Networks that learn lightness; returns all lessons, (images, real images) each."""
    lessons = []

    def learn(pairs, seed, bench):
        lessons.extend(pairs)
        return [Lightness(*pair) for pair in pairs]

    monkeypatch.setattr(telling, "learn_to_tell", learn)
    return lessons


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """The referee, and a learner that recognises nine of ten test images, others with every seed;
    returns what the learner was told.  Whether images help beside real ones is not asked."""
    told = []

    def learn(images, targets, reference, seed=0):
        told.append((images, targets))
        right = (np.arange(len(reference.test)) + seed) % 10 > 0
        return right.astype(float) if len(images) else np.full(len(right), math.nan)

    monkeypatch.setattr(reference, "judge", judge)
    monkeypatch.setattr(useful, "right_after_training", learn)
    monkeypatch.setattr(helps, "LEAST", 1000)
    monkeypatch.setattr(controls, "CHUNK", 60)
    return told


def in_turn(n):
    return np.arange(n) % CLASSES


def made(images, labels, **known):
    return ImageSet(images, np.asarray(labels), **known)


def honest(seed, n, **signs):
    """n images in which all see the right thing, unless told otherwise."""
    return made(pictures(seed, in_turn(n), **signs), in_turn(n), rows=100 * seed + np.arange(n))


def world(seed=30, n=120, **parts):
    """A Split of noise: n images each that the VAE has seen, of held-out and of test images."""
    names = "vae", "held_out", "test"
    parts = {name: honest(seed + i, n) for i, name in enumerate(names)} | parts
    return Split(parts["vae"], parts["vae"], parts["held_out"], parts["test"])


def floats(images):
    return (images / 255).astype(np.float32)


def drawn(seed, n, **signs):
    return floats(pictures(seed, in_turn(n), **signs))


def streams():
    return SimpleNamespace(controls=RNG(7), figures=RNG(8))


def beside_drawn(accepted, split, accept, other=None, name="mixture"):
    drawn_by_other = drawn(90, 60) if other is None else other
    names = ["mixture", "normal"]
    names.remove(name)
    painters = Painter(name), Painter(names[0], drawn_by_other)
    return beside_generated(accepted, *painters, accept=accept, split=split, streams=streams())


def reference_of(split, beside=None, unseen=None):
    return build_reference(
        split.vae,
        split.held_out if unseen is None else unseen,
        split.test,
        referee=None,
        seed=0,
        like_seen=beside and beside.like_seen,
    )


def quiet(line):
    pass


def second_door(images, split, accept=None, soft_labels=False):
    """The Run of images that one of our generators drew."""
    accept = accept or accept_at(0.95)
    accepted = accept.sift(images)
    beside = replace(beside_drawn(accepted, split, accept), soft_labels=soft_labels)
    return examine({"generated": accepted}, beside, reference_of(split), RNG(0), say=quiet)


def beside_yours(yours, split, accept=None, labelled=True, seed=0):
    return beside_submitted(yours, accept, split, labelled=labelled, rng=RNG(seed))


def third_door(given, split, accept=None, labelled=True):
    """The Run of images that somebody else made."""
    yours = sift_labelled(given, accept)
    beside = beside_yours(yours, split, accept, labelled)
    stick = reference_of(split, beside, split.test)
    return examine({"yours": yours}, beside, stick, RNG(1), say=quiet)


def gaps_to(images, labels, real):
    """Distances (n, m) to all real images, infinite to those of another class."""
    pixels, others = (unit(each).reshape(len(each), -1) for each in (images, real.images))
    gaps = np.sqrt(((pixels[:, None] - others) ** 2).sum(axis=2))
    gaps[labels[:, None] != real.labels] = np.inf
    return gaps


def gaps_to_either(images, labels, said, real):
    """gaps_to() the real images of the label, or of the class that is seen if one of these is
    nearer, also if all may be centred."""
    rolled = replace(real, images=centred(real.images))
    own, others = (
        (gaps_to(images, each, real), gaps_to(centred(images), each, rolled))
        for each in (labels, said)
    )
    nearer = np.minimum(*others).min(axis=1) < np.minimum(*own).min(axis=1)
    return np.where(nearer[:, None], others[0], own[0])


def own_ratios(images):
    """Of each image of a set the smallest ratio of the distance to another one of its class to that
    to the next, without the farthest quarter of them."""
    gaps = gaps_to(images.images, images.labels, images)
    np.fill_diagonal(gaps, np.inf)
    found = []
    for row in np.sort(gaps, axis=1):
        near = row[np.isfinite(row)]
        near = near[: 3 * len(near) // 4]
        found.append(min(near[:-1] / near[1:]))
    return np.array(found)


def within(images, among):
    """Whether each image (n, h, w) is one of others."""
    return {image.tobytes() for image in images} <= {image.tobytes() for image in among}


def told_by_brute_force(halves):
    """The share and the t of what two networks say, each of what the other has learned from."""
    marks = []
    assert len(halves) == 2
    for learned, asked in zip(halves, halves[::-1], strict=True):
        own, others = (Lightness(*learned)(unit(each))[:, 0] for each in asked)
        t = stats.ttest_ind(own, others, equal_var=False).statistic
        marks.append((np.mean([*(own > 0), *(others <= 0)]), t))
    return np.mean(marks, axis=0)


def places(images, among):
    """The row of each image (n, h, w) among others, (n,) integer."""
    rows_of = {image.tobytes(): row for row, image in enumerate(among)}
    return np.array([rows_of[image.tobytes()] for image in images])


def by_class(hits, labels, like):
    """The share of hits (n,), of images with labels (n,), if each class were as frequent as in
    other labels (m,)."""
    return sum(np.mean(like == label) * np.mean(hits[labels == label]) for label in np.unique(like))


def words(run, name=None):
    """{question: word} of a subject, the first one if no name is given."""
    return {question: found.word for question, found in run.verdicts[name or run.subject].items()}


def assert_nothing_is_known(numbers):
    """Of a set without an image: all but what was there before the filter, and what depends only on
    how many images there are, is a count of none, or unknown."""
    before = {"all_agreement", "confidence_gap", "parts", "copies_limit", "twins_limit"}
    for question, found in numbers.items():
        for key, value in found.items():
            if key not in before and not key.startswith("ece"):
                assert math.isnan(value) or value == 0, (question, key)
    right = numbers["right"]
    shown = [right[key] for key in ("agreement", "referee_confidence", *estimates.ERROR)]
    shown += [numbers["realistic"][key] for key in ("told_apart", "precision", "density")]
    shown += [numbers["varied"][key] for key in ("frechet", "recall", "coverage")]
    shown += [numbers["new"][key] for key in ("seen_share", "lean_z", "nearest_distance_median")]
    assert all(map(math.isnan, [*shown, numbers["balanced"]["chance"]]))
    assert math.isnan(numbers["useful"]["accuracy"])


def assert_same(mine, theirs, but=(), rel=1e-12):
    """The same numbers of every question, NaN where they are NaN."""
    assert list(mine) == list(theirs)
    for question, numbers in mine.items():
        for key in numbers.keys() | theirs[question].keys():
            if key not in but:
                expected = pytest.approx(theirs[question][key], rel=rel, nan_ok=True)
                assert numbers[key] == expected, (question, key)


# Sets of images


FIELDS = ["images", "labels", "truth", "predicted", "confidence", "probabilities", "logits", "rows"]
FIELDS += ["names"]


def numbered(n, start=0, but=()):
    """An ImageSet whose arrays hold start, start + 1, ...; without some of them."""
    values = {name: start + np.arange(n) for name in FIELDS if name not in but}
    values["images"] = values["images"][:, None, None] + np.zeros((1, 2, 2))
    return ImageSet(**values)


def test_what_is_known_of_images_is_what_was_given():
    assert list(numbered(3).known()) == FIELDS
    assert list(numbered(3, but=["truth", "logits"]).known()) == [
        *("images", "labels", "predicted", "confidence", "probabilities", "rows", "names")
    ]
    assert list(ImageSet(np.zeros((4, 2, 2))).known()) == ["images"]
    assert len(ImageSet(np.zeros((4, 2, 2)))) == 4


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        (np.array([2, 0, 2]), [2, 0, 2]),
        (np.array([False, True, False, True]), [1, 3]),
        (slice(1, 3), [1, 2]),
        (np.array([], int), []),
    ],
)
def test_taking_some_images_takes_all_that_is_known_of_them(taken, left):
    some = numbered(4, but=["truth"]).take(taken)
    assert some.truth is None and len(some) == len(left)
    assert some.images[:, 1, 1].tolist() == left
    for name in FIELDS[3:]:
        assert getattr(some, name).tolist() == left


def test_joined_sets_follow_one_another():
    sets = numbered(2), numbered(0), numbered(3, start=10)
    joined = join(list(sets))
    assert list(joined.known()) == FIELDS
    assert joined.rows.tolist() == joined.confidence.tolist() == [0, 1, 10, 11, 12]
    assert joined.images[:, 0, 0].tolist() == [0, 1, 10, 11, 12]
    alone = join([numbered(2, but=["truth"]), numbered(1, but=["truth"])])
    assert alone.truth is None and alone.labels.tolist() == [0, 1, 0]


def test_images_are_counted_by_their_labels():
    images = ImageSet(np.zeros((4, 2, 2)), np.array([2, 0, 2, 2]), truth=np.zeros(4, int))
    assert images.counts(4).tolist() == [1, 0, 3, 0]
    assert images.take(slice(0)).counts(2).tolist() == [0, 0]


# What all sets are compared with


def test_the_reference_marks_what_was_seen_and_asks_the_referee_about_test_images():
    split = world()
    more, steps = honest(34, 20), 10 * [(2, 0), (-2, 1), (0, -2), (1, 2)]
    moved = honest(30, 40)
    moved.images[:] = [
        np.roll(image, by, (0, 1)) for image, by in zip(moved.images, steps, strict=True)
    ]
    unseen = split.held_out.take(slice(30))
    stick = build_reference(split.vae, unseen, split.test, referee=None, seed=5, like_seen=more)
    assert len(stick.real) == 170 and stick.classes == CLASSES and stick.seed == 5
    np.testing.assert_array_equal(stick.unseen, np.repeat([False, True], [140, 30]))
    kinds = np.repeat(["training", "held_out", "test"], [120, 20, 30])
    assert list(stick.parts) == ["training", "held_out", "test"]
    for name, rows_of_it in stick.parts.items():
        np.testing.assert_array_equal(rows_of_it, kinds == name)
    np.testing.assert_array_equal(stick.real.images[:120], split.vae.images)
    np.testing.assert_array_equal(stick.real.images[120:140], more.images)
    np.testing.assert_array_equal(stick.real.rows[140:], split.held_out.rows[:30])
    np.testing.assert_array_equal(stick.judged.labels, in_turn(120))
    np.testing.assert_array_equal(stick.judged.features, features_of(split.test.images))
    other, found = stick.neighbours({"test": split.test, "moved": moved}).values()
    gaps = gaps_to(split.test.images, split.test.labels, stick.real)
    np.testing.assert_array_equal(other.nearest.index, gaps.argmin(axis=1))
    np.testing.assert_allclose(other.nearest.distance, gaps.min(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.moved.index, np.arange(40))
    np.testing.assert_allclose(found.moved.distance, 0)
    alone = reference_of(split)
    assert list(alone.parts) == ["training", "held_out"]
    np.testing.assert_array_equal(alone.unseen, alone.parts["held_out"])


# All questions about images that a generator of ours drew


def test_the_answers_are_those_of_the_questions_one_by_one(told, lessons):
    n = 100
    labels, referee = in_turn(n), in_turn(n)
    referee[:9] = (referee[:9] + 1) % CLASSES
    images = drawn(33, n, referee=referee, sure=np.where(np.arange(n) < 95, SURE, 0.4))
    # one reconstruction is wrong unseen
    wrong = (in_turn(120) + (np.arange(120) == 7)) % CLASSES
    split = world(test=honest(32, 120, blurred_classifier=wrong, blurred_referee=wrong))
    run = second_door(images, split)
    assert list(run.sets["generated"]) == list(run.verdicts["generated"]) == list(QUESTIONS)
    numbers, kept = run.sets["generated"], 95
    assert len(run.accepted) == kept and run.subject == "generated"
    np.testing.assert_array_equal(run.accepted.images, images[:kept])

    found = numbers["right"]
    assert found["strong_rate"] == 0.95 and found["weak_rate"] == 0.05 and found["images"] == kept
    assert found["agreement"] == pytest.approx(1 - 9 / 95)
    assert found["worst_class_agreement"] == pytest.approx(1 - 2 / 19)
    assert found["all_agreement"] == pytest.approx(0.91) and found["weak_agreement"] == 1
    assert found["referee_confidence"] == pytest.approx(
        judge(None, images[:kept]).confidence.mean()
    )
    assert found["mean_confidence"] == pytest.approx(SURE)
    # row 7 is called 3 instead of 2, by both: one of 25 reconstructions of that class
    assert run.asked.beside.counts.tolist() == [19] * 5
    assert found["missed"] == pytest.approx(0.2 / 25) and found["false_alarms"] == 0
    assert found["error_estimate"] == pytest.approx(9 / 95 + 0.2 / 25)

    found = numbers["balanced"]
    assert found["class_balance"] == found["chance"] == 1 and found["images"] == kept
    assert found["scarcest"] == pytest.approx(1)
    features, others = features_of(images[:kept]), features_of(split.test.images)
    expected = {"frechet": varied.frechet_distance(features, others)}
    expected |= varied.variety(features, others)  # they are too few for several parts
    # one of 48 numbers of real images: half of 95, and one that is drawn
    expected |= {"images": kept, "parts": 1, "twins_expected": 95 / 48, "detectable": math.nan}
    found = numbers["varied"] | {key: numbers["realistic"][key] for key in varied.FIDELITY}
    assert {key: found[key] for key in expected} == pytest.approx(expected, nan_ok=True)
    spread = {"class_spread", "class_spread_limit"}
    assert found.keys() - expected == {"twins", "twins_limit"} | spread

    # Nineteen of each class are cut into halves; held-out images are the real ones.
    mine, held = np.rint(images[:kept] * 255).astype(np.uint8), split.held_out.images
    halves = [pair for pair in lessons if within(pair[0], mine) and within(pair[1], held)]
    for side, among, classes in ((0, mine, labels), (1, held, in_turn(120))):
        learned = [places(pair[side], among) for pair in halves]
        assert len(np.unique(learned)) == 90
        assert [np.bincount(classes[which]).tolist() for which in learned] == 2 * [[9] * 5]
    found = numbers["realistic"]
    share, z = told_by_brute_force(halves)
    assert found["images"] == 90 and found["told_apart"] == pytest.approx(share)
    assert found["told_apart_z"] == pytest.approx(z, rel=1e-4)
    low, high = stats.binomtest(round(share * 180), 180).proportion_ci(0.95, method="wilson")
    ends = found["told_apart_low"], found["told_apart_high"]
    assert ends == pytest.approx((low, high), abs=1e-7)
    first, second = (Lightness(*pair)(unit(mine))[:, 0] for pair in halves)
    logits = np.where(np.isin(np.arange(kept), places(halves[0][0], mine)), second, first)
    unreal = run.of_each_image()["unreal"]
    np.testing.assert_allclose(unreal, 1 / (1 + np.exp(-logits)), atol=1e-5)

    real = join([split.vae, split.held_out])
    gaps = gaps_to_either(images[:kept], labels[:kept], referee[:kept], real)
    nearest = run.neighbours["generated"].nearest
    np.testing.assert_array_equal(nearest.index, gaps.argmin(axis=1))
    np.testing.assert_allclose(nearest.distance, gaps.min(axis=1), rtol=1e-6)
    unseen = gaps.argmin(axis=1) >= 120
    assert numbers["new"]["seen_share"] == pytest.approx(1 - unseen.mean())
    assert numbers["new"]["nearest_distance_median"] == pytest.approx(np.median(gaps.min(axis=1)))
    # of 48 real images of each class a third
    assert numbers["useful"]["accuracy"] == 0.9 and numbers["useful"]["images"] == 80
    learned, targets = told[3]
    which = places(learned, images[:kept])
    assert len(np.unique(which)) == 80
    np.testing.assert_array_equal(targets, labels[which])


def test_the_same_images_get_the_same_numbers_whether_or_not_their_truth_is_known(monkeypatch):
    """Held-out images, test images and generated ones that are the same, in each of which
    classifier and referee make mistakes."""
    n = 120
    classifier, referee = in_turn(n), in_turn(n)
    classifier[:12] = (classifier[:12] + 1) % CLASSES
    referee[6:18] = (referee[6:18] + 1) % CLASSES  # six are wrong unseen, six are false alarms
    sure = np.where(np.arange(n) < 110, SURE, 0.45)
    seen = {"classifier": classifier, "referee": referee, "sure": sure}
    seen |= {f"blurred_{name}": values for name, values in seen.items()}
    # Copies with wrong labels are sought among the examined images alone.
    none = lambda images, judged: (np.arange(0), images.take(slice(0)))  # noqa: E731
    monkeypatch.setattr(new, "differing", none)
    split, accept = world(40), accept_at(0.95)
    same = split._replace(held_out=honest(50, n, **seen), test=honest(50, n, **seen))
    generated = accept.sift(floats(same.test.images))
    beside = beside_drawn(generated, same, accept)
    run = examine({"generated": generated}, beside, reference_of(split), RNG(0), say=quiet)
    mine, real = run.sets["generated"], run.sets["real"]
    # What is drawn or drawn from, and the interval, which is wider where the truth is not known.
    but = {"ece_floor", "ece_floor_95", "error_low", "error_high"}
    but |= {"class_spread", "class_spread_limit"}  # of real images one half beside the other
    for question in QUESTIONS:
        # of real images one half is told from the other
        shared = mine[question].keys() & real[question].keys() - but
        for key in varied.FIDELITY if question == "realistic" else shared:
            # these pixels are bytes, those are fractions
            expected = pytest.approx(real[question][key], rel=1e-5, nan_ok=True)
            assert mine[question][key] == expected, (question, key)
    assert mine["right"]["error_estimate"] == pytest.approx(12 / 110)
    assert real["right"]["true_agreement"] == pytest.approx(1 - real["right"]["error_estimate"])
    assert mine["right"]["error_low"] < real["right"]["error_low"]
    assert real["right"]["error_high"] < mine["right"]["error_high"]
    assert mine["varied"]["frechet"] > 0
    assert not set(CAUGHT) & set(words(run).values())


def test_the_referees_word_is_one_row_and_the_true_labels_are_another():
    n = 120
    generated = in_turn(90)
    generated[:36] = (generated[:36] + 1) % CLASSES  # the referee sees something else
    # The file says of six test images what neither classifier nor referee sees; of twelve
    # reconstructions the classifier says something else, which is right for six of them.
    truth, mistaken = in_turn(n), in_turn(n)
    truth[:6] = (truth[:6] + 1) % CLASSES
    mistaken[:12] = (mistaken[:12] + 1) % CLASSES
    test = made(pictures(32, in_turn(n), blurred_classifier=mistaken), truth, rows=np.arange(n))
    images = drawn(51, 90, classifier=generated)
    run = second_door(images, world(test=test))
    mine, real, blurred = (
        run.sets[name]["right"] for name in ("generated", "real", "reconstructed")
    )
    assert np.ptp(np.bincount(generated)) > 0  # so that it matters which classes weigh how much
    assert mine["agreement"] == mine["all_agreement"] == pytest.approx(0.6)
    assert "true_agreement" not in mine
    assert real["agreement"] == pytest.approx(1)
    wrong = by_class(in_turn(n) != truth, in_turn(n), like=generated)
    assert real["true_agreement"] == pytest.approx(1 - wrong)
    disputed = by_class(mistaken != in_turn(n), mistaken, like=generated)
    assert blurred["agreement"] == pytest.approx(1 - disputed)
    wrong = by_class(mistaken != truth, mistaken, like=generated)
    assert blurred["true_agreement"] == pytest.approx(1 - wrong)
    alarms = by_class(np.arange(n) < 6, mistaken, like=generated)
    assert mine["error_estimate"] == pytest.approx(0.4 - alarms)
    assert real["ece"] == pytest.approx(1 - SURE, abs=1e-6)
    assert real["ece_true_labels"] == pytest.approx(SURE - (1 - 6 / n), abs=1e-6)
    assert run.verdicts["generated"]["right"].word == FAILS


def test_either_temperature_is_in_its_place_and_the_gap_has_a_sign():
    run = second_door(drawn(53, 120), world())
    root, others = SURE**0.5, 4 * ((1 - SURE) / 4) ** 0.5
    for name in ("generated", "real", "reconstructed"):
        found = run.sets[name]["right"]
        # sure and right: worse off with a higher temperature, and not sure enough
        assert found["ece"] == pytest.approx(1 - SURE, abs=1e-6)
        assert found["ece_real_temperature"] == pytest.approx(others / (root + others), abs=1e-6)
        assert found["confidence_gap"] == pytest.approx(SURE - 1, abs=1e-6)
        assert found["mean_confidence"] == pytest.approx(SURE)


def test_what_needs_equal_numbers_is_asked_of_random_ones_of_each_class_and_the_rest_of_all(told):
    """200 images are drawn, of which the last eight of each class are wrong; 60 held-out images are
    there."""
    n, labels = 200, np.sort(in_turn(200))
    wrong = np.arange(n) % 40 >= 32
    said = (labels + wrong) % CLASSES
    images = floats(pictures(38, labels, referee=said))
    run = second_door(images, world(held_out=honest(31, 60)))
    assert run.asked.beside.counts.tolist() == [12] * 5
    mine, some = run.sets["generated"], run.asked.rows["generated"]
    assert np.bincount(labels[some]).tolist() == [12] * 5 and len(np.unique(some)) == 60
    assert (some % 40).min() < 4 and (some % 40).max() > 35  # from the first to the last
    assert mine["right"]["agreement"] == 0.8 and mine["right"]["images"] == n
    features, others = features_of(images[some]), run.asked.reference.judged.features
    assert mine["varied"]["frechet"] == pytest.approx(varied.frechet_distance(features, others))
    # A twin is closer than one real pair of thirty; all held-out images are looked at.
    bound = np.sort(own_ratios(run.asked.beside.held_out["real"].passing))[1]
    ratios = own_ratios(made(images[some], labels[some]))
    assert mine["varied"]["twins"] == np.count_nonzero(ratios < bound)
    assert mine["varied"]["twins_expected"] == pytest.approx(60 / 31)
    assert mine["realistic"]["images"] == 60
    for name in ("generated", "real", "reconstructed"):
        assert run.sets[name]["balanced"]["images"] == 60
    gaps = gaps_to_either(images, labels, said, run.asked.reference.real).min(axis=1)
    assert mine["new"]["nearest_distance_median"] == pytest.approx(np.median(gaps))
    # a third of 36 real images of each class
    assert [np.bincount(targets).tolist() for _, targets in told] == 5 * [[12] * 5]
    assert len(run.asked.judged["generated"].labels) == n


def test_real_images_for_a_classifier_are_those_that_passed_and_those_of_before(told):
    """A tenth of the held-out images are called something else, and a tenth do not pass."""
    n = 120
    held = honest(
        31,
        n,
        classifier=(in_turn(n) + (np.arange(n) < 12)) % CLASSES,
        sure=np.where(np.arange(n) < 108, SURE, UNSURE),
    )
    split = world(held_out=held)
    run = second_door(drawn(54, 50), split, soft_labels=True)
    *three, (_, mine), (unfiltered, hard) = told
    assert mine.dtype == np.float32 and mine.shape == (50, CLASSES)
    which = places(told[3][0], drawn(54, 50))
    np.testing.assert_array_equal(mine.argmax(axis=1), in_turn(50)[which])
    assert mine.max(axis=1) == pytest.approx(np.full(50, SURE))
    real = np.concatenate([split.vae.images, held.images])
    said, learned = signs(real)[:, CLASSIFIER] // 25, []
    for images, soft in three:
        which = places(images, real)
        np.testing.assert_array_equal(soft.argmax(axis=1), said[which])
        assert np.bincount(said[which]).tolist() == [10] * 5
        learned.extend(which)
    assert len(set(learned)) == 150 and max(learned) < 228
    which = places(unfiltered, held.images)
    assert max(which) >= 108 and len(np.unique(which)) == 50
    np.testing.assert_array_equal(hard, in_turn(n)[which])  # what the file says
    assert run.sets["real"]["right"]["strong_rate"] == 0.9  # all test images pass
    assert run.sets["reconstructed"]["right"]["strong_rate"] == 1


def test_copies_stand_among_as_many_real_images_and_a_generator_that_copies_fails():
    split = world(n=1200)
    accept, images = accept_at(0.95), drawn(55, 990)
    generated = accept.sift(images)
    beside, stick = beside_drawn(generated, split, accept), reference_of(split)
    run = examine({"generated": generated}, beside, stick, RNG(0), say=quiet)
    planted = run.sets["planted"]["new"]
    assert list(planted) == ["noisy_copies", "moved_copies", "reconstructed_copies"]
    assert all(0.01 <= dose <= 0.1 for dose in planted.values())
    assert words(run)["new"] == AS_REAL
    # As many real images as generated ones, a twentieth of them copies of images that were seen.
    for name in planted:
        found = run.neighbours[name]
        assert len(found.labels) == 990
        moved = name == "moved_copies"
        nearest = (found.moved if moved else found.nearest).index[::20]
        # The noise may move the centre of mass of a few by a pixel.
        assert stick.unseen[nearest].mean() <= 0.1 * moved
        rest = np.arange(990) % 20 > 0
        expected = run.neighbours["real"].nearest.index[rest]
        np.testing.assert_array_equal(found.nearest.index[rest], expected)
    # and a generator that copies is found out
    copies = controls.noisy_copies(split.vae.images[:990], RNG(3))
    signs(copies)[:] = signs(images)
    run = second_door(copies, split)
    assert run.sets["generated"]["new"]["seen_share"] == 1
    assert words(run)["new"] == FAILS


def test_what_the_filter_does_to_the_other_prior_and_half_way():
    """Of 60 draws from the other prior 15 are weak, of class 0 and 1, and 5 are neither; of 40
    images half-way 30 pass, and the referee agrees with 20."""
    n = np.arange(60)
    other = drawn(90, 60, sure=np.select([n % 5 * 12 + n // 5 < 15, n >= 55], [0.4, UNSURE], SURE))
    held = honest(31, 120, sure=np.where(np.arange(120) < 10, UNSURE, SURE))
    signs(held.images)[10:20, REFEREE] = 25 * (4 - in_turn(10))  # class 2 stays what it is
    accept, split = accept_at(0.95), world(held_out=held)
    generated = accept.sift(drawn(55, 100))
    beside = beside_drawn(generated, split, accept, other=other)
    run = examine({"generated": generated}, beside, reference_of(split), RNG(0), say=quiet)
    found = run.sets["other_prior"]
    weak = np.sum(signs(other)[:, SURENESS] < 0.5)
    strong = np.bincount(in_turn(60)[signs(other)[:, SURENESS] > 0.95], minlength=5)
    assert found["right"] == {"strong_rate": strong.sum() / 60, "weak_rate": weak / 60}
    assert found["balanced"]["class_balance"] == strong.min() / strong.max()
    assert weak == 15 and strong.min() < strong.max()
    assert list(found) == ["right", "balanced", "new"]
    passed = run.neighbours["other_prior"]
    assert len(passed.labels) == strong.sum()
    assert run.sets["halfway"] == {
        "right": {"strong_rate": 0.75, "agreement": pytest.approx(1 - 8 / 30)}
    }


def test_accepted_images_are_like_reconstructions_or_they_are_not():
    """Reconstructions are lighter than real images, and so are both sets; one is too light."""
    split = world(n=300)
    faint = Painter().reconstruct(pictures(60, in_turn(300)), RNG(0))
    for images, like in ((faint, True), (np.where(np.arange(SIDE) < 7, 0.9, faint), False)):
        images = images.astype(np.float32)
        signs(images)[:] = signs(faint)
        run = second_door(images, split)
        numbers = run.sets["generated"]["realistic"]
        assert numbers["told_apart"] > 0.99 and words(run)["realistic"] == FAILS
        assert run.sets["reconstructed"]["realistic"]["told_apart"] > 0.99
        assert abs(run.sets["real"]["realistic"]["told_apart_z"]) < 3
        share = numbers["told_apart_from_reconstructed"]
        assert share == pytest.approx(0.5, abs=0.1) if like else share > 0.99
        assert (numbers["told_apart_from_reconstructed_z"] < 3) == like
        said = [line for line in report.doubts(run, tuple("01234")) if "differ" in line]
        if like:
            assert not said
        else:
            (line,) = said
            assert f"{share:.1%}" in line and "promise" in line


@pytest.mark.parametrize(
    ("z", "told_of"), [(3.5, True), (2.5, False), (-4.0, False), (math.nan, False)]
)
def test_generated_images_that_are_unlike_reconstructions_are_told(z, told_of):
    run, key = second_door(drawn(53, 20), world(n=20)), "told_apart_from_reconstructed"
    run.sets["generated"]["realistic"] |= {key: 0.612, f"{key}_z": z}
    said = [line for line in report.doubts(run, tuple("01234")) if "61.2%" in line]
    assert len(said) == told_of


@pytest.mark.filterwarnings("error")
def test_where_no_image_passes_nothing_is_known_of_them(told):
    run = second_door(drawn(53, 30, sure=UNSURE), world())
    mine = run.sets["generated"]
    assert mine["right"]["strong_rate"] == 0 and mine["right"]["all_agreement"] == 1
    assert_nothing_is_known(mine)
    assert words(run) == dict.fromkeys(QUESTIONS, CANNOT_TELL)
    assert not any(len(images) for images, _ in told)
    assert any("no image passes" in line for line in report.doubts(run, tuple("01234")))


# All questions about any set, without a door


def beside_real(split, counts=None):
    """A Beside of real images alone.  counts: (classes,), how many of each class are compared; as
    many as there are held-out images if left out."""
    counts = split.held_out.counts(CLASSES) if counts is None else counts
    known = replace(split.test, truth=split.test.labels, rows=np.arange(len(split.test)))
    every = join([split.vae, split.held_out])
    return Beside(
        counts=counts,
        tested={"real": Filtered(known)},
        held_out={"real": Filtered(split.held_out)},
        like="real",
        known=known,
        fresh={"real": split.held_out},
        copies={},
        pool=replace(every, rows=np.arange(len(every))),
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6])
def test_of_small_sets_what_cannot_be_answered_is_nan(n):
    split = world()
    small = Filtered(made(drawn(35, n), in_turn(n)))
    beside = beside_real(split, small.passing.counts(CLASSES))
    run = examine({"few": small}, beside, reference_of(split), RNG(0), say=quiet)
    mine = run.sets["few"]
    numbers = {(question, key): x for question, each in mine.items() for key, x in each.items()}
    unanswered = {key for (_, key), value in numbers.items() if math.isnan(value)}
    if n == 0:
        assert_nothing_is_known(mine)
    else:
        expected = {"precision", "recall", "density", "coverage"} if n < 6 else set()
        expected |= {"frechet"} if n < 2 else set()
        # no class has two images
        expected |= {"class_spread", "class_spread_limit"} if n < 6 else set()
        # no network learns from so few
        expected |= {"told_apart", "told_apart_low", "told_apart_high", "told_apart_z"}
        expected |= {"nonsense_z"}
        # what would have shown: nothing, in so few
        shown = {"detectable", "lean_detectable", "worse_from", "flagged_noisy"}
        assert unanswered - shown == expected
    assert numbers["balanced", "images"] == numbers["right", "images"] == n
    assert numbers["balanced", "class_balance"] == (0 if n < 5 else 1 if n == 5 else 0.5)
    assert words(run) == dict.fromkeys(QUESTIONS, CANNOT_TELL)


def test_a_line_is_said_for_each_step():
    split, said = world(n=20), []
    some = Filtered(honest(60, 20))
    examine({"some": some}, beside_real(split), reference_of(split), RNG(0), say=said.append)
    assert [line.strip() for line in said] == [
        *("the referee looks at all images", *(f"{question}?" for question in QUESTIONS))
    ]


def test_only_what_is_asked_is_answered_and_as_if_all_were():
    split = world(n=20)
    some, beside = Filtered(honest(60, 20)), beside_real(split)

    def run(**which):
        return examine({"some": some}, beside, reference_of(split), RNG(0), say=quiet, **which)

    every, cheap, one = run(), run(questions=QUESTIONS[:-1]), run(questions=["balanced"])
    assert list(every.verdicts["some"]) == list(QUESTIONS)
    assert list(cheap.verdicts["some"]) == list(cheap.sets["some"]) == list(QUESTIONS[:-1])
    assert_same(cheap.sets["some"], {key: every.sets["some"][key] for key in QUESTIONS[:-1]})
    assert list(one.verdicts["some"]) == list(one.evidence["some"]) == ["balanced"]
    assert one.verdicts["some"]["balanced"] == every.verdicts["some"]["balanced"]
    assert not one.neighbours


def test_the_referee_looks_once_at_each_set(monkeypatch):
    seen = []

    def look(network, images):
        seen.append(images)
        return judge(network, images)

    monkeypatch.setattr(reference, "judge", look)
    split, generated = world(n=40), drawn(60, 30, sure=np.where(np.arange(30) < 1, UNSURE, SURE))
    for door in (
        lambda: second_door(generated, split),
        lambda: third_door(honest(60, 30), split),
    ):
        seen.clear()
        door()
        assert sum(images is split.test.images for images in seen) == 1
        assert len({images.tobytes() for images in seen}) == len(seen)


def test_balanced_compares_with_images_that_are_learned_not_with_test_images():
    """Class 0 is rare among yours and among test images, but not among those that are learned."""
    rare = np.array([row for row in range(240) if row % CLASSES or row < 30])
    split = world(n=240, test=honest(32, 240).take(rare))
    images = honest(60, 240).take(rare)
    assert np.bincount(images.labels).tolist() == [6, 48, 48, 48, 48]
    assert words(third_door(images, split))["balanced"] == WORSE
    split = world(n=240, vae=honest(30, 240).take(rare), held_out=honest(31, 240).take(rare))
    assert words(third_door(images, split))["balanced"] not in CAUGHT


def test_the_balance_is_that_of_all_that_pass_not_only_of_those_wanted():
    labels = np.repeat(np.arange(CLASSES), [60, 60, 60, 60, 12])
    images = floats(pictures(60, RNG(1).permutation(labels)))
    quota, split = ClassQuota(10, CLASSES), world()
    accepted = generate(lambda n: images[:n], accept_at(0.95), quota, 252, progress=lambda: None)
    assert accepted.passing.counts(CLASSES).tolist() == [10] * 5
    beside = beside_drawn(accepted, split, accept_at(0.95))
    run = examine({"generated": accepted}, beside, reference_of(split), RNG(0), say=quiet)
    found = run.sets["generated"]["balanced"]
    assert found["class_balance"] == 0.2 and found["images"] == 50
    assert found["scarcest"] == pytest.approx(12 / 252 / 0.2)
    assert run.sets["real"]["balanced"] == {"class_balance": 1, "images": 50}
    assert words(run)["balanced"] == WORSE
    assert run.sets["generated"]["right"]["strong_rate"] == 1


# Every number is shown, and every line has its number


def keys_of(answers):
    return {(question, key) for question, numbers in answers.items() for key in numbers}


def keys_in(table):
    return {(row.question, row.key) for row in table}


def promised(threshold=0.95):
    """A Filter with a promise, found on 40 images of which two were wrong."""
    truth = in_turn(40)
    wrong = (truth + (np.arange(40) < 2)) % CLASSES
    return accept_at(threshold, Promise(0.2, threshold, wrong, truth))


def test_at_the_second_door_every_number_is_a_row_and_every_row_a_number(monkeypatch):
    monkeypatch.setattr(helps, "LEAST", 10)
    split = world()._replace(near_copies=0.1)
    run = second_door(drawn(32, 90), split, promised())
    found = {name: keys_of(answers) for name, answers in run.sets.items()}
    columns = set().union(*(found.pop(name) for name in rows.COLUMNS))
    # Only somebody else's labels are of unknown origin, and only there test images are searched.
    assert keys_in(rows.ROWS) - columns == {("right", "hidden"), ("new", "copies_test")}
    assert columns < keys_in(rows.ROWS)
    assert found == {
        **{name: keys_in(table) for name, table in rows.CONTROL_ROWS.items()},
        "promise": keys_in(rows.PROMISE_ROWS),
    }
    numbers = [x for sets in run.sets.values() for found in sets.values() for x in found.values()]
    assert all(isinstance(x, (int, float, np.integer, np.floating)) for x in numbers)
    assert run.sets["generated"]["right"]["near_copies"] == 0.1
    assert run.sets["generated"]["new"]["near_copies"] == 0.1


def test_at_the_third_door_every_number_is_a_row(monkeypatch):
    monkeypatch.setattr(helps, "LEAST", 10)
    split = world()
    run = third_door(honest(60, 90), split, promised())
    assert set(run.sets) == {*rows.YOURS, "planted", "promise"}
    columns = keys_of(run.sets["yours"]) | keys_of(run.sets["real"])
    missing = {key for _, key in keys_in(rows.ROWS) - columns}
    assert columns < keys_in(rows.ROWS)
    assert missing == {  # what needs a generator, or all images of before the filter
        *("strong_rate", "weak_rate", "mean_confidence", "all_agreement", "weak_agreement"),
        *("told_apart_from_reconstructed", "told_apart_from_reconstructed_z"),
        *("ece", "ece_floor", "ece_floor_95", "ece_true_labels", "ece_real_temperature"),
        "confidence_gap",
        "near_copies",  # there are none
    }
    assert keys_of(run.sets["planted"]) < keys_in(rows.CONTROL_ROWS["planted"])
    assert keys_of(run.sets["promise"]) == keys_in(rows.PROMISE_ROWS)


# The promise


def test_the_promise_is_held_against_reconstructions_and_the_first_images_drawn():
    """Of 180 reconstructions 30 do not pass and three are wrong, one unseen; of 90 images drawn 80
    pass, and the referee disagrees with eight of these, three of which were not wanted."""
    n = np.arange(180)
    mistaken = (in_turn(180) + np.isin(n, (3, 50, 70))) % CLASSES
    blurred_sure = np.where(n % 6 < 5, SURE, UNSURE)
    test = honest(32, 180, blurred_classifier=mistaken, blurred_sure=blurred_sure)
    signs(test.images)[3, BLURRED_REFEREE] = signs(test.images)[3, BLURRED_CLASSIFIER]
    split = world(test=test)
    accept, m = promised(), np.arange(90)
    referee = (in_turn(90) + (m < 8)) % CLASSES
    every = accept.sift(drawn(60, 90, referee=referee, sure=np.where(m % 9 < 8, SURE, UNSURE)))
    generated = Filtered(every.passing.take(slice(5, None)), every.every, every.quota)
    beside = beside_drawn(generated, split, accept)
    run = examine({"generated": generated}, beside, reference_of(split), RNG(0), say=quiet)
    found = run.sets["promise"]["right"]
    low, high = stats.binomtest(3, 150).proportion_ci(0.95, method="wilson")
    assert found["max_error"] == 0.2 and found["threshold"] == 0.95
    assert found["images"] == 40 and found["wrong"] == 0.05
    assert found["bound"] == pytest.approx(stats.beta.ppf(0.95, 3, 38))
    assert found["test_error_estimate"] == pytest.approx(0.02)
    assert found["test_error_low"] == pytest.approx(low, abs=1e-7)
    assert found["test_error_high"] == pytest.approx(high, abs=1e-7)
    passed = n % 6 < 5
    missed = by_class((n == 3)[passed], mistaken[passed], like=in_turn(90)[m % 9 < 8])
    assert found["estimated_error_estimate"] == pytest.approx(8 / 80 + missed)
    assert "promise" not in second_door(drawn(60, 20), world(n=20)).sets


def test_at_the_third_door_the_promise_is_held_against_test_images():
    """The classifier is sure of 150 of 180 test images, and wrong about four, one of them unseen;
    it is sure of 70 of yours and says the same as you of 60, of which the referee doubts six."""
    n, m = np.arange(180), np.arange(80)
    classifier, passed = (in_turn(180) + (n < 4)) % CLASSES, n % 6 < 5
    test = honest(32, 180, classifier=classifier, sure=np.where(passed, SURE, UNSURE))
    signs(test.images)[0, REFEREE] = signs(test.images)[0, CLASSIFIER]
    split = world(test=test)
    given = honest(
        60,
        80,
        referee=(in_turn(80) + (m < 6)) % CLASSES,
        classifier=(in_turn(80) + ((m >= 60) & (m < 70))) % CLASSES,
        sure=np.where(m < 70, SURE, UNSURE),
    )
    run = third_door(given, split, promised())
    found = run.sets["promise"]["right"]
    assert found["test_error_estimate"] == pytest.approx(4 / 150)
    missed = by_class((n == 0)[passed], classifier[passed], like=in_turn(60))
    assert found["estimated_error_estimate"] == pytest.approx(6 / 60 + missed)
    assert any("stands on real images" in line for line in report.doubts(run, tuple("01234")))
    assert "promise" not in third_door(given, split, accept_at(0.95)).sets


# What stands beside images that a generator of ours drew


def test_every_set_is_cut_to_the_smallest_of_each_class():
    """Each of the five sets has the fewest images of another class."""
    n = np.arange(100)

    def unsure_of(label, count):
        """As sure of 20 - count images of a class as of all others."""
        return np.where((in_turn(100) == label) & (n < 5 * count), UNSURE, SURE)

    held = honest(31, 100, sure=unsure_of(0, 5), blurred_sure=unsure_of(1, 6))
    test = honest(32, 100, sure=unsure_of(2, 7), blurred_sure=unsure_of(3, 8))
    split, accept = world(held_out=held, test=test), accept_at(0.95)
    generated = accept.sift(drawn(60, 100, sure=unsure_of(4, 9)))
    beside = beside_drawn(generated, split, accept)
    assert beside.counts.tolist() == [15, 14, 13, 12, 11]
    passing = {name: len(each.passing) for name, each in beside.tested.items()}
    assert passing == {"real": 93, "reconstructed": 92}
    passing = {name: len(each.passing) for name, each in beside.held_out.items()}
    assert passing == {"real": 95, "reconstructed": 94}
    # The referee's errors are counted on all reconstructions that pass.
    which = np.flatnonzero((in_turn(100) != 3) | (n >= 40))
    np.testing.assert_array_equal(beside.known.rows, which)
    np.testing.assert_array_equal(beside.known.labels, which % CLASSES)


def test_the_sets_beside_generated_images_are_what_they_are_called():
    n = 120
    held, test = (
        honest(seed, n, blurred_classifier=(in_turn(n) + 1) % CLASSES) for seed in (31, 32)
    )
    split, accept = world(held_out=held, test=test), accept_at(0.95)
    generated, other = accept.sift(drawn(60, 100)), drawn(90, 80)
    beside = beside_drawn(generated, split, accept, other=other)
    for name, there in (("tested", test), ("held_out", held)):
        sets = getattr(beside, name)
        assert list(sets) == ["real", "reconstructed"]
        faint = Painter().reconstruct(there.images, RNG(0))
        for kind, images, labels in (
            ("real", there.images, in_turn(n)),
            ("reconstructed", faint, (in_turn(n) + 1) % CLASSES),
        ):
            np.testing.assert_array_equal(sets[kind].every.images, images)
            np.testing.assert_array_equal(sets[kind].passing.labels, labels)
            np.testing.assert_array_equal(sets[kind].passing.truth, in_turn(n))
            np.testing.assert_array_equal(sets[kind].passing.rows, np.arange(n))
    np.testing.assert_array_equal(beside.others["halfway"].every.images, floats(held.images[:40]))
    np.testing.assert_array_equal(beside.others["other_prior"].every.images, other[:60])
    # For *new* as many of each class as the generator drew, at random, or all that there are.
    blurred = Painter().reconstruct(test.images, None)
    assert list(beside.fresh) == ["real", "reconstructed", "other_prior"]
    for kind, images in (("real", test.images), ("reconstructed", blurred)):
        fresh = beside.fresh[kind]
        assert fresh.counts(CLASSES).tolist() == [20] * 5
        np.testing.assert_array_equal(fresh.images, images[fresh.rows])
        assert len(np.unique(fresh.rows)) == 100 and fresh.rows.max() >= 110
    np.testing.assert_array_equal(beside.fresh["other_prior"].images, other[:60])
    assert (beside.like, beside.prior, beside.other_prior) == ("reconstructed", "mixture", "normal")
    assert beside.accept is accept and beside.promised_on is None and beside.like_seen is None
    other_way = beside_drawn(generated, split, accept, name="normal")
    assert (other_way.prior, other_way.other_prior) == ("normal", "mixture")
    kept = beside_drawn(generated, split, promised()).promised_on
    np.testing.assert_array_equal(kept.images, blurred)


def test_what_is_made_beside_a_small_set_is_as_small(monkeypatch):
    """Rows still point at the same images, and the real ones are all there."""
    for name, value in {"LEAST": 10, "TIMES": 2, "LEAST_KNOWN": 30, "TIMES_KNOWN": 4}.items():
        monkeypatch.setattr(controls, name, value)
    test = honest(32, 120, blurred_sure=np.where(np.arange(120) % 3, SURE, UNSURE))
    split, accept, kept = world(test=test), accept_at(0.95), promised()
    for n, known, others in ((3, 30, 10), (20, 80, 40), (60, 120, 120)):
        small = controls.as_small(split, n, RNG(3))
        for part, whole, count in (
            (small.test, split.test, known),
            (small.held_out, split.held_out, others),
        ):
            assert len(part) == count
            places = part.rows - whole.rows[0]
            assert np.all(np.diff(places) > 0)
            np.testing.assert_array_equal(part.images, whole.images[places])
            np.testing.assert_array_equal(part.labels, whole.labels[places])
        assert small.vae is split.vae and small.classifier is split.classifier
        generated = accept.sift(drawn(60, n))
        beside = beside_drawn(generated, split, accept)
        tested = beside.tested["reconstructed"]
        assert len(tested.every) == known
        passing = tested.passing
        assert 0 < len(passing) < known
        np.testing.assert_array_equal(tested.every.images[passing.rows], passing.images)
        np.testing.assert_array_equal(tested.every.truth[passing.rows], passing.truth)
        np.testing.assert_array_equal(passing.truth, passing.labels)  # all see the right thing
        assert len(beside.tested["real"].every) == len(split.test)
        assert len(beside.held_out["reconstructed"].every) == len(split.held_out)
        promised_on = beside_drawn(kept.sift(drawn(60, n)), split, kept).tested["reconstructed"]
        assert len(promised_on.every) == len(split.test)
    few = controls.few_drawn(accept.sift(drawn(60, 15)))
    assert len(few.every) == 15  # no more than were drawn
    many = replace(few, passing=few.passing.take(slice(6)))
    shown = controls.few_drawn(many).every
    np.testing.assert_array_equal(shown.images, few.every.images[:12])
    np.testing.assert_array_equal(shown.confidence, few.every.confidence[:12])


def originals(noisy, seen):
    """The rows of the seen images nearest to noisy copies, whatever their class, and the standard
    deviation of the noise."""
    gaps = gaps_to(noisy, np.zeros(len(noisy), int), replace(seen, labels=np.zeros(len(seen), int)))
    return gaps.argmin(axis=1), gaps.min(axis=1).mean() / SIDE


def assert_moved(moved, still):
    steps = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if y or x]
    for image, other in zip(moved, still, strict=True):
        assert any(np.array_equal(np.roll(other, step, (0, 1)), image) for step in steps)


def test_the_copies_are_of_seen_images_of_the_labels_that_pass():
    split, accept = world(), accept_at(0.95)
    # of class 4 none passes
    generated = drawn(60, 100, sure=np.where(in_turn(100) < 4, SURE, UNSURE))
    copies = beside_drawn(accept.sift(generated), split, accept).copies
    assert list(copies) == ["noisy_copies", "moved_copies", "reconstructed_copies"]
    labels = copies["noisy_copies"].labels
    assert set(labels) == {0, 1, 2, 3} and len(labels) >= controls.PLANTED
    twins, noise = originals(copies["noisy_copies"].images, split.vae)
    np.testing.assert_array_equal(split.vae.labels[twins], labels)
    for images in copies.values():
        np.testing.assert_array_equal(images.labels, labels)
    assert 0.03 < noise < 0.055  # clipped at black and white
    assert_moved(copies["moved_copies"].images, copies["noisy_copies"].images)
    faint = Painter().reconstruct(split.vae.images[twins], RNG(0))
    np.testing.assert_array_equal(copies["reconstructed_copies"].images, faint)


@pytest.mark.parametrize("name", ["mixture", "normal"])
def test_latents_are_shown_on_the_axes_of_the_classes_mean_codes(name):
    split = world()
    painters = [Painter(name), Painter("normal" if name == "mixture" else "mixture")]
    clouds = controls.latent_clouds(*painters, split.vae, RNG(0))
    assert list(clouds) == ["codes", "mixture", "normal"]
    codes = unit(split.vae.images)[:, 5, 3:6]
    centres = np.stack([codes[split.vae.labels == k].mean(axis=0) for k in range(CLASSES)])
    pca = PCA(2, svd_solver="full").fit(centres)
    sign = np.sign(clouds["codes"][0] * pca.transform(codes)[0])
    np.testing.assert_allclose(sign * clouds["codes"], pca.transform(codes), atol=1e-4)
    for kind, value in (("mixture", 1.0), ("normal", 2.0)):
        expected = np.repeat(pca.transform(np.full((1, 3), value)), controls.CLOUD, axis=0)
        np.testing.assert_allclose(sign * clouds[kind], expected, atol=1e-4)


@pytest.mark.parametrize("d", [2, 3, 24])
def test_principal_axes_are_sklearns_up_to_their_sign(d):
    mixing = RNG(99).normal(size=(d, d))
    points, other = (RNG(d).normal(size=(n, d)) @ mixing + n / 60 for n in (300, 70))
    pca = PCA(2, svd_solver="full").fit(points)
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


def test_twins_are_of_the_label():
    labels, seen_labels = RNG(6).integers(0, 3, 200), RNG(7).integers(0, 3, 50)
    found = controls.twins(labels, seen_labels, RNG(8))
    np.testing.assert_array_equal(seen_labels[found], labels)
    assert len(np.unique(found)) > 40
    assert controls.twins(labels[:0], seen_labels, RNG(8)).shape == (0,)


def test_images_are_moved_by_two_pixels_at_most_and_never_by_none():
    images = RNG(9).random((400, 28, 28), np.float32)
    moved = controls.moved_by_two(images, RNG(10))
    steps = set()
    for image, other in zip(images, moved, strict=True):
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if np.array_equal(np.roll(image, (y, x), (0, 1)), other)
        ]
        assert len(found) == 1 and found[0] != (0, 0)
        steps.add(found[0])
    assert len(steps) == 24 and moved.dtype == np.float32


def test_colours_are_moved_together():
    images = np.arange(5 * 8 * 6 * 3, dtype=np.uint8).reshape(5, 8, 6, 3)
    moved = controls.moved_by_two(images, RNG(10))
    assert moved.dtype == np.uint8 and moved.shape == images.shape
    assert_moved(moved, images)
    assert controls.moved_by_two(images[:0], RNG(10)).shape == (0, 8, 6, 3)


def test_noise_of_copies():
    images = np.full((50, 28, 28), 128, np.uint8)
    noisy = controls.noisy_copies(images, RNG(4))
    assert noisy.dtype == np.float32 and noisy.std() == pytest.approx(0.05, rel=0.03)
    assert noisy.mean() == pytest.approx(128 / 255, abs=1e-3)
    black_and_white = controls.noisy_copies(np.full_like(images, [0, 255] * 14), RNG(4))
    assert black_and_white.min() == 0 and black_and_white.max() == 1


# What stands beside images that somebody else made


WAYS = [(True, None), (True, 0.0), (True, 0.95), (False, 0.0), (False, 0.95)]
way = pytest.mark.parametrize(("labelled", "threshold"), WAYS)


def doubted(seed, n):
    """Images with labels; the classifier says something else of the first nine, and is not sure of
    those from 6 to 15."""
    place = np.arange(n)
    return honest(
        seed,
        n,
        classifier=(in_turn(n) + (place < 9)) % CLASSES,
        sure=np.where((place >= 6) & (place < 16), UNSURE, SURE),
    )


def passing(n, labelled, threshold):
    """Rows and labels of those of doubted() that pass, one by one."""
    found = []
    for row in range(n):
        told, said = row % CLASSES, (row + (row < 9)) % CLASSES
        sure = not 6 <= row < 16
        label = told if labelled else said
        if not threshold or (sure and label == said):
            found.append((row, label))
    return [np.array(column) for column in zip(*found, strict=True)]


def given(images, labelled):
    return images if labelled else replace(images, labels=None)


@way
def test_real_images_pass_as_the_submitted_ones_do(labelled, threshold):
    split = world(held_out=doubted(31, 120), test=doubted(32, 60))
    accept = None if threshold is None else accept_at(threshold)
    yours = sift_labelled(given(doubted(60, 90), labelled), accept)
    beside = beside_yours(yours, split, accept, labelled)
    for images, there, n in (
        (yours.passing, doubted(60, 90), 90),
        (beside.held_out["real"].passing, split.held_out, 120),
        (beside.tested["real"].passing, split.test, 60),
        (beside.known, split.test, 60),
    ):
        which, labels = passing(n, labelled, threshold)
        np.testing.assert_array_equal(images.rows, which)
        np.testing.assert_array_equal(images.labels, labels)
        np.testing.assert_array_equal(images.images, there.images[which])
        if images is not yours.passing:
            np.testing.assert_array_equal(images.truth, which % CLASSES)
    assert yours.passing.truth is None
    assert list(beside.held_out) == list(beside.tested) == ["real"] and beside.like == "real"
    assert beside.accept is accept and beside.promised_on is None and not beside.others
    # Real sets are drawn from all that VAE or classifier may have seen; held-out images count as
    # seen, and nobody knows what somebody else's generator has not seen.
    which, labels = passing(120, labelled, threshold)
    np.testing.assert_array_equal(beside.pool.rows, [*range(120), *(120 + which)])
    np.testing.assert_array_equal(beside.pool.labels, [*in_turn(120), *labels])
    assert beside.like_seen is split.held_out and beside.fresh == {}


@way
def test_labels_of_unknown_origin_are_those_with_which_a_test_image_would_pass(labelled, threshold):
    split = world(test=doubted(32, 60))
    accept = None if threshold is None else accept_at(threshold)
    yours = sift_labelled(given(doubted(60, 90), labelled), accept)
    found = beside_yours(yours, split, accept, labelled).any_label
    if not labelled:
        assert found is None  # the classifier named them
    elif not threshold:
        assert found.labels is None  # any label does
        np.testing.assert_array_equal(found.rows, np.arange(60))
        np.testing.assert_array_equal(found.truth, in_turn(60))
    else:
        sure = np.delete(np.arange(60), np.arange(6, 16))
        np.testing.assert_array_equal(found.rows, sure)
        np.testing.assert_array_equal(found.labels, (sure + (sure < 9)) % CLASSES)
        np.testing.assert_array_equal(found.truth, sure % CLASSES)


def test_the_counts_are_those_of_submitted_and_held_out_images_not_of_test_images():
    split = world(test=honest(32, 10))
    labels = np.repeat(np.arange(CLASSES), [20, 15, 10, 30, 0])
    yours = Filtered(made(pictures(60, labels), labels))
    beside = beside_yours(yours, split)
    assert beside.counts.tolist() == [20, 15, 10, 24, 0]
    assert len(beside.known) == 10


@pytest.mark.parametrize("labelled", [True, False])
def test_a_promise_is_tested_on_images_that_the_classifier_is_sure_of_whatever_their_label(
    labelled,
):
    split = world(test=doubted(32, 60))
    accept = promised()
    yours = sift_labelled(given(doubted(60, 90), labelled), accept)
    found = beside_yours(yours, split, accept, labelled).promised_on
    np.testing.assert_array_equal(found.rows, np.delete(np.arange(60), np.arange(6, 16)))
    np.testing.assert_array_equal(found.truth, found.rows % CLASSES)
    assert np.flatnonzero(found.labels != found.truth).tolist() == [0, 1, 2, 3, 4, 5]


# All questions about images that somebody else made


@way
def test_the_third_door_by_brute_force(labelled, threshold, told, lessons, monkeypatch):
    monkeypatch.setattr(varied, "LEAST_PARTS", 1)  # all images in one part
    split = world(held_out=doubted(31, 120), test=doubted(32, 120))
    signs(split.test.images)[20, REFEREE] = 25  # the referee errs once
    images = doubted(60, 150)
    signs(images.images)[100:110, REFEREE] = 25 * in_turn(11)[1:]  # and sees something else in ten
    accept = None if threshold is None else accept_at(threshold)
    # of class 0 fewer than there are held-out images, of the others more
    there = np.flatnonzero((in_turn(150) > 0) | (np.arange(150) < 60))
    run = third_door(given(images.take(there), labelled), split, accept, labelled)
    assert run.subject == "yours" and list(run.verdicts["yours"]) == list(QUESTIONS)
    mine, real = run.sets["yours"], run.sets["real"]
    assert list(mine) == list(QUESTIONS) and set(real) == set(QUESTIONS)

    yours, labels = passing(150, labelled, threshold)
    yours, labels = (each[np.isin(yours, there)] for each in (yours, labels))
    held, held_labels = passing(120, labelled, threshold)
    test, test_labels = passing(120, labelled, threshold)
    np.testing.assert_array_equal(there[run.accepted.rows], yours)
    of_each = [np.bincount(each, minlength=CLASSES) for each in (labels, held_labels)]
    counts = np.min(of_each, axis=0)
    said, test_said = (
        judge(None, each.images[which]).labels
        for each, which in ((images, yours), (split.test, test))
    )

    agrees = labels == said
    assert mine["right"]["images"] == len(yours)
    assert mine["right"]["agreement"] == pytest.approx(agrees.mean())
    disputed, truth = test_labels != test_said, test % CLASSES
    wrong = test_labels != truth
    missed = by_class(~disputed & wrong, test_labels, like=labels)
    alarms = by_class(disputed & ~wrong, test_labels, like=labels)
    assert alarms > 0
    assert mine["right"]["missed"] == pytest.approx(missed)
    assert mine["right"]["false_alarms"] == pytest.approx(alarms)
    estimate = np.mean(~agrees) + missed - alarms
    assert mine["right"]["error_estimate"] == pytest.approx(max(estimate, 0))

    found = real["right"]
    assert found["images"] == len(test)
    assert found["agreement"] == pytest.approx(1 - by_class(disputed, test_labels, like=labels))
    error = by_class(wrong, test_labels, like=labels)
    assert found["true_agreement"] == pytest.approx(1 - error)
    assert found["error_estimate"] == pytest.approx(error)
    confidence = judge(None, split.test.images[test]).confidence
    expected = by_class(confidence, test_labels, like=labels)
    assert found["referee_confidence"] == pytest.approx(expected)

    # Where one chooses, a classifier is surer of the images that it has learned.
    due = of_each[1] + (np.bincount(in_turn(120)) if accept is None else 0)
    share = of_each[0] / of_each[0].sum() / (due / due.sum())
    assert mine["balanced"]["scarcest"] == pytest.approx(share.min())
    for numbers, each in zip((mine, real), of_each, strict=True):
        assert numbers["balanced"]["class_balance"] == pytest.approx(each.min() / each.max())
        assert numbers["balanced"]["images"] == counts.sum()

    some = run.asked.rows["yours"]
    np.testing.assert_array_equal(np.bincount(labels[some], minlength=CLASSES), counts)
    features = features_of(images.images[yours[some]])
    others = features_of(split.test.images)
    expected = {"frechet": varied.frechet_distance(features, others)}
    expected |= varied.variety(features, others) | {"images": counts.sum(), "parts": 1}
    found = mine["varied"] | {key: mine["realistic"][key] for key in varied.FIDELITY}
    assert {key: found[key] for key in expected} == pytest.approx(expected)

    # Where one chooses images or names them, networks learn from held-out ones alone.
    mine_there = np.rint(unit(images.images[yours]) * 255).astype(np.uint8)
    halves = [pair for pair in lessons if within(pair[0], mine_there)]
    share, z = told_by_brute_force(halves)
    assert mine["realistic"]["images"] == 2 * (counts // 2).sum()
    assert mine["realistic"]["told_apart"] == pytest.approx(share)
    assert mine["realistic"]["told_apart_z"] == pytest.approx(z, rel=1e-4)
    every = accept is None or (labelled and not threshold)
    like = [split.held_out.images[held]] + ([split.vae.images] if every else [])
    assert all(within(others, np.concatenate(like)) for _, others in halves)

    # Three random sets of real images and yours, as large as each other.
    least = np.minimum(of_each[0], (of_each[1] + 24) // 3)
    *three, (learned, targets) = told
    which = places(learned, images.images[yours])
    np.testing.assert_array_equal(targets, labels[which])
    pool, learned = np.concatenate([split.vae.images, split.held_out.images[held]]), []
    for each, own in three:
        places_there = places(each, pool)
        np.testing.assert_array_equal(own, np.append(in_turn(120), held_labels)[places_there])
        learned.extend(places_there)
    assert len(three) == 3 and len(set(learned)) == len(learned)
    for _, own in told:
        np.testing.assert_array_equal(np.bincount(own), least)
    assert mine["useful"]["accuracy"] == 0.9 and "unfiltered" not in run.sets


def test_whether_they_help_is_a_number_of_useful_and_changes_no_other(told, monkeypatch):
    """At the third door, beside the images that a generator may know."""
    split, images = world(), honest(60, 90)
    before = third_door(images, split)
    monkeypatch.setattr(helps, "LEAST", 10)
    run = third_door(images, split)
    own = {"accuracy_with_real", "accuracy_real_alone", "helps_z", "helps_limit"}
    own |= {"real_images", "added_images"}
    useful_ = run.sets["yours"]["useful"]
    assert useful_.keys() - before.sets["yours"]["useful"].keys() == own
    assert (useful_["real_images"], useful_["added_images"]) == (120, 90)
    for key in own:
        del useful_[key]
    for name, answers in before.sets.items():
        assert_same(run.sets[name], answers, rel=0)
    assert words(run) == words(before)
    among = np.concatenate([split.vae.images, images.images])
    alone, together = (places(told[-k][0], among) for k in (4, 1))
    assert set(alone) == set(range(120)) and sorted(together) == [*range(210)]
    labels = np.concatenate([in_turn(120), in_turn(90)])
    assert np.array_equal(told[-1][1], labels[together])


def test_what_to_expect_at_the_third_door_is_what_other_real_images_do():
    split, images = world(), honest(60, 90)
    run = third_door(images, split)
    stick, measure = run.asked.reference, run.neighbours[new.MEASURE]
    real = join([split.vae, split.held_out, split.test])
    unseen = np.arange(360) >= 240
    np.testing.assert_array_equal(stick.unseen, unseen)
    # Of the images that networks may have seen 90 stand beside yours, the rest measure.
    assert np.bincount(run.neighbours["real"].labels).tolist() == [18] * 5
    assert np.bincount(measure.labels).tolist() == [30] * 5
    index = gaps_to(images.images, images.labels, real).argmin(axis=1)
    measured = measure.nearest.index
    expected = variance = 0.0
    for label in range(CLASSES):
        own, others = index[images.labels == label], measured[measure.labels == label]
        ratio, pool = len(own) / len(others), np.flatnonzero(real.labels == label)
        expected += ratio * np.sum(unseen[others])
        excess = [np.sum(own == place) - ratio * np.sum(others == place) for place in pool]
        assert sum(excess) == pytest.approx(0)
        share, total = np.mean(unseen[pool]), len(pool)
        variance += share * (1 - share) * total / (total - 1) * np.sum(np.square(excess))
    found = run.sets["yours"]["new"]
    assert found["seen_share"] == pytest.approx(np.mean(~unseen[index]))
    assert found["expected_share"] == pytest.approx(1 - expected / len(index))
    assert found["expected_share"] != pytest.approx(2 / 3)
    z = (np.sum(unseen[index]) - expected) / variance**0.5
    assert found["lean_z"] == pytest.approx(z)


@pytest.mark.filterwarnings("error")
def test_where_none_of_yours_passes_nothing_is_known_of_them():
    run = third_door(honest(60, 30, sure=UNSURE), world(), accept_at(0.95))
    assert_nothing_is_known(run.sets["yours"])
    assert words(run) == dict.fromkeys(QUESTIONS, CANNOT_TELL)
    assert all(map(math.isnan, run.sets["planted"]["new"].values()))


# What is written of each image


@pytest.mark.parametrize("door", ["second", "third"])
def test_of_each_image_the_nearest_real_one_is_named_by_its_row_in_the_users_data(door):
    """The referee says another class of the first five; three of them are copies of an image of
    that class, two are copies of one of their label's."""
    rng = RNG(3)
    split = world()
    parts = {
        name: replace(getattr(split, name), rows=rng.permutation(9000)[:120])
        for name in ("vae", "held_out", "test")
    }
    split = world(**parts)
    seen_class = (in_turn(60) + (np.arange(60) < 5)) % CLASSES
    images = drawn(60, 60, referee=seen_class)
    copied = np.array([6, 7, 8, 8, 9])  # of classes 1 to 3, and 3 and 4
    shown = signs(images)[:5].copy()
    images[:5] = floats(split.vae.images[copied])
    signs(images)[:5] = shown
    if door == "second":
        run, real = second_door(images, split), join([split.vae, split.held_out])
    else:
        run = third_door(made(images, in_turn(60)), split)
        real = join([split.vae, split.held_out, split.test])
    kept = run.of_each_image()
    assert list(kept) == [
        *("referee_labels", "referee_confidence", "unreal", "surely_unreal"),
        *("nearest_index", "nearest_distance", "nearest_was_seen", "copy", "group"),
    ]
    gaps = np.minimum(gaps_to(images, in_turn(60), real), gaps_to(images, seen_class, real))
    index = gaps.argmin(axis=1)
    assert index[:5].tolist() == copied.tolist()
    seen = index < len(real) - 120  # all but the last part
    assert 0 < np.sum(seen) < 60
    np.testing.assert_array_equal(kept["nearest_index"], real.rows[index])
    np.testing.assert_array_equal(kept["nearest_was_seen"], seen)
    np.testing.assert_allclose(kept["nearest_distance"], gaps.min(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(kept["referee_labels"][:5], (in_turn(5) + 1) % CLASSES)
    np.testing.assert_array_equal(kept["referee_labels"][5:], in_turn(60)[5:])
    np.testing.assert_array_equal(kept["referee_confidence"], judge(None, images).confidence)
    # All five are closer to one real image than real ones are, whichever class it is of.
    assert kept["copy"][:5].all()
    assert set(kept["group"][:5]) == {"another-class"} and not kept["surely_unreal"].any()
    np.testing.assert_array_equal(kept["group"][5:] == "copy", kept["copy"][5:])
    assert set(kept["group"][5:]) <= {"copy", "trusted"} and np.sum(~kept["copy"]) > 50


# Two sets at once


def two_of_yours():
    """One set with mistakes and one with copies, as large as each other."""
    split = world()
    wrong = honest(60, 90, referee=(in_turn(90) + (np.arange(90) % 7 == 0)) % CLASSES)
    copied = floats(split.vae.images[:90])
    copied[:, 5:] = np.minimum(copied[:, 5:] + 0.02, 1)
    return split, {"wrong": Filtered(wrong), "copied": Filtered(made(copied, in_turn(90)))}


def test_two_sets_at_once_are_examined_as_each_alone():
    split, subjects = two_of_yours()
    beside = beside_yours(subjects["wrong"], split)
    stick = reference_of(split, beside, split.test)
    both = examine(subjects, beside, stick, RNG(1), say=quiet)
    assert list(both.verdicts) == ["wrong", "copied"] and both.subject == "wrong"
    np.testing.assert_array_equal(both.accepted.images, subjects["wrong"].passing.images)
    for name, filtered in subjects.items():
        alone = examine({name: filtered}, beside, stick, RNG(1), say=quiet)
        assert_same(both.sets[name], alone.sets[name])
        for other, numbers in both.alone[name].sets.items():
            assert_same(numbers, alone.sets[other])
        assert words(both, name) == words(alone)
        found, expected = (run.neighbours[name].nearest.index for run in (both, alone))
        np.testing.assert_array_equal(found, expected)
    first = examine({"wrong": subjects["wrong"]}, beside, stick, RNG(1), say=quiet)
    for key, values in first.of_each_image().items():
        if key == "unreal":  # to networks that learned from other random halves
            continue
        np.testing.assert_array_equal(both.of_each_image()[key], values)
    # They are not the same, so that neither could stand for the other.
    assert both.sets["wrong"]["right"]["agreement"] < both.sets["copied"]["right"]["agreement"] == 1
    assert words(both, "copied")["new"] == FAILS and words(both, "wrong")["new"] not in CAUGHT


def test_two_sets_behind_our_filter_are_examined_as_each_alone():
    split, accept, sure = world(), promised(), RNG(5).uniform(0.8, 1, 100)
    subjects = {
        "good": accept.sift(drawn(60, 100, sure=sure)),
        "bad": accept.sift(drawn(61, 100, referee=(in_turn(100) + 1) % CLASSES, sure=sure)),
    }
    beside, stick = beside_drawn(subjects["good"], split, accept), reference_of(split)
    both = examine(subjects, beside, stick, RNG(1), say=quiet)
    for name, filtered in subjects.items():
        alone = examine({name: filtered}, beside, stick, RNG(1), say=quiet)
        assert_same(both.sets[name], alone.sets[name])
        assert words(both, name) == words(alone)
    assert both.sets["good"]["right"]["agreement"] == 1
    assert both.sets["bad"]["right"]["agreement"] == 0
    # The promise is about each one, and about the first where only one is told.
    promised_of = [run.sets["promise"]["right"] for run in both.alone.values()]
    assert [each["estimated_error_estimate"] for each in promised_of] == pytest.approx([0, 1])
    assert both.sets["promise"]["right"]["estimated_error_estimate"] == 0


def test_copies_are_planted_among_as_many_real_images_as_each_set_has():
    split = world()
    subjects = {"few": Filtered(honest(60, 30)), "many": Filtered(honest(61, 50))}
    beside = beside_yours(subjects["many"], split)
    run = examine(subjects, beside, reference_of(split, beside, split.test), RNG(0), say=quiet)
    planted = [each.neighbours["noisy_copies"].labels for each in run.alone.values()]
    assert [*map(len, planted)] == [30, 50]


def test_each_set_is_asked_about_as_many_images_as_it_has(told):
    """Whatever classes another one lacks: else a fault could hide in them."""
    split = world()
    sizes = {"some": [10, 30, 5, 24, 0], "others": [20, 1, 5, 24, 3]}
    subjects = {}
    for seed, (name, counts) in enumerate(sizes.items(), start=60):
        labels = np.repeat(np.arange(CLASSES), counts)
        subjects[name] = Filtered(made(pictures(seed, labels), labels))
    both = controls.beside_several(subjects, None, split, labelled=True, rng=RNG(2))
    stick = reference_of(split, both, split.test)
    run = examine(subjects, both, stick, RNG(0), say=quiet)
    assert len(told) == 8
    for (name, filtered), four in zip(subjects.items(), (told[:4], told[4:]), strict=True):
        for _, targets in four:  # a third of 48 real ones at most
            expected = np.minimum(sizes[name], 16)
            assert np.bincount(targets, minlength=CLASSES).tolist() == expected.tolist()
        learned, targets = four[3]
        which = places(learned, filtered.passing.images)
        np.testing.assert_array_equal(targets, filtered.passing.labels[which])
        one = controls.beside_several({name: filtered}, None, split, labelled=True, rng=RNG(2))
        alone = examine({name: filtered}, one, stick, RNG(0), say=quiet)
        assert_same(run.sets[name], alone.sets[name])
        assert words(run, name) == words(alone)
    assert run.sets["some"]["balanced"]["class_balance"] == 0
    assert run.sets["others"]["balanced"]["class_balance"] == 1 / 24
