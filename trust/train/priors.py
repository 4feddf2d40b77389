"""Where new latents come from: a Gaussian mixture fitted to the encoder's codes, or N(0, I).

Both have sample(n, rng) and log_prob(z).  The VAE is trained towards N(0, I), but its codes end up
elsewhere; to fit their density afterwards is ex-post density estimation (Ghosh et al. 2020).
"""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

COMPONENTS = 300
CODES_PER_COMPONENT = 10  # at least, so that small data get fewer components
ROUNDS = 10
PARAMETERS = ("weights", "means", "covariances", "labels")  # of a GaussianMixture, in order
NARROWING = 0.94  # measured: nearly a percentage point more strong images, hardly less variety
CODES_TOGETHER = 20_000  # codes whose log densities are in memory at a time
BLOCK = 6_000_000  # products of codes in memory at a time, 25 MB


class StandardNormal:
    """N(0, I), the prior that the VAE is trained towards."""

    def __init__(self, latent_dim):
        self.latent_dim = latent_dim

    def sample(self, n, rng):
        """n latents from the numpy.random.Generator `rng`, (n, latent_dim) float32."""
        return rng.standard_normal((n, self.latent_dim), np.float32)

    def log_prob(self, z):
        """log p(z) in nats, (n,) float64, of z (n, latent_dim)."""
        return -0.5 * np.sum(np.square(z, dtype=float) + math.log(2 * math.pi), axis=1)


class GaussianMixture:
    """p(z) = sum_k weights_k N(means_k, covariances_k), full covariances.

    weights: (k,), sum to 1.  means: (k, d).  covariances: (k, d, d).  All float64.
    labels: (k,) int, the class of each component.
    """

    def __init__(self, weights, means, covariances, labels):
        self.weights, self.means, self.covariances = weights, means, covariances
        self.labels = labels

    @property
    def latent_dim(self):
        return self.means.shape[1]

    @cached_property
    def factors(self):
        """The Cholesky factors of the covariances, lower triangular, (k, d, d)."""
        return np.linalg.cholesky(self.covariances)

    def sample(self, n, rng):
        """n latents from the numpy.random.Generator `rng`, (n, d) float32."""
        component = rng.choice(len(self.weights), n, p=self.weights)
        z = rng.standard_normal((n, self.latent_dim))
        for k in np.unique(component):  # no (n, d, d) array, whatever n and d
            here = component == k
            z[here] = self.means[k] + z[here] @ self.factors[k].T
        return z.astype(np.float32)

    def narrowed(self, share):
        """The mixture whose covariances are `share` times these: fewer of its draws fall between
        the codes.  What Kingma & Dhariwal 2018 call a reduced temperature."""
        return GaussianMixture(self.weights, self.means, share * self.covariances, self.labels)

    def of_class(self, label):
        """The mixture of the components of one class; raises ValueError where there is none."""
        own = self.labels == label
        if not own.any():
            raise ValueError(f"no component is of class {label}")
        weights = self.weights[own] / self.weights[own].sum()
        return GaussianMixture(weights, self.means[own], self.covariances[own], self.labels[own])

    def log_prob(self, z):
        """log p(z) in nats, (n,) float64, of z (n, d)."""
        centre = self.weights @ self.means  # products of small numbers lose less to rounding
        parameters = _natural_parameters(self.weights, self.means - centre, self.covariances)
        size = min(CODES_TOGETHER, _codes_together(self.latent_dim))
        blocks = np.split(z - centre, range(size, len(z), size))
        found = [_log_sum(parameters @ _statistics(block, 0.0).T) for block in blocks]
        return np.concatenate(found) - 0.5 * self.latent_dim * math.log(2 * math.pi)


def _log_sum(log_joint):
    """The logarithm of the sums of exp(log_joint), (k, n), over k: (n,)."""
    highest = log_joint.max(axis=0)  # without it exp would overflow
    return highest + np.log(np.exp(log_joint - highest).sum(axis=0))


class EM(NamedTuple):
    """How a mixture is fitted.  rounds: of the E and the M step.

    shrinkage: the covariance of a component is averaged with that of its class, which has the
    weight of this many codes, and that of a class likewise with that of all; by default d.  So the
    covariance of a component with few codes stays well conditioned.
    """

    rounds: int = ROUNDS
    shrinkage: float | None = None


EM_DEFAULT = EM()


def fit_mixture(z_mean, z_log_var, labels, seed, components=None, em=EM_DEFAULT):
    """A GaussianMixture fitted by EM to the posteriors N(z_mean, exp(z_log_var)) of all images.

    A Gaussian's log density is linear in z and z z^T.  So EM only needs their expectations under
    each posterior, z_mean and z_mean z_mean^T + diag(exp(z_log_var)): the E step is one matrix
    product and the M step another (Dempster, Laird & Rubin 1977).  EM increases a lower bound of
    the mean over images of E_q[log p(z)].  A component is fitted to codes of one class only:
    between two classes, it would give images that are neither.

    z_mean, z_log_var: (n, d).  labels: (n,) integer.  seed: a number or a numpy.random.Generator.
    components: by default COMPONENTS, or fewer if there are few images.
    """
    z_mean, variance = np.asarray(z_mean, np.float32), np.exp(z_log_var, dtype=np.float32)
    n, d = z_mean.shape
    k = components or max(1, min(COMPONENTS, n // CODES_PER_COMPONENT))
    shrinkage = d if em.shrinkage is None else em.shrinkage
    centre = z_mean.mean(axis=0)
    z_mean = z_mean - centre  # products of small numbers lose less to rounding
    mixture, owners = _start(z_mean, variance, labels, k, shrinkage, np.random.default_rng(seed))
    size = _codes_together(d)
    for _ in range(em.rounds):
        parameters = _natural_parameters(*mixture).astype(np.float32)
        sums = np.zeros(parameters.shape)
        for label in np.unique(labels):
            rows, own = np.flatnonzero(labels == label), owners == label
            for block in np.split(rows, range(size, len(rows), size)):
                statistics = _statistics(z_mean[block], variance[block])
                log_joint = statistics @ parameters[own].T
                responsibilities = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
                responsibilities /= responsibilities.sum(axis=1, keepdims=True)
                sums[own] += responsibilities.T @ statistics
        mixture = _maximise(sums, owners, d, shrinkage)
    weights, means, covariances = mixture
    return GaussianMixture(weights, means + centre, covariances, owners)


def _start(z_mean, variance, labels, k, shrinkage, rng):
    """The first mixture, and the classes of its components.  There are about k components: each
    class has a share in proportion to its images, at least one.  The mean of each is a random code,
    the covariance is that of its class."""
    classes, counts = np.unique(labels, return_counts=True)
    widths, start = [], []
    for label in classes:
        here = np.flatnonzero(labels == label)
        start.append(rng.choice(here, max(1, round(k * len(here) / len(labels))), replace=False))
        widths.append(np.cov(z_mean[here].T, bias=True) + np.diag(variance[here].mean(axis=0)))
    widths = _shrink(np.array(widths), counts, classes, shrinkage)
    start = np.concatenate(start)
    covariances = widths[np.searchsorted(classes, labels[start])]
    mixture = np.full(len(start), 1 / len(start)), z_mean[start].astype(float), covariances
    return mixture, labels[start]


def _statistics(z_mean, variance):
    """E_q of 1, z and the lower triangle of z z^T, for z_mean (n, d) and the variance of z, (n, d)
    or 0: (n, 1 + d + d (d + 1) / 2), of the type of z_mean."""
    rows, columns = np.tril_indices(z_mean.shape[1])
    products = z_mean[:, rows] * z_mean[:, columns]
    products[:, rows == columns] += variance
    return np.concatenate([np.ones((len(z_mean), 1), np.float32), z_mean, products], axis=1)


def _codes_together(d):
    """How many codes (d,) have BLOCK products, of which half are different."""
    return max(1, BLOCK // d**2 * 2)


def _natural_parameters(weights, means, covariances):
    """The coefficients of the statistics in log(weight N(z)) but for the power of 2 pi, for each
    component: (k, 1 + d + d (d + 1) / 2) float64."""
    rows, columns = np.tril_indices(means.shape[1])
    precisions = np.linalg.inv(covariances)
    linear = np.einsum("kij,kj->ki", precisions, means)
    constant = np.log(weights) + 0.5 * np.linalg.slogdet(precisions)[1]
    constant -= 0.5 * np.sum(linear * means, axis=1)
    quadratic = -precisions[:, rows, columns] * np.where(rows == columns, 0.5, 1.0)
    return np.concatenate([constant[:, None], linear, quadratic], axis=1)


def _maximise(sums, owners, d, shrinkage):
    """The M step: weights, means and covariances from the sums of statistics, (k, ...), weighted by
    responsibilities."""
    # A component that has lost all its codes falls back on the mean and covariance of all.
    sums = sums + 1e-3 * sums.sum(axis=0) / sums[:, 0].sum()
    counts = sums[:, 0]
    rows, columns = np.tril_indices(d)
    means, second = sums[:, 1 : d + 1] / counts[:, None], np.empty((len(sums), d, d))
    second[:, rows, columns] = second[:, columns, rows] = sums[:, d + 1 :] / counts[:, None]
    covariances = second - means[:, :, None] * means[:, None, :]
    return counts / counts.sum(), means, _shrink(covariances, counts, owners, shrinkage)


def _shrink(covariances, counts, owners, shrinkage):
    """Shrinks each covariance (k, d, d) towards the pooled one of its class, and that towards the
    pooled one of all.  counts: (k,), the codes of each component.  owners: (k,), their classes."""
    everywhere = np.average(covariances, axis=0, weights=counts)
    shrunk = np.empty_like(covariances)
    for owner in np.unique(owners):
        here = owners == owner
        total = counts[here].sum()
        pooled = np.average(covariances[here], axis=0, weights=counts[here])
        pooled = (total * pooled + shrinkage * everywhere) / (total + shrinkage)
        weight = counts[here][:, None, None]
        shrunk[here] = (weight * covariances[here] + shrinkage * pooled) / (weight + shrinkage)
    return shrunk


def principal_axes(points, *others):
    """The points (n, d), and others (m, d), on the two axes along which the points vary most:
    a list of (n, 2) and (m, 2) arrays.  With d < 2 the missing axis is 0."""
    padding = [(0, 0), (0, max(0, 2 - points.shape[1]))]
    centre = points.mean(axis=0)
    points, *others = (np.pad(each - centre, padding) for each in (points, *others))
    _, vectors = np.linalg.eigh(points.T @ points)
    axes = vectors[:, :-3:-1]
    return [each @ axes for each in (points, *others)]
