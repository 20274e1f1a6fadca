"""The study `relaxation`: how fast the network settles, measured and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.chaos.plan import ChaosPlan, plan_chaos
from meanfield.errors import ArgumentError, ConfigError
from meanfield.flow.simulate import simulate
from meanfield.limit.fokker_planck import fokker_planck
from meanfield.limit.relaxation import free_energy, log_sobolev_bound
from meanfield.statistics.intervals import mean_interval
from meanfield.statistics.resampling import bootstrap_t, draw_repeats, slope_weights
from meanfield.studies.chaos.report import describe_reference
from meanfield.workbench.config import Count, Section, named_keys
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_number,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.sections.data import LearningConfig, build_problem, data_fingerprint
from meanfield.workbench.sections.reference import ReferenceSection, reference_unit, saved_path
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
    Text,
    Unit,
)

if TYPE_CHECKING:
    import xarray as xr

_CURVE = 120
#: The rate is read where the distance, relative to the start, lies between these.
_FROM, _TO = 0.5, 0.02
#: Free energy is followed down to this share of its start.
_SMALLEST_GAP = 1e-8


class RelaxationSection(Section):
    """The networks whose relaxation is measured."""

    n_particles: Count = Field(1024, description="Particles of each network.")
    n_replicas: Count = Field(64, description="Independent networks; intervals are over them.")
    reference: ReferenceSection = Field(default_factory=ReferenceSection)


class RelaxationConfig(LearningConfig):
    """Configuration of the study `relaxation`."""

    relaxation: RelaxationSection = Field(default_factory=RelaxationSection)


def prepare(config: RelaxationConfig) -> Plan:
    """Check the configuration; limit, free energy and every batch of networks are units."""
    problem = build_problem(config)
    section, run = config.relaxation, config.run
    steps = np.unique(np.linspace(0, run.n_steps, _CURVE + 1).round().astype(int)).tolist()
    with named_keys(config, "relaxation", "run"):
        if problem.temperature == 0:
            raise ArgumentError(
                "temperature", "must be positive: there is no such rate without noise."
            )
        plan = plan_chaos(
            problem,
            [section.n_particles],
            section.n_replicas,
            step_size=run.step_size,
            n_steps=run.n_steps,
            times=steps,
            seed=config.seed,
            integrator=run.integrator,
            init=run.init.initial_law(),
            dtype=run.dtype,
            cloud_replicas=0,
            slope=False,
        )
        units = [reference_unit(plan, section.reference)]
    if units[0].arguments["method"] in ("chain", "fokker-planck") and problem.n_parameters == 1:
        arguments = {"plan": plan, "steps": steps}
        units.append(Unit("free-energy", follow_free_energy, arguments, "free energy"))
    for batch in plan.batches():
        arguments = {
            "plan": plan,
            "n_particles": section.n_particles,
            "steps": steps,
            "first": batch.start,
            "last": batch.stop,
        }
        label = f"networks {batch.start + 1}–{batch.stop} of {plan.n_replicas}"
        weight = section.n_particles * len(batch)
        units.append(
            Unit(
                f"networks-{batch.start:05d}",
                follow_networks,
                arguments,
                label,
                weight=weight,
                context=True,
            )
        )
    return Plan(
        units,
        lambda results: combine(plan, steps, section.n_particles, results),
        data_fingerprint(problem),
    )


def follow_networks(
    plan: ChaosPlan, n_particles: int, steps: list[int], first: int, last: int, context: Context
) -> Arrays:
    """Return the predictions of some networks over time, shape (R, T, n * k)."""
    run = simulate(
        plan.problem,
        n_particles,
        plan.step_size,
        steps[-1],
        seed=plan.seed,
        n_replicas=last - first,
        first_replica=first,
        integrator=plan.integrator,
        init=plan.init,
        dtype=plan.dtype,
        save_at=steps,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    return {"predictions": run.predictions.reshape(last - first, len(steps), -1)}


def follow_free_energy(plan: ChaosPlan, steps: list[int]) -> Arrays:
    """Return the free energy along the Fokker–Planck equation."""
    path = fokker_planck(
        plan.problem, step_size=plan.step_size, n_steps=steps[-1], init=plan.init, save_at=steps
    )
    return {"free_energy": np.array([free_energy(plan.problem, law) for law in path.laws])}


def combine(
    plan: ChaosPlan, steps: list[int], n_particles: int, results: Mapping[str, Arrays]
) -> Outcome:
    """Fit the rate of the networks, and put the bound beside it."""
    import xarray as xr

    path = saved_path(plan, results["reference"])
    keys = sorted(key for key in results if key.startswith("networks"))
    runs = np.concatenate([results[key]["predictions"] for key in keys])
    time = np.array(steps) * plan.step_size
    limit = path.predictions[steps].reshape(len(steps), -1)
    late = limit[time >= 0.9 * time[-1]].mean(0) if path.n_particles else limit[-1]
    distance = np.square(limit - late).sum(1)
    window = _window(distance)
    # The direction in which the limit still has to go in the middle of the window.
    direction = limit[window[len(window) // 2]] - late
    direction /= direction @ (limit[0] - late)  # 1 at the start
    amplitude = (runs - late) @ direction
    numbers: dict[str, Number] = {}
    weights = slope_weights(time[window])
    slope, interval = bootstrap_t(
        amplitude[:, window].T,
        lambda m: np.log(np.abs(m)) @ weights,
        lambda m: weights / m,
        draw_repeats(len(runs), plan.seed),
    )
    exact = -2.0 * float(weights @ np.log(np.abs((limit - late) @ direction)[window]))
    numbers["rate"] = Number(
        "Rate at which the squared distance of the networks from their end falls",
        -2.0 * slope,
        (-2.0 * interval[1], -2.0 * interval[0]),
        expected=exact,
    )
    variables = {
        "amplitude": ("time", amplitude.mean(0) ** 2),
        "amplitude_low": ("time", _square_low(amplitude)),
        "amplitude_high": ("time", _square_high(amplitude)),
        "limit": ("time", ((limit - late) @ direction) ** 2),
        "inside": ("time", np.isin(np.arange(len(steps)), window)),
    }
    if "free-energy" in results:
        energy = results["free-energy"]["free_energy"]
        variables["gap"] = ("time", energy - energy[-1])
        numbers |= _energy_numbers(time, energy - energy[-1])
    attributes = {
        "problem": repr(plan.problem),
        "n_particles": n_particles,
        "n_replicas": plan.n_replicas,
        "step_size": plan.step_size,
        "reference": path.method,
        "reference_particles": path.n_particles or 0,
        "reference_error": float(np.max(getattr(path.details, "error", 0.0))),
        "l2": min(plan.problem.l2_input, plan.problem.l2_output),
        "bound": 0.0,
        "argument": "",
        "no_bound": "",
        "seed": str(plan.seed),
    }
    try:
        bound = log_sobolev_bound(plan.problem, path.predictions)
        attributes |= {"bound": bound.rate, "argument": bound.argument}
        numbers["bound"] = Number("Log-Sobolev bound on the rate", bound.rate)
    except ValueError as error:
        attributes["no_bound"] = str(error)
    return Outcome(xr.Dataset(variables, {"time": time}, attributes), numbers)


def _window(distance: np.ndarray) -> np.ndarray:
    """Positions at which the distance has left its start and is not yet at its end."""
    root = np.sqrt(distance / distance[0])
    start = int(np.argmax(root <= _FROM))
    below = np.flatnonzero(root <= _TO)
    stop = int(below[0]) if len(below) else len(root)
    if not len(below) or root[start] > _FROM or stop - start < 4:
        raise ConfigError(
            "The run does not show the relaxation: between half and one fiftieth of the first "
            f"distance lie {max(stop - start, 0)} measured times; change run.n_steps or "
            "run.step_size."
        )
    return np.arange(start, stop)


def _square_low(amplitude: np.ndarray) -> np.ndarray:
    """Lower end of the interval of the squared mean."""
    _, low, high = mean_interval(amplitude)
    return np.where(low * high < 0, 0.0, np.minimum(low**2, high**2))


def _square_high(amplitude: np.ndarray) -> np.ndarray:
    """Upper end of the interval of the squared mean."""
    _, low, high = mean_interval(amplitude)
    return np.maximum(low**2, high**2)


def _energy_numbers(time: np.ndarray, gap: np.ndarray) -> dict[str, Number]:
    """Return the smallest rate at which the free energy fell at any time."""
    # The last value stands for the minimum, so only the first half is far enough from it.
    seen = (gap > _SMALLEST_GAP * gap[0]) & (time <= 0.5 * time[-1])
    count = int(np.argmin(seen)) if not seen.all() else len(seen)
    if count < 3:
        return {}
    rates = -np.diff(np.log(gap[:count])) / np.diff(time[:count])
    return {
        "energy_rate": Number("Smallest rate of the free energy at any time", float(rates.min()))
    }


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell the rate, and how far the bound is from it."""
    numbers, attrs = summary["numbers"], dataset.attrs
    blocks: list[Block] = [
        Finding(_finding(numbers)),
        *heading_for_problem(attrs["problem"]),
        Text(
            f"{attrs['n_replicas']} networks of {attrs['n_particles']} particles were trained "
            f"(step size {attrs['step_size']:g}); {describe_reference(attrs)}. What is followed is "
            "the component of the mean network, less its end, along the direction in which the "
            "limit still has to go while it relaxes; the rate is that of its square."
        ),
        Figure(
            "relaxation",
            plots.plot_relaxation,
            "Squared distance of the mean network from its end over time: networks (points with "
            "95% intervals, filled where the rate is read), limit, and the decay that the "
            "log-Sobolev bound guarantees.",
        ),
        Heading("The bound"),
        Text(_bound(numbers, attrs)),
    ]
    if "gap" in dataset:
        blocks.append(
            Figure(
                "free_energy",
                plots.plot_free_energy,
                "Free energy above its last value along the Fokker–Planck equation, and the decay "
                "that the bound guarantees.",
            )
        )
    return blocks


def _finding(numbers: Mapping[str, Any]) -> str:
    rate = numbers["rate"]
    text = (
        "The squared distance of the network from its end falls exponentially at the rate "
        f"{format_estimate(rate)} per unit of time; in the limit of infinitely many particles it "
        f"is {format_number(rate['expected'])}."
    )
    if "bound" in numbers:
        text += f" The log-Sobolev bound guarantees {format_value(numbers['bound'])}."
    return text


def _bound(numbers: Mapping[str, Any], attrs: Mapping[str, Any]) -> str:
    if "bound" not in numbers:
        return f"{attrs['no_bound']} The measured rate stands alone."
    bound = numbers["bound"]["value"]
    text = (
        f"When every Gibbs law along the path satisfies a log-Sobolev inequality of constant α, "
        "the free energy above its minimum falls at least at the rate 2ατ. The constant follows "
        "from λ, τ, the data and the error signals by the argument of "
        f"{attrs['argument']}: the rate is at least {format_number(bound)}, which is "
        f"{format_number(numbers['rate']['value'] / bound)} times less than what was measured."
    )
    if "energy_rate" in numbers:
        smallest = numbers["energy_rate"]["value"]
        verdict = "never below the bound" if smallest >= bound else "BELOW THE BOUND"
        text += (
            f" The free energy itself fell at a rate of at least {format_number(smallest)} at "
            f"every time: {verdict}."
        )
    return text


EXAMPLE: dict[str, Any] = {
    "study": "relaxation",
    "title": "How fast noisy training settles",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"bias": False, "train": ["w"], "l2": 0.3, "temperature": 0.3},
    "run": {"step_size": 0.05, "n_steps": 800, "init": {"scale": 0.5}},
    "relaxation": {"n_particles": 1024, "n_replicas": 32},
}

STUDY = Study("relaxation", RelaxationConfig, EXAMPLE, prepare, report)
