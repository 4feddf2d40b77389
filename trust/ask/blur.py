"""Are images more blurred than real ones of their class?  A part of *realistic*.

A network has to learn what blur is from the images themselves, so among thousands it misses a few
hundred blurred ones.  How much fine detail an image has needs no learning: the mean size of its
Laplacian over that of its gradient, which no contrast or brightness changes (Pertuz, Puig & Garcia
2013 compare such measures of focus).
"""

import math
from statistics import NormalDist

import numpy as np

from trust.data.images import ImageSet
from trust.statistics import ratio

MOST_BLURRED = 0.05  # the share of both sets that counts as blurred
SHARPER_Z = -4.5  # blurred_z below which the images are sharper than real ones, or noisy
BLOCK = 1000  # images at a time, as their differences are many times as many bytes


def fine_detail(images: np.ndarray) -> np.ndarray:
    """How much fine detail images (n, h, w[, c]) have, in any unit: (n,) float64, the mean absolute
    Laplacian over the mean absolute difference of pixels side by side; 0 for an even image, or one
    with less than three pixels a side."""
    if min(images.shape[1:3]) < 3:
        return np.zeros(len(images))
    blocks = np.split(images, range(BLOCK, len(images), BLOCK))
    return np.concatenate([_fine_detail(each) for each in blocks])


def _fine_detail(images):
    """fine_detail() of images of at least three pixels a side, all at once."""
    pixels = (images[..., None] if images.ndim == 3 else images).astype(np.float32)
    middle = pixels[:, 1:-1, 1:-1]
    around = [pixels[:, :-2, 1:-1], pixels[:, 2:, 1:-1], pixels[:, 1:-1, :-2], pixels[:, 1:-1, 2:]]
    laplacian = np.abs(4 * middle - sum(around)).mean(axis=(1, 2, 3), dtype=float)
    gradient = sum(np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2))
    return np.divide(laplacian, gradient, out=np.zeros(len(images)), where=gradient > 0)


def compare_blur(images: ImageSet, real: ImageSet, alarm: float, rng: np.random.Generator) -> dict:
    """Whose are the most blurred images of both?  {"blurred", "blurred_z", "blurred_limit"}.

    images, real: as many of each class.  In each class the MOST_BLURRED of both together are
    taken.  blurred: the share of these that are not real, 0.5 by chance.  If both are drawn from
    one distribution, their number is hypergeometric in each class, whatever the distribution is;
    blurred_z: by how many standard deviations it is above its mean, half an image less, as counts
    are whole.  blurred_limit: above it an honest set is with the probability `alarm`, or less; 1
    where nothing is.  NaN where there are no images.
    """
    detail = [fine_detail(each.images) for each in (images, real)]
    found = mean = variance = taken = 0
    for label in np.unique(images.labels):
        own, others = (
            each[some.labels == label] for each, some in zip(detail, (images, real), strict=True)
        )
        both = np.concatenate([own, others])
        most = math.ceil(MOST_BLURRED * len(both))
        order = np.lexsort((rng.random(len(both)), both))  # equal ones in random order
        found += np.count_nonzero(order[:most] < len(own))
        share = len(own) / len(both)
        mean += most * share
        variance += most * share * (1 - share) * (len(both) - most) / max(len(both) - 1, 1)
        taken += most
    level, deviation = NormalDist().inv_cdf(1 - alarm), math.sqrt(variance)
    return {
        "blurred": ratio(found, taken),
        "blurred_z": ratio(found - mean - 0.5, deviation),
        "blurred_limit": min(ratio(mean + 0.5 + level * deviation, taken), 1.0),
    }
