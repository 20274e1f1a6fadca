"""Figures of the comparison."""

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
    legend_below,
    log_scale,
)
from scripts.benchmarks.particles.grid import Row
from scripts.benchmarks.particles.measure import limit
from scripts.benchmarks.particles.measurements import Measurements

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIBRARIES = {
    "meanfield": (BLUE, "o"), "jax": (ORANGE, "s"), "torch": (VERMILION, "^"),
    "torch compiled": (PURPLE, "v"), "numpy": (GREEN, "D"),
}  # fmt: skip
_LINES = {"particles": (BLUE, "o", "N"), "data": (ORANGE, "s", "n"),
          "replicas": (GREEN, "^", "replicas")}  # fmt: skip


def _by_dimension(found: Measurements) -> dict[str, Row]:
    """Rows that differ from the first in the input dimension alone, by rising dimension."""
    systems = {key: Row(**record["row"]) for key, record in found.rows.items()}
    first = next(iter(systems.values())).as_dict() | {"n_features": 0}
    same = {k: row for k, row in systems.items() if row.as_dict() | {"n_features": 0} == first}
    return dict(sorted(same.items(), key=lambda item: item[1].n_features))


def _limits(found: Measurements, systems: dict[str, Row], name: str) -> np.ndarray:
    threads = found.setup.threads
    return np.array(
        [limit(row, found.bounds[row.dtype], threads)[name] for row in systems.values()]
    )


def plot_times(found: Measurements, ax: Axes) -> Axes:
    """Draw the time per pair and step against the input dimension, for every library."""
    systems = _by_dimension(found)
    features = [row.n_features for row in systems.values()]
    for name in found.setup.libraries:
        colour, marker = _LIBRARIES[name]
        times = np.array([found.times(key, name) for key in systems])
        middle = np.median(times, axis=1)
        spread = np.abs(np.quantile(times, [0.25, 0.75], axis=1) - middle)
        ax.errorbar(features, middle, spread, color=colour, marker=marker, label=name)
    for name, style, label in (
        ("attainable", "--", "attainable"),
        ("arithmetic", ":", "arithmetic alone"),
    ):
        ax.plot(features, _limits(found, systems, name), style, color=BLACK, label=label)
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("input dimension $d$")
    ax.set_ylabel("ns per particle, datum and step")
    legend_below(ax)
    return ax


def plot_roofline(found: Measurements, ax: Axes) -> Axes:
    """Draw the rate of the products with the inputs against their operations per pair."""
    systems = _by_dimension(found)
    operations = np.array([4.0 * (row.n_features + 1) for row in systems.values()])
    for name in found.setup.libraries:
        colour, marker = _LIBRARIES[name]
        times = np.array([np.median(found.times(key, name)) for key in systems])
        ax.plot(operations, operations / times, color=colour, marker=marker, label=name)
    rates = found.bounds[next(iter(systems.values())).dtype]
    for quantity, style, label in (
        ("multiply_add_gflops", "-", "multiply–add units"),
        ("gemm_gflops", "-.", "matrix product of the BLAS"),
    ):
        rate = found.setup.threads * rates[quantity]
        ax.axhline(rate, color=BLACK, linestyle=style, linewidth=1.0, label=label)
    for name, style, label in (
        ("attainable", "--", "attainable"),
        ("arithmetic", ":", "arithmetic alone"),
    ):
        limits = _limits(found, systems, name)
        ax.plot(operations, operations / limits, style, color=SKY, label=label)
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("floating-point operations of the products, per pair")
    ax.set_ylabel("GFLOP/s of the products")
    legend_below(ax)
    return ax


def plot_scaling(found: Measurements, ax: Axes) -> Axes:
    """Draw the time per step against N, n and the number of replicas."""
    for name, (colour, marker, label) in _LINES.items():
        sizes = np.array([record["size"] for record in found.scaling[name]])
        times = np.array([np.median(record["step_ns"]) for record in found.scaling[name]]) / 1e6
        ax.plot(sizes, times, color=colour, marker=marker, linestyle="none", label=label)
        guide = np.exp(np.mean(np.log(times / sizes)))
        ax.plot(sizes, guide * sizes, "--", color=colour, linewidth=1.0)
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("size")
    ax.set_ylabel("ms per step")
    legend_below(ax)
    return ax


FIGURES = {"roofline": plot_roofline, "times": plot_times, "scaling": plot_scaling}
