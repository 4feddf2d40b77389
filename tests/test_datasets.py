import io
import os
import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest

from trust.data import datasets, files, splits
from trust.data.images import DataError, ImageSet

# What the makers of the data sets state of them.
MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def small_arrays(n_train=12, n_test=6, classes=3):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (n_train, 28, 28), dtype=np.uint8),
        "y_train": np.arange(n_train) % classes,
        "x_test": rng.integers(0, 256, (n_test, 28, 28), dtype=np.uint8),
        "y_test": np.arange(n_test) % classes,
    }


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def numbered(n):
    """n images that all differ, so that each can be recognised."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    return images


def numbers(images):
    return images[:, 0, 0].astype(int) + 256 * images[:, 0, 1].astype(int)


@pytest.mark.parametrize(
    "name, counts, mean, last_class",
    [("mnist", MNIST_COUNTS, 33.318, "9"), ("fashion_mnist", [6000] * 10, 72.940, "Ankle boot")],
)
def test_bundled_data_are_what_their_makers_say(name, counts, mean, last_class):
    data = datasets.load_dataset(name)
    assert data.name == name
    assert data.train.images.shape == (60000, 28, 28) and data.test.images.shape == (10000, 28, 28)
    assert data.train.images.dtype == data.test.images.dtype == np.uint8
    assert np.bincount(data.train.labels).tolist() == counts
    assert data.train.images.mean() == pytest.approx(mean, abs=5e-4)
    assert data.class_names[9] == last_class and data.classes == 10 and data.bundled


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_bundled_file_is_named(tmp_path, monkeypatch, damage):
    if damage == "changed":
        shutil.copy(datasets.DATA / "mnist.npz", tmp_path)
        with open(tmp_path / "mnist.npz", "r+b") as file:
            file.seek(5_000_000)
            byte = file.read(1)[0]
            file.seek(5_000_000)
            file.write(bytes([byte ^ 1]))
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    with pytest.raises(DataError, match=r"mnist\.npz") as refusal:
        datasets.load_dataset("mnist")
    assert "git checkout" in str(refusal.value)


@pytest.mark.parametrize("spelling", ["mnist", "relative", "absolute", "link", "copy", "repacked"])
def test_content_decides_what_is_bundled(tmp_path, monkeypatch, spelling):
    file = datasets.DATA / "mnist.npz"
    (tmp_path / "link.npz").symlink_to(file)
    if spelling == "copy":
        shutil.copy(file, tmp_path / "fashion_mnist.npz")
    if spelling == "repacked":  # other bytes, same arrays
        with np.load(file) as arrays:
            stored = {name: arrays[name] for name in arrays}
        np.savez(tmp_path / "own.npz", note=np.zeros(1), **stored)
    monkeypatch.chdir(tmp_path)
    path = {
        "mnist": "mnist",
        "relative": os.path.relpath(file),
        "absolute": str(file.resolve()),
        "link": "link.npz",
        "copy": "fashion_mnist.npz",
        "repacked": "./own.npz",
    }[spelling]
    data = datasets.load_dataset(path)
    assert data.bundled and data.name == "mnist" and data.class_names == tuple("0123456789")
    assert os.path.samefile(data.path, file if spelling == "mnist" else path)


@pytest.mark.parametrize("name", ["own", "mnist"])
def test_a_file_in_data_is_the_users_where_its_content_is(tmp_path, monkeypatch, name):
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    data = datasets.load_dataset(saved(tmp_path / f"{name}.npz", **small_arrays()))
    assert not data.bundled and data.class_names == ("0", "1", "2") and data.name == name
    if name in datasets.BUNDLED:  # which was asked for by name is another thing
        with pytest.raises(DataError, match=r"mnist\.npz.*git checkout"):
            datasets.load_dataset(name)


def test_every_bundled_name_has_a_fingerprint():
    assert set(datasets.FINGERPRINTS.values()) == set(datasets.BUNDLED)


def test_own_file_is_read_as_stored(tmp_path):
    arrays = small_arrays()
    data = datasets.load_dataset(saved(tmp_path / "own.npz", **arrays))
    assert data.name == "own" and data.class_names == ("0", "1", "2") and not data.bundled
    found = data.train.images, data.train.labels, data.test.images, data.test.labels
    for name, array in zip(("x_train", "y_train", "x_test", "y_test"), found, strict=True):
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    "store",
    [
        lambda array: array.astype(np.float64),
        lambda array: array.astype(">i4"),
        lambda array: array.astype(np.float16),
        np.asfortranarray,
    ],
    ids=["float64", "big-endian", "float16", "Fortran order"],
)
def test_storage_does_not_change_the_data(tmp_path, store):
    arrays = small_arrays()
    plain = datasets.load_dataset(saved(tmp_path / "plain.npz", **arrays))
    stored = {name: store(array) for name, array in arrays.items()}
    other = datasets.load_dataset(saved(tmp_path / "other.npz", **stored))
    assert other.fingerprint == plain.fingerprint
    assert other.train.images.dtype == np.uint8 and other.train.labels.dtype == np.int64
    assert other.train.images.flags.c_contiguous
    np.testing.assert_array_equal(other.train.images, plain.train.images)


@pytest.mark.parametrize("name", ("x_train", "y_train", "x_test", "y_test"))
def test_fingerprint_notices_one_changed_value(tmp_path, name):
    arrays = small_arrays()
    before = datasets.load_dataset(saved(tmp_path / "a.npz", **arrays)).fingerprint
    arrays[name].flat[0] = 1 + arrays[name].flat[0] % 2
    assert datasets.load_dataset(saved(tmp_path / "b.npz", **arrays)).fingerprint != before


def declared(shape, dtype, content=b""):
    """A .npy member whose header promises more than it holds."""
    member = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    return member.getvalue() + content


@pytest.mark.parametrize(
    "shape, dtype, word",
    [
        ((10**12, 28, 28), "u1", "GB"),
        ((10**30, 28, 28), "u1", "GB"),
        ((400_000, 28, 28), "f8", "GB"),
        ((2_500_000, 28, 28), "u1", "cut short"),
        ((-1, 28, 28), "u1", "empty"),
        ((5, 28, 28), "V0", "dtype"),
        ((5, 28, 28), "U0", "dtype"),
    ],
)
def test_a_header_cannot_make_us_spend_memory(tmp_path, shape, dtype, word):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x_train.npy", declared(shape, dtype, bytes(1000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="x_train") as refusal:
            datasets.load_dataset(tmp_path / "bomb.npz")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert word in str(refusal.value)
    # NumPy sets address space aside for an array it can hold, and touches what it reads.
    assert peak < files.MAX_BYTES
    assert word != "GB" or peak < 2_000_000


def test_a_black_test_image_is_an_image(tmp_path):
    arrays = small_arrays(n_test=1)
    arrays["x_test"][:] = 0
    assert datasets.load_dataset(saved(tmp_path / "a.npz", **arrays)).test.images.max() == 0


def test_too_few_training_images(tmp_path):
    data = datasets.load_dataset(saved(tmp_path / "few.npz", **small_arrays(n_train=12)))
    datasets.check_enough(data, 12)
    with pytest.raises(DataError, match=r"few\.npz.* 12 training images.* 13"):
        datasets.check_enough(data, 13)


def test_one_class_is_enough_for_a_vae_and_not_for_a_classifier(tmp_path):
    arrays = small_arrays()
    arrays["y_train"][:] = arrays["y_test"][:] = 0
    data = datasets.load_dataset(saved(tmp_path / "one.npz", **arrays))
    assert data.classes == 1
    with pytest.raises(DataError, match=r"one\.npz.* one class only"):
        datasets.check_classes(data)


@pytest.mark.parametrize("n, classes", [(1000, 10), (999, 7), (4, 2), (5, 2)])
def test_halves_share_nothing_and_lose_nothing(n, classes):
    labels = np.sort(np.arange(n) % classes)
    a, b = splits.disjoint_halves(labels, seed=3)
    assert sorted([*a, *b]) == list(range(n)) and abs(len(a) - len(b)) <= 1
    assert (np.diff(a) > 0).all() and (np.diff(b) > 0).all()
    counts = (np.bincount(labels[half], minlength=classes) for half in (a, b))
    assert abs(np.subtract(*counts)).max() <= 1


def test_halves_follow_the_seed():
    labels = np.arange(200) % 10
    first, again, other = (splits.disjoint_halves(labels, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(np.setdiff1d(first, other)) > 20


def test_a_single_image_has_no_halves():
    with pytest.raises(DataError, match="class 2 "):
        splits.disjoint_halves(np.array([0, 0, 1, 1, 2]), seed=0)


def own_dataset(tmp_path, n=600, classes=10):
    """n training images that can be told apart, in blocks of one class each."""
    arrays = small_arrays(n_train=n, n_test=20, classes=classes)
    arrays |= {"x_train": numbered(n), "y_train": np.sort(np.arange(n) % classes)}
    return datasets.load_dataset(saved(tmp_path / "own.npz", **arrays))


def test_shared_sets_hold_out_a_sixth_of_each_class_at_random(tmp_path):
    data = own_dataset(tmp_path)
    sets = splits.split(data, "shared", seed=0)
    assert len(sets.held_out.images) == 100
    np.testing.assert_array_equal(sets.vae.images, sets.classifier.images)
    for part in (sets.vae, sets.classifier, sets.held_out):
        np.testing.assert_array_equal(numbers(part.images), part.rows)
        np.testing.assert_array_equal(part.labels, data.train.labels[part.rows])
    np.testing.assert_array_equal(sets.test.images, data.test.images)
    assert sorted([*numbers(sets.vae.images), *numbers(sets.held_out.images)]) == list(range(600))
    assert np.bincount(sets.held_out.labels, minlength=10).tolist() == [10] * 10
    # Ten of a block's sixty in order: at random, their mean is off by 5 at one standard deviation.
    first = numbers(sets.held_out.images)[:10]
    assert len(set(np.diff(first))) > 2 and 10 < first.mean() < 50


def test_classes_without_a_test_image_are_named(tmp_path):
    arrays = small_arrays(n_train=60, n_test=6, classes=3)
    arrays["y_test"][:] = 1
    data = datasets.load_dataset(saved(tmp_path / "own.npz", **arrays))
    (note,) = splits.split(data, "shared", seed=0).notes
    assert note == "no test image is of class 0, 2: nothing is measured on it"


def test_a_small_class_is_learned_from(tmp_path):
    labels = np.array([0] * 60 + [1] * 5 + [2] * 2)
    arrays = small_arrays(n_train=67) | {"x_train": numbered(67), "y_train": labels}
    data = datasets.load_dataset(saved(tmp_path / "own.npz", **arrays))
    for how, counts in (("shared", [50, 5, 2]), ("disjoint", [25, 2, 1])):
        sets = splits.split(data, how, seed=0)
        assert np.bincount(sets.held_out.labels).tolist() == [10]
        found = np.bincount(sets.vae.labels), np.bincount(sets.classifier.labels)
        assert all((abs(each - counts) <= (how == "disjoint")).all() for each in found)


def test_disjoint_sets_share_nothing_and_lose_nothing(tmp_path):
    data = own_dataset(tmp_path)
    sets = splits.split(data, "disjoint", seed=0)
    parts = sets.vae, sets.classifier, sets.held_out
    assert [len(part) for part in parts] == [250, 250, 100]
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(600))
    for part in parts:
        np.testing.assert_array_equal(numbers(part.images), part.rows)
        np.testing.assert_array_equal(part.labels, data.train.labels[part.rows])
    shared = splits.split(data, "shared", seed=0).held_out
    np.testing.assert_array_equal(sets.held_out.images, shared.images)


@pytest.mark.parametrize("how", ["shared", "disjoint"])
def test_splits_follow_the_seed(tmp_path, how):
    data = own_dataset(tmp_path)
    first, again, other = (splits.split(data, how, seed) for seed in (1, 1, 2))
    for part in ("vae", "classifier", "held_out"):
        np.testing.assert_array_equal(getattr(first, part).images, getattr(again, part).images)
        different = np.setdiff1d(
            numbers(getattr(first, part).images), numbers(getattr(other, part).images)
        )
        assert len(different) > 20


def test_some_of_the_images_keep_their_labels():
    every = ImageSet(numbered(5), np.arange(5) * 10)
    for rows in (np.array([3, 1]), np.array([False, True, False, True, False])):
        some = every.take(rows)
        assert sorted(some.labels) == [10, 30] and len(some) == 2
        np.testing.assert_array_equal(numbers(some.images) * 10, some.labels)


@pytest.mark.parametrize("name", ["fashion-mnist", "Fashion_MNIST"])
def test_a_name_that_is_nearly_right_gets_a_hint(name):
    with pytest.raises(DataError, match=r"did you mean fashion_mnist\?"):
        datasets.load_dataset(name)


@pytest.mark.parametrize("how", ["shared", "disjoint"])
def test_all_copies_of_an_image_are_on_one_side(tmp_path, how):
    arrays = small_arrays()
    arrays["x_train"], arrays["y_train"] = (
        np.repeat(numbered(90), 7, axis=0),
        np.arange(630) // 7 % 3,
    )
    data = datasets.load_dataset(saved(tmp_path / "a.npz", **arrays))
    parts = splits.split(data, how, 4)
    sides = [set(numbers(part.images)) for part in (parts.vae, parts.classifier, parts.held_out)]
    assert not sides[0] & sides[2] and not sides[1] & sides[2] and len(sides[2]) == 15
    assert (sides[0] == sides[1]) if how == "shared" else not sides[0] & sides[1]
    for part in (parts.vae, parts.classifier, parts.held_out):
        assert set(np.unique(numbers(part.images), return_counts=True)[1]) == {7}
        assert set(np.bincount(part.labels) // 7) <= {5, 12, 13, 25}
    assert "540 training images equal another" in data.understood


def test_distinct_images_by_hand():
    images = numbered(5)[[3, 1, 3, 0, 1, 3]]
    first, which = splits.distinct(images)
    assert first.tolist() == [0, 1, 3] and which.tolist() == [0, 1, 0, 2, 1, 0]
