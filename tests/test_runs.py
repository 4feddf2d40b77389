"""Both scripts, run for real: those runs that need no models of another run."""

import re

from running import assert_drawn, command, draw_only, read, run_here, run_in_shell

from trust.train import loops


def test_bundled_data_on_disjoint_halves(bundled, tmp_path, unlearned, monkeypatch):
    monkeypatch.setattr(loops, "LEAST_STEPS", 40)
    drawn = draw_only(monkeypatch, "dnn-vae-strong", "dnn-vae-weak", "copies")
    flags = "--epochs 2 --per-class 20 --split disjoint --threshold 0.5 --max-draws 2000"
    files = "--report report.json --save-images strong.npz"
    printed = run_here(tmp_path, "demo_dnn_vae", flags, files)
    assert "training the referee" not in printed  # it is bundled
    values = read(tmp_path)
    assert values["dataset"] == "mnist" and values["settings"]["split"] == "disjoint"
    assert values["classifier_test_accuracy"] > 0.85 and values["referee_test_accuracy"] > 0.98
    assert values["right_agreement"] > 0.7
    for name in drawn:  # in imgs/, where the README's own are
        assert_drawn(tmp_path / "imgs" / name)


def test_vae_demo_of_two_latents_with_all_streams_closed(small_npz, tmp_path):
    script = command("vae_demo.py", f"--dataset {small_npz} --epochs 1")
    done = run_in_shell(tmp_path, '"$@" <&- >&- 2>&-', script)
    assert done.returncode == 0 and done.stderr == ""
    assert_drawn(tmp_path / "imgs" / "demo_small.png")
    assert len(list(tmp_path.rglob("*"))) == 2


def test_vae_demo_of_three_latents_on_both_bundled_sets(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr(loops, "LEAST_STEPS", 40)
    printed = run_here(tmp_path, "vae_demo", "--epochs 1 --latent-dim 3 --out here")
    names = {"demo_mnist.png", "demo_fashion_mnist.png"}
    assert {file.name for file in (tmp_path / "here").iterdir()} == names
    for name in names:
        assert_drawn(tmp_path / "here" / name)
    nats = re.findall(r"(\w+): negative ELBO of the test set ([\d.]+) nats", printed)
    assert [name for name, _ in nats] == ["mnist", "fashion_mnist"]
    # An image of 28 x 28 that is drawn as the mean takes 207 nats of MNIST, 300 of the clothes.
    assert [100 < float(number) < 400 for _, number in nats] == [True, True]
