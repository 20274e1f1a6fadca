"""Obvious NumPy twins of the limit layer."""

from __future__ import annotations

import numpy as np

from tests.naive_functions import ACTIVATIONS, LOSSES


def linear_particles(X, y, start, copies, *, step_size, l2, temperatures, rng, drive):
    """Linear particle systems beside their McKean–Vlasov copies, all replicas at once.

    ``start`` is (R, N, d); ``drive`` is the mean-field path f̄ (n_steps + 1, n).
    Returns the particles, the copies and the predictions at the last step.
    """
    n = len(y)
    particles, copies = start.copy(), copies.copy()
    for t, tau in enumerate(temperatures):
        noise = np.sqrt(2.0 * step_size * tau) * rng.standard_normal(start.shape)
        predictions = particles.mean(1) @ X.T
        force = (predictions - y) @ X / n
        driven = (drive[t] - y) @ X / n
        particles = particles - step_size * (force[:, None, :] + l2 * particles) + noise
        copies = copies - step_size * (driven + l2 * copies) + noise
    return particles, copies, particles.mean(1) @ X.T


def propagation_matrix(X, *, step_size, l2, temperatures, covariance):
    """P_t of the coupling of a linear particle system with its copies, as written."""
    n, d = X.shape
    eye, gram = np.eye(d), X.T @ X / n
    A = np.block(
        [
            [(1 - step_size * l2) * eye, -step_size * gram],
            [np.zeros((d, d)), eye - step_size * (gram + l2 * eye)],
        ]
    )
    P = np.zeros((2 * d, 2 * d))
    P[d:, d:] = covariance
    path = [P]
    for tau in temperatures:
        P = A @ P @ A.T
        P[d:, d:] += 2 * step_size * tau * eye
        path.append(P)
    return np.array(path)


def gibbs_predictions(problem, f, axes):
    """∫ a σ dµ_f of the Gibbs law that the predictions f produce, by sums on a full grid."""
    n, k = problem.targets.shape
    r = LOSSES[problem.loss.name].derivative(np.reshape(f, (n, k)), problem.targets)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    total, outputs, peak = 0.0, np.zeros((n, k)), None
    for part in np.array_split(points, max(1, len(points) // 200_000)):
        a = part[:, :k] if "a" in problem.train else np.ones((len(part), k))
        theta = part[:, k:] if "a" in problem.train else part
        w, b = (theta[:, :-1], theta[:, -1:]) if problem.bias else (theta, 0.0)
        sigma = ACTIVATIONS[problem.activation.name].value(w @ problem.X.T + b)
        potential = ((sigma @ r / n) * a).sum(1) + problem.l2_input / 2 * (theta**2).sum(1)
        if "a" in problem.train:
            potential += problem.l2_output / 2 * (a**2).sum(1)
        log_weights = -potential / problem.temperature
        highest = log_weights.max()
        if peak is None or highest > peak:
            rescale = 0.0 if peak is None else np.exp(peak - highest)
            total, outputs, peak = total * rescale, outputs * rescale, highest
        weights = np.exp(log_weights - peak)
        total += weights.sum()
        outputs += (sigma * weights[:, None]).T @ a
    return (outputs / total)[:, 0] if k == 1 else outputs / total
