"""MLPs of any depth: four parametrizations at finite width, and the infinite-width limit of µP."""

from __future__ import annotations

from meanfield.deep.parametrizations import (
    PARAMETRIZATIONS,
    Parametrization,
    experiment_scales,
    get_parametrization,
)
from meanfield.deep.train import DeepRun, train

__all__ = [
    "PARAMETRIZATIONS",
    "DeepRun",
    "Parametrization",
    "experiment_scales",
    "get_parametrization",
    "train",
]
