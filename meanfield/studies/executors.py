"""Where the units of a study run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from meanfield.errors import ConfigError, suggest
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
    checkpoint : str or None
        File in which the unit may keep its own progress.
    """

    unit: Unit
    inputs: Mapping[str, Arrays]
    checkpoint: str | None

    def __call__(self, progress: Progress | None = None) -> Done:
        """Do the work here and now."""
        begin = time.perf_counter()
        arguments = _own(self.unit.arguments)
        inputs = {name: _own(arrays) for name, arrays in self.inputs.items()}
        arrays = self.unit.function(
            **arguments, **inputs, checkpoint=self.checkpoint, progress=progress
        )
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


class LocalExecutor:
    """One unit after the other on this machine; the compiled code uses all its cores."""

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls` in their order; see `Executor`."""
        for call in calls:
            advance(call, 0.0)

            def progress(done: float, total: float, call: Call = call) -> None:
                advance(call, done / total if total else 1.0)

            yield call(progress)


EXECUTORS = ("local", "dask")


def get_executor(
    name: str = "local", *, scheduler: str | None = None, workers: int | None = None
) -> AbstractContextManager[Executor]:
    """Return what runs the units of a study, as a context that frees its processes at the end.

    Parameters
    ----------
    name : {"local", "dask"}
        On this machine, or on a Dask cluster.
    scheduler : str, optional
        Address of the Dask scheduler, such as ``tcp://host:8786``; without one, a cluster of
        processes on this machine is started.
    workers : int, optional
        Processes on this machine: one by default for ``"local"``, one per core for ``"dask"``.

    Returns
    -------
    context manager of Executor
        Every executor gives the same bits.

    Raises
    ------
    ConfigError
        There is no such executor, the options contradict each other, or Dask is not installed.
    """
    if name not in EXECUTORS:
        raise ConfigError(f"--executor {name!r} is not known.{suggest(name, EXECUTORS)}")
    if scheduler is not None and name != "dask":
        raise ConfigError("--scheduler goes with --executor dask; add that, or leave it out.")
    if scheduler is not None and workers is not None:
        raise ConfigError("--workers is for this machine; a scheduler brings its own workers.")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}.")
    if name == "dask":
        from meanfield.studies.cluster import dask_executor

        return dask_executor(scheduler, workers)
    if workers is None or workers == 1:
        return nullcontext(LocalExecutor())
    from meanfield.studies.processes import process_executor

    return process_executor(workers)
