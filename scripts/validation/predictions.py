r"""Hold the predicted constants of propagation of chaos to measurement.

`mf.predict_chaos` gives the limits of :math:`N\,E D_N` (coupling) and of
:math:`N\,E\,\frac1n \sum_j |f_N − \bar f|^2` (function) by linear response, without a network of N
neurons and without a fit. Here networks of N neurons run beside their McKean–Vlasov copies, and the
ratio of measured to predicted must hold 1: for several activations, losses, integrators and a
schedule, each with one well, at an early and a late time. A kink (relu) has a function constant
only.

Source: Sirignano and Spiliopoulos 2020; Chen, Rotskoff, Bruna, Vanden-Eijnden 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.chaos.metrics import coupling, function_deviation, function_error
from meanfield.chaos.response.comparison import ratio
from meanfield.plots.style import BLACK, GREEN, PURPLE, log_scale
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import require

TITLE = "Predicted constants of propagation of chaos"
SIZE = (8.4, 3.6)
N_DATA, STEPS = 24, 80


def cases() -> dict[str, tuple[mf.Problem, dict[str, Any]]]:
    """Return problems with one well each, and the settings of their runs."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(N_DATA, 2))
    real = np.tanh(1.5 * X[:, 0]) - 0.5 * X[:, 1]
    sign = np.where(real > 0, 1.0, -1.0)
    label = np.digitize(real, [-0.5, 0.5])
    calm = {"l2": 0.2, "temperature": 0.1}

    def problem(y: Any, activation: str, loss: str = "squared", **more: Any) -> mf.Problem:
        return mf.Problem(X, y, activation=activation, loss=loss, **(calm | more))

    cooling = {
        "step_size": np.geomspace(0.4, 0.1, STEPS), "temperature": np.geomspace(0.3, 0.05, STEPS)
    }  # fmt: skip
    return {
        "tanh": (problem(real, "tanh"), {}),
        "erf, logistic": (problem(sign, "erf", "logistic"), {}),
        "silu": (problem(real, "silu", bias=False), {}),
        "softplus": (problem(real, "softplus"), {"integrator": "exponential-euler"}),
        "tanh, 3 classes": (problem(label, "tanh", "cross-entropy"), {}),
        "silu, logistic, kinetic": (
            problem(sign, "silu", "logistic"), {"integrator": "kinetic"},
        ),
        "softplus, 3 classes, Leimkuhler–Matthews": (
            problem(label, "softplus", "cross-entropy"), {"integrator": "leimkuhler-matthews"},
        ),
        "erf, kinetic": (problem(real, "erf"), {"integrator": "kinetic"}),
        "tanh, cooled": (problem(real, "tanh"), cooling),
        "relu": (problem(real, "relu"), {}),
    }  # fmt: skip


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Measure and predict every case."""
    n_particles, networks, systems, size = (16, 6, 4, 256) if quick else (256, 512, 16, 2**16)
    places: list[str] = []
    measured, predicted = [], []
    chosen = {"erf, logistic", "relu"} if quick else cases().keys()
    steps = 20 if quick else STEPS
    for name, (problem, more) in cases().items():
        if name not in chosen:
            continue
        settings = {"step_size": 0.2, "n_steps": steps, **more}
        times = [10, 20, 40, STEPS] if name == "relu" and not quick else [10, steps]
        seen = measure(problem, n_particles, networks, times, size, settings)
        found = mf.predict_chaos(problem, times=times, seed=1, n_systems=systems, **settings)
        for metric in ("function",) if name == "relu" else ("coupling", "function"):
            constants = found.estimate(metric)
            places += [f"{name}, {metric}, step {step}" for step in times]
            measured += [seen[metric][i] for i in range(len(times))]
            predicted += [constants[i] for i in range(len(times))]
    both = [Estimate.stack(found, resampled="replicas") for found in (measured, predicted)]
    ratios = ratio(*both)
    holds = int(((ratios.low <= 1) & (ratios.high >= 1)).sum())
    worst = int(np.abs(np.log(ratios.value)).argmax())
    numbers = {
        "comparisons_that_hold_1": Estimate.share(
            holds, len(places), expected=0.95, label="Share of intervals that hold 1"
        ),
        "mean_ratio": Estimate.mean(
            ratios.value, expected=1.0, label="Mean of measured over predicted"
        ),
        "worst_ratio": Estimate(
            ratios.value[worst], ratios.low[worst], ratios.high[worst], expected=1.0,
            label="Ratio that is furthest from 1",
        ),
    }  # fmt: skip
    variables = {
        name: found.to_xarray(["comparison"])
        for name, found in zip(("measured", "predicted", "ratio"), (*both, ratios), strict=True)
    }
    dataset = xr.Dataset(variables, {"comparison": places})
    return numbers, dataset


def measure(
    problem: mf.Problem,
    n_particles: int,
    networks: int,
    times: list[int],
    size: int,
    settings: dict[str, Any],
) -> dict[str, Estimate]:
    """Return N times coupling and function error of networks, means over them at every time."""
    path = mf.mean_field(problem, n_particles=size, seed=3, **settings)
    runs = [
        mf.simulate(
            problem, n_particles=n_particles, n_replicas=networks, save_at=times, seed=2,
            drive=drive, **settings,
        )
        for drive in (None, path)
    ]  # fmt: skip
    # The path has the fluctuation of its own particles.
    factor = 1 / (1 / n_particles + 1 / size)
    apart = np.array([coupling(p, q) for p, q in zip(*(r.trajectory for r in runs), strict=True)])
    deviation = function_deviation(runs[0].predictions, path.predictions[times])
    values = {"coupling": apart, "function": function_error(deviation, problem.n_data)}
    return {
        name: Estimate.positive_mean(factor * value, axis=1, resampled="replicas")
        for name, value in values.items()
    }


def check(numbers: dict[str, Estimate]) -> None:
    """Hold the ratios to 1."""
    share = numbers["comparisons_that_hold_1"]
    require(share.value >= 0.9, "the intervals of at least 90 % of the ratios hold 1")
    require(abs(numbers["mean_ratio"].value - 1) < 0.03, "the mean ratio is 1 within 3 %")


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw measured against predicted constants, and every ratio with its interval."""
    left, right = figure.subplots(1, 2)
    measured, predicted, ratios = (
        Estimate.from_xarray(dataset[name]) for name in ("measured", "predicted", "ratio")
    )
    places = dataset["comparison"].values.astype(str)
    for metric, colour, marker in (("coupling", GREEN, "o"), ("function", PURPLE, "s")):
        chosen = np.flatnonzero([f", {metric}, " in place for place in places])
        look = {"fmt": marker, "color": colour, "label": metric}
        left.errorbar(
            predicted.value[chosen], measured.value[chosen], measured.arms[:, chosen], **look
        )
        right.errorbar(chosen + 1, ratios.value[chosen], ratios.arms[:, chosen], **look)
    ends = np.array([0.7 * predicted.value.min(), 1.4 * predicted.value.max()])
    left.plot(ends, ends, color=BLACK, linewidth=0.8, label="predicted, nothing fitted")
    for axis in ("x", "y"):
        log_scale(left, axis)
    left.set_xlabel(r"predicted limit of $N \times$ mean square")
    left.set_ylabel(r"measured $N \times$ mean square")
    right.axhline(1.0, color=BLACK, linewidth=0.8)
    right.set_xlabel("comparison")
    right.set_ylabel("measured / predicted")
    left.legend()
