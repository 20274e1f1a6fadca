"""The mean-field path that a study of rates compares with: configured, computed once as a unit, and
read back as a path.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from meanfield.chaos.chaos_plan import ChaosPlan
from meanfield.chaos.reference_path import REFERENCE_RATIO, choose_reference, reference_path
from meanfield.errors import ArgumentError
from meanfield.limit.grid import GridLaw, GridPath, InputCoordinates
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.system.progress import Progress
from meanfield.workbench.config import Count, Section
from meanfield.workbench.study import Arrays, Unit


class ReferenceSection(Section):
    """The mean-field path that the particles are compared with."""

    method: Literal["auto", "particles", "gaussian", "chain", "fokker-planck"] = Field(
        "auto",
        description="particles: one large system. gaussian: exact, for the identity activation "
        "with a frozen and squared loss. chain: the exact law of the same discrete scheme, for at "
        "most two trained parameters. fokker-planck: the law in continuous time, likewise, from "
        "which discrete particles stay a multiple of step_size away. auto: gaussian where it "
        "applies, else chain, else particles.",
    )
    n_particles: Count | None = Field(
        None,
        description=f"Size of the large system; {REFERENCE_RATIO} times the largest particle "
        "count by default, so that its own error does not show.",
    )


def reference_unit(plan: ChaosPlan, section: ReferenceSection) -> Unit:
    """Return the unit that computes the reference; a method that does not apply is told now."""
    method, size = choose_reference(plan, section.method, section.n_particles)
    try:
        if method in ("gaussian", "chain"):  # quick, and they know best whether they apply
            reference_path(plan.shortened(), method)
        elif method == "fokker-planck":
            InputCoordinates(plan.problem).start(plan.scheme)
    except ArgumentError as error:
        raise ArgumentError("method", message=str(error)) from None
    arguments = {"plan": plan, "method": method, "n_particles": size}
    label = f"mean-field path ({method})"
    return Unit("reference", compute_reference, arguments, label, weight=size)


def compute_reference(
    plan: ChaosPlan, method: str, n_particles: int, checkpoint: str | None, progress: Progress
) -> Arrays:
    """Compute the mean-field path: predictions, and the law at the times of the plan."""
    path = reference_path(
        plan, method, n_particles=n_particles, checkpoint=checkpoint, progress=progress
    )
    arrays = {"predictions": path.predictions, "method": np.array(method)}
    if path.n_particles is not None:
        arrays["n_particles"] = np.array(path.n_particles)
    if isinstance(path.details, GridPath):
        arrays["error"] = path.details.error
        if plan.problem.n_parameters == 1:
            for step in plan.times:
                law = path.details.at(step)
                arrays[f"axis-{step}"], arrays[f"masses-{step}"] = law.axes[0], law.masses
    return arrays


def saved_path(plan: ChaosPlan, arrays: Arrays) -> MeanFieldPath:
    """Return the path of a finished unit; the closure is computed again, with its constants."""
    method = str(arrays["method"])
    if method == "gaussian":
        return reference_path(plan, method)
    details = None
    if "error" in arrays:
        kept = [step for step in plan.times if f"axis-{step}" in arrays]
        laws = tuple(GridLaw((arrays[f"axis-{t}"],), arrays[f"masses-{t}"]) for t in kept)
        predictions = arrays["predictions"]
        details = GridPath(predictions, predictions, arrays["error"], np.array(kept), laws)
    return MeanFieldPath(
        predictions=arrays["predictions"],
        problem=plan.problem,
        scheme=plan.scheme,
        method=method,
        n_particles=int(arrays["n_particles"]) if "n_particles" in arrays else None,
        details=details,
    )
