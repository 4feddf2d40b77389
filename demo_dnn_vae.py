"""Train a dense classifier and a VAE, generate images, keep those that the classifier is sure of,
and examine whether they are right, realistic, balanced, varied, new and useful.

python demo_dnn_vae.py
"""

from dataclasses import replace
from functools import partial

from trust import cli
from trust.data.datasets import load_dataset
from trust.plan import settle
from trust.train import saves

DRAWS = 50  # at most, for each image to accept


def parse_options(flags=None):
    """The parsed flags.  flags: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        description="Generate images with a VAE, keep those that a classifier is sure of, and "
        "examine whether they are right, realistic, balanced, varied, new and useful."
    )
    later = saves.DEFAULTS | {"out": "imgs for mnist, imgs/NAME for other data"}
    cli.add_shared_arguments(parser, later, dataset="mnist")
    add = parser.add_argument
    halves = "train VAE and classifier on the same images, or on disjoint halves "
    halves += f"(default: {saves.DEFAULTS['split']})"
    add("--split", choices=saves.SPLITS, help=halves)
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
    wrong = "or keep as many as possible, so that at most this share of the reconstructions that "
    wrong += "pass is wrong; 0.01 is 1 %%"
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
    limit = f"draw at most N images; if left out, {DRAWS} for each image to accept"
    add("--max-draws", metavar="N", type=cli.positive_int, help=limit)
    softer = "for the question useful, train the classifier on probabilities, not labels"
    add("--soft-labels", action="store_true", help=softer)
    add("--report", metavar="FILE", type=cli.path, help="write all printed numbers, as JSON")
    cli.add_endings(parser)
    eye = "write a sheet of N accepted images for a person to label"
    add("--audit", metavar="N", type=cli.sheet_size, help=eye)
    add = parser.add_mutually_exclusive_group().add_argument
    add("--save", metavar="FILE", type=cli.path, help="write the trained models, as .npz")
    add("--load", metavar="FILE", type=cli.path, help="use models that --save wrote; train none")
    return parser.parse_args(flags)


def main(flags=None):
    """Runs the script.  flags: a list of them, or None for those of the command line."""
    options = parse_options(flags)
    data = load_dataset(options.dataset)
    out = options.out or ("imgs" if data.bundled and data.name == "mnist" else f"imgs/{data.name}")
    plan = settle(vars(options), data, out)
    settings, split, streams = plan.settings, plan.split, plan.streams
    clock = cli.Clock()
    with clock("importing TensorFlow"), cli.quiet_tensorflow():
        from trust import controls, examination, finish
        from trust.ask import networks, reference
        from trust.filter import filters, quotas
        from trust.generator import generators
        from trust.show import pages
        from trust.train import loops, trained
    print(f"devices: {loops.devices()}")
    loops.make_reproducible(settings.seed)
    if plan.saved:
        nets = trained.load(plan.saved, data, split, clock)
    else:
        nets = trained.train(settings, data, split, clock, rng=streams.mixture, save=options.save)
    generator, other = generators(nets.vae, nets.mixture, options.prior)
    with clock("calibrating"):
        held_out, raw = split.held_out, options.temperature
        blurred = generator.reconstruct(held_out.images, streams.draws)
        if options.max_error:
            accept = filters.fit_promise(
                nets.classifier,
                held_out,
                blurred,
                max_error=options.max_error,
                rng=streams.promise,
                temperature=raw,
            )
        else:
            accept = filters.fit_filter(
                nets.classifier, held_out, blurred, threshold=options.threshold, temperature=raw
            )
    with clock("generating and filtering"):
        quota = quotas.ClassQuota(options.per_class, data.classes)
        accepted = filters.generate(
            partial(generator.sample, rng=streams.draws),
            accept,
            quota,
            max_draws=options.max_draws or DRAWS * options.per_class * data.classes,
            progress=lambda: print(quota.progress(data.class_names), flush=True),
        )
        if not accept.promise:  # which is checked on all that were drawn
            accepted = controls.few_drawn(accepted)
        beside = controls.beside_generated(
            accepted, generator, other, accept, split=split, streams=streams
        )
    with clock("examining"):
        real = reference.build_reference(
            split.vae, split.held_out, split.test, referee=nets.referee, seed=settings.seed
        )
        beside = replace(beside, soft_labels=options.soft_labels)
        run = examination.examine({"generated": accepted}, beside, real, streams.chance)
        numbers = networks.ask(nets, beside, real, streams.elbo)
        notes = networks.doubts(nets, numbers, data)
    finish.finish(run, plan, clock, figures=pages.GENERATED, networks=numbers, notes=notes)


if __name__ == "__main__":
    cli.run(main)
