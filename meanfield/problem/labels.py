"""Names of classes, and the labels that stand for them; names that differ stay apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from meanfield.checks import unmasked
from meanfield.errors import ArgumentError
from meanfield.problem.validation import as_numbers

Names = list[Any]
"""Names of classes as Python objects, which compare exactly; None where one is missing."""


def class_labels(members: Iterable[Any], classes: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Label members of `classes` by their places there: −1 and +1 for two classes, else 0..K−1."""
    places = class_places(members, classes)
    return 2 * places - 1 if len(classes) == 2 else places


def class_places(members: Iterable[Any], classes: Iterable[Any]) -> np.ndarray:
    """Return the place of each member among `classes`, −1 where it is none of them.

    Python's numbers are compared: NumPy would round integers of different types to floats.
    """
    place = {name: i for i, name in enumerate(_plain(classes))}
    return np.array([place.get(name, -1) for name in _plain(members)], dtype=np.int64)


def sorted_classes(names: Iterable[Any]) -> Names:
    """Return the distinct names, sorted."""
    return sorted(set(names))


def class_meanings(classes: Sequence[Any] | np.ndarray, names: Iterable[Any]) -> dict[str, Any]:
    """Return for the record what each label stands for."""
    return dict(zip(map(str, class_labels(classes, classes)), names, strict=True))


def class_names(labels: Any, name: str) -> Names:
    """Check names of classes: one per row, all numbers or all texts."""
    unmasked(name, labels)
    array = np.asarray(labels)
    if array.dtype.kind == "f" and not hasattr(labels, "dtype"):
        array = np.asarray(labels, dtype=object)  # integers of a list that only floats can hold
    if array.ndim != 1:
        raise ArgumentError(name, f"must be one class per row, got shape {array.shape}.")
    plain = [None if _is_gap(label) else label for label in _plain(array)]
    given = [label for label in plain if label is not None]
    if all(isinstance(label, str) for label in given):
        return plain
    if all(isinstance(label, int | float) for label in given):
        if any(isinstance(label, float) and math.isinf(label) for label in given):
            as_numbers(labels, name)
        return [_whole(label) for label in plain]
    if any(isinstance(label, str) for label in given):
        raise ArgumentError(
            name,
            f"has numbers and texts as classes; make them all texts, [str(c) for c in {name}].",
        )
    return [_whole(label) for label in as_numbers(labels, name).tolist()]


def _plain(labels: Iterable[Any]) -> list[Any]:
    """Return Python objects: of an array, its entries; texts for bytes."""
    entries = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    entries = [e.item() if isinstance(e, np.generic) else e for e in entries]
    return [e.decode("utf-8", "replace") if isinstance(e, bytes) else e for e in entries]


def _is_gap(label: Any) -> bool:
    """Tell None, NaN and pandas's NA, which is neither equal to itself nor different."""
    return label is None or type(label).__name__ in ("NAType", "NaTType") or label != label


def _whole(label: Any) -> Any:
    """Return whole numbers as integers."""
    if isinstance(label, bool) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    return label
