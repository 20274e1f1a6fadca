"""Independent parts of a computation on threads of this process, each on a core of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

from meanfield.system.compiling import numba, thread_count
from meanfield.system.progress import Progress

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def side_by_side(
    work: Callable[[_Part, Progress], _Result],
    parts: Sequence[_Part],
    progress: Progress | None = None,
) -> list[_Result]:
    """Return what ``work(part, report)`` gives for every part, in order.

    Compiled code of a part has one thread, where there are several parts at once, and no step of it
    waits for another's. All parts count the same for `progress`; one that reports now and then ends
    soon after another has failed, or after Ctrl-C.
    """
    shares, lock, stopped = [0.0] * len(parts), threading.Lock(), threading.Event()

    def do(place: int) -> _Result:
        def report(done: float, total: float, /) -> None:
            if stopped.is_set():
                raise CancelledError
            with lock:
                shares[place] = done / max(total, 1)
                if progress is not None:
                    progress(sum(shares), len(parts))

        return work(parts[place], report)

    threads = min(thread_count(), len(parts))
    if threads < 2:
        return [do(place) for place in range(len(parts))]
    with ThreadPoolExecutor(threads, initializer=numba.set_num_threads, initargs=(1,)) as pool:
        try:
            return list(pool.map(do, range(len(parts))))
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
