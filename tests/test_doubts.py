"""What is said of a user's own data, and of networks that have learned nothing from them."""

from types import SimpleNamespace

import numpy as np
import pytest

from trust.ask import doubts
from trust.data.datasets import Dataset
from trust.data.images import ImageSet
from trust.show import report
from trust.train.referee import Judged

RNG = np.random.default_rng
NAMES = ("ant", "bee", "cat", "dog")


def labels(n, rng):
    return rng.integers(0, len(NAMES), n)


def swapped(truth, share, rng):
    """The same labels, this share of which, at random, became another class."""
    wrong = rng.random(len(truth)) < share
    return np.where(wrong, (truth + rng.integers(1, len(NAMES), len(truth))) % len(NAMES), truth)


def referee(truth, error, rng):
    """What a referee says that is calibrated and mistaken in a share `error` of all images: of some
    it is sure and mostly right, of others not."""
    doubt = np.minimum(rng.exponential(error, len(truth)), 0.75)
    words = np.where(rng.random(len(truth)) < doubt, (truth + 1) % len(NAMES), truth)
    return Judged(words, np.zeros((len(truth), 2)), 1 - doubt)


class Referee:
    """Stands for a Reference: what the referee says of the training images, whichever are asked."""

    def __init__(self, truth, test_truth, error, rng):
        self.train = referee(truth, error / 2, rng)
        self.judged = referee(test_truth, error, rng)

    def judge(self, images):
        return self.train.take(images[:, 0, 0].astype(int))


def said(seed, error, in_training=0.0, in_test=0.0, n=3000, m=600, bundled=False):
    rng = RNG(seed)
    truth, test_truth = labels(n, rng), labels(m, rng)
    numbered = np.broadcast_to(np.arange(n, dtype=np.uint16)[:, None, None], (n, 8, 8))
    train = ImageSet(numbered, swapped(truth, in_training, rng))
    test = ImageSet(np.zeros((m, 8, 8)), swapped(test_truth, in_test, rng))
    data = Dataset("zoo", "", train, test, NAMES, "", bundled)
    return doubts.of_data(data, Referee(truth, test_truth, error, rng))


@pytest.mark.parametrize("error", [0.005, 0.03, 0.1, 0.3])
def test_of_right_labels_nothing_is_said_however_hard_the_images_are(error):
    assert [said(seed, error) for seed in range(100)] == [[]] * 100


@pytest.mark.parametrize("error", [0.005, 0.03])
@pytest.mark.parametrize("share", [0.08, 0.15])
def test_wrong_labels_of_training_images_are_told(error, share):
    for seed in range(30):
        (note,) = said(seed, error, in_training=share)
        assert "training labels are probably wrong" in note


@pytest.mark.parametrize(("error", "least"), [(0.005, 30), (0.03, 30), (0.1, 28)])
def test_wrong_labels_everywhere_are_told_by_the_test_images(error, least):
    """Also where a network has learned the wrong ones by heart."""
    found = [said(seed, error, in_test=0.15) for seed in range(30)]
    told = [note for notes in found for note in notes]
    assert least <= len(told) <= 30
    assert all("of the test labels where it is surest" in note for note in told)


def test_data_that_came_with_the_code_are_not_doubted():
    assert said(0, 0.03, in_training=0.15, in_test=0.15, bundled=True) == []


def test_a_referee_that_has_learned_nothing_is_told_and_believed_in_nothing_else():
    (note,) = said(0, error=20.0)
    assert note.startswith("the referee is right on 2") and note.endswith("no better than chance")


@pytest.mark.parametrize(
    ("right", "temperature", "told"),
    [(0.9, 1.2, []), (0.3, 1.2, ["the classifier is right on"]), (0.9, 100, ["at its bound"])],
)
def test_a_classifier_at_the_third_door(right, temperature, told):
    test = ImageSet(np.zeros((400, 8, 8)), np.arange(400) % 4)
    words = np.where(np.arange(400) < 400 * right, test.labels, (test.labels + 1) % 4)
    accept = SimpleNamespace(
        temperature=temperature, classify=lambda images: ImageSet(images, predicted=words)
    )
    found = doubts.of_filter(accept, test)
    assert len(found) == len(told) and all(map(str.__contains__, found, told))


@pytest.mark.parametrize(("there", "told"), [([0, 1, 2, 3], []), ([0, 2], ["bee, dog"]), ([], [])])
def test_classes_that_vanished_are_named(there, told):
    own = np.array(there, int)
    run = SimpleNamespace(accepted=ImageSet(np.zeros((len(own), 8, 8)), own))
    found = report.vanished(run, NAMES)
    assert found == [f"there is no image of class {names} to examine" for names in told]
