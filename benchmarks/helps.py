"""Do generated images help a classifier that has few real ones?  Our own generator, trained on so
many training images alone.

python -m benchmarks.helps --dataset fashion_mnist

A classifier learns from the real images that the generator has learned from, with as many accepted
images, and alone.  As many other real images instead show what more data could have brought.
"""

from functools import partial

from trust import cli, outputs
from trust.data import datasets, splits
from trust.plan import new_streams
from trust.train import saves

SIZES = 1000, 3000, 10_000
THRESHOLD, DRAWS = 0.95, 50  # draws at most for each image to accept: as in the main script


def parse_arguments():
    parser = cli.Parser(description="Do generated images help a classifier with few real ones?")
    add = parser.add_argument
    bundled = list(datasets.BUNDLED)
    add("--dataset", choices=bundled, default="mnist", help="a data set with a bundled referee")
    sizes = "training images that there are, a sixth of which is held out"
    add("--sizes", metavar="N", type=cli.positive_int, nargs="+", default=SIZES, help=sizes)
    add("--epochs", metavar="N", type=cli.positive_int, help="of the VAE")
    add("--seed", metavar="N", type=cli.seed, default=0)
    add("--report", metavar="FILE", type=cli.path, help="the numbers as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data, found = datasets.load_dataset(given.dataset), []
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust.train import loops
    for n in given.sizes:
        if n >= len(data.train):
            raise cli.UserError(f"--sizes {n}: fewer than {len(data.train):,} are needed")
        loops.make_reproducible(given.seed)
        found.append({"n": n, **helped(data, n, vars(given), clock)})
        print("  ".join(f"{key} {value:.4g}" for key, value in found[-1].items()), flush=True)
    if given.report:
        outputs.write_json(given.report, found)


def helped(data: datasets.Dataset, n: int, options: dict, clock: cli.Clock) -> dict:
    """{key: number} of n random training images: what helps.compare() says of accepted images, and
    under others_KEY of as many other real images, which are drawn from the rest."""
    from trust.ask import helps
    from trust.ask.reference import build_reference
    from trust.filter import filters, quotas
    from trust.generator import Generator
    from trust.train import trained

    streams = new_streams(options["seed"])
    order = streams.controls.permutation(len(data.train))
    cut = data._replace(train=data.train.take(order[:n]))
    settings = saves.settle(options, cut)
    split = splits.split(cut, settings.split, streams.split)
    nets = trained.train(settings, cut, split, clock, rng=streams.mixture)
    generator, held_out, wanted = Generator(nets.vae, nets.mixture), split.held_out, len(split.vae)
    with clock("generating and filtering"):
        blurred = generator.reconstruct(held_out.images, streams.draws)
        accept = filters.fit_filter(nets.classifier, held_out, blurred, THRESHOLD)
        accepted = filters.generate(
            partial(generator.sample, rng=streams.draws),
            accept,
            quotas.ClassQuota(-(-wanted // data.classes), data.classes),
            max_draws=DRAWS * wanted,
            progress=lambda: None,
        ).passing
        others = data.train.take(order[n:][: len(accepted)])
    with clock("do they help?"):
        reference = build_reference(
            split.vae, held_out, data.test, referee=nets.referee, seed=options["seed"]
        )
        sets = {"": accepted, "others_": others}
        found = helps.compare(
            {name: (each.images, each.labels) for name, each in sets.items()},
            split.vae,
            reference,
            streams.chance,
        )
    return {f"{name}{key}": value for name, own in found.items() for key, value in own.items()}


if __name__ == "__main__":
    cli.run(main)
