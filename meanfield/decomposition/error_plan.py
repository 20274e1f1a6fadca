"""What an error decomposition measures: the budget, sizes around it, and where data come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.chaos.response.predict import check_predictable
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.scheme import Scheme
from meanfield.problem import Problem
from meanfield.problem.distinct import first_rows
from meanfield.problem.draws import InputLaw, draw_inputs, generator, sobol_inputs
from meanfield.problem.function_target import function_values
from meanfield.system import memory

Array = NDArray[Any]

#: Streams of the seed: held-out inputs, the population's inputs, random atoms, inputs of the
#: compression, and training sets from FIRST_SET on.
HELD_OUT, POPULATION, ATOMS, FITTING, FIRST_SET = 50, 51, 52, 53, 1000

#: Inputs on which the sparse dictionary is fit to the network.
FITTING_INPUTS = 512

#: Below this number of rows samples of more than half of them are taken by default.
_FEW_ROWS = 64

#: Least number of particles of the long-time networks by default.
_LONG = 1024

#: Share of the particles, or at least how many, where only the law in n needs a long-time network.
_SHARE, _FEW = 1 / 8, 128

#: Training sets of which the chaos component is predicted, at most.
MOST_PREDICTED = 4

#: Noise below this, relative to the target, is rounding in the labels.
_ROUNDING = 1e-9

#: Least values that are not 1; intervals are over at least four replicas.
_LEAST = {"n_replicas": 4, "degree": 0, "n_test": 2}


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorSettings:
    """The sizes of a budget, and how its components are told apart.

    `decompose_error` says what each means; None leaves the choice to `plan_errors`, but for
    `n_atoms`, where it keeps all particles.
    """

    n_data: int | None = None
    n_particles: int = 256
    n_atoms: int | None = 8
    n_replicas: int = 12
    data_counts: Sequence[int] | None = None
    particle_counts: Sequence[int] | None = None
    atom_counts: Sequence[int] | None = None
    n_population: int = 4096
    long_particles: int | None = None
    path_particles: int | None = None
    settle_steps: int | None = None
    tolerance: float = 0.02
    threshold: float = 0.05
    degree: int | None = None
    n_test: int = 1000
    predict: bool = False

    def __post_init__(self) -> None:
        for name, field in ErrorSettings.__dataclass_fields__.items():
            value = getattr(self, name)
            optional = field.default is None or name == "n_atoms"
            if name == "predict" or (value is None and optional):
                continue
            if name.endswith("_counts"):
                value = tuple(checks.counts(name, value))
            elif isinstance(field.default, float):
                value = checks.positive(name, value)
            else:
                check = checks.listed if name == "n_replicas" else checks.count
                value = check(name, value, _LEAST.get(name, 1))
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorPlan(ErrorSettings):
    """A checked decomposition: settings of which nothing is left open.

    `scheme` is that of the training, `noise` the standard deviation of the labels about the
    target; `decompose_error` says what the others mean.
    """

    problem: Problem
    target: Any
    scheme: Scheme
    inputs: InputLaw
    noise: float
    n_data: int
    data_counts: tuple[int, ...]
    particle_counts: tuple[int, ...]
    atom_counts: tuple[int, ...]
    long_particles: int
    path_particles: int
    settle_steps: int
    n_repeats: int = 0  # rows that repeat others, which are left out

    @property
    def costs(self) -> dict[str, float]:
        """Work of the population network, and of each stage that follows for one replica."""
        batches = self.scheme.minibatch
        most = self.problem.n_data if batches is None else batches.size
        long = 3.0 * self.settle_steps * self.long_particles
        own, share = min(self.n_data, most), self.few_particles / self.long_particles
        dynamics = 3.0 * self.followed_steps * own
        return {
            "population": 6 * long * min(len(self.population[0]), most),
            "sets": 2 * long * (own + share * (sum(min(n, most) for n in self.data_counts) - own)),
            "dynamics": dynamics,
            "atoms": 0.1 * dynamics,
        }

    @property
    def few_particles(self) -> int:
        """Particles of the long-time networks that only the law in n needs."""
        whole = self.long_particles
        return max(1, int(whole * _SHARE), min(whole // 2, _FEW))

    @property
    def closed_form(self) -> bool:
        """Whether the target is a known function rather than data."""
        return self.target is not None

    @property
    def predicted(self) -> range:
        """Replicas whose chaos component is predicted."""
        return range(min(self.n_replicas, MOST_PREDICTED) if self.predict else 0)

    @property
    def times(self) -> Array:
        """Steps at which the path to stationarity is followed.

        Up to twice the budget's, and at least twice the first round of the stopping rule.
        """
        n_steps = self.scheme.n_steps
        horizon = 2 * max(n_steps, self.settle_steps)
        early = np.linspace(0, 2 * n_steps, 21)[1:]
        whole = np.linspace(0, horizon, 41)[1:]
        return np.unique([1, n_steps, *np.ceil([*early, *whole]).astype(int)])

    @property
    def followed(self) -> Array:
        """Particles that are followed up to every one of `times`.

        Half of them beyond four times the budget's time, where only the decay is read, unless a run
        cannot be taken up by its particles alone.
        """
        batches, wide = self.scheme.minibatch, self.path_particles
        anchored = batches is not None and batches.anchor_period is not None
        whole = anchored or self.scheme.integrator.has_velocity
        later = wide if whole else max(1, wide // 2)
        return np.where(self.times <= 4 * self.scheme.n_steps, wide, later)

    @property
    def followed_steps(self) -> int:
        """Steps of a particle along `times`."""
        return int(np.diff(self.times, prepend=0) @ self.followed)

    @property
    def elapsed(self) -> Array:
        """Time of every one of `times`."""
        return self.training(int(self.times[-1])).elapsed(self.times)

    @property
    def training_time(self) -> float:
        """Time of the budget's network."""
        return float(self.scheme.elapsed(self.scheme.n_steps))

    def training(self, n_steps: int) -> Scheme:
        """Return the scheme over as many steps; beyond its own it stays as it ends."""
        return self.scheme.extended(max(n_steps - self.scheme.n_steps, 0)).shortened(n_steps)

    @cached_property
    def X_test(self) -> Array:
        """Held-out inputs, shape (m, d)."""
        if self.problem.X_test is not None:
            return self.problem.X_test
        rng = generator(self.scheme.seed, HELD_OUT)
        return draw_inputs(self.inputs, self.n_test, self.problem.n_features, rng)

    @cached_property
    def truth(self) -> Array:
        """Values of the target on the held-out inputs, or held-out labels, shape (m, k)."""
        labels = self.problem.targets_test
        if self.closed_form or labels is None:  # without a target there are labels
            return target_values(self.target, self.X_test)
        return labels

    @cached_property
    def population(self) -> tuple[Array, Array]:
        """Inputs (n, d) and targets (n, k) that stand for the population.

        For a known target a scrambled Sobol sequence, without label noise, which under the squared
        loss only adds a constant to the population risk; for data the whole training set.
        """
        if not self.closed_form:
            return self.problem.X, self.problem.targets
        rng = generator(self.scheme.seed, POPULATION)
        X = sobol_inputs(self.inputs, self.n_population, self.problem.n_features, rng)
        return X, target_values(self.target, X)

    @cached_property
    def fitting_problem(self) -> Problem:
        """Inputs on which a network is compressed; a network can be evaluated anywhere.

        Those of the population. Data alone may leave directions of the input space open, so half
        of the inputs are then Gaussian with the mean and covariance of the data.
        """
        X = self.population[0][:FITTING_INPUTS]
        if not self.closed_form:
            mean = self.problem.X.mean(axis=0)
            rng = generator(self.scheme.seed, FITTING)
            draws = rng.standard_normal((len(X), self.problem.n_data))
            around = draws @ (self.problem.X - mean) / math.sqrt(self.problem.n_data)
            X = np.vstack([X, mean + around])
        return self.with_data(X, np.zeros((len(X), self.problem.n_outputs)))

    def training_set(self, replica: int, n_data: int) -> Problem:
        """Return the problem of one replica's training set of `n_data` points.

        A smaller set is part of a larger one. For data, a subsample without replacement.
        """
        rng = generator(self.scheme.seed, FIRST_SET + 2 * replica)
        if not self.closed_form:
            rows = np.sort(rng.permutation(self.problem.n_data)[:n_data])
            return self.with_data(self.problem.X[rows], self.problem.targets[rows])
        X = draw_inputs(self.inputs, n_data, self.problem.n_features, rng)
        y = target_values(self.target, X)
        if self.noise:
            rng = generator(self.scheme.seed, FIRST_SET + 2 * replica + 1)
            y = y + self.noise * rng.standard_normal(y.shape)
        return self.with_data(X, y)

    def with_data(self, X: Array, targets: Array) -> Problem:
        """Return the problem with other data, given as (n, d) and (n, k)."""
        y = targets if self.problem.vector_output else targets[:, 0]
        return self.problem.replace(X=X, y=y, X_test=None, y_test=None)


def mean_squares(f: Array) -> Array:
    """Mean over the inputs of the squared norm, from (..., m, k)."""
    return (f**2).sum(axis=-1).mean(axis=-1)


def l2_norms(f: Array) -> Array:
    """Norm over the inputs, from (..., m, k)."""
    return np.sqrt(mean_squares(f))


def target_values(target: Any, X: Array) -> Array:
    """Return the values of a known target with an output axis, (n, k)."""
    return np.asarray(function_values(target, X), dtype=float).reshape(len(X), -1)


def plan_errors(
    problem: Problem,
    scheme: Scheme,
    target: Any = None,
    settings: ErrorSettings | None = None,
    *,
    inputs: InputLaw = "gaussian",
) -> ErrorPlan:
    """Check a decomposition, see `decompose_error`, and choose what its settings leave open.

    `scheme` tells how the networks are trained up to the budget's time.
    """
    given = settings or ErrorSettings()
    checks.choice("inputs", inputs, get_args(InputLaw))
    noise = _check_problem(problem, target)
    checks.steps(scheme.n_steps)
    if scheme.temperatures[-1] == 0:
        raise ArgumentError(
            "temperature",
            message="At temperature 0 the long-time network depends on where training starts; set "
            "temperature > 0.",
        )
    # A row that is there twice is not twice as many data to draw training sets from.
    rows = first_rows(problem.X, problem.targets) if target is None else np.arange(problem.n_data)
    n_repeats = problem.n_data - len(rows)
    if n_repeats:
        problem = problem.replace(X=problem.X[rows], y=problem.y[rows])
    n_population = problem.n_data
    if target is not None:
        n_population = 1 << (given.n_population - 1).bit_length()
        memory.fits(16, n_population=n_population, n_features=problem.n_features)
    if problem.X_test is None:
        memory.fits(n_test=given.n_test, n_features=problem.n_features)
    wide = {
        "n_particles": given.n_particles,
        "particle_counts": max(given.particle_counts or (1,)),
        "long_particles": given.long_particles or _LONG,
    }
    for name, value in wide.items():
        _fits(problem, scheme, name, value)
    if given.settle_steps is not None:  # rounds of the stopping rule double them
        checks.count("settle_steps", given.settle_steps, maximum=2**29)
    if n_population < 3:
        raise ArgumentError(
            "target",
            message="Errors on data take at least three training rows that differ, for the law in "
            f"the number of rows has three sizes; there are {n_population}. Give more rows.",
        )
    n_data = _n_data(problem, target, given.n_data, n_population)
    # Nearly all rows differ from all of them by hardly anything; small data have no choice.
    whole = target is None and (given.data_counts is not None or n_population < _FEW_ROWS)
    largest = n_population if whole else n_population // 2
    most = 2**31
    if given.path_particles is not None:
        most = max(given.path_particles, given.long_particles or _LONG) // 2
    widest = max([given.n_particles, *(given.particle_counts or ())])
    if widest > most:
        raise ArgumentError(
            "path_particles",
            f"must be at least twice the largest particle count {widest}, got "
            f"{given.path_particles}.",
        )
    counts = _around("particle_counts", given.particle_counts, given.n_particles, most, -4)
    long_particles = given.long_particles or max(_LONG, 2 * max(counts))
    path_particles = max(given.path_particles or 16 * max(counts), long_particles)
    _fits(problem, scheme, "path_particles", path_particles)
    chosen = {
        "n_data": n_data,
        "data_counts": _around("data_counts", given.data_counts, n_data, largest, -2),
        "particle_counts": counts,
        "atom_counts": _atom_counts(given.atom_counts, given.n_atoms, given.n_particles),
        "n_population": n_population,
        "long_particles": long_particles,
        "path_particles": path_particles,
        "settle_steps": given.settle_steps or _relaxation_steps(problem, scheme),
    }
    if given.predict:
        check_predictable(problem, scheme, [scheme.n_steps])
    return ErrorPlan(
        **{**vars(given), **chosen},
        problem=problem,
        target=target,
        scheme=scheme,
        inputs=inputs,
        noise=noise,
        n_repeats=n_repeats,
    )


def _check_problem(problem: Problem, target: Any) -> float:
    """Refuse what has no L² error; return the standard deviation of the label noise."""
    if problem.loss.name != "squared":
        raise ArgumentError(
            "loss",
            message="Errors are measured in L², so loss must be 'squared', got "
            f"{problem.loss.name!r}; labels ±1 or one-hot labels can be learned with it too.",
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
        what = "the distinct rows of the data" if target is None else "n_population"
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
        values = [round(size * 2.0**k) for k in range(first, first + 6)]
        if len({v for v in {*values, size, 2 * size} if v <= largest}) < 3:  # few rows
            values += [max(size // 2, 1), max(size // 4, 1), min(largest, 2**31)]
    elif max(values, default=0) > largest:
        raise ArgumentError(name, f"must not exceed {largest}, got {max(values)}.")
    counts = sorted({v for v in {*values, size, 2 * size} if v <= largest} | {size})
    if len(counts) < 3:
        raise ArgumentError(name, f"must hold at least three sizes up to {largest}, got {counts}.")
    return tuple(counts)


def _fits(problem: Problem, scheme: Scheme, name: str, n_particles: int) -> None:
    """Refuse a network whose start and state do not fit into memory."""
    size = 2 * np.dtype(scheme.dtype).itemsize
    memory.fits(size, **{name: n_particles}, coordinates=problem.n_coordinates)


def _atom_counts(
    values: Sequence[int] | None, n_atoms: int | None, n_particles: int
) -> tuple[int, ...]:
    """Return the numbers of atoms to fit: the budget's, its double, and smaller ones."""
    n_atoms = n_particles if n_atoms is None else n_atoms
    if values is None:
        most = min(2 * n_atoms, 32)
        values = [2**k for k in range(6) if 2**k < most] + [most]
    counts = {*values, n_atoms, 2 * n_atoms}
    return tuple(sorted(s for s in counts if s < n_particles))


def _relaxation_steps(problem: Problem, scheme: Scheme) -> int:
    """Return two relaxation times of the penalty, ``2 / λ``, in steps."""
    strengths = [problem.l2_output] if "a" in problem.train else []
    if {"w", "b"} & set(problem.train):
        strengths.append(problem.l2_input)
    rate = min(strengths) * float(scheme.step_sizes[-1])
    return scheme.n_steps if rate == 0 else math.ceil(2 / rate)
