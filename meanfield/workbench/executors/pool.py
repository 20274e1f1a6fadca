"""Units in a pool of workers; and the pool of processes of this machine."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

from meanfield.errors import ConfigError, WorkerError
from meanfield.system.compiling import share_cores
from meanfield.system.provenance import software
from meanfield.system.threads import cores, limit_threads
from meanfield.workbench.executors.calls import Call, Done

_KILLED = (
    "A worker process was killed, perhaps for lack of memory; run again with --resume and fewer "
    "--workers."
)


_SECONDS = 1.0  # between looks at the workers
_ROOM = 64  # calls that wait for a worker or are with one, unless it is said


class PoolExecutor:
    """Several units at once, each on a worker of its own, the most urgent first.

    ``submit(call, software)`` starts `work` with these arguments on a worker; `losses` are what the
    pool raises when it has lost workers, with what to say then. `watch` is called every second
    while units run, and before the first: it raises when they cannot. At most ``room()`` calls are
    with the pool at a time, each with all that it needs. `mapped` is the pool's own ``map``, if its
    workers are on this machine.
    """

    def __init__(
        self,
        submit: Callable[[Call, Mapping[str, str]], Future[Done]],
        losses: Mapping[type[BaseException], str],
        watch: Callable[[], None] = lambda: None,
        room: Callable[[], int] = lambda: _ROOM,
        mapped: Callable[..., Iterable[Any]] = map,
    ):
        self._submit, self._losses, self._watch, self._room = submit, losses, watch, room
        self._mapped = mapped

    def run(
        self, ready: Callable[[], Sequence[Call]], advance: Callable[[Call, float], None]
    ) -> Iterator[tuple[Call, Done]]:
        """Run calls in any order; see `Executor`."""
        waiting: list[tuple[float, int, Call]] = []
        number = itertools.count()  # of equal urgency, in their order

        def wait_for(calls: Sequence[Call]) -> None:
            for call in calls:
                heapq.heappush(waiting, (-call.urgency, next(number), call))

        wait_for(ready())
        if waiting:
            advance(waiting[0][-1], 0.0)
        futures: dict[Future[Done], Call] = {}
        asked, looked = software(), -_SECONDS
        try:
            while waiting or futures:
                if time.monotonic() >= looked + _SECONDS:
                    self._watch()
                    looked = time.monotonic()
                while waiting and len(futures) < self._room():
                    call = heapq.heappop(waiting)[-1]
                    futures[self._submit(call, asked)] = call
                found = _next(futures)
                if found is not None:
                    advance(found[0], 1.0)
                    yield found
                    wait_for(ready())
        except tuple(self._losses) as error:
            raise self._lost(error) from None
        finally:
            for future in futures:
                future.cancel()

    def spread(self, function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
        """Return what a function gives for each value; see `Executor`."""
        try:
            return list(self._mapped(function, values))
        except tuple(self._losses) as error:
            raise self._lost(error) from None

    def _lost(self, error: BaseException) -> WorkerError:
        """Return what to say of workers that were lost."""
        text = next(text for kind, text in self._losses.items() if isinstance(error, kind))
        return WorkerError(text)


def _next(futures: dict[Future[Done], Call]) -> tuple[Call, Done] | None:
    """Take out a call that is finished, if there is one soon.

    Nothing may hold on to its future: Dask would do the work again when its worker dies.
    """
    finished = wait(futures, _SECONDS, FIRST_COMPLETED).done
    if not finished:
        return None
    future = finished.pop()
    return futures.pop(future), future.result()


def compare(worker: str, found: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Refuse a worker with other software than the study runs under: its bits may differ."""
    for name in asked:
        if found.get(name) != asked[name]:
            raise ConfigError(
                f"{worker} has {name} {found.get(name)}, and the study runs under {name} "
                f"{asked[name]}; install the same versions everywhere."
            )


def work(call: Call, asked: Mapping[str, str]) -> Done:
    """Do a unit on a worker, for a study that runs under the software `asked`."""
    compare("A worker", software(), asked)
    if call.checkpoint and not Path(call.checkpoint).parent.is_dir():
        # Without a file system in common the unit keeps no progress of its own.
        call = replace(call, checkpoint=None)
    return call()


def threads_each(workers: int) -> int:
    """Return the threads of each worker when they share the cores of this machine."""
    return max(1, cores() // workers)


@contextmanager
def process_executor(workers: int) -> Iterator[PoolExecutor]:
    """Start `workers` processes that share the cores; end them with the block.

    Cores of those that have nothing to do go to the others, from one compiled call to the next.
    When the block ends in an exception, what they are doing is broken off.
    """
    with NamedTemporaryFile(prefix="meanfield-busy-") as file:
        file.write(bytes(8))
        file.flush()
        busy, lock = np.memmap(file.name, np.int64), threading.Lock()

        def count(change: int) -> None:
            with lock:
                busy[0] += change

        def submit(call: Call, asked: Mapping[str, str]) -> Future[Done]:
            count(1)
            future: Future[Done] = pool.submit(work, call, asked)
            future.add_done_callback(lambda _: count(-1))
            return future

        # The standard library's pool can wait for ever when a process dies.
        pool = ProcessPoolExecutor(
            workers, initializer=_begin, initargs=(workers, file.name, os.getpid())
        )
        try:
            # Few wait in the pool, where none overtakes another.
            yield PoolExecutor(
                submit, {BrokenProcessPool: _KILLED}, room=lambda: 2 * workers, mapped=pool.map
            )
        except BaseException:
            pool.shutdown(kill_workers=True)
            raise
        pool.shutdown()


def _begin(workers: int, busy: str, parent: int) -> None:
    """Keep a new process to its share of the cores, and to the life of its parent."""
    total, at_work = cores(), np.memmap(busy, np.int64, mode="r")
    limit_threads(total)
    share_cores(lambda: max(1, total // min(max(int(at_work[0]), 1), workers)))
    # Ctrl-C reaches every process of a terminal; the parent answers for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process, at once, when it has lost its parent."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
