r"""The number of atoms against the count of parts that a penalty lets through.

Under a penalty λ a part of degree k of the target alone carries an atom only if it is larger than
λ/κ_k: ``S_up(λ)`` counts these parts, each as often as its rank. A hundred random targets, teachers
of one to four tanh neurons in the plane, are learned at λ = 0.001, 0.01, 0.1 and 1, each from where
the network of the smaller penalty came to rest. The number of atoms Ŝ of the network itself stands
beside S_up; a network of less than a hundredth of its target has none. S_up is a count and no
theorem: parts below the threshold add up, so that one atom may be there where S_up counts none, and
two lines where it counts one. Expected is Ŝ above S_up in few cases, all of them where λ lets no
more than two parts through, and by one.

For one target of three neurons λ rises in small steps, and shows atoms merge and vanish.

Source: operational definition; the threshold is the first-order condition of an atom at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plots.style import BLUE, ORANGE, log_scale
from meanfield.problem.targets import Teacher
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import require

TITLE = "Atoms against the penalty, found and counted"
SIZE = (8.4, 3.6)

PENALTIES = (0.001, 0.01, 0.1, 1.0)
ROWS, NEURONS = 250, 60
EXAMPLE, MOST = 2, 8
ABSENT = 0.01
"""A network of less than this part of its target is none."""


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Follow many targets over three decades of the penalty, and one in small steps."""
    n_targets, steps = (2, 60) if quick else (100, 1000)
    fine = np.geomspace(PENALTIES[0], PENALTIES[-1], 2 if quick else 16)
    counted = np.zeros((n_targets, len(PENALTIES)), dtype=int)
    found = np.zeros_like(counted)
    for i in range(n_targets):
        counted[i], found[i], _ = along(drawn(i), PENALTIES, i, steps)
    above = found > counted
    numbers = {
        f"above_{l2:g}": Estimate.share(
            int(above[:, j].sum()),
            n_targets,
            label=f"Targets with more atoms than S_up counts at λ = {l2:g}",
        )
        for j, l2 in enumerate(PENALTIES)
    }
    numbers["most_above"] = Estimate(
        float((found - counted).max()), label="Largest number of atoms above S_up"
    )
    numbers["parts_there"] = Estimate(
        float(counted[above].max(initial=0)), label="Largest S_up that was exceeded"
    )
    numbers["correlation"] = Estimate(
        float(np.corrcoef(np.log1p(counted).ravel(), found.ravel())[0, 1]),
        label="Correlation of Ŝ with log(1 + S_up) over targets and penalties",
    )
    path_counted, path_found, atoms = along(drawn(EXAMPLE), fine, EXAMPLE, 2 * steps)
    return numbers, xr.Dataset(
        {
            "counted": (["target", "l2"], counted),
            "found": (["target", "l2"], found),
            "path_counted": ("path_l2", path_counted),
            "path_found": ("path_l2", path_found),
            "angle": (["path_l2", "atom"], atoms[:, :, 0]),
            "size": (["path_l2", "atom"], atoms[:, :, 1]),
        },
        {"l2": list(PENALTIES), "path_l2": fine, "target": np.arange(n_targets)},
    )


def drawn(seed: int) -> Teacher:
    """Draw a teacher of one to four neurons in the plane."""
    rng = np.random.default_rng([seed, 12])
    size = int(rng.integers(1, 5))
    angle = np.cumsum(rng.dirichlet(np.ones(size)) * (180 - 25 * size) + 25)
    turn = np.radians(angle + rng.uniform(0, 180))
    w = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(0.7, 2.5, (size, 1))
    return Teacher(rng.choice([-1, 1], size) * rng.uniform(0.3, 1.5, size), w, None, "tanh")


def along(
    target: Teacher, penalties: Sequence[float] | np.ndarray, seed: int, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return S_up, Ŝ, and angle and size of the atoms at each penalty, from the smallest up."""
    X = np.random.default_rng([seed, 13]).standard_normal((ROWS, 2))
    y = target(X)
    counted, found = (np.zeros(len(penalties), dtype=int) for _ in range(2))
    atoms = np.full((len(penalties), MOST, 2), np.nan)
    start: Any = "gaussian"
    for i, l2 in enumerate(penalties):
        problem = mf.Problem(X, y, "tanh", bias=False, l2=l2, temperature=1e-6 * l2)
        options: dict[str, Any] = {"step_size": 0.5, "n_steps": steps, "seed": seed}
        cooling = mf.schedule.Geometric(1e-2 * l2, 1e-6 * l2)
        learned = mf.simulate(problem, NEURONS, temperature=cooling, init=start, **options)
        start = learned.particles
        counted[i] = mf.coefficient_threshold_number(target, "tanh", l2=l2, d=2, bias=False).number
        if np.linalg.norm(learned.predict(X)) < ABSENT * np.linalg.norm(y):
            continue
        found_atoms = mf.extract_dictionary(
            start, problem, target="network", max_atoms=MOST, seed=seed
        ).function
        found[i] = len(found_atoms.w)
        turn = np.degrees(np.arctan2(found_atoms.w[:, 1], found_atoms.w[:, 0])) % 180
        size = np.abs(found_atoms.coefficients) * found_atoms.features(X).std(axis=0)
        atoms[i, : found[i]] = np.column_stack([turn, size])
    return counted, found, atoms


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw both numbers against the penalty, and the atoms of one target as they branch."""
    left, right = figure.subplots(1, 2)
    path, l2 = dataset["path_l2"].values, dataset["l2"].values
    for name, color, label in (("counted", ORANGE, "S_up"), ("found", BLUE, "Ŝ")):
        left.step(path, dataset[f"path_{name}"], where="mid", color=color, label=f"{label}, one")
        mean = dataset[name].mean("target").values
        left.plot(l2, mean, "o", color=color, label=f"{label}, mean of {dataset.sizes['target']}")
    left.set_yscale("symlog", linthresh=1)
    left.set_ylim(-0.1, 60)
    left.set_yticks([0, 1, 3, 10, 30], ["0", "1", "3", "10", "30"])
    left.set_ylabel("number of atoms")
    left.legend()
    angle, size = dataset["angle"].values, dataset["size"].values
    for i in range(angle.shape[1]):
        area = 60 * size[:, i] / max(float(np.nanmax(size, initial=0.0)), 1e-300)
        right.scatter(path, angle[:, i], s=area, color=BLUE)
    right.set_ylim(0, 180)
    right.set_ylabel("angle of an atom's line (degrees)")
    for ax in (left, right):
        log_scale(ax, "x")
        ax.set_xlabel(r"penalty $\lambda$")


def check(numbers: dict[str, Estimate]) -> None:
    """Few networks have more atoms than S_up counts, and only where it counts hardly any."""
    for l2 in PENALTIES[:2]:
        above = numbers[f"above_{l2:g}"]
        require(above.value == 0, f"no target has more atoms than S_up counts at λ = {l2:g}")
    require(numbers["most_above"].value <= 1, "no network has two atoms more than S_up counts")
    require(numbers["parts_there"].value <= 2, "S_up is exceeded only where it is at most two")
    require(numbers["correlation"].value > 0.5, "atoms go with the parts that count")
