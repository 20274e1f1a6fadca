"""What hangs fails by name, and the run goes on.

pytest-timeout (``--timeout``, given by ``scripts/test``) ends a test that hangs. It does not time
the import of a file, nor a teardown after a failure; both are timed here. Where Python itself does
not come to act on the signal, the process is ended after twice that time, and the other tests of
its file go to a new one.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import os
import signal
import sys
import threading

import pytest
from xdist.scheduler import LoadFileScheduling

#: Files that take longest, begun first, so that no worker waits for one of them at the end.
LONG = {
    "test_executors",
    "test_extract",
    "test_experiment",
    "test_cli",
    "test_machines",
    "test_crafted",
    "test_train",
    "test_not_learned",
    "test_validation",
    "test_infinite_width",
    "test_chaos",
    "test_widths",
    "test_errors",
    "test_modes",
    "test_hanging",
    "test_reliability",
    "test_runner",
}


@pytest.fixture(scope="session", autouse=True)
def unflushed():
    """Wait for no disk: only a power cut would show the difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Draw no figures: they take most of the time of a small study."""
    monkeypatch.setattr("meanfield.plots.render", lambda plot, dataset: (b"", b""))


@pytest.fixture
def brief_trials(monkeypatch):
    """Try the step size that is advised after a divergence for 2048 steps, not 131 072."""
    monkeypatch.setattr("meanfield.flow.step_size_search._EVALUATIONS", 2**24)


@pytest.fixture(scope="module")
def fonts_as_outlines():
    """Put letters into PDFs as outlines; to cut fonts to size takes half the time of a figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(importlib.import_module("meanfield.plots.style").STYLE, "pdf.fonttype", 3)
        yield


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)  # else in their order


class FileScheduling(LoadFileScheduling):
    """A file of tests to each worker; a test that ended its worker is not run again."""

    def remove_node(self, node):
        """Return the test that ended its worker, and give what is left of its files to others."""
        files = self.assigned_work[node]
        left = (
            (tests, name) for tests in files.values() for name, done in tests.items() if not done
        )
        tests, lost = next(left, ({}, None))
        tests[lost] = True
        self.assigned_work[node] = {
            f: tests for f, tests in files.items() if not all(tests.values())
        }
        super().remove_node(node)
        return lost

    def _reschedule(self, node):
        """Give a worker the two tests that it needs to begin, or tell it that these were all."""
        while (
            node in self.registered_collections  # not one that has only just been started
            and not node.shutting_down
            and self._pending_of(self.assigned_work[node]) < 2
        ):
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order is that of the collection
    return FileScheduling(config, log)


def pytest_configure(config):
    config.stderr_of_crashes = os.dup(2)  # before pytest captures it


def pytest_unconfigure(config):
    faulthandler.cancel_dump_traceback_later()
    os.close(config.stderr_of_crashes)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    with _ended(item.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    with _ended(item.config), _failed(item.config, f"the teardown of {item.nodeid}"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector):
    with _ended(collector.config), _failed(collector.config, f"collecting {collector.nodeid}"):
        return (yield)


def _limit(config):
    """Return the seconds that are allowed, or 0."""
    return float(config.getoption("timeout", None) or 0)


@contextlib.contextmanager
def _failed(config, what):
    """Fail what takes longer than is allowed."""

    def stop(number, frame):
        pytest.fail(f"{what} took over {_limit(config):g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _limit(config))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _ended(config):
    """End the process, and say where it was, when it takes twice what is allowed.

    To be entered again after a failure, on which pytest stops the clock.
    """
    if _limit(config):
        faulthandler.dump_traceback_later(
            2 * _limit(config), exit=True, file=config.stderr_of_crashes
        )
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class _ForkedChildren:
    """Children that outlive their worker would hold the pipe on which the run waits for it."""

    PR_SET_PDEATHSIG = 1

    def __init__(self):
        self._prctl = ctypes.CDLL(None).prctl
        os.register_at_fork(before=self._before, after_in_child=self._in_child)

    def _before(self):
        # The signal comes when the thread ends that forked; others than the main one may do so.
        self._lasting = threading.current_thread() is threading.main_thread()

    def _in_child(self):
        if self._lasting:
            self._prctl(self.PR_SET_PDEATHSIG, signal.SIGKILL)


if sys.platform == "linux":
    _ForkedChildren()
