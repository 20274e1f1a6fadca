"""Settings at which a network learns: short runs, compared on rows that they did not see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, DivergenceError
from meanfield.flow.run import Run, predict
from meanfield.flow.simulate import simulate
from meanfield.flow.swings import swings
from meanfield.problem import Problem
from meanfield.problem.distinct import first_rows
from meanfield.problem.draws import generator
from meanfield.problem.score import is_right, score
from meanfield.statistics.estimate import Estimate
from meanfield.system.progress import Progress, no_progress

#: Penalties that are tried, from the one that leaves the fewest atoms.
PENALTIES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
#: Temperature in parts of the penalty: a free coordinate then has variance τ/λ.
WARMTHS = (0.1, 0.01)
#: A larger penalty or temperature may cost this much of R² or accuracy.
TOLERANCE = 0.01

_LARGEST_STEP, _LEAST_STEP = 4.0, 2.0**-20
_STEPS_OF_A_STEP_SIZE = 200
_FEWEST_STEPS, _MOST_STEPS = 500, 4000
# Rows that are looked at: fewer where they are long, for they cost as much.
_MOST_ROWS, _FEWEST_ROWS, _MOST_NUMBERS = 1000, 300, 100_000
# With minibatches, so many times as many.
_MORE_ROWS = 4
_STREAM = 11


@dataclass(frozen=True)
class Trial:
    """One setting that was tried, and how it did on the rows that were left out."""

    l2: float
    temperature: float
    n_steps: int
    score: Estimate
    #: Its share of the score for every row: whether it was right, or its part of R².
    by_row: NDArray[np.float64] = field(repr=False, compare=False)

    def as_good_as(self, best: Trial) -> bool:
        """Whether it falls behind by less than the tolerance, or than one standard error."""
        behind = best.by_row - self.by_row
        error = behind.std() / np.sqrt(len(behind))
        return bool(behind.mean() <= max(TOLERANCE, error))


@dataclass(frozen=True)
class Pilot:
    """What short runs recommend: `step_size`, `n_steps`, `l2` and `temperature`.

    `trials` are all that was tried at this step size, in their order; `chosen` is the one taken.
    """

    step_size: float
    trials: tuple[Trial, ...]
    chosen: Trial

    @property
    def n_steps(self) -> int:
        """Steps: four relaxation times 1/λ, between 500 and 4000."""
        return self.chosen.n_steps

    @property
    def l2(self) -> float:
        """The penalty λ."""
        return self.chosen.l2

    @property
    def temperature(self) -> float:
        """The temperature τ."""
        return self.chosen.temperature


def pilot(
    problem: Problem,
    *,
    n_particles: int = 256,
    n_folds: int = 3,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Pilot:
    """Find a step size, a penalty and a temperature at which a network learns its data.

    Every setting is scored by cross-validation on at most 1000 of the training rows, fewer of more
    than 100 features; held-out rows are not looked at. The step size is half of the largest power
    of two, at most 4, that descends and does not swing from step to step, and half of that again
    where a network does so in the end. The penalties ``3e-2, 1e-2, …, 1e-4``, with a tenth of each
    as the temperature, are tried until two in a row bring nothing; the largest one is taken whose
    R² or accuracy falls behind the best by less than 0.01, or than one standard error of the
    difference over the rows: the more penalty, the faster particles forget their start and the
    fewer atoms they need. Where noise costs more than that, the temperature is a hundredth.

    Parameters
    ----------
    problem : Problem
        Data, network and loss; its penalty and temperature are not used.
    n_particles : int, default: 256
        Neurons of every network.
    n_folds : int, default: 3
        Parts of the rows, each left out once.
    batch_size : int, optional
        Minibatches, as in `simulate`; then four times as many rows are looked at.
    seed : int, default: 0
        Seed: the same data give the same settings.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    Pilot
        The settings, and what was tried.

    Raises
    ------
    ValueError
        There are fewer than two rows for each part, or labels do not vary.
    DivergenceError
        No step size down to 2⁻²⁰ keeps the particles finite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(64, 2))
    >>> found = mf.pilot(mf.Problem(X, np.tanh(2 * X[:, 0])), n_particles=64)
    >>> bool(found.chosen.score.value > 0.9)
    True
    """
    n_particles = checks.count("n_particles", n_particles)
    if not np.ptp(problem.targets, axis=0).any():
        raise ArgumentError("problem", "has labels that are all alike; there is nothing to learn.")
    most_rows = _rows(problem) * (1 if batch_size is None else _MORE_ROWS)
    folds = _folds(problem, checks.count("n_folds", n_folds, 2), seed, most_rows)
    trainer = _Trainer(n_particles, seed, batch_size)
    step_size = _step_size(folds.without(0), trainer)
    while True:
        try:
            return _choose(folds, step_size, trainer, progress)
        except (DivergenceError, _Swings) as error:
            if step_size < _LEAST_STEP and isinstance(error, DivergenceError):
                raise
            step_size /= 2


class _Swings(ArithmeticError):
    """A step size at which networks move forth and back at the end of their training."""


@dataclass(frozen=True)
class _Folds:
    """Rows that are looked at, and the parts that are left out of them in turn."""

    problem: Problem
    pool: NDArray[np.intp]
    left_out: list[NDArray[np.intp]]

    def without(self, fold: int) -> Problem:
        """Return the problem on the rows that are not in a fold."""
        rows, problem = np.setdiff1d(self.pool, self.left_out[fold]), self.problem
        return problem.replace(X=problem.X[rows], y=problem.y[rows], X_test=None, y_test=None)


@dataclass(frozen=True)
class _Trainer:
    """How every network of a pilot is trained."""

    n_particles: int
    seed: int
    batch_size: int | None

    def __call__(self, problem: Problem, step_size: float, n_steps: int, save_at: list[int]) -> Run:
        """Train in single precision, which takes half as long and is accurate enough."""
        small = self.batch_size is not None and self.batch_size < problem.n_data
        return simulate(
            problem,
            self.n_particles,
            step_size,
            n_steps,
            seed=self.seed,
            save_at=save_at,
            dtype="float32",
            every_loss=False,
            batch_size=self.batch_size if small else None,
        )


def _choose(folds: _Folds, step_size: float, train: _Trainer, progress: Progress) -> Pilot:
    """Score the penalties, then a lower temperature; return the largest that do well."""
    total = len(PENALTIES) + len(WARMTHS) - 1
    trials: list[Trial] = []

    def tried(l2: float, warmth: float) -> Trial:
        progress(len(trials), total)
        n_steps = int(np.clip(np.ceil(4 / (step_size * l2)), _FEWEST_STEPS, _MOST_STEPS))
        model = folds.problem.replace(l2=l2, temperature=warmth * l2)
        found = _score(replace(folds, problem=model), step_size, n_steps, train)
        trials.append(Trial(l2, warmth * l2, n_steps, *found))
        return trials[-1]

    by_penalty: list[Trial] = []
    for l2 in PENALTIES:
        by_penalty.append(tried(l2, WARMTHS[0]))
        if _settled([trial.score.value for trial in by_penalty]):
            break
    chosen = _first_near_best(by_penalty)
    by_warmth = [chosen, *(tried(chosen.l2, warmth) for warmth in WARMTHS[1:])]
    progress(total, total)
    return Pilot(step_size, tuple(trials), _first_near_best(by_warmth))


def _settled(scores: list[float]) -> bool:
    """Whether the last two penalties brought nothing on the best of those before."""
    return len(scores) > 2 and max(scores[-2:]) < max(scores[:-2]) + TOLERANCE / 2


def _first_near_best(trials: list[Trial]) -> Trial:
    """Return the first of the trials that is as good as the best."""
    best = max(trials, key=lambda trial: trial.score.value)
    return next(trial for trial in trials if trial.as_good_as(best))


def _score(
    folds: _Folds, step_size: float, n_steps: int, train: _Trainer
) -> tuple[Estimate, NDArray[np.float64]]:
    """Return the score on all folds, each predicted by the network that lacked it, and by row."""
    problem, outputs = folds.problem, []
    for fold, rows in enumerate(folds.left_out):
        part = folds.without(fold)
        run = train(part, step_size, n_steps, [n_steps - 2, n_steps - 1, n_steps])
        if swings(run.predictions[0]) and step_size >= _LEAST_STEP:
            raise _Swings
        outputs.append(predict(part, run.particles, problem.X[rows]))
    rows = np.concatenate(folds.left_out)
    predictions = np.concatenate(outputs, axis=1).reshape(1, len(rows), -1)
    targets = problem.targets[rows]
    if problem.loss.labels == "real":
        squares = ((predictions[0] - targets) ** 2).sum(axis=1)
        by_row = 1 - squares / (((targets - targets.mean(axis=0)) ** 2).sum() / len(rows))
    else:
        by_row = is_right(problem.loss, predictions, targets)[0].astype(float)
    return score(problem.loss, predictions, targets), by_row


def _step_size(problem: Problem, train: _Trainer) -> float:
    """Return half of the largest power of two at which the loss descends and does not swing."""
    problem = problem.replace(l2=PENALTIES[-1], temperature=0.0)
    n_steps = _STEPS_OF_A_STEP_SIZE
    look = [*np.linspace(0, n_steps, 11, dtype=int).tolist(), n_steps - 2, n_steps - 1]
    step_size = _LARGEST_STEP
    while step_size > _LEAST_STEP:
        try:
            run = train(problem, step_size, n_steps, look)
        except DivergenceError:
            pass
        else:
            loss = run.loss[0]
            if loss[-1] <= min(1.1 * loss.min(), loss[0]) and not swings(run.predictions[0, -3:]):
                break
        step_size /= 2
    return step_size / 2


def _rows(problem: Problem) -> int:
    """Return how many rows are looked at, at most."""
    return min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_NUMBERS // problem.n_features))


def _folds(problem: Problem, n_folds: int, seed: int, most: int) -> _Folds:
    """Deal rows, sorted by label, so that every fold has its share of each class.

    A class of a single row is left out of all folds: a network that lacks it cannot be trained. So
    are repeated rows: a network must not be asked for rows that it was given.
    """
    once = first_rows(problem.X, problem.targets)
    pool = order = once[generator(seed, _STREAM).permutation(len(once))][:most]
    targets = problem.targets[order]
    if problem.loss.labels == "real":
        order = order[np.argsort(targets[:, 0], kind="stable")]
    else:
        _, kinds, sizes = np.unique(targets, axis=0, return_inverse=True, return_counts=True)
        kinds = kinds.ravel()
        by_kind = np.argsort(kinds, kind="stable")
        order = order[by_kind[sizes[kinds[by_kind]] > 1]]
    if len(order) < 2 * n_folds:
        raise ArgumentError(
            "n_folds",
            f"must leave two rows for each part, got {n_folds} for {len(order)} rows; give more "
            "rows, or choose the settings by hand.",
        )
    return _Folds(problem, np.sort(pool), [order[k::n_folds] for k in range(n_folds)])
