"""This project against PyTorch: training speed at equal model and batch, and time to quality.

python benchmarks/race.py --peer-python ~/torch/bin/python

--peer-python: a Python with torch and numpy (benchmarks/torch_vae.py says which). Run it on an idle
machine. Peer and ours take turns, each in a process of its own, so that both meet the same weather.

dense, conv: the peer's networks at batch 256, trained by torch_vae.py and by keras_vae.py; seconds
per epoch are the median of all epochs but the first, in which either warms up. Ours is compiled in
the first; that time counts in the last race.
matmul: what the machine can do, the best of 20 products of 2048 x 2048 float32 matrices in NumPy
just before a pair, and the share of it that our dense training reaches.
quality: seconds of training until our VAE, by the recipe of demo_dnn_vae.py, has the test nats that
the peer (dense, batch 128, 10 epochs) ends with.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
IMAGES, BATCH, LATENT_DIM = 60_000, 256, 20
FIRST_LAYER = 784 * 400
OTHER_LAYERS = 400 * 2 * LATENT_DIM + LATENT_DIM * 400 + 400 * 784
# A product and a sum for each weight and image: forwards and for the gradients of weights and
# of inputs. Nobody needs the gradient of the images.
DENSE_FLOPS = 2 * (2 * FIRST_LAYER + 3 * OTHER_LAYERS) * (IMAGES // BATCH * BATCH)


def run(python, script, **options):
    """The seconds that every epoch of training took, and the test nats at its end."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [python, HERE / script, HERE.parent / "data" / "mnist.npz", *flags]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(f"{script} failed: does {python} have what it imports?")
    ends = [float(seconds) for seconds in re.findall(r"([\d.]+) s\b", process.stdout)]
    nats = float(re.findall(r"([\d.]+) nats", process.stdout)[-1])
    return np.diff(ends, prepend=0.0), nats


def matmul_rate():
    """Float32 operations a second in the best of 20 products of large matrices."""
    n = 2048
    a, b = np.random.default_rng(0).random((2, n, n), dtype=np.float32)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


def race_speed(arch, arguments):
    ratios, shares = [], []
    options = {"arch": arch, "batch": BATCH, "latent": LATENT_DIM, "epochs": arguments.epochs}
    for pair in range(arguments.pairs):
        rate = matmul_rate()
        theirs, _ = run(arguments.peer_python, "torch_vae.py", **options)
        ours, _ = run(sys.executable, "keras_vae.py", **options)
        theirs, ours = np.median(theirs[1:]), np.median(ours[1:])
        ratios.append(theirs / ours)
        line = f"{arch} {pair + 1}: peer {theirs:.2f} s, ours {ours:.2f} s an epoch, "
        line += f"ratio {ratios[-1]:.2f}"
        if arch == "dense":
            shares.append(DENSE_FLOPS / ours / rate)
            line += f"; matmul {rate / 1e9:.0f} GFLOP/s, share {shares[-1]:.0%}"
        print(line, flush=True)
    print(f"{arch}: median ratio {statistics.median(ratios):.2f}")
    if shares:
        print(f"{arch}: median share of the matmul rate {statistics.median(shares):.0%}")


def race_to_quality(arguments):
    shares = []
    for pair in range(arguments.pairs):
        theirs, aim = run(arguments.peer_python, "torch_vae.py", arch="dense", batch=128, epochs=10)
        ours, nats = run(
            sys.executable, "keras_vae.py", arch="default", epochs=arguments.quality_epochs
        )
        shares.append(ours.sum() / theirs.sum())
        verdict = "reached" if nats <= aim else "MISSED: more --quality-epochs"
        print(
            f"quality {pair + 1}: peer {theirs.sum():.1f} s to {aim:.2f} nats, "
            f"ours {ours.sum():.1f} s to {nats:.2f} ({verdict}), share {shares[-1]:.2f}",
            flush=True,
        )
    print(f"quality: median share of the peer's seconds {statistics.median(shares):.2f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", required=True, help="a Python that has torch")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="two at least")
    parser.add_argument("--quality-epochs", type=int, default=2, help="of ours")
    parser.add_argument(
        "--races", nargs="+", default=["dense", "conv", "quality"], help="some of the three"
    )
    arguments = parser.parse_args()
    for race in arguments.races:
        if race == "quality":
            race_to_quality(arguments)
        else:
            race_speed(race, arguments)


if __name__ == "__main__":
    main()
