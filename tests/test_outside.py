"""The third door: images that another generator made."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, halved
from PIL import Image
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


def given(folder, zoo=None, notes=None, **arrays):
    np.savez(folder / "images.npz", **arrays)
    notes = [] if notes is None else notes
    return submitted.read_given(str(folder / "images.npz"), zoo or data(), notes)


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
        ({"images": X.astype(object)}, "no .npz or .npy file with images"),
        ({"pictures": X}, "holds no array images"),
        ({"images": X[:, :9]}, "images are 9 x 10 pixels, but those of zoo 12 x 10"),
        ({"images": np.tile(X, (1, 10, 10))}, "if each is a sheet of several, cut it"),
        ({"images": np.stack([X, X, 255 - X], 3)}, "in colour, but those of zoo are grey"),
        ({"images": np.stack([X, X, X, X], 3)}, r"must be \(n, h, w\)"),  # opacity that varies
        ({"images": X / 127.5 - 1}, "fractions from 0 to 1: images / 2 . 0.5 is"),
        ({"images": (X / 255 - 0.13) / 0.31}, "undo the normalisation"),
        ({"images": X / 255 * 1.2}, "clip them to 1"),
        ({"images": X.astype(np.uint16) * 257}, "images // 257 is"),
        ({"images": X / 255 + 0j}, "has dtype complex128, but"),
        ({"images": X * 1.5}, "must be 0 to 255"),
        ({"images": np.full((2, 12, 10), np.nan)}, "NaN"),
        ({"images": X[:0]}, "not .n, h, w"),
    ],
)
def test_what_cannot_be_examined_is_refused(tmp_path, arrays, said):
    with pytest.raises(DataError, match=said) as refusal:
        given(tmp_path, **arrays)
    assert "images.npz" in str(refusal.value) and len(str(refusal.value).splitlines()) == 1


def test_one_array_alone(tmp_path):
    np.save(tmp_path / "x.npy", X)
    found = submitted.read_given(str(tmp_path / "x.npy"), data(), [])
    np.testing.assert_array_equal(found.images, X)
    assert found.labels is None


THREE = np.repeat(X[..., None], 3, 3)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (THREE, "three equal channels"),
        (np.moveaxis(THREE, 3, 1), "three equal channels"),
        (np.concatenate([THREE, np.full_like(THREE[..., :1], 255)], 3), "three equal channels"),
        (np.stack([X, np.full_like(X, 255)], 3), ""),  # grey and opacity
        (np.stack([X, X // 2 * 2, X], 3), "three channels that differ by"),
    ],
    ids=["channels last", "channels first", "opaque", "grey, opaque", "a tint"],
)
def test_grey_images_stored_with_channels(tmp_path, stored, said):
    for scale in (1, np.float32(255)):
        notes = []
        found = given(tmp_path, notes=notes, images=stored / scale if scale > 1 else stored)
        top = 1 if scale == 1 else 255
        assert np.abs(np.float32(found.images) * top - X).max() < 1.001
        assert len(notes) == bool(said) and said in "".join(notes)


def test_fractions_a_hair_outside_are_clipped_and_said(tmp_path):
    images, notes = X / 255, []
    images[0, 0, :2] = -1e-7, 1.0000001
    found = given(tmp_path, notes=notes, images=images)
    assert found.images.min() == 0 and found.images.max() == 1
    np.testing.assert_allclose(found.images, images, atol=1e-6)
    assert notes == ["images has values from -1e-07 to 1.0000001: clipped to 0 to 1"]


@pytest.mark.parametrize("times", [2, 4])
def test_images_of_another_size_are_scaled_as_the_data_are(tmp_path, times):
    large, notes = np.repeat(np.repeat(X, times, 1), times, 2), []
    found = given(tmp_path, notes=notes, images=large / 255)
    np.testing.assert_array_equal(found.images, X)
    (note,) = notes
    assert note.startswith(f"scaled from {12 * times} x {10 * times} to 12 x 10; if a border")
    notes, zoo = [], data(images=large)
    if times == 2:
        np.testing.assert_array_equal(given(tmp_path, zoo, notes, images=X).images, large)
        assert notes == ["scaled from 12 x 10 to 24 x 20, which blurs them"]


def test_images_as_large_as_the_data_were_are_scaled_in_the_same_way(tmp_path):
    large = np.repeat(np.repeat(X, 16, 1), 10, 2)  # 192 x 100
    np.savez(tmp_path / "zoo.npz", x_train=large, y_train=Y, x_test=large, y_test=Y)
    zoo, notes = datasets.load_dataset(tmp_path / "zoo.npz"), []
    found = given(tmp_path, zoo, notes, images=large)
    np.testing.assert_array_equal(found.images, zoo.train.images)
    assert notes == ["scaled from 192 x 100 to 64 x 33"]


def test_labels_under_another_name_are_not_read_and_this_is_said(tmp_path):
    notes = []
    assert given(tmp_path, notes=notes, images=X, y=Y).labels is None
    assert notes == ["not read: y; labels are read from labels alone"]


def write_all(folder, names):
    """The images, under these names."""
    for image, name in zip(X, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(tf.io.encode_png(image[..., None]).numpy())
    return str(folder)


@pytest.mark.parametrize(
    ("name", "told"),
    [("{label}_{row:03}.png", True), ("{row:03}-{label}.png", True), ("{row:03}.png", False)],
)
def test_labels_in_file_names_or_in_a_table_are_not_read_and_this_is_said(tmp_path, name, told):
    words = np.array(["ant", "bee", "cat"])[Y]
    names = [name.format(label=word, row=row) for row, word in enumerate(words)]
    folder, notes = write_all(tmp_path / "made", names), []
    assert submitted.read_given(folder, data(), notes).labels is None
    assert any("may name classes" in note for note in notes) is told
    (tmp_path / "made" / "labels.csv").write_text("0,ant")
    notes = []
    submitted.read_given(folder, data(), notes)
    assert any("no labels were read from labels.csv" in note for note in notes)


def test_files_beside_the_folders_of_classes_are_named(tmp_path):
    folder, notes = write_all(tmp_path, [f"{'abc'[y]}/{i}.png" for i, y in enumerate(Y)]), []
    (tmp_path / "labels.csv").write_text("0,a")
    assert len(submitted.read_given(folder, data(("a", "b", "c")), notes)) == len(X)
    assert notes == ["not read, because not in the folder of a class: labels.csv"]


NUMBERED = [f"{i // 20:05}/img{i:08}.png" for i in range(len(X))]


def test_numbered_folders_of_stylegan_are_no_classes(tmp_path):
    folder, zoo, notes = write_all(tmp_path, NUMBERED), data(("0", "1", "2")), []
    for read in (datasets.load_dataset, lambda path: submitted.read_given(path, zoo, [])):
        (tmp_path / "dataset.json").unlink(missing_ok=True)
        with pytest.raises(DataError, match=r"which are no classes, and no dataset\.json"):
            read(folder)
        (tmp_path / "dataset.json").write_text('{"labels": null}')
        with pytest.raises(DataError, match=r"and dataset\.json has no labels"):
            read(folder)
        pairs = list(zip(NUMBERED, Y.tolist(), strict=True))
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs[1:]}))
        with pytest.raises(DataError, match=r"no label for 00000/img00000000\.png"):
            read(folder)
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    found = submitted.read_given(folder, zoo, notes)
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.images, X)
    assert notes == ["labels read from dataset.json"]
    assert datasets.load_dataset(folder).class_names == ("0", "1", "2")


@pytest.mark.parametrize("folders", [True, False])
def test_pictures_with_a_folder_a_class_or_without(tmp_path, folders):
    names = np.array(["ant", "bee", "cat"])
    for row, image in enumerate(X):
        place = tmp_path / "made" / (names[Y[row]] if folders else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row:02}.png").write_bytes(tf.io.encode_png(image[..., None]).numpy())
    found = submitted.read_given(str(tmp_path / "made"), data(), [])
    order = np.argsort(Y, kind="stable") if folders else np.arange(30)
    np.testing.assert_array_equal(found.images, X[order])
    assert (found.labels is None) is not folders
    if folders:
        np.testing.assert_array_equal(found.labels, Y[order])
    files = [f"{names[Y[row]]}/{row:02}.png" if folders else f"{row:02}.png" for row in order]
    assert found.names.tolist() == files and found.take([3]).names.tolist() == files[3:4]


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
    named = replace(given, names=np.array(["a", "b", "c", "d"]))
    found = sift_labelled(named, sure)
    passing = found.passing
    assert passing.names.tolist() == ["a", "d"]
    assert found.stopped.names.tolist() == ["b", "c"] and found.stopped.rows.tolist() == [1, 2]
    assert passing.rows.tolist() == [0, 3] and passing.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(passing.images, X[[0, 3]])


def test_the_table_of_scores_starts_with_the_doubtful_ones():
    known = {
        "referee_labels": np.array([0, 2, 1, 0]),
        "referee_confidence": np.array([0.8, 0.6, 0.7, 0.9]),
        "unreal": np.array([0.1, 0.2, 0.3, 0.4]),
        "group": np.array(["trusted", "another-class", "copy", "trusted"]),
        "nearest_index": np.array([5, 6, 7, 8]),
        "nearest_distance": np.array([1.0, 2.0, 3.0, 4.0]),
        "nearest_was_seen": np.array([True, False, True, True]),
    }
    accepted = Word(None, 1.0, 0.0, 1.0, 1.0).classify(X[:4])
    asked = SimpleNamespace(reference=SimpleNamespace(parts={"training": 0, "held_out": 0}))
    run = SimpleNamespace(accepted=accepted, of_each_image=lambda: known, asked=asked)
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
        "group": "trusted",
        "nearest_real_image": 8,
        "nearest_was": "training image",
        "nearest_distance": 4.0,
    }
    assert table[1]["nearest_was"] == "held-out image"
    run.accepted = replace(accepted, names=np.array(["a.png", "b/1.png", "b/2.png", "c.png"]))
    asked.reference.parts["test"] = 0
    table = [
        dict(zip(head, line, strict=True)) for line in scores.scores(run, ("ant", "bee", "cat"))[1:]
    ]
    assert [line["image"] for line in table] == ["c.png", "b/1.png", "b/2.png", "a.png"]
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
    flags = "--report r.json --scores s.csv --out o --audit 60 --save-images k.npz --fail-on fails"
    done = call(tmp_path, "trust.__main__", "mine.npz --dataset mnist", flags)
    assert "training the referee" not in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    # They are real images that others were compared with: copies.
    failing = [question for question, word in report["verdicts"].items() if word == "fails"]
    assert "new" in failing and done.returncode == 1
    said = ", ".join(f"{question}? fails" for question in failing)
    assert done.stderr.endswith(f": --fail-on fails: {said}\n") and done.stderr.count("\n") == 1
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
    with np.load(tmp_path / "k.npz") as kept:
        np.testing.assert_array_equal(kept["images"], images)
        np.testing.assert_array_equal(kept["labels"], labels)
        np.testing.assert_array_equal(kept["rows"], np.arange(1000))
        groups = dict(zip(kept["rows"].tolist(), kept["group"].tolist(), strict=True))
        assert kept["copy"].mean() > 0.9
        other = kept["referee_labels"] != labels
        assert set(kept["group"][other]) == {"another-class"}
    assert all(line["group"] == groups[int(line["image"])] for line in table)
    said = (
        f"{groups and sum(g == 'trusted' for g in groups.values()):,} images to trust are in k.npz"
    )
    assert f"{said}, and beside them {other.sum()} another-class, " in done.stdout
    for line in table[:9]:
        assert int(line["nearest_real_image"]) < 4000 and line["label"] in set("0123456789")
    (singly,) = (path for path in (tmp_path / "o").iterdir() if path.is_dir())
    drawn = {path.name for path in (tmp_path / "o").iterdir()} - {singly.name}
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
    flags = "made --max-error 0.03 --report r.json --scores s.csv --save-images kept --dataset"
    done = run(*flags.split(), small_npz, cwd=tmp_path)
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
    right = [int(line["label"]) == truth[int(Path(line["image"]).stem)] for line in table]
    assert np.mean(right) > 0.9
    assert_kept(tmp_path / "kept", tmp_path / "made", done.stdout)
    with open(tmp_path / "kept" / "images.csv", encoding="utf-8", newline="") as file:
        everything = list(csv.DictReader(file))
    assert [{key: each[key] for key in table[0]} for each in everything[: len(table)]] == table
    doubtful = everything[len(table) :]
    assert all(float(each["classifier_confidence"]) < threshold for each in doubtful)
    assert {each["group"] for each in doubtful} == {"doubtful"}
    for each in table:
        if each["group"] != "copy":
            agrees = each["referee_label"] == each["label"]
            assert each["group"] == ("trusted" if agrees else "another-class")
    assert sum(each["accepted"] for each in report["classes"].values()) == len(table)
    # The classifier names the real images too, and is not always right.
    assert 0.9 < report["sets"]["real"]["right"]["true_agreement"] < 1
    assert {path.name for path in tmp_path.iterdir()} == {"made", "r.json", "s.csv", "kept"}


def assert_kept(folder, made, printed):
    """Every picture is there once, under its own name, pixel for pixel, where the table says."""
    with open(folder / "images.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {line["picture"] for line in table} | {"images.csv"}
    assert {line["image"] for line in table} == {path.name for path in made.iterdir()}
    assert len(table) == len(there) - 1 == len(list(made.iterdir()))
    for line in table:
        assert line["picture"] == f"{line['group']}/{line['label']}/{line['image']}"
    for line in table[::10]:
        with Image.open(folder / line["picture"]) as ours, Image.open(made / line["image"]) as own:
            assert ours.mode == "L"
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(own))
    counts = Counter(line["group"] for line in table)
    said = f"\n{counts.pop('trusted')} images to trust are in kept, and beside them "
    assert set(counts) >= {"doubtful", "another-class"} and said in printed
    assert all(f" {count} {group}" in printed for group, count in counts.items())


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
    ("good.npz --dataset mnist --save-images taken", "'taken' is a folder that is not empty"),
    ("taken --dataset mnist --save-images taken/kept", "would be written into 'taken'"),
    ("good.npz --dataset mnist --save-images x --report x/r.json", "over"),
    ("good.npz --dataset mnist --save-images . --fail-on fails", "'.'"),
    ("good.npz --dataset mnist --fail-on never", "--fail-on"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_mistakes_at_the_third_door(bundled, tmp_path, words, said):
    np.savez(tmp_path / "bad.npz", pictures=X)
    np.savez(tmp_path / "good.npz", images=np.zeros((3, 28, 28)))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("kept")
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
