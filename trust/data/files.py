"""Reads the usual files and folders of images into arrays, as they are stored.  It only checks what
could do harm: it loads no pickled objects, and no array larger than MAX_BYTES."""

import gzip
import math
import os
import re
import warnings
import zipfile

import numpy as np

from trust.data.images import DataError, Raw, printable
from trust.data.pictures import read_pictures, visible

# What the arrays of an .npz are called: images and labels of each part.
LAYOUTS = [
    {part: (f"x_{part}", f"y_{part}") for part in ("train", "test", "val")},
    {part: (f"{part}_images", f"{part}_labels") for part in ("train", "test", "val")},
    {"train": ("X", "y")},
    {"train": ("data", "target")},
    {"train": ("images", "labels")},
]
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAX_BYTES = 2_000_000_000  # of one array: two and a half million images of 28 x 28 as uint8


def read_raw(path):
    """What a file or folder holds: {part: Raw}, class names or None, and a list of notes.  Raises
    DataError."""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return read_npz(file)
    files = visible(path)
    if folders := [each for each in files if each.is_dir()]:
        return read_pictures(folders)
    return read_arrays_folder(files)


def read_npz(file):
    """read_raw() of an .npz.  The header of each array is checked before the array is read, so that
    a small file that declares a vast array costs nothing."""
    if file.read(4) != b"PK\x03\x04":
        raise DataError("is not an .npz file, which numpy.savez_compressed writes")
    arrays, part = {}, "the list of arrays"
    try:
        # NumPy and the parser it calls warn about damaged headers before they raise.
        with warnings.catch_warnings(), zipfile.ZipFile(file) as archive:
            warnings.simplefilter("ignore")
            there = {name.removesuffix(".npy") for name in archive.namelist()}
            pairs, extra = choose_layout(there)
            needed = [name for pair in pairs.values() for name in pair]
            for part in (*needed, *extra):
                if part not in there:
                    raise DataError(f"has no array {part}, but needs {', '.join(needed)}")
                with archive.open(f"{part}.npy") as stream:
                    major, _ = np.lib.format.read_magic(stream)
                    read_header = getattr(np.lib.format, f"read_array_header_{major}_0")
                    shape, _, dtype = read_header(stream)
                    check_header(part, shape, dtype)
                with archive.open(f"{part}.npy") as stream:
                    arrays[part] = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):  # zipfile compares the checksum at the end of the member
                        raise ValueError("bytes after the array")
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib and NumPy raise almost anything
        raise DataError(f"{part} cannot be read, the file is damaged or cut short") from error
    parts = {part: Raw(arrays[names[0]], arrays[names[1]], names) for part, names in pairs.items()}
    return parts, arrays.get("class_names"), []


def choose_layout(there):
    """{part: (images, labels)}, the names of the arrays to read, and those of class names."""
    if there == {"arr_0"}:
        raise DataError("holds one array, arr_0: give the folder of the four files")
    fitting = [layout for layout in LAYOUTS if layout["train"][0] in there]
    if len(fitting) > 1:
        both = " and ".join(layout["train"][0] for layout in fitting[:2])
        raise DataError(f"has {both}: it is not clear which are the training images")
    (layout,) = fitting or LAYOUTS[:1]
    pairs = {part: names for part, names in layout.items() if part == "train" or {*names} & there}
    return pairs, {"class_names"} & there


def check_header(name, shape, dtype):
    """Raises DataError where an array cannot be what its name says, or is too large to read."""
    if dtype.hasobject:
        raise DataError(f"{name} holds pickled objects, which are never loaded: save numbers")
    if not shape or shape[0] < 1:
        raise DataError(f"{name} is empty, but must have an entry for each image")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        size = f"{shape} {dtype}, more than {MAX_BYTES / 1e9:.0f} GB"
        raise DataError(f"{name} is declared as {size}: keep fewer images, as uint8")
    images = any(name == layout[part][0] for layout in LAYOUTS for part in layout)
    if dtype.kind not in ("buif" if images else "buifUS"):
        raise DataError(f"{name} has dtype {dtype}, but must hold whole numbers")
    if len(shape) not in ((2, 3, 4) if images else (1, 2)):
        wanted = "(n, h, w) or (n, h, w, 3)" if images else "(n,)"
        raise DataError(f"{name} has shape {shape}, but must be {wanted}")


def read_arrays_folder(files):
    """read_raw() of a folder with a file for each of four arrays: IDX, .npy or .npz."""
    roles = {}
    for file in files:
        name = file.name.lower()
        part = re.search(r"train|t10k|test|val", name)
        kind = re.search(r"im(age|g)|label|^[xy]_", name)
        if part and kind and re.search(r"idx\d|ubyte|\.np[yz]$", name):
            role = part[0].replace("t10k", "test"), kind[0] in ("label", "y_")
            roles.setdefault(role, []).append(file)
    for role, found in roles.items():
        plain = [each for each in found if each.suffix != ".gz"] or found
        if len(plain) > 1:
            both = " and ".join(printable(each.name) for each in plain[:2])
            raise DataError(f"it is not clear which to read of {both}")
        roles[role] = plain[0]
    parts = {}
    for part in dict.fromkeys(("train", *(part for part, _ in roles))):
        try:
            pair = roles[part, False], roles[part, True]
        except KeyError:
            wanted = (
                "four files of arrays, as MNIST has, or a sub-folder of pictures for each class"
            )
            raise DataError(f"holds no images and labels to {part} with: give {wanted}") from None
        images, labels = map(read_array, pair)
        labels = labels[:, 0] if "qmnist" in pair[1].name.lower() and labels.ndim == 2 else labels
        parts[part] = Raw(images, labels, tuple(printable(each.name) for each in pair))
    return parts, None, []


def read_array(file):
    """The array in an IDX file, plain or .gz, in an .npy, or the only one of an .npz."""
    name = printable(file.name)
    try:
        if file.suffix in (".npy", ".npz"):
            found = np.load(file, allow_pickle=False)
            (array,) = [found] if isinstance(found, np.ndarray) else found.values()
            return array
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            _, _, kind, dimensions = stream.read(4)
            shape = np.frombuffer(stream.read(4 * dimensions), ">u4").astype(int)
            dtype = np.dtype(IDX_TYPES[kind])
            if math.prod(shape.tolist()) * dtype.itemsize > MAX_BYTES:
                raise DataError(f"{name} is declared as {tuple(shape.tolist())}: too large")
            return np.frombuffer(stream.read(), dtype).reshape(shape)
    except DataError:
        raise
    except Exception as error:  # damaged bytes make gzip, zipfile and NumPy raise almost anything
        raise DataError(f"{name} cannot be read, it is damaged or cut short") from error
