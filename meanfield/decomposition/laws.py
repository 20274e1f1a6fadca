"""Laws fitted to the components, and what they say about where compute is best spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from meanfield.decomposition.compress import STEPS
from meanfield.decomposition.error_plan import FITTING_INPUTS, Array, ErrorPlan, mean_squares
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.resampling import draw_repeats, mean_over_replicas, slope_weights

#: The decay is fitted between these shares of its first square: fast modes are over, and particles
#: that are caught in different places do not show yet. And above this many times their noise.
_FROM, _TO, _NOISE = 1e-2, 1e-4, 4.0
_LEAST_POINTS = 4

#: An option that takes less than this off the squared error is not worth advising.
WORTHWHILE = 0.01

#: What one multiplication of the refit costs in updates of one particle by one datum.
_REFIT_SHARE = 1 / 3

OPTIONS = ("n", "N", "t", "S")
#: What may be made smaller, in the order of ``halved`` of `intermediates.dynamics`.
HALVED = ("l2", "temperature")


@dataclass(frozen=True)
class Decay:
    """Exponential decay ``‖f_∞ − f_t‖ ∝ exp(−rate · t)`` after the first transient.

    Attributes
    ----------
    rate, other_rate : Estimate
        Per unit of time, mean over replicas, and the same from another start over the same times:
        the relaxation, which is what is expected. NaN where too little of the decay was seen.
    difference : Estimate
        Difference of the two rates, replica by replica.
    span : tuple of float
        First and last time of the fit.
    change : Estimate
        Rate over the second half of the span less that over the first.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[1.5, 0.0]], activation="tanh")
    >>> X = np.random.default_rng(0).normal(size=(32, 2))
    >>> problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.1, temperature=0.01)
    >>> budget = mf.decompose_error(
    ...     problem, target, n_particles=16, n_steps=20, step_size=0.5, n_atoms=1, n_replicas=4,
    ...     n_population=64, particle_counts=[4, 8, 16], data_counts=[8, 16, 32], n_test=50)
    >>> budget.decay.span[0] < budget.decay.span[1], budget.decay.rate.known
    (True, True)
    """

    rate: Estimate
    other_rate: Estimate
    difference: Estimate
    span: tuple[float, float]
    change: Estimate

    @property
    def bends(self) -> bool:
        """Whether the rate changes over the span, so that it is only an average."""
        return bool(self.change.excludes(0.0))


def fit_decay(
    times: Array, path: Array, other: Array, noise: float | Array = 0.0, seed: int = 0
) -> Decay:
    """Fit the decay of two squared distances, shape (T, R), over the same times.

    Every replica has its own training set and so its own rate; the estimate is their mean, and
    levels are geometric means. `noise` is the square of what the particles' own noise gives a
    distance at every time; it is taken off, or what is left at the end, if the coupling leaves less
    of it.
    """
    paths, noise = np.stack([path, other]), np.broadcast_to(noise, times.shape)
    last = paths[:, -max(len(times) // 8, 1) :].mean(axis=1)
    # The same share of the noise is left at all times.
    share = np.minimum(1.0, last / max(noise[-1], 1e-300))
    floors = share[:, None] * noise[:, None]
    with np.errstate(divide="ignore"):  # a path that has arrived has no logarithm, and is not seen
        logs = np.log(np.maximum(paths - floors, 0.1 * paths))
        levels = np.log(paths).mean(axis=2)
    first = np.where(np.isfinite(levels[:, :1]), levels[:, :1], math.inf)
    low = np.maximum(first + math.log(_TO), np.log(np.maximum(_NOISE * noise, 1e-300)))
    seen = (levels > low).all(axis=0)
    end = len(times) if seen.all() else int(np.argmin(seen))
    late = (levels <= first + math.log(_FROM)).all(axis=0)
    start = int(np.argmax(late)) if late.any() else len(times)
    if end - start < _LEAST_POINTS:
        unknown = Estimate(math.nan)
        return Decay(unknown, unknown, unknown, (math.nan, math.nan), unknown)
    t = times[start:end]
    # Of the norm: the square decays twice as fast.
    own, reference = (-0.5 * slope_weights(t) @ log for log in logs[:, start:end])
    repeats = draw_repeats(path.shape[1], seed)
    rate, other_rate, difference = (
        mean_over_replicas(rates, repeats) for rates in (own, reference, own - reference)
    )
    # To the last bit the difference of the two, beside its own interval by rounding at most.
    value = rate.value - other_rate.value
    low, high = np.minimum(difference.low, value), np.maximum(difference.high, value)
    difference = replace(difference, value=value, low=low, high=high, expected=0.0)
    rate = replace(rate, expected=other_rate.value)
    middle = (start + end) // 2
    before, after = (
        -0.5 * slope_weights(times[part]) @ logs[0][part]
        for part in (slice(start, middle), slice(middle, end))
    )
    change = mean_over_replicas(after - before, repeats)
    return Decay(rate, other_rate, difference, (float(t[0]), float(t[-1])), change)


@dataclass(frozen=True)
class Advice:
    """What to increase first.

    Attributes
    ----------
    option, second : str or None
        ``"n"``, ``"N"``, ``"t"`` or ``"S"``: the one that takes most off the squared error per
        unit of compute, and the runner-up; None when no doubling takes off 1 %.
    gain : dict of str to Estimate
        What doubling each would take off the squared total error.
    cost : dict of str to float
        What doubling each would cost in addition, in updates of one particle by one datum.
    halved : dict of str to Estimate
        What half the penalty ``l2`` and half the ``temperature`` would take off it, at no cost:
        of networks that were trained so, with everything else as it is.
    first : str or None
        What to change first: the one of these that takes off more than the best doubling, else
        `option`.
    squared_error : float
        The squared total error that the gains belong to.
    statement : str
        In words.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[1.5, 0.0]], activation="tanh")
    >>> X = np.random.default_rng(0).normal(size=(32, 2))
    >>> problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.1, temperature=0.01)
    >>> budget = mf.decompose_error(
    ...     problem, target, n_particles=16, n_steps=20, step_size=0.5, n_atoms=1, n_replicas=4,
    ...     n_population=64, particle_counts=[4, 8, 16], data_counts=[8, 16, 32], n_test=50)
    >>> sorted(budget.advice.gain), sorted(budget.advice.halved)
    (['N', 'S', 'n', 't'], ['l2', 'temperature'])
    """

    option: str | None
    second: str | None
    gain: dict[str, Estimate]
    cost: dict[str, float]
    halved: dict[str, Estimate]
    first: str | None
    squared_error: float
    statement: str


def extra_cost(plan: ErrorPlan) -> dict[str, float]:
    """Return what doubling n, N, t or S costs in addition.

    Training costs ``n · N`` updates a step; a refit to S atoms takes some Gauss–Newton steps on
    normal equations of its ``S (d + k + 1)`` parameters.
    """
    training = float(plan.n_data) * plan.n_particles * plan.scheme.n_steps
    cost = dict.fromkeys(OPTIONS[:3], training)
    if plan.n_atoms is not None:
        size = plan.n_atoms * plan.problem.n_coordinates
        cost["S"] = 3 * _REFIT_SHARE * STEPS * FITTING_INPUTS * float(size) ** 2
    return cost


def expected_gains(
    plan: ErrorPlan,
    total: Array,
    parts: Mapping[str, Array],
    data_scan: Array,
    particle_scan: Array,
    left: Array,
    atom_totals: Mapping[int, Array],
) -> dict[str, Array]:
    r"""Return what doubling n, N, t or S takes off the squared total error, per replica.

    The total ``T_r`` scatters over replicas because training sets and noise differ. Its variance
    is shared out between n and N in proportion to its covariance with the statistical component
    and with that of chaos; both parts fall like 1/n and 1/N. So do the means of these components,
    whose product with the total is taken across replicas, ``⟨T̄_{−r}, d_r⟩``, where noise cancels,
    and from all sizes of the scan. For t the path to twice the time is known, for S the larger
    dictionary. No ``n`` where the budget has all rows there are.

    `total` ``f* − f_S`` and the `parts` ``statistical`` and ``chaos`` are (R, m, k), these two at
    every size (counts, R, m, k); `left` (R, 2, m, k) is the optimisation component at the budget's
    time and at twice it; `atom_totals` the total by number of atoms.
    """
    replicas = len(total)
    others = (total.sum(axis=0) - total) / (replicas - 1)
    centred = total - total.mean(axis=0)
    variance = _inner(centred, centred) * replicas / (replicas - 1)
    # The product with d_r itself, not with its deviation: its mean is that of the covariance.
    shares = {name: _inner(total - others, part) for name, part in parts.items()}
    means = {name: max(share.mean(), 0.0) for name, share in shares.items()}
    spread = max(sum(means.values()), 1e-300)
    gains = {}
    for option, name, counts, scan, size, limit in (
        ("n", "statistical", plan.data_counts, data_scan, plan.n_data, _pool(plan)),
        ("N", "chaos", plan.particle_counts, particle_scan, plan.n_particles, math.inf),
    ):
        x = {count: 1 / count - 1 / limit for count in (*counts, size, 2 * size)}
        if x[size] == 0:  # nothing is known of more than all rows
            continue
        falls = 1 - x[2 * size] / x[size]
        bias = _scaled_bias(counts, scan, others, x, size)
        gains[option] = falls * (variance * means[name] / spread + 2 * bias)
    gains["t"] = mean_squares(total) - mean_squares(total - left[:, 0] + left[:, 1])
    if plan.n_atoms is not None and 2 * plan.n_atoms in atom_totals:
        gains["S"] = mean_squares(total) - mean_squares(atom_totals[2 * plan.n_atoms])
    return gains


def halved_gains(total: Array, network: Array, halved: Array) -> dict[str, Array]:
    """Return what half the penalty or temperature takes off the squared total error, per replica.

    `network` (R, m, k) was trained as the budget says, `halved` (R, 2, m, k) with half of each; the
    step to few atoms is taken to lose the same.
    """
    return {
        name: mean_squares(total) - mean_squares(total + network - halved[:, i])
        for i, name in enumerate(HALVED)
    }


def advise(
    plan: ErrorPlan,
    gains: Mapping[str, Array],
    squared_error: float,
    halved: Mapping[str, Array] | None = None,
) -> Advice:
    """Choose what to change first, among what is worth doing.

    Of n, N, t and S the doubling of largest gain per unit of compute; before it, as it costs
    nothing, half of what is in `halved`, where that takes off more.
    """
    repeats = draw_repeats(plan.n_replicas, plan.scheme.seed)
    gain = {option: mean_over_replicas(values, repeats) for option, values in gains.items()}
    less = {name: mean_over_replicas(v, repeats) for name, v in (halved or {}).items()}
    cost = {option: value for option, value in extra_cost(plan).items() if option in gain}
    worth = [option for option in gain if gain[option].value >= WORTHWHILE * squared_error > 0]
    ranked = sorted(worth, key=lambda option: -gain[option].value / cost[option])
    option, second = (*ranked, None, None)[:2]
    least = WORTHWHILE * squared_error if option is None else gain[option].value
    lower = max(less, key=lambda name: less[name].value, default=None)
    if lower is not None and not less[lower].value >= least > 0:
        lower = None
    first = option if lower is None else lower
    statement = _statement(plan, gain, less, option, lower, squared_error)
    return Advice(option, second, gain, cost, less, first, squared_error, statement)


def _statement(
    plan: ErrorPlan,
    gain: Mapping[str, Estimate],
    halved: Mapping[str, Estimate],
    option: str | None,
    lower: str | None,
    squared_error: float,
) -> str:
    def after(estimate: Estimate) -> str:
        unsure = "" if estimate.low > 0 else ", though the replicas are too few to be sure of it"
        return f"{math.sqrt(max(squared_error - estimate.value, 0.0)):.3g}{unsure}"

    before, problem = f"{math.sqrt(squared_error):.3g}", plan.problem
    values = {
        "l2": f"{problem.l2_output:g}"
        if problem.l2_output == problem.l2_input
        else f"{problem.l2_output:g}, {problem.l2_input:g}",
        "temperature": f"{plan.scheme.temperatures[-1]:g}",
    }
    names = {
        "n": f"n, the training data ({plan.n_data})",
        "N": f"N, the particles ({plan.n_particles})",
        "t": f"t, the training time ({plan.scheme.n_steps} steps)",
        "S": f"S, the atoms ({plan.n_atoms})",
    }
    sentences = []
    if lower is not None:
        sentences.append(
            f"Lower first {lower} ({values[lower]}): half of it is expected to take the total "
            f"error from {before} to {after(halved[lower])}, at no extra compute."
        )
    if option is not None:
        to = after(gain[option])
        sentences.append(
            f"Increase first {names[option]}: doubling it is expected to take the total error from "
            f"{before} to {to}, the most per unit of compute."
            if lower is None
            else f"Of the doublings, that of {names[option]}, gains most per unit of compute: it "
            f"would take it to {to}."
        )
    elif gain:
        *others, last = gain
        sentences.append(
            f"No doubling of {', '.join(others)} or {last} takes 1% off the squared error."
        )
    others = [name for name in halved if name != lower]
    helpful = [n for n in others if halved[n].value >= WORTHWHILE * squared_error > 0]
    sentences += [f"Half the {_NAMED[n]} would take it to {after(halved[n])}." for n in helpful]
    if idle := [_NAMED[name] for name in others if name not in helpful]:
        sentences.append(f"Half the {' or the '.join(idle)} would not take 1% off.")
    return " ".join(sentences)


_NAMED = {"l2": "penalty l2", "temperature": "temperature"}


def effective_particles(plan: ErrorPlan) -> Array:
    """Return the numbers of particles that the chaos component falls like the inverse of.

    The first N of the M particles of the path differ from all of them by ``1/N − 1/M``.
    """
    return 1 / (1 / np.array(plan.particle_counts, dtype=float) - 1 / plan.path_particles)


def effective_counts(plan: ErrorPlan) -> Array:
    """Return the same for data: a subsample of n of P rows differs from all by ``1/n − 1/P``."""
    with np.errstate(divide="ignore"):
        return 1 / (1 / np.array(plan.data_counts, dtype=float) - 1 / _pool(plan))


def fitted_counts(plan: ErrorPlan) -> Array:
    """Return which sizes a law in n is fitted to: up to half the pool, if there are three.

    The effective number of a larger sample is so large that it would decide the slope alone.
    """
    counts = np.array(plan.data_counts)
    small = counts <= _pool(plan) / 2
    return small if small.sum() >= 3 else counts < _pool(plan)


def _pool(plan: ErrorPlan) -> float:
    """Return the number of rows that samples are drawn from; infinite for a known target."""
    return math.inf if plan.closed_form else float(plan.n_population)


def _scaled_bias(
    counts: tuple[int, ...], scan: Array, others: Array, x: Mapping[int, float], size: int
) -> Array:
    """Estimate ``⟨T̄, E d⟩`` at `size` per replica, from every size with its precision."""
    usable = [i for i, count in enumerate(counts) if x[count] > 0 and 4 * count >= size]
    scaled = np.array([_inner(others, scan[i]) * x[size] / x[counts[i]] for i in usable])
    if not len(scaled):
        return np.zeros(len(others))
    weights = 1 / np.maximum(scaled.var(axis=1), 1e-300)
    return weights @ scaled / weights.sum()


def _inner(f: Array, g: Array) -> Array:
    """Mean over the inputs of ``⟨f, g⟩``, from (..., m, k)."""
    return (f * g).sum(axis=-1).mean(axis=-1)
