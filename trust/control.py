"""The questions of one run, asked of its accepted images and of controls behind the same filter."""

import math
from typing import NamedTuple

import numpy as np

from trust import new, right, verdicts
from trust.datasets import Labelled, Split
from trust.examination import (
    Examined,
    Known,
    Reference,
    examine,
    examine_likeness,
    examine_newness,
    examine_usefulness,
    examine_variety,
    find_neighbours,
)
from trust.new import Neighbours
from trust.promise import Promise, did_it_hold
from trust.referee import judge
from trust.selection import (
    CHUNK,
    WEAK,
    Classified,
    Filter,
    as_many_of_each_class,
    first_of_each_class,
    softmax,
)

SHOWN_DOSE = 5  # percent of copies among the real images of copies.png
COPIES = ("noisy_copies", "moved_copies", "reconstructed_copies")


def plant(real: Neighbours, copies: Neighbours, dose: int) -> Neighbours:
    """The Neighbours `real` of n images, after `dose` percent of the images are replaced by copies.
    copies: the Neighbours of copies for all rows in new.planted_rows(n)."""
    n = len(real.labels)
    rows = new.planted_rows(n)
    some = np.isin(rows, new.planted_rows(n, dose))
    return real.put(rows[some], copies.take(some))


def smallest_found(real: Neighbours, copies: Neighbours, reference: Reference) -> float:
    """The smallest share of copies among real images, of new.DOSES, that the test of question 4
    finds, as it does all larger ones.  NaN where it does not find the largest share, or where it
    finds copies although there are none."""
    found = math.nan
    if verdicts.new(examine_newness(real, reference)) in verdicts.CAUGHT:
        return found
    for dose in sorted(new.DOSES, reverse=True):
        numbers = examine_newness(plant(real, copies, dose), reference)
        if verdicts.new(numbers) not in verdicts.CAUGHT:
            break
        found = dose / 100
    return found


class Controls(NamedTuple):
    """Images that went through the same filter as the generated ones.

    held_out and blurred: held-out images and their reconstructions.  test and reconstructed: test
    images and their reconstructions.  halfway: images decoded half-way between two classes.
    other_prior: draws from the prior that is not in use.  copies: {name of COPIES: images
    (k, h, w[, c])}, to be planted among the strong test images.
    """

    held_out: Classified
    blurred: Classified
    test: Classified
    reconstructed: Classified
    halfway: Classified
    other_prior: Classified
    copies: dict


def draw_controls(generator, other, accept: Filter, split: Split, test: Labelled, rng) -> Controls:
    """The Controls of a Generator and of `other`, the Generator with the prior that is not in use.
    rng: a numpy.random.Generator."""
    held_out, real = split.held_out, accept.classify(test.images)
    labels = real.strong(accept.threshold).labels
    twins = new.twins(labels[new.planted_rows(len(labels))], split.vae.labels, rng)
    seen = split.vae.images[twins]
    noisy = new.noisy_copies(seen, rng)
    copies = noisy, new.moved_by_two(noisy, rng), generator.reconstruct(seen, rng)
    return Controls(
        held_out=accept.classify(held_out.images),
        blurred=accept.classify(generator.reconstruct(held_out.images, rng)),
        test=real,
        reconstructed=accept.classify(generator.reconstruct(test.images, rng)),
        halfway=accept.classify(generator.halfway(held_out, rng)),
        other_prior=accept.classify(other.sample(CHUNK, rng)),
        copies=dict(zip(COPIES, copies, strict=True)),
    )


def examine_known(classified: Classified, truth, judged, rows, accept: Filter, rng) -> dict:
    """Question 1 of images whose true labels, truth (n,), are known: the labels of some rows, and
    the calibration of all.  judged: what the referee says of all."""
    known = Known(classified.labels, judged.labels, truth)
    correct = classified.labels == known.truth
    return {
        **examine_labels(known.take(rows), judged.take(rows)),
        "mean_confidence": right.mean(classified.confidence[rows]),
        **examine_calibration(classified, known.referee_labels, accept, rng),
        "ece_true_labels": right.reliability(classified.confidence, correct)["ece"],
    }


def examine_calibration(classified: Classified, words, accept: Filter, rng) -> dict:
    """The calibration error by the referee's labels, words (n,); what chance alone would give; mean
    confidence minus accuracy; and the error with the temperature fitted on real images."""
    confidence, correct = classified.confidence, classified.labels == words
    floor, floor_95 = right.calibration_floor(confidence, rng)
    probabilities = softmax(classified.logits, accept.temperature_real_images)
    return {
        "ece": right.reliability(confidence, correct)["ece"],
        "ece_floor": floor,
        "ece_floor_95": floor_95,
        "confidence_gap": right.mean(confidence - correct),
        "ece_real_temperature": right.expected_calibration_error(probabilities, words),
    }


def examine_selection(selection, rows, accepted_words, words, accept: Filter, rng) -> dict:
    """Question 1 of generated images, in addition to examine().

    selection: a Selection.  rows: of the accepted images, those that are compared with real ones.
    accepted_words, words: the referee's labels of the accepted images and of the sample.
    """
    accepted, sample = selection.accepted, selection.sample
    weak = sample.confidence < WEAK
    return {
        "mean_confidence": right.mean(accepted.confidence[rows]),
        "accepted_agreement": right.agreement(accepted.labels, accepted_words),
        "all_agreement": right.agreement(sample.labels, words),
        "weak_agreement": right.agreement(sample.labels[weak], words[weak]),
        **examine_calibration(sample, words, accept, rng),
    }


def examine_halfway(halfway: Classified, threshold, reference: Reference) -> dict:
    """Question 1 of images half-way between two classes, most of which the filter should reject."""
    passing = halfway.strong(threshold)
    words = judge(reference.referee, passing.images).labels
    rate = halfway.rates(threshold)["right"]["strong_rate"]
    return {"strong_rate": rate, "agreement": right.agreement(passing.labels, words)}


class AboutControls(NamedTuple):
    """sets: {set: {question: {key: number}}}.  neighbours: {set: Neighbours}.  reconstructed: what
    is Known of the reconstructions of all test images.  features: the referee's, (m, d), of the
    reconstructions of held-out images that pass."""

    sets: dict
    neighbours: dict
    reconstructed: Known
    features: np.ndarray


def examine_controls(
    controls: Controls, accept: Filter, counts, most: int, reference: Reference, rng
):
    """The questions right, balanced, varied and new of the controls.  Returns AboutControls.

    counts: (classes,) integer; where all sets must be equally large, counts[k] images of class k
    are taken.  most: the number of accepted images; copies are planted among at most as many real
    images.
    """
    threshold, sets, neighbours = accept.threshold, {}, {}
    # The referee has learned from the held-out images, so only its labels of test images count.
    truth, blurred = reference.test.labels, judge(reference.referee, controls.reconstructed.images)
    for name, images, judged in (
        ("real", controls.test, reference.judged),
        ("reconstructed", controls.reconstructed, blurred),
    ):
        rows = images.rows(threshold)
        rows = rows[first_of_each_class(images.labels[rows], counts)]
        sets[name] = {"right": examine_known(images, truth, judged, rows, accept, rng)}
    known, features = Known(controls.reconstructed.labels, blurred.labels, truth), {}
    for name, images in ("real", controls.held_out), ("reconstructed", controls.blurred):
        strong = images.strong(threshold)
        alike = strong.images[first_of_each_class(strong.labels, counts)]
        rates, features[name] = images.rates(threshold), judge(reference.referee, alike).features
        sets[name]["right"] |= rates["right"]
        sets[name]["balanced"] = rates["balanced"] | {"images": len(alike)}
        sets[name]["varied"] = examine_variety(features[name], reference)
    halves = [features["reconstructed"][half::2] for half in (0, 1)]
    sets["reconstructed"]["right"] |= examine_likeness(*halves, reference)
    # Not held-out images: the nearest neighbour of each would be its own reconstruction.
    passing = controls.test.rows(threshold)
    passing = passing[first_of_each_class(controls.test.labels[passing], counts)]
    both = reference.judged.features[passing], features["reconstructed"]
    sets["real"]["right"] |= examine_likeness(*both, reference)
    sets["other_prior"] = controls.other_prior.rates(threshold)
    for name, images in (
        ("real", controls.test),
        ("reconstructed", controls.reconstructed),
        ("other_prior", controls.other_prior),
    ):
        strong = images.strong(threshold)
        neighbours[name] = find_neighbours(strong.images, strong.labels, reference)
        sets[name]["new"] = examine_newness(neighbours[name], reference)
    real, sets["planted"] = neighbours["real"].take(slice(most)), {"new": {}}
    for name, images in controls.copies.items():
        labels = real.labels[new.planted_rows(len(real.labels))]
        copies = find_neighbours(images[: len(labels)], labels, reference)
        neighbours[name] = plant(real, copies, SHOWN_DOSE)
        sets["planted"]["new"][name] = smallest_found(real, copies, reference)
    sets["halfway"] = {"right": examine_halfway(controls.halfway, threshold, reference)}
    return AboutControls(sets, neighbours, known, features["reconstructed"])


def agreement_by_class(accepted: Classified, examined: Examined, classes: int) -> dict:
    """{key: (classes,) float}: the referee's agreement with the accepted images of each class, and
    its 95 % interval."""
    agrees = accepted.labels == examined.judged.labels
    counts, hits = (
        np.bincount(accepted.labels[some], minlength=classes) for some in (slice(None), agrees)
    )
    intervals = [right.wilson_interval(*pair) for pair in zip(hits, counts, strict=True)]
    with np.errstate(invalid="ignore"):
        low, high = np.transpose(intervals)
        return {"agreement": hits / counts, "agreement_low": low, "agreement_high": high}


class Answers(NamedTuple):
    """sets: {set: {question: {key: number}}}.  verdicts: {question: verdict}.  examined: what was
    found for each accepted image.  neighbours: {set: Neighbours}.  sample_labels: the referee's
    labels of the sample, (n,), or None without one.  reconstructed: what is Known of the
    reconstructions of all test images, or None without any."""

    sets: dict
    verdicts: dict
    examined: Examined
    neighbours: dict
    sample_labels: np.ndarray | None = None
    reconstructed: Known | None = None


def examine_all(selection, controls: Controls, held_out, reference, accept, soft, rng, say):
    """All questions about the accepted images, about real ones, and about the controls: Answers.

    selection: a Selection.  held_out: Labelled.  accept: the Filter.
    soft: for question 5, train on probabilities instead of labels where images passed the filter.
    rng: a numpy.random.Generator.  say: called with a line for each set that is to be examined.
    """
    accepted, classes = selection.accepted, reference.classes
    compared = controls.held_out, controls.blurred, controls.test, controls.reconstructed
    real, *others = (images.strong(accept.threshold) for images in compared)
    of_each = [
        np.bincount(images.labels, minlength=classes) for images in (accepted, real, *others)
    ]
    counts = np.min(of_each, axis=0)
    say("  real images, reconstructions, copies: right, varied, new?")
    most = len(accepted.labels)
    about = examine_controls(controls, accept, counts, most, reference, rng)
    sets, neighbours, blurred = about.sets, about.neighbours, about.reconstructed
    passing = controls.reconstructed.rows(accept.threshold)
    known = blurred.take(passing[first_of_each_class(blurred.labels[passing], counts)])

    say(f"  {len(accepted.labels):,} accepted images: right, varied, new, useful?")
    rows = first_of_each_class(accepted.labels, counts)
    told = accepted.soft_labels if soft else accepted.labels
    examined = examine(accepted, told, known, reference, rows)
    neighbours["generated"] = examined.neighbours
    sample_labels = judge(reference.referee, selection.sample.images).labels
    rates, own = selection.quota.rates(), examined.answers()
    words = examined.judged.labels, sample_labels
    own["right"] |= rates["right"] | examine_selection(selection, rows, *words, accept, rng)
    own["right"] |= examine_likeness(examined.judged.features[rows], about.features, reference)
    own["balanced"] |= rates["balanced"]
    sets["generated"] = own

    say("  as many real images: useful?")
    wanted, real_counts, *_ = of_each
    for name, images in ("real", real), ("unfiltered", held_out):
        rows, repeated = as_many_of_each_class(images.labels, wanted, rng)
        told = real.soft_labels if soft and name == "real" else images.labels
        accuracy = examine_usefulness(images.images[rows], told[rows], reference)
        sets.setdefault(name, {})["useful"] = accuracy | {"repeated": repeated}
    numbers = selection.quota.strong, real_counts, len(reference.test.labels)
    found = verdicts.verdicts(own, sets["real"], *numbers)
    return Answers(sets, found, examined, neighbours, sample_labels, blurred)


def examine_promise(promised: Promise, classified: Classified, known: Known, labels, words) -> dict:
    """Whether the promise held, as a set of the report.

    classified, known: all test images, of the same kind as those that the promise was found on.
    labels, words: (n,) integer, of the examined images that pass: their own and the referee's.
    """
    known = known.take(classified.rows(promised.threshold))
    return {"promise": {"right": did_it_hold(promised, known, labels, words)}}


def warn_unlike(numbers: dict) -> list[str]:
    """A list with one sentence if the generated images differ from the reconstructions, else empty.
    numbers: question 1 of the generated images."""
    if not numbers["own_neighbours_z"] > verdicts.CHANCE:
        return []
    share = numbers["own_neighbours"]
    return [
        f"accepted images differ from reconstructions: {share:.1%} have their nearest neighbour in "
        "their own set, 50% would mean no difference; the temperature and a promise may not hold "
        "for accepted images"
    ]


def examine_given(yours, real, tested, split: Split, reference: Reference, rng, say):
    """Every question of images that another generator made, and of real ones.  Returns Answers, and
    the Reference with like_seen measured on real images.

    yours, real, tested: outside.Chosen of these images, of held-out and of test images, all by the
    same filter.  reference: its unseen images are the test images.  rng, say: see examine_all().
    """
    classes, truth = reference.classes, reference.test.labels[tested.rows]
    say(f"  {len(real.labels):,} real images: right, varied, new?")
    neighbours = {"real": find_neighbours(real.images, real.labels, reference)}
    # One half measures what to expect of real images, the other is compared with it.
    halves = np.array_split(rng.permutation(len(real.labels)), 2)
    measure, held = (neighbours["real"].take(np.sort(rows)) for rows in halves)
    reference, neighbours["real"] = reference._replace(like_seen=measure), held
    judged = reference.judged.take(tested.rows)
    of_each = [np.bincount(each.labels, minlength=classes) for each in (yours, real)]
    counts = np.min(of_each, axis=0)
    rows = first_of_each_class(tested.labels, counts)
    known = Known(tested.labels, judged.labels, truth)
    alike = real.images[first_of_each_class(real.labels, counts)]
    balance = [{"class_balance": each.min() / max(each.max(), 1)} for each in of_each]
    sets = {
        "real": {
            "right": examine_labels(known.take(rows), judged.take(rows)),
            "balanced": balance[1] | {"images": len(alike)},
            "varied": examine_variety(judge(reference.referee, alike).features, reference),
            "new": examine_newness(held, reference),
        },
        "planted": {"new": {}},
    }
    plain = held.take(slice(len(yours.labels)))
    labels = plain.labels[new.planted_rows(len(plain.labels))]
    noisy = new.noisy_copies(split.vae.images[new.twins(labels, split.vae.labels, rng)], rng)
    for name, images in zip(COPIES, (noisy, new.moved_by_two(noisy, rng)), strict=False):
        copies = find_neighbours(images, labels, reference)
        neighbours[name] = plant(plain, copies, SHOWN_DOSE)
        sets["planted"]["new"][name] = smallest_found(plain, copies, reference)

    say(f"  {len(yours.labels):,} images of yours: right, varied, new, useful?")
    rows = first_of_each_class(yours.labels, counts)
    examined = examine(yours, yours.labels, known, reference, rows)
    neighbours["generated"], words = examined.neighbours, examined.judged.labels
    sets["yours"] = own = examined.answers()
    own["balanced"] |= balance[0]
    own["right"]["accepted_agreement"] = right.agreement(yours.labels, words)
    say("  as many real images: useful?")
    some, repeated = as_many_of_each_class(real.labels, of_each[0], rng)
    accuracy = examine_usefulness(real.images[some], real.labels[some], reference)
    sets["real"]["useful"] = accuracy | {"repeated": repeated}
    found = verdicts.verdicts(own, sets["real"], *of_each, len(reference.test.labels))
    return Answers(sets, found, examined, neighbours), reference


def examine_labels(known: Known, judged) -> dict:
    """Question 1 about real images, whose true labels are known."""
    return {
        "images": len(known.labels),
        "agreement": right.agreement(known.labels, known.referee_labels),
        "worst_class_agreement": right.worst_class(known.labels, known.referee_labels),
        "true_agreement": right.agreement(known.labels, known.truth),
        **right.known_error(known.labels, known.truth),
        "referee_confidence": right.mean(judged.confidence),
    }
