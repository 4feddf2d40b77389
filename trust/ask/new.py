"""Question 5, are the images new? Is one a copy, and are they nearer to what was seen?"""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from trust.ask.neighbours import Nearest, Neighbours
from trust.ask.questions import Asked
from trust.ask.reference import Reference
from trust.ask.verdicts import FALSE_ALARM, POWER, Scale, Verdict, decide
from trust.data.images import ImageSet, random_of_each_class
from trust.statistics import Z95, least_hits, ratio, share_with_hits, z_of_difference
from trust.train.referee import Judged

RARE = 500  # an image is flagged if it is as close as one real image in so many
MEASURED = 4000  # real images at least, if there are so many, that say how close that is
COPIES_ALARM = FALSE_ALARM / 4  # the false alarms of each of the two counts of flagged images
LEAN_Z = -3.2  # z of a lean that is more than chance; three are asked
LEAST_SHARE = 0.05  # new is as real only if this share of noisy copies would have been found
LEANS = {  # {key: (of so many percent of the images, the closest; whether also centred)}
    "lean_z": (100, False),
    "closest_5_lean_z": (5, False),
    "closest_5_moved_lean_z": (5, True),
}
LARGE_LEAN = 0.5  # new fails at this lean, and is as real only if it would have shown
SENSITIVE = 0.5  # share of noisy copies that must be flagged, or the images do not suit the count
DEPTHS = (100, 5, 1)  # percent of the images, the closest in the order of Nearest.closest()
SHOWN_DOSE = 5  # percent of copies among the real images of copies.png
FIXED = 1e-9  # a count with a smaller variance is not left to chance
MEASURE = "measure"  # the name of the real images that say what to expect


def ask(asked: Asked) -> tuple[dict, dict]:
    """{set: {key: number}} and {set: Neighbours}: of the subjects, of what nobody has seen, of real
    images with planted copies, and of the real images that say what to expect.  The numbers of
    "planted" are the smallest shares of copies that are found in four of five cases."""
    beside, reference = asked.beside, asked.reference
    # The rows of the pool are places in reference.real, which begins with the same images.
    pool = beside.pool
    if pool is None:
        pool = replace(reference.real, rows=np.arange(len(reference.real)))
    labels = np.concatenate([each.passing.labels for each in asked.subjects.values()])
    most = max(len(filtered.passing) for filtered in asked.subjects.values())
    mix = np.bincount(labels, minlength=reference.classes) / max(len(labels), 1)
    rng, sought, own = asked.rng.spawn(1)[0], {}, {}
    if "real" not in beside.fresh:
        real, pool = draw_real(pool, most * mix, rng, pool.counts(reference.classes) // 2)
        sought["real"], own["real"] = real, real.rows
    measure, _ = draw_real(pool, max(most, MEASURED) * mix, rng)
    sought[MEASURE], own[MEASURE] = measure, measure.rows
    fresh = beside.fresh | {name: each.passing for name, each in asked.subjects.items()}
    disputed = {
        name: differing(each.passing, asked.judged[name]) for name, each in asked.subjects.items()
    }
    others = {(name, "disputed"): images for name, (_, images) in disputed.items()}
    neighbours = reference.neighbours(sought | fresh | beside.copies | others, own)
    for name, (rows, _) in disputed.items():
        neighbours[name] = nearer_of_both(
            neighbours[name], neighbours.pop((name, "disputed")), rows
        )
    flagged = {}
    for name in beside.copies:
        copies = neighbours[name]
        flagged[name] = max(flag(copies, neighbours[MEASURE]).mean(axis=1))
        neighbours[name] = plant(neighbours["real"], copies)
    sets = {
        name: examine_newness(
            neighbours[name], neighbours[MEASURE], reference, flagged.get("noisy_copies", math.nan)
        )
        for name in ("real", *fresh)
    }
    if beside.near_copies:
        for numbers in sets.values():
            numbers["near_copies"] = beside.near_copies
    limit = copies_limit(most, len(measure))
    planted = {name: smallest_share(most, limit, share) for name, share in flagged.items()}
    return sets | {"planted": planted}, neighbours


def verdict(numbers: dict, real: dict | None = None) -> Verdict:
    """The verdict from examine_newness().  More flagged images than chance makes fail, because they
    are copies; so does a large lean, to what was seen or to what was not.  A lean is worse.  One
    cannot tell where a large lean to seen images, or a few noisy copies, would not have shown.
    Where unseen images are copies of seen ones, a lean says nothing."""
    z, exchangeable = numbers["lean_z"], not numbers.get("near_copies")
    to_seen = z < LEAN_Z and numbers["lean"] > LARGE_LEAN
    to_unseen = z > -LEAN_Z and numbers["seen_share"] < (1 - LARGE_LEAN) * numbers["expected_share"]
    doubt = "" if exchangeable else "near copies in the data"
    if not numbers["lean_detectable"] <= LARGE_LEAN:  # also where it is NaN
        doubt = "a lean of half would not have shown"
    if numbers["flagged_noisy"] < SENSITIVE and not numbers["detectable"] <= LEAST_SHARE:
        doubt = "no copies could have been found"
    return decide(
        fails=_most_copies(numbers) >= numbers["copies_limit"]
        or (exchangeable and (to_seen or to_unseen)),
        worse=exchangeable and any(numbers[key] < LEAN_Z for key in LEANS),
        detectable=numbers["detectable"],
        bound=LEAST_SHARE,
        doubt=doubt,
    )


def scale(numbers: dict, real: dict) -> Scale:
    """The share whose nearest real image was seen, between what is expected and that of a large
    lean, whichever way they lean; or the count of flagged images, where there are copies."""
    copied = _most_copies(numbers) >= numbers["copies_limit"]
    return scale_by("copies" if copied else "seen_share", numbers, real)


def scale_by(key: str, numbers: dict, real: dict) -> Scale:
    """The Scale of the lean, "seen_share", or of the flagged images, "copies"."""
    if key == "copies":
        copies, limit = _most_copies(numbers), numbers["copies_limit"]
        expected = numbers["copies_expected"]
        return Scale("copies", number=copies, real=expected, real_high=limit, fails_at=limit)
    seen, expected, z = (numbers[key] for key in ("seen_share", "expected_share", "lean_z"))
    deviation = abs((seen - expected) / z) if z else math.nan
    bound, shows_from = (
        1 - (1 - expected) * (1 - lean) for lean in (LARGE_LEAN, numbers["lean_detectable"])
    )
    if z > -LEAN_Z:  # to unseen ones
        bound, shows_from = expected * (1 - LARGE_LEAN), math.nan
    return Scale(
        "seen_share",
        number=seen,
        low=seen - Z95 * deviation,
        high=min(seen + Z95 * deviation, 1.0),
        real=expected,
        real_low=expected + LEAN_Z * deviation,
        real_high=expected - LEAN_Z * deviation,
        fails_at=bound,
        shows_from=shows_from,
    )


def evidence(numbers: dict, real: dict | None = None) -> dict:
    """By how many standard deviations the images lean."""
    return {key: -numbers[key] for key in LEANS}


def differs(numbers: dict, others: dict, n: int, m: int) -> float:
    """By how many standard deviations a set of n images is newer than another of m: by their counts
    of flagged images where one of them has copies, else by the lean beyond what is expected, to
    seen images or to unseen ones."""
    if not n * m:
        return math.nan
    found, other = (_most_copies(each) for each in (numbers, others))
    if found >= numbers["copies_limit"] or other >= others["copies_limit"]:
        return -z_of_difference(found / n, n, other / m, m)
    leans, errors = [], []
    for each in (numbers, others):
        lean = each["seen_share"] - each["expected_share"]
        leans.append(abs(lean))
        errors.append(abs(ratio(lean, each["lean_z"])))
    return ratio(leans[1] - leans[0], math.hypot(*errors))


def _most_copies(numbers):
    """The larger one of the two counts of flagged images."""
    return max(numbers["copies"], numbers["copies_moved"])


def differing(images: ImageSet, judged: Judged) -> tuple[np.ndarray, ImageSet]:
    """The rows (k,) of the images of which the referee says another class than their labels, and
    these images with its labels: a copy with a wrong label is among the images of another class."""
    rows = np.flatnonzero(images.labels != judged.labels)
    return rows, ImageSet(images.images[rows], judged.labels[rows])


def nearer_of_both(neighbours: Neighbours, others: Neighbours, rows: np.ndarray) -> Neighbours:
    """The Neighbours, but for those of the rows (k,) to which `others`, with other labels, are
    nearer."""
    nearer = others.moved.distance < neighbours.moved.distance[rows]
    labels, rows = neighbours.labels.copy(), rows[nearer]
    labels[rows] = others.labels[nearer]
    return neighbours.put(rows, others.take(nearer))._replace(labels=labels)


def draw_real(pool: ImageSet, counts, rng, most=None) -> tuple[ImageSet, ImageSet]:
    """counts (classes,) random images of each class of the pool, rounded up, or all that it has, or
    `most` (classes,); and the rest of it."""
    counts = np.ceil(counts).astype(int)
    counts = counts if most is None else np.minimum(counts, most)
    rows = random_of_each_class(pool.labels, counts, rng)
    return pool.take(rows), pool.take(np.delete(np.arange(len(pool)), rows))


def examine_newness(
    neighbours: Neighbours, measure: Neighbours, reference: Reference, flagged_noisy: float
) -> dict:
    """All numbers of this question about one set.  measure: Neighbours of real images.
    flagged_noisy: the share of planted noisy copies that are flagged."""
    limit = copies_limit(len(neighbours.labels), len(measure.labels))
    return {
        **seen_or_unseen(neighbours, reference.real.labels, reference.unseen, measure),
        **count_copies(neighbours, measure, reference.parts),
        "copies_limit": limit,
        "flagged_noisy": flagged_noisy,
        "detectable": smallest_share(len(neighbours.labels), limit, flagged_noisy),
    }


def flag(neighbours: Neighbours, measure: Neighbours) -> np.ndarray:
    """Which of n images are closer to one real image, beside the second nearest, than one in RARE
    of m other real images, `measure`: (2, n) bool, as they are, and if they may be centred.

    An image is flagged if its ratio is below the j-th smallest of the others, with j = m / RARE.
    If the images are real ones too, nothing tells the n from the m.  Then the count of flagged
    images has a beta-binomial distribution with the parameters j and m - j + 1, whatever that of
    the ratios is.  Equal ratios are not below one another, which makes the count smaller."""
    found = np.zeros((2, len(neighbours.labels)), bool)
    if len(measure.labels):
        j = _rank(len(measure.labels))
        for i in (1, 2):  # nearest and moved
            bound = np.partition(measure[i].ratio(), j - 1)[j - 1]
            found[i - 1] = neighbours[i].ratio() < bound
    return found


def _rank(m):
    return max(round(m / RARE), 1)


def copies_limit(n: int, m: int) -> int:
    """From how many flagged images of n on there are copies among them, where m others measure: as
    many honest images are flagged with a probability of at most COPIES_ALARM.  n + 1 where no
    count shows it."""
    if not m:
        return n + 1
    return least_hits(n, _rank(m), m - _rank(m) + 1, alarm=COPIES_ALARM)


def smallest_share(n: int, limit: int, flagged: float) -> float:
    """The smallest share of copies among n images that reaches the limit in four of five cases, if
    a share `flagged` of copies is flagged, and no other image; NaN where no share does."""
    if not flagged > 0:
        return math.nan
    share = share_with_hits(limit, n, POWER) / flagged
    return share if share <= 1 else math.nan


def count_copies(neighbours: Neighbours, measure: Neighbours, parts: dict) -> dict:
    """How many images flag() flags, how many of real ones would be, and in which part of the real
    images those lie that the flagged ones are close to.  parts: {name: (m,) bool}."""
    plain, moved = flag(neighbours, measure)
    twins = np.where(plain, neighbours.nearest.index, neighbours.moved.index)[plain | moved]
    n, m = len(plain), len(measure.labels)
    return {
        "copies": int(plain.sum()),
        "copies_moved": int(moved.sum()),
        "copies_expected": n * _rank(m) / (m + 1),
        **{f"copies_{name}": int(own[twins].sum()) for name, own in parts.items()},
    }


def plant(real: Neighbours, copies: Neighbours) -> Neighbours:
    """The Neighbours `real` of n images, after SHOWN_DOSE percent of the images are replaced by the
    first of the copies."""
    rows = planted_rows(len(real.labels))[: len(copies.labels)]
    some = copies.take(slice(len(rows)))
    labels = real.labels.copy()
    labels[rows] = some.labels
    return real.put(rows, some)._replace(labels=labels)


def planted_rows(n: int) -> np.ndarray:
    """The rows of n images that copies replace, SHOWN_DOSE percent of them: (k,) integer."""
    return np.arange(0, n, 100 // SHOWN_DOSE)


def seen_or_unseen(neighbours: Neighbours, real_labels, unseen, others=None) -> dict:
    """Whether images lie nearer to the real images that were seen than to those that were not.

    If the images owe nothing to which real images were seen, the marks seen and unseen are a random
    permutation over the real images of a class.  Let n images have N real images of their class, of
    which a share s is unseen, and let c_h of the n images have their nearest neighbour in h.  Then
    the count of unseen neighbours has mean s n and variance s (1 - s) N / (N - 1) (sum c_h^2 -
    n^2 / N).  This holds for any subset that is chosen without using the marks, such as the closest
    images, by the ratio of the distances to the nearest and to the second nearest real image.

    Where the unseen images are of another kind than the seen ones, for example by other writers,
    the marks are not exchangeable.  Then m other real images, of the kind of the seen ones, measure
    what to expect.  If d_h of them have their nearest neighbour in h, the mean is n / m times their
    count of unseen neighbours, and the variance has c_h - d_h n / m in the place of c_h.

    real_labels: (m,) integer.  unseen: (m,) bool.  others: Neighbours of real images that no
    network has seen, or None.  Returns a dict of floats, NaN where nothing can be said: the median
    distance; the share of nearest real images that were seen, as found and as expected; lean, how
    far the count of unseen ones falls short of the expected count, as a share of it; the smallest
    lean that would have shown; and z, the lean in standard deviations, negative for one to seen
    images: of all images, of the closest 5 %, and of these if images may also be centred.
    """
    counts = {
        key: _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved)
        for key, (percent, moved) in LEANS.items()
    }
    zs = {
        key: (found - expected) / math.sqrt(variance) if variance > FIXED else math.nan
        for key, (found, expected, variance) in counts.items()
    }
    found, expected, variance = counts["lean_z"]
    n = len(neighbours.labels) or math.nan
    error = math.sqrt(variance) / expected if expected and variance > FIXED else math.nan
    return {
        "nearest_distance_median": _median(neighbours.nearest.distance),
        "seen_share": 1 - found / n,
        "expected_share": 1 - expected / n,
        "lean": 1 - found / expected if expected else math.nan,
        "lean_detectable": detectable_lean(error),
        **zs,
    }


def detectable_lean(error: float) -> float:
    """The smallest lean that is found in four of five cases, or nearly: what to expect is taken as
    known, and the count of unseen neighbours varies less where there are fewer of them.  error: the
    standard deviation of the lean by chance, where there is none.  NaN where no lean is found."""
    chance, power = -LEAN_Z * error, NormalDist().inv_cdf(POWER) * error
    # lean = chance + power * root, where root is that of 1 - lean
    if not 0 < chance < 1:
        return math.nan
    root = (math.sqrt(power**2 + 4 * (1 - chance)) - power) / 2
    return 1 - root**2


def shares_by_depth(neighbours: Neighbours, real_labels, unseen, others=None, moved=False) -> list:
    """What a figure shows of seen_or_unseen, for each of the DEPTHS: (percent of the images,
    share of nearest images that were seen, expected share, standard deviation by chance)."""
    shares = []
    for percent in DEPTHS:
        counts = _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved)
        found, expected, variance = counts
        n = math.ceil(len(neighbours.labels) * percent / 100) or math.nan
        shares.append((percent, 1 - found / n, 1 - expected / n, math.sqrt(variance) / n))
    return shares


def _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved=False):
    """The count of unseen neighbours among the closest `percent` percent of the images, and its
    expected mean and variance."""
    labels, index = neighbours.closest(percent, moved)
    found, expected, variance = int(np.count_nonzero(unseen[index])), 0.0, 0.0
    if others is not None:
        # Twice that percentage of the others, at least 10: fewer would measure too little.
        other_labels, other_index = others.closest(min(max(2 * percent, 10), 100), moved)
    for label in np.unique(labels):
        pool = np.flatnonzero(real_labels == label)
        own, total = unseen[pool], len(pool)
        share, n = np.mean(own), np.count_nonzero(labels == label)
        counts = np.bincount(index[labels == label], minlength=len(unseen))[pool].astype(float)
        if others is not None and (m := np.count_nonzero(other_labels == label)):
            theirs = np.bincount(other_index[other_labels == label], minlength=len(unseen))[pool]
            expected += n / m * theirs[own].sum()
            counts -= n / m * theirs
        else:
            expected += share * n
        if total > 1:
            spread = np.sum(counts**2) - counts.sum() ** 2 / total
            variance += share * (1 - share) * total / (total - 1) * spread
    return found, float(expected), max(float(variance), 0.0)  # rounding can make it negative


def _median(distance):
    return float(np.median(distance)) if len(distance) else math.nan


def closest_of_each_class(labels, nearest: Nearest) -> dict:
    """{label: row of its closest image, in the order of Nearest.closest()}; labels (n,) integer."""
    order = nearest.closest(100)
    names, first = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), order[first].tolist(), strict=True))
