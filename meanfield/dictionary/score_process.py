"""S atoms against S + 1: the supremum of the score process over new atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meanfield.dictionary.likelihood import Likelihood
from meanfield.dictionary.path import SizePath
from meanfield.dictionary.refit import Array, Fit, Regression, full_jacobian
from meanfield.dictionary.starts import random_starts
from meanfield.problem.distinct import first_rows
from meanfield.statistics.intervals import LEVEL
from meanfield.system.generators import generator

DRAWS = 99
"""Residuals that are simulated under the hypothesis."""
POOL, STARTS, STEPS = 400, 2, 15
"""Random places that ascents may start from, ascents of each residual, and their steps."""
PARALLEL = 1e-6
"""A feature of which the fit leaves less than this part of its square is no new atom."""
CLEAR = 30.0
"""A size with so much larger a criterion is excluded without a test."""
ENTRIES = 4_000_000
"""Numbers in a matrix of data by residuals that are held at a time."""


def score_test(regression: Regression, fit: Fit, *, draws: int = DRAWS, seed: int = 0) -> float:
    r"""Return the p-value of a fit of S atoms against one atom more.

    The likelihood-ratio statistic of an atom more has, under the hypothesis, the law of
    ``sup_θ Σ_k ⟨r_k, ĝ_θ⟩²/s²``, ``ĝ_θ`` a new feature at unit length and less what the tangent
    space of the fit holds, ``r`` white noise less the same: a supremum over places, not χ², as the
    place of an atom without coefficient is not identified (Davies 1977; Garel 2005). It is
    simulated: noise is drawn, projected, brought to length one and searched as the residual is, so
    that whatever the search misses it misses in both. NaN where too few data are left to draw.
    """
    once = first_rows(regression.X, regression.Y)
    regression = replace(
        regression, X=regression.X[once], Y=regression.Y[once], affine=regression.affine[once]
    )
    n, k = len(regression.X), regression.outputs.shape[1]
    jacobian = full_jacobian(regression, fit.places, fit.coefficients @ regression.outputs)
    basis = _basis(jacobian.reshape(n * k, -1))
    if n * k - basis.shape[1] < 2:
        return float("nan")
    rng = generator(seed, 11)
    if isinstance(regression, Likelihood):
        columns = _signals(regression, fit, jacobian, draws, rng)
    else:
        residual = regression.Y - regression.predict(fit)
        noise = rng.standard_normal((draws, n, k)) @ np.linalg.cholesky(_covariance(residual)).T
        columns = np.concatenate([residual[None], noise]).reshape(draws + 1, n * k).T
        columns = columns - basis @ (basis.T @ columns)
    size = np.linalg.norm(columns, axis=0)
    if not size[0] > 0:
        return 1.0
    residuals = (columns / size).reshape(n, k, -1)
    # With one output what the fit can make of a feature is its tangent space; with several it has
    # that only in the proportions of its coefficients, and what is common to all outputs is taken.
    common = (
        basis if k == 1 else _basis(np.hstack([regression.features(fit.places), regression.affine]))
    )
    pool = random_starts(regression, POOL, rng)
    largest = _suprema(regression, common, residuals, pool)
    return float((1 + (largest[1:] >= largest[0]).sum()) / (draws + 1))


def _signals(
    regression: Likelihood, fit: Fit, jacobian: Array, draws: int, rng: np.random.Generator
) -> Array:
    """Return signals of the labels and of labels drawn from the fit, each after a refit.

    ``r − W J (Jᵀ W J)^{-1} Jᵀ r``: what is left of signals r once parameters have followed them.
    """
    f = regression.predict(fit)
    again = [regression.drawn(f, rng) for _ in range(draws)]
    signals = [replace(regression, Y=Y).signals(f) for Y in (regression.Y, *again)]
    columns = np.array(signals).reshape(draws + 1, -1).T
    moved = (regression.weights(f) @ jacobian).reshape(len(columns), -1)
    flat = jacobian.reshape(len(columns), -1)
    scale = np.linalg.norm(flat, axis=0)
    flat, moved = flat / np.where(scale > 0, scale, 1), moved / np.where(scale > 0, scale, 1)
    return columns - moved @ (np.linalg.pinv(flat.T @ moved, rcond=1e-10) @ (flat.T @ columns))


def _covariance(residual: Array) -> Array:
    """Return the covariance of the outputs' residuals, kept away from singular."""
    covariance = residual.T @ residual / len(residual)
    least = 1e-9 * max(float(np.trace(covariance)), 1e-300)
    return covariance + least * np.eye(len(covariance))


def _basis(columns: Array) -> Array:
    """Return an orthonormal basis of the span of some columns."""
    scale = np.linalg.norm(columns, axis=0)
    u, s, _ = np.linalg.svd(columns[:, scale > 0] / scale[scale > 0], full_matrices=False)
    return u[:, s > 1e-9 * s.max(initial=0.0)]


def _suprema(regression: Regression, basis: Array, residuals: Array, pool: Array) -> Array:
    """Return for each residual (n, k, B) the largest part that one new feature explains, (B,)."""
    n, k, count = residuals.shape
    features = regression.features(pool)
    unit = _left(features, basis)[0]
    explained = np.sum([(unit.T @ residuals[:, c]) ** 2 for c in range(k)], axis=0)  # (pool, B)
    chosen = pool[np.argsort(-explained, axis=0)[:STARTS]].transpose(1, 0, 2)
    read = np.array([_moments(regression.X, residuals[:, :, b]) for b in range(count)])
    places = np.concatenate([chosen, read], axis=1)  # (B, starts, D)
    out = explained.max(axis=0)
    step = max(1, ENTRIES // (n * k * places.shape[1]))
    for i in range(0, count, step):
        some = slice(i, i + step)
        found = _ascend(regression, basis, residuals[:, :, some], places[some])
        out[some] = np.maximum(out[some], found)
    return out


def _left(features: Array, basis: Array) -> tuple[Array, Array]:
    """Return what a basis leaves of features at unit length, zero where it is rounding; lengths."""
    whole = (features**2).sum(axis=0)
    rest = features - basis @ (basis.T @ features)
    square = (rest**2).sum(axis=0)
    length = np.sqrt(np.where(square > PARALLEL * whole, square, np.inf))
    return rest / length, length


def _moments(X: Array, residual: Array) -> Array:
    """Read two directions off the first and second moments of a residual (n, k), (2, D)."""
    left, _, right = np.linalg.svd(X.T @ residual, full_matrices=False)
    values, vectors = np.linalg.eigh((X * (residual @ right[0])[:, None]).T @ X)
    return np.stack([left[:, 0], vectors[:, np.abs(values).argmax()]])


def _ascend(regression: Regression, basis: Array, residuals: Array, starts: Array) -> Array:
    """Climb from the starts (B, T, D) of each residual; return the best of each, (B,)."""
    count, per, width = starts.shape
    places = starts.reshape(-1, width)
    target = np.repeat(residuals, per, axis=2)  # (n, k, B T)
    rate = np.full(len(places), 0.3)

    def climb(places: Array) -> tuple[Array, Array]:
        """Return what each place explains of its residual, and the gradient."""
        z = regression.X @ places.T
        unit, length = _left(regression.activation.value(z), basis)
        inner = np.einsum("nkb,nb->kb", target, unit)
        square = (inner**2).sum(axis=0)
        # Residuals are orthogonal to the basis, and so is this.
        slope = 2 * (np.einsum("nkb,kb->nb", target, inner) - square * unit) / length
        if target.shape[1] > 1:
            slope = slope - basis @ (basis.T @ slope)
        return square, (regression.X.T @ (slope * regression.activation.derivative(z))).T

    value, gradient = climb(places)
    for _ in range(STEPS):
        size = np.linalg.norm(gradient, axis=1)
        step = (
            gradient
            * (rate * np.linalg.norm(places, axis=1) / np.where(size > 0, size, 1))[:, None]
        )
        new, slope = climb(places + step)
        better = new > value
        places = np.where(better[:, None], places + step, places)
        gradient = np.where(better[:, None], slope, gradient)
        value = np.where(better, new, value)
        rate = np.where(better, np.minimum(1.5 * rate, 1.0), rate / 3)
    return value.reshape(count, per).max(axis=1)


def size_set(
    path: SizePath, best: int, *, noisy: bool, settled: bool, seed: int
) -> tuple[tuple[int, ...], Array]:
    """Return the sizes that cannot be excluded, and the p-value of each size, NaN where not asked.

    Labels: sizes that the test against one atom more does not reject, from `best` down and, as long
    as it rejects, up. Predictions, which have no noise: sizes from that which would be chosen if
    twice as much counted as nothing to that at half as much, unless neurons have `settled` in so
    many wells. Sizes of at least a twentieth of the
    weight of `best` under the criterion count in both cases.
    """
    sizes = sorted(path.fits)
    above = {size: path.criterion(size) - path.criterion(best) for size in sizes}
    kept = {size for size in sizes if above[size] <= -2 * np.log(1 - LEVEL)} | {best}
    p_values = dict.fromkeys(sizes, np.nan)

    def stands(size: int) -> bool:
        fit = path.fits[size]
        done = fit.rss <= path.floor
        p_values[size] = 1.0 if done else score_test(path.regression, fit, seed=seed)
        return not p_values[size] <= 1 - LEVEL

    if noisy:
        size = best
        while size in path.fits and not stands(size):
            size += 1
            kept.add(size)
        size = best - 1
        while size >= 0 and above[size] < CLEAR and stands(size):
            kept.add(size)
            size -= 1
    elif not settled:
        ends = [path.best_at(factor**2 * path.floor) for factor in (0.5, 2.0)]
        kept |= set(range(min(*ends, best), max(*ends, best) + 1))
    return tuple(sorted(kept)), np.array([p_values[size] for size in sizes])
