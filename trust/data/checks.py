"""Arrays as they are stored, checked and brought to one form."""

import math
import re
from collections import Counter

import numpy as np

from trust.data.images import DataError, ImageSet, Raw, printable
from trust.data.pictures import shrink
from trust.data.splits import distinct, one_in_six, pictures

SMALLEST, LARGEST = 8, 64  # pixels on each side of an image
HAIR = 0.01  # by how much fractions may be outside of 0 to 1: interpolation and rounding do that


def check_parts(parts: dict, class_names, notes: list):
    """{part: Raw} -> training images, test images, both ImageSet, the names of the classes, and the
    (height, width) of the images as they were stored.  Adds to the notes what was changed; raises
    DataError where the parts do not fit together."""
    labels = {part: check_labels(raw) for part, raw in parts.items()}
    images, stored = check_images(parts, notes)
    if "val" in parts:
        for each in (images, labels):
            each["train"] = np.concatenate([each["train"], each.pop("val")])
        notes.append("the validation images were added to the training images")
    if "test" not in parts:
        groups = pictures(images["train"], labels["train"])
        held = one_in_six(labels["train"], *groups, seed=0)
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
        ImageSet(
            images[part], np.searchsorted(values, labels[part]), rows=np.arange(len(labels[part]))
        )
        for part in ("train", "test")
    )
    first, _ = distinct(train.images)
    if copies := len(train.labels) - len(first):
        notes.append(f"{copies:,} training images equal another: copies stay together")
    seen = {image.tobytes() for image in train.images[first]}
    if both := sum(image.tobytes() in seen for image in test.images):
        notes.append(f"{both:,} test images are training images too")
    return train, test, name_classes(values, class_names), stored


def name_classes(values, class_names):
    """The names of the classes, a tuple: those given, or the labels themselves.  Raises DataError
    where the number of names is wrong."""
    if class_names is None:
        return tuple(map(str, values.tolist()))
    names = np.ravel(class_names)
    if names.dtype.kind in "US":
        names = as_text(names, "class_names")
    if repeated := [name for name, count in Counter(names.tolist()).items() if count > 1]:
        raise DataError(f"class_names has the name {repeated[0]} more than once")
    if values.dtype.kind in "iu" and len(names) > values[-1]:
        return tuple(map(str, names[values]))
    if len(names) != len(values):
        raise DataError(f"class_names has {len(names)} names for {len(values)} classes")
    return tuple(map(str, names))


def check_labels(raw: Raw) -> np.ndarray:
    """Labels as stored, also one-hot -> (n,), whole numbers or strings.  Raises DataError."""
    labels, name = raw.labels, raw.names[1]
    if not raw.images.ndim:
        raise DataError(f"{raw.names[0]} has shape (), but must be (n, h, w) or (n, h, w, 3)")
    if labels.ndim not in (1, 2) or not labels.size:
        raise DataError(
            f"{name} has shape {labels.shape}, but must be (n,), a label for each image"
        )
    if labels.dtype.kind not in "buifUS":
        raise DataError(f"{name} has dtype {labels.dtype}, but must hold whole numbers or names")
    if len(raw.images) != len(labels):
        counts = f"{len(raw.images)} images, but {name} has {len(labels)} labels"
        raise DataError(f"{raw.names[0]} has {counts}")
    if labels.dtype.kind in "US":
        labels = as_text(labels, name)
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


def as_text(names: np.ndarray, what: str) -> np.ndarray:
    """Names as stored, text or bytes -> text; of "b'cat'", which str() makes of bytes, cat.  Raises
    DataError, which calls the array `what`."""
    if names.dtype.kind == "S":
        try:
            names = np.char.decode(names, "utf-8")
        except UnicodeDecodeError:  # in Latin-1 every byte is a character: no two names become one
            names = np.char.decode(names, "latin-1")
    try:
        texts = [printable(name) for name in names.ravel().tolist()]
        if all(re.fullmatch(r"b'.*'", text) for text in texts):
            texts = [text[2:-1] for text in texts]
        return np.array(texts).reshape(names.shape)
    except (ValueError, SystemError) as error:  # NumPy can store characters that there are not
        raise DataError(f"{what} has names with characters that do not exist") from error


def check_images(parts: dict, notes: list) -> tuple[dict, tuple]:
    """{part: Raw} -> {part: images (n, h, w) or (n, h, w, 3) uint8}, all on one scale and of one
    size, with at most LARGEST pixels on each side; and the (height, width) of before.  Adds to the
    notes; raises DataError."""
    names = {part: raw.names[0] for part, raw in parts.items()}
    images = {
        part: clipped(arrange(raw.images, names[part]), names[part], notes)
        for part, raw in parts.items()
    }
    if any(array.ndim == 4 for array in images.values()) and all(map(is_grey, images.values())):
        images = {part: a[..., 0] if a.ndim == 4 else a for part, a in images.items()}
        notes.append("three equal channels, read as one")
    shapes = {part: array.shape[1:] for part, array in images.items()}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            said = f"has images of shape {shape}, but {names['train']} of {shapes['train']}"
            raise DataError(f"{names[part]} {said}")
    top = 1 if is_unit(images["train"]) else 255
    if names["train"] == "data" and 1 < images["train"].max() <= 16:
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
    return images, (height, width)


def is_unit(images) -> bool:
    """Whether the images are booleans, or floats none of which is above 1."""
    return images.dtype.kind == "b" or (images.dtype.kind == "f" and images.max() <= 1)


def is_grey(images) -> bool:
    """Whether images (n, h, w) or (n, h, w, 3) have no colours."""
    return images.ndim == 3 or bool((images[..., :1] == images).all())


def clipped(images, name, notes: list):
    """Floats that are a hair outside of 0 to 1, clipped, which is added to the notes; other images
    as they are."""
    if images.dtype.kind != "f":
        return images
    low, high = images.min(), images.max()
    if not (-HAIR <= low and high <= 1 + HAIR and (low < 0 or high > 1)):
        return images
    notes.append(f"{name} has values from {low:.7g} to {high:.7g}: clipped to 0 to 1")
    return images.clip(0, 1)


def arrange(images, name):
    """Images as stored, also flat, with channels first or with opacity that is the same everywhere
    -> (n, h, w) or (n, h, w, 3).  Raises DataError."""
    shape = images.shape
    if images.dtype.kind not in "buif":
        raise DataError(
            f"{name} has dtype {images.dtype}, but must hold whole numbers or fractions"
        )
    wanted = f"{name} has shape {shape}, but must be (n, h, w) or (n, h, w, 3)"
    if not images.size:
        raise DataError(wanted)
    if images.ndim == 2:
        side = math.isqrt(shape[1])
        if side**2 != shape[1]:
            raise DataError(f"{wanted}: {shape[1]} values are no square image")
        images = images.reshape(-1, side, side)
    elif images.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        images = np.moveaxis(images, 1, 3)
    elif images.ndim == 4 and shape[3] in (2, 4) and (images[..., -1] == images.flat[-1]).all():
        images = images[..., :-1]
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
        cure = ""
        if images.dtype.kind == "f" and low < 0 and high < 20:
            halves = -1 - HAIR <= low and high <= 1 + HAIR
            cure = ": images / 2 + 0.5 is" if halves else ": undo the normalisation"
        elif images.dtype == np.uint16:
            cure = ": images // 257 is"
        raise DataError(f"{name} has values from {low} to {high}, {wanted}{cure}")
    if top == 1:
        return to_bytes(images)
    pixels = images.astype(np.uint8)
    if not np.array_equal(pixels, images):
        cure = "round them" if high > 100 else "clip them to 1" if high < 2 else "scale them"
        raise DataError(f"{name} has fractional values up to {high:.7g}, {wanted}: {cure}")
    if high <= 1 and is_train:
        raise DataError(f"{name} has no value above 1, but must be 0 to 255: multiply by 255")
    return np.rint(pixels * (255 / top)).astype(np.uint8) if top != 255 else pixels
