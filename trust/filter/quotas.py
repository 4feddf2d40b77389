"""How many images of each class there are, and how many more are wanted."""

import numpy as np

WEAK = 0.5  # below this confidence the other classes together are likelier than the chosen one


class ClassQuota:
    """Keeps the first `per_class` strong images of every class, in the order they were drawn.

    generated, strong, kept: (classes,) integer, how many images of each class so far.
    weak: how many images so far whose confidence is below WEAK.
    """

    def __init__(self, per_class, classes=10):
        self.per_class, self.weak = per_class, 0
        self.generated, self.strong, self.kept = np.zeros((3, classes), dtype=int)

    def count(self, labels, confidence, threshold):
        """Counts the images of the next chunk, and says which of them to keep.

        labels: (n,) integer, the classifier's.  confidence: (n,) float.  Returns (n,) bool.
        """
        strong = confidence >= threshold
        keep = np.zeros(len(labels), dtype=bool)
        for label, room in enumerate(self.shortfall):
            keep[np.flatnonzero(strong & (labels == label))[:room]] = True
        classes = len(self.kept)
        self.generated += np.bincount(labels, minlength=classes)
        self.strong += np.bincount(labels[strong], minlength=classes)
        self.kept += np.bincount(labels[keep], minlength=classes)
        self.weak += np.count_nonzero(confidence < WEAK)
        return keep

    @property
    def shortfall(self):
        """How many strong images each class still lacks: (classes,) integer, all 0 when done."""
        return self.per_class - self.kept

    def progress(self, class_names):
        """How many are drawn, and what is still missing, as a sentence."""
        pairs = zip(class_names, self.shortfall, strict=True)
        lacking = [f"{count:,} of {name}" for name, count in pairs if count]
        if len(lacking) > 8:
            lacking[8:] = [f"and of {len(lacking) - 8} other classes"]
        missing = f"; strong images still missing: {', '.join(lacking)}" if lacking else ""
        return f"{self.generated.sum():,} drawn{missing}"

    def rates(self) -> dict:
        """The shares of the strong and of the weak images among all so far: {key: float}."""
        total = self.generated.sum() or np.nan  # without images the shares are NaN
        return {"strong_rate": self.strong.sum() / total, "weak_rate": self.weak / total}
