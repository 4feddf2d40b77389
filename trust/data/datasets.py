"""A data set of small images, bundled or the user's own, checked where it enters."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from trust.data.checks import check_parts
from trust.data.files import read_raw
from trust.data.images import DataError, ImageSet, pixels_of

DATA = Path(__file__).parents[2] / "data"
GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
BUNDLED = {"mnist": tuple("0123456789"), "fashion_mnist": tuple(GARMENTS)}  # name: class names
FINGERPRINTS = {  # {Dataset.fingerprint: name} of the bundled sets
    "53b4de002add035efcc1bfa27d6d7517ef6c2afced7b7012fd6913d0c3f8e78b": "mnist",
    "5b22a816b4ddd488c1631120e5c483e19c2f39a8cbba56e040bbbaa38522c3e3": "fashion_mnist",
}


class Dataset(NamedTuple):
    """A checked data set; labels are from 0 to classes - 1.  fingerprint: the SHA-256 of the four
    arrays, however they were stored.  bundled: whether they came with the code.
    understood: a line for the user that says what was read.  stored: the height and width of the
    images before they were scaled down; () where they are what they were."""

    name: str
    path: str
    train: ImageSet
    test: ImageSet
    class_names: tuple
    fingerprint: str
    bundled: bool
    understood: str = ""
    stored: tuple = ()

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
        train, test, names, stored = check_parts(parts, class_names, notes)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path!r}: {error}{cure}") from error
    digest = hashlib.sha256()
    for array in (train.images, train.labels, test.images, test.labels):
        digest.update(str(array.shape).encode())
        digest.update(array)
    fingerprint = digest.hexdigest()
    bundled = FINGERPRINTS.get(fingerprint)
    if by_name and bundled != name_or_path:
        raise DataError(f"{path!r} is not the file that came with the code{cure}")
    name = bundled or Path(path).resolve().stem
    names = BUNDLED.get(bundled, names)
    return Dataset(
        name=name,
        path=path,
        train=train,
        test=test,
        class_names=names,
        fingerprint=fingerprint,
        bundled=bundled is not None,
        understood="; ".join([describe(name, train, test, names), *notes]),
        stored=stored,
    )


def describe(name, train, test, class_names) -> str:
    """A line for the user that says what was read."""
    height, width = train.images.shape[1:3]
    kind = "grey" if train.images.ndim == 3 else "RGB"
    first = f"{name}: {len(train.labels):,} training and {len(test.labels):,} test images, "
    names = ", ".join(class_names[:12]) + (", ..." if len(class_names) > 12 else "")
    first += f"{height} x {width} {kind}, {len(class_names)} classes: {names}"
    return first


def check_enough(dataset, minimum):
    """Raises DataError where the data set has fewer than `minimum` training images."""
    if (count := len(dataset.train.images)) < minimum:
        problem = f"there are {count} training images, but training needs at least {minimum}"
        raise DataError(f"{dataset.path!r}: {problem}")


def check_classes(dataset):
    """Raises DataError where there are fewer than two classes."""
    if dataset.classes < 2:
        raise DataError(f"{dataset.path!r}: there is one class only, a classifier needs two")
