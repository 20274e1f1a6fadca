"""Places from which searches for a new atom start."""

from __future__ import annotations

import numpy as np

from meanfield.dictionary.refit import Array, Regression


def random_starts(regression: Regression, n_starts: int, rng: np.random.Generator) -> Array:
    """Draw places with uniform directions and a range of sizes."""
    places = rng.standard_normal((n_starts, regression.X.shape[1]))
    size = np.exp(rng.uniform(np.log(0.3), np.log(4), n_starts))
    return places * (size / np.linalg.norm(places, axis=1))[:, None]


def moment_starts(regression: Regression) -> Array:
    """Read directions off the first and second moments of the residual with the inputs."""
    X, columns = regression.X, regression.target.T[:8]
    directions = [X.T @ r for r in columns]
    for r in columns:
        values, vectors = np.linalg.eigh((X * r[:, None]).T @ X)
        directions += list(vectors[:, np.argsort(-np.abs(values))[:4]].T)
    unit = np.array([v / np.linalg.norm(v) for v in directions if np.linalg.norm(v) > 0])
    unit = unit.reshape(-1, X.shape[1])
    return np.vstack([0.7 * unit, -0.7 * unit, 2 * unit, -2 * unit])
