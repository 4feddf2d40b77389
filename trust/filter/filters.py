"""The filter: a classifier, calibrated, and the least confidence of an image that passes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from trust.data.images import ImageSet, join
from trust.filter.calibrate import fit_temperature
from trust.filter.promise import (
    Promise,
    PromiseError,
    check_possible,
    halves,
    least_error,
    loosest_threshold,
)
from trust.filter.quotas import ClassQuota
from trust.train import inference
from trust.train.inference import softmax

CHUNK = 10_000  # images drawn at a time; the first chunk is the sample


@dataclass(frozen=True, eq=False)
class Filtered:
    """Images behind a filter.

    passing: those that passed, as far as they are wanted.  every: those of before, all of them or
    the first that were drawn; None where they are not kept.  quota: counted all of before; None
    where only those that passed are known.  stopped: those of somebody else's that did not pass.
    """

    passing: ImageSet
    every: ImageSet | None = None
    quota: ClassQuota | None = None
    stopped: ImageSet | None = None

    def strong(self, classes: int) -> np.ndarray:
        """How many images of each class passed, also those that were not wanted: (classes,)."""
        return self.passing.counts(classes) if self.quota is None else self.quota.strong

    def rates(self) -> dict:
        """ClassQuota.rates(), or nothing where all of before are not known."""
        return {} if self.quota is None else self.quota.rates()


@dataclass(frozen=True)
class Filter:
    """A classifier, the temperature that calibrates it, the least confidence of a strong image, the
    temperatures fitted on reconstructions of held-out images and on these images themselves, and
    the promise that the threshold keeps, if there is one."""

    classifier: keras.Model
    temperature: float
    threshold: float
    temperature_reconstructions: float
    temperature_real_images: float
    promise: Promise | None = None

    def classify(self, images, truth=None) -> ImageSet:
        """What the classifier says of images (n, h, w[, c]), uint8 or float32 in [0, 1].
        truth: (n,) integer, what they show, or None."""
        logits = inference.predict(self.classifier, images)
        probabilities = softmax(logits, self.temperature)
        return ImageSet(
            images,
            labels=probabilities.argmax(axis=1),
            truth=truth,
            predicted=probabilities.argmax(axis=1),
            confidence=probabilities.max(axis=1),
            probabilities=probabilities,
            logits=logits,
            rows=np.arange(len(images)),
        )

    def passes(self, classified: ImageSet) -> np.ndarray:
        """Which of them are strong, (n,) bool."""
        return classified.confidence >= self.threshold

    def sift(self, images, truth=None) -> Filtered:
        """Classifies images and keeps all strong ones.  Takes the same as classify()."""
        every = self.classify(images, truth)
        quota = ClassQuota(len(every), every.logits.shape[1])
        keep = quota.count(every.labels, every.confidence, self.threshold)
        return Filtered(every.take(keep), every, quota)


def sift_labelled(labelled: ImageSet, accept: Filter | None) -> Filtered:
    """Images whose labels somebody else gave; the classifier names those without labels.

    A label is believed if the classifier is sure of the same.  Without a classifier, or with the
    threshold 0, all images pass.
    """
    rows = np.arange(len(labelled))
    if accept is None:
        return Filtered(replace(labelled, rows=rows))
    every = replace(accept.classify(labelled.images, labelled.truth), names=labelled.names)
    if labelled.labels is not None:
        every = replace(every, labels=labelled.labels)
    keep = np.ones(len(rows), bool)
    if accept.threshold > 0:
        keep = accept.passes(every) & (every.labels == every.predicted)
    return Filtered(every.take(rows[keep]), stopped=every.take(rows[~keep]))


def fit_filter(
    classifier: keras.Model,
    held_out: ImageSet,
    images: np.ndarray,
    threshold: float,
    temperature: float | None = None,
) -> Filter:
    """A Filter.  Its temperature, unless given, is fitted on `images`, reconstructions of held-out
    images, because they are as blurred as generated images.

    held_out: images that neither VAE nor classifier has learned from.  images: (n, h, w[, c]),
    their reconstructions, or themselves.  threshold: the least confidence of a strong image.
    """
    fitted, real = (
        fit_temperature(inference.predict(classifier, each), held_out.labels)
        for each in (images, held_out.images)
    )
    return Filter(
        classifier,
        temperature=temperature or fitted,
        threshold=threshold,
        temperature_reconstructions=fitted,
        temperature_real_images=real,
    )


def fit_promise(
    classifier: keras.Model,
    held_out: ImageSet,
    images: np.ndarray,
    max_error: float,
    rng: np.random.Generator,
    temperature: float | None = None,
) -> Filter:
    """A Filter that keeps the promise of at most a share max_error of wrong labels.

    images (n, h, w[, c]): the held-out images themselves, or their reconstructions; the promise
    then holds for generated images as far as these are no harder.  temperature: fitted on the other
    half if left out.  Raises PromiseError where no threshold keeps the promise.
    """
    first, second = halves(held_out, rng)
    check_possible(max_error, len(second))
    accept = fit_filter(
        classifier, held_out.take(first), images[first], threshold=0.0, temperature=temperature
    )
    known = accept.classify(images[second], truth=held_out.labels[second])
    wrong = known.labels != known.truth
    threshold = loosest_threshold(known.confidence, wrong, max_error)
    if threshold is None:
        raise PromiseError(
            f"no threshold keeps --max-error {max_error:g} with 95 % confidence: without a "
            f"threshold {np.mean(wrong):.2%} of {len(second):,} held-out images are wrong; the "
            f"least that so many can show is {least_error(len(second)):.2g}"
        )
    passing = known.take(known.confidence >= threshold)
    promise = Promise(max_error, threshold, passing.labels, passing.truth)
    return replace(accept, threshold=threshold, promise=promise)


def generate(
    sample: Callable[[int], np.ndarray],
    accept: Filter,
    quota: ClassQuota,
    max_draws: int,
    progress: Callable[[], None],
) -> Filtered:
    """Draws images, CHUNK at a time, until every class has its strong ones or max_draws are drawn.

    sample: n -> images (n, h, w[, c]) float32 in [0, 1].  quota: counts all that is drawn.
    progress: called after each chunk.  Returns the strong images that fill the quota, and as
    `every` the first chunk.
    """
    kept, first = [], None
    while quota.shortfall.any() and (drawn := quota.generated.sum()) < max_draws:
        chunk = accept.classify(sample(int(min(CHUNK, max_draws - drawn))))
        kept.append(chunk.take(quota.count(chunk.labels, chunk.confidence, accept.threshold)))
        first = chunk if first is None else first
        progress()
    accepted = join(kept)  # whose rows are places in the chunks, which are gone
    return Filtered(replace(accepted, rows=np.arange(len(accepted))), first, quota)
