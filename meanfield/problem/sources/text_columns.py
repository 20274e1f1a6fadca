"""Columns of a text table as numbers: categories, missing cells, and what is neither."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, SupportsIndex

import numpy as np

from meanfield.errors import ArgumentError, suggest
from meanfield.problem.labels import class_places
from meanfield.problem.sources.text_numbers import (
    has_thousands,
    is_missing,
    is_number,
    to_number,
)
from meanfield.problem.sources.text_table import TextTable
from meanfield.system import memory

_MANY_VALUES = 20

Chosen = str | int | list[str | int]
"""Columns by name or by position."""


def choose_columns(table: TextTable, option: str, chosen: Chosen) -> list[int]:
    """Return the positions of the columns that an option names."""
    path, names, width = table.path, table.names, len(table.cells)
    columns = []
    for column in chosen if isinstance(chosen, list | tuple) else [chosen]:
        if isinstance(column, str):
            if names is None:
                raise ArgumentError(
                    option,
                    message=f"{path} has no header; give {option} as a position, not a name.",
                )
            if names.count(column) != 1:
                times = f"{names.count(column)} columns" if column in names else "no column"
                hint = "" if column in names else suggest(column, names)
                raise ArgumentError(option, message=f"{path} has {times} named {column!r}.{hint}")
            column = names.index(column)
        if isinstance(column, bool) or not isinstance(column, int) or not -width <= column < width:
            raise ArgumentError(
                option,
                message=f"{option}={column!r} is not one of the {width} columns of {path}.",
            )
        columns.append(column % width)
    if not columns or len(set(columns)) < len(columns):
        raise ArgumentError(option, f"must name distinct columns of {path}, got {chosen!r}.")
    return columns


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are read: the decimal mark, what becomes of gaps, categories.

    `fills` is what `missing` does beside refusing; `named` are the columns that are categories
    whatever they hold, `categories` whether other columns of texts are.
    """

    table: TextTable
    decimal: str
    fills: str
    categories: bool
    named: tuple[int, ...] = ()

    def numbers(self, column: int, remedy: str, *, input_: bool) -> np.ndarray:
        """Return the numbers of a column, NaN where missing; `remedy` is for other texts."""
        cells = self.table.cells[column]
        numbers = np.array([to_number(cell, self.decimal) for cell in cells], dtype=float)
        for row in np.flatnonzero(~np.isfinite(numbers)):
            cell = cells[row]
            if is_missing(cell):
                numbers[row] = np.nan
                self._gap(row, column, input_=input_)
            else:
                numbers[row] = 0  # refused below
                what, todo = self._no_number(cell, remedy)
                self._complain(row, column, f": {cell!r} {what}", todo, kind=what)
        return numbers

    def inputs(self, column: int) -> tuple[np.ndarray, list[str] | None]:
        """Return an input as columns of numbers, and its values where these are categories."""
        cells = self.table.cells[column]
        given = [cell for cell in cells if not is_missing(cell)]
        n_numbers = sum(is_number(cell, self.decimal) for cell in given)
        if column in self.named:
            return self._one_hot(column)
        remedy = "correct it, or leave the column out with drop"
        texts = 2 * n_numbers < len(given)
        if texts and self.categories:
            values = {cell for cell in cells if not is_missing(cell, words=False)}
            if len(values) <= max(_MANY_VALUES, len(cells) // 2):
                return self._one_hot(column)
            name = self.table.name(column)
            self.table.complaints.add(
                self.table.lines[0],
                f"and below it has {len(values)} different texts, as names do",
                "leave the column out with drop, or name it in categorical = "
                f"[{self._named(column)}]",
                column=name,
            )
            return np.zeros((len(cells), 1)), None
        if texts:
            remedy += ', or set categorical = "one-hot" if it names a category'
        elif self.categories:
            remedy += f", or name it in categorical = [{self._named(column)}]"
        return self.numbers(column, remedy, input_=True)[:, None], None

    def classes(self, column: int) -> list[Any]:
        """Return the classes in a column, None where missing."""
        cells = self.table.cells[column]
        labels: list[Any] = []
        for row, cell in enumerate(cells):
            missing = is_missing(cell, words=False)
            labels.append(None if missing else cell)
            if missing:
                self._gap(row, column, input_=False)
        return labels

    def _one_hot(self, column: int) -> tuple[np.ndarray, list[str]]:
        """Return one column of 0 and 1 for every value; NaN in all where it is missing."""
        cells = self.table.cells[column]
        missing = np.array([is_missing(cell, words=False) for cell in cells])
        for row in np.flatnonzero(missing):
            self._gap(row, column, input_=True)
        # A column without any value stays one column, for what is said of it later.
        values = in_order({str(cell) for cell in cells[~missing]}, self.decimal) or ["?"]
        n_bytes, free = 24 * len(cells) * len(values), memory.available()
        if n_bytes > free:
            raise ArgumentError(
                "categorical",
                message=f"column {self.table.name(column)} of {self.table.path} has {len(values)} "
                f"different values, and one column for each needs {n_bytes / 1e9:.3g} GB of "
                f"memory, where {free / 1e9:.3g} GB are available; leave it out with drop.",
            )
        coded = np.zeros((len(cells), len(values)))
        there = np.flatnonzero(~missing)
        coded[there, class_places(cells[there], values)] = 1
        coded[missing] = np.nan
        return coded, values

    def _gap(self, row: SupportsIndex, column: int, *, input_: bool) -> None:
        """Complain of a missing cell, unless something is done about it."""
        if self.fills == "drop" or (self.fills == "mean" and input_):
            return
        if self.fills == "mean":
            remedy = 'a label has no mean: fill it in, drop the line, or set missing = "drop"'
        else:
            other = '"drop" or "mean"' if input_ else '"drop"'
            remedy = f"fill it in or drop the line, or set missing = {other}"
        self._complain(row, column, " is missing", remedy)

    def _no_number(self, cell: str, remedy: str) -> tuple[str, str]:
        """Return what is wrong with a text that should be a number, and what to do."""
        other = "." if self.decimal == "," else ","
        decimals = self._other_decimals
        if has_thousands(cell) and (to_number(cell, other) is None or not decimals):
            return (
                "is not a finite number: it has thousands separators",
                "write the numbers without them",
            )
        if to_number(cell, self.decimal) is None and to_number(cell, other) is not None:
            remedy = f'if all have this decimal mark set decimal = "{other}", else correct it'
        return "is not a finite number", remedy

    @property
    def _other_decimals(self) -> bool:
        """Whether the other mark is a decimal mark somewhere: not always before three digits."""
        other = "." if self.decimal == "," else ","
        return any(
            other in cell and is_number(cell, other) and not has_thousands(cell)
            for column in self.table.cells
            for cell in column
        )

    def _complain(
        self, row: SupportsIndex, column: int, what: str, remedy: str, kind: str = ""
    ) -> None:
        line, name = self.table.lines[row], self.table.name(column)
        self.table.complaints.add(line, what.strip(), remedy, column=name, kind=kind)

    def _named(self, column: int) -> str:
        return f'"{self.table.names[column]}"' if self.table.names else str(column)


def in_order(texts: set[str], decimal: str) -> list[str]:
    """Sort texts: as numbers where all are, else by their letters."""
    numbers = all(is_number(text, decimal) for text in texts)
    return sorted(texts, key=lambda text: (to_number(text, decimal) if numbers else 0, text))


def class_names(labels: list[Any], decimal: str) -> tuple[list[Any], list[str]]:
    """Return classes as numbers where each is written in one way only, and notes; else as texts.

    Texts that differ are never one class.
    """
    texts = in_order({label for label in labels if label is not None}, decimal)
    if not all(is_number(text, decimal) for text in texts):
        return labels, []
    values: dict[str, Any] = {text: _exact(text, decimal) for text in texts}
    if len(set(values.values())) == len(texts):
        return [None if label is None else values[label] for label in labels], []
    same = next((one, two) for one, two in pairwise(texts) if values[one] == values[two])
    return labels, [
        f"The classes {same[0]!r} and {same[1]!r} are one number written in two ways, and count as "
        "two classes; write them alike if they are one."
    ]


def _exact(text: str, decimal: str) -> int | float:
    """Return a number as it is written, however many digits an integer has."""
    digits = text.removeprefix("-").removeprefix("+")
    if digits.isdigit() and len(digits) < 4000:
        return int(text)
    number = to_number(text, decimal)
    assert number is not None  # the caller saw to that
    return number
