"""The coefficient-threshold number and the Barron–Hermite norm of a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.hermite_expansion import HermiteExpansion, hermite_expansion
from meanfield.dictionary.penalty_count import capacities, principal_axes, rotated
from meanfield.dictionary.refit import Array
from meanfield.errors import ArgumentError
from meanfield.identify import activation_coefficients
from meanfield.problem import Activation, Problem, get_activation
from meanfield.system.threads import fixed_blas

FIXED = 0.05
"""Threshold where none is given, and no penalty."""
VANISHING = 1e-13
"""Activation coefficients below this, relative to the largest, are zero."""


@dataclass(frozen=True, eq=False)
class ThresholdNumber:
    r"""``S̄(ε) = Σ_{α : |c_α| > ε |σ_{|α|}|} rank(α)``, or ``S_up(λ)``, with its terms.

    Under a penalty ``S_up(λ) = Σ_{α ≠ 0 : |c_α| κ_{|α|} > λ} rank(α)``, with
    ``κ_k = sup_{t, b} |E[σ(t z + b) h_k(z)]| / √(t² + b²)``: a part that is no larger cannot carry
    an atom alone. It is a count, not a bound that is proved: small parts can add up to an atom, and
    one direction can take several.

    Attributes
    ----------
    number : int
        ``S̄(ε)`` or ``S_up(λ)``.
    low, high : int
        The number when coefficients move by three standard errors against it, or for it. Where the
        activation lacks the degree, and any coefficient at all would count, only those that are
        more than three standard errors from zero do.
    threshold : float
        ``ε``; or ``λ``, the geometric mean of two.
    expansion : HermiteExpansion
        ``c_α`` of the target; under a penalty in the eigenvectors of ``E[∇f* ∇f*ᵀ]``.
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
    capacities : ndarray of shape (degree + 1,) or None
        ``κ_k``, where there is a penalty.

    Examples
    --------
    >>> import meanfield as mf
    >>> target = mf.problem.Teacher([2.0], [[1.5, 0.0]], activation="tanh")
    >>> [mf.coefficient_threshold_number(target, "tanh", l2=l2).number for l2 in (3.0, 0.1)]
    [0, 1]
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
    capacities: Array | None = None


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


def own_threshold(problem: Problem, threshold: float | None) -> dict[str, Any]:
    """Return what counts for the networks of a problem: their own penalty, unless one is given."""
    if threshold is None and problem.l2_output > 0 and problem.l2_input > 0:
        return {"l2": (problem.l2_output, problem.l2_input), "bias": problem.bias}
    return {"threshold": threshold}


@fixed_blas()
def coefficient_threshold_number(
    target: Any,
    activation: str | Activation,
    threshold: float | None = None,
    *,
    l2: float | tuple[float, float] | None = None,
    bias: bool = True,
    d: int | None = None,
    degree: int | None = None,
    n_samples: int = 20_000,
    seed: int = 0,
) -> ThresholdNumber:
    r"""Count the parts of a target that may call for an atom, from its Hermite coefficients.

    A count to set beside the atoms of a network, not a bound that is proved.

    ``S̄(ε) = Σ_{α : |c_α| > ε |σ_{|α|}|} rank(α)``, with ``c_α`` of the target and ``σ_k`` of the
    activation in orthonormal Hermite polynomials, and ``rank(α)`` a bound on the real Waring rank
    of the monomial. The constant counts for nothing: it takes no active atom.

    Parameters
    ----------
    target : Target, HermiteExpansion, callable, or tuple (X, y)
        ``f*``; see `hermite_expansion`.
    activation : str or Activation
        σ.
    threshold : float, optional
        ``ε > 0``; by default 0.05, where no penalty is given.
    l2 : float or (float, float), optional
        Penalty ``λ > 0`` of the network, or those of its output and input weights: counts the parts
        that can carry an atom under it, ``S_up(λ)``, instead.
    bias : bool
        Whether atoms under the penalty have a bias.
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
    ``S_up(σ, ρ, f*, λ)`` follows from the potential: an atom can sit only where
    ``|E[r σ(⟨w, x⟩ + b)]| ≥ λ |(w, b)|``, with the residual ``r = f*``, up to sign, for the first
    atom; that is proved. The number is a rule of thumb: it asks whether each part, if it were all
    of the target, could carry an atom. Small parts can add up to one, one direction can take
    several as ``λ → 0``, and one atom can carry many parts. Coefficients
    depend on axes: under a penalty they are the eigenvectors of ``E[∇f* ∇f*ᵀ]``.

    Examples
    --------
    >>> from meanfield.dictionary import coefficient_threshold_number
    >>> from meanfield.problem import HermiteTarget
    >>> coefficient_threshold_number(HermiteTarget(2, {"1": 1.0, "1,1": 0.5}), "relu").number
    3
    """
    activation = get_activation(activation)
    if l2 is not None and threshold is not None:
        raise ArgumentError(
            "threshold",
            message="threshold and l2 are two ways to say which parts count; give one of them.",
        )

    def expand(target: Any, d: int | None) -> HermiteExpansion:
        return hermite_expansion(target, d, degree=degree, n_samples=n_samples, seed=seed)

    expansion = target if isinstance(target, HermiteExpansion) else expand(target, d)
    if l2 is not None:
        pair = l2 if isinstance(l2, tuple | list) else (l2, l2)
        penalty = math.sqrt(math.prod(checks.positive("l2", part) for part in pair))
        axes = None if expansion is target else principal_axes(expansion)
        if axes is not None:
            expansion = expand(rotated(target, axes), len(axes))
        return _under_penalty(expansion, activation, penalty, bias)
    threshold = FIXED if threshold is None else checks.positive("threshold", threshold)
    sigma = _coefficients_of(activation, expansion.degree)
    size, k = np.abs(expansion.coefficients), expansion.degrees
    level = np.abs(sigma)[k]
    error, seen = 3 * expansion.errors, expansion.seen
    kept = (size > threshold * level) & seen
    surely = size - error > threshold * level
    perhaps = (size + error > threshold * level) & (seen | (level > 0))
    return _counted(
        expansion, sigma, threshold, (kept, surely, perhaps), f"S̄({threshold:g})", activation
    )


def _under_penalty(
    expansion: HermiteExpansion, activation: Activation, penalty: float, bias: bool
) -> ThresholdNumber:
    """Count the parts that can carry an atom under a penalty."""
    capacity = capacities(activation, expansion.degree, bias)
    size, error = np.abs(expansion.coefficients), 3 * expansion.errors
    reach = capacity[expansion.degrees]
    kept = (size * reach > penalty) & expansion.seen
    surely, perhaps = (size - error) * reach > penalty, (size + error) * reach > penalty
    sigma = _coefficients_of(activation, expansion.degree)
    chosen = (kept, surely, perhaps)
    found = _counted(expansion, sigma, penalty, chosen, f"S_up(λ = {penalty:g})", activation)
    text = (
        f" Counted in the eigenvectors of E[∇f* ∇f*ᵀ], parts of which each alone can carry an atom"
        f" {'with' if bias else 'without'} bias under the penalty; not a bound that is proved."
    )
    return replace(found, explanation=found.explanation + text, capacities=capacity)


def _coefficients_of(activation: Activation, degree: int) -> Array:
    """Return ``σ_k``, those that are rounding set to zero."""
    sigma = activation_coefficients(activation, degree)
    # A degree beyond the target's may carry the scale, as for high Hermite activations.
    scale = np.abs(activation_coefficients(activation, degree + 8)).max()
    sigma[np.abs(sigma) <= VANISHING * scale] = 0.0
    return sigma


def _counted(
    expansion: HermiteExpansion,
    sigma: Array,
    threshold: float,
    chosen: tuple[Array, Array, Array],
    name: str,
    activation: Activation,
) -> ThresholdNumber:
    """Count the terms that are kept, surely kept and perhaps kept, with norms and tails."""
    size, k = np.abs(expansion.coefficients), expansion.degrees
    level, kept = np.abs(sigma)[k], chosen[0]
    ranks = np.array([waring_rank_bound(index) for index in expansion.indices], dtype=int)
    number, low, high = (int(ranks[some].sum()) for some in chosen)
    counted = (ranks > 0) & expansion.seen
    missing = tuple(int(j) for j in np.unique(k[counted & (level == 0)]))
    ratio = np.divide(size, level, out=np.full(len(size), np.inf), where=level > 0)
    norm = math.inf if missing else float(ratio[counted].sum())
    tail = math.hypot(expansion.tail, float(np.linalg.norm(size[~kept & (k > 0)])))
    text = f"{name} = {number}"
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
