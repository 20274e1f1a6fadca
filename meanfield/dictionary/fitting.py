"""From a problem to least squares and from a fit back to atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.dictionary.likelihood import Likelihood, is_classification
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.errors import ArgumentError
from meanfield.identify import Atoms, canonical
from meanfield.identify.atoms import as_atoms, make_atoms
from meanfield.problem import Problem

FLOOR = 1e-6
"""Residuals below this, relative to the target in root mean square, count as none."""
AGREEMENT = 0.3
"""Largest relative gap between dictionary and network for one to speak for the other."""
NETWORK_FLOOR = 0.02
"""What is left of a network below this part of it, in root mean square, counts as nothing."""


def _affine_part(problem: Problem) -> tuple[bool, bool]:
    """Tell whether a dictionary has a free constant, and a free linear part.

    A flip leaves ``q(⟨w, x⟩ + b)`` over, and with a bias atoms of zero weight are constants.
    """
    q0, q1 = (*problem.activation.remainder, 0.0, 0.0)[:2]
    return bool(problem.bias or q0), bool(q1)


def make_regression(problem: Problem, target: Array) -> Regression:
    """Set up least squares of `target` (n, k) on the inputs of a problem."""
    constant, linear = _affine_part(problem)
    ones = np.ones((problem.n_data, 1))
    affine = np.hstack([ones[:, : int(constant)], problem.X if linear else problem.X[:, :0]])
    return Regression(problem.activation, problem.with_bias(problem.X), target, affine)


def label_regression(problem: Problem) -> Regression:
    """Set up the fit of labels by what their loss is the likelihood of, or by least squares."""
    regression = make_regression(problem, problem.targets)
    return Likelihood.of(problem, regression) if is_classification(problem.loss) else regression


@dataclass(frozen=True)
class Prior:
    """The prior that coefficients and places are of the size that target and particles have.

    Both numbers are per unit of noise variance: the prior fades with the noise.
    """

    ridge: float
    place_ridge: float

    @classmethod
    def of(cls, regression: Regression, places: Array) -> Prior:
        """Take the sizes of the target and of some places."""
        if not len(places):
            return cls(0.0, 0.0)
        features = regression.without_affine(regression.features(places))
        target = max(regression.scale, 1e-300)
        place = 10 * float((places**2).sum(axis=1).mean())
        return cls(
            float((features**2).mean()) / target,
            0.0 if regression.activation.homogeneous else 1 / max(place, 1e-300),
        )

    def at(self, regression: Regression, noise: float) -> Regression:
        """Return the regression with this prior for residuals of variance `noise`."""
        # Repeated rows weigh as often as they are there, and so does the prior beside them.
        noise *= regression.copies
        return regression.held(noise * self.ridge, noise * self.place_ridge)


def read_network(name: str, network: Any, problem: Problem, normalisation: str = "mean") -> Atoms:
    """Read a network that was given as an argument; refuse one of other inputs or outputs."""
    atoms = as_atoms(network, problem.activation, name=name, normalisation=normalisation)
    k, d = atoms.affine[1].shape
    if (d, k) != (problem.n_features, problem.n_outputs):
        raise ArgumentError(
            name,
            f"{'have' if name == 'particles' else 'has'} {d} inputs and {k} outputs, but the "
            f"problem has {problem.n_features} and {problem.n_outputs}.",
        )
    return atoms


def as_places(network: Atoms, bias: bool) -> Array:
    """Return ``(w, b)`` as rows; without bias ``w`` only."""
    if not bias and np.any(network.b):
        raise ValueError("The network has biases but the problem has bias=False.")
    return np.column_stack([network.w, network.b]) if bias else network.w


def fit_atoms(problem: Problem, fit: Fit, mass: Array) -> Atoms:
    """Bring a fit into canonical form; `mass` (S,) goes with its atoms."""
    d, k = problem.n_features, problem.n_outputs
    has_constant, has_linear = _affine_part(problem)
    atoms = make_atoms(
        problem.activation,
        fit.coefficients,
        fit.places[:, :d],
        fit.places[:, d] if problem.bias else np.zeros(len(fit.places)),
        fit.affine[0] if has_constant else np.zeros(k),
        fit.affine[-d:].T if has_linear else np.zeros((k, d)),
        mass,
        vector=problem.vector_output,
        inactive_mass=1 - mass.sum(),
    )
    return canonical(atoms, problem.activation)


def converged(regression: Regression, places: Array, sizes: Array, max_steps: int = 100) -> Fit:
    """Refit until the prior, of the sizes of some places, agrees with what the fit leaves."""
    fit, prior = regression.linear(places), Prior.of(regression, sizes)
    for _ in range(3):
        fit = prior.at(regression, fit.rss / regression.Y.size).refit(fit.places, max_steps)
    return fit


def relative_gap(regression: Regression, difference: Array) -> float:
    """Return a distance over the inputs relative to the target, affine part aside; NaN if none."""
    if regression.is_zero:
        return float("nan")
    size = np.linalg.norm(regression.without_affine(difference))
    return float(size / np.sqrt(regression.total))
