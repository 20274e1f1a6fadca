"""Figures of the study `errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.budget import COMPONENT_COLOURS
from meanfield.plots.style import (
    BLACK,
    BLUE,
    ORANGE,
    TIME,
    VERMILION,
    band,
    count_axis,
    finish,
    slope_text,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_tail(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the Hermite tail of a known target against the number of atoms that its terms take."""
    threshold = dataset["threshold"].values
    tail = dataset["tail_by_threshold"].values
    colour = COMPONENT_COLOURS["tail"]
    ax.step(threshold, tail, where="post", color=colour, label=r"$L^2$ tail (left)")
    _mark(ax, dataset.attrs["threshold"])
    other, number = ax.twinx(), dataset["atoms_by_threshold"].values
    label = r"$\bar S(\varepsilon)$ (right)"
    other.step(threshold, number, "--", where="post", color=BLACK, label=label)
    other.set_ylabel(r"coefficient-threshold number $\bar S(\varepsilon)$")
    other.set_ylim(bottom=0)
    other.spines["right"].set_visible(True)
    ax.set_xscale("log")
    ax.set_ylim(bottom=0)
    ax.set_xlabel(r"threshold $\varepsilon$")
    ax.set_ylabel(r"$\| f^* - f^*_\varepsilon \|$")
    both = zip(ax.get_legend_handles_labels(), other.get_legend_handles_labels(), strict=True)
    handles, labels = (first + second for first, second in both)
    ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
    return ax


def plot_statistical(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared statistical component against n, with its fit and the expected slope."""
    label = r"$\| f_\infty - f_{n,\infty} \|^2$"
    return _law(dataset, ax, "statistical", "data_count", "n_data", "training data $n$", label)


def plot_particle_number(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared chaos component against N, with its fit and the expected slope."""
    label = r"$\| f_{n,t} - f_{n,t,N} \|^2$"
    return _law(dataset, ax, "chaos", "particle_count", "n_particles", "particles $N$", label)


def plot_optimisation(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared distance to the long-time network over time, from two starts."""
    time = dataset["time"].values
    for name, label, colour, style in (
        ("optimisation", "from the initial law", ORANGE, "-"),
        ("other_start", "from a wider start", BLUE, "--"),
    ):
        rate = Estimate.from_xarray(dataset[f"{name}_rate"])
        if rate.known:
            bounds = f"[{rate.low:.3g}, {rate.high:.3g}]"
            label = f"{label}: rate {rate.value:.3g} {bounds}".replace("-", "−")
        mean = Estimate.from_xarray(dataset[f"{name}_mean"])
        band(ax, time, mean, color=colour, linestyle=style, label=label)
        ax.plot(time, dataset[f"{name}_line"].values, style, color=BLACK, linewidth=2.0)
    noise = float(dataset["component_resolution"].sel(component="optimisation")) ** 2
    ax.axhline(noise, color="0.45", linestyle="-.", linewidth=1.0, label="noise of the particles")
    _mark(ax, dataset.attrs["training_time"])
    ax.set_ylim(bottom=0.1 * dataset["optimisation_mean"].sel(bound="value").values.min())
    ax.set_yscale("log")
    return finish(ax, TIME, r"$\| f_{n,\infty} - f_{n,t} \|^2$", legend="below")


def plot_sparse(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared sparse residual and the squared total error against S."""
    counts = dataset["atom_count"].values
    for name, label, colour, marker in (
        ("sparse", r"to the network, $\| f_{n,t,N} - f_S \|^2$", VERMILION, "o"),
        ("total_by_atoms", r"to the target, $\| f^* - f_S \|^2$", "0.35", "s"),
    ):
        mean = Estimate.from_xarray(dataset[f"{name}_mean"])
        ax.errorbar(counts, mean.value, mean.arms, fmt=f"{marker}-", color=colour, label=label)
    _mark(ax, dataset.attrs.get("n_atoms"))
    count_axis(ax, counts, "atoms $S$")
    return finish(ax, y="mean square on held-out inputs", log="y", legend="below")


def _law(
    dataset: xr.Dataset, ax: Axes, name: str, dimension: str, budget: str, x: str, y: str
) -> Axes:
    """Draw one component with its fitted power law, the expected slope and the budget."""
    counts, attrs = dataset[dimension].values, dataset.attrs
    mean = Estimate.from_xarray(dataset[f"{name}_mean"])
    slope = Estimate.from_xarray(dataset[f"{name}_slope"])
    shown = mean.value > 0
    colour = COMPONENT_COLOURS[name]
    label = f"measured, slope {slope_text(slope)}" if slope.known else "measured"
    measured = mean[shown]
    ax.errorbar(counts[shown], measured.value, measured.arms, fmt="o", color=colour, label=label)
    if slope.known:
        ax.plot(counts, dataset[f"{name}_line"].values, color=colour, linewidth=1.2, label="fit")
    expected = dataset[f"{name}_expected"].values
    guide = 1.6 * np.max(mean.value / np.where(shown, expected, np.inf)) * expected
    pool = name == "statistical" and not attrs["closed_form"]
    law = f"expected: $1/n - 1/{attrs['n_population']}$" if pool else "expected: slope $-1$"
    ax.plot(counts[shown], guide[shown], "--", color="0.45", linewidth=1.0, label=law)
    if f"{name}_predicted_line" in dataset:
        line = dataset[f"{name}_predicted_line"].values
        ax.plot(counts, line, color=BLACK, linewidth=1.2, label="predicted, nothing fitted")
    _mark(ax, attrs[budget])
    count_axis(ax, counts, x)
    return finish(ax, y=y, log="y", legend="below")


def _mark(ax: Axes, value: float | None) -> None:
    """Mark the budget's own size, where it has one."""
    if value is not None:
        ax.axvline(value, color="0.45", linestyle=":", linewidth=1.0, label="the budget")
