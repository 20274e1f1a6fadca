"""Where units run: here, in processes of this machine, on a Dask cluster."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from meanfield.errors import ConfigError, suggest
from meanfield.system.compiling import thread_count
from meanfield.system.threads import cores
from meanfield.workbench.executors.as_needed import processes_as_needed
from meanfield.workbench.executors.calls import Executor
from meanfield.workbench.executors.local import LocalExecutor
from meanfield.workbench.executors.pool import process_executor

EXECUTORS = ("local", "dask")


def get_executor(
    name: str = "local", *, scheduler: str | None = None, workers: int | None = None
) -> AbstractContextManager[Executor]:
    """Return what runs the units of a study, as a context that frees its processes at the end.

    Without the address of a `scheduler`, such as ``tcp://host:8786``, Dask starts a cluster of
    processes on this machine. There are `workers` processes here, one per core by default; for
    ``"local"`` only once several units wait that take long. Every executor gives the same bits.
    """
    if name not in EXECUTORS:
        raise ConfigError(f"--executor {name!r} is not known.{suggest(name, EXECUTORS)}")
    if scheduler is not None and name != "dask":
        raise ConfigError("--scheduler goes with --executor dask; add that, or leave it out.")
    if scheduler is not None and workers is not None:
        raise ConfigError("--workers is for this machine; a scheduler brings its own workers.")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}.")
    if name == "dask":
        from meanfield.workbench.executors.dask import dask_executor

        return dask_executor(scheduler, workers)
    most = min(cores(), thread_count())
    if workers == 1 or (workers is None and most == 1):
        return nullcontext(LocalExecutor())
    return processes_as_needed(most) if workers is None else process_executor(workers)
