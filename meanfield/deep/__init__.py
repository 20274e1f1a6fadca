"""MLPs of any depth: four parametrizations at finite width, and the infinite-width limit of µP."""

from __future__ import annotations

from meanfield.deep.infinite import InfiniteWidth, infinite_width
from meanfield.deep.parametrizations import (
    PARAMETRIZATIONS,
    Parametrization,
    experiment_scales,
    get_parametrization,
)
from meanfield.deep.run import DeepRun
from meanfield.deep.train import train

__all__ = [
    "PARAMETRIZATIONS",
    "DeepRun",
    "InfiniteWidth",
    "Parametrization",
    "experiment_scales",
    "get_parametrization",
    "infinite_width",
    "train",
]
