"""How often honest images are called worse, and how often a fault is caught that should be.

python -m benchmarks.alarms --dataset fashion_mnist --report alarms.json

A referee and classifiers learn from two thirds of the training images.  The other third is fresh:
no network has seen it.  Honest sets are drawn from it at random, and asked about at both doors as
the scripts do it, with the learned images in the place of all training images: each draw divides
them anew into seen and held-out ones.  What the networks say of each image, and where its nearest
real images are, is found once and then looked up by number, so an image is its number here.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from trust import cli, outputs
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS
from trust.data import datasets
from trust.data.images import ImageSet, random_of_each_class
from trust.data.splits import HELD_OUT, Split
from trust.statistics import upper_bound

SIZES = 100, 200, 500, 1000, 2000, 5000, 10_000
LARGE, FEWER = 5000, 3  # from this size on, for varied and with faults: a third of the draws
GROUP, GROUP_PLANTED = 8, 2  # sets that *varied* compares with the same random real ones
MODES = 0.5, 1.0  # planted for *varied*: so much of one half of each class is left out
LEARNED = 2 / 3  # of the training images
EPOCHS = {"mnist": 3, "fashion_mnist": 5}  # of the referee
CLASSIFIERS = 4  # each does not learn from a fourth of the learned images
COPIES = 4000  # noisy copies of learned images
THRESHOLD, DRAWS = 0.95, 50  # of the main script
SET = "set"


class Facts(NamedTuple):
    """What is known of each image, by its number: first the learned ones, then the test images,
    the fresh ones, and noisy copies of learned ones.  Behind `labels` each has n rows.

    learned, tested, fresh: how many images there are of each kind.
    labels: (n,) integer.  judged_labels, features, confidence: what the referee says.
    knowing, unknowing: (n, classes) float, the logits of a classifier that has learned from the
    image, if it is a learned one, and of one that has not.  temperature: of the latter.
    mode: (n,) bool, whether an image is in the first half of its class along its principal axis.
    pairs: (k, 2) integer, a number and a label with which the image may pass a door.
    near_2, near_3: (6, k) float, of each pair: index, distance and second of the nearest images,
    among the learned ones and among these and the test images; then the same of `moved`.
    """

    learned: int
    tested: int
    fresh: int
    labels: np.ndarray
    judged_labels: np.ndarray
    features: np.ndarray
    confidence: np.ndarray
    knowing: np.ndarray
    unknowing: np.ndarray
    temperature: float
    mode: np.ndarray
    pairs: np.ndarray
    near_2: np.ndarray
    near_3: np.ndarray

    @property
    def classes(self) -> int:
        return self.unknowing.shape[1]

    def kinds(self) -> list[np.ndarray]:
        """The numbers of the learned, tested, fresh and copied images."""
        cuts = np.cumsum([self.learned, self.tested, self.fresh])
        return np.split(np.arange(len(self.labels)), cuts)


class Ordered(NamedTuple):
    """The real images in the order of Facts, and copies of some: images (n, h, w[, c]) uint8, the
    copies (c, h, w[, c]) float32, labels (n + c,) integer, and how many there are of each kind."""

    images: np.ndarray
    copies: np.ndarray
    labels: np.ndarray
    learned: int
    tested: int


def in_order(data: datasets.Dataset, rng: np.random.Generator, copies: int = COPIES) -> Ordered:
    """The images of a data set, those that networks learn from chosen at random."""
    from trust.controls import noisy_copies

    train, order = data.train, rng.permutation(len(data.train))
    learned = round(LEARNED * len(train))
    images = [train.images[order[:learned]], data.test.images, train.images[order[learned:]]]
    labels = [train.labels[order[:learned]], data.test.labels, train.labels[order[learned:]]]
    copied = rng.permutation(learned)[:copies]
    return Ordered(
        np.concatenate(images),
        noisy_copies(images[0][copied], rng),
        np.concatenate([*labels, labels[0][copied]]),
        learned,
        len(data.test),
    )


def train_networks(data: datasets.Dataset, ordered: Ordered, seed: int) -> tuple:
    """Trains a referee and the classifiers on the learned images: the Judged of all images, and
    the logits of Facts, knowing and unknowing."""
    from trust.train import inference, loops, referee

    loops.make_reproducible(seed)
    images, learned = ordered.images, ordered.learned
    known = ImageSet(images[:learned], ordered.labels[:learned])
    network, mirror = referee.build_referee(data.classes), data.name in referee.MIRRORED
    referee.train_referee(network, known, epochs=EPOCHS[data.name], seed=seed, mirror=mirror)
    parts = [referee.judge(network, each) for each in (images, ordered.copies)]
    judged = referee.Judged(*map(np.concatenate, zip(*parts, strict=True)))

    fold, found = np.arange(len(images)) % CLASSIFIERS, []
    for k in range(CLASSIFIERS):
        own = fold[:learned] != k
        classifier = loops.new_classifier(data.classes, data.pixels)
        loops.train_classifier(classifier, known.images[own], known.labels[own], seed)
        found.append(inference.predict(classifier, images))
    found, rows = np.array(found), np.arange(len(images))
    return judged, found[(fold + 1) % CLASSIFIERS, rows], found[fold, rows]


def gather(ordered: Ordered, judged, knowing: np.ndarray, unknowing: np.ndarray) -> Facts:
    """The Facts of images.  judged, knowing, unknowing: by train_networks()."""
    from trust.ask.neighbours import Sought, centred, find_neighbours
    from trust.filter.calibrate import fit_temperature
    from trust.train.inference import softmax

    learned, tested, labels = ordered.learned, ordered.tested, ordered.labels
    n, copies = len(ordered.images), len(ordered.copies)
    temperature = fit_temperature(unknowing[:learned], labels[:learned])
    numbers = np.arange(n)
    # Where the referee disputes a label, its own class is searched as well.
    every = np.arange(n + copies)
    pairs = [np.stack([every, each], axis=1) for each in (labels, judged.labels)]
    for logits in (knowing, unknowing):
        passes = softmax(logits, temperature).max(axis=1) >= THRESHOLD
        pairs.append(np.stack([numbers, logits.argmax(axis=1)], axis=1)[passes])
    pairs = np.unique(np.concatenate(pairs), axis=0)

    def near(size):
        real = ImageSet(ordered.images[:size], labels[:size])
        rolled, found = centred(real.images), np.empty((6, len(pairs)))
        # The copies are not as many bytes as the others, so the two are asked about apart.
        for some, images in (
            (pairs[:, 0] < n, ordered.images),
            (pairs[:, 0] >= n, ordered.copies),
        ):
            row, label = pairs[some].T
            sought = [Sought(images[row % n], label, own=np.where(row < size, row, -1))]
            (each,) = find_neighbours(sought, real, rolled)
            found[:, some] = [*each.nearest, *each.moved]
        return found

    blank = np.zeros((copies, knowing.shape[1]), knowing.dtype)  # no filter looks at the copies
    return Facts(
        learned=learned,
        tested=tested,
        fresh=n - learned - tested,
        labels=labels,
        judged_labels=judged.labels,
        features=judged.features,
        confidence=judged.confidence,
        knowing=np.concatenate([knowing, blank]),
        unknowing=np.concatenate([unknowing, blank]),
        temperature=temperature,
        mode=np.append(first_mode(ordered.images, labels[:n]), np.zeros(copies, bool)),
        pairs=pairs,
        near_2=near(learned),
        near_3=near(learned + tested),
    )


def first_mode(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images (n, h, w[, c]) are in the lower half of their class along the axis on which its
    images differ most: (n,) bool."""
    found = np.zeros(len(images), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        pixels = images[rows].reshape(len(rows), -1) / np.float32(255)
        pixels -= pixels.mean(axis=0)
        along = pixels @ np.linalg.eigh(pixels.T @ pixels)[1][:, -1]
        found[rows] = along < np.median(along)
    return found


def prepare(data: datasets.Dataset, seed: int, keep: str | None, clock: cli.Clock) -> Facts:
    """The Facts of a data set, from the file `keep` if it is there, else written to it."""
    if keep and os.path.exists(keep):
        with np.load(keep) as saved:
            return Facts(**{name: saved[name][()] for name in saved})
    ordered = in_order(data, np.random.default_rng(seed))
    with clock("training a referee and classifiers"):
        judged, knowing, unknowing = train_networks(data, ordered, seed)
    with clock("searching for the nearest images"):
        facts = gather(ordered, judged, knowing=knowing, unknowing=unknowing)
    if keep:
        np.savez(keep, **facts._asdict())
    return facts


# An examination in which an image is its number.


def numbered(rows: np.ndarray, labels: np.ndarray | None = None) -> ImageSet:
    """Images that are their numbers, rows (k,), as arrays (k, 1, 1)."""
    return ImageSet(rows[:, None, None], labels=labels)


def numbers_of(images: np.ndarray) -> np.ndarray:
    """The numbers (k,) of images (k, 1, 1[, 1])."""
    return images.reshape(len(images)).astype(int)


def build_door(facts: Facts, pixels: np.ndarray, door: int):
    """A function (rng) -> (Split, Reference, Filter or None): the images of one draw at door 2 or
    3, as the scripts hand them to the examination.  pixels: the images of all numbers."""
    from trust.ask.neighbours import Nearest, Neighbours
    from trust.ask.reference import Reference
    from trust.filter.filters import Filter
    from trust.train.referee import Judged

    learned, tested, _, _ = facts.kinds()
    judged = Judged(facts.judged_labels, facts.features, facts.confidence)
    near = facts.near_2 if door == 2 else facts.near_3
    pair = np.full((len(facts.labels), facts.classes), -1)
    pair[tuple(facts.pairs.T)] = np.arange(len(facts.pairs))

    @dataclass(frozen=True, eq=False)
    class LookedUp(Reference):
        """A Reference that knows all answers."""

        place: np.ndarray  # (n,) integer, where among the real ones the image of a number is

        def judge(self, images):
            return judged.take(numbers_of(images))

        def neighbours(self, sets, own=None):
            return {
                name: self.neighbours_of(images, own=name in (own or {}))
                for name, images in sets.items()
            }

        def within(self, images):
            return super().within(replace(images, images=pixels[numbers_of(images.images)]))

        def neighbours_of(self, images, own):
            rows, kinds = numbers_of(images.images), []
            which = pair[rows, images.labels]
            if (which < 0).any():
                raise ValueError("an image with a label that was not expected")
            for index, distance, second in (near[:3, which], near[3:, which]):
                index = self.place[index.astype(int)]
                if not own:  # a real one is its own copy
                    copy = (rows < len(self.place)) & (facts.labels[rows] == images.labels)
                    index[copy] = self.place[rows[copy]]
                    second, distance = np.where(copy, distance, second), np.where(copy, 0, distance)
                kinds.append(Nearest(index, distance, second))
            return Neighbours(images.labels, *kinds)

    def draw(rng):
        order = rng.permutation(learned)
        held_out, seen = np.split(order, [len(order) // HELD_OUT])
        parts = [seen, held_out, tested][:door]
        real, place = np.concatenate(parts), np.empty(sum(map(len, parts)), int)
        place[real] = np.arange(len(real))
        seen, held_out, test = (numbered(k, facts.labels[k]) for k in (seen, held_out, tested))
        part = np.repeat(["training", "held_out", "test"][: len(parts)], [*map(len, parts)])
        reference = LookedUp(
            real=numbered(real, facts.labels[real]),
            centred=None,
            unseen=part == part[-1],
            parts={name: part == name for name in np.unique(part)},
            test=test,
            judged=judged.take(tested),
            referee=None,
            classes=facts.classes,
            seed=0,
            place=place,
        )
        accept = None
        if door == 2:
            logits = facts.unknowing.copy()
            logits[numbers_of(seen.images)] = facts.knowing[numbers_of(seen.images)]
            accept = Filter(
                lambda pixels, training: logits[numbers_of(np.asarray(pixels))],
                temperature=facts.temperature,
                threshold=THRESHOLD,
                temperature_reconstructions=facts.temperature,
                temperature_real_images=facts.temperature,
            )
        return Split(vae=seen, classifier=seen, held_out=held_out, test=test), reference, accept

    return draw


class Drawn(NamedTuple):
    """One draw: all that an honest set of n images, or one with a fault, is asked about with."""

    facts: Facts
    n: int
    split: Split
    reference: object
    accept: object

    def through_the_door(self, rows: np.ndarray):
        """What passes of fresh images (k,), in this order: a Filtered of up to n images."""
        from trust.filter.filters import generate, sift_labelled
        from trust.filter.quotas import ClassQuota

        if self.accept is None:
            rows = rows[: self.n]
            return sift_labelled(numbered(rows, self.facts.labels[rows]), None)
        chunks = iter(np.split(rows, range(10_000, len(rows), 10_000)))
        return generate(
            lambda count: numbered(next(chunks)[:count]).images,
            self.accept,
            ClassQuota(-(-self.n // self.facts.classes), self.facts.classes),
            max_draws=min(DRAWS * self.n, len(rows)),
            progress=lambda: None,
        )

    def beside(self, subjects: list, rng):
        """What stands beside them, a Beside.  subjects: Filtered, of which the smallest counts."""
        from trust.ask.new import planted_rows
        from trust.controls import PLANTED, beside_submitted

        first, classes = subjects[0], self.facts.classes
        *_, copies = self.facts.kinds()
        wanted = max(len(planted_rows(len(first.passing))), PLANTED)
        copies = rng.permutation(copies)[:wanted]
        copies = {"noisy_copies": numbered(copies, self.facts.labels[copies])}
        if self.accept is None:
            found = beside_submitted(first, None, self.split, labelled=True, rng=rng)
        else:
            found = self.beside_real(first, rng)
        alike = [each.passing.counts(classes) for each in subjects]
        return replace(found, copies=copies, counts=np.min([found.counts, *alike], axis=0))

    def beside_real(self, accepted, rng):
        """As controls.beside_generated(), of images that are not drawn by a VAE: real ones stand
        where reconstructions do."""
        from trust.ask.questions import Beside
        from trust.data.images import join

        split, accept, classes = self.split, self.accept, self.facts.classes
        test = replace(accept.sift(split.test.images, split.test.labels), every=None, quota=None)
        held_out = accept.sift(split.held_out.images, split.held_out.labels)
        everything = join([split.vae, split.held_out])
        alike = [each.passing.counts(classes) for each in (accepted, test, held_out)]
        chosen = random_of_each_class(test.passing.labels, alike[0], rng)
        return Beside(
            counts=np.min(alike, axis=0),
            tested={"real": test},
            held_out={"real": held_out},
            like="real",
            known=test.passing,
            fresh={"real": test.passing.take(chosen)},
            copies={},
            accept=accept,
            pool=accept.sift(everything.images, everything.labels).passing,
        )

    def ask(self, question: str, subjects: list, rng, beside=None) -> list[tuple]:
        """(Verdict, numbers) of each of the subjects, Filtered."""
        from trust.ask.questions import look
        from trust.examination import ROOMS

        beside = beside or self.beside(subjects, rng)
        if question != "balanced":  # the others need no images of before the filter
            subjects = [replace(each, every=None, quota=None) for each in subjects]
        named = {f"{SET} {k}": each for k, each in enumerate(subjects)}
        asked, room = look(named, beside, self.reference, rng), ROOMS[question]
        sets = room.ask(asked, rng) if question == "right" else room.ask(asked)
        sets = sets[0] if question in ("varied", "new") else sets
        return [(room.verdict(sets[name], sets["real"]), sets[name]) for name in named]


# Faults that are planted.


def swap(drawn: Drawn, honest, share: float, rng):
    """Each label is another one with the probability `share`."""
    labels, classes = honest.passing.labels, drawn.facts.classes
    wrong = rng.random(len(labels)) < share
    labels = np.where(wrong, (labels + rng.integers(1, classes, len(labels))) % classes, labels)
    return replace(honest, passing=replace(honest.passing, labels=labels))


def rarest_class(facts: Facts, door: int) -> int:
    """The class that is rarest among all images that pass a door, not among those of one draw: that
    one may be so by chance."""
    from trust.train.inference import softmax

    real = slice(facts.learned + facts.tested + facts.fresh)
    if door == 3:
        labels = facts.labels[real]
    else:
        found = softmax(facts.unknowing[real], facts.temperature)
        labels = found.argmax(axis=1)[found.max(axis=1) >= THRESHOLD]
    names, counts = np.unique(labels, return_counts=True)  # of a class that never passes none lacks
    return int(names[np.argmin(counts)])


def thin(drawn: Drawn, rows: np.ndarray, label: int, share: float, rng):
    """Fresh images, rows (k,), of which those of a class are missing before the door with the
    probability `share`."""
    labels = drawn.facts.labels[rows]
    if drawn.accept is not None:
        labels = drawn.facts.unknowing[rows].argmax(axis=1)
    missing = (labels == label) & (rng.random(len(rows)) < share)
    return drawn.through_the_door(rows[~missing])


def plant(drawn: Drawn, honest, share: float, rng, exact: bool = False):
    """Each image is a noisy copy, or an exact one, of a learned image of its class with the
    probability `share`."""
    learned, *_, copies = drawn.facts.kinds()
    pool = learned if exact else copies
    passing = honest.passing
    rows = numbers_of(passing.images)
    for label in range(drawn.facts.classes):
        own = np.flatnonzero((passing.labels == label) & (rng.random(len(rows)) < share))
        rows[own] = rng.choice(pool[drawn.facts.labels[pool] == label], len(own))
    return replace(honest, passing=replace(passing, images=numbered(rows).images))


# Counting.


class Counts:
    """What is counted of one question, of one size, at one door."""

    def __init__(self, **where):
        self.where, self.images, self.words, self.detectable = where, [], [], []
        self.caught, self.lost = {}, {}

    def honest(self, images: int, verdict) -> None:
        self.images.append(images)
        self.words.append(verdict.word)
        self.detectable.append(verdict.detectable)

    def planted(self, fault: str, word: str, lost: float = math.nan) -> None:
        """lost: for *varied*, by how much recall is below that of honest sets."""
        self.caught.setdefault(fault, []).append(word in CAUGHT)
        self.lost.setdefault(fault, []).append(lost)

    def summary(self) -> dict:
        """The counts, and the median of `detectable` where it is a number."""
        known = [each for each in self.detectable if not math.isnan(each)]
        return self.where | {
            "images": float(np.mean(self.images)),
            "draws": len(self.words),
            "alarms": sum(word in CAUGHT for word in self.words),
            "fails": self.words.count(FAILS),
            "cannot_tell": self.words.count(CANNOT_TELL),
            "as_real": self.words.count(AS_REAL),
            "detectable": float(np.median(known)) if known else math.nan,
            "planted": {
                fault: {
                    "caught": sum(found),
                    "draws": len(found),
                    "recall_lost": float(np.mean(self.lost[fault])),
                }
                for fault, found in self.caught.items()
            },
        }


class Alarms:
    """The benchmark of one data set.  pixels: the images of all numbers but those of copies."""

    def __init__(self, facts: Facts, pixels: np.ndarray, seed: int):
        self.facts, self.rng = facts, np.random.default_rng([seed, 1])
        self.pixels = pixels
        self.doors = {door: build_door(facts, pixels, door) for door in (2, 3)}
        self.rarest = {door: rarest_class(facts, door) for door in self.doors}

    def draw(self, door: int, n: int) -> tuple[Drawn, np.ndarray]:
        """A Drawn, and all fresh images in random order."""
        drawn = Drawn(self.facts, n, *self.doors[door](self.rng))
        return drawn, self.rng.permutation(self.facts.kinds()[2])

    def three(self, door: int, n: int, draws: int, planted_each: int = FEWER) -> list[Counts]:
        """*Right*, *balanced* and *new*.  A fault of the size that the verdict calls detectable is
        planted in one of `planted_each` sets."""
        counts = {q: Counts(door=door, n=n, question=q) for q in ("right", "balanced", "new")}
        for i in range(draws):
            drawn, rows = self.draw(door, n)
            honest = drawn.through_the_door(rows)
            beside = drawn.beside([honest], self.rng)
            for question, count in counts.items():
                [(verdict, _)] = drawn.ask(question, [honest], self.rng, beside)
                count.honest(len(honest.passing), verdict)
                if i % planted_each or not verdict.detectable <= 1:  # also where it is NaN
                    continue
                share = verdict.detectable
                faults = self.faults(question, drawn)
                planted = [make(honest, share) for make in faults.values()]
                found = drawn.ask(question, planted, self.rng, beside)
                for fault, (verdict, _) in zip(faults, found, strict=True):
                    count.planted(fault, verdict.word)
        return [*counts.values()]

    def faults(self, question, drawn) -> dict:
        """{name: function of an honest set and a share} of what this question must catch."""
        rng = self.rng
        if question == "right":
            return {"swapped labels": lambda honest, share: swap(drawn, honest, share, rng)}
        if question == "new":
            return {
                "noisy copies": lambda honest, share: plant(drawn, honest, share, rng),
                "exact copies": lambda honest, share: plant(drawn, honest, share, rng, exact=True),
            }
        rows = rng.permutation(self.facts.kinds()[2])
        label = self.rarest[2 if drawn.accept else 3]
        return {"the rarest class thinned": lambda _, share: thin(drawn, rows, label, share, rng)}

    def varied(self, door: int, n: int, groups: int) -> list[Counts]:
        """*Varied*.  To save time, GROUP honest sets and those with faults are compared with the
        same random real ones, and have as many images of each class as the first of them, which is
        a random set.  Planted: of one half of each class a share is left out."""
        count = Counts(door=door, n=n, question="varied")
        for _ in range(groups):
            drawn, rows = self.draw(door, n)
            first = drawn.through_the_door(rows)
            sets = [first] + [self.alike(drawn, first) for _ in range(GROUP - 1)]
            names = [name for name in MODES for _ in range(GROUP_PLANTED)]
            sets += [self.alike(drawn, first, left_out=share) for share in names]
            found = drawn.ask("varied", sets, self.rng)
            for verdict, numbers in found[:GROUP]:
                count.honest(numbers["images"], verdict)
            recall = np.mean([numbers["recall"] for _, numbers in found[:GROUP]])
            for share, (verdict, numbers) in zip(names, found[GROUP:], strict=True):
                fault = f"{share:.0%} of a half of each class left out"
                count.planted(fault, verdict.word, lost=float(recall - numbers["recall"]))
        return [count]

    def alike(self, drawn, first, left_out=0.0):
        """Another set with as many images of each class as the first."""
        rows = self.rng.permutation(self.facts.kinds()[2])
        rows = rows[~(self.facts.mode[rows] & (self.rng.random(len(rows)) < left_out))]
        if drawn.accept is not None:
            return drawn.through_the_door(rows)
        own = random_of_each_class(
            self.facts.labels[rows], first.passing.counts(self.facts.classes), self.rng
        )
        return drawn.through_the_door(self.rng.permutation(rows[own]))


def line(found: dict) -> str:
    """A row of the table.  At most: the upper bound of the share of false alarms, with 95 %
    confidence."""
    draws = found["draws"]
    cells = [f"{found['door']:4}", f"{found['n']:7,}", f"{found['images']:9,.0f}"]
    cells += [f"{found['question']:9}", f"{draws:6}"]
    most = upper_bound(found["alarms"], draws)
    cells += [f"{found['alarms']:6} {most:8.1%} {found['cannot_tell'] / draws:12.1%}"]
    caught = [
        f"{each['caught'] / each['draws']:.0%} of {each['draws']} {name}"
        + ("" if math.isnan(each["recall_lost"]) else f" (recall {-each['recall_lost']:+.3f})")
        for name, each in found["planted"].items()
    ]
    return " ".join([*cells, f"{found['detectable']:11.4f}", "  ", ", ".join(caught)])


def print_line(found: dict) -> None:
    print(line(found), flush=True)


HEAD = "door       n    images question   draws alarms  at most  cannot tell  detectable    caught"


def parse_arguments():
    parser = cli.Parser(description="How often are honest images called worse?")
    add = parser.add_argument
    add("--dataset", metavar="NAME", choices=list(datasets.BUNDLED), default="mnist")
    add("--draws", metavar="N", type=cli.positive_int, default=150, help="honest sets of each size")
    add("--seed", metavar="N", type=cli.seed, default=0)
    kept = "what the networks say, written there and read if it is there: no training then"
    add("--keep", metavar="FILE.npz", type=cli.path, help=kept)
    add("--report", metavar="FILE", type=cli.path, help="the counts as JSON")
    return parser.parse_args()


def run(alarms: Alarms, draws: int, sizes=SIZES, say: Callable[[dict], None] = print) -> list[dict]:
    """All counts, {key: number} of each question, size and door."""
    found = []
    for door in alarms.doors:
        for n in sizes:
            some = max(draws // (FEWER if n >= LARGE else 1), 1)
            groups = max(some // FEWER // GROUP, 1)
            for each in alarms.three(door, n, some) + alarms.varied(door, n, groups):
                found.append(each.summary())
                say(found[-1])
    return found


def prepare_alarms(data: datasets.Dataset, seed: int, keep: str | None, clock: cli.Clock) -> Alarms:
    """The Alarms of a data set.  keep: as for prepare()."""
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        import tensorflow  # noqa: F401
    facts = prepare(data, seed, keep, clock)
    return Alarms(facts, in_order(data, np.random.default_rng(seed)).images, seed)


def main():
    given = parse_arguments()
    data = datasets.load_dataset(given.dataset)
    clock = cli.Clock()
    alarms = prepare_alarms(data, given.seed, given.keep, clock)
    facts = alarms.facts
    learned, test, fresh, _ = facts.kinds()
    for name, rows in (("learned", learned), ("test", test), ("fresh", fresh)):
        wrong = np.mean(facts.judged_labels[rows] != facts.labels[rows])
        print(f"{name}: {len(rows):,} images, the referee is wrong on {wrong:.2%}")
    print(f"{data.name}\n{HEAD}")
    with clock("examining"):
        found = run(alarms, given.draws, say=print_line)
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
