"""Exact optimal transport between equal-weight clouds, under the squared Euclidean cost."""

from __future__ import annotations

from meanfield.transport.distances import (
    gaussian_wasserstein2,
    matched_wasserstein2,
    sliced_wasserstein2,
    wasserstein2,
)
from meanfield.transport.matching import Matching, optimal_matching

__all__ = [
    "Matching",
    "gaussian_wasserstein2",
    "matched_wasserstein2",
    "optimal_matching",
    "sliced_wasserstein2",
    "wasserstein2",
]
