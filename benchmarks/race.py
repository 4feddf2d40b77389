"""Races against the naive method, PyTorch and JAX, in pairs: medians and ranges.

python -m benchmarks.race --peer-python ~/peers/bin/python

--peer-python: a Python with the packages that torch_vae.py and jax_vae.py name. Run it on an idle
machine. The programs take turns, each in a process of its own, so that the machine is equally fast
for all.

job: the seconds of the whole naive method (benchmarks.naive), and of the whole main script.
dense: one dense VAE at batch 256, by PyTorch, torch.compile, JAX, and this project's VAE in Keras;
seconds per epoch are the median of all epochs but the first, in which each compiles or warms up.
The matmul rate is what the machine can do: the best of 20 products of 2048 x 2048 float32 matrices
in NumPy just before; the share is how much of it our dense training reaches.
quality: seconds of training, compilation included, until our networks and schedule, at weight 1 and
tuned for speed, reach the test nats of the peer (dense, batch 128, constant learning rate of 1e-3)
after its 10 epochs.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
IMAGES, BATCH, LATENT_DIM = 60_000, 256, 20
PEERS = {
    "PyTorch": ["benchmarks/torch_vae.py"],
    "torch.compile": ["benchmarks/torch_vae.py", "--compile"],
    "JAX": ["benchmarks/jax_vae.py"],
}
OURS = ["-m", "benchmarks.keras_vae"]
FIRST_LAYER = 784 * 400
OTHER_LAYERS = 400 * 2 * LATENT_DIM + LATENT_DIM * 400 + 400 * 784
# A product and a sum for each weight and image, in the forward pass and for the gradients of
# weights and of inputs; the gradient of the images is not needed.
DENSE_FLOPS = 2 * (2 * FIRST_LAYER + 3 * OTHER_LAYERS) * (IMAGES // BATCH * BATCH)


def call(python, *words):
    """Runs Python in the root of the repository; returns what it printed."""
    process = subprocess.run([python, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed: does {python} have the packages that it imports?")
    return process.stdout


def train(python, *words, **options):
    """The seconds that every epoch of training took, and the test nats at its end."""
    options = [f"--{name}={value}" for name, value in options.items()]
    printed = call(python, *words, *options, "data/mnist.npz")
    ends = [float(seconds) for seconds in re.findall(r"([\d.]+) s\b", printed)]
    nats = float(re.findall(r"([\d.]+) nats", printed)[-1])
    return np.diff(ends, prepend=0.0), nats


def matmul_rate(n=2048):
    """Float32 operations per second in the best of 20 products of large matrices."""
    a, b = np.random.default_rng(0).random((2, n, n), dtype=np.float32)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


def show(what, values):
    """Prints the median and the range."""
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    print(f"{what}: median {middle:.2f}, from {low:.2f} to {high:.2f}", flush=True)


def race_job(arguments):
    """The whole main script against the whole naive method."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            ("-m", "benchmarks.naive", "--out", f"{folder}/naive.npz"),
            ("demo_dnn_vae.py", "--out", folder),
        ]
        for _ in range(arguments.pairs):
            seconds = []
            for job in jobs:
                start = time.perf_counter()
                call(sys.executable, *job)
                seconds.append(time.perf_counter() - start)
            ratios.append(seconds[0] / seconds[1])
            print(
                f"job: naive method {seconds[0]:.1f} s, main script {seconds[1]:.1f} s", flush=True
            )
    show("job: times as fast as the naive method", ratios)


def race_dense(arguments):
    """The same dense VAE at the same batch size, in each framework."""
    options = {"batch": BATCH, "latent": LATENT_DIM, "epochs": arguments.epochs}
    ratios, shares = {name: [] for name in PEERS}, []
    for _ in range(arguments.pairs):
        rate = matmul_rate()
        ours = np.median(train(sys.executable, *OURS, **options)[0][1:])
        shares.append(DENSE_FLOPS / ours / rate)
        line = f"dense: ours {ours:.2f} s an epoch, matmul {rate / 1e9:.0f} GFLOP/s"
        for name, script in PEERS.items():
            theirs = np.median(train(arguments.peer_python, *script, **options)[0][1:])
            ratios[name].append(theirs / ours)
            line += f", {name} {theirs:.2f} s"
        print(line, flush=True)
    for name in PEERS:
        show(f"dense: seconds of {name} over ours", ratios[name])
    show("dense: share of the matmul rate", shares)


def race_to_quality(arguments):
    """Seconds until our VAE reaches the nats that the peer ends with."""
    ratios = {name: [] for name in PEERS}
    options = {"arch": "default", "epochs": arguments.quality_epochs}
    for _ in range(arguments.pairs):
        ours, nats = train(sys.executable, *OURS, **options)
        line = f"quality: ours {ours.sum():.1f} s to {nats:.2f} nats"
        for name, script in PEERS.items():
            theirs, aim = train(arguments.peer_python, *script, batch=128, epochs=10)
            ratios[name].append(ours.sum() / theirs.sum())
            verdict = "reached" if nats <= aim else "MISSED: more --quality-epochs"
            line += f", {name} {theirs.sum():.1f} s to {aim:.2f} ({verdict})"
        print(line, flush=True)
    for name in PEERS:
        show(f"quality: our seconds over {name}'s", ratios[name])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", required=True, help="a Python that has torch and jax")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="at least two")
    parser.add_argument("--quality-epochs", type=int, default=2, help="epochs of our VAE")
    races = {"job": race_job, "dense": race_dense, "quality": race_to_quality}
    parser.add_argument("--races", nargs="+", choices=races, default=list(races))
    arguments = parser.parse_args()
    for race in arguments.races:
        races[race](arguments)


if __name__ == "__main__":
    main()
