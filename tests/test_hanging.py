"""What hangs fails by name, the rest of its file runs, and the run ends."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAD = """
import os, signal, time
import pytest

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(1000)
"""
FILES = {
    "test_call": """
        def test_first(): pass
        def test_sleeps(): time.sleep(1000)
        def test_is_deaf(): deaf()
        def test_last(): pass
    """,
    "test_teardown": """
        @pytest.fixture
        def stays():
            yield
            time.sleep(1000)

        def test_fails(stays): raise AssertionError
        def test_last(): pass
    """,
    "test_fork": """
        @pytest.fixture
        def child():
            if os.fork() == 0:
                time.sleep(1000)
            deaf()

        def test_child(child): pass
        def test_last(): pass
    """,
    "test_import": """
        time.sleep(1000)
        def test_never(): pass
    """,
}


@pytest.fixture(scope="module")
def limit():
    """Return seconds that a test may take: what starting takes here and now, several times."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", "import pytest, xdist.scheduler"], check=True)
    return str(max(2, round(4 * (time.monotonic() - start))))


RUNS = (("test_call",), ("test_fork",), ("test_import", "test_teardown"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, limit):
    """Begin all runs at once, as most of what they do is to wait; of each its process."""
    begun = {files: start(tmp_path_factory.mktemp("run"), files, limit) for files in RUNS}
    yield begun
    for process in begun.values():
        process.kill()
        process.communicate()


def start(folder, files, limit):
    """Run files with pytest."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    for name in files:
        code = re.sub(r"^ {8}", "", FILES[name], flags=re.MULTILINE)
        (folder / f"{name}.py").write_text(f"{HEAD}{code}")
    options = "-rA -c /dev/null --rootdir . -n 1 --dist loadfile --continue-on-collection-errors"
    command = [sys.executable, "-m", "pytest", *options.split(), "--timeout", limit, "."]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def summary(process):
    """Return every line of the summary that pytest ends with, without the reasons."""
    out, err = process.communicate(timeout=280)
    assert process.returncode == 1, out + err
    return set(re.findall(r"^((?:PASSED|FAILED|ERROR) \S+)", out, re.MULTILINE))


def test_in_a_call(runs):
    assert summary(runs[RUNS[0]]) == {
        "PASSED test_call.py::test_first",
        "FAILED test_call.py::test_sleeps",
        "FAILED test_call.py::test_is_deaf",
        "PASSED test_call.py::test_last",
    }


def test_with_a_forked_child(runs):
    assert summary(runs[RUNS[1]]) == {
        "FAILED test_fork.py::test_child",
        "PASSED test_fork.py::test_last",
    }


def test_in_an_import_and_in_a_teardown_after_a_failure(runs):
    assert summary(runs[RUNS[2]]) == {
        "ERROR test_import.py",
        "FAILED test_teardown.py::test_fails",
        "ERROR test_teardown.py::test_fails",
        "PASSED test_teardown.py::test_last",
    }
