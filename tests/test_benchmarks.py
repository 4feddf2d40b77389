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
        "assert sys.argv[1].endswith('mnist.npz') and sys.argv[2:] == ['--flag', '--epochs=2']\n"
        "print('epoch 1: 2.00 s\\nepoch 2: 5.00 s\\n101.25 nats')\n"
    )
    seconds, nats = race.train(sys.executable, "fake.py", "--flag", epochs=2)
    assert seconds.tolist() == [2, 3] and nats == 101.25


def racer(results):
    """race.train() with results {script: (seconds of each epoch, nats)}; JAX is twice as fast."""

    def train(python, script, *flags, **options):
        seconds, nats = results["keras" if script == "keras_vae.py" else "peer"]
        return np.array(seconds) / (2 if script == "jax_vae.py" else 1), nats

    return train


def test_ratios_leave_the_first_epoch_out(monkeypatch, capsys):
    results = {"peer": ([9.0, 4.0], 100.0), "keras": ([8.0, 2.0], 100.0)}
    monkeypatch.setattr(race, "train", racer(results))
    # By hand: 784-400-40 and 20-400-784 take 1.64 million products and sums an image.
    monkeypatch.setattr(race, "matmul_rate", lambda: 3_280_000 * 59_904.0)
    race.race_dense(SimpleNamespace(pairs=3, epochs=3, peer_python="python"))
    printed = capsys.readouterr().out
    for name, ratio in (("PyTorch", "2.00"), ("torch.compile", "2.00"), ("JAX", "1.00")):
        assert f"seconds of {name} over ours: median {ratio}, from {ratio} to {ratio}" in printed
    assert "share of the matmul rate: median 0.50" in printed


@pytest.mark.parametrize("ours, verdict", [(105.3, "reached"), (105.5, "MISSED")])
def test_the_time_to_quality_counts_all_epochs(monkeypatch, capsys, ours, verdict):
    results = {"peer": ([20.0, 20.0], 105.4), "keras": ([10.0], ours)}
    monkeypatch.setattr(race, "train", racer(results))
    race.race_to_quality(SimpleNamespace(pairs=2, quality_epochs=1, peer_python="python"))
    printed = capsys.readouterr().out
    assert printed.count(verdict) == 6
    assert "our seconds over PyTorch's: median 0.25" in printed
    assert "our seconds over JAX's: median 0.50" in printed


def test_the_whole_jobs_are_timed(monkeypatch, capsys):
    called = []
    monkeypatch.setattr(race, "call", lambda python, script, *_: called.append(script.name))
    ticks = iter([0.0, 30.0, 30.0, 40.0, 40.0, 80.0, 80.0, 90.0])
    monkeypatch.setattr(race.time, "perf_counter", lambda: next(ticks))
    race.race_job(SimpleNamespace(pairs=2))
    assert called == ["naive.py", "demo_dnn_vae.py"] * 2
    assert "times as fast as the naive method: median 3.50, from 3.00 to 4.00" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("flags, epochs", [(["--arch=dense"], 3), (["--arch=default"], 1)])
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


def test_importance_samples_give_the_integral_over_the_code():
    """One latent, so that p(x) can be had by quadrature; one sample gives the ELBO's mean."""
    import keras
    import likelihood

    import models
    from trust import priors

    likelihood.demo.import_tensorflow()
    keras.utils.set_random_seed(2)
    vae = models.VAE(models.build_encoder(1, (16,)), models.build_decoder(1, (8,)), seed=2)
    image = (np.random.default_rng(0).random((1, 28, 28)) * 255).astype(np.uint8)
    grid = np.linspace(-9, 9, 4001)
    logits = vae.decoder(grid[:, None].astype(np.float32)).numpy()[..., 0].astype(float)
    x = image / 255
    nats = (x * np.logaddexp(0, -logits) + (1 - x) * np.logaddexp(0, logits)).sum(axis=(1, 2))
    log_prior = -0.5 * (grid**2 + np.log(2 * np.pi))
    expected = -np.logaddexp.reduce(log_prior - nats) - np.log(grid[1] - grid[0])
    prior, rng = priors.StandardNormal(1), np.random.default_rng(1)
    many = likelihood.negative_log_likelihood(vae, prior, image, 20_000, rng)
    assert many == pytest.approx(expected, abs=0.05)
    single = likelihood.negative_log_likelihood(vae, prior, np.repeat(image, 400, axis=0), 1, rng)
    assert single.mean() > expected
    assert single.std() > 0.05  # without samples enough there is a gap to see


@pytest.mark.parametrize("script", ["naive", "tune", "examine", "likelihood", "race"])
def test_every_benchmark_says_what_it_wants(script):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{script}.py", "--help"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {script}.py")
