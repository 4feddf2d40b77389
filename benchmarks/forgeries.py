"""Does the examination catch generators that cheat, and does it pass one that does not?

python -m benchmarks.forgeries --dataset fashion_mnist --report forgeries.json

The training images are cut in three: the networks learn from a half, a sixth is held out, and the
last third is what forgeries are made from.  Nobody has learned from it, neither the referee, which
is trained here, nor the generator.  Each set is examined as `python -m trust` does it.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from trust import cli, outputs
from trust.ask.verdicts import CANNOT_TELL, CAUGHT, QUESTIONS
from trust.data import datasets
from trust.data.images import ImageSet, join
from trust.plan import new_streams

EPOCHS = 8  # of the VAE that draws reconstructions
LEAST = 1000  # training images
SIZES = (200, 1000, 10_000)  # images of a set
DRAWS, DRAWS_OF_LARGE, LARGE = 3, 1, 10_000  # sets of each size, and of sizes from LARGE on
DOSES = (1, 2, 5, 10, 20, 100)  # percent of forged images
WHOLE = (100,)  # of forgeries that are made from all images of a set
USEFUL_AT = 1000  # the size at which *useful* is asked, of one set with the largest dose
ENOUGH = 0.8  # the share of sets in which a forgery must be caught
THRESHOLD = 0.95  # of the filter
ROUNDS = 3  # times as much nonsense is made as is wanted, if too little of it passes
MARK = 6  # pixels of each side of a mark
SURE = 0.7  # the share of images that are easy
NOT_CAUGHT, NOT_ASKED, NONE_PASS = "not caught", "not asked", "too few pass"


class Kind(NamedTuple):
    """A way to cheat.

    caught_by: the questions of which one has to catch it; none for honest images.  forge: (Panel,
    honest ImageSet, numpy Generator) -> ImageSet of forged images, as many as honest ones; they
    take the places of the first of these.  doses: percent of a set that is forged.
    filtered: images without labels; the classifier names them, and only those that pass count.
    words: the verdicts that count as caught.
    """

    caught_by: tuple
    forge: Callable
    doses: tuple = DOSES
    filtered: bool = False
    words: tuple = CAUGHT

    def expected(self) -> list[str]:
        """Those of `caught_by` that are asked."""
        return [question for question in self.caught_by if question in QUESTIONS]


@dataclass(frozen=True, eq=False)
class Panel:
    """What forgeries are made from: three parts of the training images, the test images, and those
    of another data set; images of `fresh` whose labels the referee is surest of; a Generator that
    learned from `seen`; a Filter whose classifier did."""

    seen: ImageSet
    held_out: ImageSet
    fresh: ImageSet
    easy: ImageSet
    test: ImageSet
    strangers: np.ndarray
    generator: object
    accept: object
    classes: int


# What is forged


def honest_images(panel, honest, rng):
    return honest


def copies(parts: Iterable[str], change: Callable | None = None) -> Callable:
    """Copies of images of these parts of the Panel, of the same classes.  change: (Panel, images
    uint8, rng) -> images, what is done to them."""

    def forge(panel, honest, rng):
        from trust import controls

        known = join([getattr(panel, part) for part in parts])
        rows = controls.twins(honest.labels, known.labels, rng)
        images = known.images[rows]
        images = change(panel, images, rng) if change else as_floats(images)
        return ImageSet(images, honest.labels)

    return forge


def noisy(panel, images, rng):
    from trust import controls

    return controls.noisy_copies(images, rng)


def shifted(panel, images, rng):
    from trust import controls

    return controls.moved_by_two(noisy(panel, images, rng), rng)


def paler(panel, images, rng):
    """Of half the contrast."""
    return as_floats(images) / 2


def thicker(panel, images, rng):
    """Each pixel becomes the brightest of itself and its four neighbours."""
    pixels = as_floats(images)
    found = pixels.copy()
    for axis in (1, 2):
        one, other = np.swapaxes(found, 1, axis), np.swapaxes(pixels, 1, axis)  # views
        one[:, 1:] = np.maximum(one[:, 1:], other[:, :-1])
        one[:, :-1] = np.maximum(one[:, :-1], other[:, 1:])
    return found


def mirrored(panel, images, rng):
    return as_floats(images)[:, :, ::-1]


def marked(panel, images, rng):
    """With a white square in a corner."""
    images = as_floats(images).copy()
    images[:, :MARK, :MARK] = 1
    return images


def reconstructed(panel, images, rng):
    return panel.generator.reconstruct(images, rng)


def swapped(panel, honest, rng):
    """All labels are changed to another class, at random."""
    shift = rng.integers(1, panel.classes, len(honest))
    return replace(honest, labels=(honest.labels + shift) % panel.classes)


def named_by_classifier(panel, honest, rng):
    return ImageSet(honest.images, panel.accept.classify(honest.images).labels)


def easy_swapped(percent: float) -> Callable:
    """Images that are easy to name, with so many percent of their labels swapped."""

    def forge(panel, honest, rng):
        easy = panel.easy.take(rng.permutation(len(panel.easy))[: len(honest)])
        return mixed(easy, swapped(panel, easy, rng), percent)

    return forge


def thinned(label: int, share: float) -> Callable:
    """This share of the images of one class, and all images of the others."""

    def forge(panel, honest, rng):
        own = np.flatnonzero(honest.labels == label)
        return honest.take(np.delete(np.arange(len(honest)), own[int(share * len(own)) :]))

    return forge


def repeated(each: int) -> Callable:
    """Each class repeats its first `each` images, as often as it has images."""

    def forge(panel, honest, rng):
        rows = np.empty(len(honest), int)
        for label in np.unique(honest.labels):
            own = np.flatnonzero(honest.labels == label)
            rows[own] = np.resize(own[:each], len(own))
        return honest.take(rows)

    return forge


def twice(panel, honest, rng):
    """The first half of the images, each of them twice."""
    return honest.take(np.resize(np.arange((len(honest) + 1) // 2), len(honest)))


def nonsense(make: Callable) -> Callable:
    """make: (Panel, honest ImageSet, rng) -> images float32.  They have no labels."""
    return lambda panel, honest, rng: ImageSet(make(panel, honest, rng))


def noise(panel, honest, rng):
    return rng.random(honest.images.shape, np.float32)


def blends(panel, honest, rng):
    """The mean of each image and another."""
    return (honest.images + honest.images[rng.permutation(len(honest))]) / 2


def halves(panel, honest, rng):
    """The upper half of each image above the lower half of another."""
    images, middle = honest.images.copy(), honest.images.shape[1] // 2
    images[:, middle:] = images[rng.permutation(len(images)), middle:]
    return images


def halfway(panel, honest, rng):
    some = panel.seen.take(rng.permutation(len(panel.seen))[: 2 * len(honest)])
    return panel.generator.halfway(some, rng)[: len(honest)]


def inverted(panel, honest, rng):
    return 1 - honest.images


def class_means(panel, honest, rng):
    """The mean image of each class, with a little noise, so that no two are equal."""
    from trust import controls

    names = np.unique(panel.seen.labels)
    means = {name: panel.seen.images[panel.seen.labels == name].mean(axis=0) for name in names}
    images = np.stack([means[name] for name in rng.choice(names, len(honest))])
    return controls.noisy_copies(images, rng, noise=0.02)


def blurred(panel, honest, rng, passes=2):
    """Each pixel becomes the mean of 3 x 3 pixels, `passes` times."""
    images = honest.images
    height, width = images.shape[1:3]
    for _ in range(passes):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        images = (
            sum(padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)) / 9
        )
    return images.astype(np.float32)


def strange(panel, honest, rng):
    return as_floats(panel.strangers[rng.permutation(len(panel.strangers))[: len(honest)]])


REALISTIC = ("realistic", "varied")
KINDS = {
    "honest": Kind((), honest_images, WHOLE),
    "honest, filtered": Kind((), honest_images, WHOLE, filtered=True),
    "noisy copies": Kind(("new",), copies(["seen"], noisy)),
    "shifted copies": Kind(("new",), copies(["seen"], shifted)),
    "copies of half the contrast": Kind(("new",), copies(["seen"], paler)),
    "thicker copies": Kind(("new",), copies(["seen"], thicker)),
    "mirrored copies": Kind(("new",), copies(["seen"], mirrored)),
    "copies with a mark": Kind(("new",), copies(["seen"], marked)),
    "copies of unseen images": Kind(("new",), copies(["held_out"])),
    "copies of all real images": Kind(("new",), copies(["seen", "held_out", "test"])),
    "reconstructions of training images": Kind(("new",), copies(["seen"], reconstructed)),
    "swapped labels": Kind(("right",), swapped),
    "labels by a classifier": Kind(
        ("right",), named_by_classifier, WHOLE, words=(*CAUGHT, CANNOT_TELL)
    ),
    "easy images, 3 % swapped": Kind(("right",), easy_swapped(3), WHOLE),
    "easy images, 5 % swapped": Kind(("right",), easy_swapped(5), WHOLE),
    "ten images of each class": Kind(("varied",), repeated(10), WHOLE),
    "each image twice": Kind(("varied",), twice, WHOLE),
    "a class left out": Kind(("balanced",), thinned(0, 0), WHOLE),
    "a class at a tenth": Kind(("balanced",), thinned(0, 0.1), WHOLE),
    "uniform noise": Kind(REALISTIC, nonsense(noise), filtered=True),
    "blends of two images": Kind(REALISTIC, nonsense(blends), filtered=True),
    "halves of two images": Kind(REALISTIC, nonsense(halves), filtered=True),
    "half-way between two classes": Kind(REALISTIC, nonsense(halfway), filtered=True),
    "inverted": Kind(REALISTIC, nonsense(inverted), filtered=True),
    "class means": Kind(REALISTIC, nonsense(class_means), filtered=True),
    "blurred": Kind(REALISTIC, nonsense(blurred), filtered=True),
    "another data set": Kind(REALISTIC, nonsense(strange), filtered=True),
}


def as_floats(images):
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images


def mixed(honest: ImageSet, forged: ImageSet, dose: float) -> ImageSet:
    """The honest images, the first `dose` percent of them replaced by the first forged ones.  All
    of the forged ones, however many there are, at a dose of 100."""
    n = len(forged) if dose == 100 else round(len(honest) * dose / 100)
    return join([forged.take(slice(n)), honest.take(slice(n, None) if dose < 100 else slice(0))])


# How a forgery is examined


def in_three(labelled: ImageSet, rng, most: int | None) -> list[ImageSet]:
    """A half, a sixth and a third of the images, at random.  most: how many to use, None for
    all."""
    rows = rng.permutation(len(labelled))[:most]
    half, sixth = len(rows) // 2, len(rows) // 6
    return [labelled.take(part) for part in np.split(rows, [half, half + sixth])]


def make_panel(parts, data, seed: int):
    """The Panel, the Split that the sets are examined beside, and the referee.  parts: by
    in_three()."""
    from trust.data.splits import Split
    from trust.filter.filters import fit_filter
    from trust.generator import Generator
    from trust.train import loops, referee, saves, trained

    seen, held_out, fresh = parts
    split = Split(vae=seen, classifier=seen, held_out=held_out, test=data.test)
    judge = referee.build_referee(data.classes, data.pixels.shape)
    referee.train_referee(judge, seen, epochs=referee.epochs_for(len(seen)), seed=seed)
    vae = loops.new_vae(saves.DEFAULTS["latent_dim"], data.pixels, len(seen), seed)
    rate = saves.DEFAULTS["learning_rate"]
    loops.train_vae(vae, seen.images, EPOCHS, learning_rate=rate, seed=seed, verbose=0)
    generator = Generator(vae, None)
    classifier = trained.new_classifier(data, split, seed)
    blurry = generator.reconstruct(held_out.images, np.random.default_rng(seed))
    (other,) = {*datasets.BUNDLED} - {data.name}
    fresh = replace(fresh, images=as_floats(fresh.images))
    sure = referee.judge(judge, fresh.images).confidence
    easy = np.argsort(-sure, kind="stable")[: int(SURE * len(fresh))]
    panel = Panel(
        seen=seen,
        held_out=held_out,
        fresh=fresh,
        easy=fresh.take(easy),
        test=data.test,
        strangers=datasets.load_dataset(other).train.images,
        generator=generator,
        accept=fit_filter(classifier, held_out, blurry, THRESHOLD),
        classes=data.classes,
    )
    return panel, split, judge


def remembering(reference):
    """The Reference, which looks at each image once, however many sets it is in: many of them
    share their honest images."""
    from trust.ask.neighbours import Nearest, Neighbours
    from trust.ask.reference import Reference
    from trust.train.referee import Judged

    @dataclass(frozen=True, eq=False)
    class Remembering(Reference):
        memory: dict = field(default_factory=dict)

        def judge(self, images):
            def find(rows):
                found = super(Remembering, self).judge(images[rows])
                return np.column_stack([found.labels, found.confidence, found.features])

            keys = [digest(image) for image in images]
            found = once(self.memory, keys, find, 2 + 128)
            features = np.ascontiguousarray(found[:, 2:], np.float32)
            return Judged(found[:, 0].astype(int), features, found[:, 1])

        def neighbours(self, sets, own=None):
            own = own or {}
            return {name: self.neighbours_of(each, own.get(name)) for name, each in sets.items()}

        def neighbours_of(self, images, own):
            def find(rows):
                mine = {} if own is None else {"some": own[rows]}
                some = {"some": images.take(rows)}
                found = super(Remembering, self).neighbours(some, mine)["some"]
                return np.column_stack([*found.nearest, *found.moved])

            places = np.full(len(images), -1) if own is None else own
            pixels = map(digest, images.images)
            keys = [*zip(pixels, images.labels.tolist(), places.tolist(), strict=True)]
            found = once(self.memory, keys, find, 6)
            nearest, moved = (
                Nearest(three[:, 0].astype(int), three[:, 1], three[:, 2])
                for three in (found[:, :3], found[:, 3:])
            )
            return Neighbours(images.labels, nearest, moved)

    return Remembering(**vars(reference))


def digest(image) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest()


def once(memory: dict, keys: list, find: Callable, width: int) -> np.ndarray:
    """A row of `width` numbers for each key, (n, width) float64: from the memory, or found now and
    kept there.  find: places of keys (k,) -> (k, width)."""
    new = [i for key, i in {key: i for i, key in enumerate(keys)}.items() if key not in memory]
    if new:
        memory |= zip([keys[i] for i in new], find(np.array(new)), strict=True)
    return np.array([memory[key] for key in keys]).reshape(-1, width)


class Court:
    """Examines sets of images as `python -m trust` does: those with labels as they are, those
    without behind the filter."""

    def __init__(self, panel: Panel, split, referee, seed: int):
        from trust.ask.reference import build_reference
        from trust.controls import beside_submitted
        from trust.filter.filters import Filtered

        self.panel, self.seed = panel, seed
        self.passing = panel.accept.sift(panel.fresh.images).passing
        self.beside = {
            filtered: beside_submitted(
                Filtered(some),
                accept=panel.accept if filtered else None,
                split=split,
                labelled=not filtered,
                rng=np.random.default_rng(seed),
            )
            for filtered, some in ((False, panel.fresh), (True, self.passing))
        }
        self.reference = remembering(
            build_reference(
                split.vae, split.test, split.test, referee, seed, self.beside[False].like_seen
            )
        )

    def sets(self, kind: Kind, n: int, draw: int) -> dict:
        """{dose: ImageSet}, of n images each, or fewer where there are not so many; without the
        doses for which too few forged images pass the filter."""
        rng = np.random.default_rng([self.seed, n, draw])
        pool = self.passing if kind.filtered else self.panel.fresh
        shuffled = pool.take(rng.permutation(len(pool))[: ROUNDS * n])
        honest = shuffled.take(slice(n))
        if kind.forge is honest_images:
            return {100: honest}
        if kind.filtered:
            forged = self.passed(kind, shuffled, n, rng)
        else:
            forged = kind.forge(self.panel, honest, rng)
        have = {dose: mixed(honest, forged, dose) for dose in kind.doses}
        if not kind.filtered:
            return have
        return {
            dose: each
            for dose, each in have.items()
            if len(forged) >= round(len(honest) * dose / 100)
        }

    def passed(self, kind: Kind, real: ImageSet, n: int, rng) -> ImageSet:
        """n images of nonsense that pass the filter, or fewer: what is made of the first n real
        images, then of the next, until enough has passed."""
        kept = []
        for first in range(0, len(real), n):
            made = kind.forge(self.panel, real.take(slice(first, first + n)), rng)
            kept.append(self.panel.accept.sift(made.images).passing)
            if sum(map(len, kept)) >= n:
                break
        return join(kept).take(slice(n))

    def verdicts(self, images: ImageSet, kind: Kind, questions: Collection[str], draw: int) -> dict:
        """{question: word} about one set.  draw: its number, so that other real images are drawn to
        stand beside it than beside the others."""
        from trust.examination import examine
        from trust.filter.filters import Filtered

        yours = Filtered(replace(images, rows=np.arange(len(images))))
        beside = self.beside[kind.filtered]
        real = beside.held_out["real"].passing
        counts = [each.counts(self.panel.classes) for each in (images, real)]
        run = examine(
            {"yours": yours},
            replace(beside, counts=np.min(counts, axis=0)),
            self.reference,
            np.random.default_rng([self.seed, draw]),
            questions=questions,
            say=lambda line: None,
        )
        return {question: verdict.word for question, verdict in run.verdicts["yours"].items()}

    def examine(self, name: str, n: int, draws: int) -> list[dict]:
        """What a report says of a forgery in sets of n images, an entry for each set.  From the
        largest dose on, a question is asked as long as it catches the forgery: smaller doses do not
        count once a larger one is missed."""
        kind, found, catching = KINDS[name], [], QUESTIONS
        sets = [self.sets(kind, n, draw) for draw in range(draws)]
        for dose in sorted(kind.doses, reverse=True):
            entries = []
            for draw, own in enumerate(sets):
                if dose not in own:
                    continue
                # Networks learn from the set for these two: that takes long.
                train = {
                    "useful": n == USEFUL_AT and draw == 0 and dose == max(kind.doses),
                    "realistic": draw == 0 and kind.caught_by in ((), REALISTIC),
                }
                asked = [each for each in catching if train.get(each, True)]
                entries.append(
                    {
                        "forgery": name,
                        "n": n,
                        "images": len(own[dose]),
                        "dose": dose,
                        "draw": draw,
                        "verdicts": self.verdicts(own[dose], kind, asked, draw),
                    }
                )
            found += entries
            if entries:
                catching = [each for each in catching if is_caught(entries, each)]
            if not set(catching) - {"useful"}:
                break
        return found


# What is said of it


def is_caught(entries: list[dict], question: str) -> bool:
    """Whether the question caught a forgery in at least ENOUGH of the sets in which it was
    asked.  entries: those of one forgery, one size and one dose."""
    words = [each["verdicts"][question] for each in entries if question in each["verdicts"]]
    caught = [word in KINDS[entries[0]["forgery"]].words for word in words]
    return bool(caught) and sum(caught) >= ENOUGH * len(caught)


def summary(found: list[dict]) -> dict:
    """{(forgery, n): {question: text}}: "from 2 %" for the smallest dose from which on the question
    catches the forgery, "caught" where there is one dose only, an empty string where it does not,
    NOT_ASKED where nobody asked.
    Of honest sets, the words of the question and how often it gave each.

    found: the list of a report, or the lists of several seeds, one after the other.
    """
    texts: dict = {}
    for name, n in dict.fromkeys((each["forgery"], each["n"]) for each in found):
        own = [each for each in found if (each["forgery"], each["n"]) == (name, n)]
        texts[name, n] = {question: _text(own, question) for question in QUESTIONS}
    return texts


def _text(own, question):
    """What summary() says of one forgery and size."""
    kind = KINDS[own[0]["forgery"]]
    if not kind.caught_by:
        words = [each["verdicts"].get(question) for each in own]
        words = [word for word in words if word]
        return ", ".join(f"{word} {words.count(word)}" for word in dict.fromkeys(words))
    by_dose: dict = {}
    for each in sorted(own, key=lambda each: -each["dose"]):
        by_dose.setdefault(each["dose"], []).append(each)
    caught = [*takewhile(lambda dose: is_caught(by_dose[dose], question), by_dose)]
    if not caught:
        asked = any(question in each["verdicts"] for each in own)
        return "" if asked else NOT_ASKED
    return f"from {caught[-1]} %" if len(kind.doses) > 1 else "caught"


def as_expected(name: str, texts: dict) -> str:
    """What the questions that have to catch a forgery say of it, the one first that catches the
    smallest dose, or NOT_CAUGHT.  texts: {question: text} of summary()."""
    found = [texts[question] for question in KINDS[name].expected()]
    found = [text for text in found if text not in ("", NOT_ASKED)]
    return min(
        found, key=lambda text: int(text.split()[1]) if " " in text else 0, default=NOT_CAUGHT
    )


def parse_arguments():
    parser = cli.Parser(description="Does the examination catch generators that cheat?")
    add = parser.add_argument
    add("--dataset", metavar="NAME", choices=list(datasets.BUNDLED), default="mnist")
    few = "use N training images; all if left out"
    add("--images", metavar="N", type=cli.positive_int, help=few)
    add("--sizes", metavar="N", type=cli.positive_int, nargs="+", default=SIZES, help="of the sets")
    some = f"sets of each kind and size; {DRAWS_OF_LARGE} from {LARGE:,} images on"
    add("--draws", metavar="N", type=cli.positive_int, default=DRAWS, help=some)
    which = "the forgeries; all if left out"
    add("--kinds", metavar="KIND", choices=list(KINDS), nargs="+", default=[*KINDS], help=which)
    add("--seed", metavar="N", type=cli.seed, default=0)
    add("--report", metavar="FILE", type=cli.path, help="the verdicts as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data = datasets.load_dataset(given.dataset)
    if (given.images or LEAST) < LEAST:
        raise cli.UserError(f"--images {given.images}: at least {LEAST} are needed")
    clock, seed, found = cli.Clock(), given.seed, []
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.train import loops
    loops.make_reproducible(seed)
    parts = in_three(data.train, new_streams(seed).draws, given.images)
    with clock("training"):
        panel, split, referee = make_panel(parts, data, seed)
        court = Court(panel, split, referee, seed)
    for n in given.sizes:
        draws = min(given.draws, DRAWS_OF_LARGE) if n >= LARGE else given.draws
        with clock(f"examining sets of {n:,}"):
            for name in given.kinds:
                found += court.examine(name, n, draws)
                print_row(name, n, found)
    if given.report:
        outputs.write_json(given.report, found)


def print_row(name, n, found):
    """Prints what was found of a forgery, in the order of QUESTIONS."""
    own = [each for each in found if (each["forgery"], each["n"]) == (name, n)]
    if not own:
        print(f"{name}, n = {n:,}: {NONE_PASS}", flush=True)
        return
    (texts,) = summary(own).values()
    said = ", ".join(f"{question} {text or '-'}" for question, text in texts.items())
    if KINDS[name].caught_by:
        said = f"{as_expected(name, texts)} ({said})"
    print(f"{name}, n = {n:,}: {said}", flush=True)


if __name__ == "__main__":
    cli.run(main)
