"""The numbers of a report: the title of each, the question it answers, its key, its format."""

import math
from typing import NamedTuple

from trust.ask.blur import SHARPER_Z
from trust.ask.verdicts import CAUGHT

PERCENT, PLAIN, TWO_DIGITS, COUNT = "{:.2f} %", "{:.4f}", "{:.2f}", "{:,.0f}"
EXACT = "{:.9g}"
SHORT = {PERCENT: "{:g} %", PLAIN: "{:g}", COUNT: COUNT}  # the same for a bound
COLUMNS = ("generated", "real", "reconstructed", "other_prior")  # sets with a column
YOURS = ("yours", "real")  # the same for images that another generator made
REAL = {  # which images these are
    COLUMNS: "real: test images in new and right (but for what passes), held-out images elsewhere",
    YOURS: "real: test images in right, training images in new, held-out images elsewhere",
}


class Row(NamedTuple):
    """The title of a number, the question it answers, its key there, and its format.  An arrow in
    the title says which direction is good."""

    title: str
    question: str
    key: str
    form: str


# Of each set; a set that was not examined for a question has no number there.
ROWS = [
    Row("pass the filter (strong)", "right", "strong_rate", PERCENT),
    Row("below 50 % (weak)", "right", "weak_rate", PERCENT),
    Row("accepted images examined", "right", "images", COUNT),
    Row("referee agrees with accepted images ↑", "right", "agreement", PERCENT),
    Row("... in the worst class ↑", "right", "worst_class_agreement", PERCENT),
    Row("referee's own confidence in them ↑", "right", "referee_confidence", PERCENT),
    Row("mean confidence of accepted images", "right", "mean_confidence", PERCENT),
    Row("accepted images right by their true labels ↑", "right", "true_agreement", PERCENT),
    Row("estimated error of accepted images ↓", "right", "error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "error_low", PERCENT),
    Row("... to", "right", "error_high", PERCENT),
    Row("... if mistakes are shared with the referee", "right", "error_if_shared", PERCENT),
    Row("... with the classes as real images pass", "right", "error_real_classes", PERCENT),
    Row("... of that, errors that the referee misses", "right", "missed", PERCENT),
    Row("... taken off: false alarms of the referee", "right", "false_alarms", PERCENT),
    Row("... more than chance from", "right", "worse_from", PERCENT),
    Row("... an error higher by this would have shown", "right", "detectable", PERCENT),
    Row("... labels like the referee's would hide", "right", "hidden", PERCENT),
    Row("... images unlike real ones would hide", "right", "unlike", PERCENT),
    Row("near copies among the known images", "right", "near_copies", PERCENT),
    Row("referee agrees with all images ↑", "right", "all_agreement", PERCENT),
    Row("referee agrees with weak images", "right", "weak_agreement", PERCENT),
    Row("calibration error, by the referee ↓", "right", "ece", PLAIN),
    Row("... by chance alone, mean", "right", "ece_floor", PLAIN),
    Row("... by chance alone, 95 % point", "right", "ece_floor_95", PLAIN),
    Row("... by true labels ↓", "right", "ece_true_labels", PLAIN),
    Row("... with the temperature of real images ↓", "right", "ece_real_temperature", PLAIN),
    Row("confidence minus accuracy, all images", "right", "confidence_gap", PLAIN),
    Row("told from real images by a network ↓", "realistic", "told_apart", PERCENT),
    Row("... 95 % interval of that, from", "realistic", "told_apart_low", PERCENT),
    Row("... up to", "realistic", "told_apart_high", PERCENT),
    Row("... z (told apart 50 % by chance)", "realistic", "told_apart_z", TWO_DIGITS),
    Row("... more by this would have shown", "realistic", "detectable", PERCENT),
    Row("... images on each side", "realistic", "images", COUNT),
    Row("... z of planted nonsense among as many ↑", "realistic", "nonsense_z", TWO_DIGITS),
    Row("told from reconstructions", "realistic", "told_apart_from_reconstructed", PERCENT),
    Row(
        "... z (alike: 50 % by chance)", "realistic", "told_apart_from_reconstructed_z", TWO_DIGITS
    ),
    Row("not real, of the most blurred images", "realistic", "blurred", PERCENT),
    Row("... z (50 % by chance)", "realistic", "blurred_z", TWO_DIGITS),
    Row("... above this it is more than chance", "realistic", "blurred_limit", PERCENT),
    Row("precision ↑", "realistic", "precision", PLAIN),
    Row("density ↑", "realistic", "density", PLAIN),
    Row("smallest class / largest class, strong ↑", "balanced", "class_balance", TWO_DIGITS),
    Row("... probability of such counts by chance", "balanced", "chance", PLAIN),
    Row("... scarcest class, share of its due ↑", "balanced", "scarcest", PERCENT),
    Row("... of random real sets as large, mean", "balanced", "scarcest_real", PERCENT),
    Row("... 99.8 % of these have at least", "balanced", "scarcest_real_low", PERCENT),
    Row("... chance of so few, had it 5 % of its due", "balanced", "scarcest_chance", PLAIN),
    Row("... such a lack in a class would have shown", "balanced", "detectable", PERCENT),
    Row("images compared, as many of each class", "balanced", "images", COUNT),
    Row("images examined for variety", "varied", "images", COUNT),
    Row("... in so many parts", "varied", "parts", COUNT),
    Row("Fréchet distance to test images ↓", "varied", "frechet", PLAIN),
    Row("... standard deviation of real sets", "varied", "frechet_sd", PLAIN),
    Row("recall ↑", "varied", "recall", PLAIN),
    Row("... its standard deviation in real parts", "varied", "recall_sd", PLAIN),
    Row("... recall lower by this would have shown", "varied", "detectable", PLAIN),
    Row("coverage ↑", "varied", "coverage", PLAIN),
    Row("... standard deviation of real parts", "varied", "coverage_sd", PLAIN),
    Row("twins in the set itself ↓", "varied", "twins", COUNT),
    Row("... twins expected of real images", "varied", "twins_expected", TWO_DIGITS),
    Row("... from so many on there are repeats", "varied", "twins_limit", COUNT),
    Row("narrowest class, share of real spread ↑", "varied", "class_spread", PERCENT),
    Row("... below this it is more than chance", "varied", "class_spread_limit", PERCENT),
    Row("distance to nearest real image, median", "new", "nearest_distance_median", TWO_DIGITS),
    Row("nearest real image was seen ↓", "new", "seen_share", PERCENT),
    Row("... expected", "new", "expected_share", PERCENT),
    Row("lean to seen images ↓", "new", "lean", PERCENT),
    Row("... z (below -3.2: more than chance)", "new", "lean_z", TWO_DIGITS),
    Row("... a lean of this would have shown", "new", "lean_detectable", PERCENT),
    Row("... z of the closest 5 %", "new", "closest_5_lean_z", TWO_DIGITS),
    Row("... z of the closest 5 %, also centred", "new", "closest_5_moved_lean_z", TWO_DIGITS),
    Row("flagged: close to one real image alone ↓", "new", "copies", COUNT),
    Row("... if it may also be centred ↓", "new", "copies_moved", COUNT),
    Row("... expected of real images", "new", "copies_expected", TWO_DIGITS),
    Row("... from so many on there are copies", "new", "copies_limit", COUNT),
    Row("flagged, close to a training image", "new", "copies_training", COUNT),
    Row("... to a held-out image", "new", "copies_held_out", COUNT),
    Row("... to a test image", "new", "copies_test", COUNT),
    Row("planted noisy copies that are flagged ↑", "new", "flagged_noisy", PERCENT),
    Row("... noisy copies would have shown from", "new", "detectable", PERCENT),
    Row("near copies among real images", "new", "near_copies", PERCENT),
    Row("a classifier trained on them: accuracy ↑", "useful", "accuracy", PERCENT),
    Row("... standard deviation between trainings", "useful", "accuracy_sd", PERCENT),
    Row("... its degrees of freedom", "useful", "freedom", COUNT),
    Row("... a loss of this would have shown", "useful", "detectable", PERCENT),
    Row("... images it learned from", "useful", "images", COUNT),
    Row("... random sets of as many", "useful", "sets", COUNT),
    Row("one trained on real images and them ↑", "useful", "accuracy_with_real", PERCENT),
    Row("... on these real images alone ↑", "useful", "accuracy_real_alone", PERCENT),
    Row("... z of the difference", "useful", "helps_z", TWO_DIGITS),
    Row("... beyond this it is more than chance", "useful", "helps_limit", TWO_DIGITS),
    Row("... real images that both learned from", "useful", "real_images", COUNT),
    Row("... images that the first had besides", "useful", "added_images", COUNT),
]
# Of sets without a column: {set: rows}.
CONTROL_ROWS = {
    "planted": [
        Row("noisy copies are found from", "new", "noisy_copies", PERCENT),
        Row("moved noisy copies are found from", "new", "moved_copies", PERCENT),
        Row("reconstructed copies are found from", "new", "reconstructed_copies", PERCENT),
    ],
    "unfiltered": [
        Row("one trained on unfiltered real images ↑", "useful", "accuracy", PERCENT),
        Row("... images that this one learned from", "useful", "images", COUNT),
    ],
    "halfway": [
        Row("half-way between two classes: pass filter ↓", "right", "strong_rate", PERCENT),
        Row("... and the referee agrees with those", "right", "agreement", PERCENT),
    ],
}
# Of a run with --max-error.
PROMISE_ROWS = [
    Row("promised: at most this share wrong", "right", "max_error", PERCENT),
    Row("... at this threshold", "right", "threshold", EXACT),
    Row("held-out images that pass it", "right", "images", COUNT),
    Row("... of those wrong", "right", "wrong", PERCENT),
    Row("... upper bound for this threshold alone", "right", "bound", PERCENT),
    Row("of test images that pass: wrong", "right", "test_error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "test_error_low", PERCENT),
    Row("... to", "right", "test_error_high", PERCENT),
    Row("examined images that pass: estimated error", "right", "estimated_error_estimate", PERCENT),
    Row("... 95 % interval, from", "right", "estimated_error_low", PERCENT),
    Row("... to", "right", "estimated_error_high", PERCENT),
]
# Of the run.
RUN_ROWS = [
    Row("drawn from the mixture: pass", "run", "strong_rate_mixture", PERCENT),
    Row("drawn from N(0, I): pass", "run", "strong_rate_normal", PERCENT),
    Row("temperature in use", "run", "temperature", PLAIN),
    Row("temperature, fitted on reconstructions", "run", "temperature_reconstructions", PLAIN),
    Row("temperature, fitted on real images", "run", "temperature_real_images", PLAIN),
    Row("classifier accuracy, test images ↑", "run", "classifier_test_accuracy", PERCENT),
    Row("referee accuracy, test images ↑", "run", "referee_test_accuracy", PERCENT),
    Row("negative ELBO, prior N(0, I), nats ↓", "run", "negative_elbo_normal", TWO_DIGITS),
    Row("negative ELBO, fitted mixture, nats ↓", "run", "negative_elbo_mixture", TWO_DIGITS),
    Row("sharpness of test images after training", "run", "sharpness", TWO_DIGITS),
]
TEMPERATURES = ("temperature", "temperature_reconstructions", "temperature_real_images")


def show(value, form: str) -> str:
    """A number as text: an empty string for None, "none" for NaN."""
    if value is None:
        return ""
    return "none" if math.isnan(value) else form.format(value * (100 if "%" in form else 1))


def _row(question, key):
    return next(row for row in ROWS if (row.question, row.key) == (question, key))


def form_of(question: str, key: str) -> str:
    """The format of a number that has a row."""
    return _row(question, key).form


# The six answers: the row that answers each question.
ANSWERS = [
    _row("right", "error_estimate"),
    _row("realistic", "told_apart"),
    _row("balanced", "class_balance"),
    _row("varied", "recall"),
    _row("new", "seen_share"),
    _row("useful", "accuracy"),
]

# What answers.png calls the number of a Scale.
MEASURED = {
    "error_estimate": "labels that are wrong, estimated",
    "told_apart": "told from real images by a network",
    "scarcest": "scarcest class, share of its due",
    "recall": "real images that lie among them (recall)",
    "coverage": "real images that have one near (coverage)",
    "seen_share": "images whose nearest real image was seen",
    "copies": "copies: images close to one real image alone",
    "accuracy": "accuracy of a classifier trained on them",
}

# What would have been called worse in four of five cases: what stands behind an answer.
DETECTABLE = {
    "right": "an error higher by {} would have shown",
    "realistic": "{} more would have shown",
    "balanced": "a class that lacks {} of its images would have shown",
    "varied": "a recall lower by {} would have shown",
    "new": "noisy copies would have shown from {} on",
    "useful": "a loss of {} would have shown",
}


def remarks(question: str, word: str, why: str, numbers: dict, real: dict) -> list[str]:
    """What stands behind an answer: why one cannot tell, the smallest difference that would have
    shown, and what else the verdict may hang on.  word, why: of the Verdict.  numbers, real: those
    of the question, of the set and of real images."""
    said = [why] if why else []
    if not math.isnan(detectable := numbers["detectable"]):
        form = PLAIN if question == "varied" else PERCENT
        said.append(DETECTABLE[question].format(show(detectable, form)))
        hiding = {"hidden": "labels like the referee's", "unlike": "images unlike known ones"}
        for key, what in hiding.items():  # keys of *right* alone
            if numbers.get(key, 0.0) > detectable:
                said.append(f"{what} could hide {show(numbers[key], PERCENT)} more")
    if question == "new" and not math.isnan(lean := numbers["lean_detectable"]):
        said.append(f"a lean of {show(lean, PERCENT)} would have shown")
    if question == "realistic" and numbers["blurred"] > numbers["blurred_limit"]:
        share, limit = (show(numbers[f"blurred{key}"], PERCENT) for key in ("", "_limit"))
        said.append(f"{share} of the most blurred images are not real (by chance up to {limit})")
    if question == "realistic" and numbers["blurred_z"] < SHARPER_Z:
        share = show(numbers["blurred"], PERCENT)
        said.append(f"only {share} of the most blurred images are not real: they are sharper")
    if question == "varied" and numbers["twins"] >= numbers["twins_limit"]:
        twins, expected = numbers["twins"], numbers["twins_expected"]
        said.append(f"{twins:,} images have a twin in the set, {expected:.0f} of real ones would")
    if question == "varied" and numbers["class_spread"] < numbers["class_spread_limit"]:
        share, limit = (show(numbers[f"class_spread{key}"], PERCENT) for key in ("", "_limit"))
        said.append(f"the narrowest class has {share} of real spread (by chance {limit})")
    if question == "useful" and not math.isnan(z := numbers.get("helps_z", math.nan)):
        keys = "accuracy_with_real", "accuracy_real_alone"
        both, alone = (show(numbers[key], PERCENT) for key in keys)
        limit, helps = numbers["helps_limit"], "they help" if z > 0 else "they harm"
        helps = helps if abs(z) > limit else "no more than chance"
        real = f"{numbers['real_images']:,} real images"
        said.append(f"{real} alone give {alone}, with these added {both}: {helps}")
    if word in CAUGHT:
        if question == "balanced":
            said.append(f"by chance such counts have a probability of {numbers['chance']:.4f}")
        if question == "varied":
            distances = (numbers["frechet"], real["frechet"], real["frechet_sd"])
            found, of_real, spread = (show(each, PLAIN) for each in distances)
            said.append(f"Fréchet distance {found} (real {of_real} ± {spread})")
        copies = question == "new" and max(numbers["copies"], numbers["copies_moved"])
        if question == "new" and copies < numbers["copies_limit"]:
            leans = (show(numbers[key], TWO_DIGITS) for key in ("lean_z", "closest_5_lean_z"))
            said.append("z of the lean to seen images {}, of the closest 5 % {}".format(*leans))
    return said
