"""Progress of long work: a callback for the code that works, a bar for the person who waits.

Anything long takes ``progress(done, total)`` and calls it now and then. `progress_bar` gives such a
callback; it draws on the standard error, if that is a terminal, or in a notebook.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_SECONDS_BETWEEN = 0.2


class Progress(Protocol):
    """What long work calls to say how far it is; `done` never exceeds `total`."""

    def __call__(self, done: float, total: float, /) -> None:
        """Say that `done` of `total` is done, in any unit of work."""


def no_progress(done: float, total: float, /) -> None:
    """Show nothing."""


class SharedProgress:
    """Progress over several runs whose costs are known; `total` may grow while they run."""

    def __init__(self, progress: Progress | None, total: float):
        self.total = total
        self._progress, self._done = progress, 0.0

    def part(self, cost: float) -> Progress:
        """Return the progress callback of the next run."""
        report, before = self._progress, self._done
        if report is None:
            return no_progress
        self._done += cost

        def progress(done: float, total: float) -> None:
            report(min(before + cost * done / max(total, 1), self.total), self.total)

        return progress


@contextmanager
def shown(progress: Progress | bool | None, label: str) -> Iterator[Progress | None]:
    """Take a callback as it is, True for a bar while the block runs, and False for none."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield None
    else:
        with progress_bar(label) as bar:
            yield bar


# Who hears what `tell` says, the innermost last.
_listeners: list[Callable[[str], None]] = []


def tell(text: str) -> None:
    """Say something to the person who waits, where one does."""
    if _listeners:
        _listeners[-1](text)


@contextmanager
def heard(listener: Callable[[str], None]) -> Iterator[None]:
    """Give `listener` what `tell` says while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Bar:
    """A progress callback that shows nothing, and the base of those that do.

    `label`, what is being worked on now, may be set; it is shown with the next call.
    """

    def __init__(self, label: str):
        self.label = label

    def __call__(self, done: float, total: float) -> None:
        """Take note of the progress."""


class _TerminalBar(Bar):
    """A bar with the share done, the time gone and the time left."""

    def __init__(self, label: str):
        super().__init__(label)
        from rich import progress as rich
        from rich.console import Console

        # A long window: the units of a study differ in speed.
        self._display = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("gone,"),
            rich.TimeRemainingColumn(),
            rich.TextColumn("left"),
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

    def tell(self, text: str) -> None:
        self._display.console.print(text, highlight=False)

    def stop(self) -> None:
        self._display.stop()


class _NotebookBar(Bar):
    """The same as an output of a notebook, renewed in its place."""

    def __init__(self, label: str):
        super().__init__(label)
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)
        self._begin = self._drawn = time.monotonic()
        self._first: float | None = None

    def __call__(self, done: float, total: float) -> None:
        now, share = time.monotonic(), done / total if total else 1.0
        if self._first is None:
            self._first = share
        elif now - self._drawn < _SECONDS_BETWEEN and share < 1:
            return
        self._drawn, gone, since = now, now - self._begin, share - self._first
        text = f"{self.label}: {100 * share:.0f} %, {gone:.0f} s gone"
        if since > 0:
            text += f", {gone * (1 - share) / since:.0f} s left"
        bar = f'<progress value="{share:.4f}"></progress> {html.escape(text)}'
        self._handle.update({"text/plain": text, "text/html": bar}, raw=True)

    def tell(self, text: str) -> None:
        self._handle.update({"text/plain": text}, raw=True)  # until the next call

    def stop(self) -> None:
        self._handle.update({"text/plain": ""}, raw=True)


def _in_notebook() -> bool:
    """Whether the code runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Bar]:
    """Show a bar while the block runs, in a terminal or a notebook; elsewhere a silent `Bar`."""
    terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    if quiet or not (terminal or _in_notebook()):
        yield Bar(label)
        return
    bar = _TerminalBar(label) if terminal else _NotebookBar(label)
    try:
        with heard(bar.tell):
            yield bar
    finally:
        bar.stop()
