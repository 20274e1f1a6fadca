"""What an error decomposition measures: the budget, sizes around it, and where data come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import get_integrator
from meanfield.problem import Problem
from meanfield.problem.draws import InputLaw, draw_inputs, generator
from meanfield.system import memory

Array = np.ndarray

#: Streams of the seed: held-out inputs, the population's inputs, random atoms, inputs of the
#: compression, and training sets from FIRST_SET on.
HELD_OUT, POPULATION, ATOMS, FITTING, FIRST_SET = 50, 51, 52, 53, 1000

#: Inputs on which the sparse dictionary is fit to the network.
FITTING_INPUTS = 512

#: Below this number of rows samples of more than half of them are taken by default.
_FEW_ROWS = 64

#: Least number of particles of the long-time networks by default.
_LONG = 1024

#: Noise below this, relative to the target, is rounding in the labels.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class ErrorPlan:
    """A checked decomposition; see `decompose_error` for the meaning of each field."""

    problem: Problem
    target: Any
    inputs: str
    noise: float
    n_data: int
    n_particles: int
    n_steps: int
    n_atoms: int | None
    step_size: float
    n_replicas: int
    data_counts: tuple[int, ...]
    particle_counts: tuple[int, ...]
    atom_counts: tuple[int, ...]
    n_population: int
    long_particles: int
    path_particles: int
    settle_steps: int
    tolerance: float
    threshold: float
    degree: int | None
    n_test: int
    seed: int
    integrator: str
    init: InitialLaw
    dtype: str

    @property
    def closed_form(self) -> bool:
        """Whether the target is a known function rather than data."""
        return self.target is not None

    @property
    def times(self) -> Array:
        """Steps at which the path to stationarity is followed.

        Up to twice the budget's, and at least twice the first round of the stopping rule.
        """
        horizon = 2 * max(self.n_steps, self.settle_steps)
        early = np.linspace(0, 2 * self.n_steps, 21)[1:]
        whole = np.linspace(0, horizon, 41)[1:]
        return np.unique([1, self.n_steps, *np.ceil([*early, *whole]).astype(int)])

    @property
    def settings(self) -> dict[str, Any]:
        """What every simulation shares."""
        return {
            "step_size": self.step_size,
            "seed": self.seed,
            "integrator": self.integrator,
            "dtype": self.dtype,
        }

    @cached_property
    def X_test(self) -> Array:
        """Held-out inputs, shape (m, d)."""
        if self.problem.X_test is not None:
            return self.problem.X_test
        rng = generator(self.seed, HELD_OUT)
        return draw_inputs(self.inputs, self.n_test, self.problem.n_features, rng)

    @cached_property
    def truth(self) -> Array:
        """Values of the target on the held-out inputs, or held-out labels, shape (m, k)."""
        if self.closed_form:
            return target_values(self.target, self.X_test)
        return self.problem.targets_test

    @cached_property
    def population(self) -> tuple[Array, Array]:
        """Inputs (n, d) and targets (n, k) that stand for the population.

        For a known target a scrambled Sobol sequence, without label noise, which under the squared
        loss only adds a constant to the population risk; for data the whole training set.
        """
        if not self.closed_form:
            return self.problem.X, self.problem.targets
        X = sobol_inputs(self.inputs, self.n_population, self.problem.n_features, self.seed)
        return X, target_values(self.target, X)

    @cached_property
    def fitting_problem(self) -> Problem:
        """Inputs on which a network is compressed; a network can be evaluated anywhere.

        Those of the population. Data alone may leave directions of the input space open, so half
        of the inputs are then Gaussian with the mean and covariance of the data.
        """
        X = self.population[0][:FITTING_INPUTS]
        if not self.closed_form:
            rng = generator(self.seed, FITTING)
            draws = rng.standard_normal((len(X), len(self.problem.X)))
            centred = self.problem.X - self.problem.X.mean(axis=0)
            around = draws @ centred / math.sqrt(len(centred))
            X = np.vstack([X, self.problem.X.mean(axis=0) + around])
        return self.with_data(X, np.zeros((len(X), self.problem.n_outputs)))

    def training_set(self, replica: int, n_data: int) -> Problem:
        """Return the problem of one replica's training set of `n_data` points.

        A smaller set is part of a larger one. For data, a subsample without replacement.
        """
        rng = generator(self.seed, FIRST_SET + 2 * replica)
        if not self.closed_form:
            rows = np.sort(rng.permutation(self.problem.n_data)[:n_data])
            return self.with_data(self.problem.X[rows], self.problem.targets[rows])
        X = draw_inputs(self.inputs, n_data, self.problem.n_features, rng)
        y = target_values(self.target, X)
        if self.noise:
            rng = generator(self.seed, FIRST_SET + 2 * replica + 1)
            y = y + self.noise * rng.standard_normal(y.shape)
        return self.with_data(X, y)

    def with_data(self, X: Array, targets: Array) -> Problem:
        """Return the problem with other data, given as (n, d) and (n, k)."""
        y = targets if self.problem.vector_output else targets[:, 0]
        return self.problem.replace(X=X, y=y, X_test=None, y_test=None)


def columns(values: Any, n_points: int) -> Array:
    """Return values at `n_points` inputs with an output axis, (n, k)."""
    return np.asarray(values, dtype=float).reshape(n_points, -1)


def mean_squares(f: Array) -> Array:
    """Mean over the inputs of the squared norm, from (..., m, k)."""
    return (f**2).sum(axis=-1).mean(axis=-1)


def l2_norms(f: Array) -> Array:
    """Norm over the inputs, from (..., m, k)."""
    return np.sqrt(mean_squares(f))


def target_values(target: Any, X: Array) -> Array:
    """Return the values of a known target with an output axis, (n, k)."""
    values = np.asarray(target(X))
    if values.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            "target", f"must return real numbers, got an array of {values.dtype}."
        )
    if values.ndim not in (1, 2) or len(values) != len(X):
        raise ArgumentError(
            "target",
            f"must return shape (n,) or (n, k) for n inputs, got {values.shape} for "
            f"{len(X)} inputs.",
        )
    if not np.isfinite(values).all():
        raise ArgumentError(
            "target", "is NaN or infinite at some inputs; it must be finite wherever inputs fall."
        )
    return columns(values, len(X))


def sobol_inputs(law: InputLaw, n_points: int, n_features: int, seed: int) -> Array:
    """Map a scrambled Sobol sequence to an input law: even coverage instead of chance.

    `n_points` is a power of two; so the first half is such a sequence as well.
    """
    sequence = qmc.Sobol(n_features, scramble=True, seed=generator(seed, POPULATION))
    u = sequence.random_base2(int(math.log2(n_points)))
    u = np.clip(u, 2.0**-40, 1 - 2.0**-40)
    if law == "uniform-cube":
        return math.sqrt(3) * (2 * u - 1)
    if law == "rademacher":
        return np.where(u < 0.5, -1.0, 1.0)
    normal = ndtri(u)
    if law == "sphere":
        return math.sqrt(n_features) * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return normal


def plan_errors(
    problem: Problem,
    target: Any = None,
    *,
    n_data: int | None = None,
    n_particles: int = 256,
    n_steps: int = 200,
    n_atoms: int | None = 8,
    step_size: float = 0.2,
    n_replicas: int = 12,
    data_counts: Sequence[int] | None = None,
    particle_counts: Sequence[int] | None = None,
    atom_counts: Sequence[int] | None = None,
    n_population: int = 4096,
    long_particles: int | None = None,
    path_particles: int | None = None,
    settle_steps: int | None = None,
    tolerance: float = 0.02,
    threshold: float = 0.05,
    degree: int | None = None,
    inputs: InputLaw = "gaussian",
    n_test: int = 1000,
    seed: int = 0,
    integrator: str = "euler",
    init: str | InitialLaw = "gaussian",
    dtype: str = "float32",
) -> ErrorPlan:
    """Validate the settings of a decomposition; parameters as in `decompose_error`."""
    noise = _check_problem(problem, target)
    n_replicas = checks.count("n_replicas", n_replicas)
    if n_replicas < 4:
        raise ArgumentError(
            "n_replicas", f"must be at least 4 to give intervals, got {n_replicas}."
        )
    n_particles = checks.count("n_particles", n_particles)
    n_atoms = None if n_atoms is None else checks.count("n_atoms", n_atoms)
    n_steps = checks.steps(n_steps)
    n_population = 1 << (checks.count("n_population", n_population) - 1).bit_length()
    if target is None:
        n_population = problem.n_data
    memory.require(16.0 * n_population * problem.n_features, "lower n_population")
    n_data = _n_data(problem, target, n_data, n_population)
    # Nearly all rows differ from all of them by hardly anything; small data have no choice.
    whole = target is None and (data_counts is not None or n_population < _FEW_ROWS)
    largest = n_population if whole else n_population // 2
    data_counts = _around("data_counts", data_counts, n_data, largest, -2)
    if long_particles is not None:
        long_particles = checks.count("long_particles", long_particles)
    most = 2**31
    if path_particles is not None:
        path_particles = checks.count("path_particles", path_particles)
        most = max(path_particles, long_particles or _LONG) // 2
    given = () if particle_counts is None else checks.counts("particle_counts", particle_counts)
    largest = max([n_particles, *given])
    if largest > most:
        raise ArgumentError(
            "path_particles",
            f"must be at least twice the largest particle count {largest}, got {path_particles}.",
        )
    particle_counts = _around("particle_counts", particle_counts, n_particles, most, -4)
    if long_particles is None:
        long_particles = max(_LONG, 2 * max(particle_counts))
    path_particles = max(path_particles or 16 * max(particle_counts), long_particles)
    step_size = checks.positive("step_size", step_size)
    if settle_steps is None:
        settle_steps = _relaxation_steps(problem, step_size, n_steps)
    return ErrorPlan(
        problem=problem,
        target=target,
        inputs=checks.choice("inputs", inputs, get_args(InputLaw)),
        noise=noise,
        n_data=n_data,
        n_particles=n_particles,
        n_steps=n_steps,
        n_atoms=n_atoms,
        step_size=step_size,
        n_replicas=n_replicas,
        data_counts=data_counts,
        particle_counts=particle_counts,
        atom_counts=_atom_counts(atom_counts, n_atoms, n_particles),
        n_population=n_population,
        long_particles=long_particles,
        path_particles=path_particles,
        settle_steps=checks.count("settle_steps", settle_steps),
        tolerance=checks.positive("tolerance", tolerance),
        threshold=checks.positive("threshold", threshold),
        degree=None if degree is None else checks.count("degree", degree, minimum=0),
        n_test=checks.count("n_test", n_test, minimum=2),
        seed=checks.seed(seed),
        integrator=get_integrator(integrator).name,
        init=as_initial_law(init),
        dtype=checks.precision(dtype),
    )


def _check_problem(problem: Problem, target: Any) -> float:
    """Refuse what has no L² error; return the standard deviation of the label noise."""
    if not isinstance(problem, Problem):
        raise ArgumentTypeError("problem", f"must be a Problem, got {type(problem).__name__}.")
    if problem.loss.name != "squared":
        raise ArgumentError(
            "loss",
            message="Errors are measured in L², so loss must be 'squared', got "
            f"{problem.loss.name!r}; labels ±1 or one-hot labels can be learned with it too.",
        )
    if problem.temperature == 0:
        raise ArgumentError(
            "temperature",
            message="At temperature 0 the long-time network depends on where training starts; set "
            "temperature > 0.",
        )
    if target is None:
        if problem.X_test is None:
            raise ArgumentError(
                "target",
                message="Without a target the errors are measured on held-out data; give the "
                "problem X_test and y_test, or pass the target.",
            )
        return 0.0
    if not callable(target):
        raise ArgumentTypeError(
            "target", f"must be a function of the inputs, got {type(target).__name__}."
        )
    values = target_values(target, problem.X)
    if values.shape != problem.targets.shape:
        raise ArgumentError(
            "target",
            f"returns {values.shape[1]} values per input and the problem has "
            f"{problem.n_outputs} outputs.",
        )
    noise = float(np.std(problem.targets - values))
    return noise if noise > _ROUNDING * max(float(np.std(values)), 1e-300) else 0.0


def _n_data(problem: Problem, target: Any, n_data: int | None, n_population: int) -> int:
    """Return the size of the training sets, checked against what stands for the population."""
    if n_data is None:
        n_data = problem.n_data if target is not None else max(1, problem.n_data // 4)
    n_data = checks.count("n_data", n_data)
    if n_data > n_population:
        what = "the rows of the data" if target is None else "n_population"
        raise ArgumentError("n_data", f"must be at most {what}, {n_population}, got {n_data}.")
    return n_data


def _around(
    name: str, values: Sequence[int] | None, size: int, largest: int, first: int
) -> tuple[int, ...]:
    """Return the sizes at which a law is fitted: given ones, or powers of two times the budget's.

    These span a factor 32 from ``2^first`` on, or from the next that keeps them between 4 and the
    largest. The budget's own size and its double belong to them.
    """
    if values is None:
        lowest, highest = math.ceil(math.log2(4 / size)), math.floor(math.log2(largest / size))
        first = max(min(first, highest - 5), lowest)
        values = {round(size * 2.0**k) for k in range(first, first + 6)}
    else:
        values = set(checks.counts(name, values))
        if values and max(values) > largest:
            raise ArgumentError(name, f"must not exceed {largest}, got {max(values)}.")
    counts = sorted({v for v in {*values, size, 2 * size} if v <= largest} | {size})
    if len(counts) < 3:
        raise ArgumentError(name, f"must hold at least three sizes up to {largest}, got {counts}.")
    return tuple(counts)


def _atom_counts(
    values: Sequence[int] | None, n_atoms: int | None, n_particles: int
) -> tuple[int, ...]:
    """Return the numbers of atoms to fit: the budget's, its double, and smaller ones."""
    n_atoms = n_particles if n_atoms is None else n_atoms
    if values is None:
        most = min(2 * n_atoms, 32)
        values = [2**k for k in range(6) if 2**k < most] + [most]
    counts = {*checks.counts("atom_counts", values), n_atoms, 2 * n_atoms}
    return tuple(sorted(s for s in counts if s < n_particles))


def _relaxation_steps(problem: Problem, step_size: float, n_steps: int) -> int:
    """Return two relaxation times of the penalty, ``2 / λ``, in steps."""
    strengths = [problem.l2_output] if "a" in problem.train else []
    if {"w", "b"} & set(problem.train):
        strengths.append(problem.l2_input)
    slowest = min(strengths)
    return n_steps if slowest == 0 else math.ceil(2 / (slowest * step_size))
