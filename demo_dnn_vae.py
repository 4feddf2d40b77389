"""Train a dense classifier and a VAE, generate images, keep those that the classifier is sure of,
and examine whether they are right, balanced, varied, new and useful.

python demo_dnn_vae.py
"""

from functools import partial

import numpy as np

from trust import audit, cli, datasets, outputs, report, saving


def parse_options(words=None):
    """The parsed flags.  words: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        description="Generate images with a VAE, keep those that a classifier is sure of, and "
        "examine whether they are right, balanced, varied, new and useful."
    )
    told = saving.DEFAULTS | {"out": "imgs for mnist, imgs/NAME for other data"}
    cli.add_shared_arguments(parser, told, dataset="mnist")
    add = parser.add_argument
    halves = "train VAE and classifier on the same images, or on disjoint halves "
    halves += f"(default: {saving.DEFAULTS['split']})"
    add("--split", choices=saving.SPLITS, help=halves)
    drawn = "draw latents from a mixture fitted to the codes, or from N(0, I)"
    add("--prior", choices=["mixture", "normal"], default="mixture", help=drawn)
    add = parser.add_mutually_exclusive_group().add_argument
    add(
        "--threshold",
        metavar="X",
        type=cli.fraction,
        default=0.95,
        help="keep images whose confidence is at least X",
    )
    wrong = "or keep as many as possible, with at most this share wrong; 0.01 is 1 %%"
    add("--max-error", metavar="X", type=cli.share, help=wrong)
    add = parser.add_argument
    raw = "divide the logits by X; fitted if left out"
    add("--temperature", metavar="X", type=cli.positive_float, help=raw)
    add(
        "--per-class",
        metavar="N",
        type=cli.positive_int,
        default=1000,
        help="images to accept of each class",
    )
    most = "draw at most N images; if left out, 50 for each image to accept"
    add("--max-draws", metavar="N", type=cli.positive_int, help=most)
    softer = "for the question useful, train the classifier on probabilities, not labels"
    add("--soft-labels", action="store_true", help=softer)
    add("--report", metavar="FILE", type=cli.path, help="write all printed numbers, as JSON")
    add("--save-images", metavar="FILE", type=cli.path, help="write the accepted images, as .npz")
    eye = "write a sheet of N accepted images for a person to label"
    add("--audit", metavar="N", type=cli.sheet_size, help=eye)
    add = parser.add_mutually_exclusive_group().add_argument
    add("--save", metavar="FILE", type=cli.path, help="write the trained models, as .npz")
    add("--load", metavar="FILE", type=cli.path, help="use models that --save wrote; train none")
    return parser.parse_args(words)


def check_before_training(options, data, out):
    """Returns the saving.Settings of the models, and the saving.Saved that --load names, or None.

    data: a Dataset.  out: the folder of the figures.
    Raises UserError now rather than after minutes of training.
    """
    datasets.check_enough(data, minimum=1000)
    datasets.check_classes(data)
    files = options.report, options.save_images, options.save
    files += audit.claim(out) if options.audit else ()
    outputs.check_outputs(out, files, [data.path, options.load])
    saved = saving.read_save(options.load) if options.load else None
    trained = saved.settings if saved else None
    settings = saving.settle(vars(options), data, trained, options.load)
    if options.save and (warning := saving.check_save(options.save, settings)):
        print(warning)
    return settings, saved


def main(words=None):
    """Runs the script.  words: the flags as a list, or None for those of the command line."""
    options = parse_options(words)
    data = datasets.load_dataset(options.dataset)
    out = options.out or ("imgs" if data.bundled and data.name == "mnist" else f"imgs/{data.name}")
    settings, saved = check_before_training(options, data, out)
    print(data.understood)
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import (
            control,
            examination,
            gallery,
            priors,
            promise,
            selection,
            trained,
            training,
        )
        from trust.generator import Generator
    devices = training.devices()
    print(f"devices: {devices}")
    streams = training.make_reproducible(settings.seed)
    rng, split = streams.draws, datasets.split(data, settings.split, streams.split)
    if options.max_error:
        promise.check_possible(options.max_error, len(split.held_out.labels) // 2)

    if saved:
        networks = trained.load(saved, data, split, clock)
    else:
        networks = trained.train(data, split, settings, options.save, clock, streams.mixture)
    vae, mixture = networks.vae, networks.mixture
    latents = {"mixture": mixture, "normal": priors.StandardNormal(settings.latent_dim)}
    generator = Generator(vae, latents.pop(options.prior))
    ((other_name, other_prior),) = latents.items()

    with clock("calibrating"):
        blurred = generator.reconstruct(split.held_out.images, rng)
        labelled = networks.classifier, split.held_out, blurred
        if options.max_error:
            how = options.max_error, streams.promise, options.temperature
            accept, promised = promise.fit_promise(*labelled, *how)
        else:
            promised = None
            accept = selection.fit_filter(*labelled, options.threshold, options.temperature)
    with clock("generating and filtering"):
        quota = selection.ClassQuota(options.per_class, data.classes)
        most = options.max_draws or 50 * options.per_class * data.classes

        def say():
            print(quota.progress(data.class_names), flush=True)

        chosen = selection.generate(partial(generator.sample, rng=rng), accept, quota, most, say)
        other = Generator(vae, other_prior)
        controls = control.draw_controls(
            generator, other, accept, split, data.test, streams.controls
        )
    with clock("examining"):
        reference = examination.build_reference(
            split.vae, split.held_out, data.test, networks.referee, settings.seed
        )
        how = options.soft_labels, streams.chance, partial(print, flush=True)
        answers = control.examine_all(chosen, controls, split.held_out, reference, accept, *how)
        sets = answers.sets
        run = trained.describe(
            networks,
            data.test,
            controls.test.labels,
            reference.judged.labels,
            streams.elbo,
        )
        run[f"strong_rate_{options.prior}"] = sets["generated"]["right"]["strong_rate"]
        run[f"strong_rate_{other_name}"] = sets["other_prior"]["right"]["strong_rate"]
        run |= {name: getattr(accept, name) for name in report.TEMPERATURES}
        if promised:
            strong, known = chosen.sample.rows(accept.threshold), answers.reconstructed
            words = chosen.sample.labels[strong], answers.sample_labels[strong]
            sets |= control.examine_promise(promised, controls.reconstructed, known, *words)
        report.check(sets, run)
    with clock("drawing"):
        draw, names = partial(outputs.draw, out, dataset=data.name), data.class_names
        gallery.draw_filter(draw, names, accept.threshold, chosen, controls, sets)
        words = answers.sample_labels
        truth = data.test.labels
        gallery.draw_calibration(draw, chosen.sample, words, controls, truth, accept)
        known = answers.neighbours, reference, gallery.PRIORS[other_name]
        gallery.draw_new(draw, names, chosen.accepted.images, *known)
        limits = accept.threshold, options.max_error
        gallery.draw_risk(draw, names, chosen.sample, words, controls, truth, *limits)
        images = {options.prior: chosen.sample.images, other_name: controls.other_prior.images}
        gallery.draw_priors(draw, vae, mixture, split.vae, images, run, streams.figures)

    counts = {"generated": quota.generated, "strong": quota.strong, "accepted": quota.kept}
    agreed = control.agreement_by_class(chosen.accepted, answers.examined, data.classes)
    agreed |= promised.by_class(data.classes) if promised else {}
    classes = report.by_class(data.class_names, counts | agreed)
    used = {"out": out, "threshold": accept.threshold}
    values = report.origin(settings, vars(options) | used, devices)
    notes = trained.warn(vae, run, data, accept.temperature, len(chosen.accepted.labels))
    notes += control.warn_unlike(sets["generated"]["right"])
    values |= {"verdicts": answers.verdicts, "notes": notes, "sets": sets, "classes": classes}
    values |= {"run": run}
    values |= clock.resources()
    if options.save_images:
        rows = np.concatenate([split.vae_rows, split.held_out_rows])
        known = answers.examined.of_each_image(rows, reference.unseen)
        kept = chosen.accepted._asdict() | known
        del kept["logits"]
        outputs.write_arrays(options.save_images, **kept)
    if options.report:
        outputs.write_json(options.report, values)
    last = f"The figures are in {out}"
    if options.audit:
        words, how = answers.examined.judged.labels, (options.audit, options.max_error)
        said = gallery.hand_out_sheet(draw, out, chosen.accepted, words, data, *how, streams.audit)
        last = f"{said}\n{last}"
    report.print_report(values)
    print(f"\n{last}")


if __name__ == "__main__":
    cli.run(main)
