"""What a classifier learns from a set of images alone: the classification accuracy score."""

import numpy as np

from trust import training
from trust.datasets import Labelled

USEFULNESS_EPOCHS = 3  # of the classifiers that measure it: what counts is their difference


def accuracy_after_training(images, targets, test: Labelled, classes: int, seed: int) -> float:
    """Accuracy on test images of a classifier trained on these images alone, NaN for fewer than two
    classes.  Ravuri & Vinyals 2019.

    images: (n, 28, 28), uint8 or float32 in [0, 1].  targets: labels (n,), or probabilities
    (n, classes) float32.
    """
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return float("nan")
    training.make_reproducible(seed)
    classifier = training.new_classifier(classes)
    training.train_classifier(classifier, images, targets, seed, epochs=USEFULNESS_EPOCHS)
    found = training.predict(classifier, test.images).argmax(axis=1)
    return float(np.mean(found == test.labels))
