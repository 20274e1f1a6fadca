r"""Gradients from minibatches, plain and with reduced variance.

Each step and replica draws its own set B of b data without replacement and replaces the mean over
all data in the gradient of the data part U by that over B:

.. math:: g_B(θ) = \frac1b \sum_{j \in B} r_j\, ∇_θ\, a σ(⟨w, x_j⟩ + b), \qquad E_B\, g_B = ∇U.

The residuals r_j are those of all N particles at the data of B. With an anchor period P (SVRG),
every P steps the particles are copied to an anchor θ̃ and the gradient is

.. math:: g_B(θ) − g_B(θ̃) + ∇U(θ̃),

still unbiased, with a variance that vanishes as the particles stay near their anchor. Of a drive
(McKean–Vlasov copies) the two terms at θ̃ take the predictions of the step that set the anchor.

The batch is a function of (seed, replica, step): not of N, threads, chunks or restarts. All
particles of a replica share one. Different replicas have different batches, or all the same ones:
given the batches, the particles of a large system are independent in the limit, so that rates
towards it are measured on systems that share them.

References
----------
Johnson, Zhang, "Accelerating stochastic gradient descent using predictive variance reduction",
NIPS 2013; Floyd's sampling: Bentley, Floyd, "A sample of brilliance", CACM 30 (1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow import noise

#: Data in a batch where nobody says how many.
BATCH_SIZE = 256


@dataclass(frozen=True)
class Minibatch:
    """How the gradient is estimated: b data in a batch, and the steps between two anchors of SVRG.

    An `anchor_period` of None means plain minibatches; `shared` ones are the same in all replicas.
    """

    size: int
    anchor_period: int | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", checks.count("batch_size", self.size))
        if self.anchor_period is not None:
            period = checks.count("anchor_period", self.anchor_period)
            object.__setattr__(self, "anchor_period", period)

    def draw(self, seed: int, replica: int, step: int, n_data: int) -> NDArray[np.int64]:
        """Return the data of a step, ascending."""
        return draw_batch(seed, 0 if self.shared else replica, step, n_data, self.size)

    def cost(self, n_data: int) -> float:
        """Gradient evaluations per step, in units of one over all data."""
        if self.anchor_period is None:
            return self.size / n_data
        return 2 * self.size / n_data + 1 / self.anchor_period


def as_minibatch(
    batch_size: int | None, anchor_period: int | None, n_data: int
) -> Minibatch | None:
    """Return checked settings, or None for the gradient over all data."""
    if batch_size is None:
        if anchor_period is not None:
            raise ArgumentError("anchor_period", "needs a batch_size: give one, or leave both out.")
        return None
    batches = Minibatch(batch_size, anchor_period)
    if batches.size > n_data:
        raise ArgumentError("batch_size", f"must be at most the {n_data} data, got {batch_size}.")
    return batches


class Drawn(Protocol):
    """What draws minibatches by a seed."""

    @property
    def minibatch(self) -> Minibatch | None: ...
    @property
    def seed(self) -> int: ...


def same_batches(path: Drawn, system: Drawn) -> bool:
    """Whether a path, which is the limit given its batches, is one for a system's batches."""
    mine, wanted = path.minibatch, system.minibatch
    if mine is None:
        return wanted is None or not wanted.shared
    return mine == wanted and path.seed == system.seed


def shared(minibatch: Minibatch | None) -> Minibatch | None:
    """Return minibatches that are the same in all replicas."""
    return minibatch and replace(minibatch, shared=True)


def draw_batch(seed: int, replica: int, step: int, n_data: int, size: int) -> NDArray[np.int64]:
    """Return `size` of `n_data` numbers without replacement, ascending, every set equally likely.

    Each draw multiplies a 32-bit word by the number of choices, so that probabilities are off by
    a relative ``n_data / 2**32`` at most.
    """
    words = noise.words(seed, replica, step, size, 1, stream=noise.MINIBATCH)[0]
    chosen: set[int] = set()
    for last, word in zip(range(n_data - size, n_data), words.tolist(), strict=True):
        pick = word * (last + 1) >> 32
        chosen.add(last if pick in chosen else pick)
    return np.array(sorted(chosen))
