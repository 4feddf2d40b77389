"""Images that another generator made, read and brought to the form of a data set."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from trust import outputs
from trust.data import checks, pictures
from trust.data.datasets import Dataset
from trust.data.images import DataError, ImageSet, Raw, printable

NAMES = ("images", "labels"), ("arr_0", "arr_1")  # of the arrays in an .npz
TABLES = (".csv", ".tsv", ".json", ".jsonl")  # files in which people keep labels
TINT = 0.02  # of the full scale: a greater difference of the channels is colour
# What no set may be called, as others are in the report.
TAKEN = ("real", "generated", "yours", "reconstructed", "other_prior", "halfway", "unfiltered")
TAKEN += ("planted", "promise", "measure", "noisy_copies", "moved_copies", "reconstructed_copies")
SIZES, ASPECT = (0.5, 4), 1.1  # times the data's size and aspect: from there on it is another thing


def read_given(path, data: Dataset, notes: list) -> ImageSet:
    """The images of an .npz (images and labels) or .npy, or of a folder of pictures, with a
    sub-folder for each class or without.  Adds to the notes what was changed or not read; raises
    DataError."""
    try:
        images, labels, _, files = _read(path, data.class_names, notes)
        given = check_given(images, labels, data, notes)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path!r}: {error}") from error
    if files is None:
        return given
    names = [printable(file.relative_to(Path(path))) for file in files]
    return replace(given, names=np.array(names))


def names_of(paths: list[str]) -> list[str]:
    """What the sets in files or folders are called: "yours" where there is one, else as the files
    are, without their endings, each once."""
    if len(paths) == 1:
        return ["yours"]
    places = [Path(os.path.abspath(path)) for path in paths]
    names = [printable(each.name if each.is_dir() else each.stem) for each in places]
    if len({*names}) < len(names):  # run-1/images.npz and run-2/images.npz
        above = (printable(each.parent.name) for each in places)
        names = [f"{folder}-{name}" for folder, name in zip(above, names, strict=True)]
    names = outputs.distinct([*TAKEN, *map(outputs.fit_for_files, names)])
    return names[len(TAKEN) :]


def read_all(paths: list[str], data: Dataset, notes: list) -> dict[str, ImageSet]:
    """{name: read_given()} of several files or folders, by names_of().  Raises DataError also where
    some have labels and others have none, as they would not be examined alike."""
    found = {}
    for name, path in zip(names_of(paths), paths, strict=True):
        said: list[str] = []
        found[name] = read_given(path, data, said)
        notes += [f"{name}: {each}" for each in said] if len(paths) > 1 else said
    without = [
        path for path, each in zip(paths, found.values(), strict=True) if each.labels is None
    ]
    if 0 < len(without) < len(paths):
        others = pictures.shortened([path for path in paths if path not in without])
        raise DataError(
            f"{pictures.shortened(without)} has no labels, but {others} has: give sets that have "
            "labels and sets that have none apart"
        )
    return found


def check_given(images, labels, data: Dataset, notes: list) -> ImageSet:
    """Images (n, h, w[, c]) and labels (n,), or None, as they are stored, in the form of the data
    set.  Adds to the notes what was changed; raises DataError."""
    try:
        images, labels = np.asarray(images), None if labels is None else np.asarray(labels)
    except Exception as error:  # lists of unequal length, tensors on another device
        problem = " ".join(str(error).split())
        raise DataError(f"images or labels are no arrays: {problem}") from error
    images = _fit(images, data, notes)
    if labels is not None:
        raw = Raw(images, labels, ("images", "labels"))
        labels = match_labels(checks.check_labels(raw), data.class_names)
    return ImageSet(images, labels)


def _read(path, class_names, notes: list) -> Raw:
    """Images and labels, or None, as they are stored."""
    if os.path.isdir(path):
        return _read_folder(pictures.visible(path), class_names, notes)
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return Raw(file, None, ("images", "labels"))
        with file:
            for images, labels in NAMES:
                if images not in file:
                    continue
                found = file[labels] if labels in file else None
                others = [name for name in file.files if name != images]
                if found is None and others:
                    more = f"labels are read from {labels} alone"
                    notes.append(f"not read: {pictures.shortened(others)}; {more}")
                return Raw(file[images], found, (images, labels))
            there = pictures.shortened(file.files) or "nothing"
            raise DataError(f"holds no array images or arr_0, but {there}")
    except (DataError, OSError):
        raise
    except Exception as error:  # damaged bytes make NumPy and zipfile raise almost anything
        raise DataError("is no .npz or .npy file with images, or damaged") from error


def _read_folder(there: list[Path], class_names, notes: list) -> Raw:
    """_read() of a folder with these files and folders."""
    if folders := [each for each in there if each.is_dir()]:
        parts, _, found = pictures.read_pictures(folders)
        if len(parts) > 1:
            raise DataError("has several parts: give the folder of one of them")
        notes += found
        return parts["train"]
    skipped = []
    found = pictures.decode([(each, "") for each in there], skipped)
    if not found[0]:
        raise DataError("holds no pictures")
    parts, said = pictures.stack({"train": found}, skipped)
    notes += said
    cure = "labels are read from the names of sub-folders, one a class, or from an .npz"
    if tables := [name for name in skipped if name.lower().endswith(TABLES)]:
        notes.append(f"no labels were read from {pictures.shortened(tables)}: {cure}")
    names = [printable(file.stem) for file in parts["train"].files]
    if _name_classes(names, class_names):
        said = f"the names of the files, as {names[0]}, may name classes, but were not read: {cure}"
        notes.append(said)
    return parts["train"]._replace(labels=None)


def _name_classes(names: list[str], class_names) -> bool:
    """Whether file names seem to name classes: the same word of each is one, and they recur."""
    words = [re.findall(r"[^\W\d_]+|\d+", name.casefold()) for name in names]
    known = {name.casefold() for name in class_names}
    columns = map(set, zip(*words, strict=False))
    return any(each <= known and 1 < len(each) <= len(names) / 2 for each in columns)


def _fit(images, data: Dataset, notes: list):
    """Images as stored -> (n, h, w[, 3]) as those of the data set, uint8 or float32 in [0, 1]."""
    if images.ndim not in (2, 3, 4) or not len(images):
        raise DataError(f"images are of shape {images.shape}, not (n, h, w) or (n, h, w, 3)")
    images, shape = checks.arrange(images, "images"), data.train.images.shape[1:]
    images = checks.clipped(images, "images", notes)
    if checks.is_unit(images) and images.dtype.kind == "f" and images.min() >= 0:
        images = images.astype(np.float32)
    else:
        images = checks.as_bytes(images, 255, "images", True)
    if images.ndim == 4 and len(shape) == 2:
        images = _as_grey(images, data.name, notes)
    if images.shape[1:3] != shape[:2]:
        images = _scaled(images, data, notes)
    if images.shape[1:] != shape:
        message = f"images are of shape {images.shape[1:]}"
        raise DataError(f"{message}, but those of {data.name} of {shape}")
    return images


def _as_grey(images, name: str, notes: list):
    """Images (n, h, w, 3), uint8 or float32 -> (n, h, w), the mean of channels that hardly differ.
    Raises DataError where they do; name: of the data, which is grey."""
    if checks.is_grey(images):
        notes.append("three equal channels, read as one")
        return images[..., 0]
    tint = np.mean(images.max(axis=3) - images.min(axis=3), dtype=float)
    tint /= 255 if images.dtype == np.uint8 else 1
    if tint > TINT:
        raise DataError(f"images are in colour, but those of {name} are grey: save them as grey")
    notes.append(f"three channels that differ by {tint:.1%} of the scale: their mean is read")
    grey = images.mean(axis=3, dtype=np.float32)
    return np.rint(grey).astype(np.uint8) if images.dtype == np.uint8 else grey


def _scaled(images, data: Dataset, notes: list):
    """Images of another size than the data's, uint8 and scaled to that size.  Raises DataError
    where they are no images of one thing each, as it seems."""
    (h, w), size = images.shape[1:3], data.train.images.shape[1:3]
    height, width = data.stored or size
    down, across = h / height, w / width
    if max(down, across) > ASPECT * min(down, across) or not SIZES[0] <= down <= SIZES[1]:
        cure = "if each is a sheet of several, cut it; else bring them to the size of the data"
        raise DataError(
            f"images are {h} x {w} pixels, but those of {data.name} {height} x {width}: {cure}"
        )
    said = f"scaled from {h} x {w} to {size[0]} x {size[1]}"
    if h > height:
        said += "; if a border was added to them, cut it off first"
    elif h < size[0]:
        said += ", which blurs them"
    notes.append(said)
    return pictures.shrink(checks.to_bytes(images), size)


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


def describe(given: dict[str, ImageSet], notes: list[str]) -> str:
    """A line for the user that says what was read."""
    named = "no labels: the classifier names them"
    of_each = [f"{len(each):,} images of {name}" for name, each in given.items()]
    without = any(each.labels is None for each in given.values())
    first = f"{', '.join(of_each)}, {named if without else 'with labels'}"
    return "; ".join([first, *notes])
