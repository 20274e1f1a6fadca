"""Check the advice of the error budget by doing it, on random budgets.

    .venv/bin/python -m scripts.advice [FOLDER]

For every budget the error is decomposed and the advice taken; then networks with n, N, t and S
doubled in turn are trained on fresh training sets and noise. The advice is right when the advised
option takes at least as much off the squared error per unit of compute as the runner-up. Writes
`advice.csv`, one row per budget; budgets that are in it already are not done again.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.decomposition.decompose import decompose
from meanfield.decomposition.error_plan import ErrorSettings, plan_errors
from meanfield.decomposition.laws import OPTIONS
from meanfield.problem import Teacher
from scripts.doublings import random_budgets, try_options

COUNT = 30
RANGES = {"n": (16, 128), "N": (8, 128), "t": (10, 150), "S": (1, 6)}
REPLICAS, TRIALS = 12, 24
TARGET = Teacher.random(3, 3, bias=False, min_angle=50.0, weight_norm=1.5, seed=0)


def check(index: int, budget: dict[str, int]) -> dict[str, object]:
    """Decompose one budget, follow the advice and every other option, and compare."""
    n, N = budget["n_data"], budget["n_particles"]
    X = np.random.default_rng(index).normal(size=(n, 3))
    y = TARGET(X) + 0.2 * np.random.default_rng(1000 + index).normal(size=n)
    problem = mf.Problem(X, y, bias=False, l2=0.02, temperature=0.002)
    scheme = mf.Scheme.of(
        problem, step_size=0.4, n_steps=budget["n_steps"], seed=index, dtype="float32"
    )
    settings = ErrorSettings(
        n_data=n,
        n_particles=N,
        n_atoms=budget["n_atoms"],
        n_replicas=REPLICAS,
        data_counts=[n // 2, n, 2 * n],
        particle_counts=[N // 2, N, 2 * N],
        atom_counts=[budget["n_atoms"]],
        n_population=1024,
        long_particles=256,
        path_particles=1024,
        n_test=500,
    )
    plan = plan_errors(problem, scheme, TARGET, settings)
    advice = decompose(plan).advice
    trial = try_options(plan, TRIALS)
    rival = advice.second or max(
        (option for option in trial.gain if option != advice.option),
        key=lambda option: trial.gain[option].value / trial.cost[option],
    )
    row: dict[str, object] = dict(zip(OPTIONS, budget.values(), strict=True))
    row |= {
        "squared_error": f"{trial.squared_error:.4g}",
        "advised": advice.option or "none",
        "runner_up": rival,
        "right": trial.confirms(advice),
    }
    if advice.option:
        lead = trial.better(advice.option, rival)
        scale = trial.cost[advice.option] / trial.squared_error
        row |= {
            "lead": f"{lead.value * scale:.3f}",
            "lead_low": f"{lead.low * scale:.3f}",
            "lead_high": f"{lead.high * scale:.3f}",
        }
    for option in OPTIONS:
        measured = trial.gain[option]
        row |= {
            f"cost_{option}": f"{trial.cost[option]:.3g}",
            f"expected_{option}": f"{advice.gain[option].value:.3g}",
            f"measured_{option}": f"{measured.value:.3g}",
            f"measured_{option}_low": f"{measured.low:.3g}",
            f"measured_{option}_high": f"{measured.high:.3g}",
        }
    return row


def main(folder: Path) -> None:
    """Check every budget that the table does not hold yet."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "advice.csv"
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    for index, budget in enumerate(random_budgets(COUNT, RANGES)):
        if index < len(rows):
            continue
        begin = time.perf_counter()
        rows.append(check(index, budget))
        names = list(dict.fromkeys(name for row in rows for name in row))
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(
            budget, rows[-1]["advised"], rows[-1]["right"], f"{time.perf_counter() - begin:.0f} s"
        )
    right = sum(str(row["right"]) == "True" for row in rows)
    print(f"Right in {right} of {len(rows)} budgets.")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/errors-advice"))
