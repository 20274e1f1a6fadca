"""The measured rates: slopes with intervals, constants, flags, and the data behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.late import CONTROL, late_means
from meanfield.chaos.law_bias import law_bias
from meanfield.chaos.metrics import PARTNER_METRICS, RATE_METRICS
from meanfield.chaos.reference_path import has_closure, why_particles
from meanfield.chaos.verdict import exchange_sentence, partners_separate, verdict, with_reasons
from meanfield.chaos.wells import Wells, find_wells
from meanfield.flow.swings import swings
from meanfield.limit.gaussian_closure import GaussianClosure
from meanfield.problem.score import cautioned, loss_rose
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw
from meanfield.statistics.rates import (
    Trend,
    fit_rate,
    late_time_trend,
    squared_mean,
)
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from meanfield.chaos.chaos_plan import ChaosPlan
    from meanfield.chaos.response.prediction import ChaosPrediction
    from meanfield.limit.mean_field import MeanFieldPath

Array = NDArray[np.floating]

#: Systems whose loss rises to this many times its start have blown up.
_BLOWN_UP = 10.0


@dataclass(frozen=True, eq=False)
class ChaosRates:
    """Rates at which N particles approach their mean-field limit.

    Metrics: ``function`` and ``w1_squared`` (headlines), ``coupling``, ``matched_w2``,
    ``separated``, ``law_bias``, ``raw_w2`` with ``sampling_floor``, ``law_w2`` with ``law_floor``;
    ``coupling``, ``w1_squared`` and ``separated`` also with ``_modulo`` where the realisation
    symmetry makes a difference; see `chaos_rates`.

    Attributes
    ----------
    fits : dict of str to PowerLaw
        One fit per metric. Those of slope −1 are fitted to the largest of the recorded times
        (the supremum over time of the mean over replicas), the others to the last time; with a
        given precision all of partners and of the function to the mean over the second half of the
        run, with less scatter (`meanfield.chaos.late`) and the next order
        (`meanfield.statistics.settled`). Where partners separate nothing
        is expected of ``coupling`` and ``matched_w2``.
    trends : dict of str to Trend
        Late-time trend of ``N · metric`` at the largest N: flat if the rate is uniform in time.
    wells : Wells
        Minima of the potential that late particles descend into, and their occupation.
    verdict : str
        One well or several, and the rates that belong to it, in a sentence.
    dataset : xarray.Dataset
        Everything measured, with dimensions ``particles``, ``time`` and ``replica``, each the mean
        over the ``systems`` of that size in a replica, and the slope of every metric at every
        time; under the Gaussian closure also the exact
        ``N · E D_N`` and ``N · E`` function error, ``coupling_exact`` and ``function_exact``. As
        estimates with the dimension ``bound``: means over replicas (``*_mean``); of the metrics
        that fall like 1/N also the mean that was fitted (``*_peak``) and the ``*_slope``, with the
        fitted line (``*_line``), and the late-time ``trend`` at every N.
        With a prediction, of ``coupling`` and ``function``: the constant ``*_predicted`` over time,
        N times the measured mean over it (``*_ratio``, where 1 is expected), and the predicted
        line, with no fitted parameter (``*_predicted_line``).
    prediction : ChaosPrediction or None
        What was predicted, where it was asked for.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(16, 2))
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)
    >>> rates = mf.chaos_rates(problem, [8, 16, 32], 8, step_size=0.2, n_steps=50)
    >>> rates.expected_slope["function"], rates.slope_ci["function"][0] < rates.slope["function"]
    (-1.0, True)
    >>> rates.trends["function"].grows, rates.dataset["function"].dims
    (False, ('particles', 'time', 'replica'))
    """

    fits: dict[str, PowerLaw]
    trends: dict[str, Trend]
    wells: Wells
    verdict: str
    dataset: xr.Dataset
    prediction: ChaosPrediction | None = None

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

    def plot(
        self, ax: Axes | None = None, *, label: str | None = None, color: str | None = None
    ) -> Axes:
        """Draw the distances to the limit against N, with their fits and the expected slope.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.
        label : str, optional
            What the legend says before each distance.
        color : str, optional
            A colour of matplotlib's for all distances; by default each has its own.

        Returns
        -------
        matplotlib Axes
        """
        from meanfield.plots.rates import plot_rates

        return plot_rates(self.dataset, ax, label=label, color=color)

    def __repr__(self) -> str:
        lines = []
        for metric, fit in self.fits.items():
            slope = fit.slope
            if not (slope.known or slope.notes):
                continue
            expected = "" if slope.expected is None else f"  expected {slope.expected:+.0f}"
            interval = f"[{slope.low:+.3f}, {slope.high:+.3f}]"
            lines.append(f"  {metric:<15} {slope.value:+.3f} {interval}{expected}")
            lines.extend(f"    {note.text}" for note in slope.notes)
        if why := self.dataset.attrs["reference_reason"]:
            lines.append(
                f"Reference: {self.dataset.attrs['reference_particles']} particles; {why}."
            )
        said = exchange_sentence(self.wells.occupation, self.wells.exchange_estimate)
        if said and self.dataset.attrs["temperature"] > 0:
            lines.append(said)
        lines.append(self.verdict)
        if self.prediction is not None:
            lines += self._compared()
        return "\n".join(["ChaosRates, slope in N [95 % interval]:", *lines])

    def _compared(self) -> list[str]:
        """Say how the largest systems compare with the prediction, at the last time."""
        lines = [repr(self.prediction)]
        for name in ("function_ratio", "coupling_ratio"):
            if name in self.dataset:
                at = Estimate.from_xarray(self.dataset[name])[-1, -1]
                metric = name.removesuffix("_ratio")
                lines.append(
                    f"  {metric:<9} measured / predicted {at.value:.3f} "
                    f"[{at.low:.3f}, {at.high:.3f}] at N = {int(self.dataset['particles'][-1])}"
                )
        return lines


def assemble_rates(
    plan: ChaosPlan,
    path: MeanFieldPath,
    pieces: Sequence[dict[str, Array]],
    wells: Wells | None = None,
) -> ChaosRates:
    """Join what `measure` returned for the batches of replicas, in order, and fit the rates."""
    wells = find_wells(plan, path) if wells is None else wells
    values = {
        # Contiguous, as pieces that were saved are: the order of a sum shows in its last bit.
        name: np.ascontiguousarray(np.concatenate([piece[name] for piece in pieces], axis=2))
        for name in pieces[0]
        if name not in ("networks", "planned")
    }
    counts, seed = plan.particle_counts, plan.scheme.seed
    plan = replace(plan, n_replicas=values["function"].shape[2])
    precise, weights = plan.precision is not None, plan.systems
    # One rounding error per step and coordinate, added as a random walk.
    eps = float(np.finfo(plan.scheme.dtype).eps)
    rounding = plan.problem.n_coordinates * plan.times[-1] * eps**2
    folded = [
        f"{metric}_modulo"
        for metric in PARTNER_METRICS
        if not np.allclose(values[metric], values[f"{metric}_modulo"], rtol=1e-9, atol=0.0)
    ]
    fits = {
        metric: fit_rate(
            counts,
            late_means(plan, path, values[metric], values[CONTROL]) if precise else values[metric],
            reference_particles=path.n_particles,
            weights=weights,
            settled=precise,
            rounding=rounding,
            seed=seed,
        )
        for metric in (*RATE_METRICS, *folded)
        if not metric.startswith("separated")
    }
    for metric in ("separated", *folded):
        if metric.startswith("separated"):
            fits[metric] = _share(plan, path, values[metric])
    fits["law_bias"] = law_bias(
        counts, values["deviation"][:, -1], plan.problem.n_data, closed=has_closure(plan)
    )
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
    separate = partners_separate(values, wells)
    fits = with_reasons(fits, plan.problem, separate)
    share = float(values["separated"][-1, -1].mean())
    noise = bool(plan.scheme.temperatures.max() > 0)
    found = verdict(fits, wells, separate, share, noise)
    cautions = _cautions(path.loss[[0, plan.times[-1]]], values["loss"].mean(axis=-1))
    cautions = cautions or _swinging(path)
    if not all(fit.slope.known for fit in (fits[metric] for metric in RATE_METRICS)):
        cautions = (*_constant_inputs(plan.problem.X), *cautions)
    if cautions:
        fits = {metric: _with_notes(fit, cautions) for metric, fit in fits.items()}
    dataset = _dataset(plan, path, values, fits, rounding)
    dataset["trend"] = _trends(dataset, rounding)
    dataset["occupation"] = ("well", wells.occupation)
    dataset["exchange"] = wells.exchange_estimate.to_xarray()
    dataset["exchange_rate"] = (("well", "into_well", "bound"), wells.rates)
    dataset.attrs |= {
        "verdict": found,
        "partners_separate": int(separate),
        "wells_modulo_symmetry": wells.n_modulo,
        "well_size": wells.size,
    }
    return ChaosRates(fits, trends, wells, found, described(dataset))


def _share(plan: ChaosPlan, path: MeanFieldPath, values: Array) -> PowerLaw:
    """Fit a share, which has no expected slope, and none at all where it is 0 somewhere."""
    last = values[:, -1] if plan.precision is None else late_means(plan, path, values)
    if (last.mean(axis=1) == 0).any():
        return PowerLaw(Estimate(np.nan, resampled="replicas"))
    return fit_rate(
        plan.particle_counts,
        last,
        expected_slope=None,
        weights=plan.systems,
        seed=plan.scheme.seed,
    )


def _trends(dataset: xr.Dataset, rounding: float) -> xr.DataArray:
    """Return the late-time change of every metric at every N."""
    counts = dataset["particles"].values
    change = [
        Estimate.stack(
            [
                late_time_trend(
                    dataset["time"].values, count * values, rounding=count * rounding
                ).change
                for count, values in zip(counts, dataset[metric].values, strict=True)
            ]
        )
        for metric in RATE_METRICS
    ]
    both = Estimate.stack(change, resampled="replicas", expected=0.0)
    return both.to_xarray(["metric", "particles"])


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


def _swinging(path: MeanFieldPath) -> tuple[Note, ...]:
    """Say that the limit is in a cycle of two steps, of which a network is in either by chance."""
    if path.n_steps < 2 or not swings(path.predictions[-3:]):
        return ()
    text = (
        "The step size is too large: the limit swings from step to step, and networks swing with "
        "it or against it by chance, however many neurons they have. Halve it (run.step_size), "
        "with twice as many steps."
    )
    return (Note("swings", text),)


def _with_notes(fit: PowerLaw, notes: tuple[Note, ...]) -> PowerLaw:
    """Return a fit whose slope has further notes, these first."""
    return replace(fit, slope=cautioned(fit.slope, notes))


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
    partners = [name for metric in PARTNER_METRICS for name in (metric, f"{metric}_modulo")]
    names = list(dict.fromkeys([*RATE_METRICS, *partners, "loss", "raw_w2", "sampling_floor"]))
    if not np.isnan(values["law_w2"]).any():
        names += ["law_w2", "law_floor"]
    if plan.precision is not None:
        names.append(CONTROL)
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
                    weights=plan.systems,
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
    for metric in (*RATE_METRICS, "separated", "loss"):
        mean = Estimate.positive_mean(values[metric], axis=2, resampled="replicas")
        variables[f"{metric}_mean"] = mean.to_xarray(["particles", "time"])
    for metric in RATE_METRICS:
        fit = fits[metric]
        peaks = (
            late_means(plan, path, values[metric], values.get(CONTROL))
            if fit.time_index is None
            else values[metric][:, fit.time_index]
        )
        peak = Estimate.positive_mean(peaks, axis=1)
        line = fit.fitted if len(fit.fitted) else np.full(len(peak.value), np.nan)
        variables[f"{metric}_peak"] = peak.to_xarray(["particles"])
        variables[f"{metric}_line"] = ("particles", line)
        variables[f"{metric}_slope"] = fit.slope.to_xarray()
    attrs = {
        "step_size": scheme.step_size_label,
        "seed": str(scheme.seed),
        "integrator": scheme.integrator.name,
        "dtype": scheme.dtype,
        "reference": path.method,
        "reference_error": float(np.max(getattr(path.details, "error", 0.0))),
        "temperature": float(scheme.temperatures.max()),
        "reference_reason": why_particles(plan, path.n_particles) if path.n_particles else "",
    }
    if plan.precision is not None:
        attrs["precision"] = plan.precision
    if path.n_particles is not None:
        attrs["reference_particles"] = path.n_particles
    coords = {
        "particles": list(plan.particle_counts),
        "systems": ("particles", list(plan.systems)),
        "step": ("time", steps),
        "time": scheme.elapsed(plan.times),
        "metric": list(RATE_METRICS),
    }
    return xr.Dataset(variables, coords, attrs)
