"""What the choices of demo_dnn_vae.py were made by: held-out training images, never test images.

PYTHONPATH=. python benchmarks/tune.py --dataset fashion_mnist --latent-dim 24 48 64

Trains a VAE with each of the settings, fits the mixture, and compares strong generated images with
strong held-out ones, class by class as many.
"""

import time
from functools import partial

import numpy as np

import demo_dnn_vae as demo
from trust import cli, datasets, priors, right, selection, varied

GENERATED = 20_000


def describe(every, strong, judge, held_out_features):
    """How many pass, and how the strong images compare with held-out ones, as a line of text."""
    labels, features = judge(strong.images)
    answers = {
        "strong": every.rates(0.95)["strong_rate"],
        "agreement": right.agreement(strong.labels, labels),
        "frechet": varied.frechet_distance(features, held_out_features),
        **varied.variety(features[::2], held_out_features[1::2]),
    }
    return ", ".join(f"{key} {value:.4f}" for key, value in answers.items())


def main():
    parser = cli.Parser(description="Compare settings of the VAE on held-out training images.")
    add = parser.add_argument
    add("--dataset", default="mnist", help="a bundled one, whose referee is there")
    add("--latent-dim", type=int, nargs="+", default=[demo.TRAINING["latent_dim"]])
    add("--epochs", type=int, nargs="+", default=[demo.TRAINING["epochs"]])
    add("--learning-rate", type=float, nargs="+", default=[demo.TRAINING["learning_rate"]])
    add("--most-sharpness", type=float, nargs="+", help="else what the number of images allows")
    add("--components", type=int, nargs="+", default=[priors.COMPONENTS])
    add("--narrowing", type=float, nargs="+", default=[priors.NARROWING])
    add("--seed", type=int, default=0)
    given = parser.parse_args()
    data = datasets.load_dataset(given.dataset)
    demo.import_tensorflow()
    from trust import training

    sets = datasets.split(data, "shared", given.seed)
    judge = partial(demo.referee.judge, demo.referee.bundled_referee(data.name))
    training.make_reproducible(given.seed)
    classifier = training.new_classifier(data.classes)
    training.train_classifier(classifier, *sets.classifier, given.seed)
    logits_of = partial(training.predict, classifier)
    _, held_out_features = judge(sets.held_out.images)
    bounds = given.most_sharpness or [training.sharpness_bound(len(sets.vae.images))]
    for latent_dim, epochs, rate, sharpest in (
        (latent_dim, epochs, rate, sharpest)
        for latent_dim in given.latent_dim
        for epochs in given.epochs
        for rate in given.learning_rate
        for sharpest in bounds
    ):
        start, rng = time.perf_counter(), np.random.default_rng(given.seed)
        training.make_reproducible(given.seed)
        vae = training.new_vae(latent_dim, len(sets.vae.images), given.seed, sharpest)
        training.train_vae(vae, sets.vae.images, epochs, rate, given.seed, verbose=0)
        trained = time.perf_counter() - start
        codes = training.encode(vae, sets.vae.images)
        reconstructed = training.reconstruct(vae, sets.held_out.images, rng)
        temperature = selection.fit_temperature(logits_of(reconstructed), sets.held_out.labels)
        real = selection.classify(logits_of, temperature, sets.held_out.images)
        for components in given.components:
            start = time.perf_counter()
            mixture = priors.fit_mixture(*codes, sets.vae.labels, given.seed, components)
            fitted = time.perf_counter() - start
            print(f"{latent_dim=} {epochs=} {rate=} {sharpest=:.1f} {components=}")
            print(f"    seconds: training {trained:.1f}, mixture {fitted:.1f}", flush=True)
            for narrowing in given.narrowing:
                z = mixture.narrowed(narrowing).sample(GENERATED, rng)
                drawn = selection.classify(logits_of, temperature, training.decode(vae, z))
                alike = selection.cut_alike(drawn.strong(0.95), real.strong(0.95))
                for name, every, strong in zip(
                    (f"{narrowing=}", "real"), (drawn, real), alike, strict=True
                ):
                    print(f"    {name}: {describe(every, strong, judge, held_out_features)}")


if __name__ == "__main__":
    cli.run(main)
