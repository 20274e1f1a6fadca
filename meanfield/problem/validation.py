"""Arrays that come from outside, as numbers: each failure says what came and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError

CLASSES_OPTION = 'labels = "classes" in [data] of a configuration'
"""How a configuration asks for names of classes to be encoded."""


def as_floating(values: Any) -> np.ndarray:
    """Return `values` as an array that keeps its floating dtype; others become float64."""
    checks.unmasked("values", values)
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def encode_classes(name: str) -> str:
    """Return the call that encodes the names of classes in an array as 0..K−1."""
    return f"np.unique({name}, return_inverse=True)[1]"


def encode_texts(name: str) -> str:
    """Return what makes numbers of texts in an array, one column for each value."""
    return (
        "encode the texts as numbers, one column for each value, with "
        f"pandas.get_dummies(pandas.DataFrame({name}), dtype=float)"
    )


LARGEST = 1e300
"""What columns may hold before they are scaled: their differences must be numbers."""

SQUARABLE = 1e120
"""What a network may be given: squares, and sums of them, must be numbers."""


def check_magnitude(
    values: np.ndarray, name: str, largest: float = SQUARABLE, option: str = ""
) -> None:
    """Refuse numbers whose squares, or whose sums, leave the range of floats.

    `option` is what scales them; by default that of a configuration.
    """
    # Comparisons with NaN are False: gaps are nobody's magnitude.
    if (np.abs(values) > largest).any():
        size = np.nanmax(np.abs(values))
        if not option:
            key = "standardize_y = true" if name[0] == "y" else 'standardize = "unit"'
            option = f"{key} in [data] of a configuration"
        raise ArgumentError(
            name,
            f"holds numbers as large as {size:.2g}, beyond what can be squared and added; scale "
            f"them first, such as {name} / np.abs({name}).max()"
            + (f", or set {option}." if largest < LARGEST else "."),
        )


_TIMES = {"M": "dates", "m": "durations"}


def refuse_times(name: str, values: Any) -> None:
    """Refuse dates and durations: as numbers they would be in units that nobody chose."""
    for place, code, kind in _kinds(name, values):
        if kind in _TIMES:
            raise ArgumentTypeError(
                name,
                f"must hold numbers, but {place}holds {_TIMES[kind]}; pass them as days, such as "
                f"np.subtract({code}, {code}.min()) / np.timedelta64(1, 'D').",
            )


def _kinds(name: str, values: Any) -> list[tuple[str, str, str]]:
    """Return where entries are, in words and in code, and the kind of their dtype."""
    dtypes: Any = getattr(values, "dtypes", None)
    if hasattr(dtypes, "items"):
        return [
            (f"column {column!r} ", f"{name}[{column!r}]", dtype.kind)
            for column, dtype in dtypes.items()
        ]
    if hasattr(values, "dtype"):
        return [("it ", name, getattr(values.dtype, "kind", ""))]
    try:
        return [("it ", f"np.asarray({name})", np.asarray(values).dtype.kind)]
    except (TypeError, ValueError, RuntimeError):  # nothing that scikit-learn reads, either
        return []


def as_numbers(values: Any, name: str, gaps: bool = False) -> np.ndarray:
    """Return `values` as a new finite float64 array, C-contiguous and without negative zeros.

    A TypeError or ValueError calls it `name`: if it does not hold real numbers, or is ragged,
    masked, empty, or not finite; NaN may stand in it where `gaps` are allowed.
    """
    checks.unmasked(name, values)
    try:
        array = np.asarray(values)
    except ValueError:
        raise ArgumentError(name, "is ragged; give every row the same length.") from None
    except RuntimeError:  # a tensor with a gradient
        raise ArgumentTypeError(
            name, f"cannot be read as an array; pass {name}.detach().cpu().numpy()."
        ) from None
    if array.dtype.kind not in "fiub":
        refuse_times(name, values)
        raise ArgumentTypeError(
            name,
            f"must hold real numbers, not {_kind(values, array)}; {_remedy(values, array, name)}.",
        )
    with np.errstate(over="ignore"):  # a long double too large for float64 is reported below
        array = np.array(array, dtype=np.float64, order="C")
    if array.size == 0:
        raise ArgumentError(
            name, f"is empty, shape {array.shape}; give at least one row and column."
        )
    bad = np.isinf(array) if gaps else ~np.isfinite(array)
    if bad.any() and array.ndim == 0:
        raise ArgumentError(name, f"must be finite, got {array}.")
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        index = first if array.ndim > 1 else first[0]
        raise ArgumentError(
            name,
            f"has {bad.sum()} {'' if gaps else 'NaN or '}infinite entries, the first at index "
            f"{index}; drop those rows or fill them in.",
        )
    array += 0.0
    return array


def _kind(values: Any, array: np.ndarray) -> str:
    """Say what came instead of numbers."""
    if hasattr(values, "toarray"):
        return "a sparse matrix"
    return "texts" if _holds_texts(array) else f"dtype {array.dtype}"


def _holds_texts(array: np.ndarray) -> bool:
    return array.dtype.kind in "UST" or (
        array.dtype.kind == "O" and any(isinstance(entry, str) for entry in array.flat)
    )


def _remedy(values: Any, array: np.ndarray, name: str) -> str:
    """Return what makes an array of numbers of `values`; where it is code, it was tried."""
    if hasattr(values, "toarray"):
        return f"pass {name}.toarray()"
    if array.dtype.kind == "c":
        return f"pass np.real({name}), or real and imaginary parts as separate columns"
    try:
        if np.isfinite(np.asarray(values, dtype=float)).all():
            return f"pass np.asarray({name}, dtype=float)"
    except (TypeError, ValueError):
        pass
    if _holds_texts(array):
        if name.startswith("y"):
            return f"encode the classes as numbers, by {CLASSES_OPTION} or {encode_classes(name)}"
        return encode_texts(name)
    return "give a dense array of numbers, and fill in what is missing"


def as_inputs(
    X: Any, name: str = "X", n_features: int | None = None, gaps: bool = False
) -> np.ndarray:
    """Return inputs as a new array (n, d) as `as_numbers` makes it, with `n_features` columns."""
    X = as_numbers(X, name, gaps)
    if X.ndim == 1:
        raise ArgumentError(
            name,
            f"must be 2-D, got shape {X.shape}; pass np.reshape({name}, (-1, 1)) for one "
            f"feature or np.reshape({name}, (1, -1)) for one data point.",
        )
    if X.ndim != 2:
        raise ArgumentError(
            name,
            f"must be 2-D, one row per data point, got shape {X.shape}; "
            f"pass np.reshape({name}, (len({name}), -1)).",
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ArgumentError(name, f"must have {n_features} columns, got shape {X.shape}.")
    return X
