"""What every set of images is compared with; it knows no generator."""

from dataclasses import dataclass

import keras
import numpy as np

from trust.ask import neighbours
from trust.ask.neighbours import Neighbours
from trust.data.images import ImageSet, join
from trust.train.referee import Judged, judge


@dataclass(frozen=True, eq=False)
class Reference:
    """real: images that the generator learned from, and images that it did not; unseen: (n,) bool,
    which are the latter.  centred: real, each with its centre of mass in the middle.
    test: images that no network learned from, not even the referee; judged: what it says of them.
    seed: of what is trained or drawn to compare.
    like_seen: Neighbours of further images of the same kind as the seen ones, where the unseen are
    of another kind; else None.
    """

    real: ImageSet
    centred: np.ndarray
    unseen: np.ndarray
    test: ImageSet
    judged: Judged
    referee: keras.Model
    classes: int
    seed: int
    like_seen: Neighbours | None = None

    def judge(self, images: np.ndarray) -> Judged:
        """What the referee says of images (n, h, w[, c]), uint8 or float32 in [0, 1]."""
        return judge(self.referee, images)

    def neighbours(self, images: ImageSet) -> Neighbours:
        """Their nearest real images of the same label."""
        return neighbours.find_neighbours(images, self.real, self.centred)


def build_reference(
    seen: ImageSet,
    unseen: ImageSet,
    test: ImageSet,
    referee: keras.Model,
    seed: int,
    like_seen: ImageSet | None = None,
) -> Reference:
    """The Reference of seen, unseen and test images.  referee: a network of build_referee()."""
    real = join([seen, unseen])
    centred = neighbours.centred(real.images)
    return Reference(
        real=real,
        centred=centred,
        unseen=np.arange(len(real)) >= len(seen),
        test=test,
        judged=judge(referee, test.images),
        referee=referee,
        classes=int(real.labels.max()) + 1,
        seed=seed,
        like_seen=None
        if like_seen is None
        else neighbours.find_neighbours(like_seen, real, centred),
    )
