"""The descent of atoms with their masses to the minimum of the training objective, and its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from meanfield.dictionary.fitting import as_places, fit_atoms, make_regression
from meanfield.dictionary.potential import REACH, SHORTER, PenalisedPotential
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.dictionary.settle import Settled, settle
from meanfield.dictionary.starts import moment_starts, random_starts
from meanfield.dictionary.support import APART
from meanfield.identify import Atoms
from meanfield.problem import Problem
from meanfield.system.generators import generator

MOST = 128
"""Most atoms, unless another number is given."""
GAP = 1e-4
"""Duality gap, of what the network learns, at which the minimum counts as reached."""
CLOSED, STALLED = 1e-6, 1e-7
"""The search ends with such a gap, or with a round that gained so little of it."""
SLOW, PATIENCE = 1e-5, 4
"""At kinks it also ends, the minimum not reached, after so many rounds that gained so little."""
SHARE = 0.005
"""Part of a network from which an atom counts; two thirds to three halves of that are doubtful."""
MOST_LEARNED = 100.0
"""Penalties that what is learned counts for: atoms are chosen by the penalty, however small."""
AGREE = 1e-5
"""Part of what is learned to which two searches must agree."""
ROUNDING = 1e-10
"""What is learned counts as no less than this part of the objective."""
ROUNDS = 30
STEPS = 150
"""Steps of the descent in each round; four times as many when next to nothing is gained."""
N_STARTS, N_WELLS, N_QUICK = 300, 24, 60
"""Places from which neurons slide down the potential, wells kept; places while gaps are wide, of
those given too."""
POLISH = 1e-2
"""Gap from which atoms descend for longer."""
REFUSALS = 3
"""Pairs of atoms in a turn that were not to become one, after which no more are tried."""
LEAST_MASS, NEW_MASS = 1e-7, 0.003
"""Mass below which an atom is left out, and that a new one starts with."""
DEAD = 1e-12
"""Square of a function, in part of the largest one, below which there is none."""
SAME, ALIKE = 1 - 1e-6, 0.99
"""Cosines of features from which two atoms are one, and from which it is tried."""


@dataclass(frozen=True, eq=False)
class SparseMinimiser:
    r"""The minimiser of the training objective over all distributions of neurons.

    ``J(µ) = R(f_µ) + ½ ∫ λ_a |a|² + λ_w |(w, b)|² dµ`` is convex in µ, its minimisers have the
    same function, and in general it has one, of finitely many atoms: where the long-time limit of
    a wide network tends to as the temperature goes to zero, whatever the network started from. So
    the number of atoms is one of the problem, not of a run.

    For every µ, ``J(µ) − min J ≤ ∫ V dµ − min V`` with the potential ``V = δJ/δµ``: the duality
    gap. It is exact but for the search of ``min V``.

    Attributes
    ----------
    atoms : Atoms
        In canonical form, the largest coefficient first, with their masses; what is not counted
        is left out.
    share : ndarray of shape (S,)
        Part of each atom in what the network is made of, by the size of its function; they add up
        to one with what is not counted.
    n_atoms : int
        Atoms with a share of half a percent or more.
    n_atoms_set : tuple of int
        From the number of those of 0.75 %, nearly equal ones taken together (features with a cosine
        above 0.95), to that of those of 0.33 %.
    objective, at_zero : float
        ``J`` at the minimiser, and at the network that is zero.
    duality_gap : float
        Relative to ``at_zero − objective``, what the network learns.
    reached : bool
        Whether the gap is at most 1e-4, and a hundredth of the penalty, and there was room for all
        atoms; for activations with kinks or without bounds also whether a second search ends at the
        same objective, and its numbers are in the set.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.tanh(2 * X[:, 0]) - np.tanh(2 * X[:, 1])
    >>> problem = mf.Problem(X, y, activation="tanh", bias=False, l2=0.01)
    >>> rest = mf.dictionary.sparse_minimiser(problem)
    >>> rest.n_atoms, rest.reached
    (2, True)
    """

    atoms: Atoms
    share: Array
    n_atoms: int
    n_atoms_set: tuple[int, ...]
    objective: float
    at_zero: float
    duality_gap: float
    reached: bool

    def __str__(self) -> str:
        """Say the number, and how it is certified."""
        noun = "atom" if self.n_atoms == 1 else "atoms"
        gap = f"the duality gap is {self.duality_gap:.1g} of what is learned"
        return f"{self.n_atoms} {noun} at rest; {gap}."


class _Point(NamedTuple):
    """A state's objective, mean potential of all neurons, unit of gaps, and potential."""

    objective: float
    level: float
    unit: float
    potential: PenalisedPotential


class Descent:
    """The search for the minimiser: descents of all atoms in turns with new ones."""

    def __init__(self, problem: Problem, places: Array, max_atoms: int, seed: int):
        self.problem, self.max_atoms, self.rng = problem, max_atoms, generator(seed, 7)
        self.places = places
        self.X = problem.with_bias(problem.X)
        # Places are searched on lengths at which activations bend, whatever the size of the inputs.
        self.scale = float(np.sqrt((self.X**2).mean())) or 1.0
        zero = np.zeros_like(problem.targets)
        self.at_zero = float(problem.loss.value(zero, problem.targets).mean())
        self.regression = make_regression(problem, zero)

    def run(self) -> SparseMinimiser:
        """Find the minimiser, where the search is not safe a second time."""
        found = self._search()
        activation = self.problem.activation
        if (activation.smooth and activation.bounds) or not found.reached:
            return found
        # At kinks and far out the least of V is easily missed, and the gap then too small.
        other = self._search()
        far = abs(found.objective - other.objective) > AGREE * self._learned(found.objective)
        sizes = {*found.n_atoms_set, *other.n_atoms_set}
        return replace(
            min(found, other, key=lambda one: one.objective),
            n_atoms_set=tuple(range(min(sizes), max(sizes) + 1)),
            reached=found.reached and other.reached and not far,
        )

    def _search(self) -> SparseMinimiser:
        """Descend until the gap is closed, or there is no more room or time."""
        k, D = self.problem.n_outputs, self.X.shape[1]
        state = Settled(np.zeros((0, D)), np.zeros((0, k)), np.zeros(0))
        steps, before, slow, self.tolerance = STEPS, np.inf, 0, CLOSED
        for turn in range(ROUNDS):
            state = self._merged(self._settle(state, steps))
            at = self._at(state)
            for thorough in (False, True):
                ends = self._lowest(at.potential, state, thorough)
                # No loss is negative, so that the minimiser's penalty is at most the objective.
                pool = np.vstack([state.places, ends])
                gap = max(at.level - at.potential.least_mean(pool, at.objective), 0.0) / at.unit
                if gap > GAP:
                    break
            gained = (before - at.objective) / at.unit
            stalled = gap <= GAP and gained <= STALLED and steps > STEPS
            slow = slow + 1 if gained <= SLOW and not self.problem.activation.smooth else 0
            if (
                gap <= CLOSED
                or stalled
                or slow == PATIENCE
                or turn == ROUNDS - 1
                or len(state.places) >= self.max_atoms
            ):
                break
            if gap > GAP and gained <= 10 * self.tolerance:
                # What is added is taken away again: of two atoms that were made one, say.
                self.tolerance /= 100
            # What remains to be done is to polish, where new atoms gain little.
            steps = 4 * STEPS if gap < POLISH or gained < POLISH else STEPS
            before = at.objective
            state = self._with(state, ends, at.level, at.potential)
        return self._result(state, at, gap)

    def _learned(self, objective: float) -> float:
        """Return how far an objective is below that of the network that is zero, or rounding."""
        return max(self.at_zero - objective, ROUNDING * self.at_zero, 1e-300)

    def _settle(self, state: Settled, steps: int) -> Settled:
        """Descend; where lengths have no meaning, from such that half of the mass is taken."""
        places, columns = state.places, state.columns
        if self.problem.activation.homogeneous and len(places):
            length = np.linalg.norm(places, axis=1)
            size = length * np.linalg.norm(columns, axis=1)
            ratio = np.sqrt(self.problem.l2_output / self.problem.l2_input)
            factor = np.sqrt(max(2 * ratio * float(size.sum()), 1e-300)) / length
            places, columns = places * factor[:, None], columns / factor[:, None]
        found = settle(self.problem, places, columns, steps=steps)
        if self.problem.activation.smooth:
            return found
        # A descent stops where a neuron comes to a kink; the others have then not arrived.
        return settle(self.problem, *found[:2], steps=2 * steps, still=True)

    def _features(self, places: Array) -> Array:
        return self.problem.activation.value(self.X @ places.T)

    def _at(self, state: Settled) -> _Point:
        """Return what there is to know of a state."""
        problem, mass = self.problem, state.mass
        f = self._features(state.places) @ state.columns
        signal = problem.loss.derivative(f, problem.targets)
        potential = PenalisedPotential.of(problem, signal)
        # A bounded activation has its least values at a finite length.
        reach = np.inf if problem.activation.bounds else REACH / self.scale
        potential = replace(potential, reach=reach)
        outputs = state.columns / np.where(mass > 0, mass, 1)[:, None]
        penalty = problem.l2_output * (outputs**2).sum(axis=1)
        penalty = (penalty + problem.l2_input * (state.places**2).sum(axis=1)) / 2
        paid = float(mass @ penalty)
        objective = float(problem.loss.value(f, problem.targets).mean()) + paid
        unit = self._learned(objective)
        if paid > 0:
            unit = min(unit, MOST_LEARNED * paid)
        return _Point(objective, float((signal * f).sum() / len(f)) + paid, unit, potential)

    def _lowest(self, potential: PenalisedPotential, state: Settled, thorough: bool) -> Array:
        """Return the places where descents end, the lowest first."""
        regression = make_regression(self.problem, potential.residual)
        scale = self.scale
        n_starts = N_STARTS if thorough else N_QUICK
        drawn = random_starts(regression, n_starts, self.rng) / scale
        given = self.places[:: 1 if thorough else max(len(self.places) // N_QUICK, 1)]
        pool = np.vstack([moment_starts(regression) / scale, drawn, given, state.places])
        length = np.linalg.norm(state.places, axis=1, keepdims=True) / np.sqrt(self.X.shape[1])
        near = state.places + 0.3 * length * self.rng.standard_normal(state.places.shape)
        most = N_WELLS if thorough else N_QUICK // 4
        # The wells of atoms are the lowest; without bounds another length of one may be lower.
        known = state.places if self.problem.activation.bounds else state.places[:0]
        return potential.wells(np.vstack([pool, near]), known, most)

    def _with(
        self, state: Settled, ends: Array, level: float, potential: PenalisedPotential
    ) -> Settled:
        """Add the lowest places, each unlike the others; where V may have no least, what gains."""
        if not self.problem.activation.bounds:
            ends = (SHORTER[:, None, None] * ends).reshape(-1, ends.shape[1])
        outputs, fall = potential.outputs(ends), np.maximum(level - potential(ends), 0.0)
        mass, merit = np.full(len(ends), NEW_MASS), fall
        if not self.problem.activation.bounds:
            # By a loss of curvature one, the most that any of the table has.
            square = (self._features(ends) ** 2).mean(axis=0) * (outputs**2).sum(axis=1)
            # A dead neuron gains nothing, whatever its mass.
            alive = square > DEAD * square.max()
            best = np.divide(fall, square, out=np.zeros(len(fall)), where=alive)
            mass, merit = np.minimum(mass, best), np.sqrt(fall * best)
        places, columns = list(state.places), list(state.columns)
        new = 0
        for i in np.argsort(-merit, kind="stable"):
            if merit[i] <= merit.max() / 3 or len(places) >= self.max_atoms:
                break
            if new and self._cosines(np.array([*places[-new:], ends[i]]))[-1, :-1].max() > ALIKE:
                continue
            places.append(ends[i])
            columns.append(mass[i] * outputs[i])
            new += 1
        return Settled(np.array(places), np.array(columns), state.mass)

    def _cosines(self, places: Array) -> Array:
        """Return the absolute cosines between features."""
        features = self._features(places)
        length = np.linalg.norm(features, axis=0)
        features = features / np.where(length > 0, length, 1)
        return np.abs(features.T @ features)

    def _merged(self, state: Settled) -> Settled:
        """Leave out atoms without mass; make one of two that are the same, or nearly."""
        weight = state.mass
        if not self.problem.activation.bounds:
            # A long neuron says as much with less mass.
            weight = weight * np.maximum((state.places**2).sum(axis=1) * self.scale**2, 1)
        keep = weight > LEAST_MASS
        state = Settled(*(part[keep] for part in state))
        refused: set[tuple[float, ...]] = set()
        while len(state.places) > 1 and len(refused) < REFUSALS:
            cosines = np.triu(self._cosines(state.places), 1)
            for i, j in np.argwhere(cosines > ALIKE):
                if (pair := tuple(state.mass[[i, j]])) in refused:
                    cosines[i, j] = 0.0
            i, j = np.unravel_index(cosines.argmax(), cosines.shape)
            if cosines[i, j] <= ALIKE:
                break
            pair = tuple(state.mass[[i, j]])
            one = self._one_of(state, int(i), int(j))
            if cosines[i, j] > SAME:
                state = one
                continue
            before = self._at(state)
            one = self._settle(one, STEPS)
            if self._at(one).objective <= before.objective + self.tolerance * before.unit:
                state = one
            else:
                refused.add(pair)
        return state

    def _one_of(self, state: Settled, i: int, j: int) -> Settled:
        """Put two atoms together where the larger one is."""
        if state.mass[i] < state.mass[j]:
            i, j = j, i
        features = self._features(state.places[[i, j]])
        factor = float(features[:, 0] @ features[:, 1]) / float(features[:, 0] @ features[:, 0])
        columns, mass = state.columns.copy(), state.mass.copy()
        columns[i] += factor * columns[j]
        mass[i] += mass[j]
        parts = (state.places, columns, mass)
        return Settled(*(np.delete(part, j, axis=0) for part in parts))

    def _result(self, state: Settled, at: _Point, gap: float) -> SparseMinimiser:
        """Count what carries the network, in canonical form: what a flip makes equal is one."""
        nothing = np.zeros((self.regression.affine.shape[1], state.columns.shape[1]))
        fit = Fit(state.places, state.columns, nothing, 0.0, 0.0)
        whole = fit_atoms(self.problem, fit, state.mass)
        share = shares_of(self.regression, whole, self.problem.bias)
        least, number, most = (int((share >= f * SHARE).sum()) for f in (1.5, 1.0, 1 / 1.5))
        kept = share >= SHARE
        least = min(least, groups_of(self.regression, whole, share, self.problem.bias))
        atoms = replace(
            whole,
            coefficients=whole.coefficients[kept],
            w=whole.w[kept],
            b=whole.b[kept],
            mass=whole.mass[kept],
            inactive_mass=1 - float(whole.mass[kept].sum()),
        )
        return SparseMinimiser(
            atoms,
            share[kept],
            number,
            tuple(range(least, most + 1)),
            at.objective,
            self.at_zero,
            float(gap * at.unit / self._learned(at.objective)),
            gap <= GAP and len(state.places) < self.max_atoms,
        )


def shares_of(regression: Regression, network: Atoms, bias: bool) -> Array:
    """Return the part of each atom in what a network is made of, by the size of its function."""
    length = regression.unit_features(as_places(network, bias))[1]
    size = np.linalg.norm(network.columns, axis=1) * length
    out: Array = size / max(float(size.sum()), 1e-300)
    return out


def groups_of(regression: Regression, network: Atoms, share: Array, bias: bool) -> int:
    """Count the atoms that count, those that act nearly alike once."""
    order = np.argsort(-share, kind="stable")
    order = order[share[order] >= SHARE]
    unit = regression.unit_features(as_places(network, bias)[order])[0]
    alike = np.abs(unit.T @ unit) > APART
    heads: list[int] = []
    for i in range(len(order)):
        if not alike[i, heads].any():
            heads.append(i)
    return len(heads)
