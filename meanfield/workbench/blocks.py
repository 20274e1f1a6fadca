"""What the report of a study is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    plot: Callable[[Any, Axes], Axes]
    caption: str


@dataclass(frozen=True)
class Details:
    """A part that is folded away under its title until a reader opens it."""

    title: str
    blocks: Sequence[Block]


Block = Finding | Heading | Text | Table | Figure | Details


def figures(blocks: Sequence[Block]) -> Iterator[Figure]:
    """Yield the figures of a report in their order, those of its details too."""
    for block in blocks:
        if isinstance(block, Details):
            yield from figures(block.blocks)
        elif isinstance(block, Figure):
            yield block
