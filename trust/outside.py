"""Reads and selects images that another generator made, without a VAE of this project."""

import os
from typing import NamedTuple

import numpy as np

from trust import datasets, files
from trust.datasets import Dataset

NAMES = ("images", "labels"), ("arr_0", "arr_1")  # of the arrays in an .npz


class Given(NamedTuple):
    """Images (n, h, w[, 3]), uint8 or float32 in [0, 1], and their labels (n,) integer, or None
    where the file has none."""

    images: np.ndarray
    labels: np.ndarray | None


def read_given(path, data: Dataset) -> Given:
    """The images of an .npz (images and labels) or .npy, or of a folder of pictures, with a
    sub-folder for each class or without.  Raises DataError."""
    try:
        images, labels = _read(path)
        images = _fit(images, data)
        if labels is not None:
            raw = files.Raw(images, labels, ("images", "labels"))
            labels = match_labels(datasets.check_labels(raw), data.class_names)
    except OSError as error:
        raise files.DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except files.DataError as error:
        raise files.DataError(f"{path!r}: {error}") from error
    return Given(images, labels)


def _read(path):
    """Images and labels, or None, as they are stored."""
    if os.path.isdir(path):
        there = files.visible(path)
        if folders := [each for each in there if each.is_dir()]:
            parts, *_ = files.read_pictures(folders)
            if len(parts) > 1:
                raise files.DataError("has several parts: give the folder of one of them")
            return parts["train"][:2]
        skipped = []
        found = files.decode([(each, "") for each in there], skipped)
        if not found[0]:
            raise files.DataError("holds no pictures")
        parts, _ = files.stack({"train": found}, skipped)
        return parts["train"].images, None
    try:
        with np.load(path, allow_pickle=False) as file:
            for images, labels in NAMES:
                if images in file:
                    return file[images], file[labels] if labels in file else None
            raise files.DataError("holds no array images")
    except (files.DataError, OSError):
        raise
    except Exception as error:  # damaged bytes make NumPy and zipfile raise almost anything
        raise files.DataError("is no .npz file with images, or damaged") from error


def _fit(images, data: Dataset):
    """Images as stored -> (n, h, w[, 3]) as those of the data set, uint8 or float32 in [0, 1]."""
    if images.ndim not in (2, 3, 4) or images.dtype.kind not in "buif" or not len(images):
        raise files.DataError(
            f"images are {images.shape} {images.dtype}, not (n, h, w[, 3]) numbers"
        )
    images, shape = datasets.arrange(images, "images"), data.train.images.shape[1:]
    if datasets.is_unit(images) and images.dtype.kind == "f":
        if not np.isfinite(images).all() or images.min() < 0:
            raise files.DataError("images must be whole, 0 to 255, or fractions from 0 to 1")
        images = images.astype(np.float32)
    else:
        images = datasets.as_bytes(images, 255, "images", True)
    if images.ndim == len(shape) + 1 and max(images.shape[1:3]) > datasets.LARGEST:
        images = files.shrink(datasets.to_bytes(images), shape[:2])
    if images.shape[1:] != shape:
        said = f"images are of shape {images.shape[1:]}"
        raise files.DataError(f"{said}, but those of {data.name} of {shape}")
    return images


def match_labels(labels, class_names) -> np.ndarray:
    """Labels as stored (n,) -> (n,) integer.  Labels that are all names of classes are matched by
    name, others are numbers of classes.  Raises DataError."""
    places = {name: place for place, name in enumerate(class_names)}
    words = labels.astype(str)
    if set(words) <= set(places):
        return np.array([places[word] for word in words], np.int64)
    numbers = all(name.isdecimal() for name in class_names)
    if labels.dtype.kind not in "iub" or numbers or labels.max() >= len(class_names):
        unknown = max(set(words) - set(places))
        known = ", ".join(class_names[:12])
        raise files.DataError(f"has the label {unknown}, but the classes are {known}")
    return labels.astype(np.int64)


class Chosen(NamedTuple):
    """Images, their labels (n,), and their rows (n,) among the images that were given."""

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


def choose(images, labels, classified, threshold) -> Chosen:
    """The images that are examined.  labels: (n,), or None where the classifier names them.
    classified: what the classifier says of them, or None.  threshold: the least confidence that the
    classifier must have in the label, or None to keep all."""
    keep = np.ones(len(images), bool)
    if labels is None:
        labels = classified.labels
    if threshold is not None:
        keep = (classified.confidence >= threshold) & (classified.labels == labels)
    return Chosen(images[keep], labels[keep], np.flatnonzero(keep))


def describe(given: Given) -> str:
    """A line for the user that says what was read."""
    named = "no labels: the classifier names them"
    return (
        f"{len(given.images):,} images of yours, {named if given.labels is None else 'with labels'}"
    )


def by_doubt(labels, words, confidence) -> np.ndarray:
    """The rows of images, (n,) integer, the most doubtful first: images to which the referee gives
    another label, by falling confidence, then the others, by rising confidence.

    labels, words: (n,) integer, the images' own and the referee's.  confidence: (n,), the referee's
    in its labels.
    """
    agrees = labels == words
    return np.lexsort((np.where(agrees, confidence, -confidence), agrees))


def scores(chosen: Chosen, classified, known: dict, class_names) -> list:
    """The lines of a table: its header, then a line for each image, the most doubtful first.
    classified: what the classifier says of all images given.  known: Examined.of_each_image()."""
    names, classified = np.array(class_names), classified.take(chosen.rows)
    order = by_doubt(chosen.labels, known["referee_labels"], known["referee_confidence"])
    columns = {
        "image": chosen.rows,
        "label": names[chosen.labels],
        "classifier_label": names[classified.labels],
        "classifier_confidence": classified.confidence,
        "referee_label": names[known["referee_labels"]],
        "referee_confidence": known["referee_confidence"],
        "nearest_real_image": known["nearest_index"],
        "nearest_was": np.where(known["nearest_was_seen"], "training image", "test image"),
        "nearest_distance": known["nearest_distance"],
    }
    lines = zip(*(column[order].tolist() for column in columns.values()), strict=True)
    return [list(columns), *lines]
