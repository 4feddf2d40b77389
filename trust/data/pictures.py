"""Folders of pictures, read into arrays of one size."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np

from trust.cli import quiet_tensorflow
from trust.data.images import DataError, Raw, printable

FOLDERS = {"training": "train", "testing": "test", "valid": "val", "validation": "val"}

FOLDERS |= {part: part for part in ("train", "test", "val")}  # {name of a folder: part}
LIST = "dataset.json"  # in which StyleGAN keeps the labels of pictures in numbered folders


def read_pictures(folders):
    """read_raw() of folders of pictures: one for each class, or train, test and val, each with one
    for each class."""
    if is_numbered(folders):
        return read_numbered(folders)
    parts = {FOLDERS[each.name.lower()]: each for each in folders if each.name.lower() in FOLDERS}
    if parts and len(parts) < len(folders):
        both = [min(printable(each.name) for each in some) for some in (parts.values(), folders)]
        raise DataError(f"it is not clear whether {both[0]} is a class, as {both[1]} is, or a part")
    if parts and "train" not in parts:
        raise DataError(f"has a folder {min(each.name for each in parts.values())}, but no train")
    skipped, found, beside = [], {}, visible(folders[0].parent)
    for part, folder in parts.items() or [("train", folders[0].parent)]:
        beside += visible(folder) if parts else []
        files = [
            (file, printable(each.name))
            for each in visible(folder)
            if each.is_dir()
            for file in sorted(each.rglob("*"))
            if file.is_file() and not file.name.startswith(".")
        ]
        found[part] = decode(files, skipped)
        if not found[part][0]:
            raise DataError(
                f"{printable(folder.name)} has no pictures in a sub-folder for each class"
            )
    raws, notes = stack(found, skipped)
    if beside := [printable(each.name) for each in beside if not each.is_dir()]:
        notes.append(f"not read, because not in the folder of a class: {shortened(beside)}")
    return raws, None, notes


def shortened(names: list) -> str:
    """The first five of the names."""
    return ", ".join(names[:5]) + ", ..." * (len(names) > 5)


def is_numbered(folders) -> bool:
    """Whether folders number the pictures in them, as StyleGAN has it, and are no classes."""
    first = next(iter(visible(folders[0])), None)
    five = all(re.fullmatch(r"\d{5}", each.name) for each in folders)
    return five and first is not None and bool(re.match(r"img\d{8}\.", first.name))


def read_numbered(folders):
    """read_pictures() of the numbered folders of StyleGAN, with the labels of its dataset.json."""
    root = folders[0].parent
    what = f"has numbered folders of pictures, as {folders[0].name}, which are no classes"
    try:
        labels = {
            name: str(int(label))
            for name, label in json.loads((root / LIST).read_bytes())["labels"]
        }
    except OSError as error:
        raise DataError(
            f"{what}, and no {LIST}: give a folder for each class, or one for all"
        ) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{what}, and {LIST} has no labels: give a folder for each class"
        ) from error
    files = [file for folder in folders for file in visible(folder)]
    names = [file.relative_to(root).as_posix() for file in files]
    if missing := [name for name in names if name not in labels]:
        raise DataError(f"{LIST} has no label for {printable(missing[0])}")
    skipped = []
    found = decode([(file, labels[name]) for file, name in zip(files, names, strict=True)], skipped)
    if not found[0]:
        raise DataError("holds no pictures")
    raws, notes = stack({"train": found}, skipped)
    return raws, None, [*notes, f"labels read from {LIST}"]


def visible(folder) -> list:
    """The files and folders in a folder, without hidden ones and those of the operating system."""
    return [
        each for each in sorted(Path(folder).iterdir()) if not each.name.startswith((".", "__"))
    ]


def stack(found: dict, skipped: list):
    """{part: what decode() found} -> {part: Raw}, with all pictures scaled to one size and the same
    number of channels, and a list of notes."""
    notes = []
    if skipped:
        notes.append(f"{len(skipped)} files are no pictures: {shortened(skipped)}")
    every = [picture for pictures, *_ in found.values() for picture in pictures]
    if clear := sum(each.shape[2] in (2, 4) and each[..., -1].min() < 255 for each in every):
        notes.append(f"{clear:,} pictures are transparent in places, which is not read")
    # With four or two channels the last one is opacity (alpha).
    found = {
        part: ([each[..., : 3 if each.shape[2] > 2 else 1] for each in pictures], *others)
        for part, (pictures, *others) in found.items()
    }
    shapes = np.array([picture.shape for pictures, *_ in found.values() for picture in pictures])
    size = tuple(np.median(shapes[:, :2], axis=0).astype(int).tolist())
    if (kinds := len(np.unique(shapes[:, :2], axis=0))) > 1:
        notes.append(f"pictures of {kinds} sizes: all scaled to {size[0]} x {size[1]}")
    numeric = all(
        label.isdecimal() and len(label) < 19 for _, labels, _ in found.values() for label in labels
    )
    raws = {}
    for part, (pictures, labels, files) in found.items():
        images = np.stack([fit_picture(each, size, shapes[:, 2].max()) for each in pictures])
        raws[part] = Raw(images, np.array(labels, int if numeric else str), (part, part), files)
    return raws, notes


def decode(files, skipped):
    """(file, label) pairs -> pictures (h, w, c) uint8, c from 1 to 4, their labels, and their
    files.  Files that are no pictures are added to `skipped`."""
    with quiet_tensorflow():
        import tensorflow as tf

        pictures, labels, paths = [], [], []
        for file, label in files:
            try:
                data = tf.io.decode_image(file.read_bytes(), expand_animations=False)
            except (tf.errors.InvalidArgumentError, FileNotFoundError):  # a broken link
                skipped.append(os.path.join(label, printable(file.name)))
                continue
            pictures.append(data.numpy())
            labels.append(label)
            paths.append(file)
    return pictures, labels, paths


def fit_picture(picture, size, channels):
    """A picture (h, w, c), scaled to size (height, width) and with that many channels."""
    if picture.shape[:2] != size:
        picture = shrink(picture[None], size)[0]
    return np.broadcast_to(picture, (*picture.shape[:2], channels))


def shrink(images, size):
    """Images (n, h, w[, 3]) uint8 scaled to size (height, width); each pixel is the mean of an
    area."""
    with quiet_tensorflow():
        import tensorflow as tf
    channels = images if images.ndim == 4 else images[..., None]
    blocks = np.array_split(channels, math.ceil(len(images) / 1000))
    resized = [tf.image.resize(block, size, "area").numpy() for block in blocks]
    return np.rint(np.concatenate(resized)).astype(np.uint8).reshape(-1, *size, *images.shape[3:])
