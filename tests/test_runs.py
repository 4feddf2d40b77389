"""Both scripts, run for real: those runs that need no models of another run."""

import re

import pytest
from running import OUTPUTS, assert_all_drawn, assert_drawn, command, read, run, run_in_shell


def test_bundled_data_on_disjoint_halves(tmp_path):
    flags = "--epochs 1 --per-class 20 --split disjoint --threshold 0.9 --max-draws 2000"
    printed = run(tmp_path, "demo_dnn_vae.py", flags, OUTPUTS)
    assert "training the referee" not in printed  # it is bundled
    values = read(tmp_path)
    assert values["dataset"] == "mnist" and values["settings"]["split"] == "disjoint"
    assert values["classifier_test_accuracy"] > 0.95
    assert values["right_agreement"] > 0.9
    assert_all_drawn(tmp_path)


def test_vae_demo_of_two_latents(small_npz, tmp_path):
    printed = run(tmp_path, "vae_demo.py", f"--dataset {small_npz} --epochs 2")
    nats = float(re.search(r"small: negative ELBO of the test set ([\d.]+) nats", printed)[1])
    assert 30 < nats < 60
    assert_drawn(tmp_path / "imgs" / "demo_small.png")
    assert len(list((tmp_path / "imgs").iterdir())) == 1


def test_vae_demo_of_three_latents_on_both_bundled_sets(tmp_path):
    printed = run(tmp_path, "vae_demo.py", "--epochs 1 --latent-dim 3 --out here")
    assert printed.count("negative ELBO of the test set") == 2
    names = {"demo_mnist.png", "demo_fashion_mnist.png"}
    assert {file.name for file in (tmp_path / "here").iterdir()} == names
    for name in names:
        assert_drawn(tmp_path / "here" / name)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_starting_with_streams_closed(small_npz, tmp_path, closed):
    script = command("vae_demo.py", f"--dataset {small_npz} --epochs 1")
    done = run_in_shell(tmp_path, f'"$@" {closed}', script)
    assert done.returncode == 0 and done.stderr == ""
    assert_drawn(tmp_path / "imgs" / "demo_small.png")
    assert len(list(tmp_path.rglob("*"))) == 2
