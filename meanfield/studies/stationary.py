"""The study `stationary`: long runs of the particles against the Gibbs law that they end in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.flow.initial import InitialLaw
from meanfield.flow.integrators import get_integrator
from meanfield.flow.simulate import simulate
from meanfield.limit.chain import chain_law
from meanfield.limit.grid import GridLaw
from meanfield.limit.stationary import StationaryLaw, check_supported, stationary
from meanfield.problem import Problem
from meanfield.statistics.intervals import mean_interval
from meanfield.workbench.config import Count, Positive, RunSection, Section, named_keys
from meanfield.workbench.report.formatting import (
    agrees,
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

_REFINEMENTS = (1, 2, 4)
_POINTS = 801
_BINS = 60


class StationarySection(Section):
    """The temperatures and the long runs."""

    temperatures: list[Positive] = Field(
        [0.02, 0.1, 0.5], description="Temperatures; they replace that of [problem]."
    )
    n_particles: Count = Field(4096, description="Particles of each run.")
    n_replicas: Count = Field(32, description="Independent runs; intervals are over them.")


class StationaryConfig(LearningConfig):
    """Configuration of the study `stationary`."""

    stationary: StationarySection = Field(default_factory=StationarySection)


def prepare(config: StationaryConfig) -> Plan:
    """Check the configuration; every temperature is a unit."""
    problem = build_problem(config)
    section, run = config.stationary, config.run
    units = []
    with named_keys(stationary=StationarySection, run=RunSection):
        if not section.temperatures:
            raise ValueError("temperatures must hold at least one temperature.")
        if section.n_replicas < 4:
            raise ValueError(f"n_replicas must be at least 4, got {section.n_replicas}.")
        temperatures = sorted(set(section.temperatures))
        check_supported(problem.replace(temperature=temperatures[0]))
        arguments = {
            "n_particles": section.n_particles,
            "n_replicas": section.n_replicas,
            "step_size": run.step_size,
            "n_steps": run.n_steps,
            "integrator": get_integrator(run.integrator).name,
            "init": run.init.initial_law(),
            "dtype": run.dtype,
            "seed": config.seed,
        }
    for i, temperature in enumerate(temperatures):
        at = {"problem": problem.replace(temperature=temperature), **arguments}
        units.append(
            Unit(f"temperature-{i:02d}", compare, at, f"temperature {temperature:g}", context=True)
        )
    return Plan(
        units,
        lambda results: combine(config, problem, temperatures, results),
        data_fingerprint(problem),
    )


def compare(
    problem: Problem,
    n_particles: int,
    n_replicas: int,
    step_size: float,
    n_steps: int,
    integrator: str,
    init: InitialLaw,
    dtype: str,
    seed: int,
    context: Context,
) -> Arrays:
    """Solve for the law at one temperature and run the particles for long."""
    law = stationary(problem)
    run = simulate(
        problem,
        n_particles,
        step_size,
        n_steps,
        seed=seed,
        n_replicas=n_replicas,
        integrator=integrator,
        init=init,
        dtype=dtype,
        save_at=[n_steps],
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    weights = run.particles.w[..., 0]
    low, high = np.quantile(weights, [1e-4, 1 - 1e-4])
    edges = np.linspace(low, high, _BINS + 1)
    counted, _ = np.histogram(weights, edges, density=True)
    arrays = {
        "law": law.predictions.reshape(problem.n_data, -1),
        "runs": run.predictions[:, -1].reshape(n_replicas, problem.n_data, -1),
        "edges": edges,
        "histogram": counted * np.mean((weights >= low) & (weights <= high)),
        "certificate": np.array([law.residual, law.grid_error, law.start_spread]),
        "chain": _chain_ends(problem, step_size, n_steps, integrator, init),
    }
    if problem.n_parameters == 1:
        grid = _grid(law, 1.5 * max(abs(low), abs(high)))
        sample = law.sample(n_particles, n_replicas, seed).w[..., 0]
        arrays |= {"w2": grid.wasserstein2(weights), "floor": grid.wasserstein2(sample)}
        arrays["points"], arrays["density"] = grid.axes[0][::4], grid.density[::4]
    else:
        sample = law.sample(200_000, 1, seed).w[0, :, 0]
        arrays["density"], _ = np.histogram(sample, edges, density=True)
        arrays["points"] = (edges[1:] + edges[:-1]) / 2
    return arrays


def _grid(law: StationaryLaw, width: float) -> GridLaw:
    """The law of one parameter on a grid."""
    axis = np.linspace(-width, width, 4 * _POINTS - 3)
    masses = law.density(axis[:, None])
    return GridLaw((axis,), masses / masses.sum())


def _chain_ends(
    problem: Problem, step_size: float, n_steps: int, integrator: str, init: InitialLaw
) -> np.ndarray:
    """Predictions of the law of the chain at the end, for the step size and two smaller ones.

    Shape (3, n, k); NaN where the law of the chain cannot be computed.
    """
    ends = []
    for m in _REFINEMENTS:
        try:
            path = chain_law(
                problem,
                step_size=step_size / m,
                n_steps=m * n_steps,
                init=init,
                integrator=integrator,
                save_at=[0],
            )
            ends.append(path.predictions[-1].reshape(problem.n_data, -1))
        except ValueError:
            ends.append(np.full((problem.n_data, problem.n_outputs), np.nan))
    return np.stack(ends)


def combine(
    config: StationaryConfig,
    problem: Problem,
    temperatures: list[float],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Compare means over the runs with the laws."""
    import xarray as xr

    found = [results[key] for key in sorted(results)]
    numbers: dict[str, Number] = {}
    columns: dict[str, list[np.ndarray]] = {}
    step_sizes = config.run.step_size / np.array(_REFINEMENTS)
    for i, (temperature, arrays) in enumerate(zip(temperatures, found, strict=True)):
        mean, low, high = mean_interval(arrays["runs"])
        bias = arrays["chain"] - arrays["law"]
        distance = np.sqrt(np.square(bias).sum((1, 2)) / problem.n_data)
        point = {
            "law": arrays["law"].ravel(),
            "mean": mean.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "points": arrays["points"],
            "density": arrays["density"],
            "bins": (arrays["edges"][1:] + arrays["edges"][:-1]) / 2,
            "histogram": arrays["histogram"],
            "bias": distance,
        }
        for name, values in point.items():
            columns.setdefault(name, []).append(values)
        numbers |= _numbers(i, temperature, arrays, distance, config.run.integrator)
    shape = {
        "points": "point",
        "density": "point",
        "bins": "bin",
        "histogram": "bin",
        "bias": "step_size",
    }
    variables = {
        name: (("temperature", shape.get(name, "datum")), np.stack(values))
        for name, values in columns.items()
    }
    attributes = {
        "problem": repr(problem),
        "step_size": config.run.step_size,
        "time": config.run.step_size * config.run.n_steps,
        "n_particles": config.stationary.n_particles,
        "n_replicas": config.stationary.n_replicas,
        "integrator": config.run.integrator,
        "seed": str(config.seed),
    }
    coordinates = {"temperature": temperatures, "step_size": step_sizes}
    return Outcome(xr.Dataset(variables, coordinates, attributes), numbers)


def _numbers(
    i: int, temperature: float, arrays: Arrays, bias: np.ndarray, integrator: str
) -> dict[str, Number]:
    """Return what one temperature says."""
    law, at = arrays["law"], f"at temperature {temperature:g}"
    size = np.square(law).sum()
    amplitude = np.einsum("rjk,jk->r", arrays["runs"], law) / size
    mean, low, high = mean_interval(amplitude)
    chain = np.einsum("jk,jk->", arrays["chain"][0], law) / size
    numbers = {
        f"amplitude_{i}": Number(
            f"Amplitude of the networks along the stationary one {at}",
            float(mean),
            (low, high),
            expected=float(chain) if np.isfinite(chain) else None,
        ),
        f"certificate_{i}": Number(
            f"Residual, grid error and spread of starts of the law {at}, the largest",
            float(arrays["certificate"].max()),
        ),
    }
    if np.isfinite(bias).all():
        slope = np.polyfit(np.log(_REFINEMENTS), -np.log(bias), 1)[0]
        expected = get_integrator(integrator).stationary_order
        numbers[f"order_{i}"] = Number(
            f"Order in the step size of the stationary bias {at}", float(slope), expected=expected
        )
    for key, label in (("w2", "the particles"), ("floor", "independent draws")):
        if key in arrays:
            mean, low, high = mean_interval(arrays[key])
            numbers[f"{key}_{i}"] = Number(
                f"W₂² between the law and {label} {at}", float(mean), (low, high)
            )
    return numbers


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell whether the particles end in the law, up to step size and number."""
    numbers, attrs = summary["numbers"], dataset.attrs
    temperatures = dataset["temperature"].values
    rows = [["Temperature", "Amplitude", "95% interval", "Chain", "W₂² to the law", "Independent"]]
    for i, temperature in enumerate(temperatures):
        amplitude = numbers[f"amplitude_{i}"]
        rows.append(
            [
                f"{temperature:g}",
                format_value(amplitude),
                format_interval(amplitude),
                "–" if amplitude["expected"] is None else f"{amplitude['expected']:.4f}",
                *(
                    format_estimate(numbers[f"{key}_{i}"]) if f"{key}_{i}" in numbers else "–"
                    for key in ("w2", "floor")
                ),
            ]
        )
    worst = max(numbers[f"certificate_{i}"]["value"] for i in range(len(temperatures)))
    blocks: list[Block] = [
        Finding(_finding(numbers, len(temperatures))),
        *heading_for_problem(attrs["problem"]),
        Text(
            "Under noise the infinitely wide network settles in a law that is proportional to "
            "exp(−V/τ) and determines V itself. That fixed point was solved by quadrature "
            f"(residual, grid error and spread of the starting points below {format_number(worst)})"
            f" and compared with {attrs['n_replicas']} runs of {attrs['n_particles']} particles up "
            f"to time {attrs['time']:g} ({attrs['integrator']}, step size {attrs['step_size']:g}). "
            "The temperatures below stand in the place of the one above."
        ),
        Heading("Where the particles end"),
        Table(
            rows,
            "Amplitude: length of the trained network along the stationary one; it would be 1 "
            "without step size. The column “Chain” is the exact amplitude for infinitely many "
            "particles at this step size. The last columns compare the distance of the particles "
            "from the law with that of independent draws from it; what it has more is the cost of "
            "the step size.",
        ),
        Figure(
            "densities",
            plots.plot_stationary_densities,
            "Density of the first input weight: the law (lines) and the particles (points).",
        ),
        Figure(
            "predictions",
            plots.plot_stationary_predictions,
            "Mean network against the stationary one at every data point, with 95% intervals.",
        ),
    ]
    orders = [numbers[f"order_{i}"] for i in range(len(temperatures)) if f"order_{i}" in numbers]
    if orders:
        listed = ", ".join(format_value(number) for number in orders)
        blocks += [
            Heading("What the step size costs"),
            Text(
                "The law of the discrete scheme with infinitely many particles ends a little away "
                f"from the stationary law; the distance falls with the step size to the power "
                f"{listed} at the temperatures from low to high, where {orders[0]['expected']:g} "
                "is expected of this integrator."
            ),
            Figure(
                "step_size",
                plots.plot_stationary_bias,
                "Distance of the predictions of the discrete scheme with infinitely many "
                "particles from the stationary ones, root mean square over the data.",
            ),
        ]
    return blocks


def _finding(numbers: Mapping[str, Any], n: int) -> str:
    known = [numbers[f"amplitude_{i}"] for i in range(n)]
    held = sum(agrees(number) is True for number in known)
    if all(number["expected"] is None for number in known):
        parts = ", ".join(format_estimate(number) for number in known)
        return f"Long runs end near the stationary law: amplitudes {parts}, where 1 is the law's."
    return (
        f"At {held} of {n} temperatures the interval of the networks' amplitude holds that of the "
        "stationary law, corrected for the step size."
    )


EXAMPLE: dict[str, Any] = {
    "study": "stationary",
    "title": "Where noisy training ends",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"bias": False, "train": ["w"], "l2": 0.1},
    "run": {"step_size": 0.2, "n_steps": 400},
    "stationary": {"n_particles": 1024, "n_replicas": 16},
}

STUDY = Study("stationary", StationaryConfig, EXAMPLE, prepare, report)
