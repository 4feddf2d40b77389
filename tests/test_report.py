"""The report, what is printed of it, and the code that it names."""

import importlib.metadata
import math
import os
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from trust.ask.neighbours import Nearest, Neighbours
from trust.ask.questions import Asked, Beside
from trust.ask.realistic import Told
from trust.ask.reference import Reference
from trust.ask.verdicts import CANNOT_TELL, QUESTIONS, TOO_FEW, WORSE, Verdict
from trust.data.images import ImageSet
from trust.examination import Run
from trust.filter.filters import Filter, Filtered
from trust.filter.promise import Promise
from trust.filter.quotas import ClassQuota
from trust.show import report, rows, terminal
from trust.train import loops
from trust.train.referee import Judged

SETS = {**{name: rows.ROWS for name in rows.COLUMNS}, **rows.CONTROL_ROWS}

# A run by hand

NAMES = ("shirt", "coat", "bag")
DATA = SimpleNamespace(name="shop", class_names=NAMES, classes=3, fingerprint="ab12")
PROMISE = Promise(0.2, 0.9, labels=np.array([0] * 9 + [1]), truth=np.array([0] * 8 + [1, 1]))


def classified(seed, n, truth=None):
    """n images as a classifier sees them: in turn of each class, more or less sure; the class after
    that is the second likeliest."""
    rng = np.random.default_rng(seed)
    labels, confidence = np.arange(n) % 3, rng.permutation(np.linspace(0.4, 0.99, n))
    probabilities = np.empty((n, 3))
    for step, share in enumerate((confidence, 0.6 * (1 - confidence), 0.4 * (1 - confidence))):
        probabilities[np.arange(n), (labels + step) % 3] = share
    return ImageSet(
        rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) / np.float32(255),
        labels=labels,
        truth=truth,
        predicted=labels,
        confidence=confidence,
        probabilities=probabilities,
        logits=1.5 * np.log(probabilities),
        rows=np.arange(n),
    )


def filtered(accept, every, per_class=100):
    """Images behind a filter."""
    quota = ClassQuota(per_class, 3)
    keep = quota.count(every.labels, every.confidence, accept.threshold)
    return Filtered(every.take(keep), every, quota)


def neighbours(seed, labels, real_labels):
    """Some real image of each label, at any distance."""
    rng = np.random.default_rng(seed)

    def some():
        index = [rng.choice(np.flatnonzero(real_labels == label)) for label in labels]
        distance = rng.random(len(labels))
        return Nearest(np.array(index), distance, distance + rng.random(len(labels)))

    return Neighbours(labels, some(), some())


def words_of(labels):
    """The referee's: every fifth image is of the class after its own."""
    return np.where(np.arange(len(labels)) % 5 == 0, (labels + 1) % 3, labels)


def made_run(name="generated", prior="mixture", promise=None, per_class=2):
    """A Run of 24 images that were drawn, or that somebody sent ("yours"); no network is behind
    it."""
    accept = Filter(None, 1.5, 0.8, 1.5, 3.0, promise)
    drawn = filtered(accept, classified(0, 24), per_class)
    if name == "yours":
        drawn = Filtered(drawn.passing)
    tested = {
        kind: filtered(accept, classified(seed, 30, truth=words_of(np.arange(30) % 3)))
        for seed, kind in enumerate(("real", "reconstructed"), 1)
    }
    others = {"halfway": classified(3, 12), "other_prior": classified(4, 21)}
    real_labels = np.arange(36) % 3
    real = ImageSet(classified(5, 36).images, real_labels)
    passing = drawn.passing
    judged = Judged(
        words_of(passing.labels), np.zeros((len(passing), 2)), 0.5 + passing.confidence / 2
    )
    names = (name, "real", "reconstructed", "other_prior", "noisy_copies", "moved_copies")
    labels = {name: passing.labels} | dict.fromkeys(names[1:], np.arange(60) % 3)
    beside = Beside(
        counts=np.full(3, 1),
        tested=tested,
        held_out={"real": filtered(accept, classified(6, 9))},
        like="reconstructed",
        known=tested["reconstructed"].passing,
        fresh={},
        copies={},
        others={kind: filtered(accept, each) for kind, each in others.items()},
        prior=prior,
        other_prior={"mixture": "normal", "normal": "mixture"}[prior],
        accept=accept,
        clouds={
            kind: np.random.default_rng(7 + i).normal(size=(50, 2))
            for i, kind in enumerate(("codes", "mixture", "normal"))
        },
    )
    if name == "yours":
        beside.others.clear()
    asked = Asked(
        subjects={name: drawn},
        beside=beside,
        reference=Reference(
            real=real,
            centred=real.images,
            unseen=np.arange(36) >= 24,
            parts={},
            test=real,
            judged=judged,
            referee=None,
            classes=3,
            seed=0,
        ),
        rows={},
        judged={name: judged},
        sampled={name: words_of(drawn.every.labels)} if drawn.every else {},
        sampled_confidence={},
        judged_tested={},
        judged_held_out={},
        rng=np.random.default_rng(8),
    )
    error = {"error_estimate": 0.04, "error_low": 0.02, "error_high": 0.07, "detectable": 0.01}
    error |= {"worse_from": 0.035}
    newness = {"seen_share": 0.7, "expected_share": 0.6, "lean_z": -2.0, "detectable": math.nan}
    newness |= {"lean_detectable": 0.3}
    newness |= {"copies": 0, "copies_moved": 1, "copies_limit": 4}
    sets = {
        name: {"right": {"strong_rate": 0.875, **error}, "new": newness, "realistic": {}},
        "real": {"right": dict.fromkeys(error, 0.03), "new": newness},
        "halfway": {"right": {"strong_rate": 0.25}},
        "other_prior": {"right": {"strong_rate": 0.125}},
    }
    labels["measure"] = labels["real"]
    near = {each: neighbours(i, labels[each], real_labels) for i, each in enumerate(labels)}
    verdicts = {
        name: {"right": Verdict(WORSE, "", 0.01), "new": Verdict(CANNOT_TELL, TOO_FEW, math.nan)}
    }
    evidence = {name: {"right": {"error_estimate": 4.0}, "new": {"lean_z": 1.0}}}
    return Run(
        sets=sets,
        verdicts=verdicts,
        evidence=evidence,
        neighbours=near,
        told={
            name: Told(0.5, 0.0, 6, np.linspace(0, 1, len(passing)), np.zeros(len(passing), bool))
        },
        asked=asked,
    )


# What is printed


def full_numbers():
    """Every key of every set and of the run, each number another."""
    numbers = iter(np.linspace(0.1, 0.9, 500).round(5).tolist())
    sets = {}
    for name, own in SETS.items():
        answers = sets[name] = {}
        for row in own:
            answers.setdefault(row.question, {})[row.key] = next(numbers)
    return sets, {row.key: next(numbers) for row in rows.RUN_ROWS}


VERDICTS = ("worse", "fails", "cannot tell", "as real", "worse", "fails")
REASONS = {2: "too few images"}


def full_report():
    sets, run = full_numbers()
    counts = {"generated": [12_345, 4321], "strong": [10_111, 222], "accepted": [50, 49]}
    counts = {name: np.array(each) for name, each in counts.items()}
    counts |= dict.fromkeys(("agreement", "agreement_low", "agreement_high"), np.array([0.5, 0.25]))
    return {
        "dataset": "shop",
        "settings": {"seed": 3, "threshold": 0.95},
        "notes": ["something to know"],
        "verdicts": dict(zip(QUESTIONS, VERDICTS, strict=False)),
        "reasons": {QUESTIONS[i]: why for i, why in REASONS.items()},
        "sets": sets,
        "classes": report.by_class(("shirt", "coat"), counts),
        "run": run,
        "seconds": {"training": 61.27, "total": 75.0},
        "peak_memory_gb": 3.456,
    }


def printed(report_, capsys):
    terminal.print_report(report_)
    return capsys.readouterr().out


def line_of(title, text):
    (line,) = [line for line in text.splitlines() if line.startswith(f"{title:46}")]
    return [cell.strip() for cell in line.removeprefix(title).split("  ") if cell.strip()]


def test_keys_and_titles_are_unique():
    for own in (*SETS.values(), rows.RUN_ROWS, rows.PROMISE_ROWS):
        assert len({(row.question, row.key) for row in own}) == len(own)
    titles = [row.title for row in rows.ROWS + rows.RUN_ROWS]
    titles += [row.title for own in rows.CONTROL_ROWS.values() for row in own]
    assert len(set(titles)) == len(titles)
    titles += [row.title for row in rows.PROMISE_ROWS]
    assert max(map(len, titles)) <= 45  # the width of their column on the terminal


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (None, rows.PERCENT, ""),
        (math.nan, rows.PERCENT, "none"),
        (math.nan, rows.COUNT, "none"),
        (np.float64("nan"), rows.TWO_DIGITS, "none"),
        (0.98765, rows.PERCENT, "98.77 %"),
        (1, rows.PERCENT, "100.00 %"),
        (0.0, rows.PERCENT, "0.00 %"),
        (0.98765, rows.PLAIN, "0.9877"),
        (np.float32(-17.8), rows.TWO_DIGITS, "-17.80"),
        (12_345, rows.COUNT, "12,345"),
        (math.inf, rows.TWO_DIGITS, "inf"),
    ],
)
def test_a_number_as_text(value, form, expected):
    assert rows.show(value, form) == expected


def test_every_number_is_printed_once_a_row(capsys):
    full = full_report()
    text = printed(full, capsys)
    for row in rows.ROWS:
        values = [full["sets"][name][row.question][row.key] for name in rows.COLUMNS]
        assert line_of(row.title, text) == [rows.show(value, row.form) for value in values]
    for name, own in rows.CONTROL_ROWS.items():
        for row in own:
            value = full["sets"][name][row.question][row.key]
            assert line_of(row.title, text) == [rows.show(value, row.form)]
    for row in rows.RUN_ROWS:
        assert line_of(row.title, text) == [rows.show(full["run"][row.key], row.form)]
    lines = [re.sub(" +", " ", line) for line in text.splitlines()]
    assert "shop, seed 3, threshold 0.95" in lines
    assert "shirt 12,345 10,111 50 50.00 % 50.00 % 50.00 %" in lines
    assert "coat 4,321 222 49 25.00 % 25.00 % 25.00 %" in lines
    assert "training 61.3" in lines and "total 75.0" in lines
    assert "peak memory, GB 3.46" in lines
    header = next(line for line in lines if "other_prior" in line)
    assert header.split("less is better")[1].split() == list(rows.COLUMNS)
    short = [f"{question}? {verdict}" for question, verdict in full["verdicts"].items()]
    short[2] += " (too few images)"
    assert lines[-1] == "In short: " + ", ".join(short)
    assert f"\n{rows.REAL[rows.COLUMNS]}\n" in text


def test_columns_stay_in_line_with_gaps_and_missing_values(capsys):
    full = full_report()
    del full["sets"]["real"]["right"]["strong_rate"]
    full["sets"]["reconstructed"]["right"]["strong_rate"] = math.nan
    del full["sets"]["other_prior"]["right"]["strong_rate"]
    text = printed(full, capsys)
    title = rows.ROWS[0].title
    shown = rows.show(full["sets"]["generated"]["right"]["strong_rate"], rows.PERCENT)
    expected = f"{title:46}{shown:>14}{'':14}{'none':>14}{'':14}"
    assert [line for line in text.splitlines() if line.startswith(title)] == [expected]


def test_the_answers_come_first(capsys):
    full = full_report()
    generated, real = full["sets"]["generated"], full["sets"]["real"]
    lines = printed(full, capsys).splitlines()
    end = 2 + len(QUESTIONS)
    answers = lines[2:end]
    assert lines[end : end + 2] == ["note: something to know", ""]
    assert terminal.answers(full) == answers
    assert [line.split("?")[0] for line in answers] == list(QUESTIONS)
    for i, (line, row) in enumerate(zip(answers, rows.ANSWERS, strict=True)):
        question = row.question
        assert line.startswith(f"{question}?".ljust(12) + full["verdicts"][question].ljust(13))
        number, other = (rows.show(each[question][row.key], row.form) for each in (generated, real))
        assert f"{row.title} {number} (real {other}" in line
        assert ("; too few images" in line) == (i in REASONS)
        (least,) = [each for each in rows.ROWS if each[1:3] == (question, "detectable")]
        least = rows.show(generated[question]["detectable"], least.form)
        assert rows.DETECTABLE[question].format(least) in line
    expected = rows.show(generated["new"]["expected_share"], rows.PERCENT)
    assert f", expected {expected})" in answers[QUESTIONS.index("new")]
    spread = rows.show(real["varied"]["recall_sd"], rows.PLAIN)
    assert f" ± {spread})" in answers[QUESTIONS.index("varied")]
    for key in "error_low", "error_high":
        assert rows.show(generated["right"][key], rows.PERCENT) in answers[0]
    assert real["right"]["agreement"] != generated["right"]["agreement"]
    assert answers[0].endswith("least in class coat: 25.00 %")


def test_a_class_without_an_image_is_not_the_one_that_the_referee_agrees_least_with():
    full = full_report()
    for numbers in full["classes"].values():
        numbers["agreement"] = 1.0
    full["classes"][next(iter(full["classes"]))]["agreement"] = math.nan
    assert terminal.answers(full)[0].endswith(f"least in class {[*full['classes']][1]}: 100.00 %")
    for numbers in full["classes"].values():
        numbers["agreement"] = math.nan
    assert "least" not in terminal.answers(full)[0]


def test_where_nothing_would_have_shown_nothing_is_said_of_it():
    full = full_report()
    full["sets"]["generated"]["new"] |= {"detectable": math.nan, "lean_detectable": math.nan}
    assert "would have shown" not in terminal.answers(full)[QUESTIONS.index("new")]


def test_images_of_another_generator_have_a_table_of_their_own(capsys):
    full = full_report()
    sets = {name: full["sets"][name] for name in ("real", "planted")}
    full |= {"sets": sets | {"yours": full["sets"]["generated"]}, "run": {}}
    full["settings"] = full["settings"] | {"threshold": None}
    text = printed(full, capsys)
    assert "no filter" in text.splitlines()[0] + text.splitlines()[1]
    head = next(line for line in text.splitlines() if "yours" in line)
    assert head.split("less is better")[1].split() == ["yours", "real"]
    assert "accepted images" not in text
    for row in rows.ROWS:
        value = full["sets"]["yours"][row.question][row.key]
        assert rows.show(value, row.form) in text


EVIDENCE = {
    "max_error": 0.01,
    "threshold": 0.9875,
    "images": 12_345,
    "wrong": 0.004,
    "bound": 0.0075,
    "test_error_estimate": 0.006,
    "test_error_low": 0.0041,
    "test_error_high": 0.0082,
    "estimated_error_estimate": 0.0123,
    "estimated_error_low": 0.0111,
    "estimated_error_high": 0.0222,
}


def with_promise(full):
    full["sets"]["promise"] = {"right": EVIDENCE}
    for own, bound, low in zip(
        full["classes"].values(), (0.031, math.nan), (0.009, 0.011), strict=True
    ):
        own |= {"promise_wrong": 0.02, "promise_low": low, "promise_bound": bound}
    return full


def test_a_promise_is_told_below_the_answers_with_its_worst_class(capsys):
    full = with_promise(full_report())
    lines, end = terminal.promised(full), 2 + len(QUESTIONS)
    likeness = full["sets"]["generated"]["realistic"]["told_apart_from_reconstructed"]
    share = rows.show(likeness, rows.PERCENT)
    assert lines == [
        "promise     with 95 % confidence at most 1.00 % of reconstructions that pass are "
        f"wrong, at the threshold 0.9875; a network tells {share} of accepted images and "
        "reconstructions apart, where 50 % would mean that they are alike",
        "            wrong: 0.40 % of 12,345 from held-out images (class shirt: at most 3.10 %), "
        "0.60 % of those from test images, an estimated 1.23 % of images drawn (1.11 % to 2.22 %)",
        "            it surely does not hold in class coat",
    ]
    text = printed(full, capsys)
    assert text.splitlines()[end : end + 3] == lines
    assert {row.key for row in rows.PROMISE_ROWS} == set(EVIDENCE)
    for row in rows.PROMISE_ROWS:
        shown = f"\n{row.title:46}{rows.show(EVIDENCE[row.key], row.form):>14}\n"
        assert shown in text
    printed_lines = [re.sub(" +", " ", line) for line in text.splitlines()]
    assert "shirt 12,345 10,111 50 50.00 % 50.00 % 50.00 % 2.00 % 0.90 % 3.10 %" in printed_lines
    assert "coat 4,321 222 49 25.00 % 25.00 % 25.00 % 2.00 % 1.10 % none" in printed_lines
    theirs = full | {"sets": full["sets"] | {"yours": full["sets"]["generated"]}}
    first, second, _ = terminal.promised(theirs)
    assert first.endswith("1.00 % of real images that pass are wrong, at the threshold 0.9875")
    assert "0.60 % of those from test images, an estimated 1.23 % of your images (" in second
    full["classes"]["coat"]["promise_low"] = 0.01  # may just hold
    assert terminal.promised(full) == lines[:2]


def test_without_a_promise_nothing_is_said_of_one(capsys):
    full = full_report()
    assert terminal.promised(full) == []
    assert "promise" not in printed(full, capsys)


# The report


def test_a_report_holds_all_of_the_run_and_where_it_comes_from():
    run = made_run()
    settled = {"epochs": 12, "seed": 3, "threshold": 0.7}
    built = report.build_report(
        run, DATA, settings=settled, networks={"sharpness": 4.0}, notes=["a note"]
    )
    assert built["dataset"] == "shop" and built["fingerprint"] == "ab12"
    assert built["settings"] == {"epochs": 12, "seed": 3, "threshold": 0.8}  # the one in use
    assert built["devices"] == loops.devices() and built["code"] == report.code_version()
    packages = "tensorflow", "keras", "numpy", "matplotlib"
    assert built["versions"] == {name: importlib.metadata.version(name) for name in packages}
    assert built["notes"] == ["a note"] and built["sets"] is run.sets
    assert built["verdicts"] == {"right": "worse", "new": "cannot tell"}
    assert built["reasons"] == {"new": "too few images"}
    assert built["evidence"] == run.evidence["generated"]
    assert built["run"] == {
        "sharpness": 4.0,
        "strong_rate_mixture": 0.875,
        "strong_rate_normal": 0.125,
        "temperature": 1.5,
        "temperature_reconstructions": 1.5,
        "temperature_real_images": 3.0,
    }


def test_the_prior_in_use_has_the_rate_of_the_images_drawn():
    built = report.build_report(made_run(prior="normal"), DATA, {}, networks={}, notes=[])
    assert built["run"]["strong_rate_normal"] == 0.875
    assert built["run"]["strong_rate_mixture"] == 0.125


def columns(built):
    """{key: the numbers of the classes}."""
    assert list(built["classes"]) == list(NAMES)
    own = list(built["classes"].values())
    return {key: [each[key] for each in own] for key in own[0]}


def test_each_class_has_its_counts_and_the_referees_word():
    run = made_run(promise=PROMISE)
    found = columns(report.build_report(run, DATA, {}, networks={}, notes=[]))
    every, passing = run.filtered.every, run.accepted
    assert found["generated"] == [8, 8, 8] and found["accepted"] == [2, 2, 2]
    assert found["strong"] == every.take(every.confidence >= 0.8).counts(3).tolist() != [2, 2, 2]
    wrong = passing.take(words_of(passing.labels) != passing.labels).counts(3)
    assert sorted(wrong) == [0, 1, 1] and found["agreement"] == (1 - wrong / 2).tolist()
    ends = found["agreement_low"], found["agreement"], found["agreement_high"]
    for low, share, high in zip(*ends, strict=True):
        assert low < share < high or share == high == 1
    assert found["promise_wrong"][:2] == [1 / 9, 0.0] and math.isnan(found["promise_wrong"][2])
    assert 1 / 9 < found["promise_bound"][0] < found["promise_bound"][1] < 1


def test_of_images_that_somebody_sent_only_what_was_accepted_is_counted():
    built = report.build_report(made_run("yours"), DATA, {}, networks={}, notes=[])
    assert built["run"] == {} and list(columns(built)) == [
        *("accepted", "agreement", "agreement_low", "agreement_high")
    ]
    assert columns(built)["accepted"] == [2, 2, 2]


@pytest.mark.parametrize("all_pass", [None, Filter(None, 1.0, 0.0, 1.0, 1.0)])
def test_where_all_images_pass_the_report_has_no_threshold(all_pass):
    run = made_run("yours")
    object.__setattr__(run.asked.beside, "accept", all_pass)
    built = report.build_report(run, DATA, {"threshold": 0.7}, networks={}, notes=[])
    assert built["settings"] == {"threshold": None}


def test_class_names_that_the_figures_cannot_show_are_noted():
    run = made_run()
    assert report.doubts(run, NAMES) == []
    (note,) = report.doubts(run, ("shirt", "犬", "猫"))
    assert note == "the figures cannot show the name 犬, 猫"


# The code that made it

AUTHOR = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder, *words):
    done = subprocess.run(
        ["git", *words], cwd=folder, env=os.environ | AUTHOR, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def code(folder):
    """A folder with a script and a package."""
    (folder / "trust" / "deep").mkdir(parents=True)
    for name in ("script.py", "trust/__init__.py", "trust/deep/inner.py"):
        (folder / name).write_text(f"# {name}\n")
    (folder / "README.md").write_text("about it")
    return folder


@pytest.fixture
def committed(tmp_path):
    folder = code(tmp_path / "own")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def commit_of(folder):
    return git(folder, "rev-parse", "--short=12", "HEAD")


def test_the_code_is_named_by_its_commit(committed):
    first = report.code_version(committed)
    assert first == commit_of(committed) and re.fullmatch("[0-9a-f]{12}", first)
    git(committed, "commit", "-q", "--allow-empty", "-m", "second")
    git(committed, "tag", "-a", "v1", "-m", "a tag")  # whose name is not the commit's
    assert report.code_version(committed) == commit_of(committed) != first


def test_changed_code_is_told_from_the_commit(committed):
    clean = report.code_version(committed)
    (committed / "trust" / "deep" / "inner.py").write_text("# changed\n")
    assert report.code_version(committed) == f"{clean}-dirty"
    git(committed, "commit", "-q", "-a", "-m", "second")
    assert report.code_version(committed) == commit_of(committed) != clean


def test_a_second_worktree_has_a_commit_of_its_own(committed, tmp_path):
    git(committed, "worktree", "add", "-q", tmp_path / "second")
    git(committed, "commit", "-q", "--allow-empty", "-m", "ahead")
    other = report.code_version(tmp_path / "second")
    assert other == commit_of(tmp_path / "second") != report.code_version(committed)


def test_without_git_the_code_is_named_by_what_is_in_it(tmp_path):
    one, other = code(tmp_path / "one"), code(tmp_path / "other")
    version = report.code_version(one)
    assert re.fullmatch("sha256 [0-9a-f]{12}", version)
    assert report.code_version(other) == version
    (other / "README.md").write_text("something else")
    assert report.code_version(other) == version
    seen = {version}
    for name in ("script.py", "trust/__init__.py", "trust/deep/inner.py"):
        (other / name).write_text("# changed\n")
        seen.add(report.code_version(other))
    assert len(seen) == 4


def test_a_copy_inside_somebody_elses_repository_does_not_take_its_commit(committed):
    for place in ("vendor", "trust/deep/vendor"):
        inside = code(committed / place)
        assert report.code_version(inside).startswith("sha256 ")
        git(committed, "add", ".")
        git(committed, "commit", "-q", "-m", "vendored")
        assert report.code_version(inside).startswith("sha256 ")


def test_a_repository_without_a_commit_is_none(tmp_path):
    folder = code(tmp_path / "new")
    version = report.code_version(folder)
    git(folder, "init", "-q")
    assert report.code_version(folder) == version


def test_where_git_is_not_installed_the_files_are_hashed(committed, tmp_path, monkeypatch):
    without = report.code_version(code(tmp_path / "copy"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert report.code_version(committed) == without
