"""Figures of the study `bench`."""

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
    legend_below,
    log_scale,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LOOK = {
    "meanfield": (BLUE, "o"), "jax": (ORANGE, "s"), "torch": (VERMILION, "^"),
    "torch compiled": (PURPLE, "v"), "numpy": (GREEN, "D"),
}  # fmt: skip
_LINES = {"particles": (BLUE, "o", "N"), "data": (ORANGE, "s", "n"),
          "replicas": (GREEN, "^", "replicas")}  # fmt: skip


def _selected(dataset: xr.Dataset) -> xr.Dataset:
    """Rows of tanh in float64 (or of whatever was measured first), one per input dimension."""
    first = dataset.isel(row=0)
    size = ("n_particles", "n_replicas", "n_data", "activation", "row_dtype")
    same = np.all([dataset[name].values == first[name].item() for name in size], axis=0)
    rows = dataset.isel(row=np.flatnonzero(same))
    return rows.isel(row=np.argsort(rows["n_features"].values))


def plot_times(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the time per pair and step against the input dimension, for every library.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `bench`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    rows = _selected(dataset)
    features = rows["n_features"].values
    for name in rows["library"].values:
        colour, marker = _LOOK[str(name)]
        times = rows["ns_per_pair"].sel(library=name).values
        middle = np.median(times, axis=1)
        spread = np.abs(np.quantile(times, [0.25, 0.75], axis=1) - middle)
        ax.errorbar(features, middle, spread, color=colour, marker=marker, label=str(name))
    ax.plot(features, rows["limit_attainable"].values, "--", color=BLACK, label="attainable")
    ax.plot(features, rows["limit_arithmetic"].values, ":", color=BLACK, label="arithmetic alone")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("input dimension $d$")
    ax.set_ylabel("ns per particle, datum and step")
    legend_below(ax)
    return ax


def plot_roofline(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the rate of the products with the inputs against their operations per pair.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `bench`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    rows = _selected(dataset)
    threads = dataset.attrs["threads"]
    operations = 4.0 * (rows["n_features"].values + 1)
    rates = dataset["bound"].sel(dtype=rows["row_dtype"].values[0])
    for name in rows["library"].values:
        colour, marker = _LOOK[str(name)]
        times = rows["ns_per_pair"].sel(library=name).median("repeat").values
        ax.plot(operations, operations / times, color=colour, marker=marker, label=str(name))
    for quantity, style, label in (
        ("multiply_add_gflops", "-", "multiply–add units"),
        ("gemm_gflops", "-.", "matrix product of the BLAS"),
    ):
        rate = threads * float(rates.sel(quantity=quantity))
        ax.axhline(rate, color=BLACK, linestyle=style, linewidth=1.0, label=label)
    for limit, style in (("attainable", "--"), ("arithmetic", ":")):
        ax.plot(
            operations, operations / rows[f"limit_{limit}"].values, style, color=SKY,
            label={"attainable": "attainable", "arithmetic": "arithmetic alone"}[limit],
        )  # fmt: skip
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("floating-point operations of the products, per pair")
    ax.set_ylabel("GFLOP/s of the products")
    legend_below(ax)
    return ax


def plot_scaling(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the time per step against N, n and the number of replicas.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `bench`, with scaling.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    for name, (colour, marker, label) in _LINES.items():
        sizes = dataset[f"{name}_size"].values
        times = np.median(dataset[f"step_ns_{name}"].values, axis=1) / 1e6
        ax.plot(sizes, times, color=colour, marker=marker, linestyle="none", label=label)
        guide = np.exp(np.mean(np.log(times / sizes)))
        ax.plot(sizes, guide * sizes, "--", color=colour, linewidth=1.0)
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("size")
    ax.set_ylabel("ms per step")
    legend_below(ax)
    return ax
