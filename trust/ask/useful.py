"""Question 5, are the images useful? The accuracy of a classifier that learns from them alone
(classification accuracy score)."""

import numpy as np

from trust.ask.questions import Asked
from trust.ask.reference import Reference
from trust.ask.verdicts import Verdict, decide
from trust.data.images import as_many_of_each_class, pixels_of
from trust.train import inference, loops

MOST_LOSS = 0.1  # useful fails if accuracy is below that of real images by more than this
EPOCHS = 6  # twice as many change the difference between two sets by less than 0.3 points


def ask(asked: Asked, soft_labels: bool, rng: np.random.Generator) -> dict:
    """{set: {key: number}}: of the subjects, of as many real images of each class as the largest
    subject has, and of as many that went through no filter.

    soft_labels: train on the calibrated probabilities of images that passed the filter, instead of
    their labels.
    """
    reference, sets = asked.reference, {}
    passing = {name: filtered.passing for name, filtered in asked.subjects.items()}
    for name, images in passing.items():
        targets = _soft(images) if soft_labels else images.labels
        sets[name] = {"accuracy": accuracy_after_training(images.images, targets, reference)}
    wanted = np.max([each.counts(reference.classes) for each in passing.values()], axis=0)
    real = asked.beside.held_out["real"]
    targets = _soft(real.passing) if soft_labels else real.passing.labels
    others = {"real": (real.passing.images, real.passing.labels, targets)}
    if real.every is not None:
        others["unfiltered"] = real.every.images, real.every.truth, real.every.truth
    for name, (images, labels, targets) in others.items():
        rows, repeated = as_many_of_each_class(labels, wanted, rng)
        accuracy = accuracy_after_training(images[rows], targets[rows], reference)
        sets[name] = {"accuracy": accuracy, "repeated": repeated}
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """The verdict from the accuracy of classifiers that learned from the set and from real
    images."""
    loss = real["accuracy"] - numbers["accuracy"]
    return decide(fails=loss > MOST_LOSS, worse=False, detectable=float("nan"), bound=MOST_LOSS)


def _soft(images):
    """The calibrated probabilities, (n, classes) float32, as targets to learn from."""
    return images.probabilities.astype(np.float32)


def accuracy_after_training(images: np.ndarray, targets: np.ndarray, reference: Reference) -> float:
    """Accuracy on the test images of a classifier trained on these images alone, NaN for fewer than
    two classes.  Ravuri & Vinyals 2019.

    images: (n, h, w[, c]), uint8 or float32 in [0, 1].  targets: labels (n,), or probabilities
    (n, classes) float32.
    """
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return float("nan")
    loops.make_reproducible(reference.seed)
    classifier = loops.new_classifier(reference.classes, pixels_of(images))
    loops.train_on_still_images(classifier, images, targets, seed=reference.seed, epochs=EPOCHS)
    found = inference.predict(classifier, reference.test.images).argmax(axis=1)
    return float(np.mean(found == reference.test.labels))
