r"""Compare the same particles with every way to compute their limit.

The rate at which N particles approach their mean-field limit must not depend on how that limit was
computed. Here it is, for one trained parameter,

- a system of 100 times as many particles, with an error of its own of order one over their number;
- the law of the same discrete scheme with infinitely many particles: the law of a Markov chain, on
  a lattice, exact to rounding;
- the law in continuous time from the Fokker–Planck equation, from which the scheme differs by a
  multiple of its step size.

The noise is a function of seed, replica, step and particle, so that the particles are the same
numbers in each comparison. Expected is slope −1 in N, for the coupling distance
:math:`D_N = \frac1N \sum_i |θ_i − \barθ_i|^2`, for the exact :math:`W_2^2` between the particles
and their McKean–Vlasov copies, and for the squared distance of the predictions. The exact
:math:`W_2^2` to the limit law itself has the slope of the sampling floor, just short of −1.

Source: Sznitman 1991 (coupling, order 1/N); Fournier and Guillin 2015 (sampling floor).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plots.rates import guide
from meanfield.plots.style import BLUE, ORANGE, VERMILION, count_axis, log_scale
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import bars, require

TITLE = "Three ways to the limit"
SIZE = (8.4, 3.6)

METHODS = {
    "particles": "large system",
    "chain": "law of the chain",
    "fokker-planck": "Fokker–Planck equation",
}
METRICS = {
    "coupling": "coupling distance",
    "matched_w2": "matched W₂²",
    "function": "function distance",
    "law_w2": "W₂² to the limit law",
}
BASE = "chain"


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Compute the limit in three ways, and fit the rates against each."""
    data = mf.problem.load("single-index", n_features=1, link="tanh", n_train=8)
    problem = data.problem(bias=False, train=("w",), l2=0.2, temperature=0.1)
    # The square of the step size is a floor under the distance from the law in continuous time.
    scheme: dict[str, Any] = {"step_size": 0.025, "n_steps": 60, "seed": 0, "dtype": "float32"}
    counts, replicas, times = [2**i for i in range(6, 13)], 512, [20, 40, 60]
    if quick:
        scheme |= {"step_size": 0.25, "n_steps": 40, "dtype": "float64"}
        counts, replicas, times = [4, 8, 16], 24, [10, 20, 40]
    large = 100 * counts[-1]
    paths = {m: mf.mean_field(problem, m, n_particles=large, **scheme) for m in METHODS}
    measured: dict[str, Any] = {"times": times, "cloud_replicas": 0, **scheme}
    rates = {
        method: mf.chaos_rates(problem, counts, replicas, reference=path, **measured)
        for method, path in paths.items()
    }
    numbers = {
        f"{metric}_{method}": replace(
            rates[method].fits[metric].slope,
            label=f"Slope of {label} against the {METHODS[method]}",
        )
        for metric, label in METRICS.items()
        for method in METHODS
        if metric in rates[method].fits
    }
    gaps = {method: _gap(path, paths[BASE]) for method, path in paths.items()}
    for method, gap in gaps.items():
        if method != BASE:
            label = f"Largest distance of the {METHODS[method]} from the {METHODS[BASE]}"
            numbers[f"gap_{method}"] = Estimate(gap.max(), label=label)
    variables = {
        metric: Estimate.stack([_mean(found, metric) for found in rates.values()])
        for metric in METRICS
    }
    dataset = xr.Dataset(
        {name: value.to_xarray(["reference", "particles"]) for name, value in variables.items()},
        {"reference": list(METHODS), "particles": counts, "time": paths[BASE].times},
    )
    dataset["gap"] = (("reference", "time"), np.stack(list(gaps.values())))
    return numbers, dataset


def _gap(path: mf.MeanFieldPath, base: mf.MeanFieldPath) -> np.ndarray:
    """Root mean square over the data of the difference of two paths, at every step."""
    return np.sqrt(np.square(path.predictions - base.predictions).sum(1) / path.problem.n_data)


def _mean(rates: mf.ChaosRates, metric: str) -> Estimate:
    """Mean over replicas for every N, at the time that was fitted; NaN where not measured."""
    if metric not in rates.fits:
        return Estimate(np.full(rates.dataset.sizes["particles"], np.nan))
    at = rates.fits[metric].time_index
    values = rates.dataset[metric].values[:, -1 if at is None else at]
    return Estimate.positive_mean(values, axis=1, resampled="replicas")


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the rates against every reference, and how far the references are apart."""
    left, right = figure.subplots(1, 2)
    counts, time = dataset["particles"].values, dataset["time"].values
    looks = zip((ORANGE, BLUE, VERMILION), "so^", ("--", "-", "-."), (0.93, 1.0, 1.07), strict=True)
    for method, (colour, marker, style, shift) in zip(METHODS, looks, strict=True):
        at = dataset.sel(reference=method)
        shown = {"fmt": marker, "color": colour, "label": METHODS[method]}
        bars(left, shift * counts, at["coupling"], **shown)
        if method != BASE:
            # At the start they agree to rounding.
            gap = at["gap"].where(at["gap"] > 1e-12)
            right.plot(time, gap, style, color=colour, label=METHODS[method])
    guide(left, counts, 1.4 * float(dataset["coupling"].max()), -1.0, "slope $-1$")
    count_axis(left, counts)
    left.set_ylabel(r"coupling distance $D_N$")
    right.set_xlabel("time (step × step size)")
    right.set_ylabel(f"distance from the {METHODS[BASE]}")
    for ax in (left, right):
        log_scale(ax, "y")
        ax.legend()


def check(numbers: dict[str, Estimate]) -> None:
    """Every slope is −1 within 0.03, whatever the particles are compared with."""
    for key, number in numbers.items():
        if number.expected is not None:
            require(abs(number.value + 1) <= 0.03, f"{key} is −1 within 0.03")
            require(number.width < 0.08, f"{key} is known to 0.04")
