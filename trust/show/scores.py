"""A table with a line for each examined image, the most doubtful first."""

import numpy as np

from trust.data.images import ImageSet
from trust.examination import Run


def by_doubt(labels, referee_labels, confidence) -> np.ndarray:
    """The rows of images, (n,) integer, the most doubtful first: images to which the referee gives
    another label, by falling confidence, then the others, by rising confidence.

    labels, referee_labels: (n,) integer, the images' own and the referee's.
    confidence: (n,), the referee's in its labels.
    """
    agrees = labels == referee_labels
    return np.lexsort((np.where(agrees, confidence, -confidence), agrees))


def by_classifier(images: ImageSet, class_names) -> dict:
    """{column: (n,)}: what an image is called, its label, and what the classifier says of it.  It
    is called by the name of its file, or by its row where it has no file of its own."""
    names = np.array(class_names)
    return {
        "image": images.rows if images.names is None else images.names,
        "label": names[images.labels],
        "classifier_label": names[images.predicted],
        "classifier_confidence": images.confidence,
    }


def scores(run: Run, class_names, **more: np.ndarray) -> list:
    """The lines of a table: its header, then a line for each accepted image, the most doubtful
    first.  more: further columns, (n,) each."""
    names, accepted, known = np.array(class_names), run.accepted, run.of_each_image()
    # The last part of the real images is the one that was not seen.
    unseen = [*run.asked.reference.parts][-1].replace("_", "-")
    order = by_doubt(accepted.labels, known["referee_labels"], known["referee_confidence"])
    columns = by_classifier(accepted, class_names) | {
        "referee_label": names[known["referee_labels"]],
        "referee_confidence": known["referee_confidence"],
        "unreal": known["unreal"],
        "group": known["group"],
        "nearest_real_image": known["nearest_index"],
        "nearest_was": np.where(known["nearest_was_seen"], "training image", f"{unseen} image"),
        "nearest_distance": known["nearest_distance"],
        **more,
    }
    lines = zip(*(column[order].tolist() for column in columns.values()), strict=True)
    return [list(columns), *lines]
