"""Figures of the study `stationary`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import BLACK, axes, legend_beside, log_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from matplotlib.axes import Axes


def plot_stationary_densities(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the density of the first input weight: law and particles.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `stationary`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    for at, label, colour, marker in _by_temperature(dataset):
        ax.plot(at["points"].values, at["density"].values, color=colour)
        points = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 3}
        ax.plot(at["bins"].values, at["histogram"].values, label=label, **points)
    ax.set_ylim(bottom=0)
    ax.set_xlim(float(dataset["bins"].min()), float(dataset["bins"].max()))
    ax.set_xlabel("first input weight $w$")
    ax.set_ylabel("density")
    legend_beside(ax)
    return ax


def plot_stationary_predictions(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the mean network against the stationary one at the data.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `stationary`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    ends = [float(dataset["law"].min()), float(dataset["law"].max())]
    ax.plot(ends, ends, "--", color=BLACK, label="equal")
    for at, label, colour, marker in _by_temperature(dataset):
        mean, low, high = (at[name].values for name in ("mean", "low", "high"))
        bars = [mean - low, high - mean]
        ax.errorbar(at["law"].values, mean, bars, fmt=marker, color=colour, label=label)
    ax.set_xlabel(r"stationary law $f_\infty(x_j)$")
    ax.set_ylabel(r"mean of the runs $f_N(x_j)$")
    legend_beside(ax)
    return ax


def plot_stationary_bias(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the distance of the discrete scheme from the law against its step size.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `stationary`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    sizes = dataset["step_size"].values
    for at, label, colour, marker in _by_temperature(dataset):
        ax.plot(sizes, at["bias"].values, marker=marker, color=colour, label=label)
    top = 1.5 * float(dataset["bias"].max())
    ax.plot(sizes, top * sizes / sizes[0], "--", color="0.45", linewidth=1.0, label="slope 1")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("step size")
    ax.set_ylabel("distance from the stationary predictions")
    legend_beside(ax)
    return ax


def _by_temperature(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str, Any, str]]:
    """Yield what belongs to each temperature, with its label, colour and marker."""
    from matplotlib import colormaps

    values = dataset["temperature"].values
    shades = colormaps["cividis_r"](np.linspace(0.2, 1.0, len(values)))
    for i, (value, shade) in enumerate(zip(values, shades, strict=True)):
        yield dataset.isel(temperature=i), rf"$\tau = {value:g}$", shade, "osD^vP*X"[i % 8]
