"""The third door for Python: arrays in, a Run out that shows its answers."""

import argparse
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass, fields

from trust import cli
from trust.data.datasets import Dataset, load_dataset
from trust.data.submitted import check_given, describe
from trust.plan import settle

with cli.unchanged_environment(), cli.quiet_tensorflow():
    from trust.examination import Run
    from trust.finish import report_of
    from trust.show import pages, terminal
    from trust.submission import examine_submitted
    from trust.train import loops


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Answered(Run):
    """A Run that shows its answers.  report: all numbers, as --report writes them; see
    show/report.py.  data: the real images."""

    report: dict
    data: Dataset

    def __str__(self) -> str:
        """The answers, as the terminal shows them."""
        return terminal.summary(self.report)

    __repr__ = __str__

    def _repr_png_(self) -> bytes:
        """What a notebook draws: answers.png."""
        file = io.BytesIO()
        pages.answers(file, self, self.data)
        return file.getvalue()


def examine(
    images,
    labels,
    dataset,
    *,
    threshold: float | None,
    seed: int,
    say: Callable[[str], None] | None,
) -> Answered:
    """See trust.examine()."""
    seed = _checked("seed", cli.seed, seed)
    if threshold is not None:
        threshold = _checked("threshold", cli.fraction, threshold)
    clock = cli.Clock(say or (lambda text: None), bars=False)
    read: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(cli.unchanged_environment())
        stack.enter_context(loops.kept_randomness())
        data = load_dataset(dataset)
        given = check_given(images, labels, data, read)
        plan = settle({"seed": seed, "threshold": threshold}, data, out=None, say=clock.say)
        clock.say(describe({"yours": given}, read))
        run = examine_submitted({"yours": given}, plan, clock)
        report = report_of(run, plan, notes=read) | clock.resources()
    parts = {field.name: getattr(run, field.name) for field in fields(run)}
    return Answered(**parts, report=report, data=data)


def _checked(name, kind, value):
    """The value, as a flag of that kind would be taken.  Raises UserError."""
    try:
        return kind(str(value))
    except argparse.ArgumentTypeError as error:
        raise cli.UserError(f"{name}: {error}") from error
