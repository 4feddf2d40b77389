import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import race

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_run_gives_the_seconds_of_each_epoch_and_the_nats(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr(race, "HERE", tmp_path / "benchmarks")
    (tmp_path / "benchmarks" / "fake.py").write_text(
        "import sys\n"
        "assert sys.argv[1].endswith('mnist.npz') and sys.argv[2:] == ['--epochs=2']\n"
        "print('epoch 1: 2.00 s\\nepoch 2: 5.00 s\\n101.25 nats')\n"
    )
    seconds, nats = race.run(sys.executable, "fake.py", epochs=2)
    assert seconds.tolist() == [2, 3] and nats == 101.25


def test_ratios_leave_the_first_epoch_out(monkeypatch, capsys):
    seconds = {"torch_vae.py": [9.0, 4.0, 4.0], "keras_vae.py": [8.0, 2.0, 2.0]}
    monkeypatch.setattr(
        race, "run", lambda python, script, **options: (np.array(seconds[script]), 100.0)
    )
    # By hand: 784-400-40 and 20-400-784 take 1.64 million products and sums an image.
    monkeypatch.setattr(race, "matmul_rate", lambda: 3_280_000 * 59_904.0)
    race.race_speed("dense", SimpleNamespace(pairs=3, epochs=3, peer_python="python"))
    printed = capsys.readouterr().out
    assert "dense: median ratio 2.00" in printed
    assert "dense: median share of the matmul rate 50%" in printed


@pytest.mark.parametrize("ours, verdict", [(105.3, "reached"), (105.5, "MISSED")])
def test_the_time_to_quality_counts_all_epochs(monkeypatch, capsys, ours, verdict):
    ends = {"torch_vae.py": ([20.0, 20.0], 105.4), "keras_vae.py": ([10.0], ours)}
    monkeypatch.setattr(
        race, "run", lambda python, script, **_: (np.array(ends[script][0]), ends[script][1])
    )
    race.race_to_quality(SimpleNamespace(pairs=2, quality_epochs=1, peer_python="python"))
    printed = capsys.readouterr().out
    assert printed.count(verdict) == 2
    assert "median share of the peer's seconds 0.25" in printed


@pytest.mark.parametrize("flags, epochs", [(["--arch=conv"], 3), (["--arch=default"], 1)])
def test_our_side_of_the_race_runs(small_npz, flags, epochs):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "keras_vae.py", small_npz, *flags],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    spent = [float(seconds) for seconds in re.findall(r"epoch \d: ([\d.]+) s", done.stdout)]
    assert len(spent) == epochs and spent == sorted(spent)
    assert 100 < float(re.findall(r"([\d.]+) nats", done.stdout)[0]) < 400


@pytest.mark.parametrize("filters", [1, 3])
def test_the_last_layer_of_the_conv_network_is_a_transposed_convolution(filters):
    import keras
    import keras_vae

    x = np.random.default_rng(0).standard_normal((2, 7, 5, 4)).astype("float32")
    ours = keras_vae.LastConv2DTranspose(filters, 4, 2, "same")
    theirs = keras.layers.Conv2DTranspose(filters, 4, 2, "same")
    expected = theirs(x)
    ours.build(x.shape)
    ours.set_weights([theirs.get_weights()[0], np.arange(filters) + 0.5])
    np.testing.assert_allclose(ours(x), expected + np.arange(filters) + 0.5, atol=1e-5)


@pytest.mark.parametrize("script", ["naive", "tune", "examine", "race"])
def test_every_benchmark_says_what_it_wants(script):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{script}.py", "--help"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {script}.py")
