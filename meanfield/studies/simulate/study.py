"""The study `simulate`: train particle systems, follow their loss, keep the particles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from meanfield.flow.cost import training_seconds
from meanfield.flow.run import predict
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.limit.duality import certificate
from meanfield.problem import Problem
from meanfield.problem.score import loss_rose
from meanfield.statistics.estimate import Estimate
from meanfield.studies.simulate.report import SimulateHeadline, report
from meanfield.system.batches import batches
from meanfield.system.progress import Progress
from meanfield.workbench.config import Count, Listed, Section, Step, named_keys
from meanfield.workbench.sections.data import (
    LearningConfig,
    build_data,
    data_plan,
    network_fits,
)
from meanfield.workbench.sections.learning import REGULARISED, as_fields, guess
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

#: Networks whose duality gap is computed, where it can be.
_CERTIFIED = 3
#: Input parameters up to which that takes no more than seconds; `mf.duality_gap` takes one more.
_QUICK = 2
# A unit holds about this much of the trajectory, so that it fits in memory and is soon done.
_UNIT_BYTES = 2**26


class SimulateSection(Section):
    """The particle systems."""

    n_particles: Count = Field(1024, description="Particles per system.")
    n_replicas: Listed = Field(8, description="Independent systems; intervals are over them.")
    save_at: list[Step] | None = Field(
        None, description="Steps whose particles are kept; the first and the last by default."
    )
    loss_points: Listed = Field(
        25,
        description="Number of steps, evenly spaced in the logarithm, at which the loss is kept.",
    )


class SimulateConfig(LearningConfig):
    """Configuration of the study `simulate`."""

    shared_batches: ClassVar[bool] = False
    simulate: SimulateSection = SimulateSection()


def prepare(config: SimulateConfig) -> Plan:
    """Check the configuration and split the replicas into units."""
    data, problem = build_data(config)
    section = config.simulate
    with named_keys(config, "simulate", "run", "problem"):
        scheme = config.scheme(problem)
        keep = scheme.saved_steps(section.save_at)
    curve = np.geomspace(1, scheme.n_steps, section.loss_points).round().astype(int)
    steps = np.unique([0, *curve, *keep])
    network_fits("simulate", problem, scheme, section.n_particles, len(steps))
    state_bytes = 8 * len(steps) * section.n_particles * problem.n_coordinates
    units = []
    for batch in batches(section.n_replicas, _UNIT_BYTES // state_bytes):
        first, count = batch.start, len(batch)
        arguments = {
            "problem": problem,
            "scheme": scheme,
            "n_particles": section.n_particles,
            "first_replica": first,
            "n_replicas": count,
            "steps": steps.tolist(),
            "keep": keep.tolist(),
        }
        label = f"replicas {first + 1}–{first + count} of {section.n_replicas}"
        steps_made, looks = (count * section.n_particles * n for n in (scheme.n_steps, len(steps)))
        cost = training_seconds(problem, scheme, steps_made, looks)
        units.append(Unit(f"replicas-{first:05d}", train, arguments, label, weight=cost))

    def joined(results: Mapping[str, Arrays]) -> Outcome:
        return combine(config, problem, scheme, steps, keep, results)

    return data_plan(config, data, problem, units, joined)


def train(
    problem: Problem,
    scheme: Scheme,
    n_particles: int,
    first_replica: int,
    n_replicas: int,
    steps: list[int],
    keep: list[int],
    checkpoint: str | None,
    progress: Progress,
) -> Arrays:
    """Train some replicas; return the loss at `steps` and the particles at `keep`."""
    run = simulate_scheme(
        problem,
        scheme,
        n_particles,
        n_replicas,
        first_replica=first_replica,
        save_at=steps,
        checkpoint=checkpoint,
        progress=progress,
    )
    kept = [run.at(step) for step in keep]
    arrays = {"loss": run.loss, "predictions": run.predictions[:, np.isin(run.steps, keep)]}
    arrays["regularised"] = run.regularised_risk[:, -1]
    arrays["last"] = run.predictions[:, -1]
    for name in ("a", "w", "b") if problem.bias else ("a", "w"):
        arrays[name] = np.stack([getattr(particles, name) for particles in kept], axis=1)
    if problem.X_test is not None:
        outputs = np.stack([predict(problem, at, problem.X_test) for at in run.trajectory], axis=1)
        arrays["test_loss"] = problem.risk(outputs, held_out=True)
        arrays["final"] = outputs[:, -1]
    else:
        arrays["final"] = run.predictions[:, -1]
    return arrays


def combine(
    config: SimulateConfig,
    problem: Problem,
    scheme: Scheme,
    steps: np.ndarray,
    keep: np.ndarray,
    results: Mapping[str, Arrays],
) -> Outcome:
    """Join the replicas and take means with their intervals."""
    import xarray as xr

    pieces = [results[key] for key in sorted(results)]
    arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    held_out = problem.X_test is not None
    regularised = Estimate.mean(
        arrays.pop("regularised"), resampled="replicas", label=REGULARISED
    ).clip(0.0)
    last, gap = arrays.pop("last")[:_CERTIFIED], None
    if problem.n_features + problem.bias <= _QUICK:
        gap = certificate(problem, last, _last(scheme, problem))
    score = problem.score(arrays.pop("final"), held_out=held_out)
    outputs = ("output",) if problem.vector_output else ()
    dimensions = {
        "predictions": ("replica", "step", "datum", *outputs),
        "a": ("replica", "step", "particle", *outputs),
        "w": ("replica", "step", "particle", "feature"),
        "b": ("replica", "step", "particle"),
    }
    curve = ("replica", "loss_step")
    variables: dict[str, Any] = {
        name: (dimensions.get(name, curve), values) for name, values in arrays.items()
    }
    found: dict[str, Any] = as_fields(score, held_out)
    for name, label in _CURVES.items():
        if name in arrays:
            # Student's interval does not know that a loss is at least 0.
            mean = Estimate.mean(arrays[name], resampled="replicas", label=label).clip(0.0)
            variables[f"{name}_mean"] = mean.to_xarray(["loss_step"])
            notes = loss_rose(mean.value[0], mean.value[-1]) if name == "loss" else ()
            found[name] = replace(mean[-1], notes=notes)
    found["regularised_risk"] = regularised
    coordinates = {
        "step": keep,
        "time": ("step", scheme.elapsed(keep)),
        "loss_step": steps,
        "loss_time": ("loss_step", scheme.elapsed(steps)),
    }
    attributes = {
        "step_size": scheme.step_size_label,
        "seed": str(config.seed),
        "n_particles": config.simulate.n_particles,
        "problem": repr(problem),
        "guess": guess(problem),
    }
    if gap is not None and np.isfinite(gap.certified):
        found["gap"] = Estimate(gap.certified, label="Certified distance to the global optimum")
        attributes |= dict(zip(("least", "most"), gap.optimum, strict=True))
    dataset = xr.Dataset(variables, coords=coordinates, attrs=attributes)
    return Outcome(dataset, SimulateHeadline(**found).numbers())


def _last(scheme: Scheme, problem: Problem) -> float:
    """Return the temperature at the end."""
    return float(scheme.temperatures[-1]) if scheme.n_steps else problem.temperature


_CURVES = {
    "loss": "Training loss at the end",
    "test_loss": "Held-out loss at the end",
}


EXAMPLE: dict[str, Any] = {
    "study": "simulate",
    "title": "Two handwritten digits",
    "data": {"source": "digits", "classes": [3, 8], "n_samples": 100},
    "problem": {"loss": "logistic"},
    "simulate": {"n_particles": 256, "n_replicas": 4},
}

STUDY = Study("simulate", SimulateConfig, EXAMPLE, prepare, report, ("simulate.n_replicas",))
