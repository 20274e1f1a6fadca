"""The study `simulate`: train particle systems, follow their loss, keep the particles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.flow.run import predict
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.problem import Problem
from meanfield.statistics.intervals import mean_interval
from meanfield.studies.simulate import figures
from meanfield.workbench.config import Count, ScheduledRunSection, Section, Step, named_keys
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_number,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.sections.data import LearningConfig, build_problem, data_fingerprint
from meanfield.workbench.study import (
    Arrays,
    Block,
    Context,
    Figure,
    Finding,
    Number,
    Outcome,
    Plan,
    Study,
    Summary,
    Table,
    Text,
    Unit,
)

if TYPE_CHECKING:
    import xarray as xr

# A unit holds about this much of the trajectory, so that it fits in memory and is soon done.
_UNIT_BYTES = 2**26


class SimulateSection(Section):
    """The particle systems."""

    n_particles: Count = Field(1024, description="Particles per system.")
    n_replicas: Count = Field(8, description="Independent systems; intervals are over them.")
    save_at: list[Step] | None = Field(
        None, description="Steps whose particles are kept; the first and the last by default."
    )
    loss_points: Count = Field(
        25,
        description="Number of steps, evenly spaced in the logarithm, at which the loss is kept.",
    )


class SimulateRunSection(ScheduledRunSection):
    """How the particles move."""

    batch_size: Count | None = Field(
        None, description="Data in the gradient of each step, drawn anew; all by default."
    )
    anchor_period: Count | None = Field(
        None,
        description="Steps between two full gradients that reduce the variance of the batches "
        "(SVRG); not at all by default.",
    )


class SimulateConfig(LearningConfig):
    """Configuration of the study `simulate`."""

    run: SimulateRunSection = Field(default_factory=SimulateRunSection)
    simulate: SimulateSection = Field(default_factory=SimulateSection)


def prepare(config: SimulateConfig) -> Plan:
    """Check the configuration and split the replicas into units."""
    problem = build_problem(config)
    section = config.simulate
    with named_keys(config, "simulate", "run"):
        scheme = config.scheme(problem)
        keep = scheme.saved_steps(section.save_at)
    curve = np.geomspace(1, scheme.n_steps, section.loss_points).round().astype(int)
    steps = np.unique([0, *curve, *keep])
    state_bytes = 8 * len(steps) * section.n_particles * problem.n_coordinates
    size = max(1, min(section.n_replicas, _UNIT_BYTES // state_bytes))
    units = []
    for first in range(0, section.n_replicas, size):
        last = min(first + size, section.n_replicas)
        arguments = {
            "problem": problem,
            "scheme": scheme,
            "n_particles": section.n_particles,
            "first_replica": first,
            "n_replicas": last - first,
            "steps": steps.tolist(),
            "keep": keep.tolist(),
        }
        label = f"replicas {first + 1}–{last} of {section.n_replicas}"
        units.append(
            Unit(
                f"replicas-{first:05d}", train, arguments, label, weight=last - first, context=True
            )
        )
    return Plan(
        units=units,
        combine=lambda results: combine(config, problem, scheme, steps, keep, results),
        data=data_fingerprint(problem),
    )


def train(
    problem: Problem,
    scheme: Scheme,
    n_particles: int,
    first_replica: int,
    n_replicas: int,
    steps: list[int],
    keep: list[int],
    context: Context,
) -> Arrays:
    """Train some replicas; return the loss at `steps` and the particles at `keep`."""
    run = simulate_scheme(
        problem,
        scheme,
        n_particles,
        n_replicas,
        first_replica=first_replica,
        save_at=steps,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    kept = [run.at(step) for step in keep]
    arrays = {
        "loss": run.loss,
        "predictions": run.predictions[:, np.isin(run.steps, keep)],
        "a": np.stack([particles.a for particles in kept], axis=1),
        "w": np.stack([particles.w for particles in kept], axis=1),
    }
    if problem.bias:
        arrays["b"] = np.stack([particles.b for particles in kept], axis=1)
    if problem.X_test is not None:
        outputs = np.stack([predict(problem, at, problem.X_test) for at in run.trajectory], axis=1)
        arrays["test_loss"] = problem.risk(outputs, held_out=True)
        if problem.loss.name != "squared":
            arrays["test_accuracy"] = _accuracy(problem, outputs)
    return arrays


def _accuracy(problem: Problem, outputs: np.ndarray) -> np.ndarray:
    """Return the share of held-out points whose label is right, shape (R, T)."""
    if problem.loss.name == "cross-entropy":
        return (outputs.argmax(axis=-1) == problem.y_test).mean(axis=-1)
    right = np.sign(outputs) == problem.y_test
    return right.reshape(*outputs.shape[:2], -1).mean(axis=-1)


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
    outputs = ("output",) if problem.vector_output else ()
    dimensions = {
        "predictions": ("replica", "step", "datum", *outputs),
        "a": ("replica", "step", "particle", *outputs),
        "w": ("replica", "step", "particle", "feature"),
        "b": ("replica", "step", "particle"),
    }
    curve = ("replica", "loss_step")
    variables = {name: (dimensions.get(name, curve), values) for name, values in arrays.items()}
    numbers = {}
    for name, label in _CURVES.items():
        if name in arrays:
            mean, low, high = mean_interval(arrays[name])
            # Student's interval does not know that a loss is at least 0 and a share at most 1.
            low = np.maximum(low, 0.0)
            high = np.minimum(high, 1.0) if name == "test_accuracy" else high
            variables |= {
                f"{name}_mean": ("loss_step", mean),
                f"{name}_low": ("loss_step", low),
                f"{name}_high": ("loss_step", high),
            }
            notes = [_ROSE] if name == "loss" and mean[-1] > mean[0] else []
            numbers[name] = Number(label, float(mean[-1]), (low[-1], high[-1]), notes=notes)
    coordinates = {
        "step": keep,
        "time": ("step", scheme.elapsed(keep)),
        "loss_step": steps,
        "loss_time": ("loss_step", scheme.elapsed(steps)),
    }
    attributes = {
        "step_size": (
            scheme.step_size if np.ndim(scheme.step_size) == 0 else str(config.run.step_size)
        ),
        "seed": str(config.seed),
        "n_particles": config.simulate.n_particles,
        "problem": repr(problem),
    }
    return Outcome(xr.Dataset(variables, coords=coordinates, attrs=attributes), numbers)


_ROSE = (
    "The run did not learn: the training loss is larger at the end than at the start. The step "
    "size is probably too large; lower run.step_size (or problem.temperature, if there is noise)."
)

_CURVES = {
    "loss": "Training loss at the end",
    "test_loss": "Held-out loss at the end",
    "test_accuracy": "Held-out accuracy at the end",
}


_ONE_REPLICA = "Of a single replica, which says nothing about its own spread."


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell what happened to the loss and to the particles."""
    numbers = summary["numbers"]
    n_particles, n_replicas = dataset.attrs["n_particles"], dataset.sizes["replica"]
    first, last = float(dataset["loss_mean"][0]), numbers["loss"]
    time = format_number(float(dataset["loss_time"][-1]))
    finding = (
        f"By time {time} the training loss of {n_particles} particles went from "
        f"{format_number(first)} to {format_estimate(last)}."
    )
    finding += "".join(f" {note}" for note in last["notes"])
    if "test_accuracy" in numbers:
        accuracy = numbers["test_accuracy"]
        finding += f" On held-out data {100 * accuracy['value']:.1f} % of the labels are right."
    rows = [["Quantity", "Mean", "95% interval"]]
    for number in numbers.values():
        interval = format_interval(number) or "needs 2 replicas"
        rows.append([number["label"], format_value(number), interval])
    return [
        Finding(finding),
        *heading_for_problem(dataset.attrs["problem"]),
        Table(
            rows,
            _ONE_REPLICA
            if n_replicas == 1
            else f"Mean over {n_replicas} independent replicas with Student's 95% interval for the "
            "mean: repeating the study with other seeds would cover the true mean 19 times in 20.",
        ),
        Figure(
            "loss",
            plots.plot_loss,
            "Loss over time, mean over replicas; the band is the 95% interval of the mean. Time "
            "is the sum of the step sizes.",
        ),
        Figure(
            "particles",
            figures.plot_particles,
            "Every particle at the first and at the last kept step: the length of its input "
            "weights against its output weight. Particles near the horizontal axis hardly "
            "contribute to the network.",
        ),
        Text(
            "Each particle is one neuron. The network is the mean of all neurons, so that every "
            "neuron moves by an amount that does not shrink with width (µP): features are learned. "
            "In the limit of infinitely many neurons only their distribution matters."
        ),
    ]


EXAMPLE: dict[str, Any] = {
    "study": "simulate",
    "title": "Two handwritten digits",
    "data": {"source": "digits", "classes": [3, 8], "n_samples": 100},
    "problem": {"loss": "logistic"},
    "run": {"n_steps": 1000},
    "simulate": {"n_particles": 256, "n_replicas": 4},
}

STUDY = Study("simulate", SimulateConfig, EXAMPLE, prepare, report)
