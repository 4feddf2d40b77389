"""What more --epochs buy: the same classifier and referee, and a VAE for each number of epochs.

python -m benchmarks.epochs --dataset fashion_mnist

Draws images from each VAE and compares those that pass the filter with the test images.  As many
real held-out images of each class that pass the filter are compared in the same way.
"""

import time

import numpy as np

from trust import cli, outputs
from trust.data import datasets, splits
from trust.plan import new_streams
from trust.train import saves

EPOCHS = 4, 8, 16, 32
THRESHOLD = 0.95


def parse_arguments():
    parser = cli.Parser(description="What do more epochs of the VAE buy?")
    add = parser.add_argument
    bundled = list(datasets.BUNDLED)
    add("--dataset", choices=bundled, default="mnist", help="a data set with a bundled referee")
    add("--epochs", metavar="N", type=cli.positive_int, nargs="+", default=EPOCHS)
    add("--images", metavar="N", type=cli.positive_int, default=10_000, help="drawn from each VAE")
    add("--train", metavar="N", type=cli.positive_int, help="use N training and N test images only")
    add("--seed", metavar="N", type=cli.seed, default=0)
    add("--report", metavar="FILE", type=cli.path, help="the numbers as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data = datasets.load_dataset(given.dataset)
    few = slice(given.train)
    data = data._replace(train=data.train.take(few), test=data.test.take(few))
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.ask import new, right, varied
        from trust.ask.reference import build_reference
        from trust.data.images import cut_alike
        from trust.filter.filters import fit_filter
        from trust.generator import Generator
        from trust.train import inference, loops, trained
    streams = new_streams(given.seed)
    loops.make_reproducible(given.seed)
    settings = saves.settle({"seed": given.seed}, data)
    split = splits.split(data, settings.split, streams.split)
    referee = trained.new_referee(data)
    with clock("training the classifier"):
        classifier = trained.new_classifier(data, split, given.seed)
    with clock("looking at real images"):
        reference = build_reference(split.vae, split.held_out, split.test, referee, given.seed)
    found = []
    for epochs in given.epochs:
        rng = np.random.default_rng(given.seed)
        start = time.perf_counter()
        vae, _ = trained.new_networks(data, split, settings)
        loops.train_vae(
            vae, split.vae.images, epochs, settings.learning_rate, given.seed, verbose=0
        )
        seconds = time.perf_counter() - start
        drawn = Generator(vae, trained.fit_prior(vae, split.vae, rng))
        blurred = drawn.reconstruct(split.held_out.images, rng)
        accept = fit_filter(classifier, split.held_out, blurred, THRESHOLD)
        strong = accept.sift(drawn.sample(given.images, rng))
        real = accept.sift(split.held_out.images)
        alike = cut_alike(strong.passing, real.passing)
        judged, judged_real = (reference.judge(each.images) for each in alike)
        others = reference.judged.features
        variety = varied.examine_variety(judged.features, others)
        variety_real = varied.examine_variety(judged_real.features, others)
        neighbours = reference.neighbours({"strong": strong.passing})["strong"]
        line = {
            "epochs": epochs,
            "seconds": seconds,
            "negative_elbo": inference.negative_elbo(vae, drawn.prior, data.test.images, rng),
            **strong.rates(),
            "agreement": right.agreement(alike[0].labels, judged.labels),
            "lean": new.seen_or_unseen(neighbours, reference.real.labels, reference.unseen)["lean"],
            **variety,
            **{f"{key}_real": value for key, value in variety_real.items()},
        }
        found.append(line)
        print("  ".join(f"{key} {value:.4g}" for key, value in line.items()), flush=True)
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
