"""Finite dictionaries, sums of atoms and an affine part, and how to read them from particles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.flow.conversion import NORMALISATIONS
from meanfield.identify.activation_coefficients import Array
from meanfield.problem import Activation


@dataclass(frozen=True, eq=False)
class Atoms:
    r"""A finite sum of atoms and an affine part, ``f(x) = α + ⟨β, x⟩ + Σ_i c_i σ(⟨w_i, x⟩ + b_i)``.

    Attributes
    ----------
    activation : Activation
        σ.
    coefficients : ndarray of shape (S,) or (S, k)
        ``c_i``; in mean-field scaling the sum of ``a / N`` over the particles of the atom.
    w : ndarray of shape (S, d)
        Input weights.
    b : ndarray of shape (S,)
        Biases, zeros for a network without bias.
    constant : float or ndarray of shape (k,)
        ``α``.
    linear : ndarray of shape (d,) or (k, d)
        ``β``.
    mass : ndarray of shape (S,)
        Fraction of the particles that make up each atom.
    inactive_mass : float
        Fraction of the particles that contribute nothing or an affine function only.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> a, w = np.array([2.0, 1.0, -3.0]), np.array([[1.0], [1.0], [-1.0]])
    >>> atoms = mf.canonical((a, w), "tanh")  # three neurons, one function of one atom
    >>> atoms.n_atoms, atoms.coefficients, atoms.w
    (1, array([2.]), array([[1.]]))
    >>> atoms.predict(np.ones((1, 1))).round(3)
    array([1.523])
    """

    activation: Activation
    coefficients: Array
    w: Array
    b: Array
    constant: Any
    linear: Array
    mass: Array
    inactive_mass: float = 0.0

    @property
    def n_atoms(self) -> int:
        """Number of atoms S."""
        return len(self.w)

    @property
    def vector_output(self) -> bool:
        """Whether the function takes values in ``R^k`` as an array of shape (n, k)."""
        return self.coefficients.ndim == 2

    @property
    def columns(self) -> Array:
        """Coefficients of shape (S, k), also when the function is scalar."""
        return self.coefficients if self.vector_output else self.coefficients[:, None]

    @property
    def affine(self) -> tuple[Array, Array]:
        """Constant (k,) and linear part (k, d), also when the function is scalar."""
        return np.atleast_1d(self.constant), np.atleast_2d(self.linear)

    def features(self, X: Any) -> Array:
        """Evaluate the atoms, ``σ(⟨w_i, x_j⟩ + b_i)``.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.

        Returns
        -------
        ndarray of shape (n, S)
            One column per atom.
        """
        checks.unmasked("X", X)
        return self.activation.value(np.asarray(X, dtype=float) @ self.w.T + self.b)

    def predict(self, X: Any) -> Array:
        """Evaluate the function.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            ``f(x_j)``.
        """
        checks.unmasked("X", X)
        X = np.asarray(X, dtype=float)
        if X.ndim != 2 or X.shape[1] != self.linear.shape[-1]:
            raise ValueError(f"X must have shape (n, {self.linear.shape[-1]}), got {X.shape}.")
        return self.features(X) @ self.coefficients + self.constant + X @ self.linear.T


def make_atoms(
    activation: Activation,
    c: Array,
    w: Array,
    b: Array,
    constant: Any,
    linear: Array,
    mass: Array,
    *,
    vector: bool,
    inactive_mass: float = 0.0,
) -> Atoms:
    """Build `Atoms` from columns: c (S, k), constant (k,), linear (k, d)."""
    if not vector:
        c, constant, linear = c[:, 0], float(constant[0]), linear[0]
    return Atoms(activation, c, w, b, constant, linear, mass, float(inactive_mass))


def unit_of(*networks: Atoms) -> float:
    """Return the power of two below the largest coefficient, so that squares stay finite."""
    parts = [part for f in networks for part in (f.columns, *f.affine)]
    largest = max(float(np.abs(part).max(initial=0.0)) for part in parts)
    return 2.0 ** math.floor(math.log2(largest)) if largest > 0 else 1.0


def scaled(network: Atoms, factor: float) -> Atoms:
    """Multiply a network by a number."""
    return replace(
        network,
        coefficients=network.coefficients * factor,
        constant=network.constant * factor,
        linear=network.linear * factor,
    )


def as_atoms(
    particles: Any, activation: Activation, *, normalisation: str = "mean", name: str = "particles"
) -> Atoms:
    """Read particles, plain arrays, atoms or a dictionary as atoms, one per particle.

    Replicas, a leading axis of `w`, are pooled: the mean of their networks. Plain arrays are ``a``
    (N,) or (N, k), ``w`` (N, d), ``b`` (N,); tensors work when NumPy can read them. Atoms are a sum
    whatever the `normalisation`; `name` is what an error calls the argument.
    """
    particles = getattr(particles, "function", particles)  # of a Dictionary
    if isinstance(particles, Atoms):
        if particles.activation != activation:
            raise ValueError(
                f"{name} has activation {particles.activation.name!r}, not {activation.name!r}."
            )
        return particles
    checks.choice("normalisation", normalisation, NORMALISATIONS)
    a, w, b = _arrays(particles, name)
    vector, d = a.ndim == w.ndim, w.shape[-1]
    k, n, replicas = a.shape[-1] if vector else 1, b.size, 1 if w.ndim == 2 else len(w)
    c = a.reshape(-1, k) / (n if normalisation == "mean" else replicas)
    constant, linear, mass = np.zeros(k), np.zeros((k, d)), np.full(n, 1 / n)
    return make_atoms(
        activation, c, w.reshape(-1, d), b.reshape(-1), constant, linear, mass, vector=vector
    )


def _arrays(particles: Any, name: str) -> tuple[Array, Array, Array]:
    """Return a, w, b as checked float64 arrays; b is zero when there is none."""
    if all(hasattr(particles, key) for key in ("a", "w", "b")):
        a, w, b = particles.a, particles.w, particles.b
    elif isinstance(particles, tuple | list) and len(particles) in (2, 3):
        a, w, b = (*particles, None)[:3]
    else:
        raise TypeError(
            f"{name} must be Particles, Atoms, or a tuple (a, w) or (a, w, b) of arrays, got "
            f"{type(particles).__name__}."
        )
    a, w = _finite(a, f"{name}.a"), _finite(w, f"{name}.w")
    if w.ndim not in (2, 3) or 0 in w.shape:
        raise ValueError(
            f"{name}.w must have shape (N, d) or (R, N, d) with no empty axis, got {w.shape}."
        )
    lead = w.shape[:-1]
    if a.shape[: len(lead)] != lead or a.ndim not in (len(lead), w.ndim) or 0 in a.shape:
        raise ValueError(
            f"{name}.a must have shape {lead}, or one axis more for outputs, got {a.shape}; "
            "of a layer in PyTorch it is weight[0], or weight.T for several outputs."
        )
    b = np.zeros(lead) if b is None else _finite(b, f"{name}.b")
    if b.shape != lead:
        raise ValueError(f"{name}.b must have shape {lead}, got {b.shape}.")
    return a, w, b


def _finite(values: Any, name: str) -> Array:
    """Return a float64 array or say what is wrong with it."""
    checks.unmasked(name, values)
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name} cannot be read as an array ({error}); for a tensor pass "
            "tensor.detach().cpu().numpy()."
        ) from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers.")
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(
            f"{name} has {bad} NaN or infinite entries; the run diverged or the arrays are "
            "damaged, so there is nothing to identify."
        )
    return array.astype(np.float64)
