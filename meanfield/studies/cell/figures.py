"""Figures of the study `cell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLUE, VERMILION, band, finish
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_weight(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the growth of the moments, whose reciprocals are the weight."""
    k = dataset["k"].values
    root = Estimate.from_xarray(dataset["log_moments"]).map(lambda moment: np.exp(moment / k))
    finite = np.isfinite(root.value)
    band(ax, k[finite], root[finite], color=BLUE, marker="o", label="initial law")
    return finish(ax, "order of the moment $k$", r"$m_k^{1/k} = (w^*_k)^{-1/k}$", log="xy")


def plot_cell_residual(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw what the best dictionary of each size leaves."""
    residual = np.maximum(dataset["residual"].values, 1e-8)
    ax.plot(dataset["size"].values, residual, "o-", color=BLUE, label="best of its size")
    size = int(dataset.attrs["n_atoms"])
    ax.axvline(size, color=VERMILION, linestyle="--", label=f"$S^* = {size}$")
    ax.locator_params("x", integer=True)
    return finish(ax, "number of atoms $S$", "relative residual", log="y")
