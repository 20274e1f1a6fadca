"""The dataset of a decomposition: components, scans and fitted laws, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.chaos.response.comparison import ratio
from meanfield.decomposition.error_budget import ErrorBudget
from meanfield.decomposition.error_plan import Array, ErrorPlan
from meanfield.decomposition.laws import (
    HALVED,
    effective_counts,
    effective_particles,
    fitted_counts,
)
from meanfield.decomposition.truncated_target import TruncatedTarget
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.resampling import draw_repeats, log_mean_interval, mean_over_replicas
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr


def make_dataset(
    plan: ErrorPlan,
    truncated: TruncatedTarget,
    budget: ErrorBudget,
    scans: Mapping[str, tuple[str, Array]],
) -> xr.Dataset:
    """Return everything that the figures and the report show.

    `scans` are squares over a dimension by replicas, (K, R).
    """
    import xarray as xr

    parts = {**budget.components, "total": budget.total}
    variables: dict[str, Any] = {
        "component_norm": Estimate.stack(list(parts.values())).to_xarray(["component"]),
        "component_contribution": Estimate.stack(
            [part.contribution for part in parts.values()]
        ).to_xarray(["component"]),
        "component_resolution": ("component", [part.resolution for part in parts.values()]),
    }
    norms = np.stack([part.norms for part in parts.values()])
    variables["component_norms"] = (("component", "replica"), norms)
    means = {}
    for name, (dimension, values) in scans.items():
        variables[f"{name}_squares"] = ((dimension, "replica"), values)
        averaged = _geometric if dimension == "time" else _intervals
        means[name] = averaged(values, plan.scheme.seed)
        variables[f"{name}_mean"] = means[name].to_xarray([dimension])
    n, N, fitted = effective_counts(plan), effective_particles(plan), fitted_counts(plan)
    line = np.full(len(n), math.nan)
    line[fitted] = budget.statistical_rate.line(n[fitted], means["statistical"].value[fitted])
    variables["statistical_line"] = ("data_count", line)
    variables["statistical_expected"] = ("data_count", 1 / n)
    variables["chaos_line"] = ("particle_count", budget.chaos_rate.line(N, means["chaos"].value))
    variables["chaos_expected"] = ("particle_count", 1 / N)
    if budget.chaos_predicted is not None:
        variables["chaos_predicted"] = budget.chaos_predicted.to_xarray()
        variables["chaos_predicted_line"] = ("particle_count", budget.chaos_predicted.value / N)
        scaled = means["chaos"].map(lambda squares: N * squares)
        whole = Estimate.stack([budget.chaos_predicted] * len(N))
        variables["chaos_ratio"] = ratio(scaled, whole).to_xarray(["particle_count"])
    times, decay = plan.elapsed, budget.decay
    for name, rate in (("optimisation", decay.rate), ("other_start", decay.other_rate)):
        line = _exponential(times, means[name].value, rate.value, decay.span)
        variables[f"{name}_line"] = ("time", line)
        variables[f"{name}_rate"] = rate.to_xarray()
    variables["rate_difference"] = decay.difference.to_xarray()
    variables["statistical_slope"] = budget.statistical_rate.slope.to_xarray()
    variables["chaos_slope"] = budget.chaos_rate.slope.to_xarray()
    thresholds, tails, numbers = _tails(plan, truncated)
    variables["tail_by_threshold"] = ("threshold", tails)
    variables["atoms_by_threshold"] = ("threshold", numbers)
    advice = budget.advice
    gain, cost = {**advice.gain, **advice.halved}, {**advice.cost, **dict.fromkeys(HALVED, 0.0)}
    variables["gain"] = Estimate.stack(list(gain.values())).to_xarray(["option"])
    variables["cost"] = ("option", [cost[option] for option in gain])
    variables["move"] = ("round", list(budget.moves))
    coordinates = {
        "component": list(parts),
        "data_count": list(plan.data_counts),
        "particle_count": list(plan.particle_counts),
        "time": times,
        "atom_count": list(plan.atom_counts),
        "option": list(gain),
        "threshold": thresholds,
    }
    attributes = _attributes(plan, truncated, budget)
    return described(xr.Dataset(variables, coords=coordinates, attrs=attributes))


def _tails(plan: ErrorPlan, truncated: TruncatedTarget) -> tuple[Array, Array, Array]:
    """Return the L² tail and the threshold number over thresholds around the budget's.

    Empty for data. From the coefficients: under Gaussian inputs the terms are orthonormal.
    """
    thresholds = plan.threshold * np.logspace(-2, 2, 33) if truncated.bounds else np.zeros(0)
    squares, numbers = np.zeros(len(thresholds)), np.zeros(len(thresholds), dtype=int)
    for bound in truncated.bounds:
        expansion = bound.expansion
        level = np.abs(bound.activation_coefficients)[expansion.degrees]
        size = np.abs(expansion.coefficients)
        keep = (size > thresholds[:, None] * level) & expansion.seen
        squares += expansion.tail**2 + (~keep * size**2).sum(axis=1)
        numbers += (keep * bound.ranks).sum(axis=1)
    return thresholds, np.sqrt(squares), numbers


def _attributes(plan: ErrorPlan, truncated: TruncatedTarget, budget: ErrorBudget) -> dict[str, Any]:
    sizes = ("n_data", "n_particles", "n_atoms", "n_population", "long_particles", "path_particles")
    numbers = ("training_time", "tolerance", "noise", "threshold")
    attributes: dict[str, Any] = {
        "problem": repr(plan.problem),
        "closed_form": int(plan.closed_form),
        "n_steps": plan.scheme.n_steps,
        "step_size": plan.scheme.step_size_label,
        **{name: getattr(plan, name) for name in (*sizes, *numbers)},
        "tail_exact": truncated.exact,
        "kept": truncated.text,
        "closure": budget.closure,
        "settled": int(budget.settled),
        "advice": budget.advice.statement,
        "span_low": budget.decay.span[0],
        "span_high": budget.decay.span[1],
        "advised": budget.advice.first,
        "notes": budget.notes or None,
    }
    if truncated.bounds:
        attributes["barron_norm"] = sum(bound.barron_norm for bound in truncated.bounds)
        attributes["threshold_number"] = sum(bound.number for bound in truncated.bounds)
    return {name: value for name, value in attributes.items() if value is not None}


def _intervals(values: Array, seed: int) -> Estimate:
    """Return means over replicas, from (K, R)."""
    repeats = draw_repeats(values.shape[1], seed)
    return Estimate.stack([log_mean_interval(row[None], np.ones(1), repeats) for row in values])


def _geometric(values: Array, seed: int) -> Estimate:
    """Return geometric means over replicas, from (K, R)."""
    repeats = draw_repeats(values.shape[1], seed)
    logarithms = Estimate.stack([mean_over_replicas(np.log(row), repeats) for row in values])
    with np.errstate(over="ignore"):
        return logarithms.map(np.exp)


def _exponential(times: Array, means: Array, rate: float, span: tuple[float, float]) -> Array:
    """Return the fitted decay of the square, NaN outside the times of the fit."""
    line = np.full(len(times), math.nan)
    if not math.isnan(rate):
        chosen = (times >= span[0]) & (times <= span[1])
        t, level = times[chosen], np.log(means[chosen]).mean()
        line[chosen] = np.exp(level - 2 * rate * (t - t.mean()))
    return line
