"""Figures of the loss over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.plots.style import BLUE, ORANGE, TIME, VERMILION, axes, band, finish
from meanfield.statistics.estimate import Estimate

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
            mean = Estimate.from_xarray(dataset[f"{name}_mean"])
            band(ax, time, mean, color=colour, linestyle=style, label=label)
    ax.set_xscale("symlog", linthresh=time[1], linscale=0.3)
    return finish(ax, TIME, r"loss $R(f_N)$", log="y")


def plot_replicas(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the loss of every replica of a run, as `Run.to_xarray` gives it, and their mean."""
    ax = axes(ax)
    time, loss = dataset["time"].values, dataset["loss"].values
    marker = "o" if len(time) < 20 else None
    if len(loss) > 1:
        for r, values in enumerate(loss):
            label = f"{len(loss)} networks" if r == 0 else None
            ax.plot(time, values, color=ORANGE, alpha=0.5, linewidth=0.8, label=label)
    label = f"{'mean' if len(loss) > 1 else 'network'}, N = {dataset.sizes['particle']}"
    ax.plot(time, loss.mean(axis=0), color=BLUE, marker=marker, markersize=3, label=label)
    return finish(ax, TIME, r"loss $R(f_N)$", log="y", legend="inside")
