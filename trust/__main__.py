"""Examine the images that any generator made, beside real ones: are they right, balanced, varied,
new and useful?

python -m trust images.npz --dataset mnist
"""

from functools import partial

import numpy as np

from trust import audit, cli, datasets, outputs, outside, report, saving


def parse_options(words=None):
    """The parsed flags.  words: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        prog="python -m trust",
        description="Examine the images that any generator made, beside real ones: are they right, "
        "balanced, varied, new and useful?",
    )
    add = parser.add_argument
    what = "an .npz with images, 0 to 255 or 0 to 1, and labels if any; or a folder of pictures"
    add("file", metavar="FILE", type=cli.path, help=what)
    like = "real images to compare with: mnist, fashion_mnist, or a file or folder"
    add("--dataset", metavar="NAME", type=cli.path, required=True, help=like)
    add = parser.add_mutually_exclusive_group().add_argument
    sure = "examine images whose confidence is at least X; all if left out"
    add("--threshold", metavar="X", type=cli.fraction, help=sure)
    wrong = "or choose the threshold so that at most this share of real images is wrong; "
    wrong += "0.01 is 1 %%"
    add("--max-error", metavar="X", type=cli.share, help=wrong)
    add = parser.add_argument
    add("--seed", metavar="N", type=cli.seed, default=0, help="same seed, same result")
    where = "folder for the figures; no figures if left out"
    add("--out", metavar="DIR", type=cli.path, help=where)
    add("--report", metavar="FILE", type=cli.path, help="write all printed numbers, as JSON")
    add("--scores", metavar="FILE", type=cli.path, help="write a line for each image, as CSV")
    eye = "write a sheet of N images into --out, for a person to label"
    add("--audit", metavar="N", type=cli.sheet_size, help=eye)
    options = parser.parse_args(words)
    if options.audit and not options.out:
        parser.error("--audit needs --out, a folder for the sheet")
    return options


def main(words=None):
    """Runs the script.  words: the flags as a list, or None for those of the command line."""
    options = parse_options(words)
    out = options.out
    inputs = [options.file, options.dataset if options.dataset not in datasets.BUNDLED else None]
    files = options.report, options.scores
    files += audit.claim(out) if options.audit else ()
    outputs.check_outputs(out, files, inputs)
    data = datasets.load_dataset(options.dataset)
    datasets.check_enough(data, minimum=1000)
    datasets.check_classes(data)
    print(data.understood)
    given = outside.read_given(options.file, data)
    print(outside.describe(given))
    clock, threshold = cli.Clock(), options.threshold
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import control, examination, gallery, promise, selection, trained, training
    devices = training.devices()
    print(f"devices: {devices}")
    settings = saving.settle({"seed": options.seed}, data)
    streams = training.make_reproducible(settings.seed)
    split, promised = datasets.split(data, "shared", streams.split), None
    if options.max_error:
        promise.check_possible(options.max_error, len(split.held_out.labels) // 2)

    referee = trained.new_referee(data)
    if not data.bundled:
        trained.train_referee(referee, data, settings.seed, clock)
    classify, named = [None, None, None], given.labels is None
    if named or threshold or options.max_error or options.scores:
        with clock("training the classifier"):
            classifier = training.new_classifier(data.classes, data.pixels)
            training.train_classifier(classifier, *split.classifier, settings.seed)
            # Without a VAE there are no reconstructions to calibrate on: real images are used.
            labelled = classifier, split.held_out, split.held_out.images
            if options.max_error:
                how = options.max_error, streams.promise
                accept, promised = promise.fit_promise(*labelled, *how)
                threshold = accept.threshold
            else:
                accept = selection.fit_filter(*labelled, threshold or 0.0)
            sets = given.images, split.held_out.images, data.test.images
            classify = [accept.classify(images) for images in sets]
    truth = None if named else split.held_out.labels, None if named else data.test.labels
    chosen = outside.choose(*given, classify[0], threshold)
    real = outside.choose(split.held_out.images, truth[0], classify[1], threshold)
    tested = outside.choose(data.test.images, truth[1], classify[2], threshold)

    with clock("examining"):
        reference = examination.build_reference(
            split.vae, data.test, data.test, referee, settings.seed
        )
        how = streams.controls, partial(print, flush=True)
        answers, reference = control.examine_given(chosen, real, tested, split, reference, *how)
    sets, examined, names = answers.sets, answers.examined, data.class_names
    if promised:
        tested, truth = classify[2], data.test.labels
        known = examination.Known(tested.labels, reference.judged.labels, truth)
        words = chosen.labels, examined.judged.labels
        sets |= control.examine_promise(promised, tested, known, *words)
    if out:
        with clock("drawing"):
            draw = partial(outputs.draw, out, dataset=data.name)
            gallery.draw_given(draw, names, chosen, examined.judged)
            gallery.draw_new(draw, names, chosen.images, answers.neighbours, reference)

    agreed = control.agreement_by_class(chosen, examined, data.classes)
    counts = {"accepted": np.bincount(chosen.labels, minlength=data.classes)}
    agreed |= promised.by_class(data.classes) if promised else {}
    values = report.origin(settings, vars(options) | {"threshold": threshold}, devices)
    notes = ["none of your images passes the filter"] if not len(chosen.labels) else []
    if promised:
        notes.append("the promise stands on real images: yours may be harder to classify")
    values |= {"verdicts": answers.verdicts, "notes": notes, "sets": sets, "run": {}}
    values |= {"classes": report.by_class(names, counts | agreed), **clock.resources()}
    if options.scores:
        where = np.concatenate([split.vae_rows, np.arange(len(data.test.labels))])
        known = examined.of_each_image(where, reference.unseen)
        outputs.write_table(options.scores, outside.scores(chosen, classify[0], known, names))
    if options.report:
        outputs.write_json(options.report, values)
    last = f"The figures are in {out}" if out else ""
    if options.audit:
        words, how = examined.judged.labels, (options.audit, options.max_error)
        said = gallery.hand_out_sheet(draw, out, chosen, words, data, *how, streams.audit)
        last = f"{said}\n{last}"
    report.print_report(values)
    if last:
        print(f"\n{last}")


if __name__ == "__main__":
    cli.run(main)
