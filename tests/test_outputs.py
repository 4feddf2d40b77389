import contextlib
import json
import os
import resource
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import outputs
from outputs import OutputError


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
        except OutputError:
            os._exit(2)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(operation, action):
    """in_child(action), killed just before its nth operation on the file system: an audit hook
    is told of each before it happens."""

    def act():
        seen = 0

        def hook(event, _):
            nonlocal seen
            if event.startswith(("open", "os.", "shutil.", "tempfile.")):
                seen += 1
                if seen == operation:
                    os._exit(9)

        sys.addaudithook(hook)
        action()

    return in_child(act)


def every_kill(action):
    """Runs action, killed one operation later each time, until it lives to the end."""
    for operation in range(1, 200):
        status = killed_at(operation, action)
        yield status
        if status == 0:
            return
        assert status == 9
    raise AssertionError("the action never ended")


def write(path, content):
    with outputs.replacing(path) as file:
        file.write(content)


def save(path, content):
    with outputs.replacing_folder(path) as folder:
        (folder / "model").write_bytes(content)
        (folder / "settings").write_bytes(content)


def saved(path):
    folder = outputs.saved_folder(path, ["model", "settings"])
    assert (folder / "model").read_bytes() == (folder / "settings").read_bytes()
    return (folder / "model").read_bytes()


def save_images(path, seed=0, pieces=3, size=10):
    rng = np.random.default_rng(seed)
    arrays = {"images": [], "labels": [], "confidence": []}
    with outputs.saving_images(path) as append:
        for _ in range(pieces):
            piece = (
                rng.random((size, 28, 28), dtype=np.float32),
                rng.integers(0, 10, size),
                rng.random(size, dtype=np.float32),
            )
            append(*piece)
            for kept, array in zip(arrays.values(), piece, strict=True):
                kept.append(array)
    return {name: np.concatenate(kept) if kept else [] for name, kept in arrays.items()}


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
    write(tmp_path / "file", b"old")
    with pytest.raises(error), outputs.replacing(tmp_path / "file") as file:
        file.write(b"half of the n")
        raise error
    with pytest.raises(error), outputs.replacing_folder(tmp_path / "saved") as folder:
        (folder / "model").write_bytes(b"half")
        raise error
    with pytest.raises(error), outputs.saving_images(tmp_path / "images.npz") as append:
        append(np.zeros((1, 28, 28)), [1], [1.0])
        raise error
    assert contents(tmp_path) == {"file": b"old"}


def test_a_file_is_whole_wherever_the_run_is_killed(tmp_path):
    path = tmp_path / "file"
    write(path, b"old" * 1000)
    found = []
    for _ in every_kill(lambda: write(path, b"new" * 1000)):
        found.append(path.read_bytes())
        outputs.check_output_folder(tmp_path)
        assert list(contents(tmp_path)) == ["file"]
        write(path, b"old" * 1000)
    assert set(found) == {b"old" * 1000, b"new" * 1000}


def test_a_saved_folder_is_whole_wherever_the_run_is_killed(tmp_path):
    path = tmp_path / "saved"
    save(path, b"old")
    found = []
    for _ in every_kill(lambda: save(path, b"new")):
        found.append(saved(path))
        outputs.check_replaceable_folder(path)
        save(path, b"old")
        assert saved(path) == b"old"
        assert len(contents(path)) == 3, "two files and their checksums"
    assert set(found) == {b"old", b"new"}
    assert len(found) > 10


def test_saved_images_are_whole_wherever_the_run_is_killed(tmp_path):
    path = tmp_path / "images.npz"
    save_images(path, seed=1)
    found = []
    for _ in every_kill(lambda: save_images(path, seed=2)):
        with np.load(path) as images:
            found.append(images["images"][0, 0, 0])
        outputs.check_output_file(path)
        assert list(contents(tmp_path)) == ["images.npz"]
        save_images(path, seed=1)
    assert len(set(found)) == 2


@pytest.mark.parametrize(
    "action",
    [
        lambda folder: write(folder / "file", b"new" * 30_000),
        lambda folder: save(folder / "saved", b"new" * 30_000),
        lambda folder: save_images(folder / "images.npz", seed=2),
        lambda folder: outputs.write_json(folder / "file", {"long": "x" * 90_000}),
    ],
    ids=["file", "folder", "images", "json"],
)
def test_a_full_disk_costs_nothing_that_was_there(tmp_path, action):
    """A limit on the size of a file stands for the disk: write() fails after so many bytes."""
    write(tmp_path / "file", b"old")
    save(tmp_path / "saved", b"old")
    save_images(tmp_path / "images.npz", seed=1)
    before = contents(tmp_path)

    def limited(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        action(tmp_path)

    for size in (0, 1, 4096, 60_000, 89_999):
        assert in_child(lambda size=size: limited(size)) == 2, size
        assert contents(tmp_path) == before
    assert in_child(lambda: limited(10_000_000)) == 0
    assert contents(tmp_path) != before


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
    }
    outputs.write_json(tmp_path / "report.json", values)
    text = (tmp_path / "report.json").read_text()

    def not_json(constant):
        raise AssertionError(constant)

    read = json.loads(text, parse_constant=not_json)
    assert list(read) == list(values)
    assert (read["z"], read["a"], read["nan"], read["inf"]) == (0.5, 3, None, None)
    assert read["counts"] == [3, 4]
    assert read["third"] == 1 / 3 and read["name"] == "é"
    assert text.startswith('{\n  "z"') and text.endswith("}\n")


def test_images_come_back_as_they_were(tmp_path):
    arrays = save_images(tmp_path / "images.npz", pieces=4, size=25)
    with np.load(tmp_path / "images.npz", allow_pickle=False) as read:
        assert sorted(read.files) == ["confidence", "images", "labels"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
        assert read["images"].dtype == read["confidence"].dtype == np.float32
        assert read["labels"].dtype == np.int64


def test_no_images_are_an_empty_array(tmp_path):
    save_images(tmp_path / "images.npz", pieces=0)
    with np.load(tmp_path / "images.npz") as read:
        assert read["images"].shape == (0, 28, 28) and read["labels"].shape == (0,)


def test_same_images_same_bytes(tmp_path):
    save_images(tmp_path / "a.npz", pieces=6, size=5)
    with outputs.saving_images(tmp_path / "b.npz") as append, np.load(tmp_path / "a.npz") as a:
        append(a["images"], a["labels"], a["confidence"])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None
        for member in archive.infolist():
            assert member.date_time == (1980, 1, 1, 0, 0, 0)


def test_images_do_not_pile_up_in_memory(tmp_path):
    images = np.zeros((500, 28, 28), np.float32)
    labels, confidence = np.zeros(500, int), np.zeros(500)
    tracemalloc.start()
    try:
        with outputs.saving_images(tmp_path / "images.npz") as append:
            for _ in range(40):
                append(images, labels, confidence)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (tmp_path / "images.npz").stat().st_size > 40 * images.nbytes
    assert peak < 5 * images.nbytes


def test_a_version_replaces_the_one_before(tmp_path):
    for content in (b"one", b"two", b"three"):
        save(tmp_path / "saved", content)
    assert saved(tmp_path / "saved") == b"three"
    assert len(list((tmp_path / "saved").iterdir())) == 1
    sums = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
        cwd=outputs.saved_folder(tmp_path / "saved", []),
    )
    assert sums.returncode == 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "no checksums", "bad checksums"])
def test_a_damaged_saved_folder_is_refused_by_name(tmp_path, damage):
    save(tmp_path / "saved", b"content")
    folder = outputs.saved_folder(tmp_path / "saved", ["model"])
    model, sums = folder / "model", folder / "SHA256SUMS"
    if damage == "cut":
        model.write_bytes(b"conten")
    elif damage == "flipped":
        model.write_bytes(b"Content")
    elif damage == "missing":
        model.unlink()
    elif damage == "no checksums":
        sums.unlink()
    else:
        sums.write_bytes(b"\xff\n\n")
    with pytest.raises(OutputError) as refusal:
        outputs.saved_folder(tmp_path / "saved", ["model"])
    named = {"no checksums": "holds no saved models", "bad checksums": "SHA256SUMS"}
    assert named.get(damage, "model") in str(refusal.value)


@pytest.mark.parametrize("path", ["absent", "file", "empty"])
def test_what_was_never_saved_is_not_loaded(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match=path):
        outputs.saved_folder(tmp_path / path, ["model"])


CHECKS = [
    outputs.check_output_file,
    outputs.check_output_folder,
    outputs.check_replaceable_folder,
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("path", ["file/below", "/proc/below", "/proc/a/b", "x" * 300])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, check, path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(OutputError):
        check(tmp_path / path)
    assert contents(tmp_path) == {"file": b"kept"}


@pytest.mark.parametrize("check", CHECKS)
def test_a_full_disk_is_noticed_before_the_work(tmp_path, check):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        check(tmp_path / "new" / "output")

    assert in_child(limited) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_leaves_nothing_behind(tmp_path, check):
    (tmp_path / "here").mkdir()
    check(tmp_path / "here" / "output")
    check(tmp_path / "not" / "yet" / "there")
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize(
    "check, path",
    [
        (outputs.check_output_file, "folder"),
        (outputs.check_output_file, "/dev/null"),
        (outputs.check_output_folder, "file"),
        (outputs.check_replaceable_folder, "file"),
        (outputs.check_replaceable_folder, "folder"),
    ],
)
def test_what_is_not_ours_is_not_replaced(tmp_path, check, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_bytes(b"years")
    (tmp_path / "file").write_bytes(b"kept")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=path):
        check(tmp_path / path)
    assert contents(tmp_path) == before


def test_leftovers_go_when_their_run_is_gone(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with contextlib.closing(alive.stdin):
        for pid in (gone.pid, alive.pid, os.getpid()):
            (tmp_path / f".a.png.{pid}.unfinished").write_bytes(b"half")
        (tmp_path / f".models-1.{gone.pid}.unfinished").mkdir()
        (tmp_path / f".models-1.{gone.pid}.unfinished" / "model").write_bytes(b"half")
        (tmp_path / f"a.{gone.pid}.unfinished").write_bytes(b"not hidden, not ours")
        outputs.check_output_folder(tmp_path)
        assert sorted(contents(tmp_path)) == [
            f".a.png.{alive.pid}.unfinished",
            f"a.{gone.pid}.unfinished",
        ]
    alive.wait()
