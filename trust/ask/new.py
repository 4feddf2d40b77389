"""Question 4, are the images new? Was the nearest real image seen, or was it not?"""

import math

import numpy as np

from trust.ask.neighbours import Nearest, Neighbours
from trust.ask.questions import Asked
from trust.ask.reference import Reference
from trust.ask.verdicts import CAUGHT, Verdict, decide

DEPTHS = (100, 5, 1)  # percent of the images, the closest in the order of Nearest.closest()
DOSES = (1, 2, 5, 10)  # percent of copies that are planted among real images
SHOWN_DOSE = 5  # percent of copies among the real images of copies.png


def ask(asked: Asked) -> tuple[dict, dict]:
    """{set: {key: number}} and {set: Neighbours}: of the subjects, of what nobody has seen, and of
    real images with planted copies.  The numbers of "planted" are the smallest shares of copies
    that were found."""
    beside, reference, sets, planted = asked.beside, asked.reference, {}, {}
    neighbours = {name: reference.neighbours(images) for name, images in beside.fresh.items()}
    most = max(len(filtered.passing) for filtered in asked.subjects.values())
    real = neighbours["real"].take(slice(most))
    rows = planted_rows(len(real.labels))
    for name, images in beside.copies.items():
        copies = reference.neighbours(images.take(slice(len(rows))))
        neighbours[name] = plant(real, copies, SHOWN_DOSE)
        planted[name] = smallest_found(real, copies, reference)
    for name, filtered in asked.subjects.items():
        neighbours[name] = reference.neighbours(filtered.passing)
    for name in (*beside.fresh, *asked.subjects):
        sets[name] = examine_newness(neighbours[name], reference)
    return sets | {"planted": planted}, neighbours


def verdict(numbers: dict, real: dict | None = None) -> Verdict:
    """The verdict from seen_or_unseen(): a lean of the closest 1 % fails, because it points to
    copies; a lean of more images is worse."""
    copies = [numbers[key] for key in ("closest_1_lean_z", "closest_1_moved_lean_z")]
    lean = [numbers[key] for key in ("lean_z", "closest_5_lean_z", "closest_5_moved_lean_z")]
    return decide(
        fails=any(z < -3 for z in copies),
        worse=any(z < -3 for z in lean),
        detectable=math.nan,
        bound=0.05,
    )


def examine_newness(neighbours: Neighbours, reference: Reference) -> dict:
    """All numbers of this question about one set."""
    return seen_or_unseen(neighbours, reference.real.labels, reference.unseen, reference.like_seen)


def plant(real: Neighbours, copies: Neighbours, dose: int) -> Neighbours:
    """The Neighbours `real` of n images, after `dose` percent of the images are replaced by copies.
    copies: the Neighbours of copies for all rows in planted_rows(n)."""
    n = len(real.labels)
    rows = planted_rows(n)
    some = np.isin(rows, planted_rows(n, dose))
    return real.put(rows[some], copies.take(some))


def smallest_found(real: Neighbours, copies: Neighbours, reference: Reference) -> float:
    """The smallest share of copies among real images, of DOSES, that this question's test finds, as
    it does all larger ones.  NaN where it does not find the largest share, or where it finds copies
    although there are none."""
    found = math.nan
    if verdict(examine_newness(real, reference)).word in CAUGHT:
        return found
    for dose in sorted(DOSES, reverse=True):
        numbers = examine_newness(plant(real, copies, dose), reference)
        if verdict(numbers).word not in CAUGHT:
            break
        found = dose / 100
    return found


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
    far the count of unseen ones falls short of the expected count, as a share of it; and z, the
    same in standard deviations, negative for a lean: of all images, of the closest 1 % and 5 %, and
    of these if images may also be centred.
    """
    found, expected, _ = _unseen_neighbours(neighbours, real_labels, unseen, others, 100)
    n = len(neighbours.labels) or math.nan
    numbers = {
        "nearest_distance_median": _median(neighbours.nearest.distance),
        "seen_share": 1 - found / n,
        "expected_share": 1 - expected / n,
        "lean": 1 - found / expected if expected else math.nan,
    }
    for key, percent, moved in (
        ("lean_z", 100, False),
        ("closest_1_lean_z", 1, False),
        ("closest_5_lean_z", 5, False),
        ("closest_5_moved_lean_z", 5, True),
        ("closest_1_moved_lean_z", 1, True),
    ):
        counts = _unseen_neighbours(neighbours, real_labels, unseen, others, percent, moved)
        found, expected, variance = counts
        numbers[key] = (found - expected) / math.sqrt(variance) if variance > 1e-9 else math.nan
    return numbers


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
    return found, float(expected), float(variance)


def _median(distance):
    return float(np.median(distance)) if len(distance) else math.nan


def planted_rows(n: int, dose: int = DOSES[-1]) -> np.ndarray:
    """The rows of n images that copies replace, `dose` percent of them: (k,) integer."""
    return np.arange(0, n, 100 // dose)


def closest_of_each_class(labels, nearest: Nearest) -> dict:
    """{label: row of its closest image, in the order of Nearest.closest()}; labels (n,) integer."""
    order = nearest.closest(100)
    names, first = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), order[first].tolist(), strict=True))
