"""Tables from csv files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.sources.options import TableOptions, existing_file, takes
from meanfield.problem.sources.text_columns import Chosen, Reading, choose_columns, class_names
from meanfield.problem.sources.text_numbers import has_thousands, is_number, to_number
from meanfield.problem.sources.text_table import TextTable, is_nameless, read_table


@takes(TableOptions, of=from_arrays)
def csv(
    *,
    path: str | Path,
    target: str | int | list[str | int] = -1,
    drop: list[str | int] | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: Literal[".", ","] = ".",
    categorical: Literal["refuse", "one-hot"] | list[str | int] = "refuse",
    **rows: Unpack[TableOptions],
) -> Data:
    r"""Read a table of numbers and categories.

    Parameters
    ----------
    path : str or Path
        The file, UTF-8, perhaps packed by gzip, bzip2 or xz; empty lines are skipped.
    target, drop : str, int, or list of these
        The label columns, and those that are left unread, such as an index or a text, by name or
        by position (from 0; negative from the end); all other columns are inputs.
    header : bool, optional
        Whether the first line holds names. By default it does when none of its cells is a number,
        or when they count the columns 0, 1, 2, … as pandas does above other numbers.
    delimiter : str, optional
        By default the first of tab, ``;``, ``|``, ``,`` and blanks that splits the first lines
        into the same number of cells; what stands in quotes is not split. A space stands for any
        run of spaces and tabs.
    decimal : {".", ","}
        The decimal mark of every number; with ``,`` the delimiter is another character, or the
        numbers are in quotes.
    categorical : {"refuse", "one-hot"} or list of str and int
        What becomes of inputs that are texts: refused, or replaced by one column of 0 and 1 for
        each of their values, named ``COLUMN=VALUE``. A list names the columns that are
        categories, whatever they hold.
    standardize, standardize_y, labels, missing : as for `from_arrays`
        Standardisation, encoding of classes, and missing cells: empty ones, ``?`` and, among
        numbers, words such as NA.
    test_fraction, split_seed, n_samples : as for `from_arrays`
        Choice of rows.

    Returns
    -------
    Data
        With ``y`` of shape (n,) for one label column and (n, k) for several; ``info`` has the
        column names and the values of the categories.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not such a table; the message names lines and columns.

    Examples
    --------
    >>> import pathlib, tempfile, meanfield as mf
    >>> table = pathlib.Path(tempfile.mkdtemp()) / "homes.csv"
    >>> _ = table.write_text("size,city,price\n50,Rome,1\n70,Oslo,3\n60,Rome,2\n")
    >>> data = mf.problem.csv(path=table, target="price", categorical="one-hot")
    >>> data.X.shape
    (3, 3)
    """
    if decimal not in (".", ","):
        raise ArgumentError("decimal", f"must be '.' or ',', got {decimal!r}.")
    path = existing_file(path)
    table = read_table(path, delimiter, decimal, header)
    targets, inputs, named = _roles(table, target, drop, categorical)
    missing = rows.get("missing", "refuse")
    reading = Reading(table, decimal, missing, categorical == "one-hot", named)
    parts = [reading.inputs(i) for i in inputs]
    notes: list[str] = []
    y: Any
    if rows.get("labels", "numbers") == "numbers":
        remedy = 'correct it, or set labels = "classes" or "one-hot" if it names a class'
        columns = [reading.numbers(i, remedy, input_=False) for i in targets]
        y = columns[0] if len(targets) == 1 else np.stack(columns, axis=1)
    else:
        if len(targets) > 1:
            raise ArgumentError(
                "target", f"must be one column where labels are classes, got {target!r}."
            )
        labels = reading.classes(targets[0])
        names, notes = class_names(labels, decimal)
        y = np.empty(len(names), dtype=object)
        y[:] = names
    table.complaints.stop()
    info: dict[str, Any] = {"source": "csv", "path": str(path)}
    if table.names is not None or any(values is not None for _, values in parts):
        info["feature_names"] = [
            name
            for column, (_, values) in zip(inputs, parts, strict=True)
            for name in _feature_names(table, column, values)
        ]
    if table.names is not None:
        info["target_names"] = [table.names[i] for i in targets]
    categories = {
        table.name(column): values
        for column, (_, values) in zip(inputs, parts, strict=True)
        if values is not None
    }
    if categories:
        info["categories"] = categories
    notes += _ambiguous_marks(table, [*inputs, *targets], decimal)
    if notes:
        info["notes"] = notes
    return from_arrays(np.hstack([part for part, _ in parts]), y, info=info, **rows)


def _roles(
    table: TextTable, target: Chosen, drop: Any, categorical: Any
) -> tuple[list[int], list[int], tuple[int, ...]]:
    """Return the label columns, the inputs, and the inputs that are named as categories."""
    path = table.path
    targets = choose_columns(table, "target", target)
    dropped = choose_columns(table, "drop", drop) if drop else []
    if set(targets) & set(dropped):
        raise ArgumentError(
            "drop", message=f"drop={drop!r} has a target column of {path}; leave it out of drop."
        )
    inputs = [i for i in range(len(table.cells)) if i not in targets + dropped]
    if not inputs:
        raise ArgumentError("path", message=f"{path} has no input column besides the target.")
    named: tuple[int, ...] = ()
    if isinstance(categorical, str):
        checks.choice("categorical", categorical, ("refuse", "one-hot"))
    elif not isinstance(categorical, list | tuple):
        raise ArgumentTypeError(
            "categorical", f"must be 'refuse', 'one-hot' or a list of columns, got {categorical!r}."
        )
    else:
        named = tuple(choose_columns(table, "categorical", list(categorical)))
        if not set(named) <= set(inputs):
            raise ArgumentError("categorical", f"must name inputs of {path}, got {categorical!r}.")
    last, names = len(table.cells) - 1, table.names
    if last not in dropped and not any(table.cells[-1]) and not (names and names[-1]):
        raise ArgumentError(
            "path", message=f"{path}: every line ends with a separator; delete it from all of them."
        )
    nameless = [i for i in inputs if names is not None and is_nameless(names[i])]
    if names is not None and nameless:
        called = f"is called {names[nameless[0]]!r}" if names[nameless[0]] else "has no name"
        others = f", and so have columns {', '.join(str(i + 1) for i in nameless[1:])}"
        raise ArgumentError(
            "drop",
            message=f"{path}, column {nameless[0] + 1} {called}, as an index column has when "
            f"pandas writes it{others if len(nameless) > 1 else ''}; leave "
            f"{'it' if len(nameless) == 1 else 'them'} out with drop = {nameless}, or name "
            f"{'it' if len(nameless) == 1 else 'them'}.",
        )
    return targets, inputs, named


def _feature_names(table: TextTable, column: int, values: list[str] | None) -> list[str]:
    name = table.names[column] if table.names else f"column {column + 1}"
    return [name] if values is None else [f"{name}={value}" for value in values]


def _ambiguous_marks(table: TextTable, columns: list[int], decimal: str) -> list[str]:
    """Note that all marks that were read as decimal marks could separate thousands."""
    # Points do so where commas are decimal marks, and semicolons split cells for that reason.
    if decimal == "." and table.delimiter != ";":
        return []
    cells = (cell for i in columns for cell in table.cells[i])
    numbers = [cell for cell in cells if decimal in cell and is_number(cell, decimal)]
    if not numbers or not all(map(has_thousands, numbers)):
        return []
    mark = "comma" if decimal == "," else "point"
    return [
        f"Every decimal {mark} has exactly three digits behind it, as in {numbers[0]}, which was "
        f"read as {to_number(numbers[0], decimal):g}; if the {mark}s separate thousands, remove "
        f"them{' and leave decimal out' if decimal == ',' else ''}."
    ]
