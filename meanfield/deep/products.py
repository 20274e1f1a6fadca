"""A few rows times a large matrix, in one pass over the matrix.

BLAS is built for large products or for a single row. Between them it copies the matrix into its own
layout first, and the product takes two to three times as long as reading it.
"""

from __future__ import annotations

import numpy as np

from meanfield.flow.compiled import threads
from meanfield.system.compiling import FAST_MATH, cached, thread_count

#: Rows of the matrix that are added at a time, and columns that stay in the first cache meanwhile.
_ROWS, _COLUMNS = 8, 512
#: Measured: from here on BLAS is faster.
_MANY = 13
#: Entries of a matrix from which its share pays the start of a thread.
_WORTH_A_THREAD = 2**20


def rows_times(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return ``rows @ matrix``, of rows (k, n) and a matrix (n, m) of one float type.

    Up to a dozen rows, and with the matrix's rows in contiguous memory, it is faster than BLAS.
    """
    if len(rows) >= _MANY:
        return rows @ matrix
    n_columns = matrix.shape[1]
    # An even number of rows: the compiled code takes them in pairs.
    padded = np.zeros((len(rows) + len(rows) % 2, rows.shape[1]), dtype=matrix.dtype)
    padded[: len(rows)] = rows
    out = np.zeros((len(padded), n_columns), dtype=matrix.dtype)
    size = max(1, min(thread_count(), matrix.size // _WORTH_A_THREAD))

    def work(rank: int) -> None:
        first, last = (n_columns * r // size for r in (rank, rank + 1))
        _add_product(padded, matrix, first, last, out)

    threads.run(size, work)
    return out[: len(rows)]


@cached(nogil=True, fastmath=FAST_MATH)
def _add_product(
    rows: np.ndarray, matrix: np.ndarray, begin: int, end: int, out: np.ndarray
) -> None:
    """Add the columns from `begin` to `end` of ``rows @ matrix``."""
    n = len(matrix)
    whole = n - n % _ROWS
    for i in range(0, whole, _ROWS):
        for first in range(begin, end, _COLUMNS):
            last = min(end, first + _COLUMNS)
            # Views of their own: the compiler sees that they do not overlap.
            m0, m1 = matrix[i, first:last], matrix[i + 1, first:last]
            m2, m3 = matrix[i + 2, first:last], matrix[i + 3, first:last]
            m4, m5 = matrix[i + 4, first:last], matrix[i + 5, first:last]
            m6, m7 = matrix[i + 6, first:last], matrix[i + 7, first:last]
            # Two at a time: each load of the matrix serves both.
            for k in range(0, len(rows), 2):
                c, d = rows[k, i : i + _ROWS], rows[k + 1, i : i + _ROWS]
                c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
                d0, d1, d2, d3, d4, d5, d6, d7 = d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
                above, below = out[k, first:last], out[k + 1, first:last]
                for j in range(last - first):
                    above[j] += (
                        c0 * m0[j] + c1 * m1[j] + c2 * m2[j] + c3 * m3[j]
                        + c4 * m4[j] + c5 * m5[j] + c6 * m6[j] + c7 * m7[j]
                    )  # fmt: skip
                    below[j] += (
                        d0 * m0[j] + d1 * m1[j] + d2 * m2[j] + d3 * m3[j]
                        + d4 * m4[j] + d5 * m5[j] + d6 * m6[j] + d7 * m7[j]
                    )  # fmt: skip
    for i in range(whole, n):
        for k in range(len(rows)):
            c = rows[k, i]
            for j in range(begin, end):
                out[k, j] += c * matrix[i, j]
