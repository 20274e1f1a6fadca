"""Training data that scikit-learn would read wrongly, or refuse in NumPy's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.errors import ArgumentError, ArgumentTypeError

_TIMES = {"M": "dates", "m": "durations"}


def refuse_times(name: str, values: Any) -> None:
    """Refuse dates and durations: as numbers they would be in units that nobody chose."""
    for place, code, kind in _kinds(name, values):
        if kind in _TIMES:
            raise ArgumentTypeError(
                name,
                f"must hold numbers, but {place}holds {_TIMES[kind]}; pass them as days, such as "
                f"({code} - {code}.min()) / np.timedelta64(1, 'D').",
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


_REMEDIES = {
    "X": "encode the texts as numbers, one column for each value, with "
    "pandas.get_dummies(pandas.DataFrame(X), dtype=float)",
    "y": "take MeanFieldClassifier if they are classes, else correct them",
}


def texts_refused(given: dict[str, Any]) -> ArgumentError | None:
    """Return the error for texts in the first argument, `X` or `y`, that has any."""
    for name, values in given.items():
        found = next((entry for entry in np.ravel(values) if _is_text(entry)), None)
        if found is not None:
            return ArgumentError(
                name, f"must hold numbers, but has the text {str(found)!r}; {_REMEDIES[name]}."
            )
    return None


def _is_text(entry: Any) -> bool:
    """Tell whether an entry is a text that is no number."""
    try:
        return isinstance(entry, str) and float(entry) is None
    except ValueError:
        return True
