"""A person's eye: a numbered sheet of accepted images without labels, and what the answers of a
person say about the labels.

python -m trust.audit imgs/audit.csv
"""

import csv
import hashlib
import io
import json
import math
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust import cli, outputs, report, right

UNCLEAR, MARK = -1, "?"  # the person cannot name the class of this image
COLUMNS = ("image", "class", "sheet")
TABLE, KEY = "audit.csv", "audit.json"
UNTOUCHED = rb"image,class,sheet\r\n(\d+,,s-[0-9a-f]{8}\r\n)+"  # a table as it is written
FARTHEST = 10**6  # images: nobody labels more than this to check a promise


class AuditError(cli.UserError):
    """A sheet cannot be read; the message is one sentence for the user."""


class Sheet(NamedTuple):
    """What a person is asked, and what the answers are compared with.

    identity: a word that differs where images, labels or referee differ.
    shown: (n,) integer, which of the accepted images are on the sheet, in its order, which is
    random.  labels, referee_labels: (m,) integer, of all accepted images.
    max_error: the largest share of wrong labels that was promised, or None.
    """

    identity: str
    dataset: str
    class_names: list
    shown: np.ndarray
    labels: np.ndarray
    referee_labels: np.ndarray
    max_error: float | None


# From a run to the sheet


def make_sheet(images, labels, referee_labels, data, n: int, max_error: float | None, rng) -> Sheet:
    """A Sheet of n accepted images at random, or of all where there are fewer.

    images: (m, h, w[, 3]), all that were accepted; labels, referee_labels: (m,) integer.
    data: has name and class_names.  max_error: see Sheet.  rng: a numpy.random.Generator; the same
    one draws the same images in the same order, however many.
    """
    shown = rng.permutation(len(labels))[:n]
    words = [data.name, [*map(str, data.class_names)], shown, labels, referee_labels, max_error]
    content = json.dumps(words, default=np.ndarray.tolist).encode() + images[shown].tobytes()
    # A word that no spreadsheet takes for a number, as it does 12e45678.
    return Sheet(f"s-{hashlib.sha256(content).hexdigest()[:8]}", *words)


def claim(folder: str | Path) -> tuple[Path, ...]:
    """The files in a folder that a sheet is kept in, besides its figure.  Raises AuditError where
    there is a table that is not as --audit wrote it: a person has filled it in."""
    path = Path(folder) / TABLE
    try:
        untouched = not os.path.isfile(path) or re.fullmatch(UNTOUCHED, path.read_bytes())
    except OSError:
        untouched = False
    if not untouched:
        cure = f"move it and {KEY}, or give another --out"
        raise AuditError(f"{str(path)!r} is filled in, or no table that --audit wrote: {cure}")
    return path, Path(folder) / KEY


def hand_out(folder: str | Path, sheet: Sheet, wanted: int, draw: Callable) -> str:
    """Writes a sheet's files, unless no image was accepted, and returns a line that says so.

    wanted: how many images it should have.  draw: draws it, called without arguments.
    Raises AuditError where a person has meanwhile filled in the table that is there.
    """
    n, accepted = len(sheet.shown), len(sheet.labels)
    if not n:
        return "audit: no image was accepted, so there is no sheet"
    table, key = claim(folder)
    # The table is written last: if a run stops before, the reader refuses the older table.
    outputs.write_json(key, sheet._asdict())
    draw()
    outputs.write_table(table, [COLUMNS, *((i + 1, "", sheet.identity) for i in range(n))])
    which = f"{n:,} of {accepted:,}" if n < accepted else f"all {n:,}"
    few = f", fewer than {wanted:,}" if n < wanted else ""
    then = f"write what you see into {table}, then: python -m trust.audit {shlex.quote(str(table))}"
    return f"audit: {which} accepted images are on the sheet{few}; {then}"


# From the file that somebody filled in to the answers


class Line(NamedTuple):
    """A line of a table: its number in the file, and {column: what it holds}."""

    number: int
    cells: dict


def read_lines(path: str | Path) -> list[Line]:
    """The lines of a table under its head, as people's spreadsheets save it: with commas,
    semicolons or tabs.  Raises AuditError."""
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise AuditError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise AuditError(
            f"{str(path)!r}, line {number}: is not UTF-8: save it as CSV in UTF-8"
        ) from error
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    reader, lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True), []
    names = None
    try:
        for row in reader:
            cells = [each.strip() for each in row]
            if names is None:
                names = [each.lower() for each in cells]
                for name in COLUMNS:
                    if (count := names.count(name)) != 1:
                        said = f"line 1: has {count or 'no'} column{'s' * (count > 1)} {name}"
                        wanted = f"{', '.join(COLUMNS)}, each once"
                        raise AuditError(f"{str(path)!r}, {said}, but must have {wanted}")
            elif any(cells):
                cells += [""] * (len(names) - len(cells))
                lines.append(Line(reader.line_num, dict(zip(names, cells, strict=False))))
    except csv.Error as error:
        said = f"line {reader.line_num}: is not CSV ({error})"
        raise AuditError(f"{str(path)!r}, {said}") from error
    if names is None:
        raise AuditError(f"{str(path)!r} is empty")
    return lines


def read_sheet(path: str | Path) -> Sheet:
    """The Sheet that was kept as JSON.  Raises AuditError."""
    try:
        values = json.loads(Path(path).read_bytes())
        sheet = Sheet(**values)
        shown, labels, words = (np.array(each, np.int64) for each in sheet[3:6])
        fits = len(labels) == len(words) and 0 <= shown.min() <= shown.max() < len(labels)
        fits &= 0 <= min(labels.min(), words.min()) <= labels.max() < len(sheet.class_names)
        fits &= sheet.max_error is None or 0 <= sheet.max_error <= 1
        if not fits or {*map(type, (*sheet[:2], *sheet.class_names))} != {str}:
            raise ValueError
    except OSError as error:
        said = f"{str(path)!r} cannot be read: {error.strerror or error}"
        raise AuditError(f"{said}; --audit writes it beside the csv") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise AuditError(f"{str(path)!r} is damaged, or none that --audit wrote") from error
    return sheet._replace(shown=shown, labels=labels, referee_labels=words)


def class_of(answer: str, class_names) -> int | None:
    """Which class an answer names, whatever its case where only one class fits; UNCLEAR for a
    question mark; None where it names no class."""
    names = [name.strip() for name in class_names]
    if answer in names:
        return names.index(answer)
    if answer == MARK:
        return UNCLEAR
    fitting = [i for i, name in enumerate(names) if name.casefold() == answer.casefold()]
    return fitting[0] if len(fitting) == 1 else None


def read_answers(path: str | Path, sheet: Sheet) -> np.ndarray:
    """What the person sees on the first k images of the sheet, up to the last that has an answer:
    (k,) integer, a class or UNCLEAR.  Raises AuditError with the line where something is wrong."""
    n, found = len(sheet.shown), {}
    numbers = {str(i + 1): i for i in range(n)}

    def refuse(line, said):
        raise AuditError(f"{str(path)!r}, line {line}: {said}")

    for line, cells in read_lines(path):
        image, answer, identity = (cells[name] for name in COLUMNS)
        if identity != sheet.identity:
            other = f"is of sheet {identity!r}" if identity else "has no sheet"
            refuse(line, f"{other}, but {KEY} is of {sheet.identity!r}")
        if image not in numbers:
            refuse(line, f"{image!r} is not on the sheet, which has images 1 to {n}")
        if numbers[image] in found:
            refuse(line, f"image {image} has been in line {found[numbers[image]][0]} already")
        seen = class_of(answer, sheet.class_names) if answer else None
        if answer and seen is None:
            names = ", ".join(sheet.class_names[:12]) + ", ..." * (len(sheet.class_names) > 12)
            refuse(line, f"{answer!r} is no class: write one of {names}, or {MARK}")
        found[numbers[image]] = line, seen
    answered = [i for i, (_, seen) in found.items() if seen is not None]
    if not answered:
        raise AuditError(f"{str(path)!r} is not filled in: no image has a class")
    last = max(answered)
    for i in range(last):
        line, seen = found.get(i, (None, None))
        if seen is None:
            said = f"has no class, but image {last + 1} has: write {MARK} if you cannot say"
            if line is None:
                raise AuditError(f"{str(path)!r} has no line of image {i + 1}, but of {last + 1}")
            refuse(line, f"image {i + 1} {said}")
    return np.array([found[i][1] for i in range(last + 1)])


# From the answers to what they show


def measure(sheet: Sheet, answers: np.ndarray) -> dict:
    """What the answers (k,) integer to the first images of a sheet say of all accepted images.

    Returns counts: audited images, others, disputed, unclear (of those), seen_by_referee (of those)
    and false_alarms (of which the referee alone disputes the label).  And shares: disputed_share
    with low and high (Clopper & Pearson 1934), bound, which it does not pass with 95 % confidence,
    and agreement of person and referee.
    error_estimate, error_low and error_high add the referee's word on all others, corrected by how
    far it is off on the audited ones: prediction-powered inference (Angelopoulos et al. 2023), but
    with the interval of right.corrected_error(), which also holds where errors are rare.  NaN where
    there are no others.
    """
    audited = sheet.shown[: len(answers)]
    labels, words = sheet.labels[audited], sheet.referee_labels[audited]
    wrong, doubted = labels != answers, labels != words
    n, k = len(answers), int(np.count_nonzero(wrong))
    rest = np.delete(np.arange(len(sheet.labels)), audited)
    others = sheet.labels[rest], sheet.referee_labels[rest]
    low, high = right.clopper_pearson(k, n)
    return {
        "audited": n,
        "others": len(rest),
        "disputed": k,
        "unclear": int(np.count_nonzero(answers == UNCLEAR)),
        "seen_by_referee": int(np.count_nonzero(wrong & doubted)),
        "false_alarms": int(np.count_nonzero(doubted & ~wrong)),
        "agreement": right.agreement(answers, words),
        "disputed_share": k / n,
        "low": low,
        "high": high,
        "bound": right.upper_bound(k, n),
        **right.corrected_error(*others, labels, words, answers),
    }


def images_needed(k: int, n: int, x: float) -> float:
    """How many images, n or more, would show with 95 % confidence that at most a share x is wrong,
    if as many were disputed as k of n: a whole number, or infinity where none or more than FARTHEST
    would."""

    def shows(count):
        return right.binomial_tail(math.ceil(k * count / n), count, x) <= 0.05

    high = n
    while k < n * x and high < FARTHEST and not shows(high):
        high *= 2
    if k >= n * x or not shows(high):
        return math.inf
    low = high // 2 if high > n else n - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def _percent(share):
    return report.show(share, report.PERCENT)


def describe(sheet: Sheet, answers: np.ndarray) -> list[str]:
    """The lines that say what the answers (k,) integer show."""
    found = measure(sheet, answers)
    n, k, others = found["audited"], found["disputed"], found["others"]
    lines = [
        f"{sheet.dataset}, sheet {sheet.identity}: {n:,} of {len(sheet.shown):,} images have an "
        f"answer; {len(sheet.labels):,} were accepted",
        f"The person disputes {k:,} of {n:,} labels: another class {k - found['unclear']:,}, "
        f"unclear ({MARK}) {found['unclear']:,}",
        f"That is {_percent(found['disputed_share'])}, exact 95 % interval "
        f"{_percent(found['low'])} to {_percent(found['high'])}",
    ]
    if others:
        low, high = found["error_low"], found["error_high"]
        which = "this" if high - low < found["high"] - found["low"] else "the exact"
        share, low, high = map(_percent, (found["error_estimate"], low, high))
        lines.append(
            f"With the referee's word on the other {others:,}: {share}, 95 % interval {low} to "
            f"{high}; {which} interval is the tighter one"
        )
    lines += [
        f"Person and referee say the same of {_percent(found['agreement'])}",
        f"The referee disputes {found['seen_by_referee']:,} of the {k:,} labels that the person "
        f"disputes, and {found['false_alarms']:,} of the {n - k:,} others",
    ]
    return lines + describe_promise(sheet, found)


def describe_promise(sheet: Sheet, found: dict) -> list[str]:
    """The lines on the promise, none where there is none.  found: of measure()."""
    if (most := sheet.max_error) is None:
        return []
    n, k, bound = found["audited"], found["disputed"], _percent(found["bound"])
    limit = f"{100 * most:.4g} %"
    first = f"That at most {limit} are wrong, as promised, is"
    if found["bound"] <= most:
        return [f"{first} shown: at most {bound} are, with 95 % confidence"]
    needed = images_needed(k, n, most)
    if k >= n * most:
        said = f"More images are not expected to show it: the share seen is not below {limit}"
    elif math.isinf(needed):
        said = f"At the share seen more than {FARTHEST:,} images would be needed"
    else:
        # A sheet that is continued until the promise is shown would show any promise in the end.
        said = f"At the share seen a new sheet of {needed:,} images, with another --seed, would"
        said += "; so many were not accepted" if needed > len(sheet.labels) else ""
    return [f"{first} not shown: {bound} may be, with 95 % confidence not more", said]


def main(words=None):
    """The whole reader, with the flags of the command line or the list of words given."""
    parser = cli.Parser(
        prog="python -m trust.audit",
        description="Read what a person wrote into the audit.csv of a run with --audit, and say "
        "how many of the accepted images' labels they dispute.",
    )
    what = f"{TABLE}, or a copy beside the {KEY} of the same run"
    parser.add_argument("file", metavar="FILE", type=cli.path, help=what)
    path = Path(parser.parse_args(words).file)
    if not os.path.isfile(path):
        raise AuditError(f"{str(path)!r} is no file: give the {TABLE} that --audit wrote")
    sheet = read_sheet(path.parent / KEY)
    print(*describe(sheet, read_answers(path, sheet)), sep="\n")


if __name__ == "__main__":
    cli.run(main)
