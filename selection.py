"""Which generated images to trust: calibrated confidence, and the same number of every class."""

import numpy as np

WEAK = 0.5  # below this confidence the other classes together are likelier than the chosen one

COLDEST, HOTTEST = 0.01, 100.0  # the temperatures that `fit_temperature` can return


def softmax(logits, temperature=1.0):
    """Probabilities of the classes; a temperature above 1 makes them less confident.

    logits: (n, classes) float.  temperature: positive float.
    Returns (n, classes) float64, rows sum to 1.  Guo et al. 2017, eq. 9.
    """
    scaled = np.asarray(logits, dtype=float) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def fit_temperature(logits, labels):
    """The temperature at which the labels of held-out images are likeliest.

    The mean negative log-likelihood is convex in 1 / temperature, so its slope is bisected.
    logits: (n, classes) float.  labels: (n,) integer.
    Returns a float in [0.01, 100]: an end of that range when the likelihood still rises there
    (0.01 for logits that are never wrong), 1 when no temperature is better than none.
    Guo et al. 2017, sec. 4.2.
    """
    logits = np.asarray(logits, dtype=float)
    logits = logits - logits.max(axis=1, keepdims=True)
    true_logits = logits[np.arange(len(labels)), labels]

    def slope(temperature):
        expected = np.einsum("ij,ij->i", softmax(logits, temperature), logits)
        return np.mean(expected - true_logits)

    if slope(1.0) == 0:
        return 1.0
    cold, hot = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(60):
        middle = (cold + hot) / 2
        if slope(np.exp(middle)) > 0:
            cold = middle
        else:
            hot = middle
    return float(np.exp(middle))


def confidence(probabilities):
    """The likeliest class of each image, and its probability.

    probabilities: (n, classes) float.
    Returns labels (n,) integer and confidence (n,) float; of equal classes the lowest.
    """
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def hesitation(probabilities):
    """The two classes between which each image hesitates, the likelier first.

    probabilities: (n, classes) float.
    Returns labels (n, 2) integer and their probabilities (n, 2) float.
    """
    labels = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return labels, np.take_along_axis(probabilities, labels, axis=1)


class Balance:
    """Keeps the first `per_class` strong images of every class, in the order they were drawn.

    It holds counts only, so the images can pass through it in chunks and without end.
    generated, strong, kept: (classes,) integer, how many images of each class so far.
    """

    def __init__(self, per_class, classes=10):
        self.per_class = per_class
        self.generated, self.strong, self.kept = np.zeros((3, classes), dtype=int)

    def take(self, labels, strong):
        """Says which images of the next chunk to keep.

        labels: (n,) integer, the classifier's.  strong: (n,) bool.  Returns (n,) bool.
        """
        keep = np.zeros(len(labels), dtype=bool)
        for label, room in enumerate(self.shortfall):
            keep[np.flatnonzero(strong & (labels == label))[:room]] = True
        classes = len(self.kept)
        self.generated += np.bincount(labels, minlength=classes)
        self.strong += np.bincount(labels[strong], minlength=classes)
        self.kept += np.bincount(labels[keep], minlength=classes)
        return keep

    @property
    def shortfall(self):
        """How many strong images each class still lacks: (classes,) integer, all 0 when done."""
        return self.per_class - self.kept
