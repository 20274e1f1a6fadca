"""The measured rates: slopes with intervals, constants, flags, and the data behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.metrics import RATE_METRICS
from meanfield.limit.gaussian_closure import GaussianClosure
from meanfield.problem.score import loss_rose
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import (
    Trend,
    fit_law_bias,
    fit_rate,
    late_time_trend,
    squared_mean,
)
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from meanfield.chaos.chaos_plan import ChaosPlan
    from meanfield.limit.mean_field import MeanFieldPath

Array = NDArray[np.floating]

#: Systems whose loss rises to this many times its start have blown up.
_BLOWN_UP = 10.0


@dataclass(frozen=True, eq=False)
class ChaosRates:
    """Rates at which N particles approach their mean-field limit.

    Metrics: ``coupling``, ``matched_w2`` (headline), ``function``, ``law_bias``, ``raw_w2`` with
    ``sampling_floor``, ``law_w2`` with ``law_floor``; see `chaos_rates`.

    Attributes
    ----------
    fits : dict of str to PowerLaw
        One fit per metric. The first three are fitted to the largest of the recorded times
        (the supremum over time of the mean over replicas), the others to the last time.
    trends : dict of str to Trend
        Late-time trend of ``N · metric`` at the largest N: flat if the rate is uniform in time.
    dataset : xarray.Dataset
        Everything measured, with dimensions ``particles``, ``time`` and ``replica``, and the
        slope of every metric at every time; under the Gaussian closure also the exact
        ``N · E D_N`` and ``N · E`` function error, ``coupling_exact`` and ``function_exact``. As
        estimates with the dimension ``bound``: means over replicas (``*_mean``); of the metrics
        that fall like 1/N also the mean at the time that was fitted (``*_peak``) and the
        ``*_slope``, with the fitted line (``*_line``).
    """

    fits: dict[str, PowerLaw]
    trends: dict[str, Trend]
    dataset: xr.Dataset

    @property
    def slope(self) -> dict[str, float]:
        """Slope of log metric against log N."""
        return {metric: fit.slope.value for metric, fit in self.fits.items()}

    @property
    def slope_ci(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap interval of each slope, over replicas."""
        return {metric: (fit.slope.low, fit.slope.high) for metric, fit in self.fits.items()}

    @property
    def constant(self) -> dict[str, float]:
        """``N^(-expected slope) · metric``, for the metrics that have an expected slope."""
        return {metric: fit.constant.value for metric, fit in self.fits.items()}

    @property
    def constant_ci(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap interval of each constant."""
        return {metric: (fit.constant.low, fit.constant.high) for metric, fit in self.fits.items()}

    @property
    def expected_slope(self) -> dict[str, float | None]:
        """What theory predicts; None where it is the sampling floor that decides."""
        return {metric: fit.slope.expected for metric, fit in self.fits.items()}

    @property
    def flags(self) -> dict[str, tuple[str, ...]]:
        """Plain warnings about each fit; empty when nothing is wrong."""
        return {
            metric: tuple(note.text for note in fit.slope.notes)
            for metric, fit in self.fits.items()
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the distances to the limit against N, with their fits and the expected slope.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib Axes
        """
        from meanfield.plots.rates import plot_rates

        return plot_rates(self.dataset, ax)

    def __repr__(self) -> str:
        lines = []
        for metric, fit in self.fits.items():
            slope = fit.slope
            expected = "" if slope.expected is None else f"  expected {slope.expected:+.0f}"
            interval = f"[{slope.low:+.3f}, {slope.high:+.3f}]"
            lines.append(f"  {metric:<15} {slope.value:+.3f} {interval}{expected}")
            lines.extend(f"    {note.text}" for note in slope.notes)
        return "\n".join(["ChaosRates, slope in N [95 % interval]:", *lines])


def assemble_rates(
    plan: ChaosPlan, path: MeanFieldPath, pieces: Sequence[dict[str, Array]]
) -> ChaosRates:
    """Join what `measure` returned for the batches of replicas, in order, and fit the rates."""
    values = {
        # Contiguous, as pieces that were saved are: the order of a sum shows in its last bit.
        name: np.ascontiguousarray(np.concatenate([piece[name] for piece in pieces], axis=2))
        for name in pieces[0]
        if name != "networks"
    }
    counts, seed = plan.particle_counts, plan.scheme.seed
    # One rounding error per step and coordinate, added as a random walk.
    eps = float(np.finfo(plan.scheme.dtype).eps)
    rounding = plan.problem.n_coordinates * plan.times[-1] * eps**2
    fits = {
        metric: fit_rate(
            counts,
            values[metric],
            reference_particles=path.n_particles,
            rounding=rounding,
            seed=seed,
        )
        for metric in RATE_METRICS
    }
    fits["law_bias"] = fit_law_bias(counts, values["deviation"][:, -1], plan.problem.n_data)
    measured: dict[str, int] = {}
    if plan.cloud_replicas >= 2:
        measured |= dict.fromkeys(("raw_w2", "sampling_floor"), plan.cloud_replicas)
    if not np.isnan(values["law_w2"]).any():
        measured |= dict.fromkeys(("law_w2", "law_floor"), plan.n_replicas)
    for metric, n_replicas in measured.items():
        last = values[metric][:, -1, :n_replicas]
        fits[metric] = fit_rate(counts, last, expected_slope=None, seed=seed)
    times = plan.scheme.elapsed(plan.times)
    trends = {
        metric: late_time_trend(
            times, counts[-1] * values[metric][-1], rounding=counts[-1] * rounding
        )
        for metric in RATE_METRICS
    }
    cautions = _cautions(path.loss[[0, plan.times[-1]]], values["loss"].mean(axis=-1))
    if not all(fit.slope.known for fit in (fits[metric] for metric in RATE_METRICS)):
        cautions = (*_constant_inputs(plan.problem.X), *cautions)
    if cautions:
        fits = {metric: _with_notes(fit, cautions) for metric, fit in fits.items()}
    return ChaosRates(fits, trends, _dataset(plan, path, values, fits, rounding))


def _constant_inputs(X: Array) -> tuple[Note, ...]:
    """Name inputs that are all the same as the cause of distances that are zero."""
    if not (X[:1] == X).all():
        return ()
    text = (
        "All inputs are the same row (constant columns carry nothing, and standardising makes them "
        "0), so that there may be nothing to learn; add a column that varies, or set bias = true."
    )
    return (Note("constant-inputs", text),)


def _cautions(limit: Array, systems: Array) -> tuple[Note, ...]:
    """Say that the limit, (2,) at start and end, or systems, (K, T) over time, did not learn.

    The limit may learn where small systems blow up, and these fluctuate: theirs must rise tenfold.
    """
    start, end = map(float, limit)
    worst = systems[int(np.argmax(systems[:, -1]))]
    base = max(start, float(worst[0]))
    blown = worst[-1] > _BLOWN_UP * base
    return loss_rose(base, float(worst[-1])) if blown else loss_rose(start, end)


def _with_notes(fit: PowerLaw, notes: tuple[Note, ...]) -> PowerLaw:
    """Return a fit whose slope has further notes, these first."""
    return replace(fit, slope=replace(fit.slope, notes=(*notes, *fit.slope.notes)))


def _dataset(
    plan: ChaosPlan,
    path: MeanFieldPath,
    values: dict[str, Array],
    fits: dict[str, PowerLaw],
    rounding: float,
) -> xr.Dataset:
    """Return everything measured, with the slope of each metric at each time."""
    import xarray as xr

    scheme, steps = plan.scheme, list(plan.times)
    names = [*RATE_METRICS, "loss", "raw_w2", "sampling_floor"]
    if not np.isnan(values["law_w2"]).any():
        names += ["law_w2", "law_floor"]
    variables: dict[str, Any] = {
        name: (("particles", "time", "replica"), values[name]) for name in names
    }
    by_time = np.moveaxis(values["deviation"], 1, 0)
    bias = [squared_mean(deviation, plan.problem.n_data)[0] for deviation in by_time]
    variables["law_bias"] = (("particles", "time"), np.stack(bias, axis=1))
    slopes = [
        Estimate.stack(
            [
                fit_rate(
                    plan.particle_counts,
                    values[metric][:, t],
                    rounding=rounding,
                    seed=scheme.seed,
                ).slope
                for t in range(len(steps))
            ]
        )
        for metric in RATE_METRICS
    ]
    slope = Estimate.stack(slopes, resampled="replicas", expected=-1.0)
    variables["slope"] = slope.to_xarray(["metric", "time"])
    if isinstance(path.details, GaussianClosure):
        variables["coupling_exact"] = ("time", path.details.coupling_constant[steps])
        variables["function_exact"] = ("time", path.details.function_constant[steps])
    variables["mean_field_loss"] = ("time", path.loss[steps])
    for metric in (*RATE_METRICS, "loss"):
        mean = Estimate.positive_mean(values[metric], axis=2, resampled="replicas")
        variables[f"{metric}_mean"] = mean.to_xarray(["particles", "time"])
    # What was fitted against: the particle counts, less the reference's own error.
    counts = np.array(plan.particle_counts)
    against = 1 / (1 / counts + 1 / path.n_particles) if path.n_particles else counts
    for metric in RATE_METRICS:
        fit = fits[metric]
        peak = Estimate.positive_mean(values[metric][:, fit.time_index], axis=1)
        variables[f"{metric}_peak"] = peak.to_xarray(["particles"])
        variables[f"{metric}_line"] = ("particles", fit.line(against, peak.value))
        variables[f"{metric}_slope"] = fit.slope.to_xarray()
    attrs = {
        "step_size": scheme.step_size_label,
        "seed": str(scheme.seed),
        "integrator": scheme.integrator.name,
        "dtype": scheme.dtype,
        "reference": path.method,
        "reference_error": float(np.max(getattr(path.details, "error", 0.0))),
        "temperature": float(scheme.temperatures.max()),
    }
    if path.n_particles is not None:
        attrs["reference_particles"] = path.n_particles
    coords = {
        "particles": list(plan.particle_counts),
        "step": ("time", steps),
        "time": scheme.elapsed(plan.times),
        "metric": list(RATE_METRICS),
    }
    return described(xr.Dataset(variables, coords, attrs))
