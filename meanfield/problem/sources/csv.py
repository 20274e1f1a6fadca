"""Tables of numbers from csv files."""

from __future__ import annotations

import csv as csv_module
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from meanfield.errors import ArgumentError, suggest
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.sources.options import TableOptions, existing_file, takes
from meanfield.system.texts import read_text

_MISSING = {"", "?", "na", "n/a", "nan", "none", "null"}
_DELIMITERS = "\t;|, "

_Row = tuple[int, list[str]]
"""Number and cells of a line."""


@takes(TableOptions, of=from_arrays)
def csv(
    *,
    path: str | Path,
    target: str | int | list[str | int] = -1,
    drop: list[str | int] | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: Literal[".", ","] = ".",
    **rows: Unpack[TableOptions],
) -> Data:
    """Read a table of numbers.

    Parameters
    ----------
    path : str or Path
        The file, UTF-8; empty lines are skipped.
    target, drop : str, int, or list of these
        The label columns, and those that are left unread, such as an index or a text, by name or
        by position (from 0; negative from the end); all other columns are inputs.
    header : bool, optional
        Whether the first line holds names. By default it does when none of its cells is a number.
    delimiter : str, optional
        By default the first of tab, ``;``, ``|``, ``,`` and space that splits the first line;
        what stands in quotes is not split.
    decimal : {".", ","}
        The decimal mark of every number; with ``,`` the delimiter is another character, or the
        numbers are in quotes.
    standardize, standardize_y, labels, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation, encoding of classes and choice of rows.

    Returns
    -------
    Data
        With ``y`` of shape (n,) for one label column and (n, k) for several; ``info`` has the
        column names.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not such a table; the message names line and column.
    """
    if decimal not in (".", ","):
        raise ArgumentError("decimal", f"must be '.' or ',', got {decimal!r}.")
    path = existing_file(path)
    table = _read(path, delimiter, decimal, header)
    targets = table.columns("target", target)
    dropped = table.columns("drop", drop) if drop else []
    if set(targets) & set(dropped):
        raise ArgumentError(
            "drop", message=f"drop={drop!r} has a target column of {path}; leave it out of drop."
        )
    inputs = [i for i in range(len(table.cells)) if i not in targets + dropped]
    if not inputs:
        raise ArgumentError("path", message=f"{path} has no input column besides the target.")
    last, names = len(table.cells) - 1, table.names
    if last not in dropped and not any(table.cells[-1]) and not (names and names[-1]):
        raise ArgumentError(
            "path", message=f"{path}: every line ends with a separator; delete it from all of them."
        )
    for i in inputs:
        if names is not None and not names[i]:
            raise ArgumentError(
                "drop",
                message=f"{path}, column {i + 1} has no name, as an index has none; leave it out "
                f"with drop = [{i}], or name it.",
            )
    X = table.numbers(inputs, decimal, "correct it, or leave the column out with drop")
    if rows.get("labels") == "classes":
        y = table.classes(targets, decimal)
    else:
        remedy = 'correct it, or set labels = "classes" if it names a class'
        y = table.numbers(targets, decimal, remedy)
    info: dict[str, Any] = {"source": "csv", "path": str(path)}
    if names is not None:
        info["feature_names"] = [names[i] for i in inputs]
        info["target_names"] = [names[i] for i in targets]
    return from_arrays(X, y[:, 0] if len(targets) == 1 else y, info=info, **rows)


@dataclass(frozen=True)
class _Table:
    """The texts in the cells of a table below its header."""

    path: Path
    names: list[str] | None
    lines: list[int]  # the number of each row's line
    cells: list[tuple[str, ...]]  # column by column

    def place(self, row: int, column: int) -> str:
        name = self.names[column] if self.names else column + 1
        return f"{self.path}, line {self.lines[row]}, column {name}"

    def check_there(self, row: int, column: int, cell: str) -> None:
        """Refuse a cell that says that its value is missing."""
        if cell.lower() in _MISSING:
            where = self.place(row, column)
            raise ArgumentError("path", message=f"{where} is missing; fill it in or drop the line.")

    def numbers(self, columns: list[int], decimal: str, remedy: str) -> np.ndarray:
        """Return the numbers of some columns; `remedy` is for a cell that holds none."""
        table = np.empty((len(self.cells[0]), len(columns)))
        for j, column in enumerate(columns):
            numbers = [_number(cell, decimal) for cell in self.cells[column]]
            table[:, j] = np.array(numbers, dtype=float)  # None becomes NaN
        for row, j in np.argwhere(~np.isfinite(table))[:1]:
            column, cell = columns[j], self.cells[columns[j]][row]
            self.check_there(row, column, cell)
            other = "." if decimal == "," else ","
            if _number(cell, decimal) is None and _number(cell, other) is not None:
                remedy = f'if all have this decimal mark set decimal = "{other}", else correct it'
            raise ArgumentError(
                "path",
                message=f"{self.place(row, column)}: {cell!r} is not a finite number; {remedy}.",
            )
        return table

    def classes(self, columns: list[int], decimal: str) -> np.ndarray:
        """Return the names of classes: numbers where all are, texts otherwise."""
        texts = list(zip(*(self.cells[column] for column in columns), strict=True))
        for row, cells in enumerate(texts):
            for column, cell in zip(columns, cells, strict=True):
                self.check_there(row, column, cell)
        numbers = [[_number(cell, decimal) for cell in row] for row in texts]
        return np.array(texts if any(None in row for row in numbers) else numbers)

    def columns(self, option: str, chosen: str | int | list[str | int]) -> list[int]:
        """Return the positions of the columns that an option names."""
        path, names, width = self.path, self.names, len(self.cells)
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
                    raise ArgumentError(
                        option, message=f"{path} has {times} named {column!r}.{hint}"
                    )
                column = names.index(column)
            if not isinstance(column, int) or not -width <= column < width:
                raise ArgumentError(
                    option,
                    message=f"{option}={column!r} is not one of the {width} columns of {path}.",
                )
            columns.append(column % width)
        if not columns or len(set(columns)) < len(columns):
            raise ArgumentError(option, f"must name distinct columns of {path}, got {chosen!r}.")
        return columns


def _read(path: Path, delimiter: str | None, decimal: str, header: bool | None) -> _Table:
    """Split a file into cells."""
    try:
        text = read_text(path)
    except UnicodeDecodeError:
        raise ArgumentError(
            "path", message=f"{path} is not UTF-8 text; save it as UTF-8."
        ) from None
    rows = _rows(path, text, _delimiter(text, delimiter, decimal))
    if not rows:
        raise ArgumentError("path", message=f"{path} is empty.")
    for row in rows:
        problem = _malformed(row, rows[0])
        if problem:
            raise ArgumentError("path", message=f"{path}, line {row[0]} {problem}.")
    names = rows[0][1] if _has_header(path, *rows[0], header) else None
    if names is not None:
        del rows[0]
    if not rows:
        raise ArgumentError("path", message=f"{path} has no line of numbers below its header.")
    lines, cells = zip(*rows, strict=True)
    return _Table(path, names, list(lines), list(zip(*cells, strict=True)))


def _delimiter(text: str, delimiter: str | None, decimal: str) -> str:
    """Return the delimiter, checked or guessed."""
    if delimiter is None:
        # A comma is the last resort where it is the decimal mark.
        marks = sorted(_DELIMITERS, key=lambda mark: mark == decimal)
        return next((mark for mark in marks if _splits(mark, text.lstrip())), ",")
    if len(delimiter) != 1:
        hint = r' (a tab is "\t")' if delimiter.lower() in ("tab", r"\t") else ""
        raise ArgumentError("delimiter", f"must be one character{hint}, got {delimiter!r}.")
    return delimiter


def _reader(text: str, delimiter: str) -> Any:
    lines = (line.rstrip(" \r\n") for line in StringIO(text))
    return csv_module.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _splits(delimiter: str, text: str) -> bool:
    """Return whether a delimiter splits the first line, which may be quoted, into cells."""
    try:
        return len(next(_reader(text, delimiter), [])) > 1
    except csv_module.Error:
        return False


def _rows(path: Path, text: str, delimiter: str) -> list[_Row]:
    """Return the number and the cells of each line that is not blank."""
    reader = _reader(text, delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv_module.Error as error:
        raise ArgumentError("path", message=f"{path}, line {reader.line_num}: {error}.") from None
    return [(line, cells) for line, cells in rows if cells and cells != [""]]


def _malformed(row: _Row, first: _Row) -> str:
    """Return what is wrong with the separators of a line, and what is likely the reason."""
    cells, expected = row[1], len(first[1])
    if not any(cells):
        return "holds only separators; delete it"
    if len(cells) == expected:
        return ""
    problem = f"has {len(cells)} cells, expected {expected}"
    for line, start in ((first[0], first[1][0]), (row[0], cells[0])):
        if start.startswith("#"):
            return f"{problem}; line {line} looks like a comment: delete it"
    if len(cells) == expected + 1 and not cells[-1]:
        return f"{problem}; it ends with a separator: delete that"
    return problem


def _has_header(path: Path, line: int, first: list[str], header: bool | None) -> bool:
    if header is not None:
        return header
    cells = [cell for cell in first if cell.lower() not in _MISSING]
    # With either decimal mark: a line of numbers never holds names.
    n_numbers = sum(any(_number(cell, mark) is not None for mark in ".,") for cell in cells)
    if 0 < n_numbers < len(cells):
        raise ArgumentError(
            "header",
            message=f"{path}, line {line} mixes numbers and text; if it holds names set header = "
            "true, else header = false.",
        )
    return bool(cells) and n_numbers == 0


def _number(cell: str, decimal: str) -> float | None:
    """Return the number in a cell, NaN and infinity included, or None."""
    if decimal == ",":
        cell = cell.translate({ord("."): ",", ord(","): "."})
    # float() reads 1_000 as 1000, but a table has no such digits: it is an error or a text.
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
