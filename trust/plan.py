"""What a run is going to do, settled before it spends minutes on it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from trust import outputs
from trust.data import datasets
from trust.data.splits import Split, split
from trust.filter import promise
from trust.show import sheets
from trust.train import saves

LEAST_IMAGES = 1000  # training images


class Streams(NamedTuple):
    """An independent generator of random numbers for each purpose."""

    split: np.random.Generator
    mixture: np.random.Generator
    draws: np.random.Generator
    chance: np.random.Generator
    elbo: np.random.Generator
    figures: np.random.Generator
    controls: np.random.Generator
    promise: np.random.Generator
    audit: np.random.Generator


def new_streams(seed: int) -> Streams:
    """The Streams of a seed."""
    return Streams(*np.random.default_rng(seed).spawn(len(Streams._fields)))


class Plan(NamedTuple):
    """options: {flag: value}, as the user gave them.  out: the folder of the figures, or None.
    saved: the models that --load names, or None."""

    options: dict
    out: str | None
    data: datasets.Dataset
    settings: saves.Settings
    saved: saves.Saved | None
    streams: Streams
    split: Split

    def settled(self) -> dict:
        """{flag: value}, with the values that hold where the user gave none."""
        settled = asdict(self.settings)
        settled = {name: value for name, value in settled.items() if name in self.options}
        return self.options | settled | {"out": self.out}


def _several(paths):
    """A path, several, or none, as a list."""
    return [paths] if paths is None or isinstance(paths, str) else paths


def settle(
    options: dict,
    data: datasets.Dataset,
    out: str | None,
    say: Callable[[str], None] = print,
    names: Sequence[str] = (),
) -> Plan:
    """Says what was read, and returns the Plan.  options: {flag: value}; a flag that a door does
    not have is missing.  names: of several sets, each of which has files of its own.

    Raises UserError now rather than after minutes: where an output cannot be written, or where
    there are too few images, or other ones than the saved models learned from.
    """
    datasets.check_enough(data, LEAST_IMAGES)
    datasets.check_classes(data)
    kept = options.get("save_images")
    in_folder = kept and not outputs.is_npz(kept)
    files = [options.get("report"), options.get("save")]
    for path in (options.get("scores"), None if in_folder else kept):
        files += [outputs.of_set(path, name) for name in names] if path and names else [path]
    if options.get("audit"):
        files += sheets.claim(out)
    load = options.get("load")
    outputs.check_outputs(
        out,
        files,
        inputs=[data.path, load, *_several(options.get("file"))],
        whole=kept if in_folder else None,
    )
    saved = saves.read_save(load) if load else None
    settings = saves.settle(options, data, saved.settings if saved else None, load)
    save = options.get("save")
    if save and (warning := saves.check_save(save, settings)):
        say(warning)
    say(data.understood)
    streams = new_streams(settings.seed)
    parts = split(data, settings.split, streams.split)
    for note in parts.notes:
        say(note)
    if max_error := options.get("max_error"):
        promise.check_possible(max_error, len(parts.held_out) // 2)
    return Plan(
        options=options,
        out=out,
        data=data,
        settings=settings,
        saved=saved,
        streams=streams,
        split=parts,
    )
