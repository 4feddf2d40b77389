"""Examine the images that any generator made, beside real ones: are they right, realistic,
balanced, varied, new and useful?

python -m trust images.npz --dataset mnist
python -m trust one.npz two.npz three --dataset mnist     (several sets, side by side)
"""

from trust import cli
from trust.data.datasets import load_dataset
from trust.data.submitted import describe, names_of, read_all
from trust.plan import settle
from trust.train import saves


def parse_options(flags=None):
    """The parsed flags.  flags: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        prog="python -m trust",
        description="Examine the images that any generator made, beside real ones: are they right, "
        "realistic, balanced, varied, new and useful?",
    )
    add = parser.add_argument
    what = "an .npz with images, 0 to 255 or 0 to 1, and labels if any, an .npy of images, or a "
    what += "folder of pictures; several are examined side by side"
    add("file", metavar="FILE", type=cli.path, nargs="+", help=what)
    like = "real images to compare with: mnist, fashion_mnist, or a file or folder"
    add("--dataset", metavar="NAME", type=cli.path, required=True, help=like)
    add = parser.add_mutually_exclusive_group().add_argument
    sure = "examine images whose confidence is at least X; all if left out"
    add("--threshold", metavar="X", type=cli.fraction, help=sure)
    wrong = "or choose the threshold so that at most this share of real images is wrong; "
    wrong += "0.01 is 1 %%"
    add("--max-error", metavar="X", type=cli.share, help=wrong)
    add = parser.add_argument
    same = f"same seed, same result (default: {saves.DEFAULTS['seed']})"
    add("--seed", metavar="N", type=cli.seed, help=same)
    where = "folder for the figures; no figures if left out"
    add("--out", metavar="DIR", type=cli.path, help=where)
    add("--report", metavar="FILE", type=cli.path, help="write all printed numbers, as JSON")
    cli.add_endings(parser)
    eye = "write a sheet of N images into --out, for a person to label"
    add("--audit", metavar="N", type=cli.sheet_size, help=eye)
    add = parser.add_mutually_exclusive_group().add_argument
    trained = "write the networks that were trained, as .npz, or use those that --save wrote"
    add("--save", metavar="FILE", type=cli.path, help=trained.partition(", or")[0])
    add("--load", metavar="FILE", type=cli.path, help=trained.partition(", or ")[2])
    options = parser.parse_args(flags)
    if options.audit and not options.out:
        parser.error("--audit needs --out, a folder for the sheet")
    if options.audit and len(options.file) > 1:
        parser.error("--audit takes one set of images: ask about each of several in turn")
    return options


def main(flags=None):
    """Runs the script.  flags: a list of them, or None for those of the command line."""
    options = parse_options(flags)
    data = load_dataset(options.dataset)
    paths, several = options.file, len(options.file) > 1
    plan = settle(
        vars(options) | {"file": paths if several else paths[0]},
        data,
        options.out,
        names=names_of(paths) if several else (),
    )
    read: list[str] = []
    given = read_all(paths, data, read)
    print(describe(given, read))
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.finish import finish
        from trust.show import pages
        from trust.submission import examine_submitted

    run = examine_submitted(given, plan, clock)
    finish(run, plan, clock, figures=pages.SUBMITTED, notes=read)


if __name__ == "__main__":
    cli.run(main)
