"""The study `bench`: the speed and memory of the particle step, against peers and the machine."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
from pydantic import Field

from meanfield.bench.grid import ACTIVATIONS, GRIDS, Row, largest, scaling
from meanfield.bench.libraries import LIBRARIES
from meanfield.bench.measure import (
    installed_libraries,
    limit,
    measure_bounds,
    measure_row,
)
from meanfield.errors import ConfigError, suggest
from meanfield.studies.bench.report import headline, report
from meanfield.system.cores import available_cores
from meanfield.workbench.config import Count, Section, StudyConfig
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

_SCALING_REPEATS = 3
_VERSIONED = ("meanfield", "jax", "torch", "numpy")


class RowSection(Section):
    """A system of your own."""

    n_particles: Count = Field(description="Particles.")
    n_replicas: Count = Field(1, description="Independent systems.")
    n_data: Count = Field(description="Data points.")
    n_features: Count = Field(description="Input dimension.")
    dtype: Literal["float64", "float32"] = Field("float64", description="Float type.")
    activation: Literal[ACTIVATIONS] = Field("tanh", description=", ".join(ACTIVATIONS) + ".")


class BenchSection(Section):
    """What is timed."""

    grid: Literal[tuple(GRIDS)] = Field(
        "small",
        description="small (two minutes), standard (half an hour) or complete (a day).",
    )
    rows: list[RowSection] = Field([], description="Further systems, as tables [[bench.rows]].")
    libraries: list[str] = Field(
        [], description="Peers: " + ", ".join(list(LIBRARIES)[1:]) + "; all installed by default."
    )
    repeats: Count = Field(5, description="Timed runs per library and row, in turns.")
    threads: Count | None = Field(None, description="Cores for every library; all by default.")
    scaling: bool = Field(
        False, description="Whether to fit how the cost grows with N, n and replicas, too."
    )


class BenchConfig(StudyConfig):
    """Configuration of the study `bench`."""

    bench: BenchSection = Field(default_factory=BenchSection)


def prepare(config: BenchConfig) -> Plan:
    """Name one unit per row, one for the machine's limits."""
    section = config.bench
    threads = section.threads or available_cores()
    if threads > available_cores():
        raise ConfigError(
            f"key 'bench.threads' is {threads}, but this process may use {available_cores()} "
            "cores; give at most that many."
        )
    libraries = ["meanfield", *_peers(section.libraries)]
    rows = list(
        dict.fromkeys([*GRIDS[section.grid](), *(Row(**r.model_dump()) for r in section.rows)])
    )
    units = [Unit("bounds", bounds_unit, {"threads": threads}, "limits of the machine")]
    for row in rows:
        units.append(_unit("row", row, section.repeats, threads, libraries))
    lines = scaling() if section.scaling else {}
    alone = list(dict.fromkeys(row for line in lines.values() for row in line))
    if section.scaling:
        alone.append(largest())
    for row in alone:
        units.append(_unit("alone", row, _SCALING_REPEATS, threads, ["meanfield"]))
    versions = {name: _version(name) for name in _VERSIONED}
    machine = f"{_processor()}, {threads} threads"
    found = {"threads": threads, "libraries": libraries, "versions": versions, "machine": machine}
    return Plan(
        units=units,
        combine=lambda results: combine(rows, lines, results, **found),
        data=hashlib.sha256(f"{machine} {versions}".encode()).hexdigest(),
    )


def _unit(kind: str, row: Row, repeats: int, threads: int, libraries: list[str]) -> Unit:
    arguments = {
        "row": row.as_dict(), "repeats": repeats, "threads": threads, "libraries": libraries
    }  # fmt: skip
    return Unit(f"{kind}-{row.key}", row_unit, arguments, row.key, weight=len(libraries))


def _peers(asked: list[str]) -> list[str]:
    """The libraries to compare with, all of which can be imported."""
    installed = installed_libraries()
    for name in asked:
        if name not in LIBRARIES:
            raise ConfigError(
                f"key 'bench.libraries' names {name!r}, which is not known."
                f"{suggest(name, LIBRARIES)}"
            )
        if name not in installed:
            raise ConfigError(
                f"key 'bench.libraries' names {name!r}, which is not installed; "
                "pip install 'meanfield[bench]'."
            )
    return [name for name in asked or installed if name != "meanfield"]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "source" if name == "meanfield" else "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [
                line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
            ]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def bounds_unit(threads: int) -> Arrays:
    """The machine's limits as arrays, per float type."""
    return {
        f"{dtype}.{name}": np.array(value)
        for dtype, rates in measure_bounds(threads).items()
        for name, value in rates.items()
    }


def row_unit(row: Mapping[str, Any], repeats: int, threads: int, libraries: list[str]) -> Arrays:
    """Time one row."""
    return measure_row(Row(**row), repeats=repeats, threads=threads, libraries=libraries)


def combine(
    rows: list[Row],
    lines: Mapping[str, list[Row]],
    results: Mapping[str, Arrays],
    *,
    threads: int,
    libraries: list[str],
    versions: Mapping[str, str],
    machine: str,
) -> Outcome:
    """Put the rows in one dataset, with the limits and the fitted exponents."""
    import xarray as xr

    rates: dict[str, dict[str, float]] = {}
    for key, value in results["bounds"].items():
        dtype, name = key.split(".")
        rates.setdefault(dtype, {})[name] = float(value)
    measured = [results[f"row-{row.key}"] for row in rows]
    limits = [limit(row, rates[row.dtype], threads) for row in rows]
    per_library = ("row", "library")
    variables: dict[str, Any] = {
        "ns_per_pair": ((*per_library, "repeat"), np.stack([m["ns_per_pair"] for m in measured])),
        **{
            name: (per_library, np.stack([m[name] for m in measured]))
            for name in ("compile_seconds", "peak_bytes", "disagreement", "failure")
        },
        **{
            f"limit_{name}": ("row", np.array([each[name] for each in limits]))
            for name in limits[0]
        },
        "bound": (
            ("dtype", "quantity"), np.array([list(each.values()) for each in rates.values()])
        ),
    }  # fmt: skip
    coordinates: dict[str, Any] = {
        name: ("row", np.array([getattr(row, name) for row in rows]))
        for name in ("n_particles", "n_replicas", "n_data", "n_features", "activation")
    }
    coordinates |= {
        "row_dtype": ("row", np.array([row.dtype for row in rows])),
        "library": libraries,
        "dtype": list(rates),
        "quantity": list(next(iter(rates.values()))),
    }
    for name, line in lines.items():
        times = [results[f"alone-{row.key}"]["ns_per_pair"][0] * row.pairs for row in line]
        variables[f"step_ns_{name}"] = ((f"{name}_size", "scaling_repeat"), np.array(times))
        coordinates[f"{name}_size"] = [getattr(row, f"n_{name}") for row in line]
    if lines:
        variables["largest_peak_bytes"] = results[f"alone-{largest().key}"]["peak_bytes"][0]
    attributes = {"machine": machine, "threads": threads} | {
        f"version_{name}": value for name, value in versions.items()
    }
    dataset = xr.Dataset(variables, coords=coordinates, attrs=attributes)
    return Outcome(dataset, headline(dataset))


EXAMPLE: dict[str, Any] = {
    "study": "bench",
    "title": "The particle step on this machine",
    "bench": {"grid": "small", "repeats": 3},
}

STUDY = Study("bench", BenchConfig, EXAMPLE, prepare, report)
