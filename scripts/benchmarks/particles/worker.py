"""One library in a process of its own, driven over standard input and output.

    python -m scripts.benchmarks.particles.worker LIBRARY '{"n_particles": …}'

prints one JSON line when ready (compile time, a check of the result) and one per line read: the
seconds of one timed run and the process's peak memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import numpy as np

from scripts.benchmarks.particles.grid import Row
from scripts.benchmarks.particles.libraries import LIBRARIES

STEP_SIZE, L2, NOISE = 0.05, 0.01, 0.01
_CHECK_STEPS = 2


def system(row: Row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start (R, C, N), inputs (n, d) and targets (n,), the same for every library."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(row.n_data, row.n_features)) / np.sqrt(row.n_features)
    y = np.sin(3 * X[:, 0])
    shape = (row.n_replicas, row.n_features + 2, row.n_particles)
    start = rng.standard_normal(shape, dtype=row.dtype)
    return start, X.astype(row.dtype), y.astype(row.dtype)


def fingerprint(theta: np.ndarray) -> list[float]:
    """A few weighted means of a state, which tell dynamics apart."""
    weight = np.cos(np.arange(theta.shape[2]))
    return [float(v) for v in (theta[0].astype(float) * weight).mean(axis=1)[:8]]


def peak_bytes() -> int:
    """Largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Serve one row."""
    # Libraries talk on standard output too: keep it for the answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**content: object) -> None:
        print(json.dumps(content), file=answers, flush=True)

    library, row = LIBRARIES[sys.argv[1]], Row(**json.loads(sys.argv[2]))
    start, X, y = system(row)
    quiet = library(row, start, X, y, STEP_SIZE, L2, 0.0)(_CHECK_STEPS)
    begin = time.perf_counter()
    run = library(row, start, X, y, STEP_SIZE, L2, NOISE)
    run(row.n_steps)
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    run(row.n_steps)
    warm = time.perf_counter() - begin
    answer(check=fingerprint(quiet), compile_seconds=max(first - warm, 0.0))
    for _ in sys.stdin:
        begin = time.perf_counter()
        run(row.n_steps)
        answer(seconds=time.perf_counter() - begin, peak_bytes=peak_bytes())


if __name__ == "__main__":
    main()
