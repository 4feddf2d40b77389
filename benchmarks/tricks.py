"""What each trick of trust/train/fast.py is worth: seconds without it over seconds with all.

python -m benchmarks.tricks

Training is two epochs of the VAE, compilation included; prediction is to encode the training images
and to decode their codes.  Each run has a process of its own.  Runs with all tricks and runs
without some take turns, so that the machine is equally fast for both.  Run it on an idle machine.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from trust import cli
from trust.data import datasets
from trust.data.images import (
    pixels_of,
)

ROOT = Path(__file__).parents[1]
TRICKS = {  # {trick: its names in trust/train/fast.py}
    "several steps in a call": ["STEPS_TOGETHER"],
    "fused Adam": ["adam"],
    "halves of a batch side by side": ["VAE"],
    "two batches at a time": ["map_two"],
    "no autotuning": ["without_autotune"],
    "half of the cores for an operation": [],  # is in the environment instead
}
EVERY = "all of them"


def leave_out(names):
    """Replaces these names in fast.py by the plain ways, from a second copy of the module."""
    from trust.train import fast

    plain_ways = importlib.util.module_from_spec(fast.__spec__)
    kept, cli.PLAIN = cli.PLAIN, True
    fast.__spec__.loader.exec_module(plain_ways)
    cli.PLAIN = kept
    for name in names:
        setattr(fast, name, getattr(plain_ways, name))


def measure(names, arguments):
    """Prints the seconds of training and of prediction without these names, as JSON."""
    images = datasets.load_dataset("mnist").train.images[: arguments.images]
    with cli.quiet_tensorflow():
        from trust.generator import Generator
        from trust.train import loops
    leave_out(names)
    loops.LEAST_STEPS = 1  # so that an epoch is one pass, even over few images
    loops.make_reproducible(0)
    vae = loops.new_vae(24, pixels_of(images), len(images), seed=0)
    start = time.perf_counter()
    loops.train_vae(vae, images, arguments.epochs, 1e-2, seed=0, verbose=0)
    trained = time.perf_counter()
    Generator(vae, None).reconstruct(images, np.random.default_rng(0))
    print(json.dumps([trained - start, time.perf_counter() - trained]))


def run(left_out, arguments):
    """The seconds of training and of prediction, (2,), in a process without that trick."""
    command = [sys.executable, "-m", "benchmarks.tricks", f"--epochs={arguments.epochs}"]
    command += [f"--images={arguments.images}"]
    names = [name for trick in TRICKS if left_out in (trick, EVERY) for name in TRICKS[trick]]
    environment = dict(os.environ, TRUST_PLAIN="0")
    environment.pop("TF_NUM_INTRAOP_THREADS", None)
    if left_out in (list(TRICKS)[-1], EVERY):
        environment["TF_NUM_INTRAOP_THREADS"] = str(cli.cores())
    command += ["--measure-without", *names]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, choices = parser.add_argument, [*TRICKS, EVERY]
    add("--pairs", type=cli.positive_int, default=3, help="rounds (default: 3)")
    add("--epochs", type=cli.positive_int, default=2, help="epochs of the VAE (default: 2)")
    add("--images", type=cli.positive_int, default=60_000, help="images of MNIST (default: all)")
    add("--tricks", nargs="+", choices=choices, default=choices, help="tricks to leave out")
    # For the processes that run() starts.
    add("--measure-without", nargs="*", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure_without is not None:
        measure(arguments.measure_without, arguments)
        return
    ratios = {trick: [] for trick in arguments.tricks}
    for _ in range(arguments.pairs):
        seconds = run(None, arguments)
        print(f"with all: training {seconds[0]:.1f} s, prediction {seconds[1]:.1f} s", flush=True)
        for trick in arguments.tricks:
            ratios[trick].append(run(trick, arguments) / seconds)
    print(f"\n{'without':36}{'training':>22}{'prediction':>22}")
    for trick, rounds in ratios.items():
        low, middle, high = np.quantile(rounds, [0, 0.5, 1], axis=0)
        columns = zip(middle, low, high, strict=True)
        cells = (f"{each[0]:.2f} ({each[1]:.2f} to {each[2]:.2f})" for each in columns)
        print(f"{trick:36}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    cli.run(main)
