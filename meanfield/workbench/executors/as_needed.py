"""Units on this machine: here as long as that is quick, else side by side in processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pickle import PicklingError
from typing import Any

from loky.backend.reduction import dumps

from meanfield.workbench.executors.calls import Call, Done, Executor
from meanfield.workbench.executors.local import LocalExecutor
from meanfield.workbench.executors.pool import process_executor

#: Seconds of work from which processes, which take a few to start, are worth it.
_WORTH = 8.0
#: Bytes of a unit with all its data from which it stays here: its threads share one copy.
_LARGE = 2**26


class AsNeeded:
    """One unit after the other, each with all cores, until several wait that take long.

    How long is judged by the units that were done. From then on they run in `start`'s processes.
    """

    def __init__(self, start: Callable[[], Executor]):
        self._start = start
        self._place: Executor | None = None

    def run(
        self, ready: Callable[[], Sequence[Call]], advance: Callable[[Call, float], None]
    ) -> Iterator[tuple[Call, Done]]:
        """Run calls in any order; see `Executor`."""
        waiting, seconds, weight = list(ready()), 0.0, 0.0
        while waiting and self._place is None:
            alone = iter([[waiting.pop(0)], []])
            for call, done in LocalExecutor().run(alone.__next__, advance):
                yield call, done
                seconds, weight = seconds + done.seconds, weight + call.unit.weight
            waiting += ready()
            left = sum(call.unit.weight for call in waiting)
            long = 0 < _WORTH * weight <= seconds * left
            if len(waiting) > 1 and long and _small(waiting[0]):
                self._place = self._start()

        def first() -> Sequence[Call]:
            nonlocal waiting
            found, waiting = [*waiting, *ready()], []
            return found

        if self._place is not None:
            yield from self._place.run(first, advance)

    def spread(self, function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
        """Return what a function gives for each value; see `Executor`."""
        return (self._place or LocalExecutor()).spread(function, values)


def _small(call: Call) -> bool:
    """Whether a unit can be sent to a process, in no time."""
    try:
        return len(dumps(call)) <= _LARGE
    except (PicklingError, TypeError, AttributeError):
        return False


@contextmanager
def processes_as_needed(workers: int) -> Iterator[AsNeeded]:
    """Start up to `workers` processes where they are worth it; end them with the block."""
    with ExitStack() as stack:
        yield AsNeeded(lambda: stack.enter_context(process_executor(workers)))
