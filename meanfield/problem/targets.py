"""Target functions ``f*(x)`` with recorded parameters: teachers, index models, parities, Hermite.

Hermite polynomials are *normalised* throughout this module, ``h_k = He_k / √(k!)``, so that they
are orthonormal under the standard Gaussian. (The activations ``he1 … he6`` are not normalised.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index as as_index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.activations import Activation, get_activation
from meanfield.problem.draws import directions_apart, generator, unit_rows
from meanfield.problem.hermite_polynomials import hermite_table
from meanfield.problem.validation import as_inputs, as_numbers
from meanfield.system import memory


class Target(ABC):
    """A function ``f*`` on ``R^d``; two are equal when their `info` is.

    Attributes
    ----------
    n_features : int
        Input dimension ``d``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[2.0, 0.0]], activation="tanh")
    >>> isinstance(target, mf.problem.Target), target.n_features, target(np.zeros((3, 2))).shape
    (True, 2, (3,))
    """

    n_features: int

    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Return ``f*(x)`` for each row of a finite (n, d), shape (n,), or (n, k) for k outputs."""
        return self._evaluate(as_inputs(X, n_features=self.n_features))

    @abstractmethod
    def _evaluate(self, X: np.ndarray) -> np.ndarray: ...

    @property
    @abstractmethod
    def info(self) -> dict[str, Any]:
        """The parameters, in types that JSON knows."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self.info == other.info

    def __hash__(self) -> int:
        return hash(repr(self.info))

    def _store(self, **values: Any) -> None:
        """Set checked values of a frozen target, arrays as read-only."""
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False, init=False)
class Teacher(Target):
    """A two-layer network, ``f*(x) = Σ_m a_m σ(⟨w_m, x⟩ + b_m)``: a sum, not a mean.

    Parameters
    ----------
    a, w : array_like of shape (m,) or (m, k), and (m, d)
        Output and input weights.
    b : array_like of shape (m,), optional
        Biases; none when None.
    activation : str or Activation
        The activation σ.

    Raises
    ------
    ValueError
        If the shapes disagree.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.problem.Teacher([2.0, -1.0], [[1.0, 0.0], [0.0, 1.0]], activation="relu")([[3.0, 1.0]])
    array([5.])
    """

    a: np.ndarray
    w: np.ndarray
    b: np.ndarray | None
    activation: Activation

    def __init__(
        self,
        a: ArrayLike,
        w: ArrayLike,
        b: ArrayLike | None = None,
        activation: str | Activation = "tanh",
    ) -> None:
        a, w = as_numbers(a, "a"), as_inputs(w, "w")
        b = None if b is None else as_numbers(b, "b")
        if a.ndim not in (1, 2) or len(a) != len(w):
            raise ValueError(f"a must have one row per row of w, got {a.shape} and {w.shape}.")
        if b is not None and b.shape != (len(w),):
            raise ValueError(f"b must have shape ({len(w)},) like the rows of w, got {b.shape}.")
        self._store(a=a, w=w, b=b, activation=get_activation(activation), n_features=w.shape[1])

    @classmethod
    def random(
        cls,
        n_features: int,
        n_atoms: int,
        activation: str | Activation = "tanh",
        bias: bool = True,
        *,
        n_outputs: int = 1,
        min_angle: float = 0.0,
        output_norm: float | Sequence[float] = 1.0,
        weight_norm: float | Sequence[float] = 1.0,
        bias_scale: float = 1.0,
        seed: int = 0,
    ) -> Teacher:
        """Draw a teacher with uniform directions that keep apart.

        Parameters
        ----------
        n_features, n_atoms : int
            Input dimension ``d`` and number of atoms ``m``.
        activation, bias : str or Activation, bool
            The activation σ, and whether atoms have a bias.
        n_outputs : int
            Number of outputs ``k``; with one, ``a`` has shape (m,).
        min_angle : float
            Least angle between two lines ``R w_i``, in degrees, 0 to 90: modulo sign.
        output_norm, weight_norm : float or sequence of float
            ``|a_m|`` and ``|w_m|``, common or one per atom; the signs of ``a`` (directions for
            ``k > 1``) are random.
        bias_scale : float
            Standard deviation of the Gaussian biases.
        seed : int
            Seed, at least 0.

        Returns
        -------
        Teacher

        Raises
        ------
        ValueError
            If `min_angle` leaves no room for the directions, or a number is out of range.
        """
        d, m = checks.count("n_features", n_features), checks.listed("n_atoms", n_atoms)
        n_outputs = checks.count("n_outputs", n_outputs)
        memory.fits(n_atoms=m, n_features=d)
        memory.fits(n_atoms=m, n_outputs=n_outputs)
        rng = generator(seed, 0)
        w = directions_apart(rng, m, d, min_angle) * _norms(weight_norm, m, "weight_norm")
        a = unit_rows(rng, m, n_outputs) * _norms(output_norm, m, "output_norm")
        b = checks.nonnegative("bias_scale", bias_scale) * rng.standard_normal(m)
        return cls(a[:, 0] if n_outputs == 1 else a, w, b if bias else None, activation)

    def _evaluate(self, X: np.ndarray) -> np.ndarray:
        z = X @ self.w.T if self.b is None else X @ self.w.T + self.b
        return self.activation.value(z) @ self.a

    @property
    def info(self) -> dict[str, Any]:
        return {
            "kind": "teacher",
            "activation": self.activation.name,
            "a": self.a.tolist(),
            "w": self.w.tolist(),
            "b": None if self.b is None else self.b.tolist(),
        }


@dataclass(frozen=True, eq=False, init=False)
class HermiteTarget(Target):
    """A finite Hermite expansion, ``f*(x) = Σ_α c_α Π_i h_{α_i}(x_i)``, normalised ``h_k``.

    Under standard Gaussian inputs ``E[f*²] = Σ_α c_α²``.

    Parameters
    ----------
    n_features : int
        Input dimension ``d``.
    coefficients : mapping of multi-index to float
        ``c_α``. A multi-index is a tuple of degrees, or a string such as ``"2,0,1"``; missing
        trailing degrees are 0.

    Raises
    ------
    ValueError
        If a multi-index is malformed, longer than ``d``, or given twice.

    Examples
    --------
    >>> from meanfield.problem import HermiteTarget
    >>> HermiteTarget(3, {"1": 1.0, (1, 1): 0.5}).coefficients
    {(1, 0, 0): 1.0, (1, 1, 0): 0.5}
    """

    n_features: int
    coefficients: dict[tuple[int, ...], float]

    def __init__(self, n_features: int, coefficients: Mapping[Any, float]) -> None:
        d = checks.count("n_features", n_features)
        if not isinstance(coefficients, Mapping) or not coefficients:
            raise ArgumentError("coefficients", 'must map multi-indices to numbers: {"1,1": 1.0}.')
        full: dict[tuple[int, ...], float] = {}
        for key, value in coefficients.items():
            index = _multi_index(key, d)
            if index in full:
                raise ArgumentError("coefficients", f"give the multi-index {index} twice.")
            full[index] = float(as_numbers(value, f"coefficients[{key!r}]"))
        self._store(n_features=d, coefficients=full)

    def _evaluate(self, X: np.ndarray) -> np.ndarray:
        degree = max(max(index) for index in self.coefficients)
        used = np.flatnonzero(np.max(list(self.coefficients), axis=0))
        n_bytes = 8.0 * (degree + 1) * len(X) * len(used)
        memory.require(n_bytes, f"give fewer rows, or lower degrees than {degree}")
        table = hermite_table(X[:, used], degree)
        values = np.zeros(len(X))
        for index, coefficient in self.coefficients.items():
            factors = [table[index[i], :, column] for column, i in enumerate(used) if index[i]]
            values += coefficient * np.prod(factors, axis=0)
        return values

    @property
    def info(self) -> dict[str, Any]:
        pairs = [[list(index), value] for index, value in self.coefficients.items()]
        return {"kind": "hermite", "n_features": self.n_features, "coefficients": pairs}


Link = str | Activation | HermiteTarget | Mapping[Any, float] | Sequence[float]
"""What stands for a function of projections, see `IndexTarget`."""


@dataclass(frozen=True, eq=False, init=False)
class IndexTarget(Target):
    """A function of few projections, ``f*(x) = g(⟨u_1, x⟩, …, ⟨u_r, x⟩)``; single-index for r = 1.

    Parameters
    ----------
    directions : array_like of shape (r, d)
        Orthonormal rows ``u_j``.
    link : str, Activation, mapping or sequence of float
        The link ``g``. An activation is summed over projections, ``Σ_j σ(⟨u_j, x⟩)``; a mapping of
        multi-indices of length ``r`` is a `HermiteTarget` of the projections; a sequence
        ``c_0, c_1, …`` is ``Σ_k c_k h_k(⟨u_1, x⟩)`` (``r = 1``). A named ``he3`` is not normalised,
        the coefficients belong to normalised polynomials.

    Raises
    ------
    ValueError
        If the rows are not orthonormal, or the link does not fit.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.problem.IndexTarget([[1.0, 0.0]], [0.0, 1.0])([[2.0, 5.0]])
    array([2.])
    """

    directions: np.ndarray
    link: Activation | HermiteTarget

    def __init__(self, directions: ArrayLike, link: Link) -> None:
        directions = as_inputs(directions, "directions")
        if not np.allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-9):
            raise ArgumentError(
                "directions", "must have orthonormal rows; pass np.linalg.qr(directions.T)[0].T."
            )
        r, d = directions.shape
        self._store(directions=directions, link=_link(link, r), n_features=d)

    @classmethod
    def random(
        cls, n_features: int, n_directions: int, link: Link, *, seed: int = 0
    ) -> IndexTarget:
        """Draw the directions uniformly among orthonormal frames.

        Parameters
        ----------
        n_features, n_directions : int
            Input dimension ``d`` and number of projections ``r ≤ d``.
        link : str, Activation, mapping or sequence of float
            The link, as for the class.
        seed : int
            Seed, at least 0.

        Returns
        -------
        IndexTarget

        Raises
        ------
        ValueError
            If ``r > d``, or the link does not fit.
        """
        d, r = checks.count("n_features", n_features), checks.count("n_directions", n_directions)
        memory.fits(n_directions=r, n_features=d)
        if r > d:
            raise ArgumentError("n_directions", f"must be at most n_features = {d}, got {r}.")
        q, upper = np.linalg.qr(generator(seed, 0).standard_normal((d, r)))
        return cls((q * np.sign(np.diag(upper))).T, link)  # the sign makes the law uniform

    def _evaluate(self, X: np.ndarray) -> np.ndarray:
        z = X @ self.directions.T
        return self.link.value(z).sum(axis=1) if isinstance(self.link, Activation) else self.link(z)

    @property
    def info(self) -> dict[str, Any]:
        link = self.link.name if isinstance(self.link, Activation) else self.link.info
        return {"kind": "index", "directions": self.directions.tolist(), "link": link}


@dataclass(frozen=True, eq=False, init=False)
class Parity(Target):
    """The product of some coordinates, ``f*(x) = Π_{i ∈ S} x_i``.

    ±1 on the hypercube; on Gaussian inputs the Hermite term of degree ``|S|`` with coefficient 1.

    Parameters
    ----------
    n_features : int
        Input dimension ``d``.
    coordinates : sequence of int
        The set ``S``, distinct, each 0 to d − 1.

    Raises
    ------
    ValueError
        If a coordinate is repeated or out of range, or there is none.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.problem.Parity(3, [0, 2])([[1.0, 1.0, -1.0]])
    array([-1.])
    """

    n_features: int
    coordinates: tuple[int, ...]

    def __init__(self, n_features: int, coordinates: Sequence[int]) -> None:
        d = checks.count("n_features", n_features)
        given = [checks.count("coordinates", i, minimum=0) for i in coordinates]
        distinct = sorted(set(given))
        if not given or len(distinct) < len(given) or distinct[-1] >= d:
            raise ArgumentError(
                "coordinates", f"must be distinct numbers from 0 to {d - 1}, got {given}."
            )
        self._store(n_features=d, coordinates=tuple(distinct))

    def _evaluate(self, X: np.ndarray) -> np.ndarray:
        return X[:, self.coordinates].prod(axis=1)

    @property
    def info(self) -> dict[str, Any]:
        coordinates = list(self.coordinates)
        return {"kind": "parity", "n_features": self.n_features, "coordinates": coordinates}


def _norms(values: float | Sequence[float], n_atoms: int, name: str) -> np.ndarray:
    """Return positive norms, common or one for each atom, as a column."""
    norms = as_numbers(values, name)
    if norms.shape not in ((), (n_atoms,)):
        raise ArgumentError(name, f"must be one number or {n_atoms}, got shape {norms.shape}.")
    if (norms <= 0).any():
        raise ArgumentError(name, f"must be positive, got {norms.min():g}.")
    return norms.reshape(-1, 1)


def _multi_index(key: Any, n_features: int) -> tuple[int, ...]:
    """Read a multi-index and pad it with zeros."""
    try:
        index = tuple(map(int, key.split(",")) if isinstance(key, str) else map(as_index, key))
    except (TypeError, ValueError):
        raise ArgumentError(
            "coefficients", f'need keys such as "2,0,1" or tuples of degrees, got {key!r}.'
        ) from None
    if len(index) > n_features or min(index, default=-1) < 0:
        raise ArgumentError(
            "coefficients", f"need keys of 1 to {n_features} degrees, none negative, got {key!r}."
        )
    if max(index) > checks.MOST_LISTED:
        raise ArgumentError(
            "coefficients", f"need degrees of at most {checks.MOST_LISTED}, got {key!r}."
        )
    return index + (0,) * (n_features - len(index))


def _link(link: Link, n_directions: int) -> Activation | HermiteTarget:
    if isinstance(link, HermiteTarget):
        if link.n_features != n_directions:
            raise ArgumentError("link", f"takes {link.n_features} projections, not {n_directions}.")
        return link
    try:
        if isinstance(link, str | Activation):
            return get_activation(link)
        if isinstance(link, Mapping):
            return HermiteTarget(n_directions, link)
    except (ArgumentError, ArgumentTypeError) as error:
        raise ArgumentError("link", message=f"link: {error}") from None
    coefficients = as_numbers(link, "link")
    if coefficients.ndim != 1 or n_directions != 1:
        raise ArgumentError(
            "link",
            "as a list holds the coefficients of one projection; "
            'for several give multi-indices, as in {"1,1": 1.0}.',
        )
    return HermiteTarget(1, {(k,): c for k, c in enumerate(coefficients)})
