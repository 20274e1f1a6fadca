"""python -m scripts.scaling --out DIR: the time of a study's units over one and two Dask workers.

Every worker is a process of this machine with one thread. Rounds go through all numbers of workers
in turn, so that whatever else the machine does weighs on all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from meanfield.studies.chaos import study as chaos
from meanfield.workbench.config import parse
from meanfield.workbench.executors import get_executor
from meanfield.workbench.executors.calls import Call
from meanfield.workbench.executors.local import LocalExecutor

STUDY = {
    "study": "chaos",
    "data": {"source": "teacher", "n_features": 8, "n_atoms": 4, "n_train": 200},
    "problem": {"temperature": 0.05},
    "run": {"n_steps": 400},
    "chaos": {"particle_counts": [64, 128, 256, 512], "n_replicas": 32, "cloud_replicas": 0},
}
WORKERS = (1, 2)


def measure(rounds: int) -> dict:
    """Return seconds per number of workers, one entry a round."""
    plan = chaos.STUDY.prepare(parse(chaos.STUDY.config, STUDY))
    first = [Call(unit, {}, None) for unit in plan.units if not unit.needs]
    silent = lambda call, share: None  # noqa: E731
    results = {d.call.unit.key: d.arrays for d in LocalExecutor().run(first, silent)}
    calls = [
        Call(unit, {name: results[key] for name, key in unit.needs.items()}, None)
        for unit in plan.units
        if unit.needs
    ]
    seconds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    others = os.getloadavg()[0]
    for _ in range(rounds):
        for workers in WORKERS:
            with get_executor("dask", workers=workers) as executor:
                # The first call on every worker loads the compiled code.
                list(executor.run(calls[:workers], silent))
                begin = time.perf_counter()
                list(executor.run(calls, silent))
                seconds[workers].append(time.perf_counter() - begin)
    return {"units": len(calls), "load before": others, "seconds": seconds}


def table(found: dict) -> str:
    """Return the measurement as Markdown."""
    seconds = found["seconds"]
    rounds = len(seconds[1])
    lines = [
        f"Time of the {found['units']} units of a chaos study over Dask workers of one thread each "
        f"on a machine of two cores: median of {rounds} rounds, and the range of the speed-up. "
        f"Other work on the machine at the start: a load of {found['load before']:.1f} processes; "
        "above 0, two workers also get a larger share of the cores than one.",
        "",
        "`python -m scripts.scaling --out results/cluster`",
        "",
        "| workers | seconds | speed-up | range |",
        "| --- | --- | --- | --- |",
    ]
    for workers, times in seconds.items():
        ratio = np.array(seconds[1]) / np.array(times)
        lines.append(
            f"| {workers} | {np.median(times):.1f} | {np.median(ratio):.2f} "
            f"| {ratio.min():.2f} to {ratio.max():.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scaling")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = measure(options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "seconds.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.out / "README.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
