"""The evidence: is the confidence honest, does a referee agree, is an image a copy?"""

import math

import numpy as np

# Principal components behind the lower bounds on a distance: on both bundled sets the first
# bound rules out 99 % of the pairs and the second nearly all of the rest.
COARSE, FINE = 64, 192
# Share of the squared norms that float32 arithmetic may get wrong in a bound: worst case 3e-5.
ROUNDING = 1e-4


def reliability(confidence, correct, bins=15):
    """How often predictions are right, by how sure they were: the reliability diagram.

    Bins are of equal width and closed on the right, 0 falls in the first one.
    confidence: (n,) float in [0, 1].  correct: (n,) bool.
    Returns a dict: edges (bins + 1,), the means confidence and accuracy (bins,), NaN where a bin
    is empty, count (bins,) integer, and ece, their mean gap weighted by count (NaN for n = 0).
    Guo et al. 2017, sec. 2 and eq. 3.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, correct, bins) / count
        ece = np.nansum(count * np.abs(accuracy - mean_confidence)) / count.sum()
    return {
        "edges": edges,
        "confidence": mean_confidence,
        "accuracy": accuracy,
        "count": count,
        "ece": float(ece),
    }


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy, weighted by how many images fall in each bin.

    probabilities: (n, classes) float, rows sum to 1.  labels: (n,) integer.
    Returns a float in [0, 1].  Guo et al. 2017, eq. 3.
    """
    correct = probabilities.argmax(axis=1) == labels
    return reliability(probabilities.max(axis=1), correct, bins)["ece"]


def agreement(labels, referee_labels):
    """Share of the images to which the referee gives the same label.

    labels, referee_labels: (n,) integer.  Returns a float in [0, 1], NaN for n = 0.
    """
    return float(np.mean(labels == referee_labels)) if len(labels) else math.nan


def closest_training_images(images, training_images):
    """The nearest neighbour of each image among all training images, exact.

    Pairs are ruled out by lower bounds on their distance, those left are compared pixel by pixel.
    images (n, height, width), training_images (m, height, width): uint8 in 0..255, or finite
    floats in [0, 1].
    Returns index (n,) integer, the lowest where several are equally close, and distance (n,)
    float64, Euclidean over pixels in [0, 1].
    """
    sample = _pixels(training_images[:: max(1, len(training_images) // 5_000)])
    mean = sample.mean(axis=0, dtype=float)
    sample = sample - mean
    components = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :FINE]

    training_fine = _coordinates(training_images, mean, components)
    training_norm = np.einsum("ij,ij->i", training_fine, training_fine)
    fine = _coordinates(images, mean, components)
    norm = np.einsum("ij,ij->i", fine, fine)
    allowance = ROUNDING * (norm + training_norm.max())
    # With a column of ones on the other side, one matrix product gives |b|^2 - 2 a.b
    training_coarse = np.column_stack((-2 * _shorten(training_fine), training_norm))
    coarse = np.column_stack((_shorten(fine), np.ones(len(fine), np.float32)))

    index = np.empty(len(images), dtype=int)
    distance = np.empty(len(images))
    block = 64  # its bounds on 60,000 images, 15 MB, stay in the cache
    buffer = np.empty((block, len(training_images)), np.float32)
    for start in range(0, len(images), block):
        here = slice(start, start + block)
        pixels = _pixels(images[here]).astype(float)
        bounds = np.matmul(coarse[here], training_coarse.T, out=buffer[: len(pixels)])
        likeliest = bounds.argmin(axis=1)
        limits = _squared_distance(pixels, training_images[likeliest]) + allowance[here]
        limits = (limits - norm[here]).astype(np.float32)
        for i, (image, bound, limit) in enumerate(zip(pixels, bounds, limits, strict=True), start):
            left = np.flatnonzero(bound <= limit)
            products = np.einsum("ij,j->i", training_fine.take(left, axis=0), fine[i])
            bound = norm[i] + training_norm[left] - 2 * products
            squared, index[i] = _closest(image, training_images, left, bound - allowance[i])
            distance[i] = math.sqrt(squared) / 255
    return index, distance


def _pixels(images):
    """(n, height * width) float32, 0 to 255: integers where the image is uint8, or was one."""
    flat = images.reshape(len(images), math.prod(images.shape[1:]))
    return np.multiply(flat, 1 if images.dtype == np.uint8 else 255, dtype=np.float32)


def _squared_distance(pixels, images):
    """(n,) float64 from one image or n, (pixels,) or (n, pixels) float64, to n images."""
    difference = pixels - _pixels(images)
    return np.einsum("ij,ij->i", difference, difference)


def _closest(pixels, images, candidates, bounds):
    """The least squared distance to a candidate, and its index, the lowest of equal ones.

    The lowest bounds come first, a few at a time, until one exceeds the least distance so far.
    """
    closest = math.inf, -1
    order = bounds.argsort()
    for start in range(0, len(order), 8):
        few = order[start : start + 8]
        if bounds[few[0]] > closest[0]:
            break
        few = np.sort(candidates[few])
        squared = _squared_distance(pixels, images[few])
        closest = min(closest, (squared.min(), few[squared.argmin()]))
    return closest


def _coordinates(images, mean, components):
    """(n, components + 1) float32: leading principal components, then the length of the rest.

    The map keeps every length and lengthens no distance, hence the bounds.
    """
    coordinates = np.empty((len(images), components.shape[1] + 1), np.float32)
    for start in range(0, len(images), 4096):
        # in float64, or the length of a short rest would drown in rounding
        centred = _pixels(images[start : start + 4096]) - mean
        leading = centred @ components
        rest = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", leading, leading)
        coordinates[start : start + 4096, :-1] = leading
        coordinates[start : start + 4096, -1] = np.sqrt(np.maximum(rest, 0))
    return coordinates


def _shorten(coordinates):
    """The same with `COARSE` components: the others join the rest."""
    rest = np.linalg.norm(coordinates[:, COARSE:], axis=1)
    return np.column_stack((coordinates[:, :COARSE], rest))


def correlation(images, others):
    """Pearson correlation of each image with its counterpart, 0 where one of them is constant.

    images, others: (n, height, width), uint8 in 0..255 or floats in [0, 1].
    Returns (n,) float64 in [-1, 1].
    """
    first, second = _pixels(images).astype(float), _pixels(others).astype(float)
    constant = (np.ptp(first, axis=1) == 0) | (np.ptp(second, axis=1) == 0)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    product = np.einsum("ij,ij->i", first, second)
    squares = np.einsum("ij,ij->i", first, first) * np.einsum("ij,ij->i", second, second)
    return np.where(constant, 0, np.clip(product / np.sqrt(np.where(constant, 1, squares)), -1, 1))


def three_sample_z(generated_distance, test_distance, generated_cells, test_cells, minimum=20):
    """Are generated images closer to the training images than held-out real ones are?

    In each cell of a partition of the images, the z-score of the Mann-Whitney U statistic of the
    generated distances over the test distances (ties count one half); over the cells, their mean
    weighted by the share of test images.  Far below 0: copies.  Far above 0: not yet fitted.
    generated_distance (n,), test_distance (m,): float, to the closest training image.
    generated_cells (n,), test_cells (m,): integer, for instance the class.
    minimum: cells with fewer generated images, or with no test image, are left out; NaN if all are.
    Returns a float; if nothing is copied its standard deviation is at most 1, and about
    1 / sqrt(k) for k cells of equal weight.  Meehan, Chaudhuri & Dasgupta 2020, statistic C_T.
    """
    scores, weights = [], []
    for cell in np.unique(test_cells):
        generated = generated_distance[generated_cells == cell]
        test = test_distance[test_cells == cell]
        if len(generated) >= minimum:
            scores.append(_mann_whitney_z(generated, test))
            weights.append(len(test))
    return float(np.average(scores, weights=weights)) if scores else math.nan


def _mann_whitney_z(sample, reference):
    """Standardised count of pairs in which the sample is the larger: float, 0 if all are equal."""
    n, m = len(sample), len(reference)
    _, rank, ties = np.unique(
        np.concatenate((sample, reference)), return_inverse=True, return_counts=True
    )
    middle_rank = np.cumsum(ties) - (ties - 1) / 2
    u = middle_rank[rank[:n]].sum() - n * (n + 1) / 2
    total = n + m
    tied = np.sum(ties.astype(float) ** 3 - ties)
    variance = n * m / 12 * (total + 1 - tied / (total * (total - 1)))
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def copy_rate(distance, real_distance, quantile=0.01):
    """Share of images as close to a training image as the closest 1 % of real test images.

    distance (n,), real_distance (m,): float, to the closest training image.
    Returns a float in [0, 1]: about `quantile` for images as new as real ones; NaN for n = 0.
    """
    if len(distance) == 0:
        return math.nan
    return float(np.mean(distance <= np.quantile(real_distance, quantile)))
