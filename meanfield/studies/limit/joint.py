"""Joint independence over inputs and steps (the proof of Theorem 4.5): keys, units, data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from meanfield import deep
from meanfield.statistics.estimate import Estimate
from meanfield.workbench.config import Count, Listed, Positive, PowerOfTwo, Section, Step
from meanfield.workbench.sections.deep_inputs import simulate_limit
from meanfield.workbench.study import Arrays, Unit

DIRECTIONS = ("forward", "backward")
DIMS = ("case", "direction", "matrix", "joint_step")


class JointSection(Section):
    """The independence of features and of error vectors over all inputs and the first steps."""

    n_steps: Step = Field(6, description="Steps that are looked at; 0 leaves this out.")
    widths: list[Count] = Field([256, 1024], description="Units per hidden layer of networks.")
    n_samples: PowerOfTwo = Field(4096, description="Samples of the limit, a power of two.")
    n_replicas: Listed = Field(3, description="Simulations of the limit, and networks of a width.")
    tol: Positive = Field(
        1e-9, description="Shorter directions are left out; what is shorter cannot be told from 0."
    )


def joint_units(
    section: JointSection, common: Mapping[str, Any], seed: int, key: str, label: str
) -> list[Unit]:
    """Return the units of a case: one of the limit, one of every width."""
    if not section.n_steps or common["depth"] < 2:
        return []
    same = {**common, "X_test": None, "save_at": [], "joint_steps": section.n_steps}
    same |= section.model_dump(include={"n_replicas", "tol"}) | {"seed": seed}
    arguments: dict[str, Any] = {"same": same, "n_samples": section.n_samples}
    work = 100.0 * section.n_steps * section.n_replicas
    text = f"{label}, joint independence"
    units = [Unit(f"{key}-joint", of_limit, arguments, text, weight=work * section.n_samples)]
    for width in sorted(set(section.widths)):
        place = f"{key}-joint-{width:06d}"
        arguments = {"same": same, "width": width}
        units.append(Unit(place, of_networks, arguments, text, weight=work * width))
    return units


def of_limit(same: Mapping[str, Any], n_samples: int) -> Arrays:
    """Return least eigenvalues and ranks of the replicas of the limit."""
    run = simulate_limit(**same, n_samples=n_samples).replicas
    return {"least": run.joint_least, "rank": run.joint_rank}


def of_networks(same: Mapping[str, Any], width: int) -> Arrays:
    """Return those of networks of a width."""
    run = deep.train(**same, width=width)
    return {"least": run.joint_least, "rank": run.joint_rank}


def add_joint(
    dataset: Any,
    section: JointSection,
    cases: list[str],
    results: Mapping[str, Arrays],
    n_inputs: int,
) -> None:
    """Add least eigenvalues and ranks to the dataset, of the limit and of networks."""
    if not any(f"{case}-joint" in results for case in cases):
        return
    n_steps, widths = section.n_steps, sorted(set(section.widths))
    n_matrices = int(dataset["depth"].max()) - 1
    shape = (len(cases), len(DIRECTIONS), n_matrices, n_steps + 1)
    size = n_inputs * np.arange(1, n_steps + 2)
    for at in (None, *widths):
        suffix, name = ("", "") if at is None else (f"-{at:06d}", f"_{at}")
        values = np.full((section.n_replicas, *shape), np.nan)
        rank = np.zeros(shape, dtype=np.int64)
        for c, case in enumerate(cases):
            found = results.get(f"{case}-joint{suffix}")
            if found is None:  # one hidden layer has no hidden matrix
                continue
            least = np.moveaxis(found["least"], 1, -1)  # (R, 2, L − 1, J)
            ranks = np.moveaxis(found["rank"], 1, -1).min(axis=0)
            count = ranks.shape[1]
            values[:, c, :, :count] = np.where(ranks == size, least, 0.0)
            rank[c, :, :count] = ranks
        dataset[f"joint_least{name}"] = Estimate.positive_mean(
            values, resampled="replicas"
        ).to_xarray(DIMS)
        dataset[f"joint_rank{name}"] = (DIMS, rank)
    dataset["joint_size"] = (("joint_step",), size)
    dataset.coords["direction"] = list(DIRECTIONS)
    dataset.coords["matrix"] = np.arange(2, n_matrices + 2)
    dataset.coords["joint_step"] = np.arange(n_steps + 1)
    dataset.attrs["joint_widths"] = np.array(widths, dtype=np.int64)
