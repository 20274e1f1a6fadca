"""Where a result comes from: versions, machine, state of the code, time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from meanfield.system.version import VERSION, source_commit

_LIBRARIES = ("numpy", "scipy", "numba", "POT", "xarray", "h5netcdf", "matplotlib")


@dataclass(frozen=True)
class Provenance:
    """With what, on what and how long a result was computed.

    `machine` is the system, processor and number of cores; `seconds` the time that the work took;
    `commit` the state of the code, where it was a git checkout.
    """

    versions: Mapping[str, str]
    machine: str
    seconds: float
    commit: str | None = None

    @classmethod
    def here(cls, seconds: float) -> Provenance:
        """Return that of work which this process has done in so many seconds."""
        versions = {"meanfield": VERSION, "Python": platform.python_version()}
        versions |= {name: importlib.metadata.version(name) for name in _LIBRARIES}
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        return cls(versions, machine, round(seconds, 1), source_commit())
