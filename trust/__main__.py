"""Examine the images that any generator made, beside real ones: are they right, realistic,
balanced, varied, new and useful?

python -m trust images.npz --dataset mnist
"""

from trust import cli
from trust.data.datasets import load_dataset
from trust.data.submitted import describe, read_given
from trust.plan import settle


def parse_options(flags=None):
    """The parsed flags.  flags: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        prog="python -m trust",
        description="Examine the images that any generator made, beside real ones: are they right, "
        "realistic, balanced, varied, new and useful?",
    )
    add = parser.add_argument
    what = "an .npz with images, 0 to 255 or 0 to 1, and labels if any, an .npy of images, or a "
    what += "folder of pictures"
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
    cli.add_endings(parser)
    eye = "write a sheet of N images into --out, for a person to label"
    add("--audit", metavar="N", type=cli.sheet_size, help=eye)
    options = parser.parse_args(flags)
    if options.audit and not options.out:
        parser.error("--audit needs --out, a folder for the sheet")
    return options


def main(flags=None):
    """Runs the script.  flags: a list of them, or None for those of the command line."""
    options = parse_options(flags)
    data = load_dataset(options.dataset)
    plan = settle(vars(options), data, options.out)
    split, seed = plan.split, plan.settings.seed
    read: list[str] = []
    given = read_given(options.file, data, read)
    print(describe(given, read))
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.ask.reference import build_reference
        from trust.controls import beside_submitted
        from trust.examination import examine
        from trust.filter.filters import fit_filter, fit_promise, sift_labelled
        from trust.finish import finish
        from trust.show import pages
        from trust.train import loops, trained

    print(f"devices: {loops.devices()}")
    loops.make_reproducible(seed)
    referee = trained.new_referee(data)
    if not data.bundled:
        trained.train_referee(referee, data, seed, clock)
    accept, labelled, held_out = None, given.labels is not None, split.held_out
    each = options.scores or options.save_images  # for which the classifier is asked of each image
    if options.threshold or options.max_error or each or not labelled:
        with clock("training the classifier"):
            classifier = trained.new_classifier(data, split, seed)
            # Without a VAE there are no reconstructions to calibrate on: real images are used.
            if most := options.max_error:
                rng = plan.streams.promise
                accept = fit_promise(classifier, held_out, held_out.images, max_error=most, rng=rng)
            else:
                threshold = options.threshold or 0.0
                accept = fit_filter(classifier, held_out, held_out.images, threshold)
    yours = sift_labelled(given, accept)
    beside = beside_submitted(yours, accept, split, labelled=labelled, rng=plan.streams.controls)

    with clock("examining"):
        reference = build_reference(
            seen=split.vae,
            unseen=split.test,
            test=split.test,
            referee=referee,
            seed=seed,
            like_seen=beside.like_seen,
        )
        run = examine({"yours": yours}, beside, reference, plan.streams.controls)
    finish(run, plan, clock, figures=pages.SUBMITTED, notes=read)


if __name__ == "__main__":
    cli.run(main)
