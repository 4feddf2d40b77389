"""Panels that strangers wrote, and what our verdicts make of them.

python -m benchmarks.strangers --report strangers.json

Checks: Raisa, van Breugel & van der Schaar 2025 let two distributions of points differ in one known
way and look whether metrics notice.  Here the verdict of *varied* is asked, which should be *as
real* where the distributions are equal, and *worse* or *fails* where they differ.  A point is its
own features.  A network that tells images from real ones has no use for points, so *realistic* is
not asked.

Moons: Meehan, Chaudhuri & Dasgupta 2020 draw from a kernel density on points of two moons.  A
narrow kernel copies, a wide one underfits.  Beside their statistic stand the verdicts of *new* and
of *varied*.

Labels: those of fifteen test images of MNIST found no majority among five people (Northcutt,
Athalye & Mueller 2021).  Where does the order of `--scores` put them?
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trust import cli, outputs
from trust.ask.verdicts import AS_REAL, CAUGHT
from trust.data import datasets
from trust.data.images import ImageSet

Sampler = Callable[[np.random.Generator, int], np.ndarray]  # n -> points (n, d) float64

N, REAL = 1000, 10_000  # points of a set and of the test set; more real ones, to see what is chance
DRAWS = 3  # sets of each kind


# The checks


class Setting(NamedTuple):
    """check: its name.  name: of this setting.  real, yours: how real points and those of a set of
    n are drawn.  equal: whether the verdict should be *as real*."""

    check: str
    name: str
    real: Sampler
    yours: Sampler
    equal: bool
    n: int = N


def normal(mean, scale, d: int) -> Sampler:
    """Normal points in d dimensions.  mean, scale: of all dimensions, or (d,)."""
    return lambda rng, n: mean + scale * rng.standard_normal((n, d))


def modes(centres: np.ndarray, scale: float, shares) -> Sampler:
    """Normal points about centres (k, d), of which each is chosen in proportion to shares (k,)."""
    shares = np.asarray(shares, float) / np.sum(shares)

    def draw(rng, n):
        chosen = centres[rng.choice(len(centres), n, p=shares)]
        return chosen + scale * rng.standard_normal(chosen.shape)

    return draw


def with_outlier(draw: Sampler, place: float) -> Sampler:
    """The same, but the last point is an outlier."""
    return lambda rng, n: np.append(points := draw(rng, n - 1), points[:1] * 0 + place, axis=0)


def sphere(radius: float, d: int) -> Sampler:
    """Points on the surface of a sphere."""

    def draw(rng, n):
        points = rng.standard_normal((n, d))
        return radius * points / np.linalg.norm(points, axis=1, keepdims=True)

    return draw


def ball(rng, n):
    """Points in a ball that fits into the hole of the torus."""
    return 0.8 * sphere(1, 3)(rng, n) * rng.random((n, 1)) ** (1 / 3)


def torus(rng, n):
    """Points in a ring of radius 1 and thickness 0.2."""
    (around, across), away = 2 * np.pi * rng.random((2, n)), 0.1 * rng.random(n) ** 0.5
    out = 1 + away * np.cos(across)
    return np.stack([out * np.cos(around), out * np.sin(around), away * np.sin(across)], axis=1)


def cube(start: float, d: int) -> Sampler:
    return lambda rng, n: start + rng.random((n, d))


def heavy(mean: float) -> Sampler:
    """A normal dimension, and one with a tail so heavy that it has no variance."""
    return lambda rng, n: np.stack([mean + rng.standard_normal(n), 1 + rng.pareto(1.01, n)], axis=1)


def rounded(draw: Sampler) -> Sampler:
    return lambda rng, n: np.round(draw(rng, n))


LENGTHS = {1: 6.0, 8: 3.0, 64: 1.0}  # the largest mean in so many dimensions
WIDTHS = {1: 1e3, 8: 10.0, 64: 10**0.5}  # the largest scale
MODE_WIDTHS = {1: 1 / 6, 8: 1 / 3, 64: 1.0}


def settings() -> Iterator[Setting]:
    """All settings of all checks, after the authors' own code."""
    for d, far in LENGTHS.items():
        dims, real = f"d = {d}", normal(0, 1, d)
        for share in (0, 0.25, 0.5, 1):
            name, yours = f"{dims}, mean {share * far:g}", normal(share * far, 1, d)
            yield Setting("mean of a Gaussian", name, real, yours, share == 0)
        for mean in (0, far):
            name, yours = f"{dims}, mean {mean:g}", normal(mean, 1, d)
            check, equal = "... with an outlier", mean == 0
            yield Setting(check, f"{name}, among real ones", with_outlier(real, far), yours, equal)
            yield Setting(check, f"{name}, in the set", real, with_outlier(yours, far), equal)
        for power in (-1, -0.5, 0, 0.5, 1):
            scale = WIDTHS[d] ** power
            name, yours = f"{dims}, scale {scale:.3g}", normal(0, scale, d)
            yield Setting("scale of a Gaussian", name, real, yours, power == 0)
    for d, width in MODE_WIDTHS.items():
        dims, centres = f"d = {d}", np.linspace(0, 10, 10)[:, None] * np.ones(d)
        ten = modes(centres, width, np.ones(10))
        for dropped in (0, 1, 5, 9):
            yours = modes(centres, width, np.arange(10) < 10 - dropped)
            name = f"{dims}, {dropped} dropped"
            yield Setting("ten modes dropped one by one", name, ten, yours, not dropped)
        for share in (0, 0.25, 0.5, 0.75, 1):
            yours = modes(centres, width, np.where(np.arange(10), 1 - share, 1))
            name = f"{dims}, by {share:.0%}"
            yield Setting("nine of ten modes thinned", name, ten, yours, not share)
        for gap in (0, 2.5, 5):
            two = modes(np.array([[-gap / 2], [gap / 2]]) * np.ones(d), 1, [1, 1])
            yours = normal(0, (1 + gap**2 / 4) ** 0.5, d)
            yield Setting("one mode for two", f"{dims}, gap {gap:g}", two, yours, not gap)
    centres = 10 * np.random.default_rng(5).standard_normal((10, 2))
    for count in (1, 3, 4, 5, 6, 10):
        real, yours = (modes(centres, 0.25, np.arange(10) < k) for k in (5, count))
        check = "five modes, dropped or invented"
        yield Setting(check, f"{count} modes", real, yours, count == 5)
    for d in (2, 16, 128):
        for radius in (0.1, 0.55, 1, 1.45, 1.9):
            name = f"d = {d}, radius {radius}"
            check = "surface of a sphere"
            yield Setting(check, name, sphere(1, d), sphere(radius, d), radius == 1)
    for d in LENGTHS:
        check = "hypercubes with a fifth in common"
        yield Setting(check, f"d = {d}, the same", cube(0, d), cube(0, d), True)
        for n in (100, 1000, 10_000):
            moved = cube(1 - 0.2 ** (1 / d), d)
            yield Setting(check, f"d = {d}, n = {n}", cube(0, d), moved, False, n)
    for real, other, name in ((ball, torus, "in a torus"), (torus, ball, "in a ball")):
        yield Setting("ball and torus", f"{name}: the other", other, other, True)
        for n in (100, 1000, 10_000):
            yield Setting("ball and torus", f"{name}, n = {n}", real, other, False, n)
    for scale in (1e-3, 1, 1e3):
        scales = np.array([1, scale])
        real, moved = normal(0, scales, 2), normal(np.array([6, 0]), scales, 2)
        for name, yours in (("the same", real), ("the other disjoint", moved)):
            check = "one of two dimensions scaled"
            yield Setting(check, f"by {scale:g}, {name}", real, yours, yours is real)
    for mean in (0, 1.5, 3, 6):
        yield Setting("a heavy tail", f"mean {mean:g}", heavy(0), heavy(mean), mean == 0)
    for more in (1, 10, 100, 1000):
        d, check = more + 1, "one disjoint dimension among many"
        moved = normal(6.0 * (np.arange(d) == 0), 1, d)
        yield Setting(check, f"d = {d}, the same", normal(0, 1, d), normal(0, 1, d), True)
        yield Setting(check, f"d = {d}", normal(0, 1, d), moved, False)
    for scale in (1, 10, 100, 1000):
        smooth, check = normal(0, scale, 1), "discrete and continuous"
        whole = rounded(smooth)
        for name, real, yours in (
            ("both discrete", whole, whole),
            ("real ones discrete", whole, smooth),
            ("real ones continuous", smooth, whole),
        ):
            yield Setting(check, f"scale {scale}, {name}", real, yours, real is yours)


# Our verdicts on points


class Seen(NamedTuple):
    """What a referee would say of points: they are their own features (n, d)."""

    features: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self.features), int)  # that of the one class

    def take(self, rows):
        return Seen(self.features[rows])


@dataclass(frozen=True, eq=False)
class Points:
    """A Reference for points (n, d) of one class, which cannot be moved.

    test: (n, d) float.  real: points that a generator has seen and others; unseen: (m,) bool, which
    are the others.
    """

    test: np.ndarray
    real: ImageSet | None = None
    unseen: np.ndarray | None = None
    classes = 1

    @property
    def judged(self) -> Seen:
        return Seen(self.test)

    @property
    def parts(self) -> dict:
        return {"seen": ~self.unseen, "unseen": self.unseen}

    def judge(self, points: np.ndarray) -> Seen:
        return Seen(points)

    def within(self, points: ImageSet):
        from trust.ask.neighbours import gaps_within

        return gaps_within(points)

    def neighbours(self, sets: dict, own: dict | None = None) -> dict:
        from trust.ask.neighbours import Neighbours, nearest_of_class

        known, own = self.real, own or {}
        found = {}
        for name, each in sets.items():
            nearest = nearest_of_class(
                each.images, each.labels, known.images, known.labels, own.get(name)
            )
            found[name] = Neighbours(each.labels, nearest, nearest)
        return found


def labelled(points: np.ndarray) -> ImageSet:
    """Points, all of one class."""
    return ImageSet(points, np.zeros(len(points), int))


def asked_about(points: np.ndarray, more: np.ndarray, reference: Points, rng, copies=None):
    """The Asked about points (n, d).  more: (m, d), real points that are neither in the reference
    nor seen.  copies: (k, d), or None."""
    from trust.ask.questions import Asked, Beside
    from trust.filter.filters import Filtered

    yours, pool = labelled(points), labelled(more)
    beside = Beside(
        counts=np.array([len(points)]),
        tested={},
        held_out={"real": Filtered(pool)},
        like="real",
        known=pool,
        fresh={},
        copies={} if copies is None else {"noisy_copies": labelled(copies)},
        pool=pool if copies is None else None,
    )
    return Asked(
        subjects={"yours": Filtered(yours)},
        beside=beside,
        reference=reference,
        rows={"yours": np.arange(len(points))},
        judged={"yours": Seen(points)},
        sampled={},
        sampled_confidence={},
        judged_tested={},
        judged_held_out={},
        rng=rng,
    )


def varied_word(points: np.ndarray, test: np.ndarray, more: np.ndarray, rng) -> str:
    """The verdict of *varied* on points (n, d) beside real ones."""
    from trust.ask import varied

    sets, _ = varied.ask(asked_about(points, more, Points(test), rng))
    return varied.verdict(sets["yours"], sets["real"]).word


def check_setting(setting: Setting, draws: int, seed: int) -> dict:
    """What a report says of a setting: the words of its draws."""
    words = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        test, more = setting.real(rng, N), setting.real(rng, REAL)
        words.append(varied_word(setting.yours(rng, setting.n), test, more, rng))
    return {
        "check": setting.check,
        "setting": setting.name,
        "equal": setting.equal,
        "words": words,
    }


def right(found: dict) -> int:
    """How many words about a setting are right."""
    return sum(word == AS_REAL if found["equal"] else word in CAUGHT for word in found["words"])


# The moons

TRAINING, TESTED, CELLS = 2000, 1000, 5  # points of the authors
MOONS_NOISE = 0.2
KERNELS = np.logspace(-3, 1, 13)  # widths of the kernel; the authors' range
COPIED, WIDE = 1e-4, 1.0  # widths of hidden copies, and of the draws that they hide among
SHARES = 0.0, 0.01, 0.02, 0.05, 0.1, 0.2  # of hidden copies
SURE = 3.0  # C_T is in standard deviations
COPIES, FITS, UNDERFITS = "copies", "fits", "underfits"


def moons(rng, n: int) -> np.ndarray:
    """Points (n, 2) of two half circles that reach into each other, with normal noise."""
    angle, lower = np.pi * rng.random(n), np.arange(n) % 2
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points[lower == 1] = [1, 0.5] - points[lower == 1]
    return points + MOONS_NOISE * rng.standard_normal((n, 2))


def from_kernels(training: np.ndarray, width: float, n: int, rng) -> np.ndarray:
    """n draws from normal kernels about the training points (m, d)."""
    return normal(training[rng.integers(0, len(training), n)], width, training.shape[1])(rng, n)


def squared_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) of points (n, d) and others (m, d)."""
    return ((points[:, None] - others) ** 2).sum(axis=2)


def cells_of(training: np.ndarray, rng, rounds: int = 30) -> np.ndarray:
    """The centres of CELLS cells of the training points, by k-means: (CELLS, d)."""
    centres = training[rng.choice(len(training), CELLS, replace=False)]
    for _ in range(rounds):
        cell = squared_distances(training, centres).argmin(axis=1)
        centres = np.stack([training[cell == k].mean(axis=0) for k in range(CELLS)])
    return centres


def z_of_ranks(values: np.ndarray, others: np.ndarray) -> float:
    """By how many standard deviations values (n,) are above others (m,) by the count of pairs in
    which they are, an equal pair counting half (Mann & Whitney 1947)."""
    n, m, known = len(values), len(others), np.sort(others)
    above = sum(np.searchsorted(known, values, side).sum() for side in ("left", "right")) / 2
    return float((above - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5)


def copying(points: np.ndarray, tested: np.ndarray, training: np.ndarray, centres) -> float:
    """C_T of points (n, d): below 0 if they are nearer to the training points than test points are,
    above 0 if they are farther away.  The mean of z_of_ranks() of the cells about the centres that
    have more than 20 of the points, weighted by the test points in each."""
    sets = points, tested, training
    cells = [squared_distances(each, centres).argmin(axis=1) for each in sets]
    found, weights = [], []
    for k in range(len(centres)):
        own, others, known = (each[cell == k] for each, cell in zip(sets, cells, strict=True))
        if len(own) > 20 and len(others):
            near = [squared_distances(each, known).min(axis=1) for each in (own, others)]
            found.append(z_of_ranks(*near))
            weights.append(len(others))
    return float(np.average(found, weights=weights))


def about_moons(draw: Callable, draws: int, seed: int) -> dict:
    """What a report says of points that draw(training points, rng) makes.

    *New* knows the same points as C_T: those of training are seen, the tested ones are not.
    """
    from trust.ask import new

    found: dict[str, list] = {"copying": [], "lean": [], "new": [], "varied": []}
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        training, tested = moons(rng, TRAINING), moons(rng, TESTED)
        centres, points = cells_of(training, rng), draw(training, rng)
        real = labelled(np.concatenate([training, tested]))
        reference = Points(tested, real, unseen=np.arange(len(real)) >= TRAINING)
        copies = from_kernels(training, COPIED, TESTED, rng)
        sets, _ = new.ask(asked_about(points, moons(rng, N), reference, rng, copies))
        found["copying"].append(copying(points, tested, training, centres))
        found["lean"].append(sets["yours"]["lean"])
        found["new"].append(new.verdict(sets["yours"]).word)
        found["varied"].append(varied_word(points, tested, moons(rng, REAL), rng))
    return found


def says(copying: float) -> str:
    """What C_T says."""
    return COPIES if copying < -SURE else UNDERFITS if copying > SURE else FITS


def moons_panel(draws: int, seed: int) -> tuple[list[dict], list[dict]]:
    """What a report says of each width of the kernel, and of each share of hidden copies."""

    def hidden(training, rng, share):
        copies = round(share * N)
        parts = (COPIED, copies), (WIDE, N - copies)
        return np.concatenate([from_kernels(training, *part, rng) for part in parts])

    widths = [
        {"width": width}
        | about_moons(lambda known, rng, w=width: from_kernels(known, w, N, rng), draws, seed)
        for width in KERNELS.tolist()
    ]
    shares = [
        {"copies": share}
        | about_moons(lambda known, rng, s=share: hidden(known, rng, s), draws, seed)
        for share in SHARES
    ]
    return widths, shares


# Labels that people dispute

# Rows of MNIST's test set, from cleanlab/label-errors, mturk/mnist_mturk.json.
DISPUTED = 947, 1621, 1901, 2130, 2462, 2597, 2654, 3520
DISPUTED += 3558, 5937, 6651, 6783, 8527, 9679, 9729
FIRST = 15, 50, 100, 138


def disputed_ranks(labels, referee_labels, confidence) -> list[int]:
    """The places of the DISPUTED images in the order of `--scores`, from 1 on, in rising order.
    labels, referee_labels, confidence: (n,), of MNIST's test images."""
    from trust.show.scores import by_doubt

    order = by_doubt(labels, referee_labels, confidence)
    return (np.flatnonzero(np.isin(order, DISPUTED)) + 1).tolist()


def disputed_panel() -> list[int]:
    """disputed_ranks() by the bundled referee."""
    from trust.train import referee

    test = datasets.load_dataset("mnist").test
    judged = referee.judge(referee.bundled_referee("mnist"), test.images)
    return disputed_ranks(test.labels, judged.labels, judged.confidence)


def parse_arguments():
    parser = cli.Parser(description="What do our verdicts make of panels that strangers wrote?")
    add = parser.add_argument
    add("--draws", metavar="N", type=cli.positive_int, default=DRAWS, help="sets of each kind")
    add("--seed", metavar="N", type=cli.seed, default=0)
    add("--report", metavar="FILE", type=cli.path, help="the verdicts as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        import trust.train.referee  # noqa: F401
    checks = []
    with clock("checks"):
        for each in settings():
            checks.append(check_setting(each, given.draws, given.seed))
            if right(checks[-1]) < given.draws:
                print(f"missed: {each.check}, {each.name}: {', '.join(checks[-1]['words'])}")
        hits, asked = sum(map(right, checks)), len(checks) * given.draws
        print(f"{hits} of {asked} right")
    with clock("moons"):
        widths, shares = moons_panel(given.draws, given.seed)
        for each in widths + shares:
            print(", ".join(f"{key} {value}" for key, value in each.items()))
    with clock("disputed labels"):
        ranks = disputed_panel()
        print("places: " + ", ".join(map(str, ranks)))
    if given.report:
        found = {"checks": checks, "widths": widths, "shares": shares, "disputed": ranks}
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
