"""Progress: a bar with the time left on a terminal, silence anywhere else."""

from __future__ import annotations

import io
import sys

import pytest

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
