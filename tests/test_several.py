"""Several sets at the third door: each as alone, what differs between them, kept networks."""

import json
import math

import numpy as np
import pytest
from conftest import first_images
from running import assert_drawn, call
from scipy import stats

from trust import statistics
from trust.ask import between, new, realistic, right, useful, varied
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, FALSE_ALARM, QUESTIONS, WORSE
from trust.data import datasets, submitted
from trust.data.images import ImageSet
from trust.show import terminal

RNG = np.random.default_rng


# What differs between two sets


@pytest.mark.parametrize("freedom", [1, 2, 5, 30])
def test_z_of_t_is_as_rare_as_t(freedom):
    for t in (-8.0, -1.3, 0.0, 0.4, 3.0, 20.0):
        size = min(stats.norm.isf(stats.t.sf(abs(t), freedom)), stats.norm.isf(1e-15))
        expected = math.copysign(size, t)
        assert statistics.z_of_t(t, freedom) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert math.isnan(statistics.z_of_t(math.nan, freedom))
    assert math.isnan(statistics.z_of_t(1.0, 0))


def errors(share, low, high, **more):
    found = {"error_estimate": share, "error_low": low, "error_high": high}
    return found | {"referee_confidence": 0.98, "unlike": 0.0} | more


def test_right_differs_by_both_intervals():
    good, bad, real = errors(0.01, 0.005, 0.02), errors(0.06, 0.03, 0.1), errors(0, 0, 0)
    expected = 1.959964 * 0.05 / math.hypot(0.03, 0.01)  # the ends that face each other
    assert right.differs(good, bad, real) == pytest.approx(expected)
    assert right.differs(bad, good, real) == pytest.approx(-expected)
    assert right.differs(good, good, real) == 0
    for odd in ({"unlike": 0.2}, {"referee_confidence": 0.7}):
        assert math.isnan(right.differs(good, bad | odd, real))


FEW_TWINS = {"images": 500, "twins": 0, "twins_limit": 20}


def differ(a, b, real, more=None, other_more=None, others=FEW_TWINS):
    """Of sets whose parts have these recalls; and coverages, or none that are known."""
    parts = {"coverage": np.full(len(a), math.nan)} | (more or {}) | {"recall": a}
    other_parts = {"coverage": np.full(len(b), math.nan)} | (other_more or {}) | {"recall": b}
    return varied.differs(FEW_TWINS, others, parts=parts, other_parts=other_parts, real=real)


def test_varied_differs_by_a_t_test_of_the_parts():
    a, b = RNG(0).normal(0.8, 0.02, (2, 12))
    b -= 0.05
    steady = {"recall_sd": 0.0, "coverage_sd": 0.01, "parts": 23}
    t = stats.ttest_ind(a, b).statistic
    expected = -stats.norm.ppf(stats.t.sf(t, 22))
    assert differ(a, b, steady) == pytest.approx(expected, rel=1e-6)
    assert differ(b, a, steady) == pytest.approx(-expected, rel=1e-6)
    expected = stats.norm.isf(2 * stats.norm.sf(expected))  # the larger one of two
    alike = {"coverage": np.full(12, 0.5)}
    assert differ(a, b, steady, alike, alike) == pytest.approx(expected, rel=1e-6)
    twins = {"images": 500, "twins": 40, "twins_limit": 20}
    z = 0.08 / math.sqrt(0.04 * 0.96 * 2 / 250)
    assert differ(a, b, steady, others=twins) == pytest.approx(z)
    unsteady = {"recall_sd": 0.2, "coverage_sd": math.nan, "parts": 23}
    t = (a.mean() - b.mean()) / (0.2 * math.sqrt(2 / 12))
    expected = -stats.norm.ppf(stats.t.sf(t, 22))
    assert differ(a, b, unsteady) == pytest.approx(expected, rel=1e-6)
    assert 0 < differ(a[:1], b[:1], unsteady) < 1  # a single part each
    assert math.isnan(differ(a[:0], b, steady))


def test_useful_differs_by_how_much_trainings_do():
    """Each beside as many real images: the second set is smaller, and its real ones teach less."""
    real = {"accuracy": 0.95, "accuracy_sd": 0.01, "sets": 3, "freedom": 10}
    other = {"accuracy": 0.9, "accuracy_sd": 0.03, "sets": 2, "freedom": 5}
    t = 0.05 / (0.01 * math.sqrt(8 / 3))
    found = useful.differs({"accuracy": 0.9}, {"accuracy": 0.85}, real, real)
    assert found == pytest.approx(-stats.norm.ppf(stats.t.sf(t, 10)), rel=1e-6)
    t = 0.02 / math.sqrt(0.01**2 * 4 / 3 + 0.03**2 * 3 / 2)
    found = useful.differs({"accuracy": 0.87}, {"accuracy": 0.84}, real, other)
    assert found == pytest.approx(stats.norm.ppf(stats.t.sf(t, 5)), rel=1e-6)
    unsure = real | {"freedom": 0}
    assert math.isnan(useful.differs({"accuracy": 0.9}, {"accuracy": 0.8}, real, unsure))


def test_new_differs_by_the_lean_or_by_copies():
    def numbers(seen, z, copies=0):
        lean = {"seen_share": seen, "expected_share": 0.8, "lean_z": z}
        return lean | {"copies": copies, "copies_moved": 0, "copies_limit": 9}

    a, b = numbers(0.82, -2.0), numbers(0.88, -4.0)  # errors of 0.01 and 0.02
    assert new.differs(a, b, n=100, m=100) == pytest.approx(0.06 / math.hypot(0.01, 0.02))
    copied = numbers(0.82, -2.0, copies=20)
    z = (20 / 200 - 0) / math.sqrt(0.05 * 0.95 * 2 / 200)
    assert new.differs(a, copied, n=200, m=200) == pytest.approx(z)
    assert new.differs(copied, a, n=200, m=200) == pytest.approx(-z)
    assert math.isnan(new.differs(a, b, n=0, m=200))


def test_the_limit_is_shared_among_the_pairs():
    assert between.limit_of(1) == pytest.approx(stats.norm.isf(FALSE_ALARM / 2))
    assert between.limit_of(10) == pytest.approx(stats.norm.isf(FALSE_ALARM / 20))


def strokes(seed, n, noise=0.0):
    """Images (n, 8, 8) of a bar that is upright or lies, with noise on every pixel."""
    rng, labels = RNG(seed), np.arange(n) % 2
    images = np.zeros((n, 8, 8))
    place = rng.integers(1, 7, n)
    for row, label in enumerate(labels):
        if label:
            images[row, place[row]] = 1
        else:
            images[row, :, place[row]] = 1
    images += noise * rng.standard_normal(images.shape)
    return ImageSet(np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8), labels)


def test_one_network_ranks_all_sets_whatever_their_order():
    real, counts = strokes(0, 800), np.array([200, 200])
    sets = {"a": strokes(1, 400, 0.05), "b": strokes(2, 400, 0.3), "c": strokes(3, 400, 0.05)}
    found = realistic.rank_together(sets, real, counts, seed=0)
    again = realistic.rank_together(dict(reversed(sets.items())), real, counts, seed=0)
    for name, logits in found.items():
        assert len(logits) == 200
        np.testing.assert_array_equal(logits, again[name])
    assert realistic.differs(found["a"], found["b"]) > 4 < realistic.differs(found["c"], found["b"])
    assert abs(realistic.differs(found["a"], found["c"])) < 3.5
    few = realistic.rank_together(sets, real, np.array([20, 20]), seed=0)
    assert math.isnan(realistic.differs(few["a"], few["b"]))


def told(words=None, **z):
    """Differences of sets "a", "b", "c", given as ab={question: z}, and {set: {question: verdict}},
    all as real but for words."""
    names = sorted({*"".join(z)})
    verdicts = {
        name: dict.fromkeys(QUESTIONS, AS_REAL) | (words or {}).get(name, {}) for name in names
    }
    return verdicts, [between.Difference(*pair, own, limit=3.0) for pair, own in z.items()]


def said(words=None, **z):
    verdicts, found = told(words, **z)
    pairs = [{"sets": [a, b], "z": own, "limit": limit} for a, b, own, limit in found]
    best = {"why": between.best_of(verdicts, found).why}
    return terminal.differences({"differences": pairs, "verdicts": verdicts, "best": best})


def test_sentences_on_what_differs():
    z = {"right": -0.2, "varied": -5.12, "useful": -3.3, "new": math.nan}
    assert said(ab=z) == [
        "b is better than a in varied (z 5.1), useful (z 3.3); no more than chance: right; "
        "cannot tell: new",
        "best: b, better than a in varied and useful; nothing speaks for another",
    ]
    assert said(ab={"right": 4.0, "varied": -5.0}) == [
        "a is better than b in right (z 4.0) and worse in varied (z 5.0)",
        "best: none, as each is worse than another: a than b in varied; b than a in right",
    ]
    assert said(ab={"right": 1.0}) == [
        "a, b; no more than chance: right",
        "best: none, as between a and b nothing more than chance was found",
    ]
    three = said(ab={"new": 4.0}, ac={"new": 2.0}, bc={"new": -4.0})
    assert three[-1] == (
        "best: none, as between a and c nothing more than chance was found, though a is better "
        "than each other one"
    )


def test_the_best_set_is_better_than_each_other_and_no_verdict_speaks_against_it():
    found = between.best_of(*told(ab={"new": 4.0}, ac={"right": 5.0, "new": 0.1}, bc={"new": 9.0}))
    assert found.name == "a"
    assert found.why == "a, better than b in new, than c in right; nothing speaks for another"
    balanced = {"b": {"balanced": FAILS}}  # has no z
    found = between.best_of(*told(balanced, ab={"new": 0.0}))
    assert found == ("a", "a, better than b in balanced; nothing speaks for another")
    assert said(balanced, ab={"new": 0.0})[0] == (
        "a is better than b in balanced (as real, b: fails); no more than chance: new"
    )
    found = between.best_of(*told(balanced, ab={"new": -4.0}))
    assert found.name is None and "a than b in new; b than a in balanced" in found.why
    worse = {"a": {"varied": WORSE}}
    found = between.best_of(*told(worse, ab={"new": 4.0, "varied": 1.0}))
    assert found.name is None
    assert "its answer to varied is worse, that of b is as real" in found.why
    assert said(worse, ab={"varied": 1.0})[0] == (
        "a, b; no more than chance: varied; only b is as real: varied"
    )
    # neither is as real: then it is the best, but that is said
    both = worse | {"b": {"varied": FAILS}}
    found = between.best_of(*told(both, ab={"new": 4.0, "varied": 1.0}))
    assert found.name == "a" and found.why.endswith("but beside real images varied? worse")
    # of a set about which one cannot tell, nobody knows that it is as good
    for question in ("varied", "balanced"):
        few = {"a": {question: CANNOT_TELL}}
        found = between.best_of(*told(few, ab={"new": 4.0, "varied": math.nan}))
        assert found.name is None
        assert f"its answer to {question} is cannot tell, that of b is as real" in found.why
    # what is more than chance outweighs the verdicts
    found = between.best_of(*told(worse, ab={"varied": 4.0}))
    assert found.name == "a"


# What they are called


def test_names_of_sets():
    names = submitted.names_of
    assert names(["x/a.npz"]) == ["yours"]
    assert names(["x/a.npz", "b/", "c.npy"]) == ["a", "b", "c"]
    assert names(["x/s.npz", "y/s.npz"]) == ["x-s", "y-s"]
    assert names(["s.npz", "s.npz"])[1].endswith("s-2")
    assert names(["real.npz", "a.npz"]) == ["real-2", "a"]  # as another column is called


# From the first line to the last file


@pytest.fixture
def three(bundled, tmp_path):
    """Test images of MNIST that the data does not have; blurred ones; few of them many times."""
    arrays = first_images("mnist", 0, 4000)
    x, y = arrays["x_test"][1000:], arrays["y_test"][1000:]
    blurred = (x.astype(float) + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, 2, 2)) / 4
    np.savez(tmp_path / "fresh.npz", images=x[:900], labels=y[:900])
    np.savez(tmp_path / "soft.npz", images=blurred[900:1900].astype(np.uint8), labels=y[900:1900])
    rows = 1900 + np.arange(1000) % 60
    np.savez(tmp_path / "few.npz", images=x[rows], labels=y[rows])
    return tmp_path


@pytest.mark.usefixtures("unlearned")
def test_three_sets_side_by_side(three):
    flags = "--report r.json --out o --scores s.csv --save-images kept --dataset mnist"
    done = call(three, "trust.__main__", "soft.npz fresh.npz few.npz", flags)
    assert done.returncode == 0, done.stderr
    report = json.loads((three / "r.json").read_text())
    names = ["soft", "fresh", "few"]
    assert list(report["sets"]) == [*names, "real"]
    for key in ("verdicts", "reasons", "evidence", "classes", "beside"):
        assert list(report[key]) == names
    assert report["verdicts"]["few"]["varied"] in ("worse", "fails")
    assert report["verdicts"]["fresh"]["varied"] == "as real"
    z = {tuple(each["sets"]): each["z"] for each in report["differences"]}
    limit = report["differences"][0]["limit"]
    assert set(z) == {("soft", "fresh"), ("soft", "few"), ("fresh", "few")}
    assert "\nbest: fresh, better than soft in " in done.stdout
    assert report["best"]["set"] == "fresh"
    assert z["soft", "fresh"]["realistic"] < -limit and z["fresh", "few"]["varied"] > limit
    assert "In short, few: right? " in done.stdout and "fresh is better than few in " in done.stdout
    (head,) = [line for line in done.stdout.splitlines() if line.startswith("↑ more")]
    assert head.split()[-4:] == [*names, "real"]
    there = {str(file.relative_to(three)) for file in three.rglob("*") if file.is_file()}
    own = {
        f"o/{name}/{page}.png" for name in names for page in ("doubtful", "copies", "least-real")
    }
    assert own | {"o/answers.png"} == {file for file in there if file.startswith("o/")}
    assert {f"s-{name}.csv" for name in names} == {file for file in there if file[:2] == "s-"}
    assert {f"kept/{name}/images.csv" for name in names} <= there
    assert_drawn(three / "o" / "answers.png")
    flags = "--report q.json --scores q.csv --dataset mnist"  # in another order
    done = call(three, "trust.__main__", "few.npz fresh.npz soft.npz", flags)
    other = json.loads((three / "q.json").read_text())
    for name in names:
        for key in ("verdicts", "reasons", "evidence", "classes", "beside"):
            assert other[key][name] == report[key][name], (key, name)
        assert other["sets"][name] == report["sets"][name]


MISTAKES = [
    ("a.npz b.npz --audit 9 --out o", "--audit takes one set"),
    ("a.npz bare.npz", "bare.npz has no labels, but a.npz has"),
    ("a.npz b.npz --scores s.csv --save-images s-a.csv/x.npz", "over"),
    ("a.npz b.npz --report b.npz", "over"),
    ("a.npz missing.npz", "missing.npz"),
    ("a.npz --save m.npz --load m.npz", "not allowed with"),
    ("a.npz --load a.npz", "holds no models"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_mistakes_with_several_sets(bundled, tmp_path, words, message):
    x, y = np.full((3, 28, 28), 9, np.uint8), np.arange(3)
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", images=x, labels=y)
    np.savez(tmp_path / "bare.npz", images=x)
    before = sorted(tmp_path.iterdir())
    done = call(tmp_path, "trust.__main__", words, "--dataset mnist")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr and sorted(tmp_path.iterdir()) == before


# What is kept


@pytest.mark.usefixtures("unlearned")
def test_networks_are_kept_and_used_again(small_npz, tmp_path):
    data = datasets.load_dataset(small_npz)
    images, labels = data.test.images[:300], data.test.labels[:300]
    np.savez(tmp_path / "m.npz", images=images, labels=labels)
    np.savez(tmp_path / "bare.npz", images=images)
    flags = f"m.npz --dataset {small_npz} --seed 3 --report"
    done = call(tmp_path, "trust.__main__", flags, "a.json --save nets.npz")
    assert done.returncode == 0 and "training the referee" in done.stdout, done.stderr
    flags = flags.replace("--seed 3", "")  # which the file knows
    done = call(tmp_path, "trust.__main__", flags, "b.json --load nets.npz")
    assert done.returncode == 0 and "training the" not in done.stdout, done.stderr
    first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    for key in ("sets", "verdicts", "classes", "notes"):
        assert first[key] == second[key]
    assert first["settings"]["seed"] == second["settings"]["seed"] == 3
    bare = flags.replace("m.npz", "bare.npz")  # now the classifier is asked
    done = call(tmp_path, "trust.__main__", bare, "c.json --load nets.npz")
    assert done.returncode == 0 and "training the" not in done.stdout, done.stderr
    done = call(tmp_path, "trust.__main__", flags, "b.json --load nets.npz --seed 4")
    assert done.returncode == 2 and "were trained with 3" in done.stderr
    done = call(tmp_path, "demo_dnn_vae", f"--load nets.npz --dataset {small_npz}")
    assert done.returncode == 2 and "has no VAE" in done.stderr
