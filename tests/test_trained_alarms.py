"""The benchmark of the questions for which networks learn, with networks that learn something else:
honest sets are asked about as the examination does it, and a fault is seen."""

import numpy as np
import pytest
from test_alarms import small  # noqa: F401

from benchmarks import alarms, trained_alarms


@pytest.fixture
def asked(small):  # noqa: F811
    return {door: trained_alarms.ask_about(small, door, 200) for door in small.doors}


def test_what_networks_learn_from_are_pixels_of_images_that_may_be_learned(asked, small):  # noqa: F811
    """Of each kind those that the door has for it."""
    learned, tested, fresh, _ = small.facts.kinds()
    number = {image.tobytes(): k for k, image in enumerate(small.pixels)}

    def numbers(images):
        return np.array([number[image.tobytes()] for image in images.images])

    for door, each in asked.items():
        assert len(each.subjects) == trained_alarms.TOGETHER
        chosen = [numbers(filtered.passing) for filtered in each.subjects.values()]
        assert all(np.isin(rows, fresh).all() and len({*rows}) == len(rows) for rows in chosen)
        assert len({tuple(np.sort(rows)) for rows in chosen}) == len(chosen)
        real = each.beside.like_fresh()
        assert np.isin(numbers(real), learned).all()
        assert np.array_equal(numbers(each.reference.test), tested)
        for filtered, rows in zip(each.subjects.values(), chosen, strict=True):
            if door == 3:  # behind the filter an image has the label of the classifier
                assert np.array_equal(filtered.passing.labels, small.facts.labels[rows])
            assert (filtered.passing.counts(10) >= each.beside.counts).all()
        assert each.beside.counts.sum() > 100


def test_the_counts_are_those_of_the_verdicts(small, monkeypatch):  # noqa: F811
    """Learners that know a darkened set from all others, and recognise what was drawn for them."""
    from trust.ask import useful
    from trust.train import telling

    class Dark:
        def __call__(self, pixels, training):
            return 1000 * (0.1 - np.asarray(pixels).mean(axis=(1, 2)))

    def learned(images, targets, reference, seed=0):
        return (np.random.default_rng(images.sum()).random(len(reference.test)) < 0.9) + 0.0

    monkeypatch.setattr(telling, "learn_to_tell", lambda lessons, **_: [Dark() for _ in lessons])
    monkeypatch.setattr(useful, "right_after_training", learned)
    said = []
    found = trained_alarms.run(small, {200: 8}, said.append)
    assert found == said and len(found) == 4
    assert [(each["door"], each["question"]) for each in found] == [
        (door, question) for door in (2, 3) for question in ("realistic", "useful")
    ]
    for each in found:
        assert (each["n"], each["draws"], each["alarms"]) == (200, 8, 0)
    darker = replace_pixels(small, lambda pixels, fresh: np.where(fresh, pixels // 4, pixels))
    found = trained_alarms.run(darker, {200: 4}, lambda _: None)
    assert [each["alarms"] for each in found] == [4, 0, 4, 0]


def replace_pixels(small, change):  # noqa: F811
    """Another Alarms of the same facts, whose fresh images are changed."""
    fresh = np.isin(np.arange(len(small.pixels)), small.facts.kinds()[2])
    changed = change(small.pixels, fresh[:, None, None])
    return alarms.Alarms(small.facts, changed, seed=0)
