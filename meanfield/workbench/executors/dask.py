"""The pool of a Dask cluster: the user's, or one of processes on this machine."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Mapping, Set
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from meanfield.errors import ConfigError, WorkerError
from meanfield.system import storage
from meanfield.system.provenance import software
from meanfield.system.threads import cores
from meanfield.workbench.executors.calls import Call, Done
from meanfield.workbench.executors.pool import PoolExecutor, compare, threads_each, work

try:
    import dask
    from distributed import Client, KilledWorker, Worker, WorkerPlugin
    from distributed.comm.addressing import get_address_host_port
    from distributed.comm.core import CommClosedError
except ImportError:
    raise ConfigError(
        "--executor dask needs Dask; install it with: pip install 'meanfield[dask]'."
    ) from None

_SECONDS_TO_CONNECT = 10
#: Calls that may be with the scheduler, and for each worker that there is.
_ROOM, _EACH = 64, 4
#: Silence of all workers until it is said, and until the run ends.
_SECONDS_TO_SAY, _SECONDS_TO_LAST = 10, 600
#: Who writes what Dask's processes and connections go through; the run says it in its own words.
_LOGGERS = ("distributed.client", "distributed.comm", "distributed.core", "asyncio", "tornado")
_THREAD_LIMITS = [
    f"distributed.nanny.environ.{name}_NUM_THREADS" for name in ("NUMBA", "OMP", "OPENBLAS")
]
_LOST = "The connection to the scheduler was lost; start it, then run again with --resume."
_LOSSES = {
    KilledWorker: "A unit took down every worker that tried it, perhaps for lack of memory; give "
    "the workers more, then run again with --resume.",
    CommClosedError: _LOST,
    CancelledError: _LOST,
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
    cluster: dict[str, Any] = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "dashboard_address": None,
    }
    cluster["silence_logs"] = logging.CRITICAL
    # Nothing is served to a browser.
    cluster["scheduler_kwargs"] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options = {} if scheduler else cluster
    routes: dict[str, Any] = {
        f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")
    }
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set({**limits, **routes}):
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

        def submit(call: Call, asked: Mapping[str, str]) -> Future[Done]:
            # A key of its own: no task of an earlier study may answer for this one.
            return pool.submit(work, call, asked, key=f"{call.unit.key}-{uuid4().hex}")

        watch = _Watch(client)
        watch.check_scheduler()
        yield PoolExecutor(submit, _LOSSES, watch, watch.room)


class _Watch:
    """Refuses workers with other software, and does not wait for ever for one that can work."""

    def __init__(self, client: Any):
        self._client, self._address = client, client.scheduler.address
        self._accepted: set[str] = set()
        self._seen: dict[str, float] = {}
        self._heard = time.monotonic()

    def check_scheduler(self) -> None:
        """Refuse a scheduler that cannot read what it is to hand on."""
        try:
            self._client.run_on_scheduler(software)
        except Exception as error:
            raise ConfigError(
                f"The Dask scheduler at {self._address} cannot load meanfield ({error}); install "
                "the same version there."
            ) from None

    def __call__(self) -> None:
        """Look at the workers once."""
        if self._client.status in ("closing", "closed"):
            raise CancelledError
        if self._client.status != "running":  # it tries to connect again, for a while
            return
        seen = self._last_seen()
        # Times are compared with themselves: clocks of machines differ.
        if any(self._seen.get(worker) != moment for worker, moment in seen.items()):
            self._heard = time.monotonic()
        self._seen = seen
        self._check(seen.keys() - self._accepted)
        silent = time.monotonic() - self._heard
        if silent > _SECONDS_TO_LAST:
            raise WorkerError(
                f"No worker of the Dask scheduler at {self._address} has answered for "
                f"{_SECONDS_TO_LAST / 60:.0f} minutes; start one, then run again with --resume."
            )
        if silent > _SECONDS_TO_SAY:
            storage.note_once(
                f"Waiting for a worker of the Dask scheduler at {self._address}, up to "
                f"{_SECONDS_TO_LAST / 60:.0f} minutes; start one with `dask worker "
                f"{self._address} --nthreads 1`."
            )

    def room(self) -> int:
        """Return how many calls may be with the workers, or wait for them there."""
        return max(_ROOM, _EACH * len(self._seen))

    def _last_seen(self) -> dict[str, float]:
        """Return when the scheduler heard of each worker; as before, where it does not answer."""
        try:
            found = self._client.sync(
                self._client.scheduler.identity, n_workers=-1, callback_timeout=_SECONDS_TO_CONNECT
            )
        except (OSError, AttributeError):  # it is about to connect again
            return self._seen
        return {name: worker["last_seen"] for name, worker in found["workers"].items()}

    def _check(self, workers: Set[str]) -> None:
        """Compare the software of new workers with that of the study."""
        if not workers:
            return
        try:
            found = self._client.sync(
                self._client._run,
                software,
                workers=list(workers),
                on_error="return",
                callback_timeout=_SECONDS_TO_CONNECT,
            )
        except (OSError, AttributeError, ValueError):  # gone, or busy: asked again in a moment
            return
        for worker, answer in found.items():
            if isinstance(answer, OSError):
                continue  # it has just gone
            if isinstance(answer, Exception):
                raise ConfigError(
                    f"The worker at {worker} cannot load meanfield ({answer}); install the same "
                    "version there."
                )
            compare(f"The worker at {worker}", answer, software())
            self._accepted.add(worker)


class _Deaf(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; the driver answers for all."""

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
