"""Near copies in the user's data: found where they are planted, not where there are none."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, halved
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from trust import plan
from trust.data import datasets, near, splits
from trust.data.images import ImageSet

CLASSES = 10


@pytest.fixture(scope="module", params=["mnist", "fashion_mnist"])
def real(request):
    """All images of a bundled data set, at half the resolution, and their labels."""
    with np.load(ROOT / "data" / f"{request.param}.npz") as file:
        images = np.concatenate([file["x_train"][:20_000], file["x_test"]])
        return halved(images), np.concatenate([file["y_train"][:20_000], file["y_test"]])


def jpeg(images, rng):
    def saved(image):
        with io.BytesIO() as file:
            Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(60, 96)))
            return np.array(Image.open(file))

    return np.stack([saved(image) for image in images])


def scaled(images, rng):
    def there_and_back(image):
        side = int(rng.integers(11, 14))
        small = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        return np.array(small.resize(image.shape[::-1], Image.Resampling.BICUBIC))

    return np.stack([there_and_back(image) for image in images])


def noisy(images, rng):
    return np.clip(images + 8 * rng.standard_normal(images.shape), 0, 255).astype(np.uint8)


def moved(images, rng):
    steps = rng.integers(-1, 2, (len(images), 2))
    return np.stack(
        [np.roll(image, step, (0, 1)) for image, step in zip(images, steps, strict=True)]
    )


def lighter(images, rng):
    light, shift = rng.uniform(0.8, 1.1, (2, len(images), 1, 1))
    return np.clip(images * light + 20 * (shift - 0.8), 0, 255).astype(np.uint8)


def every_way(images, rng):
    return jpeg(lighter(moved(images, rng), rng), rng)


FORGERIES = jpeg, scaled, noisy, moved, lighter, every_way


def some_pictures(real, each, rng):
    """`each` images of every class, and their labels."""
    images, labels = real
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(labels == k), each, replace=False) for k in range(CLASSES)]
    )
    return images[rows], labels[rows]


def split_of(images, labels, tested, kind="shared", seed=0):
    """The Split of a user's data set; tested: (images, labels)."""
    train, test = (
        ImageSet(*each, rows=np.arange(len(each[1]))) for each in [(images, labels), tested]
    )
    data = SimpleNamespace(
        train=train, test=test, bundled=False, classes=10, class_names="0123456789"
    )
    return splits.split(data, kind, seed)


@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("each, times", [(10, 20), (60, 3)])
def test_copies_of_a_picture_are_on_one_side(real, forge, each, times):
    rng = np.random.default_rng(0)
    images, labels = some_pictures(real, each, rng)
    picture = rng.permutation(np.repeat(np.arange(len(labels)), times))
    found = split_of(forge(images[picture], rng), labels[picture], (real[0][:500], real[1][:500]))
    held_out, learned = picture[found.held_out.rows], picture[found.vae.rows]
    # Copies that are as far from each other as other pictures are cannot be told from these.
    assert np.isin(held_out, learned).mean() <= 0.05
    assert 0.05 < len(held_out) / len(picture) < 0.25
    assert found.near_copies == found.repeats == 0 and found.notes == () and found.doubt == ""


def test_halves_share_no_picture(real):
    rng = np.random.default_rng(1)
    images, labels = some_pictures(real, 20, rng)
    picture = np.repeat(np.arange(len(labels)), 6)
    parts = split_of(jpeg(images[picture], rng), labels[picture], (images, labels), "disjoint")
    for part in (parts.vae, parts.classifier):
        assert not np.isin(picture[part.rows], picture[parts.held_out.rows]).any()
    assert not np.isin(picture[parts.vae.rows], picture[parts.classifier.rows]).any()
    total = len(parts.vae) + len(parts.classifier) + len(parts.held_out)
    assert total == len(picture)


@pytest.mark.parametrize("forge", FORGERIES)
def test_copies_among_the_users_test_images_are_counted_and_said(real, forge):
    rng = np.random.default_rng(2)
    images, labels = some_pictures(real, 100, rng)
    fresh = rng.choice(len(real[1]), 300, replace=False)
    tested = np.concatenate([forge(images[:600:2], rng), real[0][fresh]])
    test_labels = np.concatenate([labels[:600:2], real[1][fresh]])
    found = split_of(images, labels, (tested, test_labels))
    assert 0.25 < found.near_copies < 0.6 and found.repeats == 0
    said = f"about {found.near_copies * 600:.0f} of 600: errors and promises are too good"
    assert found.notes == (f"near copies of training images among the test images: {said}",)
    assert found.doubt == "near copies in the data"


def test_a_test_set_of_few_pictures_counts_as_these(real):
    rng = np.random.default_rng(3)
    images, labels = some_pictures(real, 4, rng)
    tested = jpeg(np.repeat(images, 10, axis=0), rng), np.repeat(labels, 10)
    found = split_of(real[0][-2000:], real[1][-2000:], tested)
    assert found.repeats == pytest.approx(0.9, abs=0.03)
    assert "the 400 test images are about" in found.notes[-1]


def test_one_picture_a_class_cannot_be_moved_and_is_said(real):
    rng = np.random.default_rng(4)
    images, labels = some_pictures(real, 1, rng)
    found = split_of(
        noisy(np.repeat(images, 150, axis=0), rng),
        np.repeat(labels, 150),
        (real[0][:200], real[1][:200]),
    )
    assert len(found.held_out) and found.near_copies > 0.5 and found.doubt


def test_where_there_is_no_test_set_its_pictures_are_in_no_other_part(tmp_path, real, capsys):
    rng = np.random.default_rng(5)
    images, labels = some_pictures(real, 12, rng)
    picture = np.repeat(np.arange(120), 15)
    forged = np.clip(images[picture] + rng.integers(-2, 3, (1800, 14, 14)), 0, 255)
    np.savez(tmp_path / "near.npz", X=forged.astype(np.uint8), y=labels[picture])
    data = datasets.load_dataset(str(tmp_path / "near.npz"))
    nearest = cdist(*(part.images.reshape(-1, 196) for part in (data.test, data.train))).min(axis=1)
    assert nearest.min() > 80  # copies are at most 56 apart
    settled = plan.settle({"file": None, "report": None, "seed": 0}, data, None)
    assert settled.split.near_copies == 0 and settled.split.repeats > 0.9
    assert f"the {len(data.test)} test images are about" in capsys.readouterr().out


@pytest.mark.parametrize("n", [1000, 5000])
def test_honest_sets_are_split_as_before_and_nothing_is_said(real, n):
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(real[1]))[: n + 500]
        images, labels = real[0][rows], real[1][rows]
        found = split_of(images[:n], labels[:n], (images[n:], labels[n:]), seed=seed)
        groups = splits.distinct(images[:n])
        held_out = splits.one_in_six(labels[:n], *groups, seed)
        np.testing.assert_array_equal(found.held_out.rows, np.flatnonzero(held_out))
        assert found.near_copies == found.repeats == 0 and not found.notes


def test_honest_digits_of_8_by_8_pixels():
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    for seed in range(10):
        rows = np.random.default_rng(seed).permutation(len(images))
        parts = (
            (images[rows[:1400]], digits.target[rows[:1400]]),
            (
                images[rows[1400:]],
                digits.target[rows[1400:]],
            ),
        )
        assert not split_of(*parts[0], parts[1]).notes


def test_images_in_two_dimensions_lie_close_together_by_themselves():
    # Points on a sphere: one in three has a gap, and none is a copy.
    rng = np.random.default_rng(6)
    points = rng.standard_normal((3000, 3)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = near.near_copies(points, np.zeros(3000, int))
    share = np.count_nonzero(found.copies) / 1000
    assert share == pytest.approx(1 - np.prod(1 - 0.25 ** np.arange(1, 30)), abs=0.05)
    assert found.by_chance == pytest.approx(share, rel=0.25) and found.share == 0


def test_copies_are_counted_as_by_brute_force(real):
    rng = np.random.default_rng(7)
    images, labels = some_pictures(real, 30, rng)
    images, labels = (
        np.concatenate([images, noisy(images[:90], rng)]),
        np.append(labels, labels[:90]),
    )
    waves = near.spectra(images)
    found = near.near_copies(waves, labels).copies
    for row in range(len(labels)):
        same = (labels == labels[row]) & (np.arange(len(labels)) != row)
        far = np.sort(cdist(waves[row][None], waves[same])[0])
        gaps = [k for k in range(1, (len(far) + 1) // 2 + 1) if far[k - 1] <= 0.5 * far[k]]
        assert found[row] == max(gaps, default=0)
    assert np.count_nonzero(found) > 150


def test_spectra_are_those_of_numpy_and_know_no_place():
    rng = np.random.default_rng(8)
    images = rng.integers(0, 256, (5, 28, 18, 3), dtype=np.uint8)
    every = np.abs(np.fft.fft2(images, axes=(1, 2)))
    wanted = every[:, np.arange(-6, 7)][:, :, :5].transpose(0, 3, 1, 2).copy()
    wanted[:, :, 6, 0] = 0
    wanted = wanted.reshape(5, -1) / np.linalg.norm(wanted.reshape(5, -1), axis=1, keepdims=True)
    waves = near.spectra(images)
    np.testing.assert_allclose(waves, wanted, atol=1e-5)
    np.testing.assert_allclose(near.spectra(np.roll(images, (3, 5), (1, 2))), waves, atol=1e-5)
    np.testing.assert_allclose(near.spectra(images // 4 * 2), near.spectra(images // 4), atol=1e-5)
    assert np.all(near.spectra(np.full((2, 8, 8), 7, np.uint8)) < 1e-3)


def test_components_are_those_of_scipy():
    rng = np.random.default_rng(9)
    for n, links in ((50, 20), (300, 290), (2, 1)):
        pairs = rng.integers(0, n, (2, links))
        found = near._components(n, pairs)
        graph = coo_array((np.ones(links), pairs), shape=(n, n))
        _, wanted = connected_components(graph, directed=False)
        _, first = np.unique(wanted, return_index=True)
        np.testing.assert_array_equal(found, first[wanted])


def test_the_bundled_sets_are_split_as_they_always_were():
    data = datasets.load_dataset("fashion_mnist")
    parts = splits.split(data, "shared", 0)
    order = np.random.default_rng(0).permutation(60_000)
    first, _ = splits.distinct(data.train.images)
    assert len(first) == 60_000 and parts.notes == ()
    order = order[np.argsort(data.train.labels[order], kind="stable")]
    rank = np.arange(60_000) % 6_000  # as many of each class
    np.testing.assert_array_equal(parts.held_out.rows, np.sort(order[rank % 6 == 5]))
