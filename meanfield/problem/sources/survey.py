"""A first look at a table: what its columns are, and how it can be read as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.sources.npz import npz_labels
from meanfield.problem.sources.options import existing_file
from meanfield.problem.sources.text_columns import choose_columns
from meanfield.problem.sources.text_numbers import is_missing, is_number, to_number
from meanfield.problem.sources.text_table import TextTable, is_nameless, read_table

Task = Literal["auto", "regression", "classification"]

_MOST_CLASSES = 50  # of texts
_MOST_NUMBERED_CLASSES = 10  # of whole numbers in a row, such as 0, 1, 2
_MOST_CATEGORIES = 20
_FEW_GAPS = 0.05
_MANY_GAPS = 0.5


@dataclass(frozen=True)
class Survey:
    """How a file can be read.

    Attributes
    ----------
    options : dict
        Keywords of its source, ``csv`` or ``npz``, but for what holds rows out.
    target : str
        What the labels are called.
    classes : int
        Number of classes of the labels; 0 where they are numbers.
    n_rows : int
        Rows of the table.
    held_out : bool
        Whether the file itself holds some rows out.
    findings : list of str
        What was seen and decided, in sentences.
    """

    source: Literal["csv", "npz"]
    options: dict[str, Any]
    target: str
    classes: int
    n_rows: int
    held_out: bool = False
    findings: list[str] = field(default_factory=list)


def survey(path: str | Path, target: str | int | None = None, task: Task = "auto") -> Survey:
    """Look at a csv or npz file; what is wrong with it, or with `target`, is an ArgumentError.

    `target` is the label column by name or position, by default the last one; of an npz archive,
    the name of the array of labels, by default ``y``.
    """
    checks.choice("task", task, ("auto", "regression", "classification"))
    path = existing_file(path)
    if path.suffix.lower() == ".npz":
        return _archive(path, target, task)
    return _table(path, target, task)


def _archive(path: Path, target: str | int | None, task: Task) -> Survey:
    """Look at the labels of an archive."""
    key = "y" if target is None else str(target)
    options: dict[str, Any] = {"path": str(path), "y": key}
    labels, held_out = npz_labels(path, key)
    findings: list[str] = []
    classes = 0
    if labels.ndim == 1:
        cells = [str(label) for label in labels.tolist()]
        classes = _classes(cells, task, ".", f"array {key!r}", findings)
    elif task == "classification":
        raise ArgumentError("target", f"must be one class per row, got shape {labels.shape}.")
    options |= _labels(classes)
    return Survey("npz", options, key, classes, len(labels), held_out, findings)


def _table(path: Path, target: str | int | None, task: Task) -> Survey:
    """Look at every column of a table."""
    table = read_table(path, None, ".", None)
    decimal = _decimal(table)
    if isinstance(target, str) and target.lstrip("-").isdigit() and target not in _names(table):
        target = int(target)
    target = -1 if target is None else target
    (label,) = choose_columns(table, "target", [target])
    options: dict[str, Any] = {"path": str(path), "target": target}
    if decimal != ".":
        options["decimal"] = decimal
    findings: list[str] = []
    drop, texts, gaps = [], [], np.zeros(len(table.lines), dtype=bool)
    for column in range(len(table.cells)):
        if column == label:
            continue
        cells = table.cells[column].tolist()
        why, is_text = _useless(table, column, cells, decimal)
        if why:
            drop.append(column)
            findings.append(f"Column {_called(table, column)} is left out: {why}.")
            continue
        if is_text:
            texts.append(column)
        gaps |= [is_missing(cell, words=not is_text) for cell in cells]
    if len(drop) == len(table.cells) - 1:
        why = findings[0] if findings else "It has no column but the target."
        raise ArgumentError(
            "path",
            message=f"{path} has no input column of use. {why} Add a column of numbers, or of few "
            "texts, and call init again.",
        )
    if drop:
        options["drop"] = [_key(table, column) for column in drop]
    if texts:
        options["categorical"] = "one-hot"
        named = ", ".join(_called(table, column) for column in texts)
        findings.append(f"Text columns, with an input for every value: {named}.")
    name = f"target {_called(table, label)}"
    labels = table.cells[label].tolist()
    classes = _classes(labels, task, decimal, name, findings)
    lacking = np.array([is_missing(cell, words=not classes) for cell in labels])
    options |= _missing(gaps, lacking, findings) | _labels(classes)
    called = table.name(label) if table.names else f"column {label}"
    return Survey("csv", options, called, classes, len(table.lines), findings=findings)


def _decimal(table: TextTable) -> str:
    """Return the decimal mark with which more columns are numbers."""
    columns = {
        mark: sum(not _mostly_text(column.tolist(), mark) for column in table.cells)
        for mark in (".", ",")
    }
    return "," if columns[","] > columns["."] else "."


def _mostly_text(cells: list[str], decimal: str) -> bool:
    given = [cell for cell in cells if not is_missing(cell)]
    return 2 * sum(is_number(cell, decimal) for cell in given) < len(given)


def _useless(table: TextTable, column: int, cells: list[str], decimal: str) -> tuple[str, bool]:
    """Return why a column is no input, or nothing; and whether it holds texts."""
    given = [cell for cell in cells if not is_missing(cell)]
    if len(given) < (1 - _MANY_GAPS) * len(cells):
        return f"{len(cells) - len(given)} of {len(cells)} cells are missing", False
    name = _names(table)[column] if table.names else "-"
    if is_nameless(name):
        return "it has no name, as an index has", False
    kinds = len(set(given))
    if _mostly_text(cells, decimal):
        if kinds > max(_MOST_CATEGORIES, len(cells) // 10):
            return f"it holds {kinds} different texts, as names do", True
        return "", True
    numbers = [to_number(cell, decimal) for cell in given]
    steps = np.diff(np.array([n for n in numbers if n is not None]))
    if len(steps) > 2 and len(given) == len(cells) and (steps == 1).all():
        return "it counts the rows", False
    return "", False


def _classes(cells: list[str], task: Task, decimal: str, name: str, findings: list[str]) -> int:
    """Return how many classes labels have, 0 where they are numbers; say why."""
    texts = _mostly_text(cells, decimal)
    given = [cell for cell in cells if not is_missing(cell, words=not texts)]
    kinds = set(given)
    if texts:
        if task == "regression":
            raise ArgumentError(
                "task", f"is regression, but the {name} holds texts; leave task out."
            )
        if not 2 <= len(kinds) <= _MOST_CLASSES:
            few = "texts all alike" if len(kinds) < 2 else f"{len(kinds)} different texts"
            raise ArgumentError(
                "target", f"must be a number or one of a few classes; the {name} holds {few}."
            )
        findings.append(f"The {name} holds {len(kinds)} classes: {_listed(kinds)}.")
        return len(kinds)
    values = {float(to_number(cell, decimal) or 0) for cell in given}
    if len(values) < 2:
        raise ArgumentError("target", f"must vary; the {name} holds one value only.")
    whole = all(value == round(value) for value in values)
    numbered = whole and max(values) - min(values) < len(values) <= _MOST_NUMBERED_CLASSES
    if task == "regression" or (task == "auto" and len(values) > 2 and not numbered):
        findings.append(f"The {name} holds numbers, {min(values):g} to {max(values):g}.")
        return 0
    if task == "auto" and len(values) > 2:
        findings.append(
            f"The {name} holds {len(values)} whole numbers, taken as classes; to predict it as a "
            "number, call init with --task regression."
        )
    else:
        findings.append(f"The {name} holds {len(values)} classes: {_listed(kinds)}.")
    if len(values) > _MOST_CLASSES:
        raise ArgumentError("task", f"is classification, but the {name} has {len(values)} values.")
    return len(values)


def _listed(kinds: set[str]) -> str:
    shown = [" ".join(kind.split()) for kind in sorted(kinds)]
    return ", ".join(shown[:10]) + (", …" if len(shown) > 10 else "")


def _labels(classes: int) -> dict[str, Any]:
    return {"labels": "classes"} if classes else {"standardize_y": True}


def _missing(gaps: Any, lacking: Any, findings: list[str]) -> dict[str, str]:
    """Return what becomes of missing cells: few rows, or those without a label, are left out."""
    n_rows, n_gaps = len(gaps), int((gaps | lacking).sum())
    if not n_gaps:
        return {}
    if n_gaps <= _FEW_GAPS * n_rows or lacking.any():
        findings.append(f"{n_gaps} of {n_rows} rows lack a value and are left out.")
        return {"missing": "drop"}
    findings.append(f"{n_gaps} of {n_rows} rows lack an input, which the column's mean replaces.")
    return {"missing": "mean"}


def _names(table: TextTable) -> list[str]:
    return table.names or []


def _key(table: TextTable, column: int) -> str | int:
    """Return what names a column in an option."""
    names = _names(table)
    return names[column] if names and names[column] and names.count(names[column]) == 1 else column


def _called(table: TextTable, column: int) -> str:
    name = table.name(column)
    return f'"{name}"' if table.names and name else f"number {column}"
