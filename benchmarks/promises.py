"""Promises of several sizes, and whether each held: on reconstructions of test images by their
labels, on generated images by their estimated error.

python -m benchmarks.promises --load models.npz     (which demo_dnn_vae.py --save wrote)
"""

import copy
import math

from trust import cli, outputs
from trust.data import datasets, splits
from trust.filter.promise import PromiseError
from trust.plan import new_streams
from trust.train import saves

PROMISES = 0.02, 0.01, 0.005


def parse_arguments():
    parser = cli.Parser(description="Do promises of several sizes hold?")
    add = parser.add_argument
    add("--dataset", metavar="NAME", type=cli.path, default="mnist")
    add("--load", metavar="FILE", type=cli.path, required=True, help="what --save wrote")
    add("--images", metavar="N", type=cli.positive_int, default=10_000, help="images to generate")
    add("--report", metavar="FILE", type=cli.path, help="the numbers as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data, saved = datasets.load_dataset(given.dataset), saves.read_save(given.load)
    settings = saves.settle({}, data, saved.settings, given.load)
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.ask.promised import did_it_hold
        from trust.filter.filters import fit_promise
        from trust.generator import Generator
        from trust.train import loops, trained
        from trust.train.referee import judge
    streams = new_streams(settings.seed)
    loops.make_reproducible(settings.seed)
    split = splits.split(data, settings.split, streams.split)
    networks = trained.load(saved, data, split, clock)
    generator, rng = Generator(networks.vae, networks.mixture), streams.draws
    with clock("drawing and judging"):
        blurred = generator.reconstruct(split.held_out.images, rng)
        reconstructed = generator.reconstruct(data.test.images, rng)
        images = generator.sample(given.images, rng)
        known_words, words = (
            judge(networks.referee, each).labels for each in (reconstructed, images)
        )
    found = []
    for max_error in PROMISES:
        line = {"max_error": max_error, "kept": math.nan}
        try:
            # A copy of the generator, so that each promise has the halves that --max-error takes.
            accept = fit_promise(
                networks.classifier,
                split.held_out,
                blurred,
                max_error=max_error,
                rng=copy.deepcopy(streams.promise),
            )
        except PromiseError as error:
            print(error)
        else:
            known = accept.sift(reconstructed, data.test.labels).passing
            strong = accept.sift(images).passing
            line["kept"] = len(strong) / len(images)
            line |= did_it_hold(
                accept.promise,
                known,
                known_words=known_words[known.rows],
                labels=strong.labels,
                words=words[strong.rows],
            )
            print("  ".join(f"{key} {value:.4g}" for key, value in line.items()), flush=True)
        found.append(line)
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
