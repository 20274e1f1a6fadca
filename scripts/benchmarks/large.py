"""Hold large data against this machine's own matrix product, and learn ten classes of them.

    python scripts/benchmarks/large.py --out results/benchmarks/large.json

A full step on 60000 × 784 numbers with N = 2000 in single precision, and NumPy's two products of
the same size, in turns, on as many threads each: what stands in the table are medians of processor
seconds, and the ratio of the two. Then `MeanFieldClassifier` as it comes, but for the 2000 neurons,
learns ten made-up classes of that size and is scored on 10000 further rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import meanfield as mf
from meanfield.flow.compiled.particle_step import advance
from meanfield.flow.compiled.structures import NoiseCounters, make_data, make_factors
from meanfield.problem.activations import ACTIVATIONS
from meanfield.system.compiling import numba

_CLASSES, _CLUSTERS, _HIDDEN, _TEST = 10, 3, 8, 10_000


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def step(n: int, d: int, particles: int, runs: int) -> dict[str, float]:
    """Return processor seconds of a step and of the products."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32) / np.float32(np.sqrt(d))
    theta = rng.standard_normal((1, d + 2, particles), dtype=np.float32)
    data = make_data(X, X[:, :1], d + 1, "float32")
    row = np.full((1, d + 2), 1e-3)
    factors = make_factors(1 - row, row, row, 1)
    weights, pulls = theta[0, 1:-1].copy(), np.ones((particles, n), np.float32)
    out, back = np.empty((n, particles), np.float32), np.empty((particles, d), np.float32)
    tanh = ACTIVATIONS["tanh"].code

    def one() -> None:
        advance(theta, data, factors, NoiseCounters(np.uint64(0), 0, 0), activation=tanh, loss=0)

    def products() -> None:
        np.dot(X, weights, out=out)
        np.dot(pulls, X, out=back)

    one()
    times = np.array([(_seconds(one), _seconds(products)) for _ in range(runs)])
    ours, numpys = np.median(times, axis=0)
    return {
        "step_seconds": round(float(ours), 2),
        "products_seconds": round(float(numpys), 2),
        "step_over_products": round(float(np.median(times[:, 0] / times[:, 1])), 3),
        "least_and_most": [round(float(f(times[:, 0] / times[:, 1])), 3) for f in (min, max)],
    }


def classes(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of a few hidden numbers, in noise, and classes of three clusters each."""
    rng = np.random.default_rng(1)
    pictures = rng.standard_normal((_HIDDEN, d), dtype=np.float32) / np.float32(np.sqrt(_HIDDEN))
    centres = 1.5 * rng.standard_normal((_CLUSTERS * _CLASSES, _HIDDEN), dtype=np.float32)
    cluster = rng.integers(len(centres), size=n)
    hidden = centres[cluster] + 0.3 * rng.standard_normal((n, _HIDDEN), dtype=np.float32)
    X = hidden @ pictures + 0.5 * rng.standard_normal((n, d), dtype=np.float32)
    return X, cluster % _CLASSES


def learn(n: int, d: int, particles: int) -> dict[str, object]:
    """Return what learning took, and how well it went."""
    X, y = classes(n + _TEST, d)
    wall, begin = time.perf_counter(), time.process_time()
    model = mf.MeanFieldClassifier(particles, random_state=0).fit(X[:n], y[:n])
    took = time.process_time() - begin
    return {
        "accuracy": round(float(model.score(X[n:], y[n:])), 4),
        "accuracy_of_the_most_frequent_class": round(float(np.bincount(y[n:]).max() / _TEST), 4),
        "processor_seconds": round(took, 1),
        "seconds": round(time.perf_counter() - wall, 1),
        "peak_gb": round(_peak(), 2),
    }


def _peak() -> float:
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=2, default=[60_000, 784], metavar=("N", "D"))
    parser.add_argument("--particles", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the step and of the products")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table: dict[str, object] = {"learning": learn(*options.size, options.particles)}
    numba.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        table["step"] = step(*options.size, options.particles, options.runs)
    table["threads_of_the_step"] = options.threads
    table["load"] = {"mean of the last minute": os.getloadavg()[0], "cores": os.cpu_count() or 0}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
