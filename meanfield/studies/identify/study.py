"""The study `identify`: how many Hermite degrees determine the atoms of a network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from meanfield.checks import MOST_LISTED
from meanfield.identify import orbit_depth
from meanfield.problem import get_activation
from meanfield.statistics.estimate import Estimate
from meanfield.studies.identify.report import AXES, IdentifyHeadline, cell_text, report
from meanfield.system import memory
from meanfield.workbench.config import (
    ActivationNames,
    Listed,
    Section,
    StudyConfig,
    named_activations,
    named_keys,
)
from meanfield.workbench.sections.atom_bounds import MOST_DEGREES, explained
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

# Activations, whether there are biases, input dimensions, numbers of atoms.
Shape = tuple[list[Any], list[Any], list[Any], list[Any]]


class IdentifySection(Section):
    """One cell for every combination of the lists."""

    activations: ActivationNames = Field(
        ["tanh", "silu"], description='Activations, by name or "module:name".'
    )
    dims: list[Listed] = Field([1, 2], description="Input dimensions d.")
    sizes: list[Listed] = Field([1, 2], description="Numbers of atoms S.")
    bias: list[bool] = Field([False], description="Without biases, with, or both.")
    max_degree: Annotated[int, Field(ge=1, le=MOST_DEGREES)] | None = Field(
        None, description="Largest degree that is tried; 4 S + 4, at least 8, by default."
    )
    n_points: Listed | None = Field(
        None,
        description="Generic points at which fibres are explored; 6 by default, 12 where there are "
        "as many equations as parameters.",
    )
    n_starts: Listed = Field(10, description="Random starts of a search, per point.")
    n_paths: Annotated[int, Field(ge=0, le=MOST_LISTED)] = Field(
        1, description="Curves followed from every dictionary found."
    )


class IdentifyConfig(StudyConfig):
    """Configuration of the study `identify`."""

    identify: IdentifySection = IdentifySection()


def prepare(config: IdentifyConfig) -> Plan:
    """Check the configuration and make one unit of every cell."""
    section = config.identify
    own = named_activations(section.activations)
    names = [get_activation(name).name for name in section.activations]
    with named_keys(config, "identify"):
        memory.fits(sizes=max(section.sizes, default=1), dims=max(section.dims, default=1))
    search = section.model_dump(include={"max_degree", "n_points", "n_starts", "n_paths"})
    shape = (names, section.bias, section.dims, section.sizes)
    units = []
    for activation, bias, d, size in itertools.product(*shape):
        key = _key(activation, bias, d, size)
        arguments = {"activation": own[activation], "bias": bias, "d": d, "n_atoms": size}
        arguments |= {"seed": config.seed, **search}
        units.append(Unit(key, depths, arguments, key.replace("-", " "), weight=size**2 * d))
    return Plan(units, lambda results: combine(shape, results), data="")


def _key(activation: str, bias: bool, d: int, size: int) -> str:
    return f"{activation}-{'bias' if bias else 'plain'}-d{d}-S{size}"


def depths(**settings: Any) -> Arrays:
    """Compute both depths of one cell, NaN where not reached, with the evidence per degree.

    The settings are the arguments of `orbit_depth`.
    """
    found = orbit_depth(**settings)
    rank = np.full(MOST_DEGREES + 1, np.nan)
    orbits, solved = rank.copy(), rank.copy()
    for step in found.variety.evidence:
        rank[step.degree] = step.rank
    for search in found.evidence:
        orbits[search.degree] = max(search.orbits)
        if search.n_starts:
            solved[search.degree] = search.n_solved
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


def combine(shape: Shape, results: Mapping[str, Arrays]) -> Outcome:
    """Lay the cells out as a table."""
    import xarray as xr

    pieces = [results[_key(*cell)] for cell in itertools.product(*shape)]
    longest = max(int(piece["max_degree"]) for piece in pieces) + 1
    sizes = tuple(map(len, shape))
    variables: dict[str, Any] = {}
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
    headline = IdentifyHeadline()
    for cell, piece in zip(itertools.product(*shape), pieces, strict=True):
        name, text = _key(*cell), cell_text(*cell)
        variety, orbit = float(piece["variety"]), float(piece["orbit"])
        least, why = _undecided_from(piece), explained(piece["explanation"])
        short = f" (not reached up to {int(piece['max_degree'])})"
        label = f"D*_var, {text}{short if np.isnan(variety) else ''}"
        headline.variety[name] = Estimate(variety, label=label)
        short = f" (undecided, at least {least:.0f})" if np.isfinite(least) else short
        label = f"D*_orb, {text}{short if np.isnan(orbit) else ''}"
        headline.orbit[name] = Estimate(orbit, notes=why, label=label)
    return Outcome(xr.Dataset(variables, coordinates), headline.numbers())


def _undecided_from(piece: Mapping[str, np.ndarray]) -> float:
    """Return the degree at which one orbit is known and no search had power; NaN elsewhere."""
    degrees = np.flatnonzero(np.isfinite(piece["orbits"]))
    if np.isfinite(piece["orbit"]) or not len(degrees):
        return np.nan
    last = degrees[-1]
    powerless = not piece["solved"][last] > 0
    return float(last) if piece["orbits"][last] == 1 and powerless else np.nan


EXAMPLE: dict[str, Any] = {
    "study": "identify",
    "title": "Depths of tanh and silu",
    "identify": {"activations": ["tanh", "silu"], "dims": [1, 2], "sizes": [1, 2]},
}

LATE = (
    "identify.activations",
    "identify.bias",
    "identify.dims",
    "identify.sizes",
)

STUDY = Study("identify", IdentifyConfig, EXAMPLE, prepare, report, LATE)
