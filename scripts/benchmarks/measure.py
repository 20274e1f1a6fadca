"""Interleaved measurement of one row in all libraries, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from scripts.benchmarks.grid import Row
from scripts.benchmarks.libraries import LIBRARIES

_ROOT = Path(__file__).parents[2]
# The threads of some libraries go on spinning after a call, on cores that the next one needs.
_PAUSE = 0.25
_AGREEMENT = {"float64": 1e-10, "float32": 2e-4}


class Worker:
    """A running worker; see `scripts.benchmarks.worker`."""

    def __init__(self, library: str, row: Row, threads: int):
        names = ("NUMBA", "OPENBLAS", "OMP", "MKL")
        environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in names}
        cores = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "scripts.benchmarks.worker", library,
                json.dumps(row.as_dict()),
            ],
            cwd=_ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip

    def answer(self) -> dict | None:
        """The next line; None when the worker has died."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def run(self) -> dict | None:
        """One timed run."""
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.answer()

    def close(self) -> str:
        """End the worker; what it said on standard error."""
        return self.process.communicate()[1]


def measure_row(row: Row, *, repeats: int, threads: int, libraries: list[str]) -> dict:
    """Times of one row.

    Returns
    -------
    dict
        The row, the steps per run, and per library the nanoseconds per particle–datum pair and
        step (median, quartiles, all), the compile time, the peak memory, and the largest
        difference of its check from meanfield's. A library that fails has its last words.
    """
    result: dict = {"row": row.as_dict(), "n_steps": row.n_steps, "libraries": {}}
    workers, ready = {}, {}
    for name in libraries:  # one after the other: compiling in parallel would be unfair
        workers[name] = Worker(name, row, threads)
        ready[name] = workers[name].answer()
    answers: dict[str, list[dict]] = {name: [] for name in libraries}
    for _ in range(repeats):
        for name in libraries:
            time.sleep(_PAUSE)
            if ready[name] is not None and (answer := workers[name].run()) is not None:
                answers[name].append(answer)
    for name in libraries:
        words = workers[name].close()
        if len(answers[name]) < repeats:
            result["libraries"][name] = {"failed": words.strip().splitlines()[-1:]}
            continue
        ns = np.array([a["seconds"] for a in answers[name]]) / (row.pairs * row.n_steps) * 1e9
        low, median, high = np.quantile(ns, [0.25, 0.5, 0.75])
        result["libraries"][name] = {
            "ns_per_pair": median,
            "quartiles": [low, high],
            "runs": ns.tolist(),
            "compile_seconds": ready[name]["compile_seconds"],
            "peak_mb": max(a["peak_bytes"] for a in answers[name]) / 1e6,
            "disagreement": _difference(ready[name], ready.get("meanfield")),
        }
    for name, entry in result["libraries"].items():
        if entry.get("disagreement", 0) > _AGREEMENT[row.dtype]:
            raise ArithmeticError(f"{name} computes something else in {row}: {entry}")
    return result


def _difference(mine: dict, reference: dict | None) -> float:
    if reference is None:
        return 0.0
    return float(np.abs(np.subtract(mine["check"], reference["check"])).max())


def measure_bounds() -> dict:
    """The machine's limits, measured in a fresh process."""
    command = [sys.executable, "-m", "scripts.benchmarks.bounds"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def default_libraries() -> list[str]:
    """All libraries."""
    return list(LIBRARIES)
