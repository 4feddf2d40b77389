"""A data set of small images, bundled or the user's own, checked where it enters."""

import hashlib
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust.files import DataError, Raw, read_raw, shrink

DATA = Path(__file__).parents[1] / "data"
GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
BUNDLED = {"mnist": tuple("0123456789"), "fashion_mnist": tuple(GARMENTS)}  # name: class names
FINGERPRINTS = {  # {Dataset.fingerprint: name} of the bundled sets
    "53b4de002add035efcc1bfa27d6d7517ef6c2afced7b7012fd6913d0c3f8e78b": "mnist",
    "5b22a816b4ddd488c1631120e5c483e19c2f39a8cbba56e040bbbaa38522c3e3": "fashion_mnist",
}
HELD_OUT = 6  # one training image in this many is held out
SMALLEST, LARGEST = 8, 64  # pixels on each side of an image


class Labelled(NamedTuple):
    """images: (n, h, w), or (n, h, w, 3), uint8.  labels: (n,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Labelled(self.images[rows], self.labels[rows])


class Pixels(NamedTuple):
    """What a network must know about its images: their shape (h, w, c), and the mean of each of the
    c channels in [0, 1]."""

    shape: tuple
    mean: tuple


def pixels_of(images: np.ndarray) -> Pixels:
    """The Pixels of images (n, h, w[, c]), from 5,000 of them."""
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)
    some = images[np.linspace(0, len(images) - 1, min(len(images), 5000)).astype(int)]
    some = some.reshape(-1, shape[2]) / (255 if images.dtype == np.uint8 else 1)
    return Pixels(shape, tuple(some.mean(axis=0).tolist()))


class Split(NamedTuple):
    """The training images: those that the VAE learns from, those that the classifier learns from,
    and the held-out sixth, from which neither learns.
    vae_rows, held_out_rows: (k,) integer, the rows of these among the training images."""

    vae: Labelled
    classifier: Labelled
    held_out: Labelled
    vae_rows: np.ndarray
    held_out_rows: np.ndarray


class Dataset(NamedTuple):
    """A checked data set; labels are from 0 to classes - 1.  fingerprint: the SHA-256 of the four
    arrays, however they were stored.  bundled: whether they came with the code.
    understood: a line for the user that says what was read."""

    name: str
    path: str
    train: Labelled
    test: Labelled
    class_names: tuple
    fingerprint: str
    bundled: bool
    understood: str = ""

    @property
    def classes(self):
        return len(self.class_names)

    @property
    def pixels(self):
        return pixels_of(self.train.images)


def load_dataset(name_or_path):
    """A checked Dataset from "mnist", "fashion_mnist", or the path of an .npz file, of a folder of
    pictures or of a folder of IDX files: see the README.  Whatever the path holds, the only error
    raised is DataError."""
    by_name = name_or_path in BUNDLED
    path = os.fspath(DATA / f"{name_or_path}.npz" if by_name else name_or_path)
    cure = ": git checkout brings it back" if by_name else ""
    if not os.path.isfile(path) and not os.path.isdir(path):
        problem = "is not a regular file" if os.path.exists(path) else "does not exist"
        meant = str(name_or_path).lower().replace("-", "_")
        hint = f"did you mean {meant}? " if meant in BUNDLED else ""
        known = f": {hint}a data set is mnist, fashion_mnist or the path of a file or folder"
        raise DataError(f"{path!r} {problem}{cure or known}")
    try:
        parts, class_names, notes = read_raw(path)
        train, test, names = check_parts(parts, class_names, notes)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path!r}: {error}{cure}") from error
    digest = hashlib.sha256()
    for array in (*train, *test):
        digest.update(str(array.shape).encode())
        digest.update(array)
    fingerprint = digest.hexdigest()
    bundled = FINGERPRINTS.get(fingerprint)
    if by_name and bundled != name_or_path:
        raise DataError(f"{path!r} is not the file that came with the code{cure}")
    name = bundled or Path(path).resolve().stem
    names = BUNDLED.get(bundled, names)
    understood = describe(name, train, test, names, notes)
    return Dataset(name, path, train, test, names, fingerprint, bundled is not None, understood)


def describe(name, train, test, class_names, notes) -> str:
    """A line for the user that says what was read."""
    height, width = train.images.shape[1:3]
    kind = "grey" if train.images.ndim == 3 else "RGB"
    first = f"{name}: {len(train.labels):,} training and {len(test.labels):,} test images, "
    names = ", ".join(class_names[:12]) + (", ..." if len(class_names) > 12 else "")
    first += f"{height} x {width} {kind}, {len(class_names)} classes: {names}"
    return "; ".join([first, *notes])


def check_parts(parts: dict, class_names, notes: list):
    """{part: Raw} -> training images, test images, both Labelled, and the names of the classes.
    Adds to the notes what was changed; raises DataError where the parts do not fit together."""
    labels = {part: check_labels(raw) for part, raw in parts.items()}
    images = check_images(parts, notes)
    if "val" in parts:
        for each in (images, labels):
            each["train"] = np.concatenate([each["train"], each.pop("val")])
        notes.append("the validation images were added to the training images")
    if "test" not in parts:
        held = one_in_six(images["train"], labels["train"], 0)
        if not held.any():
            raise DataError("there is no test set, and there are too few images to take a sixth")
        for each in (images, labels):
            each["test"], each["train"] = each["train"][held], each["train"][~held]
        notes.append("no test set: a sixth of each class becomes one")
    values = np.unique(labels["train"])
    if len(values) > max(2, len(labels["train"]) // 2):
        said = f"{len(values):,} different labels for {len(labels['train']):,} images"
        raise DataError(f"{parts['train'].names[1]} has {said}: a class needs several images")
    unknown = np.setdiff1d(labels["test"], values)
    if unknown.size:
        names = parts["test"].names[1], parts["train"].names[1]
        raise DataError(f"{names[0]} has label {unknown[0]}, which {names[1]} does not")
    train, test = (
        Labelled(images[part], np.searchsorted(values, labels[part])) for part in ("train", "test")
    )
    first, _ = distinct(train.images)
    if copies := len(train.labels) - len(first):
        notes.append(f"{copies:,} training images equal another: copies stay together")
    seen = {image.tobytes() for image in train.images[first]}
    if both := sum(image.tobytes() in seen for image in test.images):
        notes.append(f"{both:,} test images are training images too")
    return train, test, name_classes(values, class_names)


def name_classes(values, class_names):
    """The names of the classes, a tuple: those given, or the labels themselves.  Raises DataError
    where the number of names is wrong."""
    if class_names is None:
        return tuple(map(str, values.tolist()))
    names = np.ravel(class_names)
    if values.dtype.kind in "iu" and len(names) > values[-1]:
        return tuple(map(str, names[values]))
    if len(names) != len(values):
        raise DataError(f"class_names has {len(names)} names for {len(values)} classes")
    return tuple(map(str, names))


def check_labels(raw: Raw) -> np.ndarray:
    """Labels as stored, also one-hot -> (n,), whole numbers or strings.  Raises DataError."""
    labels, name = raw.labels, raw.names[1]
    if len(raw.images) != len(labels):
        counts = f"{len(raw.images)} images, but {name} has {len(labels)} labels"
        raise DataError(f"{raw.names[0]} has {counts}")
    if labels.dtype.kind in "US":
        labels = labels.astype(str)
    elif not np.isfinite(labels).all() or (labels % 1 != 0).any():
        raise DataError(f"{name} has labels that are not whole numbers")
    elif labels.min() < 0:
        raise DataError(f"{name} has the label {labels.min()}, but labels start from 0 or 1")
    if labels.ndim == 2 and labels.shape[1] > 1:
        if labels.dtype.kind == "U" or (labels > 1).any() or (labels.sum(axis=1) != 1).any():
            raise DataError(f"{name} has shape {labels.shape}: several labels an image")
        labels = labels.argmax(axis=1)
    labels = labels.ravel()
    whole = labels.dtype.kind == "f" and float(labels.max()) < 2**53
    return labels.astype(np.int64) if whole else labels


def check_images(parts: dict, notes: list) -> dict:
    """{part: Raw} -> {part: images (n, h, w) or (n, h, w, 3) uint8}, all on one scale and of one
    size, with at most LARGEST pixels on each side.  Adds to the notes; raises DataError."""
    images = {part: arrange(raw.images, raw.names[0]) for part, raw in parts.items()}
    names = {part: raw.names[0] for part, raw in parts.items()}
    shapes = {part: array.shape[1:] for part, array in images.items()}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            said = f"has images of shape {shape}, but {names['train']} of {shapes['train']}"
            raise DataError(f"{names[part]} {said}")
    top = 1 if is_unit(images["train"]) else 255
    if names["train"] == "data" and images["train"].max() <= 16:
        top = 16  # as scikit-learn's digits have it
        notes.append("values from 0 to 16 become 0 to 255")
    for part, array in images.items():
        if part != "train" and top != 16 and is_unit(array) != (top == 1):
            # If all images are black, their scale cannot be told.
            if top == 1 or not np.array_equal(array, array.astype(np.uint8)):
                said = f"{names[part]} and {names['train']} are on different scales"
                raise DataError(f"{said}: both must be 0 to 255, or both fractions from 0 to 1")
        pixels = as_bytes(array, top, names[part], part == "train")
        images[part] = np.ascontiguousarray(pixels)
    height, width = images["train"].shape[1:3]
    if max(height, width) > LARGEST:
        scale = LARGEST / max(height, width)
        size = [max(SMALLEST, round(side * scale)) for side in (height, width)]
        notes.append(f"scaled down from {height} x {width}")
        images = {part: shrink(array, size) for part, array in images.items()}
    return images


def is_unit(images) -> bool:
    """Whether the images are booleans, or floats none of which is above 1."""
    return images.dtype.kind == "b" or (images.dtype.kind == "f" and images.max() <= 1)


def arrange(images, name):
    """Images as stored, also flat or with channels first -> (n, h, w) or (n, h, w, 3).  Raises
    DataError."""
    shape = images.shape
    wanted = f"{name} has shape {shape}, but must be (n, h, w) or (n, h, w, 3)"
    if images.ndim == 2:
        side = math.isqrt(shape[1])
        if side**2 != shape[1]:
            raise DataError(f"{wanted}: {shape[1]} values are no square image")
        images = images.reshape(-1, side, side)
    elif images.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        images = np.moveaxis(images, 1, 3)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(wanted)
    if min(images.shape[1:3]) < SMALLEST:
        raise DataError(f"{wanted} of {SMALLEST} pixels a side at least")
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def to_bytes(images):
    """Images, uint8 or in [0, 1] -> uint8."""
    return images if images.dtype == np.uint8 else np.rint(255 * images).astype(np.uint8)


def as_bytes(images, top, name, is_train):
    """Images with values from 0 to `top` -> uint8, 0 to 255.  Raises DataError, which uses `name`
    for the array; is_train: whether to refuse images without a value above 1."""
    if images.dtype.kind == "b":
        return np.uint8(255) * images
    wanted = "but must be 0 to 255, or fractions from 0 to 1"
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} has NaN or infinite values, {wanted}")
    if low < 0 or high > 255:
        raise DataError(f"{name} has values from {low} to {high}, {wanted}")
    if top == 1:
        return to_bytes(images)
    pixels = images.astype(np.uint8)
    if not np.array_equal(pixels, images):
        raise DataError(f"{name} has fractional values, but must be whole, 0 to 255: round them")
    if high <= 1 and is_train:
        raise DataError(f"{name} has no value above 1, but must be 0 to 255: multiply by 255")
    return np.rint(pixels * (255 / top)).astype(np.uint8) if top != 255 else pixels


def check_enough(dataset, minimum):
    """Raises DataError where the data set has fewer than `minimum` training images."""
    if (count := len(dataset.train.images)) < minimum:
        problem = f"there are {count} training images, but training needs at least {minimum}"
        raise DataError(f"{dataset.path!r}: {problem}")


def check_classes(dataset):
    """Raises DataError where there are fewer than two classes."""
    if dataset.classes < 2:
        raise DataError(f"{dataset.path!r}: there is one class only, a classifier needs two")


def split(dataset, how, seed):
    """The training images as a Split, of which every sixth of each class is held out.  how: VAE and
    classifier learn from the same images ("shared") or from halves ("disjoint").
    All copies of an image are on one side.  seed: a number, or a numpy.random.Generator.
    Raises DataError where a class has too few images for halves."""
    images, labels = dataset.train
    held_out = one_in_six(images, labels, seed)
    rest, held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    for_vae = for_classifier = rest
    if how == "disjoint":
        first, which = distinct(images[rest])
        halves = disjoint_halves(labels[rest][first], seed)
        for_vae, for_classifier = (rest[np.isin(which, half)] for half in halves)
    sets = (dataset.train.take(rows) for rows in (for_vae, for_classifier, held_out))
    return Split(*sets, for_vae, held_out)


def one_in_six(images, labels, seed):
    """A random sixth of each class, (n,) bool: all copies of an image or none."""
    first, which = distinct(images)
    order, rank = _shuffled_by_class(labels[first], seed)
    return np.isin(which, order[rank % HELD_OUT == HELD_OUT - 1])


def distinct(images):
    """Groups equal images.  Returns the row of the first image of each group, in rising order, and
    for each image the number of its group, (n,) integer."""
    places = {}
    which = np.array([places.setdefault(image.tobytes(), len(places)) for image in images], int)
    return np.unique(which, return_index=True)[1], which


def disjoint_halves(labels, seed):
    """Rows, in rising order, of two halves of the labels (n,) that share none.  The halves differ
    by one at most in the count of each class and in total.
    Raises DataError where a class has a single image."""
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = names[counts.argmin()]
        raise DataError(f"class {name} has one training image, but two halves need two")
    order, _ = _shuffled_by_class(labels, seed)
    return [np.sort(order[first::2]) for first in (0, 1)]


def _shuffled_by_class(labels, seed):
    """Row numbers in random order but class after class, and the rank of each in its class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    _, first = np.unique(labels[order], return_index=True)
    counts = np.diff(np.append(first, len(labels)))
    return order, np.arange(len(labels)) - np.repeat(first, counts)
