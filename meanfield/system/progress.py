"""Progress of long work: a callback for the code that works, a bar for the person who waits.

Anything long takes ``progress(done, total)`` and calls it now and then. `progress_bar` gives such a
callback; it draws on the standard error, and only when that is a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """What long work calls to say how far it is; `done` never exceeds `total`."""

    def __call__(self, done: float, total: float, /) -> None:
        """Say that `done` of `total` is done, in any unit of work."""


def no_progress(done: float, total: float, /) -> None:
    """Show nothing."""


class Bar:
    """A progress callback that shows nothing: what `progress_bar` gives without a terminal.

    Attributes
    ----------
    label : str
        What is being worked on now; shown with the next call.
    """

    def __init__(self, label: str):
        self.label = label

    def __call__(self, done: float, total: float) -> None:
        """Take note of the progress."""


class _TerminalBar(Bar):
    """A bar with the share done, the time gone and the time left."""

    def __init__(self, label: str):
        super().__init__(label)
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        # A long window: the units of a study differ in speed.
        self._display = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("gone,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            speed_estimate_period=300.0,
            transient=True,
        )
        self._task: Any = None
        self._display.start()

    def __call__(self, done: float, total: float) -> None:
        if self._task is None:
            # What a resumed run finds done is the start, not a burst of speed.
            self._task = self._display.add_task(self.label, total=total, completed=done)  # type: ignore[arg-type]
        self._display.update(self._task, description=self.label, total=total, completed=done)

    def stop(self) -> None:
        self._display.stop()


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Bar]:
    """Show a progress bar on the standard error while the block runs, if that is a terminal.

    Parameters
    ----------
    label : str
        Text before the bar.
    quiet : bool, default: False
        Show nothing in any case.

    Yields
    ------
    Bar
        A ``progress(done, total)`` callback with a settable ``label``.
    """
    if quiet or not sys.stderr.isatty():
        yield Bar(label)
        return
    bar = _TerminalBar(label)
    try:
        yield bar
    finally:
        bar.stop()
