"""Question 2, are the images realistic? Can a small network tell them from real ones?

The network learns from one half of the images and of real ones, and is asked about the other half
(Lopez-Paz & Oquab 2017).  Both have equally many images of each class, of 8 bits, so that neither
the proportions nor the pixels' format give anything away.  The logits are compared by a t-test,
which sees more than the share that is told apart (Cheng & Cloninger 2022).  Of honest images
nothing tells the two halves' sets apart, so chance is known, whatever the network is.

How well images are told apart depends on the network and on how many it has learned from: numbers
are to be compared only between equally many images.  Blur is looked for apart, without a network; a
set is *worse* if either is more than chance, each at half of the level, or if its images have far
more fine detail than real ones.
"""

import math
from typing import NamedTuple

import numpy as np

from trust.ask.blur import SHARPER_Z, compare_blur
from trust.ask.questions import Asked, disjoint_sets
from trust.ask.verdicts import CHANCE, FALSE_ALARM, POWER, Scale, Verdict, decide
from trust.data.checks import to_bytes
from trust.data.images import ImageSet
from trust.statistics import mean, ratio, t_quantile, wilson_interval
from trust.train import inference, loops, telling
from trust.train.fast import Workbench

MOST_TOLD = 0.75  # realistic fails where more of the images are told apart
MOST = 10_000  # images on each side
LEAST = 20  # images of either side that a network is asked about, or nothing is measured
PLANTED = 2000  # images with planted nonsense: what is found among them is found among more
NONSENSE = 0.5  # the share of these that are halves of two images
SURELY = 1000  # surely unreal looks what is more unreal than all but one real image in so many
ALARM = FALSE_ALARM / 2  # of the network, and of blur
TOO_FEW_TO_LEARN = "too few images to learn from"


class Comparison(NamedTuple):
    """What is compared: images with real ones, of which counts[k] of each class k on each side.
    crossed: a second network learns from the half that the first is asked about, and is asked about
    the other."""

    images: ImageSet
    real: ImageSet
    counts: np.ndarray
    crossed: bool = False


def ask(asked: Asked, rng: np.random.Generator) -> tuple[dict, dict]:
    """{set: {key: number}}, and {subject: Told}: what a network that has not learned from it says
    of each image that passes."""
    beside, rng = asked.beside, rng.spawn(1)[0]
    seed, classes = asked.reference.seed, asked.reference.classes
    real = as_bytes(beside.like_fresh())
    blurred = beside.held_out.get("reconstructed")
    blurred = None if blurred is None else as_bytes(blurred.passing)

    def compare(images, others, wanted=beside.counts, most=MOST, crossed=False):
        counts = np.min([wanted, images.counts(classes), others.counts(classes)], axis=0)
        counts = np.floor(counts * min(most / max(counts.sum(), 1), 1)).astype(int)
        return Comparison(images, others, counts, crossed)

    first, second = in_two(real, beside.counts, rng)
    comparisons = {("real", ""): compare(first, second)}
    if blurred is not None:
        comparisons["reconstructed", ""] = compare(blurred, real)
    for name, filtered in asked.subjects.items():
        images = as_bytes(filtered.passing)
        comparisons[name, ""] = compare(images, real, crossed=True)
        if blurred is not None:
            comparisons[name, "_from_reconstructed"] = compare(images, blurred)
        comparisons[name, "nonsense"] = compare(
            plant_nonsense(first, rng), second, wanted=comparisons[name, ""].counts, most=PLANTED
        )
    found = tell_apart([*comparisons.values()], seed=seed, rng=rng)
    blur_rng = rng.spawn(1)[0]

    sets: dict[str, dict] = {}
    words = {}
    for (name, what), told in zip(comparisons, found, strict=True):
        numbers = sets.setdefault(name, {})
        if what == "nonsense":
            numbers["nonsense_z"] = told.z
            continue
        numbers |= {f"told_apart{what}": told.share, f"told_apart{what}_z": told.z}
        if not what:
            asked_about = told.images * (1 + comparisons[name, what].crossed)
            low, high = wilson_interval(told.share * asked_about, asked_about)
            numbers |= {"told_apart_low": low, "told_apart_high": high, "images": told.images}
            own, others = equally_many(comparisons[name, ""], blur_rng)
            numbers |= compare_blur(own, others, alarm=ALARM, rng=blur_rng)
            words[name] = told
    return sets, {name: words[name] for name in asked.subjects}


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from how many images are told from real ones, by a one-sided t-test, from how
    many of the most blurred are not real, or how few, and whether a network finds nonsense among as
    many."""
    freedom = max(numbers["images"] - 2, 1)  # of each half
    chance, more = t_quantile(1 - ALARM, freedom), t_quantile(POWER, freedom)
    worse = numbers["told_apart_z"] > chance
    # The share alone, on which a t-test improves: of one half, as chance in both may be the same.
    error = 0.5 / math.sqrt(numbers["images"]) if numbers["images"] else math.nan
    return decide(
        fails=worse and numbers["told_apart_low"] >= MOST_TOLD,
        worse=worse
        or numbers["blurred"] > numbers["blurred_limit"]
        or numbers["blurred_z"] < SHARPER_Z,
        detectable=(chance + more) * error,
        bound=MOST_TOLD - 0.5,
        doubt="" if numbers["nonsense_z"] > chance else TOO_FEW_TO_LEARN,
    )


def evidence(numbers: dict, real: dict) -> dict:
    """By how many standard deviations the images are told from real ones, more blurred, and
    sharper, which counts less."""
    return {
        "told_apart": numbers["told_apart_z"],
        "blurred": numbers["blurred_z"],
        "sharper": CHANCE * numbers["blurred_z"] / SHARPER_Z,
    }


def scale(numbers: dict, real: dict) -> Scale:
    """The share that is told apart, between chance and MOST_TOLD."""
    n = numbers["images"]
    reach = t_quantile(1 - ALARM, max(n - 2, 1)) * 0.5 / math.sqrt(n) if n else math.nan
    return Scale(
        "told_apart",
        number=numbers["told_apart"],
        low=numbers["told_apart_low"],
        high=numbers["told_apart_high"],
        real=real["told_apart"],
        real_low=0.5 - reach,
        real_high=0.5 + reach,
        fails_at=MOST_TOLD,
        shows_from=0.5 + numbers["detectable"],
    )


def differs(logits: np.ndarray, others: np.ndarray) -> float:
    """By how many standard deviations a set looks more real than another, by a t-test of what one
    network says of their images, (n,) and (m,) float; see rank_together()."""
    if min(len(logits), len(others)) < LEAST:
        return math.nan
    errors = (float(np.var(each, ddof=1)) / len(each) for each in (logits, others))
    return ratio(float(others.mean() - logits.mean()), math.sqrt(sum(errors)))


def rank_together(
    sets: dict[str, ImageSet], real: ImageSet, counts: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """{set: (m,) float, how unreal images of it look to one network}, of the same classes in all.

    The network learns to tell a part of all sets together, as large of each, from as many real
    images, and is asked about other images of the sets.  If two sets are drawn from one
    distribution, nothing tells them apart for it, so the difference of their logits is chance.
    counts: (classes,) integer, as many images every set has at least.  No logits where there are
    too few images.
    """
    names = sorted(sets)
    counts = np.minimum(counts, real.counts(len(counts)))
    counts = np.floor(counts * min(MOST / max(counts.sum(), 1), 1)).astype(int) // 2
    share = int(counts.sum()) // max(len(names), 1)
    if share < LEAST:
        return {name: np.empty(0) for name in sets}
    lessons, exams = [], {}
    for name in names:
        rng = np.random.default_rng([seed, *name.encode()])
        learned, exams[name] = disjoint_sets(sets[name].labels, counts, 2, rng)
        chosen = rng.permutation(learned)[:share]
        lessons.append(as_bytes(sets[name].take(chosen)).images)
    rows = disjoint_sets(real.labels, counts, 1, np.random.default_rng(seed))[0]
    lesson = np.concatenate(lessons), as_bytes(real.take(rows)).images
    (network,) = networks_of([lesson], seed)
    return {
        name: inference.predict(network, as_bytes(sets[name].take(rows)).images)[:, 0].astype(float)
        for name, rows in exams.items()
    }


def as_bytes(images: ImageSet) -> ImageSet:
    """Images and labels, the images (n, h, w[, c]) uint8."""
    return ImageSet(to_bytes(images.images), images.labels)


def in_two(images: ImageSet, counts: np.ndarray, rng) -> list[ImageSet]:
    """Two random sets without a common image, with counts[k] images of each class k, or half of
    what there is."""
    counts = np.minimum(counts, images.counts(len(counts)) // 2)
    return [images.take(rows) for rows in disjoint_sets(images.labels, counts, 2, rng)]


def equally_many(compared: Comparison, rng: np.random.Generator) -> list[ImageSet]:
    """Random images and real ones of a Comparison, as many of each class as it says."""
    sides = compared.images, compared.real
    rows = [disjoint_sets(each.labels, compared.counts, 1, rng)[0] for each in sides]
    return [each.take(own) for each, own in zip(sides, rows, strict=True)]


def plant_nonsense(images: ImageSet, rng: np.random.Generator) -> ImageSet:
    """The images, of which a share NONSENSE has the lower half of another one."""
    rows = rng.permutation(len(images))[: round(NONSENSE * len(images))]
    mixed, middle = images.images.copy(), images.images.shape[1] // 2
    mixed[rows, middle:] = images.images[rng.permutation(rows), middle:]
    return ImageSet(mixed, images.labels)


class Told(NamedTuple):
    """share: of the images that a network was asked about, and of as many real ones, the share that
    was told apart, 0.5 by chance.  z: see tell_apart().  images: the images of each side, learned
    from and asked about.  unreal: (n,) float in [0, 1], how unreal each of all images looks; NaN
    where none could learn.  surely: (n,) bool, which look more unreal than real ones do; see
    beyond_real()."""

    share: float
    z: float
    images: int
    unreal: np.ndarray
    surely: np.ndarray


def tell_apart(comparisons: list[Comparison], seed: int, rng: np.random.Generator) -> list[Told]:
    """What networks make of each comparison, NaN where there are fewer than LEAST images.

    z is the t of the logits of images and real ones.  Where two networks are crossed, it is the
    mean of both: one network's chance may be the other's (the means of the same two pairs of sets
    differ in one direction), so the mean of both varies as much as one of them, or less.
    """
    lessons, exams = [], []
    for place, each in enumerate(comparisons):
        sides = each.images, each.real
        halves = [disjoint_sets(one.labels, each.counts // 2, 2, rng) for one in sides]
        if min(len(rows) for half in halves for rows in half) < LEAST:
            continue
        for learned in range(1 + each.crossed):
            pair = [one.images[half[learned]] for one, half in zip(sides, halves, strict=True)]
            lessons.append(tuple(pair))
            exams.append((place, *(half[1 - learned] for half in halves), halves[0][learned]))
    found = []
    for each in comparisons:
        n = len(each.images)
        found.append(Told(math.nan, math.nan, 0, np.full(n, np.nan), np.zeros(n, bool)))
    marks: dict[int, list] = {}
    for (place, own, others, known), network in zip(exams, networks_of(lessons, seed), strict=True):
        each = comparisons[place]
        rows = np.setdiff1d(np.arange(len(each.images)), known) if each.crossed else own
        logits = np.full(len(each.images), np.nan)
        logits[rows] = inference.predict(network, each.images.images[rows])[:, 0]
        real = inference.predict(network, each.real.images[others])[:, 0].astype(float)
        share = (mean(logits[own] > 0) + mean(real <= 0)) / 2
        surely = beyond_real(logits, real)
        marks.setdefault(place, []).append((share, t_of(logits[own], real), logits, surely))
    for place, own in marks.items():
        shares, z, logits, surely = zip(*own, strict=True)
        # Images beyond the counts were asked about by both networks: the first one's word is taken.
        first = ~np.isnan(logits[0])
        logit, beyond = (np.where(first, each[0], each[-1]) for each in (logits, surely))
        images = int((comparisons[place].counts // 2).sum()) * 2
        found[place] = Told(mean(shares), mean(z), images, 1 / (1 + np.exp(-logit)), beyond)
    return found


def beyond_real(logits: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Which images look more unreal than real ones do to a network that has learned from neither:
    above the j-th largest logit of m real ones.  An image that is as real as they is there with the
    probability j / (m + 1), whatever the network is; j is the largest with which this is at most
    1 / SURELY.  None where m is too small.

    logits: (n,) float, NaN, which is never beyond, where the network has learned from the image.
    real: (m,) float.  Returns (n,) bool.
    """
    j = (len(real) + 1) // SURELY
    if not j:
        return np.zeros(len(logits), bool)
    return logits > np.partition(real, -j)[-j]


def networks_of(lessons: list[tuple], seed: int) -> list:
    """learn_to_tell() for two lessons of about the same size at a time: as many as there are cores
    to compute them side by side.  The order of batches also hangs on TensorFlow's own seed, which
    the trainings of *useful* change."""
    loops.make_reproducible(seed)
    order = np.argsort([-len(images) for images, _ in lessons], kind="stable")
    networks, bench = {}, Workbench()
    for start in range(0, len(order), 2):
        pair = order[start : start + 2]
        learned = telling.learn_to_tell(
            [lessons[i] for i in pair], seed=seed + 1000 * start, bench=bench
        )
        networks |= dict(zip(pair.tolist(), learned, strict=True))
    return [networks[i] for i in range(len(lessons))]


def t_of(values: np.ndarray, others: np.ndarray) -> float:
    """Student's t of equally many values and others, (n,) float each: by how many standard errors
    their mean is above that of the others."""
    error = math.sqrt((np.var(values, ddof=1) + np.var(others, ddof=1)) / len(values))
    return ratio(float(np.mean(values) - np.mean(others)), error)
