"""The ending of a run: whatever breaks, the numbers are there, and so is the rest."""

import contextlib
import csv
import errno
import json
import math
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import SHEET, call

from trust import cli, finish, outputs
from trust.ask import useful
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, CAUGHT, FAILS, QUESTIONS, WORSE, Verdict
from trust.cli import TooBad, UserError
from trust.show import pages, report, sheets
from trust.train import loops, referee

STEPS = {
    "figures": {"o/one.png", "o/two.png", "o/three.png"},
    "images": {"strong.npz"},
    "scores": {"scores.csv"},
    "sheet": {f"o/{name}" for name in SHEET} | {f"o/audit-S/S-00{i}.png" for i in range(1, 10)},
}
EVERYTHING = {"report.json"}.union(*STEPS.values())


def half_right(images, targets, reference, seed=0):
    """Of each test image whether it is recognised, without any training."""
    return np.arange(len(reference.test)) % 2.0


@pytest.fixture(scope="module")
def handed_over(small_npz, tmp_path_factory):
    """What the main script hands to finish(), after a run whose networks have learned nothing."""
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (loops, "train_vae"),
            (loops, "train_classifier"),
            (referee, "train_referee"),
        ):
            patch.setattr(module, name, lambda *_, **__: None)
        patch.setattr(useful, "right_after_training", half_right)
        patch.setattr(finish, "finish", lambda *given, **named: kept.append((given, named)))
        flags = f"--dataset {small_npz} --threshold 0.1 --per-class 5 --max-draws 300 --out o"
        done = call(tmp_path_factory.mktemp("run"), "demo_dnn_vae", flags, "--audit 9")
    assert done.returncode == 0, done.stderr
    ((run, plan, _), named) = kept.pop()
    assert len(run.accepted) > 9 and named["figures"] == pages.GENERATED
    return run, plan, named["networks"]


def page(file, run, data):
    file.write(f"{data.name} {run.subject}".encode())


PAGES = {"one": page, "two": page, "three": page}


@pytest.fixture
def end(handed_over, tmp_path, monkeypatch):
    """finish() of that run, with every file that a door can be asked for, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    ours, plan, networks = handed_over
    files = {"report": "report.json", "save_images": "strong.npz", "scores": "scores.csv"}

    def end(figures=PAGES, out="o", run=ours, **options):
        changed = plan._replace(options=plan.options | files | {"audit": 9} | options, out=out)
        finish.finish(run, changed, cli.Clock(), figures=figures, networks=networks, notes=["hm"])

    return end


def there(folder):
    """The files below a folder, hidden ones too; S for the identity of a sheet."""
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    return {re.sub(sheets.IDENTITY, "S", name) for name in files}


def assert_numbers_are_there(printed):
    """In the report and on the terminal."""
    report = json.loads(Path("report.json").read_text())
    assert {"verdicts", "sets", "classes", "run", "code", "seconds"} <= set(report)
    assert "hm" in report["notes"] and "\nnote: hm\n" in printed
    answers = [f"\n{question}?" for question in report["verdicts"]]
    assert all(answer in printed for answer in answers) and len(answers) == len(QUESTIONS)
    assert "\nIn short: " in printed


def test_everything_that_was_asked_for_is_written(end, tmp_path, capsys, handed_over):
    end()
    printed = capsys.readouterr().out
    assert_numbers_are_there(printed)
    assert there(tmp_path) == EVERYTHING
    assert Path("o/one.png").read_bytes() == b"small generated"
    assert printed.endswith("\nThe figures are in o\n")
    accepted = handed_over[0].accepted
    with np.load("strong.npz") as saved:
        np.testing.assert_array_equal(saved["images"], accepted.images)
        assert set(saved) == {
            *("images", "labels", "confidence", "probabilities", "rows", "referee_labels"),
            *("referee_confidence", "nearest_index", "nearest_distance", "nearest_was_seen"),
            *("unreal", "surely_unreal", "copy", "group"),
        }
    assert " images to trust are in strong.npz" in printed
    with open("scores.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(accepted)
    assert len(Path("o/audit.csv").read_text().splitlines()) == 1 + 9


def test_images_go_into_a_folder_too(end, tmp_path, capsys, handed_over):
    end(save_images="kept", audit=None, out=None)
    assert " images to trust are in kept" in capsys.readouterr().out
    accepted = handed_over[0].accepted
    pictures = sorted(path.stem for path in tmp_path.rglob("*.png"))
    width = len(str(len(accepted) - 1))
    assert pictures == [f"{row:0{width}}" for row in range(len(accepted))]
    assert len(Path("kept/images.csv").read_text().splitlines()) == 1 + len(accepted)
    with pytest.raises(UserError, match=r"cannot write .*kept"):  # meanwhile it is not empty
        end(save_images="kept", audit=None, out=None)


def with_verdicts(run, **words):
    verdicts = {name: Verdict(word, "", math.nan) for name, word in words.items()}
    return replace(run, verdicts={run.subject: verdicts})


@pytest.mark.parametrize(
    ("limit", "said"),
    [("worse", "right? worse, new? fails$"), ("fails", "fails: new? fails$"), (None, None)],
)
def test_bad_answers_end_the_run_after_everything_is_written(
    end, tmp_path, monkeypatch, handed_over, limit, said
):
    run = with_verdicts(handed_over[0], right=WORSE, new=FAILS, varied=CANNOT_TELL, useful=AS_REAL)
    monkeypatch.setattr(report, "build_report", lambda *_, **__: {})
    monkeypatch.setattr(finish, "print_report", lambda values: None)
    with pytest.raises(TooBad, match=said.replace("?", r"\?")) if said else nullcontext():
        end(run=run, fail_on=limit)
    assert there(tmp_path) == EVERYTHING


def test_what_cannot_be_told_is_not_bad(handed_over):
    run = with_verdicts(handed_over[0], right=CANNOT_TELL, new=AS_REAL)
    for limit in CAUGHT:
        finish.check_answers(run, limit)
    worse = with_verdicts(run, right=WORSE)
    finish.check_answers(worse, FAILS)
    several = replace(run, verdicts={**run.verdicts, "b": worse.verdicts[run.subject]})
    with pytest.raises(TooBad, match=r"^--fail-on worse: b: right\? worse$"):
        finish.check_answers(several, WORSE)


def test_an_error_comes_before_bad_answers(end, monkeypatch, handed_over):
    full_disk(monkeypatch, "scores.csv")
    with pytest.raises(UserError, match=r"scores\.csv"):
        end(fail_on="worse")


def test_nothing_is_written_that_was_not_asked_for(end, tmp_path, capsys):
    end(out=None, report=None, save_images=None, scores=None, audit=None)
    assert "\nIn short: " in (printed := capsys.readouterr().out)
    assert "drawing" not in printed and "figures" not in printed
    assert there(tmp_path) == set()


def test_the_numbers_come_first(end, tmp_path, capsys):
    """When the first figure is drawn, no other file is there, and the answers have been printed."""
    seen = []

    def look(file, run, data):
        seen.append({name for name in there(tmp_path) if not name.startswith("o/.")})
        assert_numbers_are_there(capsys.readouterr().out)

    end({"one": look})
    assert seen == [{"report.json"}]


# What can break


def unable(file, run, data):
    raise RuntimeError("no LaTeX")


def full_disk(monkeypatch, name):
    """No space for the file of this name."""
    real = outputs.replacing

    @contextlib.contextmanager
    def replacing(path):
        with real(path) as file:
            yield file
            if Path(path).name == name:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs, "replacing", replacing)


def filled_in():
    """A person writes into the table of an earlier run, while this one runs."""
    Path("o").mkdir()
    Path("o/audit.csv").write_text("image,class,sheet\n1,7,s-01234567\n")


def replaced_by_a_file():
    """Somebody puts a file where the figures were to go."""
    Path("o").write_text("kept")


# {what breaks: (how, figures, error, the steps that it costs, files that remain of these)}
BROKEN = {
    "a figure": (None, PAGES | {"two": unable}, "no LaTeX", {"figures"}, {"o/one.png"}),
    "no space for a figure": ("three.png", PAGES, "No space", {"figures"}, STEPS["figures"]),
    "no space for the images": ("strong.npz", PAGES, "strong.npz", {"images"}, set()),
    "no space for the scores": ("scores.csv", PAGES, "scores.csv", {"scores"}, set()),
    "no space for the sheet": ("audit.png", PAGES, "audit.png", {"sheet"}, {"o/audit.json"}),
    "a sheet is filled in": (filled_in, PAGES, "is filled in", {"sheet"}, {"o/audit.csv"}),
    "no folder": (replaced_by_a_file, PAGES, "cannot write", {"figures", "sheet"}, {"o"}),
}


@pytest.mark.parametrize(("how", "figures", "said", "lost", "left"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_costs_nothing_else(
    end, tmp_path, monkeypatch, capsys, how, figures, said, lost, left
):
    if isinstance(how, str):
        full_disk(monkeypatch, how)
    elif how:
        how()
    before = {name: (tmp_path / name).read_bytes() for name in there(tmp_path)}
    with pytest.raises(RuntimeError if figures is not PAGES else UserError, match=said):
        end(figures)
    printed = capsys.readouterr().out
    assert_numbers_are_there(printed)
    assert "The figures are in" not in printed
    whole = EVERYTHING.difference(*(STEPS[step] for step in lost))
    assert there(tmp_path) == whole | (left - {how and f"o/{how}"})
    for name, content in before.items():
        assert (tmp_path / name).read_bytes() == content


def test_where_everything_breaks_the_first_error_is_told(end, tmp_path, monkeypatch, capsys):
    for name in ("strong.npz", "scores.csv"):
        full_disk(monkeypatch, name)
    filled_in()
    with pytest.raises(RuntimeError, match="no LaTeX"):
        end({"one": unable})
    assert_numbers_are_there(capsys.readouterr().out)
    assert there(tmp_path) == {"report.json", "o/audit.csv"}


def test_ctrl_c_stops_at_once(end, tmp_path, capsys):
    def interrupted(file, run, data):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        end({"one": page, "two": interrupted})
    assert_numbers_are_there(capsys.readouterr().out)
    assert there(tmp_path) == {"report.json", "o/one.png"}


def test_a_figure_that_breaks_leaves_the_older_one_whole(end, tmp_path):
    end()
    with pytest.raises(RuntimeError):
        end({"one": unable}, audit=None)
    assert Path("o/one.png").read_bytes() == b"small generated"
    assert sheets.claim("o")  # an untouched sheet may be replaced
    assert there(tmp_path) == EVERYTHING


def test_a_report_that_cannot_be_written_costs_neither_the_answers_nor_the_other_files(
    end, tmp_path, monkeypatch, capsys
):
    full_disk(monkeypatch, "report.json")
    with pytest.raises(UserError, match="No space left"):
        end()
    assert "right?" in capsys.readouterr().out
    assert there(tmp_path) == EVERYTHING - {"report.json"}
