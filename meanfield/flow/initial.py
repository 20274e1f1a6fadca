"""Initial laws of the particles, drawn from the counter-based generator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow import noise
from meanfield.flow.particles import Particles, check_layout

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Name of each law and, where it has one, the name of its shape parameter.
LAWS: dict[str, str | None] = {
    "gaussian": None,
    "laplace": None,
    "uniform-ball": None,
    "stretched-exponential": "rho",
    "student-t": "nu",
}


#: ``sampler(n, generator)`` draws n particles, (n, C).
Sampler: TypeAlias = Callable[[int, np.random.Generator], ArrayLike]
_BLOCK = 64  # particles that a sampler draws at once


@dataclass(frozen=True)
class InitialLaw:
    r"""Law of the particles at time 0, independent from particle to particle.

    With :math:`C` coordinates per particle, before scaling:

    - ``"gaussian"``: :math:`N(0, I_C)`;
    - ``"laplace"``: independent coordinates of density :math:`\tfrac12 e^{-|u|}`;
    - ``"uniform-ball"``: uniform on the unit ball of :math:`R^C`;
    - ``"stretched-exponential"``: density proportional to :math:`e^{-|\theta|^\rho}`;
    - ``"student-t"``: multivariate Student t with :math:`\nu` degrees of freedom.

    A frozen output weight `a` is the constant 1 instead.

    Parameters
    ----------
    law : str, default: "gaussian"
        One of the names above.
    scale : float or tuple of three floats, default: 1.0
        Factor applied to every coordinate, or one factor each for `a`, `w` and `b`.
    rho : float, optional
        Exponent of the stretched exponential.
    nu : float, optional
        Degrees of freedom (tail index) of Student t.

    Notes
    -----
    The draw of particle i depends only on the seed, the replica and i, so that a system of
    N particles and one of M > N start from the same first N particles.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0])
    >>> run = mf.simulate(problem, 64, 0.2, 10, init=mf.InitialLaw("student-t", nu=5.0))
    >>> run.particles.n_particles
    64
    """

    law: str = "gaussian"
    scale: float | tuple[float, float, float] = 1.0
    rho: float | None = None
    nu: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "law", str(checks.choice("law", self.law, LAWS)))
        self._check_scale()
        self._check_shape()

    def _check_scale(self) -> None:
        if np.ndim(self.scale) == 0:
            scale: float | tuple[float, ...] = checks.nonnegative("scale", self.scale)
        elif len(self.scale) == 3:  # type: ignore[arg-type]
            scale = tuple(checks.nonnegative("scale", s) for s in self.scale)  # type: ignore[union-attr]
        else:
            raise ArgumentError(
                "scale", f"must be one number or three (a, w, b), got {self.scale!r}."
            )
        if isinstance(scale, tuple) and len(set(scale)) == 1:
            scale = scale[0]
        object.__setattr__(self, "scale", scale)

    def _check_shape(self) -> None:
        for name in ("rho", "nu"):
            if LAWS[self.law] == name:
                value = getattr(self, name)
                if value is None:
                    raise ArgumentError(
                        name, message=f"The initial law {self.law!r} needs the parameter {name}."
                    )
                object.__setattr__(self, name, checks.positive(name, value))
            elif getattr(self, name) is not None:
                raise ArgumentError(
                    name, message=f"The initial law {self.law!r} takes no parameter {name}."
                )

    @property
    def info(self) -> dict[str, object]:
        """The parameters that are set, for records."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def coordinate_scale(self, problem: Problem) -> NDArray[np.float64]:
        """Return the factor of every coordinate.

        Parameters
        ----------
        problem : Problem
            Gives the coordinates of a particle.

        Returns
        -------
        ndarray, shape (C,)
            The scales.
        """
        a, w, b = self.scale if isinstance(self.scale, tuple) else (self.scale,) * 3
        parts = [a] * problem.n_outputs + [w] * problem.n_features + [b] * int(problem.bias)
        return np.array(parts)

    def sample(
        self, problem: Problem, n_particles: int, *, seed: int = 0, replica: int = 0
    ) -> NDArray[np.float64]:
        """Draw the particles of one replica.

        Parameters
        ----------
        problem : Problem
            Gives the coordinates of a particle.
        n_particles : int
            Number of particles N.
        seed, replica : int
            Seed of the generator, and index of the replica.

        Returns
        -------
        ndarray, shape (C, N)
            Coordinate-major points: rows `a`, then `w`, then `b`.
        """
        n_coordinates = problem.n_coordinates
        # One more normal coordinate drives the radius of the radial laws.
        normals = noise.gaussian(
            seed, replica, 0, n_particles, n_coordinates + 1, stream=noise.INITIAL
        )
        points, radial = normals[:n_coordinates], normals[n_coordinates]
        with np.errstate(over="ignore", divide="ignore"):
            points = _TRANSFORMS[self.law](points, radial, self)
            points = points * self.coordinate_scale(problem)[:, None]
        if "a" not in problem.train:
            points[: problem.n_outputs] = 1.0
        return points


@dataclass(frozen=True, eq=False, repr=False)
class EmpiricalLaw(InitialLaw):
    """Law of a neuron picked at random, with replacement, from particles that are there.

    Parameters
    ----------
    law : str
        ``"particles"``.
    scale : as for `InitialLaw`
        Factors on their coordinates.
    particles : Particles
        Those of all replicas are picked from.
    """

    law: str = "particles"
    particles: Particles | None = None

    def __post_init__(self) -> None:
        if self.law != "particles" or self.particles is None:
            raise ArgumentError("particles", "must be given: they are the law.")
        self._check_scale()
        if not np.isfinite(self.particles.coordinates).all():
            raise ArgumentError("init", "holds NaN or infinite particles; start from finite ones.")
        # A law must not change: neither with the arrays that it came from, nor in its own.
        particles = deepcopy(self.particles)
        for part in (particles.a, particles.w, particles.b):
            if part is not None:
                part.flags.writeable = False
        object.__setattr__(self, "particles", particles)

    def __reduce__(self) -> tuple[type[EmpiricalLaw], tuple[Any, ...]]:
        # A copy is made anew: NumPy's own copies of read-only arrays can be written to.
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def _points(self) -> Array:
        """The particles of all replicas, (M, C)."""
        assert self.particles is not None
        points = self.particles.coordinates
        return np.array(points.reshape(-1, points.shape[2]), dtype=float)

    @property
    def info(self) -> dict[str, object]:
        digest = hashlib.sha256(self._points.astype("<f8").tobytes()).hexdigest()
        number = len(self._points)
        return {"law": self.law, "scale": self.scale, "n_particles": number, "sha256": digest}

    def sample(
        self, problem: Problem, n_particles: int, *, seed: int = 0, replica: int = 0
    ) -> NDArray[np.float64]:
        assert self.particles is not None
        check_layout(problem, self.particles, "init")
        (normal,) = noise.gaussian(seed, replica, 0, n_particles, 1, stream=noise.INITIAL)
        number = len(self._points)
        picked = np.minimum((special.ndtr(normal) * number).astype(int), number - 1)
        return self._points[picked].T * self.coordinate_scale(problem)[:, None]

    def __repr__(self) -> str:
        return f"EmpiricalLaw({self.info})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmpiricalLaw) and self.info == other.info

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, eq=False, repr=False)
class SampledLaw(InitialLaw):
    """Law of the particles that a function of the user's own draws.

    Parameters
    ----------
    law : str
        ``"sampler"``.
    scale : as for `InitialLaw`
        Factors on the coordinates.
    sampler : callable
        ``sampler(n, generator)`` returns n independent draws, (n, C), rows (a, w, b), made with the
        NumPy generator. It is called for one block of 64 particles after the other, each with a
        generator of its own, so that larger systems start with the particles of smaller ones.
    """

    law: str = "sampler"
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        if self.law != "sampler" or not callable(self.sampler):
            raise ArgumentError("sampler", "must be a function of n and a generator.")
        self._check_scale()

    @cached_property
    def info(self) -> dict[str, object]:
        """The name of the function, and a digest of what it draws."""
        drawn = self._block(np.random.Generator(np.random.Philox(key=0)))
        digest = hashlib.sha256(np.ascontiguousarray(drawn, dtype="<f8").tobytes()).hexdigest()
        name = getattr(self.sampler, "__qualname__", type(self.sampler).__qualname__)
        return {"law": self.law, "scale": self.scale, "sampler": name, "sha256": digest}

    def _block(self, generator: np.random.Generator) -> Array:
        assert self.sampler is not None
        drawn = np.asarray(self.sampler(_BLOCK, generator))
        if drawn.dtype.kind not in "fiub" or drawn.ndim != 2 or len(drawn) != _BLOCK:
            raise ArgumentError(
                "init",
                f"must return {_BLOCK} particles as real numbers of shape ({_BLOCK}, C) when it is "
                f"asked for that many, got {drawn.dtype} of shape {drawn.shape}.",
            )
        return drawn.astype(float)

    def sample(
        self, problem: Problem, n_particles: int, *, seed: int = 0, replica: int = 0
    ) -> NDArray[np.float64]:
        blocks = []
        for block in range(-(-n_particles // _BLOCK)):
            place = np.random.SeedSequence([seed, replica, block])
            blocks.append(self._block(np.random.Generator(np.random.Philox(place))))
        points, C = np.concatenate(blocks)[:n_particles], problem.n_coordinates
        if points.shape[1] != C:
            raise ArgumentError(
                "init",
                f"draws particles of {points.shape[1]} coordinates, but those of the problem have "
                f"{C}: {problem.n_outputs} of a, {problem.n_features} of w"
                + (" and one of b." if problem.bias else "."),
            )
        if not np.isfinite(points).all():
            raise ArgumentError("init", "draws NaN or infinite particles; draw finite ones.")
        points = np.ascontiguousarray(points.T) * self.coordinate_scale(problem)[:, None]
        if "a" not in problem.train:
            points[: problem.n_outputs] = 1.0
        return points

    def __repr__(self) -> str:
        return f"SampledLaw({self.info})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampledLaw) and self.info == other.info

    def __hash__(self) -> int:
        return hash(repr(self))


#: What particles may start from.
Init: TypeAlias = str | InitialLaw | Particles | Sampler | NDArray[Any]


def as_initial_law(init: Init) -> InitialLaw:
    """Return `init` as a law: of a name, with unit scale, of particles, of a sampler."""
    if isinstance(init, Particles):
        return EmpiricalLaw(particles=init)
    if isinstance(init, InitialLaw):
        return init
    if isinstance(init, str):
        return InitialLaw(checks.choice("init", init, LAWS))
    if callable(init):
        return SampledLaw(sampler=init)
    raise not_a_start(init)


def as_start(problem: Problem, init: Init) -> str | InitialLaw | Particles | Sampler:
    """Return an array of particles, (N, C) or (R, N, C), as `Particles`, all else as it is."""
    if isinstance(init, str | InitialLaw | Particles) or callable(init):
        return init
    checks.unmasked("init", init)
    try:
        points = np.asarray(init)
    except ValueError:
        raise not_a_start(init) from None
    if points.dtype.kind not in "fiub" or points.ndim not in (2, 3):
        raise not_a_start(init)
    C = problem.n_coordinates
    if points.shape[-1] != C:
        raise ArgumentError(
            "init",
            f"is an array of shape {points.shape}; give one particle a row, (N, {C}) or "
            f"(R, N, {C}), with the coordinates a, w and, with a bias, b.",
        )
    points = points if points.dtype == np.float32 else points.astype(float)
    points = points if points.ndim == 3 else points[None]
    return Particles.from_coordinates(
        points, problem.n_outputs, problem.bias, problem.vector_output
    )


def not_a_start(init: object) -> ArgumentTypeError:
    """Return the error for what particles cannot start from."""
    return ArgumentTypeError(
        "init",
        "must be a law's name, an InitialLaw, Particles, an array of particles or a sampler, got "
        f"{type(init).__name__}.",
    )


def _gaussian(points: Array, radial: Array, law: InitialLaw) -> Array:
    return points


def _laplace(points: Array, radial: Array, law: InitialLaw) -> Array:
    # Quantile transform; each half uses its own tail, which loses no digits.
    return -np.sign(points) * np.log(2 * special.ndtr(-np.abs(points)))


def _radial_quantile(points: Array, radial: Array, quantile: Callable[[Array], Array]) -> Array:
    direction = points / np.linalg.norm(points, axis=0)
    return direction * quantile(special.ndtr(radial))


def _uniform_ball(points: Array, radial: Array, law: InitialLaw) -> Array:
    return _radial_quantile(points, radial, lambda u: u ** (1 / points.shape[0]))


def _stretched_exponential(points: Array, radial: Array, law: InitialLaw) -> Array:
    # |θ|^ρ is Gamma(C/ρ) under the density exp(−|θ|^ρ).
    assert law.rho is not None  # InitialLaw saw to that
    shape, rho = points.shape[0] / law.rho, law.rho
    return _radial_quantile(points, radial, lambda u: special.gammaincinv(shape, u) ** (1 / rho))


def _student_t(points: Array, radial: Array, law: InitialLaw) -> Array:
    assert law.nu is not None
    chi_squared = 2 * special.gammainccinv(law.nu / 2, special.ndtr(radial))
    return points * np.sqrt(law.nu / chi_squared)


_TRANSFORMS = {
    "gaussian": _gaussian,
    "laplace": _laplace,
    "uniform-ball": _uniform_ball,
    "stretched-exponential": _stretched_exponential,
    "student-t": _student_t,
}
