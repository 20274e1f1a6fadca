"""A unit of work with all that it needs, and what can run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from meanfield.system.progress import Progress, no_progress
from meanfield.workbench.study import Arrays, Context, Unit


@dataclass(frozen=True)
class Call:
    """One unit with everything that it needs.

    Parameters
    ----------
    unit : Unit
        The work.
    inputs : mapping
        Argument name -> arrays of the units that this one needs.
    checkpoint : str or None
        File in which the unit may keep its own progress.
    """

    unit: Unit
    inputs: Mapping[str, Arrays]
    checkpoint: str | None

    def __call__(self, progress: Progress = no_progress) -> Done:
        """Do the work here and now."""
        begin = time.perf_counter()
        arguments = _own(self.unit.arguments)
        arguments |= {name: _own(arrays) for name, arrays in self.inputs.items()}
        if self.unit.context:
            arguments["context"] = Context(self.checkpoint, progress)
        arrays = self.unit.function(**arguments)
        return Done(self, arrays, time.perf_counter() - begin)


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy arrays: other units share them, and those from a network are read-only."""
    return {
        name: np.array(value) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


@dataclass(frozen=True)
class Done:
    """A finished call: its arrays and how long it took, in seconds."""

    call: Call
    arrays: Arrays
    seconds: float


class Executor(Protocol):
    """Runs calls that do not depend on each other and hands each result over as it comes."""

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls`, in any order.

        Parameters
        ----------
        calls : sequence of Call
            Independent of each other.
        advance : callable
            May be called as ``advance(call, share_done)`` while a call runs.

        Yields
        ------
        Done
            Each as soon as it is finished: the caller saves it before it asks for the next.
        """
