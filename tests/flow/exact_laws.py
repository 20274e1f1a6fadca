"""Stationary laws of discrete chains without sampling: linear recursions and quadrature."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from meanfield.flow.integrators import get_integrator, some_steps


def linear_variance(name, step_size, l2, curvature, tau):
    """Stationary variance of one mode with the drift −(l2 + curvature) x, by a Lyapunov equation.

    The state is (x, last increment) or (x, v); it follows the coefficients that the kernel gets.
    """
    scheme = get_integrator(name)
    steps = some_steps(np.full(9, step_size), np.full(9, tau), 7, 8)
    decay, gain, noise, drift = scheme.coefficients(np.array([l2]), steps)
    decay, gain, *noise = (np.ravel(x)[0] for x in (decay, gain, *noise))
    if drift is None:
        now, after = (*noise, 0.0)[:2]
        A = np.array([[decay - gain * curvature, now], [0, 0]])
        B = np.array([[after, now if len(noise) == 1 else 0.0], [1.0, 0.0]])
        if len(noise) == 1:
            A[0, 1] = 0.0
    else:
        h = np.ravel(drift)[0]
        kick = gain * (l2 + curvature)
        A = np.array([[1 - h * kick, h * decay], [-kick, decay]])
        B = np.array([[h * noise[0], h * noise[1]], [noise[0], noise[1]]])
    return linalg.solve_discrete_lyapunov(A, B @ B.T)[0, 0]


def gibbs_mean(potential, tau, observable, width=12.0):
    """E φ under exp(−V/τ)."""
    x = np.linspace(-width, width, 4001)
    weight = np.exp(-(potential(x) - potential(x).min()) / tau)
    return weight @ observable(x) / weight.sum()


def _stationary(transition):
    """Left eigenvector of a transition matrix, of sum 1."""
    size = len(transition)
    system = np.vstack([transition.T - np.eye(size), np.ones(size)])
    return np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]


def _normal(x, mean, deviation):
    return np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (np.sqrt(2 * np.pi) * deviation)


def markov_mean(target, deviation, observable, width):
    """E φ under the stationary law of x ← target(x) + deviation ξ."""
    h = 0.5 * deviation
    x = np.arange(-np.ceil(width / h), np.ceil(width / h) + 1) * h
    return _stationary(h * _normal(x[None], target(x)[:, None], deviation)) @ observable(x)


def leimkuhler_matthews_mean(force, step_size, tau, observable, width):
    """The same for x ← x − η V′(x) + s (ξ_t + ξ_{t+1})/2, through the chain y = x − s ξ_t / 2.

    With x = y + s ξ/2 it reads y' = 2 x − η V′(x) − y; x is found by Newton's method on the sums
    y + y', and x itself is y spread by s/2, for y and ξ are independent.
    """
    s = np.sqrt(2 * step_size * tau)
    h = s / 4
    half = int(np.ceil(width / h))
    y = np.arange(-half, half + 1) * h
    total = np.arange(-2 * half, 2 * half + 1) * h
    x = total / 2
    for _ in range(60):
        slope = (force(x + 1e-6) - force(x - 1e-6)) / 2e-6
        x = x - (2 * x - step_size * force(x) - total) / (2 - step_size * slope)
    slope = (force(x + 1e-6) - force(x - 1e-6)) / 2e-6
    index = np.add.outer(np.arange(len(y)), np.arange(len(y)))
    xi = 2 * (x[index] - y[:, None]) / s
    density = np.exp(-0.5 * xi**2) / np.sqrt(2 * np.pi) / (s * (1 - step_size * slope[index] / 2))
    law = _stationary(h * density)
    spread = h * _normal(y[None], y[:, None], s / 2)
    return law @ spread @ observable(y)


def obabo_mean(force, step_size, tau, friction, observable, width):
    """The same for the positions of OBABO, which form a chain of pairs (x_{t-1}, x_t)."""
    decay = np.exp(-friction * step_size)
    kick = step_size * (1 + decay) / 2
    deviation = step_size * np.sqrt(tau * (1 - decay**2))
    h = 0.7 * deviation
    y = np.arange(-np.ceil(width / h), np.ceil(width / h) + 1) * h
    # After x, y comes z = y + decay (y − x) − kick η V′(y) + deviation ξ.
    center = y[None] + decay * (y[None] - y[:, None]) - step_size * kick * force(y)[None]
    move = h * _normal(y[None, None], center.T[:, :, None], deviation)  # (y, x, z)
    law = np.exp(-0.5 * y**2 / tau)[:, None] * _normal(
        y[None], y[:, None], np.sqrt(tau) * step_size
    )
    law /= law.sum()  # (x, y)
    before = np.inf
    while True:
        law = np.matmul(law.T[:, None, :], move)[:, 0]
        law /= law.sum()
        mean = law.sum(axis=0) @ observable(y)
        if abs(mean - before) < 1e-12:
            return mean
        before = mean
