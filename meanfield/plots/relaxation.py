"""Figures of the study `relaxation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLACK, BLUE, GREEN, VERMILION, axes, legend_beside, log_scale

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_relaxation(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the squared distance of the mean network from its end over time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `relaxation`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time, limit = dataset["time"].values, dataset["limit"].values
    mean, low, high = (dataset[f"amplitude{part}"].values for part in ("", "_low", "_high"))
    inside = dataset["inside"].values.astype(bool)
    seen = (low > 0) & (np.arange(len(time)) % 2 == 0)
    for chosen, fill, label in (
        (seen & inside, "full", "networks"),
        (seen & ~inside, "none", None),
    ):
        bars = [(mean - low)[chosen], (high - mean)[chosen]]
        shown = {"color": BLUE, "fillstyle": fill, "elinewidth": 0.8, "capsize": 0}
        ax.errorbar(time[chosen], mean[chosen], bars, fmt="o", label=label, **shown)
    floor = mean[seen].min() / 3 if seen.any() else 1e-12
    above = limit > floor
    ax.plot(time[above], limit[above], "-", color=BLACK, zorder=3, label="limit")
    ax.set_xlim(right=1.6 * time[above][-1])
    _guarantee(ax, dataset.isel(time=time <= 1.6 * time[above][-1]), limit[0])
    ax.set_ylim(bottom=floor)
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel("squared distance from the end (start: 1)")
    legend_beside(ax)
    return ax


def plot_free_energy(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the free energy above its last value over time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `relaxation` with one trained parameter.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time, gap = dataset["time"].values, dataset["gap"].values
    seen = (gap > 1e-10 * gap[0]) & (time <= 0.7 * time[-1])
    ax.plot(time[seen], gap[seen], color=GREEN, label="Fokker–Planck")
    _guarantee(ax, dataset.isel(time=seen), gap[0])
    ax.set_ylim(bottom=0.3 * gap[seen].min())
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"$J(\mu_t) - J(\mu_\infty)$")
    legend_beside(ax)
    return ax


def _guarantee(ax: Axes, dataset: xr.Dataset, start: float) -> None:
    """Draw the decay that the bound guarantees, where there is one."""
    rate = dataset.attrs["bound"]
    if rate > 0:
        time = dataset["time"].values
        ax.plot(time, start * np.exp(-rate * time), "--", color=VERMILION, label="bound")
