"""The bias of the law, and where there is none to measure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import fit_law_bias

Array = NDArray[np.floating]

#: Of the law of a linear network, whose bias is 0 for every N.
UNBIASED = Note(
    "unbiased",
    "The law has no bias here: this network is linear in its particles, so that E f_N is the limit "
    "exactly, for every N. What the replicas show is their scatter.",
)


def law_bias(
    particle_counts: Sequence[int], deviation: Array, n_data: int, *, closed: bool
) -> PowerLaw:
    """Fit the squared bias of predictions, from ``f_N − f̄`` (K, R, n * k), as `fit_law_bias`.

    Where the dynamics has the Gaussian closure it is exactly 0: nothing is fitted and no slope is
    expected.
    """
    if closed:
        return PowerLaw(Estimate(math.nan, resampled="replicas", notes=(UNBIASED,)))
    return fit_law_bias(particle_counts, deviation, n_data)
