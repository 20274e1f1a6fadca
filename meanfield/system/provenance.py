"""Where a result comes from: versions, machine, state of the code, time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from meanfield.system.version import VERSION, source_commit

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("numpy", "scipy", "numba", "POT", "xarray", "h5netcdf", "matplotlib")

# What the last digits of a result depend on, beside the processor.
_COMPUTING = ("numpy", "scipy", "numba", "llvmlite", "POT")


@cache
def software() -> dict[str, str]:
    """Return what must be the same wherever the units of one study run, by name."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    versions = {name: importlib.metadata.version(name) for name in _COMPUTING}
    return {"meanfield": VERSION, "the source of meanfield": digest.hexdigest()[:12]} | versions


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
