"""What each of n, N, t and S gains when it is doubled, by training: what advice is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.decomposition.compress import compress
from meanfield.decomposition.error_plan import Array, ErrorPlan
from meanfield.decomposition.laws import OPTIONS, Advice, extra_cost
from meanfield.flow.particles import Particles
from meanfield.flow.run import predict
from meanfield.flow.simulate import simulate_scheme
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.resampling import draw_repeats, mean_over_replicas

#: Training sets and noise of the check, away from those that the advice was made from.
FIRST_REPLICA = 2**20


@dataclass(frozen=True)
class Trial:
    """What doubling each of n, N, t and S did.

    Attributes
    ----------
    squared_error : float
        Squared total error of the budget as it is.
    gain : dict of str to Estimate
        What doubling each took off.
    cost : dict of str to float
        What it cost in addition.
    gains : dict of str to ndarray
        Per replica.
    """

    squared_error: float
    gain: dict[str, Estimate]
    cost: dict[str, float]
    gains: dict[str, Array]

    def better(self, first: str, second: str) -> Estimate:
        """Return how much more per unit of compute one option gained than another.

        Parameters
        ----------
        first, second : str
            Options.

        Returns
        -------
        Estimate
            Difference of the gains per unit of compute; replicas share their data and noise.
        """
        difference = self.gains[first] / self.cost[first] - self.gains[second] / self.cost[second]
        return mean_over_replicas(difference, draw_repeats(len(difference), 0))

    def confirms(self, advice: Advice) -> bool | None:
        """Tell whether the advised option did gain most per unit of compute.

        Parameters
        ----------
        advice : Advice
            What was advised for this budget.

        Returns
        -------
        bool or None
            Compared with the runner-up, or with every other option where none was named; None
            where nothing was advised.
        """
        if advice.option is None:
            return None
        rivals = [advice.second] if advice.second else [o for o in self.gain if o != advice.option]
        per_unit = {option: self.gain[option].value / self.cost[option] for option in self.gain}
        return all(per_unit[advice.option] >= per_unit[rival] for rival in rivals)


def try_options(plan: ErrorPlan, n_replicas: int) -> Trial:
    """Train and compress the budget and its doublings on fresh training sets.

    All of them share data and noise as far as they go: the smaller training set is part of the
    larger, the particles of the smaller network are among those of the larger.

    Parameters
    ----------
    plan : ErrorPlan
        The budget.
    n_replicas : int
        Training sets.

    Returns
    -------
    Trial
        Gains with intervals.
    """
    names = [option for option in OPTIONS if option != "S" or plan.n_atoms is not None]
    errors = np.array([_errors(plan, FIRST_REPLICA + r, names) for r in range(n_replicas)])
    gains = {name: errors[:, 0] - errors[:, 1 + i] for i, name in enumerate(names)}
    repeats = draw_repeats(n_replicas, 0)
    return Trial(
        float(errors[:, 0].mean()),
        {name: mean_over_replicas(values, repeats) for name, values in gains.items()},
        extra_cost(plan),
        gains,
    )


def _errors(plan: ErrorPlan, replica: int, names: list[str]) -> list[float]:
    """Return the squared error of the budget, then with each option doubled."""
    n, N, t = plan.n_data, plan.n_particles, plan.scheme.n_steps
    sizes = {"n": (2 * n, N, t), "N": (n, 2 * N, t), "t": (n, N, 2 * t)}
    base = _compressed(plan, _train(plan, replica, n, N, t))
    errors = [base[0]]
    for name in names:
        if name == "S":
            errors.append(base[1])
        else:
            errors.append(_compressed(plan, _train(plan, replica, *sizes[name]))[0])
    return errors


def _train(plan: ErrorPlan, replica: int, n: int, N: int, t: int) -> Particles:
    problem = plan.training_set(replica, n)
    run = simulate_scheme(problem, plan.training(t), N, first_replica=replica)
    return run.particles


def _compressed(plan: ErrorPlan, network: Particles) -> list[float]:
    """Return the squared errors of a network compressed to S and to 2 S atoms."""
    problem = plan.fitting_problem
    whole = predict(problem, network, plan.X_test).reshape(len(plan.X_test), -1)
    sizes = [] if plan.n_atoms is None else [plan.n_atoms, 2 * plan.n_atoms]
    fitted = [size for size in sizes if size < network.n_particles]
    outputs = list(compress(problem, network, fitted, plan.X_test)["predictions"])
    # As many atoms as particles: the network itself.
    outputs += [whole] * max(2 - len(fitted), 1)
    return [float(((plan.truth - f) ** 2).sum(axis=-1).mean()) for f in outputs]


def random_budgets(
    count: int, ranges: dict[str, tuple[int, int]], seed: int = 0
) -> list[dict[str, int]]:
    """Draw budgets, log-uniform in n, N, t and S, each rounded to a whole number.

    Parameters
    ----------
    count : int
        How many.
    ranges : dict
        Lowest and highest n, N, t, S.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of dict
        ``n_data``, ``n_particles``, ``n_steps``, ``n_atoms`` of each.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    names = ("n_data", "n_particles", "n_steps", "n_atoms")
    low, high = (np.log([ranges[o][i] for o in OPTIONS]) for i in (0, 1))
    draws = np.exp(rng.uniform(low, high, size=(count, 4))).round().astype(int)
    return [dict(zip(names, map(int, draw), strict=True)) for draw in draws]
