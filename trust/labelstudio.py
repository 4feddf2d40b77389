"""An export of Label Studio as lines of a sheet's table: its CSV and JSON-MIN.

The formats: https://labelstud.io/guide/export.  Both have the data of the task, a column for each
control by its name, and OWN; and no annotation that was skipped.
"""

import json
import re
from pathlib import Path

from trust.show.sheets import COLUMNS, SINGLE, AuditError

# "" is what pandas calls the numbers of its rows.
OWN = {"", "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}
USUAL = {"choice", "label", "class"}  # names of the control, where there are other columns


def read_json(path: str | Path, text: str) -> list[tuple[str, dict]]:
    """Of each annotation of a JSON-MIN export its place in the file and {column: text}.  Raises
    AuditError where the text of the file is no such export."""
    try:
        tasks = json.loads(text)
        if not isinstance(tasks, list) or any("annotations" in task for task in tasks):
            raise TypeError
        return [
            (f"annotation {i}", {name.lower(): _text(value) for name, value in task.items()})
            for i, task in enumerate(tasks, start=1)
        ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        message = "is no JSON-MIN of Label Studio: choose CSV or JSON-MIN when you export"
        raise AuditError(f"{str(path)!r} {message}") from error


def _text(value) -> str:
    """As in a cell of CSV; of several choices no class comes out."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def understand(path: str | Path, lines: list[tuple[str, dict]]) -> list[tuple[str, dict]]:
    """The lines with COLUMNS, by the names of the pictures.  lines: of each its place in the file
    and {column: text}.  Raises AuditError where a line has no single picture of a sheet, or where
    it is not clear which column has the classes."""
    found, others = [], {name: None for _, cells in lines for name in cells if name not in OWN}
    for place, cells in lines:
        pictures = {name: match for name in cells if (match := re.search(SINGLE, cells[name]))}
        if not pictures:
            message = "names no picture that --audit wrote, such as s-0123abcd-007.png"
            raise AuditError(f"{str(path)!r}, {place}: {message}")
        found.append(next(iter(pictures.values())))
        for name in pictures:
            others.pop(name, None)
    classes = [name for name in others if len(others) == 1 or name in USUAL]
    if others and len(classes) != 1:
        message = f"has the columns {', '.join(map(repr, others))}"
        cure = "call the one with the classes choice, and no other"
        raise AuditError(f"{str(path)!r} {message}: {cure}")
    answers = [cells.get(classes[0], "") if classes else "" for _, cells in lines]
    return [
        (place, dict(zip(COLUMNS, (str(int(match[2])), answer, match[1]), strict=True)))
        for (place, _), match, answer in zip(lines, found, answers, strict=True)
    ]
