"""Whatever bytes an .npz file holds, it is loaded or refused in one sentence.

`pytest tests/test_fuzz.py --hypothesis-show-statistics` counts the files tried.
"""

import io
import zipfile

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trust.data import datasets
from trust.data.images import (
    DataError,
)


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
    content = npz(members, draw(COMPRESSIONS))
    damage = draw(DAMAGES)
    if damage == "cut":
        content = content[: len(content) * draw(st.integers(0, 1000)) // 1000]
    elif damage == "bytes":
        content = content[:4] + draw(st.binary(max_size=300))
    elif damage.startswith("flip"):
        content = bytearray(content)
        # Headers stand at the beginning, the list of members at the end.
        reach = st.integers(-400, 200) if "ends" in damage else st.integers(0, 10**6)
        for position in draw(st.lists(reach, min_size=1, max_size=4)):
            content[position % len(content)] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


@settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
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
    try:
        data = datasets.load_dataset(path)
    except DataError as refusal:
        assert str(refusal).startswith(repr(str(path)))
        assert len(str(refusal).splitlines()) == 1
        return
    assert data.train.images.dtype == data.test.images.dtype == np.uint8
    assert data.train.images.shape == (len(data.train.labels), 28, 28)
    assert data.test.images.shape == (len(data.test.labels), 28, 28)
    assert set(data.test.labels) <= set(data.train.labels) == set(range(data.classes))
    assert not data.bundled
