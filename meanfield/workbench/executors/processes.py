"""Units in several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager

import numpy as np
from loky import ProcessPoolExecutor, cpu_count
from loky.process_executor import BrokenProcessPool

from meanfield.errors import WorkerError
from meanfield.workbench.executors.calls import Call, Done


class ProcessExecutor:
    """Several units at once, each in a process of its own.

    Parameters
    ----------
    pool : loky.ProcessPoolExecutor
        The processes. (The standard library's pool can wait for ever when a process dies.)
    """

    def __init__(self, pool: ProcessPoolExecutor):
        self._pool = pool

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls` in any order; see `Executor`."""
        if calls:
            advance(calls[0], 0.0)
        try:
            futures = {self._pool.submit(_work, call): call for call in calls}
            for future in as_completed(futures):
                arrays, seconds = future.result()
                advance(futures[future], 1.0)
                yield Done(futures[future], arrays, seconds)
        except BrokenProcessPool:
            raise WorkerError(
                "A worker process was killed, perhaps for lack of memory; run again with --resume "
                "and fewer --workers."
            ) from None


def threads_each(workers: int) -> int:
    """Return the threads of each worker when they share the cores of this machine."""
    return max(1, cpu_count() // workers)


def _work(call: Call) -> tuple[dict[str, np.ndarray], float]:
    """Do a unit, and return only what the other side does not have."""
    done = call()
    return done.arrays, done.seconds


def _begin(threads: int, parent: int) -> None:
    """Keep a new process to its share of the cores, and to the life of its parent."""
    import numba
    from threadpoolctl import threadpool_limits

    numba.set_num_threads(min(threads, numba.get_num_threads()))
    threadpool_limits(threads)
    # Ctrl-C reaches every process of a terminal; the parent answers for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process, at once, when it has lost its parent."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def process_executor(workers: int) -> Iterator[ProcessExecutor]:
    """Start `workers` processes that share the cores; end them with the block.

    When the block ends in an exception, what they are doing is broken off.
    """
    pool = ProcessPoolExecutor(
        workers, initializer=_begin, initargs=(threads_each(workers), os.getpid())
    )
    try:
        yield ProcessExecutor(pool)
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()
