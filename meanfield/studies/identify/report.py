"""The report of the study `identify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.statistics.estimate import Estimate
from meanfield.studies.identify import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Headline, Summary, family

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class IdentifyHeadline(Headline):
    """The depths by the cell's key; NaN where a depth was not reached or is undecided."""

    variety: dict[str, Estimate] = family("variety-{}")  # D*_var
    orbit: dict[str, Estimate] = family("orbit-{}")  # D*_orb


#: What a cell is named by.
AXES = ("activation", "bias", "d", "atoms")


def cell_text(activation: str, bias: bool, d: int, size: int) -> str:
    """Return a cell as text."""
    return f"{activation}{' with bias' if bias else ''}, d = {d}, S = {size}"


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report the depths, where they separate, and what the answer rests on."""
    cells = dataset.stack(cell=AXES)
    rows = [["Cell", "D*_var", "D*_orb", "Parameters", "Evidence"]]
    apart, open_cells = [], 0
    for i in range(cells.sizes["cell"]):
        at = cells.isel(cell=i)
        name, bias, d, size = at["cell"].item()
        variety, orbit, least = (float(at[key]) for key in ("variety", "orbit", "at_least"))
        text = cell_text(name, bool(bias), d, size)
        open_cells += np.isnan(orbit)
        if variety < orbit:
            apart.append(f"{text} ({variety:.0f} and {orbit:.0f})")
        undecided = f"undecided, at least {least:.0f}"
        shown = undecided if np.isfinite(least) else _depth(at, orbit)
        evidence = str(at["explanation"].values)
        rows.append([text, _depth(at, variety), shown, str(int(at["wanted"])), evidence])
    finding = f"Depths of {cells.sizes['cell']} cells. "
    finding += (
        f"The two depths separate for {'; '.join(apart)}."
        if apart
        else "The two depths agree wherever both were reached."
    )
    if open_cells:
        finding += f" In {open_cells} of them D*_orb was not reached or is undecided."
    return [
        Finding(finding),
        Heading("What was computed"),
        Text(
            "For standard normal inputs the Hermite tensors T_0, …, T_D of a network are moments "
            "of its atoms. D*_var is the least D from which only finitely many dictionaries of S "
            "atoms share them, by the rank of their Jacobian at generic points; D*_orb the least D "
            "from which one dictionary does, up to the symmetries of the activation, by search for "
            "others. A dictionary that was found proves D*_orb to be larger; one that was not "
            "found proves nothing. (Operational definitions, after the abstract of [ISD].)"
        ),
        Figure(
            "depths",
            figures.plot_depths,
            "D*_var and D*_orb for every cell. Framed: the two separate. A dash: not reached up to "
            "the largest degree tried. ≥: one orbit is known from there on, but no search came "
            "back to it, so that others may have been missed.",
        ),
        Heading("Cell by cell"),
        Table(
            rows,
            "Parameters: those of S atoms less the continuous symmetries, the rank that is wanted.",
        ),
    ]


def _depth(at: xr.Dataset, depth: float) -> str:
    return f"{depth:.0f}" if np.isfinite(depth) else f"not reached up to {int(at['max_degree'])}"
