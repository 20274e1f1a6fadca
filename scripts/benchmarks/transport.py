"""Time the exact matched W2² of synchronously coupled clouds against POT's dense solver.

    python scripts/benchmarks/transport.py [--out FILE.json]

The clouds are particles at the end of a run and their McKean–Vlasov copies. `ot.emd2` gets the
dense cost matrix, the building of which is timed too, as ours includes finding the candidates.
Clouds that are not coupled, which ours hands to the same solver, are timed beside them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import ot

import meanfield as mf
from meanfield.transport import matched_wasserstein2

FEATURES, REPEATS = 10, 3  # p = 12 with the output weight and the bias


def coupled_clouds(n_particles: int) -> tuple[np.ndarray, np.ndarray]:
    """Particles after 300 steps and their copies, each of shape (N, 12)."""
    random = np.random.default_rng(0)
    X = random.standard_normal((200, FEATURES)) / np.sqrt(FEATURES)
    problem = mf.Problem(X, np.sin(3 * X[:, 0]), l2=0.1, temperature=0.01)
    settings = {"step_size": 0.2, "n_steps": 300, "seed": 1}
    flow = mf.mean_field(problem, method="particles", n_particles=2**16, **settings | {"seed": 2})
    clouds = []
    for drive in (None, flow.predictions[:-1]):
        run = mf.simulate(problem, n_particles=n_particles, drive=drive, **settings)
        particles = run.particles
        clouds.append(np.column_stack([particles.a[0], particles.w[0], particles.b[0]]))
    return clouds[0], clouds[1]


def dense(x: np.ndarray, y: np.ndarray) -> float:
    """POT's exact solver on the dense matrix of costs."""
    return float(ot.emd2([], [], ot.dist(x, y), numItermax=10_000_000))


def main() -> None:
    """Time both in turns and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for n in arguments.counts:
        x, y = coupled_clouds(n)
        z = y[np.random.default_rng(3).permutation(n)] + 0.0
        half = x[: n // 2], y[n // 2 :]
        for name, ours, pair in (
            ("coupled", matched_wasserstein2, (x, y)),
            ("coupled, order lost", mf.wasserstein2, (x, z)),
            ("independent", mf.wasserstein2, half),
        ):
            rows.append({"clouds": name, "n": len(pair[0])} | _compare(ours, *pair))
            print(rows[-1], flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _compare(ours, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    ours(x[:64], y[:64])  # compiles
    seconds: dict[str, list[float]] = {"meanfield": [], "ot.emd2": []}
    values = {}
    for _ in range(REPEATS):
        for name, solve in (("meanfield", ours), ("ot.emd2", dense)):
            begin = time.perf_counter()
            values[name] = float(solve(x, y))
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "meanfield_seconds": medians["meanfield"],
        "emd2_seconds": medians["ot.emd2"],
        "ratio": medians["ot.emd2"] / medians["meanfield"],
        "relative_difference": abs(values["meanfield"] / values["ot.emd2"] - 1),
    }


if __name__ == "__main__":
    main()
