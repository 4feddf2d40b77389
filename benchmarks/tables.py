"""The tables of the README and of the page of results, from the reports in a folder.

python -m benchmarks.tables benchmarks/results     (the reports are written by `make table`)
"""

import json
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks import forgeries, strangers
from trust.ask.verdicts import CAUGHT, QUESTIONS, pooled
from trust.cli import Parser, UserError, run
from trust.show.rows import (
    ANSWERS,
    CONTROL_ROWS,
    COUNT,
    PERCENT,
    PLAIN,
    ROWS,
    RUN_ROWS,
    TWO_DIGITS,
    show,
)
from trust.statistics import upper_bound

WORST_CLASS = next(row for row in ROWS if row.key == "worst_class_agreement")
# The long table has these columns.
KINDS = (
    ("naive", "as in the naive method"),
    ("this", "generated"),
    ("disjoint", "disjoint halves"),
)
CONTROLS = (
    ("real", "real, same filter"),
    ("reconstructed", "reconstructions of test images"),
    ("other_prior", "drawn from N(0, I)"),
)


def cell(values, form):
    """Mean and standard deviation of the values as text.  An empty string if one is missing, which
    is an empty string itself; "none" if one is None or NaN."""
    if "" in values:
        return ""
    values = np.array(values, dtype=float) * (100 if form == PERCENT else 1)  # None is NaN
    if np.isnan(values).any():
        return "none"
    number, unit = form.removesuffix(" %"), " %" * form.endswith(" %")
    spread = f" ± {number.format(values.std(ddof=1))}" if len(values) > 1 else ""
    return number.format(values.mean()) + unit + spread


def read_reports(folder):
    """{(data set, kind): reports} of the files <data set>-<kind>-<seed>.json that `make table`
    wrote.  Raises UserError where there is none, or a file is not the report that its name says."""
    found = {}
    for path in sorted(Path(folder).glob("*-*-*.json")):
        dataset, kind, seed = path.stem.rsplit("-", 2)
        try:
            report = json.loads(path.read_text())
            if report["dataset"] != dataset or str(report["settings"]["seed"]) != seed:
                raise ValueError
            dict(report["seconds"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{str(path)!r} is no report of {dataset}: run make table") from error
        found.setdefault((dataset, kind), []).append(report)
    if not any(kind == "this" for _, kind in found):
        raise UserError(f"{str(folder)!r} has no reports: run make table first")
    return found


def table(titles, rows):
    """A Markdown table: titles of the columns; rows, each a title and a cell for each column."""
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows if any(cells)]
    return "\n".join(lines)


def number(report, name, row):
    """A report's number of a set and a row; an empty string where it was not measured."""
    sets = report["sets"]
    name = "yours" if name == "generated" and "yours" in sets else name
    return sets.get(name, {}).get(row.question, {}).get(row.key, "")


def results_table(columns, rows):
    """A Markdown table of (title, reports, set) columns and Row rows."""
    cells = [
        (
            row.title,
            [
                cell([number(report, name, row) for report in reports], row.form)
                for _, reports, name in columns
            ],
        )
        for row in rows
    ]
    return table([title for title, *_ in columns], cells)


def answers_table(datasets):
    """The answers as a Markdown table, a question a row: the number, that of real images and the
    verdict of all seeds together; below it what would have shown.  datasets: {name: reports}."""
    titles = [f"{name}: {which}" for name in datasets for which in ("", "real", "verdict")]
    titles = [title.removesuffix(": ") for title in titles]
    rows = []
    for row in ANSWERS:
        cells, shown = [], []
        least = next(
            each for each in ROWS if (each.question, each.key) == (row.question, "detectable")
        )
        for reports in datasets.values():
            for name in ("generated", "real"):
                cells.append(cell([number(report, name, row) for report in reports], row.form))
            cells.append(verdict_of_seeds(reports, row.question))
            shown.append(
                cell([number(report, "generated", least) for report in reports], least.form)
            )
            shown += ["", ""]
        rows.append((f"{row.question}? {row.title}", cells))
        rows.append((least.title, shown))
        if row.question == "right":
            rows.append(("... referee agrees, worst class ↑", worst_class_cells(datasets)))
    return table(titles, rows)


def verdict_of_seeds(reports, question):
    """The verdict of several seeds together."""
    words = [report["verdicts"][question] for report in reports]
    return pooled(words, [report["evidence"][question] for report in reports])


def worst_class_cells(datasets):
    """For each data set the agreement in the worst class, generated and real, and no verdict."""
    return [
        cell([number(report, name, WORST_CLASS) for report in reports], PERCENT) if name else ""
        for reports in datasets.values()
        for name in ("generated", "real", None)
    ]


# For each question the title and the set of its control, and the rows of its short table.
SHORT = {
    "right": (
        *("half-way between two classes", "halfway"),
        ("strong_rate", "agreement", "error_estimate"),
    ),
    "realistic": (
        *("", ""),
        ("told_apart", "told_apart_from_reconstructed", "blurred", "precision", "density"),
    ),
    "balanced": ("", "", ("class_balance",)),
    "varied": ("", "", ("frechet", "recall", "coverage", "twins", "class_spread")),
    "new": (
        *("", ""),
        (
            *("seen_share", "expected_share", "lean", "lean_z", "lean_detectable"),
            *("copies", "copies_limit"),
        ),
    ),
    "useful": ("real, no filter", "unfiltered", ("accuracy",)),
}


def short_table(question, datasets):
    """One question as a Markdown table of {name: reports}: a row for each set of images, the last
    the control, and the rows of SHORT as columns."""
    title, control, keys = SHORT[question]
    kinds = {name: name for name in ("generated", "real", "reconstructed")}
    kinds |= {title: control} if control else {}
    measures = [row for row in ROWS if row.question == question and row.key in keys]
    rows = [
        (
            f"{name}: {kind}",
            [
                cell([number(report, which, row) for report in reports], row.form)
                for row in measures
            ],
        )
        for name, reports in datasets.items()
        for kind, which in kinds.items()
    ]
    return table([row.title for row in measures], rows)


def soft_table(reports):
    """A Markdown table of the accuracy with soft labels."""
    columns = [("generated", reports, "generated"), ("real, same filter", reports, "real")]
    return results_table(columns, [row for row in ROWS if row.key == "accuracy"])


def forgeries_table(runs):
    """How the examination judged forgeries, in all seeds together: a Markdown table of lists that
    benchmarks.forgeries wrote, one for each seed.  The name of a forgery is bold where no question
    that has to catch it does."""
    found, rows = [each for run in runs for each in run], []
    for (name, n), texts in forgeries.summary(found).items():
        most = max(each["images"] for each in found if (each["forgery"], each["n"]) == (name, n))
        title = f"{name}, n = {most:,}"
        if (
            forgeries.KINDS[name].caught_by
            and forgeries.as_expected(name, texts) == forgeries.NOT_CAUGHT
        ):
            title = f"**{title}**"
        rows.append((title, [texts[question] or "-" for question in QUESTIONS]))
    return table(QUESTIONS, rows)


def short_forgeries_table(datasets):
    """How the questions that have to catch a forgery judged it, in each data set and size: a
    Markdown table of {name: runs}.  For honest sets, how many were called worse or failing by
    mistake, in any question."""
    titles, columns = [], []
    for name, runs in datasets.items():
        found = [each for run in runs for each in run]
        for n in sorted({each["n"] for each in found}):
            titles.append(f"{name}, n = {n:,}")
            columns.append([each for each in found if each["n"] == n])
    rows = []
    there = {each["forgery"] for found in columns for each in found}
    for forgery, kind in forgeries.KINDS.items():
        if forgery not in there:
            continue
        cells = [" or ".join(kind.expected()) or "none"]
        for found in columns:
            own = [each for each in found if each["forgery"] == forgery]
            if not own:  # none pass, if other nonsense of this size does; else it was not asked
                others = (forgeries.KINDS[each["forgery"]] for each in found)
                nonsense = any(each.filtered and each.caught_by for each in others)
                cells.append(forgeries.NONE_PASS if nonsense else "")
            elif not kind.caught_by:
                false = sum(
                    any(word in CAUGHT for word in each["verdicts"].values()) for each in own
                )
                cells.append(f"{false} of {len(own)}")
            else:
                (texts,) = forgeries.summary(own).values()
                found_by = forgeries.as_expected(forgery, texts)
                cells.append(f"**{found_by}**" if found_by == forgeries.NOT_CAUGHT else found_by)
        rows.append((forgery, cells))
    return table(["caught by", *titles], rows)


DOORS = {2: "behind the filter", 3: "your images"}


def alarms_table(counts):
    """How often honest sets were called worse or failing, and what else was counted, by their size:
    a Markdown table of the counts of one data set that benchmarks.alarms wrote."""
    sizes, rows = sorted({each["n"] for each in counts}), []
    for door, place in DOORS.items():
        for question in QUESTIONS:
            own = {
                each["n"]: each
                for each in counts
                if (each["door"], each["question"]) == (door, question)
            }

            def row(title, text, own=own):
                return title, [text(own[n]) if n in own else "" for n in sizes]

            rows += [
                row(
                    f"{question}, {place}: called worse",
                    lambda each: f"{each['alarms']} of {each['draws']}",
                ),
                row(
                    "... cannot tell",
                    lambda each: f"{each['cannot_tell'] / each['draws']:.0%}",
                ),
                row("... would have shown, median", lambda each: show(each["detectable"], PLAIN)),
            ]
            faults = dict.fromkeys(fault for each in own.values() for fault in each["planted"])
            rows += [
                row(f"... {fault}: caught", lambda each, fault=fault: caught_of(each, fault))
                for fault in faults
            ]
    return table([f"n = {n:,}" for n in sizes], rows)


def joined_counts(runs):
    """Counts that benchmarks.alarms wrote for several seeds, as of one: sums, and of what would
    have shown the mean over the seeds where it is known."""
    kinds = {}
    for each in chain(*runs):
        kinds.setdefault((each["door"], each["n"], each["question"]), []).append(each)
    return [_joined(own) for own in kinds.values()]


def _joined(counts):
    """Counts of one door, size and question as one."""
    faults = dict.fromkeys(fault for each in counts for fault in each["planted"])
    planted = {
        fault: _summed([each["planted"][fault] for each in counts if fault in each["planted"]])
        for fault in faults
    }
    known = [each["detectable"] for each in counts if each["detectable"] is not None]
    return {
        **{key: counts[0][key] for key in ("door", "n", "question")},
        **_summed(counts),
        "detectable": float(np.mean(known)) if known else None,
        "planted": planted,
    }


def _summed(counts):
    keys = ("draws", "alarms", "cannot_tell", "caught")
    return {key: sum(each[key] for each in counts) for key in keys if key in counts[0]}


def sizes_table(datasets):
    """How many honest sets of each size were called worse or failing, at both doors and in all data
    sets together, and how many at most with 95 % confidence: a Markdown table of {name: counts}."""
    counts = [each for own in datasets.values() for each in own]
    sizes, rows = sorted({each["n"] for each in counts}), []
    for question in QUESTIONS:
        cells = []
        for n in sizes:
            own = [each for each in counts if (each["question"], each["n"]) == (question, n)]
            cells.append(alarms_of(own))
        rows.append((question, cells))
    return table([f"n = {n:,}" for n in sizes], rows)


def alarms_of(counts):
    """How many of the sets of these counts were called worse or failing, as text."""
    hits, draws = (sum(each[key] for each in counts) for key in ("alarms", "draws"))
    most = show(upper_bound(hits, draws), PERCENT)
    return f"{hits} of {draws:,} (at most {most})" if counts else ""


def caught_of(count, fault):
    """How many of the sets with a planted fault were caught, as text."""
    found = count["planted"].get(fault)
    return f"{found['caught']} of {found['draws']}" if found else ""


def short_alarms_table(datasets):
    """For each question how many honest sets of all sizes were called worse or failing, how many
    at most with 95 % confidence, and how many planted faults of the size that would have shown are
    caught: a Markdown table of {name: counts}."""
    columns = {
        f"{name}, {place}": [each for each in counts if each["door"] == door]
        for name, counts in datasets.items()
        for door, place in DOORS.items()
    }
    rows = []
    for question in QUESTIONS:
        alarms, planted = [], []
        for counts in columns.values():
            own = [each for each in counts if each["question"] == question]
            alarms.append(alarms_of(own))
            faults = [each for count in own for each in count["planted"].values()]
            caught, sets = (sum(each[key] for each in faults) for key in ("caught", "draws"))
            known = sets and question != "varied"  # where faults have a size of their own
            planted.append(f"{caught / sets:.0%} of {sets:,}" if known else "")
        rows.append((f"{question}: honest sets called worse", alarms))
        rows.append(("... faults that should have shown: caught", planted))
    return table([*columns], rows)


PROMISED = (
    ("threshold", "threshold", PLAIN),
    ("kept", "images drawn that pass", PERCENT),
    ("test_error_estimate", "wrong: reconstructions of test images", PERCENT),
    ("estimated_error_estimate", "wrong: images drawn, estimated", PERCENT),
)


def promises_table(datasets):
    """Whether promises held, a row for each: a Markdown table of {data set: runs}, lists that
    benchmarks.promises wrote, one for each seed."""
    rows = []
    for name, runs in datasets.items():
        for same in zip(*runs, strict=True):
            kept = [each for each in same if "threshold" in each]
            title = f"{name}: at most {100 * same[0]['max_error']:g} %"
            title += f", {len(kept)} of {len(same)} seeds" if len(kept) < len(same) else ""
            cells = ["none"] * len(PROMISED)
            if kept:
                cells = [cell([each[key] for each in kept], form) for key, _, form in PROMISED]
            rows.append((title, cells))
    return table([title for _, title, _ in PROMISED], rows)


EPOCHS = (
    ("negative_elbo", "negative ELBO, nats ↓", "{:.1f}"),
    ("strong_rate", "pass the filter (strong)", PERCENT),
    ("agreement", "referee agrees ↑", PERCENT),
    ("frechet", "Fréchet distance ↓", PLAIN),
    ("frechet_real", "... of real images", PLAIN),
    ("recall", "recall ↑", PLAIN),
    ("recall_real", "... of real images", PLAIN),
    ("lean", "lean ↓", PLAIN),
)


def epochs_table(datasets):
    """What more epochs of the VAE bought, a row for each number of epochs: a Markdown table of
    {data set: runs}, lists that benchmarks.epochs wrote, one for each seed."""
    rows = []
    for name, runs in datasets.items():
        for same in zip(*runs, strict=True):
            # What else the machine does can only add to the seconds.
            fewest = cell([min(each["seconds"] for each in same)], "{:.0f}")
            cells = [cell([each[key] for each in same], form) for key, _, form in EPOCHS]
            rows.append((f"{name}: {same[0]['epochs']} epochs", [fewest, *cells]))
    return table(["seconds of training", *(title for _, title, _ in EPOCHS)], rows)


HELPS = (
    ("real_images", "real images", COUNT),
    ("added_images", "generated ones", COUNT),
    ("accuracy_real_alone", "accuracy: these real ones alone", PERCENT),
    ("accuracy_with_real", "with the generated ones ↑", PERCENT),
    ("helps_z", "... z of the difference", TWO_DIGITS),
    ("others_accuracy_with_real", "with as many other real ones instead ↑", PERCENT),
    ("others_helps_z", "... z of the difference", TWO_DIGITS),
)


def helps_table(datasets):
    """Whether generated images help a classifier that learns from few real ones, a row for each
    number of training images, and a sentence that counts: a Markdown table of {data set: runs},
    lists that benchmarks.helps wrote, one for each seed."""
    rows = [
        (
            f"{name}, cut to {same[0]['n']:,}",
            [cell([each.get(key, "") for each in same], form) for key, _, form in HELPS],
        )
        for name, runs in datasets.items()
        for same in zip(*runs, strict=True)
    ]
    there = [
        each for runs in datasets.values() for run in runs for each in run if "helps_limit" in each
    ]

    def beyond(key, sign):
        # Without a z, which is null, nothing is said.
        return sum(sign * (each.get(key) or 0) > each["helps_limit"] for each in there)

    said = (
        f"Beyond chance, generated images help in {beyond('helps_z', 1)} of {len(there)} cases and "
        f"harm in {beyond('helps_z', -1)}; as many other real images help in "
        f"{beyond('others_helps_z', 1)}."
    )
    return f"{table([title for _, title, _ in HELPS], rows)}\n\n{said}"


def tally_of_sets(words):
    """The words about several sets as text: "worse", or "worse 2, as real 1" where they differ."""
    counts = Counter(words).most_common()
    return words[0] if len(counts) == 1 else ", ".join(f"{word} {n}" for word, n in counts)


def checks_table(checks):
    """In how many sets the verdict of *varied* was right, a row for each check of strangers and the
    last for all: a Markdown table of the settings that benchmarks.strangers wrote."""

    def share_right(own):
        hits, asked = sum(map(strangers.right, own)), sum(len(each["words"]) for each in own)
        return f"{hits} of {asked}" if own else "none"

    rows = []
    for name in [*dict.fromkeys(each["check"] for each in checks), "all"]:
        own = [each for each in checks if name in (each["check"], "all")]
        missed = [
            f"{each['setting']} ({tally_of_sets(each['words'])})"
            for each in own
            if strangers.right(each) < len(each["words"])
        ]
        kinds = [[each for each in own if each["equal"] == equal] for equal in (True, False)]
        said = "" if name == "all" else "; ".join(missed) or "none"
        rows.append((name, [*map(share_right, kinds), said]))
    return table(["equal: as real", "different: worse or fails", "not right"], rows)


def moons_table(found, title):
    """What Meehan's statistic and our verdicts say of points of two moons, a row for each entry
    that benchmarks.strangers wrote: a Markdown table.  title: of an entry."""
    rows = []
    for each in found:
        says = tally_of_sets([*map(strangers.says, each["copying"])])
        words = [tally_of_sets(each[question]) for question in ("new", "varied")]
        cells = [cell(each["copying"], "{:.1f}"), says, cell(each["lean"], PERCENT), *words]
        rows.append((title(each), cells))
    return table(["C_T", "it says", "lean", "new", "varied"], rows)


def disputed_table(places):
    """How many of the images with disputed labels are among the first of `--scores`."""
    titles = [f"among the first {first}" for first in strangers.FIRST]
    cells = [str(sum(place <= first for place in places)) for first in strangers.FIRST]
    return table(titles, [(f"of {len(places)} disputed labels", cells)])


def strangers_tables(folder):
    """The tables of the report that benchmarks.strangers wrote, {title: Markdown}; none if it is
    not there."""
    path = Path(folder) / "strangers.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    return {
        "strangers: checks of metrics": checks_table(found["checks"]),
        "strangers: two moons": moons_table(
            found["widths"], lambda each: f"width of the kernel {each['width']:.2g}"
        ),
        "strangers: copies among too wide draws": moons_table(
            found["shares"], lambda each: f"copies: {each['copies']:.0%}"
        ),
        "strangers: labels that people dispute": disputed_table(found["disputed"]),
    }


def read_lists(folder, kind):
    """{data set: runs} of the files <kind>/<data set>-<seed>.json; data sets in the usual order."""
    found = {}
    for path in sorted(Path(folder).glob(f"{kind}/*-*.json")):
        found.setdefault(path.stem.rsplit("-", 1)[0], []).append(json.loads(path.read_text()))
    return dict(sorted(found.items(), reverse=True))


def models_table(columns):
    """A Markdown table of the controls without a column and of the run; (title, reports)."""
    rows = [
        (
            row.title,
            [
                cell([number(report, name, row) for report in reports], row.form)
                for _, reports in columns
            ],
        )
        for name, own in CONTROL_ROWS.items()
        for row in own
    ]
    rows += [
        (
            row.title,
            [
                cell([report.get("run", {}).get(row.key, "") for report in reports], row.form)
                for _, reports in columns
            ],
        )
        for row in RUN_ROWS
    ]
    return table([title for title, _ in columns], rows)


def readme_tables(folder):
    """The README's tables, from the reports in a folder: {title: Markdown}."""
    found, tables = read_reports(folder), {}
    sets = sorted({dataset for dataset, kind in found if kind == "this"}, reverse=True)
    by_set = {dataset: found[dataset, "this"] for dataset in sets}
    tables["the answers"] = answers_table(by_set)
    tables |= {f"{question}, in short": short_table(question, by_set) for question in SHORT}
    for dataset, this in by_set.items():
        kinds = [(title, found[dataset, kind]) for kind, title in KINDS if (dataset, kind) in found]
        controls = [(title, this, name) for name, title in CONTROLS]
        columns = [(title, reports, "generated") for title, reports in kinds]
        tables[f"{dataset}, everything"] = results_table(columns + controls, ROWS)
        tables[f"{dataset}, the models"] = models_table(kinds)
        if (dataset, "soft") in found:
            tables[f"{dataset}, --soft-labels"] = soft_table(found[dataset, "soft"])
    if promised := read_lists(folder, "promises"):
        tables["promises"] = promises_table(promised)
    if trained := read_lists(folder, "epochs"):
        tables["what more epochs buy"] = epochs_table(trained)
    if helped := read_lists(folder, "helps"):
        tables["do they help a classifier?"] = helps_table(helped)
    counted: dict[str, list] = {}
    for kind in ("alarms", "trained_alarms"):
        for name, runs in read_lists(folder, kind).items():
            counted.setdefault(name, []).extend(joined_counts(runs))
    if counted:
        tables["false alarms, the short form"] = short_alarms_table(counted)
        tables["false alarms, by size"] = sizes_table(counted)
    for dataset, counts in counted.items():
        tables[f"{dataset}, false alarms and power"] = alarms_table(counts)
    if forged := read_lists(folder, "forgeries"):
        tables["forgeries, the short form"] = short_forgeries_table(forged)
    for dataset, runs in forged.items():
        tables[f"{dataset}, forgeries"] = forgeries_table(runs)
    tables |= strangers_tables(folder)
    seconds = [[report["seconds"] | report for report in found[name, "this"]] for name in sets]
    each_stage = (stage for reports in seconds for each in reports for stage in each["seconds"])
    stages = {stage: stage for stage in each_stage} | {"peak_memory_gb": "peak memory, GB"}
    rows = [
        (title, [cell([each.get(stage, "") for each in reports], "{:.1f}") for reports in seconds])
        for stage, title in stages.items()
    ]
    tables["seconds, and peak memory in GB"] = table(sets, rows)
    return tables


INTRODUCTION = """# Results

What `make table`, `make naive`, `make epochs`, `make helps`, `make alarms`, `make trained_alarms`,
`make forgeries` and `make strangers` print: means and standard deviations over the seeds whose
reports are in this folder.

- *Generated*: what is accepted. In *right* and *varied*, it and the sets beside it are cut to the
  smallest number of each class; in *new* and *useful* the whole accepted set is asked about.
  The shares that pass, the weak and the balance are of all images drawn; calibration, and what the
  referee says of all and of weak images, of the first 10,000.
- *Disjoint halves*: the same with `--split disjoint`; the VAE learns from one half of the images in
  as many steps, the classifier from the other.
- *As in the naive method*: what `benchmarks/naive.py` draws, examined by `python -m trust`. Its
  unseen images are the test images.
- *Real, same filter*: test images in *right* and *new*, since referee and VAE may know the held-out
  ones; held-out images in *balanced*, *varied* and *useful*, since the test images are what these
  are measured with. *Reconstructions* are of test and of held-out images in the same way.
- *Estimated error*: the referee's disagreement with generated images, corrected by how far it is
  from the true error on strong reconstructions of test images, with a 95 % interval.
- *Calibration error by chance*: what a perfectly calibrated classifier would show, with labels
  drawn from its probabilities.
- *Lean*: by how much images whose nearest real image was not seen fall short of what is expected of
  images that owe nothing to which real images were seen. z is the same in standard deviations.
- *--soft-labels*: the classifier of the question *useful* learns from calibrated probabilities if
  the images passed the filter, generated or real; from unfiltered real images it learns labels.
- *Promises*: `--max-error`, as `python -m benchmarks.promises` prints it. The threshold is searched
  for on reconstructions of half of the held-out images. 0.5 is the loosest that is tried. "None":
  no threshold keeps the promise.
- *Told apart*: the share of images and of as many others that a small network tells apart, which
  has learned from other images of both kinds. By chance it is half of them.
- *What more epochs buy*: `--epochs`, as `python -m benchmarks.epochs` prints it. Of 10,000 images
  drawn, those that pass the filter, and as many real held-out ones of each class, are held against
  the test images. The seconds are the fewest of all seeds.
- *Do they help a classifier?* The training images are cut to so many random ones, and our generator
  learns from these alone, but for the sixth that is held out. A classifier learns from the real
  images that the generator knows, with as many accepted ones, and alone, in as many steps; two
  trainings each. Other real images instead show what more data could have brought. z is the
  difference in standard deviations. `python -m benchmarks.helps` prints it.
- *False alarms and power*: honest sets of n real images that no network has learned from, drawn at
  random, and how often they are called *worse* or *fails*; and how often a fault is caught that is
  as large as the verdict says would have shown in four of five cases. For *varied* faults of fixed
  sizes are planted. `python -m benchmarks.alarms` prints it, and of *realistic* and *useful*, for
  which networks learn from each set, `python -m benchmarks.trained_alarms`.
- *Forgeries*: sets of n images made from real ones that nobody has learned from, and from which
  share of forged images on a question calls them *worse* or *fails* in all three random sets, or
  the one of 10,000; "caught" where all images are forged. Smaller shares are not asked about by a
  question that misses a larger one, and *useful*, which trains, is asked about one set of 1,000.
  Of honest sets, how often each word was said. Bold: not caught by a question that has to.
  `python -m benchmarks.forgeries` prints it.
- *Strangers*: panels that others wrote, as `python -m benchmarks.strangers` prints them. *Checks of
  metrics* (Räisä, van Breugel & van der Schaar 2025): sets of 1,000 points beside 1,000 real ones,
  and 10,000 more to see what is chance; a point is its own features. Where the two distributions
  are equal, *varied* should say *as real*, else *worse* or *fails*. *Realistic* is not asked: its
  network looks at images. *Two moons* (Meehan, Chaudhuri & Dasgupta 2020): 1,000 draws from
  kernels about 2,000 points; C_T below -3 means copies, above 3 underfitting. *Labels that people
  dispute* (Northcutt, Athalye & Mueller 2021): fifteen of MNIST's 10,000 test images.
"""


def main():
    parser = Parser(description="Print the README's tables from the reports in a folder.")
    parser.add_argument("folder", help="where `make table` wrote its reports")
    tables = readme_tables(parser.parse_args().folder)
    print(INTRODUCTION)
    print("\n\n".join(f"## {title}\n\n{markdown}" for title, markdown in tables.items()))


if __name__ == "__main__":
    run(main)
