"""Figures of the loss over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import (
    BLACK,
    BLUE,
    SERIES,
    TIME,
    VERMILION,
    axes,
    band,
    by_count,
    finish,
    in_order,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_MAKER = "the dataset of a run (`Run.to_xarray`), of `chaos_rates` or of their studies"
#: With fewer saved steps nothing is known between them: a line would look like a law.
_FEWEST_FOR_A_LINE = 4


def plot_loss(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the loss over time: with its interval, or that of every network of a run.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of a run, `Run.to_xarray`; of `chaos_rates`; or the result of the study `simulate` or
        `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.

    Raises
    ------
    ValueError
        The dataset is of something else.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.simulate(mf.Problem(np.eye(3), [1.0, 0.0, -1.0]), 32, 0.2, 20)
    >>> mf.plots.plot_loss(run.to_xarray()).get_xlabel()
    'time (step × step size)'
    """
    if "loss_mean" not in dataset:
        return plot_replicas(dataset, ax)
    dataset = in_order(dataset, "loss_mean", _MAKER)
    ax = axes(ax)
    if "particles" in dataset.dims:
        time = dataset["time"].values
        for count, colour, marker in by_count(dataset["particles"].values):
            loss = Estimate.from_xarray(dataset["loss_mean"].sel(particles=count))
            band(ax, time, loss, color=colour, marker=marker, label=f"$N = {count}$")
        limit = dataset["mean_field_loss"].values
        ax.plot(time, limit, "--", color=BLACK, label=r"limit $N \to \infty$")
        return finish(ax, TIME, r"mean loss $R(f_N)$", log="y", legend="above")
    time = dataset["loss_time"].values
    for name, label, colour, style in (
        ("loss", "training", BLUE, "-"),
        ("test_loss", "held out", VERMILION, "--"),
    ):
        if f"{name}_mean" in dataset:
            mean = Estimate.from_xarray(dataset[f"{name}_mean"])
            band(ax, time, mean, color=colour, linestyle=style, label=label)
    # Linear up to the power of ten below the first step, so that no label lies on that of 0.
    ax.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(time[1])), linscale=0.4)
    return finish(ax, TIME, r"loss $R(f_N)$", log="y", legend="above")


def plot_replicas(
    dataset: xr.Dataset,
    ax: Axes | None = None,
    label: str | None = None,
    color: str | None = None,
) -> Axes:
    """Draw the loss of every replica of a run, as `Run.to_xarray` gives it, and their mean.

    Every run on the same axes has a colour of its own, or that which is given.
    """
    dataset = in_order(dataset, "loss", _MAKER)
    ax = axes(ax)
    every = "loss_path" in dataset
    time = dataset["path_time" if every else "time"].values
    loss = np.atleast_2d(dataset["loss_path" if every else "loss"].values)
    before = sum(line.get_gid() == _MEAN for line in ax.get_lines())
    few = len(time) < _FEWEST_FOR_A_LINE
    styles = ("-", "--", "-.", ":")
    look: dict[str, Any] = {
        "color": SERIES[before % len(SERIES)] if color is None else color,
        "linestyle": "none" if few else styles[before // len(SERIES) % len(styles)],
        "marker": "os^Dvp<>"[before % 8] if len(time) < 20 else None,
    }
    if len(loss) > 1:
        for values in loss:
            ax.plot(time, values, **look, alpha=0.3, linewidth=0.8, markersize=2)
    if label is None:
        mean = f", mean of {len(loss)}" if len(loss) > 1 else ""
        label = f"N = {dataset.sizes['particle']}{mean}"
        if "temperature" in dataset.attrs:
            ends = np.atleast_1d(dataset.attrs["temperature"])[[0, -1]]
            label += f", τ = {' to '.join(f'{end:g}' for end in dict.fromkeys(ends))}"
    if few:
        label += f" ({len(time)} saved steps)"
    ax.plot(time, loss.mean(axis=0), **look, markersize=4, label=label, gid=_MEAN)
    return finish(ax, TIME, r"loss $R(f_N)$", log="y", legend="above")


_MEAN = "meanfield: mean of a run"
