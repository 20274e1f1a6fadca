"""Fokker–Planck equation of the mean-field law, in one or two trained coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw
from meanfield.flow.scheme import Scheme
from meanfield.limit.cubature import product_points
from meanfield.limit.grid import REACH, GridLaw, GridPath, InputCoordinates, marginal_cdf

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_CELLS = {1: 1024, 2: 192}
_SUBSTEPS = {1: 16, 2: 4}
_EDGE_MASS = 1e-9
#: Estimated error, relative to the largest prediction (or 1), of a path that says nothing.
_USELESS = 0.25


def fokker_planck(
    problem: Problem,
    scheme: Scheme,
    *,
    n_cells: int | None = None,
    substeps: int | None = None,
    half_width: float | None = None,
    save_at: Sequence[int] | None = None,
) -> GridPath:
    r"""Solve the mean-field Fokker–Planck equation by implicit finite volumes.

    .. math:: ∂_t µ = ∇·(µ ∇V[µ_t]) + τ Δµ

    with no flux through the sides of a box, cells of equal size, and Scharfetter–Gummel fluxes

    .. math:: F_{i+1/2} = \frac{τ}{h} \Bigl[B\Bigl(\frac{V_{i+1} − V_i}{τ}\Bigr) m_i
        − B\Bigl(\frac{V_i − V_{i+1}}{τ}\Bigr) m_{i+1}\Bigr], \qquad B(x) = \frac{x}{e^x − 1},

    which vanish on ``m ∝ exp(−V/τ)``. Each step is implicit in the masses and explicit in the
    predictions, one axis after the other, so that the masses stay positive and their sum is
    conserved for every step size. Order 1 in time and 2 in the cell size (1 where
    ``h |V'| > τ``).

    This is the law in continuous time, of the step size going to 0; the law of the Euler chain
    differs by O(step_size): see `chain_law`. Of the scheme, its step sizes are the times between
    two entries of the path, with `substeps` implicit steps each; its temperatures and its initial
    law count too, nothing else. The box is ``[−half_width, half_width]`` in every coordinate; by
    default it grows until less than 1e-9 of the mass comes near a side. The laws of all steps are
    kept for one coordinate, of the first and the last for two, or of those in `save_at`.

    References: Scharfetter, Gummel, IEEE Trans. Electron Devices 16 (1969); Chang, Cooper,
    J. Comput. Phys. 6 (1970).
    """
    coordinates = InputCoordinates(problem)
    p = problem.n_parameters
    start = coordinates.start(scheme)
    n_cells = _even("n_cells", _CELLS[p] if n_cells is None else n_cells, minimum=8)
    substeps = _even("substeps", _SUBSTEPS[p] if substeps is None else substeps, minimum=2)
    keep_all = save_at is None and p == 1
    steps = scheme.saved_steps(range(scheme.n_steps + 1) if keep_all else save_at)
    grows = half_width is None
    first_width = REACH[start[0].law] * float(start[1].max())
    width = first_width if half_width is None else checks.positive("half_width", half_width)
    for _ in range(8):
        fine = _Solver(coordinates, start, n_cells, width)
        path, laws, edge = fine.run(scheme, substeps, steps)
        if edge < _EDGE_MASS or not grows:
            break
        width *= 2.0
    if edge >= _EDGE_MASS:
        remedy = (
            "the step_size is too large, or nothing holds the law: lower it or increase l2"
            if grows
            else "use a larger half_width"
        )
        raise ArgumentError(
            "step_size" if grows else "half_width",
            message=f"A share {edge:.1e} of the mass reached the sides of the box [−{width:g}, "
            f"{width:g}]; {remedy}.",
        )
    none = steps[:0]
    in_time = path - fine.run(scheme, substeps // 2, none)[0]
    coarse = _Solver(coordinates, start, n_cells // 2, width)
    in_space = path - coarse.run(scheme, substeps, none)[0]
    error = np.abs(in_time).max(1) + np.abs(in_space).max(1)
    if error.max() > _USELESS * max(1.0, np.abs(path).max()):
        raise ArgumentError(
            "step_size",
            message="The predictions are not resolved: their estimated error reaches "
            f"{error.max():.1e}. The law answers its own predictions faster than the time step, "
            "or leaves the grid's cells behind; use a smaller step_size.",
        )
    return GridPath(
        predictions=coordinates.shaped(path),
        extrapolated=coordinates.shaped(path + in_time + in_space / 3.0),
        error=error,
        steps=steps,
        laws=tuple(laws),
    )


def _even(name: str, value: int, minimum: int) -> int:
    number = checks.count(name, value, minimum=minimum)
    if number % 2:
        raise ArgumentError(name, f"must be even, got {value}: the error estimate halves it.")
    return number


class _Solver:
    """One grid of ``n_cells`` per axis on ``[−width, width]^p``."""

    def __init__(
        self,
        coordinates: InputCoordinates,
        start: tuple[InitialLaw, Array],
        n_cells: int,
        width: float,
    ) -> None:
        p, (law, scales) = coordinates.problem.n_parameters, start
        edges = np.linspace(-width, width, n_cells + 1)
        self.coordinates = coordinates
        self.cell = edges[1] - edges[0]
        self.axis = 0.5 * (edges[1:] + edges[:-1])
        self.shape = (n_cells,) * p
        marginals = [np.diff(marginal_cdf(law, s, edges)) for s in scales]
        masses = marginals[0] if p == 1 else np.multiply.outer(*marginals)
        self.start = masses / masses.sum()
        points = product_points(*[self.axis] * p)
        z, outputs = coordinates.pre_activations(points)
        self.features = outputs * coordinates.problem.activation.value(z)
        self.penalty = 0.5 * np.square(points) @ coordinates.l2

    def run(
        self, scheme: Scheme, substeps: int, steps: NDArray[np.int64]
    ) -> tuple[Array, list[GridLaw], float]:
        """Path (n_steps + 1, n), the laws at ``steps``, and the most mass seen at the sides."""
        masses = self.start
        taus, sizes = scheme.temperatures, scheme.step_sizes
        path = np.empty((len(taus) + 1, self.features.shape[1]))
        laws: list[GridLaw] = []
        edge = 0.0
        for t in range(len(taus) + 1):
            path[t] = masses.reshape(-1) @ self.features
            edge = max(edge, self._side_mass(masses))
            if t in steps:
                laws.append(GridLaw((self.axis,) * len(self.shape), masses))
            if t == len(taus):
                return path, laws, edge
            for _ in range(substeps):
                signals = self.coordinates.signals(masses.reshape(-1) @ self.features)
                potential = (self.features @ signals + self.penalty).reshape(self.shape)
                for axis in range(len(self.shape)):
                    masses = implicit_step(
                        masses, potential, taus[t], self.cell, sizes[t] / substeps, axis
                    )
        raise AssertionError

    def _side_mass(self, masses: Array) -> float:
        """Mass within 1/32 of the width from a side."""
        rim = max(1, len(self.axis) // 64)
        inner = masses[(slice(rim, -rim),) * masses.ndim]
        return float(max(0.0, masses.sum() - inner.sum()))


def implicit_step(
    masses: Array, potential: Array, tau: float, cell: float, time_step: float, axis: int
) -> Array:
    """One implicit Euler step of the Scharfetter–Gummel scheme along one axis."""
    m = np.moveaxis(masses, axis, -1)
    rise = np.diff(np.moveaxis(potential, axis, -1), axis=-1)
    rate = time_step / cell**2
    forward, backward = rate * bernoulli(rise, tau), rate * bernoulli(-rise, tau)
    bands = np.zeros((3, *m.shape))
    bands[0, ..., 1:] = -backward
    bands[2, ..., :-1] = -forward
    bands[1] = 1.0
    bands[1, ..., :-1] += forward
    bands[1, ..., 1:] += backward
    # All lines in one banded system: the couplings between the end of one and the next are 0.
    flat = solve_banded((1, 1), bands.reshape(3, -1), m.reshape(-1), check_finite=False)
    after = flat.reshape(m.shape)
    # Exact arithmetic keeps the mass of every line; rounding loses it in units of rate · 1e-16.
    before, kept = m.sum(-1, keepdims=True), after.sum(-1, keepdims=True)
    after *= np.divide(before, kept, out=np.ones_like(kept), where=kept > 0)
    return np.moveaxis(after, -1, axis)


def bernoulli(rise: Array, tau: float) -> Array:
    """``τ B(ΔV/τ) = ΔV / (exp(ΔV/τ) − 1)``, and its limit ``max(−ΔV, 0)`` at temperature 0."""
    if tau == 0.0:
        return np.maximum(-rise, 0.0)
    x = rise / tau
    small = np.abs(x) < 1e-8
    safe = np.where(small, 1.0, x)
    # B(−x) = B(x) + x, and for x > 0 the exponent −x cannot overflow.
    size = np.abs(safe)
    positive = size * np.exp(-size) / -np.expm1(-size)
    value = np.where(safe > 0, positive, positive + size)
    return tau * np.where(small, 1.0 - 0.5 * x, value)
