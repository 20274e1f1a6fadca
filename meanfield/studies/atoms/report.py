"""What the study `atoms` found, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.dictionary.agreement import SAME_ATOM
from meanfield.dictionary.fitting import NETWORK_FLOOR
from meanfield.dictionary.result import NOT_AT_REST
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import (
    format_number,
    format_share,
    format_short,
    format_value,
    heading_for_problem,
    headline_table,
)
from meanfield.workbench.sections.atom_bounds import largest
from meanfield.workbench.sections.learning import LearningHeadline, unlearned

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class AtomsHeadline(LearningHeadline):
    """How many atoms the networks have at the end, and how far that can be relied on."""

    n_atoms: Estimate  # the most frequent number
    agreement: Estimate  # share of networks with that number
    confident: Estimate  # share of networks whose number can be relied on
    missing: Estimate  # share of networks whose certificate finds a missing atom
    compression_gap: Estimate  # part of the network that its atoms leave out, mean over networks
    # Half-angle of the widest cone of a direction, reference network; None without atoms.
    direction_error: Estimate | None = None
    error: Estimate | None = None  # held-out loss of the dictionary, where data are held out
    # From the Hermite coefficients of the target, where it has an expansion.
    bound: Estimate | None = None


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how many atoms the network has, which, and whether one is missing."""
    found = AtomsHeadline.read(summary)
    not_learned = unlearned(found.score, dataset.attrs.get("guess", 0.0))
    picture, mass = _pictures(dataset)
    intervals = "Intervals are Wilson's for shares and Student's for means over networks."
    blocks: list[Block] = [
        Finding(f"{not_learned} {_finding(found, dataset)}".strip()),
        *picture,
        *heading_for_problem(dataset.attrs["problem"]),
        Text(_course(dataset)),
        headline_table(found, intervals),
        Text(_bound(found, dataset)),
        Heading("How many atoms?"),
        Text(_how_many(dataset)),
        Figure(
            "residual",
            figures.plot_residual,
            f"{_residual_caption(dataset)} Values below 10⁻⁸ are drawn at 10⁻⁸.",
        ),
        *mass,
        Heading("Is an atom missing?"),
        *(Text(sentence) for sentence in _certificates(dataset)),
        Heading("Do seeds and times agree?"),
        Text(_agreement(dataset)),
    ]
    if dataset.sizes["look"] > 1:
        blocks.append(
            Figure(
                "cooling",
                figures.plot_cooling,
                "Number of atoms found in every network as the temperature falls (left to right). "
                "Filled marks can be relied on.",
            )
        )
    return blocks


def _at_rest(dataset: xr.Dataset) -> bool:
    """Tell whether the atoms are those of the minimiser of the training objective."""
    return bool(dataset.isel(look=-1)["from_rest"].all())


def _residual_caption(dataset: xr.Dataset) -> str:
    if _at_rest(dataset):
        return (
            "What the largest atoms, none to all of them, leave of the network at rest (root mean "
            "square, relative), from every network. Circles mark all of them."
        )
    return (
        "Residual of the best dictionary of each size (root mean square, relative to what it is "
        "fitted to), for every network at the end. Circles mark the size that is chosen."
    )


def _pictures(dataset: xr.Dataset) -> tuple[list[Block], list[Block]]:
    """Return the picture of the atoms, which comes first, and what belongs to each of them."""
    if not dataset.attrs["modal"]:
        return [], []
    plane = Figure("atoms", figures.plot_atoms, _atoms_caption(dataset))
    rest: list[Block] = [
        Heading("Which atoms?"),
        _table(dataset),
        _error_bars(dataset),
        Figure(
            "mass",
            figures.plot_mass,
            "Share of the neurons that belong to each atom"
            f"{' at rest' if _at_rest(dataset) else ''}: one mark per network, bars for the means. "
            "The remaining neurons contribute next to nothing or belong to no atom.",
        ),
    ]
    if "image" not in dataset.attrs:
        return [plane], rest
    tiles = Figure(
        "tiles",
        figures.plot_tiles,
        "Input weights of each atom, pixel by pixel, with its coefficient and its share of the "
        "neurons. Bright orange pixels raise the input of the neuron, bright purple ones lower it.",
    )
    return [tiles], [*rest, plane]


def _finding(found: AtomsHeadline, dataset: xr.Dataset) -> str:
    size, modal = dataset.attrs["n_particles"], dataset.attrs["modal"]
    noun = "atom" if modal == 1 else "atoms"
    text = (
        f"The networks of {size} neurons have S* = {modal} {noun}: {_same(dataset)} have that many"
        f"{_range(dataset)}, and the count can be relied on in {_sure(dataset)}."
    )
    if _at_rest(dataset):
        text = (
            f"At rest, networks have S* = {modal} {noun}: so it is found from {_same(dataset)} "
            f"networks of {size} neurons{_range(dataset)}, and the count can be relied on from "
            f"{_sure(dataset)}."
        )
    if modal:
        share = format_share(found.compression_gap.value)
        text += (
            f" Fitted to the network itself, {modal} {noun} {'leaves' if modal == 1 else 'leave'} "
            f"{share} of it unexplained."
        )
    if found.missing.value > 0:
        text += " The certificate finds a missing atom; see below."
    elif found.confident.value == 1:
        text += " The certificate finds no missing atom."
    if found.bound is not None and modal > largest(found.bound):
        text += f" ATTENTION: S* is larger than the count S̄ = {format_value(found.bound)}."
    return text


def _range(dataset: xr.Dataset) -> str:
    """Say which numbers of atoms the other networks have."""
    counts = dataset["n_atoms"].isel(look=-1).values
    others = counts[counts != dataset.attrs["modal"]]
    if not len(others):
        return ""
    low, high = others.min(), others.max()
    shown = f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
    return f", the other{' has' if len(others) == 1 else 's have'} {shown}"


def _same(dataset: xr.Dataset) -> str:
    hits = dataset["n_atoms"].isel(look=-1) == dataset.attrs["modal"]
    return f"{int(hits.sum())} of {dataset.sizes['replica']}"


def _sure(dataset: xr.Dataset) -> str:
    return f"{int(dataset['confident'].isel(look=-1).sum())} of {dataset.sizes['replica']}"


def _course(dataset: xr.Dataset) -> str:
    replicas, particles = dataset.sizes["replica"], dataset.attrs["n_particles"]
    first, last = (format_number(float(dataset["temperature"][i])) for i in (0, -1))
    networks = "1 network" if replicas == 1 else f"{replicas} networks"
    text = (
        f"{networks} of {particles} neurons {'was' if replicas == 1 else 'were'} trained with "
        f"independent noise up to time {format_number(float(dataset['time'][0]))}"
    )
    if dataset.sizes["look"] > 1:
        text += (
            f" at temperature {first}, then cooled to temperature {last} by time "
            f"{format_number(float(dataset['time'][-1]))}: noise spreads the neurons around the "
            "minima of their potential, where they gather as the noise fades"
        )
    return text + (
        ". An atom is a neuron of the sparse network that remains: neurons that act in the same "
        "way, up to flips and rescalings that leave the network unchanged, count as one."
    )


def _bound(found: AtomsHeadline, dataset: xr.Dataset) -> str:
    if found.bound is None:
        return (
            "There is no count S̄ to compare S* with: it is computed from the Hermite coefficients "
            "of the target, and these labels are not the values of a known scalar target at "
            "standard normal inputs."
        )
    modal, shown = dataset.attrs["modal"], format_value(found.bound)
    if modal <= largest(found.bound):
        verdict = f"S* = {modal} does not exceed the count S̄ = {shown}."
    else:
        verdict = (
            f"ATTENTION: S* = {modal} exceeds the count S̄ = {shown}. Either parts of the target "
            "below the threshold add up to an atom, or one direction takes several, or the "
            "expansion is cut off too early, or the network has atoms that its target does not "
            "need."
        )
    notes = " ".join(note.text for note in found.bound.notes)
    return f"{verdict} {notes} (Operational definition, after the abstract of [ISD].)"


def _how_many(dataset: xr.Dataset) -> str:
    last = dataset.isel(look=-1)
    if _at_rest(dataset):
        text = (
            "Counted are the atoms of the network at rest, the minimiser of the training objective "
            "over all distributions of neurons, which networks tend to as the temperature goes to "
            "zero: a property of the data and the penalty, not of a run. The duality gap bounds "
            "how far above the minimum the search has ended."
        )
    elif float(last["from_labels"].mean()) >= 0.5:
        text = (
            "Dictionaries of every size were fitted to the labels, starting from the neurons. The "
            "size chosen has the least BIC, and each of its atoms must also be present in the "
            "network."
        )
    else:
        text = (
            "Dictionaries of every size were fitted to the network's own predictions. An atom "
            "counts if it explains more than its parameters cost under the BIC; a residual below "
            f"{100 * NETWORK_FLOOR:g}% is taken as none."
        )
    reference = int(dataset.attrs["reference"])
    parts = [text, _possible(dataset), f"Reference network: {last['statement'].values[reference]}"]
    return " ".join(part for part in parts if part)


def _possible(dataset: xr.Dataset) -> str:
    """Say which sizes the reference network leaves possible."""
    last = dataset.isel(look=-1, replica=int(dataset.attrs["reference"]))
    least, most = int(last["least"]), int(last["most"])
    if float(last["from_rest"]):
        return "" if least == most else f"Between {least} and {most} it is a matter of definition."
    if least == most:
        return f"No size but {least} is possible at 95% confidence."
    return f"Sizes from {least} to {most} cannot be excluded at 95% confidence."


def _table(dataset: xr.Dataset) -> Table:
    rows = [["Atom", "Coefficient c", "Length of w", "Share of neurons", "Angle", "Recurs in"]]
    # What an interval can hold; a length stands for a coefficient of several outputs.
    ranges = {
        "c": (0.0 if _several_outputs(dataset) else -np.inf, np.inf),
        "length": (0.0, np.inf),
        "mass": (0.0, 1.0),
    }
    for i in range(dataset.attrs["modal"]):
        cells = [str(i + 1)]
        for name, (low, high) in ranges.items():
            values = dataset[f"matched_{name}"].values[:, i]
            cells.append(_mean(values[np.isfinite(values)], low, high))
        angle = dataset["matched_angle"].values[:, i]
        matches = _matches(dataset)[:, i]
        farthest = f"{format_number(np.nanmax(matches))}°" if np.isfinite(matches).any() else "–"
        cells += [farthest, f"{np.isfinite(angle).sum()} of {len(angle)}"]
        rows.append(cells)
    return Table(
        rows,
        "Atoms of the reference network and their matches in the others: means with 95% intervals, "
        f"the largest angle to a match, and the number of networks with a match within "
        f"{SAME_ATOM:g}°. For vector coefficients the length is given.",
    )


def _error_bars(dataset: xr.Dataset) -> Table:
    """Return the numbers of the reference network's atoms with their intervals from the data."""
    last = dataset.isel(look=-1, replica=int(dataset.attrs["reference"]))
    rows = [["Atom", "Coefficient c", "Direction within", "Length of w", "Offset b/|w|"]]
    for i in range(dataset.attrs["modal"]):
        atom = last.isel(atom=i)
        pairs = zip(atom["c"].values, atom["c_error"].values, strict=True)
        c = "; ".join(_plus_minus(value, half) for value, half in pairs)
        length = float(np.linalg.norm(atom["w"].values))
        rows.append(
            [
                str(i + 1),
                c,
                f"{format_number(float(atom['direction_error']))}°",
                _plus_minus(length, float(atom["length_error"]), "not identified"),
                _plus_minus(float(atom["offset"]), float(atom["offset_error"])),
            ]
        )
    what = "from what other inputs of the same law would change"
    if float(last["from_labels"]):
        what = "from the noise that the labels leave"
    elif float(last["from_rest"]):
        what = "from what other rows of the same law would change"
    return Table(
        rows,
        f"Error bars of the atoms of the reference network, {what}: 95% intervals, and the angle "
        "of the cone around w that holds the true direction in 95 of 100 cases.",
    )


def _plus_minus(value: float, half: float, unknown: str = "–") -> str:
    """Return a value with its interval in the digits that it justifies."""
    if np.isnan(half):
        return unknown
    if half < 1e-5 * abs(value) or half == 0:
        return format_number(value)
    return format_short(Estimate(value, value - half, value + half))


def _several_outputs(dataset: xr.Dataset) -> bool:
    return dataset.sizes.get("output", 1) > 1


def _matches(dataset: xr.Dataset) -> np.ndarray:
    """Return the angles to matches in other networks, without the reference network's own."""
    return np.delete(dataset["matched_angle"].values, int(dataset.attrs["reference"]), axis=0)


def _mean(values: np.ndarray, low: float, high: float) -> str:
    """Return a mean over networks; without its interval where all have the same to rounding."""
    mean = Estimate.mean(values)
    if mean.interval is None or mean.width < 1e-5 * abs(mean.value):
        return format_number(mean.value)
    return format_short(mean.clip(low, high))


def _atoms_caption(dataset: xr.Dataset) -> str:
    d = dataset.sizes["feature"]
    text = (
        "Input weights up to flips. Dots are neurons of the reference network, larger the more "
        "they contribute; rings are the atoms of all networks"
    )
    if dataset.sizes["drawn"]:
        text += "; ellipses are 95% regions of the reference network's"
    text += ". " if _several_outputs(dataset) else ", coloured by the sign of the coefficient. "
    if d == 1:
        return text + "The axes are weight and bias."
    text += "Dashed: where the plane is cut, w and −w being equivalent. "
    if d == 2:
        return text + "In the polar grid, rays are 30° apart and the radius is the length of w."
    return text + f"Projection from {d} dimensions onto the two that show the atoms best."


def _certificates(dataset: xr.Dataset) -> list[str]:
    last = dataset.isel(look=-1)
    network = last.isel(replica=int(dataset.attrs["reference"]))
    own = bool(network["penalised"])
    texts = []
    if own:
        sentence = str(network["certificate_statement"].values)
        sentence += f" {NOT_AT_REST}" if network["missing"] else ""
        texts.append(sentence)
    labels = str(network["labels_statement"].values)
    texts.append(
        f"{labels} That is without penalty; labels called for another atom in "
        f"{int(last['labels_missing'].sum())} of {dataset.sizes['replica']} networks."
    )
    if own:
        texts += _compared(bool(network["missing"]), bool(network["labels_missing"]))
    return texts


def _compared(own: bool, labels: bool) -> list[str]:
    """Say what it means that an atom is missing by the objective, by the labels, or by both."""
    if own and labels:
        return ["Both find a missing atom: longer training, or more neurons, may supply it."]
    if own:
        return [
            "The two answers differ: the labels need no other atom, but the network has not yet "
            "reached the minimum of its training objective, and longer training may change it."
        ]
    if labels:
        return [
            "The two answers differ because of the penalty: another atom would improve the fit to "
            "the labels, but its penalty would outweigh the gain."
        ]
    return []


def _agreement(dataset: xr.Dataset) -> str:
    modal, n = dataset.attrs["modal"], dataset.sizes["replica"]
    if not modal:
        return f"{_same(dataset)} networks have no atom."
    present = np.isfinite(dataset["matched_angle"].values).mean(axis=0).min()
    where = "every network" if present == 1 else f"at least {100 * present:.0f}% of the networks"
    text = (
        f"Over seeds: {_same(dataset)} networks have S* = {modal}, and every atom recurs in {where}"
    )
    matches = _matches(dataset)
    if np.isfinite(matches).any():
        text += f", within {format_number(np.nanmax(matches))}°"
    text += "."
    if n == 1:
        text = "Only one network was trained, which says nothing about other seeds."
    over_time = dataset["over_time"].values
    if _at_rest(dataset):
        start = "Searches started at every network"
        start += " and look" if len(over_time) > 1 else ""
        text = f"{start}; at the end {_same(dataset)} find S* = {modal}"
        if np.isfinite(matches).any():
            text += f", with atoms within {format_number(np.nanmax(matches))}° of each other"
        return f"{text}. A number at rest is one of the problem, whatever they start from."
    if len(over_time) > 1:
        same = np.flatnonzero(np.isfinite(over_time[:-1]))
        if not len(same):
            return f"{text} Over time: the reference network has S* = {modal} only at the end."
        since = format_number(float(dataset["temperature"][same[0]]))
        text += (
            f" Over time: the reference network first has S* = {modal} at temperature {since}; "
            f"wherever it has that many from then on, their directions are within "
            f"{format_number(over_time[same].max())}° of those at the end."
        )
    return text
