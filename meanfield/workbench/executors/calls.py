"""A unit of work with all that it needs, and what can run it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from meanfield.errors import CheckpointError, ConfigError, DivergenceError, OfArgument
from meanfield.system.progress import Progress, no_progress
from meanfield.system.threads import fixed_blas
from meanfield.workbench.study import Arrays, Unit


class Done(NamedTuple):
    """What a call gave: arrays by name, and the seconds that it took."""

    arrays: Arrays
    seconds: float
    failure: str = ""  # of an optional unit: what was wrong


@dataclass(frozen=True)
class Call:
    """One unit with everything that it needs."""

    unit: Unit
    inputs: Mapping[str, Arrays]  # by argument
    checkpoint: str | None  # file in which the unit may keep its own progress
    urgency: float = 0.0  # the work of the longest chain that begins with it

    def __call__(self, progress: Progress = no_progress) -> Done:
        """Do the work here and now."""
        begin = time.perf_counter()
        arguments = _own(self.unit.arguments)
        arguments |= {name: _own(arrays) for name, arrays in self.inputs.items()}
        offered = {"progress": progress, "checkpoint": self.checkpoint}
        taken = inspect.signature(self.unit.function).parameters
        arguments |= {name: value for name, value in offered.items() if name in taken}
        try:
            with fixed_blas():
                arrays = self.unit.function(**arguments)
        except Exception as error:
            if not self.unit.optional:
                raise
            return Done({}, time.perf_counter() - begin, in_words(error))
        return Done(arrays, time.perf_counter() - begin)


def in_words(error: Exception) -> str:
    """Return what an error says; of one that nobody foresaw its kind too."""
    foreseen = isinstance(error, OfArgument | CheckpointError | ConfigError | DivergenceError)
    text = str(error) if foreseen else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy arrays: other units share them, and those from a network are read-only."""
    return {
        name: np.array(value) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


class Executor(Protocol):
    """Runs calls that do not depend on each other and hands each result over as it comes."""

    def run(
        self, ready: Callable[[], Sequence[Call]], advance: Callable[[Call, float], None]
    ) -> Iterator[tuple[Call, Done]]:
        """Run calls in any order and yield each with its result as soon as it is finished.

        ``ready()`` returns those that can be run and were not returned before; it is asked again
        after every result, which the caller has then saved, until there are none and nothing runs.
        While a call runs, ``advance(call, share_done)`` may be called.
        """

    def spread(self, function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
        """Return what a function gives for each value, in order."""
