"""What the study `recovery` found, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.statistics.estimate import Estimate
from meanfield.studies.recovery import figures
from meanfield.studies.recovery.figures import METHODS
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Text
from meanfield.workbench.headline import Headline, Summary, family
from meanfield.workbench.report.formatting import headline_table

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class RecoveryHeadline(Headline):
    """Shares of teachers: by noise for networks of one width, by width for several."""

    exact: dict[str, Estimate] = family("exact_{}")  # number of atoms found, by `method_at`
    # The dictionary finds them, with every direction within 1°, by noise.
    close: dict[str, Estimate] = family("close_{}")
    # Their number of atoms is found, among those of confident dictionaries, by noise.
    sure: dict[str, Estimate] = family("sure_{}")
    # Confident dictionaries find them, with every direction within 1°, by width.
    success: dict[str, Estimate] = family("success_{}")
    fitted: dict[str, Estimate] = family("fitted_{}")  # learned by the network, by width


def method_at(method: str, noise: float) -> str:
    """Return the name of a method at a label noise."""
    return f"{method}_{noise:g}"


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how often the atoms are recovered, beside what simpler methods do."""
    found = RecoveryHeadline.read(summary)
    by_width = bool(found.success)
    columns = ("Quantity", "Share", f"{100 * dataset.attrs['level']:.0f}% interval")
    caption = "Shares of the teachers, with Wilson's intervals."
    if "exact_kmeans" in dataset and not by_width:
        caption += (
            " k-means takes the number of clusters with the best silhouette, which is at least two."
        )
    return [
        Finding(
            (_by_width(found) if by_width else _by_noise(found, dataset)) + _unlearned(dataset)
        ),
        Heading("What was computed"),
        Text(_setting(dataset)),
        headline_table(found, caption, columns),
        *(_WIDTH_BLOCKS if by_width else _METHOD_BLOCKS),
    ]


_WIDTH_BLOCKS: list[Block] = [
    Heading("Width"),
    Text(
        "The refit to the labels is a good optimiser in itself and may find the teacher from a "
        "network that has not learned it. Hence a teacher counts only if the network itself has "
        "its atoms, which is what makes a dictionary confident."
    ),
    Figure(
        "width",
        figures.plot_success,
        "Share of teachers against the width of the trained network, with 95% intervals. Found "
        "reliably: the dictionary has as many atoms as the teacher, every direction is within 1°, "
        "and it is confident. Learned: the root mean square error of the network on held-out "
        "inputs is at most 10%.",
    ),
]

_METHOD_BLOCKS: list[Block] = [
    Heading("Method by method"),
    Figure(
        "methods",
        figures.plot_methods,
        "Share of teachers whose number of atoms is found exactly, against that number, over all "
        "activations and dimensions, with 95% intervals.",
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
        "Largest angle between the line of a teacher's atom and the nearest atom found, over the "
        "teachers whose number of atoms is found: median (marker) and range from the 5th to the "
        "95th percentile. Angles below 10⁻⁹ degrees are drawn at 10⁻⁹.",
    ),
]


def _by_width(found: RecoveryHeadline) -> str:
    shares = (f"{100 * share.value:.0f}% at width {n}" for n, share in found.success.items())
    return f"Share of teachers that are found reliably: {', '.join(shares)}."


def _by_noise(found: RecoveryHeadline, dataset: xr.Dataset) -> str:
    parts = []
    for noise in dataset["noise"].values:
        label = "Without noise" if noise == 0 else f"With {100 * noise:g}% label noise"
        exact = {
            method: found.exact[method_at(method, noise)]
            for method in METHODS
            if method_at(method, noise) in found.exact
        }
        close = found.close[f"{noise:g}"]
        text = (
            f"{label} the dictionary has the right number of atoms for "
            f"{_percent(exact.pop('dictionary'))} of the teachers, and for "
            f"{100 * close.value:.0f}% every direction is within 1° as well"
        )
        if exact:
            best = max(exact, key=lambda method: exact[method].value)
            text += (
                f"; the best simpler method, {METHODS[best]}, finds the number of atoms for "
                f"{100 * exact[best].value:.0f}%"
            )
        parts.append(text + ".")
    return " ".join(parts)


def _unlearned(dataset: xr.Dataset) -> str:
    """Say how many networks are no better on held-out inputs than the answer 0."""
    errors = dataset["network_error"].values
    count = int((~(errors < 1)).sum())
    if not count:
        return ""
    return (
        f" {count} of the {errors.size} networks have not learned: on held-out inputs the answer 0 "
        "has no larger error. What is found in these is not what a network learned; train longer "
        "(recovery.n_steps), or with another step size or less temperature."
    )


def _percent(share: Estimate) -> str:
    value, low, high = (f"{100 * part:.1f}%" for part in (share.value, share.low, share.high))
    return f"{value} ({100 * share.level:.0f}% interval {low} to {high})"


def _setting(dataset: xr.Dataset) -> str:
    attrs, sizes = dataset.attrs, dataset.sizes
    cells = sizes["activation"] * sizes["d"] * sizes["atoms"] * sizes["noise"] * sizes["particles"]
    names = ", ".join(map(str, dataset["activation"].values))
    text = (
        f"Cells: {cells}, with {sizes['teacher']} random teachers each. Activations: {names}. "
        f"Input dimensions: {_list(dataset['d'])}. Atoms: {_list(dataset['atoms'])}, on lines at "
        f"least {attrs['min_angle']:g}° apart, {'with' if attrs['bias'] else 'without'} biases. "
        f"Networks of {_list(dataset['particles'])} neurons were trained on {attrs['n_data']} "
        f"standard normal inputs for {attrs['n_steps']} steps while the temperature fell, and "
        "their atoms were extracted."
    )
    if "exact_kmeans" in dataset:
        text += (
            " Frank–Wolfe fits the labels and ignores the network; k-means and HDBSCAN cluster its "
            "neurons as they are."
        )
    return text


def _list(values: xr.DataArray) -> str:
    return ", ".join(f"{value:g}" for value in values.values)
