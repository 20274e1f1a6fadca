"""The activation at a tile: some data times one block of particles.

Compiled for each activation by itself and called by address.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from meanfield.flow.compiled.activations import slope, slope_is_kept, value_and_slope
from meanfield.flow.compiled.by_address import address_of, by_address
from meanfield.flow.compiled.cache_key import CacheKey, entry
from meanfield.flow.compiled.layout import BLOCK, Numbers
from meanfield.flow.compiled.simd import (
    Vector,
    fma,
    fold,
    inline,
    lanes,
    load,
    load_quarter,
    splat,
    store,
)


class Tile(NamedTuple):
    """Some rows of data for one block, and the buffers that belong to it."""

    z: Numbers  # (rows, 64): pre-activations, or what takes their place
    theta: Numbers  # (C, 64): the block
    sums: Numbers  # (n k, lanes / 4): predictions
    grad: Numbers  # (C, 64): the gradient
    residuals: Numbers  # (n k,)
    kept: Numbers  # activations
    sums_at: int  # where the first row's sums start, its residuals, and what is kept of σ and σ′
    residuals_at: int
    values_at: int
    slopes_at: int
    rows: int
    k: int
    keep: bool  # whether σ is kept


@inline
def _add_share(tile: Tile, value: Vector, row: int, g: int) -> None:
    """sums[row, o] += a_o σ for one datum and one group, folded to the width of a register."""
    width = lanes(tile.theta) // 4
    for o in range(tile.k):
        to = tile.sums_at + (row * tile.k + o) * width
        share = fold(load(tile.theta, o * BLOCK + g) * value)
        store(tile.sums, to, share + load_quarter(tile.sums, to))


@entry
def _predict_rows(key: CacheKey, tile: Tile) -> None:
    """Add the shares of the predictions to the sums; keep σ (and σ′) if asked."""
    step = lanes(tile.z)
    if tile.keep:
        for row in range(tile.rows):
            for g in range(0, BLOCK, step):
                at = row * BLOCK + g
                value, derivative = value_and_slope(key, load(tile.z, at))
                store(tile.kept, tile.values_at + at, value)
                if slope_is_kept(key):
                    store(tile.kept, tile.slopes_at + at, derivative)
                _add_share(tile, value, row, g)
    else:
        for row in range(tile.rows):
            for g in range(0, BLOCK, step):
                value, _ = value_and_slope(key, load(tile.z, row * BLOCK + g))
                _add_share(tile, value, row, g)


@inline
def _pull(tile: Tile, value: Vector, first_grad: Vector, row: int, g: int) -> tuple[Vector, Vector]:
    """⟨r, a⟩ for one datum; the gradient of a grows by r σ, that of the first output in place."""
    at = tile.residuals_at + row * tile.k
    r = splat(tile.residuals, at)
    pull, first_grad = r * load(tile.theta, g), fma(r, value, first_grad)
    for o in range(1, tile.k):
        r = splat(tile.residuals, at + o)
        pull = fma(r, load(tile.theta, o * BLOCK + g), pull)
        store(tile.grad, o * BLOCK + g, fma(r, value, load(tile.grad, o * BLOCK + g)))
    return pull, first_grad


@entry
def _pull_rows(key: CacheKey, tile: Tile) -> None:
    """Put ⟨r, a⟩ σ′ in the place of the pre-activations, from these or from what was kept.

    Adds to the gradient of a.
    """
    step = lanes(tile.z)
    for g in range(0, BLOCK, step):
        first = load(tile.grad, g)
        if tile.keep:
            for row in range(tile.rows):
                at = row * BLOCK + g
                value = load(tile.kept, tile.values_at + at)
                if slope_is_kept(key):
                    derivative = load(tile.kept, tile.slopes_at + at)
                else:
                    derivative = slope(key, value)
                pull, first = _pull(tile, value, first, row, g)
                store(tile.z, at, pull * derivative)
        else:
            for row in range(tile.rows):
                at = row * BLOCK + g
                value, derivative = value_and_slope(key, load(tile.z, at))
                pull, first = _pull(tile, value, first, row, g)
                store(tile.z, at, pull * derivative)
        store(tile.grad, g, first)


predict_rows, pull_rows = by_address(_predict_rows), by_address(_pull_rows)


@cache
def tile_addresses(
    activation: int | str, dtype: np.dtype[Any]
) -> tuple[int | CacheKey, int | CacheKey]:
    """What `predict_rows` and `pull_rows` take first, for the activation with this code."""
    none = np.empty(0, dtype)
    example = Tile(none, none, none, none, none, none, 0, 0, 0, 0, 0, 0, False)
    return (
        address_of(_predict_rows, activation, example),
        address_of(_pull_rows, activation, example),
    )
