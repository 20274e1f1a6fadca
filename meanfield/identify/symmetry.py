"""The realisation symmetry of an activation: which changes of atoms leave the function alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from meanfield.problem import Activation

Array = np.ndarray


@dataclass(frozen=True)
class Symmetry:
    r"""Relations of an activation that change atoms and not the function.

    From ``σ(z) = s σ(−z) + q(z)`` an atom ``(c, w, b)`` may be flipped to ``(s c, −w, −b)`` at the
    price of ``c q(⟨w, x⟩ + b)``, which is affine in ``x``. A positively homogeneous activation adds
    ``(c / r, r w, r b)``, a sinusoid ``(−c, w, b ± π)``.

    Attributes
    ----------
    sign : int
        ``s``.
    remainder : (float, float)
        ``q(z) = q_0 + q_1 z``.
    homogeneous : bool
        Whether ``σ(rz) = r σ(z)`` for ``r > 0``.
    sinusoid : bool
        Whether ``σ(z + π) = −σ(z)`` and ``σ′(z) = σ(z + π/2)``.
    degree : int or None
        Degree of a polynomial activation. Atoms of a polynomial are linearly dependent, so
        different dictionaries may then realise one function.
    """

    sign: int
    remainder: tuple[float, float]
    homogeneous: bool
    sinusoid: bool
    degree: int | None

    @property
    def has_remainder(self) -> bool:
        """Whether a flip leaves something over."""
        return any(self.remainder)

    @property
    def continuous_dimension(self) -> int:
        """Dimension of the symmetry group of one atom: 1 for a homogeneous activation."""
        return int(self.homogeneous)

    def images(self, c: Array, w: Array, b: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Yield the images of atoms that matter for distances, the atoms themselves first.

        What a flip leaves over is not part of an image; `affine_of` gives it.

        Parameters
        ----------
        c, w, b : ndarray, shapes (S, k), (S, d) and (S,)
            Coefficients, input weights and biases of the atoms.

        Yields
        ------
        tuple of ndarray
            Coefficients, input weights and biases of the image.
        """
        yield c, w, b
        yield self.sign * c, -w, -b
        if self.sinusoid:
            for shift in (-np.pi, np.pi):
                yield -c, w, b + shift
                yield -self.sign * c, -w, -b + shift
                yield c, w, b + 2 * shift

    def affine_of(self, c: Array, w: Array, b: Array) -> tuple[Array, Array]:
        """Return what a flip of all atoms leaves over, ``Σ_i c_i q(⟨w_i, x⟩ + b_i)``.

        Parameters
        ----------
        c, w, b : ndarray, shapes (S, k), (S, d) and (S,)
            Coefficients, input weights and biases of the atoms.

        Returns
        -------
        tuple of ndarray
            The constant, (k,), and the linear part, (k, d).
        """
        q0, q1 = self.remainder
        return c.T @ (q0 + q1 * b), q1 * (c.T @ w)


@lru_cache(maxsize=64)
def symmetry_of(activation: Activation) -> Symmetry:
    """Derive the realisation symmetry from the recorded relation of an activation.

    Parameters
    ----------
    activation : Activation
        With `sign`, `remainder`, `homogeneous` and `degree`.

    Returns
    -------
    Symmetry
        The relations, checked on a grid.

    Raises
    ------
    ValueError
        If the recorded relation is false, or its remainder is not affine.
    """
    remainder = (*activation.remainder, 0.0, 0.0)
    if any(remainder[2:]):
        raise ValueError(
            f"The remainder of activation {activation.name!r} has degree above 1; only affine "
            "remainders are supported."
        )
    z = np.linspace(-4, 4, 41)
    value = activation.value(z)
    reflected = activation.sign * activation.value(-z) + remainder[0] + remainder[1] * z
    scale = np.abs(value).max() + 1
    if np.abs(value - reflected).max() > 1e-12 * scale:
        raise ValueError(
            f"Activation {activation.name!r} does not satisfy its recorded relation "
            f"σ(z) = {activation.sign} σ(−z) + q(z); correct sign and remainder."
        )
    if activation.homogeneous and np.abs(activation.value(3 * z) - 3 * value).max() > 1e-12 * scale:
        raise ValueError(f"Activation {activation.name!r} is recorded as homogeneous but is not.")
    half_turn = np.abs(activation.value(z + np.pi) + value).max()
    quarter_turn = np.abs(activation.value(z + np.pi / 2) - activation.derivative(z)).max()
    sinusoid = max(half_turn, quarter_turn) < 1e-12 * scale
    return Symmetry(
        activation.sign,
        (remainder[0], remainder[1]),
        activation.homogeneous,
        bool(sinusoid),
        activation.degree,
    )
