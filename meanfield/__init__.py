"""Mean-field theory of two-layer neural networks under µP.

>>> import meanfield as mf
>>> problem = mf.Problem(X, y)                      # doctest: +SKIP
>>> run = mf.simulate(problem, n_particles=1024)    # doctest: +SKIP
>>> rates = mf.chaos_rates(problem)                 # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it. Loaded on first use, so that importing the package
# pulls in no compiler, no plotting and no transport library.
_PUBLIC = {
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DivergenceError": "errors",
    "Problem": "problem",
    "InitialLaw": "flow.initial",
    "Particles": "flow.particles",
    "Run": "flow.run",
    "predict": "flow.run",
    "OrderFit": "flow.orders",
    "fit_order": "flow.orders",
    "simulate": "flow.simulate",
    "MeanFieldPath": "limit.mean_field",
    "mean_field": "limit.mean_field",
    "StationaryLaw": "limit.stationary",
    "stationary": "limit.stationary",
    "ChaosRates": "chaos.result",
    "chaos_rates": "chaos.study",
    "gaussian_wasserstein2": "chaos.transport",
    "matched_wasserstein2": "chaos.transport",
    "sliced_wasserstein2": "chaos.transport",
    "wasserstein2": "chaos.transport",
    "canonical": "identify",
    "equivalent": "identify",
    "orbit_depth": "identify",
    "variety_depth": "identify",
    "coefficient_threshold_number": "dictionary",
    "extract_dictionary": "dictionary",
    "admissible_weight": "moments",
    "decompose_error": "decomposition",
    "learning_cell": "cell",
    "MeanFieldClassifier": "estimators",
    "MeanFieldRegressor": "estimators",
}
_SUBPACKAGES = (
    "schedule",
    "problem",
    "flow",
    "limit",
    "chaos",
    "moments",
    "identify",
    "dictionary",
    "decomposition",
    "cell",
    "deep",
    "estimators",
    "plots",
    "studies",
)

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"meanfield.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"meanfield.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})
