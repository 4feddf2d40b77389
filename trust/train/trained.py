"""The VAE, the mixture, the classifier and the referee: loaded from a save, or trained."""

from typing import NamedTuple

import keras
import numpy as np

from trust.cli import Clock, UserError
from trust.data.datasets import Dataset
from trust.data.images import ImageSet
from trust.data.splits import Split
from trust.train import inference, loops, priors, referee, saves
from trust.train.architectures import models


class Trained(NamedTuple):
    """The VAE, the mixture of its codes, the classifier that selects, the referee that judges."""

    vae: models.VAE
    mixture: priors.GaussianMixture
    classifier: keras.Model
    referee: keras.Model


def load(saved: saves.Saved, data: Dataset, split: Split, clock: Clock) -> Trained:
    """The models of a save.  A referee that is neither in it nor bundled is trained.  Raises
    UserError where the weights are of other networks."""
    if saved.mixture is None:
        raise UserError("--load: this file has no VAE: it is one that python -m trust wrote")
    settings = saved.settings
    vae, classifier = new_networks(data, split, settings)
    judge = new_referee(data)
    networks = {"vae": vae, "classifier": classifier}
    if "referee" in saved.weights:
        networks["referee"] = judge
    for name, network in networks.items():
        saves.fill(network, saved.weights.get(name, []))
    if "referee" not in networks and not data.bundled:
        train_referee(judge, data, settings.seed, clock)
    return Trained(vae, saved.mixture, classifier, judge)


def train(
    settings: saves.Settings,
    data: Dataset,
    split: Split,
    clock: Clock,
    rng: np.random.Generator,
    save: str | None = None,
) -> Trained:
    """Trains all of them.  save: a path, or None.  With the user's own data, the models are saved
    before the referee is trained, and again with it.  rng: for the start of the mixture."""
    seed = settings.seed
    vae, classifier = new_networks(data, split, settings)
    judge = new_referee(data)
    with clock("training the VAE"):
        loops.train_vae(
            vae,
            split.vae.images,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            seed=seed,
        )
    with clock("fitting the mixture to its codes"):
        mixture = fit_prior(vae, split.vae, rng)
    with clock("training the classifier"):
        loops.train_classifier(classifier, split.classifier.images, split.classifier.labels, seed)
    networks = {"vae": vae, "classifier": classifier}
    if not data.bundled:
        if save:
            saves.save_models(save, settings, networks, mixture)
        train_referee(judge, data, seed, clock)
    if save:
        saves.save_models(save, settings, networks | {"referee": judge}, mixture)
    return Trained(vae, mixture, classifier, judge)


def new_networks(data: Dataset, split: Split, settings: saves.Settings):
    """An untrained VAE and an untrained classifier."""
    vae = loops.new_vae(
        settings.latent_dim, settings.pixels, n_images=len(split.vae), seed=settings.seed
    )
    return vae, loops.new_classifier(data.classes, settings.pixels)


def new_referee(data: Dataset) -> keras.Model:
    """The bundled referee of a bundled data set, else an untrained one."""
    if data.bundled:
        return referee.bundled_referee(data.name)
    return referee.build_referee(data.classes, data.pixels.shape)


def train_referee(network: keras.Model, data: Dataset, seed: int, clock: Clock) -> None:
    """Trains the referee of the user's own data on all training images."""
    with clock("training the referee"):
        epochs = referee.epochs_for(len(data.train.images))
        quiet = {} if clock.bars else {"verbose": 0}
        referee.train_referee(network, data.train, epochs=epochs, seed=seed, **quiet)


def referee_of(data: Dataset, saved: saves.Saved | None, seed: int, clock: Clock) -> keras.Model:
    """The referee alone: that of a save, else the bundled one, else one that is trained."""
    judge = new_referee(data)
    if saved and "referee" in saved.weights:
        saves.fill(judge, saved.weights["referee"])
    elif not data.bundled:
        train_referee(judge, data, seed, clock)
    return judge


def classifier_of(
    data: Dataset, split: Split, saved: saves.Saved | None, seed: int, clock: Clock
) -> keras.Model:
    """The classifier alone: that of a save, else one that is trained."""
    if saved and "classifier" in saved.weights:
        classifier = loops.new_classifier(data.classes, data.pixels)
        saves.fill(classifier, saved.weights["classifier"])
        return classifier
    with clock("training the classifier"):
        return new_classifier(data, split, seed)


def new_classifier(data: Dataset, split: Split, seed: int) -> keras.Model:
    """A classifier, trained on the images that the split has for it."""
    classifier = loops.new_classifier(data.classes, data.pixels)
    images, labels = split.classifier.images, split.classifier.labels
    loops.train_classifier(classifier, images, labels, seed)
    return classifier


def fit_prior(vae: models.VAE, images: ImageSet, rng) -> priors.GaussianMixture:
    """The mixture fitted to the codes of images, those that the VAE has learned from, and then
    narrowed.  rng: a numpy.random.Generator."""
    z_mean, z_log_var = inference.encode(vae, images.images)
    return priors.fit_mixture(z_mean, z_log_var, images.labels, rng).narrowed(priors.NARROWING)
