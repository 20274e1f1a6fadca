"""The coefficient-threshold number and the Barron–Hermite norm of a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.hermite_expansion import HermiteExpansion, hermite_expansion
from meanfield.dictionary.refit import Array
from meanfield.identify import activation_coefficients
from meanfield.problem import Activation, get_activation

VANISHING = 1e-13
"""Activation coefficients below this, relative to the largest, are zero."""


@dataclass(frozen=True, eq=False)
class ThresholdNumber:
    r"""``S̄(ε) = Σ_{α : |c_α| > ε |σ_{|α|}|} rank(α)`` with its terms.

    Attributes
    ----------
    number : int
        ``S̄(ε)``.
    low, high : int
        The number when coefficients move by three standard errors against it, or for it. Where the
        activation lacks the degree, and any coefficient at all would count, only those that are
        more than three standard errors from zero do.
    threshold : float
        ``ε``.
    expansion : HermiteExpansion
        ``c_α`` of the target.
    activation_coefficients : ndarray of shape (degree + 1,)
        ``σ_k``.
    ranks : ndarray of int, shape (m,)
        Upper bound on the real Waring rank of each ``x^α``; 0 for the constant.
    kept : ndarray of bool, shape (m,)
        Terms above the threshold, and more than three standard errors from zero.
    barron_norm, barron_tail : float
        ``Σ_α |c_α| / |σ_{|α|}|`` over the expansion, infinite when a degree is missing, and over
        the terms that are not kept.
    l2_tail : float
        L² norm of what is not kept, terms above the degree of the expansion included.
    missing_degrees : tuple of int
        Degrees that the target has and the activation lacks.
    explanation : str
        One or two sentences.
    """

    number: int
    low: int
    high: int
    threshold: float
    expansion: HermiteExpansion
    activation_coefficients: Array
    ranks: Array
    kept: Array
    barron_norm: float
    barron_tail: float
    l2_tail: float
    missing_degrees: tuple[int, ...]
    explanation: str


def waring_rank_bound(index: Sequence[int]) -> int:
    r"""Bound how many powers of real linear forms make the monomial ``x^α``: its Waring rank.

    1 for one variable, ``α_1 + α_2`` for two (exact; Boij, Carlini, Geramita, "Monomials as sums of
    powers: the real binary case", 2011), ``⌊½ Π_i (α_i + 1)⌋`` for more, by central differences
    (Kan, "From moments of sum to moments of product", 2008); 0 for the constant, which takes no
    active atom.
    """
    powers = [int(k) for k in index if k]
    if len(powers) <= 1:
        return len(powers)
    if len(powers) == 2:
        return sum(powers)
    return math.prod(k + 1 for k in powers) // 2


def coefficient_threshold_number(
    target: Any,
    activation: str | Activation,
    threshold: float = 0.05,
    *,
    d: int | None = None,
    degree: int | None = None,
    n_samples: int = 20_000,
    seed: int = 0,
) -> ThresholdNumber:
    r"""Bound the number of atoms that a target needs, from its Hermite coefficients.

    ``S̄(ε) = Σ_{α : |c_α| > ε |σ_{|α|}|} rank(α)``, with ``c_α`` of the target and ``σ_k`` of the
    activation in orthonormal Hermite polynomials, and ``rank(α)`` a bound on the real Waring rank
    of the monomial. The constant counts for nothing: it takes no active atom.

    Parameters
    ----------
    target : Target, HermiteExpansion, callable, or tuple (X, y)
        ``f*``; see `hermite_expansion`.
    activation : str or Activation
        σ.
    threshold : float
        ``ε > 0``.
    d, degree, n_samples, seed
        As for `hermite_expansion`.

    Returns
    -------
    ThresholdNumber
        The number, its terms, the Barron–Hermite norm and the tails.

    Raises
    ------
    TypeError, ValueError
        If `target` cannot be evaluated or expanded, or a number is out of range.

    Notes
    -----
    Operational definition, after the abstract of [ISD] ("explicit coefficient-threshold number",
    "Barron-Hermite target condition"). Coefficients of the activation are those at zero bias.

    Examples
    --------
    >>> from meanfield.dictionary import coefficient_threshold_number
    >>> from meanfield.problem import HermiteTarget
    >>> coefficient_threshold_number(HermiteTarget(2, {"1": 1.0, "1,1": 0.5}), "relu").number
    3
    """
    activation = get_activation(activation)
    threshold = checks.positive("threshold", threshold)
    expansion = target
    if not isinstance(target, HermiteExpansion):
        expansion = hermite_expansion(target, d, degree=degree, n_samples=n_samples, seed=seed)
    sigma = activation_coefficients(activation, expansion.degree)
    # A degree beyond the target's may carry the scale, as for high Hermite activations.
    scale = np.abs(activation_coefficients(activation, expansion.degree + 8)).max()
    sigma[np.abs(sigma) <= VANISHING * scale] = 0.0
    size, k = np.abs(expansion.coefficients), expansion.degrees
    level = np.abs(sigma)[k]
    ranks = np.array([waring_rank_bound(index) for index in expansion.indices], dtype=int)
    error, seen = 3 * expansion.errors, expansion.seen
    kept = (size > threshold * level) & seen
    surely = size - error > threshold * level
    perhaps = (size + error > threshold * level) & (seen | (level > 0))
    number, low, high = (int(ranks[chosen].sum()) for chosen in (kept, surely, perhaps))
    counted = (ranks > 0) & seen
    missing = tuple(int(j) for j in np.unique(k[counted & (level == 0)]))
    ratio = np.divide(size, level, out=np.full(len(size), np.inf), where=level > 0)
    norm = math.inf if missing else float(ratio[counted].sum())
    tail = math.hypot(expansion.tail, float(np.linalg.norm(size[~kept & (k > 0)])))
    text = f"S̄({threshold:g}) = {number}"
    if low < high:
        text += f", {low} to {high} within the errors of the coefficients"
    text += f"; L² norm of what is not kept {tail:.3g}; Barron–Hermite norm "
    text += "infinite: " if missing else f"{norm:.4g}."
    if missing:
        text += f"the target has degrees {list(missing)} and {activation.name} lacks them at zero "
        text += "bias, so atoms without bias cannot reach them."
    return ThresholdNumber(
        number,
        low,
        high,
        threshold,
        expansion,
        sigma,
        ranks,
        kept,
        norm,
        float(ratio[counted & ~kept].sum()),
        tail,
        missing,
        text,
    )
