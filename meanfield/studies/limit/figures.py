"""Figures of the study `limit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLACK, SERIES, band, finish, series, width_axis
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_outputs(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw the outputs of the limit over training."""
    at, steps = dataset.sel(case=case), dataset["step"].values
    for key, style, label in (("predictions", "-", "input"), ("predictions_test", "--", "test")):
        curves = Estimate.from_xarray(at[key]).map(lambda f: f.reshape(len(f), -1))
        n_outputs = at.sizes.get("output", 1)
        for i in range(curves.value.shape[1]):
            name = f"{label} {i // n_outputs + 1}"
            if n_outputs > 1:
                name += f", output {i % n_outputs + 1}"
            shown = name if i < len(SERIES) else None
            line = {"linestyle": style, "linewidth": 1.1, "label": shown}
            band(ax, steps, curves[:, i], color=series(i)["color"], **line)
    for target in np.unique(at["target"].values) if "target" in at else ():
        ax.axhline(target, color=BLACK, linewidth=0.6, linestyle=":")
    return finish(ax, "step", r"output $f$")


def plot_independence(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw the least eigenvalues of the feature kernels over training."""
    at, steps = dataset.sel(case=case), dataset["saved_step"].values
    deficient = dataset.attrs["input_rank"] < dataset.attrs["n_inputs"]
    for layer in range(int(at["depth"])):
        for feature, style in (("h", "-"), ("x", "--")):
            if feature == "h" and layer == 0 and deficient:
                continue
            curve = Estimate.from_xarray(at[f"least_{feature}"])[:, layer]
            look, label = series(layer), rf"${feature}_{layer + 1}$"
            ax.plot(steps, curve.value, style, markersize=3, label=label, **look)
            shown, colour = curve.low > 0, look["color"]
            low, high = curve.low[shown], curve.high[shown]
            ax.fill_between(steps[shown], low, high, color=colour, alpha=0.2, linewidth=0)
    return finish(ax, "step", "least eigenvalue of the kernel", log="y")


def plot_standstill(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw the error signals and the size of the steps over training."""
    at = dataset.sel(case=case)
    depth = int(at["depth"])
    signals = np.abs(Estimate.from_xarray(at["error_signals"]).value)
    signals = signals.reshape(len(signals), -1).max(axis=1)
    steps = dataset["step"].values
    ax.plot(steps[signals > 0], signals[signals > 0], color=BLACK, label=r"$\max_i |\chi_i|$")
    moves, steps = Estimate.from_xarray(at["weight_change"]).value, dataset["saved_step"].values
    for layer in range(depth + 1):
        drawn = moves[:, layer] > 0
        look, label = series(layer), rf"step of $W^{layer + 1}$"
        ax.plot(steps[drawn], moves[drawn, layer], "--", markersize=3, label=label, **look)
    return finish(ax, "step", "error signal, size of the next step", log="y")


def plot_features(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw the relative change of the features over training."""
    at, steps = dataset.sel(case=case), dataset["saved_step"].values
    for layer in range(int(at["depth"])):
        change = Estimate.from_xarray(at["feature_change"])[:, layer]
        band(ax, steps, change, markersize=3, label=f"layer {layer + 1}", **series(layer))
    ax.set_ylim(bottom=0)
    return finish(ax, "step", r"feature change $\|h - h_0\| / \|h_0\|$")


def plot_joint(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw the least eigenvalues over all inputs and steps so far, of the limit and of networks."""
    at, steps = dataset.sel(case=case), dataset["joint_step"].values
    widths = np.atleast_1d(dataset.attrs["joint_widths"])
    place = 0
    for matrix in dataset["matrix"].values[: int(at["depth"]) - 1]:
        for direction, style in (("forward", "-"), ("backward", "--")):
            family = dataset.sel(case=case, matrix=matrix, direction=direction)
            look = series(place)
            place += 1
            name = rf"\delta x_{matrix - 1}" if direction == "forward" else rf"dh_{matrix}"
            curve = Estimate.from_xarray(family["joint_least"]).value
            drawn = curve > 0
            ax.plot(steps[drawn], curve[drawn], style, color=look["color"], label=f"${name}$")
            for i, width in enumerate(widths):
                values = Estimate.from_xarray(family[f"joint_least_{width}"]).value
                shown = values > 0
                hollow = {"color": look["color"], "markersize": 4, "fillstyle": "none"}
                ax.plot(steps[shown], values[shown], "os^Dv"[i % 5], **hollow)
    return finish(ax, "step", "least eigenvalue, all inputs and steps so far", log="y")


def plot_bias(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the bias of finite networks against the width."""
    return _approach(dataset, ax, "bias", -1.0, r"bias $|\mathrm{E} f_n - f_\infty|$")


def plot_spread(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the spread of finite networks against the width."""
    return _approach(dataset, ax, "spread", -0.5, r"spread of $f_n$")


def plot_flat(dataset: xr.Dataset, ax: Axes, *, case: str) -> Axes:
    """Draw what falls like 1/n, times n: the squared distance, and what alignments miss."""
    at, widths = dataset.sel(case=case), dataset["width"].values
    gap = Estimate.from_xarray(at["gap"])
    scaled = gap.map(lambda values: values * widths)
    label = r"$n\, \mathrm{E}(f_n - f_\infty)^2$"
    ax.errorbar(widths, scaled.value, scaled.arms, color=BLACK, marker="o", label=label)
    missed = Estimate.from_xarray(at["misalignment_times_width"])
    for layer in range(int(at["depth"])):
        curve, label = missed[:, layer], rf"$n\, (1 - A_{layer + 1})$"
        ax.errorbar(widths, curve.value, curve.arms, label=label, **series(layer))
    width_axis(ax, widths)
    return finish(ax, y="times the width $n$", log="y")


def _approach(dataset: xr.Dataset, ax: Axes, name: str, power: float, label: str) -> Axes:
    widths = dataset["width"].values
    for i, case in enumerate(dataset["case"].values):
        activation, depth = str(case).rsplit("-", 1)
        estimate = Estimate.from_xarray(dataset[name].sel(case=case))
        text = f"{activation}, {depth} layers"
        ax.errorbar(widths, estimate.value, estimate.arms, label=text, **series(i))
    first = Estimate.from_xarray(dataset[name]).value[:, 0]
    if np.isfinite(first).any():
        guide = 0.7 * np.nanmin(first) * (widths / widths[0]) ** power
        ax.plot(widths, guide, ":", color=BLACK, label=rf"slope {power:g}".replace("-", "−"))
    width_axis(ax, widths)
    return finish(ax, y=label, log="y")
