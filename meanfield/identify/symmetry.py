"""The realisation symmetry of an activation: which changes of atoms leave the function alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from meanfield.identify.activation_coefficients import Array
from meanfield.problem import Activation


@dataclass(frozen=True)
class Symmetry:
    r"""Relations of an activation that change atoms and not the function.

    From ``σ(z) = s σ(−z) + q(z)``, ``q(z) = q_0 + q_1 z`` the remainder, an atom ``(c, w, b)`` may
    be flipped to ``(s c, −w, −b)`` at the price of ``c q(⟨w, x⟩ + b)``, which is affine in ``x``. A
    positively homogeneous activation adds ``(c / r, r w, r b)``, a sinusoid, ``σ(z + π) = −σ(z)``
    and ``σ′(z) = σ(z + π/2)``, adds ``(−c, w, b ± π)``. A ``sign`` of 0 stands for no flip.
    """

    sign: int
    remainder: tuple[float, float]
    homogeneous: bool
    sinusoid: bool

    @property
    def has_remainder(self) -> bool:
        """Whether a flip leaves something over."""
        return any(self.remainder)

    def images(self, c: Array, w: Array, b: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Yield the images of atoms that matter for distances, the atoms themselves first.

        `c` is (S, k). What a flip leaves over is not part of an image; `affine_of` gives it.
        """
        yield c, w, b
        if self.sign:
            yield self.sign * c, -w, -b
        if self.sinusoid:
            for shift in (-np.pi, np.pi):
                yield -c, w, b + shift
                yield -self.sign * c, -w, -b + shift
                yield c, w, b + 2 * shift

    def affine_of(self, c: Array, w: Array, b: Array) -> tuple[Array, Array]:
        """Return what a flip of all atoms leaves over, ``Σ_i c_i q(⟨w_i, x⟩ + b_i)``: (k,), (k, d).

        `c` is (S, k).
        """
        q0, q1 = self.remainder
        return c.T @ (q0 + q1 * b), q1 * (c.T @ w)


@lru_cache(maxsize=64)
def symmetry_of(activation: Activation) -> Symmetry:
    """Derive the realisation symmetry from the recorded relation, which is checked on a grid."""
    q0, q1, *higher = (*activation.remainder, 0.0, 0.0)
    if any(higher):
        raise ValueError(
            f"The remainder of activation {activation.name!r} has degree above 1; only affine "
            "remainders are supported."
        )
    z = np.linspace(-4, 4, 41)
    value = activation.value(z)
    reflected = activation.sign * activation.value(-z) + q0 + q1 * z
    scale = np.abs(value).max() + 1
    if activation.sign and np.abs(value - reflected).max() > 1e-12 * scale:
        raise ValueError(
            f"Activation {activation.name!r} does not satisfy its recorded relation "
            f"σ(z) = {activation.sign} σ(−z) + q(z); correct sign and remainder."
        )
    if activation.homogeneous and np.abs(activation.value(3 * z) - 3 * value).max() > 1e-12 * scale:
        raise ValueError(f"Activation {activation.name!r} is recorded as homogeneous but is not.")
    half_turn = np.abs(activation.value(z + np.pi) + value).max()
    quarter_turn = np.abs(activation.value(z + np.pi / 2) - activation.derivative(z)).max()
    at_zero = activation.value(np.zeros(1)) ** 2 + activation.derivative(np.zeros(1)) ** 2
    # Of amplitude 1, and odd or even.
    apart = max(half_turn, quarter_turn, abs(at_zero.item() - 1))
    sinusoid = bool(activation.sign and apart < 1e-12 * scale)
    return Symmetry(activation.sign, (q0, q1), activation.homogeneous, sinusoid)
