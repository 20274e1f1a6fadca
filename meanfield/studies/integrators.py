"""The study `integrators`: pathwise and stationary errors of every scheme, and what they cost."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.integrators import INTEGRATORS, Integrator, get_integrator
from meanfield.flow.minibatch import Minibatch, as_minibatch
from meanfield.flow.step_loop import run_steps
from meanfield.limit.stationary import check_supported, stationary
from meanfield.problem import Problem
from meanfield.statistics.intervals import mean_interval
from meanfield.statistics.orders import OrderFit, fit_order
from meanfield.studies.integrators_report import report
from meanfield.workbench.config import Count, Positive, Section, named_keys
from meanfield.workbench.sections.data import ProblemConfig, build_problem, data_fingerprint
from meanfield.workbench.study import Arrays, Context, Number, Outcome, Plan, Study, Unit

Array = np.ndarray

#: Relative bias at which schemes are compared by their cost.
_ACCURACY = 0.03
#: Replicas of one unit of work.
_UNIT = 8
#: Particles of the pathwise part, and how much finer than the smallest step its reference is.
_PATH_PARTICLES, _PATH_REFINEMENT = 256, 32


class IntegratorsSection(Section):
    """The schemes and the step sizes at which they are measured."""

    schemes: list[str] = Field(
        list(INTEGRATORS), description="Integrators; kinetic(0.5) sets the friction."
    )
    step_sizes: list[Positive] = Field(
        [0.2, 0.3, 0.4, 0.6, 0.8],
        description="Step sizes of the long runs, at least three; large ones, for the bias of a "
        "scheme of second order is soon hidden.",
    )
    reference_step: Positive = Field(
        0.025,
        description="Step size of the reference, of which every step size is a whole multiple.",
    )
    n_particles: Count = Field(2048, description="Particles of each system.")
    n_replicas: Count = Field(32, description="Independent systems; intervals are over them.")
    burn_in: Positive = Field(12.0, description="Time after which averages over time begin.")
    duration: Positive = Field(60.0, description="Time at which they end.")
    path_step_sizes: list[Positive] = Field(
        [0.0125, 0.025, 0.05, 0.1],
        description="Step sizes of the pathwise error, at least three; multiples of the smallest.",
    )
    path_time: Positive = Field(3.2, description="Time at which the pathwise error is taken.")
    batch_size: Count | None = Field(
        None, description="Also measure the first scheme with minibatches of this size."
    )
    anchor_period: Count | None = Field(
        None, description="And with SVRG, its anchor renewed after this many steps."
    )


class IntegratorsConfig(ProblemConfig):
    """Configuration of the study `integrators`."""

    integrators: IntegratorsSection = Field(default_factory=IntegratorsSection)


def prepare(config: IntegratorsConfig) -> Plan:
    """Check the configuration; the stationary law is one unit, every few replicas another."""
    problem, section = build_problem(config), config.integrators
    with named_keys(integrators=IntegratorsSection):
        check_supported(problem)
        schemes = [get_integrator(name) for name in section.schemes]
        if not schemes:
            raise ValueError("schemes must name at least one integrator.")
        sizes = _sizes("step_sizes", section.step_sizes, section.reference_step)
        path_sizes = _sizes("path_step_sizes", section.path_step_sizes, None)
        for name, among in (("burn_in", sizes), ("duration", sizes), ("path_time", path_sizes)):
            for h in among:
                _whole(name, getattr(section, name), h)
        if section.burn_in >= section.duration:
            raise ValueError("burn_in must be shorter than duration.")
        if section.n_replicas < 4:
            raise ValueError(f"n_replicas must be at least 4, got {section.n_replicas}.")
        variants = {scheme.name: (scheme, None) for scheme in schemes}
        for period in (None, section.anchor_period):
            batches = as_minibatch(section.batch_size, period, problem.n_data)
            if batches is not None:
                kind = "minibatch" if period is None else "SVRG"
                variants[f"{schemes[0].name}, {kind}"] = (schemes[0], batches)
    shared = {"problem": problem, "section": section, "seed": config.seed}
    shared |= {"sizes": sizes, "path_sizes": path_sizes}
    law = {"problem": problem, "section": section, "seed": config.seed}
    units = [Unit("law", stationary_start, law, "stationary law", weight=0.2)]
    for first in range(0, section.n_replicas, _UNIT):
        last = min(first + _UNIT, section.n_replicas)
        arguments = {"variants": variants, "first": first, "last": last, **shared}
        label = f"replicas {first + 1}–{last} of {section.n_replicas}"
        key = f"replicas-{first:05d}"
        units.append(
            Unit(key, measure, arguments, label, {"law": "law"}, last - first, context=True)
        )
    return Plan(
        units,
        lambda results: combine(config, problem, variants, sizes, path_sizes, results),
        data_fingerprint(problem),
    )


def _sizes(name: str, values: list[float], part: float | None) -> list[float]:
    """Return at least three step sizes, ascending, all multiples of `part` or of the smallest."""
    sizes = sorted(set(values))
    if len(sizes) < 3:
        raise ValueError(f"{name} must hold at least three step sizes, got {sizes}.")
    for h in sizes:
        _whole(name, h, part or sizes[0])
    return sizes


def _whole(name: str, value: float, part: float) -> int:
    """Return how often `part` goes into `value`, which must be a whole number."""
    times = round(value / part)
    if times < 1 or not math.isclose(times * part, value, rel_tol=1e-9):
        raise ValueError(f"{name} must hold whole multiples of {part:g}, got {value:g}.")
    return times


def stationary_start(problem: Problem, section: IntegratorsSection, seed: int) -> Arrays:
    """Solve for the stationary law and draw the particles that every system starts from."""
    law = stationary(problem)
    sample = law.sample(section.n_particles, section.n_replicas, seed)
    return {"predictions": law.predictions, "start": sample.coordinates.swapaxes(1, 2)}


def measure(
    problem: Problem,
    section: IntegratorsSection,
    variants: Mapping[str, tuple[Integrator, Minibatch | None]],
    sizes: list[float],
    path_sizes: list[float],
    seed: int,
    first: int,
    last: int,
    law: Arrays,
    context: Context,
) -> Arrays:
    """Run every variant at every step size on the Brownian paths of its reference.

    Returns
    -------
    dict of ndarray
        ``bias`` (variants, sizes, replicas): amplitude of the predictions relative to the
        stationary ones, averaged over time, less that of the reference; ``reference`` (variants,
        replicas): that of the reference less 1; ``path`` (variants, path_sizes, replicas): mean
        squared distance of the particles from the reference at one time. NaN where a run
        diverged or was not made.
    """
    start = np.ascontiguousarray(law["start"][first:last])
    few = np.ascontiguousarray(start[:, :, :_PATH_PARTICLES])
    target = law["predictions"].reshape(-1)
    direction = target / (target @ target)
    replicas = last - first
    h0, h_path = section.reference_step, path_sizes[0] / _PATH_REFINEMENT
    none = Checkpoint(None, "")

    def dynamics(
        scheme: Integrator, h: float, m: int, steps: int, batches: Minibatch | None
    ) -> Dynamics:
        taus = np.full(steps, problem.temperature)
        return Dynamics(problem, scheme, h, taus, seed, first, m, minibatch=batches)

    def amplitude(scheme: Integrator, h: float, m: int, batches: Minibatch | None = None) -> Array:
        """Amplitude (R, steps + 1) of the predictions over the duration."""
        steps = _whole("duration", section.duration, h)
        path = np.empty((replicas, steps + 1, problem.n_data, problem.n_outputs))
        run = dynamics(scheme, h, m, steps, batches)
        run_steps(run, start, np.array([steps]), path=path, checkpoint=none)
        return path.reshape(replicas, steps + 1, -1) @ direction

    def end(scheme: Integrator, h: float, m: int) -> Array:
        """Particles at the end of the pathwise part."""
        steps = _whole("path_time", section.path_time, h)
        run = dynamics(scheme, h, m, steps, None)
        return run_steps(run, few, np.array([steps]), checkpoint=none)[0]

    @functools.cache
    def exact_amplitude(name: str) -> Array:
        return amplitude(get_integrator(name), h0, 1)

    @functools.cache
    def exact_end(name: str) -> Array:
        return end(get_integrator(name), h_path, 1)

    arrays = {
        "bias": np.full((len(variants), len(sizes), replicas), np.nan),
        "path": np.full((len(variants), len(path_sizes), replicas), np.nan),
        "reference": np.full((len(variants), replicas), np.nan),
    }
    for v, (scheme, batches) in enumerate(variants.values()):
        if batches is not None and first > 0:
            continue  # one unit shows their bias, which is large
        # Leimkuhler and Matthews' method has the smallest bias, Euler the truest path.
        fine = exact_amplitude(scheme.name if scheme.has_velocity else "leimkuhler-matthews")
        arrays["reference"][v] = fine[:, round(section.burn_in / h0) :].mean(axis=1) - 1
        for s, h in enumerate(sizes):
            m = _whole("step_sizes", h, h0)
            try:
                coarse = amplitude(scheme, h, m, batches)
                gap = coarse - fine[:, ::m]
                if scheme.name == "leimkuhler-matthews":
                    # A particle has half of the next increment in it already. So has the mean of
                    # the reference before and after that increment, which has the same
                    # expectation and follows the particle more closely.
                    gap = coarse[:, :-1] - (fine[:, :-1:m] + fine[:, m::m]) / 2
                arrays["bias"][v, s] = gap[:, round(section.burn_in / h) :].mean(axis=1)
            except ArithmeticError:
                pass  # diverged: the step size is beyond this scheme's stability
        if batches is None:
            true = exact_end(scheme.name if scheme.has_velocity else "euler")
            for s, h in enumerate(path_sizes):
                m = _whole("path_step_sizes", h, h_path)
                try:
                    away = end(scheme, h, m) - true
                except ArithmeticError:
                    continue
                arrays["path"][v, s] = np.square(away).sum(axis=1).mean(axis=1)
        context.progress(v + 1, len(variants))
    return arrays


def combine(
    config: IntegratorsConfig,
    problem: Problem,
    variants: Mapping[str, tuple[Integrator, Minibatch | None]],
    sizes: list[float],
    path_sizes: list[float],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Fit the orders and put errors, intervals and costs into one dataset."""
    import xarray as xr

    pieces = [results[key] for key in sorted(results) if key != "law"]
    values = {
        name: np.concatenate([piece[name] for piece in pieces], axis=-1) for name in pieces[0]
    }
    names, h = list(variants), np.array(sizes)
    variables, numbers = {}, {}
    for part, over in (("bias", sizes), ("path", path_sizes)):
        parts = np.full((3, len(names), len(over)), np.nan)
        for v in range(len(names)):
            for s in range(len(over)):
                kept = values[part][v, s][~np.isnan(values[part][v, s])]
                if len(kept) > 1:
                    parts[:, v, s] = mean_interval(kept)
        if part == "path":
            parts = np.sqrt(np.maximum(parts, 0))
        for name, array in zip(("mean", "low", "high"), parts, strict=True):
            axis = "step_size" if part == "bias" else "path_step_size"
            variables[f"{part}_{name}"] = (("variant", axis), array)
        for v, (name, (scheme, batches)) in enumerate(variants.items()):
            if batches is not None:
                continue
            declared = scheme.strong_order if part == "path" else scheme.stationary_order
            numbers[f"{part}_{name}"] = _order(
                part, name, np.array(over), values[part][v], declared
            )
    costs = [
        scheme.gradients_per_step * (1 if batches is None else batches.cost(problem.n_data))
        for scheme, batches in variants.values()
    ]
    variables["cost"] = (("variant", "step_size"), np.outer(costs, 1 / h))
    section = config.integrators
    for v, (name, (scheme, batches)) in enumerate(variants.items()):
        own = name if scheme.has_velocity else "leimkuhler-matthews"
        if batches is None and f"reference_{own}" not in numbers:
            mean, low, high = (float(x) for x in mean_interval(values["reference"][v]))
            numbers[f"reference_{own}"] = Number(
                f"Predictions of {own} at step size {section.reference_step:g}, relative to the "
                "stationary law, less 1",
                mean,
                (low, high),
                expected=0.0,
            )
        bounds = [variables[f"bias_{part}"][1][v] for part in ("mean", "low", "high")]
        label = f"Gradients per unit of time of {name} at a bias of {_ACCURACY:.0%}"
        price = _price(label, costs[v] / h, *bounds)
        if price is not None:
            numbers[f"cost_{name}"] = price
    dataset = xr.Dataset(
        variables,
        coords={"variant": names, "step_size": h, "path_step_size": path_sizes},
        attrs={
            "problem": repr(problem),
            "n_particles": section.n_particles,
            "n_replicas": section.n_replicas,
            "reference_step": section.reference_step,
            "burn_in": section.burn_in,
            "duration": section.duration,
            "path_time": section.path_time,
            "seed": str(config.seed),
        },
    )
    return Outcome(dataset, numbers)


def _order(part: str, name: str, h: Array, values: Array, declared: float) -> Number:
    """Fit an order over the widest range of step sizes on which there is one."""
    label = f"{'Strong' if part == 'path' else 'Stationary'} order of {name}"
    usable = ~np.isnan(values).any(axis=1)
    notes = [] if usable.all() else ["Runs diverged at the largest step sizes, which are left out."]
    h, values = h[usable], values[usable]
    problem = "fewer than three step sizes stayed finite"
    for length in range(len(h), 2, -1):
        for begin in range(len(h) - length + 1):
            window = slice(begin, begin + length)
            try:
                fit = _fit(part, h[window], values[window])
            except ValueError as error:
                problem = str(error) if length == len(h) else problem
                continue
            if length < len(h):
                low, high = h[window][[0, -1]]
                notes.append(f"Fitted from {low:g} to {high:g} only. {problem}")
            return Number(label, fit.order, fit.interval, expected=declared, notes=notes)
    return Number(label, math.nan, None, expected=declared, notes=[*notes, problem])


def _price(label: str, cost: Array, mean: Array, low: Array, high: Array) -> Number | None:
    """Return the cost at which the bias is `_ACCURACY`, between the step sizes measured."""
    usable = ~np.isnan(mean)
    cost, bounds = cost[usable], np.stack([low, mean, high])[:, usable]
    # An interval that holds 0 has no logarithm: its nearer end is that of no bias at all.
    size = np.where(bounds[0] * bounds[2] > 0, np.abs(bounds).min(axis=0), np.finfo(float).tiny)
    sizes = np.stack([size, np.abs(bounds[1]), np.abs(bounds).max(axis=0)])
    if (sizes[2] <= _ACCURACY).all():
        note = "The bias is smaller already at the largest step size measured: an upper bound."
        return Number(label, float(cost[-1]), notes=[note])
    found = []
    for errors in sizes:
        crossing = np.flatnonzero((errors[:-1] <= _ACCURACY) & (errors[1:] > _ACCURACY))
        if not len(crossing):
            return None
        i = crossing[0]
        share = np.log(_ACCURACY / errors[i]) / np.log(errors[i + 1] / errors[i])
        found.append(float(np.exp((1 - share) * np.log(cost[i]) + share * np.log(cost[i + 1]))))
    return Number(label, found[1], (found[0], found[2]))


def _fit(part: str, h: Array, values: Array) -> OrderFit:
    """Fit an order with the leading correction, where there are step sizes enough for it."""
    return fit_order(h, values, squared=part == "path", correction=len(h) > 3)


EXAMPLE: dict[str, Any] = {
    "study": "integrators",
    "title": "How accurate is a step? Integrators of one small network",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 8},
    "problem": {"bias": False, "l2": 0.5, "temperature": 1.0},
    "integrators": {"n_particles": 512, "n_replicas": 16, "duration": 36.0, "burn_in": 12.0},
}

STUDY = Study("integrators", IntegratorsConfig, EXAMPLE, prepare, report)
