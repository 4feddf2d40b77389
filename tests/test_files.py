"""Files and folders as people have them, each read back to the images and labels it was made of."""

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from trust.data import datasets
from trust.data.images import DataError

RNG = np.random.default_rng(5)
X, XT = (RNG.integers(0, 256, (n, 12, 10), dtype=np.uint8) for n in (60, 20))
Y, YT = np.arange(60) % 3, np.arange(20) % 3
NAMES = np.array(["cat", "ant", "bee"])
USUAL = ("x_train", "y_train", "x_test", "y_test")


def load(path, *arrays, names=USUAL, **others):
    np.savez(path / "a.npz", **dict(zip(names, arrays, strict=False)), **others)
    return datasets.load_dataset(path / "a.npz")


def assert_is_the_set(data, class_names="012"):
    assert data.train.images.dtype == np.uint8 and data.train.images.flags.c_contiguous
    np.testing.assert_array_equal(data.train.images, X)
    np.testing.assert_array_equal(data.test.images, XT)
    np.testing.assert_array_equal(np.array(data.class_names)[data.train.labels], class_names_of(Y))
    np.testing.assert_array_equal(np.array(data.class_names)[data.test.labels], class_names_of(YT))


def class_names_of(labels):
    return labels.astype(str)


MEDICAL = ("train_images", "train_labels", "test_images", "test_labels")
STORED = {
    "as Keras has it": (lambda x: x, lambda y: y, USUAL),
    "as MedMNIST has it": (lambda x: x, lambda y: y[:, None], MEDICAL),
    "channel last": (lambda x: x[..., None], lambda y: y, USUAL),
    "channel first": (lambda x: x[:, None], lambda y: y, USUAL),
    "fractions": (lambda x: x / 255, lambda y: y, USUAL),
    "fractions, float32, a channel": (
        lambda x: (x / 255).astype(np.float32)[..., None],
        lambda y: np.eye(3, dtype=np.float32)[y],
        USUAL,
    ),
    "one-hot": (lambda x: x, lambda y: np.eye(3, dtype=int)[y], USUAL),
    "labels as floats": (lambda x: x.astype(float), lambda y: y.astype(float), USUAL),
    "labels as bytes": (lambda x: x, lambda y: y.astype("u1"), USUAL),
    "labels as strings": (lambda x: x, lambda y: y.astype(str), USUAL),
}


@pytest.mark.parametrize("stored", STORED)
def test_an_npz_as_people_have_it(tmp_path, stored):
    images, labels, names = STORED[stored]
    data = load(tmp_path, images(X), labels(Y), images(XT), labels(YT), names=names)
    assert_is_the_set(data)
    assert data.understood == (
        "a: 60 training and 20 test images, 12 x 10 grey, 3 classes: 0, 1, 2"
    )


def test_rows_of_pixels_are_square_images(tmp_path):
    square = X[:, :10]
    data = load(tmp_path, square.reshape(60, 100), Y, XT[:, :10].reshape(20, 100), YT)
    np.testing.assert_array_equal(data.train.images, square)


def test_colours_first_or_last(tmp_path):
    colours = RNG.integers(0, 256, (60, 12, 10, 3), dtype=np.uint8)
    last = load(tmp_path, colours, Y, colours[:20], YT)
    np.testing.assert_array_equal(last.train.images, colours)
    first, few = np.moveaxis(colours, 3, 1), np.moveaxis(colours[:20], 3, 1)
    for scale in (1, 255):  # both whole numbers and fractions
        data = load(tmp_path, first / scale, Y, few / scale, YT)
        np.testing.assert_array_equal(data.train.images, colours)
        assert data.train.images.flags.c_contiguous and data.fingerprint == last.fingerprint
    assert "12 x 10 RGB" in data.understood and data.pixels.shape == (12, 10, 3)
    np.testing.assert_allclose(data.pixels.mean, colours.mean((0, 1, 2)) / 255)


def test_truth_values_as_images_and_as_labels(tmp_path):
    data = load(tmp_path, X > 99, Y > 0, XT > 99, YT > 0)
    np.testing.assert_array_equal(data.train.images, np.where(X > 99, 255, 0))
    assert data.class_names == ("False", "True")
    np.testing.assert_array_equal(data.test.labels, YT > 0)


@pytest.mark.parametrize("values", [[1, 2, 3], [0, 5, 7], [10, 100, 2**62]])
def test_labels_are_renumbered_and_kept_as_names(tmp_path, values):
    data = load(tmp_path, X, np.array(values)[Y], XT, np.array(values)[YT])
    assert data.class_names == tuple(map(str, values))
    np.testing.assert_array_equal(data.train.labels, Y)
    np.testing.assert_array_equal(data.test.labels, YT)


def test_strings_are_names_in_the_order_of_the_alphabet(tmp_path):
    data = load(tmp_path, X, NAMES[Y], XT, NAMES[YT])
    assert data.class_names == ("ant", "bee", "cat")
    np.testing.assert_array_equal(np.array(data.class_names)[data.test.labels], NAMES[YT])


def test_class_names_of_ones_own(tmp_path):
    given = {"class_names": np.array(["dog", "cat", "ant", "bee"])}
    assert load(tmp_path, X, Y + 1, XT, YT + 1, **given).class_names == ("cat", "ant", "bee")
    three = {"class_names": given["class_names"][1:]}
    assert load(tmp_path, X, 10 * Y, XT, 10 * YT, **three).class_names == ("cat", "ant", "bee")
    with pytest.raises(DataError, match="2 names for 3 classes"):
        load(tmp_path, X, Y, XT, YT, class_names=NAMES[:2])


def test_class_names_may_be_bytes(tmp_path):
    data = load(tmp_path, X, Y, XT, YT, class_names=np.array([b"ant", b"bee", b"c\xc3\xa4t"]))
    assert data.class_names == ("ant", "bee", "cät")


def test_class_names_that_are_double_are_refused(tmp_path):
    with pytest.raises(DataError, match="class_names has the name ant more than once"):
        load(tmp_path, X, Y, XT, YT, class_names=np.array(["ant", "bee", "ant"]))


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (["b'cat'", "b'ant'", "b'bee'"], ("ant", "bee", "cat")),  # str() of bytes
        (["b'cat'", "ant", "bee"], ("ant", "b'cat'", "bee")),
        ([b"caf\xe9", b"caf\xe8", b"bee"], ("bee", "caf\xe8", "caf\xe9")),  # Latin-1
        ([b"caf\xc3\xa9", b"ant", b"bee"], ("ant", "bee", "caf\xe9")),  # UTF-8
    ],
)
def test_names_that_went_through_bytes(tmp_path, stored, read):
    data = load(tmp_path, X, np.array(stored)[Y], XT, np.array(stored)[YT])
    assert data.class_names == read and np.bincount(data.train.labels).tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("train-images", X + 0j, "dtype complex128"),
        ("train-images", X.astype(str), "dtype <U3"),
        ("train-images", X.astype("M8[s]"), "dtype datetime64"),
        ("train-images", np.float32(3), r"train-images.npy has shape \(\)"),
        ("train-images", X[0], r"train-images.npy has 12 images"),
        ("train-labels", Y + 0j, "dtype complex128"),
        ("train-labels", np.array(3), "has shape"),
        ("train-labels", X, "has shape"),
    ],
)
def test_arrays_in_a_folder_that_are_no_images_or_labels(tmp_path, name, array, said):
    whole = {"train-images": X, "train-labels": Y, "test-images": XT, "test-labels": YT}
    for key, values in (whole | {name: array}).items():
        np.save(tmp_path / f"{key}.npy", values)
    with pytest.raises(DataError, match=said):
        datasets.load_dataset(tmp_path)


def test_validation_images_join_the_training_images(tmp_path):
    others = {"val_images": XT[::-1], "val_labels": YT[::-1]}
    data = load(tmp_path, X, Y, XT, YT, names=MEDICAL, **others)
    np.testing.assert_array_equal(data.train.images, np.concatenate([X, XT[::-1]]))
    np.testing.assert_array_equal(data.train.labels, np.concatenate([Y, YT[::-1]]))
    assert "validation" in data.understood


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("X", "y"), ("data", "target")])
def test_a_sixth_of_each_class_becomes_the_missing_test_set(tmp_path, names):
    twice = np.concatenate([X, X[:6]]), np.concatenate([Y, Y[:6]])
    data = load(tmp_path, *twice, names=names)
    assert "no test set: a sixth of each class becomes one" in data.understood
    assert "6 training images equal another" in data.understood or "6 test" not in data.understood
    assert sorted(map(bytes, [*data.train.images, *data.test.images])) == sorted(
        map(bytes, twice[0])
    )
    # no copy of an image is on the other side
    assert not {*map(bytes, data.train.images)} & {*map(bytes, data.test.images)}
    firsts = {bytes(image): label for image, label in zip(X, Y, strict=True)}
    tested = {bytes(image) for image in data.test.images}
    assert np.bincount([firsts[image] for image in tested]).tolist() == [3, 3, 3]
    for part in (data.train, data.test):
        assert [firsts[bytes(image)] for image in part.images] == part.labels.tolist()


def test_digits_of_scikit_learn(tmp_path):
    digits = RNG.integers(0, 17, (60, 64)).astype(float)
    data = load(tmp_path, digits, Y, names=("data", "target"))
    assert "values from 0 to 16 become 0 to 255" in data.understood
    every = np.concatenate([data.train.images, data.test.images])
    assert every.shape == (60, 8, 8) and set(np.unique(every)) <= set(
        np.rint(np.arange(17) * 255 / 16)
    )


def test_data_and_target_may_be_fractions(tmp_path):
    names = ("data", "target")
    data = load(tmp_path, X[:, :10].reshape(60, 100) / 255, Y, names=names)
    assert "0 to 16" not in data.understood
    every = np.concatenate([data.train.images, data.test.images])
    assert sorted(map(bytes, every)) == sorted(map(bytes, np.ascontiguousarray(X[:, :10])))


def test_grey_images_stored_as_colours_are_grey(tmp_path):
    three, four = np.repeat(X[..., None], 3, 3), np.repeat(XT[..., None], 4, 3)
    four[..., 3] = 255
    data = load(tmp_path, three, Y, four, YT)
    assert_is_the_set(data)
    assert "three equal channels, read as one" in data.understood
    colours = three.copy()
    colours[7, 0, 0] = 1, 2, 3
    data = load(tmp_path, colours, Y, four, YT)
    assert data.train.images.shape == (60, 12, 10, 3) == (60, *data.test.images.shape[1:])


def test_fractions_a_hair_outside_are_clipped(tmp_path):
    data = load(tmp_path, X / 255 * 1.000001, Y, XT / 255, YT)
    assert_is_the_set(data)
    assert "x_train has values from 0 to 1.000001: clipped to 0 to 1" in data.understood


def test_pictures_with_a_palette_or_opacity(tmp_path):
    """What Pillow, torchvision and Matplotlib write: the same grey images."""
    for row, (image, label) in enumerate(zip(X, Y, strict=True)):
        place = tmp_path / "p" / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        kind = ("L", "RGB", "RGBA", "LA", "P")[row % 5]
        picture = Image.fromarray(image)
        picture = picture.quantize(256) if kind == "P" else picture.convert(kind)
        picture.save(place / f"{row:03}.png")
    data = datasets.load_dataset(tmp_path / "p")
    assert "three equal channels" in data.understood and "transparent" not in data.understood
    every = np.concatenate([data.train.images, data.test.images])
    stored = {bytes(image) for row, image in enumerate(X) if row % 5 != 4}
    assert every.shape == (60, 12, 10) and stored <= {*map(bytes, every)}
    picture = Image.fromarray(X[0]).convert("RGBA")
    picture.putalpha(Image.fromarray(X[1]))
    picture.save(tmp_path / "p" / "ant" / "clear.png")
    said = datasets.load_dataset(tmp_path / "p").understood
    assert "1 pictures are transparent in places, which is not read" in said


def test_large_images_are_scaled_down_and_keep_their_proportions(tmp_path):
    large = np.repeat(np.repeat(X, 16, 1), 10, 2)  # 192 x 100
    data = load(tmp_path, large, Y, large[:20], YT)
    assert (
        data.train.images.shape == (60, 64, 33) and "scaled down from 192 x 100" in data.understood
    )
    thirds = X.astype(float).mean((1, 2))
    np.testing.assert_allclose(data.train.images.mean((1, 2)), thirds, atol=1.5)


def test_copies_are_counted(tmp_path):
    data = load(tmp_path, np.tile(X[:6], (10, 1, 1)), np.tile(Y[:6], 10), XT, YT)
    assert "54 training images equal another: copies stay together" in data.understood
    both = load(tmp_path, X, Y, np.concatenate([XT, X[:4]]), np.concatenate([YT, Y[:4]]))
    assert "4 test images are training images too" in both.understood


def write_idx(file, array, kind=8):
    head = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    with (gzip.open if file.suffix == ".gz" else open)(file, "wb") as stream:
        stream.write(head + array.tobytes())


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(tmp_path, ending):
    for part, images, labels in (("train", X, Y), ("t10k", XT, YT)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{ending}", labels.astype("u1"))
    (tmp_path / "README.txt").write_text("of train images")
    assert_is_the_set(datasets.load_dataset(tmp_path))
    (tmp_path / f"train-images-idx3-ubyte{ending}").write_bytes(b"\0\0\x08\x03short")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.* damaged or cut short"):
        datasets.load_dataset(tmp_path)


def test_qmnist_has_eight_columns_the_first_of_which_is_the_class(tmp_path):
    for part, images, labels in (("train", X, Y), ("test", XT, YT)):
        write_idx(tmp_path / f"qmnist-{part}-images-idx3-ubyte.gz", images)
        columns = RNG.integers(0, 99, (len(labels), 8)).astype(">i4")
        columns[:, 0] = labels
        write_idx(tmp_path / f"qmnist-{part}-labels-idx2-int.gz", columns, 12)
    assert_is_the_set(datasets.load_dataset(tmp_path))


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_four_files_of_one_array(tmp_path, form):
    for name, array in (
        ("train-imgs", X),
        ("train-labels", Y),
        ("test-imgs", XT),
        ("test-labels", YT),
    ):
        if form == "npz":
            np.savez(tmp_path / f"kmnist-{name}.npz", array)
        else:
            np.save(tmp_path / f"{name}.npy", array)
    assert_is_the_set(datasets.load_dataset(tmp_path))
    np.save(tmp_path / "train-images.npy", X)
    with pytest.raises(DataError, match="not clear which to read"):
        datasets.load_dataset(tmp_path)


def write_pictures(folder, images, labels, names, encode=tf.io.encode_png, ending="png"):
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / names[label]
        place.mkdir(parents=True, exist_ok=True)
        image = image if image.ndim == 3 else image[..., None]
        (place / f"{row:03}.{ending}").write_bytes(encode(image).numpy())


def test_a_folder_of_pictures_with_training_and_test(tmp_path):
    write_pictures(tmp_path / "Training", X, Y, NAMES)
    write_pictures(tmp_path / "Testing", XT, YT, NAMES)
    data = datasets.load_dataset(tmp_path)
    assert data.class_names == ("ant", "bee", "cat")
    order = np.argsort(NAMES[Y], kind="stable")  # class after class
    np.testing.assert_array_equal(data.train.images, X[order])
    np.testing.assert_array_equal(np.array(data.class_names)[data.train.labels], NAMES[Y][order])
    assert len(data.test.labels) == 20


def test_a_folder_of_pictures_without_a_test_set(tmp_path):
    folder = tmp_path / "shop"
    write_pictures(folder, X, Y, ["8", "9", "10"])
    (folder / "8" / "notes.txt").write_text("no picture")
    (folder / "8" / "broken.jpg").write_bytes(b"\xff\xd8\xff cut short")
    (folder / "8" / ".DS_Store").write_text("hidden")
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "a.png").write_bytes(tf.io.encode_png(X[0][..., None]).numpy())
    data = datasets.load_dataset(folder)
    assert data.class_names == ("8", "9", "10")  # as numbers
    for words in (
        "shop: 51 training",
        "2 files are no pictures: 8/broken.jpg, 8/notes.txt",
        "a sixth",
    ):
        assert words in data.understood
    firsts = {bytes(image): label for image, label in zip(X, Y, strict=True)}
    for part in (data.train, data.test):
        assert [firsts[bytes(image)] for image in part.images] == part.labels.tolist()


def test_pictures_of_several_sizes_and_kinds(tmp_path):
    colours = RNG.integers(0, 256, (30, 24, 20, 3), dtype=np.uint8)
    write_pictures(tmp_path, colours, Y[:30], NAMES, tf.io.encode_jpeg, "jpg")
    write_pictures(tmp_path / "sub", X, Y, NAMES)
    for name in NAMES:  # one grey picture among those in colour, smaller
        (tmp_path / name / "small.png").write_bytes(tf.io.encode_png(X[0][..., None]).numpy())
        for file in (tmp_path / "sub" / name).iterdir():
            file.unlink()
        (tmp_path / "sub" / name).rmdir()
    (tmp_path / "sub").rmdir()
    data = datasets.load_dataset(tmp_path)
    assert data.train.images.shape[1:] == (24, 20, 3)
    assert "pictures of 2 sizes: all scaled to 24 x 20" in data.understood
