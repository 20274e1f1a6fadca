"""Many small networks: the bias of their law, and what averaging them can and cannot do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from meanfield.chaos.metrics import function_deviation
from meanfield.chaos.reference import check_reference
from meanfield.flow.simulate import simulate
from meanfield.statistics.intervals import LEVEL
from meanfield.statistics.power_law import RateFit, fit_law_bias, fit_rate, squared_mean
from meanfield.statistics.resampling import jackknife_error

if TYPE_CHECKING:
    from meanfield.chaos.plan import ChaosPlan
    from meanfield.flow.particles import Particles
    from meanfield.limit.mean_field import MeanFieldPath

Array = NDArray[np.float64]

_BLOCKS = 64
#: Groups that a mean over networks is judged from, at least.
_GROUPS = 16


def measure_networks(plan: ChaosPlan, path: MeanFieldPath, replicas: range) -> dict[str, Array]:
    r"""Measure networks of every size, and their McKean–Vlasov copies, at the last time.

    Parameters
    ----------
    plan : ChaosPlan
        The study.
    path : MeanFieldPath
        The limit.
    replicas : range
        Contiguous replica indices.

    Returns
    -------
    dict of ndarray
        ``deviation`` :math:`f_N − \bar f` and ``copies``, the same for the copies, of shape
        (counts, replicas, n * k); ``moments`` of shape (counts, replicas, C + 1): means of the
        coordinates and of :math:`|θ|^2`, less those of the copies.
    """
    check_reference(plan, path)
    last = plan.times[-1]
    settings = {
        **plan.scheme,
        "seed": plan.seed,
        "save_at": [last],
        "dtype": plan.dtype,
        "n_replicas": len(replicas),
        "first_replica": replicas.start,
    }
    limit = path.predictions[[last]]
    copies = simulate(plan.problem, max(plan.particle_counts), drive=path, **settings).particles
    pieces = []
    for n_particles in plan.particle_counts:
        run = simulate(plan.problem, n_particles, **settings)
        partners = copies.first(n_particles)
        driven = _outputs(plan, partners)
        pieces.append(
            {
                "deviation": function_deviation(run.predictions, limit)[0],
                "copies": function_deviation(driven[:, None], limit)[0],
                "moments": _low_moments(run.particles) - _low_moments(partners),
            }
        )
    return {name: np.stack([piece[name] for piece in pieces]) for name in pieces[0]}


def _outputs(plan: ChaosPlan, particles: Particles) -> Array:
    from meanfield.flow.run import predict

    return predict(plan.problem, particles, plan.problem.X)


def _low_moments(particles: Particles) -> Array:
    """Means of the coordinates and of the squared radius, shape (R, C + 1)."""
    points = particles.coordinates
    square = np.square(points).sum(-1).mean(1)
    return np.concatenate([points.mean(1), square[:, None]], axis=1)


@dataclass(frozen=True, eq=False)
class Ensembles:
    """What many small networks say about the limit.

    Attributes
    ----------
    bias : RateFit
        Squared bias of the predictions, ``(1/n) Σ_j |E f_N(x_j) − f̄(x_j)|²``, slope −2.
    moment_bias : RateFit
        Squared bias of the mean and of the second moment of the particles, slope −2.
    variance : RateFit
        ``(1/n) Σ_j Var f_N(x_j)``, slope −1.
    squared_bias, squared_bias_error : ndarray, shape (K,)
        Unbiased estimates of the squared bias for every size, and their standard errors.
    reduction : ndarray, shape (K,)
        Variance that is left when the copies serve as control variates, relative; 1 without.
    sizes : ndarray of int, shape (G,)
        Numbers of networks that were averaged.
    error, error_low, error_high : ndarray, shape (K, G)
        Mean squared error of the average of so many networks, with 95 % intervals over disjoint
        groups; NaN where there are too few groups.
    """

    bias: RateFit
    moment_bias: RateFit
    variance: RateFit
    squared_bias: Array
    squared_bias_error: Array
    reduction: Array
    sizes: NDArray[np.int64]
    error: Array
    error_low: Array
    error_high: Array


def analyse_networks(
    plan: ChaosPlan, path: MeanFieldPath, pieces: Iterable[dict[str, Array]]
) -> Ensembles:
    r"""Fit the rates of bias and variance, and average networks in groups.

    When the limit is the exact law of the scheme, the copies have :math:`E f = \bar f` exactly,
    so that :math:`f_N − β f_{\text{copies}}` has the same bias as :math:`f_N` and less scatter.
    Each half of the replicas takes the β that is best for the other half, so that the estimate
    stays unbiased.

    Parameters
    ----------
    plan : ChaosPlan
        The study.
    path : MeanFieldPath
        The limit.
    pieces : iterable of dict
        Results of `measure_networks`, in the order of the replicas.

    Returns
    -------
    Ensembles
    """
    pieces = list(pieces)
    values = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
    counts, n_data = plan.particle_counts, plan.problem.n_data
    deviation, copies = values["deviation"], values["copies"]
    exact = path.method in ("gaussian", "chain")
    sharper = _controlled(deviation, copies) if exact else deviation
    squared, left_out = squared_mean(sharper, n_data)
    scatter = np.square(deviation - deviation.mean(1, keepdims=True)).sum(-1) / n_data
    left = np.square(sharper - sharper.mean(1, keepdims=True)).sum(-1) / n_data
    sizes = 2 ** np.arange(int(np.log2(max(1, deviation.shape[1] // _GROUPS))) + 1)
    return Ensembles(
        fit_law_bias(counts, sharper, n_data),
        fit_law_bias(counts, values["moments"], 1),
        fit_rate(counts, _blocks(scatter), seed=plan.seed),
        squared,
        jackknife_error(left_out),
        left.mean(1) / scatter.mean(1),
        sizes,
        *_average(deviation, n_data, sizes),
    )


def _controlled(deviation: Array, copies: Array) -> Array:
    """Subtract the copies, with the coefficient that suits the other half of the replicas."""
    sharper = deviation.copy()
    half = deviation.shape[1] // 2
    for own, other in ((slice(None, half), slice(half, None)), (slice(half, None), slice(half))):
        d, c = (x[:, other] - x[:, other].mean(1, keepdims=True) for x in (deviation, copies))
        beta = np.einsum("krm,krm->k", d, c) / np.einsum("krm,krm->k", c, c)
        sharper[:, own] -= beta[:, None, None] * copies[:, own]
    return sharper


def _blocks(values: Array) -> Array:
    """Means (K, B) over blocks of replicas: as independent, and few enough to resample."""
    size = max(1, values.shape[1] // _BLOCKS)
    n_blocks = values.shape[1] // size
    return values[:, : n_blocks * size].reshape(len(values), n_blocks, size).mean(-1)


def _average(deviation: Array, n_data: int, sizes: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Mean squared error of averages over disjoint groups of networks, with intervals."""
    shape = (len(deviation), len(sizes))
    mean, low, high = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    for g, size in enumerate(sizes):
        n_groups = deviation.shape[1] // size
        groups = deviation[:, : n_groups * size].reshape(len(deviation), n_groups, size, -1)
        errors = np.square(groups.mean(2)).sum(-1) / n_data
        mean[:, g] = errors.mean(1)
        spread = errors.std(1, ddof=1) / np.sqrt(n_groups) / mean[:, g]
        factor = np.exp(stats.t.ppf(0.5 + LEVEL / 2, n_groups - 1) * spread)
        low[:, g], high[:, g] = mean[:, g] / factor, mean[:, g] * factor
    return mean, low, high
