"""A run on a Dask cluster does not wait for ever, nor for workers that cannot work."""

from __future__ import annotations

import pytest

from meanfield.errors import ConfigError, WorkerError
from meanfield.system import storage
from meanfield.workbench.executors import dask as place


class SilentScheduler:
    """A client of a scheduler whose workers, if any, never answer."""

    status, address = "running", "tcp://head:8786"

    def __init__(self, *workers):
        self.scheduler, self.workers = self, {key: {"last_seen": 1.0} for key in workers}

    def identity(self, n_workers):
        return {"workers": self.workers}

    def _run(self, function, workers, on_error):
        raise TimeoutError

    def sync(self, function, *arguments, callback_timeout, **options):
        return function(*arguments, **options)


@pytest.mark.parametrize("workers", [(), ("tcp://stopped:1",)])
def test_nobody_waits_for_ever_for_a_worker(monkeypatch, workers):
    now = [0.0]
    monkeypatch.setattr(place.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(storage, "_noted", set())
    watch = place._Watch(SilentScheduler(*workers))
    watch()
    now[0] = 11.0
    with pytest.warns(UserWarning, match=r"Waiting for a worker of .*head:8786, up to 10 minutes"):
        watch()
    now[0] = 601.0
    with pytest.raises(WorkerError, match=r"answered for 10 minutes; start one, .*--resume"):
        watch()


def test_a_worker_that_is_heard_of_may_take_its_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(place.time, "monotonic", lambda: now[0])
    client = SilentScheduler("tcp://busy:1")
    watch = place._Watch(client)
    for now[0] in range(0, 2000, 5):
        client.workers = {"tcp://busy:1": {"last_seen": -now[0]}}  # its clock is wrong
        watch()


@pytest.mark.parametrize("answer", [ModuleNotFoundError("meanfield"), Exception("ImportError()")])
def test_worker_without_the_package_is_named(answer):
    client = SilentScheduler("tcp://bare:1")
    client._run = lambda *_, **__: {"tcp://bare:1": answer}
    with pytest.raises(ConfigError, match=r"worker at tcp://bare:1 cannot load meanfield"):
        place._Watch(client)()
