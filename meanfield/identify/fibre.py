"""Exploring a fibre of the moment map: which other dictionaries have the same moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.optimize import least_squares

from meanfield.identify.activation_coefficients import Array
from meanfield.identify.atoms import Atoms
from meanfield.identify.canonical import canonical
from meanfield.identify.equivalence import match_atoms
from meanfield.identify.moments import MomentMap

LARGEST_WEIGHT = 12.0
"""Searches that run off to larger ``|w|`` are abandoned."""
SOLVED = 1e-11
SAME_ORBIT = 1e-4
PATH_STEPS = 120


class _Escaped(ArithmeticError):
    """A search left the region in which atoms are looked for."""


@dataclass(frozen=True)
class Fibre:
    """The equations ``Φ_D(θ) = Φ_D(θ_0)``, each degree relative to ``|T_k(θ_0)|``."""

    moments: MomentMap
    origin: Array

    @cached_property
    def _target(self) -> tuple[Array, Array]:
        """Moments at the origin and the scale of each, infinite for those that vanish there."""
        values, degrees = self.moments.evaluate(self.origin)[0], self.moments.degrees
        norms = np.sqrt(np.bincount(degrees, values**2))
        norms[norms <= 1e-13 * norms.max()] = np.inf
        return values, norms[degrees]

    def equations(self, x: Array) -> tuple[Array, Array]:
        """Return residuals and Jacobian, with ``|(w, b)|² = 1`` for homogeneous activations."""
        theta = x.reshape(self.moments.n_atoms, -1)
        size = np.linalg.norm(theta[:, 1 : 1 + self.moments.d], axis=1)
        if not (size.max() <= LARGEST_WEIGHT and size.min() > 1e-9):
            raise _Escaped
        values, jacobian = self.moments.evaluate(theta)
        target, scale = self._target
        residual, jacobian = (values - target) / scale, jacobian / scale[:, None]
        if not self.moments.activation.homogeneous:
            return residual, jacobian
        gauge = np.zeros((len(theta), *theta.shape))
        atom = np.arange(len(theta))
        gauge[atom, atom, 1:] = 2 * theta[:, 1:]
        length = (theta[:, 1:] ** 2).sum(axis=1) - 1
        jacobian = np.concatenate([jacobian, gauge.reshape(len(theta), -1)])
        return np.concatenate([residual, length]), jacobian

    def solve(self, start: Array, max_evaluations: int = 200) -> Array | None:
        """Run Levenberg–Marquardt; return a dictionary with these moments or None."""
        rows = len(self.equations(self.origin.ravel())[0])

        @lru_cache(maxsize=1)  # residuals and Jacobian are asked for one after the other
        def equations(x: bytes) -> tuple[Array, Array]:
            return self.equations(np.frombuffer(x))

        try:
            found = least_squares(
                lambda x: equations(x.tobytes())[0],
                start.ravel(),
                lambda x: equations(x.tobytes())[1],
                method="lm" if rows >= start.size else "trf",
                x_scale="jac",
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
                max_nfev=max_evaluations,
            )
        except _Escaped:
            return None
        return found.x.reshape(self.origin.shape) if np.abs(found.fun).max() < SOLVED else None

    def atoms(self, theta: Array) -> Atoms:
        """Return the canonical form of a parameter array."""
        parts = self.moments.parts(theta)
        return canonical(parts, self.moments.activation, normalisation="sum")

    def is_new(self, theta: Array, known: list[Array]) -> bool:
        """Tell whether a dictionary lies on none of the known orbits."""
        atoms = self.atoms(theta)
        return not any(match_atoms(atoms, self.atoms(other), SAME_ORBIT)[2] for other in known)

    def still_solves(self, theta: Array) -> bool:
        """Tell whether a dictionary found for fewer degrees has these moments as well."""
        return bool(np.abs(self.equations(theta.ravel())[0]).max() < 1e-7)

    def trace(self, start: Array, rng: np.random.Generator) -> list[Array]:
        """Follow the curve on which all but one equation hold; return where the last one holds.

        The equations are first reduced to as many as parameters, and turned at random, so that
        every call drops another combination. Both directions are followed by arc length.
        """
        jacobian = self.equations(start.ravel())[1]
        n_rows, p = jacobian.shape
        left = np.linalg.svd(jacobian, full_matrices=False)[0][:, :p]
        if left.shape[1] < p:
            return []
        # Drawn among all equations: their basis in `left` is another on another processor.
        q, upper = np.linalg.qr(left @ (left.T @ rng.normal(size=(n_rows, p))))
        turn = (q * np.sign(np.diag(upper))).T
        return [*self._follow(start.ravel(), turn, 1.0), *self._follow(start.ravel(), turn, -1.0)]

    def _follow(self, x: Array, turn: Array, direction: float) -> list[Array]:
        """Predict along the tangent, correct by Newton steps, adapt the step."""
        found: list[Array] = []
        start, step, previous, before = x, 0.02, None, 0.0
        try:
            for _ in range(PATH_STEPS):
                jacobian = turn @ self.equations(x)[1]
                tangent = np.linalg.svd(jacobian[1:])[2][-1]
                if previous is None:
                    # Which way comes first is for the equations to say, not for rounding.
                    square = np.vstack([jacobian[1:], tangent])
                    tangent = direction * np.linalg.slogdet(square)[0] * tangent
                elif tangent @ previous < 0:
                    tangent = -tangent
                here, corrections = self._correct(x + step * tangent, turn)
                if here is None:
                    step /= 2
                    if step < 1e-5:
                        break
                    continue
                value = (turn[0] @ self.equations(here)[0]).item()
                if before * value < 0:
                    theta = self.solve(x if abs(before) < abs(value) else here)
                    if theta is not None:
                        found.append(theta)
                moved = np.linalg.norm(here - start)
                x, previous, before = here, tangent, value
                step = min(step * (1.6 if corrections <= 3 else 1.0), 0.5)
                if len(found) and moved < 1e-6:
                    break
        except _Escaped:
            pass
        return found

    def _correct(self, x: Array, turn: Array) -> tuple[Array | None, int]:
        """Return to the curve by minimum-norm Newton steps, or give up."""
        for iteration in range(6):
            residual, jacobian = (turn[1:] @ part for part in self.equations(x))
            if np.abs(residual).max() < 1e-10:
                return x, iteration
            x = x - np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        return None, 6
