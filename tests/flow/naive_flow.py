"""Obvious NumPy twins of the compiled noise and of the compiled steps."""

from __future__ import annotations

import numpy as np

from tests.naive_functions import ACTIVATIONS, LOSSES, by_code


def philox(counter, key):
    """Philox-4x32-10 in Python integers: four words of one counter under one key."""
    c0, c1, c2, c3 = (int(word) for word in counter)
    k0, k1 = (int(word) for word in key)
    for _ in range(10):
        product0, product1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 % 2**32,
            (product0 >> 32) ^ c3 ^ k1,
            product0 % 2**32,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def gaussian(seed, replica, step, particle, coordinate, stream=0):
    """The Gaussian of one particle and coordinate."""
    counter = (16 * (particle // 64) + particle % 16, coordinate + 2**24 * stream, step, replica)
    words = philox(counter, (seed % 2**32, seed // 2**32))
    slot = particle % 64 // 16
    even, odd = words[slot // 2 * 2], words[slot // 2 * 2 + 1]
    radius = np.sqrt(-2 * np.log((even + 0.5) / 2**32))
    angle = 2 * np.pi * odd / 2**32
    return radius * (np.sin(angle) if slot % 2 else np.cos(angle))


def gaussians(seed, replica, step, n_particles, n_coordinates, stream=0):
    """The Gaussians (C, N) of one replica and step."""
    return np.array(
        [
            [gaussian(seed, replica, step, i, c, stream) for i in range(n_particles)]
            for c in range(n_coordinates)
        ]
    )


def predict(theta, X, activation, k):
    """Predictions (n, k) of one replica (C, N): the mean over particles of a σ(⟨w, x⟩ + b)."""
    z = preactivations(theta, X, k)
    return by_code(ACTIVATIONS, activation).value(z) @ theta[:k].T / theta.shape[1]


def preactivations(theta, X, k):
    """⟨w_i, x_j⟩ + b_i, shape (n, N)."""
    d = X.shape[1]
    bias = theta[k + d] if len(theta) > k + d else 0.0
    return X @ theta[k : k + d] + bias


def data_gradient(theta, X, residuals, activation, k):
    """∇_θ (1/n) Σ_j ⟨r_j, a⟩ σ(⟨w, x_j⟩ + b), shape (C, N)."""
    sigma = by_code(ACTIVATIONS, activation)
    z = preactivations(theta, X, k)
    pull = (residuals @ theta[:k]) * sigma.derivative(z)
    rows = [residuals.T @ sigma.value(z), X.T @ pull, pull.sum(axis=0)[None]]
    return np.concatenate(rows)[: len(theta)] / len(X)


def step(theta, X, targets, t, *, seed, replica, decay, gain, noise, activation, loss, drive=None,
         substeps=1):  # fmt: skip
    """One step of one replica (C, N), number ``t``."""
    k = targets.shape[1]
    f = predict(theta, X, activation, k) if drive is None else drive
    gradient = data_gradient(theta, X, by_code(LOSSES, loss).derivative(f, targets), activation, k)
    xi = sum(gaussians(seed, replica, substeps * t + m, theta.shape[1], len(theta))
             for m in range(substeps)) / np.sqrt(substeps)  # fmt: skip
    return decay[:, None] * theta - gain[:, None] * gradient + noise[:, None] * xi


def euler(l2, step_size, temperature):
    """(decay, gain, noise) of one Euler–Maruyama step, per coordinate."""
    return (
        1 - step_size * l2,
        np.full_like(l2, step_size),
        np.sqrt(2 * step_size * temperature) + 0 * l2,
    )


def exponential_euler(l2, step_size, temperature):
    """The same of one exponential Euler step, for positive l2."""
    decay = np.exp(-step_size * l2)
    return decay, (1 - decay) / l2, np.sqrt(temperature * (1 - decay**2) / l2)
