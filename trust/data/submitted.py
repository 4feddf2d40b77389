"""Images that another generator made, read and brought to the form of a data set."""

import os

import numpy as np

from trust.data import checks, pictures
from trust.data.datasets import Dataset
from trust.data.images import DataError, ImageSet, Raw

NAMES = ("images", "labels"), ("arr_0", "arr_1")  # of the arrays in an .npz


def read_given(path, data: Dataset) -> ImageSet:
    """The images of an .npz (images and labels) or .npy, or of a folder of pictures, with a
    sub-folder for each class or without.  Raises DataError."""
    try:
        return check_given(*_read(path), data)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path!r}: {error}") from error


def check_given(images, labels, data: Dataset) -> ImageSet:
    """Images (n, h, w[, c]) and labels (n,), or None, as they are stored, in the form of the data
    set.  Raises DataError."""
    try:
        images, labels = np.asarray(images), None if labels is None else np.asarray(labels)
    except Exception as error:  # lists of unequal length, tensors on another device
        problem = " ".join(str(error).split())
        raise DataError(f"images or labels are no arrays: {problem}") from error
    images = _fit(images, data)
    if labels is not None:
        raw = Raw(images, labels, ("images", "labels"))
        labels = match_labels(checks.check_labels(raw), data.class_names)
    return ImageSet(images, labels)


def _read(path):
    """Images and labels, or None, as they are stored."""
    if os.path.isdir(path):
        there = pictures.visible(path)
        if folders := [each for each in there if each.is_dir()]:
            parts, *_ = pictures.read_pictures(folders)
            if len(parts) > 1:
                raise DataError("has several parts: give the folder of one of them")
            return parts["train"][:2]
        skipped = []
        found = pictures.decode([(each, "") for each in there], skipped)
        if not found[0]:
            raise DataError("holds no pictures")
        parts, _ = pictures.stack({"train": found}, skipped)
        return parts["train"].images, None
    try:
        with np.load(path, allow_pickle=False) as file:
            for images, labels in NAMES:
                if images in file:
                    return file[images], file[labels] if labels in file else None
            raise DataError("holds no array images")
    except (DataError, OSError):
        raise
    except Exception as error:  # damaged bytes make NumPy and zipfile raise almost anything
        raise DataError("is no .npz file with images, or damaged") from error


def _fit(images, data: Dataset):
    """Images as stored -> (n, h, w[, 3]) as those of the data set, uint8 or float32 in [0, 1]."""
    if images.ndim not in (2, 3, 4) or images.dtype.kind not in "buif" or not len(images):
        raise DataError(f"images are {images.shape} {images.dtype}, not (n, h, w[, 3]) numbers")
    images, shape = checks.arrange(images, "images"), data.train.images.shape[1:]
    if checks.is_unit(images) and images.dtype.kind == "f":
        if not np.isfinite(images).all() or images.min() < 0:
            raise DataError("images must be whole, 0 to 255, or fractions from 0 to 1")
        images = images.astype(np.float32)
    else:
        images = checks.as_bytes(images, 255, "images", True)
    if images.ndim == len(shape) + 1 and max(images.shape[1:3]) > checks.LARGEST:
        images = pictures.shrink(checks.to_bytes(images), shape[:2])
    if images.shape[1:] != shape:
        message = f"images are of shape {images.shape[1:]}"
        raise DataError(f"{message}, but those of {data.name} of {shape}")
    return images


def match_labels(labels, class_names) -> np.ndarray:
    """Labels as stored (n,) -> (n,) integer.  Labels that are all names of classes are matched by
    name, others are numbers of classes.  Raises DataError."""
    places = {name: place for place, name in enumerate(class_names)}
    texts = labels.astype(str)
    if set(texts) <= set(places):
        return np.array([places[word] for word in texts], np.int64)
    numbers = all(name.isdecimal() for name in class_names)
    if labels.dtype.kind not in "iub" or numbers or labels.max() >= len(class_names):
        unknown = max(set(texts) - set(places))
        known = ", ".join(class_names[:12])
        raise DataError(f"labels has the label {unknown}, but the classes are {known}")
    return labels.astype(np.int64)


def describe(given: ImageSet) -> str:
    """A line for the user that says what was read."""
    named = "no labels: the classifier names them"
    return f"{len(given):,} images of yours, {named if given.labels is None else 'with labels'}"
