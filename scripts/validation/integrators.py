"""Strong and stationary orders of the integrators, fitted on shared Brownian paths.

A step of size η = m h takes the sum of the m increments that a fine run takes one by one, so that
the differences between coarse and fine runs show errors far below the scatter of the runs
themselves. Expected are

- strong orders ``|θ^η − θ| ~ η^p``: 1 under additive noise, but 1/2 for Leimkuhler and Matthews'
  method, which is off the Brownian path by half an increment at all times;
- stationary orders ``⟨f^η_∞ − f_∞, f_∞⟩ ~ η^p``: 1 for Euler and exponential Euler, 2 for
  Leimkuhler and Matthews (that half increment buys it) and for the kinetic splitting OBABO.

The network is small and hot: its stationary law is known by quadrature and far from the Gaussian
laws for which some schemes are exact. The last numbers are the gradients that a unit of time costs
at a bias of 3 %; the time of the kinetic scheme is its own.

Source: Leimkuhler, Matthews, "Rational construction of stochastic numerical methods for molecular
sampling", AMRX 2013; Milstein, Tretyakov, "Stochastic numerics for mathematical physics", 2004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from meanfield.limit import integrator_errors
from meanfield.plots.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, log_scale
from meanfield.problem import teacher
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.estimate_parts import BOUNDS
from scripts.validation.output import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "How accurate is a step?"
SIZE = (9.0, 3.6)

_LOOKS = tuple(zip((VERMILION, ORANGE, BLUE, GREEN, PURPLE, SKY), "os^DvP", strict=True))
#: What an order may be off by, beside its sampling error: corrections beyond the leading one, and
#: the error of the reference.
_ALLOWANCE = 0.05


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Measure every integrator; fit the orders, and interpolate the costs."""
    data = teacher(
        n_features=1, n_atoms=1, bias=False, output_norm=3.0, weight_norm=2.0,
        inputs="uniform-cube", n_train=8, n_test=1,
    )  # fmt: skip
    problem = data.problem(activation="tanh", bias=False, l2=0.5, temperature=2.0)
    reference_step = 0.1 if quick else 0.025
    sizes: dict[str, Any] = {"n_particles": 4096, "n_replicas": 48, "burn_in": 12, "duration": 60}
    if quick:
        sizes = {"n_particles": 64, "n_replicas": 10, "burn_in": 4, "duration": 12}
        sizes |= {"step_sizes": [0.2, 0.4, 0.8], "path_step_sizes": [0.1, 0.2, 0.4]}
        sizes |= {"path_time": 1.6}
    found = integrator_errors(
        problem, reference_step=reference_step, batch_size=2, anchor_period=10, **sizes
    )
    full = {name: errors for name, errors in found.items() if errors.minibatch is None}
    numbers = {f"bias_{name}": errors.stationary_order() for name, errors in full.items()}
    numbers |= {f"path_{name}": errors.strong_order() for name, errors in full.items()}
    for name, errors in full.items():
        label = f"Predictions of {errors.reference} at step size {reference_step:g}, relative to "
        numbers[f"reference_{errors.reference}"] = Estimate.mean(
            errors.reference_bias, expected=0.0, label=label + "the stationary law, less 1"
        )
        cost = errors.gradients_at(0.03)
        if cost.known:
            numbers[f"cost_{name}"] = cost
    stationary = Estimate.stack([errors.stationary_error for errors in found.values()])
    strong = Estimate.stack([errors.strong_error for errors in full.values()])
    first = next(iter(full.values()))
    dataset = xr.Dataset(
        {
            "stationary_error": stationary.to_xarray(["scheme", "step_size"]),
            "strong_error": strong.to_xarray(["integrator", "path_step_size"]),
        },
        {
            "scheme": list(found), "step_size": first.step_sizes,
            "integrator": list(full), "path_step_size": first.path_step_sizes,
        },
    )  # fmt: skip
    return numbers, dataset


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw both errors against the step size, with lines of the declared orders."""
    left, right = figure.subplots(1, 2)
    _errors(left, dataset["strong_error"].rename(integrator="scheme"), (0.5, 1.0))
    left.set_ylabel("strong error (root mean square)")
    _errors(right, dataset["stationary_error"].rename(step_size="path_step_size"), (1.0, 2.0))
    right.set_ylabel("stationary error (relative bias)")
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper")


def _errors(ax: Axes, errors: xr.DataArray, orders: tuple[float, float]) -> None:
    """Draw the size of errors, one line a scheme; an interval that holds 0 reaches the axis."""
    h = errors["path_step_size"].values
    value, low, high = (errors.sel(bound=name).values for name in BOUNDS)
    size = np.abs(value)
    near = np.where(low * high > 0, np.minimum(np.abs(low), np.abs(high)), 0.0)
    bars = size - near, np.maximum(np.abs(low), np.abs(high)) - size
    for i, name in enumerate(errors["scheme"].values):
        colour, marker = _LOOKS[i]
        bar = [end[i] for end in bars]
        ax.errorbar(h, size[i], bar, color=colour, marker=marker, label=str(name))
    starts = (1.4 * np.nanmax(size[:, 0]), 0.6 * np.nanmin(size[:, 0]))
    for order, start, style in zip(orders, starts, ("--", ":"), strict=True):
        ax.plot(h, start * (h / h[0]) ** order, style, color="0.45", linewidth=1.0)
        ax.annotate(f"order {order:g}", (h[-1], start * (h[-1] / h[0]) ** order))
    log_scale(ax, "x")
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(np.nanmin(size) / 3, 3 * np.nanmax(size))
    ax.set_xlabel(r"step size $\eta$")


def check(numbers: dict[str, Estimate]) -> None:
    """Require every order to be as declared, and the references to have the stationary law."""
    for key, number in numbers.items():
        if key.startswith(("bias_", "path_")):
            low, high = number.low - _ALLOWANCE, number.high + _ALLOWANCE
            require(low <= number.expected <= high, f"{number.label} is {number.expected:g}")
            require(number.width < 1.2, f"{number.label} is measured to ±0.6")
        elif key.startswith("reference_"):
            require(number.agrees, f"{number.label} is 0")
