"""Hold a step on wide inputs against NumPy's products and the multiply–add units, on one thread.

    python -m scripts.benchmarks.wide --out results/benchmarks/wide.json

A step makes two products of 2 N n d operations. What stands in the table are medians over runs in
turns, in seconds of the thread: the time of NumPy's two products over that of the step (1 is a step
that takes no longer than its products do there, with the activation and the noise for nothing), and
that of as many operations in a loop of multiply–adds alone, the arithmetic limit.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from meanfield.flow.compiled.layout import aligned
from meanfield.flow.compiled.particle_step import advance
from meanfield.flow.compiled.simd import GROUP_BYTES
from meanfield.flow.compiled.structures import NoiseCounters, make_data, make_factors
from meanfield.problem.activations import ACTIVATIONS
from meanfield.system.compiling import numba
from scripts.benchmarks.particles.bounds import multiply_add

_N, _DATA = 512, 256


def _seconds(work: Callable[[], object]) -> float:
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def measure(d: int, dtype: str, runs: int) -> dict[str, float]:
    """Milliseconds of a step and of the products."""
    rng = np.random.default_rng(d)
    X = (rng.normal(size=(_DATA, d)) / np.sqrt(d)).astype(dtype)
    theta = rng.normal(size=(1, d + 2, _N)).astype(dtype)
    data = make_data(X, X[:, :1], d + 1, dtype)
    row = np.full((1, d + 2), 1e-3)
    factors = make_factors(1 - row, row, row, 1)
    weights, pulls = theta[0, 1:-1], np.ones((_N, _DATA), dtype)
    tanh = ACTIVATIONS["tanh"].code

    def step() -> None:
        advance(theta, data, factors, NoiseCounters(np.uint64(0), 0, 0), activation=tanh, loss=0)

    def products() -> None:
        X @ weights, pulls @ X

    def limit() -> None:
        multiply_add(X.ravel(), sums, operations // per_turn)

    sums = aligned(256, np.dtype(dtype))
    operations = 4 * _N * _DATA * d
    per_turn = 2 * 4 * GROUP_BYTES // np.dtype(dtype).itemsize  # four groups, two operations each
    step(), products(), limit()
    times = np.array([[_seconds(work) for work in (step, products, limit)] for _ in range(runs)])
    ours, numpys, least = 1e3 * np.median(times, axis=0)
    return {
        "step_ms": round(ours, 2),
        "products_ms": round(numpys, 2),
        "limit_ms": round(least, 2),
        "share": round(float(np.median(times[:, 1] / times[:, 0])), 3),
        "share_of_the_limit": round(float(np.median(times[:, 2] / times[:, 0])), 3),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--inputs", type=int, nargs="+", default=[784, 3072])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    numba.set_num_threads(1)
    with threadpool_limits(1):
        table = {
            f"d = {d}, {dtype}": measure(d, dtype, options.runs)
            for d in options.inputs
            for dtype in ("float64", "float32")
        }
    table["load"] = {"mean of the last minute": os.getloadavg()[0], "cores": os.cpu_count() or 0}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
