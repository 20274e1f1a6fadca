"""What a validation script leaves in ``results/NAME``: numbers, table, picture, manifest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.estimate_parts import BOUND, BOUNDS
from meanfield.system import manifest, storage
from meanfield.system.provenance import Provenance
from meanfield.system.version import VERSION

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

ROOT = Path(__file__).parents[2]


def write_result(
    folder: Path,
    title: str,
    numbers: Mapping[str, Estimate],
    dataset: xr.Dataset,
    picture: bytes,
    provenance: Provenance,
) -> None:
    """Write everything, each file whole or absent, the manifest last; the folder names it."""
    name = folder.name
    summary = {
        "study": name,
        "title": title,
        "version": VERSION,
        "numbers": {key: estimate.to_summary() for key, estimate in numbers.items()},
    }
    files = {
        "summary.json": json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "table.csv": to_csv(dataset),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        storage.write_atomic(folder / file, text.encode())
    storage.write_atomic(folder / f"{name}.png", picture)
    manifest.write_manifest(folder, [*files, f"{name}.png"], asdict(provenance))


def read_numbers(folder: Path) -> dict[str, Estimate]:
    """Return the headline numbers of a result."""
    summary = json.loads((folder / "summary.json").read_bytes())
    return {key: Estimate.from_summary(saved) for key, saved in summary["numbers"].items()}


def to_csv(dataset: xr.Dataset) -> str:
    """Return a dataset as a long table: one row an entry, with its interval where it has one."""
    dims = [str(dim) for dim in dataset.dims if dim != BOUND]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["quantity", *dims, *BOUNDS])
    for name, variable in dataset.data_vars.items():
        own = [str(dim) for dim in variable.dims if dim != BOUND]
        bounded = BOUND in variable.dims
        values = variable.transpose(*own, *([BOUND] if bounded else [])).values
        for index in np.ndindex(tuple(variable.sizes[dim] for dim in own)):
            entry = np.atleast_1d(values[index])
            if not np.isnan(entry[0]):
                at = {dim: dataset[dim].values[i] for dim, i in zip(own, index, strict=True)}
                parts = [f"{x:.8g}" if np.isfinite(x) else "" for x in entry]
                parts += [""] * (len(BOUNDS) - len(parts))
                writer.writerow([name, *(at.get(dim, "") for dim in dims), *parts])
    return text.getvalue()


def bars(ax: Axes, x: Any, estimate: xr.DataArray, **style: Any) -> None:
    """Draw an estimate in a dataset, over `x`, with its interval."""
    drawn = Estimate.from_xarray(estimate)
    ax.errorbar(np.asarray(x), drawn.value, drawn.arms, **style)


def require(holds: bool | None, claim: str) -> None:
    """Raise unless a claim holds; None, a claim that cannot be judged, does not hold."""
    if not holds:
        raise AssertionError(f"The results do not support that {claim}.")
