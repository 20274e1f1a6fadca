"""Assumption 4.1: no two inputs orthogonal, no input equally inclined to two others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.problem.validation import as_inputs
from meanfield.system.generators import generator

_SHOWN = 5
_LISTED = 100


@dataclass(frozen=True, eq=False)
class InputCheck:
    """Whether inputs satisfy Assumption 4.1, and what to do if not.

    Attributes
    ----------
    holds : bool
        The verdict; also the truth value of the object.
    zero_pairs, equal_triples : tuple of (int, int) or (int, int, int)
        Pairs ``i < j`` with ``⟨ξ_i, ξ_j⟩ = 0``, and triples ``(i, j, k)`` with
        ``|⟨ξ_i, ξ_j⟩| = |⟨ξ_i, ξ_k⟩|``, at most 100 of each; of several equal products, neighbours.
    n_zero_pairs, n_equal_triples : int
        How many there are.
    margin : float
        Smallest relative size or difference of inner products; 0 when the assumption fails
        exactly.
    perturbation, perturbed : float or None, ndarray or None
        Standard deviation of Gaussian noise, relative to the root mean square of the entries, that
        makes the assumption hold, and the inputs with it; None when none is needed, or none up to
        0.1 suffices.
    summary : str
        The verdict with the first offenders.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> check = mf.deep.check_inputs(np.eye(3))
    >>> bool(check), check.zero_pairs
    (False, ((0, 1), (0, 2), (1, 2)))
    """

    holds: bool
    zero_pairs: tuple[tuple[int, int], ...]
    equal_triples: tuple[tuple[int, int, int], ...]
    n_zero_pairs: int
    n_equal_triples: int
    margin: float
    perturbation: float | None
    perturbed: np.ndarray | None
    summary: str

    def __bool__(self) -> bool:
        return self.holds


def check_inputs(X: Any, *, tol: float = 1e-12, seed: int = 0) -> InputCheck:
    """Check that inner products are non-zero and distinct, [RFL] Assumption 4.1.

    For any three different inputs, :math:`|⟨ξ_i, ξ_j⟩| ≠ |⟨ξ_i, ξ_k⟩|`, and
    :math:`|⟨ξ_i, ξ_j⟩| ≠ 0` for :math:`i ≠ j`. Points in general position satisfy it with
    probability one.

    Parameters
    ----------
    X : array_like of shape (m, d)
        Inputs.
    tol : float
        Inner products count as equal, or zero, when they differ by less than `tol` relative to the
        norms of the inputs.
    seed : int
        Seed of the suggested perturbation.

    Returns
    -------
    InputCheck
        Verdict, offenders, and a perturbation that helps.

    Raises
    ------
    ValueError, TypeError
        If `X` is not a finite matrix of numbers.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> bool(mf.deep.check_inputs(np.eye(3)).holds)  # orthogonal inputs: products of 0
    False
    """
    X = as_inputs(X)
    tol = checks.nonnegative("tol", tol)
    unit = np.abs(X).max() or 1.0  # products of very large or small entries leave the numbers
    X = X / unit
    zero, equal, margin = _offenders(X, tol)
    holds = not (len(zero) or len(equal))
    perturbation, perturbed = (None, None) if holds else _perturb(X, tol, checks.seed(seed))
    if perturbed is not None:
        perturbed *= unit
    return InputCheck(
        holds=holds,
        zero_pairs=tuple((int(i), int(j)) for i, j in zero[:_LISTED]),
        equal_triples=tuple((int(i), int(j), int(k)) for i, j, k in equal[:_LISTED]),
        n_zero_pairs=len(zero),
        n_equal_triples=len(equal),
        margin=margin,
        perturbation=perturbation,
        perturbed=perturbed,
        summary=_summary(zero, equal, margin, perturbation),
    )


def _offenders(X: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return orthogonal pairs, equally inclined triples and the smallest relative difference."""
    m = len(X)
    norms = np.linalg.norm(X, axis=1)
    scale = np.outer(norms, norms)
    # A zero input is orthogonal to everything.
    cosine = np.divide(np.abs(X @ X.T), scale, out=np.zeros((m, m)), where=scale > 0)
    off = ~np.eye(m, dtype=bool)
    zero = np.argwhere(np.triu(off) & (cosine <= tol))
    margin = cosine[off].min() if m > 1 else np.inf
    triples = []
    for i in range(m):
        others = np.flatnonzero(off[i])
        products = cosine[i, others] * norms[others]
        order = np.argsort(products, kind="stable")
        sizes = np.maximum(norms[others[order[1:]]], norms[others[order[:-1]]])
        gaps = np.divide(np.diff(products[order]), sizes, out=np.zeros(len(sizes)), where=sizes > 0)
        if len(gaps):
            margin = min(margin, gaps.min())
        for place in np.flatnonzero(gaps <= tol):
            j, k = sorted((others[order[place]], others[order[place + 1]]))
            triples.append((i, j, k))
    return zero, np.array(triples, dtype=np.int64).reshape(-1, 3), float(margin)


def _perturb(X: np.ndarray, tol: float, seed: int) -> tuple[float | None, np.ndarray | None]:
    """Find the smallest power of ten of noise after which the inputs pass with room to spare."""
    noise = generator(seed).standard_normal(X.shape)
    size = np.sqrt(np.mean(np.square(X))) or 1.0
    for exponent in range(-8, 0):
        candidate = X + 10.0**exponent * size * noise
        if _offenders(candidate, 10 * tol)[2] > 10 * tol:
            return 10.0**exponent, candidate
    return None, None


def _summary(zero: np.ndarray, equal: np.ndarray, margin: float, perturbation: float | None) -> str:
    if not (len(zero) or len(equal)):
        if not np.isfinite(margin):
            return "Assumption 4.1 holds: there are no two inputs to compare."
        return f"Assumption 4.1 holds; inner products differ by at least {margin:.2g}, relatively."
    causes = []
    if len(zero):
        shown = ", ".join(f"⟨ξ_{i}, ξ_{j}⟩" for i, j in zero[:_SHOWN])
        causes.append(f"{len(zero)} inner products vanish ({shown}{_more(zero)})")
    if len(equal):
        shown = ", ".join(f"|⟨ξ_{i}, ξ_{j}⟩| = |⟨ξ_{i}, ξ_{k}⟩|" for i, j, k in equal[:_SHOWN])
        causes.append(f"{len(equal)} coincide up to sign ({shown}{_more(equal)})")
    remedy = (
        "no noise up to a tenth of the inputs' size helps"
        if perturbation is None
        else f"Gaussian noise of {perturbation:.0e} times the size of the entries makes it hold"
    )
    return f"Assumption 4.1 fails: {' and '.join(causes)}; {remedy}."


def _more(found: np.ndarray) -> str:
    return ", …" if len(found) > _SHOWN else ""
