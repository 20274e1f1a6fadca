"""Joint refit of atoms and coefficients by variable projection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from meanfield.problem import Activation
from meanfield.problem.distinct import row_groups

Array = NDArray[Any]

RANK_TOLERANCE = 1e-9
"""Directions of the feature matrix below this, relative to the largest, are left out of a fit."""

WIDE = 200
"""From so many coordinates of places on, refits look for steps with less effort."""

ENTRIES = 4_000_000
"""Numbers of a Jacobian that are held at a time."""

SAME = 1e-9
"""Values at one input that differ by less than this, relative to the largest, are one."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Atoms ``(w, b)``, their coefficients and the affine part.

    `rss` is the residual sum of squares, `cost` the same with the prior.
    """

    places: Array
    coefficients: Array
    affine: Array
    rss: float
    cost: float


@dataclass(frozen=True, eq=False)
class Regression:
    """Least squares of ``Y`` by atoms of an activation and fixed affine columns.

    Coefficients are eliminated: for given atoms they solve a linear problem, and Gauss–Newton
    steps on the atoms alone use the projected Jacobian (Kaufman's simplification of Golub and
    Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares", 1973), damped
    after Levenberg and Marquardt.

    `X` is (n, d), or (n, d + 1) with a last column of ones when atoms have a bias; `Y` is (n, k);
    `affine` is (n, q). A weak Gaussian prior adds ``ridge |c|² + place_ridge |(w, b)|²`` to the
    residual sum of squares: with noise, least squares alone likes pairs of atoms that coincide,
    with huge coefficients of opposite sign. No refit makes an atom longer than `longest`.
    """

    activation: Activation
    X: Array
    Y: Array
    affine: Array
    ridge: float = 0.0
    place_ridge: float = 0.0
    longest: float = np.inf

    def held(self, ridge: float, place_ridge: float) -> Regression:
        """Return the same regression under another prior."""
        out = replace(self, ridge=ridge, place_ridge=place_ridge)
        names = {field.name for field in fields(self)}
        # What has been found out about the data stays true.
        vars(out).update({key: value for key, value in vars(self).items() if key not in names})
        return out

    @cached_property
    def n_inputs(self) -> int:
        """Number of distinct inputs; repeated ones determine no more atoms."""
        return len(np.unique(row_groups(self.X)))

    @cached_property
    def n_numbers(self) -> int:
        """Numbers in ``Y`` that are data: of rows that are repeated, one counts.

        Different values at one input are all data, but for values that differ by rounding.
        """
        groups = row_groups(self.X)
        first = self.Y[groups]
        apart = np.abs(self.Y - first).max(axis=1) > SAME * np.abs(self.Y).max(initial=0.0)
        again = len(np.unique(row_groups(self.X[apart], self.Y[apart]))) if apart.any() else 0
        return (self.n_inputs + again) * self.Y.shape[1]

    @cached_property
    def _affine_basis(self) -> Array:
        return np.linalg.qr(self.affine)[0] if self.affine.shape[1] else self.affine

    def without_affine(self, columns: Array) -> Array:
        """Remove what the affine columns explain."""
        q = self._affine_basis
        return columns - q @ (q.T @ columns)

    @cached_property
    def target(self) -> Array:
        """``Y`` less its affine part, (n, k)."""
        return self.without_affine(self.Y)

    @cached_property
    def total(self) -> float:
        """``|Y|²`` without its affine part."""
        return float((self.target**2).sum())

    @property
    def labels_each(self) -> int:
        """Numbers that each row has."""
        return int(self.Y.shape[1])

    @property
    def outputs(self) -> Array:
        """Orthonormal coordinates of the outputs, (k, k′)."""
        return np.eye(self.Y.shape[1])

    @property
    def scale(self) -> float:
        """Mean square of ``Y`` without its affine part: what the prior expects of an atom."""
        return self.total / self.Y.size

    @property
    def copies(self) -> float:
        """Rows for each distinct one."""
        return self.Y.size / self.n_numbers

    @property
    def is_zero(self) -> bool:
        """Whether the target is zero up to rounding, its affine part aside."""
        rounding = len(self.Y) * np.finfo(float).eps
        return bool(self.total <= rounding**2 * float((self.Y**2).sum()))

    def predict(self, fit: Fit) -> Array:
        """Evaluate a fit on the inputs, (n, k)."""
        return self.features(fit.places) @ fit.coefficients + self.affine @ fit.affine

    def features(self, places: Array) -> Array:
        """Evaluate atoms, (n, S)."""
        return self.activation.value(self.X @ places.T)

    def unit_features(self, places: Array) -> tuple[Array, Array]:
        """Return features less their affine part at length one, (n, S), and their lengths."""
        features = self.without_affine(self.features(places))
        length = np.linalg.norm(features, axis=0)
        return features / np.where(length > 0, length, 1), length

    def linear(self, places: Array) -> Fit:
        """Fit coefficients and affine part for fixed atoms."""
        features = self.features(places)
        coefficients, _, residual = self._project(self.without_affine(features))
        rest = self.Y - features @ coefficients
        affine = np.linalg.lstsq(self.affine, rest, rcond=None)[0]
        rss = float((residual[: len(self.Y)] ** 2).sum())
        return Fit(places, coefficients, affine, rss, self._cost(places, residual))

    def _cost(self, places: Array, residual: Array) -> float:
        return float((residual**2).sum()) + self.place_ridge * float((places**2).sum())

    def _project(self, features: Array) -> tuple[Array, Array, Array]:
        """Return coefficients, an orthonormal basis of the features, and the residual.

        The prior on coefficients is S more rows, ``√ridge c_i`` with target 0.
        """
        size = features.shape[1]
        features = np.vstack([features, np.sqrt(self.ridge) * np.eye(size)])
        target = np.vstack([self.target, np.zeros((size, self.target.shape[1]))])
        scale = np.linalg.norm(features, axis=0)
        scale[scale == 0] = 1
        u, s, vt = np.linalg.svd(features / scale, full_matrices=False)
        r = int((s > RANK_TOLERANCE * s[0]).sum()) if size else 0
        u, inner = u[:, :r], u[:, :r].T @ target
        coefficients = (vt[:r].T / s[:r]) @ inner / scale[:, None]
        return coefficients, u, target - u @ inner

    def _fixed(self, places: Array) -> tuple[float, tuple[Array, ...]]:
        """Return the cost of fixed atoms, and their arguments and projection."""
        z = self.X @ places.T
        projection = self._project(self.without_affine(self.activation.value(z)))
        return self._cost(places, projection[2]), (z, *projection)

    def _normal_equations(
        self, places: Array, z: Array, coefficients: Array, u: Array, residual: Array
    ) -> tuple[Array, Array]:
        """Return ``JᵀJ`` and ``Jᵀr`` of the projected Jacobian, the prior on places included.

        The others are as `_fixed` gives them. Every output has the same projected derivatives of
        features, times its coefficients, so ``JᵀJ`` is one Gram matrix times ``Σ_k c_ik c_jk``
        block by block.
        """
        n, width = self.X.shape
        slope = self.activation.derivative(z)
        # Steps need few digits of a large matrix, and all of the gradient.
        wide = places.size >= WIDE
        kind: Any = np.float32 if wide else np.float64
        X, slopes = self.X.astype(kind, copy=False), slope.astype(kind, copy=False)
        inputs: Array = (slopes[:, :, None] * X[:, None, :]).reshape(n, -1)
        gram = inputs.T @ inputs
        for basis in (self._affine_basis, u[:n]):
            inner: Array = basis.T.astype(kind, copy=False) @ inputs
            gram -= inner.T @ inner
        pairs = np.repeat(np.repeat(coefficients @ coefficients.T, width, 0), width, 1)
        if wide:
            pull = (slope * (residual[:n] @ coefficients.T)).T @ self.X
        else:
            pull = (inputs.T @ residual[:n]).reshape(*places.shape, -1)
            pull = np.einsum("sdk,sk->sd", pull, coefficients)
        hessian = gram * pairs + self.place_ridge * np.eye(places.size)
        pull = pull.ravel() - self.place_ridge * places.ravel()
        return self._along_bound(places, hessian, pull)

    def _along_bound(self, places: Array, hessian: Array, pull: Array) -> tuple[Array, Array]:
        """Leave out the direction in which an atom of the largest length would grow."""
        size, width = np.linalg.norm(places, axis=1), places.shape[1]
        outward = (pull.reshape(places.shape) * places).sum(axis=1) > 0
        for i in np.flatnonzero(outward & (size >= (1 - 1e-9) * self.longest)):
            rows, unit = slice(i * width, (i + 1) * width), places[i] / size[i]
            stiffness = max(float(np.trace(hessian[rows, rows])), 1e-300)
            hessian[rows] -= np.outer(unit, unit @ hessian[rows])
            hessian[:, rows] -= np.outer(hessian[:, rows] @ unit, unit)
            hessian[rows, rows] += stiffness * np.outer(unit, unit)
            pull[rows] -= (unit @ pull[rows]) * unit
        return hessian, pull

    def cost(self, places: Array) -> float:
        """Residual sum of squares and prior for fixed atoms."""
        return self._fixed(places)[0]

    def gains(self, places: Array, directions: Array) -> Array:
        """Return how much the residual falls with each unit feature (n, m) added to some atoms."""
        _, basis, residual = self._project(self.without_affine(self.features(places)))
        basis, residual = basis[: len(self.Y)], residual[: len(self.Y)]
        rest = directions - basis @ (basis.T @ directions)
        length = (rest**2).sum(axis=0)
        gain = ((residual.T @ rest) ** 2).sum(axis=0)
        return np.where(length > 1e-6, gain / np.where(length > 1e-6, length, 1), 0.0)

    def removal_costs(self, fit: Fit) -> Array:
        """Return how much the residual grows without each atom, the others staying in place."""
        unit, length = self.unit_features(fit.places)
        # The small diagonal makes either of two atoms that coincide cheap to drop.
        inverse = np.linalg.inv(unit.T @ unit + 1e-10 * np.eye(len(length)))
        return ((fit.coefficients * length[:, None]) ** 2).sum(axis=1) / np.diag(inverse)

    def normalised(self, places: Array) -> Array:
        """Shorten atoms that are too long; give those of a homogeneous activation length one."""
        size = np.linalg.norm(places, axis=1, keepdims=True)
        if not self.activation.homogeneous:
            longer = size[:, 0] > self.longest
            if longer.any():
                places = places.copy()
                places[longer] *= self.longest / size[longer]
            return places
        # Coefficients make up for it.
        return places / np.where(size > 0, size, 1)

    def blocks(self, fit: Fit) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Yield some rows, their Jacobians, roots of their weights and their signals."""
        k = self.Y.shape[1]
        residual, step = self.Y - self.predict(fit), self._rows_at_a_time(fit)
        for i in range(0, len(self.X), step):
            rows = slice(i, i + step)
            jacobian = full_jacobian(self._some(rows), fit.places, fit.coefficients)
            yield rows, jacobian, np.broadcast_to(np.eye(k), (len(jacobian), k, k)), residual[rows]

    def _some(self, rows: slice) -> Self:
        """Return the regression on some rows."""
        return replace(self, X=self.X[rows], Y=self.Y[rows], affine=self.affine[rows])

    def _rows_at_a_time(self, fit: Fit) -> int:
        """Return how many rows' Jacobians are held at a time."""
        k = self.outputs.shape[1]
        size = fit.places.size + (len(fit.places) + len(fit.affine)) * k
        return max(1, ENTRIES // (size * k))

    def beside_tangent(self, fit: Fit, functions: Array) -> tuple[Array, Array]:
        """Return information and score of functions (n, k', m) beside the tangent space of a fit.

        Amounts t of such a function, everything else refit, change the likelihood by ``score t −
        information t²/2`` per unit of variance.
        """
        k, m = functions.shape[1:]
        size = fit.places.size + (len(fit.places) + len(fit.affine)) * k
        gram, score = np.zeros((size + m, size + m)), np.zeros(size + m)
        for rows, jacobian, root, signals in self.blocks(fit):
            columns = np.concatenate([jacobian, functions[rows]], axis=2)
            weighted = np.einsum("noq,nop->nqp", root, columns).reshape(-1, size + m)
            gram += weighted.T @ weighted
            score += columns.reshape(-1, size + m).T @ signals.ravel()
        scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
        inner = np.linalg.pinv((gram / scale[:, None] / scale)[:size, :size], 1e-12, True)
        cross = gram[:size, size:] / scale[:size, None]
        moved = inner @ cross
        information = np.diag(gram)[size:] - (cross * moved).sum(axis=0)
        return np.maximum(information, 0.0), score[size:] - moved.T @ (score[:size] / scale[:size])

    def n_parameters(self, size: int) -> int:
        """Return the number of free parameters of so many atoms, coefficients and affine part."""
        k = self.outputs.shape[1]
        per_atom = self.X.shape[1] + k - self.activation.homogeneous
        return size * per_atom + self.affine.shape[1] * k

    def variance(self, fit: Fit) -> float:
        """Return the variance of what a fit leaves, times copies; infinite where none is free."""
        left = self.n_numbers - self.n_parameters(len(fit.places))
        return fit.rss / left if left > 0 else float("inf")

    # An atom whose feature all but vanishes has a coefficient that may overflow: no step is taken.
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def refit(self, places: Array, max_steps: int = 60, tolerance: float = 1e-9) -> Fit:
        """Move atoms to a local minimum of the residual.

        Stops when three steps in a row gain less than `tolerance` of it, or it is rounding.
        """
        places = self.normalised(places)
        if not len(places) or self.n_numbers <= places.size:
            return self.linear(places)
        damping, idle = 1e-3, 0
        cost, fixed = self._fixed(places)
        hessian, pull = self._normal_equations(places, *fixed)
        for _ in range(max_steps):
            if cost <= 1e-24 * self.total:
                break
            try:
                step = damped_step(hessian, pull, damping)
            except LinAlgError:
                damping = max(10 * damping, 1e-12)
                continue
            trial = self.normalised(places + step.reshape(places.shape))
            new, fixed = self._fixed(trial)
            if not new < cost:
                damping *= 4
                if damping > 1e12:
                    break
                continue
            idle = idle + 1 if new > (1 - tolerance) * cost else 0
            places, cost, damping = trial, new, max(damping / 5, 1e-12)
            if idle >= 3:
                break
            hessian, pull = self._normal_equations(places, *fixed)
        return self.linear(places)


def damped_step(hessian: Array, pull: Array, damping: float) -> Array:
    """Solve ``(H + µ D) δ = g`` with ``D`` the diagonal of ``H``, kept away from zero."""
    diagonal = np.diag(hessian)
    diagonal = np.maximum(diagonal, 1e-14 * diagonal.max(initial=1e-300))
    scale = np.sqrt(diagonal)
    # One division after the other: the product of two scales may underflow.
    scaled = hessian / scale[:, None] / scale + damping * np.eye(len(scale))
    if not np.isfinite(scaled).all():
        raise LinAlgError("the scales of the places are too far apart")
    return cho_solve(cho_factor(scaled), pull / scale) / scale


def full_jacobian(regression: Regression, places: Array, columns: Array) -> Array:
    """Return the derivatives of predictions in places, coefficients and affine part, (n, k, P)."""
    z = regression.X @ places.T
    n, k = len(z), columns.shape[1]
    slope = regression.activation.derivative(z)
    inputs = (slope[:, :, None] * regression.X[:, None, :])[:, None] * columns.T[None, :, :, None]
    eye = np.eye(k)
    features, affine = regression.activation.value(z), regression.affine
    parts = [inputs.reshape(n, k, -1)]
    for values in (features, affine):
        parts.append((values[:, None, :, None] * eye[None, :, None, :]).reshape(n, k, -1))
    return np.concatenate(parts, axis=2)
