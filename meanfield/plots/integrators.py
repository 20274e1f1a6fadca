"""Figures of the study `integrators`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    axes,
    legend_beside,
    log_scale,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LOOKS = (
    (VERMILION, "o"),
    (ORANGE, "s"),
    (BLUE, "^"),
    (GREEN, "D"),
    (PURPLE, "v"),
    (SKY, "P"),
    (BLACK, "X"),
)


def plot_path_errors(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the pathwise error of every scheme against the step size.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `integrators`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    _errors(ax, dataset, "path", dataset["path_step_size"].values)
    _guides(ax, dataset, "path", (0.5, 1.0))
    ax.set_xlabel(r"step size $\eta$")
    ax.set_ylabel("pathwise error (root mean square)")
    legend_beside(ax)
    return ax


def plot_scheme_bias(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the bias of the stationary predictions against the step size.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `integrators`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    _errors(ax, dataset, "bias", dataset["step_size"].values)
    _guides(ax, dataset, "bias", (1.0, 2.0))
    ax.set_xlabel(r"step size $\eta$")
    ax.set_ylabel("relative bias of the stationary predictions")
    legend_beside(ax)
    return ax


def plot_cost(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the bias of every scheme against what it costs.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `integrators`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    _errors(ax, dataset, "bias", dataset["cost"].values)
    ax.set_xlabel("gradients over all data per unit of time")
    ax.set_ylabel("relative bias of the stationary predictions")
    legend_beside(ax)
    return ax


def _errors(ax: Axes, dataset: xr.Dataset, part: str, x: np.ndarray) -> None:
    """Draw the size of one kind of error, one line for each scheme that has it."""
    names = dataset["variant"].values
    x = np.broadcast_to(x, dataset[f"{part}_mean"].shape)
    for v, (name, (colour, marker)) in enumerate(zip(names, _LOOKS, strict=False)):
        mean, low, high = (dataset[f"{part}_{end}"].values[v] for end in ("mean", "low", "high"))
        kept = ~np.isnan(mean)
        if not kept.any():
            continue
        size, low, high = np.abs(mean[kept]), low[kept], high[kept]
        near = np.where(low * high > 0, np.minimum(np.abs(low), np.abs(high)), 0)
        far = np.maximum(np.abs(low), np.abs(high))
        ax.errorbar(
            x[v][kept],
            size,
            [size - near, far - size],
            color=colour,
            marker=marker,
            label=str(name),
        )
    log_scale(ax, "x")
    ax.set_yscale("log", nonpositive="clip")
    size = np.abs(dataset[f"{part}_mean"].values)
    ax.set_ylim(np.nanmin(size) / 3, 3 * np.nanmax(size))


def _guides(ax: Axes, dataset: xr.Dataset, part: str, orders: tuple[float, float]) -> None:
    """Draw a line of each order above and below the errors."""
    h = dataset["step_size" if part == "bias" else "path_step_size"].values
    mean = np.abs(dataset[f"{part}_mean"].values)
    starts = (1.4 * np.nanmax(mean[:, 0]), 0.6 * np.nanmin(mean[:, 0]))
    for order, start, style in zip(orders, starts, ("--", ":"), strict=True):
        line = start * (h / h[0]) ** order
        ax.plot(h, line, style, color="0.45", linewidth=1.0, label=f"order {order:g}")
