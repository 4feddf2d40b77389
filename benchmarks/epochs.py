"""What more --epochs buy: the same classifier and referee, and a VAE for each number of epochs.

python -m benchmarks.epochs --dataset fashion_mnist

Draws images from each VAE and compares those that pass the filter with the test images.  As many
real held-out images of each class that pass the filter are compared in the same way.
"""

import time

import numpy as np

from trust import cli, datasets, outputs, saving

EPOCHS = 4, 8, 16, 32, 64
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
        from trust import examination, generator, right, selection, trained, training
        from trust.referee import judge
    streams = training.make_reproducible(given.seed)
    settings = saving.settle({"seed": given.seed}, data)
    split = datasets.split(data, settings.split, streams.split)
    _, classifier = trained.new_networks(data, split, settings)
    referee = trained.new_referee(data)
    with clock("training the classifier"):
        training.train_classifier(classifier, *split.classifier, given.seed)
    with clock("looking at real images"):
        sets = split.vae, split.held_out, data.test
        reference = examination.build_reference(*sets, referee, given.seed)
    found = []
    for epochs in given.epochs:
        rng = np.random.default_rng(given.seed)
        start = time.perf_counter()
        vae, _ = trained.new_networks(data, split, settings)
        training.train_vae(
            vae, split.vae.images, epochs, settings.learning_rate, given.seed, verbose=0
        )
        seconds = time.perf_counter() - start
        drawn = generator.Generator(vae, generator.fit_prior(vae, split.vae, rng))
        blurred = drawn.reconstruct(split.held_out.images, rng)
        accept = selection.fit_filter(classifier, split.held_out, blurred, THRESHOLD)
        every, real = (
            accept.classify(images)
            for images in (drawn.sample(given.images, rng), split.held_out.images)
        )
        strong = every.strong(THRESHOLD)
        alike = selection.cut_alike(strong, real.strong(THRESHOLD))
        judged, judged_real = (judge(referee, each.images) for each in alike)
        variety, variety_real = (
            examination.examine_variety(each.features, reference) for each in (judged, judged_real)
        )
        neighbours = examination.find_neighbours(strong.images, strong.labels, reference)
        line = {
            "epochs": epochs,
            "seconds": seconds,
            "negative_elbo": training.negative_elbo(vae, drawn.prior, data.test.images, rng),
            **every.rates(THRESHOLD)["right"],
            "agreement": right.agreement(alike[0].labels, judged.labels),
            "lean": examination.examine_newness(neighbours, reference)["lean"],
            **variety,
            **{f"{key}_real": value for key, value in variety_real.items()},
        }
        found.append(line)
        print("  ".join(f"{key} {value:.4g}" for key, value in line.items()), flush=True)
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
