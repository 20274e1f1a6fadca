"""The dynamics in five libraries.

Each is a function ``library(row, start, X, y, step_size, l2, noise) -> run`` where ``run(n_steps)``
advances a copy of ``start`` (R, C, N), waits for it, and returns the final state as an array.
Squared loss, one output, bias, everything trained, Gaussian noise of amplitude ``noise`` from the
library's own generator::

    θ ← (1 − ηλ) θ − η ∇(data part) + noise ξ
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from loky import cpu_count

Run = Callable[[int], np.ndarray]


def meanfield(row, start, X, y, step_size, l2, noise) -> Run:
    """This project: fused kernels."""
    from meanfield.flow.compiled import particle_step
    from meanfield.flow.compiled.structures import NoiseCounters, make_data, make_factors
    from meanfield.problem import get_activation

    C = start.shape[1]
    code = get_activation(row.activation).code
    decay, gain = np.full(C, 1 - step_size * l2), np.full(C, step_size)
    data = make_data(X, y[:, None], C - 1, start.dtype)
    counters = NoiseCounters(np.uint64(0), 0, 0)

    def run(n_steps: int) -> np.ndarray:
        theta = start.copy()
        factors = make_factors(decay, gain, np.full((n_steps, C), noise), 1)
        particle_step.advance(theta, data, factors, counters, activation=code, loss=0)
        return theta

    return run


def jax(row, start, X, y, step_size, l2, noise) -> Run:
    """jit of a scan over the steps, vmap over the replicas."""
    import jax as J
    import jax.numpy as jnp

    J.config.update("jax_enable_x64", row.dtype == "float64")
    sigma = {
        "tanh": jnp.tanh,
        "relu": J.nn.relu,
        "silu": J.nn.silu,
        "gelu": lambda z: J.nn.gelu(z, approximate=False),
    }[row.activation]
    X, y = jnp.asarray(X), jnp.asarray(y)
    n, d = X.shape

    def one_step(theta, key):
        a, w, b = theta[0], theta[1 : 1 + d], theta[1 + d]
        s, pull_back = J.vjp(sigma, X @ w + b)
        r = (s @ a / a.size - y) / n
        (pull,) = pull_back(r[:, None] * a)
        gradient = jnp.concatenate([(r @ s)[None], X.T @ pull, pull.sum(0)[None]])
        xi = J.random.normal(key, theta.shape, theta.dtype)
        return (1 - step_size * l2) * theta - step_size * gradient + noise * xi

    def step(carry, _):
        theta, key = carry
        key, own = J.random.split(key)
        if len(theta) == 1:
            return (one_step(theta[0], own)[None], key), None
        return (J.vmap(one_step)(theta, J.random.split(own, len(theta))), key), None

    from functools import partial

    @partial(J.jit, static_argnums=1)
    def scan(theta, n_steps):
        return J.lax.scan(step, (theta, J.random.key(0)), None, length=n_steps)[0][0]

    theta0 = jnp.asarray(start)

    def run(n_steps: int) -> np.ndarray:
        return np.asarray(scan(theta0, n_steps).block_until_ready())

    return run


def _torch(row, start, X, y, step_size, l2, noise, *, compiled: bool) -> Run:
    import torch

    torch.set_num_threads(cpu_count())
    X, y, theta0 = torch.from_numpy(X), torch.from_numpy(y), torch.from_numpy(start)
    n, d = X.shape
    transposed = X.T.contiguous()

    def relu(z):
        return torch.relu(z), (z > 0).to(z.dtype)

    def tanh(z):
        s = torch.tanh(z)
        return s, 1 - s * s

    def silu(z):
        s = torch.sigmoid(z)
        return z * s, s * (1 + z * (1 - s))

    def gelu(z):
        cdf = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
        return z * cdf, cdf + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    sigma = {"relu": relu, "tanh": tanh, "silu": silu, "gelu": gelu}[row.activation]

    def step(theta):
        a, w, b = theta[:, :1], theta[:, 1 : 1 + d], theta[:, 1 + d :]
        s, slope = sigma(torch.matmul(X, w) + b)
        r = ((s * a).mean(-1) - y) / n
        pull = r[:, :, None] * a * slope
        gradient = torch.cat(
            [
                torch.matmul(r[:, None], s),
                torch.matmul(transposed, pull),
                pull.sum(1, keepdim=True),
            ],
            dim=1,
        )
        xi = torch.randn_like(theta)
        return (1 - step_size * l2) * theta - step_size * gradient + noise * xi

    if compiled:
        step = torch.compile(step)

    @torch.no_grad()
    def run(n_steps: int) -> np.ndarray:
        theta = theta0.clone()
        for _ in range(n_steps):
            theta = step(theta)
        return theta.numpy()

    return run


def torch_eager(*args) -> Run:
    """PyTorch, operation by operation."""
    return _torch(*args, compiled=False)


def torch_compiled(*args) -> Run:
    """PyTorch, one compiled step."""
    return _torch(*args, compiled=True)


def numpy(row, start, X, y, step_size, l2, noise) -> Run:
    """NumPy and SciPy."""
    from scipy import special

    n, d = X.shape

    def sigma(z):
        if row.activation == "tanh":
            s = np.tanh(z)
            return s, 1 - s * s
        if row.activation == "relu":
            return np.maximum(z, 0), (z > 0).astype(z.dtype)
        if row.activation == "silu":
            s = special.expit(z)
            return z * s, s * (1 + z * (1 - s))
        cdf = special.ndtr(z)
        return z * cdf, cdf + z * np.exp(-0.5 * z * z) / z.dtype.type(math.sqrt(2 * math.pi))

    def run(n_steps: int) -> np.ndarray:
        theta, generator = start.copy(), np.random.default_rng(0)
        for _ in range(n_steps):
            a, w, b = theta[:, :1], theta[:, 1 : 1 + d], theta[:, 1 + d :]
            s, slope = sigma(X @ w + b)
            r = ((s * a).mean(-1) - y) / n
            pull = r[:, :, None] * a * slope
            gradient = np.concatenate(
                [r[:, None] @ s, X.T @ pull, pull.sum(1, keepdims=True)], axis=1
            )
            xi = generator.standard_normal(theta.shape, theta.dtype)
            theta = (
                theta.dtype.type(1 - step_size * l2) * theta
                - theta.dtype.type(step_size) * gradient
                + theta.dtype.type(noise) * xi
            )
        return theta

    return run


LIBRARIES = {
    "meanfield": meanfield,
    "jax": jax,
    "torch": torch_eager,
    "torch compiled": torch_compiled,
    "numpy": numpy,
}
