"""How good the networks themselves are."""

import numpy as np

from trust.ask import right
from trust.ask.doubts import at_its_bound, learned_nothing
from trust.ask.questions import Beside
from trust.ask.reference import Reference
from trust.data.datasets import Dataset
from trust.train import inference, priors
from trust.train.trained import Trained


def ask(trained: Trained, beside: Beside, reference: Reference, rng: np.random.Generator) -> dict:
    """Numbers about the networks, on test images: accuracies, sharpness, nats.  {key: number}"""
    test, vae = reference.test, trained.vae
    normal = priors.StandardNormal(trained.mixture.latent_dim)
    found = beside.tested["real"].every.labels
    return {
        "classifier_test_accuracy": right.agreement(found, test.labels),
        "referee_test_accuracy": right.agreement(reference.judged.labels, test.labels),
        "sharpness": inference.mean_sharpness(vae, test.images),
        "negative_elbo_normal": inference.negative_elbo(vae, normal, test.images, rng),
        "negative_elbo_mixture": inference.negative_elbo(vae, trained.mixture, test.images, rng),
    }


def doubts(trained: Trained, numbers: dict, data: Dataset, temperature: float) -> list[str]:
    """Sentences on networks that have learned nothing.  numbers: by ask().  temperature: in use."""
    test, notes = data.test, []
    # The VAE's own objective, over the weight: at weight 1 the codes of a sharp VAE cost too much.
    weight, kl = numbers["sharpness"], inference.mean_kl(trained.vae, test.images)
    found = numbers["negative_elbo_normal"] - kl + kl / weight
    nats = inference.nats_of_the_mean(data.train.images, test.images)
    if found > nats:
        notes.append(
            "the VAE explains test images no better than the mean of the training images "
            f"({found:.0f} nats, {nats:.0f}): it has learned nothing; try a smaller --learning-rate"
        )
    notes += learned_nothing("classifier", numbers["classifier_test_accuracy"], test.labels)
    return notes + at_its_bound(temperature)
