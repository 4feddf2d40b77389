import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn import mixture

from trust.train import priors

RNG = np.random.default_rng
KNOWN = priors.GaussianMixture(
    np.array([0.5, 0.3, 0.2]),
    np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 2.0], [0.0, -7.0, 4.0]]),
    np.array(
        [
            [[1.0, 0.3, 0.0], [0.3, 0.5, -0.2], [0.0, -0.2, 2.0]],
            [[0.4, 0.0, 0.1], [0.0, 1.5, 0.0], [0.1, 0.0, 0.3]],
            [[1.0, -0.8, 0.0], [-0.8, 1.0, 0.0], [0.0, 0.0, 1.0]],
        ]
    ),
    np.array([0, 1, 1]),
)


def log_terms(fitted, z):
    """log(weight N(z)) of each component, (k, n), by SciPy."""
    parts = zip(fitted.weights, fitted.means, fitted.covariances, strict=True)
    return np.array([np.log(w) + stats.multivariate_normal(m, c).logpdf(z) for w, m, c in parts])


def bound_terms(fitted, z_mean, variance):
    """The expectation of log_terms under N(z_mean, variance), (k, n)."""
    curvature = np.array([np.diag(np.linalg.inv(c)) for c in fitted.covariances])
    return log_terms(fitted, z_mean) - 0.5 * curvature @ variance.T


def naive_round(fitted, z_mean, variance, shrinkage):
    """A round of EM in float64, one component and one image at a time."""
    terms = bound_terms(fitted, z_mean, variance)
    responsibilities = np.exp(terms - logsumexp(terms, axis=0))
    means, covariances, counts = [], [], responsibilities.sum(axis=1)
    for r, count in zip(responsibilities, counts, strict=True):
        mean = sum(r[i] * z_mean[i] for i in range(len(r))) / count
        gaps = z_mean - mean
        scatter = sum(
            r[i] * (np.outer(gaps[i], gaps[i]) + np.diag(variance[i])) for i in range(len(r))
        )
        means.append(mean)
        covariances.append(scatter / count)
    weights = counts / counts.sum()
    pooled = sum(w * c for w, c in zip(weights, covariances, strict=True))
    shrunk = [
        (count * c + shrinkage * pooled) / (count + shrinkage)
        for count, c in zip(counts, covariances, strict=True)
    ]
    return priors.GaussianMixture(weights, np.array(means), np.array(shrunk), KNOWN.labels)


def points(z):
    """Posteriors without width, and one label for all."""
    return z, np.full(z.shape, -30.0, np.float32), np.zeros(len(z), int)


def posteriors(n, d, seed, classes=1):
    """Codes in three clouds, posteriors of all widths, and labels that have no say in either."""
    rng = RNG(seed)
    centres = rng.normal(0, 3, (3, d))
    z_mean = (centres[rng.integers(0, 3, n)] + rng.normal(size=(n, d))).astype(np.float32)
    z_log_var = rng.uniform(-4, 0, (n, d)).astype(np.float32)
    return z_mean, z_log_var, np.arange(n) % classes


def assert_close(fitted, expected, tolerance):
    np.testing.assert_allclose(fitted.weights, expected.weights, atol=tolerance)
    np.testing.assert_allclose(fitted.means, expected.means, atol=tolerance)
    np.testing.assert_allclose(fitted.covariances, expected.covariances, atol=tolerance)


def in_known_order(fitted):
    nearest = [np.linalg.norm(fitted.means - mean, axis=1).argmin() for mean in KNOWN.means]
    assert sorted(nearest) == [0, 1, 2]
    return priors.GaussianMixture(
        fitted.weights[nearest],
        fitted.means[nearest],
        fitted.covariances[nearest],
        fitted.labels[nearest],
    )


# N(0, I)


@pytest.mark.parametrize("d", [1, 2, 48])
def test_density_of_the_standard_normal_is_scipys(d):
    z = (3 * RNG(0).normal(size=(50, d))).astype(np.float32)
    expected = stats.norm.logpdf(z.astype(float)).sum(axis=1)
    density = priors.StandardNormal(d).log_prob(z)
    assert density.dtype == np.float64
    np.testing.assert_allclose(density, expected, rtol=1e-12)


def test_samples_of_the_standard_normal():
    z = priors.StandardNormal(3).sample(100_000, RNG(1))
    assert z.shape == (100_000, 3) and z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=0.02)
    assert min(stats.kstest(column, "norm").pvalue for column in z[:5000].T) > 1e-3


# A known mixture


def test_density_of_a_mixture_is_scipys_and_sklearns():
    z = RNG(2).normal(0, 5, (200, 3)).astype(np.float32)
    density = KNOWN.log_prob(z)
    np.testing.assert_allclose(density, logsumexp(log_terms(KNOWN, z), axis=0), rtol=1e-9)
    theirs = mixture.GaussianMixture(3)
    theirs.weights_, theirs.means_ = KNOWN.weights, KNOWN.means
    precisions = np.linalg.inv(KNOWN.covariances)
    theirs.precisions_cholesky_ = np.linalg.cholesky(precisions)
    np.testing.assert_allclose(density, theirs.score_samples(z.astype(float)), rtol=1e-9)


def test_density_far_from_all_components_neither_overflows_nor_vanishes():
    far = np.array([[1e4, 0, 0], [-1e4, 1e4, 1e4]])
    expected = logsumexp(log_terms(KNOWN, far), axis=0)
    assert (expected < -1e7).all()
    np.testing.assert_allclose(KNOWN.log_prob(far), expected, rtol=1e-9)


def test_density_in_one_dimension_integrates_to_one():
    one = priors.GaussianMixture(
        np.array([0.25, 0.75]),
        np.array([[-2.0], [3.0]]),
        np.array([[[0.5]], [[2.0]]]),
        np.zeros(2, int),
    )
    z = np.linspace(-20, 20, 4001)
    expected = 0.25 * stats.norm(-2, 0.5**0.5).pdf(z) + 0.75 * stats.norm(3, 2**0.5).pdf(z)
    density = np.exp(one.log_prob(z[:, None]))
    np.testing.assert_allclose(density, expected, rtol=1e-9)
    assert np.trapezoid(density, z) == pytest.approx(1)
    assert one.latent_dim == 1 and one.sample(5, RNG(0)).shape == (5, 1)


def test_samples_have_the_moments_and_the_shares_of_the_mixture():
    n = 100_000
    z = KNOWN.sample(n, RNG(3))
    assert z.shape == (n, 3) and z.dtype == np.float32
    mean = KNOWN.weights @ KNOWN.means
    second = KNOWN.covariances + KNOWN.means[:, :, None] * KNOWN.means[:, None, :]
    covariance = np.einsum("k,kij->ij", KNOWN.weights, second) - np.outer(mean, mean)
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), covariance, atol=0.15)
    component = log_terms(KNOWN, z).argmax(axis=0)  # the components hardly overlap
    np.testing.assert_allclose(np.bincount(component) / n, KNOWN.weights, atol=0.01)
    for k in range(3):
        here = z[component == k]
        np.testing.assert_allclose(here.mean(axis=0), KNOWN.means[k], atol=0.03)
        np.testing.assert_allclose(np.cov(here.T), KNOWN.covariances[k], atol=0.06)


def test_a_narrowed_mixture_has_its_components_where_they_were():
    """Each draw is as many standard deviations from its component's mean as before."""
    narrow = KNOWN.narrowed(0.25)
    z, near = KNOWN.sample(1000, RNG(5)), narrow.sample(1000, RNG(5))
    component = log_terms(KNOWN, z).argmax(axis=0)
    offset = z - KNOWN.means[component]
    np.testing.assert_allclose(near - KNOWN.means[component], offset / 2, atol=1e-5)
    assert np.array_equal(narrow.weights, KNOWN.weights)
    assert np.array_equal(narrow.labels, KNOWN.labels)
    assert_close(KNOWN.narrowed(1), KNOWN, 0)


def test_samples_come_in_no_order_and_from_the_generator_alone():
    z = KNOWN.sample(3000, RNG(4))
    np.testing.assert_array_equal(z, KNOWN.sample(3000, RNG(4)))
    assert (z != KNOWN.sample(3000, RNG(5))).any()
    component = log_terms(KNOWN, z).argmax(axis=0)
    first, second = np.bincount(component[:1500]), np.bincount(component[1500:])
    assert stats.chi2_contingency([first, second]).pvalue > 1e-3
    assert KNOWN.sample(0, RNG(0)).shape == (0, 3)


# The fit, points


def test_a_known_mixture_is_recovered_and_as_likely_as_by_sklearn():
    z = KNOWN.sample(6000, RNG(6))
    fits = [
        priors.fit_mixture(*points(z), seed, components=3, em=priors.EM(rounds=30, shrinkage=0))
        for seed in range(6)
    ]
    best = max(fits, key=lambda fitted: fitted.log_prob(z).mean())
    assert_close(in_known_order(best), KNOWN, 0.15)
    theirs = mixture.GaussianMixture(3, n_init=3, random_state=0).fit(z.astype(float))
    assert best.log_prob(z).mean() == pytest.approx(theirs.score(z.astype(float)), abs=2e-3)
    assert best.log_prob(z).mean() > KNOWN.log_prob(z).mean() - 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rounds_on_points_are_sklearns(seed):
    # from the same start, not separated: every round has to agree
    z = RNG(7).gamma(2, 1, (2000, 3)).astype(np.float32)
    first, last = (
        priors.fit_mixture(*points(z), seed, components=4, em=priors.EM(rounds=rounds, shrinkage=0))
        for rounds in (1, 13)
    )
    theirs = mixture.GaussianMixture(
        4,
        weights_init=first.weights,
        means_init=first.means,
        precisions_init=np.linalg.inv(first.covariances),
        reg_covar=0,
        tol=0,
        max_iter=12,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, nor should it
        theirs.fit(z.astype(float))
    expected = priors.GaussianMixture(
        theirs.weights_, theirs.means_, theirs.covariances_, first.labels
    )
    assert_close(last, expected, 5e-3)
    assert last.log_prob(z).mean() == pytest.approx(theirs.score(z.astype(float)), abs=1e-4)


# The fit, posteriors


@pytest.mark.parametrize("shrinkage", [0, 7.5, None])
def test_a_round_is_the_naive_one(shrinkage):
    z_mean, z_log_var, labels = posteriors(300, 4, seed=8)
    before, after = (
        priors.fit_mixture(
            z_mean,
            z_log_var,
            labels,
            0,
            components=5,
            em=priors.EM(rounds=rounds, shrinkage=shrinkage),
        )
        for rounds in (2, 3)
    )
    variance = np.exp(z_log_var.astype(float))
    codes_worth = 4 if shrinkage is None else shrinkage  # by default as many as latents
    expected = naive_round(before, z_mean.astype(float), variance, codes_worth)
    assert_close(after, expected, 2e-3)


def test_one_component_is_the_law_of_total_variance():
    z_mean, z_log_var, labels = posteriors(400, 6, seed=9)
    fitted = priors.fit_mixture(z_mean, z_log_var, labels, seed=0, components=1)
    covariance = np.cov(z_mean.T, bias=True) + np.diag(np.exp(z_log_var).mean(axis=0))
    np.testing.assert_allclose(fitted.weights, [1])
    np.testing.assert_allclose(fitted.means[0], z_mean.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(fitted.covariances[0], covariance, atol=1e-3)


def test_posteriors_are_fitted_as_many_samples_of_them_would_be():
    rng = RNG(10)
    z_mean = KNOWN.sample(900, rng)
    z_log_var = rng.uniform(-3, 0, z_mean.shape).astype(np.float32)
    z = np.repeat(z_mean, 40, axis=0)
    z = z + np.exp(0.5 * np.repeat(z_log_var, 40, axis=0)) * rng.standard_normal(z.shape)
    component = log_terms(KNOWN, z_mean).argmax(axis=0)
    fitted = priors.fit_mixture(z_mean, z_log_var, component, 0, components=1)
    sampled = priors.fit_mixture(
        z,
        np.full(z.shape, -30.0),
        np.repeat(component, 40),
        0,
        components=1,
        em=priors.EM(shrinkage=3 * 40),
    )
    assert_close(fitted, sampled, 0.05)
    # and they are wider than their means alone
    narrow = priors.fit_mixture(z_mean, np.full(z_mean.shape, -30.0), component, 0, components=1)
    wider = np.linalg.eigvalsh(fitted.covariances - narrow.covariances)
    assert wider.min() > 0.15  # the mean of exp(uniform(-3, 0)) is 0.32


def test_the_bound_does_not_fall_and_is_one():
    z_mean, z_log_var, labels = posteriors(500, 3, seed=11)
    variance = np.exp(z_log_var.astype(float))
    bounds = []
    for rounds in range(1, 11):
        fitted = priors.fit_mixture(
            z_mean, z_log_var, labels, 0, components=6, em=priors.EM(rounds=rounds, shrinkage=0)
        )
        bounds.append(logsumexp(bound_terms(fitted, z_mean, variance), axis=0).mean())
    assert min(np.diff(bounds)) > -1e-5
    assert bounds[-1] > bounds[0] + 0.1
    rng, draws = RNG(12), 100
    z = np.repeat(z_mean, draws, axis=0)
    z = z + np.exp(0.5 * np.repeat(z_log_var, draws, axis=0)) * rng.standard_normal(z.shape)
    assert fitted.log_prob(z).mean() > bounds[-1]  # E_q[log p(z)]


def test_the_same_seed_gives_the_same_mixture_and_leaves_the_codes_alone():
    codes = posteriors(400, 5, seed=13, classes=3)
    copies = [array.copy() for array in codes]
    first, again, other = (priors.fit_mixture(*codes, seed) for seed in (0, 0, 1))
    for name in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype == np.float64
        assert (getattr(first, name) != getattr(other, name)).any()
    for array, copy in zip(codes, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_blocks_change_nothing(monkeypatch):
    codes = posteriors(333, 5, seed=14, classes=3)
    whole = priors.fit_mixture(*codes, seed=0)
    monkeypatch.setattr(priors, "BLOCK", 40)
    assert_close(priors.fit_mixture(*codes, seed=0), whole, 2e-3)


def test_where_the_origin_lies_changes_nothing():
    z_mean, z_log_var, labels = posteriors(500, 4, seed=15)
    here = priors.fit_mixture(z_mean, z_log_var, labels, seed=0)
    there = priors.fit_mixture(z_mean + 1000, z_log_var, labels, seed=0)
    here.means = here.means + 1000
    assert_close(there, here, 0.02)


# Classes


def test_with_a_component_a_class_each_has_the_moments_of_its_class():
    # They overlap so much that a fit without labels would not find them.
    rng = RNG(16)
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    rng.shuffle(labels)
    z_mean = rng.normal(size=(1000, 2)) * [1, 2] + 0.4 * labels[:, None]
    z_mean = z_mean.astype(np.float32)
    z_log_var = np.log(rng.uniform(0.1, 0.3, z_mean.shape))
    fitted = priors.fit_mixture(
        z_mean, z_log_var, labels, seed=0, components=1, em=priors.EM(shrinkage=0)
    )
    np.testing.assert_allclose(fitted.weights, [0.5, 0.3, 0.2], atol=1e-3)
    for label in range(3):
        here = labels == label
        covariance = np.cov(z_mean[here].T, bias=True) + np.diag(
            np.exp(z_log_var[here]).mean(axis=0)
        )
        np.testing.assert_allclose(fitted.means[label], z_mean[here].mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(fitted.covariances[label], covariance, atol=2e-3)


@pytest.mark.parametrize("components", [1, 2, 20])
def test_no_component_lies_between_two_classes(components):
    z_mean, z_log_var, _ = posteriors(1000, 3, seed=17)
    labels = (z_mean[:, 0] > np.median(z_mean[:, 0])).astype(int)
    z_mean[:, 0] = 4 * labels + RNG(17).uniform(-1, 1, 1000)
    fitted = priors.fit_mixture(z_mean, z_log_var, labels, 0, components=components)
    assert (np.abs(fitted.means[:, 0] - 2) > 0.99).all()
    second = fitted.means[:, 0] > 2
    np.testing.assert_allclose(fitted.weights[second].sum(), labels.mean(), atol=1e-3)
    unlabelled = priors.fit_mixture(z_mean, z_log_var, 0 * labels, 0, components=1)
    assert unlabelled.means[0, 0] == pytest.approx(2, abs=0.1)


def test_each_class_has_its_share_of_components_and_one_at_least():
    labels = np.repeat([0, 1, 2, 3], [500, 300, 199, 1])
    z = RNG(18).normal(size=(1000, 2)) * 0.1 + 100 * labels[:, None]
    fitted = priors.fit_mixture(z, np.full(z.shape, -6.0), labels, seed=0, components=10)
    own = np.abs(fitted.means[:, :1] - 100 * np.arange(4)).argmin(axis=1)
    np.testing.assert_array_equal(np.bincount(own), [5, 3, 2, 1])
    shares = np.bincount(own, fitted.weights)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.199, 0.001], atol=1e-3)


# Small data


@pytest.mark.parametrize(
    ("n", "classes", "expected"),
    [(1, 1, 1), (40, 1, 1), (40, 10, 10), (120, 1, 2), (1400, 2, 28), (15_500, 1, 300)],
)
def test_few_images_get_few_components(monkeypatch, n, classes, expected):
    monkeypatch.setattr(priors, "CODES_PER_COMPONENT", 50)
    monkeypatch.setattr(priors, "COMPONENTS", 300)
    z_mean, z_log_var, labels = posteriors(n, 2, seed=19, classes=classes)
    fitted = priors.fit_mixture(z_mean, z_log_var, labels, seed=0, em=priors.EM(rounds=1))
    assert fitted.weights.shape == (expected,)
    assert fitted.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "d", "classes"), [(1, 5, 1), (2, 30, 2), (30, 64, 30), (45, 100, 10), (300, 40, 7)]
)
def test_covariances_stay_sound_with_fewer_codes_than_latents(n, d, classes):
    z_mean, z_log_var, labels = posteriors(n, d, seed=20, classes=classes)
    z_mean[:, d // 2 :] *= 0.001  # half of the latents are empty
    z_log_var[:, d // 2 :] = 0
    fitted = priors.fit_mixture(z_mean, z_log_var, labels, seed=0)
    assert len(fitted.weights) >= classes
    assert np.isfinite(np.linalg.cholesky(fitted.covariances)).all()
    np.testing.assert_allclose(fitted.covariances, fitted.covariances.transpose(0, 2, 1))
    # no latent is narrower than the narrowest posterior
    assert np.linalg.eigvalsh(fitted.covariances).min() > np.exp(-4) * 0.99
    others = posteriors(50, d, seed=21)[0]
    assert np.isfinite(fitted.log_prob(others)).all()
    assert np.isfinite(fitted.sample(100, RNG(0))).all()


def test_a_component_with_one_code_is_as_wide_as_the_others():
    labels = np.array([0] * 500 + [1])
    z = RNG(22).normal(size=(501, 4)) * [1, 2, 0.5, 3]
    fitted = priors.fit_mixture(z, np.full(z.shape, -7.0), labels, seed=0, components=1)
    np.testing.assert_allclose(fitted.means[1], z[-1], atol=0.02)
    # four codes' worth of the pooled covariance to its own single code, in class and component
    pooled = np.cov(z[:-1].T)
    np.testing.assert_allclose(
        np.diag(fitted.covariances[1]), np.diag(pooled) * (4 / 5) ** 2, rtol=0.05
    )


def test_many_components_on_equal_codes_stay_sound():
    z_mean = np.ones((60, 3), np.float32)
    fitted = priors.fit_mixture(z_mean, 0 * z_mean, np.zeros(60, int), seed=0, components=40)
    np.testing.assert_allclose(fitted.means, 1, atol=1e-5)
    expected = np.broadcast_to(np.eye(3), (40, 3, 3))
    np.testing.assert_allclose(fitted.covariances, expected, atol=1e-5)


def test_many_latents_do_not_take_a_matrix_an_image():
    n, d = 200, 784
    codes = posteriors(n, d, seed=23)
    tracemalloc.start()
    try:
        fitted = priors.fit_mixture(*codes, seed=0, components=4, em=priors.EM(rounds=1))
        fitting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        z = fitted.sample(n, RNG(0))
        fitted.log_prob(z)
        using = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    a_matrix_an_image = n * d * d * 4
    assert using < a_matrix_an_image / 2
    assert fitting < a_matrix_an_image
