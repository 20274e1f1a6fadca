"""Arrays that come from outside, as numbers: each failure says what came and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.errors import ArgumentError, ArgumentTypeError

CLASSES_OPTION = 'labels = "classes" in [data] of a configuration'
"""How a configuration asks for names of classes to be encoded."""


def as_floating(values: Any) -> np.ndarray:
    """Return `values` as an array that keeps its floating dtype; others become float64."""
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def encode_classes(name: str) -> str:
    """Return the call that encodes the names of classes in an array as 0..K−1."""
    return f"np.unique({name}, return_inverse=True)[1]"


def as_numbers(values: Any, name: str) -> np.ndarray:
    """Return `values` as a new finite float64 array, C-contiguous and without negative zeros.

    A TypeError or ValueError calls it `name`: if it does not hold real numbers, or is ragged,
    masked, empty, or not finite.
    """
    if np.ma.is_masked(values):
        raise ArgumentError(name, "has masked entries; fill them or drop their rows first.")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ArgumentError(name, "is ragged; give every row the same length.") from None
    if array.dtype.kind not in "fiub":
        if array.dtype.kind == "c":
            remedy = f"pass {name}.real, or real and imaginary parts as separate columns"
        elif array.dtype.kind in "US":
            remedy = (
                f"encode the strings as numbers, for labels by {CLASSES_OPTION} or "
                f"{encode_classes(name)}"
            )
        else:
            remedy = f"convert it to a dense array of numbers, {name}.astype(float)"
        raise ArgumentTypeError(name, f"must hold real numbers, not dtype {array.dtype}; {remedy}.")
    with np.errstate(over="ignore"):  # a long double too large for float64 is reported below
        array = np.array(array, dtype=np.float64, order="C")
    if array.size == 0:
        raise ArgumentError(
            name, f"is empty, shape {array.shape}; give at least one row and column."
        )
    bad = ~np.isfinite(array)
    if bad.any() and array.ndim == 0:
        raise ArgumentError(name, f"must be finite, got {array}.")
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        index = first if array.ndim > 1 else first[0]
        raise ArgumentError(
            name,
            f"has {bad.sum()} NaN or infinite entries, the first at index {index}; "
            "drop those rows or fill them in.",
        )
    array += 0.0
    return array


def as_inputs(X: Any, name: str = "X", n_features: int | None = None) -> np.ndarray:
    """Return inputs as a new array (n, d) as `as_numbers` makes it, with `n_features` columns."""
    X = as_numbers(X, name)
    if X.ndim == 1:
        raise ArgumentError(
            name,
            f"must be 2-D, got shape {X.shape}; pass {name}.reshape(-1, 1) for one feature "
            f"or {name}.reshape(1, -1) for one data point.",
        )
    if X.ndim != 2:
        raise ArgumentError(
            name,
            f"must be 2-D, one row per data point, got shape {X.shape}; "
            f"pass {name}.reshape(len({name}), -1).",
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ArgumentError(name, f"must have {n_features} columns, got shape {X.shape}.")
    return X
