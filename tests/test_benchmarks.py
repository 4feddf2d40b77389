"""The comparisons and measurements, each on a slice."""

import json
import re
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, first_images
from running import call

from benchmarks import race


def run(name, *words):
    """What `python -m benchmarks.NAME` prints on standard output, in this process."""
    done = call(ROOT, f"benchmarks.{name}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def small_batches(monkeypatch):
    """So that a step takes less time; there are as many.  One in a call compiles faster."""
    from trust.train import fast, loops

    monkeypatch.setattr(loops, "VAE_BATCH", 64)
    monkeypatch.setattr(loops, "CLASSIFIER_BATCH", 64)
    monkeypatch.setattr(fast, "STEPS_TOGETHER", 1)


def test_a_run_gives_the_seconds_of_each_epoch_and_the_nats(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "ROOT", tmp_path)
    (tmp_path / "fake.py").write_text(
        "import sys\n"
        "assert sys.argv[1:] == ['--flag', '--epochs=2', 'data/mnist.npz']\n"
        "print('epoch 1: 2.00 s\\nepoch 2: 5.00 s\\n101.25 nats')\n"
    )
    seconds, nats = race.train(sys.executable, "fake.py", "--flag", epochs=2)
    assert seconds.tolist() == [2, 3] and nats == 101.25


def racer(results):
    """race.train() with results {who: (seconds of each epoch, nats)}; JAX is twice as fast."""

    def train(python, *words, **options):
        seconds, nats = results["keras" if words == ("-m", "benchmarks.keras_vae") else "peer"]
        return np.array(seconds) / (2 if words == ("benchmarks/jax_vae.py",) else 1), nats

    return train


def test_ratios_leave_the_first_epoch_out(monkeypatch, capsys):
    results = {"peer": ([9.0, 4.0], 100.0), "keras": ([8.0, 2.0], 100.0)}
    monkeypatch.setattr(race, "train", racer(results))
    # By hand: 784-400-40 and 20-400-784 take 1.64 million products and sums an image.
    monkeypatch.setattr(race, "matmul_rate", lambda: 3_280_000 * 59_904.0)
    race.race_dense(SimpleNamespace(pairs=3, epochs=3, peer_python="python"))
    printed = capsys.readouterr().out
    for name, ratio in (("PyTorch", "2.00"), ("torch.compile", "2.00"), ("JAX", "1.00")):
        assert f"seconds of {name} over ours: median {ratio}, from {ratio} to {ratio}" in printed
    assert "share of the matmul rate: median 0.50" in printed


@pytest.mark.parametrize("ours, verdict", [(105.3, "reached"), (105.5, "MISSED")])
def test_the_time_to_quality_counts_all_epochs(monkeypatch, capsys, ours, verdict):
    results = {"peer": ([20.0, 20.0], 105.4), "keras": ([10.0], ours)}
    monkeypatch.setattr(race, "train", racer(results))
    race.race_to_quality(SimpleNamespace(pairs=2, quality_epochs=1, peer_python="python"))
    printed = capsys.readouterr().out
    assert printed.count(verdict) == 6
    assert "our seconds over PyTorch's: median 0.25" in printed
    assert "our seconds over JAX's: median 0.50" in printed


def executable(path, lines):
    """A shell script in the place of a Python."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def test_the_whole_jobs_are_timed(monkeypatch, capsys, tmp_path):
    lines = 'case "$*" in "-m benchmarks.naive --out "*) sleep 2;; esac'
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", lines))
    race.race_job(SimpleNamespace(pairs=2))
    printed = capsys.readouterr().out
    seconds = re.findall(r"naive method ([\d.]+) s, main script ([\d.]+) s", printed)
    assert len(seconds) == 2 and all(float(naive) >= 2 for naive, _ in seconds)
    words = r"as the naive method: median ([\d.]+), from ([\d.]+) to ([\d.]+)"
    middle, low, high = map(float, re.search(words, printed).groups())
    assert 1 < low <= middle <= high


def test_a_job_that_fails_stops_the_race(monkeypatch, tmp_path):
    broken = executable(tmp_path / "python", "exit 1")
    monkeypatch.setattr(sys, "executable", broken)
    with pytest.raises(SystemExit, match=r"benchmarks\.naive .* failed"):
        race.race_job(SimpleNamespace(pairs=1))


def test_our_networks_run_for_the_race_to_quality(small_npz, small_batches):
    printed = run("keras_vae", small_npz, "--arch=default", "--epochs=1")
    assert float(re.search(r"^epoch 1: ([\d.]+) s$", printed, re.MULTILINE)[1]) > 0
    assert 25 < float(re.findall(r"([\d.]+) nats", printed)[0]) < 100


def test_importance_samples_give_the_integral_over_the_code():
    """One latent, so that p(x) can be had by quadrature; one sample gives the ELBO's mean."""
    import keras

    from benchmarks import likelihood
    from trust.train import priors
    from trust.train.architectures import models

    keras.utils.set_random_seed(2)
    vae = models.VAE(models.build_encoder(1, (16,)), models.build_decoder(1, (8,)), seed=2)
    image = (np.random.default_rng(0).random((1, 28, 28)) * 255).astype(np.uint8)
    grid = np.linspace(-9, 9, 4001)
    logits = vae.decoder(grid[:, None].astype(np.float32)).numpy()[..., 0].astype(float)
    x = image / 255
    nats = (x * np.logaddexp(0, -logits) + (1 - x) * np.logaddexp(0, logits)).sum(axis=(1, 2))
    log_prior = -0.5 * (grid**2 + np.log(2 * np.pi))
    expected = -np.logaddexp.reduce(log_prior - nats) - np.log(grid[1] - grid[0])
    prior, rng = priors.StandardNormal(1), np.random.default_rng(1)
    many = likelihood.negative_log_likelihood(vae, prior, image, samples=20_000, rng=rng)
    assert many == pytest.approx(expected, abs=0.05)
    images = np.repeat(image, 100, axis=0)
    single = likelihood.negative_log_likelihood(vae, prior, images, samples=1, rng=rng)
    assert single.mean() > expected
    assert single.std() > 0.05  # without samples enough there is a gap to see


def test_the_likelihood_is_told_for_both_priors(small_npz, small_batches):
    flags = "--epochs=1", "--latent-dim=4", "--images=10", "--samples=20"
    printed = run("likelihood", "--dataset", small_npz, *flags)
    for prior in ("N(0, I)", "fitted mixture"):
        line = next(line for line in printed.splitlines() if line.startswith(f"prior {prior}:"))
        bound, nats, error = map(float, re.findall(r"\d+\.\d+", line))
        assert 25 < nats < bound + 5 * error < 200


def test_the_halves_of_the_held_out_images_share_none():
    from benchmarks import tune
    from trust.data.images import ImageSet

    one, other = tune.halves(ImageSet(np.arange(9), np.arange(9) + 100), seed=0)
    assert sorted([*one.images, *other.images]) == list(range(9)) and len(one.images) == 4
    assert np.array_equal(one.labels, one.images + 100)
    assert list(one.images) != [0, 1, 2, 3]


def test_settings_are_compared_with_held_out_images(bundled, small_batches):
    flags = "--epochs=1", "--latent-dim=4", "--components=20", "--draws=1000"
    printed = run("tune", *flags)
    assert "latent_dim=4 epochs=1" in printed
    lines = [line for line in printed.splitlines() if "frechet" in line]
    assert [line.split(":")[0].strip() for line in lines] == ["narrowing=0.94", "real"]
    generated, real = (dict(re.findall(r"(\w+) (\d+\.\d+)", line)) for line in lines)
    assert float(real["frechet"]) < float(generated["frechet"])
    # Were an image on both sides, its ball would have an image: real ones would cover all.
    assert 0.5 < float(real["coverage"]) < 1


def test_more_epochs_explain_more(tmp_path, bundled, small_batches):
    file = tmp_path / "epochs.json"
    run("epochs", "--train=1500", "--images=600", "--epochs", 1, 3, "--report", file)
    few, many = json.loads(file.read_text())
    assert (few["epochs"], many["epochs"]) == (1, 3) and few["seconds"] > 0
    assert few["negative_elbo"] > many["negative_elbo"] + 10
    assert few["strong_rate"] < many["strong_rate"] and few["recall"] < many["recall"]
    # Real images are cut to as many of each class, which is all that may differ.
    assert few["frechet_real"] < few["frechet"] and few["recall_real"] > few["recall"]


def test_whether_generated_images_help_is_asked_of_each_size(
    tmp_path, bundled, small_batches, unlearned
):
    """No classifier learns here: only from what it would have, and what is written of it."""
    from trust.ask.helps import TRAININGS
    from trust.data import datasets

    file = tmp_path / "helps.json"
    printed = run("helps", "--sizes", 600, 1000, "--epochs=2", "--report", file)
    train = datasets.load_dataset("mnist").train
    rows_of = {image.tobytes(): row for row, image in enumerate(train.images)}
    for k, (n, found) in enumerate(zip((600, 1000), json.loads(file.read_text()), strict=True)):
        assert found["n"] == n and f"n {n}  accuracy_with_real 0.5" in printed
        assert abs(found["real_images"] - n * 5 / 6) < 10
        assert found["added_images"] == found["others_added_images"] > 100
        alone, generated, others = unlearned[3 * k * TRAININGS :: TRAININGS][:3]
        seen = {rows_of[image.tobytes()] for image in alone[0]}
        assert len(seen) == found["real_images"] == found["others_real_images"]
        assert (
            sum(image.tobytes() not in rows_of for image in generated[0]) >= found["added_images"]
        )
        more = {rows_of[image.tobytes()] for image in others[0]}
        assert len(more) == found["real_images"] + found["others_added_images"] and seen < more
    assert "fewer than 4,000 are needed" in call(ROOT, "benchmarks.helps", "--sizes 4000").stderr


def test_promises_are_made_and_what_became_of_them_is_told(
    tmp_path, bundled, small_batches, monkeypatch
):
    """One that is kept, and one that so few images cannot show."""
    from benchmarks import promises
    from trust.cli import Clock
    from trust.data import datasets, splits
    from trust.plan import new_streams
    from trust.train import saves, trained

    monkeypatch.setattr(promises, "PROMISES", (0.25, 0.001))
    data = datasets.load_dataset("mnist")
    settings = saves.settle({"epochs": 2, "latent_dim": 8}, data)
    streams = new_streams(settings.seed)
    split = splits.split(data, settings.split, streams.split)
    models = str(tmp_path / "models.npz")
    trained.train(settings, data, split, Clock(), streams.mixture, save=models)
    report = tmp_path / "promises.json"
    printed = run("promises", "--load", models, "--images=500", "--report", report)
    kept, impossible = json.loads(report.read_text())
    assert impossible == {"max_error": 0.001, "kept": None}
    assert "--max-error 0.001 is too small" in printed
    assert kept["max_error"] == 0.25 and 0.2 < kept["kept"] <= 1
    assert kept["wrong"] <= kept["bound"] <= 0.25 and 0.5 <= kept["threshold"] < 1
    for which in ("test", "estimated"):
        low, share, high = (kept[f"{which}_error_{end}"] for end in ("low", "estimate", "high"))
        assert low <= share <= high and share < 0.35
    assert f"threshold {kept['threshold']:.4g}" in printed


def test_the_naive_method_writes_what_can_be_examined(tmp_path, monkeypatch):
    from benchmarks import naive

    monkeypatch.setattr(naive, "WANTED", 500)
    printed = run("naive", "--images=2000", "--epochs=1", "--out", tmp_path / "naive.npz")
    share = float(re.search(r"([\d.]+)% of 500 images are strong", printed)[1]) / 100
    with np.load(tmp_path / "naive.npz") as file:
        assert file["images"].shape == (*file["labels"].shape, 28, 28)
        assert len(file["labels"]) == round(share * 500) and file["drawn"] == 500
        assert (file["confidence"] >= 0.95).all() and file["seed"] == 0
        assert set(file["labels"]) <= set(range(10))
        assert ((file["images"] >= 0) & (file["images"] <= 1)).all()


def test_forgeries_are_caught_and_honest_sets_are_not(monkeypatch, tmp_path, bundled):
    """A slice of the panel, with the bundled referee and without what is learned from each set:
    these take long to train."""
    from benchmarks import forgeries, tables
    from trust.train import referee, saves

    def bundled_weights(network, *others, **settings):
        saves.load_weights(network, bundled / "referee_mnist.weights.h5")

    monkeypatch.setattr(referee, "train_referee", bundled_weights)
    monkeypatch.setattr(forgeries, "EPOCHS", 2)
    monkeypatch.setattr(forgeries, "USEFUL_AT", 0)
    kinds = "honest", "swapped labels", "a class left out", "inverted"
    few = {name: forgeries.KINDS[name] for name in kinds}
    few = {name: kind._replace(doses=kind.doses[-2:]) for name, kind in few.items()}
    monkeypatch.setattr(forgeries, "KINDS", few)
    file = tmp_path / "forgeries.json"
    printed = run("forgeries", "--sizes", 300, "--draws=1", "--report", file)
    found = json.loads(file.read_text())
    assert {(each["n"], each["draw"]) for each in found} == {(300, 0)}
    assert {each["forgery"] for each in found} == {*kinds}
    assert not {"worse", "fails"} & set(found[0]["verdicts"].values())
    texts = forgeries.summary(found)
    for name in kinds[1:]:
        assert f"{name}, n = 300: " in printed
        assert set(texts[name, 300].values()) - {"", "not asked"}, name
    for name in ("swapped labels", "a class left out"):
        assert forgeries.as_expected(name, texts[name, 300]) != "not caught", name
    assert [each["dose"] for each in found if each["forgery"] == "swapped labels"] == [100, 20]
    short = tables.short_forgeries_table({"mnist": [found]})
    assert (
        "| honest | none | 0 of 1 |" in short
        and "| a class left out | balanced | caught |" in short
    )


def without_networks(images, labels):
    """A Panel of the same images everywhere, without networks."""
    from benchmarks import forgeries
    from trust.data.images import ImageSet

    real, floats = ImageSet(images, labels), ImageSet(forgeries.as_floats(images), labels)
    return forgeries.Panel(
        seen=real,
        held_out=real,
        fresh=floats,
        easy=floats.take(slice(100)),
        test=real,
        strangers=images[::-1],
        generator=None,
        accept=None,
        classes=4,
    )


def test_forgeries_are_what_they_are_called():
    from benchmarks import forgeries
    from trust.data.images import ImageSet

    rng = np.random.default_rng(0)
    images, labels = rng.integers(1, 256, (200, 28, 28), np.uint8), np.arange(200) % 4
    panel = without_networks(images, labels)
    real = ImageSet(forgeries.as_floats(images), labels)

    def forged(name, rng=rng):
        return forgeries.KINDS[name].forge(panel, real, rng)

    swapped = forged("swapped labels")
    assert (swapped.labels != labels).all() and set(swapped.labels) == {0, 1, 2, 3}
    easy = forged("easy images, 3 % swapped")
    of = [np.flatnonzero((real.images == image).all(axis=(1, 2)))[0] for image in easy.images]
    assert len(easy) == 100 and max(of) < 100 and (easy.labels != labels[of]).sum() == 3
    left = forged("a class left out").counts(4)
    assert left.tolist() == [0, 50, 50, 50]
    assert forged("a class at a tenth").counts(4).tolist() == [5, 50, 50, 50]
    few = forged("ten images of each class")
    assert len(np.unique(few.images, axis=0)) == 40
    np.testing.assert_array_equal(few.labels, labels)
    both = np.unique(forged("each image twice").images, axis=0, return_counts=True)[1]
    assert both.tolist() == [2] * 100
    copied = forged("copies of all real images")
    for image, label in zip(copied.images, labels, strict=True):
        assert any(np.array_equal(image, other) for other in real.images[labels == label])
    for name, kind in forgeries.KINDS.items():  # one type: else they could not be mixed
        if name not in ("labels by a classifier", "half-way between two classes") and (
            kind.forge is not forgeries.KINDS["reconstructions of training images"].forge
        ):
            made = forged(name).images
            assert made.dtype == np.float32 and 0 <= made.min() and made.max() <= 1, name
    mean = forged("blends of two images").images * 2 - real.images
    assert np.abs(mean[0] - real.images).max(axis=(1, 2)).min() < 1e-6
    mixed = forged("halves of two images").images
    np.testing.assert_array_equal(mixed[:, :14], real.images[:, :14])
    assert len(np.unique(mixed[:, 14:], axis=0)) == 200
    assert (mixed[:, 14:] != real.images[:, 14:]).any(axis=(1, 2)).mean() > 0.9
    np.testing.assert_allclose(forged("inverted").images, (255 - images) / 255, atol=1e-6)
    assert np.unique(np.round(forged("class means").images.mean(axis=(1, 2)), 1)).tolist() == [0.5]
    assert forged("uniform noise").images.dtype == np.float32
    assert len(forged("another data set")) == 200
    dot = np.zeros((1, 28, 28), np.float32)
    dot[0, 9, 9] = 81
    thick = np.argwhere(forgeries.thicker(panel, dot, rng)[0])
    assert thick.tolist() == [[8, 9], [9, 8], [9, 9], [9, 10], [10, 9]]
    assert np.argwhere(forgeries.mirrored(panel, dot, rng)[0]).tolist() == [[9, 18]]
    assert forgeries.paler(panel, dot, rng).max() == 40.5
    empty = 0 * dot
    with_mark = forgeries.marked(panel, empty, rng)[0]
    assert with_mark.sum() == 36 and with_mark[:6, :6].all() and not empty.any()
    soft = forgeries.blurred(panel, ImageSet(dot), rng)
    np.testing.assert_allclose(soft[0, 9, 7:12], [3, 6, 9, 6, 3], rtol=1e-5)
    assert soft.sum() == pytest.approx(81, rel=1e-5)


def test_a_dose_is_the_share_of_a_set_that_is_forged():
    from benchmarks import forgeries
    from trust.data.images import ImageSet

    honest, forged = (
        ImageSet(np.zeros(200), np.zeros(200, int)),
        ImageSet(np.arange(1, 201.0), np.ones(200, int)),
    )
    for dose, count in ((1, 2), (5, 10), (20, 40), (100, 200)):
        some = forgeries.mixed(honest, forged, dose)
        assert len(some) == 200 and some.labels.sum() == (some.images > 0).sum() == count
    assert len(forgeries.mixed(honest, forged.take(slice(150)), 100)) == 150


def test_the_training_images_are_cut_in_three():
    from benchmarks import forgeries
    from trust.data.images import ImageSet

    rng = np.random.default_rng(0)
    parts = forgeries.in_three(ImageSet(np.arange(60), np.arange(60)), rng, None)
    assert [len(part) for part in parts] == [30, 10, 20]
    assert sorted(np.concatenate([part.images for part in parts])) == list(range(60))
    assert [len(part) for part in forgeries.in_three(parts[0], rng, 12)] == [6, 2, 4]


def test_what_was_found_before_is_not_looked_for_again():
    from benchmarks import forgeries

    asked, memory = [], {}

    def squares(rows):
        asked.append(rows.tolist())
        return np.array([[keys[row], keys[row] ** 2] for row in rows])

    keys = [3, 5, 3]
    assert forgeries.once(memory, keys, squares, 2).tolist() == [[3, 9], [5, 25], [3, 9]]
    keys = [5, 7]
    assert forgeries.once(memory, keys, squares, 2).tolist() == [[5, 25], [7, 49]]
    assert [len(rows) for rows in asked] == [2, 1]
    keys = []
    assert forgeries.once(memory, keys, squares, 2).shape == (0, 2)


def test_the_race_runs_with_a_peer(tmp_path, monkeypatch):
    """From a copy of the repository whose data are as many images as one call of training needs."""
    for name in ("benchmarks", "trust", "models.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mnist.npz", **first_images("mnist", 18 * 256, 500))
    lines = "test -f $1 && printf 'epoch 1: 0.9 s, 200 nats\\nepoch 2: 1 s, 150 nats\\n'"
    peer = executable(tmp_path / "peer", lines)
    monkeypatch.setattr(race, "ROOT", tmp_path)
    monkeypatch.setattr(race, "matmul_rate", lambda: matmul_rate(256))
    printed = run("race", "--peer-python", peer, "--races=dense", "--pairs=1", "--epochs=2")
    ours = float(re.search(r"dense: ours ([\d.]+) s an epoch", printed)[1])
    for name in race.PEERS:
        assert f"{name} 0.10 s" in printed
        ratio = re.search(rf"seconds of {re.escape(name)} over ours: median ([\d.]+)", printed)[1]
        assert 0.1 / (ours + 0.006) - 0.01 < float(ratio) < 0.1 / max(ours - 0.006, 1e-3) + 0.01


matmul_rate = race.matmul_rate


def test_the_matmul_rate_is_that_of_a_product_of_large_matrices():
    assert 1e8 < matmul_rate(64) < 1e14


def test_a_trick_left_out_leaves_the_plain_way(monkeypatch):
    import keras
    import tensorflow as tf

    from benchmarks import tricks
    from trust import cli
    from trust.train import fast
    from trust.train.architectures import models

    names, plain = [name for names in tricks.TRICKS.values() for name in names], cli.PLAIN
    for name in names:  # so that they are put back
        monkeypatch.setattr(fast, name, None)
    tricks.leave_out(names)
    assert fast.STEPS_TOGETHER == 1 and fast.VAE is models.VAE and cli.PLAIN == plain
    assert type(fast.adam(0.1)) is keras.optimizers.Adam
    assert len(set(fast.map_two(lambda _: threading.get_ident(), range(20)))) == 1
    batches = fast.without_autotune(tf.data.Dataset.range(3))
    assert batches.options().autotune.enabled and list(batches.as_numpy_iterator()) == [0, 1, 2]


def test_training_and_prediction_are_timed_without_a_trick(
    monkeypatch, capsys, bundled, small_batches
):
    import keras

    from benchmarks import tricks
    from trust.train import fast, loops

    # What measure() changes for its process, which is here put back.
    for module, name in ((fast, "adam"), (loops, "LEAST_STEPS")):
        monkeypatch.setattr(module, name, getattr(module, name))
    tricks.measure(["adam"], SimpleNamespace(images=640, epochs=1))
    assert fast.adam is keras.optimizers.Adam
    training, prediction = json.loads(capsys.readouterr().out)
    assert training > 0 and prediction > 0


def test_the_worth_of_a_trick_is_told(monkeypatch, capsys, tmp_path):
    """A process without the fused Adam takes three times as long for training, and half as long for
    the rest; one without any trick is told so in its environment too."""
    from benchmarks import tricks

    lines = """
    case "$*" in
      *"--epochs=1 --images=600 --measure-without adam") echo "[9.0, 1.0]";;
      *"--measure-without STEPS_TOGETHER adam VAE"*)
        test "$TRUST_PLAIN" = 0 && test "$TF_NUM_INTRAOP_THREADS" -ge 1 && echo "[12.0, 2.0]";;
      *"--measure-without") test -z "$TF_NUM_INTRAOP_THREADS" && echo "[3.0, 2.0]";;
    esac"""
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", lines))
    flags = "--pairs=2", "--epochs=1", "--images=600", "--tricks", "fused Adam", tricks.EVERY
    monkeypatch.setattr(sys, "argv", ["tricks", *flags])
    tricks.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["with all: training 3.0 s, prediction 2.0 s"] * 2
    cells = [re.split(r" {2,}|(?<=\)) ", line) for line in printed[-2:]]
    assert cells == [
        ["fused Adam", "3.00 (3.00 to 3.00)", "0.50 (0.50 to 0.50)"],
        [tricks.EVERY, "4.00 (4.00 to 4.00)", "1.00 (1.00 to 1.00)"],
    ]
