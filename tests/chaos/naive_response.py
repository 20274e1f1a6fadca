"""The linear response as difference quotients of a whole step, particle by particle."""

import numpy as np

from tests.naive_functions import ACTIVATIONS, LOSSES

EPSILON = 1e-4


def features(problem, theta):
    """ψ_jc of one particle (C,), shape (n, k)."""
    k = problem.n_outputs
    z = problem.X @ theta[k : k + problem.n_features]
    if problem.bias:
        z = z + theta[-1]
    return np.outer(ACTIVATIONS[problem.activation.name].value(z), theta[:k])


def force(problem, theta, f):
    """Gradient of (1/n) Σ_j ⟨ℓ′(f_j), ψ_j⟩ for one particle, over its trained coordinates only."""
    k, d = problem.n_outputs, problem.n_features
    z = problem.X @ theta[k : k + d]
    if problem.bias:
        z = z + theta[-1]
    sigma = ACTIVATIONS[problem.activation.name]
    r = LOSSES[problem.loss.name].derivative(f, problem.targets)
    back = (r @ theta[:k]) * sigma.derivative(z)
    parts = {"a": r.T @ sigma.value(z), "w": problem.X.T @ back, "b": [back.sum()]}
    names = ("a", "w", "b") if problem.bias else ("a", "w")
    whole = [parts[name] if name in problem.train else 0 * np.array(parts[name]) for name in names]
    return np.concatenate(whole) / problem.n_data


def respond(problem, coefficients, l2, positions, predictions, weights, times):
    """Return (coupling, function, pair covariance) at each of the times; the last (n k, n k)."""
    M, R = weights.shape
    C = problem.n_coordinates
    e, u = np.zeros((R, M, C)), np.zeros((R, M, C))
    found = []
    for t in range(len(positions)):
        theta, f = positions[t].T.astype(float), predictions[t]
        g, x = [], np.zeros((R, M, f.size))
        pair = np.zeros((f.size, f.size))
        for m in range(R):
            G = sum(weights[i, m] * features(problem, theta[i]) for i in range(M))
            for i in range(M):
                step = EPSILON * e[m, i]
                up, down = features(problem, theta[i] + step), features(problem, theta[i] - step)
                x[m, i] = (up - down).ravel() / (2 * EPSILON)
            g.append(G + x[m].mean(axis=0).reshape(f.shape))
            noise = np.cov(x[m].T).reshape(f.size, f.size) / M
            pair += np.outer(g[-1], g[-1]) - np.outer(G, G) - noise
        sources = [
            sum(weights[i, m] * features(problem, theta[i]) for i in range(M)) for m in range(R)
        ]
        total = np.square(sources).sum() + np.trace(pair)
        if t in times:
            found.append((np.square(e).sum() / M, total / problem.n_data, pair))
        if t == len(positions) - 1:
            return found
        for m in range(R):
            for i in range(M):
                pushed = [
                    force(problem, theta[i] + s * EPSILON * e[m, i], f + s * EPSILON * g[m])
                    for s in (1, -1)
                ]
                change = (pushed[0] - pushed[1]) / (2 * EPSILON)
                decay, gain = coefficients.decay[t], coefficients.gain[t]
                if coefficients.drift is None:
                    e[m, i] = decay * e[m, i] - gain * change
                else:
                    u[m, i] = decay * u[m, i] - gain * (change + l2 * e[m, i])
                    e[m, i] += coefficients.drift[t] * u[m, i]
    return found
