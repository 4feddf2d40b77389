"""The PyTorch peer: a dense VAE, all data in memory, no loader; eager, or compiled with --compile.

# in a virtual environment of its own
pip install torch==2.13.0 numpy
python benchmarks/torch_vae.py data/mnist.npz

784-400-z-400-784, ReLU, the size of the common PyTorch tutorial.
Prints a line for each epoch: seconds of training so far, compilation included, and test negative
ELBO in nats per image.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--latent", type=int, default=20)
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--compile", action="store_true", help="use torch.compile")
args = parser.parse_args()

torch.manual_seed(1)
data = np.load(args.data)
train, test = (torch.tensor(data[k]).float().div(255) for k in ("x_train", "x_test"))
encoder = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * args.latent)
)
decoder = nn.Sequential(nn.Linear(args.latent, 400), nn.ReLU(), nn.Linear(400, 784))
parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = torch.optim.Adam(parameters, args.learning_rate, fused=True)


def loss(x):
    mean, log_var = encoder(x).chunk(2, 1)
    z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
    logits = decoder(z)
    nll = functional.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    return (nll - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()) / len(x)


training_loss = torch.compile(loss) if args.compile else loss
spent = 0.0
for epoch in range(args.epochs):
    start, order = time.perf_counter(), torch.randperm(len(train))
    for i in range(0, len(train) - args.batch + 1, args.batch):
        optimizer.zero_grad()
        training_loss(train[order[i : i + args.batch]]).backward()
        optimizer.step()
    spent += time.perf_counter() - start
    with torch.no_grad():
        nats = np.mean([loss(x).item() for x in test.split(1000)])
    print(f"epoch {epoch + 1}: {spent:.2f} s, {nats:.2f} nats", flush=True)
