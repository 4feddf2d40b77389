"""The JAX peer: the dense VAE of torch_vae.py, a whole epoch compiled as one program.

# in a virtual environment of its own
pip install jax optax numpy
python benchmarks/jax_vae.py data/mnist.npz

Prints a line for each epoch: seconds of training so far, compilation included, and test negative
ELBO in nats per image.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--latent", type=int, default=20)
parser.add_argument("--learning-rate", type=float, default=1e-3)
args = parser.parse_args()

data = np.load(args.data)
train, test = (jnp.asarray(data[k]).reshape(-1, 784) for k in ("x_train", "x_test"))
sizes = [(784, 400), (400, 2 * args.latent), (args.latent, 400), (400, 784)]


def initial(key, size):
    """Weights and biases, scaled as PyTorch scales its weights."""
    return jax.random.uniform(key, size, minval=-1, maxval=1) * size[0] ** -0.5, jnp.zeros(size[1])


def loss(weights, pixels, key):
    encode, code, decode, draw = weights
    hidden = jax.nn.relu(pixels @ encode[0] + encode[1])
    mean, log_var = jnp.split(hidden @ code[0] + code[1], 2, axis=1)
    z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
    logits = jax.nn.relu(z @ decode[0] + decode[1]) @ draw[0] + draw[1]
    nats = optax.sigmoid_binary_cross_entropy(logits, pixels).sum(1)
    return jnp.mean(nats - 0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(1))


optimizer = optax.adam(args.learning_rate)
weights = [
    initial(*each) for each in zip(jax.random.split(jax.random.key(0), 4), sizes, strict=True)
]
state = optimizer.init(weights)


@jax.jit
def train_epoch(weights, state, key):
    key, shuffle = jax.random.split(key)
    order = jax.random.permutation(shuffle, len(train))
    batches = order[: len(train) // args.batch * args.batch].reshape(-1, args.batch)

    def step(carry, batch):
        weights, state, key = carry
        key, noise = jax.random.split(key)
        gradients = jax.grad(loss)(weights, train[batch].astype(jnp.float32) / 255, noise)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(weights, updates), state, key), None

    return jax.lax.scan(step, (weights, state, key), batches)[0][:2]


spent = 0.0
for epoch in range(args.epochs):
    start = time.perf_counter()
    weights, state = train_epoch(weights, state, jax.random.key(epoch))
    jax.block_until_ready(weights)
    spent += time.perf_counter() - start
    nats = loss(weights, test.astype(jnp.float32) / 255, jax.random.key(99))
    print(f"epoch {epoch + 1}: {spent:.2f} s, {nats:.2f} nats", flush=True)
