"""A few rows times a matrix, against NumPy, whatever the sizes and the threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from meanfield.deep import products


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [0, 1, 2, 7, 12, 13])
@pytest.mark.parametrize("shape", [(1, 1), (7, 513), (64, 40), (259, 1030)])
def test_is_the_product(k, shape, dtype):
    rng = np.random.default_rng(k)
    rows, matrix = rng.normal(size=(k, shape[0])), rng.normal(size=shape)
    product = products.rows_times(rows.astype(dtype), matrix.astype(dtype))
    assert product.dtype == dtype
    error = np.abs(product - rows @ matrix)
    # Each term is rounded a few times, and so is each sum.
    bound = np.abs(rows) @ np.abs(matrix)
    assert (error <= (4 + np.sqrt(shape[0])) * np.finfo(dtype).eps * bound).all()


def test_threads_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(0)
    rows, matrix = rng.normal(size=(5, 300)), rng.normal(size=(300, 1100))
    alone = products.rows_times(rows, matrix)
    monkeypatch.setattr(products, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    np.testing.assert_array_equal(products.rows_times(rows, matrix), alone)
