"""Hermite expansions of targets under standard normal inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.refit import Array
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.identify import canonical
from meanfield.identify.activation_coefficients import coefficient_table
from meanfield.identify.gaussian import l2_norm
from meanfield.problem import Activation
from meanfield.problem.distinct import row_groups
from meanfield.problem.hermite_polynomials import hermite_table
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Teacher
from meanfield.system.generators import generator

Terms = dict[tuple[int, ...], float]
"""Coefficients of a polynomial by multi-index."""

TERM_LIMIT = 5000
"""Largest number of multi-indices in one expansion."""
DEFAULT_DEGREE = 6
ROUNDING = 1e-12
"""Coefficients below this, relative to the norm of the target, are rounding."""


@dataclass(frozen=True, eq=False)
class HermiteExpansion:
    r"""``f*(x) ≈ Σ_α c_α Π_i h_{α_i}(x_i)`` with orthonormal ``h_k = He_k / √k!``.

    Attributes
    ----------
    indices : ndarray of shape (m, d)
        Multi-indices ``α``, by degree.
    coefficients : ndarray of shape (m,)
        ``c_α``.
    errors : ndarray of shape (m,)
        Standard errors, or rounding and quadrature errors where the method has no chance in it.
    method : str
        ``"exact"``, ``"quadrature"`` or ``"least squares"``.
    degree : int
        Largest ``|α|`` considered.
    norm, tail : float
        ``‖f*‖`` and ``‖f* − Σ_{|α| ≤ degree} c_α h_α‖`` in L².

    Examples
    --------
    >>> from meanfield.dictionary import hermite_expansion
    >>> found = hermite_expansion(lambda X: X[:, 0] * X[:, 1], d=2, degree=3)
    >>> found.method, round(float(found.norm), 6), bool(found.tail < 1e-6)
    ('quadrature', 1.0, True)
    """

    indices: Array
    coefficients: Array
    errors: Array
    method: str
    degree: int
    norm: float
    tail: float

    @property
    def degrees(self) -> Array:
        """``|α|`` of every term, shape (m,)."""
        return self.indices.sum(axis=1)

    @property
    def seen(self) -> Array:
        """Whether each term is more than three standard errors from zero, shape (m,)."""
        return np.abs(self.coefficients) > 3 * self.errors


def hermite_expansion(
    target: Any,
    d: int | None = None,
    *,
    degree: int | None = None,
    n_samples: int = 20_000,
    seed: int = 0,
) -> HermiteExpansion:
    r"""Expand a scalar target in Hermite polynomials of standard normal inputs.

    ``c_α = E[f*(x) Π_i h_{α_i}(x_i)]``. Targets with a formula (`HermiteTarget`, `Parity`,
    `IndexTarget`, `Teacher`) are expanded exactly; other functions by tensor quadrature for
    ``d ≤ 3`` and by least squares over ``n_samples`` random inputs above, which is exact for
    polynomials of that degree; data by least squares.

    Parameters
    ----------
    target : Target, callable, or tuple (X, y)
        ``f*``, from (n, d) to (n,); or inputs, taken to be standard normal, and values.
    d : int, optional
        Input dimension; needed for a callable that does not record it.
    degree : int, optional
        Largest total degree. By default that of a polynomial target, otherwise 6, or less where
        there would be more than 5000 terms.
    n_samples, seed : int
        Random inputs for least squares, and their seed.

    Returns
    -------
    HermiteExpansion
        Terms that are not zero, with errors, norm and tail.

    Raises
    ------
    TypeError, ValueError
        If `target` cannot be evaluated, is not scalar or finite, or has too many terms.

    References
    ----------
    R. O'Donnell, *Analysis of Boolean Functions* (2014), section 11.2 (Hermite polynomials of
    Gaussian inputs). [ISD] abstract (the Barron–Hermite condition on a target).

    Examples
    --------
    >>> from meanfield.dictionary import hermite_expansion
    >>> e = hermite_expansion(lambda X: X[:, 0] ** 2 * X[:, 1], d=2, degree=3)
    >>> {tuple(map(int, i)): round(float(c), 6) for i, c in zip(e.indices, e.coefficients)}
    {(0, 1): 1.0, (2, 1): 1.414214}
    """
    d = _dimension(target, d)
    degree = expansion_degree(target, d, degree)
    if isinstance(target, HermiteTarget | Parity):
        return _from_terms(recorded_terms(target), degree)
    if isinstance(target, Teacher):
        return _of_network(target.a, target.w, target.b, target.activation, degree)
    if isinstance(target, IndexTarget):
        w, link = target.directions, target.link
        if isinstance(link, HermiteTarget):
            return _from_terms(_rotated_terms(link, w), degree)
        return _of_network(np.ones(len(w)), w, None, link, degree)
    if isinstance(target, tuple):
        checks.unmasked("target", *target)
        X, y = (np.asarray(part, dtype=float) for part in target)
        if not np.isfinite(X).all():
            raise ArgumentError(
                "target", message="The inputs of the target have NaN or infinite values."
            )
        return _least_squares(X, _scalar(y, len(X)), multi_indices(d, degree))
    if d <= 3:
        return _quadrature(target, d, degree)
    indices = multi_indices(d, degree)
    rng = generator(checks.seed(seed))
    X = _christoffel_sample(indices, max(n_samples, 4 * len(indices)), rng)
    return _least_squares(X, _scalar(target(X), len(X)), indices, equal_leverage=True)


def multi_indices(d: int, degree: int) -> Array:
    """Return every multi-index with ``|α| ≤ degree``, by degree, shape (m, d)."""
    rows = [
        np.bincount(np.array(chosen, dtype=int), minlength=d)
        for k in range(degree + 1)
        for chosen in combinations_with_replacement(range(d), k)
    ]
    return np.array(rows)


def evaluate_basis(indices: Array, X: Array) -> Array:
    """Evaluate ``Π_i h_{α_i}(x_i)``, shape (n, m)."""
    table = hermite_table(X, int(indices.max(initial=0)))
    out = np.ones((len(X), len(indices)))
    for i in range(X.shape[1]):
        used = np.flatnonzero(indices[:, i])
        out[:, used] *= table[indices[used, i], :, i].T
    return out


def _dimension(target: Any, d: int | None) -> int:
    """Return the input dimension, from the target or the argument."""
    if isinstance(target, tuple):
        X = np.asarray(target[0])
        if len(target) != 2 or X.ndim != 2:
            raise ArgumentError("target", "as data must be a tuple (X, y) with X of shape (n, d).")
        known = X.shape[1]
    elif not callable(target):
        raise ArgumentTypeError(
            "target", f"must be callable or data (X, y), got {type(target).__name__}."
        )
    else:
        known = getattr(target, "n_features", None)
    if known is None:
        if d is None:
            raise ArgumentError("d", "is needed: this target does not record its input dimension.")
        return checks.count("d", d)
    if d is not None and d != known:
        raise ArgumentError("d", f"is {d} but the target has {known} inputs.")
    return int(known)


def expansion_degree(target: Any, d: int, degree: int | None) -> int:
    """Return the largest degree, filled in from the target or the number of terms."""
    if degree is None:
        link = target.link if isinstance(target, IndexTarget) else target
        if isinstance(link, HermiteTarget | Parity):
            return max(sum(index) for index in recorded_terms(link))
        degree = DEFAULT_DEGREE
        while degree > 1 and math.comb(d + degree, degree) > TERM_LIMIT:
            degree -= 1
        return degree
    degree = checks.count("degree", degree, minimum=0)
    n_terms = math.comb(d + degree, degree)
    if not isinstance(target, HermiteTarget | Parity) and n_terms > TERM_LIMIT:
        raise ArgumentError(
            "degree",
            f"{degree} in {d} dimensions has {n_terms} terms, more than {TERM_LIMIT}; lower the "
            "degree.",
        )
    return degree


def _scalar(values: Any, n: int) -> Array:
    """Check the values of a target."""
    checks.unmasked("target", values)
    values = np.asarray(values, dtype=float)
    if values.shape not in ((n,), (n, 1)):
        raise ArgumentError(
            "target", message=f"The target must be scalar, shape ({n},), got {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ArgumentError("target", message="The target has NaN or infinite values.")
    return values.reshape(n)


def _finish(
    indices: Array, coefficients: Array, errors: Array, method: str, degree: int, square: float
) -> HermiteExpansion:
    """Drop terms that are rounding; work out norm and tail."""
    norm = math.sqrt(max(square, 0.0))
    keep = np.abs(coefficients) > np.maximum(ROUNDING * norm, np.where(errors > 0, 0, errors))
    tail_square = square - float(coefficients @ coefficients)
    tail = math.sqrt(tail_square) if tail_square > 1e-14 * square else 0.0
    return HermiteExpansion(
        indices[keep], coefficients[keep], errors[keep], method, degree, norm, tail
    )


def _from_terms(terms: Terms, degree: int) -> HermiteExpansion:
    """Order the terms of a polynomial; those above `degree` make the tail."""
    chosen = sorted((k for k in terms if sum(k) <= degree), key=lambda k: (sum(k), k[::-1]))
    indices = np.array(chosen, dtype=int).reshape(len(chosen), len(next(iter(terms))))
    coefficients = np.array([terms[k] for k in chosen])
    square = sum(c * c for c in terms.values())
    return _finish(indices, coefficients, np.zeros(len(chosen)), "exact", degree, square)


def recorded_terms(target: HermiteTarget | Parity) -> Terms:
    """Read the terms of a target that is a Hermite polynomial."""
    if isinstance(target, HermiteTarget):
        return {k: c for k, c in target.coefficients.items() if c}
    index = np.zeros(target.n_features, dtype=int)
    index[list(target.coordinates)] = 1
    return {tuple(map(int, index)): 1.0}


def _rotated_terms(link: HermiteTarget, directions: Array) -> Terms:
    """Expand ``Π_j h_{β_j}(⟨u_j, x⟩)``: the product ``Π_j ⟨u_j, x⟩^{β_j}``, Wick-ordered."""
    terms: Terms = {}
    for index, coefficient in link.coefficients.items():
        scaled = coefficient / math.sqrt(math.prod(map(math.factorial, index)))
        product = {(0,) * directions.shape[1]: scaled}
        for direction, power in zip(directions, index, strict=True):
            for _ in range(power):
                product = _times_linear(product, direction)
        for k, c in product.items():
            terms[k] = terms.get(k, 0.0) + c * math.sqrt(math.prod(map(math.factorial, k)))
    return terms


def _times_linear(polynomial: Terms, direction: Array) -> Terms:
    """Multiply a polynomial in monomials by ``⟨u, x⟩``."""
    out: Terms = {}
    for index, c in polynomial.items():
        for j, u in enumerate(direction):
            if u:
                raised = (*index[:j], index[j] + 1, *index[j + 1 :])
                out[raised] = out.get(raised, 0.0) + c * float(u)
    if len(out) > 100 * TERM_LIMIT:
        raise ArgumentError(
            "degree", message="This polynomial has too many terms in the original coordinates."
        )
    return out


def _of_network(
    a: Array, w: Array, b: Array | None, activation: Activation, degree: int
) -> HermiteExpansion:
    """``c_α = Σ_m a_m σ_k(|w_m|, b_m) √(k!/α!) ŵ_m^α`` with ``k = |α|``."""
    b = np.zeros(len(w)) if b is None else b
    if a.ndim == 2 and a.shape[1] == 1:
        a = a[:, 0]
    if a.ndim != 1:
        raise ArgumentError(
            "target",
            message="The target must be scalar; expand the outputs of a teacher one by one.",
        )
    indices = multi_indices(w.shape[1], degree)
    r = np.linalg.norm(w, axis=1)
    unit = w / np.where(r > 0, r, 1)[:, None]
    table = coefficient_table(activation, degree, r, b)
    log_factorial = np.array([math.lgamma(k + 1) for k in range(degree + 1)])
    k = indices.sum(axis=1)
    multiplicity = np.exp(0.5 * (log_factorial[k] - log_factorial[indices].sum(axis=1)))
    powers = np.prod(unit[:, None, :] ** indices[None], axis=2)
    coefficients = (a @ (table[:, k] * powers)) * multiplicity
    square = l2_norm(canonical((a, w, b), activation, normalisation="sum"))[0] ** 2
    return _finish(indices, coefficients, np.zeros(len(k)), "exact", degree, square)


def _quadrature(target: Callable[[Array], Any], d: int, degree: int) -> HermiteExpansion:
    """Tensor Gauss–Hermite rule; the error is three times the change from one of 3/4 the nodes.

    For a function with kinks the error falls no faster than one over the number of nodes, and that
    is its size.
    """
    indices = multi_indices(d, degree)
    found = []
    for n_nodes in ((120, 90), (72, 54), (36, 27))[d - 1]:
        z, weight = np.polynomial.hermite_e.hermegauss(max(n_nodes, degree + 2))
        X = np.stack(np.meshgrid(*[z] * d, indexing="ij"), axis=-1).reshape(-1, d)
        probability = weight / weight.sum()
        joint = np.prod(np.stack(np.meshgrid(*[probability] * d), axis=-1).reshape(-1, d), axis=1)
        values = _scalar(target(X), len(X))
        found.append((evaluate_basis(indices, X).T @ (joint * values), joint @ values**2))
    (coefficients, square), (coarse, _) = found
    rounding = 1e-14 * math.sqrt(square)
    errors = np.maximum(3 * np.abs(coefficients - coarse), rounding)
    return _finish(indices, coefficients, errors, "quadrature", degree, float(square))


def _christoffel_sample(indices: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw from the mean of ``h_α² φ`` over the indices, so that all inputs weigh alike in a fit.

    Cohen and Migliorati, "Optimal weighted least-squares methods", 2017. Standard normal inputs
    would leave high degrees to a few far points, and error bars that cannot be trusted.
    """
    degree = int(indices.max(initial=0))
    z = np.linspace(-1, 1, 4001) * (8 + 2 * math.sqrt(degree))
    density = hermite_table(z, degree) ** 2 * np.exp(-z * z / 2)
    cumulative = np.cumsum(density, axis=1)
    chosen = indices[rng.integers(len(indices), size=n)]
    uniform = rng.random(chosen.shape)
    X = np.empty(chosen.shape)
    for k in range(degree + 1):
        here = chosen == k
        X[here] = np.interp(uniform[here], cumulative[k] / cumulative[k, -1], z)
    return X


def _least_squares(
    X: Array, y: Array, indices: Array, *, equal_leverage: bool = False
) -> HermiteExpansion:
    """Regress on the basis; standard errors allow for residuals that depend on x (HC3)."""
    m, degree = len(indices), int(indices.sum(axis=1).max())
    inputs, groups = (
        np.unique(row_groups(*rows), return_inverse=True)[1] for rows in ((X,), (X, y))
    )
    n_inputs, n = int(inputs.max()) + 1, int(groups.max()) + 1
    if n_inputs < 2 * m:
        distinct = "distinct inputs" if n_inputs < len(X) else "data points"
        raise ArgumentError(
            "degree",
            message=f"{n_inputs} {distinct} cannot determine {m} Hermite coefficients; lower the "
            f"degree or give at least {2 * m}.",
        )
    basis = evaluate_basis(indices, X)
    if equal_leverage:
        root = np.sqrt(m / (basis**2).sum(axis=1))
        basis, y = basis * root[:, None], y * root
    gram = np.linalg.inv(basis.T @ basis)
    coefficients = gram @ (basis.T @ y)
    residual = y - basis @ coefficients
    if np.linalg.norm(residual) < 1e-9 * np.linalg.norm(y):
        # One step of refinement, so that polynomials come out exact.
        coefficients = coefficients + gram @ (basis.T @ residual)
        residual = y - basis @ coefficients
    leverage = np.einsum("nm,nm->n", basis @ gram, basis)
    if n < len(X):  # rows that are repeated are one observation with more weight
        leverage = np.bincount(groups, leverage)[groups]
    influence = (basis * (residual / (1 - np.minimum(leverage, 0.999)))[:, None]) @ gram
    if n < len(X):
        by_group = np.zeros((n, m))
        np.add.at(by_group, groups, influence)
        influence = by_group
    errors = np.sqrt((influence**2).sum(axis=0))
    noise = residual @ residual / (n - m) * (n / len(X))
    square = float(coefficients @ coefficients) + (noise if noise > 1e-18 * (y @ y) / n else 0.0)
    return _finish(indices, coefficients, errors, "least squares", degree, square)
