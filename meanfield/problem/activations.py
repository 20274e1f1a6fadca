"""The activations: value, derivative and the algebraic facts the theory uses, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

import numpy as np
from scipy import special

from meanfield.errors import suggest

LEAKY_SLOPE = 0.01
"""Slope of the leaky relu on the negative half line."""

_Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """A scalar activation σ with its derivative and its recorded properties.

    Attributes
    ----------
    name : str
        Canonical name.
    code : int
        Position in the table; compiled kernels switch on it.
    sign : int
        ``s`` = ±1 of the reflection relation ``σ(z) = s σ(−z) + q(z)``.
    remainder : tuple of float
        Coefficients of the polynomial ``q``, ascending; ``()`` when ``q = 0``.
    homogeneous : bool
        Whether ``σ(cz) = c σ(z)`` for every ``c > 0``.
    smooth : bool
        Whether σ is infinitely differentiable.
    lipschitz : float
        ``sup |σ′|``; ``inf`` when σ is not Lipschitz.
    curvature : float
        ``sup |σ″|``; ``inf`` when σ has a kink or σ″ is unbounded.
    bounds : tuple of float, or None
        ``inf σ`` and ``sup σ``; ``None`` when σ is unbounded.
    asymptote : tuple of float, or None
        Slopes ``l``, ``r`` and a number ``δ`` with ``|σ(z) − l z| ≤ δ`` for ``z < 0`` and
        ``|σ(z) − r z| ≤ δ`` for ``z > 0``; ``None`` when σ grows faster than linearly.
    degree : int or None
        Degree when σ is a polynomial, else ``None``.

    Examples
    --------
    >>> from meanfield.problem import get_activation
    >>> get_activation("Leaky ReLU").value(-2.0).item()
    -0.02
    """

    name: str
    code: int
    sign: int
    remainder: tuple[float, ...]
    homogeneous: bool
    smooth: bool
    lipschitz: float
    curvature: float
    bounds: tuple[float, float] | None
    asymptote: tuple[float, float, float] | None
    degree: int | None
    _value: _Function = field(repr=False, compare=False)
    _derivative: _Function = field(repr=False, compare=False)

    def value(self, z: np.ndarray) -> np.ndarray:
        """Evaluate ``σ(z)`` elementwise.

        Parameters
        ----------
        z : array_like
            Any shape. A floating dtype is kept; integers become float64.

        Returns
        -------
        ndarray
            Same shape as `z`.
        """
        return self._value(_floating(z))

    def derivative(self, z: np.ndarray) -> np.ndarray:
        """Evaluate ``σ′(z)`` elementwise.

        At a kink: ``relu′(0) = 0``, ``leaky′(0) = 0.01``, ``abs′(0) = 0``.

        Parameters
        ----------
        z : array_like
            Any shape. A floating dtype is kept; integers become float64.

        Returns
        -------
        ndarray
            Same shape as `z`.
        """
        return self._derivative(_floating(z))

    def __reduce__(self) -> tuple:
        # A worker process gets the entry of its own table.
        return get_activation, (self.name,)


def _floating(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z)
    return z if np.issubdtype(z.dtype, np.floating) else z.astype(np.float64)


# The derivatives below are written so that no intermediate overflows and tails keep their
# relative accuracy: 1 − tanh² and s(1 − s), for instance, cancel to zero from |z| ≈ 19 and 37.


def _identity(z: np.ndarray) -> np.ndarray:
    return z.copy()


def _exp_minus_square(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(np.minimum(np.abs(z), 40)))


def _bell(z: np.ndarray) -> np.ndarray:
    """Derivative of the sigmoid, 1 / (2 cosh(z/2))²."""
    e = np.exp(-np.abs(z))
    return e / np.square(1 + e)


def _tanh_derivative(z: np.ndarray) -> np.ndarray:
    return 4 * _bell(2 * z)


def _erf_derivative(z: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * _exp_minus_square(z)


def _minus_sin(z: np.ndarray) -> np.ndarray:
    return -np.sin(z)


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def _relu_derivative(z: np.ndarray) -> np.ndarray:
    return np.heaviside(z, 0).astype(z.dtype)


def _leaky_relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, LEAKY_SLOPE * z)


def _leaky_relu_derivative(z: np.ndarray) -> np.ndarray:
    return LEAKY_SLOPE + (1 - LEAKY_SLOPE) * _relu_derivative(z)


def _silu(z: np.ndarray) -> np.ndarray:
    return z * special.expit(z)


def _silu_derivative(z: np.ndarray) -> np.ndarray:
    return special.expit(z) + z * _bell(z)


def _gelu(z: np.ndarray) -> np.ndarray:
    return z * special.ndtr(z)


def _gelu_derivative(z: np.ndarray) -> np.ndarray:
    density = _exp_minus_square(z * math.sqrt(0.5)) / math.sqrt(2 * math.pi)
    return special.ndtr(z) + z * density


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.logaddexp(z, 0)


def _hermite(z: np.ndarray, order: int) -> np.ndarray:
    """Evaluate He_order by the recurrence He_{k+1} = z He_k − k He_{k−1}."""
    previous, current = np.zeros_like(z), np.ones_like(z)
    for k in range(order):
        previous, current = current, z * current - k * previous
    return current


def _hermite_derivative(z: np.ndarray, order: int) -> np.ndarray:
    return order * _hermite(z, order - 1)


_SILU_LIPSCHITZ = 1.099839320128867  # silu′ at the root 2.39935728... of z tanh(z/2) = 2
_GELU_LIPSCHITZ = float(special.ndtr(math.sqrt(2))) + 1 / (math.e * math.sqrt(math.pi))


def _table() -> dict[str, Activation]:
    """Build the table; a row's place is its code."""
    # sign, remainder
    odd, even, linear = (-1, ()), (1, ()), (1, (0.0, 1.0))
    leaky = (1, (0.0, 1.0 + LEAKY_SLOPE))
    # Lipschitz constant, curvature
    kinked, wave = (1.0, math.inf), (1.0, 1.0)
    tanh = (1.0, 4.0 / (3.0 * math.sqrt(3.0)))
    erf = (2 / math.sqrt(math.pi), math.sqrt(8.0 / (math.pi * math.e)))
    sigmoid = (0.25, 1.0 / (6.0 * math.sqrt(3.0)))
    silu, gelu = (_SILU_LIPSCHITZ, 0.5), (_GELU_LIPSCHITZ, math.sqrt(2.0 / math.pi))
    # bounds, asymptote; the distances of silu and gelu from relu are rounded up
    unit, step = ((-1.0, 1.0), (0.0, 0.0, 1.0)), ((0.0, 1.0), (0.0, 0.0, 1.0))
    line, vee, steep = (None, (1.0, 1.0, 0.0)), (None, (-1.0, 1.0, 0.0)), (None, None)
    ramp, leaky_ramp = (None, (0.0, 1.0, 0.0)), (None, (LEAKY_SLOPE, 1.0, 0.0))
    near_silu, near_gelu = (None, (0.0, 1.0, 0.2785)), (None, (0.0, 1.0, 0.17))
    near_softplus = (None, (0.0, 1.0, math.log(2.0)))
    rows = [
        ("identity", odd, True, True, (1.0, 0.0), line, 1, _identity, np.ones_like),
        ("tanh", odd, False, True, tanh, unit, None, np.tanh, _tanh_derivative),
        ("erf", odd, False, True, erf, unit, None, special.erf, _erf_derivative),
        ("sin", odd, False, True, wave, unit, None, np.sin, np.cos),
        ("sigmoid", (-1, (1.0,)), False, True, sigmoid, step, None, special.expit, _bell),
        ("relu", linear, True, False, kinked, ramp, None, _relu, _relu_derivative),
        ("leaky_relu", leaky, True, False, kinked, leaky_ramp, None,
         _leaky_relu, _leaky_relu_derivative),
        ("silu", linear, False, True, silu, near_silu, None, _silu, _silu_derivative),
        ("gelu", linear, False, True, gelu, near_gelu, None, _gelu, _gelu_derivative),
        ("softplus", linear, False, True, (1.0, 0.25), near_softplus, None,
         _softplus, special.expit),
        ("cos", even, False, True, wave, unit, None, np.cos, _minus_sin),
        ("abs", even, True, False, kinked, vee, None, np.abs, np.sign),
    ]  # fmt: skip
    for k in range(1, 7):
        sup = {1: (1.0, 0.0), 2: (math.inf, 2.0)}.get(k, (math.inf, math.inf))
        rows.append(
            (f"he{k}", odd if k % 2 else even, k == 1, True, sup, line if k == 1 else steep, k,
             partial(_hermite, order=k), partial(_hermite_derivative, order=k))
        )  # fmt: skip
    return {
        name: Activation(name, code, *symmetry, homogeneous, smooth, *slopes, *growth, *rest)
        for code, (name, symmetry, homogeneous, smooth, slopes, growth, *rest) in enumerate(rows)
    }


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(_table())
"""Every activation by name, in the order of their codes."""


def _key(name: str) -> str:
    key = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    return "he" + key.removeprefix("hermite") if key.startswith("hermite") else key


_BY_KEY = {_key(name): activation for name, activation in ACTIVATIONS.items()}


def get_activation(activation: str | Activation) -> Activation:
    """Look up an activation.

    Parameters
    ----------
    activation : str or Activation
        A name, in which case, ``-``, ``_`` and spaces do not matter (``"hermite3"`` is ``"he3"``),
        or an entry of the table, which is returned as it is.

    Returns
    -------
    Activation
        The entry of `ACTIVATIONS`.

    Raises
    ------
    ValueError
        If no activation has this name.
    TypeError
        If `activation` is neither a name nor an `Activation`.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name, not {type(activation).__name__}.")
    try:
        return _BY_KEY[_key(activation)]
    except KeyError:
        hint = suggest(activation, ACTIVATIONS)
        raise ValueError(f"Unknown activation {activation!r}.{hint}") from None
