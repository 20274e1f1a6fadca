"""What was measured: a file that grows row by row and is continued."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.system import storage

NAME = "measurements.json"


@dataclass(frozen=True)
class Setup:
    """Where and how everything in a file was measured.

    Parameters
    ----------
    machine : str
        Name of the processor.
    threads : int
        Cores of every library.
    repeats : int
        Timed runs per library and row.
    libraries : tuple of str
        Keys of `LIBRARIES`, meanfield first.
    versions : dict of str
        Versions of the peers.
    """

    machine: str
    threads: int
    repeats: int
    libraries: tuple[str, ...]
    versions: dict[str, str]


@dataclass
class Measurements:
    """The content of a file of measurements.

    Parameters
    ----------
    setup : Setup
        How it was measured.
    bounds : dict of dict
        Rates of one core by float type, as `measure_bounds` gives them.
    rows : dict of dict
        By `Row.key`: ``row``, its fields, and ``libraries``, what `measure_row` gives.
    scaling : dict of list
        By the size that grows: records of ``size`` and ``step_ns``, nanoseconds per step of each
        repeat.
    largest_peak_bytes : int or None
        Peak memory of the largest row.
    """

    setup: Setup
    bounds: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    scaling: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    largest_peak_bytes: int | None = None

    @classmethod
    def load(cls, folder: Path) -> Measurements:
        """Read the file of a folder."""
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        setup = content.pop("setup")
        libraries = tuple(setup.pop("libraries"))
        return cls(Setup(libraries=libraries, **setup), **content)

    @classmethod
    def load_or_start(cls, folder: Path, setup: Setup) -> Measurements:
        """Continue the file of a folder, which must have been measured the same way."""
        if not (folder / NAME).exists():
            folder.mkdir(parents=True, exist_ok=True)
            return cls(setup)
        found = cls.load(folder)
        if found.setup != setup:
            raise SystemExit(
                f"{folder / NAME} was measured otherwise: {found.setup}, now {setup}; give "
                "another --out."
            )
        return found

    def save(self, folder: Path) -> None:
        """Write the file as a whole."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)
        storage.write_atomic(folder / NAME, f"{text}\n".encode())

    def times(self, key: str, library: str) -> np.ndarray:
        """Nanoseconds per pair of each repeat; NaN for a library that failed."""
        record = self.rows[key]["libraries"][library]
        return np.array(record.get("ns_per_pair", [np.nan] * self.setup.repeats))

    def best_peer(self, key: str) -> str | None:
        """Return the peer with the smallest median; None where no peer ran."""
        medians = {
            name: float(np.median(self.times(key, name))) for name in self.setup.libraries[1:]
        }
        ran = {name: median for name, median in medians.items() if not np.isnan(median)}
        return min(ran, key=ran.__getitem__) if ran else None

    def ratio(self, key: str) -> np.ndarray:
        """Time of the best peer over meanfield's, of each repeat; NaN where no peer ran."""
        peer, own = self.best_peer(key), self.times(key, "meanfield")
        return np.full(len(own), np.nan) if peer is None else self.times(key, peer) / own
