"""A person's eye: the sheet, the table that people fill in, and what it shows."""

import csv
import io
import json
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from running import call
from scipy import stats

from trust import audit
from trust.data.images import ImageSet
from trust.show import kept, pages, sheets
from trust.show.sheets import UNCLEAR, AuditError

RNG = np.random.default_rng
NAMES = ["Ankle boot", "Bag", "Coat, long"]


def made(n=20, accepted=50, max_error=0.05, names=NAMES, seed=0, **changed):
    """A Sheet of n of the accepted images, and these."""
    rng = RNG(seed)
    values = {
        "images": rng.integers(0, 256, (accepted, 8, 8), dtype=np.uint8),
        "labels": np.arange(accepted) % len(names),
        "referee_labels": np.arange(accepted) % len(names),
    } | changed
    sheet = sheets.make_sheet(
        ImageSet(values["images"], values["labels"]),
        referee_labels=values["referee_labels"],
        data=SimpleNamespace(name="zoo", class_names=tuple(names)),
        n=n,
        max_error=max_error,
        rng=RNG(7),
    )
    return sheet, values["images"]


def draw(file):
    file.write(b"a picture")


def draw_each(folder, names):
    for name in names:
        (folder / name).write_bytes(b"a small one")


DRAW = {"draw": draw, "draw_each": draw_each}


def fail(file):
    file.write(b"half")
    raise ZeroDivisionError


def handed_out(folder, **settings):
    """A sheet that was written into a folder."""
    sheet, _ = made(**settings)
    sheets.hand_out(folder, sheet, wanted=len(sheet.shown), **DRAW)
    return sheet


def truth(sheet, n=None):
    """[number, class, identity] of the first n images, as somebody sees them who sees the labels;
    nothing of the others."""
    names = [sheet.class_names[label] for label in sheet.labels[sheet.shown]]
    n = len(names) if n is None else n
    return [[str(i + 1), name if i < n else "", sheet.identity] for i, name in enumerate(names)]


def save(path, lines, mark=",", end="\r\n", start="", head=sheets.COLUMNS):
    """What a spreadsheet makes of lines."""
    quoted = [[f'"{each}"' if mark in each else each for each in row] for row in (head, *lines)]
    text = start + "".join(mark.join(row) + end for row in quoted)
    path.write_bytes(text.encode())
    return path


def run(*words):
    """In a process of its own."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The sheet


def test_every_accepted_image_is_as_likely_and_the_order_random():
    labels = np.arange(10) % 2
    data, images = SimpleNamespace(name="zoo", class_names=("a", "b")), np.zeros((10, 8, 8))
    accepted = ImageSet(images, labels)
    drawn = [
        sheets.make_sheet(accepted, labels, data, n=3, max_error=None, rng=RNG(seed)).shown
        for seed in range(3000)
    ]
    assert all(len(set(shown.tolist())) == 3 for shown in drawn)
    for place in range(3):
        counts = np.bincount([shown[place] for shown in drawn], minlength=10)
        assert stats.chisquare(counts).pvalue > 1e-4


def test_a_longer_sheet_begins_like_a_shorter_one():
    """So that who needs more images can go on."""
    np.testing.assert_array_equal(made(n=30)[0].shown[:20], made(n=20)[0].shown)


def test_a_sheet_of_anything_else_has_another_identity():
    same, (sheet, images) = made()[0], made()
    assert same.identity == sheet.identity and sheet.identity.startswith("s-")
    other = images.copy()
    other[sheet.shown[3], 0, 0] ^= 1
    word = sheet.labels.copy()
    word[0] = 1 - word[0]
    changed = [{"images": other}, {"labels": word}, {"referee_labels": word}, {"n": 19}]
    changed += [{"names": ["Ankle boot", "Bag", "Coat"]}, {"max_error": 0.01}]
    identities = {made(**change)[0].identity for change in changed}
    assert len(identities | {sheet.identity}) == len(changed) + 1


def test_the_table_and_the_figure_show_no_label(tmp_path):
    sheet = handed_out(tmp_path)
    lines = [f"{i},,{sheet.identity}\r\n" for i in range(1, 21)]
    table = (tmp_path / sheets.TABLE).read_bytes().decode()
    assert table == "image,class,sheet\r\n" + "".join(lines)
    assert (tmp_path / sheets.PICTURE).read_bytes() == b"a picture"

    def drawn(sheet):
        file = io.BytesIO()
        pages.audit_sheet(file, sheet, made()[1])
        return file.getvalue()

    others = {"labels": 2 - sheet.labels, "referee_labels": 2 - sheet.labels}
    assert drawn(sheet) == drawn(sheet._replace(**others))
    assert drawn(sheet) != drawn(sheet._replace(shown=sheet.shown[::-1]))


def test_the_key_holds_all_that_is_needed(tmp_path):
    sheet = handed_out(tmp_path)
    read = audit.read_sheet(tmp_path / sheets.KEY)
    assert read._fields == sheet._fields
    for value, again in zip(sheet, read, strict=True):
        np.testing.assert_array_equal(again, value)


def test_fewer_images_than_wanted_and_none(tmp_path):
    for n, accepted, said in ((9, 9, "all 9 accepted images"), (9, 50, "9 of 50 accepted")):
        sheet, _ = made(n=n, accepted=accepted)
        line = sheets.hand_out(tmp_path, sheet, wanted=9, **DRAW)
        assert said in line and ", fewer than" not in line and "python -m trust.audit" in line
    sheet, _ = made(n=60, accepted=50)
    assert "all 50 accepted" in (line := sheets.hand_out(tmp_path, sheet, wanted=60, **DRAW))
    assert "fewer than 60" in line
    before = contents(tmp_path)
    nothing = made(n=60, accepted=0)[0]
    assert "no image was accepted" in sheets.hand_out(
        tmp_path, nothing, wanted=60, draw=fail, draw_each=fail
    )
    assert contents(tmp_path) == before


def test_a_table_that_somebody_has_touched_is_not_overwritten(tmp_path):
    sheet = handed_out(tmp_path)
    handed_out(tmp_path, n=10)  # nobody has
    for lines in (truth(sheet, 1), [*truth(sheet, 0)[:-1], ["20", "", sheet.identity, "blurred"]]):
        save(tmp_path / sheets.TABLE, lines)
        before = contents(tmp_path)
        with pytest.raises(AuditError, match="is filled in"):
            sheets.claim(tmp_path)
        with pytest.raises(AuditError, match="is filled in"):
            handed_out(tmp_path)  # it was filled in while the run went on
        assert contents(tmp_path) == before


def test_when_drawing_fails_an_older_table_is_not_read_with_the_new_key(tmp_path):
    old = handed_out(tmp_path, n=10)
    with pytest.raises(ZeroDivisionError):
        sheets.hand_out(tmp_path, made(n=20)[0], wanted=20, **DRAW | {"draw": fail})
    assert (tmp_path / sheets.PICTURE).read_bytes() == b"a picture"  # the older one
    table = save(tmp_path / sheets.TABLE, truth(old))
    with pytest.raises(AuditError, match="is of sheet"):
        audit.read_answers(table, audit.read_sheet(tmp_path / sheets.KEY))


def test_the_single_pictures_are_the_images_in_the_order_of_the_sheet(tmp_path):
    """Grey and coloured ones, bytes and fractions; with nothing in them but their pixels."""
    sheet, images = made(n=12)
    for kind, every in enumerate((images, images / 255, images[..., None].repeat(3, axis=-1))):

        def write(folder, names, every=every):
            kept.write_each(folder, every[sheet.shown], names)

        line = sheets.hand_out(tmp_path / str(kind), sheet, wanted=12, draw=draw, draw_each=write)
        folder = tmp_path / str(kind) / f"audit-{sheet.identity}"
        assert f"singly in {folder};" in line
        names = [f"{sheet.identity}-{i:03}.png" for i in range(1, 13)]
        assert sorted(path.name for path in folder.iterdir()) == names
        for name, image in zip(names, images[sheet.shown], strict=True):
            with Image.open(folder / name) as picture:
                assert picture.mode == ("RGB" if kind == 2 else "L") and not picture.info
                np.testing.assert_array_equal(np.asarray(picture.convert("L")), image)


def test_single_pictures_are_all_there_or_none(tmp_path):
    def half(folder, names):
        draw_each(folder, names[:3])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sheets.hand_out(tmp_path, made()[0], wanted=20, draw=draw, draw_each=half)
    assert {path.name for path in tmp_path.iterdir()} == {sheets.KEY, sheets.PICTURE}
    handed_out(tmp_path)
    before = contents(tmp_path)
    sheets.hand_out(tmp_path, made()[0], wanted=20, draw=draw, draw_each=half)  # there already
    assert contents(tmp_path) == before


def test_a_table_that_was_taken_elsewhere_keeps_its_key(tmp_path):
    """Two runs with other seeds into one folder, and the table of the first is filled in."""
    first, second = handed_out(tmp_path), handed_out(tmp_path, seed=1)
    assert first.identity != second.identity
    handed_out(tmp_path, seed=1)  # once more the same
    own = {f"audit-{first.identity}{end}" for end in (".json", ".png", "")}
    own.add(f"audit-{second.identity}")
    assert {path.name for path in tmp_path.iterdir()} == {
        "audit.csv",
        "audit.json",
        "audit.png",
    } | own
    for sheet, name in ((first, "mine.csv"), (second, sheets.TABLE)):
        table = save(tmp_path / name, truth(sheet))
        done = call(ROOT, "trust.audit", table)
        assert done.returncode == 0, done.stderr
        assert f"sheet {sheet.identity}: 20 of 20" in done.stdout and "disputes 0 of" in done.stdout


DOORS = [
    ("demo_dnn_vae", "--dataset mnist --out {here}"),
    ("trust.__main__", "mine.npz --dataset mnist --out {here}"),
]


@pytest.mark.parametrize(("door", "words"), DOORS)
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--audit 20", "is filled in"),
        ("--audit 20 --report {here}/audit.json", "audit.json"),
        ("--audit 0", "--audit"),
        ("--audit 1001", "1 to 1000"),
    ],
)
def test_both_doors_refuse_before_they_train(bundled, tmp_path, door, words, flags, said):
    sheet = handed_out(tmp_path)
    if said != "audit.json":
        save(tmp_path / sheets.TABLE, truth(sheet, 2))
    before = contents(tmp_path)
    done = call(ROOT, door, f"{words} {flags}".format(here=tmp_path))
    assert_one_line(done, said)
    assert "TensorFlow" not in done.stdout and contents(tmp_path) == before


def test_the_third_door_has_no_folder_for_a_sheet_by_itself():
    done = call(ROOT, "trust.__main__", "mine.npz --dataset mnist --audit 20")
    assert_one_line(done, "--audit needs --out")


def assert_one_line(done, said):
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


# What people's spreadsheets make of the table


def as_pandas_writes(lines):
    """A column of numbers with empty cells becomes one of floats."""
    return [
        [str(i), str(float(number)), name, sheet] for i, (number, name, sheet) in enumerate(lines)
    ]


def lower(lines):
    return [[number, f" {name.upper()} ", sheet] for number, name, sheet in lines]


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (list, {}),
        (list, {"mark": ";"}),
        (list, {"mark": "\t", "end": "\n"}),
        (list, {"start": "\ufeff", "end": "\r"}),
        (lower, {}),
        (lambda lines: lines[::-1], {}),
        (lambda lines: sorted(lines, key=lambda line: line[1]), {"mark": ";"}),
        (lambda lines: [*lines[:3], ["", "", ""], [], *lines[3:]], {}),
        (lambda lines: [[*line, "a note"] for line in lines], {}),
        (lambda lines: [line[::-1] for line in lines], {"head": ("Sheet", "CLASS", " image ")}),
        (lambda lines: lines[:-4], {}),
        (as_pandas_writes, {"head": ("", *sheets.COLUMNS)}),
    ],
)
def test_a_table_as_people_save_it(tmp_path, change, how):
    sheet = handed_out(tmp_path)
    lines = truth(sheet, 15)
    table = save(tmp_path / "mine.csv", change(lines), **how)
    expected = sheet.labels[sheet.shown[:15]]
    np.testing.assert_array_equal(audit.read_answers(table, sheet), expected)


def test_classes_that_differ_in_case_only():
    names = ["a", "A", "ab", "Straße", "?", "12"]
    known = {"a": 0, "A": 1, "AB": 2, "STRASSE": 3, "?": 4, "12": 5, "1": None, "": None}
    assert {answer: audit.class_of(answer, names) for answer in known} == known
    assert audit.class_of("aB", ["Ab", "AB"]) is None
    assert audit.class_of("?", ["a"]) == UNCLEAR
    numbers = ["7", "1.0", "1", "x.0"]
    known = {"7.0": 0, "1.0": 1, "1": 2, "x.0": 3, "8.0": None, "7.5": None}
    assert {answer: audit.class_of(answer, numbers) for answer in known} == known


def set_cell(line, column, value):
    """A change of a table: the head is line 1."""

    def change(lines):
        lines[line - 2][column] = value
        return lines

    return change


MISTAKES = {
    "unknown class": (set_cell(7, 1, "boot"), {}, "line 7: 'boot' is no class: write one of Ankle"),
    "image twice": (set_cell(7, 0, "4"), {}, "line 7: image 4 is in line 5 already"),
    "image not on the sheet": (set_cell(7, 0, "21"), {}, "line 7: '21' is not on the sheet"),
    "image 0": (set_cell(2, 0, "0"), {}, "line 2: '0' is not on the sheet"),
    "image without a number": (set_cell(7, 0, ""), {}, "line 7: '' is not on the sheet"),
    "another run": (set_cell(7, 2, "s-00000000"), {}, "line 7: is of sheet 's-00000000', but"),
    "no sheet": (set_cell(7, 2, ""), {}, "line 7: has no sheet, but"),
    "blank between": (set_cell(7, 1, ""), {}, "line 7: image 6 has no class, but image 20 has"),
    "line gone": (lambda lines: lines[1:], {}, "has no line for image 1, but one"),
    "not filled in": (lambda lines: [[a, "", c] for a, _, c in lines], {}, "is not filled in"),
    "no column": (list, {"head": ("image", "seen", "sheet")}, "line 1: has no column class"),
    "column twice": (list, {"head": ("image", "class", "Class")}, "line 1: has 2 columns class"),
    "open quote": (set_cell(7, 1, '"Bag'), {"mark": ";"}, "is not CSV"),
    "text after a quote": (set_cell(7, 1, '"Bag"s'), {}, "line 7: is not CSV"),
    "another mark": (list, {"mark": "|"}, "line 1: has no column image"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(tmp_path, mistake):
    change, how, said = MISTAKES[mistake]
    lines = change(truth(handed_out(tmp_path)))
    save(tmp_path / "mine.csv", lines, **how)
    assert_refused(tmp_path / "mine.csv", said)


FILES = {
    "empty": (b"", "is empty"),
    "not UTF-8": (
        "image,class,sheet\n1,Bag,x\n2,Käse,x\n".encode("cp1252"),
        "line 3: is not UTF-8",
    ),
    "UTF-16": ("image,class,sheet\n1,Bag,x\n".encode("utf-16"), "line 1: is not UTF-8"),
    "a sentence": (b"not what was expected\n" * 9, "line 1: has no column image"),
    "vast cell": (b"image,class,sheet\n1,%s,x\n" % (b"a" * 200_000), "line 2: is not CSV"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table(tmp_path, name):
    handed_out(tmp_path)
    content, said = FILES[name]
    (tmp_path / "mine.csv").write_bytes(content)
    assert_refused(tmp_path / "mine.csv", said)


VALUES = st.sampled_from([None, 7, "", "Bag", "s-01234567-001.png", "s-01234567-004.png", ["Bag"]])
TASKS = VALUES | st.dictionaries(st.sampled_from(["image", "choice", "label", "id"]), VALUES)


@settings(max_examples=300, deadline=None)
@given(st.lists(TASKS, max_size=3))
def test_whatever_an_export_holds_there_are_answers_or_a_sentence(tmp_path_factory, tasks):
    sheet, _ = made(n=3)
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_text(json.dumps(tasks).replace("s-01234567", sheet.identity))
    try:
        assert audit.read_answers(path, sheet).tolist() == [NAMES.index("Bag")]
    except AuditError as error:
        assert "fuzzed.json" in str(error)


PIECES = ["1", "2", "3", "0", ",", ";", "\t", "\n", "\r", '"', "?", "Bag", "é", "\0", "\ufeff", " "]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "{sheet}", "\r\n1,Bag,{sheet}"])), st.binary(max_size=3))
def test_whatever_a_table_holds_there_are_answers_or_a_sentence(tmp_path_factory, pieces, damage):
    sheet, _ = made(n=3)
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    text = "image,class,sheet" + "".join(pieces).replace("{sheet}", sheet.identity)
    path.write_bytes(text.encode() + damage)
    try:
        answers = audit.read_answers(path, sheet)
        assert 1 <= len(answers) <= 3 and set(answers) <= {UNCLEAR, 0, 1, 2}
    except AuditError as error:
        assert "fuzzed.csv" in str(error)


# What Label Studio exports


STORED = {  # an upload, a local folder, a bucket
    "upload": "/data/upload/3/1a2b3c4d-{}",
    "local": "/data/local-files/?d=imgs/audit-s-00000000/{}",
    "bucket": "s3://bucket/audit%2F{}",
}


def annotated(lines, stored="upload"):
    """[picture, answer] of lines of a table: (number, class, identity)."""
    return [
        [STORED[stored].format(f"{sheet}-{int(number):03}.png"), answer]
        for number, answer, sheet in lines
    ]


def as_csv(pairs, name="choice"):
    """As its converter writes it."""
    head = "image", "id", name, *LAST
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    for i, (picture, answer) in enumerate(pairs):
        writer.writerow([picture, 70 + i, answer, 1, 90 + i, WHEN, WHEN, 4.288])
    return text.getvalue()


LAST = "annotator", "annotation_id", "created_at", "updated_at", "lead_time"
WHEN = "2021-03-09T22:16:08.728353Z"


def as_json_min(pairs, name="choice"):
    """Without an answer there is no key."""
    tasks = []
    for i, (picture, answer) in enumerate(pairs):
        task = {"image": picture, "id": 70 + i} | ({name: answer} if answer else {})
        tasks.append(task | dict(zip(LAST, (1, 90 + i, WHEN, WHEN, 4.288), strict=True)))
    return json.dumps(tasks)


EXPORTS = {"csv": as_csv, "json": as_json_min}


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", EXPORTS)
def test_an_export_of_label_studio_says_what_the_table_says(tmp_path, kind, stored):
    """Of 20 images the last five skipped, in any order, and of one the person cannot say."""
    sheet = handed_out(tmp_path)
    lines = truth(sheet, 15)
    lines[4][1], lines[6][1] = "?", "bag"
    table = save(tmp_path / "table.csv", lines)
    pairs = annotated(lines[::-1], stored)
    for name in ("choice", "What is it"):
        export = tmp_path / f"project-3-at-2021-03-09.{kind}"
        export.write_text(EXPORTS[kind](pairs, name=name))
        done = call(ROOT, "trust.audit", export)
        assert done.returncode == 0 and not done.stderr, done.stderr
        assert done.stdout == call(ROOT, "trust.audit", table).stdout
    export.write_text(EXPORTS[kind](pairs[5:]))  # as where skipped ones are left out
    np.testing.assert_array_equal(
        audit.read_answers(export, sheet), audit.read_answers(table, sheet)
    )


def test_an_export_finds_the_key_of_an_earlier_run(tmp_path):
    """Whose table nobody has touched, as the images were labelled elsewhere."""
    first, _ = handed_out(tmp_path), handed_out(tmp_path, seed=1)
    (tmp_path / "mine.json").write_text(as_json_min(annotated(truth(first))))
    done = call(ROOT, "trust.audit", tmp_path / "mine.json")
    assert done.returncode == 0 and f"sheet {first.identity}: 20 of 20" in done.stdout


def test_a_table_of_file_names_and_other_columns(tmp_path):
    """As of other tools, and of a project whose tasks have more data than the picture."""
    sheet = handed_out(tmp_path)
    rows = annotated(truth(sheet))
    (tmp_path / "a.csv").write_text("".join(f"{row[0]};{row[1]}\n" for row in [["f", "c"], *rows]))
    rows = [[i, row[0], f"note {i}", row[0], row[1]] for i, row in enumerate(rows)]
    save(
        tmp_path / "b.csv",
        [[str(cell) for cell in row] for row in rows],
        head=",a,b,c,Label".split(","),
    )
    for name in ("a.csv", "b.csv"):
        np.testing.assert_array_equal(
            audit.read_answers(tmp_path / name, sheet), sheet.labels[sheet.shown]
        )


def change_pair(i, picture=None, answer=None):
    def change(pairs):
        pairs[i] = [picture or pairs[i][0], pairs[i][1] if answer is None else answer]
        return pairs

    return change


WRONG_EXPORTS = {
    "two annotations": (
        lambda pairs: [*pairs, [pairs[3][0], "Bag"]],
        {"csv": "line 22: image 4 is in line 5 already", "": "21: image 4 is in annotation 4 alr"},
    ),
    "unknown class": (
        change_pair(5, answer="boot"),
        {"csv": "line 7: 'boot' is no class: write one", "": "annotation 6: 'boot' is no class"},
    ),
    "another picture": (
        change_pair(5, picture="/data/upload/3/1a2b3c4d-cat.png"),
        {"csv": "line 7: names no picture that", "": "annotation 6: names no picture that --audit"},
    ),
    "another sheet": (
        change_pair(5, picture="s-00000000-006.png"),
        {"csv": "line 7: is of sheet 's-00000000'", "": "annotation 6: is of sheet 's-00000000'"},
    ),
    "no such image": (
        lambda pairs: [*pairs, [pairs[0][0].replace("001", "021"), "Bag"]],
        {"": ": '21' is not on the sheet, which has images 1 to 20"},
    ),
    "skipped between": (
        change_pair(5, answer=""),
        {"": "image 6 has no class, but image 20 has: answer ? if you cannot say"},
    ),
    "gone between": (
        lambda pairs: pairs[:5] + pairs[6:],
        {"": "has no line for image 6, but one for image 20: answer ?"},
    ),
    "nothing chosen": (
        lambda pairs: [[picture, ""] for picture, _ in pairs],
        {"": "is not filled in"},
    ),
}


@pytest.mark.parametrize("kind", EXPORTS)
@pytest.mark.parametrize("wrong", WRONG_EXPORTS)
def test_wrong_export(tmp_path, wrong, kind):
    change, said = WRONG_EXPORTS[wrong]
    pairs = change(annotated(truth(handed_out(tmp_path))))
    (tmp_path / "mine").write_text(EXPORTS[kind](pairs))
    assert_refused(tmp_path / "mine", said.get(kind, said[""]))


ONE = "s-01234567-001.png"
VALUE = '{"value": {"choices": ["Bag"]}, "from_name": "choice", "type": "choices"}'
WHOLE = f'[{{"id": 1, "data": {{"image": "{ONE}"}}, "annotations": [{{"result": [{VALUE}]}}]}}]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "is no JSON-MIN of Label Studio"),
        ("{}", "choose CSV or JSON-MIN when you export"),
        ("[7]", "is no JSON-MIN"),
        ('["annotations"]', "is no JSON-MIN"),
        (WHOLE, "is no JSON-MIN of Label Studio: choose CSV or JSON-MIN when you export"),
        ("[]", "is not filled in"),
        (
            f'[{{"image": "{ONE}", "a": "Bag", "b": "Bag"}}]',
            "has the columns 'a', 'b': call the one",
        ),
        (
            f'[{{"image": "{ONE}", "choice": "Bag", "label": "Bag"}}]',
            "the columns 'choice', 'label': call",
        ),
        (f'[{{"image": "{ONE}", "choice": {{"choices": ["a", "b"]}}}}]', '["a", "b"]'),
        (
            f"image,seen,kind\n{ONE},Bag,Bag\n",
            "has the columns 'seen', 'kind': call the one",
        ),
    ],
)
def test_a_file_that_is_no_export(tmp_path, text, said):
    sheet = handed_out(tmp_path)
    (tmp_path / "mine").write_text(text.replace("s-01234567", sheet.identity))
    assert_refused(tmp_path / "mine", said)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: "{",
        lambda key: "[]",
        lambda key: json.dumps({**key, "shown": [50]}),
        lambda key: json.dumps({**key, "labels": key["labels"][1:]}),
        lambda key: json.dumps({**key, "referee_labels": None}),
        lambda key: json.dumps({**key, "class_names": ["Bag"]}),
        lambda key: json.dumps({**key, "class_names": [1, 2, 3]}),
        lambda key: json.dumps({**key, "max_error": "0.05"}),
        lambda key: json.dumps({name: key[name] for name in key if name != "identity"}),
    ],
)
def test_a_key_that_is_damaged(tmp_path, change):
    handed_out(tmp_path)
    path = tmp_path / sheets.KEY
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(AuditError, match=r"audit\.json' is damaged"):
        audit.read_sheet(path)


def test_what_is_not_there(tmp_path):
    assert_refused(tmp_path / "mine.csv", "is no file")
    assert_refused(tmp_path, "is no file")
    sheet, _ = made()
    assert_refused(save(tmp_path / "mine.csv", truth(sheet)), "audit.json' cannot be read: No such")
    (tmp_path / "mine.json").write_text(as_json_min(annotated(truth(sheet))))
    assert_refused(tmp_path / "mine.json", "put the file that you give beside the audit.json of")


def assert_refused(path, said):
    done = call(ROOT, "trust.audit", path)
    assert_one_line(done, said)
    assert not done.stdout and "error: " in done.stderr and str(path.parent) in done.stderr


# What the answers show


def test_the_whole_way_of_somebody_who_sees_the_truth(tmp_path):
    """Of 50 accepted images; of the first 10 on the sheet one shows another class, which the
    referee sees, and of one the person cannot say; the referee is wrong about a third."""
    sheet, _ = made()
    words = sheet.labels.copy()
    first, third = sheet.shown[[0, 2]]
    words[[first, third]] = (words[[first, third]] + 1) % 3
    sheet = handed_out(tmp_path, referee_labels=words)
    lines = truth(sheet, 10)
    lines[0][1] = NAMES[words[first]].lower()
    lines[9][1] = "?"
    done = run("-m", "trust.audit", save(tmp_path / "mine.csv", lines, mark=";"))
    assert done.returncode == 0 and not done.stderr
    low, high = (
        f"{100 * end:.2f} %" for end in stats.binomtest(2, 10).proportion_ci(0.95, "exact")
    )
    bound = f"{100 * stats.beta.ppf(0.95, 3, 8):.2f} %"
    assert done.stdout.splitlines()[:3] == [
        f"zoo, sheet {sheet.identity}: 10 of 20 images have an answer; 50 were accepted",
        "The person disputes 2 of 10 labels: another class 1, unclear (?) 1",
        f"That is 20.00 %, exact 95 % interval {low} to {high}",
    ]
    # The referee disputes none of the 40 others; of ten it misses one and has one false alarm.
    assert "on the other 40: 0.00 %, 95 % interval" in done.stdout
    assert done.stdout.splitlines()[4:] == [
        "Person and referee say the same of 80.00 %",
        "The referee disputes 1 of the 2 labels that the person disputes, and 1 of the 8 others",
        f"The promise, at most 5 % wrong, is not shown: up to {bound} may be wrong, with 95 % "
        "confidence",
        "More images are not expected to show it: the share seen is not below 5 %",
    ]


def test_what_is_measured_by_hand():
    labels, words = np.zeros(20, int), np.zeros(20, int)
    words[[0, 1, 10, 11, 12]] = 1
    answers = np.array([1, 0, 2, UNCLEAR, 0, 0, 0, 0])  # of images 0 to 7
    sheet, _ = made(labels=labels, referee_labels=words, accepted=20)
    found = audit.measure(sheet._replace(shown=np.arange(10)), answers)
    counts = dict(audited=8, others=12, disputed=3, unclear=1, seen_by_referee=1, false_alarms=1)
    assert {name: found[name] for name in counts} == counts
    assert found["agreement"] == 5 / 8 and found["disputed_share"] == 3 / 8
    # 3 of the 12 others are disputed by the referee; of 8 it misses 2 and has a false alarm
    assert found["error_estimate"] == pytest.approx(3 / 12 + 2 / 8 - 1 / 8)
    assert found["error_low"] < 0.375 < found["error_high"]


def test_when_all_accepted_images_are_audited_the_referee_adds_nothing():
    sheet, _ = made(n=50, accepted=50)
    lines = audit.describe(sheet, sheet.labels[sheet.shown])
    assert audit.measure(sheet, sheet.labels[sheet.shown])["others"] == 0
    assert not any("the other" in line for line in lines) and "nan" not in "".join(lines)


def population(n, error, seen, false_alarms, rng):
    """Labels, the referee's and the truth of n images of three classes."""
    truth = rng.integers(0, 3, n)
    wrong = rng.random(n) < error
    doubted = rng.random(n) < np.where(wrong, seen, false_alarms)
    labels = np.where(wrong, (truth + 1) % 3, truth)
    return labels, np.where(doubted, np.where(wrong, truth, (labels + 1) % 3), labels), truth


def perfect(truth, rng):
    return truth


def careless(truth, rng):
    """Wrong about one in twenty, whatever it shows, and unsure of one in fifty."""
    slips, unsure = rng.random(len(truth)) < 0.05, rng.random(len(truth)) < 0.02
    return np.where(unsure, UNCLEAR, np.where(slips, rng.integers(0, 3, len(truth)), truth))


def audited(n, error, seen, false_alarms, rng, person=perfect):
    """What measure() gives of n of 3,000 images; the share of all that the person would dispute,
    and the share that are wrong."""
    labels, words, truth = population(3000, error, seen, false_alarms, rng)
    answers, shown = person(truth, rng), rng.permutation(3000)[:n]
    sheet = sheets.Sheet("", "zoo", ["a", "b", "c"], shown, labels, words, None)
    found = audit.measure(sheet, answers[shown])
    return found, np.mean(answers != labels), np.mean(truth != labels)


@pytest.mark.parametrize(
    ("n", "error", "seen", "false_alarms", "person"),
    [
        (100, 0.003, 0.5, 0.003, perfect),
        (300, 0.01, 0.9, 0.0, perfect),
        (100, 0.05, 0.0, 0.003, perfect),
        (300, 0.2, 0.5, 0.03, perfect),
        (100, 0.01, 0.5, 0.003, careless),
    ],
)
def test_the_intervals_hold_what_the_person_disputes(n, error, seen, false_alarms, person):
    """Both hold the share of all accepted images that this person would dispute.  Where the person
    is careless that is more than are wrong, so the bound on those is safe."""
    rng, runs, held = RNG(11), 250, []
    for _ in range(runs):
        found, disputed, wrong = audited(n, error, seen, false_alarms, rng, person)
        exact = found["low"] <= disputed <= found["high"]
        aided = found["error_low"] <= disputed <= found["error_high"]
        held.append((exact, aided, found["bound"] >= wrong))
    exact, aided, bound = np.mean(held, axis=0)
    # 95 % but for three standard deviations
    assert min(exact, aided, bound) >= 0.91 and (bound > 0.99 or person is perfect)


def test_when_the_referee_helps():
    """Where errors are common and the referee sees them; where they are rare, next to nothing."""

    def width(error, seen):
        rng, ends = RNG(5), ("error_low", "error_high", "low", "high")
        found = [audited(300, error, seen, 0.003, rng)[0] for _ in range(40)]
        error_low, error_high, low, high = (np.mean([each[end] for each in found]) for end in ends)
        return (error_high - error_low) / (high - low)

    assert width(0.2, 0.9) < 0.55 and width(0.05, 0.9) < 0.75
    assert 0.85 < width(0.003, 0.9) < 1.05 and width(0.05, 0) > 1


# The promise


@pytest.mark.parametrize(
    ("k", "n", "x"), [(0, 10, 0.05), (0, 100, 0.01), (1, 90, 0.05), (2, 90, 0.05), (9, 300, 0.05)]
)
def test_how_many_images_would_show_a_promise(k, n, x):
    needed = audit.images_needed(k, n, x)

    def bound(count):
        return stats.beta.ppf(0.95, math.ceil(k * count / n) + 1, count - math.ceil(k * count / n))

    assert bound(needed) <= x < bound(needed - 1)
    if not k:
        assert needed == math.ceil(math.log(0.05) / math.log(1 - x))


def test_what_no_number_of_images_would_show():
    assert audit.images_needed(0, 300, 0.05) == 300  # they do
    assert audit.images_needed(5, 100, 0.05) == audit.images_needed(0, 9, 0.0) == math.inf
    assert audit.images_needed(49, 981, 0.05) == math.inf  # 4.995 %: more than a million


def said(sheet, wrong, n):
    """The lines on the promise after n answers of which the first ones are wrong."""
    answers = sheet.labels[sheet.shown[:n]].copy()
    answers[:wrong] = UNCLEAR
    return "\n".join(audit.describe(sheet, answers)).partition("% wrong, is ")[2]


def test_what_is_said_of_the_promise():
    sheet, _ = made(n=100, accepted=150)
    assert said(sheet, 0, 100).startswith("shown: at most 2.95 %")
    assert said(sheet, 0, 30).endswith(
        "a new sheet of 59 images, with another --seed, would show it"
    )
    assert said(sheet, 2, 90).endswith(
        "208 images, with another --seed, would show it, but fewer were accepted"
    )
    assert "not expected" in said(sheet, 5, 100)
    rare = sheet._replace(max_error=1e-7)
    assert "more than 1,000,000 images" in said(rare, 0, 100)
    assert said(sheet._replace(max_error=None), 0, 100) == ""


def test_the_reader_says_what_it_wants():
    done = call(ROOT, "trust.audit", "--help")
    assert done.returncode == 0 and len(done.stdout.splitlines()) <= 20
    assert call(ROOT, "trust.audit").returncode == 2


def test_an_error_begins_with_what_was_typed(tmp_path):
    done = run("-m", "trust.audit", tmp_path / "mine.csv")
    assert done.returncode == 2 and done.stderr.startswith("python -m trust.audit: error: ")


def test_reading_answers_does_not_wait_for_tensorflow():
    done = run("-c", "import sys, trust.audit; print('tensorflow' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")
