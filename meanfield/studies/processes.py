"""Units in several processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np

from meanfield.cores import available_cores
from meanfield.errors import WorkerError
from meanfield.studies.executors import Call, Done


class ProcessExecutor:
    """Several units at once, each in a process of its own.

    Parameters
    ----------
    pool : ProcessPoolExecutor
        The processes.
    """

    def __init__(self, pool: ProcessPoolExecutor):
        self._pool = pool

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls` in any order; see `Executor`."""
        if calls:
            advance(calls[0], 0.0)
        futures = {self._pool.submit(_work, call): call for call in calls}
        try:
            for future in as_completed(futures):
                arrays, seconds = future.result()
                advance(futures[future], 1.0)
                yield Done(futures[future], arrays, seconds)
        except BrokenProcessPool:
            raise WorkerError(
                "A worker process was killed, perhaps for lack of memory; run again with --resume "
                "and fewer --workers."
            ) from None
        finally:
            for future in futures:
                future.cancel()


def threads_each(workers: int) -> int:
    """Return the threads of each worker when they share the cores of this machine."""
    return max(1, available_cores() // workers)


def _work(call: Call) -> tuple[dict[str, np.ndarray], float]:
    """Do a unit, and return only what the other side does not have."""
    done = call()
    return done.arrays, done.seconds


def _limit_threads(threads: int) -> None:
    """Keep a new process to its share of the cores."""
    import numba
    from threadpoolctl import threadpool_limits

    numba.set_num_threads(min(threads, numba.get_num_threads()))
    threadpool_limits(threads)


@contextmanager
def process_executor(workers: int) -> Iterator[ProcessExecutor]:
    """Start `workers` processes that share the cores; end them with the block."""
    pool = ProcessPoolExecutor(
        workers,
        # A fresh interpreter each: a fork would inherit threads of compiled code in mid-flight.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_limit_threads,
        initargs=(threads_each(workers),),
    )
    try:
        yield ProcessExecutor(pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
