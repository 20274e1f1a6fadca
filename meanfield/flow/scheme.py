"""The numerical scheme: everything but the problem that decides how particles move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.checkpoint import fingerprint
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import (
    Coefficients,
    Integrator,
    get_integrator,
    some_steps,
    step_coefficients,
)
from meanfield.flow.minibatch import Minibatch, as_minibatch
from meanfield.flow.particles import Particles, check_layout
from meanfield.flow.schedule import Schedule, per_step
from meanfield.problem import Problem

Array = NDArray[np.float64]

_SAME = 1e-12  # numbers per step that differ by less than this, relatively, are the same


@dataclass(frozen=True, eq=False)
class Scheme:
    """How particles move, checked once; two are equal when their fingerprints are.

    `Scheme.of` makes one for a problem, from names and schedules too.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    step_size, temperature : float or ndarray, shape (n_steps,)
        Step size η in units of the mean-field time and temperature τ; one number where constant.
    integrator : Integrator
        Time integrator.
    init : InitialLaw or None
        Initial law; None when the run starts from particles that were given.
    seed, dtype : int, {"float64", "float32"}
        Seed of noise, batches and initial law; precision of the particles and of the arithmetic.
    minibatch : Minibatch or None
        How the gradient is estimated; None for all data.
    substeps : int
        Increments of the Brownian path that each step takes the normalised sum of.
    """

    n_steps: int
    step_size: float | Array
    temperature: float | Array
    integrator: Integrator
    init: InitialLaw | None
    seed: int = 0
    dtype: str = "float64"
    minibatch: Minibatch | None = None
    substeps: int = 1

    def __post_init__(self) -> None:
        n_steps = checks.steps(self.n_steps, minimum=0)
        for name, value in (
            ("n_steps", n_steps),
            ("step_size", per_step("step_size", self.step_size, n_steps, zero=False)),
            ("temperature", per_step("temperature", self.temperature, n_steps, zero=True)),
            ("integrator", get_integrator(self.integrator)),
            ("init", None if self.init is None else as_initial_law(self.init)),
            ("seed", checks.seed(self.seed)),
            ("dtype", checks.precision(self.dtype)),
            ("substeps", checks.count("substeps", self.substeps)),
        ):
            object.__setattr__(self, name, value)
        if not isinstance(self.minibatch, Minibatch | None):
            raise ArgumentTypeError(
                "minibatch", f"must be a Minibatch or None, got {type(self.minibatch).__name__}."
            )
        # Leimkuhler and Matthews' last step looks one increment ahead.
        stride = self.integrator.stride
        if stride * (n_steps + 1) * self.substeps > 2**32:
            raise ArgumentError(
                "n_steps",
                f"asks for {stride} * (n_steps + 1) * substeps increments of the Brownian path, "
                f"got {n_steps}; they must not exceed 2**32: lower n_steps or substeps.",
            )

    def __reduce__(self) -> tuple[type[Scheme], tuple[Any, ...]]:
        # A copy is made anew: NumPy's own copies of read-only arrays can be written to.
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def of(
        cls,
        problem: Problem,
        *,
        step_size: ArrayLike | Schedule,
        n_steps: int,
        temperature: ArrayLike | Schedule | None = None,
        integrator: str | Integrator = "euler",
        init: str | InitialLaw | Particles = "gaussian",
        seed: int = 0,
        dtype: DTypeLike = "float64",
        batch_size: int | None = None,
        anchor_period: int | None = None,
        substeps: int = 1,
    ) -> Scheme:
        """Check the settings of a run; `simulate` says what each means.

        Parameters
        ----------
        problem : Problem
            Gives the temperature by default, and the number of data.
        step_size : float, array_like of shape (n_steps,) or Schedule
            Step size η, or that of every step.
        n_steps : int
            Number of steps, at least 0.
        temperature : float, array_like of shape (n_steps,) or Schedule, optional
            Temperature τ, or that of every step; the problem's by default.
        integrator : str or Integrator, default: "euler"
            Time integrator.
        init : str, InitialLaw or Particles, default: "gaussian"
            Initial law; a name means unit scale. Under particles, every system starts from neurons
            that are picked from them at random, with replacement.
        seed : int, default: 0
            Seed.
        dtype : {"float64", "float32"}, default: "float64"
            Precision.
        batch_size, anchor_period : int, optional
            Minibatches, and SVRG.
        substeps : int, default: 1
            Increments of the Brownian path in a step.

        Returns
        -------
        Scheme

        Raises
        ------
        ValueError, TypeError
            An argument cannot be used; the sentence names it.

        Examples
        --------
        >>> import numpy as np, meanfield as mf
        >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0], temperature=0.01)
        >>> scheme = mf.Scheme.of(problem, step_size=0.1, n_steps=100)
        >>> scheme.temperature, float(scheme.shortened(5).times.max())
        (0.01, 0.5)
        """
        if not isinstance(problem, Problem):
            raise ArgumentTypeError("problem", f"must be a Problem, got {type(problem).__name__}.")
        if isinstance(init, Particles):
            check_layout(problem, init, "init")
        n_steps = checks.steps(n_steps, minimum=0)
        temperature = problem.temperature if temperature is None else temperature
        return cls(
            n_steps=n_steps,
            step_size=per_step("step_size", step_size, n_steps, zero=False),
            temperature=per_step("temperature", temperature, n_steps, zero=True),
            integrator=get_integrator(integrator),
            init=as_initial_law(init),
            seed=seed,
            dtype=checks.precision(dtype),
            minibatch=as_minibatch(batch_size, anchor_period, problem.n_data),
            substeps=substeps,
        )

    @property
    def step_sizes(self) -> Array:
        """Step size η_t of every step, shape (n_steps,), read-only."""
        return np.broadcast_to(self.step_size, self.n_steps)

    @property
    def temperatures(self) -> Array:
        """Temperature τ_t of every step, shape (n_steps,), read-only."""
        return np.broadcast_to(self.temperature, self.n_steps)

    @property
    def times(self) -> Array:
        """Time at which each step begins, and that of the end, shape (n_steps + 1,)."""
        return self.elapsed(np.arange(self.n_steps + 1))

    def elapsed(self, steps: ArrayLike) -> Array:
        """Return the time at which steps begin: the sum of the step sizes before them.

        Parameters
        ----------
        steps : array_like of int
            Steps in ``0 .. n_steps``.

        Returns
        -------
        ndarray
            Like `steps`.
        """
        steps = np.asarray(steps)
        if isinstance(self.step_size, float):
            return steps * self.step_size
        return np.concatenate([[0.0], np.cumsum(self.step_size)])[steps]

    def saved_steps(self, save_at: Sequence[int] | None) -> NDArray[np.int64]:
        """Return the steps to be saved, ascending and without repetition.

        Parameters
        ----------
        save_at : sequence of int or None
            Steps in ``0 .. n_steps``; None for the first and the last.

        Returns
        -------
        ndarray of int

        Raises
        ------
        ValueError, TypeError
            They are not steps of the run.
        """
        if save_at is None:
            return np.unique([0, self.n_steps])
        steps = np.array(checks.counts("save_at", save_at, minimum=0))
        if len(steps) == 0 or steps[-1] > self.n_steps:
            raise ArgumentError(
                "save_at",
                f"must hold steps between 0 and n_steps={self.n_steps}, got {list(save_at)}.",
            )
        return steps

    def shortened(self, n_steps: int) -> Scheme:
        """Return the first steps of this scheme.

        Parameters
        ----------
        n_steps : int
            How many; a ValueError says when there are fewer.

        Returns
        -------
        Scheme
        """
        if (n_steps := checks.steps(n_steps, minimum=0)) > self.n_steps:
            raise ArgumentError("n_steps", f"must be at most {self.n_steps}, got {n_steps}.")
        first = (v if isinstance(v, float) else v[:n_steps] for v in self._per_step)
        return self._over(n_steps, *first)

    def extended(self, n_steps: int, temperature: ArrayLike | Schedule | None = None) -> Scheme:
        """Return this scheme followed by more steps of the last step size.

        Parameters
        ----------
        n_steps : int
            How many more.
        temperature : float, array_like of shape (n_steps,) or Schedule, optional
            Their temperature; the last one by default.

        Returns
        -------
        Scheme

        Raises
        ------
        ValueError, TypeError
            An argument cannot be used.
        """
        more = self.steady(n_steps)
        if temperature is not None:
            cooled = per_step("temperature", temperature, more.n_steps, zero=True)
            more = replace(more, temperature=cooled)
        return self._over(
            self.n_steps + more.n_steps,
            np.concatenate([self.step_sizes, more.step_sizes]),
            np.concatenate([self.temperatures, more.temperatures]),
        )

    def steady(self, n_steps: int) -> Scheme:
        """Return steps that are all like the last one of this scheme.

        Parameters
        ----------
        n_steps : int
            How many.

        Returns
        -------
        Scheme

        Raises
        ------
        ValueError
            There is no last step, and no constant in its place.
        """
        return self._over(n_steps, *(_last(values) for values in self._per_step))

    def refined(self, factor: int) -> Scheme:
        """Return the scheme that makes several steps of one, over the same time.

        Parameters
        ----------
        factor : int
            How many, each of that part of the step size.

        Returns
        -------
        Scheme
        """
        factor = checks.count("factor", factor)
        sizes, temperatures = np.repeat([self.step_sizes, self.temperatures], factor, axis=1)
        return self._over(factor * self.n_steps, sizes / factor, temperatures)

    def coefficients(
        self, problem: Problem, first: int = 0, last: int | None = None
    ) -> Coefficients:
        """Return the coefficients of steps ``first .. last - 1`` for the coordinates of `problem`.

        Parameters
        ----------
        problem : Problem
            Gives the L2 strengths and the trained coordinates.
        first, last : int
            Which steps; all by default.

        Returns
        -------
        Coefficients
            With zero gain, noise and drift on frozen coordinates.
        """
        last = self.n_steps if last is None else last
        steps = some_steps(self.step_sizes, self.temperatures, first, last)
        return step_coefficients(problem, self.integrator, steps)

    def same_steps(self, other: Scheme) -> bool:
        """Return whether the step sizes of both agree, but for rounding, while both run.

        Parameters
        ----------
        other : Scheme
            Another scheme.

        Returns
        -------
        bool
        """
        n = min(self.n_steps, other.n_steps)
        return np.allclose(self.step_sizes[:n], other.step_sizes[:n], rtol=_SAME, atol=0.0)

    def mismatch(self, other: Scheme) -> str | None:
        """Say what keeps a mean-field path of this scheme from serving `other`.

        The limit depends on step sizes, temperatures, integrator and initial law, over the steps
        that `other` has; not on seed, precision or minibatches.

        Parameters
        ----------
        other : Scheme
            A scheme with as many steps, or fewer.

        Returns
        -------
        str or None
            The first difference, to stand after "was computed for"; None if there is none.
        """
        n = other.n_steps
        if self.n_steps < n:
            return f"only {self.n_steps} steps of the {n} that are needed"
        if not self.same_steps(other):
            mine, wanted = float(self.step_sizes[0]), float(other.step_sizes[0])
            if mine == wanted:
                return "another schedule of the step size"
            return f"step_size={mine:g} instead of {wanted:g}"
        if self.integrator.name != other.integrator.name:
            return f"integrator={self.integrator.name!r} instead of {other.integrator.name!r}"
        if self.init != other.init:
            return f"init={self.init} instead of {other.init}"
        if not np.allclose(self.temperatures[:n], other.temperatures, rtol=_SAME, atol=0.0):
            return "another temperature"
        return None

    def matches(self, other: Scheme) -> bool:
        """Return whether a mean-field path of this scheme serves `other`; see `mismatch`.

        Parameters
        ----------
        other : Scheme
            A scheme with as many steps, or fewer.

        Returns
        -------
        bool
        """
        return self.mismatch(other) is None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all settings."""
        values = vars(self) | {"integrator": self.integrator.name}
        return fingerprint(*(values[name] for name in self.__dataclass_fields__))

    @property
    def step_size_label(self) -> float | str:
        """The step size, or the range of a schedule in words, for records."""
        if isinstance(self.step_size, float):
            return self.step_size
        return f"{min(self.step_size):g} to {max(self.step_size):g}" if self.n_steps else "none"

    @property
    def info(self) -> dict[str, Any]:
        """The settings as numbers, names and arrays, for records."""
        batches = {} if self.minibatch is None else asdict(self.minibatch)
        return {
            "step_size": self.step_size,
            "seed": self.seed,
            "integrator": self.integrator.name,
            "dtype": self.dtype,
            "substeps": self.substeps,
            **{f"minibatch_{key}": value for key, value in batches.items()},
            "init": "particles" if self.init is None else self.init.info,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scheme):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def _per_step(self) -> tuple[float | Array, float | Array]:
        return self.step_size, self.temperature

    def _over(self, n_steps: int, step_size: float | Array, temperature: float | Array) -> Scheme:
        """Return the same scheme over other steps."""
        return replace(self, n_steps=n_steps, step_size=step_size, temperature=temperature)


def _last(values: float | Array) -> float:
    """Return the number of the last step."""
    if isinstance(values, float):
        return values
    if not len(values):
        raise ArgumentError(
            "n_steps", message="A scheduled run without steps has no last one; give it a step."
        )
    return float(values[-1])
