"""How gradients become steps: momentum, weight decay and the rates of every step and layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from meanfield.checks import choice, nonnegative
from meanfield.deep.parametrizations import LayerValues, Parametrization
from meanfield.errors import ArgumentError

OPTIMIZERS = ("sgd", "momentum", "adam")
DEFAULT_MOMENTUM = 0.9

ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8
"""What Adam keeps of its averages at a step, and ε, relative to the size of gradients."""

Array = np.ndarray


@dataclass(frozen=True)
class Optimizer:
    r"""Gradient descent, with the momentum of a heavy ball, or Adam, and decoupled weight decay.

    .. math::
       v ← β v + ∇,\qquad W ← (1 − η_l λ_l)\, W − η_l v

    The gradient is that of the loss alone, at the present weights. Both act on a layer as a whole:
    ``v`` has the size of a gradient, so that the layer's rate ``η_l`` makes of it a step of the
    right size at every width, and ``λ_l = λ n^{−q}`` where ``η_l ∝ n^q``, so that every step keeps
    the same share ``1 − η s_l λ`` of the weights at every width.

    Adam moves every entry on its own by ``η_l m̂ / (√v̂ + ε_l)``, with the averages of gradients and
    of their squares, ``β_1 = 0.9`` and ``β_2 = 0.999``, less their bias. Rates have the powers of
    `Parametrization.entrywise`, and ``ε_l`` is 1e-8 times the size that gradients have there.

    Attributes
    ----------
    name : str
        ``"sgd"``, ``"momentum"`` or ``"adam"``.
    momentum, weight_decay : float
        β, 0 for plain descent, and λ.
    """

    name: str
    momentum: float
    weight_decay: float

    @property
    def is_plain(self) -> bool:
        """Whether a step is the rate times the gradient, and nothing else."""
        return self.name == "sgd" and self.weight_decay == 0

    @property
    def remembers(self) -> int:
        """Arrays of the size of the weights that are kept beside them."""
        return {"sgd": 0, "momentum": 1, "adam": 2}[self.name]

    @property
    def edge(self) -> float:
        """The product of rate and curvature above which a quadratic is unstable: ``2 (1 + β)``.

        Adam's steps are no rate times the gradient, and have none.
        """
        return math.inf if self.name == "adam" else 2.0 * (1.0 + self.momentum)


def get_optimizer(optimizer: str, momentum: float | None, weight_decay: float) -> Optimizer:
    """Check the arguments of an optimizer."""
    name = choice("optimizer", optimizer, OPTIMIZERS)
    if name != "momentum":
        if momentum is not None:
            raise ArgumentError(
                "momentum",
                f"is for optimizer='momentum', got {momentum!r} with {name!r}; leave it out, or "
                "pass optimizer='momentum'.",
            )
        beta = 0.0
    else:
        beta = nonnegative("momentum", DEFAULT_MOMENTUM if momentum is None else momentum)
        if beta >= 1:
            raise ArgumentError("momentum", f"must be below 1, got {momentum!r}, such as 0.9.")
    return Optimizer(name, beta, nonnegative("weight_decay", weight_decay))


class Rates(NamedTuple):
    """What a step multiplies by, by kind of layer."""

    weights: LayerValues  # η_l
    biases: LayerValues  # the same of b^1, of b^2 … b^L and of b^{L+1}
    kept: LayerValues  # 1 − η_l λ_l, of weights and biases
    epsilons: LayerValues  # ε_l of Adam, of weights and of hidden biases as of W^1
    last_epsilon: float  # that of b^{L+1}

    def in_limit_units(self, width: int) -> Rates:
        """Return the rates for ``a = n W^{L+1}``, with error vectors that are n times larger."""
        weights, biases = self.weights, self.biases
        return Rates(
            LayerValues(weights.input / width, weights.hidden, weights.output * width),
            LayerValues(biases.input / width, biases.hidden / width, biases.output),
            *self[2:],
        )


@dataclass(frozen=True, eq=False)
class Pace:
    """The rates of every step of a run of networks of one width."""

    parametrization: Parametrization
    width: int
    rate_scale: tuple[float, float, float]
    step_size: float | Array  # one number, or one per step
    richness: float  # γ₀
    optimizer: Optimizer

    def at(self, step: int) -> Rates:
        """Return the rates of a step; after the last step, of that one.

        They are those of ``⟨a, x_L⟩``: a step of rate ``γ₀² η`` on ``⟨a, x_L⟩ / γ₀`` is one of
        ``γ₀ η`` on it. Adam's, which gradients do not scale, has ``γ₀ η`` itself.
        """
        eta, width, scale = self.step_size, self.width, self.rate_scale
        if isinstance(eta, np.ndarray):
            eta = float(eta[min(step, len(eta) - 1)])
        kept = LayerValues(*(1.0 - eta * s * self.optimizer.weight_decay for s in scale))
        eta, entrywise = self.richness * eta, self.optimizer.name == "adam"
        sizes = self.parametrization.gradient_sizes(width)
        *epsilons, last_epsilon = (ADAM_EPSILON * size for size in sizes)
        return Rates(
            self.parametrization.rates(width, eta, scale, entrywise),
            self.parametrization.bias_rates(width, eta, scale, entrywise),
            kept,
            LayerValues(*epsilons),
            last_epsilon,
        )

    def in_limit_units(self, step: int) -> Rates:
        """Return the rates of a step in the units of the infinite-width limit."""
        return self.at(step).in_limit_units(self.width)

    def check(self) -> Pace:
        """Refuse a weight decay that turns weights over within a step."""
        largest = float(np.max(self.step_size)) * max(self.rate_scale)
        if largest * self.optimizer.weight_decay >= 1:
            raise ArgumentError(
                "weight_decay",
                f"times the largest rate, {largest:g}, must be below 1: it is the share of the "
                f"weights that a step takes away; got {self.optimizer.weight_decay:g}, lower it.",
            )
        return self


class Stepper:
    """The steps of arrays, with what an optimizer remembers of each."""

    def __init__(self, optimizer: Optimizer):
        self.name, self.momentum = optimizer.name, optimizer.momentum
        self.velocities: dict[Any, Array] = {}
        self.averages: dict[Any, tuple[int, Array, Array]] = {}  # steps, of gradients, of squares

    def step(
        self,
        key: Any,
        array: Array,
        gradient: Callable[[Any], Array],
        rate: float,
        kept: float,
        epsilon: float,
    ) -> None:
        """Move an array in place; ``gradient(c)`` returns c times its gradient."""
        kind = array.dtype.type
        if kept != 1:
            array *= kind(kept)
        if self.name == "adam":
            self.averages[key] = self._next_averages(key, gradient(1))
            array -= kind(rate) * _adam_direction(*self.averages[key], epsilon)
        elif self.momentum == 0:
            array -= gradient(kind(rate))
        else:
            self.velocities[key] = self._next(key, gradient)
            array -= kind(rate) * self.velocities[key]

    def move(
        self, key: Any, gradient: Callable[[Any], Array], rate: float, epsilon: float
    ) -> Array:
        """Return what `step` will subtract, the decay apart."""
        if self.name == "adam":
            averages = self._next_averages(key, gradient(1))
            return rate * _adam_direction(*averages, epsilon).astype(np.float64)
        return rate * self._next(key, gradient).astype(np.float64)

    def _next(self, key: Any, gradient: Callable[[Any], Array]) -> Array:
        """Return the velocity after the gradient."""
        present = gradient(1)
        if key not in self.velocities:
            return present
        present += present.dtype.type(self.momentum) * self.velocities[key]
        return present

    def _next_averages(self, key: Any, present: Array) -> tuple[int, Array, Array]:
        """Return the number of steps and the two averages after the gradient."""
        kind = present.dtype.type
        parts = [
            kind(1 - beta) * part
            for beta, part in zip(ADAM_BETAS, (present, np.square(present)), strict=True)
        ]
        if key not in self.averages:
            return 1, parts[0], parts[1]
        count, *known = self.averages[key]
        for beta, part, before in zip(ADAM_BETAS, parts, known, strict=True):
            part += kind(beta) * before
        return count + 1, parts[0], parts[1]


def _adam_direction(count: int, mean: Array, square: Array, epsilon: float) -> Array:
    """Return ``m̂ / (√v̂ + ε)``."""
    kind = mean.dtype.type
    first, second = (1 - beta**count for beta in ADAM_BETAS)
    root = np.sqrt(square / kind(second))
    root += kind(epsilon)
    # Where a gradient never was anything, nothing moves.
    return np.divide(mean / kind(first), root, out=np.zeros_like(mean), where=root > 0)
