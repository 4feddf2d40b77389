"""The panels that strangers wrote: distributions are what their names say, C_T is that of ranks."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, neighbors

from benchmarks import strangers, tables
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS, WORSE

RNG = np.random.default_rng
SETTINGS = [*strangers.settings()]


def one(check, name):
    [found] = [each for each in SETTINGS if (each.check, each.name) == (check, name)]
    return found


def test_all_checks_have_equal_and_different_sets():
    names = dict.fromkeys(each.check for each in SETTINGS)
    assert len(names) == 14
    for name in names:
        assert {each.equal for each in SETTINGS if each.check == name} == {True, False}
    assert len({each[:2] for each in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: f"{each.check}, {each.name}")
def test_distributions_are_equal_or_not(setting):
    rng = RNG(0)
    n = 20_000 if setting.real(rng, 2).shape[1] < 1000 else 1000
    sets = setting.real(rng, n), setting.yours(rng, n)
    assert sets[0].shape == sets[1].shape == (n, sets[0].shape[1])
    numbers = (
        lambda points: points[:, 0],
        lambda points: points.mean(axis=1),
        lambda points: np.linalg.norm(points, axis=1),
    )
    chance = min(stats.ks_2samp(*map(number, sets)).pvalue for number in numbers)
    whole = [(points == np.round(points)).all() for points in sets]
    assert (chance > 1e-4 and whole[0] == whole[1]) == setting.equal


def test_shapes_are_those_of_their_names():
    rng = RNG(1)
    ring, inside = strangers.torus(rng, 5000), strangers.ball(rng, 5000)
    flat = np.linalg.norm(ring[:, :2], axis=1)
    assert (np.hypot(flat - 1, ring[:, 2]) <= 0.1).all()
    radius = np.linalg.norm(inside, axis=1)
    assert stats.kstest((radius / 0.8) ** 3, "uniform").pvalue > 1e-3
    np.testing.assert_allclose(np.linalg.norm(strangers.sphere(1.5, 16)(rng, 9), axis=1), 1.5)
    tail = strangers.heavy(0)(rng, 5000)[:, 1]
    assert stats.kstest(tail, stats.pareto(1.01).cdf).pvalue > 1e-3
    modes = strangers.modes(np.array([[0.0], [100.0], [200.0]]), 1, [1, 0, 3])(rng, 5000)
    near = np.rint(modes / 100).ravel().astype(int)
    assert not (near == 1).any() and 0.72 < np.mean(near == 2) < 0.78
    moved = strangers.with_outlier(strangers.normal(0, 1, 3), 50)(rng, 10)
    assert len(moved) == 10 and (moved[-1] == 50).all() and (moved[:-1] < 10).all()


@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("mean of a Gaussian", "d = 8, mean 0"),
        ("mean of a Gaussian", "d = 8, mean 1.5"),
        ("ten modes dropped one by one", "d = 1, 1 dropped"),
        ("ball and torus", "in a torus, n = 1000"),
    ],
)
def test_the_verdict_tells_equal_from_different(check, name):
    found = strangers.check_setting(one(check, name), draws=2, seed=1)
    assert len(found["words"]) == 2 and strangers.right(found) == 2
    assert found["words"] == [AS_REAL] * 2 or set(found["words"]) <= {*CAUGHT}


def test_only_a_clear_word_is_right():
    words = [AS_REAL, WORSE, FAILS, CANNOT_TELL]
    assert strangers.right({"equal": True, "words": words}) == 1
    assert strangers.right({"equal": False, "words": words}) == 2


def test_moons_are_scikit_learns():
    mine = strangers.moons(RNG(2), 4000)
    others, _ = datasets.make_moons(4000, noise=strangers.MOONS_NOISE, random_state=3)
    for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
        assert stats.ks_2samp(mine @ direction, others @ direction).pvalue > 1e-3


def test_z_of_ranks_is_scipys():
    rng = RNG(4)
    for shift in (0, 0.3):
        a, b = np.round(rng.normal(shift, 1, 80), 1), np.round(rng.normal(size=120), 1)
        spread = (80 * 120 * 201 / 12) ** 0.5
        expected = (stats.mannwhitneyu(a, b).statistic - 80 * 60) / spread
        assert strangers.z_of_ranks(a, b) == pytest.approx(expected)


def test_copying_is_the_mean_over_cells_of_ranks_of_distances():
    rng = RNG(5)
    training, tested, points = strangers.moons(rng, 600), strangers.moons(rng, 300), None
    centres = strangers.cells_of(training, rng)
    points = strangers.from_kernels(training, 0.05, 300, rng)
    cell = neighbors.KNeighborsClassifier(1).fit(centres, np.arange(len(centres)))
    expected = 0.0
    for k in range(len(centres)):
        own, others, known = (each[cell.predict(each) == k] for each in (points, tested, training))
        assert len(own) > 20
        tree = neighbors.NearestNeighbors(n_neighbors=1).fit(known)
        z = strangers.z_of_ranks(*(tree.kneighbors(each)[0][:, 0] for each in (own, others)))
        expected += z * len(others) / 300
    assert strangers.copying(points, tested, training, centres) == pytest.approx(expected)


def test_narrow_kernels_copy_and_hidden_copies_are_found():
    def narrow(training, rng):
        return strangers.from_kernels(training, 1e-3, strangers.N, rng)

    def honest(training, rng):
        return strangers.moons(rng, strangers.N)

    def hidden(training, rng):
        wide = strangers.from_kernels(training, 1.0, 800, rng)
        return np.concatenate([wide, training[:200]])

    found = [strangers.about_moons(draw, 1, 0) for draw in (narrow, honest, hidden)]
    said = [strangers.says(each["copying"][0]) for each in found]
    assert said == [strangers.COPIES, strangers.FITS, strangers.UNDERFITS]
    assert [each["new"] for each in found] == [[FAILS], [AS_REAL], [FAILS]]
    assert found[1]["varied"] == [AS_REAL]


def test_places_of_disputed_labels_are_counted_from_one():
    labels, confidence = np.zeros(10_000, int), np.linspace(0.9, 1, 10_000)
    referee_labels = labels.copy()
    referee_labels[[9729, 5, 6]] = 1
    confidence[[5, 9729, 6]] = 0.99, 0.95, 0.92  # of those that differ, the surest first
    found = strangers.disputed_ranks(labels, referee_labels, confidence)
    assert len(found) == 15 and found[0] == 2
    assert found[1] == 3 + (947 + 1 - 2)  # all that agree, by rising confidence


def test_the_script_writes_what_the_tables_read(tmp_path, monkeypatch):
    report = tmp_path / "strangers.json"
    kept = [each for each in SETTINGS if each.name == "d = 1, 5 dropped"]
    monkeypatch.setattr(strangers, "settings", lambda: iter(kept))
    monkeypatch.setattr(strangers, "KERNELS", np.array([0.01]))
    monkeypatch.setattr(strangers, "SHARES", (0.2,))
    monkeypatch.setattr(strangers, "disputed_panel", lambda: [2, 20])
    monkeypatch.setattr("sys.argv", ["strangers", "--draws", "1", "--report", str(report)])
    strangers.main()
    checked, widths, shares, disputed = tables.strangers_tables(tmp_path).values()
    assert "| all | none | 1 of 1 |  |" in checked
    assert "| copies |" in widths and "| underfits |" in shares
    assert "| 1 | 2 | 2 | 2 |" in disputed


def test_the_tables_name_what_is_missed(tmp_path):
    assert tables.strangers_tables(tmp_path) == {}
    checks = [
        {"check": "a", "setting": "same", "equal": True, "words": [AS_REAL, AS_REAL]},
        {"check": "a", "setting": "other", "equal": False, "words": [WORSE, AS_REAL]},
        {"check": "b", "setting": "far", "equal": False, "words": [FAILS, WORSE]},
    ]
    moons = {"copying": [-9.0, -7.0], "lean": [0.5, 0.7], "new": [FAILS, WORSE], "varied": ["x"]}
    report = {
        "checks": checks,
        "widths": [moons | {"width": 0.001}],
        "shares": [moons | {"copies": 0.2, "copying": [0.0, 4.0]}],
        "disputed": [2, 15, 16, 138],
    }
    (tmp_path / "strangers.json").write_text(json.dumps(report))
    checked, widths, shares, disputed = tables.strangers_tables(tmp_path).values()
    assert checked.splitlines()[2:] == [
        "| a | 2 of 2 | 1 of 2 | other (worse 1, as real 1) |",
        "| b | none | 2 of 2 | none |",
        "| all | 2 of 2 | 3 of 4 |  |",
    ]
    assert "| width of the kernel 0.001 | -8.0 ± 1.4 | copies | 60.00 % ± 14.14 |" in widths
    assert "| copies: 20% | 2.0 ± 2.8 | fits 1, underfits 1 |" in shares
    assert "| 2 | 3 | 3 | 4 |" in disputed
