"""Checks of arrays that come from outside: each failure says what came and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.losses import Loss

_ENCODE = "np.unique({0}, return_inverse=True)[1]"
_OPTION = 'labels = "classes" in [data] of a configuration'


def as_numbers(values: Any, name: str) -> np.ndarray:
    """Return `values` as a new finite float64 array, C-contiguous and without negative zeros.

    Parameters
    ----------
    values : array_like
        Real numbers; anything `numpy.asarray` understands.
    name : str
        What to call it in an error.

    Returns
    -------
    ndarray of float64
        A copy, same shape.

    Raises
    ------
    TypeError
        If `values` does not hold real numbers.
    ValueError
        If `values` is ragged, masked, empty, or has entries that are not finite.
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
                f"encode the strings as numbers, for labels by {_OPTION} or {_ENCODE.format(name)}"
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
    """Return inputs as a new float64 array of shape (n, d).

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, one row per data point.
    name : str
        What to call it in an error.
    n_features : int, optional
        The ``d`` that is wanted.

    Returns
    -------
    ndarray of shape (n, d)
        A C-contiguous copy.

    Raises
    ------
    TypeError
        If `X` does not hold real numbers.
    ValueError
        If `X` is not a finite, non-empty matrix with `n_features` columns.
    """
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


def as_targets(
    y: Any,
    loss: Loss,
    *,
    n_points: int,
    name: str = "y",
    n_classes: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as given and as the targets of a loss.

    Parameters
    ----------
    y : array_like of shape (n,) or (n, k)
        Real values (squared), ±1 (logistic), or class labels 0..K−1 of shape (n,) (cross-entropy).
    loss : Loss
        The loss they are for.
    n_points : int
        Number of rows that `y` must have.
    name : str
        What to call it in an error.
    n_classes : int, optional
        Number of classes when it is already known; otherwise every class must occur.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
        A copy, float64, or int64 for cross-entropy.
    targets : ndarray of shape (n, k)
        float64; one-hot for cross-entropy.

    Raises
    ------
    TypeError
        If `y` does not hold real numbers.
    ValueError
        If `y` has the wrong shape, is not finite, or its labels do not suit the loss.
    """
    y = as_numbers(y, name)
    if y.ndim not in (1, 2):
        raise ArgumentError(name, f"must have shape (n,) or (n, k), got {y.shape}.")
    if len(y) != n_points:
        inputs = "X" + name[1:]
        raise ArgumentError(
            name, f"has {len(y)} rows but {inputs} has {n_points}; give one row per data point."
        )
    if loss.name == "cross-entropy":
        return _classes(y, name, n_classes)
    if loss.name == "logistic" and not (np.abs(y) == 1).all():
        remedy = "it is for two classes, cross-entropy for more, the squared loss for numbers"
        if name.endswith("_test"):
            remedy = "encode it as y is"
        elif len(np.unique(y)) == 2:
            remedy = f"set {_OPTION}, or convert with np.where({name} == {name}.max(), 1, -1)"
        raise ArgumentError(name, f"must be ±1 for the logistic loss, got {_some(y)}; {remedy}.")
    return y, y.reshape(n_points, -1).copy()


def _classes(y: np.ndarray, name: str, n_classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Check class labels and make them one-hot."""
    if y.ndim != 1:
        remedy = f"{name}.ravel()" if y.shape[1] == 1 else f"{name}.argmax(axis=1) if one-hot"
        raise ArgumentError(
            name, f"must be 1-D class labels for cross-entropy, got shape {y.shape}; pass {remedy}."
        )
    found = np.unique(y)
    if n_classes is None:
        if len(found) < 2:
            raise ArgumentError(name, f"has one class only, {found[0]:g}; cross-entropy needs two.")
        n_classes = len(found)
        fits = np.array_equal(found, np.arange(n_classes))
        # Two classes become ±1 by that option.
        option = _OPTION if n_classes > 2 else f"the logistic loss with {_OPTION}"
        remedy = f"{option}, or {_ENCODE.format(name)}"
    else:
        fits, remedy = np.isin(found, np.arange(n_classes)).all(), "the labels that y has"
    if not fits:
        raise ArgumentError(
            name,
            f"must hold the class labels 0..{n_classes - 1} for cross-entropy, "
            f"got {_some(y)}; use {remedy}.",
        )
    labels = y.astype(np.int64)
    return labels, np.eye(n_classes)[labels]


def _some(y: np.ndarray) -> str:
    """Show the distinct values, a few of them."""
    found = [f"{value:g}" for value in np.unique(y)[:6]]
    return "{" + ", ".join(found[:5]) + (", …" if len(found) > 5 else "") + "}"
