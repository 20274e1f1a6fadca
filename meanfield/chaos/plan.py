"""What a rate study measures: sizes, times and replicas, checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import get_integrator
from meanfield.flow.schedule import Schedule
from meanfield.flow.simulate import step_sizes, temperatures

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]

_BATCH_BYTES = 2**28
_BATCHES = 16


@dataclass(frozen=True, eq=False)
class ChaosPlan:
    """What a rate study measures; see `chaos_rates` for the meaning of each field."""

    problem: Problem
    particle_counts: tuple[int, ...]
    n_replicas: int
    step_size: float | Array
    times: tuple[int, ...]
    seed: int
    integrator: str
    init: InitialLaw
    dtype: str
    cloud_size: int
    cloud_replicas: int
    temperatures: Array | None = None  # of every step, where they are not the problem's

    @property
    def scheme(self) -> dict[str, Any]:
        """Return what determines the steps, up to the last time, as `simulate` takes it."""
        last = self.times[-1]
        return {
            "step_size": self.step_size if np.ndim(self.step_size) == 0 else self.step_size[:last],
            "temperature": None if self.temperatures is None else self.temperatures[:last],
            "n_steps": last,
            "integrator": self.integrator,
            "init": self.init,
        }

    def shortened(self) -> ChaosPlan:
        """Return the same study over one step: what it refuses, the whole refuses."""
        return replace(self, times=(1,))

    def batches(self) -> list[range]:
        """Split the replicas: enough batches to show progress, each of bounded memory."""
        states = len(self.times) * max(self.particle_counts) * self.problem.n_coordinates
        fitting = max(1, _BATCH_BYTES // (8 * states))
        size = min(fitting, max(4, math.ceil(self.n_replicas / _BATCHES)))
        return [
            range(first, min(first + size, self.n_replicas))
            for first in range(0, self.n_replicas, size)
        ]


def plan_chaos(
    problem: Problem,
    particle_counts: Sequence[int],
    n_replicas: int,
    *,
    step_size: float | ArrayLike | Schedule,
    n_steps: int,
    times: Sequence[int] | None = None,
    seed: int = 0,
    integrator: str = "euler",
    init: str | InitialLaw = "gaussian",
    dtype: str = "float64",
    temperature: ArrayLike | Schedule | None = None,
    cloud_size: int | None = None,
    cloud_replicas: int = 8,
) -> ChaosPlan:
    """Validate the settings of a rate study; parameters as in `chaos_rates`."""
    counts = checks.counts("particle_counts", particle_counts)
    if len(counts) < 3:
        raise ArgumentError(
            "particle_counts", f"must hold at least three sizes for a slope, got {counts}."
        )
    n_steps = checks.steps(n_steps)
    if times is None:
        times = default_times(n_steps)
    # At step 0 every particle is its own copy: there is no distance to measure.
    steps = [step for step in checks.counts("times", times, minimum=0) if step > 0]
    if not steps or steps[-1] > n_steps:
        raise ArgumentError("times", f"must be steps between 1 and n_steps={n_steps}, got {steps}.")
    cloud_size = max(counts) if cloud_size is None else checks.count("cloud_size", cloud_size)
    if cloud_size < max(counts):
        raise ArgumentError(
            "cloud_size",
            f"must be at least the largest particle count {max(counts)}, got {cloud_size}.",
        )
    n_replicas = checks.count("n_replicas", n_replicas)
    if n_replicas < 4:
        raise ArgumentError(
            "n_replicas", f"must be at least 4 to give intervals, got {n_replicas}."
        )
    shown, _ = step_sizes(step_size, n_steps)
    return ChaosPlan(
        problem=problem,
        particle_counts=tuple(counts),
        n_replicas=n_replicas,
        step_size=shown,
        times=tuple(steps),
        seed=checks.seed(seed),
        integrator=get_integrator(integrator).name,
        init=as_initial_law(init),
        dtype=checks.precision(dtype),
        cloud_size=cloud_size,
        cloud_replicas=min(checks.count("cloud_replicas", cloud_replicas, 0), n_replicas),
        temperatures=(None if temperature is None else temperatures(problem, temperature, n_steps)),
    )


def default_times(n_steps: int) -> list[int]:
    """Return steps that show the transient, and enough of the late half to see a trend."""
    early = np.geomspace(1, n_steps / 2, num=6)
    late = np.linspace(n_steps / 2, n_steps, num=5)
    return np.unique(np.ceil(np.concatenate([early, late])).astype(int)).tolist()
