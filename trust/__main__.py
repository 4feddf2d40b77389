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
    read: list[str] = []
    given = read_given(options.file, data, read)
    print(describe(given, read))
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.finish import finish
        from trust.show import pages
        from trust.submission import examine_submitted

    run, notes = examine_submitted(given, plan, clock)
    finish(run, plan, clock, figures=pages.SUBMITTED, notes=[*read, *notes])


if __name__ == "__main__":
    cli.run(main)
