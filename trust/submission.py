"""The examination of images that other generators made: from what was read to a Run."""

from trust.ask.reference import build_reference
from trust.cli import Clock
from trust.controls import beside_several
from trust.data.images import ImageSet
from trust.examination import Run, examine
from trust.filter.filters import Filter, fit_filter, fit_promise, sift_labelled
from trust.plan import Plan
from trust.train import loops, saves, trained

# With one of these the classifier is asked of each image.
WITH_CLASSIFIER = ("threshold", "max_error", "scores", "save_images")


def examine_submitted(given: dict[str, ImageSet], plan: Plan, clock: Clock) -> Run:
    """The Run of sets of images.  given: {name: images and their labels}, or None for the labels of
    all sets, where the classifier is to name them.  What the plan asks for is trained, and kept."""
    data, split, seed, options = plan.data, plan.split, plan.settings.seed, plan.options
    clock.say(f"devices: {loops.devices()}")
    loops.make_reproducible(seed)
    networks = {"referee": trained.referee_of(data, plan.saved, seed, clock)}
    labelled = all(images.labels is not None for images in given.values())
    accept = None
    asked = not labelled or any(options.get(name) for name in WITH_CLASSIFIER)
    if asked or options.get("save"):
        networks["classifier"] = trained.classifier_of(data, split, plan.saved, seed, clock)
    if asked:  # a classifier that is only kept changes no answer
        accept = filter_of(networks["classifier"], plan)
    if path := options.get("save"):
        saves.save_models(path, plan.settings, networks)
    subjects = {name: sift_labelled(images, accept) for name, images in given.items()}
    beside = beside_several(subjects, accept, split, labelled=labelled, rng=plan.streams.controls)
    with clock("examining"):
        reference = build_reference(
            seen=split.vae,
            unseen=split.test,
            test=split.test,
            referee=networks["referee"],
            seed=seed,
            like_seen=beside.like_seen,
        )
        return examine(subjects, beside, reference, plan.streams.controls, say=clock.say)


def filter_of(classifier, plan: Plan) -> Filter:
    """The Filter that the plan asks for.  Without a VAE there are no reconstructions to calibrate
    on: real images are used."""
    held_out, options = plan.split.held_out, plan.options
    if most := options.get("max_error"):
        rng = plan.streams.promise
        return fit_promise(classifier, held_out, held_out.images, max_error=most, rng=rng)
    return fit_filter(classifier, held_out, held_out.images, options.get("threshold") or 0.0)
