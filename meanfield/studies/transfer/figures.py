"""Figures of the study `transfer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import (
    SCHEMES,
    band,
    by_count,
    finish,
    legend_beside,
    log_scale,
    width_axis,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_curves(dataset: xr.Dataset, ax: Axes, *, scheme: str, optimizer: str) -> Axes:
    """Draw the loss against the base rate, one curve per width."""
    at = dataset.sel(scheme=scheme, optimizer=optimizer)
    rates, widths = at["rate"].values, dataset["width"].values
    best = Estimate.from_xarray(at["best_rate_mean"]).value
    start = np.inf
    for i, (width, colour, marker) in enumerate(by_count(widths)):
        losses = at["loss"].values[i]  # (seed, rate)
        # Where every network was tried and none diverged.
        drawn = np.isfinite(losses).all(axis=0) & (losses > 0).all(axis=0)
        if not drawn.any():
            continue
        mean = np.exp(np.log(losses[:, drawn]).mean(axis=0))
        start = min(start, mean.min())
        line = {"color": colour, "marker": marker, "markersize": 3, "fillstyle": "none"}
        ax.plot(rates[drawn], mean, label=f"$n = {width}$", **line)
        if np.isfinite(best[i]):
            ax.plot(best[i], mean.min(), marker=marker, color=colour, markersize=7)
    log_scale(ax, "x")
    finish(ax, "base learning rate", "training loss", log="y")
    top = 10 * float(dataset.attrs["constant_loss"])
    if np.isfinite(start) and top > start > 0:
        ax.set_ylim(start / 2, top)
    legend_beside(ax)
    return ax


def plot_best_rates(dataset: xr.Dataset, ax: Axes, *, optimizer: str) -> Axes:
    """Draw the best base rate against the width, for every parametrization."""
    at = dataset.sel(optimizer=optimizer)
    widths = dataset["width"].values
    for scheme in dataset["scheme"].values:
        name, colour, marker = SCHEMES[str(scheme)]
        curve = Estimate.from_xarray(at["best_rate_mean"].sel(scheme=scheme))
        known = np.isfinite(curve.value)
        band(ax, widths[known], curve[known], color=colour, marker=marker, label=name)
    width_axis(ax, widths)
    return finish(ax, y="best base rate", log="y")
