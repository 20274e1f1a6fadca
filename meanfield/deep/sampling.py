"""The samples of the infinite-width limit, and the network that they make."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from meanfield.deep.axes import Axes
from meanfield.deep.low_rank import LowRankMatrix
from meanfield.deep.networks import LowRankNetwork, input_coordinates
from meanfield.deep.optimizers import Pace
from meanfield.deep.parametrizations import PARAMETRIZATIONS, LayerValues
from meanfield.deep.staged_matrix import StagedMatrix, stage_size
from meanfield.deep.task import REPLICATE_STREAM, Task
from meanfield.errors import ArgumentError
from meanfield.system.generators import generator


@dataclass(frozen=True)
class Sampling:
    """The numerical side of the limit."""

    n_samples: int
    n_quasi: int
    exact: bool
    tol: float
    max_rank: int
    seed: int
    weight_variance: tuple[float, float, float]
    bias_variance: float
    rate_scale: tuple[float, float, float]

    def pace(self, task: Task) -> Pace:
        """Return the rates of every step: in the units of the limit, those of width 1."""
        return Pace(
            PARAMETRIZATIONS["mup"],
            1,
            self.rate_scale,
            task.step_size,
            task.richness,
            task.optimizer,
        )

    def check(self) -> None:
        """Refuse numbers for which there is no Sobol sequence, or none that is balanced."""
        from scipy.stats import qmc  # takes a third of the time of a start

        if self.n_quasi > qmc.Sobol.MAXDIM:
            raise ArgumentError(
                "n_quasi", f"must be at most {qmc.Sobol.MAXDIM}, got {self.n_quasi}."
            )
        if self.n_quasi and self.n_samples & (self.n_samples - 1):
            below = 1 << (self.n_samples.bit_length() - 1)
            raise ArgumentError(
                "n_samples",
                f"must be a power of two, such as {below} or {2 * below}, got "
                f"{self.n_samples}; or pass n_quasi=0.",
            )

    def capacity(self, task: Task) -> int:
        """Bound the directions of one side of one hidden matrix."""
        return min(self.n_samples, len(task.inputs) * (task.n_steps + 1), self.max_rank)

    def bytes_needed(self, task: Task, n_replicas: int) -> int:
        """Bound the memory: one replica at work, and what is kept of all of them."""
        K, L, m = self.n_samples, task.depth, len(task.inputs)
        capacity = self.capacity(task)
        stage = min(K, 2 * stage_size(m))
        matrices = (L - 1) * 4 * (capacity * K + capacity**2 + stage * K)
        work = (6 * L * m + task.inputs.shape[1] + 3 * self.n_quasi) * K
        kernels = 2 * task.saved.sum() * L * task.n_train**2
        kept = kernels + task.predicted.sum() * m * task.n_outputs + 2 * L * task.n_train * K
        return int(8 * (matrices + work + 2 * n_replicas * kept))

    def network(self, task: Task, replica: int) -> LowRankNetwork:
        """Draw a replica."""
        K = self.n_samples
        root = LayerValues(*np.sqrt(self.weight_variance))
        directions: Directions | Axes
        if self.exact:
            directions = Axes(K)
        else:
            directions = Directions(self.seed, REPLICATE_STREAM + replica, K, self.n_quasi)

        def images(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
            return root.hidden * directions.take(len(rows))

        coordinates, basis = input_coordinates(task.inputs)
        kind, capacity = np.dtype(np.float64), self.capacity(task)
        tol = max(task.resolution(self.tol), 16 * float(np.finfo(kind).eps))
        # A stage keeps of a velocity what exceeds the tolerance. Measured on 300 steps: without
        # stages the limit of momentum is as fast, and its errors are far below the tolerance.
        stage = math.inf if task.optimizer.momentum else stage_size(len(task.inputs))
        hidden = [
            StagedMatrix(
                LowRankMatrix(K, images, images, tol, capacity, kind, not self.exact), stage
            )
            for _ in range(1, task.depth)
        ]
        first, last = root.input * directions.take(len(basis)), np.zeros((task.n_outputs, K))
        biases = []
        if task.bias:
            biases = list(np.sqrt(self.bias_variance) * directions.take(task.depth))
            biases.append(np.zeros(task.n_outputs))
        pace = self.pace(task)
        network = LowRankNetwork(task, coordinates, first, hidden, last, biases, pace)
        network.forward(slice(None))  # the features take their directions before the output does
        network.start_at_zero(root.output * directions.take(task.n_outputs))
        return network


class Directions:
    """A sequence of standard normal vectors of one replica, one coordinate per sample.

    The first `n_quasi` vectors are the coordinates of one scrambled Sobol sequence, in the order in
    which they are asked for, by whichever layer; the others are independent. Separate sequences for
    separate layers would not do: even with independent scramblings their first coordinates share
    leading digits, which makes them dependent. With quasi-random vectors `n_samples` is a power of
    two.
    """

    def __init__(self, seed: int, stream: int, n_samples: int, n_quasi: int):
        self.random = generator(seed, stream)
        self.n_samples, self.used = n_samples, 0
        self.quasi = np.empty((0, n_samples))
        if n_quasi:
            from scipy.stats import qmc

            scrambling = int(self.random.integers(2**63))
            points = qmc.Sobol(n_quasi, rng=scrambling).random(n_samples)
            # The grid of 2^-30 gets its midpoints, so that no coordinate is exactly 0.
            self.quasi = ndtri(points.T + 2.0**-31)

    def take(self, count: int) -> np.ndarray:
        """Return the next vectors, shape (count, n_samples)."""
        quasi = self.quasi[self.used : self.used + count]
        self.used += count
        rest = self.random.standard_normal((count - len(quasi), self.n_samples))
        return np.concatenate([quasi, rest])
