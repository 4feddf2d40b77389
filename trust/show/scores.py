"""A table with a line for each examined image, the most doubtful first."""

import numpy as np

from trust.examination import Run


def by_doubt(labels, referee_labels, confidence) -> np.ndarray:
    """The rows of images, (n,) integer, the most doubtful first: images to which the referee gives
    another label, by falling confidence, then the others, by rising confidence.

    labels, referee_labels: (n,) integer, the images' own and the referee's.
    confidence: (n,), the referee's in its labels.
    """
    agrees = labels == referee_labels
    return np.lexsort((np.where(agrees, confidence, -confidence), agrees))


def scores(run: Run, class_names) -> list:
    """The lines of a table: its header, then a line for each accepted image, the most doubtful
    first."""
    names, accepted, known = np.array(class_names), run.accepted, run.of_each_image()
    order = by_doubt(accepted.labels, known["referee_labels"], known["referee_confidence"])
    columns = {
        "image": accepted.rows,
        "label": names[accepted.labels],
        "classifier_label": names[accepted.predicted],
        "classifier_confidence": accepted.confidence,
        "referee_label": names[known["referee_labels"]],
        "referee_confidence": known["referee_confidence"],
        "unreal": known["unreal"],
        "nearest_real_image": known["nearest_index"],
        "nearest_was": np.where(known["nearest_was_seen"], "training image", "test image"),
        "nearest_distance": known["nearest_distance"],
    }
    lines = zip(*(column[order].tolist() for column in columns.values()), strict=True)
    return [list(columns), *lines]
