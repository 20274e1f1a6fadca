"""Data from files: npz archives (pickles are refused) and csv tables."""

from __future__ import annotations

import csv as csv_module
import math
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from meanfield.errors import ArgumentError, suggest
from meanfield.problem.data import Data, Labels, Standardization, from_arrays

_MISSING = {"", "?", "na", "n/a", "nan", "none", "null"}
_DELIMITERS = "\t;|, "


def npz(
    *,
    path: str | Path,
    X: str = "X",
    y: str = "y",
    X_test: str = "X_test",
    y_test: str = "y_test",
    standardize: Standardization = "none",
    standardize_y: bool = False,
    labels: Labels = "numbers",
    test_fraction: float = 0.0,
    split_seed: int = 0,
    n_samples: int | None = None,
) -> Data:
    """Read arrays from an npz archive; nothing in it is unpickled.

    Parameters
    ----------
    path : str or Path
        The archive.
    X, y : str
        Names of the arrays of inputs and labels.
    X_test, y_test : str
        Names of the held-out arrays; under the default names they may be absent.
    standardize, standardize_y, labels, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation, encoding of classes and choice of rows.

    Returns
    -------
    Data
        The data.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If an array does not hold real numbers.
    ValueError
        If the file is not an npz archive, holds pickles, or lacks an array.
    """
    path = _existing(path)
    archive = _read(path, partial(np.load, path, allow_pickle=False))
    if isinstance(archive, np.ndarray):
        raise ArgumentError(
            "path", message=f"{path} holds one bare array; save it with np.savez(path, X=X, y=y)."
        )
    with archive:
        wanted = {"X": X, "y": y}
        if (X_test, y_test) != ("X_test", "y_test") or {X_test, y_test} & set(archive.files):
            wanted |= {"X_test": X_test, "y_test": y_test}
        for option, name in wanted.items():
            if name not in archive.files:
                found = ", ".join(archive.files) or "nothing"
                raise ArgumentError(
                    option, message=f"{path} has no array {name!r}; it holds {found}."
                )
        arrays = {
            argument: _read(path, partial(archive.__getitem__, name))
            for argument, name in wanted.items()
        }
    return from_arrays(
        **arrays,
        standardize=standardize,
        standardize_y=standardize_y,
        labels=labels,
        test_fraction=test_fraction,
        split_seed=split_seed,
        n_samples=n_samples,
        info={"source": "npz", "path": str(path)},
    )


def csv(
    *,
    path: str | Path,
    target: str | int | list[str | int] = -1,
    drop: list[str | int] | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: Literal[".", ","] = ".",
    standardize: Standardization = "none",
    standardize_y: bool = False,
    labels: Labels = "numbers",
    test_fraction: float = 0.0,
    split_seed: int = 0,
    n_samples: int | None = None,
) -> Data:
    """Read a table of numbers.

    Parameters
    ----------
    path : str or Path
        The file, UTF-8; empty lines are skipped.
    target : str, int, or list of these
        The label column by name or by position (from 0; negative from the end), or several of
        them; all other columns are inputs.
    drop : list of str or int, optional
        Columns, by name or position, that are left unread, such as an index or a text.
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
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not such a table; the message names line and column.
    """
    if decimal not in (".", ","):
        raise ArgumentError("decimal", f"must be '.' or ',', got {decimal!r}.")
    path = _existing(path)
    lines = _read_lines(path, delimiter, decimal)
    first = lines[0][1]
    names = first if _has_header(path, *lines[0], header) else None
    body = lines if names is None else lines[1:]
    if not body:
        raise ArgumentError("path", message=f"{path} has no line of numbers below its header.")
    width = len(first)
    for line, row in lines:
        if len(row) != width:
            raise ArgumentError(
                "path",
                message=f"{path}, line {line} has {len(row)} cells, expected {width}"
                f"{_why_uneven(lines[0], (line, row), width)}.",
            )
    targets = _columns(path, "target", target, width, names)
    dropped = _columns(path, "drop", drop, width, names) if drop else []
    if set(targets) & set(dropped):
        raise ArgumentError(
            "drop", message=f"drop={drop!r} has a target column of {path}; leave it out of drop."
        )
    inputs = [i for i in range(width) if i not in targets + dropped]
    if not inputs:
        raise ArgumentError("path", message=f"{path} has no input column besides the target.")
    if width - 1 not in dropped and not any(row[-1] for _, row in lines):
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
    remedy = "correct it, or leave the column out with drop"
    X = _read_table(path, body, names, inputs, decimal, remedy)
    if labels == "classes":
        y = _read_classes(path, body, names, targets, decimal)
    else:
        remedy = 'correct it, or set labels = "classes" if it names a class'
        y = _read_table(path, body, names, targets, decimal, remedy)
    info = {"source": "csv", "path": str(path)}
    if names is not None:
        info |= {
            "feature_names": [names[i] for i in inputs],
            "target_names": [names[i] for i in targets],
        }
    return from_arrays(
        X,
        y[:, 0] if len(targets) == 1 else y,
        standardize=standardize,
        standardize_y=standardize_y,
        labels=labels,
        test_fraction=test_fraction,
        split_seed=split_seed,
        n_samples=n_samples,
        info=info,
    )


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; check the path.")
    if not path.is_file():
        raise ArgumentError("path", message=f"{path} is not a file; give the path of one.")
    return path


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """Turn what NumPy and zipfile raise on foreign or broken files into one sentence."""
    try:
        return read()
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            problem = "holds pickled objects, which are never loaded, or is not an npz archive"
        else:
            problem = f"is not a readable npz archive ({error})"
        raise ArgumentError(
            "path", message=f"{path} {problem}; save numeric arrays with np.savez."
        ) from None


def _read_lines(path: Path, delimiter: str | None, decimal: str) -> list[tuple[int, list[str]]]:
    """Return the cells of each line that is not blank, with its line number."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ArgumentError(
            "path", message=f"{path} is not UTF-8 text; save it as UTF-8."
        ) from None
    if delimiter is None:
        # A comma is the last resort where it is the decimal mark.
        marks = sorted(_DELIMITERS, key=lambda mark: mark == decimal)
        delimiter = next((mark for mark in marks if _splits(mark, text.lstrip())), ",")
    elif len(delimiter) != 1:
        hint = r' (a tab is "\t")' if delimiter.lower() in ("tab", r"\t") else ""
        raise ArgumentError("delimiter", f"must be one character{hint}, got {delimiter!r}.")
    reader = _reader(text, delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv_module.Error as error:
        raise ArgumentError("path", message=f"{path}, line {reader.line_num}: {error}.") from None
    rows = [(line, row) for line, row in rows if row and row != [""]]
    if not rows:
        raise ArgumentError("path", message=f"{path} is empty.")
    for line, row in rows:
        if not any(row):
            raise ArgumentError(
                "path", message=f"{path}, line {line} holds only separators; delete it."
            )
    return rows


def _reader(text: str, delimiter: str) -> Any:
    lines = (line.rstrip(" \r\n") for line in StringIO(text))
    return csv_module.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _splits(delimiter: str, text: str) -> bool:
    """Return whether a delimiter splits the first line, which may be quoted, into cells."""
    try:
        return len(next(_reader(text, delimiter), [])) > 1
    except csv_module.Error:
        return False


def _why_uneven(first: tuple[int, list[str]], uneven: tuple[int, list[str]], width: int) -> str:
    """Return what is likely wrong with a line that has another number of cells than the first."""
    for line, row in (first, uneven):
        if row[0].startswith("#"):
            return f"; line {line} looks like a comment: delete it"
    if len(uneven[1]) == width + 1 and not uneven[1][-1]:
        return "; it ends with a separator: delete that"
    return ""


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


def _read_table(
    path: Path,
    body: list[tuple[int, list[str]]],
    names: list[str] | None,
    columns: list[int],
    decimal: str,
    remedy: str,
) -> np.ndarray:
    """Return the numbers of some columns."""
    table = np.empty((len(body), len(columns)))
    for i, (line, row) in enumerate(body):
        for j, column in enumerate(columns):
            cell = row[column]
            number = _number(cell, decimal)
            if number is None or not math.isfinite(number):
                where = _place(path, line, column, names)
                _check_there(cell, where)
                other = "." if decimal == "," else ","
                if number is None and _number(cell, other) is not None:
                    remedy = (
                        f'if all have this decimal mark set decimal = "{other}", else correct it'
                    )
                raise ArgumentError(
                    "path", message=f"{where}: {cell!r} is not a finite number; {remedy}."
                )
            table[i, j] = number
    return table


def _read_classes(
    path: Path,
    body: list[tuple[int, list[str]]],
    names: list[str] | None,
    columns: list[int],
    decimal: str,
) -> np.ndarray:
    """Return the names of classes in some columns: numbers where all are, texts otherwise."""
    for line, row in body:
        for column in columns:
            _check_there(row[column], _place(path, line, column, names))
    cells = [[row[column] for column in columns] for _, row in body]
    numbers = [[_number(cell, decimal) for cell in row] for row in cells]
    return np.array(cells if any(None in row for row in numbers) else numbers)


def _place(path: Path, line: int, column: int, names: list[str] | None) -> str:
    return f"{path}, line {line}, column {names[column] if names else column + 1}"


def _check_there(cell: str, where: str) -> None:
    if cell.lower() in _MISSING:
        raise ArgumentError("path", message=f"{where} is missing; fill it in or drop the line.")


def _columns(
    path: Path,
    option: str,
    chosen: str | int | list[str | int],
    width: int,
    names: list[str] | None,
) -> list[int]:
    """Return the positions of the columns that an option names."""
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
        if not isinstance(column, int) or not -width <= column < width:
            raise ArgumentError(
                option, message=f"{option}={column!r} is not one of the {width} columns of {path}."
            )
        columns.append(column % width)
    if not columns or len(set(columns)) < len(columns):
        raise ArgumentError(option, f"must name distinct columns of {path}, got {chosen!r}.")
    return columns
