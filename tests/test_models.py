import keras
import numpy as np
import pytest
import tensorflow as tf

import models

# Keras itself, while it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 28, 28, 1), np.float32)
PRIORS = {
    "normal": lambda: models.StandardNormalPrior(3, seed=5),
    "mixture": lambda: random_mixture(3, components=4),
}


def random_mixture(latent_dim, components, scale=0.1):
    """A mixture prior with random numbers in all of its variables."""
    prior = models.MixturePrior(latent_dim, components, seed=5)
    rng = np.random.default_rng(latent_dim)
    for weight in prior.trainable_weights:
        weight.assign(rng.normal(0, scale, weight.shape))
    return prior


def mixture_of(prior):
    """Weights, means and covariances of a mixture prior, worked out from its variables."""
    logits, means, log_diagonals, triangles = (
        models.PRIOR_PACE * variable.numpy().astype(float)
        for variable in (
            prior._weight_logits,
            prior._means,
            prior._log_diagonals,
            prior._triangles,
        )
    )
    factors = np.tril(triangles, -1)
    for factor, log_diagonal in zip(factors, log_diagonals, strict=True):
        np.fill_diagonal(factor, np.exp(log_diagonal))
    covariances = [np.linalg.inv(factor.T @ factor) for factor in factors]
    return np.exp(logits) / np.exp(logits).sum(), means, covariances


def normal_density(z, mean, covariance):
    offset = z - mean
    square = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
    return np.exp(-square / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def mixture_density(z, prior):
    parts = zip(*mixture_of(prior), strict=True)
    return sum(weight * normal_density(z, mean, spread) for weight, mean, spread in parts)


def float32(*arrays):
    return [np.asarray(array, np.float32) for array in arrays]


def small_vae(prior=None, seed=7):
    keras.utils.set_random_seed(seed)
    return models.VAE(
        models.build_encoder(3, hidden=(16,)),
        models.build_decoder(3, IMAGES.mean(axis=0), hidden=(16,)),
        prior or PRIORS["normal"](),
        seed=seed,
    )


def assert_mean(values, expected):
    """The mean of the values is the expected one, but for six standard errors."""
    error = 6 * np.std(values, axis=0) / np.sqrt(len(values))
    assert np.all(np.abs(np.mean(values, axis=0) - expected) <= error)
    assert np.all(error < 0.15)


# Sampling


def test_sampling_has_the_mean_and_the_variance_asked_for():
    z_mean = np.tile(np.float32([1, -2, 0]), (100_000, 1))
    z_log_var = np.tile(np.log(np.float32([4, 0.25, 1])), (100_000, 1))
    z = models.Sampling(seed=1)([z_mean, z_log_var]).numpy()
    assert_mean(z, [1, -2, 0])
    assert_mean((z - z_mean) ** 2, [4, 0.25, 1])
    assert_mean((z[:, 0] - 1) * (z[:, 1] + 2), 0)


def test_sampling_draws_anew_and_repeats_with_the_seed():
    where = float32(np.zeros((2, 3)), np.zeros((2, 3)))
    first, second = models.Sampling(seed=1), models.Sampling(seed=1)
    draws = [first(where).numpy() for _ in range(3)]
    assert not np.any(draws[0] == draws[1]) and not np.any(draws[0][0] == draws[0][1])
    assert np.array_equal(draws, [second(where).numpy() for _ in range(3)])
    assert not np.any(draws[0] == models.Sampling(seed=2)(where).numpy())


# Priors


def test_normal_log_prob_is_that_of_independent_normals():
    z = RNG.normal(0, 3, (50, 4))
    expected = np.log(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)).sum(axis=1)
    log_prob = models.StandardNormalPrior(4).log_prob(*float32(z))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


def test_normal_kl_is_the_closed_form_between_two_normals():
    """Against the general formula, KL(N(m, S) || N(0, I)) with matrices."""
    mean, log_var = RNG.normal(0, 2, (20, 4)), RNG.normal(0, 1, (20, 4))
    expected = [
        (np.trace(np.diag(np.exp(v))) + m @ m - 4 - np.log(np.linalg.det(np.diag(np.exp(v))))) / 2
        for m, v in zip(mean, log_var, strict=True)
    ]
    z_is_not_needed = np.full((20, 4), np.nan)
    kl = models.StandardNormalPrior(4).kl(*float32(mean, log_var, z_is_not_needed))
    np.testing.assert_allclose(kl, expected, rtol=1e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_kl_is_what_a_monte_carlo_estimate_says(name):
    prior = PRIORS[name]()
    mean, log_var = np.array([[0.5, -1, 2]]), np.array([[-1, 0.3, -0.5]])
    rng = np.random.default_rng(1)
    z = mean + np.exp(log_var / 2) * rng.normal(size=(200_000, 3))
    log_q = np.log(normal_density(z, mean, np.diag(np.exp(log_var[0]))))
    p = normal_density(z, 0, np.eye(3)) if name == "normal" else mixture_density(z, prior)
    another_z = mean + np.exp(log_var / 2) * rng.normal(size=(200_000, 3))
    many = (np.broadcast_to(part, z.shape) for part in (mean, log_var, another_z))
    kl = prior.kl(*float32(*many)).numpy()
    estimates = log_q - np.log(p)
    error = np.hypot(kl.std(), estimates.std()) / np.sqrt(len(z))
    assert abs(kl.mean() - estimates.mean()) < 6 * error < 0.1


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_mixture_log_prob_is_that_of_full_normals(latent_dim):
    prior = random_mixture(latent_dim, components=6)
    z = RNG.normal(0, 2, (200, latent_dim)).astype(np.float32)
    expected = np.log(mixture_density(z, prior))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-4, atol=1e-4)


def test_mixture_log_prob_survives_sharp_components_far_from_the_origin():
    """As training leaves them: a twentieth as wide as N(0, I), up to four from the middle."""
    prior = random_mixture(4, components=6)
    prior._log_diagonals.assign_add(np.full((6, 4), np.log(20) / models.PRIOR_PACE))
    prior._means.assign(RNG.uniform(-4, 4, (6, 4)) / models.PRIOR_PACE)
    z = np.repeat(prior.means.numpy(), 50, axis=0)
    z += RNG.normal(0, 0.1, z.shape).astype(np.float32)
    expected = np.log(mixture_density(z, prior))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-3, atol=0.01)


def test_mixture_log_prob_stays_finite_far_away():
    z = np.float32([[1e4, 0, 0], [0, -1e4, 1e4]])
    for prior in (models.MixturePrior(3, seed=0), PRIORS["mixture"]()):
        assert np.all(np.isfinite(prior.log_prob(z)))


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_mixture_density_integrates_to_one(latent_dim):
    prior = random_mixture(latent_dim, components=6, scale=0.08)
    side = np.linspace(-15, 15, 1001, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[side] * latent_dim), axis=-1).reshape(-1, latent_dim)
    mass = np.exp(prior.log_prob(grid).numpy().astype(float)).sum()
    assert mass * (side[1] - side[0]) ** latent_dim == pytest.approx(1, abs=1e-4)


def test_mixture_kl_is_the_integral_on_average():
    prior = random_mixture(1, components=3)
    mean, log_var = 0.7, -0.4
    z = np.random.default_rng(2).normal(mean, np.exp(log_var / 2), (200_000, 1))
    kl = prior.kl(*float32(np.full_like(z, mean), np.full_like(z, log_var), z))

    side = np.linspace(-8, 8, 10_001)[:, None]
    q = normal_density(side, mean, np.exp([[log_var]]))
    integral = np.sum(q * np.log(q / mixture_density(side, prior))) * (side[1, 0] - side[0, 0])
    assert_mean(kl, integral)


def test_a_mixture_of_one_standard_normal_is_the_standard_normal():
    mixture, normal = models.MixturePrior(3, components=1), models.StandardNormalPrior(3)
    for weight in mixture.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    (z,) = float32(RNG.normal(0, 2, (20, 3)))
    np.testing.assert_allclose(mixture.log_prob(z), normal.log_prob(z), rtol=1e-5)

    mean, log_var = np.float32([[1, 0, -1]]), np.float32([[0, -1, 1]])
    many = np.repeat(mean, 200_000, axis=0), np.repeat(log_var, 200_000, axis=0)
    kl = mixture.kl(*many, models.Sampling(seed=3)(many))
    assert_mean(kl, normal.kl(mean, log_var, None)[0])


def test_normal_sample_is_standard_normal():
    z = models.StandardNormalPrior(3, seed=0).sample(100_000).numpy()
    assert z.shape == (100_000, 3) and z.dtype == np.float32
    assert_mean(z, 0)
    assert_mean(z[:, :, None] * z[:, None, :], np.eye(3))


def test_mixture_sample_has_the_moments_of_every_component():
    """Components so far apart that each sample tells which one it is from."""
    prior = random_mixture(3, components=4, scale=0.15)
    prior._means.assign(100 * np.eye(4, 3))
    weights, means, covariances = mixture_of(prior)
    z = prior.sample(400_000).numpy()
    assert z.shape == (400_000, 3) and z.dtype == np.float32
    origin = np.linalg.norm(z[:, None] - means, axis=2).argmin(axis=1)
    assert_mean(origin[:, None] == np.arange(4), weights)
    for component in range(4):
        offset = (z[origin == component] - means[component]).astype(float)
        standard = offset @ np.linalg.inv(np.linalg.cholesky(covariances[component])).T
        assert_mean(standard, 0)
        assert_mean(standard[:, :, None] * standard[:, None, :], np.eye(3))


@pytest.mark.parametrize("name", PRIORS)
def test_samples_of_a_prior_differ_and_repeat_with_the_seed(name):
    first, second = PRIORS[name](), PRIORS[name]()
    draws = [first.sample(5).numpy() for _ in range(3)]
    assert len(np.unique(draws)) == 3 * 5 * 3
    assert np.array_equal(draws, [second.sample(5).numpy() for _ in range(3)])


# The reconstruction loss


def cross_entropy(logits, pixels):
    nats = tf.nn.sigmoid_cross_entropy_with_logits(labels=pixels, logits=logits)
    return tf.reduce_sum(nats, axis=[1, 2, 3])


def hard_logits_and_pixels():
    """Every pair of an ordinary or extreme logit and a black, white or grey pixel, and noise."""
    pairs = np.meshgrid([-100, -30, -1, -1e-4, 0, 1e-4, 1, 30, 100], [0, 1e-3, 0.5, 0.9, 1])
    logits, pixels = RNG.normal(0, 5, (4, 28, 28, 1)), RNG.random((4, 28, 28, 1))
    for array, corner in zip((logits, pixels), pairs, strict=True):
        array[0, : corner.shape[0], : corner.shape[1], 0] = corner
    return float32(logits, pixels)


def test_bernoulli_nats_is_the_cross_entropy():
    logits, pixels = hard_logits_and_pixels()
    nats = models.bernoulli_nats(logits, pixels)
    assert nats.shape == (4,)
    np.testing.assert_allclose(nats, cross_entropy(logits, pixels), rtol=1e-5)
    # By hand: a logit of 0 costs log 2 whatever the pixel, one of -100 on a white pixel 100.
    by_hand = models.bernoulli_nats(*float32([[[[0]]], [[[-100]]]], [[[[0.3]]], [[[1]]]]))
    np.testing.assert_allclose(by_hand, [np.log(2), 100], rtol=1e-5)


def test_bernoulli_nats_has_the_gradient_of_the_cross_entropy():
    logits, pixels = map(tf.constant, hard_logits_and_pixels())
    upstream = tf.constant([1.0, -2.0, 0.5, 3.0])  # each image weighted on its own
    gradients = []
    for loss in (models.bernoulli_nats, cross_entropy):
        with tf.GradientTape() as tape:
            tape.watch([logits, pixels])
            total = tf.reduce_sum(upstream * loss(logits, pixels))
        gradients.append(tape.gradient(total, [logits, pixels]))
    for ours, theirs in zip(*gradients, strict=True):
        assert np.all(np.isfinite(ours))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


# The networks


def test_silu_and_its_gradient_are_those_of_keras():
    x = tf.constant(np.append(RNG.normal(0, 5, 100), [-100, 0, 100]), tf.float32)
    found = []
    for function in (models.silu, keras.activations.silu):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            total = tf.reduce_sum(y * tf.sin(x))  # each entry weighted on its own
        found.append([y, tape.gradient(total, x)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_encoder_gives_a_mean_and_a_log_variance_for_every_latent():
    z_mean, z_log_var = models.build_encoder(3, hidden=(16, 8))(IMAGES)
    assert z_mean.shape == z_log_var.shape == (12, 3)
    assert len(np.unique(z_mean)) == len(np.unique(z_log_var)) == 36
    assert not np.any(z_mean == z_log_var)


def test_codes_stay_finite_whatever_the_weights():
    encoder = models.build_encoder(3, hidden=(16,))
    for weight in encoder.trainable_weights:
        weight.assign(1e3 * weight)
    z_mean, z_log_var = encoder(IMAGES)
    assert np.ptp(z_mean) > 1e3  # or the weights were too tame to prove anything
    assert np.all(np.isfinite(models.Sampling(seed=0)([z_mean, z_log_var])))
    assert np.all(np.isfinite(np.exp(z_log_var))) and np.exp(z_log_var).min() > 0


def test_decoder_starts_at_the_mean_image():
    mean_image = np.linspace(0, 1, 784).reshape(28, 28)
    decoder = models.build_decoder(3, mean_image, hidden=(16,))
    assert decoder(RNG.normal(size=(5, 3))).shape == (5, 28, 28, 1)
    drawn = tf.sigmoid(decoder(np.zeros((1, 3))))[0, ..., 0].numpy()
    np.testing.assert_allclose(drawn, mean_image, atol=0.006)  # black and white stay within reach


def test_classifier_gives_unnormalised_logits():
    logits = models.build_classifier(7, hidden=(16,))(IMAGES).numpy()
    assert logits.shape == (12, 7)
    assert logits.min() < 0


@pytest.mark.parametrize("pixel_type", [np.uint8, np.float32])
def test_predict_logits_is_what_the_model_predicts(pixel_type):
    classifier = models.build_classifier(5, hidden=(16,), dropout=0.5)
    images = RNG.integers(0, 256, (23, 28, 28), dtype=np.uint8)
    pixels = images[..., None] / np.float32(255)
    expected = classifier.predict(pixels, verbose=0)
    given = images if pixel_type == np.uint8 else pixels[..., 0]
    for batch_size in (1, 7, 23, 1000):
        logits = models.predict_logits(classifier, given, batch_size)
        assert logits.shape == (23, 5) and logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


# The VAE


@pytest.mark.parametrize("count", [1, 5, 8])
def test_two_halves_side_by_side_are_the_whole(count):
    batch = RNG.random((count, 3), np.float32)
    doubled, rows = models.side_by_side(lambda x: (2 * x, tf.reduce_sum(x, axis=1)), batch)
    np.testing.assert_array_equal(doubled, 2 * batch)
    np.testing.assert_allclose(rows, batch.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("compiled", [False, True])
def test_train_step_follows_the_gradient_of_the_negative_elbo(name, compiled):
    """One step of plain gradient descent against a loss written down anew."""
    vae = small_vae(PRIORS[name]())
    vae.compile(keras.optimizers.SGD(1e-3), run_eagerly=not compiled)
    before = [weight.numpy() for weight in vae.trainable_weights]
    with tf.GradientTape() as tape:
        z_mean, z_log_var = vae.encoder(IMAGES)
        sampling, zeros = models.Sampling(vae.seed), tf.zeros_like(z_mean[:6])
        epsilon = tf.concat([sampling([zeros, zeros]) for _ in range(2)], axis=0)
        z = z_mean + tf.sqrt(tf.exp(z_log_var)) * epsilon
        log_q = tf.reduce_sum(
            -0.5 * (tf.math.log(2 * np.pi) + z_log_var + (z - z_mean) ** 2 / tf.exp(z_log_var)), 1
        )
        if name == "normal":
            kl = tf.reduce_sum(tf.exp(z_log_var) + z_mean**2 - 1 - z_log_var, axis=1) / 2
        else:  # the entropy in closed form is what E[log_q] is
            kl = log_q + tf.reduce_sum(epsilon**2 - 1, axis=1) / 2 - vae.prior.log_prob(z)
        reconstruction = cross_entropy(vae.decoder(z), IMAGES)
        loss = tf.reduce_mean(reconstruction + kl)
    gradients = tape.gradient(loss, vae.trainable_weights)
    logs = vae.fit(IMAGES, batch_size=12, shuffle=False, verbose=0).history

    assert logs["loss"] == pytest.approx([float(loss)], rel=1e-5)
    assert logs["kl_loss"] == pytest.approx([np.mean(kl)], rel=1e-4)
    assert logs["reconstruction_loss"] == pytest.approx([np.mean(reconstruction)], rel=1e-5)
    for weight, old, gradient in zip(vae.trainable_weights, before, gradients, strict=True):
        size = np.abs(gradient).max()
        assert size > 0
        step = (old - weight.numpy()) / 1e-3
        np.testing.assert_allclose(step, gradient, atol=1e-3 * size + 1e-4 * np.abs(old).max())


@pytest.mark.parametrize("name", PRIORS)
def test_training_lowers_the_loss(name):
    vae = small_vae(PRIORS[name]())
    vae.compile(keras.optimizers.Adam(3e-3))
    losses = vae.fit(IMAGES, batch_size=4, epochs=30, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 1


@pytest.mark.parametrize("name", PRIORS)
def test_evaluation_averages_both_terms_and_changes_no_weight(name):
    vae = small_vae(PRIORS[name]())
    vae.compile()
    before = [weight.numpy() for weight in vae.trainable_weights]
    logs = vae.evaluate(IMAGES, batch_size=5, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["reconstruction_loss"] + logs["kl_loss"], rel=1e-6)
    for old, weight in zip(before, vae.trainable_weights, strict=True):
        assert np.array_equal(old, weight.numpy())

    again = small_vae(PRIORS[name]())  # batches of 5, 5 and 2, each image counting once
    terms = [again.negative_elbo(IMAGES[i : i + 5]) for i in (0, 5, 10)]
    reconstruction, kl = (np.concatenate(term) for term in zip(*terms, strict=True))
    assert reconstruction.shape == kl.shape == (12,)
    assert logs["reconstruction_loss"] == pytest.approx(reconstruction.mean(), rel=1e-5)
    assert logs["kl_loss"] == pytest.approx(kl.mean(), rel=1e-4)


def test_reconstructions_are_decoded_from_the_mean():
    vae = small_vae()
    z_mean, _ = vae.encoder(IMAGES)
    expected = 1 / (1 + np.exp(-vae.decoder(z_mean).numpy()))
    for _ in range(2):
        np.testing.assert_allclose(vae.predict(IMAGES, verbose=0), expected, rtol=1e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_generate_decodes_samples_of_the_prior(name):
    vae = small_vae(PRIORS[name]())
    same_draws = PRIORS[name]()
    for n in (1, 7):
        images = vae.generate(n)
        assert images.shape == (n, 28, 28) and images.dtype == np.float32
        logits = vae.decoder(same_draws.sample(n)).numpy()[..., 0]
        np.testing.assert_allclose(images, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    for weight in vae.decoder.trainable_weights:
        weight.assign(1e4 * weight)
    assert set(np.unique(vae.generate(50))) >= {0, 1}  # logits that saturate stay within [0, 1]
    assert vae.generate(50).min() == 0 and vae.generate(50).max() == 1


# Files


@pytest.mark.parametrize("name", PRIORS)
def test_a_saved_vae_draws_the_same_after_reseeding(tmp_path, name):
    vae = small_vae(PRIORS[name]())
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(IMAGES, epochs=2, verbose=0)
    vae.generate(3)  # so that the generators of random numbers are not at their start
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    for ours, theirs in zip(vae.encoder(IMAGES), loaded.encoder(IMAGES), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(vae.predict(IMAGES, verbose=0), loaded.predict(IMAGES, verbose=0))
    for model in (vae, loaded):
        model.reseed(9)
    for n in (5, 2):
        assert np.array_equal(vae.generate(n), loaded.generate(n))
    for model in (vae, loaded):
        model.compile()
        model.reseed(9)
    assert vae.evaluate(IMAGES, verbose=0) == loaded.evaluate(IMAGES, verbose=0)


def test_a_saved_classifier_gives_the_same_logits(tmp_path):
    classifier = models.build_classifier(5, hidden=(16,))
    classifier.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    images = IMAGES[..., 0]
    logits = models.predict_logits(classifier, images)
    assert np.array_equal(logits, models.predict_logits(loaded, images))
