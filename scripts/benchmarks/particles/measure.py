"""Rows measured in turns by all libraries, each in its own process; the limits beside them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.flow.compiled.activations import keeps_slope
from meanfield.problem import get_activation
from scripts.benchmarks.particles.grid import Row
from scripts.benchmarks.particles.libraries import LIBRARIES

# The threads of some libraries go on spinning after a call, on cores that the next one needs.
_PAUSE = 0.25
_AGREEMENT = {"float64": 1e-10, "float32": 2e-4}
_ROOT = Path(__file__).parents[3]
_NEEDS = {"jax": "jax", "torch": "torch", "torch compiled": "torch"}


def installed_libraries() -> list[str]:
    """Those of `LIBRARIES` that can be imported here."""
    return [
        name for name in LIBRARIES
        if name not in _NEEDS or importlib.util.find_spec(_NEEDS[name]) is not None
    ]  # fmt: skip


def _environment(threads: int) -> dict[str, str]:
    names = ("NUMBA", "OPENBLAS", "OMP", "MKL")
    path = os.pathsep.join(filter(None, [os.fspath(_ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {f"{name}_NUM_THREADS": str(threads) for name in names} | {
        "PYTHONPATH": path
    }  # fmt: skip


class Worker:
    """A running worker, confined to some cores.

    Parameters
    ----------
    library : str
        A key of `LIBRARIES`.
    row : Row
        What it computes.
    threads : int
        Cores that it gets.
    """

    def __init__(self, library: str, row: Row, threads: int):
        # A pipe that nobody reads would fill.
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (closed in `close`)
        command = [sys.executable, "-m", "scripts.benchmarks.particles.worker", library]
        with _confined(0, threads):
            self._process = subprocess.Popen(
                [*command, json.dumps(row.as_dict())],
                env=_environment(threads), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            )  # fmt: skip

    def answer(self) -> dict | None:
        """The next line; None when the worker has died."""
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def run(self) -> dict | None:
        """One timed run."""
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.answer()

    def close(self) -> str:
        """End the worker; the last line that it wrote to standard error."""
        self._process.communicate()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        self._errors.close()
        return lines[-1] if lines else ""


@contextmanager
def _confined(first: int, last: int) -> Iterator[None]:
    """Give some of the cores to the processes that are started meanwhile."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[first:last])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measure_row(
    row: Row, repeats: int, threads: int, libraries: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Time one row.

    Parameters
    ----------
    row : Row
        The system.
    repeats : int
        Timed runs per library; the libraries take turns.
    threads : int
        Cores for every library.
    libraries : sequence of str
        Keys of `LIBRARIES`, meanfield first: the results of the others are compared with its own.

    Returns
    -------
    dict of dict
        By library: ``ns_per_pair``, nanoseconds per particle, datum and step of each repeat;
        ``compile_seconds``; ``peak_bytes``; ``disagreement``, the largest difference of a short
        noiseless run from meanfield's. Or only ``failure``, the last line that a library which
        failed wrote.

    Raises
    ------
    ArithmeticError
        A library computes something else.
    RuntimeError
        meanfield failed.
    """
    workers, ready = [], []
    for name in libraries:  # one after the other: compiling in parallel would be unfair
        workers.append(Worker(name, row, threads))
        ready.append(workers[-1].answer())
    answers: list[list[dict]] = [[] for _ in libraries]
    for _ in range(repeats):
        for i, worker in enumerate(workers):
            if ready[i] is not None:
                time.sleep(_PAUSE)
                if (answer := worker.run()) is not None:
                    answers[i].append(answer)
    last_lines = [worker.close() for worker in workers]
    per_run = row.pairs * row.n_steps
    result: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(libraries):
        if len(answers[i]) < repeats:
            if i == 0:
                raise RuntimeError(f"{name} failed in {row.key}: {last_lines[i] or 'no message'}")
            result[name] = {"failure": last_lines[i] or "died"}
            continue
        result[name] = {
            "ns_per_pair": [1e9 * answer["seconds"] / per_run for answer in answers[i]],
            "compile_seconds": ready[i]["compile_seconds"],
            "peak_bytes": max(answer["peak_bytes"] for answer in answers[i]),
            "disagreement": _difference(ready[i], ready[0]),
        }
        if (difference := result[name]["disagreement"]) > _AGREEMENT[row.dtype]:
            raise ArithmeticError(
                f"{name} computes something else in {row.key}: a difference of {difference:.1e} "
                "after a few noiseless steps."
            )
    return result


def _difference(answer: dict, reference: dict) -> float:
    """Largest difference of two short noiseless runs."""
    return float(np.abs(np.subtract(answer["check"], reference["check"])).max())


def measure_bounds(threads: int) -> dict[str, dict[str, float]]:
    """Measure the machine's limits, per float type, on several cores at once.

    Cores slow each other down, by the heat and by the memory they share: what one of them does
    alone is no limit for all.

    Parameters
    ----------
    threads : int
        Number of cores, each with a process of its own.

    Returns
    -------
    dict of dict
        Rates of one core, averaged.

    Raises
    ------
    RuntimeError
        A process failed.
    """
    processes = []
    for core in range(threads):
        with _confined(core, core + 1):
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.benchmarks.particles.bounds"],
                env=_environment(1), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        processes.append(process)
    answers = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, answers, strict=True):
        if process.returncode:
            reason = (errors.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"The limits of this machine could not be measured: {reason}.")
    each = [json.loads(answer) for answer, _ in answers]
    return {
        dtype: {name: float(np.mean([one[dtype][name] for one in each])) for name in rates}
        for dtype, rates in each[0].items()
    }


def limit(row: Row, bounds: dict[str, float], threads: int) -> dict[str, float]:
    """Nanoseconds per pair that the machine's own rates allow.

    Parameters
    ----------
    row : Row
        The system.
    bounds : dict
        Rates of one thread, as `measure_bounds` gives them for the row's float type.
    threads : int
        Number of threads.

    Returns
    -------
    dict
        ``arithmetic``: two products with the inputs, the activation once and the noise of d + 2
        coordinates shared by n data, nothing computed twice and memory free. ``attainable``: the
        gradient needs every activation again once all particles are summed; where they do not fit
        the second-level caches, they are computed again or go to memory and back, whichever the
        measured rates make cheaper. ``blas``: as the first, the products at the rate of the
        machine's own matrix product.
    """
    n, d = row.n_data, row.n_features
    product = 2 * (d + 1) / bounds["multiply_add_gflops"]
    activation = bounds[f"{row.activation}_ns"]
    noise = (d + 2) / n * bounds["gaussian_ns"]
    blas = 4 * (d + 1) / bounds["gemm_gflops"] + activation + noise
    once = 2 * product + activation + noise
    numbers = 2 if keeps_slope(get_activation(row.activation).code) else 1
    width = numbers * np.dtype(row.dtype).itemsize
    replicas_at_once = min(row.n_replicas, threads)
    working_set = width * n * row.n_particles * replicas_at_once
    traffic = width / bounds["read_gb_s"] + width / bounds["write_gb_s"]
    kept = working_set <= threads * bounds["second_cache_bytes"]
    attainable = once if kept else min(once + product + activation, max(once, traffic))
    limits = {"arithmetic": once, "attainable": attainable, "blas": blas}
    return {name: value / threads for name, value in limits.items()}
