"""Joining the stages of a decomposition into its budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from meanfield.decomposition.budget_dataset import make_dataset
from meanfield.decomposition.error_budget import COMPONENTS, Component, ErrorBudget
from meanfield.decomposition.error_plan import Array, ErrorPlan, l2_norms, mean_squares
from meanfield.decomposition.laws import (
    Decay,
    advise,
    effective_counts,
    effective_particles,
    expected_gains,
    fit_decay,
    fitted_counts,
    halved_gains,
)
from meanfield.decomposition.truncated_target import TruncatedTarget
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.intervals import LEVEL
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import fit_rate
from meanfield.statistics.resampling import draw_repeats, log_mean_interval
from meanfield.statistics.score import r2

_PREDICTED = "N times the squared chaos component, predicted"


def assemble_budget(
    plan: ErrorPlan,
    truncated: TruncatedTarget,
    population: Mapping[str, Array],
    sets: Sequence[Mapping[str, Array]],
    dynamics: Sequence[Mapping[str, Array]],
    atoms: Sequence[Mapping[str, Array]],
    predictions: Sequence[Mapping[str, Array]] = (),
) -> ErrorBudget:
    """Join the results of `intermediates` into the budget; the last four are one per replica.

    `predictions` are of the replicas `plan.predicted`.
    """
    import xarray as xr

    seed = plan.scheme.seed
    at_n = plan.data_counts.index(plan.n_data)
    at_N = plan.particle_counts.index(plan.n_particles)
    lacks = _stack(sets, "differences")  # (R, counts, m, k)
    left = _stack(dynamics, "left")
    networks = _stack(dynamics, "networks")
    compressed = _stack(atoms, "predictions")
    in_time = _stack(dynamics, "limit")
    whole = final = networks[:, at_N]
    # One with as many atoms as particles is the network.
    if plan.n_atoms is not None and plan.n_atoms < plan.n_particles:
        final = compressed[:, plan.atom_counts.index(plan.n_atoms)]
    # The long-time law of the training set at the same moment, and less its average over time.
    settled_law = in_time + left[:, 0]
    moment = settled_law + lacks[:, at_n] - population["prediction"]
    chain = [plan.truth, truncated.values, settled_law + lacks[:, at_n], settled_law]
    stages = [np.broadcast_to(f, final.shape) for f in (*chain, in_time, whole, final)]
    differences = [f - g for f, g in itertools.pairwise(stages)]
    total = plan.truth - final
    size, missed = l2_norms(total), l2_norms(np.sum(differences, axis=0) - total)
    # Beside a total error of zero nothing is large or small.
    closure = np.max(missed / size) if size.all() else math.nan

    data_scan = lacks.swapaxes(0, 1)
    particle_scan = (in_time[:, None] - networks).swapaxes(0, 1)
    statistical, chaos = mean_squares(data_scan), mean_squares(particle_scan)
    path, other = _stack(dynamics, "path").T, _stack(dynamics, "other").T
    atom_totals = {s: plan.truth - compressed[:, i] for i, s in enumerate(plan.atom_counts)}
    if plan.n_atoms is not None and plan.n_atoms < plan.n_particles <= 2 * plan.n_atoms:
        atom_totals[2 * plan.n_atoms] = plan.truth - whole
    parts = {"statistical": differences[2], "chaos": differences[4]}
    gains = expected_gains(plan, total, parts, data_scan, particle_scan, left, atom_totals)
    fitted = fitted_counts(plan)
    rate_n = _fit_law(effective_counts(plan)[fitted], statistical[fitted], seed)
    rate_N = _fit_law(effective_particles(plan), chaos, seed)
    predicted = _predicted(predictions)
    constant = rate_N.constant if predicted is None else predicted
    # 0 where it is not known: `max` keeps its first argument against NaN.
    noise = max(0.0, constant.value) / plan.path_particles
    noises = noise * plan.path_particles / plan.followed
    decay = fit_decay(plan.elapsed, path, other, noises, seed)
    halved = halved_gains(total, whole, _stack(dynamics, "halved"))
    advice = advise(plan, gains, float(mean_squares(total).mean()), halved)
    spread = math.sqrt(mean_squares(moment).mean())
    resolution = _resolution(plan, population, sets, math.sqrt(noise), spread)
    meanings = _meanings(plan, truncated)
    components = {
        name: _component(difference, total, resolution[name], meanings[name], seed, i < 2)
        for i, (name, difference) in enumerate(zip(COMPONENTS, differences, strict=True))
    }
    moves = tuple(float(move) for move in population["moves"])
    settled = bool(moves) and moves[-1] <= plan.tolerance
    scans = {
        "statistical": ("data_count", statistical),
        "chaos": ("particle_count", chaos),
        "optimisation": ("time", path),
        "other_start": ("time", other),
        "sparse": ("atom_count", mean_squares(whole[:, None] - compressed).T),
        "total_by_atoms": ("atom_count", mean_squares(plan.truth - compressed).T),
        "refit_residual": ("atom_count", _stack(atoms, "residuals").T),
    }
    budget = ErrorBudget(
        components=components,
        total=_component(total, total, 0.0, "target to the network that is kept", seed, False),
        score=r2(final, plan.truth),
        closure=float(closure),
        statistical_rate=rate_n,
        chaos_rate=rate_N,
        chaos_predicted=predicted,
        decay=decay,
        advice=advice,
        bounds=truncated.bounds,
        moves=moves,
        settled=settled,
        notes=tuple(_notes(plan, components, settled, truncated, decay)),
        dataset=xr.Dataset(),
    )
    return replace(budget, dataset=make_dataset(plan, truncated, budget, scans))


def _predicted(predictions: Sequence[Mapping[str, Array]]) -> Estimate | None:
    """Return the predicted constant of the chaos component, with its spread over sets."""
    if not predictions:
        return None
    constants = _stack(predictions, "constant")
    return replace(Estimate.mean(constants, resampled="training sets"), label=_PREDICTED)


def _fit_law(counts: Array, squares: Array, seed: int) -> PowerLaw:
    """Fit a squared component against a size; with too little to fit the slope is unknown."""
    if len(counts) < 3 or (squares.mean(axis=1) == 0).any():
        text = "A slope takes three sizes at which there is an error; there are too few here."
        return PowerLaw(Estimate(math.nan, expected=-1.0, notes=(Note("few-sizes", text),)))
    return fit_rate(counts, squares, expected_slope=-1.0, seed=seed)


def _component(
    difference: Array,
    total: Array,
    resolution: float,
    meaning: str,
    seed: int,
    over_inputs: bool,
) -> Component:
    """Measure a component; the interval of its norm is over held-out inputs, or over replicas."""
    per_input = (difference**2).sum(axis=-1)  # (R, m)
    values = per_input.mean(axis=0 if over_inputs else 1)
    if len(values) == 1:  # a single held-out input says nothing of others
        square = Estimate(values[0])
    else:
        square = log_mean_interval(values[None], np.ones(1), draw_repeats(len(values), seed))
    norm = square.clip(low=0.0).map(np.sqrt)
    return Component(
        norm.value,
        norm.low,
        norm.high,
        resampled="held-out inputs" if over_inputs else "replicas",
        norms=np.sqrt(per_input.mean(axis=1)),
        # The total is its own contribution, with the one interval that it has.
        contribution=norm if difference is total else contribution(difference, total),
        resolution=resolution,
        meaning=meaning,
    )


def contribution(difference: Array, total: Array) -> Estimate:
    r"""Return ``⟨Δ_k, Δ⟩ / ‖Δ‖`` over replicas and inputs, from (R, m, k); these sum to ``‖Δ‖``.

    Both are drawn: with :math:`φ_{rj}` the influence of replica r at input j on the ratio, its
    variance is :math:`\mathrm{Var}_j(φ)/m + \mathrm{Var}_r(φ)/R`, with Satterthwaite's degrees of
    freedom.
    """
    products, squares = (difference * total).sum(axis=-1), (total**2).sum(axis=-1)
    norm = math.sqrt(squares.mean())
    if not products.any():  # without an error, or a component: nothing is uncertain
        return Estimate(0.0)
    value = products.mean() / norm
    influence = products / norm - value / (2 * norm**2) * squares
    parts = [
        (means.var(ddof=1) / len(means), len(means) - 1)
        for means in (influence.mean(axis=0), influence.mean(axis=1))
        if len(means) > 1
    ]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Estimate(value)
    freedom = variance**2 / sum(part**2 / left for part, left in parts)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Estimate(value, value - half, value + half, resampled=_BOTH)


_BOTH = "replicas and held-out inputs"


def _resolution(
    plan: ErrorPlan,
    population: Mapping[str, Array],
    sets: Sequence[Mapping[str, Array]],
    noise: float,
    moment: float,
) -> dict[str, float]:
    """Return the size that the error of the intermediates gives each component.

    The population network on half the inputs is off by about as much from the whole as the whole
    from the limit: twice the variance less once; that of few of the M particles by M/few − 1 times
    the variance. Averages over the two halves of the time differ by twice the error of the whole.
    `noise` is that of the particles of the path, which the coupling takes away only where it brings
    particles together; `moment` is how far their long-time law is from its average over time, which
    regularisation takes up.
    """
    whole = population["prediction"]
    inputs = float(l2_norms(population["half_data"] - whole)) if plan.closed_form else 0.0
    width = float(l2_norms(population["few_particles"].mean(axis=0) - whole))
    width /= math.sqrt(max(plan.long_particles / plan.few_particles - 1, 1))  # 1: of one particle
    first, second = population["halves"]
    time = float(np.sqrt(mean_squares(_stack(sets, "drift")).mean())) / 2
    return {
        "tail": 0.0,
        "regularisation": math.hypot(inputs, width, float(l2_norms(first - second)) / 2, moment),
        "statistical": math.hypot(inputs, time),
        "optimisation": noise,
        "chaos": noise,
        "sparse": 0.0,
    }


def _meanings(plan: ErrorPlan, truncated: TruncatedTarget) -> dict[str, str]:
    n, N, t = plan.n_data, plan.n_particles, plan.training_time
    whole = "population" if plan.closed_form else f"all {plan.n_population} rows"
    return {
        "tail": f"{'f*' if plan.closed_form else 'held-out labels'} to {truncated.text}",
        "regularisation": f"to the stationary mean-field network on {whole}",
        "statistical": f"to that on n = {n} data",
        "optimisation": f"to that at time {t:g}",
        "chaos": f"to N = {N} particles",
        "sparse": "to all particles" if plan.n_atoms is None else f"to S = {plan.n_atoms} atoms",
    }


def _notes(
    plan: ErrorPlan,
    components: Mapping[str, Component],
    settled: bool,
    truncated: TruncatedTarget,
    decay: Decay,
) -> list[str]:
    notes = []
    if decay.bends:
        notes.append(
            "The optimisation component does not decay at one rate over the fitted times; the "
            "rate given is an average."
        )
    if not settled:
        notes.append(
            "The population network was still moving when the stopping rule gave up; raise "
            "settle_steps, temperature or tolerance."
        )
    for name, part in components.items():
        if part.resolution > 0.5 * part.value > 0:
            notes.append(
                f"The {name} component is not resolved: the intermediates themselves have an "
                f"error of about {part.resolution:.2g}."
            )
    if plan.n_repeats:
        notes.append(
            f"{plan.n_repeats} training rows repeat others and are left out: they are no further "
            "data to draw training sets from."
        )
    if len(plan.X_test) == 1:
        notes.append(
            "There is one held-out row: the errors are those on that row, and tail and "
            "regularisation have no interval."
        )
    if plan.n_data == plan.n_population and not plan.closed_form:
        notes.append(
            "Every training set is all of the rows, so the statistical component is 0 by "
            "construction: it says nothing about how many rows are enough, and more than all of "
            "them cannot be tried. Set n_data to fewer to measure it."
        )
    if not plan.closed_form:
        notes.append(
            f"Tail and regularisation rest on {truncated.text}; the network on all "
            f"{plan.n_population} rows stands for the population, so that the statistical "
            f"component is 1/n − 1/{plan.n_population} times its constant, and what those rows "
            "themselves lack is in the regularisation component."
        )
    if any(bound.missing_degrees for bound in truncated.bounds):
        missing = sorted({k for bound in truncated.bounds for k in bound.missing_degrees})
        notes.append(
            f"The target has degrees {missing} that {plan.problem.activation.name} lacks at zero "
            "bias: its Barron–Hermite norm is infinite."
        )
    return notes


def _stack(pieces: Sequence[Mapping[str, Array]], name: str) -> Array:
    return np.stack([piece[name] for piece in pieces])
