"""What is handed to each question: the sets of images, and what the referee says of them."""

from dataclasses import dataclass, field

import numpy as np

from trust.ask.reference import Reference
from trust.data.images import ImageSet, random_of_each_class
from trust.filter.filters import Filter, Filtered
from trust.train.referee import Judged


@dataclass(frozen=True, eq=False)
class Beside:
    """What stands beside the examined images, all of it behind the same filter.

    counts: (classes,) integer; where all sets must be equally large, counts[k] images of class k
    are compared.
    tested: {"real": test images, "reconstructed": theirs if there are any}; their truth is known,
    and no network has learned from them; their rows are places in `every`, or among the test
    images of the Reference.  held_out: the same of held-out images; the referee has
    learned from these, but the test images are not among them.
    like: which of the two kinds is most like the examined images; known: images of this kind, from
    `tested`, on which the referee's errors are counted.
    any_label: where the labels came with the images, and may be anybody's: the test images that
    pass the filter with some label.  Their labels are those with which they pass; None where they
    pass with any.
    fresh: {set: images} that nobody has seen, for *new*; copies: {name: images} that replace some
    of the real ones among them.
    others: {"other_prior", "halfway"}, as far as there are any.  prior, other_prior: the names of
    the one in use and the other, "mixture" and "normal", if we drew the images.
    accept: the filter; None where all images pass.  promised_on: if it keeps a promise, test images
    that pass, of the kind that the promise was found on.
    like_seen: more images of the kind of those that the generator has seen, where the unseen ones
    are of another kind; see new.seen_or_unseen().
    pool: real images behind the same filter, from which random sets are drawn where it does not
    matter what was seen: all training images, also those that networks have learned from.
    near_copies: the share of the known images that are near copies of others, or that networks have
    learned from such.
    soft_labels: for *useful*, train on probabilities instead of labels where images passed the
    filter.
    own_copies: of several subjects, {subject: what stands for `copies` beside it}; `counts` is then
    of the real images alone.
    clouds: {kind of latents: (n, 2) float}, for a figure.
    """

    counts: np.ndarray
    tested: dict[str, Filtered]
    held_out: dict[str, Filtered]
    like: str
    known: ImageSet
    fresh: dict[str, ImageSet]
    copies: dict[str, ImageSet]
    others: dict[str, Filtered] = field(default_factory=dict)
    prior: str = ""
    other_prior: str = ""
    accept: Filter | None = None
    promised_on: ImageSet | None = None
    like_seen: ImageSet | None = None
    any_label: ImageSet | None = None
    pool: ImageSet | None = None
    near_copies: float = 0.0
    soft_labels: bool = False
    own_copies: dict[str, dict[str, ImageSet]] = field(default_factory=dict)
    clouds: dict[str, np.ndarray] = field(default_factory=dict)

    def like_fresh(self) -> ImageSet:
        """Real images that pass as unseen ones do.  A classifier is surer of images that it has
        learned, so it also passes the harder ones among them: where one chooses images, or names
        them, they are held-out images, else all."""
        named = self.any_label is None  # labels come from the classifier
        chooses = self.accept is not None and (named or self.accept.threshold > 0)
        return self.held_out["real"].passing if chooses else self.pool


@dataclass(frozen=True, eq=False)
class Asked:
    """subjects: {name: Filtered}, the sets that are examined.  rows: {set: (m,) integer}, of the
    passing images of each subject and each kind of held-out images: as many as Beside.counts.
    judged: {subject: Judged}, of all that pass.  sampled, sampled_confidence: {subject: (n,)}, the
    referee's labels of what there was before the filter, where that is known, and how sure it is of
    them.  judged_tested: {kind: Judged}, of `every` in Beside.tested.  judged_held_out: {kind:
    Judged}, of `rows`, but not of real images, from which further sets are drawn.  rng: for random
    sets of real images.
    """

    subjects: dict[str, Filtered]
    beside: Beside
    reference: Reference
    rows: dict[str, np.ndarray]
    judged: dict[str, Judged]
    sampled: dict[str, np.ndarray]
    sampled_confidence: dict[str, np.ndarray]
    judged_tested: dict[str, Judged]
    judged_held_out: dict[str, Judged]
    rng: np.random.Generator


def disjoint_sets(
    labels: np.ndarray, counts: np.ndarray, most: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Random sets, none of which shares an image with another, each with counts[k] images of every
    class k: at most so many of them, or as many as there are images for.

    labels: (n,) integer.  counts: (classes,) integer.  Returns a list of rows in rising order,
    (m,) integer each.
    """
    order = rng.permutation(len(labels))
    wanted = np.flatnonzero(counts)
    rows = [order[labels[order] == label] for label in wanted]
    sizes = counts[wanted]
    most = min([most, *(len(own) // size for own, size in zip(rows, sizes, strict=True))])
    cut = [own[: most * size].reshape(most, size) for own, size in zip(rows, sizes, strict=True)]
    return list(np.sort(np.concatenate([np.empty((most, 0), int), *cut], axis=1), axis=1))


def _judge_all(tested: Filtered, reference: Reference) -> Judged:
    """What the referee says of images before the filter, or of the test images themselves."""
    if tested.every is None or tested.every.images is reference.test.images:
        return reference.judged
    return reference.judge(tested.every.images)


def look(
    subjects: dict[str, Filtered], beside: Beside, reference: Reference, rng: np.random.Generator
) -> Asked:
    """Lets the referee look at all sets."""
    choose = rng.spawn(1)[0]
    rows = {
        name: random_of_each_class(filtered.passing.labels, beside.counts, choose)
        for name, filtered in (subjects | beside.held_out).items()
    }
    tested = {kind: _judge_all(each, reference) for kind, each in beside.tested.items()}
    held_out = {
        kind: reference.judge(filtered.passing.images[rows[kind]])
        for kind, filtered in beside.held_out.items()
        if kind != "real"
    }
    judged = {name: reference.judge(each.passing.images) for name, each in subjects.items()}
    sampled = {
        name: reference.judge(each.every.images)
        for name, each in subjects.items()
        if each.every is not None
    }
    return Asked(
        subjects=subjects,
        beside=beside,
        reference=reference,
        rows=rows,
        judged=judged,
        sampled={name: each.labels for name, each in sampled.items()},
        sampled_confidence={name: each.confidence for name, each in sampled.items()},
        judged_tested=tested,
        judged_held_out=held_out,
        rng=rng,
    )
