"""Many small networks: the bias of their law, and what averaging them can and cannot do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.chaos.chaos_plan import ChaosPlan, plan_chaos
from meanfield.chaos.law_bias import law_bias
from meanfield.chaos.metrics import function_deviation
from meanfield.chaos.reference_path import check_reference, reference_path
from meanfield.chaos.response.comparison import ratio
from meanfield.chaos.response.predict import predict as predict_response
from meanfield.flow.initial import Init
from meanfield.flow.run import predict
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.problem.score import cautioned, loss_rose
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import fit_law_bias, fit_rate, squared_mean
from meanfield.statistics.resampling import jackknife_error
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr

    from meanfield.flow.particles import Particles
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_BLOCKS = 64
#: Groups that a mean over networks is judged from, at least.
_GROUPS = 16
#: Share of the smallest squared bias that the reference's own error may have.
_REFERENCE_SHARE = 0.1


def measure_networks(plan: ChaosPlan, path: MeanFieldPath, replicas: range) -> dict[str, Array]:
    r"""Measure networks of every size, and their McKean–Vlasov copies, at the last time.

    Of shape (counts, replicas, …): ``deviation`` :math:`f_N − \bar f` and ``copies``, the same for
    the copies, (…, n * k); ``moments``, (…, C + 1): means of the coordinates and of
    :math:`|θ|^2`, less those of the copies.
    """
    check_reference(plan, path)
    last = plan.times[-1]
    settings: dict[str, Any] = {
        "n_replicas": len(replicas),
        "save_at": [last],
        "first_replica": replicas.start,
    }
    limit = path.predictions[[last]]
    largest = max(plan.particle_counts)
    copies = simulate_scheme(plan.problem, plan.scheme, largest, drive=path, **settings).particles
    pieces = []
    for n_particles in plan.particle_counts:
        run = simulate_scheme(plan.problem, plan.scheme, n_particles, **settings)
        partners = copies.first(n_particles)
        driven = predict(plan.problem, partners, plan.problem.X)
        pieces.append(
            {
                "deviation": function_deviation(run.predictions, limit)[0],
                "copies": function_deviation(driven[:, None], limit)[0],
                "moments": _low_moments(run.particles) - _low_moments(partners),
            }
        )
    return {name: np.stack([piece[name] for piece in pieces]) for name in pieces[0]}


def _low_moments(particles: Particles) -> Array:
    """Means of the coordinates and of the squared radius, shape (R, C + 1)."""
    points = particles.coordinates
    square = np.square(points).sum(-1).mean(1)
    return np.concatenate([points.mean(1), square[:, None]], axis=1)


@dataclass(frozen=True, eq=False)
class Ensembles:
    """What many small networks of K sizes say about the limit.

    Attributes
    ----------
    particle_counts : ndarray of int, shape (K,)
        Sizes N.
    bias_slope, moment_bias_slope : Estimate
        Slope in N of the squared bias of the predictions, ``(1/n) Σ_j |E f_N(x_j) − f̄(x_j)|²``,
        and of the mean and the second moment of the particles; −2 is expected.
    variance_slope : Estimate
        Slope of ``(1/n) Σ_j Var f_N(x_j)``; −1 is expected.
    squared_bias, squared_bias_error : ndarray, shape (K,)
        Unbiased estimates of the squared bias for every size, and their standard errors.
    reduction : ndarray, shape (K,)
        Variance that is left when the copies serve as control variates, relative; 1 without.
    sizes, error : ndarray of int, shape (G,), Estimate, shape (K, G)
        Numbers of networks that were averaged, and the mean squared error of the average, with
        95 % intervals over disjoint groups.
    constant : Estimate or None
        What N times the variance is predicted to tend to; None where it was not asked for.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), temperature=0.1)
    >>> found = mf.chaos.ensemble_errors(problem, [2, 4, 8], 64, step_size=0.2, n_steps=10)
    >>> found.bias_slope.expected, found.variance_slope.expected, found.squared_bias.shape
    (-2.0, -1.0, (3,))
    """

    particle_counts: NDArray[np.int64]
    bias_slope: Estimate
    moment_bias_slope: Estimate
    variance_slope: Estimate
    squared_bias: Array
    squared_bias_error: Array
    reduction: Array
    sizes: NDArray[np.int64]
    error: Estimate
    constant: Estimate | None = None

    @property
    def variance_ratio(self) -> Estimate | None:
        """N times the variance of a network over its predicted limit, shape (K,); 1 is expected."""
        if self.constant is None:
            return None
        scaled = self.variance.map(lambda variance: self.particle_counts * variance)
        return ratio(scaled, Estimate.stack([self.constant] * len(self.particle_counts)))

    @property
    def variance(self) -> Estimate:
        """Variance of a single network, shape (K,)."""
        single = self.error[:, 0]
        with np.errstate(invalid="ignore"):  # 0/0 where all networks are the limit
            variance, factor = single.value - self.squared_bias, single.high / single.value
        # An estimate below zero, which squares estimated without bias allow, turns its bounds.
        low, high = np.sort([variance / factor, variance * factor], axis=0)
        return Estimate(variance, low, high, resampled="replicas")

    @property
    def worthwhile(self) -> Estimate:
        """Networks of the smallest size whose average has as much variance as squared bias.

        Averaging many more changes nothing. The interval is from two standard errors of the
        squared bias; NaN where it does not stand out of them.
        """
        label = "Networks of the smallest size whose average has as much variance as squared bias"
        variance, bias = self.variance.value[0], self.squared_bias[0]
        two_errors = 2 * self.squared_bias_error[0]
        if bias <= two_errors:
            return Estimate(math.nan, label=label)
        low, high = variance / (bias + two_errors), variance / (bias - two_errors)
        return Estimate(variance / bias, low, high, resampled="replicas", label=label)

    def to_xarray(self) -> xr.Dataset:
        """Return the curves over ``particles`` and ``networks``, the number that is averaged.

        Returns
        -------
        xarray.Dataset
            ``squared_bias`` with two standard errors, ``variance``, ``error`` and ``reduction``;
            where it was predicted ``variance_predicted`` and ``variance_ratio``.
        """
        import xarray as xr

        two_errors = 2 * self.squared_bias_error
        high = np.maximum(self.squared_bias, 0) + two_errors
        bias = Estimate(self.squared_bias, self.squared_bias - two_errors, high)
        variables = {
            "squared_bias": bias.to_xarray(["particles"]),
            "variance": self.variance.to_xarray(["particles"]),
            "error": self.error.to_xarray(["particles", "networks"]),
            "reduction": ("particles", self.reduction),
        }
        if self.constant is not None and self.variance_ratio is not None:
            line = self.constant.value / self.particle_counts
            variables["variance_predicted"] = ("particles", line)
            variables["variance_ratio"] = self.variance_ratio.to_xarray(["particles"])
        coords = {"particles": self.particle_counts, "networks": self.sizes}
        return described(xr.Dataset(variables, coords))


def ensemble_errors(
    problem: Problem,
    particle_counts: Sequence[int] = (8, 16, 32, 64, 128),
    n_replicas: int = 4096,
    *,
    step_size: float | ArrayLike | Schedule = 0.1,
    n_steps: int = 1000,
    seed: int = 0,
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: str = "float64",
    temperature: ArrayLike | Schedule | None = None,
    reference: str | MeanFieldPath = "auto",
    predict: bool = False,
) -> Ensembles:
    r"""Measure the bias of small networks, and what averaging them can do about it.

    With :math:`|g|^2 = \frac1n \sum_j g(x_j)^2`, the average of R independent networks has

    .. math:: E \Big|\frac1R \sum_r f_N^{(r)} − \bar f\Big|^2
              = \frac1R E|f_N − E f_N|^2 + |E f_N − \bar f|^2,

    whose first term is of order 1/(R N) and whose second, the squared bias, is of order 1/N²
    whatever R is.

    Parameters
    ----------
    problem : Problem
        Data, network, loss, λ and τ.
    particle_counts : sequence of int
        Sizes N of the networks, at least three.
    n_replicas : int, default: 4096
        Networks of each size. The bias is of order 1/N beside a scatter of order 1/√N: thousands
        are needed.
    step_size, n_steps, seed, integrator, init, dtype, temperature : as for `chaos_rates`
        What is measured is the last step.
    reference : str or MeanFieldPath, default: "auto"
        As in `chaos_rates`. One without particles lets the McKean–Vlasov copies serve as control
        variates.
    predict : bool, default: False
        Predict the variance too, by `predict_chaos` along the reference, with nothing fitted.

    Returns
    -------
    Ensembles
        Slopes, curves and the number of networks that is worthwhile.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used, or the reference belongs to other dynamics.
    DivergenceError
        A system left the finite numbers.

    References
    ----------
    Sznitman 1991 (propagation of chaos, of which the bias of the law is a part).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), temperature=0.1)
    >>> found = mf.chaos.ensemble_errors(problem, [2, 4, 8], 64, step_size=0.2, n_steps=10)
    >>> found.error.value.shape
    (3, 3)
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
    )
    plan = plan_chaos(
        problem, scheme, particle_counts, n_replicas, times=[scheme.n_steps], cloud_replicas=0
    )
    path = reference_path(plan, reference) if isinstance(reference, str) else reference
    constant = None
    if predict:
        constant = predict_response(problem, scheme, [scheme.n_steps], path).estimate("function")[0]
    pieces = [measure_networks(plan, path, batch) for batch in plan.batches()]
    found = replace(analyse_networks(plan, path, pieces), constant=constant)
    return _with_caution(found, path)


def _with_caution(found: Ensembles, path: MeanFieldPath) -> Ensembles:
    """Say where the reference's own error hides the smallest bias."""
    if path.n_particles is None:
        return found
    own = found.variance.value[-1] * found.particle_counts[-1] / path.n_particles
    if own <= _REFERENCE_SHARE * max(found.squared_bias.min(), 0.0):
        return found
    note = Note(
        "reference",
        f"The reference of {path.n_particles} particles has a squared error of its own of about "
        f"{own:.1e}, which is not small against the smallest bias: use a reference without "
        "particles, or a larger one.",
    )
    slope = replace(found.bias_slope, notes=(*found.bias_slope.notes, note))
    return replace(found, bias_slope=slope)


def analyse_networks(
    plan: ChaosPlan, path: MeanFieldPath, pieces: Sequence[dict[str, Array]]
) -> Ensembles:
    r"""Fit the rates of bias and variance, and average networks in groups.

    When the limit is the exact law of the scheme, the copies have :math:`E f = \bar f` exactly,
    so that :math:`f_N − β f_{\text{copies}}` has the same bias as :math:`f_N` and less scatter.
    Each half of the replicas takes the β that is best for the other half, so that the estimate
    stays unbiased.
    """
    values = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
    counts, n_data = plan.particle_counts, plan.problem.n_data
    deviation, copies = values["deviation"], values["copies"]
    exact = path.method in ("gaussian", "chain")
    sharper = _controlled(deviation, copies) if exact else deviation
    squared, left_out = squared_mean(sharper, n_data)
    scatter = np.square(deviation - deviation.mean(1, keepdims=True)).sum(-1) / n_data
    left = np.square(sharper - sharper.mean(1, keepdims=True)).sum(-1) / n_data
    with np.errstate(invalid="ignore"):  # 0/0 for networks that are all the same
        reduction = left.mean(1) / scatter.mean(1)
    notes = loss_rose(*plan.problem.risk(path.predictions[[0, plan.times[-1]]]))
    sizes = 2 ** np.arange(int(np.log2(max(1, deviation.shape[1] // _GROUPS))) + 1)
    return Ensembles(
        particle_counts=np.array(counts),
        bias_slope=_slope(
            law_bias(counts, sharper, n_data, closed=path.method == "gaussian"),
            "squared bias of the law",
            notes,
        ),
        moment_bias_slope=_slope(
            fit_law_bias(counts, values["moments"], 1),
            "squared bias of the particles' moments",
            notes,
        ),
        variance_slope=_slope(
            fit_rate(counts, _blocks(scatter), seed=plan.scheme.seed),
            "variance of a network",
            notes,
        ),
        squared_bias=squared,
        squared_bias_error=jackknife_error(left_out),
        reduction=reduction,
        sizes=sizes,
        error=_average(deviation, n_data, sizes),
    )


def _slope(fit: PowerLaw, of: str, notes: tuple[Note, ...]) -> Estimate:
    """Return the slope of a fit under its name, with further notes."""
    return replace(cautioned(fit.slope, notes), label=f"Slope of {of}")


def _controlled(deviation: Array, copies: Array) -> Array:
    """Subtract the copies, with the coefficient that suits the other half of the replicas."""
    sharper = deviation.copy()
    half = deviation.shape[1] // 2
    for own, other in ((slice(None, half), slice(half, None)), (slice(half, None), slice(half))):
        d, c = (x[:, other] - x[:, other].mean(1, keepdims=True) for x in (deviation, copies))
        size = np.einsum("krm,krm->k", c, c)
        # Copies that are all the same explain nothing.
        beta = np.einsum("krm,krm->k", d, c) / np.where(size > 0, size, 1.0)
        sharper[:, own] -= beta[:, None, None] * copies[:, own]
    return sharper


def _blocks(values: Array) -> Array:
    """Means (K, B) over blocks of replicas: as independent, and few enough to resample."""
    size = max(1, values.shape[1] // _BLOCKS)
    n_blocks = values.shape[1] // size
    return values[:, : n_blocks * size].reshape(len(values), n_blocks, size).mean(-1)


def _average(deviation: Array, n_data: int, sizes: NDArray[np.int64]) -> Estimate:
    """Mean squared error (K, G) of averages over disjoint groups of networks."""
    found = []
    for size in sizes:
        n_groups = deviation.shape[1] // size
        groups = deviation[:, : n_groups * size].reshape(len(deviation), n_groups, size, -1)
        errors = np.square(groups.mean(2)).sum(-1) / n_data
        found.append(Estimate.positive_mean(errors, axis=1))
    return Estimate.stack(found, resampled="replicas").map(np.transpose)
