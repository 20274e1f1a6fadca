"""The study `moments`: which moments an initial law has, and whether the flow keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.errors import ArgumentError, ConfigError
from meanfield.flow.initial import LAWS, InitialLaw
from meanfield.flow.integrators import get_integrator
from meanfield.flow.simulate import simulate
from meanfield.moments import AdmissibleWeight, admissible_weight, moment_propagation
from meanfield.problem import Problem
from meanfield.workbench.config import Count, Positive, Section, named_keys
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

NAMES = {
    "gaussian": "Gaussian",
    "laplace": "Laplace",
    "uniform-ball": "uniform ball",
    "stretched-exponential": "stretched exponential",
    "student-t": "Student t",
}


#: Quantile of 99% intervals: with five laws, all hold at once with about 95%.
_WIDE = 2.576


class MomentsSection(Section):
    """The initial laws and what is followed."""

    laws: list[Literal[tuple(LAWS)]] = Field(  # type: ignore[valid-type]
        list(LAWS), description=f"Initial laws, of the scale in [run.init]: {', '.join(LAWS)}."
    )
    rho: Positive = Field(0.7, description="Exponent of the stretched exponential.")
    nu: Positive = Field(5.0, description="Tail index of Student t.")
    n_particles: Annotated[int, Field(ge=1000)] = Field(
        50_000, description="Particles, from which moments are read; at least 1000."
    )
    max_order: Annotated[int, Field(ge=4)] = Field(32, description="Highest moment.")
    excess: Positive = Field(
        0.5, description="How much smaller the inverse order of the heavier weight is."
    )
    n_times: Count = Field(16, description="Number of times at which moments are read.")


class MomentsConfig(LearningConfig):
    """Configuration of the study `moments`."""

    moments: MomentsSection = Field(default_factory=MomentsSection)


def prepare(config: MomentsConfig) -> Plan:
    """Check the configuration; every law is a unit."""
    problem = build_problem(config)
    section, run = config.moments, config.run
    names = list(dict.fromkeys(section.laws))
    with named_keys(config, "moments", "run"):
        scale = run.init.initial_law().scale
        shapes = {"rho": section.rho, "nu": section.nu}
        laws = {
            name: InitialLaw(name, scale, **{k: v for k, v in shapes.items() if LAWS[name] == k})
            for name in names
        }
        if not laws:
            raise ArgumentError("laws", "must name at least one initial law.")
        settings = {
            "step_size": run.step_size,
            "n_steps": run.n_steps,
            "seed": config.seed,
            "integrator": get_integrator(run.integrator).name,
            "dtype": run.dtype,
        }
        # Refuses what has too few points, or no exact moments, before the work.
        weights = {
            name: admissible_weight(law, problem=problem, max_order=section.max_order)
            for name, law in laws.items()
        }
    steps = np.unique(np.linspace(0, run.n_steps, section.n_times).round().astype(int))
    units = [
        Unit(
            f"law-{name}",
            follow,
            {
                "problem": problem,
                "law": law,
                "n_particles": section.n_particles,
                "max_order": section.max_order,
                "steps": steps.tolist(),
                "settings": settings,
            },
            f"from the {NAMES[name]} law",
            context=True,
        )
        for name, law in laws.items()
    ]
    return Plan(
        units,
        lambda results: combine(config, problem, weights, steps, results),
        data_fingerprint(problem),
    )


def follow(
    problem: Problem,
    law: InitialLaw,
    n_particles: int,
    max_order: int,
    steps: list[int],
    settings: Mapping[str, Any],
    context: Context,
) -> Arrays:
    """Run the particles from one law and follow their moments."""
    weight = admissible_weight(law, problem=problem, max_order=max_order)
    run = simulate(
        problem,
        n_particles,
        init=law,
        save_at=steps,
        checkpoint=context.checkpoint,
        progress=context.progress,
        **settings,
    )
    try:
        found = moment_propagation(run, weight)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    read = admissible_weight(run.at(0), problem=problem, max_order=max_order)
    inverse, error = read.evidence["inverse_order"]
    return {
        "growth": found.growth,
        "interval": found.interval,
        "max_orders": found.max_orders,
        "inverse_order": np.array([inverse, error]),
        "compact": np.array(np.isinf(read.order)),
        "tail_index": np.array([read.tail_index, *read.tail_index_interval]),
    }


def combine(
    config: MomentsConfig,
    problem: Problem,
    weights: Mapping[str, AdmissibleWeight],
    steps: np.ndarray,
    results: Mapping[str, Arrays],
) -> Outcome:
    """Put exact weights, growth and the heavier weight beside each other."""
    import xarray as xr

    names = list(weights)
    found = {name: results[f"law-{name}"] for name in names}
    log_w = np.stack([weights[name].log_w_star for name in names])
    by_time, by_order = ("law", "time"), ("law", "order")
    variables = {
        "log_w_star": (by_order, np.where(np.isfinite(log_w), log_w, np.nan)),
        "growth": (by_time, np.stack([found[name]["growth"] for name in names])),
        "growth_low": (by_time, np.stack([found[name]["interval"][:, 0] for name in names])),
        "growth_high": (by_time, np.stack([found[name]["interval"][:, 1] for name in names])),
        "max_orders": (by_time, np.stack([found[name]["max_orders"] for name in names])),
        "admitted": (by_order, np.stack([_terms(weights[name], 0.0) for name in names])),
        "heavier": (
            by_order,
            np.stack([_terms(weights[name], config.moments.excess) for name in names]),
        ),
    }
    coordinates = {
        "law": names,
        "time": steps * config.run.step_size,
        "order": np.arange(1, config.moments.max_order + 1),
    }
    attributes = {
        "problem": repr(problem),
        "temperature": problem.temperature,
        "excess": config.moments.excess,
        "nu": config.moments.nu,
        "rho": config.moments.rho,
        "n_particles": config.moments.n_particles,
        "seed": str(config.seed),
    }
    numbers: dict[str, Number] = {}
    for name in names:
        numbers |= _numbers(name, weights[name], found[name])
    return Outcome(xr.Dataset(variables, coordinates, attributes), numbers)


def _terms(weight: AdmissibleWeight, excess: float) -> np.ndarray:
    """``(w_k m_k)^{1/k}`` at the start, exact, for ``w_k = k^{−k/ρ} k^{k excess}``."""
    if weight.order == 0.0:
        return np.full(weight.max_order, np.nan)
    return weight.growth(weight.order) * np.arange(1.0, weight.max_order + 1) ** excess


def _numbers(name: str, weight: AdmissibleWeight, found: Arrays) -> dict[str, Number]:
    """Return order or tail index, read from the particles, and the growth of one law."""
    numbers = {}
    if np.isfinite(weight.tail_index):
        index, low, high = found["tail_index"]
        numbers[f"order_{name}"] = Number(
            f"Tail index of the {NAMES[name]} start, from its particles",
            float(index),
            (low, high),
            expected=weight.tail_index,
        )
    else:
        inverse, error = found["inverse_order"]
        low, high = inverse - _WIDE * error, inverse + _WIDE * error
        # A law that reads as compact has order infinity, however the fit came out.
        low, inverse = (0.0, 0.0) if found["compact"] else (low, inverse)
        numbers[f"order_{name}"] = Number(
            f"Inverse order 1/ρ of the {NAMES[name]} start, from its particles",
            float(inverse),
            (low, high),
            level=0.99,
            expected=0.0 if np.isinf(weight.order) else 1.0 / weight.order,
        )
    top = int(found["growth"].argmax())
    for key, label, at in (("largest", "Largest", top), ("last", "Last", -1)):
        low, high = found["interval"][at]
        numbers[f"{key}_{name}"] = Number(
            f"{label} G(t) from the {NAMES[name]} law",
            float(found["growth"][at]),
            (low, high),
        )
    return numbers


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell which moments there are, that the flow keeps them, and that no more can be asked."""
    numbers = summary["numbers"]
    names = [str(name) for name in dataset["law"].values]
    rows = [["Initial law", "Order ρ", "Read from the particles", "Largest G(t)", "Last G(t)"]]
    for name in names:
        largest, last = numbers[f"largest_{name}"], numbers[f"last_{name}"]
        rows.append(
            [
                NAMES[name],
                _order(name, numbers[f"order_{name}"]),
                _read(name, numbers[f"order_{name}"]),
                f"{format_value(largest)} ({format_interval(largest)})",
                f"{format_value(last)} ({format_interval(last)})",
            ]
        )
    excess = dataset.attrs["excess"]
    return [
        Finding(_finding(numbers, names)),
        *heading_for_problem(dataset.attrs["problem"]),
        Text(
            "A weight gives every moment m_k a price w_k; a law is admitted when no w_k m_k is "
            "unbounded. The largest weight that admits the initial law is the reciprocal of its "
            "moments, w*_k = 1/m_k. How fast it falls with k is its order: 2 for a Gaussian, 1 for "
            "an exponential, unbounded for a compact law."
        ),
        *_infinite(dataset, names),
        Figure(
            "weights",
            plots.plot_weights,
            "The largest admissible weight of each initial law, exact. A curve that ends stands "
            "for a law without further moments: its weight is 0 from there on.",
        ),
        Heading("Does the flow keep the moments?"),
        Table(
            rows,
            f"G(t) is the largest (w*_k m_k)^(1/k) over the moments that "
            f"{dataset.attrs['n_particles']} particles can tell, with 95% intervals; it starts at "
            "1, up to sampling. The orders have 99% intervals, so that those of five laws hold at "
            "once 19 times in 20; the laws share their random numbers. With noise and a law of "
            "order above 2 the weight is that of order 2: noise makes the tails Gaussian at once.",
        ),
        Figure(
            "growth",
            plots.plot_growth,
            "G(t) along the run with 95% intervals: it stays bounded when the flow propagates the "
            "moments of its initial law.",
        ),
        Heading("Nothing heavier is admitted"),
        Text(
            "The weight k^(−k/ρ), with ρ the order of the initial law, is w* up to factors C^k: "
            "its terms (w_k m_k)^(1/k) level off. A weight that is larger by the factor "
            f"k^({excess:g} k) does not admit the law: its terms grow without bound."
        ),
        Figure(
            "heavier",
            plots.plot_heavier_weight,
            "Terms at the start, exact: solid lines for the weight of the law's own order, dashed "
            "lines with markers for the heavier one. A law without an order is left out: with "
            "infinite moments no positive weight admits it.",
        ),
    ]


def _finding(numbers: Mapping[str, Any], names: list[str]) -> str:
    worst = max(names, key=lambda name: numbers[f"largest_{name}"]["value"])
    off = [NAMES[name] for name in names if agrees(numbers[f"order_{name}"]) is False]
    text = (
        f"From {len(names)} initial laws the flow keeps the moments that it started with: G(t) "
        f"never exceeds {format_estimate(numbers[f'largest_{worst}'])}, reached from the "
        f"{NAMES[worst]} law."
    )
    if off:
        return (
            f"{text} The order read from the particles misses the exact one for: {', '.join(off)}."
        )
    return f"{text} Orders and tail index read from the particles agree with the exact ones."


def _infinite(dataset: xr.Dataset, names: list[str]) -> list[Block]:
    if "student-t" not in names:
        return []
    nu = dataset.attrs["nu"]
    return [
        Text(
            f"The Student t law of tail index {format_number(nu)} has infinite moments from "
            f"k = {int(np.ceil(nu))} on: there w*_k = 0, whatever the weight of the others."
        )
    ]


def _order(name: str, number: Mapping[str, Any]) -> str:
    if name == "student-t":
        return f"none: tail index {format_number(number['expected'])}"
    inverse = number["expected"]
    return "∞ (compact)" if inverse == 0 else format_number(1 / inverse)


def _read(name: str, number: Mapping[str, Any]) -> str:
    what = "tail index" if name == "student-t" else "1/ρ ="
    return f"{what} {format_value(number)} ({format_interval(number)})"


EXAMPLE: dict[str, Any] = {
    "study": "moments",
    "title": "Moments of five initial laws along the flow",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"l2": 0.05, "temperature": 0.02},
    "run": {"step_size": 0.1, "n_steps": 300},
    "moments": {"n_particles": 20_000},
}

STUDY = Study("moments", MomentsConfig, EXAMPLE, prepare, report)
