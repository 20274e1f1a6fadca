"""Figures of the study `richardson`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.chaos import by_count, guide
from meanfield.plots.style import BLACK, axes, count_axis, legend_beside, log_scale

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_step_error(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the error of the step size, on the same paths, for every N.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `richardson`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    sizes, counts = dataset["coarse"].values, dataset["particles"].values
    shifts = np.linspace(0.97, 1.03, len(counts))
    for shift, (count, colour, marker) in zip(shifts, by_count(counts), strict=True):
        at = dataset.sel(particles=count)
        mean, low, high = (at[f"step_error_{part}"].values for part in ("mean", "low", "high"))
        bars = [mean - low, high - mean]
        ax.errorbar(shift * sizes, mean, bars, marker=marker, color=colour, label=f"$N = {count}$")
    top = 1.5 * float(dataset["step_error_high"].max())
    guide(ax, sizes, top, 2.0, "slope 2")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel(r"step size $\eta$")
    ax.set_ylabel(r"mean $|f_{N,\eta} - f_{N,\eta/2}|^2$")
    legend_beside(ax)
    return ax


def plot_total_error(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the distance from the limit of vanishing step size against N.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `richardson`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    sizes, counts = dataset["step_size"].values, dataset["particles"].values
    for i, (_, colour, marker) in enumerate(by_count(np.arange(len(sizes)))):
        at = dataset.isel(step_size=i)
        mean, low, high = (at[f"total_{part}"].values for part in ("mean", "low", "high"))
        bars = [mean - low, high - mean]
        label = rf"$\eta = {sizes[i]:g}$"
        ax.errorbar(counts, mean, bars, marker=marker, color=colour, label=label)
        floor = float(at["floor"])
        if floor > 0.1 * mean[-1]:
            ax.plot(counts[-2:], [floor] * 2, ":", color=colour)
    mean, low, high = (dataset[f"richardson_{part}"].values for part in ("mean", "low", "high"))
    shown = {"color": BLACK, "fillstyle": "none", "label": "extrapolated"}
    ax.errorbar(1.05 * counts, mean, [mean - low, high - mean], fmt="o", **shown)
    top = 1.5 * float(dataset["total_high"].max())
    guide(ax, counts, top, -1.0, "slope $-1$")
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel("mean squared distance from the limit")
    legend_beside(ax)
    return ax
