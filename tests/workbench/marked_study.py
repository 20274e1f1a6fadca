"""A study for the tests of executors: units that take time and leave a mark when they start.

Run as a program it is a driver: ``marked_study.py CONFIG OUT ADDRESS``, resuming what OUT holds;
ADDRESS is that of a Dask scheduler, dask for a cluster on this machine, or the number of processes
on it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from meanfield.errors import DivergenceError
from meanfield.statistics.estimate import Estimate
from meanfield.studies import STUDIES, Entry
from meanfield.system.compiling import thread_count
from meanfield.workbench.blocks import Finding
from meanfield.workbench.config import StudyConfig, load_config
from meanfield.workbench.executors import get_executor
from meanfield.workbench.runner import run_study
from meanfield.workbench.study import Outcome, Plan, Study, Unit


class MarkedConfig(StudyConfig):
    """Configuration of the study."""

    size: int = 8
    pause: float = 0.0
    marks: str = ""
    fail: int = -1


def work(
    index: int,
    config: dict[str, Any],
    base: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """A unit: says who works on it, takes its time, and may fail."""
    if config["marks"]:
        with open(config["marks"], "a") as file:
            file.write(f"{os.getpid()} {index}\n")
    time.sleep(config["pause"])
    if index == config["fail"]:
        raise DivergenceError("lost", step=3, replica=index, stable_step_size=0.5)
    if config["fail"] < -1 and index == -1 - config["fail"]:
        os._exit(1)
    values = np.linspace(index, index + 1, 7)
    if base is not None:
        base["values"][0] += 1  # inputs are the unit's own
        values = np.sin(values) + base["values"]
    return {"values": values}


def threads(folder: str, together: int) -> dict[str, np.ndarray]:
    """A unit: tells its threads while so many run, of those that make a file in this folder."""
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < together:
        time.sleep(0.01)
    found = thread_count()
    (Path(folder) / f"{os.getpid()} done").touch()
    while len(list(Path(folder).glob("* done"))) < together:
        time.sleep(0.01)
    return {"threads": np.array(found)}


def prepare(config: MarkedConfig) -> Plan:
    settings = config.model_dump()
    units = [Unit("base", work, {"index": 0, "config": settings}, "base")]
    for i in range(1, config.size):
        arguments = {"index": i, "config": settings}
        units.append(Unit(f"unit-{i}", work, arguments, f"unit {i}", {"base": "base"}))

    def combine(results: Mapping[str, Any]) -> Outcome:
        values = np.stack([results[key]["values"] for key in sorted(results)])
        dataset = xr.Dataset({"values": (("unit", "point"), values)})
        return Outcome(dataset, {"mean": Estimate(values.mean(), label="Mean")})

    return Plan(units, combine, data="none")


STUDY = Study("marked", MarkedConfig, {"study": "marked"}, prepare, lambda *_: [Finding("Done.")])


if __name__ == "__main__":
    STUDIES["marked"] = Entry("tests.workbench.marked_study", "For tests.")
    # Functions must be known by the name under which workers import them.
    from tests.workbench import marked_study

    loaded = load_config(marked_study.MarkedConfig, "marked", sys.argv[1])
    if sys.argv[3].isdigit():
        place = get_executor(workers=int(sys.argv[3]))
    elif sys.argv[3] == "dask":
        place = get_executor("dask", workers=1)
    else:
        place = get_executor("dask", scheduler=sys.argv[3])
    # A shell starts what it runs in the background with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with place as executor:
        run_study(marked_study.STUDY, loaded, Path(sys.argv[2]), resume=True, executor=executor)
