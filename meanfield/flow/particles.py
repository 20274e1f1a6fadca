"""The particles: neurons of one or several networks, as arrays."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.flow import conversion
from meanfield.system import storage

if TYPE_CHECKING:
    import xarray as xr

    from meanfield.problem import Problem

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

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> network = mf.Particles(a=np.ones((1, 2)), w=np.eye(2)[None])
    >>> network.n_replicas, network.n_particles
    (1, 2)
    """

    a: Array
    w: Array
    b: Array | None = None

    def __post_init__(self) -> None:
        for name in ("a", "w", "b"):
            value = getattr(self, name)
            if value is None and name == "b":
                continue
            checks.unmasked(name, value)
            value = np.asarray(value)
            if value.dtype.kind not in "fiub":
                raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}.")
            object.__setattr__(self, name, value)
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
            Of one replica.
        """
        for name, value in (("a", a), ("w", w), ("b", b)):
            checks.unmasked(name, value)
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
        bias, vector_output : bool
            Whether the last coordinate is `b`, and whether `a` keeps its output axis.

        Returns
        -------
        Particles
            Views of the coordinates.
        """
        k = n_outputs
        end = coordinates.shape[-1] - int(bias)
        a = coordinates[..., :k] if vector_output else coordinates[..., 0]
        return cls(a, coordinates[..., k:end], coordinates[..., -1] if bias else None)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], normalisation: str = "sum") -> Particles:
        """Make particles from the weights of a two-layer network of another library.

        Parameters
        ----------
        state : mapping of str to array or tensor
            As ``torch.nn.Sequential(Linear(d, N), activation, Linear(N, k)).state_dict()`` gives
            them: a matrix (N, d), its bias (N,) where there is one, and a matrix (k, N). PyTorch
            itself is not needed.
        normalisation : {"sum", "mean"}
            Whether that network is ``Σ a_i σ``, as is usual there, or ``(1/N) Σ a_i σ``. The
            particles are mean-field ones in either case.

        Returns
        -------
        Particles
            With one replica; the same function.

        Raises
        ------
        TypeError, ValueError
            These are not the weights of a two-layer network, or it has an output bias that is not
            zero: train with ``bias=False`` there, or subtract it from the labels.
        """
        a, w, b = conversion.from_state_dict(state, normalisation)
        return cls.from_arrays(a, w, b)

    def to_state_dict(
        self, normalisation: str = "sum", names: tuple[str, str] = ("0", "2")
    ) -> dict[str, Array]:
        """Return the weights of one network by the names that PyTorch gives them.

        ``module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})`` loads them
        into ``Sequential(Linear(d, N), activation, Linear(N, k, bias=False))``.

        Parameters
        ----------
        normalisation : {"sum", "mean"}
            Whether that network is ``Σ a_i σ`` or ``(1/N) Σ a_i σ``.
        names : pair of str
            Names of the two layers.

        Returns
        -------
        dict of str to ndarray
            Copies.

        Raises
        ------
        ValueError
            There are several replicas; choose one. Or the two names are the same.
        """
        return conversion.to_state_dict(self.a, self.w, self.b, normalisation, names)

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> Particles:
        """Read particles from an npz file with arrays `a`, `w` and, with a bias, `b`.

        Parameters
        ----------
        path : path-like
            The file; nothing in it is ever unpickled.

        Returns
        -------
        Particles

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is no npz file, or its arrays are not particles.
        """
        return cls(*conversion.from_npz(path))

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the particles into an npz file, readable with ``numpy.load``.

        Parameters
        ----------
        path : path-like
            The file.

        Raises
        ------
        OSError
            The folder is missing, not writable or full; a file that was there is untouched.
        """
        arrays: dict[str, Any] = {"a": self.a, "w": self.w}
        if self.b is not None:
            arrays["b"] = self.b
        content = io.BytesIO()
        np.savez(content, **arrays)
        storage.write_atomic(path, content.getbuffer())

    @classmethod
    def from_xarray(cls, dataset: xr.Dataset) -> Particles:
        """Make particles from a dataset, such as a saved result at one of its steps.

        Parameters
        ----------
        dataset : xarray.Dataset
            Variables `a`, `w` and, with a bias, `b` over `particle`, `feature`, and where there
            are several `replica` and `output`.

        Returns
        -------
        Particles

        Raises
        ------
        TypeError, ValueError
            This is no dataset, a variable is missing, or has a dimension to choose from, such as
            `step`.
        """
        return cls(*conversion.from_xarray(dataset))

    def to_xarray(self) -> xr.Dataset:
        """Return the particles as a dataset over `replica`, `particle`, `feature` and `output`.

        Returns
        -------
        xarray.Dataset
            Variables `a`, `w` and, with a bias, `b`.
        """
        return conversion.to_xarray(self.a, self.w, self.b)

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


def as_particles(problem: Problem, state: Array) -> Particles:
    """Return a state (R, C, N) as particles."""
    return particles_at(problem, state.swapaxes(1, 2))


def particles_at(problem: Problem, coordinates: Array) -> Particles:
    """Return points (R, N, C) as particles of a problem."""
    return Particles.from_coordinates(
        coordinates, problem.n_outputs, problem.bias, problem.vector_output
    )


def check_layout(problem: Problem, particles: Particles, name: str = "particles") -> None:
    """Refuse particles whose coordinates mean something else in `problem`."""
    outputs = particles.a.shape[2] if particles.a.ndim == 3 else 1
    has = (outputs, particles.w.shape[2], particles.b is not None)
    wanted = (problem.n_outputs, problem.n_features, problem.bias)
    if has != wanted:
        raise ValueError(
            f"{name} has (outputs, features, bias) = {has}, but the problem has {wanted}."
        )
