"""The examination: the only place where the questions are asked of a set of images."""

import math
from typing import NamedTuple

import keras
import numpy as np

from trust import new, right, varied
from trust.datasets import Dataset, Labelled
from trust.referee import judge
from trust.selection import CHUNK, WEAK, Classified, cut_alike, first_of_each_class
from trust.useful import accuracy_after_training

QUESTIONS = ("right", "balanced", "varied", "new", "useful")


class Reference(NamedTuple):
    """What every set of images is held against; knows no generator.

    seen: what the generator learned from.  test: real images that nobody learned from.
    referee: a network of referee.build_referee; test_labels (m,) integer and test_features (m, d)
    float32 are its word on the test images.
    real, blurred: how far strong test images, and strong reconstructions of held-out images, are
    from the nearest seen image of their class.
    """

    seen: Labelled
    test: Labelled
    referee: keras.Model
    test_labels: np.ndarray
    test_features: np.ndarray
    real: new.Distances
    blurred: new.Distances
    classes: int
    seed: int


class Examined(NamedTuple):
    """A flat dict of numbers for each question, NaN where the set is too small, and what is known
    of each image: the referee's label (n,) integer, and the nearest seen image of its class."""

    right: dict
    balanced: dict
    varied: dict
    new: dict
    useful: dict
    referee_labels: np.ndarray
    nearest: new.Nearest

    def answers(self) -> dict:
        """{question: {key: number}}, as a report holds them."""
        return {question: getattr(self, question) for question in QUESTIONS}


def build_reference(data: Dataset, seen: Labelled, referee, real, blurred, seed) -> Reference:
    """The Reference of a data set.

    seen: what the generator learned from.  referee: a keras.Model.  real, blurred: Classified,
    strong test images and strong reconstructions of held-out images.
    """
    distances = []
    for images in (real, blurred):
        nearest = new.nearest_of_class(images.images, images.labels, *seen)
        distances.append(new.Distances(nearest.distance, images.labels))
    words = judge(referee, data.test.images)
    return Reference(seen, data.test, referee, *words, *distances, data.classes, seed)


def examine_newness(images, labels, reference: Reference) -> tuple[dict, new.Nearest]:
    """Question 4 alone, of images (n, 28, 28) and their labels (n,): for the controls."""
    nearest = new.nearest_of_class(images, labels, *reference.seen)
    blurred_rate, z = new.closest_rate(nearest.distance, labels, *reference.blurred)
    numbers = {
        "nearest_distance_median": float(np.median(nearest.distance)) if len(images) else math.nan,
        "copy_rate": new.closest_rate(nearest.distance, labels, *reference.real)[0],
        "copy_rate_of_blurred": blurred_rate,
        "copying_z": z,
    }
    return numbers, nearest


def examine_usefulness(images, targets, reference: Reference) -> dict:
    """Question 5 alone.  targets: labels (n,), or probabilities (n, classes) float32."""
    to = reference.test, reference.classes, reference.seed
    return {"accuracy": accuracy_after_training(images, targets, *to)}


def examine(images, labels, targets, reference: Reference) -> Examined:
    """All questions of one set of labelled images.

    images: (n, 28, 28) uint8, or float32 in [0, 1].  labels: (n,) integer.
    targets: what a classifier that learns from them is told, the labels or probabilities
    (n, classes) float32.
    """
    referee_labels, features = judge(reference.referee, images)
    newness, nearest = examine_newness(images, labels, reference)
    balls = map(varied.spread_rows, (features, reference.test_features))
    return Examined(
        right={
            "strong_agreement": right.agreement(labels, referee_labels),
            **right.errors(labels, referee_labels),
        },
        balanced={"images": len(images)},
        varied={
            "frechet": varied.frechet_distance(features, reference.test_features),
            **varied.variety(*balls),
        },
        new=newness,
        useful=examine_usefulness(images, targets, reference),
        referee_labels=referee_labels,
        nearest=nearest,
    )


class Controls(NamedTuple):
    """What went through the same filter as the generated images: real images that nobody learned
    from and test images, both with their reconstructions, images decoded half-way between two
    classes, and draws from the prior that is not in use."""

    held_out: Classified
    held_out_reconstructed: Classified
    test: Classified
    reconstructed: Classified
    halfway: Classified
    other_prior: Classified


def draw_controls(generator, other, accept, held_out, test, rng) -> Controls:
    """Of a Generator, the one with the other prior, a Filter, and two Labelled."""
    return Controls(
        held_out=accept.classify(held_out.images),
        held_out_reconstructed=accept.classify(generator.reconstruct(held_out.images, rng)),
        test=accept.classify(test.images),
        reconstructed=accept.classify(generator.reconstruct(test.images, rng)),
        halfway=accept.classify(generator.halfway(held_out, rng)),
        other_prior=accept.classify(other.sample(CHUNK, rng)),
    )


def examine_filter(selection, controls, reference, accept, counts):
    """What the filter lets through, asked of images that were not accepted too.

    selection: a Selection.  controls: Controls.  accept: the Filter.
    counts: (classes,) integer, how many strong images of each class are examined.
    Returns {set: {question: {key: number}}}, and the referee's labels of the sample (n,).
    """
    sample, accepted, test = selection.sample, selection.accepted, reference.test
    sample_labels, accepted_labels, reconstructed_labels = (
        judge(reference.referee, images)[0]
        for images in (sample.images, accepted.images, controls.reconstructed.images)
    )
    weak, threshold = sample.confidence < WEAK, accept.threshold
    temperatures = accept.temperature, accept.temperature_real_images
    answers = {
        "generated": selection.quota.rates(),
        "real": controls.held_out.rates(threshold),
        "reconstructed": controls.reconstructed.rates(threshold),
    }
    answers["generated"]["right"] |= {
        "balanced_agreement": right.agreement(accepted.labels, accepted_labels),
        "agreement": right.agreement(sample.labels, sample_labels),
        "weak_agreement": right.agreement(sample.labels[weak], sample_labels[weak]),
        **right.calibration(sample.logits, sample_labels, *temperatures),
    }
    for name, images, referee_labels in (
        ("real", controls.test, reference.test_labels),
        ("reconstructed", controls.reconstructed, reconstructed_labels),
    ):
        rows = np.flatnonzero(images.confidence >= threshold)
        rows = rows[first_of_each_class(images.labels[rows], counts)]
        answers[name]["right"] |= {
            **right.errors(images.labels[rows], test.labels[rows]),
            "strong_agreement": right.agreement(images.labels[rows], referee_labels[rows]),
            **right.calibration(images.logits, test.labels, *temperatures),
        }
    passing = controls.halfway.strong(threshold)
    agreement = right.agreement(passing.labels, judge(reference.referee, passing.images)[0])
    rate = controls.halfway.rates(threshold)["right"]["strong_rate"]
    answers["halfway"] = {"right": {"strong_rate": rate, "strong_agreement": agreement}}
    return answers, sample_labels


class Answers(NamedTuple):
    """What was found: {set: {question: {key: number}}}, the accepted images cut to the real ones of
    each class, {set: new.Nearest}, and the referee's labels of the sample (n,)."""

    sets: dict
    accepted: Classified
    nearest: dict
    sample_labels: np.ndarray


def examine_all(selection, controls, held_out, reference, accept, soft, rng, say) -> Answers:
    """Every question of the accepted images, of real ones as many of each class, of the controls.

    selection: a Selection.  controls: Controls.  held_out: Labelled.  accept: the Filter.
    soft: whether what learns from images that passed is told the probabilities.
    rng: which copies are planted, a numpy.random.Generator.
    say: called with a line for each set that is about to be examined.
    """
    real = controls.held_out.strong(accept.threshold)
    accepted, real, unfiltered = cut_alike(selection.accepted, real, held_out)
    examined = {}
    for name, images in (("generated", accepted), ("real", real)):
        say(f"  {len(images.labels):,} {name} images: right, varied, new, useful?")
        told = images.soft_labels if soft else images.labels
        examined[name] = examine(images.images, images.labels, told, reference)
    say("  reconstructions and planted copies: new?")
    copies = new.plant_copies(accepted.images, accepted.labels, *reference.seen, rng)
    blurred = controls.reconstructed.strong(accept.threshold)
    newness = {
        "reconstructed": examine_newness(blurred.images, blurred.labels, reference),
        "planted": examine_newness(copies, accepted.labels, reference),
    }
    say("  all that went through the filter: right?")
    counts = np.bincount(accepted.labels, minlength=reference.classes)
    through, sample_labels = examine_filter(selection, controls, reference, accept, counts)
    sets = {name: each.answers() for name, each in examined.items()}
    for name, answers in sets.items():
        answers["balanced"] |= through[name]["balanced"]
    sets["generated"]["right"] |= through["generated"]["right"]
    # The referee has learned from the held-out images: of real ones it is asked about test images.
    sets["real"]["right"] = through["real"]["right"]
    sets["reconstructed"] = through["reconstructed"] | {"new": newness["reconstructed"][0]}
    sets["planted"] = {"new": newness["planted"][0]}
    say("  as many real images without the filter: useful?")
    sets["unfiltered"] = {"useful": examine_usefulness(*unfiltered, reference)}
    sets["halfway"] = through["halfway"]
    nearest = {name: each.nearest for name, each in examined.items()}
    nearest |= {name: found for name, (_, found) in newness.items()}
    return Answers(sets, accepted, nearest, sample_labels)
