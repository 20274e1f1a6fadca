"""The chaos study as a script with JAX and POT: what `jobs.py` holds `mf.chaos_rates` against.

    python scripts/benchmarks/chaos_jax.py DATA.npz

Run by `jobs.py` with a Python that has JAX. Systems of all sizes are vmapped, each beside its
McKean–Vlasov copies, which a large system drives; W₂² of both by `ot.emd2`. Prints JSON: processor
seconds of training, compilation included, and of transport, and W₂² by size at the end.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import ot

jax.config.update("jax_enable_x64", True)


def gradient(theta, residuals, X):
    """Return the gradient of the data part for particles (N, 1 + d + 1)."""
    a, w, b = theta[:, 0], theta[:, 1:-1], theta[:, -1]
    s = jnp.tanh(X @ w.T + b)
    pulls = a * (1 - s**2) * residuals[:, None] / len(X)
    return jnp.column_stack([s.T @ residuals / len(X), pulls.T @ X, pulls.sum(axis=0)])


def output(theta, X):
    """Return f on the inputs, (n,)."""
    return jnp.tanh(X @ theta[:, 1:-1].T + theta[:, -1]) @ theta[:, 0] / len(theta)


def move(theta, f, noise, X, y, eta, l2, tau):
    """Return the particles after one step at the predictions `f`."""
    pull = gradient(theta, f - y, X) + l2 * theta
    return theta - eta * pull + jnp.sqrt(2 * eta * tau) * noise


@partial(jax.jit, static_argnames=("n_steps", "size"))
def reference(key, X, y, eta, l2, tau, n_steps, size):
    """Return the predictions of a large system before every step, (T, n)."""

    def step(theta, t):
        f = output(theta, X)
        noise = jax.random.normal(jax.random.fold_in(key, t + 1), theta.shape)
        return move(theta, f, noise, X, y, eta, l2, tau), f

    start = jax.random.normal(key, (size, X.shape[1] + 2))
    return jax.lax.scan(step, start, jnp.arange(n_steps))[1]


@partial(jax.jit, static_argnames=("size", "every"))
def systems(keys, path, X, y, eta, l2, tau, size, every):
    """Return systems and their copies at every so many steps, two of (R, times, N, C)."""

    def one(key):
        def step(pair, at):
            t, drive = at
            noise = jax.random.normal(jax.random.fold_in(key, t + 1), pair[0].shape)
            ours, copies = pair
            ours = move(ours, output(ours, X), noise, X, y, eta, l2, tau)
            return (ours, move(copies, drive, noise, X, y, eta, l2, tau)), None

        def stretch(pair, at):
            pair = jax.lax.scan(step, pair, at)[0]
            return pair, pair

        start = jax.random.normal(key, (size, X.shape[1] + 2))
        times = jnp.arange(len(path)).reshape(-1, every)
        drives = path.reshape(-1, every, path.shape[1])
        return jax.lax.scan(stretch, (start, start), (times, drives))[1]

    return jax.vmap(one)(keys)


def main(file: str) -> None:
    """Run the study."""
    data = dict(np.load(file))
    X, y, counts = data["X"], data["y"], data["counts"].tolist()
    eta, l2, tau = (float(data[name]) for name in ("eta", "l2", "tau"))
    begin = time.process_time()
    key = jax.random.PRNGKey(0)
    path = reference(key, X, y, eta, l2, tau, int(data["n_steps"]), int(data["reference"]))
    found = {}
    for size in counts:
        keys = jax.random.split(
            jax.random.fold_in(key, size), int(data["n_replicas"]) * max(counts) // size
        )
        every = int(data["n_steps"]) // int(data["times"])
        both = systems(keys, path, X, y, eta, l2, tau, size, every)
        found[size] = [np.asarray(part) for part in both]
    trained, means = time.process_time(), {}
    for size, (ours, copies) in found.items():
        squares = [
            [ot.emd2([], [], ot.dist(u, v)) for u, v in zip(one, other, strict=True)]
            for one, other in zip(ours, copies, strict=True)
        ]
        means[size] = float(np.mean(squares, axis=0)[-1])
    took = {"training": trained - begin, "transport": time.process_time() - trained}
    print(json.dumps({**took, "matched_w2": means}))


if __name__ == "__main__":
    main(sys.argv[1])
