"""Where the units of a study run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from meanfield.progress import Progress
from meanfield.studies.base import Arrays, Unit


@dataclass(frozen=True)
class Call:
    """One unit with everything that it needs.

    Parameters
    ----------
    unit : Unit
        The work.
    inputs : mapping
        Argument name -> arrays of the units that this one needs.
    checkpoint : str
        File in which the unit may keep its own progress.
    """

    unit: Unit
    inputs: Mapping[str, Arrays]
    checkpoint: str

    def __call__(self, progress: Progress | None = None) -> Done:
        """Do the work here and now."""
        begin = time.perf_counter()
        arrays = self.unit.function(
            **self.unit.arguments, **self.inputs, checkpoint=self.checkpoint, progress=progress
        )
        return Done(self, arrays, time.perf_counter() - begin)


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


class LocalExecutor:
    """One unit after the other on this machine; the compiled code uses all its cores."""

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls` in their order; see `Executor`."""
        for call in calls:
            advance(call, 0.0)

            def progress(done: float, total: float, call: Call = call) -> None:
                advance(call, done / total if total else 1.0)

            yield call(progress)
