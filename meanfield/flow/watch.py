"""Watching a run: what is computed from the particles at chosen steps, without keeping them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.particles import Particles

#: ``f(particles)`` of the particles of one replica.
Observable = Callable[[Particles], ArrayLike]
_SHOWN = 100  # steps between the first and the last that are observed by default


class Collector:
    """What one observable gives at ascending steps, for every replica."""

    def __init__(self, name: str, function: Observable, steps: NDArray[np.int64]):
        self.name, self.function, self.steps = name, function, steps
        self.values: NDArray[Any] | None = None  # (R, T, …) once the shape is known

    def take(self, particles: Particles, step: int) -> None:
        """Take note of the particles at a step, if it is one of the chosen ones."""
        i = int(np.searchsorted(self.steps, step))
        found = None
        if self.values is None or (i < len(self.steps) and self.steps[i] == step):
            found = self._evaluate(particles)
        if self.values is None and found is not None:
            shape = (found.shape[0], len(self.steps), *found.shape[1:])
            self.values = np.full(shape, np.nan)
        if found is not None and i < len(self.steps) and self.steps[i] == step:
            assert self.values is not None
            if found.shape[1:] != self.values.shape[2:]:
                raise ArgumentError(
                    "observe",
                    f"has {self.name!r} of shape {self.values.shape[2:]} at first and "
                    f"{found.shape[1:]} at step {step}; return one shape.",
                )
            self.values[:, i] = found

    def _evaluate(self, particles: Particles) -> NDArray[np.float64]:
        """Return the values of every replica, (R, …)."""
        values = []
        for r in range(particles.n_replicas):
            # Copies, so that a function that normalises weights in place trains nothing else.
            b = None if particles.b is None else particles.b[r : r + 1].copy()
            one = Particles(particles.a[r : r + 1].copy(), particles.w[r : r + 1].copy(), b)
            value = np.asarray(self.function(one))
            if value.dtype.kind not in "fiub":
                raise ArgumentTypeError(
                    "observe", f"has {self.name!r} return {value.dtype}; return real numbers."
                )
            # The axis of the replica, where it is left.
            values.append(value[0] if value.ndim and value.shape[0] == 1 else value)
        if any(value.shape != values[0].shape for value in values):
            shapes = sorted({value.shape for value in values})
            raise ArgumentError(
                "observe", f"has {self.name!r} return {shapes} for replicas; return one shape."
            )
        return np.array(values, dtype=float)


def make_collectors(
    observe: Mapping[str, Observable] | None, observe_at: Sequence[int] | None, n_steps: int
) -> list[Collector]:
    """Return a collector for each observable; by default at 101 steps, or at all of fewer."""
    if observe is None:
        if observe_at is not None:
            raise ArgumentError("observe_at", "says when, but observe does not say what; give it.")
        return []
    if not isinstance(observe, Mapping) or not observe:
        raise ArgumentTypeError(
            "observe",
            'must be functions of the particles by name, such as {"size": lambda p: (p.w**2).mean()'
            f"}}, got {observe!r}.",
        )
    for name, function in observe.items():
        if not isinstance(name, str) or not callable(function):
            raise ArgumentTypeError(
                "observe", f"must map names to functions, got {name!r}: {function!r}."
            )
    if observe_at is None:
        chosen: Iterable[int] = np.linspace(0, n_steps, min(n_steps, _SHOWN) + 1).astype(int)
    else:
        chosen = checks.counts("observe_at", observe_at, minimum=0)
    steps = np.unique(np.array(list(chosen), dtype=np.int64))
    if not len(steps) or steps[-1] > n_steps:
        raise ArgumentError(
            "observe_at", f"must hold steps from 0 to n_steps={n_steps}, got {observe_at!r}."
        )
    return [Collector(name, function, steps) for name, function in observe.items()]
