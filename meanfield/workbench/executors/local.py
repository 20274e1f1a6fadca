"""Units on this machine, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from meanfield.workbench.executors.calls import Call, Done


class LocalExecutor:
    """One unit after the other on this machine; the compiled code uses all its cores."""

    def run(
        self, ready: Callable[[], Sequence[Call]], advance: Callable[[Call, float], None]
    ) -> Iterator[tuple[Call, Done]]:
        """Run calls in their order; see `Executor`."""
        waiting = deque(ready())
        while waiting:
            call = waiting.popleft()
            advance(call, 0.0)

            def progress(done: float, total: float, call: Call = call) -> None:
                advance(call, done / total if total else 1.0)

            yield call, call(progress)
            waiting += ready()

    def spread(self, function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
        """Return what a function gives for each value; see `Executor`."""
        return [function(value) for value in values]
