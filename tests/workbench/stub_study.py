"""A small study for the tests of the runner: four units, one of which the others need.

Run as a program it runs the study: ``stub_study.py CONFIG OUT PAUSE``, resuming what OUT holds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from meanfield.statistics.estimate import Estimate, Note
from meanfield.system import storage
from meanfield.system.progress import Progress
from meanfield.workbench.blocks import Figure, Finding, Text
from meanfield.workbench.config import StudyConfig, load_config
from meanfield.workbench.runner import run_study
from meanfield.workbench.study import Outcome, Plan, Study, Unit

# Seconds that a step of a unit takes; set by the program below.
PAUSE = 0.0


class StubConfig(StudyConfig):
    """Configuration of the stub."""

    size: int = 3
    labels: dict[str, float] = {}  # noqa: RUF012 (pydantic copies defaults)


def walk(
    start: float,
    length: int,
    base: Mapping[str, np.ndarray] | None = None,
    *,
    checkpoint: str,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """A unit: a sum built up step by step, its progress kept after every step."""
    path = np.full(1, start if base is None else start + base["path"][-1])
    if Path(checkpoint).exists():
        path = storage.load_arrays(checkpoint)[0]["path"]
    while len(path) <= length:
        time.sleep(PAUSE)
        path = np.append(path, np.sin(path[-1]) + path[-1])
        storage.save_arrays(checkpoint, {"path": path})
        progress(len(path) - 1, length)
    return {"path": path}


def prepare(config: StubConfig) -> Plan:
    units = [Unit("base", walk, {"start": 0.1, "length": 4}, "base")]
    for i in range(config.size):
        arguments, needs = {"start": float(i), "length": 3}, {"base": "base"}
        units.append(Unit(f"walk-{i}", walk, arguments, f"walk {i}", needs, 2.0))

    def combine(results: Mapping[str, Any]) -> Outcome:
        paths = np.stack([results[f"walk-{i}"]["path"] for i in range(config.size)])
        dataset = xr.Dataset({"path": (("walk", "step"), paths)})
        mean = float(paths[:, -1].mean())
        numbers = {
            "end": Estimate(mean, mean - 1, mean + 1, expected=2.0, label="End of the walk"),
            "alone": Estimate(
                1.0, notes=(Note("alone", "only one replica"),), label="Number without interval"
            ),
        }
        return Outcome(dataset, numbers)

    return Plan(units, combine, data="none")


def plot(dataset: xr.Dataset, ax):
    ax.plot(dataset["path"].values.T)
    return ax


def report(summary, dataset):
    return [
        Finding(f"The walk ends at {summary['numbers']['end']['value']:.2f} <b>&</b>."),
        Text("A walk."),
        Figure("walk", plot, 'A walk of "three" steps.'),
    ]


STUDY = Study("stub", StubConfig, {"study": "stub"}, prepare, report)


if __name__ == "__main__":
    PAUSE = float(sys.argv[3])
    run_study(STUDY, load_config(StubConfig, "stub", sys.argv[1]), sys.argv[2], resume=True)
