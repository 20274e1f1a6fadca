r"""Hold the error bars of atoms against teachers that are known.

Labels of random teachers get noise; the dictionary of a network around their atoms is extracted,
and 95 % intervals of directions, coefficients and offsets must hold the teacher's in 95 of 100
cases. They follow from

.. math:: \operatorname{Cov} = s^2 (J^\top J + H)^{-1},

with the Jacobian J of the refit, the curvature H of its weak prior, and the noise level s of the
residuals, in the canonical chart. The test of S atoms against one more compares the residual with
noise that is searched in the same way; it must reject the teacher's own S in one of twenty cases,
and its power is tabulated against what the weakest atom explains, in units of the noise.

Source: White 1981 (nonlinear regression); Davies 1977 (a parameter that is there only under the
alternative).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.dictionary.fitting import Prior, make_regression
from meanfield.dictionary.score_process import score_test
from meanfield.identify.symmetry import symmetry_of
from meanfield.plots.style import BLUE, VERMILION
from meanfield.problem.targets import Teacher
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import bars, require

TITLE = "Error bars of atoms"
SIZE = (8.4, 3.6)
ACTIVATIONS = ("tanh", "relu", "silu", "gelu")
NUMBERS = ("direction", "coefficient", "offset", "length")
LABELS = {f"coverage_{name}": f"Share of 95% intervals of the {name} that hold" for name in NUMBERS}
LABELS |= {
    "size": "Share of teachers whose own number of atoms is rejected",
    "power": "Share of teachers for whom one atom less is rejected",
    "exact": "Share of teachers whose number of atoms is found",
}
#: Edges of what the weakest atom explains, (|difference| / noise)².
STRENGTHS = (0.0, 10.0, 20.0, 40.0, 80.0, np.inf)


def draw_teacher(seed: int) -> tuple[Teacher, mf.Problem, tuple[Any, ...]]:
    """Draw a teacher, its noisy labels, and neurons scattered around its atoms."""
    rng = np.random.default_rng([seed, 5])
    name, size, d = ACTIVATIONS[seed % 4], int(rng.integers(1, 5)), int(rng.integers(2, 7))
    bias = bool(rng.random() < 0.5)
    direction = Teacher.random(d, size, name, min_angle=30.0, seed=seed).w
    w = direction * rng.uniform(1.2, 2.0, (size, 1))
    a = rng.choice([-1, 1], size) * np.exp(rng.uniform(np.log(0.05), 0, size))
    a /= np.abs(a).max()
    b = 0.5 * rng.standard_normal(size) if bias else None
    target = Teacher(a, w, b, name)
    X = rng.standard_normal((int(rng.integers(300, 1001)), d))
    y = target(X)
    noise = np.exp(rng.uniform(np.log(0.01), np.log(0.2))) * y.std()
    problem = mf.Problem(X, y + noise * rng.standard_normal(len(y)), name, bias=bias)
    label = np.repeat(np.arange(size), 20)
    scattered = w[label] + 0.05 * rng.standard_normal((len(label), d))
    offset = None if b is None else b[label] + 0.05 * rng.standard_normal(len(label))
    return target, problem, (size * a[label], scattered, offset)


def held(target: Teacher, problem: mf.Problem, found: mf.dictionary.Dictionary) -> np.ndarray:
    """Tell whether each interval holds: columns direction, coefficient, offset, and length."""
    truth = mf.canonical((target.a, target.w, target.b), target.activation, normalisation="sum")
    w, at = truth.w, found.function.w
    cosine = (w @ at.T) / np.linalg.norm(w, axis=1)[:, None] / np.linalg.norm(at, axis=1)
    errors, rows = found.intervals, []
    for i, row in enumerate(cosine):
        j = int(np.abs(row).argmax())
        # Near the border of the half space the canonical side may differ.
        turn = np.sign(row[j])
        c = truth.coefficients[i] * (1 if turn > 0 else symmetry_of(truth.activation).sign)
        length = np.linalg.norm(w[i])
        offset = turn * truth.b[i] / length
        angle = np.degrees(np.arccos(min(abs(row[j]), 1.0)))
        known = np.isfinite(errors.length.value[j])
        rows.append(
            [
                angle <= errors.direction[j],
                not errors.coefficients[j].excludes(c),
                not errors.offset[j].excludes(offset) if problem.bias else np.nan,
                not errors.length[j].excludes(length) if known else np.nan,
            ]
        )
    return np.array(rows, dtype=float)


def tested(target: Teacher, problem: mf.Problem, seed: int) -> tuple[float, float, float]:
    """Return p-values of the true size and of one less, and what the weakest atom explains."""
    regression = make_regression(problem, problem.targets)
    places = target.w if target.b is None else np.column_stack([target.w, target.b])
    prior = Prior.of(regression, places)
    whole, part = places, places[np.abs(target.a) > np.abs(target.a).min()]
    fits = []
    for start in (whole, part):
        fit = regression.linear(start)
        for _ in range(3):
            fit = prior.at(regression, fit.rss / len(problem.y)).refit(fit.places, 100)
        fits.append(fit)
    own, less = (score_test(regression, fit, seed=seed) for fit in fits)
    return own, less, (fits[1].rss / fits[0].rss - 1) * len(problem.y)


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Extract dictionaries, and count which intervals hold and which sizes are rejected."""
    cover, p_values, exact = [], [], []
    for seed in range(2 if quick else 200):
        target, problem, particles = draw_teacher(seed)
        found = mf.extract_dictionary(particles, problem, seed=seed)
        exact.append(found.n_atoms == len(target.w))
        if exact[-1]:
            cover.append(held(target, problem, found))
        p_values.append(tested(target, problem, seed))
    rows, (own, less, strength) = np.concatenate(cover), np.array(p_values).T
    numbers = {
        f"{name}_coverage": _share(f"coverage_{name}", column[~np.isnan(column)] == 1, 0.95)
        for name, column in zip(NUMBERS, rows.T, strict=True)
    }
    numbers["size"] = _share("size", own <= 0.05, 0.05)
    numbers["power"] = _share("power", less <= 0.05)
    numbers["exact"] = _share("exact", np.array(exact))
    bins = np.digitize(strength, STRENGTHS[1:-1])
    power = [_share("power", less[bins == i] <= 0.05) for i in range(len(STRENGTHS) - 1)]
    coverage = Estimate.stack([numbers[f"{name}_coverage"] for name in NUMBERS])
    dataset = xr.Dataset(
        {
            "power": Estimate.stack(power).to_xarray(["strength"]),
            "coverage": coverage.to_xarray(["number"]),
            "p_value": ("teacher", own),
        },
        {"strength": list(STRENGTHS[:-1]), "number": list(NUMBERS)},
    )
    return numbers, dataset


def _share(what: str, hits: np.ndarray, expected: float | None = None) -> Estimate:
    more = {"expected": expected, "resampled": "teachers", "label": LABELS[what]}
    return Estimate.share(int(hits.sum()), len(hits), **more)


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw coverage, and the power of the test against what the missing atom explains."""
    left, right = figure.subplots(1, 2)
    names = [str(name) for name in dataset["number"].values]
    bars(left, np.arange(len(names)), dataset["coverage"], fmt="o", color=BLUE)
    left.axhline(0.95, color=VERMILION, linestyle="--")
    left.set_xticks(range(len(names)), names)
    left.set(xlabel="what the interval is of", ylabel="share of 95% intervals that hold")
    edges = [f"{edge:g}" for edge in dataset["strength"].values]
    bars(right, np.arange(len(edges)), dataset["power"], fmt="s", color=BLUE)
    right.set_xticks(range(len(edges)), [f"from {edge}" for edge in edges])
    right.set_ylim(0, 1.05)
    explained = "what the missing atom explains, in units of the noise"
    right.set(xlabel=explained, ylabel="power of the test")


def check(numbers: dict[str, Estimate]) -> None:
    """Intervals hold in about 95 of 100 cases, and the true size is seldom rejected."""
    for name in ("direction", "coefficient"):
        value = numbers[f"{name}_coverage"].value
        require(0.92 <= value <= 0.98, f"intervals of the {name} cover 92 to 98 %")
    require(numbers["size"].value <= 0.07, "the test rejects the true size in at most 7 %")
