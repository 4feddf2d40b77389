"""What every set of images is compared with; it knows no generator."""

from dataclasses import dataclass, field

import keras
import numpy as np

from trust.ask import neighbours
from trust.ask.neighbours import Neighbours, Sought
from trust.data.images import ImageSet, join
from trust.train.fast import Workbench
from trust.train.referee import Judged, judge


@dataclass(frozen=True, eq=False)
class Reference:
    """real: images that the generator learned from, or may have, and images that it did not;
    unseen: (n,) bool, which are the latter.  parts: {name: (n,) bool}, which of them are training,
    held-out and test images.  centred: real, each with its centre of mass in the middle.
    test: images that no network learned from, not even the referee; judged: what it says of them.
    seed: of what is trained or drawn to compare.  bench: where classifiers are trained to compare.
    """

    real: ImageSet
    centred: np.ndarray
    unseen: np.ndarray
    parts: dict[str, np.ndarray]
    test: ImageSet
    judged: Judged
    referee: keras.Model
    classes: int
    seed: int
    bench: Workbench = field(default_factory=Workbench, kw_only=True)

    def judge(self, images: np.ndarray) -> Judged:
        """What the referee says of images (n, h, w[, c]), uint8 or float32 in [0, 1]."""
        return judge(self.referee, images)

    def neighbours(
        self, sets: dict[str, ImageSet], own: dict[str, np.ndarray] | None = None
    ) -> dict[str, Neighbours]:
        """{set: the nearest real images of the same label}.  own: {set: (n,) integer}, of sets that
        are real images themselves: their rows in `real`, where they do not find themselves."""
        own = own or {}
        sought = [Sought(each.images, each.labels, own.get(name)) for name, each in sets.items()]
        found = neighbours.find_neighbours(sought, self.real, self.centred)
        return dict(zip(sets, found, strict=True))

    def within(self, images: ImageSet) -> np.ndarray:
        """How clearly each image belongs to a group of near copies in its set: gaps_within()."""
        return neighbours.gaps_within(images)


def build_reference(
    seen: ImageSet,
    unseen: ImageSet,
    test: ImageSet,
    referee: keras.Model,
    seed: int,
    like_seen: ImageSet | None = None,
) -> Reference:
    """The Reference of seen, unseen and test images.  referee: a network of build_referee().
    like_seen: where the unseen ones are test images, the held-out ones: they are searched too, and
    count as seen, because nobody knows what somebody else's generator has seen."""
    kinds = {"training": seen, "held_out": unseen}
    if like_seen is not None:
        kinds = {"training": seen, "held_out": like_seen, "test": unseen}
    real = join(list(kinds.values()))
    part = np.repeat(list(kinds), [len(each) for each in kinds.values()])
    return Reference(
        real=real,
        centred=neighbours.centred(real.images),
        unseen=np.arange(len(real)) >= len(real) - len(unseen),
        parts={name: part == name for name in kinds},
        test=test,
        judged=judge(referee, test.images),
        referee=referee,
        classes=int(real.labels.max()) + 1,
        seed=seed,
    )
