"""The activations as compiled code: σ and σ′ on SIMD vectors, by the names of
`meanfield.problem.activations`.
"""

from __future__ import annotations

from typing import Any

from meanfield.flow.compiled import functions
from meanfield.flow.compiled.cache_key import WithOwn, by_code
from meanfield.flow.compiled.functions import one, zero
from meanfield.flow.compiled.own_functions import vector_function
from meanfield.flow.compiled.simd import INLINE_OPTIONS, Vector, absolute, fma, inline, select
from meanfield.problem.activation_functions import LEAKY_SLOPE
from meanfield.problem.activations import ACTIVATIONS
from meanfield.problem.scalar.program import parse

# Derivatives that the value alone determines: only the value need be kept.


@inline
def _tanh_slope(value: Vector) -> Vector:
    return fma(-value, value, 1.0)


@inline
def _sigmoid_slope(value: Vector) -> Vector:
    return fma(-value, value, value)


@inline
def _relu_slope(value: Vector) -> Vector:
    return select(value > 0.0, one(value), zero(value))


@inline
def _leaky_relu_slope(value: Vector) -> Vector:
    return select(value > 0.0, one(value), LEAKY_SLOPE * one(value))


# Each gives the value and the derivative at z.


@inline
def _identity(z: Vector) -> tuple[Vector, Vector]:
    return z, one(z)


@inline
def _tanh(z: Vector) -> tuple[Vector, Vector]:
    value = functions.tanh(z)
    return value, _tanh_slope(value)


@inline
def _sigmoid(z: Vector) -> tuple[Vector, Vector]:
    value = functions.sigmoid(z)
    return value, _sigmoid_slope(value)


@inline
def _relu(z: Vector) -> tuple[Vector, Vector]:
    return select(z < 0.0, zero(z), z), _relu_slope(z)


@inline
def _leaky_relu(z: Vector) -> tuple[Vector, Vector]:
    return select(z > 0.0, z, LEAKY_SLOPE * z), _leaky_relu_slope(z)


@inline
def _silu(z: Vector) -> tuple[Vector, Vector]:
    s = functions.sigmoid(z)
    value = z * s
    return value, fma(value, 1.0 - s, s)


@inline
def _cosine(z: Vector) -> tuple[Vector, Vector]:
    sine, cosine = functions.sine_cosine(z)
    return cosine, -sine


@inline
def _absolute(z: Vector) -> tuple[Vector, Vector]:
    return absolute(z), select(z > 0.0, one(z), select(z < 0.0, -one(z), zero(z)))


@inline
def _he1(z: Vector) -> tuple[Vector, Vector]:
    return z, one(z)


@inline
def _he2(z: Vector) -> tuple[Vector, Vector]:
    return fma(z, z, -1.0), 2.0 * z


@inline
def _he3(z: Vector) -> tuple[Vector, Vector]:
    square = z * z
    return z * (square - 3.0), fma(square, 3.0, -3.0)


@inline
def _he4(z: Vector) -> tuple[Vector, Vector]:
    square = z * z
    return fma(square, square - 6.0, 3.0), 4.0 * z * (square - 3.0)


@inline
def _he5(z: Vector) -> tuple[Vector, Vector]:
    square = z * z
    he4 = fma(square, square - 6.0, 3.0)
    return z * fma(square, square - 10.0, 15.0), 5.0 * he4


@inline
def _he6(z: Vector) -> tuple[Vector, Vector]:
    square = z * z
    he5 = z * fma(square, square - 10.0, 15.0)
    return fma(square, fma(square, square - 15.0, 45.0), -15.0), 6.0 * he5


@inline
def _yes() -> bool:
    return True


@inline
def _no() -> bool:
    return False


_ACTIVATIONS = {
    "identity": _identity,
    "tanh": _tanh,
    "erf": functions.erf,
    "sin": functions.sine_cosine,
    "sigmoid": _sigmoid,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "silu": _silu,
    "gelu": functions.gelu,
    "softplus": functions.softplus,
    "cos": _cosine,
    "abs": _absolute,
    "he1": _he1,
    "he2": _he2,
    "he3": _he3,
    "he4": _he4,
    "he5": _he5,
    "he6": _he6,
}
_SLOPES = {
    "identity": one,
    "tanh": _tanh_slope,
    "sigmoid": _sigmoid_slope,
    "relu": _relu_slope,
    "leaky_relu": _leaky_relu_slope,
}
_NAMES = tuple(ACTIVATIONS)  # by code


def _by_code(functions: list[Any], own: Any) -> Any:
    """The function that the key's code chooses, or that ``own`` makes of operations."""
    return by_code(WithOwn(dict(enumerate(functions)), own), **INLINE_OPTIONS)


#: σ(z) and σ′(z), for the activation that a `CacheKey` names.
value_and_slope = _by_code([_ACTIVATIONS[name] for name in _NAMES], vector_function)
#: σ′ of the key and σ, where σ determines it (else nothing of use).
slope = _by_code([_SLOPES.get(name, zero) for name in _NAMES], lambda code: zero)
#: `keeps_slope` of the key, a constant in compiled code.
slope_is_kept = _by_code([_no if name in _SLOPES else _yes for name in _NAMES], lambda code: _yes)


def keeps_slope(code: int | str) -> bool:
    """Whether σ does not determine σ′, which must then be kept too."""
    return isinstance(code, str) or _NAMES[code] not in _SLOPES


def is_polynomial(code: int | str) -> bool:
    """Whether σ and σ′ are piecewise polynomials, cheaper to compute again than to keep."""
    if isinstance(code, str):
        return parse(code).is_cheap
    activation = ACTIVATIONS[_NAMES[code]]
    return activation.degree is not None or activation.homogeneous
