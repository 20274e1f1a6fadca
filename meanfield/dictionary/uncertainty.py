"""Error bars of atoms: their covariance in the canonical chart, and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri, ndtri, stdtrit

from meanfield.dictionary.fitting import as_places, label_regression, make_regression
from meanfield.dictionary.likelihood import Likelihood, is_classification
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.refit import WIDE, Array, Fit, Regression, full_jacobian
from meanfield.dictionary.separated import displacement, separated
from meanfield.identify import Atoms
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Problem
from meanfield.problem.distinct import row_groups
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL

NEAR = 1e-4
"""Distance of slopes from whose difference the curvature of an activation is taken."""


@dataclass(frozen=True, eq=False)
class AtomIntervals:
    r"""95 % intervals of the atoms of a dictionary, in canonical form.

    With ``J`` the Jacobian of the fit in all places, coefficients and the affine part, ``H`` the
    curvature of the prior and ``Σ`` the covariance of the residuals, ``Cov = B M B`` with
    ``B = (JᵀJ + H)^{-1}``: where labels were fitted ``M = Jᵀ Σ J + s² H``, which is
    ``Cov = s² (JᵀJ + H)^{-1}`` for one output; where the network was, whose predictions have no
    noise, ``M = Σ_j J_jᵀ r_j r_jᵀ J_j``: how far the atoms would move on other inputs of the same
    law. Class labels, fitted by their likelihood, have ``Cov = (I + H)^{-1}`` with the Fisher
    information I; where atoms separate the classes, also how far they move as the prior on their
    lengths changes and labels allow it. Repeated rows are no further data.

    Atoms of a homogeneous activation have ``|(w, b)| = 1``, where only direction, offset and
    coefficient times length are determined.

    Attributes
    ----------
    noise : float
        Standard deviation of the residuals, less the degrees of freedom that were fitted; 1 where
        class labels were fitted, whose variance follows from their probabilities.
    freedom : int
        Numbers in the target less free parameters: the degrees of freedom of the intervals.
    covariance : ndarray of shape (S, D + k, D + k)
        Of ``(w, b, c)`` of each atom; ``D = d``, or ``d + 1`` with a bias.
    coefficients : Estimate of shape (S,) or (S, k)
        ``c_i``.
    direction : ndarray of shape (S,)
        Angle, in degrees, of the cone around ``w_i`` that holds the true direction in 95 of 100
        cases. NaN, like all intervals, where data are no more than parameters.
    offset : Estimate of shape (S,)
        ``b_i / |w_i|``: minus the distance from the origin, along ``w_i``, of the plane where the
        atom turns over.
    length : Estimate of shape (S,)
        ``|w_i|``; NaN where it is not identified.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = np.tanh(2 * X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> problem = mf.Problem(X, y, activation="tanh", bias=False)
    >>> found = mf.extract_dictionary((np.ones(1), np.array([[2.0, 0.1]])), problem)
    >>> bars = found.intervals
    >>> bool(bars.coefficients.low[0] < 1 < bars.coefficients.high[0]), 0.05 < bars.noise < 0.15
    (True, True)
    >>> bool(bars.direction[0] < 10)  # degrees
    True
    """

    noise: float
    freedom: int
    covariance: Array
    coefficients: Estimate
    direction: Array
    offset: Estimate
    length: Estimate


def atom_intervals(
    function: Atoms, problem: Problem, target: Array, prior: tuple[float, float], *, noisy: bool
) -> AtomIntervals:
    """Return the intervals of the atoms of a canonical dictionary refit to `target` (n, k).

    `prior` is what coefficients and places were held by, per unit of noise variance; `noisy` tells
    labels from predictions.
    """
    noisy_classes = noisy and is_classification(problem.loss)
    regression = label_regression(problem) if noisy_classes else make_regression(problem, target)
    places, columns = as_places(function, problem.bias), function.columns
    chart = _chart(regression, places, columns)
    freedom = regression.n_numbers - chart.shape[1]
    curvature = _curvature(chart, places, columns, prior)
    if isinstance(regression, Likelihood):
        covariance = _of_classes(regression, function, chart, curvature, freedom, prior)
        noise = 1.0
    else:
        residual = target - function.predict(problem.X).reshape(target.shape)
        if noisy or places.size < WIDE or columns.shape[1] == 1:
            jacobian = full_jacobian(regression, places, columns) @ chart
            products = None
        else:
            gram, pulls = _wide_products(regression, places, columns, residual)
            jacobian, products = None, (chart.T @ gram @ chart, pulls @ chart)
        covariance, noise = _covariance(
            jacobian, products, residual, curvature, regression, noisy, freedom
        )
    S, D, k = *places.shape, columns.shape[1]
    whole = chart @ covariance @ chart.T
    own = [
        [*range(i * D, (i + 1) * D), *range(S * D + i * k, S * D + (i + 1) * k)] for i in range(S)
    ]
    each = np.array([whole[np.ix_(rows, rows)] for rows in own]).reshape(S, D + k, D + k)
    return _intervals(function, problem, each, freedom, noise)


def intervals_at_rest(function: Atoms, problem: Problem) -> AtomIntervals:
    r"""Return the intervals of the atoms of a network at rest, from the rows that it learned from.

    They minimise ``Σ_j ℓ_j + n P``, ``P`` the penalty with masses at their best. ``Cov = H^{-1}
    (Σ_j s_j s_jᵀ) H^{-1}`` with ``H`` the Hessian of that and ``s_j = J_jᵀ ∂ℓ_j/∂f`` less their
    mean. NaN where the activation has a kink: atoms then stand at kinks, where there is no Hessian.
    """
    regression = make_regression(problem, problem.targets)
    mass, n = function.mass, problem.n_data
    places, columns = _own_side(problem, function)
    S, D, k = *places.shape, columns.shape[1]
    free = regression.affine.shape[1] * k
    chart = _chart(regression, places, columns)
    chart = chart[: len(chart) - free, : chart.shape[1] - free]
    jacobian = full_jacobian(regression, places, columns)[:, :, : S * (D + k)] @ chart
    f = function.predict(problem.X).reshape(problem.targets.shape)
    pulls = np.einsum("nk,nkp->np", problem.loss.derivative(f, problem.targets), jacobian)
    pulls -= pulls.mean(axis=0)
    signal = problem.loss.derivative(f, problem.targets)
    outer = n * _penalty_curvature(problem, places, columns, mass)
    hessian = chart.T @ (outer + _turning(problem, places, columns, signal)) @ chart
    curved = np.einsum("nkl,nlp->nkp", problem.loss.curvature(f, problem.targets), jacobian)
    width = chart.shape[1]
    hessian += jacobian.reshape(n * k, width).T @ curved.reshape(n * k, width)
    groups = row_groups(regression.X, regression.Y)
    copies = np.bincount(groups, minlength=n)[groups].astype(float)
    freedom = regression.n_numbers - width
    each = np.full((S, D + k, D + k), np.nan)
    if freedom > 0 and S and problem.activation.smooth:
        scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
        values, vectors = np.linalg.eigh(hessian / scale[:, None] / scale)
        root = (pulls * np.sqrt(copies)[:, None] / scale) @ vectors
        root = vectors @ (root / np.maximum(values, 1e-6)).T
        root = chart @ (root * np.sqrt(regression.n_numbers / freedom) / scale[:, None])
        for i in range(S):
            own = [*range(i * D, (i + 1) * D), *range(S * D + i * k, S * D + (i + 1) * k)]
            each[i] = root[own] @ root[own].T
    noise = float(np.sqrt(((problem.targets - f) ** 2).mean()))
    return _intervals(function, problem, each, freedom, noise)


def _own_side(problem: Problem, function: Atoms) -> tuple[Array, Array]:
    """Return atoms on the side of a flip where neurons are: a flip may cost an affine part."""
    places, symmetry = as_places(function, problem.bias), symmetry_of(problem.activation)
    if not symmetry.has_remainder or not len(places):
        return places, function.columns
    f = function.predict(problem.X).reshape(problem.targets.shape)
    potential = PenalisedPotential.of(problem, problem.loss.derivative(f, problem.targets))
    stays = (potential(places) <= potential(-places))[:, None]
    columns = np.where(stays, function.columns, symmetry.sign * function.columns)
    return np.where(stays, places, -places), columns


def _penalty_curvature(problem: Problem, places: Array, columns: Array, mass: Array) -> Array:
    r"""Return the curvature of the penalty in places and coefficients, masses at their best.

    ``max_ν √λ_a Σ_i |c_i| √q_i − ν`` with ``q_i = λ_w |(w_i, b_i)|² + 2ν``; ``m_i = √λ_a |c_i|
    / √q_i`` and ν ≥ 0 keeps masses from adding up to more than one.
    """
    (S, D), k = places.shape, columns.shape[1]
    size = np.linalg.norm(columns, axis=1)
    root_a, l2 = np.sqrt(problem.l2_output), problem.l2_input
    out, cross = np.zeros((S * (D + k), S * (D + k))), np.zeros(S * (D + k))
    curvature, excess = 0.0, 0.0
    for i in np.flatnonzero((size > 0) & (mass > 0)):
        unit, w, root = columns[i] / size[i], places[i], root_a * size[i] / mass[i]
        place, own = slice(i * D, (i + 1) * D), slice(S * D + i * k, S * D + (i + 1) * k)
        pull = l2 * w / root
        out[place, place] = mass[i] * (l2 * np.eye(D) - np.outer(pull, pull))
        out[own, own] = problem.l2_output / mass[i] * (np.eye(k) - np.outer(unit, unit))
        out[place, own] = root_a * np.outer(pull, unit)
        out[own, place] = out[place, own].T
        cross[place], cross[own] = -mass[i] / root * pull, root_a / root * unit
        curvature += mass[i] / root**2
        excess += (root**2 - l2 * (w @ w)) / S
    if curvature > 0 and excess > 1e-6 * l2:
        out += np.outer(cross, cross) / curvature
    return out


def _turning(problem: Problem, places: Array, columns: Array, signal: Array) -> Array:
    """Return what the curvature of features adds to the Hessian of the losses."""
    (S, D), k = places.shape, columns.shape[1]
    X, out = problem.with_bias(problem.X), np.zeros((S * (D + k), S * (D + k)))
    activation = problem.activation
    for i in range(S):
        z = X @ places[i]
        place, own = slice(i * D, (i + 1) * D), slice(S * D + i * k, S * D + (i + 1) * k)
        out[place, own] = (X * activation.derivative(z)[:, None]).T @ signal
        out[own, place] = out[place, own].T
        if activation.smooth:
            bend = activation.derivative(z + NEAR) - activation.derivative(z - NEAR)
            out[place, place] = (X * (bend / (2 * NEAR) * (signal @ columns[i]))[:, None]).T @ X
    return out


def _chart(regression: Regression, places: Array, columns: Array) -> Array:
    """Return a basis (P, P') of the parameters that the canonical form leaves free."""
    S, D = places.shape
    rest = np.kron(np.eye(S + regression.affine.shape[1]), regression.outputs)
    blocks = [np.eye(D)] * S
    if regression.activation.homogeneous:
        blocks = [np.linalg.svd(place[None])[2][1:].T for place in places]
    width = sum(block.shape[1] for block in blocks)
    out = np.zeros((S * D + len(rest), width + rest.shape[1]))
    at = 0
    for i, block in enumerate(blocks):
        out[i * D : (i + 1) * D, at : at + block.shape[1]] = block
        at += block.shape[1]
    out[S * D :, width:] = rest
    return out


def _wide_products(
    regression: Regression, places: Array, columns: Array, residual: Array
) -> tuple[Array, Array]:
    """Return ``JᵀJ`` (P, P) and ``J_jᵀ r_j`` (n, P) without ``J``, which has k times the rows.

    Outputs share the derivatives of features: each product is one of these and of coefficients.
    """
    D, k = places.shape[1], columns.shape[1]
    z = regression.X @ places.T
    n, slope = len(z), regression.activation.derivative(z)
    inputs = (slope[:, :, None] * regression.X[:, None, :]).reshape(n, -1)
    known = np.hstack([regression.activation.value(z), regression.affine])
    each = np.repeat(columns, D, axis=0)
    cross = ((inputs.T @ known)[:, :, None] * each[:, None, :]).reshape(places.size, -1)
    own = np.kron(known.T @ known, np.eye(k))
    gram = np.block([[(inputs.T @ inputs) * (each @ each.T), cross], [cross.T, own]])
    pulls = np.hstack(
        [inputs * (residual @ each.T), (known[:, :, None] * residual[:, None, :]).reshape(n, -1)]
    )
    return gram, pulls


def _curvature(chart: Array, places: Array, columns: Array, prior: tuple[float, float]) -> Array:
    """Return the curvature of the prior per unit of noise variance, in the chart."""
    ridge, place_ridge = prior
    diagonal = np.zeros(len(chart))
    diagonal[: places.size] = place_ridge
    diagonal[places.size : places.size + columns.size] = ridge
    return (chart.T * diagonal) @ chart


def _of_classes(
    regression: Likelihood,
    function: Atoms,
    chart: Array,
    curvature: Array,
    freedom: int,
    prior: tuple[float, float],
) -> Array:
    """Return the inverse of Fisher information and prior in the chart."""
    if freedom <= 0:
        return np.full(curvature.shape, np.nan)
    places = as_places(function, regression.X.shape[1] > function.w.shape[1])
    constant, linear = function.affine
    rest = constant + regression.X[:, : function.w.shape[1]] @ linear.T
    affine = np.linalg.lstsq(regression.affine, rest, rcond=None)[0]
    fit = Fit(places, function.columns, affine, 0.0, 0.0)
    information = regression.information(fit)[0]
    size = places.size
    coordinates = np.kron(np.eye(len(places) + len(affine)), regression.outputs)
    inner = np.vstack([chart[:size], coordinates.T @ chart[size:]])
    hessian = inner.T @ information @ inner + curvature
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    values, vectors = np.linalg.eigh(hessian / scale[:, None] / scale)
    out: Array = (vectors / np.maximum(values, 1e-12)) @ vectors.T / scale[:, None] / scale
    if len(places) and separated(regression, fit):
        # Half-widths are quantiles of the normal law times standard deviations.
        step = inner.T @ displacement(regression, fit, prior) / ndtri((1 + LEVEL) / 2)
        out = out + np.outer(step, step)
    return out


def _covariance(
    jacobian: Array | None,
    products: tuple[Array, Array] | None,
    residual: Array,
    prior: Array,
    regression: Regression,
    noisy: bool,
    freedom: int,
) -> tuple[Array, float]:
    """Return the covariance of the parameters in the chart, and the size of the noise.

    From the Jacobian (n, k, P), or from the products that `_wide_products` gives.
    """
    (n, k), width = residual.shape, len(prior)
    # Each of r copies of a row stands for 1/r of what is known there.
    groups = row_groups(regression.X, regression.Y)
    copies = np.bincount(groups, minlength=n)[groups].astype(float)
    if freedom <= 0:
        return np.full((width, width), np.nan), float("nan")
    weighted = residual / np.sqrt(copies)[:, None]
    noise = weighted.T @ weighted * (k / freedom)
    variance = float(np.trace(noise)) / k
    if jacobian is not None:
        flat = jacobian.reshape(n * k, width)
        gram, pulls = flat.T @ flat, (jacobian * residual[:, :, None]).sum(axis=1)
    elif products is not None:
        gram, pulls = products
    # As in the fit, the prior weighs against a row as often as rows are there.
    prior = prior * (variance * n * k / regression.n_numbers)
    hessian = gram + prior
    if noisy and jacobian is not None:
        root = np.linalg.cholesky(noise + 1e-12 * max(variance, 1e-300) * np.eye(k))
        rows = (root.T @ jacobian * np.sqrt(copies)[:, None, None]).reshape(n * k, width)
        meat = rows.T @ rows + prior * (variance * n * k / regression.n_numbers)
    else:
        pull = pulls * np.sqrt(regression.n_numbers / freedom)
        meat = (pull * copies[:, None]).T @ pull
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    # Columns that nothing determines, in data or prior, get a large variance and not an error.
    values, vectors = np.linalg.eigh(hessian / scale[:, None] / scale)
    bread = (vectors / np.maximum(values, 1e-12)) @ vectors.T
    inner = bread @ (meat / scale[:, None] / scale) @ bread
    return inner / scale[:, None] / scale, float(np.sqrt(variance))


def _intervals(
    function: Atoms, problem: Problem, covariance: Array, freedom: int, noise: float
) -> AtomIntervals:
    """Carry covariances over to coefficients, directions, offsets and lengths."""
    S, d = function.w.shape
    quantile = stdtrit(max(freedom, 1), (1 + LEVEL) / 2)
    variances = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    k = function.columns.shape[1]

    def around(value: Array, variance: Array, label: str) -> Estimate:
        half = quantile * np.sqrt(np.maximum(variance, 0.0))
        return Estimate(value, value - half, value + half, resampled="data", label=label)

    half = variances[:, -k:].reshape(function.coefficients.shape)
    size = np.linalg.norm(function.w, axis=1)
    unit = function.w / np.where(size > 0, size, 1)[:, None]
    own = covariance[:, :d, :d]
    direction = np.array([_cone(*each, freedom) for each in zip(own, unit, size, strict=True)])
    along = np.einsum("sd,sde,se->s", unit, own, unit)
    length = around(size, along, "Length of w")
    if problem.activation.homogeneous:
        length = Estimate(np.full(S, np.nan), label="Length of w")
    offset, spread = function.b / np.where(size > 0, size, 1), np.zeros(S)
    if problem.bias:
        # The derivative of b/|w| in (w, b).
        slope = np.column_stack([-offset[:, None] * unit, np.ones(S)]) / size[:, None]
        spread = np.einsum("sd,sde,se->s", slope, covariance[:, : d + 1, : d + 1], slope)
    return AtomIntervals(
        noise=noise,
        freedom=freedom,
        covariance=covariance,
        coefficients=around(function.coefficients, half, "Coefficient"),
        direction=direction.reshape(S),
        offset=around(offset, spread, "Offset b/|w|"),
        length=length,
    )


def _cone(covariance: Array, unit: Array, size: float, freedom: int) -> float:
    """Return the half-angle, in degrees, of the cone that holds a direction.

    The square of the tangent is a sum of weighted squares, whose law is taken as that of a multiple
    of F with the same mean and variance (Satterthwaite).
    """
    if not np.isfinite(covariance).all():
        return float("nan")
    across = np.eye(len(unit)) - np.outer(unit, unit)
    spread = np.linalg.eigvalsh(across @ covariance @ across)[1:] / size**2
    spread = np.maximum(spread, 0.0)  # rounding
    total, square = spread.sum(), (spread**2).sum()
    if not square > 0:
        return 0.0
    return float(np.degrees(np.arctan(np.sqrt(total * fdtri(total**2 / square, freedom, LEVEL)))))
