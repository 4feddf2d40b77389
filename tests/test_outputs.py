import csv
import errno
import json
import os
import resource
import shutil

import numpy as np
import pytest

from trust import outputs
from trust.cli import UserError


def contents(folder):
    """{relative path: bytes} of every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_largest_file(size, action):
    """Exit status of a copy of this process that does action() where files cannot grow beyond
    `size` bytes, which stands for a full disk."""
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            action()
        except UserError:
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write(path, content):
    with outputs.replacing(path) as file:
        file.write(content)


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    write(tmp_path / "a" / "b" / "file", b"one")
    write(tmp_path / "a" / "b" / "file", b"two")
    assert contents(tmp_path) == {"a/b/file": b"two"}


def test_a_temporary_folder_that_stays_is_no_failed_write(tmp_path, monkeypatch):
    """As on network file systems, which keep an entry of a file that is open somewhere."""

    def busy(*place, **options):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(os, "rmdir", busy)
    with outputs.replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_signal_while_the_temporary_folder_is_removed_leaves_nothing(tmp_path, monkeypatch):
    remove, interrupted = shutil.rmtree, []

    def interrupt(*args, **settings):
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        remove(*args, **settings)

    monkeypatch.setattr(shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt), outputs.replacing(tmp_path / "a.txt") as file:
        file.write(b"new")
    assert interrupted and [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path):
    write(tmp_path / "disk" / "file", b"one")
    (tmp_path / "link").symlink_to("disk/file")
    write(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path)["disk/file"] == b"two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    def fail(file):
        file.write(b"half")
        raise error

    write(tmp_path / "file.png", b"old")
    with pytest.raises(error), outputs.replacing(tmp_path / "file.png") as file:
        fail(file)
    assert contents(tmp_path) == {"file.png": b"old"}


def test_a_full_disk_costs_nothing_that_was_there(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")
    for size in (0, 1, 4096, 89_999):
        assert with_largest_file(size, lambda: write(path, b"new" * 30_000)) == 2
        assert contents(tmp_path) == {"file": b"old"}


def test_images_come_back_as_they_were(tmp_path):
    arrays = {"images": np.ones((3, 28, 28), np.float32), "labels": np.arange(3)}
    outputs.write_arrays(tmp_path / "images.npz", **arrays)
    with np.load(tmp_path / "images.npz", allow_pickle=False) as read:
        assert set(read) == set(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            np.testing.assert_array_equal(read[name], array)


# Checks before the work


def as_file(path):
    outputs.check_outputs(path.parent, [path])


CHECKS = [as_file, outputs.check_outputs]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("path", ["file/below", "/proc/below", "/proc/a/b", "x" * 300])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, check, path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(UserError):
        check(tmp_path / path)
    assert contents(tmp_path) == {"file": b"kept"}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_leaves_nothing_behind(tmp_path, check):
    (tmp_path / "here").mkdir()
    check(tmp_path / "here" / "output")
    check(tmp_path / "not" / "yet" / "there")
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize(
    "folder, files, word",
    [
        ("imgs", ["a", "a"], "'a'"),
        ("imgs", ["link-to-a", "a"], "link-to-a"),
        ("imgs", ["own.npz"], "own.npz"),
        ("imgs", [None, "{here}/own.npz"], "own.npz"),
        ("imgs", ["imgs"], "imgs"),
        ("a/imgs", ["a"], "a/imgs"),
        ("imgs", ["a/b/c", "a"], "a/b/c"),
    ],
)
def test_outputs_and_inputs_are_different_files(tmp_path, monkeypatch, folder, files, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "own.npz").write_bytes(b"data")
    links = {"own": "own.npz", "a": "a", "imgs": "imgs"}
    for name, target in links.items():
        (tmp_path / f"link-to-{name}").symlink_to(target)
    (tmp_path / "in-link").symlink_to("folder")
    before = sorted(tmp_path.rglob("*"))
    files = [file and file.format(here=tmp_path) for file in files]
    with pytest.raises(UserError) as refusal:
        outputs.check_outputs(folder, files, ["./folder/../own.npz"])
    assert word in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "own.npz").read_bytes() == b"data"


def test_two_runs_that_write_the_same_file_at_once_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with outputs.replacing(path) as first:
        first.write(b"one")
        with outputs.replacing(path) as second:
            second.write(b"two")
        assert path.read_bytes() == b"two"
        outputs.check_outputs(tmp_path, [path])
    assert contents(tmp_path) == {"file": b"one"}


def test_what_another_run_has_not_finished_stays(tmp_path):
    others = {".file.abc": b"half", ".file.1.unfinished": b"half", "vae-01234567.npz": b"unnamed"}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    outputs.check_outputs(tmp_path, [tmp_path / "file"])
    write(tmp_path / "file", b"new")
    with pytest.raises(KeyboardInterrupt), outputs.replacing(tmp_path / "file"):
        raise KeyboardInterrupt
    assert contents(tmp_path) == others | {"file": b"new"}


def test_others_may_read_what_was_written(tmp_path):
    before = os.umask(0o022)
    write(tmp_path / "file", b"new")
    assert os.umask(before) == 0o022
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_json_is_ordered_and_plain(tmp_path):
    lost = {"all": np.float32(2), "lost": np.array([np.nan]), "none": None}
    values = {"z": np.float32(0.5), "a": np.int64(3), "inf": np.float32("inf"), "seconds": lost}
    outputs.write_json(tmp_path / "report.json", values | {"third": 1 / 3})
    read = json.loads((tmp_path / "report.json").read_text())
    plain = {"all": 2, "lost": [None], "none": None}
    assert read == {"z": 0.5, "a": 3, "inf": None, "seconds": plain, "third": 1 / 3}
    assert list(read) == ["z", "a", "inf", "seconds", "third"]


@pytest.mark.parametrize("folder", ["pictures", "pictures/found", "pictures/cat/found"])
def test_figures_are_not_put_among_the_pictures_of_a_data_set(tmp_path, folder):
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    with pytest.raises(UserError, match="would be written into"):
        outputs.check_outputs(tmp_path / folder, [], [tmp_path / "pictures"])
    outputs.check_outputs(tmp_path / "found", [], [tmp_path / "pictures"])
    outputs.check_outputs(None, [tmp_path / "a.json"], [tmp_path / "pictures"])


def test_a_table_is_written_whole_with_what_needs_quotes(tmp_path):
    lines = [["name", "share"], ['a "b", c', 0.5], ["ü\n", 1]]
    outputs.write_table(tmp_path / "t.csv", lines)
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [[str(each) for each in line] for line in lines]
