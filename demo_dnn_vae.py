"""Train a dense classifier and a VAE, generate images, keep those the classifier is sure of, and
examine whether it is right to be.

python demo_dnn_vae.py
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from trust import cli, datasets, new, outputs, priors, report, right, saving, selection

TRAINING = saving.DEFAULTS  # what --load settles
CLOUD = 2000  # latents that prior.png shows of each kind


class Filtered(NamedTuple):
    """The sets that went through the classifier, each a selection.Classified.

    sample: the first images drawn.  accepted: the balanced strong ones.  held_out: real images
    that neither classifier nor VAE learned from, and held_out_reconstructed, decoded from their
    codes; test and reconstructed likewise.  halfway: decoded half-way between the codes of two
    classes.
    """

    sample: selection.Classified
    accepted: selection.Classified
    held_out: selection.Classified
    held_out_reconstructed: selection.Classified
    test: selection.Classified
    reconstructed: selection.Classified
    halfway: selection.Classified
    other_prior: selection.Classified


def parse_arguments(words=None):
    """The flags: of the command line, or the list of words given."""
    parser = cli.Parser(
        description="Generate images with a VAE, keep those that a classifier is sure of, and "
        "examine whether they are right, balanced, varied, new and useful."
    )
    told = TRAINING | {"out": "imgs, or imgs/NAME for other data than mnist"}
    cli.add_shared_arguments(parser, told, dataset="mnist")
    add = parser.add_argument
    halves = f"one set for VAE and classifier, or halves (default: {TRAINING['split']})"
    add("--split", choices=saving.SPLITS, help=halves)
    drawn = "what the latents are drawn from"
    add("--prior", choices=["mixture", "normal"], default="mixture", help=drawn)
    add("--threshold", metavar="X", type=cli.fraction, default=0.95, help="strong from here on")
    add(
        "--temperature",
        metavar="X",
        type=cli.positive_float,
        help="1 is raw softmax; fitted if left out",
    )
    add("--per-class", metavar="N", type=cli.positive_int, default=1000, help="strong ones wanted")
    add(
        "--max-draws",
        metavar="N",
        type=cli.positive_int,
        help="give up after so many; 50 for each image wanted if left out",
    )
    softer = "what learns from images that passed is told the classifier's probabilities"
    add("--soft-labels", action="store_true", help=softer)
    add("--report", metavar="FILE", type=cli.path, help="all printed numbers as JSON")
    add("--save-images", metavar="FILE", type=cli.path, help="the balanced strong images as .npz")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--save", metavar="FILE", type=cli.path, help="keep the trained models")
    add("--load", metavar="FILE", type=cli.path, help="use models that --save kept, train none")
    return parser.parse_args(words)


def check_before_training(arguments, data):
    """The settings of the models, and what --load names as a saving.Saved, or None.

    Raises UserError now rather than after minutes of training.
    """
    datasets.check_enough(data, minimum=1000)
    arguments.out = outputs.figures_folder(arguments.out, data.name)
    files = arguments.report, arguments.save_images, arguments.save
    outputs.check_outputs(arguments.out, files, [data.path, arguments.load])
    saved = saving.read_save(arguments.load) if arguments.load else None
    trained = saved.settings if saved else None
    settings = saving.settle(vars(arguments), data, trained, arguments.load)
    for name in TRAINING:
        setattr(arguments, name, getattr(settings, name))
    if arguments.save and (warning := saving.check_save(arguments.save, settings)):
        print(warning)
    return settings, saved


def import_tensorflow():
    """Imports what takes seconds, once the arguments are known to be good."""
    global examination, figures, referee, training, useful
    with cli.quiet_tensorflow():
        from trust import examination, figures, referee, training, useful


def build_networks(arguments, data, sets):
    """The networks {name: keras.Model}, untrained but for the referee of a bundled set."""
    vae = training.new_vae(arguments.latent_dim, len(sets.vae.images), arguments.seed)
    classifier = training.new_classifier(data.classes)
    if data.bundled:
        judge = referee.bundled_referee(data.name)
    else:
        judge = referee.build_referee(data.classes)
    return {"vae": vae, "classifier": classifier, "referee": judge}


def bring_models(arguments, data, sets, networks, settings, saved, clock):
    """Loads or trains the networks; returns the mixture.

    A referee of the user's own data comes last, when --save has kept the others.
    """
    needs_referee = not data.bundled and not (saved and "referee" in saved.weights)
    ready = {name: networks[name] for name in networks if name != "referee" or not needs_referee}
    if saved:
        mixture = load(saved, ready)
    else:
        mixture = train(arguments, sets, networks, clock)
    if arguments.save:
        saving.save_models(arguments.save, settings, ready, mixture)
    if needs_referee:
        with clock("training the referee"):
            epochs = referee.epochs_for(len(data.x_train))
            everything = data.x_train, data.y_train
            referee.train_referee(networks["referee"], *everything, epochs, arguments.seed)
        if arguments.save:
            saving.save_models(arguments.save, settings, networks, mixture)
    return mixture


def load(saved, networks):
    """Fills the networks from a saving.Saved; returns the mixture."""
    for name, network in networks.items():
        saving.fill(network, saved.weights.get(name, []))
    return saved.mixture


def train(arguments, sets, networks, clock):
    """Trains the VAE and the classifier; returns the mixture fitted to the VAE's codes."""
    vae, seed = networks["vae"], arguments.seed
    with clock("training the VAE"):
        rate = arguments.learning_rate
        training.train_vae(vae, sets.vae.images, arguments.epochs, rate, seed)
    with clock("fitting the mixture to its codes"):
        codes = training.encode(vae, sets.vae.images)
        mixture = priors.fit_mixture(*codes, sets.vae.labels, seed).narrowed(priors.NARROWING)
    with clock("training the classifier"):
        training.train_classifier(networks["classifier"], *sets.classifier, seed)
    return mixture


def targets(arguments, images):
    """What a classifier that is trained on these images, a Classified, is told about them."""
    return images.probabilities.astype(np.float32) if arguments.soft_labels else images.labels


def fit_temperatures(arguments, sets, networks, rng):
    """The temperature in use, and those fitted on held-out images: a dict of floats.

    Neither VAE nor classifier has learned from them, and their labels are known.  In use is what
    their reconstructions give, as blurred as generated images are; the other is of the real ones.
    """
    images, labels = sets.held_out
    logits_of = partial(training.predict, networks["classifier"])
    reconstructed = training.reconstruct(networks["vae"], images, rng)
    fitted = selection.fit_temperature(logits_of(reconstructed), labels)
    return {
        "temperature": arguments.temperature or fitted,
        "temperature_reconstructions": fitted,
        "temperature_real_images": selection.fit_temperature(logits_of(images), labels),
    }


def missing(quota, class_names):
    """What is still to be drawn, as a sentence."""
    lacking = [
        f"{count:,} of {name}"
        for name, count in zip(class_names, quota.shortfall, strict=True)
        if count
    ]
    more = f" and of {len(lacking) - 8} other classes" if len(lacking) > 8 else ""
    some = ", ".join(lacking[:8])
    return f"{quota.generated.sum():,} drawn; strong images still missing: {some}{more}"


def generate(arguments, data, sets, networks, mixture, temperature, rng):
    """Draws images until every class has its strong ones; returns the quota, which has counted
    them, and the Filtered sets."""
    vae, normal = networks["vae"], priors.StandardNormal(mixture.latent_dim)
    logits_of = partial(training.predict, networks["classifier"])
    classify = partial(selection.classify, logits_of, temperature)
    prior, other = (mixture, normal) if arguments.prior == "mixture" else (normal, mixture)
    quota = selection.ClassQuota(arguments.per_class, data.classes)
    accepted, sample = selection.generate(
        lambda n: training.decode(vae, prior.sample(n, rng)),
        classify,
        arguments.threshold,
        quota,
        arguments.max_draws or 50 * arguments.per_class * data.classes,
        cli.every_few_seconds(partial(missing, quota, data.class_names)),
    )
    if quota.shortfall.any():
        print(missing(quota, data.class_names))
    return quota, Filtered(
        sample=sample,
        accepted=accepted,
        held_out=classify(sets.held_out.images),
        held_out_reconstructed=classify(training.reconstruct(vae, sets.held_out.images, rng)),
        test=classify(data.x_test),
        reconstructed=classify(training.reconstruct(vae, data.x_test, rng)),
        halfway=classify(training.halfway_images(vae, *sets.held_out, rng)),
        other_prior=classify(training.decode(vae, other.sample(selection.CHUNK, rng))),
    )


def examine_sets(arguments, sets, filtered, reference):
    """What is Examined {set: Examined} of accepted images and of real ones, as many of each class;
    what the controls alone are asked, {set: (numbers, new.Nearest)}; and the accepted ones so
    cut."""
    real = filtered.held_out.strong(arguments.threshold)
    accepted, real, unfiltered = selection.cut_alike(filtered.accepted, real, sets.held_out)
    examined = {
        name: examination.examine(*images[:2], targets(arguments, images), reference)
        for name, images in (("generated", accepted), ("real", real))
    }
    reconstructed = filtered.reconstructed.strong(arguments.threshold)
    rng = np.random.default_rng(arguments.seed)
    planted = new.plant_copies(*accepted[:2], *sets.vae, rng)
    controls = {
        "reconstructed": examination.examine_newness(*reconstructed[:2], reference),
        "planted": examination.examine_newness(planted, accepted.labels, reference),
    }
    metrics = {name: each.numbers() for name, each in examined.items()}
    metrics |= {name: numbers for name, (numbers, _) in controls.items()}
    accuracy = useful.accuracy_after_training(
        *unfiltered, reference.test, reference.classes, reference.seed
    )
    metrics["unfiltered"] = {"usefulness_accuracy": accuracy}
    nearest = {name: each.nearest for name, each in examined.items()}
    nearest |= {name: found for name, (_, found) in controls.items()}
    return accepted, metrics, nearest


def examine_filter(arguments, data, filtered, accepted, quota, reference, temperatures):
    """The metrics {set: {key: number}} for which unaccepted images or true labels are needed.

    Also returns the referee's labels of the sample, (n,) integer.
    """
    threshold, sample = arguments.threshold, filtered.sample
    both = temperatures["temperature"], temperatures["temperature_real_images"]
    judge = partial(referee.judge, reference.referee)
    referee_labels, _ = judge(sample.images)
    balanced_labels, _ = judge(filtered.accepted.images)
    reconstructed_labels, _ = judge(filtered.reconstructed.images)
    weak = sample.confidence < selection.WEAK
    metrics = {
        "generated": quota.rates()
        | right.calibration(sample.logits, referee_labels, *both)
        | {
            "agreement": right.agreement(sample.labels, referee_labels),
            "weak_agreement": right.agreement(sample.labels[weak], referee_labels[weak]),
            "balanced_agreement": right.agreement(filtered.accepted.labels, balanced_labels),
        },
        "real": filtered.held_out.rates(threshold),
        "reconstructed": filtered.reconstructed.rates(threshold),
        "halfway": filtered.halfway.rates(threshold),
    }
    counts = np.bincount(accepted.labels, minlength=data.classes)
    for name, images, judged in (
        ("real", filtered.test, reference.test_labels),
        ("reconstructed", filtered.reconstructed, reconstructed_labels),
    ):
        rows = np.flatnonzero(images.confidence >= threshold)
        rows = rows[selection.first_of_each_class(images.labels[rows], counts)]
        metrics[name] |= right.calibration(images.logits, data.y_test, *both)
        metrics[name] |= right.errors(images.labels[rows], data.y_test[rows])
        agreement = right.agreement(images.labels[rows], judged[rows])
        metrics[name]["strong_agreement"] = agreement
    halfway = filtered.halfway.strong(threshold)
    agreement = right.agreement(halfway.labels, judge(halfway.images)[0])
    metrics["halfway"]["strong_agreement"] = agreement
    return metrics, referee_labels


def describe_models(arguments, data, vae, mixture, filtered, referee_labels):
    """How good the models themselves are, on test images: a dict of numbers.

    referee_labels: (n,) integer, of the test images.
    """
    rng = np.random.default_rng(arguments.seed)
    normal = priors.StandardNormal(mixture.latent_dim)
    return {
        "classifier_test_accuracy": right.agreement(filtered.test.labels, data.y_test),
        "referee_test_accuracy": right.agreement(referee_labels, data.y_test),
        "sharpness": training.mean_sharpness(vae, data.x_test),
        "negative_elbo_normal": training.negative_elbo(vae, normal, data.x_test, rng),
        "negative_elbo_mixture": training.negative_elbo(vae, mixture, data.x_test, rng),
    }


def draw_filter(draw, arguments, data, filtered, quota, metrics):
    """The figures of what the filter lets through and what it keeps out."""
    names, threshold, limit = data.class_names, arguments.threshold, selection.WEAK
    draw("dnn-vae-strong", figures.draw_strong, *filtered.accepted[:3], names, threshold)
    weak = filtered.sample.take(np.argsort(filtered.sample.confidence, kind="stable"))
    weak = weak.take(weak.confidence < limit)
    rates = (metrics[name]["strong_rate"] for name in ("halfway", "generated"))
    top_two = selection.top_two(weak.probabilities)
    halfway = filtered.halfway.images
    draw("dnn-vae-weak", figures.draw_weak, weak.images, *top_two, halfway, *rates, names, limit)
    both = filtered.sample.confidence, filtered.held_out.confidence
    draw("pred-dist", figures.draw_confidence, *both, threshold, limit)
    counts = quota.generated, quota.strong, quota.kept
    draw("class-balance", figures.draw_class_balance, *counts, names)


def draw_calibration(draw, data, filtered, referee_labels, temperature_real_images):
    """Reliability diagrams of real, reconstructed and generated images, and of the latter with the
    temperature that real images would have given.  referee_labels: (n,) integer, of the sample."""
    real_temperature = selection.softmax(filtered.sample.logits, temperature_real_images)
    panels = [
        ("test images, as used", filtered.test.probabilities, data.y_test),
        ("reconstructions, as used", filtered.reconstructed.probabilities, data.y_test),
        ("generated against referee, as used", filtered.sample.probabilities, referee_labels),
        ("generated against referee, T of real images", real_temperature, referee_labels),
    ]
    panels = [
        (title, right.reliability(p.max(axis=1), p.argmax(axis=1) == truth))
        for title, p, truth in panels
    ]
    draw("calibration", figures.draw_calibration, panels)


def draw_new_and_useful(draw, data, sets, accepted, nearest, metrics):
    """The figures about copies, and about what a new classifier learns."""
    index, distance = nearest["generated"]
    pairs = {
        label: (accepted.images[row], sets.vae.images[index[row]], distance[row])
        for label, row in new.closest_of_each_class(accepted.labels, distance).items()
    }
    titles = {
        "generated": "generated",
        "real": "real held-out",
        "reconstructed": "reconstructions of test images",
        "planted": "5 % planted copies",
    }
    distances = {titles[name]: distance for name, (_, distance) in nearest.items()}
    draw("copies", figures.draw_copies, distances, pairs, data.class_names)
    accuracies = {
        title: metrics[name]["usefulness_accuracy"]
        for title, name in (
            ("as many real images", "unfiltered"),
            ("real images through the filter", "real"),
            ("generated images through the filter", "generated"),
        )
    }
    draw("usefulness", figures.draw_usefulness, accuracies, len(accepted.labels))


def draw_priors(draw, arguments, sets, vae, mixture, filtered, run):
    """Unfiltered images of either prior, and where either puts its latents."""
    rng = np.random.default_rng(arguments.seed)
    codes = training.sample_codes(*training.encode(vae, sets.vae.images), rng)
    labels = sets.vae.labels
    centres = np.stack([codes[labels == label].mean(axis=0) for label in np.unique(labels)])
    normal = priors.StandardNormal(mixture.latent_dim)
    clouds = codes[:CLOUD], mixture.sample(CLOUD, rng), normal.sample(CLOUD, rng)
    _, *clouds = priors.principal_axes(centres, *clouds)
    names = ("codes of images", "Gaussian mixture", "N(0, I)")
    clouds = dict(zip(names, clouds, strict=True))
    this, other = filtered.sample.images, filtered.other_prior.images
    images = (this, other) if arguments.prior == "mixture" else (other, this)
    draws = dict(zip(names[1:], images, strict=True))
    rates = dict(
        zip(names[1:], (run["strong_rate_mixture"], run["strong_rate_normal"]), strict=True)
    )
    draw("prior", figures.draw_prior, draws, rates, clouds)


def main(words=None):
    """The whole job, with the flags of the command line or the list of words given."""
    arguments = parse_arguments(words)
    data = datasets.load_dataset(arguments.dataset)
    settings, saved = check_before_training(arguments, data)
    clock = cli.Clock()
    with clock("importing TensorFlow"):
        import_tensorflow()
    print(f"devices: {training.devices()}")
    training.make_reproducible(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    sets = datasets.split(data, arguments.split, arguments.seed)
    networks = build_networks(arguments, data, sets)
    mixture = bring_models(arguments, data, sets, networks, settings, saved, clock)
    vae = networks["vae"]

    with clock("calibrating"):
        temperatures = fit_temperatures(arguments, sets, networks, rng)
    with clock("generating and filtering"):
        temperature = temperatures["temperature"]
        quota, filtered = generate(arguments, data, sets, networks, mixture, temperature, rng)
    with clock("examining"):
        strong = (
            images.strong(arguments.threshold)
            for images in (filtered.test, filtered.held_out_reconstructed)
        )
        reference = examination.build_reference(
            data, sets.vae, networks["referee"], *strong, arguments.seed
        )
        accepted, metrics, nearest = examine_sets(arguments, sets, filtered, reference)
        more, referee_labels = examine_filter(
            arguments, data, filtered, accepted, quota, reference, temperatures
        )
        metrics = report.merge(metrics, more)
        run = describe_models(arguments, data, vae, mixture, filtered, reference.test_labels)
        other = {"mixture": "normal", "normal": "mixture"}[arguments.prior]
        run[f"strong_rate_{arguments.prior}"] = metrics["generated"]["strong_rate"]
        run[f"strong_rate_{other}"] = filtered.other_prior.rates(arguments.threshold)["strong_rate"]
    with clock("drawing"):

        def draw(name, function, *values):
            outputs.draw(arguments.out, name, partial(function, dataset=data.name), *values)

        draw_filter(draw, arguments, data, filtered, quota, metrics)
        draw_calibration(
            draw, data, filtered, referee_labels, temperatures["temperature_real_images"]
        )
        draw_new_and_useful(draw, data, sets, accepted, nearest, metrics)
        draw_priors(draw, arguments, sets, vae, mixture, filtered, run)

    counts = {
        "class_counts_generated": quota.generated,
        "class_counts_strong": quota.strong,
        "class_counts_balanced": quota.kept,
        "class_counts_examined": np.bincount(accepted.labels, minlength=data.classes),
    }
    values = report.flatten(metrics, run | temperatures) | counts | clock.resources()
    if arguments.save_images:
        outputs.write_images(arguments.save_images, *filtered.accepted[:4])
    if arguments.report:
        outputs.write_json(arguments.report, report.origin(arguments, vars(settings)) | values)
    report.print_report(values, data.class_names)
    print(f"\nThe figures are in {arguments.out}")


if __name__ == "__main__":
    cli.run(main)
