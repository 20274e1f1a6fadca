"""The flow keeps the moments of its initial law, and no heavier weight admits that law.

A weight gives every moment ``m_k = ∫ |θ|^k dµ`` a price ``w_k``; a law is admitted when no
``w_k m_k`` is unbounded. The largest weight that admits the initial law is ``w*_k = 1 / m_k``, and
``log m_k = (k/ρ) log k + O(k)`` gives its order ρ: 2 for a Gaussian, 1 for a Laplace law, infinity
for a compact one. From five initial laws, over three relaxation times 1/λ, are expected

- the inverse orders 1/2, 1, 0 and 1/0.7, and for Student's t the tail index 5, read from 10⁵
  particles (99 % intervals, so that all five hold at once 19 times in 20);
- ``G(t) = sup_k (w*_k m_k(µ_t))^{1/k}`` bounded. With noise the weight of a law of order above 2
  is that of order 2, for noise makes the tails Gaussian at once: then G is bounded, but not by 1;
- terms ``(w_k m_k)^{1/k}`` that level off for the weight of the law's own order, and grow without
  bound for one that is heavier by ``k^{k/2}``.

Source: the abstract of [ISD]; operational definitions as in `meanfield.moments`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import meanfield as mf
from meanfield.moments import moment_propagation
from meanfield.plots.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION, log_scale
from meanfield.problem import single_index
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Moments of five initial laws along the flow"
SIZE = (9.0, 3.6)

_LAWS = {
    "gaussian": ("Gaussian", mf.InitialLaw("gaussian")),
    "laplace": ("Laplace", mf.InitialLaw("laplace")),
    "uniform-ball": ("uniform ball", mf.InitialLaw("uniform-ball")),
    "stretched-exponential": (
        "stretched exponential",
        mf.InitialLaw("stretched-exponential", rho=0.7),
    ),
    "student-t": ("Student t", mf.InitialLaw("student-t", nu=5.0)),
}
_PAIRS = zip((BLUE, ORANGE, GREEN, PURPLE, VERMILION), "os^Dv", strict=True)
_LOOKS = dict(zip(_LAWS, _PAIRS, strict=True))


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Follow the moments of the particles from every law."""
    data = single_index(n_features=1, link="tanh", n_train=16)
    problem = data.problem(l2=0.05, temperature=0.02)
    n_particles, n_steps, n_times, top = (4000, 40, 4, 12) if quick else (100_000, 600, 16, 32)
    steps = np.unique(np.linspace(0, n_steps, n_times).round().astype(int))
    k = np.arange(1, top + 1)
    numbers: dict[str, Estimate] = {}
    growths, weights, admitted = [], [], []
    for key, (name, law) in _LAWS.items():
        exact = mf.admissible_weight(law, problem=problem, max_order=top)
        run = mf.simulate(problem, n_particles, 0.1, n_steps, init=law, save_at=steps)
        growth = moment_propagation(run, exact).growth
        read = mf.admissible_weight(run.at(0), problem=problem, max_order=top)
        if np.isfinite(exact.tail_index.value):
            order = replace(read.tail_index, expected=exact.tail_index.value)
            label = f"Tail index of the {name} start, from its particles"
        else:
            order = replace(read.inverse_order(0.99), expected=exact.inverse_order().value)
            label = f"Inverse order 1/ρ of the {name} start, from its particles"
        numbers[f"order_{key}"] = replace(order, label=label)
        largest = growth[int(growth.value.argmax())]
        numbers[f"largest_{key}"] = replace(largest, label=f"Largest G(t) from the {name} law")
        numbers[f"last_{key}"] = replace(growth[-1], label=f"Last G(t) from the {name} law")
        growths.append(growth)
        weights.append(np.where(np.isfinite(exact.log_w_star), exact.log_w_star, np.nan))
        # With infinite moments no positive weight admits the law.
        admitted.append(
            exact.growth(exact.order.value) if exact.order.value else np.full(top, np.nan)
        )
    dataset = xr.Dataset(
        {
            "growth": Estimate.stack(growths).to_xarray(["law", "time"]),
            "log_w_star": (("law", "order"), np.array(weights)),
            "admitted": (("law", "order"), np.array(admitted)),
            "heavier": (("law", "order"), np.array(admitted) * np.sqrt(k)),
        },
        {"law": list(_LAWS), "time": run.times, "order": k},
    )
    return numbers, dataset


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the terms of both weights at the start, and the growth along the flow."""
    left, right = figure.subplots(1, 2)
    for key, (colour, marker) in _LOOKS.items():
        at = dataset.sel(law=key)
        left.plot(at["order"], at["admitted"], color=colour)
        points = {"marker": marker, "markersize": 3, "markevery": 3}
        left.plot(at["order"], at["heavier"], "--", color=colour, **points)
        value, low, high = at["growth"].values.T
        shown = {"color": colour, "marker": marker, "label": _LAWS[key][0]}
        right.fill_between(at["time"], low, high, color=colour, alpha=0.15, linewidth=0)
        right.plot(at["time"], value, **shown)
    right.plot([], [], "-", color="0.5", label="weight of own order")
    right.plot([], [], "--", color="0.5", label="heavier weight")
    log_scale(left, "x")
    log_scale(left, "y")
    left.set(xlabel="order $k$ of the moment", ylabel=r"$(w_k m_k)^{1/k}$ at the start")
    right.set(xlabel="time (step × step size)", ylabel=r"$G(t) = \sup_k (w^*_k m_k(\mu_t))^{1/k}$")
    right.set_ylim(bottom=0)
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper")


def check(numbers: dict[str, Estimate]) -> None:
    """Require the orders of all laws, and moments that stay bounded."""
    for key in _LAWS:
        order, largest = numbers[f"order_{key}"], numbers[f"largest_{key}"]
        require(order.agrees, f"{order.label}, is {order.expected:g}")
        require(largest.high < 2.5, f"{largest.label} stays below 2.5")
