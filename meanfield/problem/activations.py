"""The activations: value, derivative and the algebraic facts the theory uses, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import special

from meanfield import checks
from meanfield.errors import ArgumentTypeError
from meanfield.problem.hermite_polynomials import hermite_polynomial
from meanfield.problem.validation import as_floating

LEAKY_SLOPE = 0.01
"""Slope of the leaky relu on the negative half line."""

_Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A scalar activation σ with its derivative and its recorded properties.

    Attributes
    ----------
    name : str
        Canonical name.
    code : int
        Place in the table; compiled kernels switch on it.
    sign, remainder : int, tuple of float
        ``s`` = ±1 and the polynomial ``q``, ascending coefficients, of ``σ(z) = s σ(−z) + q(z)``.
    homogeneous, smooth : bool
        Whether ``σ(cz) = c σ(z)`` for every ``c > 0``, and whether σ is infinitely differentiable.
    lipschitz, curvature : float
        ``sup |σ′|`` and ``sup |σ″|``; ``inf`` where there is none, as for ``σ″`` at a kink.
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
    remainder: tuple[float, ...] = ()
    homogeneous: bool = False
    smooth: bool = True
    lipschitz: float
    curvature: float
    bounds: tuple[float, float] | None = None
    asymptote: tuple[float, float, float] | None = None
    degree: int | None = None
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
        """
        return self._value(as_floating(z))

    def derivative(self, z: np.ndarray) -> np.ndarray:
        """Evaluate ``σ′(z)`` elementwise: ``relu′(0) = 0``, ``leaky′(0) = 0.01``, ``abs′(0) = 0``.

        Parameters
        ----------
        z : array_like
            Any shape. A floating dtype is kept; integers become float64.

        Returns
        -------
        ndarray
        """
        return self._derivative(as_floating(z))

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process gets the entry of its own table.
        return get_activation, (self.name,)


# The derivatives below are written so that no intermediate overflows and tails keep their
# relative accuracy: 1 − tanh² and s(1 − s), for instance, cancel to zero from |z| ≈ 19 and 37.


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


def _hermite_derivative(z: np.ndarray, degree: int) -> np.ndarray:
    return degree * hermite_polynomial(z, degree - 1)


_ROWS = (
    Activation(
        name="identity", code=0, sign=-1, homogeneous=True, lipschitz=1.0, curvature=0.0,
        asymptote=(1.0, 1.0, 0.0), degree=1, _value=np.copy, _derivative=np.ones_like,
    ),
    Activation(
        name="tanh", code=1, sign=-1, lipschitz=1.0, curvature=4.0 / (3.0 * math.sqrt(3.0)),
        bounds=(-1.0, 1.0), asymptote=(0.0, 0.0, 1.0), _value=np.tanh, _derivative=_tanh_derivative,
    ),
    Activation(
        name="erf", code=2, sign=-1, lipschitz=2 / math.sqrt(math.pi),
        curvature=math.sqrt(8.0 / (math.pi * math.e)), bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), _value=special.erf, _derivative=_erf_derivative,
    ),
    Activation(
        name="sin", code=3, sign=-1, lipschitz=1.0, curvature=1.0, bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), _value=np.sin, _derivative=np.cos,
    ),
    Activation(
        name="sigmoid", code=4, sign=-1, remainder=(1.0,), lipschitz=0.25,
        curvature=1.0 / (6.0 * math.sqrt(3.0)), bounds=(0.0, 1.0), asymptote=(0.0, 0.0, 1.0),
        _value=special.expit, _derivative=_bell,
    ),
    Activation(
        name="relu", code=5, sign=1, remainder=(0.0, 1.0), homogeneous=True, smooth=False,
        lipschitz=1.0, curvature=math.inf, asymptote=(0.0, 1.0, 0.0),
        _value=_relu, _derivative=_relu_derivative,
    ),
    Activation(
        name="leaky_relu", code=6, sign=1, remainder=(0.0, 1.0 + LEAKY_SLOPE), homogeneous=True,
        smooth=False, lipschitz=1.0, curvature=math.inf, asymptote=(LEAKY_SLOPE, 1.0, 0.0),
        _value=_leaky_relu, _derivative=_leaky_relu_derivative,
    ),
    Activation(
        name="silu", code=7, sign=1, remainder=(0.0, 1.0), curvature=0.5,
        lipschitz=1.099839320128867,  # silu′ at the root 2.39935728... of z tanh(z/2) = 2
        asymptote=(0.0, 1.0, 0.2785),  # rounded up
        _value=_silu, _derivative=_silu_derivative,
    ),
    Activation(
        name="gelu", code=8, sign=1, remainder=(0.0, 1.0), curvature=math.sqrt(2.0 / math.pi),
        lipschitz=float(special.ndtr(math.sqrt(2))) + 1 / (math.e * math.sqrt(math.pi)),
        asymptote=(0.0, 1.0, 0.17),  # rounded up
        _value=_gelu, _derivative=_gelu_derivative,
    ),
    Activation(
        name="softplus", code=9, sign=1, remainder=(0.0, 1.0), lipschitz=1.0, curvature=0.25,
        asymptote=(0.0, 1.0, math.log(2.0)), _value=_softplus, _derivative=special.expit,
    ),
    Activation(
        name="cos", code=10, sign=1, lipschitz=1.0, curvature=1.0, bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), _value=np.cos, _derivative=_minus_sin,
    ),
    Activation(
        name="abs", code=11, sign=1, homogeneous=True, smooth=False, lipschitz=1.0,
        curvature=math.inf, asymptote=(-1.0, 1.0, 0.0), _value=np.abs, _derivative=np.sign,
    ),
    *(
        Activation(
            name=f"he{k}", code=11 + k, sign=(-1) ** k, homogeneous=k == 1,
            lipschitz=1.0 if k == 1 else math.inf, curvature={1: 0.0, 2: 2.0}.get(k, math.inf),
            asymptote=(1.0, 1.0, 0.0) if k == 1 else None, degree=k,
            _value=partial(hermite_polynomial, degree=k),
            _derivative=partial(_hermite_derivative, degree=k),
        )
        for k in range(1, 7)
    ),
)  # fmt: skip

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({row.name: row for row in _ROWS})
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
        or an entry of `ACTIVATIONS`, which is returned as it is.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError, TypeError
        If no activation has this name, or `activation` is neither a name nor an `Activation`.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise ArgumentTypeError("activation", f"must be a name, not {type(activation).__name__}.")
    known = _BY_KEY.get(_key(activation))
    return known or ACTIVATIONS[checks.choice("activation", activation, ACTIVATIONS)]
