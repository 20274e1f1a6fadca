"""python -m scripts.benchmarks --out DIR [--grid small|headline|complete]."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scripts.benchmarks import report
from scripts.benchmarks.grid import GRIDS
from scripts.benchmarks.measure import default_libraries, measure_bounds, measure_row


def benchmark(
    out: Path, *, grid: str = "headline", repeats: int = 7, threads: int | None = None,
    libraries: list[str] | None = None,
) -> dict:  # fmt: skip
    """Measure a grid and write ``benchmark.json``, ``table.md`` and ``roofline.png`` to ``out``.

    Parameters
    ----------
    out : Path
        Folder; made if missing. Results are saved after every row.
    grid : str
        Key of `GRIDS`.
    repeats : int
        Timed runs per library, interleaved between libraries.
    threads : int, optional
        Cores given to every library; all that this process may use by default.
    libraries : list of str, optional
        A selection of `LIBRARIES`; meanfield must be among them.

    Returns
    -------
    dict
        What ``benchmark.json`` holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    threads = threads or len(os.sched_getaffinity(0))
    libraries = libraries or default_libraries()
    results: dict = {
        "machine": platform.processor() or platform.machine(),
        "threads": threads,
        "versions": {name: _version(name) for name in ("meanfield", "numba", "jax", "torch")},
        "bounds": measure_bounds(),
        "rows": [],
    }
    for row in GRIDS[grid]():
        entry = measure_row(row, repeats=repeats, threads=threads, libraries=libraries)
        results["rows"].append(entry)
        times = {n: f"{e.get('ns_per_pair', float('nan')):.2f}" for n, e in
                 entry["libraries"].items()}  # fmt: skip
        print(row, times, flush=True)
        (out / "benchmark.json").write_text(json.dumps(results, indent=1))
    (out / "table.md").write_text(report.table(results))
    report.plot(results, out / "roofline.png")
    return results


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmarks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grid", choices=GRIDS, default="headline")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--libraries", nargs="+", choices=default_libraries())
    arguments = parser.parse_args()
    results = benchmark(**vars(arguments))
    print(report.table(results))


if __name__ == "__main__":
    main()
