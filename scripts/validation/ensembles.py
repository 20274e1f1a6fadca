r"""Measure the bias of small networks, and what averaging them can do.

The error of a network has a random part, which differs from one network to the next, and a bias,
which all of them share. Averaging R networks of N particles divides the variance by R and leaves
the bias:

.. math:: E \Big|\frac1R \sum_r f_N^{(r)} − \bar f\Big|^2
          = \frac1R E|f_N − E f_N|^2 + |E f_N − \bar f|^2 ≈ \frac{C}{R N} + \frac{B}{N^2}.

Expected are slope −2 of the squared bias, of the predictions and of the particles' moments, which
excludes the −1 of the variance. The bias hides under a scatter that is √N times as large: thousands
of networks are trained, the limit is the exact law of the discrete scheme, and the McKean–Vlasov
copies of the particles, whose mean is that limit, serve as control variates.

The variance is also predicted by linear response, with nothing fitted: N times the variance of the
largest networks over the predicted constant is expected to be 1.

Source: Sznitman 1991 (propagation of chaos).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plots.rates import by_count, guide
from meanfield.plots.style import BLACK, GREEN, PURPLE, count_axis, log_scale
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import bars, require

TITLE = "Averaging small networks"
SIZE = (8.4, 3.6)


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Train many networks of every size; fit bias and variance, and average them."""
    data = mf.problem.load("single-index", n_features=1, link="tanh", n_train=16)
    problem = data.problem(bias=False, train=("w",), l2=0.1, temperature=0.05)
    counts, networks = ([2, 4, 8], 512) if quick else ([8, 16, 32, 64, 128], 16384)
    # 20 units of time, two relaxation times 1 / l2; the quick version does with half.
    found = mf.chaos.ensemble_errors(
        problem,
        counts,
        networks,
        step_size=0.2,
        n_steps=50 if quick else 100,
        seed=0,
        reference="chain",
        predict=True,
    )
    assert found.variance_ratio is not None
    largest = replace(
        found.variance_ratio[-1], label="Variance of the largest networks over the predicted one"
    )
    numbers = {
        "bias_slope": found.bias_slope,
        "moment_bias_slope": found.moment_bias_slope,
        "variance_slope": found.variance_slope,
        "variance_ratio": largest,
        "worthwhile": found.worthwhile,
    }
    return numbers, found.to_xarray()


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw squared bias and variance against N, and the error of averages."""
    left, right = figure.subplots(1, 2)
    counts, sizes = dataset["particles"].values, dataset["networks"].values
    for name, label, colour, marker, slope, style in (
        ("variance", "variance", GREEN, "^", -1.0, ":"),
        ("squared_bias", "squared bias", PURPLE, "D", -2.0, "--"),
    ):
        seen = dataset[name].sel(bound="low").values > 0
        at = dataset[name].isel(particles=np.flatnonzero(seen))
        bars(left, counts[seen], at, fmt=marker, color=colour, label=label)
        # What is hidden in the scatter has an upper bound.
        high = dataset[name].sel(bound="high").values
        left.plot(counts[~seen], high[~seen], "v", color=colour, fillstyle="none")
        start = 1.5 * float(at.sel(bound="value").max()) if seen.any() else 0.0
        guide(left, counts[seen], start, slope, f"slope ${slope:.0f}$", style)
    predicted = dataset["variance_predicted"].values
    left.plot(counts, predicted, color=BLACK, linewidth=1.0, label="variance, predicted")
    count_axis(left, counts)
    left.set_ylabel("mean square over the data")
    for count, colour, marker in by_count(counts):
        at = dataset.sel(particles=count)
        shown = {"color": colour, "marker": marker, "label": f"$N = {count}$"}
        bars(right, count * sizes, at["error"], **shown)
        if float(at["squared_bias"].sel(bound="low")) > 0:
            bias = float(at["squared_bias"].sel(bound="value"))
            right.plot(count * sizes[[-1, -1]] / [8, 1], [bias] * 2, ":", color=colour)
    single = dataset["error"].sel(bound="value").isel(networks=0)
    right.plot(counts, single, "--", color=BLACK, zorder=3, label="one network")
    log_scale(right, "x")
    right.set_xlabel(r"neurons in all, $R \cdot N$")
    right.set_ylabel("mean squared error of the average")
    for ax in (left, right):
        log_scale(ax, "y")
        ax.legend()


def check(numbers: dict[str, Estimate]) -> None:
    """Squared bias falls like 1/N², and not like the variance, 1/N."""
    *biases, variance = "bias_slope", "moment_bias_slope", "variance_slope"
    for key in biases:
        require(numbers[key].agrees, f"{key} is −2")
        require(numbers[key].excludes(-1.0), f"{key} is not that of the variance")
    require(numbers[variance].agrees, f"{variance} is −1")
    require(abs(numbers["variance_ratio"].value - 1) < 0.05, "the variance is the predicted one")
