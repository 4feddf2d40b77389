"""What stands beside the examined images: real ones, reconstructions, copies and nonsense."""

from copy import deepcopy
from dataclasses import replace

import numpy as np

from trust.ask import new
from trust.ask.questions import Beside
from trust.data.images import ImageSet, join, random_of_each_class
from trust.data.splits import Split
from trust.filter.filters import CHUNK, Filter, Filtered, sift_labelled
from trust.generator import Generator
from trust.train import inference, priors

CLOUD = 2000  # latents of each kind in a figure
MEANS = 5000  # codes from which the means of the classes are taken for it
PLANTED = 400  # copies of each kind at least
LEAST, TIMES = 2000, 4  # images of a kind to judge: so many, and so many for each examined one
LEAST_KNOWN, TIMES_KNOWN = 4000, 20  # the same where errors are counted on them


def beside_generated(
    accepted: Filtered,
    generator: Generator,
    other: Generator,
    accept: Filter,
    split: Split,
    streams,
) -> Beside:
    """What stands beside images that one of our generators drew.  other: the Generator with the
    prior that is not in use.  streams: a plan.Streams."""
    rng, held_out, test = streams.controls, split.held_out, split.test
    n = len(accepted.passing)
    # A promise is checked on all images there are.
    small = split if accept.promise else as_small(split, n, rng)
    tested = {"real": accept.sift(test.images, test.labels)}
    originals = to_copy(accepted.passing.labels, split.vae, rng)
    copies = copies_of(originals, rng)
    copies["reconstructed_copies"] = ImageSet(
        generator.reconstruct(originals.images, rng), originals.labels
    )
    behind_filter = {
        "real": accept.sift(held_out.images, held_out.labels),
        "reconstructed": accept.sift(
            generator.reconstruct(held_out.images, rng), truth=held_out.labels
        ),
    }
    blurred = generator.reconstruct(small.test.images, rng)
    tested["reconstructed"] = accept.sift(blurred, small.test.labels)
    others = {
        "halfway": accept.sift(generator.halfway(small.held_out, rng)),
        "other_prior": accept.sift(other.sample(CHUNK, rng)),
    }
    everything = join([split.vae, held_out])
    alike = accepted, *tested.values(), *behind_filter.values()
    counts = np.min([each.passing.counts(len(accepted.quota.kept)) for each in alike], axis=0)
    known = tested["reconstructed"].passing
    wanted = accepted.passing.counts(len(counts))
    fresh = {
        name: each.passing.take(random_of_each_class(each.passing.labels, wanted, rng))
        for name, each in (tested | {"other_prior": others["other_prior"]}).items()
    }
    return Beside(
        counts=counts,
        tested=tested,
        held_out=behind_filter,
        like="reconstructed",
        known=known,
        fresh=fresh,
        copies=copies,
        others=others,
        prior=generator.name,
        other_prior=other.name,
        accept=accept,
        promised_on=known if accept.promise else None,
        pool=accept.sift(everything.images, everything.labels).passing,
        near_copies=max(split.near_copies, split.repeats),
        clouds=latent_clouds(generator, other, split.vae, streams.figures),
    )


def few(n: int) -> int:
    """How many images of a kind the referee judges beside n examined ones, if there are as many."""
    return max(LEAST, TIMES * n)


def as_small(split: Split, n: int, rng: np.random.Generator) -> Split:
    """The Split with random ones of its held-out and test images, of which we make images that
    stand beside n examined ones: those that we judge beside a small set are as few.  Real images
    are all looked at: there they cost little, and real sets are drawn from them."""
    return split._replace(
        held_out=_some(split.held_out, few(n), rng),
        test=_some(split.test, max(LEAST_KNOWN, TIMES_KNOWN * n), rng),
    )


def few_drawn(accepted: Filtered) -> Filtered:
    """The accepted images, and the first of those that were drawn, as many as stand beside them."""
    n = len(accepted.passing)
    return replace(accepted, every=accepted.every.take(slice(few(n))))


def _some(images: ImageSet, count: int, rng) -> ImageSet:
    """So many random ones in their old order, or all of them."""
    if len(images) <= count:
        return images
    return images.take(np.sort(rng.choice(len(images), count, replace=False)))


def beside_several(
    submitted: dict[str, Filtered], accept: Filter | None, split: Split, labelled: bool, rng
) -> Beside:
    """beside_submitted() of several sets, {name: set}.  Each has the copies that would stand beside
    it alone."""
    (first, images), *others = submitted.items()
    beside = beside_submitted(images, accept, split, labelled=labelled, rng=deepcopy(rng))
    if not others:
        return beside
    own_copies = {first: beside.copies}
    for name, each in others:
        own = deepcopy(rng)
        own_copies[name] = copies_of(to_copy(each.passing.labels, split.vae, own), own)
    real = beside.held_out["real"].passing.counts(len(beside.counts))
    return replace(beside, counts=real, own_copies=own_copies)


def beside_submitted(
    submitted: Filtered, accept: Filter | None, split: Split, labelled: bool, rng
) -> Beside:
    """What stands beside images that another generator made.  submitted: by sift_labelled().
    labelled: whether they came with labels; else the classifier named them, as it then names the
    real ones.  rng: a numpy.random.Generator."""
    real, tested, pool = (
        sift_labelled(
            replace(images, labels=images.labels if labelled else None, truth=images.labels), accept
        )
        for images in (split.held_out, split.test, join([split.vae, split.held_out]))
    )
    classes = int(split.vae.labels.max()) + 1
    any_label = None
    if labelled:
        any_label = replace(split.test, truth=split.test.labels, labels=None)
        any_label = replace(any_label, rows=np.arange(len(any_label)))
        if accept is not None and accept.threshold > 0:
            any_label = accept.sift(split.test.images, split.test.labels).passing
    promised_on = None
    if accept is not None and accept.promise:
        promised_on = accept.sift(split.test.images, split.test.labels).passing
    return Beside(
        counts=np.min([each.passing.counts(classes) for each in (submitted, real)], axis=0),
        tested={"real": tested},
        held_out={"real": real},
        like="real",
        known=tested.passing,
        fresh={},  # all real images are searched, so each is looked for among the others
        copies=copies_of(to_copy(submitted.passing.labels, split.vae, rng), rng),
        accept=accept,
        promised_on=promised_on,
        like_seen=split.held_out,
        any_label=any_label,
        pool=pool.passing,
        near_copies=max(split.near_copies, split.repeats),
    )


def latent_clouds(generator: Generator, other: Generator, seen: ImageSet, rng) -> dict:
    """{kind of latents: (n, 2) float}: codes of images that the VAE has learned from, and draws
    from the mixture and from N(0, I), on the two principal axes of the classes' mean codes."""
    seen = _some(seen, MEANS, rng)
    z_mean, z_log_var = inference.encode(generator.vae, seen.images)
    codes = inference.sample_codes(z_mean, z_log_var, rng)
    centres = np.stack([codes[seen.labels == k].mean(axis=0) for k in np.unique(seen.labels)])
    both = {each.name: each.prior for each in (generator, other)}
    draws = [both[name].sample(CLOUD, rng) for name in ("mixture", "normal")]
    _, *clouds = priors.principal_axes(centres, codes[:CLOUD], *draws)
    return dict(zip(("codes", "mixture", "normal"), clouds, strict=True))


def to_copy(labels: np.ndarray, seen: ImageSet, rng: np.random.Generator) -> ImageSet:
    """Random seen images, of which planted copies are made: at least PLANTED, and as many as copies
    are shown among real images.  Their labels are drawn from `labels` (n,), those of the examined
    images."""
    n = max(len(new.planted_rows(len(labels))), PLANTED)
    drawn = rng.choice(labels if len(labels) else seen.labels, n)
    return seen.take(twins(drawn, seen.labels, rng))


def copies_of(originals: ImageSet, rng: np.random.Generator) -> dict[str, ImageSet]:
    """{kind: copies of all of them}: noisy ones, and the same moved."""
    noisy = noisy_copies(originals.images, rng)
    moved = moved_by_two(noisy, rng)
    return {
        "noisy_copies": ImageSet(noisy, originals.labels),
        "moved_copies": ImageSet(moved, originals.labels),
    }


def twins(labels: np.ndarray, seen_labels: np.ndarray, rng) -> np.ndarray:
    """For each label (k,) the row of a random seen image with that label: (k,) integer.  rng: a
    numpy.random.Generator."""
    return np.array([rng.choice(np.flatnonzero(seen_labels == label)) for label in labels], int)


def noisy_copies(images, rng, noise=0.05):
    """Images (n, h, w[, c]) uint8 with normal noise on each pixel, whose standard deviation is
    `noise`: (n, h, w[, c]) float32 in [0, 1].  A generator that copies would draw such images."""
    noisy = images / 255 + noise * rng.standard_normal(images.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def moved_by_two(images, rng):
    """Images (n, h, w[, c]) each moved at random by up to two pixels vertically and horizontally,
    never by zero in both; pixels that leave at one edge come in at the opposite one."""
    steps = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if y or x])
    shifts = rng.choice(steps, len(images))
    moved = [np.roll(image, by, (0, 1)) for image, by in zip(images, shifts, strict=True)]
    return np.reshape(moved, images.shape).astype(images.dtype)
