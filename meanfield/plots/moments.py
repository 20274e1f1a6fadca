"""Figures of the study `moments`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    axes,
    legend_beside,
    log_scale,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LAWS = {
    "gaussian": ("Gaussian", BLUE, "o", "-"),
    "laplace": ("Laplace", ORANGE, "s", "--"),
    "uniform-ball": ("uniform ball", GREEN, "^", "-."),
    "stretched-exponential": ("stretched exp.", PURPLE, "D", ":"),
    "student-t": ("Student t", VERMILION, "v", (0, (5, 1, 1, 1, 1, 1))),
}


def plot_weights(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the largest admissible weight of every initial law against the order of the moment.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `moments`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    order = dataset["order"].values
    for name in dataset["law"].values:
        label, colour, marker, style = _LAWS[str(name)]
        values = dataset["log_w_star"].sel(law=name).values / np.log(10.0)
        known = np.isfinite(values)
        if not known.all():
            label += f"\n(0 from $k = {order[~known][0]}$)"
        shown = {"color": colour, "linestyle": style, "marker": marker, "markersize": 3}
        ax.plot(order[known], values[known], label=label, **shown)
    ax.set_xlabel("order $k$ of the moment")
    ax.set_ylabel(r"$\log_{10} w^*_k$")
    legend_beside(ax)
    return ax


def plot_growth(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the growth of the moments along the flow for every initial law.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `moments`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time = dataset["time"].values
    for name in dataset["law"].values:
        at = dataset.sel(law=name)
        label, colour, marker, style = _LAWS[str(name)]
        low, high = at["growth_low"].values, at["growth_high"].values
        ax.fill_between(time, low, high, color=colour, alpha=0.15, linewidth=0)
        shown = {"color": colour, "linestyle": style, "marker": marker, "markersize": 3}
        ax.plot(time, at["growth"].values, label=label, **shown)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"$G(t) = \sup_k (w^*_k m_k(\mu_t))^{1/k}$")
    legend_beside(ax)
    return ax


def plot_heavier_weight(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the terms of the weight of the law's own order, and of a heavier one, which grow.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `moments`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    order = dataset["order"].values
    for name in dataset["law"].values:
        at = dataset.sel(law=name)
        label, colour, marker, _ = _LAWS[str(name)]
        if np.isnan(at["heavier"].values).all():
            continue
        ax.plot(order, at["admitted"].values, color=colour)
        shown = {"color": colour, "marker": marker, "markersize": 3}
        ax.plot(order, at["heavier"].values, "--", label=label, **shown)
    ax.plot([], [], "-", color="0.5", label="own order")
    ax.plot([], [], "--", color="0.5", label="heavier")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("order $k$ of the moment")
    ax.set_ylabel(r"$(w_k m_k)^{1/k}$ at the start")
    legend_beside(ax)
    return ax
