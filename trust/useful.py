"""Question 5, are the images useful? The accuracy of a classifier that learns from them alone
(classification accuracy score)."""

import numpy as np

from trust import training
from trust.datasets import Labelled, pixels_of

EPOCHS = 6  # twice as many change the difference between two sets by less than 0.3 points


def accuracy_after_training(images, targets, test: Labelled, classes: int, seed: int) -> float:
    """Accuracy on test images of a classifier trained on these images alone, NaN for fewer than two
    classes.  Ravuri & Vinyals 2019.

    images: (n, h, w[, c]), uint8 or float32 in [0, 1].  targets: labels (n,), or probabilities
    (n, classes) float32.
    """
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return float("nan")
    training.make_reproducible(seed)
    classifier = training.new_classifier(classes, pixels_of(images))
    training.train_on_still_images(classifier, images, targets, seed, EPOCHS)
    found = training.predict(classifier, test.images).argmax(axis=1)
    return float(np.mean(found == test.labels))
