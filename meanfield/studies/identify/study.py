"""The study `identify`: how many Hermite degrees determine the atoms of a network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield.errors import ConfigError
from meanfield.identify import orbit_depth
from meanfield.problem import get_activation
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.identify import figures
from meanfield.workbench.config import ActivationName, Count, Section, Step, StudyConfig
from meanfield.workbench.study import (
    Arrays,
    Block,
    Figure,
    Finding,
    Heading,
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

MOST_DEGREES = 200
AXES = ("activation", "bias", "d", "atoms")


class IdentifySection(Section):
    """One cell for every combination of the lists."""

    activations: list[ActivationName] = Field(["tanh", "silu"], description="Activations.")
    dims: list[Count] = Field([1, 2], description="Input dimensions d.")
    sizes: list[Count] = Field([1, 2], description="Numbers of atoms S.")
    bias: list[bool] = Field([False], description="Without biases, with, or both.")
    max_degree: Count | None = Field(
        None, description="Largest degree that is tried; 4 S + 4, at least 8, by default."
    )
    n_points: Count = Field(3, description="Generic points at which fibres are explored.")
    n_starts: Count = Field(10, description="Random starts of a search, per point.")
    n_paths: Step = Field(1, description="Curves followed from every dictionary found.")


class IdentifyConfig(StudyConfig):
    """Configuration of the study `identify`."""

    identify: IdentifySection = Field(default_factory=IdentifySection)


def prepare(config: IdentifyConfig) -> Plan:
    """Check the configuration and make one unit of every cell."""
    section = config.identify
    names = [get_activation(name).name for name in section.activations]
    if section.max_degree is not None and section.max_degree > MOST_DEGREES:
        raise ConfigError(f"key 'identify.max_degree' must be at most {MOST_DEGREES}.")
    cells = list(itertools.product(names, section.bias, section.dims, section.sizes))
    search = section.model_dump(include={"max_degree", "n_points", "n_starts", "n_paths"})
    units = [
        Unit(
            _key(*cell),
            depths,
            dict(zip(("activation", "bias", "d", "n_atoms"), cell, strict=True))
            | {"seed": config.seed}
            | search,
            _key(*cell).replace("-", " "),
            weight=cell[3] ** 2 * cell[2],
        )
        for cell in cells
    ]
    shape = (names, section.bias, section.dims, section.sizes)
    return Plan(units, lambda results: combine(shape, results), data="")


def _key(activation: str, bias: bool, d: int, size: int) -> str:
    return f"{activation}-{'bias' if bias else 'plain'}-d{d}-S{size}"


def depths(
    activation: str,
    bias: bool,
    d: int,
    n_atoms: int,
    max_degree: int | None,
    n_points: int,
    n_starts: int,
    n_paths: int,
    seed: int,
) -> Arrays:
    """Compute both depths of one cell, NaN where not reached, with the evidence per degree."""
    found = orbit_depth(
        activation,
        d,
        n_atoms,
        bias=bias,
        max_degree=max_degree,
        n_points=n_points,
        n_starts=n_starts,
        n_paths=n_paths,
        seed=seed,
    )
    rank = np.full(MOST_DEGREES + 1, np.nan)
    orbits, solved = rank.copy(), rank.copy()
    for step in found.variety.evidence:
        rank[step.degree] = step.rank
    for step in found.evidence:
        orbits[step.degree] = max(step.orbits)
        if step.n_starts:
            solved[step.degree] = step.n_solved
    last = found.variety.evidence[-1]
    return {
        "variety": np.array(found.variety.depth, dtype=float),
        "orbit": np.array(found.depth, dtype=float),
        "max_degree": np.array(found.max_degree),
        "wanted": np.array(last.wanted),
        "smallest": np.array(last.smallest),
        "clear": np.array(all(step.clear for step in found.variety.evidence)),
        "rank": rank,
        "orbits": orbits,
        "solved": solved,
        "explanation": np.array(found.explanation),
    }


def combine(shape: tuple, results: Mapping[str, Arrays]) -> Outcome:
    """Lay the cells out as a table."""
    import xarray as xr

    pieces = [results[_key(*cell)] for cell in itertools.product(*shape)]
    longest = max(int(piece["max_degree"]) for piece in pieces) + 1
    sizes = tuple(map(len, shape))
    variables = {}
    for name in pieces[0]:
        values = np.stack([piece[name] for piece in pieces])
        if values.ndim == 2:
            table = values[:, :longest].reshape(*sizes, longest)
            variables[name] = ((*AXES, "degree"), table)
        else:
            variables[name] = (AXES, values.reshape(sizes))
    names, bias, dims, atoms = shape
    coordinates = {
        "activation": names,
        "bias": np.array(bias, dtype=int),
        "d": dims,
        "atoms": atoms,
        "degree": np.arange(longest),
    }
    at_least = np.array([_undecided_from(piece) for piece in pieces]).reshape(sizes)
    variables["at_least"] = (AXES, at_least)
    depths: dict[str, Estimate] = {}
    for cell, piece in zip(itertools.product(*shape), pieces, strict=True):
        for key, label in (("variety", "D*_var"), ("orbit", "D*_orb")):
            depth, least = float(piece[key]), _undecided_from(piece)
            notes = (Note("explanation", str(piece["explanation"])),) if key == "orbit" else ()
            text = f"{label}, {_cell(*cell)}"
            if key == "orbit" and np.isfinite(least):
                text += f" (undecided, at least {least:.0f})"
            elif np.isnan(depth):
                text += f" (not reached up to {int(piece['max_degree'])})"
            depths[f"{key}-{_key(*cell)}"] = Estimate(depth, notes=notes, label=text)
    return Outcome(xr.Dataset(variables, coordinates), depths)


def _undecided_from(piece: Mapping[str, np.ndarray]) -> float:
    """Return the degree at which one orbit is known and no search had power; NaN elsewhere."""
    degrees = np.flatnonzero(np.isfinite(piece["orbits"]))
    if np.isfinite(piece["orbit"]) or not len(degrees):
        return np.nan
    last = degrees[-1]
    powerless = not piece["solved"][last] > 0
    return float(last) if piece["orbits"][last] == 1 and powerless else np.nan


def _cell(activation: str, bias: bool, d: int, size: int) -> str:
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
        text = _cell(name, bool(bias), d, size)
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


EXAMPLE: dict[str, Any] = {
    "study": "identify",
    "title": "Depths of tanh and silu",
    "identify": {"activations": ["tanh", "silu"], "dims": [1, 2], "sizes": [1, 2]},
}

STUDY = Study("identify", IdentifyConfig, EXAMPLE, prepare, report)
