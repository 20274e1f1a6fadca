"""Laws of one or two trained coordinates held on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.interpolate import make_interp_spline

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw
from meanfield.flow.scheme import Scheme
from meanfield.limit.cubature import product_points

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_PARTICLES = "use method='particles'"
_REFINE = 64  # quadrature points per grid cell, for quantiles
#: Half-width, in units of the scale, outside which the initial law weighs below 1e-14.
REACH = {"gaussian": 8.0, "laplace": 33.0}


@dataclass(frozen=True, eq=False)
class GridLaw:
    """A law on a regular grid of one or two trained coordinates."""

    axes: tuple[Array, ...]  # equally spaced points of each coordinate, in the order a, w, b
    masses: Array  # (len(axes[0])[, len(axes[1])]): probability of each point; sums to 1

    @property
    def density(self) -> Array:
        """Density at the grid points, shape of `masses`."""
        return self.masses / np.prod([axis[1] - axis[0] for axis in self.axes])

    def mean(self) -> Array:
        """Mean of the trained coordinates, shape (p,)."""
        return np.array([self.marginal(i).masses @ axis for i, axis in enumerate(self.axes)])

    def covariance(self) -> Array:
        """Covariance of the trained coordinates, shape (p, p)."""
        points = product_points(*self.axes) - self.mean()
        return points.T @ (self.masses.reshape(-1, 1) * points)

    def marginal(self, coordinate: int) -> GridLaw:
        """Law of one coordinate."""
        others = tuple(i for i in range(len(self.axes)) if i != coordinate)
        return GridLaw((self.axes[coordinate],), self.masses.sum(others))

    def wasserstein2(self, points: ArrayLike) -> Array:
        r"""Exact ``W2²``, shape (...), between empirical measures (..., N) and this law on a line.

        .. math:: W_2^2 = \sum_i \int_{(i-1)/N}^{i/N} (x_{(i)} − Q(u))^2\, du,

        with ``Q`` the quantile function of the density, interpolated by a quintic spline.
        """
        if len(self.axes) != 1:
            raise ValueError(
                f"wasserstein2 needs a law of one coordinate, this one has {len(self.axes)}; take "
                "a marginal, or compare with mf.wasserstein2 and a sample."
            )
        x = checks.finite("points", points)
        if x.ndim == 0 or x.shape[-1] == 0:
            raise ValueError(f"points must have shape (..., N), N at least 1, got {x.shape}.")
        x = np.sort(x, axis=-1)
        n = x.shape[-1]
        zeroth, first, second = np.diff(self._quantile_moments(np.arange(1, n) / n), axis=-1)
        return (zeroth * x**2 - 2.0 * first * x).sum(-1) + second.sum()

    @cached_property
    def _fine(self) -> tuple[Array, Array, Array, Array, float]:
        """Points, density, slope, integrals ∫ (1, y, y²) dµ up to the points, and their spacing."""
        axis = self.axes[0]
        x = np.linspace(axis[0], axis[-1], _REFINE * (len(axis) - 1) + 1)
        height = np.maximum(make_interp_spline(axis, self.density, k=5)(x), 0.0)
        width = x[1] - x[0]
        height /= 0.5 * width * (height[1:] + height[:-1]).sum()
        slope = np.diff(height) / width
        whole = np.cumsum(_piece(x[:-1], height[:-1], slope, width), axis=1)
        return x, height, slope, np.concatenate([np.zeros((3, 1)), whole], axis=1), width

    def _quantile_moments(self, levels: Array) -> Array:
        """Integrals ∫ (1, y, y²) dµ up to each quantile and, first and last, to the ends."""
        x, height, slope, whole, width = self._fine
        cell = np.clip(np.searchsorted(whole[0], levels, side="right") - 1, 0, len(slope) - 1)
        rise = levels - whole[0, cell]
        # Solve rise = h s + slope s²/2 in the form that does not cancel.
        root = np.sqrt(np.maximum(height[cell] ** 2 + 2.0 * slope[cell] * rise, 0.0))
        step = np.clip(2.0 * rise / np.maximum(height[cell] + root, 1e-300), 0.0, width)
        part = whole[:, cell] + _piece(x[cell], height[cell], slope[cell], step)
        return np.concatenate([np.zeros((3, 1)), part, whole[:, -1:]], axis=1)


def _piece(x: Array, height: Array, slope: Array, width: Array | float) -> Array:
    """∫ (1, y, y²) (height + slope (y − x)) dy from x to x + width, shape (3, ...)."""
    zeroth = height * width + slope * width**2 / 2
    first = height * width**2 / 2 + slope * width**3 / 3
    second = height * width**3 / 3 + slope * width**4 / 4
    return np.stack([zeroth, x * zeroth + first, x**2 * zeroth + 2 * x * first + second])


@dataclass(frozen=True, eq=False)
class GridPath:
    """Mean-field path from a law held on a grid."""

    predictions: Array  # (n_steps + 1, n[, k]): f̄_t on the training inputs
    #: Richardson extrapolation of the predictions to vanishing time step and cell size; for a law
    #: that converges faster than any power, the predictions themselves.
    extrapolated: Array
    error: Array  # (n_steps + 1,): estimated error of `predictions`, from lower resolution
    steps: NDArray[np.int64]  # those whose law is kept
    laws: tuple[GridLaw, ...]

    def at(self, step: int) -> GridLaw:
        """Return the law at a kept step."""
        position = np.flatnonzero(self.steps == step)
        if len(position) == 0:
            raise ValueError(f"The law of step {step} was not kept; `steps` holds those that were.")
        return self.laws[int(position[0])]


@dataclass(frozen=True)
class InputCoordinates:
    """The trained coordinates of a problem with at most two of them, and its features there.

    Every input weight must be trained: the law does not close on the trained ones otherwise.
    """

    problem: Problem

    def __post_init__(self) -> None:
        problem = self.problem
        if problem.frozen_inputs:
            raise ArgumentError(
                "train",
                message=f"A law on a grid needs every input parameter trained, but "
                f"{' and '.join(problem.frozen_inputs)} is frozen; {_PARTICLES}.",
            )
        if problem.n_parameters > 2:
            raise ArgumentError(
                "train",
                message=f"A law on a grid has at most 2 trained coordinates, this problem has "
                f"{problem.n_parameters}; {_PARTICLES}.",
            )

    @property
    def trained_output(self) -> bool:
        """Whether the first coordinate is the output weight."""
        return "a" in self.problem.train

    @property
    def l2(self) -> Array:
        """L2 strength of each trained coordinate."""
        problem = self.problem
        input_l2 = [problem.l2_input] * (problem.n_features + problem.bias)
        return np.array([problem.l2_output] * self.trained_output + input_l2)

    def start(self, scheme: Scheme) -> tuple[InitialLaw, Array]:
        """Initial law of a scheme, and the scale of each trained coordinate under it."""
        law = scheme.init
        if law is None or law.law not in REACH:
            raise ArgumentError(
                "init",
                message=f"A law on a grid starts from init {' or '.join(map(repr, REACH))}, got "
                f"{law and law.law!r}; {_PARTICLES}.",
            )
        skip = 0 if self.trained_output else self.problem.n_outputs
        scales = law.coordinate_scale(self.problem)[skip:]
        if (scales == 0).any():
            raise ArgumentError(
                "init",
                message="A law on a grid needs a positive initial scale in every coordinate.",
            )
        return law, scales

    def pre_activations(self, points: Array) -> tuple[Array, Array]:
        """``⟨w, x_j⟩ + b`` (Q, n) and the output weights (Q, 1) at points (Q, p)."""
        outputs = points[:, :1] if self.trained_output else np.ones((len(points), 1))
        theta = points[:, 1:] if self.trained_output else points
        return theta @ self.inputs.T, outputs

    def gradient(self, z: Array, features: Array, outputs: Array, signals: Array) -> Array:
        """``∇ (a Σ_j s_j σ(z_j))`` in the trained coordinates, shape (Q, p)."""
        problem = self.problem
        weighted = problem.activation.derivative(z) * signals
        inner: Array = outputs * (weighted @ self.inputs)
        return np.hstack([(features @ signals)[:, None], inner]) if self.trained_output else inner

    @property
    def inputs(self) -> Array:
        """Inputs, with a column of ones for the bias, shape (n, d + bias)."""
        return self.problem.with_bias(self.problem.X)

    def outputs(self, mean_features: Array) -> Array:
        """Predictions (n, k) from ``∫ a σ_j dµ`` (n,): outputs frozen at 1 are all equal."""
        return np.repeat(mean_features[:, None], self.problem.n_outputs, axis=1)

    def signals(self, mean_features: Array) -> Array:
        """``Σ_o r_{jo} / n``, shape (n,)."""
        problem = self.problem
        r = problem.loss.derivative(self.outputs(mean_features), problem.targets)
        return r.sum(1) / problem.n_data

    def shaped(self, path: Array) -> Array:
        """Predictions (T, n) in the shape of the problem's."""
        if not self.problem.vector_output:
            return path
        return np.repeat(path[..., None], self.problem.n_outputs, axis=-1)


def marginal_cdf(init: InitialLaw, scale: float, x: Array) -> Array:
    """Distribution function of one coordinate of the initial law."""
    z = x / scale
    if init.law == "gaussian":
        return special.ndtr(z)
    tail = 0.5 * np.exp(-np.abs(z))
    return np.where(z < 0, tail, 1.0 - tail)


def marginal_density(init: InitialLaw, scale: float, x: Array) -> Array:
    """Density of one coordinate of the initial law, up to a factor."""
    z = np.abs(x / scale)
    return np.exp(-0.5 * z**2 if init.law == "gaussian" else -z)
