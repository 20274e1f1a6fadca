"""σ, σ′, ℓ and ℓ′ as a textbook writes them: none is the package's, and none minds overflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import cos, exp, log, ones_like, pi, sin, sqrt, where
from scipy.special import erf


class Function(NamedTuple):
    """A function and its derivative; of a loss, in its first argument."""

    value: Callable
    derivative: Callable


def sigmoid(z):
    return 1 / (1 + exp(-z))


def density(z):
    """Density of the standard normal law."""
    return exp(-(z**2) / 2) / sqrt(2 * pi)


def distribution(z):
    """Its distribution function."""
    return (1 + erf(z / sqrt(2))) / 2


# In the order of the codes that compiled kernels know them by.
ACTIVATIONS = {
    "identity": Function(lambda z: 1 * z, ones_like),
    "tanh": Function(np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "erf": Function(erf, lambda z: 2 / sqrt(pi) * exp(-(z**2))),
    "sin": Function(sin, cos),
    "sigmoid": Function(sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "relu": Function(lambda z: where(z > 0, z, 0.0), lambda z: where(z > 0, 1.0, 0.0)),
    "leaky_relu": Function(lambda z: where(z > 0, z, 0.01 * z), lambda z: where(z > 0, 1.0, 0.01)),
    "silu": Function(
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid(z) * (1 - sigmoid(z)),
    ),
    "gelu": Function(lambda z: z * distribution(z), lambda z: distribution(z) + z * density(z)),
    "softplus": Function(lambda z: log(1 + exp(z)), sigmoid),
    "cos": Function(cos, lambda z: -sin(z)),
    "abs": Function(abs, np.sign),
    "he1": Function(lambda z: 1 * z, ones_like),
    "he2": Function(lambda z: z**2 - 1, lambda z: 2 * z),
    "he3": Function(lambda z: z**3 - 3 * z, lambda z: 3 * z**2 - 3),
    "he4": Function(lambda z: z**4 - 6 * z**2 + 3, lambda z: 4 * z**3 - 12 * z),
    "he5": Function(lambda z: z**5 - 10 * z**3 + 15 * z, lambda z: 5 * z**4 - 30 * z**2 + 15),
    "he6": Function(
        lambda z: z**6 - 15 * z**4 + 45 * z**2 - 15, lambda z: 6 * z**5 - 60 * z**3 + 90 * z
    ),
}

# Predictions f and targets y of shape (..., k): the values are sums over outputs.
LOSSES = {
    "squared": Function(lambda f, y: ((f - y) ** 2 / 2).sum(-1), lambda f, y: f - y),
    "logistic": Function(
        lambda f, y: log(1 + exp(-y * f)).sum(-1), lambda f, y: -y / (1 + exp(y * f))
    ),
    "cross-entropy": Function(
        lambda f, y: log(exp(f).sum(-1)) - (f * y).sum(-1),
        lambda f, y: exp(f) / exp(f).sum(-1, keepdims=True) - y,
    ),
}


def by_code(table, code):
    """Return the entry of a table above with this code."""
    return list(table.values())[code]
