"""The study `chaos`: how fast N particles approach the mean-field limit.

The file that ``meanfield new chaos`` prints lasts one relaxation time ``1/l2``, to be short.
Whether a rate is uniform in time takes five of them or more: ``--set run.n_steps=5000``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from meanfield.chaos.chaos_plan import N_REPLICAS, PILOT, ChaosPlan, plan_chaos
from meanfield.chaos.fitted_rates import ChaosRates, assemble_rates
from meanfield.chaos.measure_rates import joined, measure
from meanfield.chaos.precision import needed, say_cost, until_precise
from meanfield.chaos.response.comparison import add_prediction
from meanfield.chaos.response.predict import check_predictable, predict, prediction_seconds
from meanfield.chaos.response.prediction import ChaosPrediction
from meanfield.chaos.wells import Wells, find_wells, wells_seconds
from meanfield.errors import ConfigError
from meanfield.flow.cost import training_seconds
from meanfield.flow.dynamics import Dynamics
from meanfield.problem import Problem
from meanfield.problem.data import Data
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.rates import squared_mean
from meanfield.statistics.resampling import jackknife_error
from meanfield.studies.chaos.quantities import LABELS
from meanfield.studies.chaos.report import ChaosHeadline, report
from meanfield.system.progress import Progress
from meanfield.workbench.config import Count, Listed, Positive, Section, Step, named_keys
from meanfield.workbench.sections.data import LearningConfig, build_data, data_plan
from meanfield.workbench.sections.learning import guess, learned
from meanfield.workbench.sections.limit_path import ReferenceSection, reference_unit, saved_path
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Trained, Unit

if TYPE_CHECKING:
    import xarray as xr


class ChaosSection(Section):
    """What is compared with the limit."""

    particle_counts: list[Count] | None = Field(
        None,
        description="Sizes N of the systems, at least three; 32, 64, ..., 1024 by default, with "
        "precision from 8 on.",
    )
    n_replicas: Listed | None = Field(
        None,
        description=f"Independent repetitions, {N_REPLICAS} by default; intervals are over them. "
        "Each holds the same work of every size: one system of the largest N, two of N/2, and so "
        "on.",
    )
    precision: Positive | None = Field(
        None,
        description="Half-width that the intervals of both headline slopes are to have, such as "
        "0.02, in place of n_replicas: the run is planned from a pilot, says what it will cost "
        "and stops when that is reached.",
    )
    times: list[Step] | None = Field(
        None,
        description="Steps at which to measure; by default about ten, the first half evenly "
        "spaced in the logarithm, the others over the second half. A run far past relaxation "
        "shows whether the rate is uniform in time.",
    )
    cloud_size: Count | None = Field(
        None,
        description="Size of the independent clouds for the raw distance; the largest particle "
        "count by default.",
    )
    cloud_replicas: Step = Field(
        8, description="Replicas for which the raw distance is measured; 0 leaves it out."
    )
    predict: bool = Field(
        False,
        description="Predict the constants of the function and the coupling distance too, by "
        "linear response along the limit, and compare; nothing is fitted. Not by default: on "
        "large data it takes minutes.",
    )
    reference: ReferenceSection = ReferenceSection()


class ChaosConfig(LearningConfig):
    """Configuration of the study `chaos`."""

    chaos: ChaosSection = ChaosSection()


#: Replicas whose largest networks are kept, to see whether they have learned.
KEPT = 5
#: Units that share what a pilot plans.
_SHARES = 8


def prepare(config: ChaosConfig) -> Plan:
    """Check the configuration and make the units of work."""
    return plan_on(config, *build_data(config))


def plan_on(config: ChaosConfig, data: Data, problem: Problem, *, keep: int = KEPT) -> Plan:
    """Check the configuration; units are the reference, its wells, and every batch of replicas.

    The largest networks of so many replicas are kept, for other studies to go on with them.
    """
    settings = config.chaos.model_dump(exclude={"reference", "predict"})
    with named_keys(config, "chaos", "run", "problem"):
        plan = plan_chaos(problem, config.scheme(problem), **settings)
        reference = reference_unit(plan, config.chaos.reference)
    # How many replicas there are in all is no part of any unit's work, so that more can be added.
    part = plan if plan.precision is not None else _of_a_unit(plan, config.chaos)
    arguments = {**reference.arguments, "plan": part}
    weight = _seconds(plan, int(reference.weight))
    units = [replace(reference, arguments=arguments, weight=weight)]
    per_replica = _seconds(plan, plan.work)
    needs = {"reference": "reference"}
    label, weight = "wells of the potential", wells_seconds(plan)
    units.append(Unit("wells", wells_of, {"plan": part}, label, needs, weight))
    if config.chaos.predict:
        with named_keys(config, "chaos", "run", "problem"):
            check_predictable(problem, plan.scheme, list(plan.times))
        label = "prediction of the constants"
        weight = prediction_seconds(problem, plan.scheme)
        units.append(Unit("prediction", prediction_of, {"plan": part}, label, needs, weight))
    keep, largest = max(keep, KEPT), max(plan.particle_counts)
    trained = []
    needs = {**needs, "wells": "wells"}
    batches = [range(PILOT)] if plan.precision is not None else plan.batches()
    for batch in batches:
        kept = min(max(keep, batch.start), batch.stop)
        arguments = {"plan": part, "first": batch.start, "last": batch.stop, "keep": kept}
        label = f"replicas {batch.start + 1}–{batch.stop} of {plan.n_replicas}"
        key, weight = f"replicas-{batch.start:05d}", per_replica * len(batch)
        units.append(Unit(key, measure_replicas, arguments, label, needs, weight))
        trained += [Trained(key, r - batch.start, largest) for r in batch if r < keep]
    if plan.precision is not None:
        label, arguments = f"pilot of {PILOT} replicas", {"plan": plan, "keep": keep}
        pilot = replace(units[-1], function=measure_pilot, label=label, arguments=arguments)
        units[-1:] = [pilot, *_after_pilot(plan, pilot)]
    done = data_plan(config, data, problem, units, lambda results: combine(plan, results))
    # Only networks whose state is their particles can go on from there.
    alone = Dynamics(problem, plan.scheme).n_rows == problem.n_coordinates
    return replace(
        done, trained=trained if alone and plan.scheme.n_steps == config.run.n_steps else ()
    )


def _of_a_unit(plan: ChaosPlan, section: ChaosSection) -> ChaosPlan:
    """Return a plan as it is for any number of replicas."""
    return replace(plan, n_replicas=0, cloud_replicas=section.cloud_replicas)


def _seconds(plan: ChaosPlan, n_particles: int) -> float:
    """Return what so many particles of the study take on one core."""
    looks = len(plan.times) * n_particles
    return training_seconds(plan.problem, plan.scheme, plan.scheme.n_steps * n_particles, looks)


def _after_pilot(plan: ChaosPlan, pilot: Unit) -> list[Unit]:
    """Return shares of what a pilot plans, and what is lacking then."""
    needs, units = {**pilot.needs, "pilot": pilot.key}, []
    for share in range(_SHARES):
        arguments = {"plan": plan, "share": share}
        label = f"replicas for the precision, {share + 1}/{_SHARES}"
        key, weight = f"share-{share:02d}", pilot.weight  # nobody knows yet
        units.append(Unit(key, measure_share, arguments, label, needs, weight))
    needs = {**needs, **{f"share_{share}": f"share-{share:02d}" for share in range(_SHARES)}}
    label, weight = "replicas that are lacking", pilot.weight / PILOT
    return [*units, Unit("share-last", measure_lacking, {"plan": plan}, label, needs, weight)]


def measure_pilot(plan: ChaosPlan, keep: int, reference: Arrays, wells: Arrays) -> Arrays:
    """Measure the pilot, and plan the run: the replicas in all come as ``planned``."""
    *early, late = plan.batches()
    pieces = [measure_replicas(plan, r.start, r.stop, keep, reference, wells) for r in early]
    begin = time.perf_counter()
    pieces.append(measure_replicas(plan, late.start, late.stop, keep, reference, wells))
    seconds, pilot = time.perf_counter() - begin, joined(pieces)
    wanted = needed(plan, saved_path(plan, reference), [pilot], planning=True)
    # Only the first have clouds to be compared with, and may compile.
    say_cost(plan, wanted, seconds / len(late))
    return {**pilot, "planned": np.array(wanted)}


def measure_share(
    plan: ChaosPlan, share: int, reference: Arrays, wells: Arrays, pilot: Arrays
) -> Arrays:
    """Measure a share of the replicas that are planned after the pilot; none where it sufficed."""
    more = int(pilot["planned"]) - PILOT
    first, last = (PILOT + more * part // _SHARES for part in (share, share + 1))
    if first == last:
        return {}
    return measure_replicas(plan, first, last, 0, reference, wells)


def measure_lacking(
    plan: ChaosPlan, reference: Arrays, wells: Arrays, pilot: Arrays, **shares: Arrays
) -> Arrays:
    """Measure what the precision lacks after what was planned."""
    path = saved_path(plan, reference)
    pieces = [piece for piece in (pilot, *shares.values()) if piece]
    found = until_precise(
        plan,
        path,
        pieces,
        lambda replicas: measure(plan, path, replicas, wells=Wells.from_arrays(wells)),
    )
    if not found:
        return {}
    return joined(found)


def wells_of(plan: ChaosPlan, reference: Arrays) -> Arrays:
    """Find the wells of the late potential."""
    return find_wells(plan, saved_path(plan, reference)).to_arrays()


def prediction_of(plan: ChaosPlan, reference: Arrays, progress: Progress) -> Arrays:
    """Predict the constants along the reference."""
    path = saved_path(plan, reference)
    found = predict(plan.problem, plan.scheme, list(plan.times), path, progress=progress)
    return found.to_arrays()


def measure_replicas(
    plan: ChaosPlan, first: int, last: int, keep: int, reference: Arrays, wells: Arrays
) -> Arrays:
    """Measure every metric on the replicas from `first` up to, not including, `last`."""
    path, found = saved_path(plan, reference), Wells.from_arrays(wells)
    return measure(plan, path, range(first, last), wells=found, keep=keep)


def combine(plan: ChaosPlan, results: Mapping[str, Arrays]) -> Outcome:
    """Fit the rates and put everything that the report shows into one dataset."""
    path = saved_path(plan, results["reference"])
    measured = [results[key] for key in sorted(results) if key.startswith(("replicas", "share"))]
    pieces = [piece for piece in measured if piece]
    try:
        rates = assemble_rates(plan, path, pieces, Wells.from_arrays(results["wells"]))
    except ValueError as error:
        raise ConfigError(f"No rate can be fitted to what was measured: {error}") from None
    if "prediction" in results:
        prediction = ChaosPrediction.from_arrays(results["prediction"])
        dataset = add_prediction(rates.dataset, prediction)
        rates = replace(rates, dataset=dataset, prediction=prediction)
    deviation = np.concatenate([piece["deviation"] for piece in pieces], axis=2)
    dataset = _with_means(rates, deviation[:, -1], plan.problem)
    kept = [piece["networks"] for piece in pieces if "networks" in piece]
    headline = replace(_headline(rates), **learned(plan.problem, np.concatenate(kept)))
    return Outcome(dataset, headline.numbers())


def _with_means(rates: ChaosRates, deviation: np.ndarray, problem: Problem) -> xr.Dataset:
    """Add means with intervals, and what was fitted, to the dataset of the rates."""
    dataset = rates.dataset.copy()
    counts = dataset["particles"].values
    for metric in ("raw_w2", "sampling_floor", "law_w2", "law_floor"):
        if metric in rates.fits:
            last = dataset[metric].values[:, -1]
            mean = Estimate.positive_mean(last[:, ~np.isnan(last[0])], axis=1, resampled="replicas")
            fit = rates.fits[metric]
            dataset[f"{metric}_mean"] = mean.to_xarray(["particles"])
            dataset[f"{metric}_line"] = ("particles", fit.line(counts, mean.value))
            dataset[f"{metric}_slope"] = fit.slope.to_xarray()
    bias, left_out = squared_mean(deviation, problem.n_data)
    error = jackknife_error(left_out)
    # The estimate may be negative, a bound on the square may not.
    bound = np.maximum(bias, 0) + 2 * error
    dataset["law_bias_mean"] = Estimate(bias, bias - 2 * error, bound).to_xarray(["particles"])
    dataset.attrs |= {"problem": repr(problem), "n_parameters": problem.n_parameters}
    dataset.attrs["guess"] = guess(problem)
    return dataset


def _headline(rates: ChaosRates) -> ChaosHeadline:
    noise = rates.dataset.attrs["temperature"] > 0
    found = ChaosHeadline()
    for metric in (metric for metric in LABELS if metric in rates.fits):
        fit, label = rates.fits[metric], LABELS[metric]
        if not (fit.slope.known or fit.slope.notes):  # no partner is separated
            continue
        expected = fit.slope.expected
        # N times a distance of another slope is no constant.
        if expected is not None and fit.slope.agrees is not False:
            exact = rates.dataset.get(f"{metric}_exact")
            found.constant[metric] = replace(
                fit.constant,
                expected=None if exact is None else _exact(exact, fit.time_index),
                label=f"{'N' if expected == -1 else 'N²'} × {label}",
            )
        # Without noise there is a theorem for the function alone.
        expected = expected if noise or metric == "function" else None
        found.slope[metric] = replace(fit.slope, expected=expected, label=f"Slope of {label}")
    if rates.wells.n_wells > 1 and noise:
        found = replace(found, exchange=rates.wells.exchange_estimate)
    for metric, trend in rates.trends.items():
        label = f"Late trend of {LABELS[metric]}, relative to its mean"
        found.trend[metric] = replace(trend.change, label=label)
        if metric not in found.constant:
            continue
        label = f"Largest N × {LABELS[metric]} at any time"
        found.supremum[metric] = replace(trend.supremum, label=label)
    if rates.prediction is not None:
        found = replace(found, **_predicted(rates))
    return found


def _predicted(rates: ChaosRates) -> dict[str, Any]:
    """Return the predicted constants at the last time, and what was measured over them."""
    prediction = rates.prediction
    assert prediction is not None
    predicted, ratios = {}, {}
    for metric in ("function", "coupling"):
        if f"{metric}_ratio" in rates.dataset:
            label = f"Predicted N × {LABELS[metric]}, at the last time"
            predicted[metric] = replace(prediction.estimate(metric)[-1], label=label)
            ratio = Estimate.from_xarray(rates.dataset[f"{metric}_ratio"])[-1, -1]
            label = f"Measured over predicted {LABELS[metric]}, largest N, last time"
            ratios[metric] = replace(ratio, label=label)
    return {"predicted": predicted, "ratio": ratios}


def _exact(constant: xr.DataArray, time_index: int | None) -> float:
    """Return an exact constant as the fit took it: at one time, or the mean over late ones."""
    if time_index is not None:
        return float(constant[time_index])
    late = constant["time"] >= constant["time"][-1] / 2
    return float(constant[late].mean())


EXAMPLE: dict[str, Any] = {
    "study": "chaos",
    "title": "How fast do neurons become independent? Two handwritten digits",
    "data": {"source": "digits", "classes": [3, 8], "n_samples": 50},
    "chaos": {"particle_counts": [32, 64, 128, 256], "n_replicas": 24, "cloud_replicas": 4},
}

LATE = ("n_replicas", "predict")

STUDY = Study("chaos", ChaosConfig, EXAMPLE, prepare, report, tuple(f"chaos.{key}" for key in LATE))
