"""Figures of the study `widths`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.plots.style import (
    BLACK,
    BLUE,
    SCHEMES,
    band,
    finish,
    series,
    width_axis,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_feature_change(dataset: xr.Dataset, ax: Axes, *, activation: str, layer: int) -> Axes:
    """Draw the relative change of the features against the width."""
    label = rf"feature change $\|h - h_0\| / \|h_0\|$, layer {layer}"
    return _against_width(dataset, ax, "feature_change", activation, layer, label)


def plot_feature_diversity(dataset: xr.Dataset, ax: Axes, *, activation: str, layer: int) -> Axes:
    """Draw the least eigenvalue of the features' Gram matrix against the width."""
    label = rf"$\lambda_{{\min}}(\langle h_i, h_j \rangle / n)$, layer {layer}"
    return _against_width(dataset, ax, "feature_diversity", activation, layer, label)


def plot_joint_diversity(dataset: xr.Dataset, ax: Axes, *, activation: str, layer: int) -> Axes:
    """Draw the least eigenvalue of initial and final features together against the width."""
    label = rf"$\lambda_{{\min}}$ of $h_0$ and $h$ together, layer {layer}"
    return _against_width(dataset, ax, "joint_diversity", activation, layer, label)


def _against_width(
    dataset: xr.Dataset, ax: Axes, metric: str, activation: str, layer: int, label: str
) -> Axes:
    widths = dataset["width"].values
    chosen = dataset.sel(activation=activation, layer=layer)
    for scheme in dataset["scheme"].values:
        name, colour, marker = SCHEMES[str(scheme)]
        curve = Estimate.from_xarray(chosen[f"{metric}_mean"].sel(scheme=scheme))
        drawn = curve.value > 0
        band(ax, widths[drawn], curve[drawn], color=colour, marker=marker, label=name)
    if f"limit_{metric}_mean" in dataset:
        limit = Estimate.from_xarray(chosen[f"limit_{metric}_mean"]).value
        ax.axhline(limit, color=BLUE, linestyle="--", linewidth=1.0, label=r"µP, $n = \infty$")
    width_axis(ax, widths)
    return finish(ax, y=label, log="y")


def plot_coordinate_check(dataset: xr.Dataset, ax: Axes, *, activation: str, scheme: str) -> Axes:
    """Draw the mean size of each layer's features over the first steps against the width."""
    widths = dataset["width"].values
    means = dataset["feature_size_mean"].sel(activation=activation, scheme=scheme)
    sizes = Estimate.from_xarray(means).value
    n_steps, n_rows = sizes.shape[1:]
    for row in range(n_rows):
        colour = BLACK if row == n_rows - 1 else series(row)["color"]
        name = r"$f$" if row == n_rows - 1 else rf"$h_{row + 1}$"
        for step in range(n_steps):
            alpha = 0.25 + 0.75 * step / max(1, n_steps - 1)
            (line,) = ax.plot(widths, sizes[:, step, row], color=colour, alpha=alpha, linewidth=0.9)
        line.set(marker=series(row)["marker"], linewidth=1.3)
        line.set_label(f"{name}, step {n_steps - 1}")
    width_axis(ax, widths)
    ax.set_title(f"{SCHEMES[scheme][0]}, {activation}")
    return finish(ax, y="mean size of the entries", log="y")


def plot_activations(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the activations."""
    return _curves(dataset, ax, "phi", r"$\phi(z)$")


def plot_slopes(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the derivatives of the activations."""
    # Not an apostrophe: mathtext takes that prime from a font that PDF embeds with warnings.
    return _curves(dataset, ax, "phi_prime", r"$\phi′(z)$")


def _curves(dataset: xr.Dataset, ax: Axes, name: str, label: str) -> Axes:
    styles = ("-", "--", "-.", ":")
    for i, activation in enumerate(dataset["activation"].values):
        style, colour = styles[i % len(styles)], series(i)["color"]
        curve = dataset[name].sel(activation=activation).values
        ax.plot(dataset["z"].values, curve, style, color=colour, label=str(activation))
    return finish(ax, r"$z$", label)
