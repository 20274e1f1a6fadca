"""The particles: neurons of one or several networks, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Particles:
    """Neurons ``θ_i = (a_i, w_i, b_i)`` of R independent networks of N neurons each.

    The network of replica r is ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``.

    Parameters
    ----------
    a : ndarray, shape (R, N) or (R, N, k)
        Output weights; the last axis is present for vector-valued networks only.
    w : ndarray, shape (R, N, d)
        Input weights.
    b : ndarray, shape (R, N), or None
        Biases; None for a network without bias.
    """

    a: Array
    w: Array
    b: Array | None = None

    def __post_init__(self) -> None:
        for name in ("a", "w", "b"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value))
        if self.w.ndim != 3 or self.a.shape[:2] != self.w.shape[:2] or self.a.ndim not in (2, 3):
            raise ValueError(
                f"a and w must have shapes (R, N[, k]) and (R, N, d), got {self.a.shape} and "
                f"{self.w.shape}; for one network of N neurons use Particles.from_arrays."
            )
        if self.b is not None and self.b.shape != self.w.shape[:2]:
            raise ValueError(f"b must have shape {self.w.shape[:2]}, got {self.b.shape}.")

    @classmethod
    def from_arrays(cls, a: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> Particles:
        """Make particles from the weights of one network.

        Parameters
        ----------
        a : array_like, shape (N,) or (N, k)
            Output weights in the mean-field scaling, ``f = (1/N) Σ a_i σ(...)``.
        w : array_like, shape (N, d)
            Input weights.
        b : array_like, shape (N,), optional
            Biases.

        Returns
        -------
        Particles
            With one replica.
        """
        a, w = np.asarray(a, dtype=float), np.asarray(w, dtype=float)
        bias = None if b is None else np.asarray(b, dtype=float)[None]
        return cls(a[None], w[None], bias)

    @classmethod
    def from_coordinates(
        cls, coordinates: Array, n_outputs: int, bias: bool, vector_output: bool
    ) -> Particles:
        """Make particles from their `coordinates`.

        Parameters
        ----------
        coordinates : ndarray, shape (R, N, C)
            The points: a, then w, then b.
        n_outputs : int
            Number of leading coordinates that are `a`.
        bias : bool
            Whether the last coordinate is `b`.
        vector_output : bool
            Whether `a` keeps its output axis.

        Returns
        -------
        Particles
            Views of the coordinates.
        """
        k = n_outputs
        end = coordinates.shape[-1] - int(bias)
        a = coordinates[..., :k] if vector_output else coordinates[..., 0]
        return cls(a, coordinates[..., k:end], coordinates[..., -1] if bias else None)

    @property
    def n_replicas(self) -> int:
        """Number of networks R."""
        return self.w.shape[0]

    @property
    def n_particles(self) -> int:
        """Neurons per network N."""
        return self.w.shape[1]

    @property
    def coordinates(self) -> Array:
        """The points θ_i, shape (R, N, C): a, then w, then b."""
        parts = [self.a if self.a.ndim == 3 else self.a[..., None], self.w]
        if self.b is not None:
            parts.append(self.b[..., None])
        return np.concatenate(parts, axis=-1)

    def first(self, n_particles: int) -> Particles:
        """Return the first neurons of every replica.

        Parameters
        ----------
        n_particles : int
            How many.

        Returns
        -------
        Particles
            Views of these particles.
        """
        bias = None if self.b is None else self.b[:, :n_particles]
        return Particles(self.a[:, :n_particles], self.w[:, :n_particles], bias)

    def __getitem__(self, replicas: int | slice) -> Particles:
        """Return one replica, or a range of them."""
        if isinstance(replicas, int | np.integer):
            position = range(self.n_replicas)[replicas]  # IndexError beyond the last
            replicas = slice(position, position + 1)
        bias = None if self.b is None else self.b[replicas]
        return Particles(self.a[replicas], self.w[replicas], bias)

    def __repr__(self) -> str:
        k = "" if self.a.ndim == 2 else f", n_outputs={self.a.shape[2]}"
        return (
            f"Particles(n_replicas={self.n_replicas}, n_particles={self.n_particles}, "
            f"n_features={self.w.shape[2]}{k}, bias={self.b is not None})"
        )
