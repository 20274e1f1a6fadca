"""Mean-field theory of two-layer neural networks under µP."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it. Loaded on first use, so that importing the package
# pulls in no compiler, no plotting and no transport library.
_PUBLIC = {
    "DivergenceError": "errors",
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "Problem": "problem",
    "InitialLaw": "flow.initial",
    "Particles": "flow.particles",
    "Run": "flow.run",
    "predict": "flow.run",
    "simulate": "flow.simulate",
    "MeanFieldPath": "limit.mean_field",
    "mean_field": "limit.mean_field",
    "chaos_rates": "chaos.study",
    "ChaosRates": "chaos.study",
    "wasserstein2": "chaos.transport",
    "matched_wasserstein2": "chaos.transport",
    "sliced_wasserstein2": "chaos.transport",
    "gaussian_wasserstein2": "chaos.transport",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"meanfield.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
