"""Chooses what each figure shows: passes the values of a run to the functions of figures.py."""

from collections.abc import Callable
from functools import partial

import numpy as np

from trust import audit, figures, new, outside, priors, right, selection, training
from trust.datasets import Labelled

CLOUD = 2000  # latents that prior.png shows of each kind
PRIORS = {"mixture": "Gaussian mixture", "normal": "N(0, I)"}  # what the figures call them


def draw_filter(draw: Callable, names, threshold, chosen, controls, sets) -> None:
    """The images that pass the filter and those that do not.  draw: takes a name, a function of
    figures.py and its arguments.  chosen: a Selection.  sets: the report's."""
    limit, quota = selection.WEAK, chosen.quota
    draw("dnn-vae-strong", figures.draw_strong, *chosen.accepted[:3], names, threshold)
    weak = chosen.sample.take(np.argsort(chosen.sample.confidence, kind="stable"))
    weak = weak.take(weak.confidence < limit)
    rates = (sets[name]["right"]["strong_rate"] for name in ("halfway", "generated"))
    top_two, halfway = selection.top_two(weak.probabilities), controls.halfway
    passing = np.where(halfway.confidence >= threshold, halfway.labels, -1)
    control = halfway.images, passing, *rates
    draw("dnn-vae-weak", figures.draw_weak, weak.images, *top_two, *control, names, limit)
    both = chosen.sample.confidence, controls.held_out.confidence
    draw("pred-dist", figures.draw_confidence, *both, threshold, limit)
    counts = quota.generated, quota.strong, quota.kept
    draw("class-balance", figures.draw_class_balance, *counts, names)


def draw_calibration(draw: Callable, sample, referee_labels, controls, truth, accept) -> None:
    """Reliability diagrams of real, reconstructed and generated images, and of generated ones with
    the temperature fitted on real images.

    referee_labels: (n,) integer, of the sample.  truth: (m,) integer, of the test images.
    """
    with_real_temperature = selection.softmax(sample.logits, accept.temperature_real_images)
    panels = [
        ("test images, by label", controls.test.probabilities, truth),
        ("reconstructed, by label", controls.reconstructed.probabilities, truth),
        ("generated, by the referee", sample.probabilities, referee_labels),
        ("generated, temperature of real images", with_real_temperature, referee_labels),
    ]
    panels = [
        (title, right.reliability(p.max(axis=1), p.argmax(axis=1) == labels))
        for title, p, labels in panels
    ]
    draw("calibration", figures.draw_calibration, panels)


def draw_new(draw: Callable, names, images, neighbours: dict, reference, other="") -> None:
    """How many images have a nearest real image that was seen, and the closest pairs.
    images: (n, h, w[, c]).  neighbours: {set: new.Neighbours}, those of `images` under "generated".
    other: the name of the prior that is not in use."""
    titles = {
        "generated": "generated",
        "real": "real",
        "reconstructed": "reconstructions of test images",
        "other_prior": f"drawn from {other}",
        "noisy_copies": "real with 5 % noisy copies",
        "moved_copies": "real with 5 % moved copies",
        "reconstructed_copies": "real with 5 % reconstructed copies",
    }
    real, unseen = reference.real, reference.unseen
    shares = {
        title: new.shares_by_depth(
            neighbours[name], real.labels, unseen, reference.like_seen, name == "moved_copies"
        )
        for name, title in titles.items()
        if name in neighbours
    }
    labels, nearest, _ = neighbours["generated"]
    pairs = {
        label: (images[row], real.images[nearest.index[row]], not unseen[nearest.index[row]])
        for label, row in new.closest_of_each_class(labels, nearest).items()
    }
    draw("copies", figures.draw_copies, shares, pairs, names)


def draw_given(draw: Callable, names, chosen, judged) -> None:
    """Images that another generator made, and what the referee says.  chosen: outside.Chosen.
    judged: referee.Judged."""
    order = outside.by_doubt(chosen.labels, judged.labels, judged.confidence)
    columns = chosen.images, chosen.labels, judged.labels, judged.confidence
    draw("doubtful", figures.draw_doubtful, *(column[order] for column in columns), names)


def draw_audit(draw: Callable, images, sheet) -> None:
    """The accepted images (n, h, w[, c]) that an audit.Sheet shows."""
    shown = images[sheet.shown], sheet.class_names, sheet.identity
    draw("audit", figures.draw_audit, *shown)


def hand_out_sheet(draw: Callable, folder, accepted, words, data, n: int, max_error, rng) -> str:
    """Writes a sheet of n accepted images for a person, its figure and its files, into the folder
    that draw writes to; returns a line that says so.  accepted: has images (m, h, w[, c]) and
    labels (m,).  words: (m,) integer, the referee's labels.  data, max_error, rng: see
    audit.make_sheet()."""
    sheet = audit.make_sheet(accepted.images, accepted.labels, words, data, n, max_error, rng)
    return audit.hand_out(folder, sheet, n, partial(draw_audit, draw, accepted.images, sheet))


def draw_risk(draw: Callable, names, sample, words, controls, truth, threshold, max_error) -> None:
    """How many are wrong at each threshold.  words, truth: (n,) integer, what the referee says of
    the sample, and the labels of the test images.  max_error: what was promised, or None."""
    kinds = {
        "generated, by the referee (not corrected)": (sample, words),
        "reconstructions of test images, by their labels": (controls.reconstructed, truth),
        "test images, by their labels": (controls.test, truth),
    }
    curves = {}
    for name, (images, labels) in kinds.items():
        wrong, strong = images.labels != labels, images.confidence >= threshold
        at = right.mean(strong), right.mean(wrong[strong])
        curves[name] = *right.risk_coverage(images.confidence, wrong), at
    classes = {
        name: right.risk_coverage(sample.confidence[own], (sample.labels != words)[own])
        for name, own in ((name, sample.labels == label) for label, name in enumerate(names))
    }
    draw("risk-coverage", figures.draw_risk_coverage, curves, classes, max_error)


def draw_priors(draw: Callable, vae, mixture, seen: Labelled, images, run, rng) -> None:
    """Unfiltered images from both priors, and latents from both beside the codes of images.  seen:
    the images that the VAE has learned from.  images: {"mixture" and "normal": (n, h, w[, c])}.
    run: the report's, with the share of each that passes."""
    codes, labels = training.sample_codes(*training.encode(vae, seen.images), rng), seen.labels
    centres = np.stack([codes[labels == label].mean(axis=0) for label in np.unique(labels)])
    normal = priors.StandardNormal(mixture.latent_dim)
    clouds = codes[:CLOUD], mixture.sample(CLOUD, rng), normal.sample(CLOUD, rng)
    _, *clouds = priors.principal_axes(centres, *clouds)
    draws = {title: images[name] for name, title in PRIORS.items()}
    rates = {title: run[f"strong_rate_{name}"] for name, title in PRIORS.items()}
    clouds = dict(zip(("codes of images", *PRIORS.values()), clouds, strict=True))
    draw("prior", figures.draw_prior, draws, rates, clouds)
