"""What a rate study measures: sizes, times and replicas, checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.minibatch import shared
from meanfield.flow.scheme import Scheme
from meanfield.system import memory

if TYPE_CHECKING:
    from meanfield.problem import Problem

_BATCH_BYTES = 2**28
_BATCHES = 16


@dataclass(frozen=True, eq=False)
class ChaosPlan:
    """What a rate study measures; see `chaos_rates` for the meaning of each field."""

    problem: Problem
    scheme: Scheme  # up to the last time
    particle_counts: tuple[int, ...]
    n_replicas: int
    times: tuple[int, ...]
    cloud_size: int
    cloud_replicas: int

    def shortened(self) -> ChaosPlan:
        """Return the same study over one step: what it refuses, the whole refuses."""
        return replace(self, times=(1,), scheme=self.scheme.shortened(1))

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
    scheme: Scheme,
    particle_counts: Sequence[int],
    n_replicas: int,
    *,
    times: Sequence[int] | None = None,
    cloud_size: int | None = None,
    cloud_replicas: int = 8,
) -> ChaosPlan:
    """Validate the settings of a rate study; parameters as in `chaos_rates`."""
    counts = checks.counts("particle_counts", particle_counts)
    if len(counts) < 3:
        raise ArgumentError(
            "particle_counts", f"must hold at least three sizes for a slope, got {counts}."
        )
    n_steps = checks.steps(scheme.n_steps)
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
    # The states at all times, and a cloud; the systems of a replica are done one after the other.
    size = np.dtype(scheme.dtype).itemsize
    memory.fits(
        size, particle_counts=max(counts), times=len(steps), coordinates=problem.n_coordinates
    )
    memory.fits(cloud_size=cloud_size, coordinates=problem.n_coordinates)
    n_replicas = checks.listed("n_replicas", n_replicas)
    if n_replicas < 4:
        raise ArgumentError(
            "n_replicas", f"must be at least 4 to give intervals, got {n_replicas}."
        )
    return ChaosPlan(
        problem=problem,
        # Given the batches, particles become independent: all systems and the limit see the same.
        scheme=replace(scheme.shortened(steps[-1]), minibatch=shared(scheme.minibatch)),
        particle_counts=tuple(counts),
        n_replicas=n_replicas,
        times=tuple(steps),
        cloud_size=cloud_size,
        cloud_replicas=min(checks.listed("cloud_replicas", cloud_replicas, 0), n_replicas),
    )


def default_times(n_steps: int) -> list[int]:
    """Return steps that show the transient, and enough of the late half to see a trend."""
    early = np.geomspace(1, n_steps / 2, num=6)
    late = np.linspace(n_steps / 2, n_steps, num=5)
    return np.unique(np.ceil(np.concatenate([early, late])).astype(int)).tolist()
