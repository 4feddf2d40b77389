import os
import signal
import sys
from pathlib import Path

# Two workers whose products wait for each other's threads take longer than two with one each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def halved(images):
    """Images (n, h, w) uint8 at half the resolution, each pixel a mean."""
    n, height, width = images.shape
    means = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return np.rint(means).astype(np.uint8)


def pytest_collection_modifyitems(items):
    """The file that takes longest comes first, so that two workers end together."""
    items.sort(key=lambda item: item.path.name != "test_scripts.py")


def hear_ctrl_c():
    """To be called in a child before it starts: a shell's background jobs are deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def small_npz(tmp_path_factory):
    """The first 4,000 training and 500 test images of MNIST at half the resolution, all ten classes
    among them: a referee learns them four times as fast."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    with np.load(ROOT / "data" / "mnist.npz") as data:
        arrays = {name: data[name][: 4000 if "train" in name else 500] for name in data}
    for name in ("x_train", "x_test"):
        arrays[name] = halved(arrays[name])
    assert all(len(np.unique(arrays[name])) == 10 for name in ("y_train", "y_test"))
    np.savez_compressed(path, **arrays)
    return path
