"""The sheet of an audit: numbered images without labels, for a person to name."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trust import cli, outputs
from trust.data.images import ImageSet

UNCLEAR, MARK = -1, "?"  # the class, and the answer, of an image that the person cannot name

COLUMNS = ("image", "class", "sheet")

TABLE, KEY, PICTURE, FOLDER = "audit.csv", "audit.json", "audit.png", "audit"

IDENTITY = "s-[0-9a-f]{8}"  # of a sheet
UNTOUCHED = rf"image,class,sheet\r\n(\d+,,{IDENTITY}\r\n)+"  # a table as --audit writes it

# A single picture, somewhere in what a tool made of its name.  The sheet is in the name, because
# tools store a picture without its folder.
SINGLE = rf"({IDENTITY})-([0-9]{{3,4}})\.png"


class AuditError(cli.UserError):
    """A sheet cannot be read; the message is one sentence for the user."""


class Sheet(NamedTuple):
    """What a person is asked, and what the answers are compared with.

    identity: "s-" and eight digits of a hash of the images shown and of everything below.
    shown: (n,) integer, the rows of the accepted images on the sheet, in its random order.
    labels, referee_labels: (m,) integer, of all accepted images.
    max_error: the largest share of wrong labels that was promised, or None.
    """

    identity: str
    dataset: str
    class_names: list
    shown: np.ndarray
    labels: np.ndarray
    referee_labels: np.ndarray
    max_error: float | None


def make_sheet(
    accepted: ImageSet, referee_labels: np.ndarray, data, n: int, max_error: float | None, rng
) -> Sheet:
    """A Sheet of n random accepted images, or of all if there are fewer.

    referee_labels: (m,) integer, of all accepted images.  data: has name and class_names.
    max_error: see Sheet.  rng: a numpy.random.Generator; with the same one, a longer sheet begins
    with the images of a shorter one.
    """
    shown = rng.permutation(len(accepted))[:n]
    names, labels = [*map(str, data.class_names)], accepted.labels
    content = data.name, names, shown, labels, referee_labels, max_error
    digest = hashlib.sha256(json.dumps(content, default=np.ndarray.tolist).encode())
    digest.update(accepted.images[shown].tobytes())
    return Sheet(
        # Without the prefix a spreadsheet may read a hash, as 12e45678, as a number.
        identity=f"s-{digest.hexdigest()[:8]}",
        dataset=data.name,
        class_names=names,
        shown=shown,
        labels=labels,
        referee_labels=referee_labels,
        max_error=max_error,
    )


def claim(folder: str | Path) -> tuple[Path, ...]:
    """The paths of a sheet's table and key in a folder.  Raises AuditError where the table is there
    and differs from what --audit writes, because a person may have filled it in."""
    path = Path(folder) / TABLE
    try:
        untouched = not os.path.isfile(path) or re.fullmatch(UNTOUCHED.encode(), path.read_bytes())
    except OSError:
        untouched = False
    if not untouched:
        cure = f"move it and {KEY}, or give another --out"
        raise AuditError(f"{str(path)!r} is filled in, or no table that --audit wrote: {cure}")
    return path, Path(folder) / KEY


def kept(file: str | Path, identity: str) -> Path:
    """Where an older key or picture is kept: audit-s-0123abcd.json beside audit.json.  Of every
    sheet the folder of single pictures: audit-s-0123abcd."""
    return Path(file).with_stem(f"{Path(file).stem}-{identity}")


def keep_older(folder: str | Path, identity: str) -> None:
    """Copies the key and the picture of another sheet: a person may have taken its table with them,
    to fill it in elsewhere."""
    try:
        older = json.loads(Path(folder, KEY).read_bytes())["identity"]
        if older == identity or not re.fullmatch(IDENTITY, older):
            return
    except (OSError, ValueError, TypeError, KeyError):
        return  # there is none
    for name in (KEY, PICTURE):
        if (path := Path(folder, name)).is_file():
            with outputs.replacing(kept(path, older)) as file:
                file.write(path.read_bytes())


def hand_out(
    folder: str | Path, sheet: Sheet, wanted: int, draw: Callable, draw_each: Callable
) -> str:
    """Writes a sheet's files, unless no image was accepted, and returns a line that says so.

    wanted: how many images it should have.  draw: takes a file and draws the sheet into it.
    draw_each: takes an empty folder and n names, and writes the images of the sheet there.
    Raises AuditError where a person has meanwhile filled in the table that is there.
    """
    n, accepted = len(sheet.shown), len(sheet.labels)
    if not n:
        return "audit: no image was accepted, so there is no sheet"
    table, key = claim(folder)
    keep_older(folder, sheet.identity)
    # The table comes last: if the run stops before it, an older table does not fit the new key,
    # and read_answers() refuses it.
    outputs.write_json(key, sheet._asdict())
    with outputs.replacing(Path(folder) / PICTURE) as file:
        draw(file)
    singly = kept(Path(folder) / FOLDER, sheet.identity)
    if not singly.exists():  # else it has the same pictures
        with outputs.new_folder(singly) as new:
            draw_each(new, [f"{sheet.identity}-{i + 1:03}.png" for i in range(n)])
    outputs.write_table(table, [COLUMNS, *((i + 1, "", sheet.identity) for i in range(n))])
    which = f"{n:,} of {accepted:,}" if n < accepted else f"all {n:,}"
    few = f", fewer than {wanted:,}" if n < wanted else ""
    then = f"write what you see into {table}, then: python -m trust.audit {shlex.quote(str(table))}"
    return f"audit: {which} accepted images are on the sheet{few}, and singly in {singly}; {then}"
