"""Progress: a bar with the time left on a terminal or in a notebook, silence anywhere else."""

from __future__ import annotations

import io
import sys
import types

import pytest

from meanfield.system import progress
from meanfield.system.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make the standard error a terminal that keeps what is written; call it within a test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def work(quiet=False):
    with progress_bar("start", quiet=quiet) as bar:
        for step in range(5):
            bar.label = f"unit {step}"
            bar(20 + step, 24)


def test_silent_without_a_terminal(capsys):
    work()
    assert capsys.readouterr() == ("", "")


class Notebook:
    """What of IPython a bar needs: a shell with a kernel, and outputs that can be renewed."""

    def __init__(self, monkeypatch):
        self.shown = []
        ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
        ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
        display.display = self.display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)

    def display(self, data, raw, display_id):
        self.update(data, raw)
        return self

    def update(self, data, raw):
        assert raw
        self.shown.append(data)


def test_notebook_shows_one_output_and_clears_it(monkeypatch):
    notebook = Notebook(monkeypatch)
    work(quiet=True)
    assert notebook.shown == []
    with progress_bar("<&>") as bar:
        for step in range(3):
            bar(10 + step, 12)
    texts = [data["text/plain"] for data in notebook.shown]
    assert texts[0] == texts[-1] == ""
    assert [text.split(",")[0] for text in texts[1:-1]] == ["<&>: 83 %", "<&>: 92 %", "<&>: 100 %"]
    assert "left" not in texts[1]
    assert texts[-2].endswith("0 s left")
    assert (
        '<progress value="0.9167"></progress> &lt;&amp;&gt;: 92 %' in notebook.shown[2]["text/html"]
    )


def test_notebook_is_not_flooded(monkeypatch):
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 1e9)
    with progress_bar("work") as bar:
        for step in range(101):
            bar(step, 100)
    assert [data["text/plain"][:9] for data in notebook.shown] == ["", "work: 0 %", "work: 100", ""]


def test_progress_is_a_callback_or_a_wish_for_a_bar(monkeypatch):
    notebook = Notebook(monkeypatch)
    for given in (print, None):
        with progress.shown(given, "work") as report:
            assert report is given
    with progress.shown(False, "work") as report:
        assert report is None
    assert notebook.shown == []
    with progress.shown(True, "work") as report:
        report(1, 2)
    assert notebook.shown[1]["text/plain"].startswith("work: 50 %")


def test_parts_of_known_cost_share_one_progress():
    seen = []
    shared = progress.SharedProgress(lambda *done: seen.append(done), 10)
    first, second = shared.part(4), shared.part(6)
    first(1, 2)
    first(2, 2)
    second(1, 3)
    second(3, 3)
    assert seen == [(2, 10), (4, 10), (6, 10), (10, 10)]
    progress.SharedProgress(None, 10).part(4)(1, 2)


def test_silent_when_asked(monkeypatch):
    stream = terminal(monkeypatch)
    work(quiet=True)
    assert stream.getvalue() == ""


def test_bar_shows_what_how_much_and_how_long(monkeypatch):
    stream = terminal(monkeypatch)
    work()
    shown = stream.getvalue()
    assert "unit 4" in shown
    assert "100%" in shown
    assert "left" in shown


def test_terminal_is_given_back_after_an_error(monkeypatch):
    stream = terminal(monkeypatch)

    def stopped():
        with progress_bar("start") as bar:
            bar(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")  # cursor
