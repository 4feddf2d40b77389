"""What is printed at the end of a run: the answers first, then the table of all numbers."""

import math

import numpy as np

from trust.ask import between
from trust.show.rows import (
    ANSWERS,
    COLUMNS,
    CONTROL_ROWS,
    EXACT,
    PERCENT,
    PROMISE_ROWS,
    REAL,
    ROWS,
    RUN_ROWS,
    YOURS,
    Row,
    remarks,
    show,
)


def of_set(report: dict, name: str) -> dict:
    """The report of one set of several, as that of a run with it alone."""
    own = {key: report[key][name] for key in ("verdicts", "reasons", "classes")}
    return report | own | {"sets": {"yours": report["sets"][name], **report["beside"][name]}}


def of_each(report: dict) -> dict[str, dict]:
    """{name: report of that set}; of one set, which needs no name, {"": the report}."""
    if "beside" not in report:
        return {"": report}
    return {name: of_set(report, name) for name in report["beside"]}


def differences(report: dict) -> list[str]:
    """What differs between several sets: a line for each two, and which is best, or why none is."""
    lines, verdicts = [], report["verdicts"]
    for each in report.get("differences", []):
        (first, second), z, limit = each["sets"], each["z"], each["limit"]
        found = between.sides(z, limit, verdicts[first], verdicts[second])
        if len(found.worse) > len(found.better):
            first, second = second, first
            opposite = {question: -value for question, value in z.items()}
            found = between.sides(opposite, limit, verdicts[first], verdicts[second])
        words = verdicts[first], verdicts[second]
        parts = [
            f"{word} in {_with_reasons(questions, each['z'], second, words)}"
            for word, questions in (
                (f"better than {second}", found.better),
                ("worse", found.worse),
            )
            if questions
        ]
        line = f"{first} is {' and '.join(parts)}" if parts else f"{first}, {second}"
        more = [
            f"{title}: {', '.join(questions)}"
            for title, questions in (
                ("no more than chance", found.same),
                ("cannot tell", found.unknown),
                (f"only {first} is as real", found.for_first),
                (f"only {second} is as real", found.for_second),
            )
            if questions
        ]
        lines.append("; ".join([line, *more]))
    if lines:
        lines.append(f"best: {report['best']['why']}")
    return lines


def _with_reasons(questions, z, second, words):
    """The questions in which two sets differ, each with its z; without one, with both verdicts,
    words."""
    of_first, of_second = words
    reasons = (
        f"z {abs(z[key]):.1f}" if key in z else f"{of_first[key]}, {second}: {of_second[key]}"
        for key in questions
    )
    return ", ".join(f"{key} ({why})" for key, why in zip(questions, reasons, strict=True))


def answers(report: dict, short: bool = False) -> list[str]:
    """The answers, a line for each: question, verdict, the number, that of real images, and, unless
    it is to be short, what would have been seen."""
    sets, lines = report["sets"], []
    subject = sets["yours" if "yours" in sets else "generated"]
    for row in ANSWERS:
        question, verdict = row.question, report["verdicts"][row.question]
        number, real, spread = (
            show(each[question].get(key), row.form)
            for each, key in (
                (subject, row.key),
                (sets["real"], row.key),
                (sets["real"], f"{row.key}_sd"),
            )
        )
        if spread:
            real += f" ± {spread}"
        if question == "new":
            real += f", expected {show(subject['new']['expected_share'], row.form)}"
        line = f"{question + '?':12}{verdict:13}{_title(row, report)} {number} (real {real})"
        why = report["reasons"].get(question, "")
        said = remarks(question, verdict, why, subject[question], real=sets["real"][question])
        said = said[: bool(why)] if short else said
        lines.append("; ".join([line, *said]))
    right = subject["right"]
    if not math.isnan(right["error_low"]):
        low, high = (show(right[f"error_{end}"], PERCENT) for end in ("low", "high"))
        lines[0] += f", 95 % interval {low} to {high}"
        if short:
            return lines
        agreement = {name: each["agreement"] for name, each in report["classes"].items()}
        there = [name for name, share in agreement.items() if not math.isnan(share)]
        if least := min(there, key=agreement.get, default=None):
            share = show(agreement[least], PERCENT)
            lines[0] += f"; the referee agrees least in class {least}: {share}"
    return lines


def promised(report: dict) -> list[str]:
    """What was promised and whether it held: lines of text, none without a promise."""
    if "promise" not in report["sets"]:
        return []
    right = report["sets"]["promise"]["right"]
    texts = {key: show(value, PERCENT) for key, value in right.items()}
    bounds = {name: numbers["promise_bound"] for name, numbers in report["classes"].items()}
    worst = max(bounds, key=lambda name: np.nan_to_num(bounds[name]))
    broken = [
        name
        for name, numbers in report["classes"].items()
        if numbers["promise_low"] > right["max_error"]
    ]
    theirs = "yours" in report["sets"]
    kind, others = ("real images", "your images") if theirs else ("reconstructions", "images drawn")
    likeness = ""
    if not theirs:
        realistic = report["sets"]["generated"]["realistic"]
        share = show(realistic["told_apart_from_reconstructed"], PERCENT)
        likeness = (
            f"; a network tells {share} of accepted images and reconstructions apart, where 50 % "
            "would mean that they are alike"
        )
    interval = f"{texts['estimated_error_low']} to {texts['estimated_error_high']}"
    threshold = show(right["threshold"], EXACT)
    lines = [
        f"promise     with 95 % confidence at most {texts['max_error']} of {kind} that pass are "
        f"wrong, at the threshold {threshold}{likeness}",
        f"            wrong: {texts['wrong']} of {right['images']:,} from held-out images (class "
        f"{worst}: at most {show(bounds[worst], PERCENT)}), {texts['test_error_estimate']} of "
        f"those from test images, an estimated {texts['estimated_error_estimate']} of {others} "
        f"({interval})",
    ]
    if broken:
        lines.append(f"            it surely does not hold in class {', '.join(broken)}")
    return lines


def _title(row: Row, report: dict) -> str:
    """The title of a row, without the words of the filter if there is none."""
    strong = report["settings"]["threshold"] is not None
    return row.title if strong else row.title.replace(", strong", "").replace("accepted ", "")


def summary(report: dict) -> str:
    """What was examined, the answers, and the notes: lines of text."""
    settings = report["settings"]
    threshold = settings["threshold"]
    passing = f"threshold {threshold:g}" if threshold is not None else "no filter"
    head = f"{report['dataset']}, seed {settings['seed']}, {passing}"
    lines = [head]
    for name, own in of_each(report).items():
        lines += [f"\n{name}"] if name else []
        lines += [*answers(own, short=bool(name)), *promised(own)]
    lines += [f"note: {each}" for each in report["notes"]]
    return "\n".join([*lines, *(["", *found] if (found := differences(report)) else [])])


def print_report(report: dict) -> None:
    """Prints the six answers, a table with a row for each number and a column for each set, and
    the numbers of each class."""
    sets, views = report["sets"], of_each(report)
    print(f"\n{summary(report)}\n")
    columns = real = YOURS if "yours" in sets else COLUMNS
    if "" not in views:
        columns, real = (*views, "real"), YOURS
    names = [name if len(name) <= 13 else f"{name[:6]}…{name[-6:]}" for name in columns]
    print(f"{'↑ more is better, ↓ less is better':46}", *(f"{name:>13}" for name in names))
    for row in ROWS:
        values = [sets[name].get(row.question, {}).get(row.key) for name in columns]
        if any(value is not None for value in values):
            cells = (f"{show(value, row.form):>14}" for value in values)
            print(f"{_title(row, report):46}" + "".join(cells))
    print(f"{REAL[real]}\n")
    others = {**CONTROL_ROWS, "promise": PROMISE_ROWS, "run": RUN_ROWS}
    for name, rows in others.items():
        for row in rows:
            values = [
                (own["sets"] | {"run": {"run": report["run"]}})
                .get(name, {})
                .get(row.question, {})
                .get(row.key)
                for own in views.values()
            ]
            if any(value is not None for value in values):
                print(f"{row.title:46}" + "".join(f"{show(each, row.form):>14}" for each in values))
    for name, own in views.items():
        print_classes(own["classes"], name or "class")
    print("\nstage, seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:46}{seconds:14.1f}")
    print(f"{'peak memory, GB':46}{report['peak_memory_gb']:14.2f}\n")
    for name, own in views.items():
        short = []
        for question, verdict in own["verdicts"].items():
            why = own["reasons"].get(question)
            short.append(f"{question}? {verdict}" + (f" ({why})" if why else ""))
        print(f"In short{f', {name}' if name else ''}: {', '.join(short)}")
    for line in differences(report):
        print(line)


def print_classes(classes: dict, title: str) -> None:
    """Prints the numbers of each class, {class: {key: number}}."""
    forms = {"generated": "{:,}", "strong": "{:,}", "accepted": "{:,}"}
    shares = ["agreement", "agreement_low", "agreement_high"]
    shares += ["promise_wrong", "promise_low", "promise_bound"]
    forms |= dict.fromkeys(shares, PERCENT)
    there = next(iter(classes.values()))
    forms = {name: form for name, form in forms.items() if name in there}
    print(f"\n{title:20}" + "".join(f"{name:>16}" for name in forms))
    for name, numbers in classes.items():
        cells = (f"{show(numbers[column], form):>16}" for column, form in forms.items())
        print(f"{name:20}" + "".join(cells))
