"""The benchmark of false alarms, on a slice: honest sets are hardly ever called worse, and faults
of the size that a verdict calls detectable mostly are."""

import numpy as np
import pytest

from benchmarks import alarms
from trust.ask.between import limit_of
from trust.data.datasets import load_dataset
from trust.statistics import binomial_tail

N, DRAWS = 500, 20


def few_images():
    """Of MNIST, in the order of the benchmark."""
    data, rng = load_dataset("mnist"), np.random.default_rng(0)
    data = data._replace(
        train=data.train.take(rng.permutation(60_000)[:9000]),
        test=data.test.take(rng.permutation(10_000)[:2000]),
    )
    return alarms.in_order(data, rng, copies=1000)


@pytest.fixture(scope="module")
def small():
    """An Alarms of these.  Instead of networks that learn, a random projection gives the features,
    and labels are the truth but for a few random mistakes."""
    from trust.train.referee import Judged  # which imports TensorFlow

    ordered, rng = few_images(), np.random.default_rng(1)
    images = np.concatenate([ordered.images / np.float32(255), ordered.copies])
    flat = images.reshape(len(images), -1)
    features = np.maximum(flat @ rng.standard_normal((flat.shape[1], 32), np.float32), 0)
    labels, n = ordered.labels, len(ordered.images)

    def mistaken(share):
        wrong = rng.random(len(labels)) < share
        return np.where(wrong, (labels + rng.integers(1, 10, len(labels))) % 10, labels)

    judged = Judged(mistaken(0.005), features, rng.uniform(0.9, 1, len(labels)))
    logits = [
        8 * np.eye(10)[mistaken(0.01)[:n]] + rng.standard_normal((n, 10)) * 2 for _ in range(2)
    ]
    facts = alarms.gather(ordered, judged, *logits)
    return alarms.Alarms(facts, ordered.images, seed=0)


@pytest.fixture(scope="module", params=[2, 3])
def found(small, request):
    """{question: the counts at a door}."""
    counts = small.three(request.param, N, DRAWS, planted_each=1) + small.varied(
        request.param, N, groups=1
    )
    return {each.where["question"]: each.summary() for each in counts}


def test_honest_sets_are_hardly_ever_called_worse(found):
    for question, each in found.items():
        alarms_, draws = each["alarms"], each["draws"]
        # as many alarms would be rarer than one in a thousand, if they came in one of a hundred
        assert 1 - binomial_tail(alarms_ - 1, draws, 0.01) > 1e-3, (question, alarms_, draws)
        assert each["as_real"] + each["cannot_tell"] + alarms_ == draws


def test_faults_of_the_detectable_size_are_mostly_caught(found):
    for question in ("right", "balanced", "new"):
        for fault, each in found[question]["planted"].items():
            caught, draws = each["caught"], each["draws"]
            assert draws == DRAWS
            # so few would be rarer than one in a thousand, if four of five were caught
            assert binomial_tail(caught, draws, 0.8) > 1e-3, (fault, caught, draws)


def test_the_class_that_is_thinned_is_rare_among_all_images_and_passes(small):
    facts, real = small.facts, len(small.facts.unknowing) - 1000
    labels = np.arange(len(facts.labels)) % 10
    labels[labels == 7] = np.where(
        np.arange(np.sum(labels == 7)) % 3, 6, 7
    )  # a third of the others
    logits = 99 * np.eye(10)[labels]
    logits[labels == 4] = 0  # never surely anything
    known = facts._replace(labels=labels, unknowing=logits, temperature=1.0)
    assert [alarms.rarest_class(known, door) for door in (2, 3)] == [7, 7]
    logits[:real][labels[:real] == 2] = 99 * np.eye(10)[6]  # surely another
    assert alarms.rarest_class(known._replace(unknowing=logits), 2) == 7
    without = facts._replace(labels=np.where(labels == 7, 6, labels))  # of which there are none
    assert alarms.rarest_class(without, 3) != 7

    drawn, _ = small.draw(3, N)
    rows = facts.kinds()[2]
    kept = alarms.numbers_of(alarms.thin(drawn, rows, 3, 1.0, small.rng).passing.images)
    assert 3 not in facts.labels[kept] and len(kept) == N
    half = alarms.thin(drawn._replace(n=len(rows)), rows, 3, 0.5, small.rng).passing.labels
    whole = np.sum(facts.labels[rows] == 3)
    assert abs(np.sum(half == 3) / whole - 0.5) < 0.12 and len(half) == len(rows) - whole + np.sum(
        half == 3
    )


def differences(small, n, sets, questions=("right", "varied", "new")):
    """{pair: {question: z}} of the sets that sets(draw, numbers of fresh images) makes."""
    from trust.examination import examine

    drawn, rows = small.draw(3, n)
    subjects = sets(drawn, rows)
    run = examine(
        subjects,
        drawn.beside([*subjects.values()], small.rng),
        drawn.reference,
        small.rng,
        questions=questions,
        say=lambda line: None,
    )
    return {(each.first, each.second): each.z for each in run.differences}


def test_between_honest_sets_hardly_anything_differs(small):
    def honest(drawn, rows):
        parts = np.split(rows[: 6 * 200], 6)
        return {f"set {k}": drawn.through_the_door(part) for k, part in enumerate(parts)}

    pairs = [z for _ in range(3) for z in differences(small, 200, honest).values()]
    assert len(pairs) == 45
    for question in pairs[0]:
        beyond = sum(abs(z[question]) >= limit_of(1) for z in pairs)
        assert not any(np.isnan(z[question]) for z in pairs) and beyond <= 1, (question, beyond)


# What is asked beside: neighbours of wrong labels and twins of copies are not looked up.
FAULTS = {"swapped": ("right", "varied"), "copied": ("new", "right"), "few": ("varied", "right")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_beside_an_honest_set_is_what_differs(small, fault):
    def both(drawn, rows):
        honest, other = (drawn.through_the_door(part) for part in np.split(rows[:1000], 2))
        if fault == "swapped":
            other = alarms.swap(drawn, other, 0.1, small.rng)
        elif fault == "copied":
            other = alarms.plant(drawn, other, 0.1, small.rng)
        else:  # a few images many times
            other = drawn.through_the_door(np.resize(rows[1000:1100], 500))
        return {"honest": honest, fault: other}

    seen, other = FAULTS[fault]
    (z,) = differences(small, 500, both, questions=FAULTS[fault]).values()
    assert z[seen] >= limit_of(1) > abs(z[other]), z


def test_what_is_looked_up_is_what_a_search_finds(small):
    from trust.ask.neighbours import Sought, centred, find_neighbours
    from trust.data.images import ImageSet

    images = few_images().images
    for door in (2, 3):
        drawn, rows = small.draw(door, N)
        rows = rows[:50]
        real = images[alarms.numbers_of(drawn.reference.real.images)]
        some = ImageSet(images[rows], small.facts.labels[rows])
        sought = [Sought(some.images, some.labels)]
        every = ImageSet(real, drawn.reference.real.labels)
        (expected,) = find_neighbours(sought, every, centred(real))
        asked = {"some": alarms.numbered(rows, some.labels)}
        answers = drawn.reference.neighbours(asked)["some"]
        for kind in ("nearest", "moved"):
            for one, other in zip(getattr(answers, kind), getattr(expected, kind), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5)
        # a real image that is handed in is found as its own copy
        own = alarms.numbers_of(drawn.reference.real.images)[:20]
        asked = {"own": alarms.numbered(own, small.facts.labels[own])}
        copies = drawn.reference.neighbours(asked)["own"]
        np.testing.assert_array_equal(copies.nearest.index, np.arange(20))
        assert (copies.nearest.distance == 0).all() and (copies.nearest.second > 0).all()
