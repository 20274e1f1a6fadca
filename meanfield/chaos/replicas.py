"""Replicas of a rate study: systems of every size, each beside its McKean–Vlasov copies.

A replica holds one system of the largest size, two of half of it, and so on: the same work for
every size (`ChaosPlan.systems`). What is measured of it is the mean over its systems, so that
replicas are independent and alike.

Systems come in levels. The first is the one system that every size has: the largest size has no
other. The next holds those that come with the next smaller size, and so on. Systems of all sizes
share the noise of their level, and so their copies, as many as its largest size has particles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.chaos_plan import FURTHER, ChaosPlan
from meanfield.flow.particles import Particles
from meanfield.flow.simulate import simulate_scheme
from meanfield.system.compiling import thread_count
from meanfield.system.side_by_side import side_by_side

if TYPE_CHECKING:
    from meanfield.flow.run import Run
    from meanfield.limit.mean_field import MeanFieldPath

Array = NDArray[np.floating]


@dataclass(frozen=True)
class _Level:
    """Systems that share noise, for every size up to a largest one."""

    count: int  # the largest size
    systems: int  # in a replica
    before: int  # systems in earlier levels


@dataclass(frozen=True, eq=False)
class Systems:
    """The systems of one size of some replicas, those of a replica in a row; M to each."""

    trajectory: list[Particles]  # at every time, (replicas · M, N)
    copies: list[Particles]
    predictions: Array  # (replicas · M, T, n[, k])
    loss: Array  # (replicas · M, T)
    each: int  # M

    def mean(self, values: Array) -> Array:
        """Return the mean over the systems of each replica of values (T, replicas · M, ...)."""
        split = values.reshape(values.shape[0], -1, self.each, *values.shape[2:])
        mean: Array = np.ascontiguousarray(split).mean(axis=2)
        return mean


class Replicas:
    """Replicas in a row, with the copies that their systems share."""

    def __init__(self, plan: ChaosPlan, path: MeanFieldPath, replicas: range):
        self._plan, self._replicas = plan, replicas
        self._levels: list[_Level] = []
        before = 0
        for count, systems in sorted(zip(plan.particle_counts, plan.systems, strict=True))[::-1]:
            if systems > before:
                self._levels.append(_Level(count, systems - before, before))
                before = systems
        self._copies = [self._run(level, level.count, path) for level in self._levels]

    def of(self, count: int) -> Systems:
        """Run the systems of one size."""
        held = [level for level in self._levels if level.count >= count]
        runs = [self._run(level, count) for level in held]
        each = sum(level.systems for level in held)
        # Those of a replica side by side: levels come one after the other.
        owner = [np.repeat(np.arange(len(self._replicas)), level.systems) for level in held]
        rows = np.argsort(np.concatenate(owner), kind="stable")
        copies = [copy.trajectory for copy in self._copies[: len(held)]]
        return Systems(
            [_joined(at, rows) for at in zip(*(run.trajectory for run in runs), strict=True)],
            [_joined([p.first(count) for p in at], rows) for at in zip(*copies, strict=True)],
            np.concatenate([run.predictions for run in runs])[rows],
            np.concatenate([run.loss for run in runs])[rows],
            each,
        )

    def _run(self, level: _Level, count: int, drive: MeanFieldPath | None = None) -> Run:
        """Run the systems of a level with `count` particles, or copies."""
        plan, first = self._plan, self._replicas.start
        index = first
        if level.before:
            apart = FURTHER // (max(plan.systems) - 1)
            index = FURTHER + (level.before - 1) * apart + first * level.systems
        return simulate_scheme(
            plan.problem,
            plan.scheme,
            count,
            len(self._replicas) * level.systems,
            save_at=plan.times,
            drive=drive,
            first_replica=index,
        )


def _joined(parts: list[Particles] | tuple[Particles, ...], rows: NDArray[np.intp]) -> Particles:
    """Return particles of several runs as replicas of one, in a given order."""
    if len(parts) == 1:
        return parts[0]
    b = None if parts[0].b is None else np.concatenate([part.b for part in parts])[rows]
    a, w = (np.concatenate([getattr(part, name) for part in parts])[rows] for name in ("a", "w"))
    return Particles(a, w, b)


def in_parts(work: Callable[[range], dict[str, Array]], replicas: range) -> list[dict[str, Array]]:
    """Return what `work` gives for parts of the replicas, in order: one part on each core.

    Whatever is done of a part then runs beside the others, distances and sums too.
    """
    threads = min(thread_count(), len(replicas))
    ends = [replicas.start + len(replicas) * part // threads for part in range(threads + 1)]
    parts = [range(first, last) for first, last in pairwise(ends)]
    return side_by_side(lambda part, _: work(part), parts)
