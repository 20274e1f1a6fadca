"""The report of the study `cell`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.statistics.estimate import Estimate
from meanfield.studies.cell import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Text
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import format_value, heading_for_problem, headline_table
from meanfield.workbench.sections.atom_bounds import ASSUMED, largest
from meanfield.workbench.sections.learning import LearningHeadline, learning_sentence

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class CellHeadline(LearningHeadline):
    """The triple, and what stands beside it; NaN where a depth was not reached."""

    order: Estimate  # ρ of the maximal admissible weight w*
    orbit_depth: Estimate  # D*_orb
    variety_depth: Estimate  # D*_var
    n_atoms: Estimate  # S*
    compression_gap: Estimate  # part of the network that S* atoms leave out
    # Coefficient-threshold number of the target; None where none can be had.
    bound: Estimate | None = None


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report the triple and what each part rests on."""
    found = CellHeadline.read(summary)
    shown = f"{found.orbit_depth.value:.0f}" if found.orbit_depth.known else "not reached"
    size, score = int(dataset.attrs["n_atoms"]), found.score
    # Within an experiment the score is told once, of all parts.
    learning = "" if score is None else learning_sentence(score, dataset.attrs["guess"], None)
    sure = "" if dataset.attrs["confident"] else " (not to be relied on)"
    text = (
        f"Learning cell (w*, D*_orb, S*): w* of order {format_value(found.order)}, "
        f"D*_orb = {shown}, S* = {size}{sure}."
    )
    if found.bound is not None and size > largest(found.bound):
        value = format_value(found.bound)
        if ASSUMED in found.bound.label:
            text += f" S* exceeds S̄ = {value}, which would be the count {ASSUMED}."
        else:
            text += f" ATTENTION: S* exceeds the count S̄ = {value}."
    columns = ("Part", "Value", "Interval")
    return [
        Finding(text),
        *([Text(learning)] if learning else []),
        *heading_for_problem(dataset.attrs["problem"]),
        headline_table(found, "The triple, and what stands beside it.", columns),
        Text(dataset.attrs["statement"]),
        Heading("The maximal admissible weight w*"),
        Text(
            "w*_k = 1 / m_k, the reciprocal moments of the initial law: the largest weight that "
            "admits it. Its order ρ is read from log m_k = (k/ρ) log k + O(k): 2 for a Gaussian, "
            "infinite for a law of bounded support."
        ),
        Figure(
            "weight",
            figures.plot_weight,
            "Growth of the moments of the initial law: the k-th root of m_k against k.",
        ),
        Heading("The number of atoms S*"),
        Text(found.n_atoms.notes[0].text),
        Figure(
            "residual",
            figures.plot_cell_residual,
            "What the best dictionary of each size leaves (root mean square, relative); the dashed "
            "line is S*.",
        ),
        Heading("The orbit depth D*_orb"),
        Text(found.orbit_depth.notes[0].text),
        Text("Operational definitions, after the abstract of [ISD]."),
    ]
