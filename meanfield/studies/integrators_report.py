"""The report of the study `integrators`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meanfield import plots
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.study import Block, Figure, Finding, Heading, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr

#: What an order measured at these step sizes may be off by, beside its sampling error.
_ALLOWANCE = 0.05


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell which order each scheme has, and what accuracy costs."""
    numbers, attrs = summary["numbers"], dataset.attrs
    orders = [key for key in numbers if key.startswith(("bias_", "path_"))]
    return [
        Finding(_finding(numbers)),
        *heading_for_problem(attrs["problem"]),
        Text(
            f"{attrs['n_replicas']} systems of {attrs['n_particles']} particles start from the "
            "stationary law, which is known by quadrature, and run at every step size along the "
            "same Brownian paths as a reference with the step size "
            f"{attrs['reference_step']:g}: a step of size η sees the sum of the increments that "
            "it spans. The differences between coarse and fine runs hardly fluctuate, so that "
            "they show errors far below the scatter of the runs themselves."
        ),
        Heading("Orders"),
        Table(
            [
                ["Quantity", "Fitted", "95% interval", "Declared", "Verdict"],
                *(
                    [
                        numbers[key]["label"],
                        format_value(numbers[key]),
                        format_interval(numbers[key]) or "–",
                        f"{numbers[key]['expected']:g}",
                        {True: "as declared", False: "differs", None: "–"}[_agrees(numbers[key])],
                    ]
                    for key in orders
                ),
            ],
            "The strong order is that of the distance between particle and true path; the "
            "stationary order that of the bias of the predictions after a long time. Both are "
            "fitted with their leading correction, which bends them at large step sizes. "
            "Intervals are over the systems. An order counts as declared when its interval, "
            f"widened by {_ALLOWANCE:g} for the corrections beyond the leading one and for the "
            "reference's own error, holds the declared one.",
        ),
        *(
            Text(f"{numbers[key]['label']}: {note}")
            for key in orders
            for note in numbers[key]["notes"]
        ),
        Figure(
            "path",
            plots.plot_path_errors,
            f"Distance of the particles from the finely resolved path at time "
            f"{attrs['path_time']:g}. Leimkuhler and Matthews' method is off the Brownian path by "
            "half an increment at all times, hence its order 1/2; that half increment is what "
            "makes its stationary law accurate.",
        ),
        Heading("The stationary law"),
        Text(_reference(numbers)),
        Figure(
            "bias",
            plots.plot_scheme_bias,
            "Bias of the predictions, relative to those of the stationary law, averaged over the "
            f"times {attrs['burn_in']:g} to {attrs['duration']:g}. Bars are 95% intervals; one "
            "that reaches down to the axis holds 0.",
        ),
        Heading("What accuracy costs"),
        *_costs(numbers),
        Figure(
            "cost",
            plots.plot_cost,
            "The same bias against the gradients that a unit of time takes. The time of the "
            "kinetic scheme is its own: it relaxes at another speed.",
        ),
    ]


def _agrees(number: Mapping[str, Any]) -> bool | None:
    """Whether a fitted order is the declared one; None where none was fitted."""
    if number["interval"] is None:
        return None
    low, high = number["interval"]
    return bool(low - _ALLOWANCE <= number["expected"] <= high + _ALLOWANCE)


def _finding(numbers: Mapping[str, Any]) -> str:
    fitted = {
        key.removeprefix("bias_"): number
        for key, number in numbers.items()
        if key.startswith("bias_") and number["interval"] is not None
    }
    if not fitted:
        return "No stationary order could be fitted; the notes say why."
    parts = [f"{name} {format_estimate(number)}" for name, number in fitted.items()]
    text = "Order of the stationary bias in the step size: " + "; ".join(parts) + "."
    off = [name for name, number in fitted.items() if not _agrees(number)]
    missing = [
        key.removeprefix("bias_")
        for key, number in numbers.items()
        if key.startswith("bias_") and number["interval"] is None
    ]
    if off:
        text += f" Not as declared: {', '.join(off)}."
    if missing:
        text += f" Not fitted: {', '.join(missing)}, see the notes."
    return text if off or missing else text + " All as declared."


def _reference(numbers: Mapping[str, Any]) -> str:
    parts = [
        f"{number['label'][0].lower()}{number['label'][1:]}: {format_estimate(number)}"
        for key, number in numbers.items()
        if key.startswith("reference_")
    ]
    return (
        "The references themselves agree with the stationary law up to their own scatter, the "
        "finite number of particles and their small step – " + "; ".join(parts) + "."
    )


def _costs(numbers: Mapping[str, Any]) -> list[Block]:
    priced = {key: number for key, number in numbers.items() if key.startswith("cost_")}
    if not priced:
        return [Text("No scheme crosses the accuracy of comparison at the step sizes measured.")]
    rows = [["Quantity", "Value", "95% interval"]]
    for number in priced.values():
        value = format_value(number)
        at_most = [f"at most {value}", "–"]
        rows.append(
            [
                number["label"],
                *([value, format_interval(number)] if number["interval"] else at_most),
            ]
        )
    return [
        Table(
            rows,
            "Gradients over all data, interpolated between the step sizes that were measured; "
            "fewer is better. Schemes without a row stayed above or around that bias.",
        )
    ]
