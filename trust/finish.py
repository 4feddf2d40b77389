"""The ending of a run: first the numbers, then everything else that was asked for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from trust import outputs
from trust.ask import doubts
from trust.ask.verdicts import CAUGHT
from trust.cli import Clock, TooBad
from trust.examination import Run
from trust.plan import Plan
from trust.show import kept, pages, report, scores, sheets
from trust.show.terminal import print_report


def finish(
    run: Run,
    plan: Plan,
    clock: Clock,
    figures: dict[str, Callable],
    networks: dict | None = None,
    notes: list[str] | None = None,
) -> None:
    """Writes the report, prints the answers, then draws the figures and writes the other files.

    figures: {name: function of show/pages.py}.  networks: numbers about the networks.
    notes: sentences for the user.  Whatever goes wrong in a step, each of the others is tried;
    the first error is raised at the end.  Raises TooBad after all that where an answer is as bad as
    --fail-on forbids.
    """
    values = report_of(run, plan, networks, notes) | clock.resources()
    steps: list[Callable] = []
    if path := plan.options["report"]:
        steps.append(partial(outputs.write_json, path, values))
    steps.append(partial(print_report, values))
    if plan.out:
        steps.append(partial(draw, run, plan, clock, figures=figures))
    for name in run.verdicts:
        own, several = run.of(name), bool(run.alone)
        if path := plan.options.get("save_images"):
            of_set = outputs.of_set if outputs.is_npz(path) else outputs.folder_of_set
            steps.append(partial(save_images, of_set(path, name) if several else path, own, plan))
        if path := plan.options.get("scores"):
            path = outputs.of_set(path, name) if several else path
            steps.append(partial(save_scores, path, own, plan))
    if n := plan.options["audit"]:
        steps.append(partial(hand_out_sheet, run, plan, n))
    errors = []
    for step in steps:
        try:
            step()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    if plan.out:
        print(f"The figures are in {plan.out}")
    if limit := plan.options.get("fail_on"):
        check_answers(run, limit)


def check_answers(run: Run, limit: str) -> None:
    """Raises TooBad where an answer is as bad as `limit`, one of CAUGHT, or worse."""
    bad = CAUGHT[CAUGHT.index(limit) :]
    several = len(run.verdicts) > 1
    found = [
        f"{f'{name}: ' if several else ''}{question}? {verdict.word}"
        for name, verdicts in run.verdicts.items()
        for question, verdict in verdicts.items()
        if verdict.word in bad
    ]
    if found:
        raise TooBad(f"--fail-on {limit}: {', '.join(found)}")


def report_of(
    run: Run, plan: Plan, networks: dict | None = None, notes: list[str] | None = None
) -> dict:
    """The report, without the clock's.  networks, notes: as for finish()."""
    data = plan.data
    found = [
        *doubts.of_filter(run.asked.beside.accept, data.test),
        *doubts.of_data(data, run.asked.reference),
        *_of_each(run, partial(report.vanished, class_names=data.class_names)),
        *_of_each(run, partial(report.doubts, class_names=data.class_names if plan.out else ())),
    ]
    if run.alone:
        found.append(report.compared(run))
    return report.build_report(
        run,
        data,
        settings=plan.settled(),
        networks=networks or {},
        notes=[*plan.split.notes, *(notes or []), *found],
    )


def _of_each(run: Run, say: Callable[[Run], list[str]]) -> list[str]:
    """Sentences about each set, once where they are about all, else with its name."""
    said = {name: say(run.of(name)) for name in run.verdicts}
    every = [
        each for each in next(iter(said.values())) if all(each in own for own in said.values())
    ]
    return every + [
        f"{name}: {each}" for name, own in said.items() for each in own if each not in every
    ]


def draw(run: Run, plan: Plan, clock: Clock, figures: dict[str, Callable]) -> None:
    """Draws all figures into the folder of the plan; of several sets only the answers, and the
    others into a folder for each."""
    with clock("drawing"):
        for name, page in figures.items():
            whole = page is pages.answers or not run.alone
            for of_set in [None] if whole else run.verdicts:
                folder = outputs.folder_of_set(plan.out, of_set) if of_set else plan.out
                with outputs.replacing(Path(folder, f"{name}.png")) as file:
                    page(file, run.of(of_set) if of_set else run, plan.data)


def save_images(path: str, run: Run, plan: Plan) -> None:
    """Writes the accepted images and what is known of each into a file, or these and those that did
    not pass into a folder, and prints how many there are of each group."""
    if outputs.is_npz(path):
        outputs.write_arrays(path, **kept.arrays(run))
    else:
        with outputs.new_folder(path) as folder:
            kept.write_pictures(folder, run, plan.data.class_names)
    print(f"\n{kept.describe(run, path)}")


def save_scores(path: str, run: Run, plan: Plan) -> None:
    """Writes the table with a row for each image."""
    outputs.write_table(path, scores.scores(run, plan.data.class_names))


def hand_out_sheet(run: Run, plan: Plan, n: int) -> None:
    """Writes a sheet of n accepted images for a person, and prints a line that says so."""
    sheet = sheets.make_sheet(
        run.accepted,
        referee_labels=run.asked.judged[run.subject].labels,
        data=plan.data,
        n=n,
        max_error=plan.options["max_error"],
        rng=plan.streams.audit,
    )
    images = run.accepted.images
    page = partial(pages.audit_sheet, sheet=sheet, images=images)

    def draw_each(folder: Path, names: list[str]) -> None:
        kept.write_each(folder, images[sheet.shown], names)

    print(f"\n{sheets.hand_out(plan.out, sheet, wanted=n, draw=page, draw_each=draw_each)}")
