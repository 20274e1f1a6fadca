"""The wells of the potential that late particles see, and how far apart partners may be in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from meanfield.chaos.metrics import folded_squares
from meanfield.flow.cost import evaluation_seconds, training_seconds
from meanfield.flow.descents import descend_all
from meanfield.flow.dynamics import Diverged, Dynamics
from meanfield.flow.initial_state import initial_state
from meanfield.flow.integrators import get_integrator
from meanfield.flow.particles import Particles, particles_at
from meanfield.flow.simulate import simulate_scheme
from meanfield.flow.step_size_search import has_blown_up
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    from meanfield.chaos.chaos_plan import ChaosPlan
    from meanfield.limit.mean_field import MeanFieldPath
    from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Noise index of the particles that descend, away from every replica's and the reference's.
_REPLICA = 2**32 - 2
_PARTICLES = 256
#: Rounds of so many steps bring particles into their wells, fewer where a round moves them by less
#: than this part of their size. Another ten change the well of one in fifty. Where many find no
#: minimum all go on, for so many rounds, fewer where a round moves them by less than this.
_STEPS, _ROUNDS, _NEAR = 500, 4, 0.01
_LONG, _STILL = 16, 1e-4
_HALVINGS = 6
#: Longest step, of the size of the particles, of the descents to the minima, in numbers at once.
_STRIDE, _AT_ONCE = 0.03, 2**20
#: The run is looked at this part of it before its end, for who changed wells since.
_PARTS = (2, 8, 32)
#: Minima closer than this part of the size of the particles are one.
_ONE = 0.1
#: Wells that hold less than this share of the particles are passed over.
_OCCUPIED = 0.02


@dataclass(frozen=True, eq=False)
class Wells:
    """Minima of the frozen potential that late particles descend into.

    Attributes
    ----------
    minima : ndarray, shape (S, C)
        Coordinates ``(a, w, b)``, those that hold most particles first.
    occupation : ndarray, shape (S,)
        Share of the late particles in each; wells below 2 % are left out.
    n_modulo : int
        Number of wells modulo the realisation symmetry.
    size : float
        Partners further apart than this are called separated: half the least distance between two
        minima, with one well twice the spread of the particles about it.
    spread : float
        Root mean square distance of late particles from their minimum, one of these.
    exchange : ndarray, shape (3,)
        How often a late particle changes wells per unit of time, with a 95 % interval; NaN where
        it cannot be told. See `exchange_rates`.
    rates : ndarray, shape (S, S, 3)
        The same from each well (first axis) into each other one, per particle of the first.
    """

    minima: Array
    occupation: Array
    n_modulo: int
    size: float
    spread: float
    exchange: Array
    rates: Array

    @property
    def n_wells(self) -> int:
        """Number of wells S."""
        return len(self.occupation)

    @property
    def exchange_estimate(self) -> Estimate:
        """How often a late particle changes wells per unit of time."""
        value, low, high = self.exchange
        label = "Changes of well per late particle and unit of time"
        return Estimate(value, low, high, label=label)

    def to_arrays(self) -> dict[str, Array]:
        """Return the fields as arrays, to be saved."""
        return {field.name: np.array(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Wells:
        """Return what `to_arrays` gave."""
        return cls(
            minima=arrays["minima"],
            occupation=arrays["occupation"],
            n_modulo=int(arrays["n_modulo"]),
            size=float(arrays["size"]),
            spread=float(arrays["spread"]),
            exchange=arrays["exchange"],
            rates=arrays["rates"],
        )


def wells_seconds(plan: ChaosPlan) -> float:
    """Return what `find_wells` takes on one core; evaluations of the minima are another round."""
    descent = _STEPS * (_ROUNDS + 1) * _PARTICLES * (1 + len(_PARTS)) * plan.problem.n_data
    run = training_seconds(plan.problem, plan.scheme, _PARTICLES * plan.times[-1])
    return run + descent * evaluation_seconds(plan.problem)


def find_wells(plan: ChaosPlan, path: MeanFieldPath) -> Wells:
    r"""Find the wells by descent, in the potential :math:`V[µ_T]` of the last time.

    Independent particles of the limit run up to the last time; then they descend the potential,
    held fixed, by steps of the run without noise until they are in a well, then by short steps of a
    quasi-Newton method, or on by steps of the run where many find no minimum: without enough
    penalty there may be none. Where they come to rest are the minima. If these are several, some
    earlier states of the same particles descend too, which shows how many changed wells since.
    """
    last = plan.times[-1]
    steps = [last]
    if plan.scheme.temperatures[-1] > 0:  # else what moves is the potential
        steps = sorted({last} | {last - last // part for part in _PARTS if last >= part})
    states = simulate_scheme(
        plan.problem,
        plan.scheme,
        _PARTICLES,
        save_at=steps,
        drive=path,
        first_replica=_REPLICA,
    ).trajectory
    points = states[-1].coordinates[0].astype(float)
    rest = _descend(plan, path.predictions[last], states[-1])
    minima = rest.coordinates[0]
    moving = np.ptp(points, axis=0) > 0
    scale = float(np.sqrt(np.square(points[:, moving]).sum(axis=1).mean()))
    label = _clusters(_pairs(rest, rest, plan) <= (_ONE * scale) ** 2)
    counts = np.bincount(label)
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= _OCCUPIED * len(label)]
    kept = kept if len(kept) else order[:1]
    settled = np.isin(label, kept)  # others may have no minimum to go to
    spread = float(np.sqrt(np.square(points - minima)[settled].sum(axis=1).mean()))
    centres = np.array([minima[label == well].mean(axis=0) for well in kept])
    found = particles_at(plan.problem, centres[None])
    n_modulo = _clusters(_pairs(found, found, plan, folded=True) <= (_ONE * scale) ** 2).max() + 1
    size = 2 * spread
    if len(kept) > 1:
        apart = _pairs(found, found, plan)
        size = 0.5 * float(np.sqrt(apart[np.triu_indices(len(kept), 1)].min()))
    ends = [rest]
    if len(kept) > 1 and len(states) > 1:
        everywhere = np.concatenate([state.coordinates for state in states[:-1]])
        ended = _descend(plan, path.predictions[last], particles_at(plan.problem, everywhere))
        ends = [*(ended[i] for i in range(len(states) - 1)), rest]
    homes = np.array([_homes(found, end, plan, _ONE * scale) for end in ends])
    lags = plan.scheme.elapsed([last]) - plan.scheme.elapsed(steps)
    exchange, rates = exchange_rates(homes, np.asarray(lags), len(kept))
    return Wells(centres, counts[kept] / len(label), int(n_modulo), size, spread, exchange, rates)


def exchange_rates(homes: NDArray[np.int64], lags: Array, n_wells: int) -> tuple[Array, Array]:
    r"""Estimate how often particles change wells from their wells at several times before the last.

    Particles that jump between wells as a reversible Markov chain, with occupation p, are found in
    another well after a time t with probability

    .. math:: s(t) = s_\infty (1 − e^{−κ t / s_\infty}), \qquad s_\infty = 1 − \sum_i p_i^2,

    where κ is the number of changes per particle and unit of time: exactly for two wells, to second
    order in t for more. So :math:`κ = −(s_\infty / t) \log(1 − s / s_\infty)`, for the longest
    lag t at which s is at most half of its limit, with Wilson's interval of s. The rate from well i
    into j is the share of i that is found in j, divided by t, times the same correction for
    changes back and forth.

    `homes` holds the well of each particle at every time, (T, N), the last one last, −1 where there
    is none; `lags`, (T,), how long before the last these times are. Returned are κ with its bounds,
    (3,), and the rates with theirs, (S, S, 3); NaN with one well, and where the changes are too
    fast for the shortest lag.
    """
    exchange, rates = np.full(3, np.nan), np.full((n_wells, n_wells, 3), np.nan)
    if n_wells < 2:
        return exchange, rates
    for lag, before in zip(lags[:-1], homes[:-1], strict=True):  # the longest first
        known = (before >= 0) & (homes[-1] >= 0)
        moves = np.zeros((n_wells, n_wells), dtype=int)
        np.add.at(moves, (before[known], homes[-1][known]), 1)
        total = int(moves.sum())
        if not total:
            continue
        occupation = (moves.sum(axis=0) + moves.sum(axis=1)) / (2 * total)
        most = 1 - float(np.square(occupation).sum())
        moved = Estimate.share(total - int(np.trace(moves)), total)
        if most <= 0 or moved.value > most / 2:
            continue
        exact = [
            -most / lag * np.log1p(-min(s / most, 1.0)) if s < most else np.inf
            for s in (moved.value, moved.low, moved.high)
        ]
        correction = exact[0] * lag / moved.value if moved.value > 0 else 1.0
        held = np.broadcast_to(moves.sum(axis=1)[:, None], moves.shape)
        for i, j in np.ndindex(*moves.shape):
            if i != j and held[i, j]:
                share = Estimate.share(int(moves[i, j]), int(held[i, j]))
                rates[i, j] = np.array([share.value, share.low, share.high]) * correction / lag
        return np.array(exact), rates
    return exchange, rates


def _homes(wells: Particles, ends: Particles, plan: ChaosPlan, near: float) -> NDArray[np.int64]:
    """Return the well of each particle that came to rest, −1 where it is none of these."""
    squares = _pairs(wells, ends, plan)
    return np.where(squares.min(axis=0) <= near**2, squares.argmin(axis=0), -1)


def _descend(plan: ChaosPlan, predictions: Array, particles: Particles) -> Particles:
    """Let particles come to rest in the potential of fixed predictions."""
    scheme = plan.scheme.steady(_STEPS)
    exponential = scheme.integrator.name == "exponential-euler"
    scheme = replace(
        scheme,
        temperature=0.0,
        integrator=scheme.integrator if exponential else get_integrator("euler"),
        minibatch=None,
        substeps=1,
    )
    problem = plan.problem
    path = np.reshape(predictions, (problem.n_data, problem.n_outputs))
    # The steps alone: `simulate` would look for a step size that holds, at length, for its message.
    dynamics = Dynamics(
        problem,
        replace(scheme, init=None),
        drive=np.array(np.broadcast_to(path, (_STEPS, *path.shape))),
    )
    state = initial_state(dynamics, particles.n_particles, particles.n_replicas, particles)
    scale = np.abs(state).max()
    dynamics, state = _advance(dynamics, state, _ROUNDS, _NEAR * scale)
    ends, arrived = _at_minima(problem, path, particles_at(problem, state.swapaxes(1, 2)))
    if arrived.mean() > 1 - _OCCUPIED:
        return ends
    # Of those that find none some are led to far places that others do not find.
    state = _advance(dynamics, state, _LONG, _STILL * scale)[1]
    return particles_at(problem, state.swapaxes(1, 2).astype(float))


def _advance(
    dynamics: Dynamics, state: NDArray[np.floating], rounds: int, near: float
) -> tuple[Dynamics, NDArray[np.floating]]:
    """Take rounds of steps, shorter ones if need be, until one moves no particle further."""
    for _ in range(rounds):
        for _ in range(_HALVINGS):
            moved = state.copy()
            if _holds(dynamics, moved):
                break
            # What other integrators bear may be too much for this one.
            finer = replace(dynamics.scheme, step_size=dynamics.scheme.step_size / 2)
            dynamics = replace(dynamics, scheme=finer)
        else:
            break
        before, state = state, moved
        if np.abs(state - before).max() < near:
            break
    return dynamics, state


def _at_minima(
    problem: Problem, predictions: Array, particles: Particles
) -> tuple[Particles, NDArray[np.bool_]]:
    """Let particles arrive at the minima of the wells that they are in; say which did."""
    k, inputs = problem.n_outputs, problem.with_bias(problem.X)
    signals = problem.loss.derivative(predictions, problem.targets) / problem.n_data
    parts = ["a"] * k + ["w"] * problem.n_features + ["b"] * problem.bias
    trained = np.isin(parts, problem.train)
    strength = [problem.l2_output if part == "a" else problem.l2_input for part in parts]
    penalty = np.where(trained, strength, 0.0)

    def potential(theta: Array) -> tuple[Array, Array]:
        a, z = theta[:, :k], inputs @ theta[:, k:].T
        pull = problem.activation.value(z).T @ signals
        inner = (signals @ a.T * problem.activation.derivative(z)).T @ inputs
        slopes = np.hstack([pull, inner]) * trained + penalty * theta
        return (a * pull).sum(axis=1) + 0.5 * theta**2 @ penalty, slopes

    shape = particles.coordinates.shape
    theta = particles.coordinates.reshape(-1, shape[-1]).astype(float)
    size = float(np.sqrt(np.square(theta[:, trained]).sum(axis=1).mean()))
    few, arrived = max(_AT_ONCE // problem.n_data, 1), np.zeros(len(theta), dtype=bool)
    for i in range(0, len(theta), few):
        theta[i : i + few], _, arrived[i : i + few] = descend_all(
            potential,
            theta[i : i + few],
            first=0.1 * _STRIDE * size,
            longest=_STRIDE * size,
            enough=1e-10 * penalty.max() * size**2,
        )
    return particles_at(problem, theta.reshape(shape)), arrived


def _holds(dynamics: Dynamics, state: NDArray[np.floating]) -> bool:
    """Advance a state by all steps, and return whether it stayed finite."""
    try:
        dynamics.advance(state, 0, _STEPS)
    except Diverged:
        return False
    return not has_blown_up(state)


def _pairs(x: Particles, y: Particles, plan: ChaosPlan, *, folded: bool = False) -> Array:
    """Squared distances of all pairs of two networks, (N, M)."""
    rows = []
    for i in range(x.n_particles):
        one = Particles(
            np.broadcast_to(x.a[:, i : i + 1], y.a.shape),
            np.broadcast_to(x.w[:, i : i + 1], y.w.shape),
            None if x.b is None else np.broadcast_to(x.b[:, i : i + 1], y.w.shape[:2]),
        )
        activation = plan.problem.activation if folded else None
        rows.append(folded_squares(one, y, activation)[0])
    return np.array(rows)


def _clusters(near: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Label points that are joined by steps between near ones."""
    return np.asarray(connected_components(near, directed=False)[1], dtype=np.int64)
