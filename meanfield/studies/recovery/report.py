"""What the study `recovery` found, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.studies.recovery import figures
from meanfield.workbench.report.formatting import format_interval, format_value
from meanfield.workbench.study import Block, Figure, Finding, Heading, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr

METHODS = {
    "dictionary": "dictionary",
    "frank_wolfe": "Frank–Wolfe",
    "hdbscan": "HDBSCAN",
    "kmeans": "k-means",
}


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how often the atoms came back, beside what simpler methods do."""
    numbers = summary["numbers"]
    widths = dataset["particles"].values
    blocks: list[Block] = [
        Finding(_finding(summary, dataset)),
        Heading("What was computed"),
        Text(_setting(dataset)),
        Table(
            [
                ["Quantity", "Share", f"{100 * dataset.attrs['level']:.0f}% interval"],
                *([n["label"], format_value(n), format_interval(n)] for n in numbers.values()),
            ],
            "Share of all teachers, with Wilson's interval."
            + (
                ""
                if len(widths) > 1
                else " k-means takes the number of clusters with the best "
                "silhouette, which cannot be one."
            ),
        ),
    ]
    if len(widths) > 1:
        return [
            *blocks,
            Heading("Width"),
            Text(
                "The refit to labels is a good optimiser of its own and may find the teacher from "
                "a network that has not learned it. So only teachers count whose atoms the network "
                "itself has, which is what makes a dictionary confident."
            ),
            Figure(
                "width",
                figures.plot_success,
                "Share of teachers against the width of the trained network, with 95% intervals. "
                "Found: the dictionary has exactly their atoms, every direction within 1°, and "
                "says that it can be relied on. Right: the network's root mean square error on "
                "held-out inputs is at most 10%.",
            ),
        ]
    return [
        *blocks,
        Heading("Method by method"),
        Figure(
            "methods",
            figures.plot_methods,
            "Share of teachers whose number of atoms is found exactly, against that number, "
            "over all activations and dimensions, with 95% intervals.",
        ),
        Heading("Cell by cell"),
        Figure(
            "cells",
            figures.plot_cells,
            "Share of teachers whose number of atoms the dictionary finds exactly, in percent, for "
            "every activation, dimension d and number of atoms S.",
        ),
        Figure(
            "angles",
            figures.plot_angles,
            "Largest angle between the line of a teacher's atom and the nearest atom found, for "
            "the teachers whose number of atoms is found: median (marker), and the range from the "
            "5th to the 95th percentile. Angles below 10⁻⁹ are drawn there.",
        ),
    ]


def _finding(summary: Summary, dataset: xr.Dataset) -> str:
    numbers, parts = summary["numbers"], []
    if dataset.sizes["particles"] > 1:
        widths = dataset["particles"].values
        shares = [
            f"{100 * numbers[f'success_{width}']['value']:.0f}% at width {width}"
            for width in widths
        ]
        return f"Teachers that are found, and reliably so: {', '.join(shares)}."
    for noise in dataset["noise"].values:
        exact = numbers[f"exact_dictionary_{noise:g}"]
        close = numbers[f"close_{noise:g}"]
        label = "Without noise" if noise == 0 else f"With {100 * noise:g}% label noise"
        text = (
            f"{label} the dictionary has exactly as many atoms as the teacher in "
            f"{_percent(exact)} of the teachers; in {100 * close['value']:.0f}% it has them with "
            "every direction within 1°"
        )
        others = {
            METHODS[m]: numbers[f"exact_{m}_{noise:g}"]["value"]
            for m in METHODS
            if m != "dictionary" and f"exact_{m}_{noise:g}" in numbers
        }
        if others:
            best = max(others, key=others.__getitem__)
            text += f"; the best simpler method is {best} with {100 * others[best]:.0f}%"
        parts.append(text + ".")
    return " ".join(parts)


def _percent(number: dict) -> str:
    low, high = number["interval"]
    level = 100 * number["level"]
    return (
        f"{100 * number['value']:.1f}% ({level:.0f}% interval {100 * low:.1f} to {100 * high:.1f}%)"
    )


def _setting(dataset: xr.Dataset) -> str:
    attrs, sizes = dataset.attrs, dataset.sizes
    cells = sizes["activation"] * sizes["d"] * sizes["atoms"] * sizes["noise"] * sizes["particles"]
    names = ", ".join(map(str, dataset["activation"].values))
    return (
        f"{cells} cells of {sizes['teacher']} random teachers each: {names}; input dimensions "
        f"{_list(dataset['d'])}; {_list(dataset['atoms'])} atoms with lines at least "
        f"{attrs['min_angle']:g}° apart, {'with' if attrs['bias'] else 'without'} biases. "
        f"Networks of {_list(dataset['particles'])} neurons were trained on {attrs['n_data']} "
        f"standard normal inputs for {attrs['n_steps']} steps while the temperature fell, and "
        "their atoms extracted. Frank–Wolfe fits the labels and ignores the network; k-means and "
        "HDBSCAN cluster its neurons as they are."
    )


def _list(values: xr.DataArray) -> str:
    return ", ".join(f"{value:g}" for value in values.values)
