"""Time what a sweep costs beside its work: seconds and bytes of a unit, by where units run.

    python scripts/benchmarks/sweep.py [--workers 1 2 4] [--out FILE.json]

A study of small networks on two grids, the larger with four times the points. What the larger one
takes more, less the time of its units themselves over the processes at work, is the overhead of
its further units: checking the point, sending the unit, saving it, joining the point's numbers.
Figures are left out, and so is starting workers, which is told apart. Where there are more
processes than cores only the time of the whole is told.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from meanfield import plots
from meanfield.studies.sweep.config import read_sweep
from meanfield.studies.sweep.study import sweep_of
from meanfield.system import storage
from meanfield.system.threads import cores
from meanfield.workbench.executors import get_executor
from meanfield.workbench.executors.calls import Call
from meanfield.workbench.runner import run_study

STUDY = {
    "study": "simulate",
    "data": {"source": "teacher", "n_features": 10, "n_atoms": 3, "n_train": 200, "n_test": 100},
    "run": {"n_steps": 100},
    "simulate": {"n_particles": 64, "n_replicas": 4},
}
#: Points on the axes of the smaller and of the larger grid.
GRIDS, REPEATS = ((7, 5), (14, 10)), 3


def sweep(shape: tuple[int, int]):
    """Return a sweep over a grid of that shape: its study and its configuration."""
    l2, temperature = np.geomspace(1e-4, 1e-1, shape[0]), np.linspace(1e-4, 1e-2, shape[1])
    over = {"problem.l2": l2, "problem.temperature": temperature}
    config = read_sweep(STUDY, over, None, path="benchmark", folder=".")
    return sweep_of(config.of), config


def run(shape: tuple[int, int], executor) -> dict[str, float]:
    """Run a sweep into a folder of its own; return what it took, in all and in its units."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run_study(*sweep(shape), folder, executor=executor)
        took = time.perf_counter() - begin
        files = list(Path(folder, "work").glob("*.npz"))
        inside = sum(storage.load_arrays(file)[1]["seconds"] for file in files)
        size = sum(file.stat().st_size for file in files)
    return {"units": len(files), "seconds": took, "work": inside, "bytes": size}


def measure(place, workers: int) -> dict[str, float]:
    """Return the overhead of a unit where `workers` processes work."""
    begin = time.perf_counter()
    with place as executor:
        run((2, 2), executor)  # compiles, and loads what every process needs
        start = time.perf_counter() - begin
        rounds = [[run(shape, executor) for shape in GRIDS] for _ in range(REPEATS)]
    overheads, works = [], []
    for small, large in rounds:
        more = {name: large[name] - small[name] for name in large}
        overheads.append((more["seconds"] - more["work"] / workers) / more["units"])
        works.append(more["work"] / more["units"])
    # Where processes share a core, the time of a unit is not its work.
    known = workers <= cores()
    return {
        "start_seconds": start,
        "seconds_in_a_unit": statistics.median(works),
        "overhead_seconds_of_a_unit": statistics.median(overheads) if known else None,
        "overheads": overheads if known else None,
        "file_bytes_of_a_unit": rounds[0][1]["bytes"] / rounds[0][1]["units"],
        "seconds_of_140_points": statistics.median(large["seconds"] for _, large in rounds),
    }


def main() -> None:
    """Measure one process, then clusters of Dask; print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    study, config = sweep(GRIDS[0])
    unit = study.prepare(config).units[0]
    rows = [{"cores": cores(), "sent_bytes_of_a_unit": len(pickle.dumps(Call(unit, {}, None)))}]
    print(rows[0], flush=True)
    places = [("here", 1, lambda: get_executor())]
    places += [
        (f"dask {n}", n, lambda n=n: get_executor("dask", workers=n)) for n in arguments.workers
    ]
    # Drawing is no overhead of units.
    without = mock.patch.object(plots, "render", return_value=(b"", b""))
    for name, workers, place in places:
        with without:
            rows.append({"place": name} | measure(place(), workers))
        print(rows[-1], flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
