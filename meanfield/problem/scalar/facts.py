"""What the theory asks of an activation, found for a function of one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ArgumentError
from meanfield.problem.scalar.derivative import derived
from meanfield.problem.scalar.program import Program

Array = NDArray[np.float64]
_Function = Callable[[Array], Array]

# Off round numbers, where kinks and what a formula leaves out stand.
_NEAR = np.linspace(-30.0, 30.0, 120_001) + 1.2345e-5
_FAR = np.geomspace(30.0, 1e15, 3000)
_SMALL = np.geomspace(1.0371e-6, 0.9713, 200)  # kinks stand at round numbers
#: Where σ must be finite.
_REACH = 10.0
# The same points as `meanfield.identify.symmetry` holds the relation to.
_REFLECTED = np.linspace(0.0, 4.0, 21)


def check_derivative(
    value: _Function, slope: _Function, argument: str, of: str = "f", variable: str = "z"
) -> None:
    """Refuse a derivative that is not the limit of the differences of the values.

    `argument` is what an error calls it, `of` what the values are of, `variable` what they are in.
    At each point some difference, of steps from a tenth down to rounding, must agree to 1e-6.
    Kinks and jumps are narrower than the least steps.
    """
    z = np.concatenate([np.linspace(-_REACH, _REACH, 4001) + 1e-4, -_SMALL, _SMALL])
    given = slope(z)
    scale = np.abs(given[np.abs(z) < 4]).mean()
    least = np.full(z.shape, np.inf)
    for step in np.geomspace(1e-1, 1e-7, 13):
        h = step * np.maximum(np.abs(z), 0.1)
        inner, outer = (value(z + i * h) - value(z - i * h) for i in (1, 2))
        with np.errstate(all="ignore"):
            gap = np.abs((8 * inner - outer) / (12 * h) - given)
        least = np.minimum(least, np.where(np.isfinite(gap), gap, np.inf))
    usable = np.isfinite(value(z)) & (np.abs(value(z)) < 1e100)
    wrong = usable & ~(least <= 1e-6 * (np.abs(given) + scale))
    if wrong.any():
        i = int(np.argmax(np.where(wrong, least, 0.0)))
        h = 1e-4 * max(abs(z[i]), 0.1)
        difference = (value(z[i] + np.array([h])) - value(z[i] - np.array([h])))[0] / (2 * h)
        raise ArgumentError(
            argument,
            f"is {given[i]:.6g} at {variable} = {z[i]:.6g}, where differences of {of} give "
            f"{difference:.6g}; correct it, or leave it out to have it derived from {of}.",
        )


def check_finite(value: _Function, argument: str, variable: str = "z") -> None:
    """Refuse a function that is not finite everywhere around 0."""
    z = np.concatenate([np.linspace(-_REACH, _REACH, 4001), [-1.0, 1.0, 0.5]])
    bad = ~np.isfinite(value(z))
    if bad.any():
        raise ArgumentError(
            argument,
            f"is not finite at {variable} = {z[bad][0]:.6g}; it must be finite on "
            f"[-{_REACH:g}, {_REACH:g}].",
        )


@dataclass(frozen=True)
class Facts:
    """The recorded properties of a function of one number; see `Activation`."""

    sign: int
    remainder: tuple[float, ...]
    homogeneous: bool
    smooth: bool
    lipschitz: float
    curvature: float
    bounds: tuple[float, float] | None
    asymptote: tuple[float, float, float] | None
    degree: int | None


def find_facts(value: Program, slope: Program) -> Facts:
    """Find them by evaluation: near zero on a fine grid, far out to 1e15."""

    def sigma(z: Array) -> Array:
        return value.evaluate(z)[0]

    def rate(z: Array) -> Array:
        return slope.evaluate(z)[0]

    bend = derived(slope)
    sign, remainder = find_reflection(sigma)
    broken = value.is_piecewise and _jumps(sigma)
    bent = broken or (value.is_piecewise and _jumps(rate))
    kinked = bent or (value.is_piecewise and bend is not None and _jumps(_of(bend)))
    bounds = _bounds(sigma)
    polynomial = value.polynomial()
    return Facts(
        sign=sign,
        remainder=remainder,
        homogeneous=is_homogeneous(sigma),
        smooth=not kinked,
        lipschitz=math.inf if broken else _largest(rate),
        curvature=math.inf if bent or bend is None else _largest(_of(bend)),
        bounds=bounds,
        asymptote=_asymptote(sigma, rate, bounds),
        degree=None if polynomial is None else polynomial.degree(),
    )


def _of(program: Program) -> _Function:
    return lambda z: program.evaluate(z)[0]


def find_reflection(sigma: _Function) -> tuple[int, tuple[float, ...]]:
    """Return s and q of ``σ(z) = s σ(−z) + q(z)``, q affine; s is 0 where there is no such thing.

    The difference of both sides is even for s = −1, so that q is a number, and odd for s = 1.
    """
    z = _REFLECTED[1:]
    above, below = sigma(z), sigma(-z)
    scale = 1 + max(np.abs(above).max(), np.abs(below).max())
    constant = 2 * float(sigma(np.zeros(1))[0])
    if np.abs(above + below - constant).max() <= 5e-13 * scale:
        return -1, () if abs(constant) <= 1e-15 * scale else (constant,)
    slope = float((above - below) @ z / (z @ z))
    if np.abs(above - below - slope * z).max() <= 5e-13 * scale:
        return 1, () if abs(slope) <= 1e-15 * scale else (0.0, slope)
    return 0, ()


def is_homogeneous(sigma: _Function) -> bool:
    """Whether ``σ(cz) = c σ(z)`` for c > 0."""
    z = np.concatenate([-_SMALL, _SMALL, 4 * _REFLECTED, -4 * _REFLECTED])
    scale = np.abs(sigma(z))
    gaps = (np.abs(sigma(c * z) - c * sigma(z)) for c in (0.25, 3.0, 7.0))
    return all(bool((gap <= 1e-13 * scale).all()) for gap in gaps)


def _jumps(function: _Function) -> bool:
    """Whether a function has a jump, narrower than differences of neighbours can be refined."""
    value = function(_NEAR)
    steps = np.abs(np.diff(value))
    starts = np.argsort(np.where(np.isfinite(steps), steps, 0.0))[-64:]
    left, width = _NEAR[starts], _NEAR[1] - _NEAR[0]
    for _ in range(3):
        z = left[:, None] + width * np.linspace(0.0, 1.0, 101)
        width /= 100
        steps = np.abs(np.diff(function(z), axis=1))
        steps = np.where(np.isfinite(steps), steps, 0.0)
        left = z[np.arange(len(z)), steps.argmax(axis=1)]
    return bool(steps.max() > 1e-6 * (1e-3 + np.nanmean(np.abs(value[np.abs(_NEAR) < 4]))))


def _peak(function: _Function) -> float:
    """Return the largest value of a function near zero, zoomed in on."""
    value = function(_NEAR)
    value = np.where(np.isnan(value), -np.inf, value)
    starts, width = _NEAR[np.argsort(value)[-16:]], _NEAR[1] - _NEAR[0]
    best = float(value.max())
    for _ in range(3):
        z = starts[:, None] + width * np.linspace(-1.0, 1.0, 201)
        inside = function(z)
        inside = np.where(np.isnan(inside), -np.inf, inside)
        starts = z[np.arange(len(z)), inside.argmax(axis=1)]
        best, width = max(best, float(inside.max())), width / 100
    return best


def _largest(function: _Function) -> float:
    """Return ``sup |function|``, infinite where it grows.

    Far out ∞/∞ may stand for a limit: what is not a number is passed over.
    """
    far = np.abs(function(np.concatenate([-_FAR[::-1], _FAR])))
    far = far[~np.isnan(far)]
    near = _peak(lambda z: np.abs(function(z)))
    if not np.isfinite([near, *far]).all():
        return math.inf
    count = len(_FAR) // 2
    ends = np.concatenate([far[:count], far[-count:]])
    middle = max(near, float(far[count:-count].max(initial=0.0)))
    return (
        math.inf
        if ends.max(initial=0.0) > 1.01 * middle
        else max(middle, float(ends.max(initial=0.0)))
    )


def _bounds(sigma: _Function) -> tuple[float, float] | None:
    """Return ``inf σ`` and ``sup σ`` of a bounded function."""
    if not math.isfinite(_largest(sigma)):
        return None
    far = sigma(np.concatenate([-_FAR, _FAR]))
    high = max(_peak(sigma), float(np.nanmax(far)))
    low = min(-_peak(lambda z: -sigma(z)), float(np.nanmin(far)))
    return low, high


def _asymptote(
    sigma: _Function, rate: _Function, bounds: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    """Return the slopes that a function comes to on both sides, and how far it is from them."""
    if bounds is not None:
        return 0.0, 0.0, max(abs(bounds[0]), abs(bounds[1]))
    left, right = _last(rate(-_FAR)), _last(rate(_FAR))
    if not (math.isfinite(left) and math.isfinite(right)):
        return None

    def strays(z: Array) -> Array:
        return np.abs(sigma(z) - np.where(z < 0, left, right) * z)

    near = _peak(strays)
    far = strays(np.concatenate([-_FAR[_FAR < 1e6], _FAR[_FAR < 1e6]]))
    if not np.isfinite(far).all() or far.max() > 1.001 * near + 1e-9:
        return None
    return left, right, max(near, float(far.max()) * (1 + 1e-9))


def _last(values: Array) -> float:
    """Return the last of some values that is a number, all but nothing as 0."""
    last = float(values[~np.isnan(values)][-1])
    return 0.0 if abs(last) < 1e-15 else last
