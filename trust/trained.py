"""The VAE, the mixture, the classifier and the referee: loaded from a save, or trained."""

import math
from typing import NamedTuple

import keras
import numpy as np

import models
from trust import figures, generator, priors, referee, right, saving, training
from trust.cli import Clock
from trust.datasets import Dataset, Labelled, Split


class Trained(NamedTuple):
    """The VAE, the mixture of its codes, the classifier that selects, the referee that judges."""

    vae: models.VAE
    mixture: priors.GaussianMixture
    classifier: keras.Model
    referee: keras.Model


def load(saved: saving.Saved, data: Dataset, split: Split, clock: Clock) -> Trained:
    """The models of a save.  A referee that is neither in it nor bundled is trained.  Raises
    UserError where the weights are of other networks."""
    settings = saved.settings
    vae, classifier = new_networks(data, split, settings)
    judge = new_referee(data)
    networks = {"vae": vae, "classifier": classifier}
    if "referee" in saved.weights:
        networks["referee"] = judge
    for name, network in networks.items():
        saving.fill(network, saved.weights.get(name, []))
    if "referee" not in networks and not data.bundled:
        train_referee(judge, data, settings.seed, clock)
    return Trained(vae, saved.mixture, classifier, judge)


def train(
    data: Dataset, split: Split, settings: saving.Settings, save, clock: Clock, rng
) -> Trained:
    """Trains all of them.  save: a path, or None.  With the user's own data, the models are saved
    before the referee is trained, and again with it.  rng: a numpy.random.Generator, for the start
    of the mixture."""
    seed = settings.seed
    vae, classifier = new_networks(data, split, settings)
    judge = new_referee(data)
    with clock("training the VAE"):
        training.train_vae(vae, split.vae.images, settings.epochs, settings.learning_rate, seed)
    with clock("fitting the mixture to its codes"):
        mixture = generator.fit_prior(vae, split.vae, rng)
    with clock("training the classifier"):
        training.train_classifier(classifier, *split.classifier, seed)
    networks = {"vae": vae, "classifier": classifier}
    if not data.bundled:
        if save:
            saving.save_models(save, settings, networks, mixture)
        train_referee(judge, data, seed, clock)
    if save:
        saving.save_models(save, settings, networks | {"referee": judge}, mixture)
    return Trained(vae, mixture, classifier, judge)


def new_networks(data: Dataset, split: Split, settings: saving.Settings):
    """An untrained VAE and an untrained classifier."""
    sizes = len(split.vae.images), settings.seed
    vae = training.new_vae(settings.latent_dim, settings.pixels, *sizes)
    return vae, training.new_classifier(data.classes, settings.pixels)


def new_referee(data: Dataset) -> keras.Model:
    """The bundled referee of a bundled data set, else an untrained one."""
    if data.bundled:
        return referee.bundled_referee(data.name)
    return referee.build_referee(data.classes, data.pixels.shape)


def train_referee(network: keras.Model, data: Dataset, seed: int, clock: Clock) -> None:
    """Trains the referee of the user's own data on all training images."""
    with clock("training the referee"):
        epochs = referee.epochs_for(len(data.train.images))
        referee.train_referee(network, *data.train, epochs, seed)


def warn(vae: models.VAE, run: dict, data: Dataset, temperature: float, accepted: int) -> list[str]:
    """Sentences on what makes the numbers doubtful.  run: the report's.  temperature: in use.
    accepted: the number of accepted images."""
    test, said = data.test, []
    # The VAE's own objective, over the weight: at weight 1 the codes of a sharp VAE cost too much.
    weight, kl = run["sharpness"], training.mean_kl(vae, test.images)
    found = run["negative_elbo_normal"] - kl + kl / weight
    nats = training.nats_of_the_mean(data.train.images, test.images)
    if found > nats:
        worse = "explains test images no better than the mean of the training images "
        worse += f"({found:.0f} nats, {nats:.0f})"
        said.append(f"the VAE {worse}: it has learned nothing; try a smaller --learning-rate")
    chance, n = np.bincount(test.labels).max() / len(test.labels), len(test.labels)
    right_share = run["classifier_test_accuracy"]
    if right_share <= chance + 3 * math.sqrt(chance * (1 - chance) / n):
        share = f"{right_share:.1%} of the test images"
        said.append(f"the classifier is right on {share}, no better than chance")
    if not 0.011 < temperature < 99:
        said.append(
            f"the temperature, {temperature:.4g}, is at its bound: confidence means nothing"
        )
    if not accepted:
        said.append("no generated image passes the filter: there is nothing to examine")
    if names := figures.unknown_to_the_font(data.class_names):
        said.append(f"the figures cannot show the name {', '.join(names)}")
    return said


def describe(trained: Trained, test: Labelled, found, referee_labels, rng) -> dict:
    """How good the models themselves are: a dict of numbers.  found, referee_labels: (n,) integer,
    what classifier and referee say of the test images."""
    vae = trained.vae
    normal = priors.StandardNormal(trained.mixture.latent_dim)
    return {
        "classifier_test_accuracy": right.agreement(found, test.labels),
        "referee_test_accuracy": right.agreement(referee_labels, test.labels),
        "sharpness": training.mean_sharpness(vae, test.images),
        "negative_elbo_normal": training.negative_elbo(vae, normal, test.images, rng),
        "negative_elbo_mixture": training.negative_elbo(vae, trained.mixture, test.images, rng),
    }
