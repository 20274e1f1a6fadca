r"""Separate what the step size costs from what the number of particles costs.

A network of N particles, trained with step size η, misses the limit of vanishing step size by two
errors that act separately, as is seen on shared Brownian paths:

.. math:: E |f_{N,η} − \bar f_0|^2 ≈ C/N + |\bar f_η − \bar f_0|^2, \qquad
          E |f_{N,η} − f_{N,η/2}|^2 ∼ η^2.

One trained parameter with additive noise, for which Euler's scheme has strong and weak order 1: on
shared paths the squared error of the step size has slope 2 in η; the squared distance from the
limit of the *same* scheme, known exactly as the law of a Markov chain, has slope −1 in N; that from
the limit of vanishing step size ends on a floor; extrapolated networks
:math:`2 f_{N,η/2} − f_{N,η}` have slope −1 again.

Source: Talay and Tubaro 1990 (expansion in the step size); Sznitman 1991 (order 1/N).
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plots.rates import by_count, guide
from meanfield.plots.style import BLACK, count_axis, log_scale
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import bars, require

TITLE = "Step size and number of particles"
SIZE = (8.4, 3.6)


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Train systems of every size with every step size, and separate the two errors."""
    data = mf.problem.load("single-index", n_features=1, link="tanh", n_train=16)
    problem = data.problem(bias=False, train=("w",), l2=0.2, temperature=0.1)
    counts, replicas, levels = ([16, 64, 256], 24, 3) if quick else ([64, 256, 1024, 4096], 128, 4)
    found = mf.chaos.step_size_errors(
        problem, counts, replicas, step_size=0.5, n_steps=8, levels=levels, seed=0
    )
    numbers = {
        "step_slope": found.step_slope,
        "own_slope": found.own_slope,
        "total_slope": found.total_slope,
        "richardson_slope": found.extrapolated_slope,
        "balance": found.balance,
    }
    return numbers, found.to_xarray()


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the error of the step size for every N, and the whole error for every step size."""
    left, right = figure.subplots(1, 2)
    h, counts = dataset["step_size"].values, dataset["particles"].values
    for shift, (count, colour, marker) in zip(
        np.linspace(0.97, 1.03, len(counts)), by_count(counts), strict=True
    ):
        at = dataset["step"].sel(particles=count).dropna("step_size")
        label = f"$N = {count}$"
        bars(left, shift * at["step_size"], at, color=colour, marker=marker, label=label)
    guide(left, h[:-1], 1.5 * float(dataset["step"].max()), 2.0, "slope 2")
    count_axis(left, h[:-1], r"step size $\eta$")
    left.set_ylabel(r"mean $|f_{N,\eta} - f_{N,\eta/2}|^2$")
    for i, (_, colour, marker) in enumerate(by_count(np.arange(len(h)))):
        at, floor = dataset["total"].isel(step_size=i), float(dataset["floor"][i])
        label = rf"$\eta = {h[i]:g}$"
        bars(right, counts, at, color=colour, marker=marker, label=label)
        if floor > 0.1 * float(at.sel(bound="value")[-1]):
            right.plot(counts[-2:], [floor] * 2, ":", color=colour)
    shown = {"color": BLACK, "fillstyle": "none", "label": "extrapolated"}
    bars(right, 1.05 * counts, dataset["extrapolated"], fmt="o", **shown)
    guide(right, counts, 1.5 * float(dataset["total"].max()), -1.0, "slope $-1$")
    count_axis(right, counts)
    right.set_ylabel(r"mean $|f_{N,\eta} - \bar f_0|^2$")
    for ax in (left, right):
        log_scale(ax, "y")
        ax.legend()


def check(numbers: dict[str, Estimate]) -> None:
    """Both orders are seen, and the floor is there until extrapolation removes it."""
    *orders, total = "step_slope", "own_slope", "richardson_slope", "total_slope"
    for key in orders:
        require(numbers[key].agrees, f"{key} is {numbers[key].expected:g}")
    require(numbers[total].low > -0.85, "a fixed step size leaves a floor")
