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
from meanfield.flow.initial import Init, InitialLaw, as_initial_law, as_start
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
from meanfield.flow.steps import (
    check_memory,
    check_number,
    first_difference,
    first_steps,
    joined,
    last_step,
    repeated,
)
from meanfield.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scheme:
    """How particles move, checked once; two are equal when their fingerprints are.

    `Scheme.of` makes one for a problem, from names and schedules too.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    step_size, temperature : float or ndarray, shape (n_steps,)
        Step size η in units of the mean-field time and temperature τ; one number where constant,
        and without steps: then those of the first step, if there were one.
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

    Examples
    --------
    >>> Scheme.of(Problem([[1.0]], [1.0]), step_size=0.5, n_steps=4).times
    array([0. , 0.5, 1. , 1.5, 2. ])
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
        self._check_number("n_steps", n_steps, n_steps)

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
        init: Init = "gaussian",
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
        init : str, InitialLaw, Particles, array or callable, default: "gaussian"
            Initial law, see `simulate`; a name means unit scale. Under particles, every system
            starts from neurons that are picked from them at random, with replacement.
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
        checks.instance("problem", problem, Problem)
        init = as_start(problem, init)
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
        check_memory("n_steps", self.n_steps, self.n_steps)
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

        Raises
        ------
        ValueError, TypeError
            They are not steps of the run.
        """
        whole = checks.whole("steps", steps, self.n_steps, "n_steps")
        if isinstance(self.step_size, float):
            return np.multiply(whole, self.step_size, dtype=np.float64)
        return np.concatenate([[0.0], np.cumsum(self.step_size)])[whole]

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
        return self._over(n_steps, *(first_steps(values, n_steps) for values in self._per_step))

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
        n_more = checks.steps(n_steps, minimum=0)
        total = self.n_steps + n_more
        self._check_number("n_steps", n_more, total)
        added: list[float | Array] = [last_step(values) for values in self._per_step]
        if temperature is not None:
            added[1] = per_step("temperature", temperature, n_more, zero=True)
        both = zip(self._per_step, added, strict=True)
        return self._over(total, *(joined(v, self.n_steps, new, n_more) for v, new in both))

    def steady(self, n_steps: int) -> Scheme:
        """Return steps that are all like the last one of this scheme.

        Parameters
        ----------
        n_steps : int
            How many.

        Returns
        -------
        Scheme
        """
        return self._over(n_steps, *(last_step(values) for values in self._per_step))

    def refined(self, factor: int) -> Scheme:
        """Return the scheme that makes several steps of one, over the same time.

        Parameters
        ----------
        factor : int
            How many, each of that part of the step size.

        Returns
        -------
        Scheme

        Raises
        ------
        ValueError, TypeError
            It makes too many steps, or is no count.
        """
        factor = checks.count("factor", factor)
        total = factor * self.n_steps
        self._check_number("factor", factor, total)
        sizes, temperatures = (repeated(values, factor) for values in self._per_step)
        return self._over(total, sizes / factor, temperatures)

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

        Raises
        ------
        ValueError, TypeError
            They are not steps of the run.
        """
        checks.instance("problem", problem, Problem)
        last = checks.count("last", self.n_steps if last is None else last, 0, self.n_steps)
        first = checks.count("first", first, 0, last)
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
        checks.instance("other", other, Scheme)
        n = min(self.n_steps, other.n_steps)
        return first_difference(self.step_size, other.step_size, n) is None

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
        checks.instance("other", other, Scheme)
        n = other.n_steps
        if self.n_steps < n:
            return f"only {self.n_steps} steps of the {n} that are needed"
        step = first_difference(self.step_size, other.step_size, n)
        if step is not None:
            if step:
                return "another schedule of the step size"
            mine, wanted = checks.apart(self.step_sizes[0], other.step_sizes[0])
            return f"step_size={mine} instead of {wanted}"
        if self.integrator.name != other.integrator.name:
            return f"integrator={self.integrator.name!r} instead of {other.integrator.name!r}"
        if self.init != other.init:
            return f"init={self.init} instead of {other.init}"
        if first_difference(self.temperature, other.temperature, n) is not None:
            return "another temperature"
        return None

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
        return " to ".join(checks.apart(self.step_size.min(), self.step_size.max()))

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

    def _check_number(self, name: str, given: int, n_steps: int) -> None:
        check_number(name, given, n_steps, self.integrator.stride, self.substeps)

    def _over(self, n_steps: int, step_size: float | Array, temperature: float | Array) -> Scheme:
        """Return the same scheme over other steps."""
        return replace(self, n_steps=n_steps, step_size=step_size, temperature=temperature)
