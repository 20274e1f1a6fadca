"""The study `richardson`: what the step size costs and what the number of particles costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.chaos.plan import ChaosPlan, plan_chaos
from meanfield.chaos.reference import REFERENCE_RATIO, automatic_method, reference_path
from meanfield.flow.integrators import get_integrator
from meanfield.flow.simulate import simulate
from meanfield.limit.mean_field import REFERENCE_REPLICA
from meanfield.statistics.intervals import mean_factor
from meanfield.statistics.power_law import fit_rate
from meanfield.statistics.resampling import bootstrap_t, draw_repeats, slope_weights
from meanfield.workbench.config import Count, RunSection, Section, named_keys
from meanfield.workbench.report.formatting import (
    agrees,
    format_estimate,
    format_number,
    heading_for_problem,
    slope_row,
)
from meanfield.workbench.sections.data import LearningConfig, build_problem, data_fingerprint
from meanfield.workbench.study import (
    Arrays,
    Block,
    Context,
    Figure,
    Finding,
    Heading,
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

_EULER_LIKE = 1.0


class RichardsonSection(Section):
    """Sizes, and how often the step is halved."""

    particle_counts: list[Count] = Field(
        [64, 256, 1024, 4096], description="Sizes N of the systems, at least three."
    )
    n_replicas: Count = Field(64, description="Independent repetitions; intervals are over them.")
    levels: Annotated[int, Field(ge=3, le=8)] = Field(
        4, description="Number of step sizes: run.step_size, its half, its quarter, and so on."
    )
    n_particles: Count | None = Field(
        None,
        description="Size of the large system where the limit is not known exactly; "
        f"{REFERENCE_RATIO} times the largest count by default.",
    )


class RichardsonConfig(LearningConfig):
    """Configuration of the study `richardson`."""

    richardson: RichardsonSection = Field(default_factory=RichardsonSection)


def prepare(config: RichardsonConfig) -> Plan:
    """Check the configuration; the limit at every step size is a unit, every batch another."""
    problem = build_problem(config)
    section, run = config.richardson, config.run
    with named_keys(richardson=RichardsonSection, run=RunSection):
        integrator = get_integrator(run.integrator)
        if integrator.stationary_order != _EULER_LIKE:
            raise ValueError(
                f"integrator must be of weak order 1 to be extrapolated here, {integrator.name!r} "
                f"has {integrator.stationary_order:g}; use euler or exponential-euler."
            )
        plans = [
            plan_chaos(
                problem,
                section.particle_counts,
                section.n_replicas,
                step_size=run.step_size / 2**level,
                n_steps=run.n_steps * 2**level,
                times=[run.n_steps * 2**level],
                seed=config.seed,
                integrator=integrator.name,
                init=run.init.initial_law(),
                dtype=run.dtype,
                cloud_replicas=0,
            )
            for level in range(section.levels)
        ]
    size = section.n_particles or REFERENCE_RATIO * max(plans[0].particle_counts)
    units = []
    for level, plan in enumerate(plans):
        arguments = {"plan": plan, "n_particles": size, "substeps": 2 ** (len(plans) - 1 - level)}
        label = f"limit at step size {plan.step_size:g}"
        units.append(
            Unit(
                f"limit-{level}",
                compute_limit,
                arguments,
                label,
                weight=size * 2.0**level,
                context=True,
            )
        )
    for batch in plans[0].batches():
        arguments = {"plans": plans, "first": batch.start, "last": batch.stop}
        label = f"replicas {batch.start + 1}–{batch.stop} of {section.n_replicas}"
        weight = sum(plans[0].particle_counts) * len(batch) * 2.0 ** len(plans)
        units.append(Unit(f"replicas-{batch.start:05d}", refine, arguments, label, weight=weight))
    return Plan(units, lambda results: combine(plans, results), data_fingerprint(problem))


def compute_limit(plan: ChaosPlan, n_particles: int, substeps: int, context: Context) -> Arrays:
    """Return the predictions of the limit at the last time; large systems share their noise."""
    last = plan.times[-1]
    method = automatic_method(plan, n_particles)
    if method != "particles":
        path = reference_path(plan, method)
        return {"predictions": path.predictions[-1].reshape(-1), "particles": np.array(0)}
    run = simulate(
        plan.problem,
        n_particles,
        plan.step_size,
        last,
        seed=plan.seed,
        first_replica=REFERENCE_REPLICA,
        integrator=plan.integrator,
        init=plan.init,
        dtype=plan.dtype,
        substeps=substeps,
        save_at=[last],
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    return {"predictions": run.predictions[0, -1].reshape(-1), "particles": np.array(n_particles)}


def refine(plans: list[ChaosPlan], first: int, last: int) -> Arrays:
    """Run every size at every step size on the same Brownian paths.

    Returns the predictions at the last time, shape (counts, levels, replicas, n * k).
    """
    sizes = []
    for n_particles in plans[0].particle_counts:
        levels = []
        for level, plan in enumerate(plans):
            run = simulate(
                plan.problem,
                n_particles,
                plan.step_size,
                plan.times[-1],
                seed=plan.seed,
                n_replicas=last - first,
                first_replica=first,
                integrator=plan.integrator,
                init=plan.init,
                dtype=plan.dtype,
                substeps=2 ** (len(plans) - 1 - level),
                save_at=[plan.times[-1]],
            )
            levels.append(run.predictions[:, -1].reshape(last - first, -1))
        sizes.append(np.stack(levels))
    return {"predictions": np.stack(sizes)}


def combine(plans: list[ChaosPlan], results: Mapping[str, Arrays]) -> Outcome:
    """Separate the two errors."""
    import xarray as xr

    problem, counts = plans[0].problem, plans[0].particle_counts
    keys = sorted(key for key in results if key.startswith("replicas"))
    runs = np.concatenate([results[key]["predictions"] for key in keys], axis=2)
    limits = np.stack([results[f"limit-{level}"]["predictions"] for level in range(len(plans))])
    limit = 2.0 * limits[-1] - limits[-2]
    extrapolated = 2.0 * runs[:, -1] - runs[:, -2]

    def square(deviation: np.ndarray) -> np.ndarray:
        return np.square(deviation).sum(-1) / problem.n_data

    step_error = square(runs[:, :-1] - runs[:, 1:])
    total = square(runs - limit)
    own = square(runs - limits[:, None])
    richardson = square(extrapolated - limit)
    variables: dict[str, Any] = {"floor": ("step_size", square(limits - limit))}
    dims = {
        "step_error": (step_error, ("particles", "coarse")),
        "total": (total, ("particles", "step_size")),
        "own": (own, ("particles", "step_size")),
        "richardson": (richardson, ("particles",)),
    }
    for name, (values, names) in dims.items():
        mean, factor = mean_factor(values, axis=-1)
        for part, value in (("mean", mean), ("low", mean / factor), ("high", mean * factor)):
            variables[f"{name}_{part}"] = (names, value)
    step_sizes = np.array([plan.step_size for plan in plans])
    particles = int(results["limit-0"]["particles"])
    attributes = {
        "problem": repr(problem),
        "reference_particles": particles,
        "integrator": plans[0].integrator,
        "n_replicas": plans[0].n_replicas,
        "time": plans[0].times[-1] * plans[0].step_size,
        "limit_error": float(np.sqrt(square(limit - (2.0 * limits[-2] - limits[-3])))),
        "seed": str(plans[0].seed),
    }
    coordinates = {
        "particles": list(counts),
        "step_size": step_sizes,
        "coarse": step_sizes[:-1],
    }
    dataset = xr.Dataset(variables, coordinates, attributes)
    order = get_integrator(plans[0].integrator).strong_order
    weights = slope_weights(np.log(step_sizes[:-1]))
    slope, interval = bootstrap_t(
        step_error[-1],
        lambda m: np.log(m) @ weights,
        lambda m: weights / m,
        draw_repeats(plans[0].n_replicas, plans[0].seed),
    )
    numbers = {
        "step_slope": Number(
            f"Slope in the step size of its squared error on the same paths, N = {counts[-1]}",
            slope,
            interval,
            expected=2.0 * order,
        )
    }
    for name, values, label in (
        ("own", own[:, 0], "from the limit at the same step size, the coarsest"),
        ("total", total[:, 0], "from the limit of vanishing step size, at the coarsest"),
        ("richardson", richardson, "from the limit of vanishing step size, extrapolated"),
    ):
        fit = fit_rate(counts, values, seed=plans[0].seed)
        numbers[f"{name}_slope"] = Number(
            f"Slope in N of the squared distance {label}",
            fit.slope,
            fit.slope_ci,
            # At a fixed step size the distance has a floor: nothing is expected of its slope.
            expected=None if name == "total" else -1.0,
            notes=[] if name == "total" else list(fit.flags),
        )
    floor = float(dataset["floor"][0])
    constant = fit_rate(counts, own[:, 0], seed=plans[0].seed)
    low, high = constant.constant_ci
    numbers["balance"] = Number(
        f"Number of particles from which the step size {step_sizes[0]:g} costs more",
        constant.constant / floor,
        (low / floor, high / floor),
    )
    return Outcome(dataset, numbers)


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell which error is whose."""
    numbers, attrs = summary["numbers"], dataset.attrs
    keys = ("step_slope", "own_slope", "total_slope", "richardson_slope")
    sizes = dataset["step_size"].values
    limit = (
        f"a system of {attrs['reference_particles']} particles at each step size, on shared noise"
        if attrs["reference_particles"]
        else "known exactly at each step size"
    )
    return [
        Finding(_finding(numbers)),
        *heading_for_problem(attrs["problem"]),
        Text(
            f"Systems were trained up to time {attrs['time']:g} ({attrs['integrator']}), "
            f"{attrs['n_replicas']} times each, with the step sizes "
            f"{', '.join(f'{size:g}' for size in sizes)} on the same Brownian paths: the increment "
            "of a coarse step is the sum of those of the fine steps that it spans. The limit is "
            f"{limit}, and extrapolated to vanishing step size from the two finest (the next "
            f"coarser pair gives it to {format_number(attrs['limit_error'])})."
        ),
        Table(
            [
                ["Quantity", "Slope", "95% interval", "Expected", "Verdict"],
                *(
                    slope_row(numbers[key]["label"].removeprefix("Slope "), numbers[key])
                    for key in keys
                ),
            ],
            "Step size and number of particles act separately: the first costs nearly the same for "
            "every large N, the second nearly the same at every step size.",
        ),
        *(Text(f"Note: {note}") for key in keys for note in numbers[key]["notes"]),
        Heading("What the step size costs"),
        Figure(
            "step_size",
            plots.plot_step_error,
            "Mean squared difference of the networks with a step size and with its half, on the "
            "same paths, with 95% intervals.",
        ),
        Heading("What the number of particles costs"),
        Figure(
            "particles",
            plots.plot_total_error,
            "Mean squared distance from the limit of vanishing step size against N: it ends on a "
            "floor that belongs to the step size (dotted), unless the networks of the two finest "
            "steps are extrapolated.",
        ),
    ]


def _finding(numbers: Mapping[str, Any]) -> str:
    step, extrapolated = numbers["step_slope"], numbers["richardson_slope"]
    text = (
        f"On the same noise the squared error of the step size falls like its power "
        f"{format_estimate(step)}; extrapolated to vanishing step size, the squared distance from "
        f"the limit falls like N to the power {format_estimate(extrapolated)}."
    )
    if not (agrees(step) and agrees(extrapolated)):
        return f"{text} Not everything is as expected; see the table."
    return (
        f"{text} From about {format_estimate(numbers['balance'])} particles on, the coarsest step "
        "size costs more than the finite number."
    )


EXAMPLE: dict[str, Any] = {
    "study": "richardson",
    "title": "Step size and number of particles",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"bias": False, "train": ["w"], "l2": 0.2, "temperature": 0.1},
    "run": {"step_size": 0.5, "n_steps": 8},
    "richardson": {"particle_counts": [64, 256, 1024], "n_replicas": 48},
}

STUDY = Study("richardson", RichardsonConfig, EXAMPLE, prepare, report)
