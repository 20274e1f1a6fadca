"""Figures of the study `ensembles`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.chaos import by_count, fit_text, guide
from meanfield.plots.style import (
    BLACK,
    GREEN,
    PURPLE,
    axes,
    count_axis,
    legend_below,
    legend_beside,
    log_scale,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_bias_and_variance(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the squared bias and the variance of the networks against N.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `ensembles`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    counts = dataset["particles"].values
    for name, label, colour, marker, slope, style in (
        ("variance", "variance", GREEN, "^", -1.0, ":"),
        ("bias", "squared bias of the law", PURPLE, "D", -2.0, "--"),
    ):
        mean, low, high = (dataset[f"{name}_{part}"].values for part in ("mean", "low", "high"))
        seen = low > 0
        bars = [(mean - low)[seen], (high - mean)[seen]]
        fit = dataset[f"{name}_mean"]
        text = f"{label}: {fit_text(fit)}" if np.isfinite(fit.attrs["slope"]) else label
        ax.errorbar(counts[seen], mean[seen], bars, fmt=marker, color=colour, label=text)
        if not seen.all():
            ax.plot(counts[~seen], high[~seen], "v", color=colour, fillstyle="none")
        if seen.any():
            first = np.flatnonzero(seen)[0]
            guide(ax, counts[first:], 1.5 * mean[first], slope, f"slope ${slope:.0f}$", style)
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel("mean square over the data")
    legend_below(ax)
    return ax


def plot_averaging(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the error of averages of networks against the neurons that they have together.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `ensembles`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    counts, sizes = dataset["particles"].values, dataset["networks"].values
    for count, colour, marker in by_count(counts):
        at = dataset.sel(particles=count)
        mean, low, high = (at[f"error_{part}"].values for part in ("mean", "low", "high"))
        bars = [mean - low, high - mean]
        ax.errorbar(count * sizes, mean, bars, color=colour, marker=marker, label=f"$N = {count}$")
        bias = float(at["bias_mean"])
        if float(at["bias_low"]) > 0:
            ax.plot([count * sizes[-1] / 8, count * sizes[-1]], [bias] * 2, ":", color=colour)
    single = dataset["error_mean"].isel(networks=0).values
    ax.plot(counts, single, "--", color=BLACK, zorder=3, label="one network")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel(r"neurons in all, $R \cdot N$")
    ax.set_ylabel("mean squared error of the average")
    legend_beside(ax)
    return ax
