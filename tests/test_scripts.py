"""Both scripts, run for real on a small slice of real data."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, hear_ctrl_c
from PIL import Image

FIGURES = {
    "calibration.png",
    "class-balance.png",
    "copies.png",
    "diagram.png",
    "dnn-vae-strong.png",
    "dnn-vae-weak.png",
    "pred-dist.png",
}
KEYS = """
    classifier_test_accuracy temperature ece_raw ece_calibrated vae_test_negative_elbo
    generated strong_rate weak_rate real_strong_rate referee_test_accuracy strong_agreement
    weak_agreement real_strong_agreement class_counts_strong class_counts_balanced
    closest_correlation_median real_closest_correlation_median copy_rate real_copy_rate
    copying_z usefulness_accuracy real_usefulness_accuracy seconds
""".split()
PER_CLASS, THRESHOLD = 30, 0.6
# A small set, few epochs and a low threshold: enough for strong images of most classes.
SETTINGS = f"--threshold {THRESHOLD} --per-class {PER_CLASS} --max-draws 6000"
TRAINING = "--epochs 15 --latent-dim 4 --seed 3"
OUTPUTS = "--out imgs --report report.json --save-images strong.npz"


def command(script, *flags):
    return [sys.executable, str(ROOT / script), *" ".join(flags).split()]


def run(folder, script, *flags):
    done = subprocess.run(command(script, *flags), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def outcome(folder):
    """All bytes that a run wrote, but for its times and its memory."""
    report = json.loads((folder / "report.json").read_text())
    del report["seconds"], report["peak_memory_gb"]
    files = [*sorted((folder / "imgs").iterdir()), folder / "strong.npz"]
    return {file.name: file.read_bytes() for file in files} | {"report": report}


@pytest.fixture(scope="session")
def trained(small_npz, tmp_path_factory):
    """A folder in which the main script has run, and kept its models; what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    flags = f"--dataset {small_npz} --save models", SETTINGS, TRAINING, OUTPUTS
    return folder, run(folder, "demo_dnn_vae.py", *flags)


def assert_drawn(file):
    with Image.open(file) as image:
        assert image.width == 1860 and image.height > 150
        assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 20
        pixels = np.asarray(image.convert("L"))
    # Ink down to the last tenth of the page: nothing stopped half-way.
    assert (pixels[-pixels.shape[0] // 10 :] < 200).any()


def test_main_script_draws_every_figure(trained):
    folder, _ = trained
    assert {file.name for file in (folder / "imgs").iterdir()} == FIGURES
    for name in FIGURES:
        assert_drawn(folder / "imgs" / name)


def test_report_holds_what_was_measured(trained):
    folder, printed = trained
    report = json.loads((folder / "report.json").read_text())
    assert set(KEYS) <= set(report)
    assert report["classifier_test_accuracy"] > 0.8
    assert report["referee_test_accuracy"] > 0.9
    assert 100 < report["vae_test_negative_elbo"] < 206  # 206: every image drawn as their mean
    assert sum(report["class_counts_generated"]) == report["generated"] <= 6000
    rate = sum(report["class_counts_strong"]) / report["generated"]
    assert report["strong_rate"] == pytest.approx(rate)
    assert report["class_counts_balanced"] == [
        min(count, PER_CLASS) for count in report["class_counts_strong"]
    ]
    assert f"{100 * report['strong_rate']:.2f} %" in printed
    assert "The figures are in imgs" in printed.splitlines()[-1]
    for name, count in zip(range(10), report["class_counts_strong"], strict=True):
        assert (f"class {name}: " in printed) == (count < PER_CLASS)


def test_saved_images_are_the_balanced_set(trained):
    folder, _ = trained
    report = json.loads((folder / "report.json").read_text())
    with np.load(folder / "strong.npz") as saved:
        images, labels, confidence = saved["images"], saved["labels"], saved["confidence"]
    assert np.bincount(labels, minlength=10).tolist() == report["class_counts_balanced"]
    assert images.shape == (len(labels), 28, 28) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1 and images.max() > 0.9
    assert confidence.min() >= THRESHOLD


def test_same_seed_same_bytes(trained, small_npz, tmp_path):
    run(tmp_path, "demo_dnn_vae.py", f"--dataset {small_npz}", SETTINGS, TRAINING, OUTPUTS)
    assert outcome(tmp_path) == outcome(trained[0])


@pytest.fixture(scope="session")
def loaded(trained, small_npz, tmp_path_factory):
    """A folder in which the main script has run with the kept models; what it printed; its flags;
    seconds."""
    folder = tmp_path_factory.mktemp("loaded")
    flags = f"--dataset {small_npz} --load {trained[0] / 'models'}", SETTINGS, OUTPUTS
    start = time.perf_counter()
    printed = run(folder, "demo_dnn_vae.py", *flags)
    return folder, printed, flags, time.perf_counter() - start


def test_loaded_models_give_the_same_bytes(trained, loaded):
    folder, printed, _, _ = loaded
    assert "calibrating" in printed and "training the classifier" not in printed
    assert outcome(folder) == outcome(trained[0])


def test_models_of_other_data_are_refused(trained, tmp_path):
    flags = f"--load {trained[0] / 'models'}", OUTPUTS
    done = subprocess.run(
        command("demo_dnn_vae.py", *flags), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "trained on other data" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_threshold_that_nothing_reaches(trained, small_npz, tmp_path):
    flags = f"--dataset {small_npz} --load {trained[0] / 'models'} --threshold 1 --max-draws 500"
    printed = run(tmp_path, "demo_dnn_vae.py", flags, OUTPUTS)
    assert all(f"class {name}: no strong image among 500" in printed for name in range(10))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["strong_rate"] == 0 and report["strong_agreement"] is None
    for name in FIGURES - {"dnn-vae-strong.png"}:  # that one is a sentence on a short page
        assert_drawn(tmp_path / "imgs" / name)


def test_normal_prior_on_disjoint_halves(small_npz, tmp_path):
    flags = f"--dataset {small_npz} --prior normal --split disjoint --temperature 1"
    run(tmp_path, "demo_dnn_vae.py", flags, SETTINGS, TRAINING, OUTPUTS)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["temperature"] == 1 and report["ece_raw"] == report["ece_calibrated"]


@pytest.mark.parametrize("latents", [2, 3])
def test_vae_demo(small_npz, tmp_path, latents):
    flags = f"--dataset {small_npz} --epochs 3 --latent-dim {latents}"
    printed = run(tmp_path, "vae_demo.py", flags)
    assert "negative ELBO of the test set" in printed
    assert_drawn(tmp_path / "imgs" / "demo_small.png")
    assert len(list((tmp_path / "imgs").iterdir())) == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_leaves_whole_files(loaded, tmp_path, stop):
    folder, _, flags, whole = loaded
    final = outcome(folder)
    (tmp_path / "imgs").mkdir()
    for name in FIGURES:
        (tmp_path / "imgs" / name).write_bytes(b"before")
    for name in ("report.json", "strong.npz"):
        (tmp_path / name).write_bytes(b"before")
    interrupted = 0
    for moment in np.linspace(0.3, 0.98, 4):
        process = subprocess.Popen(
            command("demo_dnn_vae.py", *flags),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,
        )
        time.sleep(moment * whole)
        process.send_signal(stop)
        _, said = process.communicate()
        assert "Traceback" not in said
        assert process.returncode in (0, 130, 143, -signal.SIGKILL)
        interrupted += process.returncode != 0
        for name in FIGURES:
            assert (tmp_path / "imgs" / name).read_bytes() in (b"before", final[name])
        assert (tmp_path / "strong.npz").read_bytes() in (b"before", final["strong.npz"])
        report = (tmp_path / "report.json").read_bytes()
        assert report == b"before" or set(KEYS) <= set(json.loads(report))
    assert interrupted > 0
    if stop == signal.SIGKILL:  # leaves no time to tidy up: the next run does
        run(tmp_path, "demo_dnn_vae.py", *flags)
    assert not list(tmp_path.rglob("*.unfinished"))
