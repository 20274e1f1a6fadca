"""Time the first `mf.simulate` of a process: with empty caches of compiled code, with full ones.

    python scripts/benchmarks/first.py --runs 3 --out results/benchmarks/first.json

Seconds of processor time (which other work on the machine lengthens a little) and of the clock
(which it lengthens much), from before ``import meanfield`` on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_JOB = """
import time
begin, used = time.perf_counter(), time.process_time()
import numpy as np
import meanfield as mf
X = np.random.default_rng(0).normal(size=(100, 3))
mf.simulate(mf.Problem(X, np.tanh(X[:, 0]), activation="tanh"), 256, 0.1, 50)
print(time.perf_counter() - begin, time.process_time() - used)
"""


def measure(cache: str) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    env = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", _JOB], env=env, check=True, capture_output=True, text=True
    )
    clock, processor = done.stdout.split()
    return float(clock), float(processor)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {"empty caches": [], "full caches": []}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as cache:
            for of_kind in times.values():
                of_kind.append(measure(cache))
    table = {
        name: dict(zip(("clock", "processor"), np.median(of_kind, axis=0).round(2), strict=True))
        for name, of_kind in times.items()
    }
    table["load"] = {"mean of the last minute": os.getloadavg()[0], "cores": os.cpu_count() or 0}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
