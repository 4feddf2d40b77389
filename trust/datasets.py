"""A data set of 28 x 28 grey images, bundled or the user's own, checked where it enters."""

import hashlib
import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust.cli import UserError

DATA = Path(__file__).parents[1] / "data"
GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
BUNDLED = {"mnist": tuple("0123456789"), "fashion_mnist": tuple(GARMENTS)}  # name: class names
FINGERPRINTS = {  # Dataset.fingerprint of the bundled sets: name
    "53b4de002add035efcc1bfa27d6d7517ef6c2afced7b7012fd6913d0c3f8e78b": "mnist",
    "5b22a816b4ddd488c1631120e5c483e19c2f39a8cbba56e040bbbaa38522c3e3": "fashion_mnist",
}
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
HELD_OUT = 6  # one training image in so many
MAX_BYTES = 2_000_000_000  # of one array: two and a half million images as uint8


class DataError(UserError):
    """A data set that cannot be used; the message is one sentence for the user."""


class Labelled(NamedTuple):
    """images: (n, h, w[, c]) uint8.  labels: (n,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows):
        """Some of them: rows is an array of row numbers, or (n,) bool."""
        return Labelled(self.images[rows], self.labels[rows])


class Pixels(NamedTuple):
    """What networks have to know of images: their shape (h, w, c), and the mean of each of the c
    channels in [0, 1]."""

    shape: tuple
    mean: tuple


def pixels_of(images: np.ndarray) -> Pixels:
    """The Pixels of images (n, h, w[, c]), from 5,000 of them."""
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)
    some = images[np.linspace(0, len(images) - 1, min(len(images), 5000)).astype(int)]
    some = some.reshape(-1, shape[2]) / (255 if images.dtype == np.uint8 else 1)
    return Pixels(shape, tuple(some.mean(axis=0).tolist()))


class Split(NamedTuple):
    """The training images: the VAE's, the classifier's to learn from, and those that neither learns
    from, a sixth of all.  vae_rows, held_out_rows: which of the training images these are."""

    vae: Labelled
    classifier: Labelled
    held_out: Labelled
    vae_rows: np.ndarray
    held_out_rows: np.ndarray


class Dataset(NamedTuple):
    """A checked set; labels are from 0 to classes - 1.  fingerprint: the SHA-256 of the four
    arrays, however they were stored.  bundled: whether they are those that came with the code."""

    name: str
    path: str
    train: Labelled
    test: Labelled
    class_names: tuple
    fingerprint: str
    bundled: bool

    @property
    def classes(self):
        return len(self.class_names)

    @property
    def pixels(self):
        return pixels_of(self.train.images)


def load_dataset(name_or_path):
    """A checked Dataset from "mnist", "fashion_mnist" or the path of an .npz file with x_train,
    y_train, x_test and y_test: whole numbers in any integer or float type, never pickled objects.
    Raises DataError, and nothing else whatever the file holds."""
    by_name = name_or_path in BUNDLED
    path = os.fspath(DATA / f"{name_or_path}.npz" if by_name else name_or_path)
    cure = ": git checkout brings it back" if by_name else ""
    if not os.path.isfile(path):
        problem = "is not a regular file" if os.path.exists(path) else "does not exist"
        meant = str(name_or_path).lower().replace("-", "_")
        hint = f"did you mean {meant}? " if meant in BUNDLED else ""
        known = f": {hint}a data set is mnist, fashion_mnist or the path of an .npz file"
        raise DataError(f"{path!r} {problem}{cure or known}")
    try:
        with open(path, "rb") as file:
            arrays = _read_arrays(file)
        for name in ("x_train", "x_test"):
            arrays[name] = _pixels(name, arrays[name])
        classes = _count_classes(**arrays)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror}") from error
    except DataError as error:
        raise DataError(f"{path!r}: {error}{cure}") from error
    x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    # Not before all is checked: a label beyond int64 would come out as another.
    train = Labelled(x_train, y_train.astype(np.int64))
    test = Labelled(x_test, y_test.astype(np.int64))
    digest = hashlib.sha256()
    for array in (*train, *test):
        digest.update(str(array.shape).encode())
        digest.update(array)
    fingerprint = digest.hexdigest()
    bundled = FINGERPRINTS.get(fingerprint)
    if by_name and bundled != name_or_path:
        raise DataError(f"{path!r} is not the file that came with it{cure}")
    name = bundled or Path(path).stem
    class_names = BUNDLED.get(bundled) or tuple(map(str, range(classes)))
    return Dataset(name, path, train, test, class_names, fingerprint, bundled is not None)


def check_enough(dataset, minimum):
    """Raises DataError where the data set has fewer than `minimum` training images."""
    if (count := len(dataset.train.images)) < minimum:
        problem = f"x_train has {count} images, but training needs at least {minimum}"
        raise DataError(f"{dataset.path!r}: {problem}")


def check_classes(dataset):
    """Raises DataError where there is nothing to tell apart."""
    if dataset.classes < 2:
        raise DataError(f"{dataset.path!r}: y_train has one class only, a classifier needs two")


def split(dataset, how, seed):
    """The training images as a Split, of which every sixth of each class is held out.  how: VAE and
    classifier learn from the same images ("shared") or from halves ("disjoint").
    All copies of an image are on one side.  seed: a number, or a numpy.random.Generator.
    Raises DataError where a class has too few images for halves."""
    first, which = distinct(dataset.train.images)
    labels = dataset.train.labels[first]
    order, rank = _shuffled_by_class(labels, seed)
    last = rank % HELD_OUT == HELD_OUT - 1
    rest = np.sort(order[~last])
    parts = [rest, rest, order[last]]
    if how == "disjoint":
        parts[:2] = (rest[half] for half in disjoint_halves(labels[rest], seed))
    for_vae, for_classifier, held_out = (np.flatnonzero(np.isin(which, part)) for part in parts)
    sets = (dataset.train.take(rows) for rows in (for_vae, for_classifier, held_out))
    return Split(*sets, for_vae, held_out)


def distinct(images):
    """Rows, in rising order, of the first of all images that are equal, and for each image (n,) its
    place among these."""
    places = {}
    which = np.array([places.setdefault(image.tobytes(), len(places)) for image in images], int)
    return np.unique(which, return_index=True)[1], which


def disjoint_halves(labels, seed):
    """Rows, in rising order, of two halves of the labels (n,) that share none.  They differ by one
    at most in the number of each class, and in that of all.
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


def _read_arrays(file):
    """The four arrays as stored.  Each is judged by its header first, so that a small file that
    declares a vast array costs nothing."""
    if file.read(4) != b"PK\x03\x04":
        raise DataError("is not an .npz file, which numpy.savez_compressed writes")
    arrays, part = {}, "the list of arrays"
    try:
        # NumPy and the parser it calls remark on damaged headers before they give up.
        with warnings.catch_warnings(), zipfile.ZipFile(file) as archive:
            warnings.simplefilter("ignore")
            for part in ARRAYS:
                member = f"{part}.npy"
                if member not in archive.namelist():
                    raise DataError(f"has no array {part}, but needs {', '.join(ARRAYS)}")
                with archive.open(member) as stream:
                    major, _ = np.lib.format.read_magic(stream)
                    read_header = getattr(np.lib.format, f"read_array_header_{major}_0")
                    shape, _, dtype = read_header(stream)
                    _check_header(part, shape, dtype)
                with archive.open(member) as stream:
                    arrays[part] = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):  # zipfile compares the checksum at the end of the member
                        raise ValueError("bytes after the array")
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib and NumPy raise almost anything
        raise DataError(f"{part} cannot be read, the file is damaged or cut short") from error
    return arrays


def _check_header(name, shape, dtype):
    if dtype.hasobject:
        raise DataError(f"{name} holds pickled objects, which are never loaded: save numbers")
    if dtype.kind not in "uif":
        raise DataError(f"{name} has dtype {dtype}, but must hold whole numbers")
    if name.startswith("x_") and (len(shape) != 3 or shape[1:] != (28, 28)):
        raise DataError(f"{name} has shape {shape}, but must be (n, h, w[, c])")
    if name.startswith("y_") and len(shape) != 1:
        raise DataError(f"{name} has shape {shape}, but must be (n,)")
    if shape[0] < 1:
        raise DataError(f"{name} is empty, but must have an entry for each image")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        size = f"{shape} {dtype}, more than {MAX_BYTES / 1e9:.0f} GB"
        raise DataError(f"{name} is declared as {size}: keep fewer images, as uint8")


def _pixels(name, values):
    """Stored values -> (n, h, w[, c]) uint8."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} has NaN or infinite values, but must be 0 to 255")
    if low < 0 or high > 255:
        raise DataError(f"{name} has values from {low} to {high}, but must be 0 to 255")
    pixels = np.ascontiguousarray(values, dtype=np.uint8)
    fractional = not np.array_equal(pixels, values)
    if high <= 1 and (fractional or name == "x_train"):
        raise DataError(f"{name} has no value above 1, but must be 0 to 255: multiply by 255")
    if fractional:
        raise DataError(f"{name} has fractional values, but must be whole, 0 to 255: round them")
    return pixels


def _count_classes(x_train, y_train, x_test, y_test):
    """The number of classes, of which y_train must have all and y_test may have some."""
    for part, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        name, wanted = f"y_{part}", "but must be 0, 1, 2, ..."
        if not np.isfinite(labels).all() or (labels % 1 != 0).any():
            raise DataError(f"{name} has labels that are not whole numbers, {wanted}")
        if labels.min() < 0:
            raise DataError(f"{name} has the label {labels.min()}, {wanted}")
        if len(images) != len(labels):
            counts = f"{len(images)} images, but {name} has {len(labels)} labels"
            raise DataError(f"x_{part} has {counts}")
    present = np.unique(y_train)
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if gaps.size:
        problem = f"labels up to {present[-1]} but no {gaps[0]}, and must run from 0 without gaps"
        raise DataError(f"y_train has {problem}")
    if y_test.max() > present[-1]:
        raise DataError(f"y_test has label {y_test.max()}, which y_train does not")
    return len(present)
