"""What the report of a study is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Finding:
    """The answer, in one or two plain sentences."""

    text: str


@dataclass(frozen=True)
class Heading:
    """The title of a part of the report."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph in plain words."""

    text: str


@dataclass(frozen=True)
class Table:
    """A small table: the first row is the header."""

    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Figure:
    """A figure of the report, and of the folder, where `name` is that of its files.

    ``plot(dataset, ax) -> ax`` draws it; the caption says in plain words what one sees.
    """

    name: str
    plot: Callable[[xr.Dataset, Axes], Axes]
    caption: str


Block = Finding | Heading | Text | Table | Figure
