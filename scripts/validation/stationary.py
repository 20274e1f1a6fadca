"""Long runs at three temperatures end in the Gibbs law, up to what the step size costs.

Under noise the infinitely wide network settles in the one law that is proportional to ::

    exp(−V[µ]/τ),   V[µ](w) = (1/n) Σ_j ℓ'(f_µ(x_j), y_j) σ(w x_j) + λ w²/2,

and determines V itself. That fixed point is solved by quadrature and held against 64 runs of 4096
particles over ten relaxation times 1/λ. Expected are

- amplitudes ``⟨f_N, f_∞⟩ / ⟨f_∞, f_∞⟩`` as of the discrete scheme with infinitely many particles,
  whose law is computed exactly on a lattice: a little below 1;
- a bias of that scheme which falls like the step size (order 1 of Euler);
- a distance W₂² of the particles from the law a little above that of independent draws.

Source: Mei, Montanari, Nguyen, "A mean field view of the landscape of two-layer neural networks",
PNAS 2018; Nitanda, Wu, Suzuki, "Particle dual averaging", NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.ticker import NullLocator

import meanfield as mf
from meanfield.limit import stationary_distance, step_size_bias
from meanfield.limit.stationary_comparison import stationary_amplitude
from meanfield.plots.style import BLUE, GREEN, VERMILION, log_scale
from meanfield.problem import single_index
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Where noisy training ends"
SIZE = (9.0, 3.6)

_LOOKS = tuple(zip((BLUE, GREEN, VERMILION), "osD", strict=True))


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Solve for the laws, run the particles for long, and compare."""
    data = single_index(n_features=1, link="tanh", n_train=16)
    time = {"step_size": 0.5, "n_steps": 100 if quick else 200}
    temperatures = [0.1] if quick else [0.02, 0.1, 0.5]
    n_particles, n_replicas = (256, 8) if quick else (4096, 64)
    points = np.linspace(-7.0, 7.0, 101)
    middles = (points[1:] + points[:-1]) / 2
    numbers, densities, histograms, errors = {}, [], [], []
    for i, tau in enumerate(temperatures):
        problem = data.problem(bias=False, train=["w"], l2=0.1, temperature=tau)
        law = mf.stationary(problem)
        run = mf.simulate(problem, n_particles, n_replicas=n_replicas, **time)
        bias = step_size_bias(law, **time)
        distance = stationary_distance(run.particles, law)
        at = f"at temperature {tau:g}"
        numbers[f"amplitude_{i}"] = Estimate.mean(
            stationary_amplitude(run.predictions[:, -1], law),
            expected=float(stationary_amplitude(bias.predictions[0], law)),
            label=f"Amplitude of the networks along the stationary one {at}",
        )
        numbers[f"certificate_{i}"] = Estimate(
            max(law.residual, law.grid_error, law.start_spread),
            label=f"Residual, grid error and spread of starts of the law {at}, the largest",
        )
        numbers[f"order_{i}"] = replace(bias.order, label=f"{bias.order.label} {at}")
        for key, found, what in (
            ("w2", distance.particles, "the particles"),
            ("floor", distance.draws, "independent draws"),
        ):
            label = f"W₂² between the law and {what} {at}"
            numbers[f"{key}_{i}"] = replace(found, label=label)
        densities.append(law.density(middles[:, None]))
        histograms.append(np.histogram(run.particles.w, points, density=True)[0])
        errors.append(bias.errors)
    dataset = xr.Dataset(
        {
            "density": (("temperature", "weight"), np.array(densities)),
            "histogram": (("temperature", "weight"), np.array(histograms)),
            "bias": (("temperature", "step_size"), np.array(errors)),
        },
        {"temperature": temperatures, "weight": middles, "step_size": bias.step_sizes},
    )
    return numbers, dataset


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the densities of law and particles, and the bias of the discrete scheme."""
    left, right = figure.subplots(1, 2)
    for tau, (colour, marker) in zip(dataset["temperature"].values, _LOOKS, strict=False):
        at, points = dataset.sel(temperature=tau), dataset["weight"]
        left.plot(points, at["density"], color=colour)
        left.plot(points[::2], at["histogram"][::2], marker, color=colour, markersize=3)
        shown = {"color": colour, "marker": marker, "label": rf"$\tau = {tau:g}$"}
        right.plot(dataset["step_size"], at["bias"], **shown)
    left.set(xlabel="input weight $w$", ylabel="density: law (line), particles (points)")
    left.set_ylim(bottom=0)
    h = dataset["step_size"].values
    guide = 1.5 * float(dataset["bias"].max()) * h / h[0]
    right.plot(h, guide, "--", color="0.45", linewidth=1.0, label="order 1")
    log_scale(right, "x")
    log_scale(right, "y")
    right.set_xticks(h, [f"{size:g}" for size in h])
    right.xaxis.set_minor_locator(NullLocator())
    right.set(xlabel=r"step size $\eta$", ylabel=r"distance of $f^\eta_\infty$ from $f_\infty$")
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper")


def check(numbers: dict[str, Estimate]) -> None:
    """Require the amplitudes of the discrete scheme, exact laws, and order 1."""
    for key, number in numbers.items():
        if key.startswith("amplitude"):
            require(number.agrees, f"{number.label} is {number.expected:g}")
        elif key.startswith("certificate"):
            require(number.value < 1e-8, f"{number.label}, is below 1e-8")
        elif key.startswith("order"):
            require(abs(number.value - number.expected) < 0.05, f"{number.label} is 1")
        elif key.startswith("w2"):
            floor = numbers[key.replace("w2", "floor")]
            require(number.value < 2 * floor.high, f"{number.label} is near that of draws")
