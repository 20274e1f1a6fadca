"""The study `ensembles`: the bias of small networks, and what averaging them can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield import plots
from meanfield.chaos.ensembles import Ensembles, analyse_networks, measure_networks
from meanfield.chaos.plan import ChaosPlan, plan_chaos
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.studies.chaos.report import describe_reference
from meanfield.workbench.config import Count, Section, named_keys
from meanfield.workbench.report.formatting import (
    agrees,
    format_estimate,
    format_number,
    heading_for_problem,
    slope_row,
)
from meanfield.workbench.sections.data import LearningConfig, build_problem, data_fingerprint
from meanfield.workbench.sections.reference import (
    ReferenceSection,
    reference_unit,
    saved_path,
    slope_number,
)
from meanfield.workbench.study import (
    Arrays,
    Block,
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

#: Share of the smallest squared bias that the reference's own error may have.
_REFERENCE_SHARE = 0.1


class EnsemblesSection(Section):
    """The networks that are averaged."""

    particle_counts: list[Count] = Field(
        [8, 16, 32, 64, 128], description="Sizes N of the networks, at least three."
    )
    n_replicas: Count = Field(
        4096,
        description="Networks of each size. The bias is of order 1/N beside a scatter of order "
        "1/sqrt(N): thousands are needed.",
    )
    reference: ReferenceSection = Field(default_factory=ReferenceSection)


class EnsemblesConfig(LearningConfig):
    """Configuration of the study `ensembles`."""

    ensembles: EnsemblesSection = Field(default_factory=EnsemblesSection)


def prepare(config: EnsemblesConfig) -> Plan:
    """Check the configuration; the reference is one unit, every batch of networks another."""
    problem = build_problem(config)
    section, run = config.ensembles, config.run
    with named_keys(config, "ensembles", "run"):
        plan = plan_chaos(
            problem,
            section.particle_counts,
            section.n_replicas,
            step_size=run.step_size,
            n_steps=run.n_steps,
            times=[run.n_steps],
            seed=config.seed,
            integrator=run.integrator,
            init=run.init.initial_law(),
            dtype=run.dtype,
            cloud_replicas=0,
        )
        units = [reference_unit(plan, section.reference)]
    per_network = sum(plan.particle_counts) + max(plan.particle_counts)
    for batch in plan.batches():
        units.append(
            Unit(
                f"networks-{batch.start:06d}",
                measure_batch,
                {"plan": plan, "first": batch.start, "last": batch.stop},
                f"networks {batch.start + 1}–{batch.stop} of {plan.n_replicas}",
                {"reference": "reference"},
                per_network * len(batch),
            )
        )
    return Plan(units, lambda results: combine(plan, results), data_fingerprint(problem))


def measure_batch(plan: ChaosPlan, first: int, last: int, reference: Arrays) -> Arrays:
    """Measure the networks from `first` up to, not including, `last`."""
    return measure_networks(plan, saved_path(plan, reference), range(first, last))


def combine(plan: ChaosPlan, results: Mapping[str, Arrays]) -> Outcome:
    """Fit bias and variance, and keep the curves of the averages."""
    import xarray as xr

    path = saved_path(plan, results["reference"])
    pieces = [results[key] for key in sorted(results) if key != "reference"]
    found = analyse_networks(plan, path, pieces)
    counts = list(plan.particle_counts)
    two_errors = 2 * found.squared_bias_error
    variance = found.error[:, 0] - found.squared_bias
    spread = found.error_high[:, 0] / found.error[:, 0]
    variables = {
        "bias_mean": ("particles", found.squared_bias, found.bias.slope_attributes),
        "bias_low": ("particles", found.squared_bias - two_errors),
        "bias_high": ("particles", np.maximum(found.squared_bias, 0) + two_errors),
        "variance_mean": ("particles", variance, found.variance.slope_attributes),
        "variance_low": ("particles", variance / spread),
        "variance_high": ("particles", variance * spread),
        "variance_left": ("particles", found.reduction),
        "error_mean": (("particles", "networks"), found.error),
        "error_low": (("particles", "networks"), found.error_low),
        "error_high": (("particles", "networks"), found.error_high),
    }
    attributes = {
        "problem": repr(plan.problem),
        "reference": path.method,
        "reference_particles": path.n_particles or 0,
        "reference_error": float(np.max(getattr(path.details, "error", 0.0))),
        "n_networks": plan.n_replicas,
        "time": plan.times[-1] * plan.step_size,
        "step_size": plan.step_size,
        "seed": str(plan.seed),
    }
    coordinates = {"particles": counts, "networks": found.sizes}
    dataset = xr.Dataset(variables, coordinates, attributes)
    return Outcome(dataset, _numbers(found, variance, path, counts[-1]))


def _numbers(
    found: Ensembles, variance: np.ndarray, path: MeanFieldPath, largest: int
) -> dict[str, Number]:
    fits = {
        "bias": ("squared bias of the law", found.bias, -2.0),
        "moment_bias": ("squared bias of the particles' moments", found.moment_bias, -2.0),
        "variance": ("variance of a network", found.variance, -1.0),
    }
    numbers = {}
    for key, (label, fit, expected) in fits.items():
        numbers[f"{key}_slope"] = slope_number(label, fit, expected)
    if path.n_particles:
        own = variance[-1] * largest / path.n_particles
        if own > _REFERENCE_SHARE * max(found.squared_bias.min(), 0.0):
            numbers["bias_slope"].notes.append(
                f"The reference of {path.n_particles} particles has a squared error of its own of "
                f"about {own:.1e}, which is not small against the smallest bias: use a reference "
                "without particles, or a larger one."
            )
    bias, error = found.squared_bias[0], found.squared_bias_error[0]
    if bias > 2 * error:
        numbers["worthwhile"] = Number(
            "Networks of the smallest size whose average has as much variance as squared bias",
            float(variance[0] / bias),
            (float(variance[0] / (bias + 2 * error)), float(variance[0] / (bias - 2 * error))),
        )
    return numbers


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how bias and variance fall, and when averaging stops to pay."""
    numbers = summary["numbers"]
    slopes = ("bias_slope", "moment_bias_slope", "variance_slope")
    return [
        Finding(_finding(numbers)),
        *heading_for_problem(dataset.attrs["problem"]),
        Text(
            f"{dataset.attrs['n_networks']} independent networks of each size were trained up to "
            f"time {dataset.attrs['time']:g} (step size {dataset.attrs['step_size']:g}); "
            f"{describe_reference(dataset.attrs)}."
        ),
        Heading("Bias and variance"),
        Table(
            [
                ["Quantity", "Slope in N", "95% interval", "Expected", "Verdict"],
                *(
                    slope_row(numbers[key]["label"].removeprefix("Slope of "), numbers[key])
                    for key in slopes
                ),
            ],
            "The error of a network is a random part, which differs from one network to the next, "
            "and a bias, which all of them share. The squared bias falls like 1/N², the variance "
            "like 1/N.",
        ),
        *(Text(f"Note: {note}") for key in slopes for note in numbers[key]["notes"]),
        Figure(
            "bias",
            plots.plot_bias_and_variance,
            "Squared bias of the mean network and variance of a single one, with 95% intervals "
            "(two standard errors for the bias); open triangles are upper bounds.",
        ),
        *_control(dataset),
        Heading("Averaging networks"),
        Text(_averaging(numbers, dataset)),
        Figure(
            "averaging",
            plots.plot_averaging,
            "Mean squared distance between the average of R networks of N neurons and the limit, "
            "against the neurons R × N that they have together; dotted lines are the squared bias, "
            "below which no averaging leads, and the dashed line is a single network of that many "
            "neurons.",
        ),
    ]


def _finding(numbers: Mapping[str, Any]) -> str:
    bias = numbers["bias_slope"]
    if bias["interval"] is None:
        return (
            "The bias of the law is hidden in the scatter of the networks: more networks, or "
            "smaller ones, are needed."
        )
    low, high = bias["interval"]
    text = f"The squared bias of small networks falls like N to the power {format_estimate(bias)}"
    if not agrees(bias):
        return f"{text}, which is not the expected 1/N²; see the notes."
    told = low > -1.0 or high < -1.0
    return f"{text}, in agreement with 1/N²" + (
        ", and not like the variance, 1/N." if told else "; the interval also holds 1/N."
    )


def _control(dataset: xr.Dataset) -> list[Block]:
    left = dataset["variance_left"].values
    if (left == 1).all():
        return []
    return [
        Text(
            "The independent copies of the particles have the limit as their exact mean, so they "
            "serve as control variates: between "
            f"{format_number(100 * left.min())}% and {format_number(100 * left.max())}% of the "
            "variance is left for the bias to stand out of."
        )
    ]


def _averaging(numbers: Mapping[str, Any], dataset: xr.Dataset) -> str:
    text = (
        "The average of R networks has an R times smaller variance and the same bias. One network "
        "with all the neurons has the same variance, but a bias that is R times smaller (R² in the "
        "square)."
    )
    if "worthwhile" in numbers:
        text += (
            f" For N = {int(dataset['particles'][0])} the variance of the average has come down to "
            f"the squared bias at R = {format_estimate(numbers['worthwhile'])}; far beyond that, "
            "more networks of this size change nothing."
        )
    return text


EXAMPLE: dict[str, Any] = {
    "study": "ensembles",
    "title": "Averaging small networks",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"bias": False, "train": ["w"], "l2": 0.1, "temperature": 0.05},
    "run": {"step_size": 0.2, "n_steps": 100},
    "ensembles": {"particle_counts": [4, 8, 16, 32], "n_replicas": 4096},
}

STUDY = Study("ensembles", EnsemblesConfig, EXAMPLE, prepare, report)
