"""What a rate study measures: sizes, times and replicas, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.compiled.layout import BLOCK
from meanfield.flow.minibatch import shared
from meanfield.flow.scheme import Scheme
from meanfield.statistics.settled import FEWEST_SIZES
from meanfield.system import memory
from meanfield.system.batches import batches

if TYPE_CHECKING:
    from meanfield.problem import Problem

#: Noise indices of the second and further systems of a replica start here, and end at twice this.
FURTHER = 2**30
#: What is taken where nobody says anything: sizes, with a given precision and without, replicas.
COUNTS, N_REPLICAS = (32, 64, 128, 256, 512, 1024), 32
PRECISE_COUNTS = (8, 16, 32, 64, 128, 256, 512, 1024)
#: Replicas from which a run of a given precision is planned.
PILOT = 12
#: Times of the second half whose mean such a run fits.
_LATE = 9
_BATCH_BYTES = 2**28


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
    precision: float | None = None  # then `n_replicas` are those of the pilot, and of what is known

    @property
    def systems(self) -> tuple[int, ...]:
        """Systems of every size that a replica holds: as many as the work of the largest pays for.

        Small ones cost least and come most often, in proportion to 1/N; below the block of the
        compiled step a system costs what a block does.
        """
        costs = [max(count, BLOCK) for count in self.particle_counts]
        return tuple(max(costs) // cost for cost in costs)

    @property
    def most_replicas(self) -> int:
        """Replicas for which there is noise."""
        return FURTHER // max(self.particle_counts)

    @property
    def work(self) -> int:
        """Particles that a replica moves, with their copies."""
        systems = self.systems
        further = [many - fewer for many, fewer in zip(systems, [*systems[1:], 0], strict=True)]
        counts = self.particle_counts
        return sum(
            (many + copied) * count
            for many, copied, count in zip(systems, further, counts, strict=True)
        )

    @property
    def late(self) -> NDArray[np.bool_]:
        """Which of the times are in the second half of the run."""
        elapsed = np.asarray(self.scheme.elapsed(self.times))
        late: NDArray[np.bool_] = elapsed >= elapsed[-1] / 2
        return late

    def shortened(self) -> ChaosPlan:
        """Return the same study over one step: what it refuses, the whole refuses."""
        return replace(self, times=(1,), scheme=self.scheme.shortened(1))

    def batches(self) -> list[range]:
        """Split the replicas: enough batches to show progress, each of bounded memory."""
        states = len(self.times) * self.work * self.problem.n_coordinates
        return batches(self.n_replicas, _BATCH_BYTES // (8 * states))


def plan_chaos(
    problem: Problem,
    scheme: Scheme,
    particle_counts: Sequence[int] | None = None,
    n_replicas: int | None = None,
    *,
    precision: float | None = None,
    times: Sequence[int] | None = None,
    cloud_size: int | None = None,
    cloud_replicas: int = 8,
) -> ChaosPlan:
    """Validate the settings of a rate study; parameters as in `chaos_rates`."""
    if precision is not None:
        precision = checks.positive("precision", precision)
        if n_replicas is not None:
            raise ArgumentError(
                "n_replicas", f"follows from precision={precision:g}; leave one of the two out."
            )
    if particle_counts is None:
        particle_counts = COUNTS if precision is None else PRECISE_COUNTS
    if n_replicas is None:
        n_replicas = N_REPLICAS if precision is None else PILOT
    counts = checks.counts("particle_counts", particle_counts)
    fewest = 3 if precision is None else FEWEST_SIZES
    if len(counts) < fewest:
        raise ArgumentError(
            "particle_counts",
            f"must hold at least three sizes for a slope, got {counts}."
            if precision is None
            else f"must hold at least four sizes for a slope of this precision, got {counts}.",
        )
    n_steps = checks.steps(scheme.n_steps)
    if times is None:
        times = default_times(n_steps, late=5 if precision is None else _LATE)
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
    if n_replicas * max(counts) > FURTHER:
        raise ArgumentError(
            "n_replicas",
            f"times the largest particle count must not exceed 2**30, for which there is noise, "
            f"got {n_replicas} for {max(counts)}.",
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
        precision=precision,
    )


def default_times(n_steps: int, late: int = 5) -> list[int]:
    """Return steps that show the transient, and enough of the late half to see a trend."""
    early = np.geomspace(1, n_steps / 2, num=6)
    half = np.linspace(n_steps / 2, n_steps, num=late)
    return np.unique(np.ceil(np.concatenate([early, half])).astype(int)).tolist()
