"""Noisy training settles exponentially, and no slower than a log-Sobolev inequality guarantees.

When every Gibbs law ``π ∝ exp(−V[µ_t]/τ)`` along the path satisfies a log-Sobolev inequality of
constant α, the free energy above its minimum falls at least at the rate 2ατ. A bound on α follows
from λ, τ, the data and the error signals. Beside it stand

- the rate of 128 networks of 2048 particles: the squared distance of their mean from its end
  falls like ``exp(−rate t)``, and the interval of the rate holds that of the exact law of the
  discrete scheme with infinitely many particles;
- the smallest rate of the free energy along the Fokker–Planck equation at any time.

Expected is bound ≤ both rates. The bound is far below them: it knows the worst case only.

Source: Bakry and Émery 1985; Holley and Stroock 1987; Chizat, "Mean-field Langevin dynamics:
exponential convergence and annealing", TMLR 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import meanfield as mf
from meanfield.limit import free_energy, log_sobolev_bound, relaxation_rate
from meanfield.limit.fokker_planck import fokker_planck
from meanfield.limit.relaxation_rate import slowest_decay
from meanfield.plots.style import BLACK, BLUE, GREEN, VERMILION, log_scale
from meanfield.problem import single_index
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "How fast noisy training settles"
SIZE = (9.0, 3.6)


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Train the networks, follow their limit and its free energy, and bound the rate."""
    data = single_index(n_features=1, link="tanh", n_train=16)
    problem = data.problem(bias=False, train=["w"], l2=0.3, temperature=0.3)
    n_particles, n_replicas = (256, 8) if quick else (2048, 128)
    # 20 units of time: six relaxation times 1 / l2.
    step_size, n_steps = (0.1, 60) if quick else (0.05, 400)
    settings = {"step_size": step_size, "n_steps": n_steps, "init": mf.InitialLaw(scale=0.5)}
    steps = np.unique(np.linspace(0, n_steps, 121).round().astype(int))
    path = mf.mean_field(problem, "chain", **settings)
    runs = mf.simulate(problem, n_particles, n_replicas=n_replicas, save_at=steps, **settings)
    found = relaxation_rate(runs.times, path.predictions[steps], runs.predictions)
    laws = fokker_planck(problem, path.scheme, save_at=steps).laws
    energy = np.array([free_energy(problem, law) for law in laws])
    bound = log_sobolev_bound(problem, path.predictions)
    numbers = {
        "rate": found.rate,
        "energy_rate": slowest_decay(runs.times, energy),
        "bound": Estimate(bound.rate, label="Log-Sobolev bound on the rate"),
    }
    dataset = xr.Dataset(
        {
            "distance": found.distance.to_xarray(["time"]),
            "limit": ("time", found.limit),
            "inside": ("time", found.window.astype(int)),
            "free_energy": ("time", energy),
        },
        {"time": runs.times},
        {"bound": bound.rate},
    )
    return numbers, dataset


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the squared distance and the free energy over time, with the decay guaranteed."""
    left, right = figure.subplots(1, 2)
    time, limit = dataset["time"].values, dataset["limit"].values
    guaranteed = np.exp(-dataset.attrs["bound"] * time)
    value, low, high = dataset["distance"].values.T
    inside = dataset["inside"].values == 1
    seen = (low > 0) & (np.arange(len(time)) % 3 == 0) & (time < 10)
    for chosen, fill, label in ((seen & inside, "full", "networks"), (seen & ~inside, "none", "")):
        bars = [(value - low)[chosen], (high - value)[chosen]]
        shown = {"color": BLUE, "fillstyle": fill, "elinewidth": 0.8, "label": label or None}
        left.errorbar(time[chosen], value[chosen], bars, fmt="o", **shown)
    left.plot(time, limit, "-", color=BLACK, zorder=3, label="limit")
    left.plot(time, guaranteed, "--", color=VERMILION, label="bound")
    left.set(xlim=(-0.2, 10), ylim=(value[seen].min() / 3, 2))
    left.set_ylabel("squared distance from the end (start: 1)")
    gap = dataset["free_energy"].values - dataset["free_energy"].values[-1]
    seen = time <= 0.7 * time[-1]
    right.plot(time[seen], gap[seen], color=GREEN, label="Fokker–Planck")
    right.plot(time[seen], gap[0] * guaranteed[seen], "--", color=VERMILION)
    right.set_ylabel(r"free energy $J(\mu_t) - J(\mu_\infty)$")
    for ax in (left, right):
        log_scale(ax, "y")
        ax.set_xlabel("time (step × step size)")
    figure.legend(loc="outside right upper")


def check(numbers: dict[str, Estimate]) -> None:
    """Require the rate of the limit, and both rates above the bound."""
    rate, energy, bound = (numbers[key] for key in ("rate", "energy_rate", "bound"))
    require(rate.agrees, f"{rate.label} at the rate of the limit")
    require(rate.width < 0.2 * rate.value, f"{rate.label} is measured to ±10 %")
    require(0 < bound.value <= energy.value, "the free energy falls at least as fast as the bound")
    require(bound.value <= rate.low, "the networks relax at least as fast as the bound")
