"""The report of the study `cell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.studies.cell import figures
from meanfield.studies.cell.headline import CellHeadline
from meanfield.workbench.report.formatting import (
    format_interval,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.study import Block, Figure, Finding, Heading, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report the triple and what each part rests on."""
    found = CellHeadline.read(summary)
    order = "∞" if dataset.attrs["infinite_order"] else format_value(found.order)
    shown = f"{found.orbit_depth.value:.0f}" if found.orbit_depth.known else "not reached"
    size = int(dataset.attrs["n_atoms"])
    text = (
        f"Learning cell (w*, D*_orb, S*): w* of order {order}, D*_orb = {shown}, S* = {size}"
        f"{'' if dataset.attrs['confident'] else ' (not to be relied on)'}."
    )
    if found.bound is not None:
        most = found.bound.value if found.bound.interval is None else found.bound.high
        if size > most:
            text += f" ATTENTION: S* exceeds the bound S̄ = {format_value(found.bound)}."
    rows = [["Part", "Value", "Interval"]]
    for key, number in found.numbers().items():
        value = order if key == "order" else format_value(number)
        rows.append([number.label, value, format_interval(number) or "–"])
    return [
        Finding(text),
        *heading_for_problem(dataset.attrs["problem"]),
        Table(rows, "The triple, and what stands beside it."),
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
