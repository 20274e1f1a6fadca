"""Propagation-of-chaos rates: particle systems of several sizes against one mean-field path."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.chaos.chaos_plan import ChaosPlan, plan_chaos
from meanfield.chaos.fitted_rates import ChaosRates, assemble_rates
from meanfield.chaos.late import CONTROL
from meanfield.chaos.metrics import (
    coupling,
    folded_squares,
    function_deviation,
    function_error,
    partner_metrics,
)
from meanfield.chaos.precision import batches_between, needed, say_cost, until_precise
from meanfield.chaos.reference_path import (
    check_reference,
    choose_reference,
    laws_in_one_dimension,
    reference_path,
)
from meanfield.chaos.replicas import Replicas, in_parts
from meanfield.chaos.response.comparison import add_prediction
from meanfield.chaos.response.predict import check_predictable, prediction_seconds
from meanfield.chaos.response.predict import predict as predict_constants
from meanfield.chaos.wells import Wells, find_wells
from meanfield.flow.cost import training_seconds
from meanfield.flow.initial import Init
from meanfield.flow.particles import Particles
from meanfield.flow.run import predict as outputs_of
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.system.progress import Progress, SharedProgress
from meanfield.system.threads import fixed_blas
from meanfield.transport import matched_wasserstein2, wasserstein2

if TYPE_CHECKING:
    from meanfield.limit.grid import GridLaw
    from meanfield.problem import Activation, Problem

Array = NDArray[np.floating]

#: Noise indices of the independent clouds of the raw distance, away from every replica's.
CLOUD_REPLICA = 2**31
_KEPT = "networks"


def measure(
    plan: ChaosPlan,
    path: MeanFieldPath,
    replicas: range,
    *,
    wells: Wells | None = None,
    keep: int = 0,
) -> dict[str, Array]:
    """Measure every metric on some replicas; the numbers do not depend on their batches.

    ``coupling``, ``w1_squared`` and ``separated``, the same with ``_modulo``, ``matched_w2``,
    ``function``, ``loss``, ``raw_w2``, ``sampling_floor``, ``law_w2`` and ``law_floor`` have shape
    (counts, times, replicas): each is the mean over the systems of that size which a replica holds
    (of ``raw_w2`` and its floor the first), the last four with NaN where they are not measured. A
    plan of a given precision has ``function_copies`` too, see `late_means`.
    ``deviation``, of the mean over the systems, is (counts, times, replicas, n * k). Of replicas
    below `keep` the largest system at the last time comes too, as ``networks`` (kept, N, C).
    `wells` are those of `find_wells`, found here if they are not given.
    """
    check_reference(plan, path)
    wells = find_wells(plan, path) if wells is None else wells
    laws = laws_in_one_dimension(plan, path)

    def part(replicas: range) -> dict[str, Array]:
        return _measure_part(plan, path, replicas, wells, laws, keep)

    return joined(in_parts(part, replicas))


def joined(pieces: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Join what was measured of replicas in a row."""
    # Of shape (counts, times, replicas, ...); the networks are of the largest size alone.
    whole = {n: np.concatenate([f[n] for f in pieces], axis=2) for n in pieces[0] if n != _KEPT}
    kept = [piece[_KEPT] for piece in pieces if _KEPT in piece]
    return whole | ({_KEPT: np.concatenate(kept)} if kept else {})


def _measure_part(
    plan: ChaosPlan,
    path: MeanFieldPath,
    replicas: range,
    wells: Wells,
    laws: list[GridLaw],
    keep: int,
) -> dict[str, Array]:
    """Measure replicas one after the other, each metric as the mean over their systems."""
    limit = path.predictions[np.array(plan.times)]
    clouds = [_cloud(plan, path, replica) for replica in replicas if replica < plan.cloud_replicas]
    held, pieces = Replicas(plan, path, replicas), []
    for count in plan.particle_counts:
        found = held.of(count)
        pairs = list(zip(found.trajectory, found.copies, strict=True))
        deviation = function_deviation(found.predictions, limit)
        shape = deviation.shape[:2]
        values = {
            **_between_partners(pairs, plan.problem.activation, wells.size),
            "coupling": np.stack([coupling(p, q) for p, q in pairs]),
            "matched_w2": np.stack(
                [matched_wasserstein2(p.coordinates, q.coordinates) for p, q in pairs]
            ),
            "function": function_error(deviation, plan.problem.n_data),
            "deviation": deviation,
            "loss": found.loss.T,
            "law_w2": _to_laws(found.trajectory, laws, shape),
            "law_floor": _to_laws(found.copies, laws, shape),
        }
        if plan.precision is not None:
            values[CONTROL] = _error_of_copies(plan, found.copies, limit)
        piece = {name: found.mean(value) for name, value in values.items()}
        for name, at in (("raw_w2", found.trajectory), ("sampling_floor", found.copies)):
            piece[name] = np.full((len(plan.times), len(replicas)), np.nan)
            firsts = at[-1].coordinates[:: found.each]
            piece[name][-1, : len(clouds)] = [
                wasserstein2(first, cloud) for first, cloud in zip(firsts, clouds, strict=False)
            ]
        pieces.append(piece)
    # The largest size has one system in a replica.
    kept = len(range(replicas.start, min(replicas.stop, keep)))
    networks = {_KEPT: found.trajectory[-1].coordinates[:kept]} if kept else {}
    return {name: np.stack([piece[name] for piece in pieces]) for name in pieces[0]} | networks


def _cloud(plan: ChaosPlan, path: MeanFieldPath, replica: int) -> Array:
    """Return a cloud of the limit law at the last time, independent of all else."""
    return simulate_scheme(
        plan.problem,
        plan.scheme,
        plan.cloud_size,
        save_at=plan.times[-1:],
        drive=path,
        first_replica=CLOUD_REPLICA + replica,
    ).particles.coordinates[0]


def _error_of_copies(plan: ChaosPlan, copies: Sequence[Particles], limit: Array) -> Array:
    """Return the function error of independent particles of the limit, (T, R)."""
    problem = plan.problem
    predictions = np.stack([outputs_of(problem, at, problem.X) for at in copies], axis=1)
    return function_error(function_deviation(predictions, limit), problem.n_data)


def _between_partners(
    pairs: Sequence[tuple[Particles, Particles]], activation: Activation, size: float
) -> dict[str, Array]:
    """Return the metrics of partners at every time, (T, R) each, plain and modulo symmetry."""
    found: dict[str, Array] = {}
    for suffix, symmetry in (("", None), ("_modulo", activation)):
        at = [partner_metrics(folded_squares(p, q, symmetry), size) for p, q in pairs]
        found |= {f"{name}{suffix}": np.stack([values[name] for values in at]) for name in at[0]}
    return found


def _to_laws(trajectory: Sequence[Particles], laws: list[GridLaw], shape: tuple[int, ...]) -> Array:
    """Return W2² of the particles to the law of each time, NaN where it is not at hand."""
    if not laws:
        return np.full(shape, np.nan)
    # One trained parameter on a grid is the input weight of a network without bias.
    return np.stack(
        [law.wasserstein2(at.w[..., 0]) for at, law in zip(trajectory, laws, strict=True)]
    )


@fixed_blas()
def chaos_rates(
    problem: Problem,
    particle_counts: Sequence[int] | None = None,
    n_replicas: int | None = None,
    *,
    precision: float | None = None,
    step_size: float | ArrayLike | Schedule = 0.1,
    n_steps: int = 1000,
    times: Sequence[int] | None = None,
    seed: int = 0,
    reference: str | MeanFieldPath = "auto",
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: str = "float64",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    cloud_size: int | None = None,
    cloud_replicas: int = 8,
    predict: bool = False,
    progress: Progress | None = None,
) -> ChaosRates:
    r"""Measure how fast N particles approach their mean-field limit.

    Every particle :math:`θ_i` runs beside a McKean–Vlasov copy :math:`\barθ_i`: same start, same
    noise, driven by the mean-field predictions :math:`\bar f_t`. Measured at each time:

    - ``function``: :math:`\frac1n \sum_j |f_N(x_j) − \bar f_t(x_j)|^2`, slope −1 (headline);
    - ``w1_squared``: :math:`(\frac1N\sum_i |θ_i − \barθ_i|)^2 \ge W_1^2(µ^N_t, \barµ^N_t)`,
      slope −1 (headline);
    - ``coupling``: :math:`D_N = \frac1N\sum_i |θ_i − \barθ_i|^2`, slope −1 where partners stay in
      one well and the activation is smooth;
    - ``matched_w2``: :math:`W_2^2(µ^N_t, \barµ^N_t) \le D_N`, exact; the same;
    - ``separated``: share of partners further apart than the wells are wide, at the last time;
    - these three of partners with ``_modulo``: modulo the realisation symmetry, where that differs;
    - ``law_bias``: squared mean over replicas of :math:`f_N − \bar f_t`, slope −2 (0 for a linear
      network, of which nothing is fitted);
    - ``raw_w2``: :math:`W_2^2` to an independent cloud of the limit law, which is *not* O(1/N),
      and ``sampling_floor``, the same for the independent copies;
    - ``law_w2``, for one trained parameter and a reference without particles: :math:`W_2^2` to
      the limit law itself, by the quantile coupling, and ``law_floor``, the same for the copies.

    With several wells a share of about :math:`N^{-1/2}` of the partners ends in different ones, so
    that in a long run ``coupling`` and ``matched_w2`` fall like :math:`N^{-1/2}` at all N within
    reach; the verdict says so. (At a fixed time and N → ∞ they fall like 1/N, with a constant that
    grows exponentially in time.)
    The coupling is synchronous: the Wasserstein distance of the theorem is an infimum over all.

    Parameters
    ----------
    problem : Problem
        Data, network, loss, λ and τ.
    particle_counts : sequence of int, optional
        Sizes N of the systems, at least three; 32, 64, …, 1024 by default, with `precision` from 8
        on.
    n_replicas : int, optional
        Independent repetitions R, 32 by default; intervals are over them. A replica holds the same
        work of every size: one system of the largest N, two of N/2, and so on down to the 64
        particles that one step takes at once. A metric of a replica is the mean over its systems.
    precision : float, optional
        Half-width that the 95 % intervals of both headline slopes are to have, in place of
        `n_replicas`. The run is planned from a pilot of 12 replicas, warns of what it will cost
        (`CostNote`), and stops when that is reached. Fitted is then the mean over the second half
        of the run, as :math:`N^s (C + C_2/N)` from the smallest N on at which it is of that form.
    step_size, n_steps : as in `simulate`
        Take five relaxation times or more for a uniform-in-time statement.
    times : sequence of int, optional
        Steps at which to measure; by default about ten, half of them late, with `precision` about
        fifteen. Step 0, where every
        particle is its own copy, is left out.
    seed : int, default: 0
        Seed of noise and initial law.
    reference : str or MeanFieldPath, default: "auto"
        A method of `mean_field`, or a path with the same settings. ``"auto"`` takes the exact
        Gaussian closure where it applies, else the exact law of the discrete chain for at most
        two trained parameters, unless its lattice had more points than the large system has
        particles, else that system, of ``100 * max(particle_counts)``. What was printed says why.
        ``"fokker-planck"`` is the law in continuous time: the particles of a discrete scheme
        stay O(step_size) away from it.
    integrator : as in `simulate`
        Integrator.
    init : str, InitialLaw, Particles, array or callable, default: "gaussian"
        Initial law. Under particles, say those of another run, their empirical law: every system,
        its copies and the large system of the reference pick their neurons from all of them at
        random, with replacement; other references refuse them.
    dtype, temperature : as in `simulate`
        Precision, and the temperature of every step.
    batch_size, anchor_period : as in `simulate`
        Minibatches, the same for all systems and the limit, which is that given the batches; only
        a large system knows it.
    cloud_size, cloud_replicas : int
        Size of the independent clouds of ``raw_w2``, the largest particle count by default, and
        replicas for which it is measured, at the last time; 0 leaves it out.
    predict : bool, default: False
        Predict the constants of ``function`` and ``coupling`` too, by `predict_chaos` along the
        same reference, and compare: nothing is fitted.
    progress : callable, optional
        Called as ``progress(done, total)``, in seconds that work of this size is expected to take;
        the total grows when a `precision` is found to need more replicas.

    Returns
    -------
    ChaosRates
        Slopes with intervals, constants, flags and the dataset behind them.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used, or the reference belongs to other dynamics.
    DivergenceError
        A system left the finite numbers.

    References
    ----------
    [ISD] abstract (uniform-in-time squared-Wasserstein rate O(1/N)); Sznitman 1991 (coupling).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(64, 2))
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.05, temperature=0.02)
    >>> rates = mf.chaos_rates(problem, [16, 32, 64], 8, step_size=0.2, n_steps=50)
    >>> low, high = rates.slope_ci["coupling"]
    """
    scheme = Scheme.of(
        problem,
        step_size=step_size,
        n_steps=n_steps,
        temperature=temperature,
        integrator=integrator,
        init=init,
        seed=seed,
        dtype=dtype,
        batch_size=batch_size,
        anchor_period=anchor_period,
    )
    plan = plan_chaos(
        problem,
        scheme,
        particle_counts,
        n_replicas,
        precision=precision,
        times=times,
        cloud_size=cloud_size,
        cloud_replicas=cloud_replicas,
    )
    if predict:
        check_predictable(problem, plan.scheme, list(plan.times))
    each = training_seconds(problem, plan.scheme, plan.scheme.n_steps)
    large = choose_reference(plan, reference, None)[1] if isinstance(reference, str) else 0
    last = prediction_seconds(problem, plan.scheme) if predict else 0.0
    shared = SharedProgress(progress, each * (large + plan.work * plan.n_replicas) + last)
    if isinstance(reference, str):
        reference = reference_path(plan, reference, progress=shared.part(each * large))
    check_reference(plan, reference)
    wells = find_wells(plan, reference)

    ends = [time.perf_counter()]

    def measured(batches: Sequence[range]) -> list[dict[str, Array]]:
        pieces = []
        for batch in batches:
            pieces.append(measure(plan, reference, batch, wells=wells))
            ends.append(time.perf_counter())
            shared.part(each * plan.work * len(batch))(1, 1)
        return pieces

    def further(batches: Sequence[range]) -> list[dict[str, Array]]:
        shared.total += each * plan.work * sum(map(len, batches))
        return measured(batches)

    pieces = measured(plan.batches())
    if plan.precision is not None:
        wanted = needed(plan, reference, pieces, planning=True)
        # Only the first have clouds to be compared with, and may compile.
        say_cost(plan, wanted, (ends[-1] - ends[-2]) / len(plan.batches()[-1]))
        pieces += further(batches_between(plan, plan.n_replicas, wanted))
        pieces += until_precise(plan, reference, pieces, lambda more: further([more])[0])
    rates = assemble_rates(plan, reference, pieces, wells)
    if not predict:
        return rates
    prediction = predict_constants(
        problem, plan.scheme, list(plan.times), reference, progress=shared.part(last)
    )
    return replace(rates, dataset=add_prediction(rates.dataset, prediction), prediction=prediction)
