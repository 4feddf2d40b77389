import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import models
import training

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
LABELS = np.arange(100) % 7


def epochs_of(count, *others, epochs=1, images=IMAGES, batch_size=8, seed=0, passes=1):
    """The indices of the images that `feed` yields: a list of batches for each epoch.

    Checks on the way that a batch holds images scaled to [0, 1], and the others in step.
    """
    images = images[:count]
    pixels = images / np.float32(255) if images.dtype == np.uint8 else images
    index_of = {image.tobytes(): index for index, image in enumerate(pixels)}
    assert len(index_of) == count
    settings = {"batch_size": batch_size, "seed": seed, "passes": passes}
    batches = training.feed(images, *(other[:count] for other in others), **settings)
    found = []
    for _ in range(epochs):
        found.append([])
        for batch in batches:
            shown, *rest = batch if others else (batch,)
            assert shown.shape == (batch_size, 28, 28, 1) and shown.dtype == tf.float32
            indices = [index_of[image.tobytes()] for image in shown.numpy()]
            for array, other in zip(rest, others, strict=True):
                assert np.array_equal(array, other[indices])
            found[-1].append(indices)
        assert len(found[-1]) == len(batches)
    return found


def small_vae(images, seed=0):
    return models.VAE(
        models.build_encoder(2, hidden=(16,)),
        models.build_decoder(2, images.mean(axis=0) / 255, hidden=(16,)),
        models.MixturePrior(2, components=3, seed=seed),
        seed=seed,
    )


def blobs(count):
    """Images of a soft spot anywhere, (count, 28, 28) uint8: what a small VAE can learn."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(6, 22, (2, count, 1, 1))
    grid = np.arange(28)
    spots = np.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / 20)
    return (255 * spots).astype(np.uint8)


# feed


@pytest.mark.parametrize("count", [8, 15, 24, 47, 100])
def test_an_epoch_is_a_shuffle_without_repetition(count):
    for epoch in epochs_of(count, epochs=3):
        drawn = np.concatenate(epoch)
        assert len(epoch) >= 1
        assert len(np.unique(drawn)) == len(drawn)
        assert not np.array_equal(drawn, np.sort(drawn))


def test_an_epoch_leaves_few_images_out_and_not_always_the_same():
    epochs = epochs_of(100, epochs=12)
    assert all(len(epoch) == 12 for epoch in epochs)  # of 8 images, 4 are left
    left_out = [set(range(100)) - set(np.concatenate(epoch)) for epoch in epochs]
    assert set.intersection(*left_out) == set()


def test_every_epoch_has_its_own_order_and_the_seed_repeats_them():
    first, second = epochs_of(48, epochs=2, seed=1)
    assert first != second
    assert [first, second] == epochs_of(48, epochs=2, seed=1)
    assert first != epochs_of(48, seed=2)[0]


def test_several_passes_shuffle_anew_each_time():
    (drawn,) = epochs_of(48, LABELS, passes=3)
    passes = np.reshape(drawn, (3, 48))
    assert np.array_equal(np.sort(passes), np.tile(np.arange(48), (3, 1)))
    assert len(np.unique(passes, axis=0)) == 3


def test_what_comes_with_the_images_stays_with_them():
    epochs_of(100, LABELS, np.arange(100.0), epochs=2)


def test_images_in_zero_to_one_pass_unchanged():
    images = np.random.default_rng(1).random((50, 28, 28), np.float32)
    assert len(epochs_of(50, LABELS, images=images)[0]) == 6


# The optimizer and its learning rate


@pytest.mark.parametrize("settings", [{}, {"beta_2": 0.99}, {"weight_decay": 0.05}])
def test_fused_adam_is_adam(settings):
    """Twenty steps with a learning rate that changes, variables of several shapes."""
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (3,), (2, 2, 2), ()]
    starts = [np.asarray(rng.normal(size=shape), np.float32) for shape in shapes]
    ours, theirs = ([keras.Variable(start) for start in starts] for _ in range(2))
    fused = training.FusedAdam(training.OneCycle(0.1, 20), **settings)
    plain = keras.optimizers.Adam(training.OneCycle(0.1, 20), **settings)
    for step in range(20):
        gradients = [
            tf.constant(rng.normal(0, 10.0 ** rng.integers(-4, 2), shape), tf.float32)
            for shape in shapes
        ]
        fused.apply(gradients, ours)
        plain.apply(gradients, theirs)
        for our, their, start in zip(ours, theirs, starts, strict=True):
            np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-5)
            assert step == 0 or not np.any(our.numpy() == start)


def test_adam_by_hand():
    """The first two steps of Kingma & Ba 2015, algorithm 1, with alpha = 0.1."""
    variable = keras.Variable([1.0])
    adam = training.FusedAdam(0.1, beta_1=0.5, beta_2=0.75, epsilon=1e-12)
    adam.apply([tf.constant([4.0])], [variable])
    np.testing.assert_allclose(variable, [0.9], rtol=1e-5)  # the first step has length alpha
    adam.apply([tf.constant([-2.0])], [variable])
    # m = 0.5 * 2 + 0.5 * -2 = 0, so that nothing moves
    np.testing.assert_allclose(variable, [0.9], rtol=1e-5)
    adam.apply([tf.constant([1.0])], [variable])
    # m = 0.5, corrected by 1 - 1/8; v = 0.25 * (16 * 9/16 + 4 * 3/4 + 1), by 1 - 27/64
    step = 0.1 * (0.5 / (7 / 8)) / np.sqrt(3.25 / (37 / 64))
    np.testing.assert_allclose(variable, [0.9 - step], rtol=1e-5)


def test_nesterov_adam_by_hand():
    """As above: what has just been seen counts twice."""
    variable = keras.Variable([1.0])
    adam = training.FusedNesterovAdam(0.1, beta_1=0.5, beta_2=0.75, epsilon=1e-12)
    adam.apply([tf.constant([4.0])], [variable])
    # m = 2, v = 4, in place of m 0.5 * 2 + 0.5 * 4 = 3; corrected by 1/2 and by 1/4
    np.testing.assert_allclose(variable, [1 - 0.1 * (3 / 0.5) / np.sqrt(4 / 0.25)], rtol=1e-5)
    adam.apply([tf.constant([-2.0])], [variable])
    # m = 0, v = 4; in its place 0.5 * 0 + 0.5 * -2 = -1, corrected by 3/4 and by 7/16
    expected = 0.85 + 0.1 * (1 / (3 / 4)) / np.sqrt(4 / (7 / 16))
    np.testing.assert_allclose(variable, [expected], rtol=1e-5)


def test_one_cycle_rises_to_the_peak_and_falls_to_zero_in_straight_lines():
    rate = training.OneCycle(0.8, 100)
    rate = training.OneCycle.from_config(rate.get_config())  # as in a saved model
    rates = np.array([float(rate(step)) for step in range(102)])
    top = rates.argmax()
    assert rates[top] == pytest.approx(0.8) and 1 <= top <= 25
    np.testing.assert_allclose(rates[: top + 1], np.linspace(0, 0.8, top + 1), atol=1e-6)
    np.testing.assert_allclose(rates[top:101], np.linspace(0.8, 0, 101 - top), atol=1e-6)
    assert rates[101] == 0


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_cycle_works_with_few_steps(steps):
    rate = training.OneCycle(0.8, steps)
    rates = [float(rate(step)) for step in range(steps)]
    assert rates[0] == 0 and max(rates) == (pytest.approx(0.8) if steps > 1 else 0)


# Augmentation


@pytest.mark.parametrize("count", [8, 6])  # four quarters, and a batch that has none
def test_every_image_is_shifted_by_a_pixel_at_most_and_keeps_its_label(count):
    keras.utils.set_random_seed(0)
    images, labels = IMAGES[:count, ..., None] / np.float32(255), LABELS[:count]
    offsets = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    rolls = np.stack([np.roll(images, offset, (1, 2)) for offset in offsets])
    seen = []
    for _ in range(60):
        shifted, same = training.shifted_by_a_pixel(tf.constant(images), tf.constant(labels))
        assert np.array_equal(same, labels)
        is_roll = np.all(rolls == shifted.numpy(), axis=(2, 3, 4))
        assert np.array_equal(is_roll.sum(axis=0), np.ones(count))
        seen.append(is_roll.argmax(axis=0))
    assert np.array_equal(np.unique(seen), np.arange(9))  # each of the nine occurs
    if count == 8:
        assert any(len(set(offsets)) > 1 for offsets in seen)  # the quarters go their own ways


# Training


def test_training_learns_and_reports_nats():
    training.make_reproducible(0)
    images = blobs(1024)
    vae = small_vae(images)
    history = training.train_vae(vae, images, 12, 0.02, seed=0, validation_images=images[:100])
    assert set(history) >= {"loss", "reconstruction_loss", "kl_loss", "val_loss"}
    assert all(len(values) == 12 for values in history.values())
    assert history["loss"][-1] < history["loss"][0] - 5
    assert history["val_loss"][-1] == pytest.approx(history["loss"][-1], rel=0.2)
    again = training.negative_elbo(vae, images[:100])
    assert again == pytest.approx(history["val_loss"][-1], rel=0.02)  # another z, same images


def test_a_classifier_learns_and_gives_logits_a_softmax_can_use():
    training.make_reproducible(0)
    images = blobs(1024)
    labels = (images.sum(axis=1).argmax(axis=1) > 13).astype(int)  # left or right
    classifier = models.build_classifier(2, hidden=(16,))
    training.train_classifiers([classifier], [(images, labels)], seed=0)
    logits = models.predict_logits(classifier, images)
    assert np.mean(logits.argmax(axis=1) == labels) > 0.9
    assert np.abs(logits.sum(axis=1) - 1).max() > 0.1


def test_classifiers_trained_together_are_those_trained_alone(monkeypatch):
    monkeypatch.setattr(training, "CLASSIFIER_IMAGES", 1200)
    rng = np.random.default_rng(1)
    sets = [(blobs(600), rng.integers(0, 2, 600)), (blobs(600)[::-1], rng.integers(0, 2, 600))]

    def train(*chosen):
        training.make_reproducible(0)
        both = [models.build_classifier(2, hidden=(16,), name=name) for name in ("one", "other")]
        start = [weight.numpy() for classifier in both for weight in classifier.weights]
        history = training.train_classifiers(
            [both[i] for i in chosen], [sets[i] for i in chosen], seed=5
        )
        return history, start, [w.numpy() for i in chosen for w in both[i].trainable_weights]

    history, start, together = train(0, 1)
    alone = train(0)[2] + train(1)[2]
    assert {"loss", "one_loss", "other_loss"} <= set(history)
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    moved = [not any(np.array_equal(ours, before) for before in start) for ours in together]
    assert all(moved)


def test_of_sets_of_different_length_the_shorter_decides_the_steps(monkeypatch):
    monkeypatch.setattr(training, "CLASSIFIER_IMAGES", 600)
    training.make_reproducible(0)
    both = [models.build_classifier(2, hidden=(4,), name=name) for name in ("one", "other")]
    trainees = []
    fit = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda model, *a, **k: (trainees.append(model), fit(model, *a, **k))[1]
    )
    sets = [(blobs(n), np.arange(n) % 2) for n in (300, 1800)]
    training.train_classifiers(both, sets, seed=0)
    # 300 images fill one batch of 256, twice an epoch make 600
    assert trainees[0].optimizer.iterations.numpy() == 2 * training.CLASSIFIER_EPOCHS


def test_a_loss_that_is_no_number_stops_the_training_with_a_sentence():
    training.make_reproducible(0)
    images = blobs(600)
    with pytest.raises(training.TrainingError, match=r"epoch [123]: try") as caught:
        training.train_vae(small_vae(images), images, 3, 1e30, seed=0)
    assert "vae" in str(caught.value) and "--learning-rate" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_collapsed_latents_stop_the_training_with_a_sentence():
    """Images that are all the same leave the latents nothing to say."""
    training.make_reproducible(0)
    same = np.full((6000, 28, 28), 100, np.uint8)
    with pytest.raises(training.TrainingError, match="collapsed") as caught:
        training.train_vae(small_vae(same), same, 20, 0.02, seed=0)
    assert "--epochs" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_the_same_seed_trains_the_same_bits(monkeypatch):
    monkeypatch.setattr(training, "COLLAPSED_NATS", 0)  # so few steps teach next to nothing
    monkeypatch.setattr(training, "CLASSIFIER_IMAGES", 600)

    def weights(seed):
        training.make_reproducible(seed)
        images = blobs(600)
        vae, classifier = small_vae(images, seed), models.build_classifier(7, hidden=(16,))
        training.train_vae(vae, images, 2, 0.01, seed)
        training.train_classifiers([classifier], [(images, np.arange(600) % 7)], seed)
        return [weight.numpy() for weight in vae.weights + classifier.weights]

    first, again, other = weights(1), weights(1), weights(2)
    assert all(map(np.array_equal, first, again))
    assert not any(np.any((a == b) & (a != 0)) for a, b in zip(first, other, strict=True))


# Several devices

ON_DEVICES = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
import cli
import models
import training


def indices_fed(strategy):
    numbers = np.arange(len(images))
    batches = feed(images, numbers, batch_size=64, seed=3)
    parts = [
        strategy.experimental_local_results(numbers)
        for _, numbers in strategy.experimental_distribute_dataset(batches)
    ]
    assert all(len(part) == strategy.num_replicas_in_sync for part in parts)
    return [tf.concat(part, axis=0) for part in parts]


def in_order(images, *others, batch_size, **_):
    # Keras looks at a batch before it trains on several devices, so that feed would go on with
    # its second order there.
    pixels = images[..., None] / np.float32(255)
    arrays = (pixels, *others) if others else pixels
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size, drop_remainder=True)


images, folder = np.load(sys.argv[1]), sys.argv[2]
feed, training.feed = training.feed, in_order
training.shifted_by_a_pixel = lambda images, labels: (images, labels)
training.CLASSIFIER_EPOCHS, training.CLASSIFIER_IMAGES = 3, len(images)
for count, strategy in (
    (1, tf.distribute.get_strategy()),
    (2, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])),
):
    training.BATCH_SIZE = 64 // count
    training.make_reproducible(3)
    with strategy.scope():
        # Each device draws its own epsilon: a variance of nearly 0 makes that no difference.
        pixels = keras.Input((28, 28, 1))
        x = keras.layers.Flatten()(pixels)
        tiny = keras.initializers.Constant(-60)
        z_log_var = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer=tiny)
        vae = models.VAE(
            keras.Model(pixels, [keras.layers.Dense(2)(x), z_log_var(x)]),
            models.build_decoder(2, images.mean(axis=0) / 255, hidden=(16,)),
            models.MixturePrior(2, components=3, seed=3),
            seed=3,
        )
        classifier = models.build_classifier(5, hidden=(16,), dropout=0)
    start = [weight.numpy() for weight in vae.weights + classifier.weights]
    history = training.train_vae(vae, images, 3, 0.004, seed=3)
    labels = np.arange(len(images)) % 5
    # in a thread of its own, as the main script does it
    sets = [(images, labels)]
    classified = cli.beside(training.train_classifiers, [classifier], sets, 3).result()
    history |= {f"classifier {name}": values for name, values in classified.items()}

    vae.save(f"{folder}/vae {count}.keras")
    classifier.save(f"{folder}/classifier {count}.keras")
    np.savez(
        f"{folder}/found {count}.npz",
        fed=indices_fed(strategy),
        negative_elbo=training.negative_elbo(vae, images),
        z_mean=vae.encoder.predict(images[..., None] / np.float32(255), verbose=0)[0],
        logits=models.predict_logits(classifier, images),
        images=vae.generate(5),
        **history,
        **{f"weight {i}": w.numpy() for i, w in enumerate(vae.weights + classifier.weights)},
        **{f"start {i}": weight for i, weight in enumerate(start)},
    )
"""


@pytest.fixture(scope="module")
def device_folder(tmp_path_factory):
    """Where the same training on one device and on two has left its models and what it found.

    The devices of a process are settled before TensorFlow starts, hence another process.
    """
    folder = tmp_path_factory.mktemp("devices")
    np.save(folder / "images.npy", blobs(400))
    arguments = [sys.executable, "-c", ON_DEVICES, folder / "images.npy", folder]
    subprocess.run(arguments, cwd=ROOT, check=True, timeout=600)
    return folder


def test_two_devices_train_as_one_does(device_folder):
    one, two = (dict(np.load(device_folder / f"found {count}.npz")) for count in (1, 2))
    assert {"loss", "kl_loss", "reconstruction_loss", "classifier loss", "weight 0"} <= set(one)
    assert one["fed"].shape == (6, 64)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-4, err_msg=name)
    weights = [name for name in one if name.startswith("weight")]
    moved = [np.abs(one[name] - one[name.replace("weight", "start")]).max() for name in weights]
    assert np.mean(np.array(moved) > 0.01) > 0.7  # both have trained, and in the same way


def test_models_trained_on_two_devices_load_on_one(device_folder):
    two = np.load(device_folder / "found 2.npz")
    vae, classifier = (
        keras.saving.load_model(device_folder / f"{part} 2.keras") for part in ("vae", "classifier")
    )
    np.testing.assert_allclose(vae.generate(5), two["images"], atol=1e-5)
    logits = models.predict_logits(classifier, blobs(400))
    np.testing.assert_allclose(logits, two["logits"], atol=1e-4)
