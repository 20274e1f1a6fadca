"""Rows that are there once: repeated ones are no further data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_rows(*columns: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the positions, ascending, of rows that are the first of their kind.

    Parameters
    ----------
    *columns : ndarray, shape (n, …)
        What makes a row, side by side.

    Returns
    -------
    ndarray of int
    """
    return np.flatnonzero(row_groups(*columns) == np.arange(len(columns[0])))


def row_groups(*columns: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return for each row the position of the first one that is the same, shape (n,)."""
    n = len(columns[0])
    # Adding zero makes one number of the two zeros.
    rows = np.hstack([np.asarray(part, dtype=float).reshape(n, -1) + 0.0 for part in columns])
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(row.tobytes(), i) for i, row in enumerate(rows)], dtype=int)
