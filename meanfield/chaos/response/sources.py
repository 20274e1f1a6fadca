r"""Where fluctuations come from: directions of the data, weights that make sources of particles.

The fluctuation of the mean of N independent particles has the covariance of one, over data and
steps. A *source* is a combination :math:`\sum_i S_i ψ(θ_i)` of the paths of M of them, and R
sources together must have that covariance, as :math:`S S^⊤ = 1/(M − 1)` off the constants would
give it. Most of it are two parts:

- *leading*: q scores y of each particle, its features smoothed over time and at the steps that are
  asked for, of which a larger sample gives the covariance :math:`Λ`. What the paths have to do with
  the scores is regressed on the M particles: :math:`S = Y (Y^⊤Y)^{-1} Λ^{1/2}`.
- *the rest*, which is rough and of high dimension: random combinations of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.response.linearised import Linearisation

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]

_BINS, _PER_BIN = 24, 3
#: Weight of the steps that are asked for among the features, whose function depends on them alone.
_ASKED = 3.0


@dataclass(frozen=True)
class Sources:
    """Directions, and scores: `score` maps a step to what ``ψ B`` (M, r) is multiplied with."""

    linearisation: Linearisation
    score: dict[int, Array]

    @property
    def basis(self) -> Array:
        """Orthonormal directions of the data, (n k, r)."""
        basis = self.linearisation.basis
        return basis.reshape(-1, basis.shape[2])


def choose_sources(
    problem: Problem, positions: Array, times: list[int], leading: int, tail: float, width: float
) -> Sources:
    """Choose directions and scores from the paths (T + 1, C, M) of some particles.

    The share `tail` of the fluctuations may lie outside the basis of the data.
    """
    steps, averaging = _looks(len(positions), times)
    n, k = problem.n_data, problem.n_outputs
    reader = Linearisation(problem, np.zeros((n * k, 1)), width)
    covariance = np.zeros((n * k, n * k))
    for t in steps:
        psi = reader.features(positions[t]).astype(np.float64)
        psi -= psi.mean(axis=0)
        # Every step counts the same, whatever its size.
        covariance += psi.T @ psi / (np.square(psi).sum() or 1.0)
    values, vectors = np.linalg.eigh(covariance)
    values = values[::-1].clip(0)
    share = np.cumsum(values) / (values.sum() or 1.0)
    r = min(n * k, int(np.searchsorted(share, 1 - tail)) + 1)
    basis = np.ascontiguousarray(vectors[:, ::-1][:, :r])
    seen = [reader.features(positions[t]) @ basis for t in steps]
    stacked = np.stack([x - x.mean(axis=0) for x in seen])  # (looks, M, r)
    features = np.einsum("fl,lmr->mfr", averaging, stacked).reshape(positions.shape[2], -1)
    _, sizes, rows = np.linalg.svd(features, full_matrices=False)
    q = min(leading, int((sizes > 1e-4 * sizes[0]).sum()), positions.shape[2] // 4)
    directions = (rows[:q] / sizes[:q, None]).reshape(q, len(averaging), r)
    score = {
        t: np.einsum("f,qfr->rq", averaging[:, i], directions).astype(np.float32)
        for i, t in enumerate(steps)
    }
    return Sources(Linearisation(problem, basis, width), score)


def _looks(n_steps: int, times: list[int]) -> tuple[list[int], Array]:
    """Return steps to look at, and how features are their weighted means, (features, looks)."""
    bins = [
        b[np.unique(np.linspace(0, len(b) - 1, _PER_BIN).round().astype(int))].tolist()
        for b in np.array_split(np.arange(n_steps), min(_BINS, n_steps))
    ]
    steps = sorted({*times, *(t for b in bins for t in b)})
    at = {t: i for i, t in enumerate(steps)}
    weights = np.zeros((len(bins) + len(times), len(steps)))
    for row, b in zip(weights, bins, strict=False):
        row[[at[t] for t in b]] = 1 / len(b)
    for row, t in zip(weights[len(bins) :], times, strict=True):
        row[at[t]] = _ASKED
    return steps, weights


def source_weights(scores: Array, M: int, random: int, rng: np.random.Generator) -> Array:
    """Return the weights (M, R) of the first M particles, from the scores (size, q) of all."""
    scores = scores - scores.mean(axis=0)
    covariance = scores.T @ scores / (len(scores) - 1)
    own = scores[:M] - scores[:M].mean(axis=0)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))
    leading = own @ np.linalg.solve(own.T @ own, root)
    # The regression's own error adds this share of what is left; take it off the rest.
    added = np.square(leading).sum()
    left = rng.standard_normal((M, random))
    left -= left.mean(axis=0)
    left -= own @ np.linalg.solve(own.T @ own, own.T @ left)
    left *= np.sqrt(max(0.0, 1 - added) / (random * (M - 1 - own.shape[1])))
    return np.concatenate([leading, left], axis=1).astype(np.float32)
