"""What the study `atoms` found, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.dictionary.result import NOT_AT_REST
from meanfield.statistics.intervals import mean_interval
from meanfield.studies.atoms import figures
from meanfield.workbench.report.formatting import (
    format_interval,
    format_number,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.study import Block, Figure, Finding, Heading, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how many atoms the network has, which, and whether one is missing."""
    numbers = summary["numbers"]
    picture, mass = _pictures(dataset)
    blocks: list[Block] = [
        Finding(_finding(numbers, dataset)),
        *picture,
        *heading_for_problem(dataset.attrs["problem"]),
        Text(_course(dataset)),
        Table(
            [
                ["Quantity", "Value", "95% interval"],
                *(
                    [n["label"], format_value(n), format_interval(n) or "–"]
                    for n in numbers.values()
                ),
            ],
            "Shares have Wilson's interval, means over networks Student's.",
        ),
        *_bound(numbers, dataset),
        Heading("How many"),
        Text(_how_many(dataset)),
        Figure(
            "residual",
            figures.plot_residual,
            "What the best dictionary of each size leaves of what it is fit to (root mean square, "
            "relative), for every network at the end; circles mark the size that is chosen. "
            "Values below 10⁻⁸ are drawn there.",
        ),
        *mass,
    ]
    blocks += [
        Heading("Is one missing?"),
        *(Text(sentence) for sentence in _certificates(dataset)),
        Heading("Is it stable?"),
        Text(_stability(dataset)),
    ]
    if dataset.sizes["look"] > 1:
        blocks.append(
            Figure(
                "cooling",
                figures.plot_cooling,
                "Number of atoms found in every network while the temperature falls (left to "
                "right); filled marks can be relied on.",
            )
        )
    return blocks


def _pictures(dataset: xr.Dataset) -> tuple[list[Block], list[Block]]:
    """Return the picture of the atoms, which comes first, and what belongs to each of them."""
    if not dataset.attrs["modal"]:
        return [], []
    plane = Figure("atoms", figures.plot_atoms, _atoms_caption(dataset))
    rest: list[Block] = [
        Heading("Which"),
        _table(dataset),
        Figure(
            "mass",
            figures.plot_mass,
            "Share of the neurons that belong to each atom: one mark per network, the bar is "
            "their mean. What is missing to 100% are neurons that contribute next to nothing "
            "or belong to no atom.",
        ),
    ]
    if "image" not in dataset.attrs:
        return [plane], rest
    tiles = Figure(
        "tiles",
        figures.plot_tiles,
        "Input weights of each atom, pixel by pixel; above it its coefficient and the share of "
        "the neurons. Orange pixels push the neuron up, purple ones down.",
    )
    return [tiles], [*rest, plane]


def _finding(numbers: Mapping[str, Any], dataset: xr.Dataset) -> str:
    size, modal = dataset.attrs["n_particles"], dataset.attrs["modal"]
    noun = "atom" if modal == 1 else "atoms"
    gap = numbers["compression_gap"]
    text = (
        f"The networks of {size} neurons have S* = {modal} {noun}: {_of(dataset, 'same')} agree, "
        f"{_of(dataset, 'sure')} with confidence."
    )
    if modal:
        misses = "misses" if modal == 1 else "miss"
        share = format_number(100 * gap["value"])
        text += f" Fit to the network, {modal} {noun} {misses} {share}% of it."
    if numbers["missing"]["value"] > 0:
        text += " The certificate finds that an atom is missing; see below."
    elif numbers["confident"]["value"] == 1:
        text += " The certificate finds none that is missing."
    if "bound" in numbers and modal > (numbers["bound"]["interval"] or [0, 0])[1]:
        value = numbers["bound"]["value"]
        if modal > value:
            text += f" ATTENTION: S* is larger than the bound S̄ = {value:.0f}."
    return text


def _of(dataset: xr.Dataset, what: str) -> str:
    last = dataset.isel(look=-1)
    hits = last["n_atoms"] == dataset.attrs["modal"] if what == "same" else last["confident"] == 1
    return f"{int(hits.sum())} of {dataset.sizes['replica']}"


def _course(dataset: xr.Dataset) -> str:
    replicas, particles = dataset.sizes["replica"], dataset.attrs["n_particles"]
    first, last = (float(dataset["temperature"][i]) for i in (0, -1))
    text = (
        f"{replicas} networks of {particles} neurons were trained with independent noise up to "
        f"time {format_number(float(dataset['time'][0]))}"
    )
    if dataset.sizes["look"] > 1:
        text += (
            f" at temperature {format_number(first)}, then cooled to {format_number(last)} by "
            f"time {format_number(float(dataset['time'][-1]))}: noise spreads neurons around the "
            "minima of their potential, and as it falls they gather there"
        )
    return text + (
        ". An atom is a neuron of the sparse network that remains: neurons that do the same, after "
        "flips and rescalings that leave the network unchanged, count as one."
    )


def _bound(numbers: Mapping[str, Any], dataset: xr.Dataset) -> list[Block]:
    if "bound" not in numbers:
        return [
            Text(
                "There is no bound S̄ beside S*: it comes from the Hermite coefficients of the "
                "target, and these labels are not the values of a known scalar target at standard "
                "normal inputs."
            )
        ]
    bound, modal = numbers["bound"], dataset.attrs["modal"]
    high = bound["value"] if bound["interval"] is None else bound["interval"][1]
    if modal <= high:
        verdict = f"S* = {modal} keeps to the bound S̄ = {format_value(bound)}."
    else:
        verdict = (
            f"ATTENTION: S* = {modal} exceeds the bound S̄ = {format_value(bound)}. Either the "
            "threshold is too high for this target, the expansion stops too early, or the network "
            "has atoms that its target does not call for."
        )
    notes = " ".join(bound["notes"])
    return [Text(f"{verdict} {notes} (Operational definition, after the abstract of [ISD].)")]


def _how_many(dataset: xr.Dataset) -> str:
    last = dataset.isel(look=-1)
    if float(last["refit_to_labels"].mean()) >= 0.5:
        text = (
            "Dictionaries of every size were fit to the labels, starting from the neurons; the "
            "size is that of least BIC, and an atom must also be present in the network."
        )
    else:
        text = (
            "Dictionaries of every size were fit to the network's own predictions; an atom counts "
            "when it explains more than its parameters cost under BIC, a residual of 2% being "
            "taken as none."
        )
    reference = int(dataset.attrs["reference"])
    return f"{text} Reference network: {last['statement'].values[reference]}"


def _table(dataset: xr.Dataset) -> Table:
    rows = [["Atom", "Coefficient c", "Length of w", "Share of neurons", "Angle", "Recurs in"]]
    for i in range(dataset.attrs["modal"]):
        cells = [str(i + 1)]
        for name in ("c", "length", "mass"):
            values = dataset[f"matched_{name}"].values[:, i]
            cells.append(_mean(values[np.isfinite(values)]))
        angle = dataset["matched_angle"].values[:, i]
        here = np.isfinite(angle)
        cells += [f"{angle[here].max():.2g}°", f"{here.sum()} of {len(angle)}"]
        rows.append(cells)
    return Table(
        rows,
        "Atoms of the reference network and their matches in the others: mean with 95% interval; "
        "largest angle to a match; networks with a match within 15°. Of vector coefficients the "
        "length is given.",
    )


def _mean(values: np.ndarray) -> str:
    mean, low, high = (float(v) for v in mean_interval(values))
    if np.isnan(low) or high - low < 1e-5 * abs(mean):
        return format_number(mean)
    mean_text, *ends = (format_number(value, high - low) for value in (mean, low, high))
    return f"{mean_text} ({' to '.join(ends)})"


def _atoms_caption(dataset: xr.Dataset) -> str:
    d = dataset.sizes["feature"]
    text = (
        "Input weights modulo flips. Dots are neurons of the reference network, larger the more "
        "they contribute; rings are the atoms of all networks, coloured by the sign of the "
        "coefficient. "
    )
    if d == 1:
        return text + "Weight against bias."
    text += "Dashed: where the plane is cut, w and −w being the same. "
    if d == 2:
        return text + "Polar: rays are 30° apart, the radius is the length of w."
    return text + f"Projection from {d} dimensions onto the two directions that show atoms best."


def _certificates(dataset: xr.Dataset) -> list[str]:
    reference = int(dataset.attrs["reference"])
    last = dataset.isel(look=-1)
    network = last.isel(replica=reference)
    own = bool(network["penalised"])
    labels = str(network["labels_statement"].values)
    n = dataset.sizes["replica"]
    found = int(last["labels_missing"].sum())
    texts = []
    if own:
        sentence = str(network["certificate_statement"].values)
        sentence += f" {NOT_AT_REST}" if network["missing"] else ""
        texts.append(f"For the training objective, penalty included: {sentence}")
    texts.append(
        f"For the labels, without penalty: {labels} A missing atom was found in {found} of {n} "
        "networks."
    )
    if own:
        texts += _compared(bool(network["missing"]), bool(network["labels_missing"]))
    return texts


def _compared(own: bool, labels: bool) -> list[str]:
    """Say what it means that an atom is missing by the objective, by the labels, or by both."""
    if not own and not labels:
        return []
    if not own:
        return [
            "The two answers differ because of the penalty: the labels would pay for another atom, "
            "but its weight would cost more than it gains."
        ]
    if not labels:
        return [
            "The two answers differ: the labels need no other atom, but the network is not yet "
            "where its training objective is least, which longer training may change."
        ]
    return ["Both say that an atom is missing: longer training, or more neurons, may find another."]


def _stability(dataset: xr.Dataset) -> str:
    modal, n = dataset.attrs["modal"], dataset.sizes["replica"]
    if not modal:
        return f"{_of(dataset, 'same')} networks have no atom."
    angle = dataset["matched_angle"].values
    present = np.isfinite(angle).mean(axis=0).min()
    where = "every network" if present == 1 else f"at least {100 * present:.0f}% of the networks"
    text = (
        f"Over seeds: {_of(dataset, 'same')} networks have S* = {modal}, and every atom recurs in "
        f"{where}, within {np.nanmax(angle):.2g}°."
    )
    if n == 1:
        text = "Only one network was trained: nothing can be said about other seeds."
    over_time = dataset["over_time"].values
    if len(over_time) > 1:
        same = np.flatnonzero(np.isfinite(over_time))
        since = float(dataset["temperature"][same[0]])
        text += (
            f" Over times: the reference network has so many first at temperature "
            f"{format_number(since)}, and they turned by {over_time[same].max():.2g}° from then on."
        )
    return text
