"""The third door: images that another generator made."""

import csv
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, halved
from running import assert_drawn, assert_numbers_have_rows, call

from trust.ask import neighbours, new
from trust.data import datasets, submitted
from trust.data.images import DataError, ImageSet
from trust.filter.filters import Filter, sift_labelled
from trust.show import scores

RNG = np.random.default_rng
X, Y = RNG(0).integers(0, 256, (30, 12, 10), dtype=np.uint8), np.arange(30) % 3


def data(class_names=("ant", "bee", "cat"), images=X):
    return datasets.Dataset("zoo", "zoo.npz", ImageSet(images, Y), None, class_names, "", False)


def given(folder, zoo=None, **arrays):
    np.savez(folder / "images.npz", **arrays)
    return submitted.read_given(str(folder / "images.npz"), zoo or data())


@pytest.mark.parametrize(
    "labels",
    [
        Y,
        Y.astype(np.uint8),
        Y.astype(float)[:, None],
        np.eye(3)[Y],
        np.array(["ant", "bee", "cat"])[Y],
    ],
    ids=["integers", "uint8", "column", "one-hot", "names"],
)
def test_labels_as_people_have_them(tmp_path, labels):
    found = given(tmp_path, images=X[..., None], labels=labels)
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.images, X)
    assert found.labels.dtype == np.int64


def test_labels_that_are_names_of_classes_are_looked_up_and_not_counted(tmp_path):
    zoo = data(("1", "2", "3"))
    np.testing.assert_array_equal(given(tmp_path, zoo, images=X, labels=Y + 1).labels, Y)
    with pytest.raises(DataError, match="label 0, but the classes are 1, 2, 3"):
        given(tmp_path, zoo, images=X, labels=Y)


def test_fractions_stay_as_they_are_and_labels_may_lack(tmp_path):
    fractions = RNG(1).random((5, 1, 12, 10), np.float32)
    found = given(tmp_path, arr_0=fractions)
    assert found.labels is None and found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images, fractions[:, 0])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": X, "labels": Y[:9]}, "30 images, but labels has 9"),
        ({"images": X, "labels": Y + 1}, "has the label 3, but the classes are ant, bee, cat"),
        ({"images": X, "labels": np.array(["dog"] * 30)}, "label dog"),
        ({"images": X.astype(object)}, "no .npz file with images"),
        ({"pictures": X}, "holds no array images"),
        ({"images": X[:, :9]}, r"of shape \(9, 10\), but those of zoo of \(12, 10\)"),
        ({"images": np.stack([X] * 3, 3)}, "of shape"),
        ({"images": X / 127.5 - 1}, "fractions from 0 to 1"),
        ({"images": X * 1.5}, "must be 0 to 255"),
        ({"images": np.full((2, 12, 10), np.nan)}, "NaN"),
        ({"images": X[:0]}, "not .n, h, w"),
    ],
)
def test_what_cannot_be_examined_is_refused(tmp_path, arrays, said):
    with pytest.raises(DataError, match=said) as refusal:
        given(tmp_path, **arrays)
    assert "images.npz" in str(refusal.value) and len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("folders", [True, False])
def test_pictures_with_a_folder_a_class_or_without(tmp_path, folders):
    names = np.array(["ant", "bee", "cat"])
    for row, image in enumerate(X):
        place = tmp_path / "made" / (names[Y[row]] if folders else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row:02}.png").write_bytes(tf.io.encode_png(image[..., None]).numpy())
    found = submitted.read_given(str(tmp_path / "made"), data())
    order = np.argsort(Y, kind="stable") if folders else np.arange(30)
    np.testing.assert_array_equal(found.images, X[order])
    assert (found.labels is None) is not folders
    if folders:
        np.testing.assert_array_equal(found.labels, Y[order])


class Word(Filter):
    """What a classifier says of any four images."""

    def classify(self, images, truth=None):
        return ImageSet(
            images,
            labels=np.array([0, 1, 1, 2]),
            truth=truth,
            predicted=np.array([0, 1, 1, 2]),
            confidence=np.array([0.99, 0.9, 0.5, 0.96]),
            rows=np.arange(4),
        )


def test_which_images_are_examined():
    given, unnamed = ImageSet(X[:4], np.array([0, 0, 1, 2])), ImageSet(X[:4])
    every, sure = (Word(None, 1.0, threshold, 1.0, 1.0) for threshold in (0.0, 0.9))
    for accept in (None, every):
        passing = sift_labelled(given, accept).passing
        assert passing.rows.tolist() == [0, 1, 2, 3] and passing.labels.tolist() == [0, 0, 1, 2]
    passing = sift_labelled(unnamed, every).passing
    assert passing.rows.tolist() == [0, 1, 2, 3] and passing.labels.tolist() == [0, 1, 1, 2]
    passing = sift_labelled(unnamed, sure).passing
    assert passing.rows.tolist() == [0, 1, 3] and passing.labels.tolist() == [0, 1, 2]
    passing = sift_labelled(given, sure).passing
    assert passing.rows.tolist() == [0, 3] and passing.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(passing.images, X[[0, 3]])


def test_the_table_of_scores_starts_with_the_doubtful_ones():
    known = {
        "referee_labels": np.array([0, 2, 1, 0]),
        "referee_confidence": np.array([0.8, 0.6, 0.7, 0.9]),
        "unreal": np.array([0.1, 0.2, 0.3, 0.4]),
        "nearest_index": np.array([5, 6, 7, 8]),
        "nearest_distance": np.array([1.0, 2.0, 3.0, 4.0]),
        "nearest_was_seen": np.array([True, False, True, True]),
    }
    accepted = Word(None, 1.0, 0.0, 1.0, 1.0).classify(X[:4])
    run = SimpleNamespace(accepted=accepted, of_each_image=lambda: known)
    head, *lines = scores.scores(run, ("ant", "bee", "cat"))
    table = [dict(zip(head, line, strict=True)) for line in lines]
    assert [line["image"] for line in table] == [3, 1, 2, 0]
    assert table[0] == {
        "image": 3,
        "label": "cat",
        "classifier_label": "cat",
        "classifier_confidence": 0.96,
        "referee_label": "ant",
        "referee_confidence": 0.9,
        "unreal": 0.4,
        "nearest_real_image": 8,
        "nearest_was": "training image",
        "nearest_distance": 4.0,
    }
    assert table[1]["nearest_was"] == "test image"


# What to expect of images where the unseen ones are of another kind


def places(n, kind, rng, labels):
    """n points on a line, of one of two kinds that lie in different halves more often."""
    return np.where(rng.random(n) < kind, rng.random(n), 1 + rng.random(n)) + 10 * labels


def found_on_a_line(points, labels, real, real_labels):
    """Neighbours by brute force."""
    gaps = np.abs(points[:, None] - real) + 100 * (labels[:, None] != real_labels)
    order = np.argsort(gaps, axis=1)[:, :2]
    first, second = np.take_along_axis(gaps, order, 1).T
    nearest = neighbours.Nearest(order[:, 0], first, second)
    return neighbours.Neighbours(labels, nearest, nearest)


def test_real_images_measure_what_to_expect_where_the_unseen_are_of_another_kind():
    rng, plain, measured = RNG(3), [], []
    for _ in range(150):
        labels = [np.arange(n) % 2 for n in (600, 120, 300, 300)]
        kinds = 0.9, 0.1, 0.9, 0.9  # seen, unseen, to measure by, examined
        seen, unseen, measure, yours = (
            places(len(own), kind, rng, own) for own, kind in zip(labels, kinds, strict=True)
        )
        real, real_labels = np.concatenate([seen, unseen]), np.concatenate(labels[:2])
        marks = np.arange(len(real)) >= len(seen)
        found = found_on_a_line(yours, labels[3], real, real_labels)
        others = found_on_a_line(measure, labels[2], real, real_labels)
        plain.append(new.seen_or_unseen(found, real_labels, marks)["lean_z"])
        measured.append(new.seen_or_unseen(found, real_labels, marks, others)["lean_z"])
    assert np.mean(plain) < -1  # a false alarm
    assert abs(np.mean(measured)) < 0.25 and 0.75 < np.std(measured) < 1.15
    assert np.mean(np.abs(measured) > 3) < 0.02


def test_copies_are_found_by_what_real_images_measure():
    rng = RNG(4)
    labels = [np.arange(n) % 2 for n in (1200, 240, 800, 800)]
    seen, unseen, measure, yours = (places(len(own), 0.7, rng, own) for own in labels)
    real, real_labels = np.concatenate([seen, unseen]), np.concatenate(labels[:2])
    yours[:500] = seen[:500] + 1e-6
    marks = np.arange(len(real)) >= len(seen)
    found, others = (found_on_a_line(x, labels[2], real, real_labels) for x in (yours, measure))
    numbers = new.seen_or_unseen(found, real_labels, marks, others)
    assert numbers["lean_z"] < -3 and numbers["seen_share"] > numbers["expected_share"]


def test_the_measure_by_hand():
    """Four real images of a class, the last one unseen; two of ours are nearest to it, of three
    others one: expected is 4 / 3, and the counts differ by (1, 0, 0, 2) - 4 / 3 (1, 1, 0, 1)."""
    real_labels, unseen = np.zeros(4, int), np.array([False, False, False, True])

    def of(index):
        index = np.array(index)
        nearest = neighbours.Nearest(index, np.ones(len(index)), np.full(len(index), 2.0))
        return neighbours.Neighbours(np.zeros(len(index), int), nearest, nearest)

    numbers = new.seen_or_unseen(of([0, 0, 3, 3]), real_labels, unseen, of([0, 1, 3]))
    assert numbers["expected_share"] == pytest.approx(1 - 1 / 3)
    assert numbers["lean"] == pytest.approx(1 - 2 / (4 / 3))
    differences = np.array([2, 0, 0, 2]) - 4 / 3 * np.array([1, 1, 0, 1])
    variance = 0.25 * 0.75 * 4 / 3 * np.sum(differences**2)
    assert numbers["lean_z"] == pytest.approx((2 - 4 / 3) / variance**0.5)


# From the first line to the last file


def test_real_images_with_some_labels_swapped(bundled, tmp_path, unlearned):
    """The swapped ones come first in the table, and right says worse; somebody who knows the truth
    disputes those of them that are on the sheet, and so does the referee, which is bundled."""
    mnist = datasets.load_dataset("mnist")
    images, labels = mnist.test.images, mnist.test.labels.astype(np.uint8)
    swapped = np.arange(0, 1000, 20)
    labels[swapped] = (labels[swapped] + 1) % 10
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    flags = "--report r.json --scores s.csv --out o --audit 60"
    done = call(tmp_path, "trust.__main__", "mine.npz --dataset mnist", flags)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "training the referee" not in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert_numbers_have_rows(report)
    assert set(report["sets"]) == {"yours", "real", "planted"}
    assert report["verdicts"]["right"] in ("worse", "fails")
    assert report["verdicts"]["balanced"] == report["verdicts"]["varied"] == "as real"
    numbers = report["sets"]["yours"]["right"]
    assert numbers["error_low"] < 0.05 < numbers["error_high"] + 0.002
    assert report["sets"]["real"]["right"]["agreement"] > 0.98 > numbers["agreement"]
    assert "yours" in done.stdout and "right?    " in done.stdout and "1,000 images" in done.stdout
    with open(tmp_path / "s.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 1000
    assert len({int(line["image"]) for line in table[:60]} & set(swapped)) >= 49
    # These very images are among the unseen ones.
    assert np.mean([line["nearest_was"] == "test image" for line in table]) > 0.9
    for line in table[:9]:
        assert int(line["nearest_real_image"]) < 4000 and line["label"] in set("0123456789")
    drawn = {path.name for path in (tmp_path / "o").iterdir()}
    assert drawn == {
        "answers.png",
        "doubtful.png",
        "least-real.png",
        "copies.png",
        "audit.png",
        "audit.csv",
        "audit.json",
    }
    for name in ("doubtful.png", "least-real.png", "copies.png", "audit.png"):
        assert_drawn(tmp_path / "o" / name)
    assert done.stdout.endswith("\nThe figures are in o\n")
    key = json.loads((tmp_path / "o" / "audit.json").read_text())
    head, *lines = (tmp_path / "o" / "audit.csv").read_text().splitlines()
    seen = mnist.test.labels[key["shown"]]
    lines = [line.replace(",,", f",{name},") for line, name in zip(lines, seen, strict=True)]
    (tmp_path / "o" / "audit.csv").write_text("\n".join([head, *lines]))
    done = call(tmp_path, "trust.audit", "o/audit.csv")
    wrong = np.isin(key["shown"], swapped).sum()
    assert wrong and len(lines) == 60
    assert f"The person disputes {wrong} of 60 labels" in done.stdout
    assert f"The referee disputes {wrong} of the {wrong} labels" in done.stdout
    assert "promise" not in done.stdout  # there was no threshold


def run(*words, cwd):
    """The door as a user calls it, in a process of its own."""
    command = [sys.executable, "-m", "trust", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


def test_a_folder_of_pictures_without_labels_and_ones_own_data(small_npz, tmp_path):
    mnist = datasets.load_dataset("mnist")
    (tmp_path / "made").mkdir()
    for row, image in enumerate(halved(mnist.test.images[3000:3300])):
        file = tmp_path / "made" / f"{row:03}.png"
        file.write_bytes(tf.io.encode_png(image[..., None]).numpy())
    flags = "made --max-error 0.03 --report r.json --scores s.csv --dataset".split()
    done = run(*flags, small_npz, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "no labels: the classifier names them" in done.stdout
    assert "training the referee" in done.stdout and "drawing" not in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert_numbers_have_rows(report)
    with open(tmp_path / "s.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert 150 < len(table) < 300
    promised = report["sets"]["promise"]["right"]
    threshold = report["settings"]["threshold"]
    assert promised["max_error"] == 0.03 and promised["threshold"] == threshold
    assert promised["wrong"] < promised["bound"] <= 0.03
    assert "promise     with 95 % confidence at most 3.00 % of real images that pass" in done.stdout
    assert "stands on real images" in done.stdout
    assert all(float(line["classifier_confidence"]) >= threshold for line in table)
    assert all(line["classifier_label"] == line["label"] for line in table)
    truth = mnist.test.labels[3000:3300]
    right = [int(line["label"]) == truth[int(line["image"])] for line in table]
    assert np.mean(right) > 0.9
    assert sum(each["accepted"] for each in report["classes"].values()) == len(table)
    # The classifier names the real images too, and is not always right.
    assert 0.9 < report["sets"]["real"]["right"]["true_agreement"] < 1
    assert {path.name for path in tmp_path.iterdir()} == {"made", "r.json", "s.csv"}


MISTAKES = [
    ("missing.npz --dataset mnist", "missing.npz"),
    ("bad.npz --dataset mnist", "holds no array images"),
    ("good.npz --dataset cifar", "a data set is mnist"),
    ("good.npz", "--dataset"),
    ("good.npz --dataset mnist --report good.npz", "over"),
    ("good.npz --dataset mnist --scores x --report x", "over"),
    ("good.npz --dataset mnist --threshold 2", "--threshold"),
    ("good.npz --dataset mnist --audit 9", "--audit needs --out"),
    ("good.npz --dataset mnist --max-error 1e-5", "is too small: half of"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_mistakes_at_the_third_door(bundled, tmp_path, words, said):
    np.savez(tmp_path / "bad.npz", pictures=X)
    np.savez(tmp_path / "good.npz", images=np.zeros((3, 28, 28)))
    before = sorted(tmp_path.iterdir())
    done = call(tmp_path, "trust.__main__", words)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr and "error: " in done.stderr
    assert "importing TensorFlow" not in done.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_a_mistake_on_the_real_command_line(tmp_path):
    done = run("good.npz", "--dataset", "cifar", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("python -m trust: error: ") and done.stderr.count("\n") == 1
