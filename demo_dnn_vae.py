"""Train a dense classifier and a VAE, generate images, keep those the classifier is sure of, and
examine whether it is right to be.

python demo_dnn_vae.py
"""

import contextlib
import json
import os
import time
from pathlib import Path

# NumPy works beside TensorFlow here, and its threads would spin on the cores that both need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import cli
import datasets
import evaluation
import outputs
import selection

# Settled when the models are trained; --load takes them from the folder it is given.
TRAINING = {
    "epochs": 8,
    "latent_dim": 14,
    "learning_rate": 1.2e-2,
    "seed": 0,
    "prior": "mixture",
    "split": "shared",
}
HELD_OUT_SHARE = 12  # one training image in so many is kept to fit the temperature
CHUNK = 10_000  # images drawn at a time; the first chunk is the sample that is examined
EXAMINED_PER_CLASS = 1000
SHOWN_PAIRS = 14


def parse_arguments():
    parser = cli.Parser(
        description="Generate images with a VAE, keep those that a classifier is sure of, and "
        "examine whether they are right, balanced, new and useful."
    )
    cli.add_shared_arguments(parser, dataset="mnist", **TRAINING)
    add = parser.add_argument
    add("--prior", choices=["mixture", "normal"], help="what the latents are drawn from")
    add("--split", choices=["shared", "disjoint"], help="one set for VAE and classifier, or halves")
    add("--threshold", metavar="X", type=cli.fraction, default=0.95, help="strong from here on")
    add("--temperature", metavar="X", type=cli.positive_float, help="1 is raw softmax; else fitted")
    add("--per-class", metavar="N", type=cli.positive_int, default=1000, help="strong ones wanted")
    add("--max-draws", metavar="N", type=cli.positive_int, help="else 50 for each image wanted")
    add("--report", metavar="FILE", help="all printed numbers as JSON")
    add("--save-images", metavar="FILE", help="the balanced strong images as .npz")
    add("--save", metavar="DIR", help="keep the trained models")
    add("--load", metavar="DIR", help="use models that --save kept, train none")
    return parser.parse_args()


def check_outputs(arguments):
    """Raises OutputError now rather than when the work is done."""
    outputs.check_output_folder(arguments.out)
    for file in filter(None, (arguments.report, arguments.save_images)):
        outputs.check_output_file(file)
    if arguments.save:
        outputs.check_replaceable_folder(arguments.save)


def read_settings(arguments, data):
    """The models {name: file} in the folder that --load names, whose settings become the
    arguments; raises UserError where they do not suit the data or the flags."""
    folder = outputs.saved_folder(arguments.load, ["settings.json"])
    try:
        settings = json.loads((folder / "settings.json").read_text())
        origin = settings["fingerprint"], settings["dataset"], settings["classes"]
        trained = {} if origin[0] != data.fingerprint else {k: settings[k] for k in TRAINING}
        files = [f"{name}.keras" for name in settings.get("models", [])]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise cli.UserError(
            f"--load {arguments.load}: its settings.json is not one that --save wrote"
        ) from error
    if not trained:
        raise cli.UserError(
            f"--load {arguments.load}: these models were trained on other data ({origin[1]}, "
            f"{origin[2]} classes): name the same --dataset"
        )
    for name, value in trained.items():
        given = getattr(arguments, name)
        if given not in (value, TRAINING[name]):
            flag = "--" + name.replace("_", "-")
            raise cli.UserError(
                f"{flag} {given}: the models in {arguments.load} were trained with {value}: "
                f"leave {flag} or --load out"
            )
        setattr(arguments, name, value)
    folder = outputs.saved_folder(arguments.load, files)
    return {Path(file).stem: folder / file for file in files}


def split_data(arguments, data):
    """The training images of the VAE, and the classifier's (images, labels) to learn from and
    to fit the temperature on."""
    for_vae = for_classifier = data.x_train, data.y_train
    if arguments.split == "disjoint":
        for_vae, for_classifier = datasets.disjoint_halves(*for_vae, arguments.seed)
    count = len(for_classifier[1]) // HELD_OUT_SHARE
    return for_vae, *datasets.hold_out(*for_classifier, count, arguments.seed)


@contextlib.contextmanager
def stage(name, seconds):
    """Says what is being done and, when it is, how long it took."""
    print(f"\n{name} ...", flush=True)
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
    print(f"{name}: {seconds[name]:.1f} s", flush=True)


def train(arguments, classes, for_vae, for_classifier, seconds):
    """The trained {"classifier": ..., "vae": ...}."""
    import models
    import training

    mean_image = for_vae[0].mean(axis=0) / 255
    strategy = training.distribution_strategy()
    with strategy.scope():
        classifier = models.build_classifier(classes)
        prior = {"mixture": models.MixturePrior, "normal": models.StandardNormalPrior}
        vae = models.VAE(
            models.build_encoder(arguments.latent_dim),
            models.build_decoder(arguments.latent_dim, mean_image),
            prior[arguments.prior](arguments.latent_dim, seed=arguments.seed),
            seed=arguments.seed,
        )
    with stage("training the classifier and the VAE", seconds):
        classifier_training = cli.beside(
            training.train_classifiers, [classifier], [for_classifier], arguments.seed
        )
        if strategy.num_replicas_in_sync > 1:
            # Each device would wait for the others in one of the trainings, not in the same one.
            classifier_training.result()
        training.train_vae(
            vae, for_vae[0], arguments.epochs, arguments.learning_rate, arguments.seed
        )
        classifier_training.result()
    return {"classifier": classifier, "vae": vae}


def bring_referee(data, seconds):
    """The bundled referee, or for data of the user's own one trained now."""
    import referee

    if datasets.is_bundled(data):
        return referee.load_referee(data.name)
    with stage("training the referee", seconds):
        classes, epochs = len(data.class_names), referee.epochs_for(len(data.x_train))
        return referee.train_referee(data.x_train, data.y_train, classes, epochs, verbose="auto")


def save_models(arguments, data, parts):
    """Keeps the trained parts {name: keras.Model}, the settings, the seed and the versions."""
    import keras
    import tensorflow as tf

    settings = {name: getattr(arguments, name) for name in TRAINING} | {
        "dataset": data.name,
        "classes": len(data.class_names),
        "fingerprint": data.fingerprint,
        "models": list(parts),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    with outputs.replacing_folder(arguments.save) as folder:
        for name, model in parts.items():
            model.save(folder / f"{name}.keras")
        (folder / "settings.json").write_text(json.dumps(settings, indent=2))


def load_models(arguments, files):
    """The parts {name: keras.Model} that save_models kept; nothing in the files is executed."""
    import keras

    import models  # noqa: F401  (registers the classes that the files name)

    try:
        return {name: keras.saving.load_model(file, compile=False) for name, file in files.items()}
    except Exception as error:  # a foreign file can make the loader raise almost anything
        raise cli.UserError(f"--load {arguments.load}: {error}") from error


def generate(vae, classifier, temperature, arguments, classes, append):
    """Draws images until every class has its strong ones, a chunk in memory at a time.

    append(images, labels, confidence) receives the balanced set as it grows.  Returns the balance,
    the number of weak images, the first chunk (images, logits) as the sample to examine, and the
    balanced (images, labels) to examine, at most EXAMINED_PER_CLASS of a class.
    """
    from models import predict_logits

    most = arguments.max_draws or 50 * arguments.per_class * classes
    balance = selection.Balance(arguments.per_class, classes)
    few = selection.Balance(min(arguments.per_class, EXAMINED_PER_CLASS), classes)
    weak, sample, examined = 0, None, []
    while balance.shortfall.any() and (drawn := balance.generated.sum()) < most:
        images = vae.generate(int(min(CHUNK, most - drawn)))
        logits = predict_logits(classifier, images)
        labels, confidence = selection.confidence(selection.softmax(logits, temperature))
        strong = confidence >= arguments.threshold
        weak += np.count_nonzero(confidence < selection.WEAK)
        keep = balance.take(labels, strong)
        append(images[keep], labels[keep], confidence[keep])
        keep = few.take(labels, strong)
        examined.append((images[keep], labels[keep]))
        sample = sample or (images, logits)
    examined = tuple(np.concatenate(part) for part in zip(*examined, strict=True))
    return balance, weak, sample, examined


def compare_with_training(generated, found, real, real_found, training_images):
    """Are the generated (images, labels) closer to the training images than real ones are?

    found, real_found: what closest_training_images has given for the generated and for the real
    (images, labels).
    Returns the answers, as part of the evidence, and the arrays that figures.draw_copies draws.
    """
    (images, labels), (real_images, real_labels) = generated, real
    (closest, distance), (real_closest, real_distance) = found, real_found
    correlation = evaluation.correlation(images, training_images[closest])
    real_correlation = evaluation.correlation(real_images, training_images[real_closest])
    answers = {
        "closest_correlation_median": median(correlation),
        "real_closest_correlation_median": median(real_correlation),
        "closest_distance_median": median(distance),
        "real_closest_distance_median": median(real_distance),
        "copy_rate": evaluation.copy_rate(distance, real_distance),
        "real_copy_rate": evaluation.copy_rate(real_distance, real_distance),
        "copying_z": evaluation.three_sample_z(distance, real_distance, labels, real_labels),
    }
    pairs = nearest_pairs(images, training_images, closest, correlation)
    real_pairs = nearest_pairs(real_images, training_images, real_closest, real_correlation)
    return answers, (distance, real_distance, correlation, real_correlation, pairs, real_pairs)


def labels_by(model, images):
    """The model's label of each of the images, (n,) integer."""
    from models import predict_logits

    # small batches, since what the referee's layers hold of each image is large
    return predict_logits(model, images, batch_size=500).argmax(axis=1)


def usefulness(generated, real, data, seed):
    """Accuracy on real test images of two classifiers trained from scratch, one on the generated
    (images, labels) only, one on the real ones: two floats, NaN where there are too few.

    The classification accuracy score of Ravuri & Vinyals 2019.
    """
    import models
    import training

    if min(len(generated[1]), len(real[1])) < training.BATCH_SIZE:
        return float("nan"), float("nan")
    training.make_reproducible(seed)
    classifiers = [
        models.build_classifier(len(data.class_names), name=name) for name in ("generated", "real")
    ]
    training.train_classifiers(classifiers, [generated, real], seed)
    return tuple(np.mean(labels_by(each, data.x_test) == data.y_test) for each in classifiers)


def as_many_real(images, labels, counts, seed):
    """Real (images, labels), as many of each class as `counts` says, or all that there are."""
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = (order[labels[order] == label][:count] for label, count in enumerate(counts))
    chosen = np.concatenate(list(by_class))
    return images[chosen], labels[chosen]


def print_evidence(evidence, class_names, threshold):
    """The answers as a table: what was measured, on generated images, on real test images."""

    def percent(value):
        return "" if value is None else "none" if np.isnan(value) else f"{100 * value:.2f} %"

    def plain(value):
        return "" if value is None else f"{value:.4g}"

    rows = [
        (f"pass {100 * threshold:g} % (strong)", "strong_rate", "real_strong_rate", percent),
        ("are below 50 % (weak)", "weak_rate", "real_weak_rate", percent),
        ("referee agrees with the label", "agreement", "real_agreement", percent),
        ("... of strong images", "strong_agreement", "real_strong_agreement", percent),
        ("... of weak images", "weak_agreement", None, percent),
        ("classifier against referee, ECE", "generated_ece", None, plain),
        ("classifier is right", None, "classifier_test_accuracy", percent),
        ("referee is right", None, "referee_test_accuracy", percent),
        ("ECE, raw softmax", None, "ece_raw", plain),
        ("ECE, calibrated", None, "ece_calibrated", plain),
        ("temperature", None, "temperature", plain),
        ("negative ELBO, nats per image", None, "vae_test_negative_elbo", plain),
        (
            "correlation with closest training image, median",
            "closest_correlation_median",
            "real_closest_correlation_median",
            plain,
        ),
        (
            "distance to closest training image, median",
            "closest_distance_median",
            "real_closest_distance_median",
            plain,
        ),
        ("closer than the closest 1 % of real ones", "copy_rate", "real_copy_rate", percent),
        ("copying z (far below 0: copies)", "copying_z", None, plain),
        (
            "trained on them, right on real test images",
            "usefulness_accuracy",
            "real_usefulness_accuracy",
            percent,
        ),
    ]
    print(f"\n{'':48}{'generated':>12}{'real':>12}")
    for title, generated, real, show in rows:
        values = (show(evidence.get(key)) for key in (generated, real))
        print(f"{title:48}" + "".join(f"{value:>12}" for value in values))

    print(f"\n{'class':16}{'generated':>12}{'strong':>12}{'balanced':>12}")
    counts = ("class_counts_generated", "class_counts_strong", "class_counts_balanced")
    for name, *row in zip(class_names, *(evidence[key] for key in counts), strict=True):
        print(f"{name:16}" + "".join(f"{count:>12}" for count in row))


def print_shortfall(shortfall, evidence, class_names, per_class):
    for name, count, lacking in zip(
        class_names, evidence["class_counts_strong"], shortfall, strict=True
    ):
        if count == 0:
            print(f"class {name}: no strong image among {evidence['generated']} generated")
        elif lacking:
            print(
                f"class {name}: {lacking} of {per_class} strong images are missing after "
                f"{evidence['generated']} draws"
            )


def draw_figures(folder, drawings):
    """Writes each of the drawings {name: (function of figures, its arguments after the file)}."""
    for name, (draw, *arguments) in drawings.items():
        with outputs.replacing(Path(folder) / f"{name}.png") as file:
            draw(file, *arguments)


def nearest_pairs(images, training_images, closest, correlation):
    """The SHOWN_PAIRS images most like a training image: (images, training images, correlation)."""
    first = np.argsort(-correlation, kind="stable")[:SHOWN_PAIRS]
    return images[first], training_images[closest[first]], correlation[first]


def main():
    started = time.perf_counter()
    seconds = {}
    arguments = parse_arguments()
    check_outputs(arguments)
    data = datasets.load_dataset(arguments.dataset)
    datasets.check_enough(data, minimum=1000)
    saved = read_settings(arguments, data) if arguments.load else None
    classes = len(data.class_names)
    for_vae, for_classifier, held_out = split_data(arguments, data)

    with stage("importing TensorFlow", seconds), cli.quiet_tensorflow():
        import figures
        import training
        from models import predict_logits
    training.make_reproducible(arguments.seed)

    if saved:
        parts = load_models(arguments, saved)
    else:
        parts = train(arguments, classes, for_vae, for_classifier, seconds)
    classifier, vae = parts["classifier"], parts["vae"]
    referee = parts.get("referee") or bring_referee(data, seconds)
    if arguments.save:
        own = {} if datasets.is_bundled(data) else {"referee": referee}
        save_models(arguments, data, parts | own)

    vae.reseed(arguments.seed)
    with stage("calibrating and testing", seconds):
        temperature = arguments.temperature or selection.fit_temperature(
            predict_logits(classifier, held_out[0]), held_out[1]
        )
        test_logits = predict_logits(classifier, data.x_test)
        test_raw = selection.softmax(test_logits)
        test_calibrated = selection.softmax(test_logits, temperature)
        test_labels, test_confidence = selection.confidence(test_calibrated)
        evidence = {
            "classifier_test_accuracy": np.mean(test_labels == data.y_test),
            "temperature": temperature,
            "ece_raw": evaluation.expected_calibration_error(test_raw, data.y_test),
            "ece_calibrated": evaluation.expected_calibration_error(test_calibrated, data.y_test),
        }

    with stage("generating and filtering", seconds), contextlib.ExitStack() as stack:
        append = lambda *chunk: None  # noqa: E731
        if arguments.save_images:
            append = stack.enter_context(outputs.saving_images(arguments.save_images))
        balance, weak_count, sample, examined = generate(
            vae, classifier, temperature, arguments, classes, append
        )
        images, logits = sample
        raw = selection.softmax(logits)
        calibrated = selection.softmax(logits, temperature)
        labels, confidence = selection.confidence(calibrated)
        strong, weak = confidence >= arguments.threshold, confidence < selection.WEAK
        real_strong = test_confidence >= arguments.threshold
        evidence |= {
            "generated": balance.generated.sum(),
            "strong_rate": balance.strong.sum() / balance.generated.sum(),
            "weak_rate": weak_count / balance.generated.sum(),
            "real_strong_rate": np.mean(real_strong),
            "real_weak_rate": np.mean(test_confidence < selection.WEAK),
            "class_counts_generated": balance.generated.tolist(),
            "class_counts_strong": balance.strong.tolist(),
            "class_counts_balanced": balance.kept.tolist(),
        }

    counts = np.bincount(examined[1], minlength=classes)
    real = as_many_real(*for_vae, counts, arguments.seed)
    nats = cli.beside(training.negative_elbo, vae, data.x_test)
    verdict = cli.beside(labels_by, referee, images)
    real_verdict = cli.beside(labels_by, referee, data.x_test)
    accuracies = cli.beside(usefulness, examined, real, data, arguments.seed)

    with stage("waiting for the VAE's test and the referee", seconds):
        verdict, real_verdict = verdict.result(), real_verdict.result()
        real_strong_labels = test_labels[real_strong]
        evidence |= {
            "vae_test_negative_elbo": nats.result(),
            "referee_test_accuracy": np.mean(real_verdict == data.y_test),
            "agreement": evaluation.agreement(labels, verdict),
            "strong_agreement": evaluation.agreement(labels[strong], verdict[strong]),
            "weak_agreement": evaluation.agreement(labels[weak], verdict[weak]),
            "real_agreement": evaluation.agreement(test_labels, real_verdict),
            "real_strong_agreement": evaluation.agreement(
                real_strong_labels, real_verdict[real_strong]
            ),
            "generated_ece": evaluation.expected_calibration_error(calibrated, verdict),
        }

    with stage("searching for copies", seconds):
        found = evaluation.closest_training_images(examined[0], for_vae[0])
        real_found = evaluation.closest_training_images(data.x_test, for_vae[0])
        answers, copies = compare_with_training(
            examined, found, (data.x_test, test_labels), real_found, for_vae[0]
        )
        evidence |= answers

    with stage("drawing", seconds):
        names = data.class_names
        hesitant = np.flatnonzero(weak)[np.argsort(confidence[weak], kind="stable")]
        pair, share = selection.hesitation(calibrated[hesitant])
        panels = [
            ("real test images, raw softmax", test_raw, data.y_test),
            ("real test images, calibrated", test_calibrated, data.y_test),
            ("generated against referee, raw softmax", raw, verdict),
            ("generated against referee, calibrated", calibrated, verdict),
        ]
        panels = [
            (title, evaluation.reliability(p.max(axis=1), p.argmax(axis=1) == truth))
            for title, p, truth in panels
        ]
        drawings = {
            "diagram": [figures.draw_diagram],
            "dnn-vae-strong": [
                figures.draw_strong,
                *(images[strong], labels[strong], confidence[strong]),
                *(names, arguments.threshold),
            ],
            "dnn-vae-weak": [
                figures.draw_weak,
                *(images[hesitant], pair[:, 0], share[:, 0], pair[:, 1], share[:, 1]),
                *(names, selection.WEAK),
            ],
            "pred-dist": [
                figures.draw_confidence,
                *(confidence, test_confidence, arguments.threshold, selection.WEAK),
            ],
            "calibration": [figures.draw_calibration, panels],
            "class-balance": [
                figures.draw_class_balance,
                *(balance.generated, balance.strong, balance.kept, names),
            ],
            "copies": [figures.draw_copies, *copies],
        }
        draw_figures(arguments.out, drawings)

    with stage("waiting for the training on accepted and on real images", seconds):
        evidence["usefulness_accuracy"], evidence["real_usefulness_accuracy"] = accuracies.result()

    seconds["total"] = time.perf_counter() - started
    print_evidence(evidence, names, arguments.threshold)
    print_shortfall(balance.shortfall, evidence, names, arguments.per_class)
    print("\nstage, seconds")
    for name, spent in seconds.items():
        print(f"{name:48}{spent:12.1f}")
    memory = cli.peak_memory()
    print(f"{'peak memory, GB':48}{memory:12.2f}")
    if arguments.report:
        resources = {"seconds": seconds, "peak_memory_gb": memory}
        outputs.write_json(arguments.report, evidence | resources)
    print(f"\nThe figures are in {arguments.out}")


def median(values):
    return np.median(values) if len(values) else float("nan")


if __name__ == "__main__":
    cli.run(main)
