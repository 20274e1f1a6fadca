"""Units on a Dask cluster: the user's, or one of processes on this machine."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from loky import cpu_count

from meanfield.errors import ConfigError, WorkerError
from meanfield.system.version import VERSION
from meanfield.workbench.executors.calls import Call, Done
from meanfield.workbench.executors.processes import threads_each

try:
    import dask
    from distributed import Client, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed
    from distributed.client import FutureCancelledError
    from distributed.comm.addressing import get_address_host_port
except ImportError:
    raise ConfigError(
        "--executor dask needs Dask; install it with: pip install 'meanfield[dask]'."
    ) from None

_SECONDS_TO_CONNECT = 10


class DaskExecutor:
    """Units as tasks of a Dask cluster; those of a worker that dies are run by another.

    Parameters
    ----------
    client : distributed.Client
        A connection to the scheduler.
    """

    def __init__(self, client: Client):
        self._client = client

    def run(self, calls: Sequence[Call], advance: Callable[[Call, float], None]) -> Iterator[Done]:
        """Run `calls` in any order; see `Executor`."""
        if calls:
            advance(calls[0], 0.0)
        futures = {}
        for call in calls:
            # A key of its own: no task of an earlier study may answer for this one.
            key = f"{call.unit.key}-{uuid4().hex}"
            futures[self._client.submit(_work, call, VERSION, key=key)] = call
        try:
            for future in as_completed(futures, loop=self._client.loop):
                arrays, seconds = future.result()
                call = futures.pop(future)
                advance(call, 1.0)
                yield Done(call, arrays, seconds)
        except KilledWorker:
            raise WorkerError(
                "A unit took down every worker that tried it, perhaps for lack of memory; give "
                "the workers more, then run again with --resume."
            ) from None
        except FutureCancelledError:
            raise WorkerError(
                "The connection to the scheduler was lost; start it, then run again with --resume."
            ) from None
        finally:
            self._client.cancel(list(futures))


def _work(call: Call, version: str) -> tuple[dict[str, np.ndarray], float]:
    """Do a unit on a worker."""
    if version != VERSION:
        raise ConfigError(
            f"A worker has meanfield {VERSION}, and the study runs under {version}; install "
            "the same version everywhere."
        )
    if call.checkpoint and not Path(call.checkpoint).parent.is_dir():
        # Without a file system in common the unit keeps no progress of its own.
        call = replace(call, checkpoint=None)
    done = call()
    return done.arrays, done.seconds


class _Deaf(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; the driver answers for all."""

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def dask_executor(scheduler: str | None, workers: int | None) -> Iterator[DaskExecutor]:
    """Connect to a scheduler, or start a cluster on this machine; leave it with the block."""
    with ExitStack() as stack:
        if scheduler is None:
            workers = workers or cpu_count()
            names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
            threads = threads_each(workers)
            environment = {f"distributed.nanny.environ.{name}": threads for name in names}
            stack.enter_context(dask.config.set(environment))
            address: Any = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        else:
            address = scheduler
            try:
                get_address_host_port(address)
            except ValueError as error:
                raise ConfigError(
                    f"--scheduler {scheduler!r} is not an address ({error}); give one such as "
                    "tcp://HOST:8786, which `dask scheduler` prints."
                ) from None
        try:
            client = stack.enter_context(
                Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
            )
        except OSError as error:
            raise ConfigError(
                f"No Dask scheduler answers at {scheduler!r} ({error}); start one with "
                "`dask scheduler`, which prints its address."
            ) from None
        if scheduler is None:
            client.register_plugin(_Deaf())
        yield DaskExecutor(client)
