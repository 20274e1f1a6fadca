"""Propagation of chaos: how fast the particles approach their limit."""

from __future__ import annotations

from meanfield.chaos.ensembles import Ensembles, ensemble_errors
from meanfield.chaos.fitted_rates import ChaosRates
from meanfield.chaos.measure_rates import chaos_rates
from meanfield.chaos.response.pairs import pair_covariance
from meanfield.chaos.step_size import StepSizeErrors, step_size_errors
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import Trend, fit_rate
from meanfield.transport import (
    gaussian_wasserstein2,
    matched_wasserstein2,
    sliced_wasserstein2,
    wasserstein2,
)

__all__ = [
    "ChaosRates",
    "Ensembles",
    "PowerLaw",
    "StepSizeErrors",
    "Trend",
    "chaos_rates",
    "ensemble_errors",
    "fit_rate",
    "gaussian_wasserstein2",
    "matched_wasserstein2",
    "pair_covariance",
    "sliced_wasserstein2",
    "step_size_errors",
    "wasserstein2",
]
