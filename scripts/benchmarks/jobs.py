"""Time whole jobs against what a user would write: rates, atoms, an estimator, an error budget.

    python scripts/benchmarks/jobs.py --jax PYTHON --out results/benchmarks/jobs.json

Processor seconds, one thread each, medians over runs in turns. Rates: 8 replicas of systems of 32
to 256 particles, 1500 steps on 200 points in the plane, at ten times, against `chaos_jax.py`, which
PYTHON runs. Atoms: a trained network of 256 neurons, against KMeans of its neurons for one to ten
centres, each compared with them by `ot.emd2`. Digits of ten classes, against scikit-learn's MLP.
And `mf.decompose_error` on 320 rows of five numbers, N = 64, which has no counterpart; on several
cores its replicas run side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ot
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_friedman1
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import meanfield as mf
from meanfield.system.compiling import numba

_COUNTS, _REPLICAS, _STEPS, _REFERENCE, _TIMES = (32, 64, 128, 256), 8, 1500, 6400, 10
_ONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
Numbers = dict[str, float]


def _teacher() -> mf.Problem:
    data = mf.problem.load("teacher", n_features=2, n_atoms=3, min_angle=30.0, n_train=200, seed=0)
    return data.problem(l2=0.001, temperature=0.0002)


def rates() -> Numbers:
    """Measure rates as the quickstart does, wells and all metrics included."""
    problem, settings = _teacher(), {"step_size": 1.0, "n_steps": _STEPS}
    path = mf.mean_field(problem, **settings, method="particles", n_particles=_REFERENCE)
    found = mf.chaos_rates(
        problem,
        particle_counts=_COUNTS,
        n_replicas=_REPLICAS,
        times=np.linspace(0, _STEPS, _TIMES + 1)[1:].astype(int).tolist(),
        reference=path,
        cloud_replicas=0,
        **settings,
    )
    return {"matched_w2_slope": float(found.fits["matched_w2"].slope.value)}


def rates_by_jax(python: str) -> Numbers:
    """Run the script, and return what it took."""
    problem = _teacher()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "data.npz")
        settings = {"eta": 1.0, "l2": 0.001, "tau": 0.0002, "n_steps": _STEPS, "times": _TIMES}
        sizes = {"counts": _COUNTS, "n_replicas": _REPLICAS, "reference": _REFERENCE}
        np.savez(file, X=problem.X, y=problem.y, **settings, **sizes)
        script = Path(__file__).with_name("chaos_jax.py")
        done = subprocess.run(
            [python, script, file],
            env={**os.environ, **_ONE},
            check=True,
            capture_output=True,
            text=True,
        )
    found = json.loads(done.stdout)
    means = [found["matched_w2"][str(size)] for size in _COUNTS]
    slope = float(np.polyfit(np.log(_COUNTS), np.log(means), 1)[0])
    took = found["training"] + found["transport"]
    return {"seconds": took, "training_seconds": found["training"], "matched_w2_slope": slope}


def _network() -> tuple[mf.Problem, mf.Run]:
    problem, cooling = _teacher(), mf.schedule.Geometric(2e-4, 1e-6)
    return problem, mf.simulate(problem, 256, 1.0, 3000, temperature=cooling)


def atoms(problem: mf.Problem, run: mf.Run) -> Numbers:
    """Extract atoms with their certificate."""
    return {"atoms": mf.extract_dictionary(run.particles, problem).n_atoms}


def atoms_by_clusters(run: mf.Run) -> Numbers:
    """Cluster the neurons, and take as many centres as leave one per cent of their spread."""
    particles = run.particles.coordinates[0]
    masses = np.full(len(particles), 1 / len(particles))
    left = []
    for k in range(1, 11):
        found = KMeans(k, n_init=10, random_state=0).fit(particles)
        shares = np.bincount(found.labels_, minlength=k) / len(particles)
        left.append(ot.emd2(masses, shares, ot.dist(particles, found.cluster_centers_)))
    few = [k for k, rest in enumerate(left, 1) if rest < 0.01 * left[0]]
    # Where ten are not enough there is no number, only what they leave.
    return {"atoms": few[0]} if few else {"spread_left_by_ten": left[-1] / left[0]}


def digits(model: object) -> Numbers:
    """Fit a classifier to three quarters of the digits, and score it on the rest."""
    X, y = load_digits(return_X_y=True)
    held_out = np.arange(len(X)) % 4 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's ends before it has converged
        model.fit(X[~held_out], y[~held_out])
    return {"accuracy": float(model.score(X[held_out], y[held_out]))}


def budget() -> Numbers:
    """Split the error of a network on 320 rows."""
    X, y = make_friedman1(400, 5, noise=1.0, random_state=0)
    X, y = (X - 0.5) * np.sqrt(12), (y - y.mean()) / y.std()
    problem = mf.Problem(
        X[:320], y[:320], X_test=X[320:], y_test=y[320:], l2=0.005, temperature=0.0005
    )
    found = mf.decompose_error(problem, n_particles=64)
    return {"total": float(found.total.value)}


def timed(job: Callable[[], Numbers]) -> Numbers:
    """Return what a job found, and the processor seconds that it took."""
    begin = time.process_time()
    found = job()
    return {"seconds": time.process_time() - begin, **found}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jax", help="a Python that has JAX and POT; left out without")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="some of the jobs")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    numba.set_num_threads(1)
    problem, run = _network()
    mlp = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
    jobs: dict[str, dict[str, Callable[[], Numbers]]] = {
        "rates": {"meanfield": rates},
        "atoms": {
            "meanfield": lambda: atoms(problem, run),
            "KMeans and ot.emd2": lambda: atoms_by_clusters(run),
        },
        "digits": {
            "meanfield": lambda: digits(mf.MeanFieldClassifier(random_state=0)),
            "scikit-learn": lambda: digits(mlp),
        },
        "error budget": {"meanfield": budget},
    }
    if options.jax:
        jobs["rates"]["JAX and ot.emd2"] = lambda: rates_by_jax(options.jax)
    table: dict[str, object] = {}
    for name in options.only or jobs:
        runs = [{who: timed(job) for who, job in jobs[name].items()} for _ in range(options.runs)]
        table[name] = {
            who: {key: round(float(np.median([r[who][key] for r in runs])), 3) for key in found}
            for who, found in runs[0].items()
        }
        print(name, json.dumps(table[name], indent=1), flush=True)
    table["load"] = {"mean of the last minute": os.getloadavg()[0], "cores": os.cpu_count() or 0}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
