"""The functions of the table of activations, and their derivatives, in NumPy."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from meanfield.problem.hermite_polynomials import hermite_polynomial

LEAKY_SLOPE = 0.01
"""Slope of the leaky relu on the negative half line."""

# The derivatives below are written so that no intermediate overflows and tails keep their
# relative accuracy: 1 − tanh² and s(1 − s), for instance, cancel to zero from |z| ≈ 19 and 37.


def exp_minus_square(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(np.minimum(np.abs(z), 40)))


def bell(z: np.ndarray) -> np.ndarray:
    """Derivative of the sigmoid, 1 / (2 cosh(z/2))²."""
    e = np.exp(-np.abs(z))
    return e / np.square(1 + e)


def tanh_derivative(z: np.ndarray) -> np.ndarray:
    return 4 * bell(2 * z)


def erf_derivative(z: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * exp_minus_square(z)


def minus_sin(z: np.ndarray) -> np.ndarray:
    return -np.sin(z)


def relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def relu_derivative(z: np.ndarray) -> np.ndarray:
    return np.heaviside(z, 0).astype(z.dtype)


def leaky_relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, LEAKY_SLOPE * z)


def leaky_relu_derivative(z: np.ndarray) -> np.ndarray:
    return LEAKY_SLOPE + (1 - LEAKY_SLOPE) * relu_derivative(z)


def silu(z: np.ndarray) -> np.ndarray:
    return z * special.expit(z)


def silu_derivative(z: np.ndarray) -> np.ndarray:
    return special.expit(z) + z * bell(z)


def gelu(z: np.ndarray) -> np.ndarray:
    return z * special.ndtr(z)


def gelu_derivative(z: np.ndarray) -> np.ndarray:
    density = exp_minus_square(z * math.sqrt(0.5)) / math.sqrt(2 * math.pi)
    return special.ndtr(z) + z * density


def softplus(z: np.ndarray) -> np.ndarray:
    return np.logaddexp(z, 0)


def hermite_derivative(z: np.ndarray, degree: int) -> np.ndarray:
    return degree * hermite_polynomial(z, degree - 1)
