"""Compiling ahead of use what studies run, for clusters and images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meanfield.deep.products import rows_times
from meanfield.flow import noise
from meanfield.flow.compiled.losses import residuals_address
from meanfield.flow.compiled.tile import tile_addresses
from meanfield.flow.simulate import simulate
from meanfield.limit.lattice_convolution import spread
from meanfield.problem import Problem
from meanfield.problem.activations import ACTIVATIONS
from meanfield.problem.losses import LOSSES
from meanfield.system import compiling
from meanfield.system.progress import Progress
from meanfield.transport import wasserstein2


def warm(progress: Progress | None = None) -> dict[Path, int]:
    """Compile what studies use, for all activations and losses of the tables in either precision.

    Returns the bytes of compiled code in every folder that holds some.
    """
    total, done = 2 * len(ACTIVATIONS) + 1, 0
    for dtype in (np.dtype(np.float64), np.dtype(np.float32)):
        for activation in ACTIVATIONS.values():
            tile_addresses(activation.code, dtype)
            done += 1
            if progress is not None:
                progress(done, total)
        for loss in LOSSES.values():
            residuals_address(loss.code, dtype)
        problem = Problem(np.eye(2), [0.0, 1.0])
        simulate(problem, 2, 0.1, 1, dtype=dtype)  # the step, its predictions and its noise
        rows_times(np.ones((1, 8), dtype), np.ones((8, 8), dtype))
        noise.gaussian(0, 0, 0, 1, 1, dtype=dtype)
    noise.words(0, 0, 0, 1, 1, noise.MINIBATCH)
    x, y = np.random.default_rng(0).normal(size=(2, 32, 2))
    wasserstein2(x, y)
    spread(np.ones(1), np.ones((1, 2)), np.ones(2), np.zeros(2, np.int64), np.zeros((3, 3)))
    if progress is not None:
        progress(total, total)
    return compiling.cache_sizes()
