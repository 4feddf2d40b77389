import json
import os
import resource
import sys

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


def in_child(action):
    """Exit status of a copy of this process that does nothing but action()."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except UserError:
            os._exit(2)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stopped_at(operation, action, stop):
    """in_child(action), with stop() just before its nth operation on the file system: an audit
    hook is told of each before it happens."""

    def act():
        seen = 0

        def hook(event, _):
            nonlocal seen
            if event.startswith(("open", "os.")):
                seen += 1
                if seen == operation:
                    stop()

        sys.addaudithook(hook)
        action()

    return in_child(act)


def every_stop(action, stop=lambda: os._exit(9)):
    """Runs action, stopped one operation later each time, until it lives to the end; yields the
    exit status.  By default a stop is a kill."""
    for operation in range(1, 200):
        status = stopped_at(operation, action, stop)
        yield status
        if status == 0:
            return
    raise AssertionError("the action never ended")


def with_largest_file(size, action):
    """Exit status of in_child(action) where files cannot grow beyond `size` bytes, which stands
    for a full disk: write() fails after so many."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        action()

    return in_child(limited)


def write(path, content):
    with outputs.replacing(path) as file:
        file.write(content)


def write_images(path, seed=0, size=30):
    rng = np.random.default_rng(seed)
    arrays = {
        "images": rng.random((size, 28, 28)),
        "labels": rng.integers(0, 10, size),
        "confidence": rng.random(size),
        "probabilities": rng.random((size, 10)),
    }
    outputs.write_images(path, *arrays.values())
    return arrays


ACTIONS = {
    "file": lambda path: write(path, b"new" * 30_000),
    "images": lambda path: write_images(path, seed=2),
    "json": lambda path: outputs.write_json(path, {"long": "x" * 90_000}),
    "figure": lambda path: outputs.draw(
        path.parent, path.stem, lambda file, text: file.write(text), b"x" * 90_000
    ),
}


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    write(tmp_path / "a" / "b" / "file", b"one")
    write(tmp_path / "a" / "b" / "file", b"two")
    assert contents(tmp_path) == {"a/b/file": b"two"}


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
    with pytest.raises(error):
        outputs.draw(tmp_path, "file", fail)
    assert contents(tmp_path) == {"file.png": b"old"}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_file_is_whole_wherever_the_run_is_killed(tmp_path, action):
    path = tmp_path / "file.png"
    action(path)
    new, old, found = path.read_bytes(), b"old" * 1000, []
    write(path, old)
    for status in every_stop(lambda: action(path)):
        found.append(path.read_bytes())
        assert status == 9 or found[-1] == new
    assert set(found) == {old, new} and len(found) > 2


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_full_disk_costs_nothing_that_was_there(tmp_path, action):
    path = tmp_path / "file.png"
    write(path, b"old")
    for size in (0, 1, 4096, 60_000, 89_999):
        assert with_largest_file(size, lambda: action(path)) == 2, size
        assert contents(tmp_path) == {"file.png": b"old"}
    assert with_largest_file(10_000_000, lambda: action(path)) == 0
    assert list(contents(tmp_path)) == ["file.png"] and path.stat().st_size > 89_999


def test_json_is_valid_ordered_and_plain(tmp_path):
    values = {
        "z": np.float32(0.5),
        "a": np.int64(3),
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "third": 1 / 3,
        "name": "é",
        "names": ["T-shirt/top"],
        "counts": np.array([3, 4]),
        "none": None,
        "seconds": {"all": np.float32(2), "lost": np.array([np.nan])},
    }
    outputs.write_json(tmp_path / "report.json", values)
    text = (tmp_path / "report.json").read_text()

    def not_json(constant):
        raise AssertionError(constant)

    read = json.loads(text, parse_constant=not_json)
    assert list(read) == list(values)
    assert (read["z"], read["a"], read["nan"], read["inf"]) == (0.5, 3, None, None)
    assert read["seconds"] == {"all": 2, "lost": [None]}
    assert read["counts"] == [3, 4] and read["none"] is None
    assert read["third"] == 1 / 3 and read["name"] == "é"
    assert text.startswith('{\n  "z"') and text.endswith("}\n")


@pytest.mark.parametrize("size", [0, 25])
def test_images_come_back_as_they_were(tmp_path, size):
    arrays = write_images(tmp_path / "images.npz", size=size)
    with np.load(tmp_path / "images.npz", allow_pickle=False) as read:
        assert sorted(read.files) == ["confidence", "images", "labels", "probabilities"]
        assert read["images"].shape == (size, 28, 28)
        assert read["images"].dtype == read["confidence"].dtype == np.float32
        assert read["labels"].dtype == np.int64
        for name, array in arrays.items():
            np.testing.assert_allclose(read[name], array, rtol=1e-7)


def test_a_figure_is_named_and_gets_its_arguments(tmp_path):
    outputs.draw(
        tmp_path / "imgs", "copies", lambda file, *texts: file.writelines(texts), b"a", b"b"
    )
    assert contents(tmp_path) == {"imgs/copies.png": b"ab"}


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
    "check, path",
    [(as_file, "folder"), (as_file, "/dev/null"), (outputs.check_outputs, "file")],
)
def test_what_is_not_ours_is_not_replaced(tmp_path, check, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(UserError, match=path):
        check(tmp_path / path)
    assert contents(tmp_path) == {"file": b"kept"}


def test_outputs_that_share_no_file_are_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.npz").write_bytes(b"data")
    outputs.check_outputs(".", [None, "report.json", "own"], ["own.npz"])
    outputs.check_outputs("imgs", ["imgs/report.json", None], ["imgs.npz"])
    assert contents(tmp_path) == {"own.npz": b"data"}


@pytest.mark.parametrize(
    "folder, files, word",
    [
        ("imgs", ["a", "a"], "'a'"),
        ("imgs", ["a", "./x/../a"], "x/../a"),
        ("imgs", ["a", "{here}/a"], "/a'"),
        ("imgs", ["link-to-a", "a"], "link-to-a"),
        ("imgs", ["in-link/a", "folder/a"], "in-link/a"),
        ("imgs", ["own.npz"], "own.npz"),
        ("imgs", [None, "{here}/own.npz"], "own.npz"),
        ("imgs", ["link-to-own"], "link-to-own"),
        ("imgs", ["imgs"], "imgs"),
        ("imgs", ["link-to-imgs"], "link-to-imgs"),
        ("a/imgs", ["a"], "a/imgs"),
        ("imgs", ["a", "a/b/c"], "a/b/c"),
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


def test_two_runs_with_one_process_id_do_not_meet(tmp_path, monkeypatch):
    """As in two containers that share a folder."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
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


def test_each_data_set_has_its_own_folder_of_figures():
    assert outputs.figures_folder(None, "mnist") == "imgs"
    assert outputs.figures_folder(None, "fashion_mnist") == "imgs/fashion_mnist"
    assert outputs.figures_folder("here", "fashion_mnist") == "here"
