import os
import signal
import sys
from pathlib import Path

# Two workers whose products wait for each other's threads take longer than two with one each.
# The same number for a script in this process and in one of its own: the same bytes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pytest

from trust.data import datasets

ROOT = Path(__file__).resolve().parents[1]
LONGEST = ("test_scripts.py", "test_outside.py", "test_runs.py")


def halved(images):
    """Images (n, h, w) uint8 at half the resolution, each pixel a mean."""
    n, height, width = images.shape
    means = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return np.rint(means).astype(np.uint8)


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that two workers end together."""
    items.sort(key=lambda item: (*LONGEST, item.path.name).index(item.path.name))


def hear_ctrl_c():
    """To be called in a child before it starts: a shell's background jobs are deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def first_images(name, n_train, n_test):
    """{array: values} of a bundled set, cut."""
    with np.load(ROOT / "data" / f"{name}.npz") as data:
        return {part: data[part][: n_train if "train" in part else n_test] for part in data}


@pytest.fixture(scope="session")
def small_npz(tmp_path_factory):
    """The first 4,000 training and 500 test images of MNIST at half the resolution, all ten classes
    among them: a referee learns them four times as fast."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    arrays = first_images("mnist", 4000, 500)
    for name in ("x_train", "x_test"):
        arrays[name] = halved(arrays[name])
    assert all(len(np.unique(arrays[name])) == 10 for name in ("y_train", "y_test"))
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    """A data/ folder: the first 4,000 training and 1,000 test images of both bundled sets, and
    their referees.  Returns it and {fingerprint: name}."""
    folder, prints = tmp_path_factory.mktemp("slices"), {}
    for name in datasets.BUNDLED:
        np.savez(folder / f"{name}.npz", **first_images(name, 4000, 1000))
        referee = f"referee_{name}.weights.h5"
        (folder / referee).symlink_to(ROOT / "data" / referee)
        prints[datasets.load_dataset(folder / f"{name}.npz").fingerprint] = name
    return folder, prints


@pytest.fixture
def bundled(slices, monkeypatch):
    """Lets this process take the slices for the data that came with the code; their folder."""
    monkeypatch.setattr(datasets, "DATA", slices[0])
    monkeypatch.setattr(datasets, "FINGERPRINTS", slices[1])
    return slices[0]


@pytest.fixture
def unlearned(monkeypatch):
    """The question *useful* trains nothing: the images and the targets that it would have learned
    from, a pair for each set."""
    from trust.ask import useful  # which imports TensorFlow

    seen = []

    def right(images, targets, reference, seed=0):
        seen.append((images, targets))
        return np.arange(len(reference.test)) % 2.0  # half of the test images

    monkeypatch.setattr(useful, "right_after_training", right)
    return seen
