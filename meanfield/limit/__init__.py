"""Mean-field references: the limit that the particles approach."""

from __future__ import annotations

from meanfield.limit.integrator_errors import IntegratorErrors, integrator_errors
from meanfield.limit.relaxation import LogSobolevBound, free_energy, log_sobolev_bound
from meanfield.limit.relaxation_rate import Relaxation, relaxation_rate
from meanfield.limit.sharp_chaos import SharpChaos, sharp_chaos
from meanfield.limit.stationary_comparison import (
    LawDistance,
    StepSizeBias,
    stationary_distance,
    step_size_bias,
)

__all__ = [
    "IntegratorErrors",
    "LawDistance",
    "LogSobolevBound",
    "Relaxation",
    "SharpChaos",
    "StepSizeBias",
    "free_energy",
    "integrator_errors",
    "log_sobolev_bound",
    "relaxation_rate",
    "sharp_chaos",
    "stationary_distance",
    "step_size_bias",
]
