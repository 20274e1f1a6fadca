"""The dataset of a decomposition: components, scans and fitted laws, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.decomposition.laws import (
    effective_counts,
    effective_particles,
    fitted_counts,
    mean_over_replicas,
)
from meanfield.decomposition.plan import Array, ErrorPlan
from meanfield.decomposition.reference import Kept
from meanfield.statistics.power_law import power_law
from meanfield.statistics.resampling import draw_repeats, log_mean_interval

if TYPE_CHECKING:
    import xarray as xr

_DIMENSIONS = {
    "statistical": "data_count",
    "chaos": "particle_count",
    "optimisation": "time",
    "other_start": "time",
    "sparse": "atom_count",
    "total_by_atoms": "atom_count",
    "refit_residual": "atom_count",
}


def make_dataset(
    plan: ErrorPlan, kept: Kept, budget: Mapping[str, Any], scans: Mapping[str, Array]
) -> xr.Dataset:
    """Return everything that the figures and the report show."""
    import xarray as xr

    parts = {**budget["components"], "total": budget["total"]}
    rows = {
        "value": [part.value for part in parts.values()],
        "low": [part.interval[0] for part in parts.values()],
        "high": [part.interval[1] for part in parts.values()],
        "resolution": [part.resolution for part in parts.values()],
    }
    variables: dict[str, Any] = {
        f"component_{key}": ("component", row) for key, row in rows.items()
    }
    norms = np.stack([part.norms for part in parts.values()])
    variables["component_norm"] = (("component", "replica"), norms)
    for name, values in scans.items():
        dimension = _DIMENSIONS[name]
        variables[f"{name}_squares"] = ((dimension, "replica"), values)
        averaged = _geometric if dimension == "time" else _intervals
        mean, low, high = averaged(values, plan.seed)
        for part, row in (("mean", mean), ("low", low), ("high", high)):
            variables[f"{name}_{part}"] = (dimension, row)
    counts, fitted = effective_counts(plan), fitted_counts(plan)
    line = np.full(len(counts), math.nan)
    line[fitted] = _line(
        counts[fitted], variables["statistical_mean"][1][fitted], budget["statistical_rate"].slope
    )
    variables["statistical_fit"] = ("data_count", line)
    particle_counts = effective_particles(plan)
    variables["statistical_expected"] = ("data_count", 1 / counts)
    variables["chaos_expected"] = ("particle_count", 1 / particle_counts)
    variables["chaos_fit"] = (
        "particle_count",
        _line(particle_counts, variables["chaos_mean"][1], budget["chaos_rate"].slope),
    )
    times = plan.times * plan.step_size
    decay = budget["decay"]
    for name, rate in (("optimisation", decay.rate), ("other_start", decay.other_rate)):
        line = _exponential(times, variables[f"{name}_mean"][1], rate, decay.span)
        variables[f"{name}_fit"] = ("time", line)
    thresholds, tails, numbers = _tails(plan, kept)
    variables["tail_by_threshold"] = ("threshold", tails)
    variables["atoms_by_threshold"] = ("threshold", numbers)
    advice = budget["advice"]
    options = list(advice.gain)
    variables |= {
        "gain": ("option", [advice.gain[option] for option in options]),
        "gain_low": ("option", [advice.gain_ci[option][0] for option in options]),
        "gain_high": ("option", [advice.gain_ci[option][1] for option in options]),
        "cost": ("option", [advice.cost[option] for option in options]),
        "move": ("round", list(budget["moves"])),
    }
    coordinates = {
        "component": list(parts),
        "data_count": list(plan.data_counts),
        "particle_count": list(plan.particle_counts),
        "time": times,
        "atom_count": list(plan.atom_counts),
        "option": options,
        "threshold": thresholds,
    }
    return xr.Dataset(variables, coords=coordinates, attrs=_attributes(plan, kept, budget))


def _tails(plan: ErrorPlan, kept: Kept) -> tuple[Array, Array, Array]:
    """Return the L² tail and the threshold number over thresholds around the budget's.

    Empty for data. From the coefficients: under Gaussian inputs the terms are orthonormal.
    """
    thresholds = plan.threshold * np.logspace(-2, 2, 33) if kept.bounds else np.zeros(0)
    squares, numbers = np.zeros(len(thresholds)), np.zeros(len(thresholds), dtype=int)
    for bound in kept.bounds:
        expansion = bound.expansion
        level = np.abs(bound.activation_coefficients)[expansion.degrees]
        size = np.abs(expansion.coefficients)
        keep = (size > thresholds[:, None] * level) & expansion.seen
        squares += expansion.tail**2 + (~keep * size**2).sum(axis=1)
        numbers += (keep * bound.ranks).sum(axis=1)
    return thresholds, np.sqrt(squares), numbers


def _attributes(plan: ErrorPlan, kept: Kept, budget: Mapping[str, Any]) -> dict[str, Any]:
    decay = budget["decay"]
    attributes: dict[str, Any] = {
        "problem": repr(plan.problem),
        "closed_form": int(plan.closed_form),
        "n_data": plan.n_data,
        "n_particles": plan.n_particles,
        "n_steps": plan.n_steps,
        "n_atoms": 0 if plan.n_atoms is None else plan.n_atoms,
        "step_size": plan.step_size,
        "n_population": plan.n_population,
        "long_particles": plan.long_particles,
        "path_particles": plan.path_particles,
        "tolerance": plan.tolerance,
        "noise": plan.noise,
        "threshold": plan.threshold,
        "tail_exact": kept.exact,
        "kept": kept.text,
        "closure": budget["closure"],
        "settled": int(budget["settled"]),
        "advice": budget["advice"].statement,
        "advised": budget["advice"].option or "",
        "notes": "\n".join(budget["notes"]),
        "span_low": decay.span[0],
        "span_high": decay.span[1],
    }
    for name in ("rate", "other_rate"):
        attributes[name] = getattr(decay, name)
    for name, interval in (
        ("rate", decay.rate_ci),
        ("other_rate", decay.other_ci),
        ("rate_difference", decay.difference_ci),
    ):
        attributes[f"{name}_low"], attributes[f"{name}_high"] = interval
    for name in ("statistical", "chaos"):
        fit = budget[f"{name}_rate"]
        attributes[f"{name}_slope"] = fit.slope
        attributes[f"{name}_slope_low"], attributes[f"{name}_slope_high"] = fit.slope_ci
        attributes[f"{name}_constant"] = fit.constant
        attributes[f"{name}_flags"] = "\n".join(fit.flags)
    if kept.bounds:
        attributes["barron_norm"] = sum(bound.barron_norm for bound in kept.bounds)
        attributes["threshold_number"] = sum(bound.number for bound in kept.bounds)
    return attributes


def _intervals(values: Array, seed: int) -> tuple[Array, Array, Array]:
    """Return means over replicas, from (K, R), with intervals."""
    repeats = draw_repeats(values.shape[1], seed)
    rows = []
    for row in values:
        mean, (low, high) = log_mean_interval(row[None], np.ones(1), repeats)
        rows.append((mean, low, high))
    mean, low, high = np.array(rows).reshape(-1, 3).T
    return mean, low, high


def _geometric(values: Array, seed: int) -> tuple[Array, Array, Array]:
    """Return geometric means over replicas, from (K, R), with intervals."""
    repeats = draw_repeats(values.shape[1], seed)
    rows = [mean_over_replicas(np.log(row), repeats) for row in values]
    rows = [(mean, low, high) for mean, (low, high) in rows]
    with np.errstate(over="ignore"):
        mean, low, high = np.exp(rows).T
    return mean, low, high


def _line(counts: Array, means: Array, slope: float) -> Array:
    """Return the fitted power law, NaN where none was fitted."""
    if math.isnan(slope):
        return np.full(len(counts), math.nan)
    return power_law(counts, means, slope)


def _exponential(times: Array, means: Array, rate: float, span: tuple[float, float]) -> Array:
    """Return the fitted decay of the square, NaN outside the times of the fit."""
    line = np.full(len(times), math.nan)
    if not math.isnan(rate):
        chosen = (times >= span[0]) & (times <= span[1])
        t, level = times[chosen], np.log(means[chosen]).mean()
        line[chosen] = np.exp(level - 2 * rate * (t - t.mean()))
    return line
