"""The examination of images that another generator made: from what was read to a Run."""

from trust.ask.reference import build_reference
from trust.cli import Clock
from trust.controls import beside_submitted
from trust.data.images import ImageSet
from trust.examination import Run, examine
from trust.filter.filters import fit_filter, fit_promise, sift_labelled
from trust.plan import Plan
from trust.train import loops, trained


def examine_submitted(given: ImageSet, plan: Plan, clock: Clock) -> Run:
    """The Run of these images, the subject "yours".  given: images and their labels, or None for
    the labels where the classifier is to name them.  What the plan asks for is trained."""
    data, split, seed, options = plan.data, plan.split, plan.settings.seed, plan.options
    clock.say(f"devices: {loops.devices()}")
    loops.make_reproducible(seed)
    referee = trained.new_referee(data)
    if not data.bundled:
        trained.train_referee(referee, data, seed, clock)
    accept, labelled, held_out = None, given.labels is not None, split.held_out
    # For the last two the classifier is asked of each image.
    wanted = ("threshold", "max_error", "scores", "save_images")
    if not labelled or any(options.get(name) for name in wanted):
        with clock("training the classifier"):
            classifier = trained.new_classifier(data, split, seed)
            # Without a VAE there are no reconstructions to calibrate on: real images are used.
            if most := options.get("max_error"):
                rng = plan.streams.promise
                accept = fit_promise(classifier, held_out, held_out.images, max_error=most, rng=rng)
            else:
                threshold = options.get("threshold") or 0.0
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
        return examine({"yours": yours}, beside, reference, plan.streams.controls, say=clock.say)
