"""Mean-field theory of two-layer neural networks under µP.

>>> import meanfield as mf
>>> problem = mf.Problem(X, y)                      # doctest: +SKIP
>>> run = mf.simulate(problem, n_particles=1024)    # doctest: +SKIP
>>> rates = mf.chaos_rates(problem)                 # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from meanfield.system.version import VERSION

if TYPE_CHECKING:  # the names below, for type checkers
    from meanfield import cell as cell
    from meanfield import chaos as chaos
    from meanfield import decomposition as decomposition
    from meanfield import deep as deep
    from meanfield import dictionary as dictionary
    from meanfield import estimators as estimators
    from meanfield import flow as flow
    from meanfield import identify as identify
    from meanfield import limit as limit
    from meanfield import moments as moments
    from meanfield import plots as plots
    from meanfield import problem as problem
    from meanfield import studies as studies
    from meanfield import transport as transport
    from meanfield.cell import learning_cell as learning_cell
    from meanfield.chaos.fitted_rates import ChaosRates as ChaosRates
    from meanfield.chaos.measure_rates import chaos_rates as chaos_rates
    from meanfield.chaos.response.predict import predict_chaos as predict_chaos
    from meanfield.chaos.response.prediction import ChaosPrediction as ChaosPrediction
    from meanfield.decomposition import decompose_error as decompose_error
    from meanfield.dictionary import coefficient_threshold_number as coefficient_threshold_number
    from meanfield.dictionary import extract_dictionary as extract_dictionary
    from meanfield.errors import CheckpointError as CheckpointError
    from meanfield.errors import ConfigError as ConfigError
    from meanfield.errors import DivergenceError as DivergenceError
    from meanfield.estimators import MeanFieldClassifier as MeanFieldClassifier
    from meanfield.estimators import MeanFieldRegressor as MeanFieldRegressor
    from meanfield.flow import schedule as schedule
    from meanfield.flow.initial import InitialLaw as InitialLaw
    from meanfield.flow.iterate import iterate as iterate
    from meanfield.flow.particles import Particles as Particles
    from meanfield.flow.pilot import pilot as pilot
    from meanfield.flow.run import Run as Run
    from meanfield.flow.run import predict as predict
    from meanfield.flow.scheme import Scheme as Scheme
    from meanfield.flow.simulate import simulate as simulate
    from meanfield.identify import equivalent as equivalent
    from meanfield.identify import orbit_depth as orbit_depth
    from meanfield.identify import variety_depth as variety_depth
    from meanfield.identify.canonical import canonical as canonical
    from meanfield.limit.duality import DualityGap as DualityGap
    from meanfield.limit.duality import duality_gap as duality_gap
    from meanfield.limit.mean_field import MeanFieldPath as MeanFieldPath
    from meanfield.limit.mean_field import mean_field as mean_field
    from meanfield.limit.stationary import StationaryLaw as StationaryLaw
    from meanfield.limit.stationary import stationary as stationary
    from meanfield.moments import admissible_weight as admissible_weight
    from meanfield.problem import Activation as Activation
    from meanfield.problem import Loss as Loss
    from meanfield.problem import Problem as Problem
    from meanfield.statistics.estimate import Estimate as Estimate
    from meanfield.statistics.orders import fit_order as fit_order
    from meanfield.statistics.power_law import PowerLaw as PowerLaw
    from meanfield.studies.experiment.proposal import propose as propose
    from meanfield.studies.sweep.run import sweep as sweep
    from meanfield.transport import gaussian_wasserstein2 as gaussian_wasserstein2
    from meanfield.transport import matched_wasserstein2 as matched_wasserstein2
    from meanfield.transport import sliced_wasserstein2 as sliced_wasserstein2
    from meanfield.transport import wasserstein2 as wasserstein2

# Public name -> module that defines it. Loaded on first use, so that importing the package
# pulls in no compiler, no plotting and no transport library.
_PUBLIC = {
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DivergenceError": "errors",
    "Activation": "problem",
    "Loss": "problem",
    "Problem": "problem",
    "InitialLaw": "flow.initial",
    "Particles": "flow.particles",
    "Run": "flow.run",
    "Scheme": "flow.scheme",
    "pilot": "flow.pilot",
    "propose": "studies.experiment.proposal",
    "sweep": "studies.sweep.run",
    "predict": "flow.run",
    "Estimate": "statistics.estimate",
    "PowerLaw": "statistics.power_law",
    "fit_order": "statistics.orders",
    "simulate": "flow.simulate",
    "iterate": "flow.iterate",
    "DualityGap": "limit.duality",
    "duality_gap": "limit.duality",
    "MeanFieldPath": "limit.mean_field",
    "mean_field": "limit.mean_field",
    "StationaryLaw": "limit.stationary",
    "stationary": "limit.stationary",
    "ChaosRates": "chaos.fitted_rates",
    "chaos_rates": "chaos.measure_rates",
    "predict_chaos": "chaos.response.predict",
    "ChaosPrediction": "chaos.response.prediction",
    "gaussian_wasserstein2": "transport",
    "matched_wasserstein2": "transport",
    "sliced_wasserstein2": "transport",
    "wasserstein2": "transport",
    "canonical": "identify.canonical",
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
# Public part -> module.
_PARTS = {
    "schedule": "flow.schedule",
    "problem": "problem",
    "flow": "flow",
    "limit": "limit",
    "chaos": "chaos",
    "moments": "moments",
    "identify": "identify",
    "dictionary": "dictionary",
    "decomposition": "decomposition",
    "cell": "cell",
    "deep": "deep",
    "estimators": "estimators",
    "plots": "plots",
    "studies": "studies",
    "transport": "transport",
}

__version__ = VERSION
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"meanfield.{_PARTS[name]}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"meanfield.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PARTS})
