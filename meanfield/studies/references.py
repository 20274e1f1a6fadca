"""The study `references`: the same particles against every way to compute their limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from meanfield.chaos.plan import ChaosPlan, plan_chaos
from meanfield.chaos.result import ChaosRates
from meanfield.chaos.study import assemble_rates, measure_against
from meanfield.errors import ArgumentError
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.plots import references as plots
from meanfield.statistics.intervals import mean_factor
from meanfield.studies.chaos.report import LABELS
from meanfield.workbench.config import Count, Section, Step, named_keys
from meanfield.workbench.report.formatting import (
    agrees,
    format_estimate,
    format_value,
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

NAMES = {
    "particles": "large system",
    "chain": "law of the chain",
    "fokker-planck": "Fokker–Planck equation",
    "gaussian": "Gaussian closure",
}

_METRICS = ("coupling", "matched_w2", "function", "law_w2")
_CURVE = 200


class ReferencesSection(Section):
    """The particles and their limits."""

    methods: list[Literal["particles", "chain", "fokker-planck", "gaussian"]] = Field(
        ["particles", "chain", "fokker-planck"],
        description="Ways to compute the limit; the first that is exact, else the first, is what "
        "the others are compared with.",
    )
    particle_counts: list[Count] = Field(
        [32, 64, 128, 256, 512, 1024, 2048, 4096], description="Sizes N, at least three."
    )
    n_replicas: Count = Field(64, description="Independent repetitions; intervals are over them.")
    times: list[Step] | None = Field(
        None, description="Steps at which to measure; as in the study chaos by default."
    )
    n_particles: Count | None = Field(
        None, description="Size of the large system; 100 times the largest count by default."
    )


class ReferencesConfig(LearningConfig):
    """Configuration of the study `references`."""

    references: ReferencesSection = Field(default_factory=ReferencesSection)


def prepare(config: ReferencesConfig) -> Plan:
    """Check the configuration; every reference is a unit, and every batch against it."""
    problem = build_problem(config)
    section = config.references
    units = []
    with named_keys(config, "references", "run"):
        methods = tuple(dict.fromkeys(section.methods))
        if not methods:
            raise ArgumentError("methods", "must name at least one way to compute the limit.")
        plan = plan_chaos(
            problem,
            config.scheme(problem),
            section.particle_counts,
            section.n_replicas,
            times=section.times,
            cloud_replicas=0,
        )
        for method in methods:
            size = section.n_particles if method == "particles" else None
            reference = ReferenceSection(method=method, n_particles=size)
            units.append(reference_unit(plan, reference, f"reference-{method}"))
    per_replica = sum(plan.particle_counts) + len(methods) * max(plan.particle_counts)
    for batch in plan.batches():
        units.append(
            Unit(
                f"replicas-{batch.start:05d}",
                measure_replicas,
                {"plan": plan, "first": batch.start, "last": batch.stop},
                f"replicas {batch.start + 1}–{batch.stop} of {plan.n_replicas}",
                # A Python name for every argument.
                {method.replace("-", "_"): f"reference-{method}" for method in methods},
                per_replica * len(batch),
            )
        )
    return Plan(units, lambda results: combine(plan, methods, results), data_fingerprint(problem))


def measure_replicas(plan: ChaosPlan, first: int, last: int, **references: Arrays) -> Arrays:
    """Measure the replicas from `first` up to, not including, `last` against every reference."""
    paths = [saved_path(plan, arrays) for arrays in references.values()]
    found = measure_against(plan, paths, range(first, last))
    return {
        f"{name}-{metric}": values
        for name, metrics in zip(references, found, strict=True)
        for metric, values in metrics.items()
    }


def combine(plan: ChaosPlan, methods: tuple[str, ...], results: Mapping[str, Arrays]) -> Outcome:
    """Fit the rates against every reference, and compare the references with each other."""
    import xarray as xr

    paths = {method: saved_path(plan, results[f"reference-{method}"]) for method in methods}
    rates = {}
    for method, path in paths.items():
        prefix = f"{method.replace('-', '_')}-"
        pieces = [
            {
                name.removeprefix(prefix): values
                for name, values in results[key].items()
                if name.startswith(prefix)
            }
            for key in sorted(results)
            if key.startswith("replicas-")
        ]
        rates[method] = assemble_rates(plan, path, pieces)
    base = next((m for m in ("gaussian", "chain") if m in methods), methods[0])
    steps = np.unique(np.linspace(0, plan.times[-1], _CURVE).round().astype(int))
    gaps = np.stack([_gap(paths[method], paths[base], steps) for method in methods])
    variables: dict[str, Any] = {"gap": (("reference", "step"), gaps)}
    shape = (len(methods), len(plan.particle_counts))
    for metric in _METRICS:
        for part in ("mean", "low", "high"):
            variables[f"{metric}_{part}"] = (("reference", "particles"), np.full(shape, np.nan))
        variables[f"{metric}_slope"] = (("reference", "end"), np.full((len(methods), 3), np.nan))
    for i, method in enumerate(methods):
        for metric, fit in rates[method].fits.items():
            if metric in _METRICS:
                at = -1 if fit.time_index is None else fit.time_index
                mean, factor = mean_factor(rates[method].dataset[metric].values[:, at], axis=1)
                for part, value in zip(
                    ("mean", "low", "high"), (mean, mean / factor, mean * factor), strict=True
                ):
                    variables[f"{metric}_{part}"][1][i] = value
                variables[f"{metric}_slope"][1][i] = (
                    fit.slope.value,
                    fit.slope.low,
                    fit.slope.high,
                )
    coordinates = {
        "reference": list(methods),
        "particles": list(plan.particle_counts),
        "step": steps,
        "time": ("step", steps * plan.scheme.step_size),
        "end": ["value", "low", "high"],
    }
    attributes = {
        "problem": repr(plan.problem),
        "base": base,
        "step_size": plan.scheme.step_size,
        "n_replicas": plan.n_replicas,
        "reference_particles": max((path.n_particles or 0) for path in paths.values()),
        "seed": str(plan.scheme.seed),
    }
    dataset = xr.Dataset(variables, coordinates, attributes)
    return Outcome(dataset, _numbers(rates, dataset, base))


def _gap(path: MeanFieldPath, base: MeanFieldPath, steps: np.ndarray) -> np.ndarray:
    """Root mean square over the data of the difference of two paths."""
    difference = (path.predictions[steps] - base.predictions[steps]).reshape(len(steps), -1)
    return np.sqrt(np.square(difference).sum(1) / path.problem.n_data)


def _numbers(rates: Mapping[str, ChaosRates], dataset: xr.Dataset, base: str) -> dict[str, Number]:
    numbers = {}
    for metric in _METRICS:
        for method, found in rates.items():
            if metric in found.fits:
                fit = found.fits[metric]
                label = f"{LABELS[metric]} against the {NAMES[method]}"
                numbers[f"{metric}_{method}"] = slope_number(label, fit, fit.slope.expected)
    for method in rates:
        if method != base:
            numbers[f"gap_{method}"] = Number(
                f"Largest distance of the {NAMES[method]} from the {NAMES[base]}",
                float(dataset["gap"].sel(reference=method).max()),
            )
    return numbers


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell whether the rate depends on how the limit was computed."""
    numbers = summary["numbers"]
    methods = [str(name) for name in dataset["reference"].values]
    slopes = [
        numbers[f"{metric}_{method}"]
        for metric in _METRICS
        for method in methods
        if f"{metric}_{method}" in numbers
    ]
    blocks: list[Block] = [
        Finding(_finding(numbers, methods)),
        *heading_for_problem(dataset.attrs["problem"]),
        Text(_methods(dataset, methods)),
        Heading("The rate against each of them"),
        Table(
            [
                ["Quantity", "Slope in N", "95% interval", "Expected", "Verdict"],
                *(
                    slope_row(number["label"].removeprefix("Slope of "), number)
                    for number in slopes
                ),
            ],
            "The particles are the same in every row; only what they are compared with differs.",
        ),
        *(
            Text(f"Note on the {n['label'][0].lower()}{n['label'][1:]}: {note}")
            for n in slopes
            for note in n["notes"]
        ),
        Figure(
            "rates",
            plots.plot_reference_rates,
            "Coupling distance against the number of particles for each reference, at the time of "
            "its peak, with 95% intervals.",
        ),
        Heading("How far the references are from each other"),
        Text(_gaps(numbers, methods)),
    ]
    if len(methods) > 1:
        blocks.append(
            Figure(
                "paths",
                plots.plot_reference_gaps,
                f"Distance of the predictions from those of the {NAMES[dataset.attrs['base']]} "
                "over time, root mean square over the data.",
            )
        )
    if np.isfinite(dataset["law_w2_mean"].values).any():
        blocks.append(
            Figure(
                "law_w2",
                plots.plot_reference_laws,
                "Exact squared Wasserstein distance between the particles and the limit law at "
                "the last time.",
            )
        )
    return blocks


def _finding(numbers: Mapping[str, Any], methods: list[str]) -> str:
    off = [method for method in methods if not agrees(numbers[f"coupling_{method}"])]
    parts = [
        f"{format_estimate(numbers[f'coupling_{method}'])} against the {NAMES[method]}"
        for method in methods
    ]
    text = f"The coupling distance falls like N to the power {'; '.join(parts)}."
    if off:
        return f"{text} Not −1: against the {', the '.join(NAMES[m] for m in off)}; see the notes."
    return f"{text} Every interval holds −1."


def _methods(dataset: xr.Dataset, methods: list[str]) -> str:
    what = {
        "particles": f"a system of {dataset.attrs['reference_particles']} particles, whose own "
        "error is of order one over that number",
        "chain": "the law of the same discrete scheme with infinitely many particles, on a "
        "lattice, exact to rounding for smooth problems",
        "fokker-planck": "the law in continuous time from the Fokker–Planck equation, from which "
        f"the scheme differs by a multiple of its step size {dataset.attrs['step_size']:g}",
        "gaussian": "the exact Gaussian closure",
    }
    counts = ", ".join(str(count) for count in dataset["particles"].values)
    return (
        f"Systems of {counts} particles, {dataset.attrs['n_replicas']} of each, are compared with "
        f"{'; '.join(what[method] for method in methods)}."
    )


def _gaps(numbers: Mapping[str, Any], methods: list[str]) -> str:
    parts = [
        f"{numbers[f'gap_{m}']['label'][0].lower()}{numbers[f'gap_{m}']['label'][1:]}: "
        f"{format_value(numbers[f'gap_{m}'])}"
        for m in methods
        if f"gap_{m}" in numbers
    ]
    return (
        f"In the predictions, root mean square over the data, the {'; the '.join(parts)}. The "
        "square of such a distance is a floor under the function distance."
        if parts
        else "Only one was computed."
    )


EXAMPLE: dict[str, Any] = {
    "study": "references",
    "title": "Three ways to the limit",
    "data": {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 16},
    "problem": {"bias": False, "train": ["w"], "l2": 0.1, "temperature": 0.05},
    "run": {"step_size": 0.05, "n_steps": 200},
    "references": {"particle_counts": [16, 32, 64, 128, 256], "n_replicas": 48},
}

STUDY = Study("references", ReferencesConfig, EXAMPLE, prepare, report)
