"""Definition 4.2: which activations keep compositions from degenerating (GOOD functions)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield.problem.activations import Activation, get_activation

_Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Goodness:
    """The verdict on Definition 4.2.

    Attributes
    ----------
    good : bool
        The verdict; also the truth value of the object.
    reason, proved : str, bool
        Why, and whether that is an argument; otherwise it is numerical evidence.
    terms : tuple of (float, float, float) or None
        A counter-example to condition (a): triples ``(a, b, c)`` with different ``|b|`` for which
        ``Σ a ϕ(b x + c)`` is constant.
    factors : (float, float) or None
        One to condition (b): ``(r1, r2)`` with ``(r1 + ϕ)(r2 + ϕ′)`` constant almost everywhere.
    regular : bool or None
        Whether Assumption 4.3 holds in full: GOOD, twice continuously differentiable, ϕ′ and ϕ″
        bounded, level sets of ϕ and ϕ′ countable. None when that is not known.

    Examples
    --------
    >>> from meanfield.deep import is_good
    >>> verdict = is_good("relu")
    >>> verdict.good, verdict.terms
    (False, ((1.0, 2.0, 0.0), (-2.0, 1.0, 0.0)))
    """

    good: bool
    reason: str
    proved: bool
    terms: tuple[tuple[float, float, float], ...] | None = None
    factors: tuple[float, float] | None = None
    regular: bool | None = None

    def __bool__(self) -> bool:
        return self.good


_TAILS = (
    "Up to {rest}, {name} tends to its limits like {tail}, so in Σ a ϕ(b x + c) the term with the "
    "smallest |b| ≠ 0 dominates the tail and cannot be cancelled: the sum is not constant. "
)
_LIMITS = (
    "(r1 + ϕ)(r2 + ϕ′) has different limits at ±∞ unless r2 = 0; then it tends to 0 without "
    "vanishing."
)
_GROWTH = (
    "(r1 + ϕ)(r2 + ϕ′) is bounded at +∞ only for r2 = −1, where it tends to 0, and at −∞ it then "
    "tends to −r1, so r1 = 0; but ϕ (ϕ′ − 1) does not vanish."
)
_WAVES = (
    "Waves of different frequencies |b| are linearly independent of each other and of constants, "
    "and (r1 + ϕ)(r2 + ϕ′) contains a wave of frequency 2, which neither factor cancels."
)

_PROOFS = {
    "tanh": _TAILS.format(rest="a constant", name="tanh", tail="exp(−2|x|)") + _LIMITS,
    "erf": _TAILS.format(rest="a constant", name="erf", tail="exp(−x²)/|x|") + _LIMITS,
    "sigmoid": _TAILS.format(rest="a constant", name="sigmoid", tail="exp(−|x|)") + _LIMITS,
    "silu": _TAILS.format(rest="a linear part", name="silu", tail="|x| exp(−|x|)") + _GROWTH,
    "gelu": _TAILS.format(rest="a linear part", name="gelu", tail="exp(−x²/2)") + _GROWTH,
    "softplus": _TAILS.format(rest="a linear part", name="softplus", tail="exp(−|x|)") + _GROWTH,
    "sin": _WAVES,
    "cos": _WAVES,
}


_WINDOW = 6.0
_SCALES = 1 + np.arange(8) / 2
_VANISHES = 1e-12


def is_good(
    activation: str | Activation | _Function, derivative: _Function | None = None
) -> Goodness:
    r"""Decide whether an activation is GOOD ([RFL] Definition 4.2, Assumption 4.3 and Appendix D).

    (a) For any finite sets with some :math:`a_k b_k ≠ 0` and :math:`|b_i| ≠ |b_j|`, the function
    :math:`\sum_i a_i ϕ(b_i x + c_i)` is not constant. (b) For no real :math:`r_1, r_2` is
    :math:`(r_1 + ϕ)(r_2 + ϕ′)` constant almost everywhere.

    Parameters
    ----------
    activation : str, Activation or callable
        A name, an entry of the table, or any function of an array.
    derivative : callable, optional
        Derivative of a callable; central differences otherwise.

    Returns
    -------
    Goodness
        For the activations of the project a proof or a counter-example; for a callable, a
        counter-example if one is found, else numerical evidence. Tried are combinations of up to
        eight scales without shifts, and, for a function that is constant, then linear, then
        constant, three ramps with shifts.

    Raises
    ------
    ValueError, TypeError
        If the activation is not known.

    Examples
    --------
    >>> from meanfield.deep import is_good
    >>> bool(is_good("tanh"))
    True
    >>> is_good("relu").terms
    ((1.0, 2.0, 0.0), (-2.0, 1.0, 0.0))
    """
    if callable(activation):
        return _search(activation, derivative or _central_differences(activation))
    known = get_activation(activation)
    if known.name in _PROOFS:
        return Goodness(True, _PROOFS[known.name], True, regular=True)
    if known.homogeneous:
        return _homogeneous(known)
    if isinstance(known.code, str):
        return _search(known.value, known.derivative)
    return _polynomial(known)


def _homogeneous(activation: Activation) -> Goodness:
    """Refute a positively homogeneous activation: ϕ(2x) = 2 ϕ(x)."""
    factors = {"relu": (0.0, -1.0), "identity": (0.0, -1.0), "he1": (0.0, -1.0)}
    return Goodness(
        False,
        f"{activation.name} is positively homogeneous: ϕ(2x) − 2ϕ(x) = 0.",
        True,
        ((1.0, 2.0, 0.0), (-2.0, 1.0, 0.0)),
        factors.get(activation.name),
        regular=False,
    )


def _polynomial(activation: Activation) -> Goodness:
    """Refute a polynomial: more scales than non-constant monomials are linearly dependent."""
    degree = activation.degree
    assert degree is not None
    powers = np.arange(degree, 0, -2)  # He_k has the parity of k
    scales = np.arange(1, len(powers) + 2)
    null = np.linalg.svd(scales.astype(float) ** powers[:, None])[2][-1]
    null = null / null[-1]
    return Goodness(
        False,
        f"{activation.name} is a polynomial of degree {degree}: its {len(powers)} non-constant "
        f"monomials cancel in a combination of {len(scales)} scales.",
        True,
        tuple((float(a), float(b), 0.0) for a, b in zip(null, scales, strict=True)),
        regular=False,
    )


def _central_differences(function: _Function) -> _Function:
    return lambda z: (function(z + 1e-5) - function(z - 1e-5)) / 2e-5


def _search(function: _Function, derivative: _Function) -> Goodness:
    """Look for a counter-example among scaled copies; report what was tried if there is none."""
    largest = _SCALES[-1] * _WINDOW
    if not np.isfinite(function(np.linspace(-largest, largest, 101))).all():
        raise ValueError(f"activation must be finite on [-{largest:.0f}, {largest:.0f}].")
    # A function may be steep: look near zero too, but not at it, where kinks sit.
    near = np.geomspace(1e-5, _WINDOW, 500)
    x = np.concatenate([np.linspace(-_WINDOW, _WINDOW, 2001) + 1e-3, near, -near])
    terms, closest = _ramp_terms(function), np.inf
    for count in range(1, len(_SCALES) + 1):
        if terms:
            break
        scales = _SCALES[:count]
        columns = np.stack([function(b * x) for b in scales], axis=1)
        columns = columns - columns.mean(axis=0)
        sizes = np.linalg.norm(columns, axis=0)
        if not np.all(sizes > 0):
            weights = (sizes == 0).astype(float)
        else:
            _, singular, directions = np.linalg.svd(columns / sizes, full_matrices=False)
            closest = min(closest, singular[-1])
            if singular[-1] >= _VANISHES:
                continue
            weights = directions[-1] / sizes
        # The first of the largest is 1; which of those that are alike is not for rounding to say.
        largest = np.argmax(np.abs(weights) > (1 - 1e-6) * np.abs(weights).max())
        weights = weights / weights[largest]
        found = tuple((float(a), float(b), 0.0) for a, b in zip(weights, scales, strict=True) if a)
        if _is_constant(function, found):
            terms = found
    factors = _constant_product(function(x), derivative(x))
    if terms or factors:
        return Goodness(False, "A counter-example was found numerically.", False, terms, factors)
    return Goodness(
        True,
        "No counter-example among combinations of up to eight scales without shifts: the nearest "
        f"to a constant leaves {closest:.1e} of its terms. This is evidence, not a proof.",
        False,
    )


def _is_constant(function: _Function, terms: tuple[tuple[float, float, float], ...]) -> bool:
    """Whether a combination that is constant on the window is so on all scales.

    A slow function is nearly a polynomial on any window, and a steep one nearly a sign.
    """
    distances = np.geomspace(1e-6, 1e6, 5000)
    x = np.concatenate([-distances[::-1], distances])
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.stack([a * function(b * x + c) for a, b, c in terms])
    usable = np.isfinite(parts).all(axis=0)
    x, parts = x[usable], parts[:, usable]
    total, size = parts.sum(axis=0), np.abs(parts).max(axis=0)
    typical = size[np.abs(x) < _SCALES[-1] * _WINDOW].max()
    return bool((np.abs(total - np.median(total)) <= 1e-9 * (size + typical)).all())


def _ramp_terms(function: _Function) -> tuple[tuple[float, float, float], ...] | None:
    """Return a counter-example if the function is constant, then linear, then constant.

    Such a ramp h from −1 to 1 has ½ h(2x − 1) + h(x − 2) − (3/2) h((2/3) x − 1) constant: two
    ramps that follow each other make a longer one.
    """
    x = np.linspace(-_SCALES[-1] * _WINDOW, _SCALES[-1] * _WINDOW, 20_001)
    value = function(x)
    low, high = value[0], value[-1]
    middle = int(np.argmin(np.abs(value - (low + high) / 2)))
    slope = (value[middle + 1] - value[middle - 1]) / (x[middle + 1] - x[middle - 1])
    if low == high or slope == 0:
        return None
    start, end = x[middle] + (np.array([low, high]) - value[middle]) / slope
    if np.abs(np.interp(x, [start, end], [low, high]) - value).max() > 1e-12 * abs(high - low):
        return None
    radius, centre = (end - start) / 2, (start + end) / 2
    clip = ((0.5, 2.0, -1.0), (1.0, 1.0, -2.0), (-1.5, 2 / 3, -1.0))
    terms = tuple((a, b, float(radius * c + centre)) for a, b, c in clip)
    return terms if _is_constant(function, terms) else None


def _constant_product(value: np.ndarray, slope: np.ndarray) -> tuple[float, float] | None:
    """Solve ``r2 ϕ + r1 ϕ′ + ϕ ϕ′ = constant``, which is linear in r1 and r2."""
    design = np.stack([slope, value, np.ones_like(value)], axis=1)
    target = -value * slope
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    if np.linalg.norm(design @ solution - target) > 1e-8 * np.linalg.norm(target):
        return None
    return float(solution[0]), float(solution[1])
