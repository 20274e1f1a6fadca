"""Adaptive cubature of ``exp(E(θ))`` in up to three dimensions.

Cells are axis-parallel boxes with a tensor Gauss–Legendre rule. A cell is halved along the
worst axis while the Legendre coefficients of its integrand have not decayed along that axis, or
while ``E`` varies so much inside that a peak could hide between the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Gauss–Legendre points per axis, by dimension.
ORDER = {1: 16, 2: 10, 3: 8}
#: Natural-log units below the peak at which the density no longer counts.
DEPTH = 45.0
_MAX_VARIATION = 30.0
_MAX_NODES = 6_000_000
_ARRAYS = ("low", "high", "nodes", "log_jacobians", "values")


@dataclass(frozen=True)
class Chart:
    """Coordinates of the integral: a map from boxes to ``R^q`` with its log-Jacobian.

    ``breaks`` are the initial cell boundaries per axis, in units of the outer radius for those
    axes that are ``scaled``.
    """

    to_theta: Callable[[Array], Array]
    log_jacobian: Callable[[Array], Array]
    breaks: tuple[Array, ...]
    scaled: tuple[bool, ...]


def product_points(*axes: Array) -> Array:
    """Points (Q, q) of the product of q axes, the last one running fastest."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def cartesian(q: int) -> Chart:
    """Plain coordinates on the box ``[−R, R]^q``, cut at 0 along every axis."""
    panels = {1: 17, 2: 9, 3: 5}[q]
    breaks = (np.linspace(-1.0, 1.0, panels),) * q
    return Chart(lambda u: u, lambda u: np.zeros(len(u)), breaks, (True,) * q)


def polar(kinks: Array) -> Chart:
    """Polar coordinates of the plane with cells that end at the angles ``kinks``."""
    even = np.linspace(0.0, 2.0 * np.pi, 9)
    angles = np.unique(np.concatenate([even, kinks % (2.0 * np.pi)]))
    keep = np.concatenate([[True], np.diff(angles) > 1e-12])
    return Chart(
        lambda u: u[:, :1] * np.column_stack([np.cos(u[:, 1]), np.sin(u[:, 1])]),
        lambda u: np.log(u[:, 0]),
        (np.linspace(0.0, 1.0, 5), angles[keep]),
        (True, False),
    )


@dataclass(frozen=True)
class Grid:
    """Cells with their nodes, weights and the values of ``E`` there.

    ``low`` and ``high`` are (M, q) in chart coordinates; ``nodes`` (M, m^q, q) are in ``R^q``;
    ``log_jacobians`` and ``values`` of ``E`` there are (M, m^q).
    """

    chart: Chart
    low: Array
    high: Array
    nodes: Array
    log_jacobians: Array
    values: Array

    @property
    def log_terms(self) -> Array:
        """Log of the terms whose sum is the integral, shape (M, m^q)."""
        rule = _rule(self.low.shape[1])[1]
        volumes = np.log(self.high - self.low).sum(1)
        return self.values + self.log_jacobians + volumes[:, None] + rule

    @property
    def log_integral(self) -> float:
        """``log ∫ exp(E)``."""
        terms = self.log_terms
        peak = terms.max(initial=-np.inf)
        return float(peak + np.log(np.exp(terms - peak).sum())) if peak > -np.inf else -np.inf

    def cells(self, which: NDArray[np.bool_]) -> Grid:
        """Return some of the cells."""
        parts = (getattr(self, name)[which] for name in _ARRAYS)
        return Grid(self.chart, *parts)

    @cached_property
    def measure(self) -> tuple[Array, Array]:
        """Nodes (Q, q) and probabilities (Q,) of the normalised measure, negligible ones left out.

        What is left out weighs less than 1e-15 in total.
        """
        terms = self.log_terms
        weights = np.exp(terms - terms.max())
        keep = weights > 1e-16 * weights.sum() / weights.size
        kept = weights[keep]
        return self.nodes[keep], kept / kept.sum()


def adaptive_grid(
    energy: Callable[[Array], Array], chart: Chart, radius: float, tail: float
) -> Grid:
    """Build cells within an outer radius on which ``exp(E)`` is resolved.

    `energy` maps points (Q, q) to (Q,). The last Legendre coefficients of a resolved cell are at
    most `tail` times the whole integral; the error of the Gauss rule is of the order of their
    square for a smooth integrand.
    """
    resolved: list[Grid] = []
    pending = _evaluate(energy, chart, *_root_cells(chart, radius))
    total = peak = -np.inf  # total: log of the integral over the resolved cells
    size = 0
    while True:
        peak = max(peak, pending.values.max())
        scale = np.logaddexp(total, pending.log_integral)
        flagged, axis = _unresolved(pending, tail, scale, peak)
        size += pending.values.size
        if size > _MAX_NODES:
            flagged[:] = False
        resolved.append(pending.cells(~flagged))
        total = np.logaddexp(total, resolved[-1].log_integral)
        if not flagged.any():
            return _join(resolved)
        low, high = _halve(pending.low[flagged], pending.high[flagged], axis[flagged])
        pending = _evaluate(energy, chart, low, high)


def refined(energy: Callable[[Array], Array], grid: Grid) -> Grid:
    """Return the grid with every cell that counts halved along every axis."""
    terms = grid.log_terms
    counts = np.exp(terms - grid.log_integral).sum(1) > 1e-14
    low, high = grid.low[counts], grid.high[counts]
    for axis in range(low.shape[1]):
        low, high = _halve(low, high, np.full(len(low), axis))
    return _join([grid.cells(~counts), _evaluate(energy, grid.chart, low, high)])


def _root_cells(chart: Chart, radius: float) -> tuple[Array, Array]:
    scales = [radius if scaled else 1.0 for scaled in chart.scaled]
    edges = [scale * breaks for scale, breaks in zip(scales, chart.breaks, strict=True)]
    return product_points(*(e[:-1] for e in edges)), product_points(*(e[1:] for e in edges))


@cache
def _rule(q: int) -> tuple[Array, Array, Array]:
    """Tensor nodes in [0, 1]^q, their log weights, and the 1-D tail functionals (2, m)."""
    m = ORDER[q]
    x, w = legendre.leggauss(m)
    nodes = product_points(*[(x + 1.0) / 2.0] * q)
    log_weights = product_points(*[np.log(w / 2.0)] * q).sum(1)
    last = np.stack([legendre.legval(x, np.eye(m)[j]) * (2 * j + 1) for j in (m - 1, m - 2)])
    return nodes, log_weights, last


def _evaluate(energy: Callable[[Array], Array], chart: Chart, low: Array, high: Array) -> Grid:
    points = low[:, None, :] + (high - low)[:, None, :] * _rule(low.shape[1])[0]
    shape = points.shape
    flat = points.reshape(-1, shape[-1])
    theta = chart.to_theta(flat)
    log_jacobians = chart.log_jacobian(flat).reshape(shape[:2])
    values = energy(theta).reshape(shape[:2])
    return Grid(chart, low, high, theta.reshape(shape), log_jacobians, values)


def _unresolved(
    grid: Grid, tail: float, scale: float, peak: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Cells to halve, and the axis along which; ``scale`` is the log of the whole integral."""
    q = grid.low.shape[1]
    m, last = ORDER[q], _rule(q)[2]
    cube = np.exp(grid.log_terms - scale).reshape(-1, *[m] * q)
    values = grid.values.reshape(-1, *[m] * q)
    tails, spread = np.empty((len(cube), q)), np.empty((len(cube), q))
    for i in range(q):
        lines = np.abs(np.moveaxis(cube, i + 1, -1) @ last.T)
        tails[:, i] = lines.reshape(len(cube), -1).sum(1)
        spread[:, i] = np.ptp(values, axis=i + 1).reshape(len(cube), -1).max(1)
    highest = grid.values.max(1)
    variation = highest - grid.values.min(1)
    hidden = (variation > _MAX_VARIATION) & (highest + 0.3 * variation > peak - DEPTH)
    worst = np.where(hidden, spread.argmax(1), tails.argmax(1))
    return hidden | (tails.max(1) > tail), worst


def _halve(low: Array, high: Array, axis: NDArray[np.int64]) -> tuple[Array, Array]:
    rows = np.arange(len(low))
    middle = 0.5 * (low[rows, axis] + high[rows, axis])
    lower_high, upper_low = high.copy(), low.copy()
    lower_high[rows, axis] = upper_low[rows, axis] = middle
    return np.concatenate([low, upper_low]), np.concatenate([lower_high, high])


def _join(grids: list[Grid]) -> Grid:
    parts = (np.concatenate([getattr(grid, name) for grid in grids]) for name in _ARRAYS)
    return Grid(grids[0].chart, *parts)
