"""Parts that run side by side: in order, on one thread each, ended together."""

import threading
import time

import pytest

from meanfield.system import side_by_side as module
from meanfield.system.compiling import thread_count
from meanfield.system.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "thread_count", lambda: 2)


def test_parts_meet_and_come_in_their_order():
    meeting, said = threading.Barrier(2, timeout=10), []

    def work(part, report):
        meeting.wait()  # one after the other they would wait for ever
        report(1, 2)
        meeting.wait()
        report(2, 2)
        return part, thread_count()

    found = side_by_side(work, "abcd", lambda done, total: said.append((done, total)))
    assert found == [(part, 1) for part in "abcd"]
    assert said[-1] == (4, 4)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


def test_what_fails_ends_the_others_and_is_told():
    begun = []

    def work(part, report):
        begun.append(part)
        if part == 0:
            while len(begun) < 2:
                time.sleep(0.001)
            raise ZeroDivisionError("lost")
        for _ in range(10_000):
            time.sleep(0.001)
            report(0, 1)

    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="lost"):
        side_by_side(work, range(50))
    assert time.monotonic() < begin + 5
    assert len(begun) < 50


def test_on_one_core_there_are_no_threads(monkeypatch):
    monkeypatch.setattr(module, "thread_count", lambda: 1)
    found = side_by_side(lambda part, report: threading.current_thread(), range(2))
    assert found == [threading.main_thread()] * 2
