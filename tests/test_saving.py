import itertools
import json
import os
import random
import signal
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from test_outputs import contents, every_stop, in_child, with_largest_file

from trust import outputs, priors, saving
from trust.saving import SavedModelsError

REQUIRED = {"dataset": "", "epochs": 0}
SETTINGS = {"dataset": "mnist", "epochs": 12}


def build(width=20):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Dense(width)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.BatchNormalization()(x))


def filled(value):
    """A network whose weights all are `value`."""
    network = build()
    network.set_weights([np.full_like(weights, value) for weights in network.get_weights()])
    return network


def mixture(value):
    covariances = np.stack([np.eye(2)] * 3) * (1 + value)
    return priors.GaussianMixture(np.ones(3) / 3, np.full((3, 2), float(value)), covariances)


NETWORKS = {value: {"vae": filled(value)} for value in (1, 2)}
BLANK = {name: build() for name in NETWORKS[1]}


def save(path, value):
    saving.save_models(path, SETTINGS | {"value": value}, NETWORKS[value], mixture(value))


def saved(path):
    """The value with which everything in the folder was saved; fails where they differ."""
    settings = saving.read_settings(path, REQUIRED)
    value = settings["value"]
    loaded = saving.load_models(path, settings, BLANK)
    assert (loaded.means == value).all() and (loaded.covariances[0, 0] == [1 + value, 0]).all()
    for network in BLANK.values():
        assert all((weights == value).all() for weights in network.get_weights())
    return value


def one_save(path):
    """The names in the folder, which are one save's and no more."""
    names = sorted(file.name.split("-")[0] for file in path.iterdir())
    return names == ["mixture", "settings.json", "vae"]


def file_of(path, part):
    (file,) = path.glob(f"{part}*")
    return file


def test_weights_and_settings_come_back_equal(tmp_path):
    rng = np.random.default_rng(0)
    networks = {name: build() for name in ("vae", "classifier")}
    blank = {name: build() for name in networks}
    for network in networks.values():
        network.set_weights([rng.standard_normal(w.shape) for w in network.get_weights()])
    means, covariances = rng.standard_normal((5, 4)), np.stack([np.diag(rng.random(4))] * 5)
    kept = priors.GaussianMixture(rng.dirichlet(np.ones(5)), means, covariances)
    saving.save_models(tmp_path / "new" / "models", SETTINGS, networks, kept)

    settings = saving.read_settings(tmp_path / "new" / "models", REQUIRED)
    assert {name: settings[name] for name in SETTINGS} == SETTINGS
    loaded = saving.load_models(tmp_path / "new" / "models", settings, blank)
    for name, network in networks.items():
        for before, after in zip(network.get_weights(), blank[name].get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    for part in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(loaded, part), getattr(kept, part))


def test_a_new_save_replaces_the_old_files_and_no_others(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "report.json").write_text("the user's")
    (tmp_path / "notes").mkdir()
    saving.check_save_folder(tmp_path)
    save(tmp_path, 2)
    assert saved(tmp_path) == 2
    assert (tmp_path / "report.json").read_text() == "the user's"
    (tmp_path / "report.json").unlink()
    (tmp_path / "notes").rmdir()
    assert one_save(tmp_path)


# A save that is stopped


def test_a_save_is_whole_wherever_the_run_is_killed(tmp_path):
    save(tmp_path, 1)
    found = []
    for _ in every_stop(lambda: save(tmp_path, 2)):
        found.append(saved(tmp_path))
        saving.check_save_folder(tmp_path)  # as the next run does
        save(tmp_path, 1)
        assert saved(tmp_path) == 1 and one_save(tmp_path)
    assert set(found) == {1, 2} and len(found) > 10


def test_a_save_is_whole_whenever_the_run_is_killed(tmp_path):
    """The same in the midst of HDF5's writing, of which Python is told nothing."""
    save(tmp_path, 1)
    rng = random.Random(0)
    for _ in range(15):
        pid = os.fork()
        if pid == 0:
            for value in itertools.cycle((2, 1)):
                save(tmp_path, value)
        time.sleep(rng.uniform(0.05, 0.2))
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert saved(tmp_path) in (1, 2)
    save(tmp_path, 2)
    outputs.check_output_folder(tmp_path)
    assert saved(tmp_path) == 2 and one_save(tmp_path)


def test_the_first_save_can_be_repeated_wherever_it_was_killed(tmp_path):
    stops = 0
    for _ in every_stop(lambda: save(tmp_path / "models", 1)):
        stops += 1
        saving.check_save_folder(tmp_path / "models")
        if not (tmp_path / "models" / "settings.json").exists():
            with pytest.raises(SavedModelsError, match="no models"):
                saving.read_settings(tmp_path / "models", REQUIRED)
        save(tmp_path / "models", 2)
        assert one_save(tmp_path / "models")
        for file in (tmp_path / "models").iterdir():
            file.unlink()
    assert stops > 10


def test_ctrl_c_leaves_one_save_and_nothing_unfinished(tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    save(tmp_path, 1)
    found = []
    for status in every_stop(lambda: save(tmp_path, 2), interrupt):
        assert status in (0, 1)
        found.append(saved(tmp_path))
        assert not list(tmp_path.glob(".*"))
        if found[-1] == 1:  # after the last step, there may be old files for the next save
            assert one_save(tmp_path)
        save(tmp_path, 1)
    assert set(found) == {1, 2}


def test_a_full_disk_costs_nothing_that_was_there(tmp_path, capfd):
    save(tmp_path / "models", 1)
    before = contents(tmp_path)
    largest = max(len(content) for content in before.values())
    for size in (0, 50, 3000, 10_000, 40_000, largest - 1):
        assert with_largest_file(size, lambda: save(tmp_path / "models", 2)) == 2, size
        assert contents(tmp_path) == before
    assert capfd.readouterr().err == ""
    assert with_largest_file(10_000_000, lambda: save(tmp_path / "models", 2)) == 0
    assert saved(tmp_path / "models") == 2


def test_what_stops_a_save_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(outputs.OutputError) as refusal:
        save(tmp_path / "file", 1)
    assert str(refusal.value).startswith("cannot write '") and "file" in str(refusal.value)
    assert contents(tmp_path) == {"file": b"in the way"}


# Folders of others


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years"},
        {"settings.json": '{"editor.fontSize": 12}', "thesis.tex": "years"},
        {"settings.json": '{"files": "src", "x": 1}', "thesis.tex": "years"},
        {"settings.json": "no JSON at all", "thesis.tex": "years"},
        {"vae.weights.h5": "somebody's weights"},
        {".hidden": "years"},
    ],
)
def test_a_foreign_folder_is_refused(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    with pytest.raises(outputs.OutputError, match="holds other files") as refusal:
        saving.check_save_folder(tmp_path)
    assert len(str(refusal.value).splitlines()) == 1
    assert contents(tmp_path) == before


def test_a_new_an_empty_and_an_earlier_folder_are_accepted(tmp_path):
    saving.check_save_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    saving.check_save_folder(tmp_path)
    save(tmp_path, 1)
    before = contents(tmp_path)
    saving.check_save_folder(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/models", "x" * 300])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(outputs.OutputError):
        saving.check_save_folder(tmp_path / path)
    assert contents(tmp_path) == {"file": b"kept"}


# Damaged saves


def cut(file):
    file.write_bytes(file.read_bytes()[:-2])


def halved(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def overwritten(file):
    file.write_text("not what was expected\n" * 99)


def removed(file):
    file.unlink()


def swapped(file):
    """Good weights, but of a wider network."""
    build(width=21).save_weights(file)


def shortened(file):
    """Good weights, but of fewer layers."""
    image = keras.Input((28, 28, 1))
    keras.Model(image, keras.layers.Flatten()(image)).save_weights(file)


def flipped(file):
    content = bytearray(file.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 1  # in the first array
    file.write_bytes(content)


def pickled(file):
    objects = np.array([print], object)
    np.savez(file, weights=objects, means=objects, covariances=objects)


def incomplete(file):
    np.savez(file, weights=np.ones(1))


@pytest.mark.parametrize(
    "part, damage",
    [
        *(
            (part, damage)
            for part in ("vae", "mixture", "settings.json")
            for damage in (cut, halved, emptied, overwritten, removed)
        ),
        ("vae", swapped),
        ("vae", shortened),
        ("mixture", flipped),
        ("mixture", pickled),
        ("mixture", incomplete),
    ],
)
def test_a_damaged_save_is_refused_in_one_sentence(tmp_path, part, damage):
    save(tmp_path, 1)
    file = file_of(tmp_path, part)
    damage(file)
    with (
        warnings.catch_warnings(record=True) as remarks,
        pytest.raises(SavedModelsError) as refusal,
    ):
        warnings.simplefilter("default", UserWarning)
        saved(tmp_path)
    assert not remarks  # they would be on the user's screen
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    assert file.name in message or part in message or "holds no models" in message


@pytest.mark.parametrize("seed", range(8))
def test_any_damaged_weights_are_loaded_or_refused(tmp_path, seed):
    save(tmp_path, 1)
    file, rng = file_of(tmp_path, "vae"), random.Random(seed)
    content = bytearray(file.read_bytes())
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(4000)] = rng.randrange(256)  # where HDF5 describes the rest
    file.write_bytes(content)

    def load():
        try:
            saving.load_weights(BLANK["vae"], file)
        except SavedModelsError as refusal:
            assert len(str(refusal).splitlines()) == 1 and file.name in str(refusal)

    assert in_child(load) == 0


GOOD = {**SETTINGS, "files": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        "3",
        "\xff",
        "[" * 100_000,
        json.dumps({"files": {}}),
        json.dumps(SETTINGS),
        json.dumps(GOOD | {"files": []}),
        json.dumps(GOOD | {"files": {"vae": 3}}),
        json.dumps(GOOD | {"epochs": "many"}),
        json.dumps(GOOD | {"dataset": None}),
    ],
)
def test_settings_of_no_sense_are_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "settings.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SavedModelsError, match=r"settings\.json.* not one that --save wrote"):
        saving.read_settings(tmp_path, REQUIRED)


@pytest.mark.parametrize("lost", ["vae", "mixture"])
def test_settings_that_leave_out_a_file_are_refused(tmp_path, lost):
    save(tmp_path, 1)
    settings = json.loads((tmp_path / "settings.json").read_text())
    del settings["files"][lost]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(SavedModelsError, match=lost):
        saved(tmp_path)


@pytest.mark.parametrize("path", ["absent", "file", "empty"])
def test_what_was_never_saved_is_not_loaded(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SavedModelsError, match=f"{path}' holds no models"):
        saving.read_settings(tmp_path / path, REQUIRED)


def test_a_folder_is_named_by_text_or_by_path(tmp_path):
    save(str(tmp_path / "models"), 1)
    saving.check_save_folder(str(tmp_path / "models"))
    assert saved(str(tmp_path / "models")) == saved(Path(tmp_path, "models")) == 1
