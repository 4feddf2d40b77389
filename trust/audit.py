"""The audit by a person: a numbered sheet of accepted images without labels, and how far the
classes that the person writes down agree with the labels.

python -m trust.audit imgs/audit.csv

Instead of the table it takes an export of Label Studio, where the images were labelled singly.
"""

import csv
import io
import json
import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust import cli, labelstudio, statistics
from trust.ask import estimates
from trust.show import rows
from trust.show.sheets import (
    COLUMNS,
    IDENTITY,
    KEY,
    MARK,
    SINGLE,
    TABLE,
    UNCLEAR,
    AuditError,
    Sheet,
    kept,
)

FARTHEST = 10**6  # images; images_needed() searches no further


# From the filled-in table to the answers


class Line(NamedTuple):
    """A line of a table: its place in the file, as "line 7", and {column: text}."""

    place: str
    cells: dict


def read_lines(path: str | Path) -> list[Line]:
    """The lines of a CSV table below its header, or of an export of Label Studio, with COLUMNS.
    Spreadsheets separate the columns by commas, semicolons or tabs; all three are read.  Raises
    AuditError where it is no such file."""
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
    if text.lstrip()[:1] in ("[", "{"):
        return _understood(path, labelstudio.read_json(path, text))
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    reader, lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True), []
    names, exported = None, False
    try:
        for row in reader:
            cells = [each.strip() for each in row]
            if names is None:
                names = [each.lower() for each in cells]
                exported = COLUMNS[2] not in names and re.search(SINGLE, text)
                for name in () if exported else COLUMNS:
                    if (count := names.count(name)) != 1:
                        message = f"line 1: has {count or 'no'} column{'s' * (count > 1)} {name}"
                        wanted = f"{', '.join(COLUMNS)}, each once"
                        raise AuditError(f"{str(path)!r}, {message}, but must have {wanted}")
            elif any(cells):
                cells += [""] * (len(names) - len(cells))
                cells = dict(zip(names, cells, strict=False))
                lines.append(Line(f"line {reader.line_num}", cells))
    except csv.Error as error:
        message = f"line {reader.line_num}: is not CSV ({error})"
        raise AuditError(f"{str(path)!r}, {message}") from error
    if names is None:
        raise AuditError(f"{str(path)!r} is empty")
    return _understood(path, lines) if exported else lines


def _understood(path, lines) -> list[Line]:
    """The lines of an export of Label Studio as those of a table."""
    return [Line(*each) for each in labelstudio.understand(path, lines)]


def find_key(table: Path) -> Path:
    """The key that belongs to a table: that of the last run into its folder, or the one that was
    kept of an earlier run."""
    found = {line.cells["sheet"] for line in read_lines(table)}
    older = [kept(table.parent / KEY, each) for each in found if re.fullmatch(IDENTITY, each)]
    return next((path for path in older if path.is_file()), table.parent / KEY)


def read_sheet(path: str | Path) -> Sheet:
    """Reads the Sheet that hand_out() wrote as JSON.  Raises AuditError where it is missing or
    damaged."""
    try:
        values = json.loads(Path(path).read_bytes())
        sheet = Sheet(**values)
        shown, labels, referee_labels = (np.array(each, np.int64) for each in sheet[3:6])
        fits = len(labels) == len(referee_labels) and 0 <= shown.min() <= shown.max() < len(labels)
        fits &= (
            0 <= min(labels.min(), referee_labels.min()) <= labels.max() < len(sheet.class_names)
        )
        fits &= sheet.max_error is None or 0 <= sheet.max_error <= 1
        if not fits or {*map(type, (*sheet[:2], *sheet.class_names))} != {str}:
            raise ValueError
    except OSError as error:
        message = f"{str(path)!r} cannot be read: {error.strerror or error}"
        cure = f"put the file that you give beside the {KEY} of its run"
        raise AuditError(f"{message}; {cure}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise AuditError(f"{str(path)!r} is damaged, or none that --audit wrote") from error
    return sheet._replace(shown=shown, labels=labels, referee_labels=referee_labels)


def class_of(answer: str, class_names) -> int | None:
    """The number of the class that an answer names; upper and lower case differ only where several
    classes would fit, and 7.0 is 7, as pandas writes it.  UNCLEAR for a question mark, None where
    the answer names no class."""
    names = [name.strip() for name in class_names]
    if answer not in names:
        answer = answer.removesuffix(".0")
    if answer in names:
        return names.index(answer)
    if answer == MARK:
        return UNCLEAR
    fitting = [i for i, name in enumerate(names) if name.casefold() == answer.casefold()]
    return fitting[0] if len(fitting) == 1 else None


def read_answers(path: str | Path, sheet: Sheet) -> np.ndarray:
    """The person's answers to the first k images of the sheet, where the k-th is the last with an
    answer: (k,) integer, a class or UNCLEAR.  Raises AuditError, which names the line at fault."""
    n, found = len(sheet.shown), {}
    numbers = {str(i + 1): i for i in range(n)}

    def refuse(place, message):
        raise AuditError(f"{str(path)!r}, {place}: {message}")

    for place, cells in read_lines(path):
        image, answer, identity = (cells[name] for name in COLUMNS)
        image = image.removesuffix(".0")
        if identity != sheet.identity:
            other = f"is of sheet {identity!r}" if identity else "has no sheet"
            refuse(place, f"{other}, but {KEY} is of {sheet.identity!r}")
        if image not in numbers:
            refuse(place, f"{image!r} is not on the sheet, which has images 1 to {n}")
        if numbers[image] in found:
            refuse(place, f"image {image} is in {found[numbers[image]][0]} already")
        seen = class_of(answer, sheet.class_names) if answer else None
        if answer and seen is None:
            names = ", ".join(sheet.class_names[:12]) + ", ..." * (len(sheet.class_names) > 12)
            refuse(place, f"{answer!r} is no class: write one of {names}, or {MARK}")
        found[numbers[image]] = place, seen
    answered = [i for i, (_, seen) in found.items() if seen is not None]
    if not answered:
        raise AuditError(f"{str(path)!r} is not filled in: no image has a class")
    last = max(answered)
    for i in range(last):
        place, seen = found.get(i, (None, None))
        if seen is None:
            cure = f"answer {MARK} if you cannot say"
            if place is None:
                message = f"has no line for image {i + 1}, but one for image {last + 1}: {cure}"
                raise AuditError(f"{str(path)!r} {message}")
            refuse(place, f"image {i + 1} has no class, but image {last + 1} has: {cure}")
    return np.array([found[i][1] for i in range(last + 1)])


# From the answers to the estimates


def measure(sheet: Sheet, answers: np.ndarray) -> dict:
    """What the answers (k,) integer to the first images of a sheet say about all accepted images.

    Returns a dict of counts and shares.  audited: images with an answer; others: without one.
    disputed: labels with which the person disagrees; unclear: those of them answered by MARK;
    seen_by_referee: those of them with which the referee disagrees too; false_alarms: labels with
    which the referee alone disagrees.  disputed_share: of the audited labels, with its interval
    from low to high (Clopper & Pearson 1934); bound: its upper bound with 95 % confidence;
    agreement: of person and referee.
    error_estimate, error_low and error_high also use the referee's labels of the others, corrected
    by the referee's errors on the audited images: prediction-powered inference (Angelopoulos et
    al. 2023), but with the interval of estimates.corrected_error(), which also holds where errors
    are rare.  NaN where there are no others.
    """
    audited = sheet.shown[: len(answers)]
    labels, referee_labels = sheet.labels[audited], sheet.referee_labels[audited]
    wrong, doubted = labels != answers, labels != referee_labels
    n, k = len(answers), int(np.count_nonzero(wrong))
    rest = np.delete(np.arange(len(sheet.labels)), audited)
    low, high = statistics.clopper_pearson(k, n)
    return {
        "audited": n,
        "others": len(rest),
        "disputed": k,
        "unclear": int(np.count_nonzero(answers == UNCLEAR)),
        "seen_by_referee": int(np.count_nonzero(wrong & doubted)),
        "false_alarms": int(np.count_nonzero(doubted & ~wrong)),
        "agreement": estimates.agreement(answers, referee_labels),
        "disputed_share": k / n,
        "low": low,
        "high": high,
        "bound": statistics.upper_bound(k, n),
        **estimates.corrected_error(
            sheet.labels[rest],
            sheet.referee_labels[rest],
            known=labels,
            known_referee_labels=referee_labels,
            truth=answers,
        ),
    }


def images_needed(k: int, n: int, x: float) -> float:
    """How many audited images, at least n, would show with 95 % confidence that at most a share x
    is wrong, if the disputed share stayed k / n.  A whole number, or infinity where no number would
    or more than FARTHEST are needed."""

    def shows(count):
        return statistics.binomial_tail(math.ceil(k * count / n), count, x) <= 0.05

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
    return rows.show(share, rows.PERCENT)


def describe(sheet: Sheet, answers: np.ndarray) -> list[str]:
    """What the answers (k,) integer show, as lines of text."""
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
    """What the answers show about the promise, as lines of text; no lines without a promise.
    found: the result of measure()."""
    if (most := sheet.max_error) is None:
        return []
    n, k, bound = found["audited"], found["disputed"], _percent(found["bound"])
    limit = f"{100 * most:.4g} %"
    first = f"The promise, at most {limit} wrong, is"
    if found["bound"] <= most:
        return [f"{first} shown: at most {bound} are wrong, with 95 % confidence"]
    needed = images_needed(k, n, most)
    if k >= n * most:
        message = f"More images are not expected to show it: the share seen is not below {limit}"
    elif math.isinf(needed):
        message = f"At the share seen, more than {FARTHEST:,} images would be needed"
    else:
        # Adding images to this sheet until the promise is shown would invalidate the confidence.
        message = f"At the share seen, a new sheet of {needed:,} images, with another --seed, would"
        message += " show it"
        message += ", but fewer were accepted" if needed > len(sheet.labels) else ""
    return [f"{first} not shown: up to {bound} may be wrong, with 95 % confidence", message]


def main(flags=None):
    """Runs the script.  flags: a list of them, or None for those of the command line."""
    parser = cli.Parser(
        prog="python -m trust.audit",
        description="Read what a person wrote into the audit.csv of a run with --audit, or chose "
        "in Label Studio, and say how many of the accepted images' labels they dispute.",
    )
    what = f"{TABLE}, or a copy, or an export of Label Studio (CSV or JSON-MIN) of the single "
    what += f"pictures; beside the {KEY} of the same run"
    parser.add_argument("file", metavar="FILE", type=cli.path, help=what)
    path = Path(parser.parse_args(flags).file)
    if not os.path.isfile(path):
        raise AuditError(f"{str(path)!r} is no file: give the {TABLE} that --audit wrote")
    sheet = read_sheet(find_key(path))
    print(*describe(sheet, read_answers(path, sheet)), sep="\n")


if __name__ == "__main__":
    cli.run(main)
