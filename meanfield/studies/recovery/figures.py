"""Figures of the study `recovery`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import BLUE, GREEN, ORANGE, VERMILION, finish, log_scale
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

METHODS = {
    "dictionary": "dictionary",
    "frank_wolfe": "Frank–Wolfe",
    "hdbscan": "HDBSCAN",
    "kmeans": "k-means",
}
"""What looks for atoms, with its name in reports."""

_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (VERMILION, "v"))


def plot_methods(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the share of exact sizes against the size, for every method and noise."""
    sizes = dataset["atoms"].values
    noises = dataset["noise"].values
    looks = zip(METHODS, _LOOKS, strict=True)
    shown = [(name, *look) for name, look in looks if f"exact_{name}" in dataset]
    for j, noise in enumerate(noises):
        for i, (method, colour, marker) in enumerate(shown):
            label = METHODS[method]
            offset = 0.08 * (i - (len(shown) - 1) / 2) + 0.02 * j
            share = _share(dataset[f"exact_{method}"].sel(noise=noise), "atoms")
            look = {
                "label": label if noise == 0 else f"{label}, {100 * noise:g}% noise",
                "color": colour,
                "marker": marker,
                "linestyle": "-" if j == 0 else "--",
                "markerfacecolor": colour if j == 0 else "white",
            }
            _points(ax, np.arange(len(sizes)) + offset, share, **look)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.set_ylim(-3, 103)
    return finish(ax, "atoms of the teacher $S$", "teachers whose $S$ is found (%)")


def plot_success(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw how often a teacher comes back against the width of the network."""
    widths = dataset["particles"].values
    series = (("found reliably", "success", BLUE, "o"), ("learned to 10%", "fitted", ORANGE, "s"))
    for i, (label, name, colour, marker) in enumerate(series):
        share = _share(dataset[name], "particles")
        _points(ax, widths * 1.03**i, share, label=label, color=colour, marker=marker)
    log_scale(ax, "x")
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.minorticks_off()
    ax.set_ylim(-3, 103)
    return finish(ax, "width of the trained network $N$", "teachers (%)")


def plot_cells(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Write the share of exact sizes into a table of cells."""
    share = 100 * dataset["exact_dictionary"].mean(["teacher", "particles"])
    share = share.transpose("activation", "d", "noise", "atoms")
    n_activations, n_dims, n_noises, n_sizes = share.shape
    table = share.values.reshape(n_activations * n_dims, n_noises * n_sizes)
    ax.imshow(table, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if value < 55 else "black"
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=7)
    rows = [f"{a}, d = {d}" for a in share["activation"].values for d in share["d"].values]
    columns = [str(size) for _ in share["noise"].values for size in share["atoms"].values]
    ax.set_yticks(range(len(rows)), rows, fontsize=7)
    ax.set_xticks(range(len(columns)), columns)
    for i in range(1, n_activations):
        ax.axhline(i * n_dims - 0.5, color="white", linewidth=2)
    for i in range(1, n_noises):
        ax.axvline(i * n_sizes - 0.5, color="white", linewidth=3)
    for i, noise in enumerate(share["noise"].values):
        centre = (i + 0.5) * n_sizes - 0.5
        label = "no noise" if noise == 0 else f"{100 * noise:g}% noise"
        ax.text(centre, -0.7, label, ha="center", va="bottom", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="atoms of the teacher $S$", ylabel="activation and input dimension")
    return ax


def plot_angles(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the worst angle of the atoms that were found."""
    names = dataset["activation"].values
    dims = dataset["d"].values
    looks = zip(dataset["noise"].values, _LOOKS, strict=False)
    for j, (noise, (colour, marker)) in enumerate(looks):
        places, spreads = [], []
        for i, (name, d) in enumerate((name, d) for name in names for d in dims):
            cell = dataset.sel(activation=name, d=d, noise=noise)
            angle = cell["angle_dictionary"].values[cell["exact_dictionary"].values == 1]
            if len(angle):
                places.append(i + 0.2 * j)
                spreads.append(np.maximum(np.quantile(angle, [0.5, 0.05, 0.95]), 1e-9))
        spread = Estimate(*np.reshape(spreads, (-1, 3)).T)
        label = "no noise" if noise == 0 else f"{100 * noise:g}% noise"
        ax.errorbar(places, spread.value, spread.arms, fmt=marker, color=colour, label=label)
    ax.axhline(1, color="0.5", linewidth=0.8, linestyle="--", label="1°")
    cells = [f"{name} {d}" for name in names for d in dims]
    ax.set_xticks(range(len(cells)), cells, rotation=90, fontsize=7)
    return finish(ax, "activation and input dimension", "worst angle (degrees)", log="y")


def _share(hits: xr.DataArray, dim: str) -> Estimate:
    """Return the share of hits, which are 0 or 1, along a dimension."""
    others = [other for other in hits.dims if other != dim]
    return Estimate.share(hits.sum(others).values, hits.size // hits.sizes[dim])


def _points(ax: Axes, x: np.ndarray, share: Estimate, **look: Any) -> None:
    """Draw shares in percent with their intervals."""
    ax.errorbar(x, 100 * share.value, 100 * share.arms, **look)
