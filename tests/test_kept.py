"""What is kept of the examined images: which group each is in, and what the files are called."""

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from trust import outputs
from trust.ask.neighbours import Nearest, Neighbours
from trust.cli import UserError
from trust.data.images import ImageSet
from trust.examination import Run
from trust.filter.filters import Filtered
from trust.show import kept

NAMES = ("T-shirt/top", "bee")


def near(ratios):
    """Neighbours of one class whose distances have these ratios, centred 1 each."""
    n = len(ratios)
    labels, ones = np.zeros(n, int), np.ones(n)
    moved = Nearest(labels, ones, ones)
    return Neighbours(labels, Nearest(labels, np.array(ratios), ones), moved)


def made(n, first=0, names=None, pixels=None):
    """n images behind a classifier, their rows from `first` on."""
    if pixels is None:
        pixels = np.random.default_rng(first).integers(0, 256, (n, 8, 9), dtype=np.uint8)
    return ImageSet(
        pixels,
        labels=np.arange(n) % 2,
        predicted=np.arange(n) % 2,
        confidence=np.full(n, 0.75),
        rows=first + np.arange(n),
        names=None if names is None else np.array(names),
    )


def run_of(accepted, referee_labels, copies=(), unreal=(), stopped=None):
    """A Run of which only what is known of each image is looked at."""
    n = len(accepted)
    ratios, surely = np.full(n, 0.9), np.zeros(n, bool)
    ratios[list(copies)], surely[list(unreal)] = 0.1, True
    real = ImageSet(np.zeros((3, 8, 9)), np.zeros(3, int), rows=np.array([7, 8, 9]))
    reference = SimpleNamespace(
        real=real, unseen=np.array([0, 0, 1], bool), parts={"training": None, "test": None}
    )
    judged = SimpleNamespace(labels=np.array(referee_labels, int), confidence=np.full(n, 0.5))
    return Run(
        sets={
            "real": {"right": {"agreement": 0.75}},
            "yours": {"new": {"copies_expected": 0.6}},
        },
        verdicts={"yours": {}},
        evidence={},
        neighbours={"yours": near(ratios), "measure": near(np.linspace(0.5, 0.9, 500))},
        told={"yours": SimpleNamespace(unreal=np.full(n, 0.5), surely=surely)},
        asked=SimpleNamespace(
            subjects={"yours": Filtered(accepted, stopped=stopped)},
            judged={"yours": judged},
            reference=reference,
        ),
    )


def test_an_image_is_in_the_first_group_that_applies():
    # labels 0, 1, 0, 1, 0, 1: the referee disputes the first three
    run = run_of(made(6), [1, 0, 1, 1, 0, 1], copies=[1, 3, 4], unreal=[2, 4, 5])
    known = run.of_each_image()
    another, copy, unreal = "another-class", "copy", "surely-unreal"
    assert known["group"].tolist() == [another, another, another, copy, copy, unreal]
    assert known["copy"].tolist() == [False, True, False, True, True, False]
    assert known["surely_unreal"].tolist() == [False, False, True, False, True, True]
    assert run_of(made(3), [0, 1, 0]).of_each_image()["group"].tolist() == ["trusted"] * 3
    said = kept.describe(run, "a.npz")
    assert said.startswith(
        "0 images to trust are in a.npz, and beside them 3 another-class, 2 copy, 1 "
    )
    assert said.endswith(
        "; of 6 real images about 2 would be another-class, at most 1 copy, 0 surely-unreal"
    )


def test_each_image_becomes_a_picture_and_a_line(tmp_path):
    accepted = made(3, names=["a/x.png", "x.jpeg", "a/b/X.gif"])
    stopped = made(2, 3, names=["y.png", "y.bmp"])
    run = run_of(accepted, [0, 0, 0], stopped=stopped)
    kept.write_pictures(tmp_path, run, NAMES)
    pictures = [
        "trusted/T-shirt-top/x.png",
        "another-class/bee/x.png",
        "trusted/T-shirt-top/X-2.png",
        "doubtful/T-shirt-top/y.png",
        "doubtful/bee/y.png",
    ]
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {*pictures, kept.TABLE}
    every = np.concatenate([accepted.images, stopped.images])
    for picture, image in zip(pictures, every, strict=True):
        read = tf.io.decode_image((tmp_path / picture).read_bytes())
        assert read.shape == (8, 9, 1) and read.dtype == tf.uint8
        np.testing.assert_array_equal(read[..., 0], image)
    with open(tmp_path / kept.TABLE, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    # the disputed one first, those that were stopped last
    assert [line["image"] for line in lines] == [
        *("x.jpeg", "a/x.png", "a/b/X.gif", "y.png", "y.bmp"),
    ]
    assert [line["picture"] for line in lines] == [pictures[i] for i in (1, 0, 2, 3, 4)]
    assert [line["referee_label"] for line in lines] == ["T-shirt/top"] * 3 + [""] * 2
    assert [line["label"] for line in lines[3:]] == [*NAMES]
    assert {line["classifier_confidence"] for line in lines} == {"0.75"}
    assert "and beside them 2 doubtful, 1 another-class;" in kept.describe(run, "folder")
    assert "doubtful" not in kept.describe(run, "folder.npz")


def test_fractions_and_colours_become_bytes_and_rows_are_names(tmp_path):
    pixels = np.random.default_rng(0).random((2, 8, 9, 3), np.float32)
    kept.write_pictures(tmp_path, run_of(made(2, 99, pixels=pixels), [0, 1]), NAMES)
    for picture, image in ("T-shirt-top/099.png", pixels[0]), ("bee/100.png", pixels[1]):
        read = tf.io.decode_image((tmp_path / "trusted" / picture).read_bytes()).numpy()
        assert np.abs(read / 255 - image).max() <= 0.5 / 255 + 1e-6


def test_where_nothing_passes_there_is_a_table_of_what_was_stopped(tmp_path):
    run = run_of(made(0), [], stopped=made(2))
    run.sets["real"]["right"]["agreement"] = math.nan
    kept.write_pictures(tmp_path, run, NAMES)
    assert len((tmp_path / kept.TABLE).read_text().splitlines()) == 3
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["doubtful"]
    said = kept.describe(run, "there")
    assert said == "0 images to trust are in there, and beside them 2 doubtful"


def test_what_is_known_goes_into_arrays():
    arrays = kept.arrays(run_of(made(2, 5, names=["a.png", "b.png"]), [0, 1]))
    assert arrays["names"].tolist() == ["a.png", "b.png"] and arrays["rows"].tolist() == [5, 6]
    assert {"images", "labels", "confidence", "group", "copy", "surely_unreal"} <= set(arrays)
    assert not any(array.dtype.hasobject for array in arrays.values())


# Names


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("7", "7"),
        ("T-shirt/top", "T-shirt-top"),
        ("..", "-"),
        ("", "-"),
        ("a\\b:c\n", "a-b-c-"),
        ("é" * 150, "é" * 100),
        ("x. ", "x"),
        ("\ud800", "-"),
    ],
)
def test_a_name_that_every_file_system_takes(name, fits):
    assert kept.fit_for_files(name) == fits


def test_names_stay_apart():
    names = ["a", "A", "a-2", "b", "a", "B-2", "b"]
    found = kept.distinct(names)
    assert found == ["a", "A-3", "a-2", "b", "a-4", "B-2", "b-3"]
    many = kept.distinct(["0"] * 20_000)
    assert len(set(many)) == 20_000 and many[-1] == "0-20000"


# A folder as a whole


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError), outputs.new_folder(tmp_path / "a" / "kept") as folder:
        (folder / "half").write_bytes(b"half")
        raise ValueError
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]
    (tmp_path / "a" / "kept").mkdir()  # an empty one may be there
    with outputs.new_folder(tmp_path / "a" / "kept") as folder:
        (folder / "whole").write_bytes(b"whole")
        assert not list((tmp_path / "a" / "kept").iterdir())
    assert [path.name for path in (tmp_path / "a").rglob("*")] == ["kept", "whole"]


def test_a_folder_that_somebody_filled_meanwhile_is_left_alone(tmp_path):
    with (
        pytest.raises(UserError, match=r"cannot write .*kept"),
        outputs.new_folder(tmp_path / "kept") as folder,
    ):
        (folder / "ours").write_bytes(b"ours")
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "theirs").write_bytes(b"theirs")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["theirs"]


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ("full", "is a folder that is not empty"),
        ("file", "is a file, but must name a new folder"),
        ("file/below", "cannot write"),
        ("data/kept", "would be written into"),
        ("out", "would be written over"),
        ("r", "would be written over"),
        ("/", "'/'"),
        (".", "'.'"),
        ("/proc/kept", "cannot write"),
    ],
)
def test_a_place_for_a_folder_that_does_not_do_is_refused(tmp_path, monkeypatch, whole, said):
    monkeypatch.chdir(tmp_path)
    for name in ("full", "data", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said) as refusal:
        outputs.check_outputs("out/figures", ["r/r.json"], ["data"], whole=whole)
    assert len(str(refusal.value).splitlines()) == 1
    for good in ("new", "here", "out/figures/kept"):
        outputs.check_outputs("out/figures", ["r/r.json"], ["data"], whole=good)
    monkeypatch.chdir("here")
    with pytest.raises(UserError, match="must be a new folder"):
        outputs.check_outputs(None, whole=".")
    assert sorted(tmp_path.rglob("*")) == before
