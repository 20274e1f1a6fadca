"""The first steps away from the target: its thresholded Hermite part, or a held-out estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.decomposition.error_plan import ATOMS, Array, ErrorPlan
from meanfield.dictionary import ThresholdNumber, coefficient_threshold_number
from meanfield.dictionary.hermite_expansion import evaluate_basis
from meanfield.problem.draws import generator
from meanfield.problem.targets import Teacher

RANDOM_ATOMS = 500


@dataclass(frozen=True, eq=False)
class TruncatedTarget:
    """The part of the target that is truncated, on the held-out inputs, and how it was found.

    `values` is (m, k); `exact` the L² norm of what is left out, from the coefficients, NaN where
    there are none; `bounds` one `ThresholdNumber` per output; `text` says what was done.
    """

    values: Array
    exact: float
    bounds: tuple[ThresholdNumber, ...]
    text: str


def truncate_target(plan: ErrorPlan) -> TruncatedTarget:
    """Keep the Hermite terms of a known target with ``|c_α| > ε |σ_{|α|}|``; estimate another."""
    if not plan.closed_form:
        return held_out_estimate(plan)
    bounds = tuple(
        coefficient_threshold_number(
            output,
            plan.problem.activation,
            plan.threshold,
            d=plan.problem.n_features,
            degree=plan.degree,
            seed=plan.scheme.seed,
        )
        for output in _outputs(plan.target, plan.problem.n_outputs)
    )
    values = [
        evaluate_basis(bound.expansion.indices[bound.kept], plan.X_test)
        @ bound.expansion.coefficients[bound.kept]
        for bound in bounds
    ]
    # The constant takes no atom and does not count for the tail of the bound.
    square = sum(
        bound.expansion.tail**2 + float((bound.expansion.coefficients[~bound.kept] ** 2).sum())
        for bound in bounds
    )
    exact = math.sqrt(square) if plan.inputs == "gaussian" else math.nan
    degree = max(bound.expansion.degree for bound in bounds)
    text = f"Hermite terms up to degree {degree} above the threshold {plan.threshold:g}"
    return TruncatedTarget(np.stack(values, axis=1), exact, bounds, text)


def _outputs(target: Any, n_outputs: int) -> list[Any]:
    """Return one scalar target per output."""
    if n_outputs == 1:
        return [target]
    if isinstance(target, Teacher):
        return [Teacher(a, target.w, target.b, target.activation) for a in target.a.T]
    return [lambda X, j=j: target(X)[:, j] for j in range(n_outputs)]


def held_out_estimate(plan: ErrorPlan) -> TruncatedTarget:
    """Estimate the regression function by ridge regression on random atoms of the activation.

    Atoms ``σ(⟨w, x⟩ + b)`` with weights of the initial law, all training data, and the strength
    of least leave-one-out error. What it leaves of the held-out labels stands for the tail: noise
    in the labels, and whatever no smooth function of the inputs explains.
    """
    problem = plan.problem
    rng = generator(plan.scheme.seed, ATOMS)
    w = rng.standard_normal((problem.n_features, RANDOM_ATOMS))
    b = rng.standard_normal(RANDOM_ATOMS)

    def features(X: Array) -> Array:
        hidden = problem.activation.value(X @ w + b) / np.sqrt(RANDOM_ATOMS)
        return np.hstack([np.ones((len(X), 1)), X, hidden])

    u, s, vt = np.linalg.svd(features(problem.X), full_matrices=False)
    inner = u.T @ problem.targets
    least, best = math.inf, 0.0
    for strength in s[0] ** 2 * np.logspace(-9, 0, 37):
        shrink = s**2 / (s**2 + strength)
        left = problem.targets - u @ (shrink[:, None] * inner)
        leverage = (u**2) @ shrink
        error = float((left**2 / (1 - np.minimum(leverage, 1 - 1e-6))[:, None] ** 2).mean())
        if error < least:
            least, best = error, strength
    coefficients = vt.T @ ((s / (s**2 + best))[:, None] * inner)
    text = (
        f"a held-out estimate, by ridge regression on {RANDOM_ATOMS} random atoms and all "
        f"{problem.n_data} training rows"
    )
    return TruncatedTarget(features(plan.X_test) @ coefficients, math.nan, (), text)
