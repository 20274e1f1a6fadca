"""Time the particle step against JAX, PyTorch and NumPy, and against the machine's own limits.

    python -m scripts.benchmarks.particles --grid standard --scaling --out DIR

Needs the extra `bench` for JAX and PyTorch, and an idle machine: the small grid takes two minutes,
the standard one half an hour, the complete one a day. Every row is saved as soon as it is measured,
and the same command continues where it stopped. Options:

    --grid small|standard|complete   systems that are timed
    --scaling                        how the cost grows with N, n and the number of replicas, too
    --libraries jax numpy ...        peers; all that are installed by default
    --repeats 5                      timed runs per library and row, in turns
    --threads 2                      cores for every library; all by default
    --report-only                    write the report again from what was measured
"""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from loky import cpu_count

from meanfield.studies.bench.study import processor_name
from scripts.benchmarks.particles.grid import GRIDS, Row, largest, scaling
from scripts.benchmarks.particles.libraries import LIBRARIES
from scripts.benchmarks.particles.measure import installed_libraries, measure_bounds, measure_row
from scripts.benchmarks.particles.measurements import Measurements, Setup
from scripts.benchmarks.particles.report import write_report

_SCALING_REPEATS = 3
_VERSIONED = ("jax", "torch", "numpy")


def main() -> None:
    """Measure what the folder does not hold yet, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grid", choices=GRIDS, default="small")
    parser.add_argument("--scaling", action="store_true")
    peers = [name for name in installed_libraries() if name != "meanfield"]
    parser.add_argument("--libraries", nargs="+", choices=list(LIBRARIES)[1:], default=peers)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cpu_count())
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    if missing := set(arguments.libraries) - set(peers):
        parser.error(f"{', '.join(missing)} is not installed; pip install 'meanfield[bench]'.")
    if arguments.threads > cpu_count():
        parser.error(f"--threads may be at most {cpu_count()}, the cores of this process.")
    if not arguments.report_only:
        setup = Setup(
            machine=processor_name(),
            threads=arguments.threads,
            repeats=arguments.repeats,
            libraries=("meanfield", *arguments.libraries),
            versions={name: _version(name) for name in _VERSIONED},
        )
        measure(arguments.out, setup, list(GRIDS[arguments.grid]()), arguments.scaling)
    write_report(arguments.out, Measurements.load(arguments.out))


def measure(out: Path, setup: Setup, rows: list[Row], with_scaling: bool) -> None:
    """Measure the limits, the rows and the scaling, and save each as soon as it is known."""
    found = Measurements.load_or_start(out, setup)
    if not found.bounds:
        found.bounds = measure_bounds(setup.threads)
        found.save(out)
    for row in rows:
        if row.key not in found.rows:
            print(row.key, flush=True)
            found.rows[row.key] = {"row": row.as_dict()} | {
                "libraries": measure_row(row, setup.repeats, setup.threads, setup.libraries)
            }
            found.save(out)
    if not with_scaling:
        return
    for name, line in scaling().items():
        if name not in found.scaling:
            print(f"scaling with {name}", flush=True)
            found.scaling[name] = [
                {
                    "size": getattr(row, f"n_{name}"),
                    "step_ns": [ns * row.pairs for ns in _alone(row, setup)["ns_per_pair"]],
                }
                for row in line
            ]
            found.save(out)
    if found.largest_peak_bytes is None:
        found.largest_peak_bytes = _alone(largest(), setup)["peak_bytes"]
        found.save(out)


def _alone(row: Row, setup: Setup) -> dict:
    """Measure a row for meanfield alone."""
    return measure_row(row, _SCALING_REPEATS, setup.threads, ["meanfield"])["meanfield"]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
