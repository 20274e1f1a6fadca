"""What is drawn at random: generators, directions and input laws."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri

from meanfield import checks
from meanfield.errors import ArgumentError

InputLaw = Literal["gaussian", "uniform-cube", "sphere", "rademacher"]
"""Names of the input laws; each is centred with unit covariance."""

_MAX_DRAWS = 10_000


def generator(seed: int, stream: int) -> np.random.Generator:
    """Return the Philox generator of one stream of a seed; streams are independent."""
    sequence = np.random.SeedSequence((checks.seed(seed), stream))
    return np.random.Generator(np.random.Philox(sequence))


def draw_inputs(
    law: InputLaw, n_points: int, n_features: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw independent inputs (n, d), centred with unit covariance.

    Gaussian; uniform on ``[−√3, √3]^d``, on the sphere of radius ``√d``, or on ``{−1, 1}^d``. The
    first rows do not depend on how many are drawn.
    """
    checks.choice("inputs", law, get_args(InputLaw))
    if law == "gaussian":
        return rng.standard_normal((n_points, n_features))
    if law == "sphere":
        return math.sqrt(n_features) * unit_rows(rng, n_points, n_features)
    uniform = rng.random((n_points, n_features))
    if law == "uniform-cube":
        return math.sqrt(3) * (2 * uniform - 1)
    return np.where(uniform < 0.5, -1.0, 1.0)


def sobol_inputs(
    law: InputLaw, n_points: int, n_features: int, rng: np.random.Generator
) -> np.ndarray:
    """Map a scrambled Sobol sequence to an input law: even coverage instead of chance.

    `n_points` is a power of two; so the first half is such a sequence as well.
    """
    from scipy.stats import qmc  # takes a third of the time of a start

    u = qmc.Sobol(n_features, scramble=True, seed=rng).random_base2(int(math.log2(n_points)))
    u = np.clip(u, 2.0**-40, 1 - 2.0**-40)
    if law == "uniform-cube":
        return math.sqrt(3) * (2 * u - 1)
    if law == "rademacher":
        return np.where(u < 0.5, -1.0, 1.0)
    normal = ndtri(u)
    if law == "sphere":
        return math.sqrt(n_features) * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return normal


def unit_rows(rng: np.random.Generator, n_rows: int, n_columns: int) -> np.ndarray:
    """Draw vectors uniformly on the unit sphere."""
    rows = rng.standard_normal((n_rows, n_columns))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def directions_apart(
    rng: np.random.Generator, n_atoms: int, n_features: int, min_angle: float
) -> np.ndarray:
    """Draw unit vectors one after the other, each until it is far from those before."""
    if checks.nonnegative("min_angle", min_angle) > 90:
        raise ArgumentError("min_angle", f"must be 0 to 90 degrees, got {min_angle}.")
    limit = math.cos(math.radians(min_angle))
    chosen = np.empty((n_atoms, n_features))
    for i in range(n_atoms):
        for _ in range(_MAX_DRAWS):
            chosen[i] = unit_rows(rng, 1, n_features)[0]
            if min_angle == 0 or (np.abs(chosen[:i] @ chosen[i]) <= limit).all():
                break
        else:
            raise ArgumentError(
                "min_angle",
                message=f"min_angle={min_angle} found room for {i} of {n_atoms} directions in "
                f"{n_features} dimensions; lower min_angle.",
            )
    return chosen


def plane_directions_apart(rng: np.random.Generator, n_atoms: int, min_angle: float) -> np.ndarray:
    """Draw unit vectors in the plane whose lines are far apart, by the gaps between them.

    Drawing again until all are far apart, as `directions_apart` does, would seldom end.
    """
    if not 0 <= n_atoms * min_angle <= 180:
        raise ArgumentError(
            "min_angle",
            message=f"min_angle={min_angle} leaves no room for {n_atoms} lines in a plane; it must "
            f"be 0 to {180 / n_atoms:g} degrees.",
        )
    gaps = rng.dirichlet(np.ones(n_atoms)) * (180 - min_angle * n_atoms) + min_angle
    turn = np.radians(np.cumsum(gaps) + rng.uniform(0, 180))
    return np.column_stack([np.cos(turn), np.sin(turn)])
