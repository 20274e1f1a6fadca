"""python -m scripts.precise NAME: what `precision = 0.02` alone takes, and what it reaches.

Three problems with one well and four with several; prints the row of the problem with NAME in its
name, as in the table of `results/precision/README.md`. Seconds are of the processor, over all its
cores, compilation apart.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
from scipy.special import erf

import meanfield as mf
from meanfield.chaos.precision import TARGETS, CostNote
from meanfield.chaos.verdict import unsettled
from meanfield.problem import teacher
from meanfield.system.threads import fixed_blas

PRECISION = 0.02


def problems() -> dict[str, tuple[mf.Problem, dict[str, Any]]]:
    """Return problems by name, each with the settings of its runs."""
    X = np.random.default_rng(7).normal(size=(48, 8))
    difference = np.tanh(X[:, 0]) - np.tanh(X[:, 1])
    plane = teacher(n_features=2, n_atoms=3, n_train=64)
    Z = np.random.default_rng(11).normal(size=(60, 6))
    eight = teacher(n_features=8, n_atoms=2, bias=False, min_angle=60.0, n_train=48)
    cold = {"bias": False, "l2": 0.05, "temperature": 0.012}
    return {
        "one well: three neurons in the plane": (
            plane.problem(l2=0.1, temperature=0.05),
            {"step_size": 0.2, "n_steps": 500},
        ),
        "one well: signs, erf, logistic loss": (
            mf.Problem(
                X[:, :2], np.sign(difference), activation="erf", loss="logistic",
                l2=0.2, temperature=0.1,
            ),
            {"step_size": 0.3, "n_steps": 200},
        ),
        "one well: five inputs, silu": (
            mf.Problem(X[:, :5], difference, activation="silu", l2=0.2, temperature=0.05),
            {"step_size": 0.3, "n_steps": 200},
        ),
        "several wells: tanh x₁ − tanh x₂": (
            mf.Problem(X, difference, **cold),
            {"step_size": 0.5, "n_steps": 400, "dtype": "float32"},
        ),
        "several wells: sin 2x₁ + tanh x₂, erf": (
            mf.Problem(
                X[:40, :4], np.sin(2 * X[:40, 0]) + np.tanh(X[:40, 1]), activation="erf",
                bias=False, l2=0.03, temperature=0.006,
            ),
            {"step_size": 0.5, "n_steps": 400, "dtype": "float32"},
        ),
        "several wells: erf x₁ − erf x₂ in six dimensions": (
            mf.Problem(Z, erf(Z[:, 0]) - erf(Z[:, 1]), activation="erf", **cold),
            {"step_size": 0.5, "n_steps": 400, "dtype": "float32"},
        ),
        "several wells: two neurons in eight dimensions": (
            eight.problem(**cold),
            {"step_size": 0.5, "n_steps": 400, "dtype": "float32"},
        ),
    }  # fmt: skip


@fixed_blas()
def main(name: str) -> None:
    """Measure the rates of the problems with `name` in theirs."""
    warnings.simplefilter("ignore", CostNote)
    for title, (problem, settings) in problems().items():
        if name not in title:
            continue
        options = {**settings, "cloud_replicas": 0}
        # Compiles; nothing of it is kept.
        mf.chaos_rates(problem, [8, 16, 32], 4, **{**options, "n_steps": 8})
        begin = time.process_time()
        rates = mf.chaos_rates(problem, precision=PRECISION, **options)
        seconds = time.process_time() - begin
        slopes = " | ".join(
            f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]".replace("-", "−")
            + (" (pre-asymptotic)" if unsettled(s) else "")
            for s in (rates.fits[metric].slope for metric in TARGETS)
        )
        replicas = rates.dataset.sizes["replica"]
        verdict = rates.dataset.attrs["verdict"].split(":")[0].rstrip(".")
        print(f"| {title} | {slopes} | {verdict} | {replicas} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
