"""How the settings of demo_dnn_vae.py were chosen: on held-out training images, never test images.

python -m benchmarks.tune --dataset fashion_mnist --latent-dim 24 48 64

Trains a VAE with each of the settings and fits the mixture.  Then it compares strong generated
images, and as many strong held-out ones of each class ("real"), with other held-out images.
"""

import time
from functools import partial

import numpy as np

from trust import cli
from trust.data import datasets, splits
from trust.data.images import cut_alike
from trust.train import saves

with cli.quiet_tensorflow():
    from trust.ask import right, varied
    from trust.filter import filters
    from trust.generator import Generator
    from trust.train import inference, loops, priors, referee

THRESHOLD = 0.95


def halves(labelled, seed):
    """Two ImageSets that share no image, by random rows."""
    rows = np.random.default_rng(seed).permutation(len(labelled.labels))
    middle = len(rows) // 2
    return labelled.take(rows[:middle]), labelled.take(rows[middle:])


def describe(every, strong, judge, features_of_others):
    """How many pass, and how the strong images compare with real ones, as a line of text.

    every: Filtered.  strong: ImageSet.  features_of_others: (m, d) float32, of real images that
    are not among them.
    """
    labels, features, _ = judge(strong.images)
    answers = {
        "strong": every.rates()["strong_rate"],
        "agreement": right.agreement(strong.labels, labels),
        "frechet": varied.frechet_distance(features, features_of_others),
        **varied.variety(*map(varied.spread_rows, (features, features_of_others))),
    }
    return ", ".join(f"{key} {value:.4f}" for key, value in answers.items())


def main():
    parser = cli.Parser(description="Compare settings of the VAE on held-out training images.")
    add = parser.add_argument
    bundled = list(datasets.BUNDLED)
    add("--dataset", choices=bundled, default="mnist", help="a data set with a bundled referee")
    add("--images", type=cli.positive_int, help="use this many training images only")
    add("--latent-dim", type=int, nargs="+", default=[saves.DEFAULTS["latent_dim"]])
    add("--epochs", type=int, nargs="+", default=[saves.DEFAULTS["epochs"]])
    add("--learning-rate", type=float, nargs="+", default=[saves.DEFAULTS["learning_rate"]])
    bound = "if left out, what the number of images allows"
    add("--most-sharpness", type=float, nargs="+", help=bound)
    add("--components", type=int, nargs="+", default=[priors.COMPONENTS])
    add("--narrowing", type=float, nargs="+", default=[priors.NARROWING])
    add("--draws", type=cli.positive_int, default=20_000, help="images drawn from each mixture")
    add("--seed", type=int, default=0)
    given = parser.parse_args()
    data = datasets.load_dataset(given.dataset)
    data = data._replace(train=data.train.take(slice(given.images)))
    sets, pixels = splits.split(data, "shared", given.seed), data.pixels
    judge = partial(referee.judge, referee.bundled_referee(data.name))
    loops.make_reproducible(given.seed)
    classifier = loops.new_classifier(data.classes, pixels)
    loops.train_classifier(classifier, sets.classifier.images, sets.classifier.labels, given.seed)
    # Divided before any filter, so that no image is on both sides of a comparison.
    compared, others = halves(sets.held_out, given.seed)
    features_of_others = judge(others.images).features
    bounds = given.most_sharpness or [loops.sharpness_bound(len(sets.vae.images))]
    for latent_dim, epochs, rate, sharpest in (
        (latent_dim, epochs, rate, sharpest)
        for latent_dim in given.latent_dim
        for epochs in given.epochs
        for rate in given.learning_rate
        for sharpest in bounds
    ):
        start, rng = time.perf_counter(), np.random.default_rng(given.seed)
        loops.make_reproducible(given.seed)
        vae = loops.new_vae(latent_dim, pixels, len(sets.vae.images), given.seed, sharpest)
        loops.train_vae(vae, sets.vae.images, epochs, rate, given.seed, verbose=0)
        trained = time.perf_counter() - start
        codes = inference.encode(vae, sets.vae.images)
        reconstructed = Generator(vae, None).reconstruct(sets.held_out.images, rng)
        accept = filters.fit_filter(classifier, sets.held_out, reconstructed, THRESHOLD)
        real = accept.sift(compared.images)
        for components in given.components:
            start = time.perf_counter()
            mixture = priors.fit_mixture(*codes, sets.vae.labels, given.seed, components)
            fitted = time.perf_counter() - start
            print(f"{latent_dim=} {epochs=} {rate=} {sharpest=:.1f} {components=}")
            print(f"    seconds: training {trained:.1f}, mixture {fitted:.1f}", flush=True)
            for narrowing in given.narrowing:
                z = mixture.narrowed(narrowing).sample(given.draws, rng)
                drawn = accept.sift(inference.decode(vae, z))
                alike = cut_alike(drawn.passing, real.passing)
                for name, every, strong in zip(
                    (f"{narrowing=}", "real"), (drawn, real), alike, strict=True
                ):
                    print(f"    {name}: {describe(every, strong, judge, features_of_others)}")


if __name__ == "__main__":
    cli.run(main)
