import json
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from trust import cli
from trust.train import fast, inference, loops
from trust.train.architectures import models


def test_fused_adam_takes_the_steps_of_adam():
    """Against keras.optimizers.Adam, and one step by hand: of the learning rate's own length."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,))]
    gradients = [[rng.normal(size=x.shape).astype(np.float32) for x in start] for _ in range(50)]

    def steps(kind):
        variables = [keras.Variable(x) for x in start]
        optimizer = kind(loops.OneCycle(0.1, 50))
        optimizer.build(variables)
        for each in gradients:
            optimizer.apply([tf.constant(x) for x in each], variables)
        assert optimizer.iterations.numpy() == 50
        return [variable.numpy() for variable in variables]

    for found, expected, x in zip(
        steps(fast.FusedAdam), steps(keras.optimizers.Adam), start, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert np.abs(found - x).min() > 1e-3

    variable = keras.Variable([1.0, 1.0])
    optimizer = fast.FusedAdam(0.25)
    optimizer.build([variable])
    optimizer.apply([tf.constant([5.0, -0.01])], [variable])
    np.testing.assert_allclose(variable, [0.75, 1.25], rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_side_by_side_is_forward_of_the_whole_batch(count):
    """Without noise, which the halves would draw each for itself."""
    keras.utils.set_random_seed(0)
    networks = models.build_encoder(3, (16,)), models.build_decoder(3, (16,))
    images = np.random.default_rng(0).random((count, 28, 28, 1), np.float32)
    found, expected = (kind(*networks) for kind in (fast.SideBySideVAE, models.VAE))
    for vae in (found, expected):
        vae.sampling = lambda moments: moments[0]
    for a, b in zip(found.forward(images), expected.forward(images), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_two_batches_are_computed_at_the_same_time():
    """Each waits for the other: one after the other, neither would come to its end."""
    both = threading.Barrier(2)

    def meet(batch):
        both.wait(timeout=30)
        return 2 * batch

    assert fast.map_two(meet, range(4)) == [0, 2, 4, 6]


def test_on_a_workbench_each_model_learns_as_it_would_alone():
    """Three with dropout, one after the other, against Keras's fit of each; one of other terms."""
    rng = np.random.default_rng(0)
    images = rng.random((64, 28, 28, 1), np.float32)
    labels = np.arange(64) % 3

    def compile_for(model):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(fast.adam(loops.OneCycle(0.01, 8)), loss)

    def learned(seed, fit):
        loops.make_reproducible(seed)
        model = models.build_classifier(3, hidden=(16,), dropout=0.5)
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)
        loss = fit(model, batches).history["loss"]
        return [*loss, *(each.numpy() for each in model.trainable_variables)]

    def alone(model, batches):
        compile_for(model)
        return model.fit(batches, epochs=4, shuffle=False, verbose=0)

    bench = fast.Workbench()
    found = {}
    for seed in (0, 1, 2, 0):
        terms = ("of seed 2",) if seed == 2 else ()
        found[seed] = learned(
            seed,
            lambda *both, terms=terms: bench.fit(
                *both, compile_for=compile_for, terms=terms, epochs=4, shuffle=False, verbose=0
            ),
        )
        for one, other in zip(found[seed], learned(seed, alone), strict=True):
            np.testing.assert_array_equal(one, other)
    assert found[0][3] < found[0][0] != found[1][0]
    assert len(bench.copies) == (0 if cli.PLAIN else 2)


def threads():
    """How many threads of one operation are asked for before TensorFlow is imported, or None."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        with cli.quiet_tensorflow():
            return os.environ.get("TF_NUM_INTRAOP_THREADS")


def train():
    """What comes out of training, {name: numbers}, and how it was done."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(6, 22, (2, 640, 1, 1))
    grid = np.arange(28)
    images = 255 * np.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / 20)
    images = images.astype(np.uint8)
    loops.make_reproducible(0)
    vae = fast.VAE(models.build_encoder(2, (16,)), models.build_decoder(2, (16,)), 3.0, 0)
    # Halves of a batch draw noise of their own: without any, only rounding is left.
    vae.sampling = lambda moments: moments[0]
    classifier = models.build_classifier(2, hidden=(64,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "LEAST_STEPS", 1)
        patch.setattr(loops, "VAE_BATCH", 64)
        patch.setattr(loops, "CLASSIFIER_BATCH", 64)
        patch.setattr(loops, "COLLAPSED_NATS", 0)
        found = loops.train_vae(vae, images, 3, 0.005, 0, verbose=0)
        losses = loops.train_classifier(classifier, images, (x > 14).ravel().astype(int), 0)
    found["classifier"] = losses["loss"]
    found["codes"] = np.ravel(inference.encode(vae, images)[0][:50]).tolist()
    return found, [fast.STEPS_TOGETHER, type(vae).__name__, type(vae.optimizer).__name__]


TRAIN = """
import json
import sys

sys.path.append("tests")
import test_fast

print(json.dumps([test_fast.train(), test_fast.threads()]))
"""


def test_the_switch_changes_how_it_is_done_and_not_what_comes_out():
    """In another process it stands the other way."""
    other = not fast.PLAIN
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        cwd=ROOT,
        env=os.environ | {"TRUST_PLAIN": str(int(other))},
        check=True,
        capture_output=True,
        text=True,
    )
    found = {
        fast.PLAIN: [train(), threads()],
        other: json.loads(done.stdout.splitlines()[-1]),
    }
    (quick, how_quick), quick_threads = found[False]
    (plain, how_plain), plain_threads = found[True]
    assert how_quick == [10, "SideBySideVAE", "FusedAdam"] and quick_threads
    assert how_plain == [1, "VAE", "Adam"] and plain_threads is None
    assert quick.keys() == plain.keys() and plain["loss"][-1] < plain["loss"][0] - 5
    for name in plain:
        np.testing.assert_allclose(quick[name], plain[name], rtol=1e-3, atol=1e-3, err_msg=name)
