"""Compiled code of the limit layer."""

from __future__ import annotations

import numpy as np

from meanfield.system.compiling import cached


@cached()
def spread(
    masses: np.ndarray,
    points: np.ndarray,
    deviations: np.ndarray,
    reach: np.ndarray,
    out: np.ndarray,
) -> None:
    """Replace each point mass by a Gaussian on the lattice of ``out``, normalised axis by axis.

    ``points`` (Q, 2) and ``deviations`` (2,) are in units of the lattice spacing, from the first
    lattice point; along axis i the Gaussian covers ``2 reach[i] + 1`` lattice points.
    """
    first = np.empty(2 * reach[0] + 1)
    second = np.empty(2 * reach[1] + 1)
    for q in range(len(masses)):
        i = _weights(points[q, 0], deviations[0], reach[0], first)
        j = _weights(points[q, 1], deviations[1], reach[1], second)
        for u in range(len(first)):
            scale = masses[q] * first[u]
            for v in range(len(second)):
                out[i + u, j + v] += scale * second[v]


@cached()
def _weights(point: float, deviation: float, reach: int, weights: np.ndarray) -> int:
    """Fill the normalised Gaussian weights around a point; return the first lattice index."""
    start = int(np.rint(point)) - reach
    if reach == 0:
        weights[0] = 1.0
        return start
    total = 0.0
    for u in range(len(weights)):
        z = (start + u - point) / deviation
        weights[u] = np.exp(-0.5 * z * z)
        total += weights[u]
    for u in range(len(weights)):
        weights[u] /= total
    return start
