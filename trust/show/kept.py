"""What is kept of the examined images: those to trust, and the others by what is against each."""

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow as tf

from trust import outputs
from trust.ask.realistic import SURELY
from trust.data.checks import to_bytes
from trust.data.images import ImageSet, join
from trust.examination import ANOTHER_CLASS, COPY, DOUBTFUL, GROUPS, SURELY_UNREAL, TRUSTED, Run
from trust.outputs import distinct, fit_for_files
from trust.show.scores import by_classifier, scores

TABLE = "images.csv"
KNOWN = ("images", "labels", "confidence", "probabilities", "rows", "names")


def arrays(run: Run) -> dict:
    """{name: (n, ...) array} of the accepted images, and of all that is known of each."""
    known = run.accepted.known()
    return {name: known[name] for name in KNOWN if name in known} | run.of_each_image()


def write_pictures(folder: Path, run: Run, class_names) -> None:
    """Writes GROUP/CLASS/NAME.png, of 8 bits, for each image into an empty folder, and a TABLE:
    scores(), then the images that our filter stopped, of which only the classifier was asked."""
    accepted, stopped = run.accepted, stopped_by_filter(run)
    groups = [*run.of_each_image()["group"].tolist(), *[DOUBTFUL] * len(stopped)]
    every = join([accepted, stopped])
    paths = picture_paths(every, groups, class_names)
    write_each(folder, every.images, paths)
    pictures = np.array(paths, str)
    head, *lines = scores(run, class_names, picture=pictures[: len(accepted)])
    columns = by_classifier(stopped, class_names)
    columns |= {"group": np.full(len(stopped), DOUBTFUL), "picture": pictures[len(accepted) :]}
    blank = np.full(len(stopped), "")
    lines += zip(*(columns.get(name, blank).tolist() for name in head), strict=True)
    outputs.write_table(folder / TABLE, [head, *lines])


def write_each(folder: Path, images: np.ndarray, paths: list[str]) -> None:
    """Writes each of images (n, h, w[, c]) as a PNG of 8 bits and of its own size, to its path in
    the folder."""
    for path, image in zip(paths, to_bytes(images), strict=True):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        channels = image if image.ndim == 3 else image[..., None]
        file.write_bytes(tf.io.encode_png(channels).numpy())


def stopped_by_filter(run: Run) -> ImageSet:
    """The images that did not pass, none where they are not kept."""
    stopped = run.filtered.stopped
    return run.accepted.take(slice(0)) if stopped is None else stopped


def picture_paths(images: ImageSet, groups: list[str], class_names) -> list[str]:
    """Of each image "GROUP/CLASS/NAME.png"; NAME is its file's without the ending, or its row.

    No two images of a class have the same name, whatever their groups: a person may move them from
    one to another.  Letters count as equal in upper and lower case, as for some file systems.
    """
    if images.names is None:
        digits = len(str(images.rows.max(initial=0)))
        names = [f"{row:0{digits}}" for row in images.rows.tolist()]
    else:
        names = [PurePosixPath(name).stem for name in images.names.tolist()]
    folders = distinct([fit_for_files(str(name)) for name in class_names])
    found = [""] * len(images)
    for label, own in enumerate(folders):
        rows = np.flatnonzero(images.labels == label).tolist()
        called = distinct([fit_for_files(names[row]) for row in rows])
        for row, name in zip(rows, called, strict=True):
            found[row] = f"{groups[row]}/{own}/{name}.png"
    return found


def describe(run: Run, path: str) -> str:
    """A line that says how many images of each group are in the file or folder, and how many of as
    many real images would be set aside, on average."""
    counts = Counter(run.of_each_image()["group"].tolist())
    if not outputs.is_npz(path):
        counts[DOUBTFUL] = len(stopped_by_filter(run))
    aside = [f"{counts[group]:,} {group}" for group in GROUPS if group != TRUSTED and counts[group]]
    line = f"{counts[TRUSTED]:,} images to trust are in {path}"
    if aside:
        line += f", and beside them {', '.join(aside)}"
    n, disagrees = len(run.accepted), 1 - run.sets["real"]["right"]["agreement"]
    if n and disagrees >= 0:  # it is NaN where no real image passes
        copies = 2 * run.sets[run.subject]["new"]["copies_expected"]  # as they are, and centred
        line += f"; of {n:,} real images about {n * disagrees:.0f} would be {ANOTHER_CLASS}, "
        line += f"at most {copies:.0f} {COPY}, {n / SURELY:.0f} {SURELY_UNREAL}"
    return line
