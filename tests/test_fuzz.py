"""Whatever a file or folder holds, it is read or refused in one sentence.

`pytest tests/test_fuzz.py --hypothesis-show-statistics` counts the files and folders tried.
"""

import contextlib
import gzip
import io
import os
import shutil
import struct
import zipfile

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trust.data.datasets import Dataset, load_dataset
from trust.data.images import DataError, ImageSet
from trust.data.submitted import read_given


def often(usual, *unusual):
    """Mostly the usual value, so that files are rarely wrong in more than a few ways."""
    return st.sampled_from([usual] * 7 * len(unusual) + list(unusual))


DTYPES = "u1 i1 <i4 >u8 f2 <f8 g ? c8 S3 U2 M8[s] V4 O".split()
SHAPES = [(28, 28), (28, 28, 1), (784,), (32, 32), (28,), ()]
LENGTHS = often(4, 0, 1, 3, 6)
ORDERS = st.sampled_from("CF")
IMAGES = (
    often((28, 28), *SHAPES),
    often("u1", *DTYPES),
    often(200, 0, 1, 0.5, -1, 256, np.nan, np.inf, 1e300),
)
LABELS = (
    often((), *SHAPES),
    often("i8", *DTYPES),
    often(1, 0, 2, 0.5, -1, 1e9, np.nan, 2.0**63),
)
HEADER = (
    often("'|u1'", "'O'", "[('a', 'u1')]", "('u1', (2, 3))", "'V0'", "'\\d'"),
    often("False", "0", "None", "1if"),
    often("(4, 28, 28)", "(-1, 28, 28)", "4", "(10**9,)", "(True,)", "(99999999, 28, 28)"),
    often(b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"),
)
MEMBERS = often("array", "header", "bytes", "missing")
COMPRESSIONS = often(
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
)
DAMAGES = often(
    "none", "cut", "cut", "flip", "flip", "flip at the ends", "flip at the ends", "bytes"
)


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def npz(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def header(text, version=b"\x01\x00"):
    """A .npy member with any text for a header, and a little behind it."""
    length = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + text.encode() + bytes(2000)


def valid(**changes):
    """A good file but for the members given."""
    arrays = {
        "x_train": np.full((4, 28, 28), 7, np.uint8),
        "y_train": np.array([0, 1, 0, 1]),
        "x_test": np.full((2, 28, 28), 9, np.uint8),
        "y_test": np.array([1, 0]),
    }
    members = {**{name: npy(array) for name, array in arrays.items()}, **changes}
    return npz({f"{name}.npy": content for name, content in members.items()})


def marked(content, offset, value):
    """The same file with one field of its first entry in the list of members overwritten."""
    at = content.index(b"PK\x01\x02") + offset
    return content[:at] + value + content[at + len(value) :]


@st.composite
def files(draw):
    members = {}
    for name in ("x_train", "y_train", "x_test", "y_test"):
        kind = draw(MEMBERS)
        if kind == "array":
            shape, dtype, value = map(draw, IMAGES if name.startswith("x_") else LABELS)
            pattern = np.array([0, value] if name.startswith("y_") else [value])
            array = np.resize(pattern, (draw(LENGTHS), *shape))
            with np.errstate(all="ignore"):
                members[f"{name}.npy"] = npy(array.astype(dtype, order=draw(ORDERS)))
        elif kind == "header":
            descr, order, shape, version = map(draw, HEADER)
            text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"
            members[f"{name}.npy"] = header(text, version)
        elif kind == "bytes":
            members[f"{name}.npy"] = draw(st.binary(max_size=300))
    return draw(damaged(npz(members, draw(COMPRESSIONS))))


@st.composite
def damaged(draw, content):
    """The content, mostly as it is."""
    damage = draw(DAMAGES)
    if damage == "cut":
        content = content[: len(content) * draw(st.integers(0, 1000)) // 1000]
    elif damage == "bytes":
        content = content[:4] + draw(st.binary(max_size=300))
    elif damage.startswith("flip") and content:
        content = bytearray(content)
        # Headers stand at the beginning, the list of members at the end.
        reach = st.integers(-400, 200) if "ends" in damage else st.integers(0, 10**6)
        for position in draw(st.lists(reach, min_size=1, max_size=4)):
            content[position % len(content)] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


def fuzz(examples):
    """Settings of Hypothesis: so many examples, the same ones every time."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def read(reader, path, *others):
    """What the reader returns, or None where it refuses in one sentence."""
    try:
        return reader(str(path), *others)
    except DataError as refusal:
        assert str(refusal).startswith(repr(str(path)))
        assert len(str(refusal).splitlines()) == 1


def assert_sound(data, shape=None):
    for part in (data.train, data.test):
        assert part.images.dtype == np.uint8 and len(part.images) == len(part.labels) > 0
        assert part.images.shape[1:] == (shape or data.train.images.shape[1:])
    assert set(data.test.labels) <= set(data.train.labels) == set(range(data.classes))
    assert len(data.understood.splitlines()) == 1 and not data.bundled


@fuzz(1000)
@given(content=files())
@example(content=valid())
# Each of these gets another exception or warning out of Python's or NumPy's readers.
@example(content=valid(x_train=header("(" * 300)))  # too many parentheses to parse
@example(content=valid(x_train=header("-" * 9000 + "1")))  # a parser out of stack
@example(content=valid(x_train=header("{'descr': '\\d', 'fortran_order': 0if 1else 1}")))
@example(content=valid(x_train=header("{'descr': 'u1', 'fortran_order': False, 'shape': (4L,)}")))
@example(content=valid(x_train=header(" " * 20_000)))
@example(content=valid(x_train=header("", b"\x03\x00")))
@example(content=valid(x_train=b""))
@example(content=valid(y_train=npy(np.array([0, 2**64 - 1], np.uint64))))
@example(content=valid(y_test=npy(np.array([0, 2**64 - 1], np.uint64))))
@example(content=valid(y_test=npy(np.array([0, 1e300]))))
@example(content=valid(y_train=npy(np.array([0, 1, 0, np.inf]))))
@example(content=valid(x_train=npy(np.full((4, 28, 28), np.nan, "g"))))
@example(content=marked(valid(), 8, b"\x01\x00"))  # encrypted
@example(content=marked(valid(), 10, b"\x63\x00"))  # compressed in an unknown way
@example(content=marked(valid(), 24, b"\xff\xff\xff\xff"))  # four gigabytes long
@example(content=marked(valid(), 42, b"\xff\xff\xff\x7f"))  # beyond the end of the file
def test_any_file_is_loaded_or_refused(tmp_path, content):
    path = tmp_path / "any.npz"
    path.write_bytes(content)
    if (data := read(load_dataset, path)) is not None:
        assert_sound(data, (28, 28))


# Folders, and what another generator made


def picture(mode="L", size=(10, 12), form="PNG", seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(noise).convert(mode).save(stream, form)
    return stream.getvalue()


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def one_npz(array):
    return npz({"arr_0.npy": npy(array)})


class Link(str):
    """Where a symbolic link points to."""


X, Y = np.random.default_rng(0).integers(0, 256, (12, 12, 10), dtype=np.uint8), np.arange(12) % 2
ARRAYS = [
    X,
    Y,
    np.array(["cat", "dog"])[Y],
    np.array([b"cat", b"d\xff"])[Y],
    np.eye(2)[Y],
    Y[:, None],
    Y + 0j,
    Y.astype("M8[s]"),
    Y.astype([("a", int)]),
    np.array([None, 1])[Y],
    np.tile(Y[:, None, None], (1, 2, 2)),
    np.full(12, 0xFFFFFFFF, "<u4").view("<U1"),
    Y[:, None][:, :0],
    Y[0],
    X[:0],
    X[:, :0],
    X[:, 0, :0],
    X[:, :2],
    X / 255,
    X / 127.5 - 1,
    X[..., None] > 99,
    np.repeat(np.repeat(X, 8, axis=1), 8, axis=2),
]
PICTURES = [
    picture(),
    picture("RGB"),
    picture("RGBA"),
    picture("LA"),
    picture("P"),
    picture("1"),
    picture("I;16"),
    picture(size=(9, 90)),
    picture(size=(1, 1)),
    picture("RGB", form="JPEG"),
    picture("CMYK", form="JPEG"),
    picture("P", form="GIF"),
    picture("RGB", form="BMP"),
]
ODD = [b"", b"of another kind", gzip.compress(b"short"), npz({})]
LINKS = [Link("nowhere"), Link("."), Link("loop"), Link("cat"), Link("0.png")]


def folder_of(*names, first=0):
    """Six pictures in each of these folders."""
    return {
        f"{name}/{i}.png": picture(seed=first + 6 * place + i)
        for place, name in enumerate(names)
        for i in range(6)
    }


def four(write, images, labels, ending):
    """Files of arrays."""
    found = {}
    for part in ("train", "t10k"):
        found[f"{part}-{images}{ending}"] = write(X)
        found[f"{part}-{labels}{ending}"] = write(Y.astype("u1"))
    return found


USUAL = [
    {},
    folder_of("."),
    folder_of("cat", "dog"),
    folder_of("8", "9", "10"),
    folder_of("train/cat", "train/dog") | folder_of("test/cat", "test/dog", first=50),
    four(idx, "images-idx3-ubyte", "labels-idx1-ubyte", ""),
    four(lambda array: gzip.compress(idx(array)), "images-idx3-ubyte", "labels-idx1-ubyte", ".gz"),
    four(npy, "images", "labels", ".npy"),
    four(one_npz, "imgs", "labels", ".npz"),
]
NOT_UTF8 = os.fsdecode(b"\xff")
NAMES = [
    *"cat dog 0 8 9 10 007 train test val Training valid 0.png b.jpg notes.txt loop".split(),
    *".DS_Store .hidden.png __MACOSX Thumbs.db x_train.npy y_train.npy labels.txt".split(),
    *("a b.png", "犬", "²", "٣", "9" * 25, "line\nbreak", "line\nbreak.png", "n" * 200),
    *(NOT_UTF8, f"{NOT_UTF8}.png"),
    *(
        f"{part}-{kind}"
        for part in ("train", "test", "val")
        for kind in ("images.npy", "labels.npz")
    ),
]


@st.composite
def folders(draw):
    """{path: bytes, a Link, or None for an empty folder}: a usual folder, and what is odd in it."""
    tree = dict(draw(st.sampled_from(USUAL)))
    for _ in range(draw(st.integers(0, 4))):
        if tree and draw(st.booleans()):
            name = draw(st.sampled_from(sorted(tree)))
        else:
            name = "/".join(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)))
        kind = draw(st.sampled_from(["own", "picture", "array", "odd", "link", "empty", "no"]))
        if kind == "own" and isinstance(tree.get(name), bytes):
            tree[name] = draw(damaged(tree[name]))
        elif kind == "picture":
            tree[name] = draw(damaged(draw(st.sampled_from(PICTURES))))
        elif kind == "array":
            write = draw(st.sampled_from([npy, one_npz, idx]))
            tree[name] = draw(damaged(write(draw(st.sampled_from(ARRAYS)))))
        elif kind == "no":
            tree.pop(name, None)
        else:
            tree[name] = draw(st.sampled_from({"link": LINKS, "empty": [None]}.get(kind, ODD)))
    return tree


def build(folder, tree):
    """Writes the tree into a new folder.  What cannot be there beside the others is left out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, entry in tree.items():
        place = folder / name
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry is None:
                place.mkdir()
            elif isinstance(entry, Link):
                place.symlink_to(entry)
            else:
                place.write_bytes(entry)
    return folder


ZOO = Dataset("zoo", "zoo.npz", ImageSet(X, Y), None, ("cat", "dog"), "", False)


def assert_read_or_refused(path):
    """By both doors."""
    if (data := read(load_dataset, path)) is not None:
        assert_sound(data)
    if (given := read(lambda path: read_given(path, ZOO, []), path)) is not None:
        assert given.images.dtype in (np.uint8, np.float32)
        assert given.images.shape[1:] == X.shape[1:] and len(given) > 0
        if given.labels is not None:
            assert len(given.labels) == len(given) and set(given.labels) <= {0, 1}


@fuzz(600)
@given(tree=folders())
def test_any_folder_is_read_or_refused(tmp_path, tree):
    assert_read_or_refused(build(tmp_path / "any", tree))


@st.composite
def given_files(draw):
    """An .npz or .npy of images and labels."""
    images, labels = (draw(often(each, *ARRAYS)) for each in (X, Y))
    if draw(often(False, True)):
        return draw(damaged(npy(images)))
    names = draw(often(("images", "labels"), ("arr_0", "arr_1"), ("images", "y"), ("x", "labels")))
    pairs = zip(names, (images, labels), strict=True)
    return draw(damaged(npz({f"{name}.npy": npy(array) for name, array in pairs})))


@fuzz(400)
@given(content=given_files())
def test_any_file_of_another_generator_is_read_or_refused(tmp_path, content):
    path = tmp_path / "any.npz"
    path.write_bytes(content)
    assert_read_or_refused(path)


def changed(**arrays):
    """A folder of four files but for those given, train-images as train_images."""
    tree = four(npy, "images", "labels", ".npy")
    return tree | {f"{name.replace('_', '-')}.npy": content for name, content in arrays.items()}


def too_large():
    """A .npy that declares more than there is memory."""
    stream = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**13, 12, 10)}
    np.lib.format.write_array_header_1_0(stream, shape)
    return stream.getvalue()


def labelled(labels, images=X):
    return npz({"images.npy": npy(images), "labels.npy": npy(labels)})


DAMAGED_GZ = gzip.compress(b"")[:10] + b"\xff" * 50
# Each of these was refused with a traceback, or in several lines, or read as what it is not.
FOUND = {
    "a name that is not UTF-8": folder_of("cat", "dog") | {f"cat/{NOT_UTF8}": picture()},
    "a broken link": folder_of(".") | {"z.png": Link("nowhere")},
    "a class with a long number": folder_of("1", "9" * 25),
    "a class with a line break": folder_of("cat", "line\nbreak"),
    "a file with a line break": changed() | {"train-images\n.npy": npy(X)},
    "an .npz that is an .npy": four(npy, "images", "labels", ".npz"),
    "a damaged .gz": four(lambda array: DAMAGED_GZ, "images-ubyte", "labels-ubyte", ".gz"),
    "a header that does not parse": changed(train_images=header("(" * 300)),
    "more than there is memory": changed(train_images=too_large()),
    "a label": changed(train_labels=npy(Y[0])),
    "labels in no column": labelled(Y[:, None][:, :0]),
    "labels in three dimensions": labelled(np.tile(Y[:, None, None], (1, 2, 2))),
    "complex labels": labelled(Y + 0j),
    "times": labelled(Y.astype("M8[s]")),
    "bytes that are no ASCII": labelled(np.array([b"cat", b"d\xff"])[Y]),
    "characters that there are not": labelled(np.full(12, 0xFFFFFFFF, "<u4").view("<U1")),
    "names of such characters": npz(
        {
            "images.npy": npy(X),
            "labels.npy": npy(Y),
            "class_names.npy": npy(np.full(2, 0xFFFFFFFF, "<u4").view("<U1")),
        }
    ),
    "images without a pixel": labelled(Y, X[:, 0, :0]),
}


@pytest.mark.parametrize("content", FOUND.values(), ids=FOUND)
def test_what_once_was_not_is_read_or_refused(tmp_path, content):
    if isinstance(content, dict):
        build(tmp_path / "found", content)
    else:
        (tmp_path / "found").write_bytes(content)
    assert_read_or_refused(tmp_path / "found")
