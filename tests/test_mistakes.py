"""Every mistake: one sentence, status 2, nothing written, and before the work begins."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from running import call

from trust.data import datasets
from trust.train import priors, saves


def arrays(n_train=1500, n_test=20, **changed):
    """A good data set of ten classes but for the arrays given; None leaves one out."""
    rng = np.random.default_rng(0)
    good = {
        "x_train": rng.integers(0, 256, (n_train, 28, 28), dtype=np.uint8),
        "y_train": np.arange(n_train) % 10,
        "x_test": rng.integers(0, 256, (n_test, 28, 28), dtype=np.uint8),
        "y_test": np.arange(n_test) % 10,
    }
    return {name: array for name, array in (good | changed).items() if array is not None}


def data(**changed):
    """A maker of bad.npz."""
    return lambda folder: np.savez(folder / "bad.npz", **arrays(**changed))


def pixel(value, dtype=np.float64):
    """Training images of which one pixel is wrong."""
    images = arrays()["x_train"].astype(dtype)
    images[7, 14, 14] = value
    return data(x_train=images)


def label(value, name="y_train", dtype=np.int64):
    """Labels of which one is wrong."""
    labels = arrays()[name].astype(dtype)
    labels[7] = value
    return data(**{name: labels})


def damaged(change):
    """A good bad.npz, then change(bytes) of it."""

    def make(folder):
        data()(folder)
        content = bytearray((folder / "bad.npz").read_bytes())
        (folder / "bad.npz").write_bytes(change(content))

    return make


def flipped(content):
    content[100_000] ^= 1  # in the middle of x_train
    return content


def declared_vast(folder):
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive, archive.open("x_train.npy", "w") as x:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)}
        np.lib.format.write_array_header_1_0(x, header)


def one_npy(folder):
    with open(folder / "bad.npz", "wb") as file:
        np.save(file, arrays()["x_train"])


def text(name):
    return lambda folder: (folder / name).write_text("not what was expected\n" * 9)


def folder_with(name, file):
    def make(folder):
        (folder / name).mkdir(parents=True)
        (folder / name / file).write_text("kept")

    return make


def linked(name, target):
    """A link to what need not exist, beside a good data set."""

    def make(folder):
        np.savez(folder / "good.npz", **arrays())
        (folder / name).symlink_to(target)

    return make


def models_of_good_data(**changed):
    """A file as --save keeps it after a run on good.npz, but it holds no network."""

    def make(folder):
        np.savez(folder / "good.npz", **arrays())
        data = datasets.load_dataset(folder / "good.npz")
        given = {"latent_dim": 2} | changed
        one = np.ones(1), np.zeros((1, 2)), np.eye(2)[None], np.zeros(1, int)
        settings = saves.settle(given, data)
        saves.save_models(folder / "models", settings, {}, priors.GaussianMixture(*one))

    return make


def four_files(folder):
    (folder / "set").mkdir()
    for name, array in arrays().items():
        np.save(folder / "set" / f"{name}.npy", array)


def nothing(folder):
    pass


BAD_DATA = {
    "missing file": (nothing, "does not exist"),
    "empty folder": (lambda folder: (folder / "bad.npz").mkdir(), "no images and labels"),
    "test pictures alone": (folder_with("bad.npz/test/cat", "a.png"), "but no train"),
    "no pictures": (folder_with("bad.npz/cat", "a.png"), "has no pictures"),
    "not a zip": (text("bad.npz"), "not an .npz file"),
    "empty file": (lambda folder: (folder / "bad.npz").touch(), "not an .npz file"),
    "one .npy": (one_npy, "not an .npz file"),
    "cut in half": (damaged(lambda content: content[: len(content) // 2]), "cut short"),
    "cut by a byte": (damaged(lambda content: content[:-1]), "cut short"),
    "one bit flipped": (damaged(flipped), "x_train cannot be read"),
    "declared vast": (declared_vast, "GB"),
    "missing x_train": (data(x_train=None), "no array x_train"),
    "missing y_test": (data(y_test=None), "no array y_test"),
    "two layouts": (data(train_images=np.ones(9)), "not clear which are the training images"),
    "pickled images": (data(x_train=arrays()["x_train"].astype(object)), "x_train holds pickled"),
    "pickled labels": (data(y_test=np.array([None] * 20)), "y_test holds pickled"),
    "flat images": (data(x_train=np.ones((1500, 3072), np.uint8)), "no square image"),
    "four channels": (data(x_test=np.arange(62720).reshape(20, 28, 28, 4) % 99), "(n, h, w, 3)"),
    "tiny": (data(x_train=np.ones((1500, 7, 7), np.uint8)), "8 pixels a side"),
    "32 x 32": (data(x_train=np.ones((1500, 32, 32), np.uint8)), "x_train of (32, 32)"),
    "no axes": (data(x_train=np.uint8(3)), "x_train is empty"),
    "one axis": (data(x_train=np.ones(1500, np.uint8)), "(n, h, w)"),
    "strings": (data(y_train=np.array(["cat"] * 1500)), "y_test has label 0"),
    "images of strings": (data(x_train=np.full((1500, 28, 28), "a")), "x_train has dtype"),
    "complex": (data(x_test=arrays()["x_test"] + 0j), "x_test has dtype"),
    "bool": (data(x_train=arrays()["x_train"] > 99), "different scales"),
    "-1 to 1": (data(x_train=arrays()["x_train"] / 127.5 - 1), "values from -1.0 to 1.0"),
    "16 bits": (data(x_train=arrays()["x_train"].astype(np.uint16) * 257), "to 65535"),
    "NaN": (pixel(np.nan), "NaN"),
    "infinite": (pixel(np.inf), "infinite"),
    "negative pixel": (pixel(-1, np.int16), "values from -1 to 255"),
    "pixel of 256": (pixel(256, np.int64), "values from 0 to 256"),
    "scaled to [0, 1]": (data(x_train=arrays()["x_train"] / 255), "different scales"),
    "scaled test set": (data(x_test=arrays()["x_test"] / 255), "different scales"),
    "fractional pixel": (pixel(0.5), "fractional"),
    "all black": (data(x_train=np.zeros((1500, 28, 28), np.uint8)), "no value above 1"),
    "negative label": (label(-1), "label -1"),
    "fractional label": (label(0.5, dtype=float), "not whole numbers"),
    "NaN label": (label(np.nan, dtype=float), "not whole numbers"),
    "a class an image": (data(y_train=np.arange(1500)), "1,500 different labels"),
    "labels from 1": (data(y_train=1 + np.arange(1500) % 10), "y_test has label 0"),
    "test label beyond int64": (label(2**64 - 1, "y_test", np.uint64), "y_test has label 184467"),
    "vast test label": (label(1e300, "y_test", float), "y_test has label 1e+300"),
    "one class": (data(y_train=np.zeros(1500, int), y_test=np.zeros(20, int)), "one class only"),
    "many labels": (
        data(y_train=np.eye(10)[np.arange(1500) % 10] + np.eye(10)[0]),
        "several labels",
    ),
    "unknown test label": (label(10, "y_test"), "y_test has label 10"),
    "label missing": (data(y_train=np.arange(1499) % 10), "1500 images, but y_train has 1499"),
    "test label missing": (data(y_test=np.arange(19) % 10), "20 images, but y_test has 19"),
    "no training images": (data(n_train=0), "x_train is empty"),
    "no test images": (data(n_test=0), "x_test is empty"),
    "too few images": (data(n_train=20), "20 training images"),
}
BAD_FLAGS = {
    "threshold 0": ("--threshold 0", "--threshold"),
    "threshold 1.5": ("--threshold 1.5", "--threshold"),
    "threshold negative": ("--threshold -0.1", "--threshold"),
    "threshold NaN": ("--threshold nan", "--threshold"),
    "threshold text": ("--threshold high", "--threshold"),
    "max-error 0": ("--max-error 0", "--max-error"),
    "threshold and max-error": ("--threshold 0.9 --max-error 0.1", "not allowed with"),
    "max-error that so few images cannot show": (
        "--max-error 1e-6",
        "is too small: half of the held-out images",
    ),
    "epochs 0": ("--epochs 0", "--epochs"),
    "epochs negative": ("--epochs -3", "--epochs"),
    "epochs fractional": ("--epochs 1.5", "--epochs"),
    "epochs without a value": ("--epochs", "--epochs"),
    "latents 0": ("--latent-dim 0", "--latent-dim"),
    "latents vast": ("--latent-dim 257", "--latent-dim"),
    "learning rate 0": ("--learning-rate 0", "--learning-rate"),
    "per class 0": ("--per-class 0", "--per-class"),
    "per class negative": ("--per-class -5", "--per-class"),
    "draws 0": ("--max-draws 0", "--max-draws"),
    "seed negative": ("--seed -1", "--seed"),
    "seed vast": ("--seed 99999999999", "--seed"),
    "unknown prior": ("--prior uniform", "--prior"),
    "unknown split": ("--split thirds", "--split"),
    "unknown flag": ("--treshold 0.9", "--treshold"),
    "abbreviated flag": ("--epoch 3", "--epoch"),
    "stray word": ("mnist", "mnist"),
    "unknown data set": ("--dataset cifar10", "cifar10"),
    "misspelt data set": ("--dataset Fashion-MNIST", "did you mean fashion_mnist?"),
    "device for data": ("--dataset /dev/null", "not a regular file"),
    "data set without a name": ("--dataset=", "--dataset"),
    "out without a name": ("--out=", "--out"),
    "report without a name": ("--report=", "--report"),
    "images without a name": ("--save-images=", "--save-images"),
    "save without a name": ("--save=", "--save"),
    "load without a name": ("--load=", "--load"),
    "save what was loaded": ("--load a --save b", "--save"),
}
BAD_PLACES = {
    "out is a file": (text("taken"), "--out taken", "is a file"),
    "out below a file": (text("taken"), "--out taken/imgs", "taken"),
    "out is read-only": (nothing, "--out /proc/imgs", "/proc/imgs"),
    "out has too long a name": (nothing, f"--out {'x' * 300}", "too long"),
    "report is a folder": (folder_with("taken", "x"), "--report taken", "is a folder"),
    "report is a device": (nothing, "--report /dev/full", "/dev/full"),
    "report is read-only": (nothing, "--report /proc/r.json", "/proc/r.json"),
    "images are a folder": (folder_with("taken", "x"), "--save-images taken", "is a folder"),
    "images are a file": (text("taken"), "--save-images taken", "is a file, but must name"),
    "images are a link to nothing": (
        linked("link", "taken/x"),
        "--report taken --save-images link",
        "over",
    ),
    "images are the folder of figures": (nothing, "--save-images imgs", "over 'imgs'"),
    "images are read-only": (nothing, "--save-images /proc/i.npz", "/proc/i.npz"),
    "report is the images": (nothing, "--report x --save-images ./x", "over '"),
    "report is the images through a link": (
        linked("link", "images.npz"),
        "--report link",
        "images.npz",
    ),
    "report is the data set": (data(), "--dataset bad.npz --report bad.npz", "bad.npz"),
    "images are the data set through a link": (
        linked("link", "good.npz"),
        "--dataset good.npz --save-images link",
        "good.npz",
    ),
    "images are the data set that is a link": (
        linked("link", "good.npz"),
        "--dataset link --save-images good.npz",
        "link",
    ),
    "report is the folder of figures": (nothing, "--report imgs", "imgs"),
    "report is the models": (nothing, "--report m --save m", "'m'"),
    "report is the loaded models": (models_of_good_data(), "--report models --load models", "over"),
    "save over a folder": (folder_with("taken", "x"), "--save taken", "is a folder"),
    "save over other work": (text("taken"), "--save taken", "it did not write"),
    "save over the data": (data(), "--dataset bad.npz --save bad.npz", "over 'bad.npz'"),
    "load nothing": (nothing, "--load models", "holds no models"),
    "load another's file": (text("models"), "--load models", "none that --save wrote"),
    "load a folder": (folder_with("models", "x"), "--load models", "holds no models"),
    "load models of other data": (models_of_good_data(), "--load models", "other data (good)"),
    "load no networks": (
        models_of_good_data(),
        "--dataset good.npz --load models",
        "do not fit the network",
    ),
    "load with another number of epochs": (
        models_of_good_data(epochs=3),
        "--dataset good.npz --load models --epochs 12",
        "--epochs 12: the models in models were trained with 3",
    ),
}
CASES = [
    *(
        (f"data: {name}", make, "--dataset bad.npz", word)
        for name, (make, word) in BAD_DATA.items()
    ),
    *((f"flag: {name}", nothing, flags, word) for name, (flags, word) in BAD_FLAGS.items()),
    *((f"place: {name}", *case) for name, case in BAD_PLACES.items()),
]
DEMO_CASES = [
    ("data: missing file", nothing, "--dataset bad.npz", "does not exist"),
    ("data: cut", damaged(lambda content: content[:9999]), "--dataset bad.npz", "cut short"),
    ("data: too few", data(n_train=20), "--dataset bad.npz", "20 training images"),
    ("flag: epochs", nothing, "--epochs 0", "--epochs"),
    ("flag: latents", nothing, "--latent-dim -2", "--latent-dim"),
    ("flag: out without a name", nothing, "--out=", "--out"),
    ("flag: of the other script", nothing, "--threshold 0.9", "--threshold"),
    ("place: out is a file", text("taken"), "--out taken", "is a file"),
    ("place: out is read-only", nothing, "--out /proc/imgs", "/proc/imgs"),
    ("place: out is in the data", four_files, "--dataset set --out set/imgs", "written into 'set'"),
]


def found(folder):
    """{name: content} of all that is in a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_one_sentence(done, word):
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "error: " in done.stderr and word in done.stderr


def usual(script, small_npz):
    flags = ["--dataset", str(small_npz), "--out", "imgs"]
    if script == "demo_dnn_vae":
        flags += ["--report", "report.json", "--save-images", "images.npz"]
    return flags


@pytest.mark.parametrize(
    "script, make, arguments, word",
    [
        pytest.param(script, *case, id=f"{script} {name}")
        for script, cases in (("demo_dnn_vae", CASES), ("vae_demo", DEMO_CASES))
        for name, *case in cases
    ],
)
def test_mistake(tmp_path, small_npz, script, make, arguments, word):
    make(tmp_path)
    before = found(tmp_path)
    done = call(tmp_path, script, *usual(script, small_npz), *arguments.split())
    assert_one_sentence(done, word)
    assert ("importing TensorFlow" in done.stdout) == (word == "do not fit the network")
    assert found(tmp_path) == before


@pytest.mark.parametrize(
    "script, make, arguments, word",
    [
        ("demo_dnn_vae", *CASES[0][1:]),
        ("demo_dnn_vae", nothing, *BAD_FLAGS["threshold 1.5"]),
        ("vae_demo", *DEMO_CASES[-1][1:]),
    ],
)
def test_mistake_on_the_real_command_line(tmp_path, small_npz, script, make, arguments, word):
    make(tmp_path)
    before = found(tmp_path)
    words = [sys.executable, ROOT / f"{script}.py", *usual(script, small_npz), *arguments.split()]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert_one_sentence(done, word)
    assert done.stderr.startswith(f"{script}.py: error: ")
    assert found(tmp_path) == before


@pytest.fixture
def data_folder(bundled, tmp_path, monkeypatch):
    """The data/ of a checkout in which a file can be damaged; the files are links."""
    folder = tmp_path / "data"
    folder.mkdir()
    for file in bundled.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    monkeypatch.setattr(datasets, "DATA", folder)
    return folder


def damage(file, change):
    """Replaces a link to a file by a file with change(bytes) of it, or by nothing."""
    content = bytearray(file.read_bytes())
    file.unlink()
    if change:
        file.write_bytes(change(content))


@pytest.mark.parametrize("change", [flipped, None], ids=["one bit flipped", "missing"])
def test_damaged_bundled_data(data_folder, tmp_path, change):
    damage(data_folder / "mnist.npz", change)
    for script in ("demo_dnn_vae", "vae_demo"):
        done = call(tmp_path, script, "--dataset mnist")
        assert_one_sentence(done, "mnist.npz")
        assert "git checkout" in done.stderr
    assert not (tmp_path / "imgs").exists()


@pytest.mark.parametrize(
    "change, dataset",
    [(lambda content: content[: len(content) // 2], "./copy.npz"), (None, "mnist")],
    ids=["cut", "missing"],
)
def test_damaged_referee(data_folder, tmp_path, change, dataset):
    """Bundled data need the bundled referee, whatever the file is called."""
    (tmp_path / "copy.npz").symlink_to(data_folder / "mnist.npz")
    damage(data_folder / "referee_mnist.weights.h5", change)
    before = found(tmp_path)
    done = call(tmp_path, "demo_dnn_vae", "--dataset", dataset, "--save models")
    assert_one_sentence(done, "referee_mnist.weights.h5")
    assert "git checkout" in done.stderr and "training the" not in done.stdout
    assert found(tmp_path) == before
