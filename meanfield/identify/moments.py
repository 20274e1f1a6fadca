"""The moment map ``Φ_D`` of finite dictionaries under Gaussian inputs, and its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import comb

from meanfield.identify.activation_coefficients import Array, coefficient_table
from meanfield.problem import Activation
from meanfield.system.generators import generator


@dataclass(frozen=True)
class MomentMap:
    r"""Hermite tensors ``T_0 … T_D`` of ``Σ_i a_i σ(⟨w_i, x⟩ + b_i)`` as a map of ``(a, w, b)``.

    ``T_k = (k!)^{-1/2} Σ_i a_i γ_k(|w_i|, b_i) ŵ_i^{⊗k}``. A tensor is given by its entries, each
    scaled by the square root of its multiplicity; a tensor with many more entries than there are
    parameters by its values at random directions, which determine sums of few powers as well.

    Parameters are an array (S, 1 + d) or (S, 2 + d), rows ``(a, w)`` or ``(a, w, b)``.
    """

    activation: Activation
    d: int
    n_atoms: int
    bias: bool
    degree: int

    @property
    def n_parameters(self) -> int:
        """Number of parameters of a dictionary."""
        return self.n_atoms * (1 + self.d + self.bias)

    @cached_property
    def live_degrees(self) -> list[int]:
        """Degrees whose tensor does not vanish identically, by parity for instance."""
        scale = np.array([0.6, 1.1, 1.7])
        shift = np.array([0.3, -0.8, 0.5]) * self.bias
        # A degree beyond may carry the scale: at low ones there may be nothing but rounding.
        table = coefficient_table(self.activation, self.degree + 8, scale, shift)
        size = np.abs(table).max(axis=0)
        return [k for k in range(self.degree + 1) if size[k] > 1e-14 * size.max()]

    @cached_property
    def _lowering(self) -> list[tuple[Array, Array, Array, Array]]:
        """Per degree ``k``: how entries of ``u^{⊗k}`` come from those of ``u^{⊗(k−1)}``.

        Position of each exponent less one in coordinate j, (m, d); factor of that entry in the
        derivative along j, (m, d); then coordinate and factor that build the entry itself, (m,).
        """
        out, lower = [], {(0,) * self.d: 0}
        for k in range(1, self._largest_entries + 1):
            chosen = combinations_with_replacement(range(self.d), k)
            exponents = np.array([np.bincount(c, minlength=self.d) for c in chosen])
            upper = {tuple(map(int, e)): i for i, e in enumerate(exponents)}
            position = np.zeros(exponents.shape, dtype=np.intp)
            for i, j in zip(*np.nonzero(exponents), strict=True):
                smaller = exponents[i].copy()
                smaller[j] -= 1
                position[i, j] = lower[tuple(map(int, smaller))]
            # √(k!/α!) α_j u^{α − e_j} = √(k α_j) times the entry α − e_j.
            factor = np.sqrt(k * exponents)
            first = exponents.argmax(axis=1)
            build = np.sqrt(k / exponents[np.arange(len(exponents)), first])
            out.append((position, factor, first, build))
            lower = upper
        return out

    @cached_property
    def _largest_entries(self) -> int:
        """Largest degree whose tensor is given by its entries."""
        limit = self.n_parameters + 20
        sizes = [comb(self.d + k - 1, k) for k in range(self.degree + 1)]
        return sum(size <= limit for size in sizes) - 1

    @cached_property
    def degrees(self) -> Array:
        """Degree of each entry of the map."""
        sizes = np.array([power.shape[1] for power, _ in self._powers(np.ones((1, self.d)))])
        live = np.array(self.live_degrees, dtype=int)
        return np.repeat(live, sizes[live])

    def _powers(self, unit: Array) -> list[tuple[Array, Array]]:
        """Return the entries of ``u^{⊗k}``, (S, m), and their gradients in u, (S, m, d)."""
        atom = np.arange(len(unit))[:, None]
        power = np.ones((len(unit), 1), dtype=unit.dtype)
        out = [(power, np.zeros((len(unit), 1, self.d), dtype=unit.dtype))]
        for position, factor, first, build in self._lowering:
            gradient = power[:, position] * factor
            column = position[np.arange(len(first)), first]
            power = power[:, column] * unit[atom, first] * build
            out.append((power, gradient))
        for k in range(self._largest_entries + 1, self.degree + 1):
            # Random directions, for a tensor that is too large.
            directions = generator(k).normal(size=(self.n_parameters + 20, self.d))
            directions /= np.sqrt(self.d / 2)
            inner = unit @ directions.T.astype(unit.dtype)
            out.append((inner**k, (k * inner ** (k - 1))[:, :, None] * directions))
        return out

    def parts(self, theta: Array) -> tuple[Array, Array, Array]:
        """Return ``a`` (S,), ``w`` (S, d) and ``b`` (S,), zeros without a bias."""
        b = theta[:, -1] if self.bias else np.zeros(len(theta), dtype=theta.dtype)
        return theta[:, 0], theta[:, 1 : 1 + self.d], b

    def evaluate(self, parameters: Array) -> tuple[Array, Array]:
        """Return the values (m,) and the Jacobian (m, n_parameters)."""
        theta = np.asarray(parameters).reshape(self.n_atoms, -1)
        dtype = theta.dtype.type
        a, w, b = self.parts(theta)
        r = np.sqrt((w * w).sum(axis=1))
        unit = w / r[:, None]
        gamma = coefficient_table(self.activation, self.degree, r, b, dtype=dtype)
        in_shift = coefficient_table(
            self.activation, self.degree + 1, r, b, derivative=True, dtype=dtype
        )
        k = np.sqrt(np.arange(self.degree + 2).astype(theta.dtype))
        # z He_k = He_{k+1} + k He_{k−1}, in normalised form.
        in_scale = in_shift[:, 1:] * k[1:]
        in_scale[:, 1:] += in_shift[:, :-2] * k[1:-1]
        values = [np.zeros(0, dtype=theta.dtype)]
        rows = [np.zeros((0, self.n_parameters), dtype=theta.dtype)]
        powers = self._powers(unit)
        for degree in self.live_degrees:
            power, gradient = powers[degree]
            g = gamma[:, degree, None]
            tangent = gradient - (gradient @ unit[:, :, None]) * unit[:, None, :]
            in_w = a[:, None, None] * (
                (in_scale[:, degree, None] * power)[:, :, None] * unit[:, None, :]
                + (g / r[:, None])[:, :, None] * tangent
            )
            blocks = [(g * power)[:, :, None], in_w]
            if self.bias:
                blocks.append((a[:, None] * in_shift[:, degree, None] * power)[:, :, None])
            jacobian = np.concatenate(blocks, axis=2)
            values.append((a[:, None] * g * power).sum(axis=0))
            rows.append(jacobian.transpose(1, 0, 2).reshape(power.shape[1], -1))
        return np.concatenate(values), np.concatenate(rows)
