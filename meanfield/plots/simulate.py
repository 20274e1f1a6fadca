"""Figures of the study `simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLUE, ORANGE, VERMILION, axes, legend_beside, log_scale

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_loss(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the loss over time with its interval.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `simulate`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time = dataset["loss_time"].values
    for name, label, colour, style in (
        ("loss", "training", BLUE, "-"),
        ("test_loss", "held out", VERMILION, "--"),
    ):
        if f"{name}_mean" in dataset:
            low, high = dataset[f"{name}_low"].values, dataset[f"{name}_high"].values
            ax.fill_between(time, low, high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(time, dataset[f"{name}_mean"].values, style, color=colour, label=label)
    ax.set_xscale("symlog", linthresh=time[1], linscale=0.3)
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"loss $R(f_N)$")
    legend_beside(ax)
    return ax


def plot_replicas(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the loss of every replica over time, and their mean.

    Parameters
    ----------
    dataset : xarray.Dataset
        A run, as `Run.to_xarray` gives it.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time, loss = dataset["time"].values, dataset["loss"].values
    marker = "o" if len(time) < 20 else None
    if len(loss) > 1:
        for r, values in enumerate(loss):
            label = f"{len(loss)} networks" if r == 0 else None
            ax.plot(time, values, color=ORANGE, alpha=0.5, linewidth=0.8, label=label)
    label = f"{'mean' if len(loss) > 1 else 'network'}, N = {dataset.sizes['particle']}"
    ax.plot(time, loss.mean(axis=0), color=BLUE, marker=marker, markersize=3, label=label)
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"loss $R(f_N)$")
    ax.legend()
    return ax


def plot_particles(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw every particle at the first and the last kept step.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `simulate`; with several outputs the length of ``a`` is shown.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    for position, colour, marker in ((0, ORANGE, "x"), (-1, BLUE, "o")):
        at = dataset.isel(step=position)
        a, w = at["a"].values, at["w"].values
        size = 400 / np.sqrt(a.size)
        ax.scatter(
            np.linalg.norm(w, axis=-1).ravel(),
            (np.linalg.norm(a, axis=-1) if "output" in at["a"].dims else a).ravel(),
            s=min(size, 9.0),
            marker=marker,
            linewidths=0.6 if marker == "x" else 0,
            color=colour,
            alpha=0.6,
            rasterized=True,
            label=f"time {float(at['time']):g}",
        )
    ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    ax.set_xlabel(r"length of the input weights $|w_i|$")
    ax.set_ylabel(r"output weight $|a_i|$" if "output" in dataset.dims else r"output weight $a_i$")
    legend_beside(ax)
    for handle in ax.get_legend().legend_handles:
        handle.set(sizes=[16.0], alpha=1.0)
    return ax
