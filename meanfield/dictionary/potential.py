"""The potential that particles descend, penalty included, with the best output weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from meanfield.dictionary.refit import Array
from meanfield.flow.descents import descend_all as descend_together
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Activation, Problem

REACH = 100.0
"""Coordinates are searched up to here: without enough penalty there is no least value."""
SHORTER = 2.0 ** -np.arange(6)
FAR = 1e3
"""Parts and multiple of a place where a bound looks: V may fall without end along a ray."""
SLIDES, FIRST_STEP = 40, 0.2
"""Evaluations until wells are told apart, and the first step, in lengths of a place."""
ENOUGH = 1e-8
"""A descent ends where a step gains this part of what the place costs."""
SAME_WELL = 0.999
"""Cosine of features above which two places slide into the same well."""


def value_and_slope(activation: Activation, z: Array) -> tuple[Array, Array]:
    """Return ``σ(z)`` and ``σ′(z)``, for tanh at the price of one."""
    value = activation.value(z)
    if activation.name == "tanh":
        return value, 1 - value**2
    return value, activation.derivative(z)


@dataclass(frozen=True, eq=False)
class PenalisedPotential:
    r"""``V(w, b) = min_a ⟨g, a⟩ + (λ_a/2)|a|² + (λ_w/2)|(w, b)|²``, ``g = (1/n) Σ_j r_j σ(z_j)``.

    The minimum is at ``a = −g/λ_a``, so ``V = −|g|²/(2 λ_a) + (λ_w/2)|(w, b)|²``. `X` is (n, D),
    with a last column of ones when atoms have a bias; `residual` is (n, k).
    """

    activation: Activation
    X: Array
    residual: Array
    l2_output: float
    l2_input: float
    reach: float = REACH

    @classmethod
    def of(cls, problem: Problem, residual: Array) -> PenalisedPotential:
        """Take data and penalties of a problem."""
        if problem.l2_output <= 0 or "a" not in problem.train:
            raise ValueError(
                "penalised needs a problem with l2 > 0 on trained output weights: without a "
                "penalty the potential has no least value."
            )
        X = problem.with_bias(problem.X)
        return cls(problem.activation, X, residual, problem.l2_output, problem.l2_input)

    def _pull(self, places: Array) -> Array:
        """Return ``g`` at each place, (S, k)."""
        return self.activation.value(self.X @ places.T).T @ self.residual / len(self.X)

    def outputs(self, places: Array) -> Array:
        """Return the best output weight at each place, (S, k)."""
        return -self._pull(places) / self.l2_output

    def __call__(self, places: Array) -> Array:
        """Evaluate the potential at each place, (S,)."""
        gain = (self._pull(places) ** 2).sum(axis=1) / (2 * self.l2_output)
        return 0.5 * self.l2_input * (places**2).sum(axis=1) - gain

    def gradients(self, places: Array) -> tuple[Array, Array]:
        """Return the gradients of the two terms at each place, (S, D) each."""
        slope = self.activation.derivative(self.X @ places.T)
        weight = self.residual @ self._pull(places).T * slope
        return self.l2_input * places, -weight.T @ self.X / (len(self.X) * self.l2_output)

    def _with_slopes(self, places: Array) -> tuple[Array, Array]:
        """Return values and gradients at each place, (S,) and (S, D)."""
        features, slope = value_and_slope(self.activation, self.X @ places.T)
        pull = features.T @ self.residual / len(self.X)
        weight = self.residual @ pull.T * slope
        slopes = self.l2_input * places - weight.T @ self.X / (len(self.X) * self.l2_output)
        gain = (pull**2).sum(axis=1) / (2 * self.l2_output)
        return 0.5 * self.l2_input * (places**2).sum(axis=1) - gain, slopes

    def least_mean(self, places: Array, penalty: float) -> float:
        """Return a bound below ``∫V dµ`` for every µ of such a penalty; `places` are the lowest.

        With ``(1 + ε)`` times the penalty the potential is ``V_ε``, and ``∫V dµ ≥ min V_ε − ε
        penalty``, which also bounds where V has no least value, as for homogeneous activations.
        """
        places = (np.append(SHORTER, FAR)[:, None, None] * places).reshape(-1, places.shape[1])
        gain = (self._pull(places) ** 2).sum(axis=1) / (2 * self.l2_output)
        size = 0.5 * self.l2_input * (places**2).sum(axis=1)
        ratio = np.sqrt(gain[size > 0] / size[size > 0])
        extra = np.concatenate([[0.0], np.maximum(ratio - 1, 0.0), np.geomspace(1e-12, 1e3, 61)])
        lowest = (np.outer(1 + extra, size) - np.outer(1 / (1 + extra), gain)).min(axis=1)
        return float((np.minimum(lowest, 0.0) - extra * penalty).max())

    def lowest(self, pool: Array, n_descents: int) -> tuple[Array, float]:
        """Descend from the best of a pool; return the lowest place and its value.

        For a homogeneous activation ``V`` has no scale along a ray, so length one is taken.
        """
        pool = self._gauged(pool)[0]
        values = np.concatenate([self(pool[i : i + 500]) for i in range(0, len(pool), 500)])
        # The place 0, of a dead particle.
        best, least = np.zeros(self.X.shape[1]), float(self(np.zeros((1, self.X.shape[1])))[0])
        for i in np.argsort(values)[:n_descents]:
            place, value = self.descend(pool[i])
            if value < least:
                best, least = place, value
        return best, least

    def wells(self, pool: Array, known: Array, most: int) -> Array:
        """Let all of a pool slide down, then the lowest that differ, from known ones too, descend.

        Returns the places where these end, at most so many, the lowest first.
        """
        places, values = self.descend_all(self._gauged(pool)[0], steps=SLIDES)
        order = np.argsort(values, kind="stable")
        features = self.activation.value(self.X @ np.vstack([known, places[order]]).T)
        features /= np.linalg.norm(features, axis=0).clip(1e-300)
        chosen = list(range(len(known)))
        for i in range(len(known), len(known) + len(order)):
            if not chosen or np.abs(features[:, i] @ features[:, chosen]).max() < SAME_WELL:
                chosen.append(i)
            if len(chosen) == len(known) + most:
                break
        kept = [order[i - len(known)] for i in chosen[len(known) :]]
        ends, values = self.descend_all(places[kept])
        out: Array = ends[np.argsort(values, kind="stable")]
        return out

    def descend_all(self, starts: Array, **options: int) -> tuple[Array, Array]:
        """Descend from many places, of length one if homogeneous, at once; see `descend_all`."""

        def function(places: Array) -> tuple[Array, Array]:
            unit, length = self._gauged(places)
            values, slopes = self._with_slopes(unit)
            if self.activation.homogeneous:
                radial = (slopes * unit).sum(axis=1, keepdims=True) * unit
                slopes = (slopes - radial) / np.where(length > 0, length, 1)[:, None]
            return values, slopes

        size = np.linalg.norm(starts, axis=1)
        size = np.where(size > 0, size, 1.0)
        ends, values, _ = descend_together(
            function,
            starts,
            first=FIRST_STEP * size,
            enough=ENOUGH * self.l2_input * size**2,
            longest=size,
            reach=self.reach,
            **options,
        )
        return self._gauged(ends)[0], values

    def descend(self, start: Array) -> tuple[Array, float]:
        """Descend from a place to a minimum; return it, at length one if homogeneous, and value."""
        bounds = [(-self.reach, self.reach)] * self.X.shape[1]

        def objective(place: Array) -> tuple[float, Array]:
            unit, length = self._gauged(place[None])
            slope = np.add(*self.gradients(unit))[0]
            if self.activation.homogeneous:
                slope = (slope - (slope @ unit[0]) * unit[0]) / length[0]
            return float(self(unit)[0]), slope

        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return self._gauged(found.x[None])[0][0], float(found.fun)

    def _gauged(self, places: Array) -> tuple[Array, Array]:
        """Return places, at length one for a homogeneous activation, and their lengths."""
        length = np.linalg.norm(places, axis=1)
        if not self.activation.homogeneous:
            return places, length
        return places / np.where(length > 0, length, 1)[:, None], length

    def at_atoms(self, places: Array) -> tuple[Array, Array, Array]:
        """Return value, relative gradient and penalty at each atom, (S,) each.

        A flip may leave an affine function over, and particles then stand on one side only: the
        lower side counts.
        """
        if symmetry_of(self.activation).has_remainder and len(places):
            sides = np.stack([self(places), self(-places)])
            places = np.where(sides.argmin(axis=0)[:, None] == 0, places, -places)
        places = self._gauged(places)[0]
        penalty, gain = self.gradients(places)
        gross = np.linalg.norm(penalty, axis=1) + np.linalg.norm(gain, axis=1)
        net = np.linalg.norm(penalty + gain, axis=1)
        output = (self._pull(places) ** 2).sum(axis=1) / (2 * self.l2_output)
        return (
            self(places),
            np.divide(net, gross, out=np.zeros(len(places)), where=gross > 0),
            0.5 * self.l2_input * (places**2).sum(axis=1) + output,
        )
