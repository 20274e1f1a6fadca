"""The pool of a Dask cluster: the user's, or one of processes on this machine."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from uuid import uuid4

from meanfield.errors import ConfigError
from meanfield.system.threads import cores
from meanfield.workbench.executors.calls import Call, Done
from meanfield.workbench.executors.pool import PoolExecutor, threads_each, work

try:
    import dask
    from distributed import Client, KilledWorker, Worker, WorkerPlugin
    from distributed.comm.addressing import get_address_host_port
except ImportError:
    raise ConfigError(
        "--executor dask needs Dask; install it with: pip install 'meanfield[dask]'."
    ) from None

_SECONDS_TO_CONNECT = 10
_THREAD_LIMITS = [
    f"distributed.nanny.environ.{name}_NUM_THREADS" for name in ("NUMBA", "OMP", "OPENBLAS")
]
_LOSSES = {
    KilledWorker: "A unit took down every worker that tried it, perhaps for lack of memory; give "
    "the workers more, then run again with --resume.",
    CancelledError: "The connection to the scheduler was lost; start it, then run again with "
    "--resume.",
}


@contextmanager
def dask_executor(scheduler: str | None, workers: int | None) -> Iterator[PoolExecutor]:
    """Connect to a scheduler, or start a cluster on this machine; leave it with the block."""
    try:
        get_address_host_port(scheduler or "tcp://127.0.0.1:0")
    except ValueError as error:
        raise ConfigError(
            f"--scheduler {scheduler!r} is not an address ({error}); give one such as "
            "tcp://HOST:8786, which `dask scheduler` prints."
        ) from None
    workers = workers or cores()
    limits = dict.fromkeys(_THREAD_LIMITS, threads_each(workers))
    cluster = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    cluster["silence_logs"] = logging.CRITICAL
    options = {} if scheduler else cluster
    with dask.config.set(limits):
        try:
            client = Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False, **options)
        except OSError as error:
            raise ConfigError(
                f"No Dask scheduler answers at {scheduler!r} ({error}); start one with "
                "`dask scheduler`, which prints its address."
            ) from None
    with client:
        if scheduler is None:
            client.register_plugin(_Deaf())
        pool = client.get_executor()

        def submit(call: Call, version: str) -> Future[Done]:
            # A key of its own: no task of an earlier study may answer for this one.
            return pool.submit(work, call, version, key=f"{call.unit.key}-{uuid4().hex}")

        yield PoolExecutor(submit, _LOSSES)


class _Deaf(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; the driver answers for all."""

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
