"""The report of the study `bench`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from meanfield.statistics.estimate import Estimate
from meanfield.studies.bench.figures import plot_step_times
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Headline, Summary
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_number,
    format_value,
    headline_table,
)

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class BenchHeadline(Headline):
    """What a step costs, with the most threads."""

    ns_per_pair: Estimate  # nanoseconds per particle and datum, geometric mean over the systems
    product_share: Estimate  # of that time, what NumPy would need for the two products alone
    memory_mb: Estimate  # of the largest system
    # Speed over that with the fewest threads; None where there is one number of them.
    thread_gain: Estimate | None = None


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report how fast the particle step is, and what it could be compared with."""
    found, about = BenchHeadline.read(summary), dataset.attrs
    finding = (
        f"On this machine ({about['machine']}) a step takes "
        f"{format_estimate(found.ns_per_pair)} ns per particle and datum, in the geometric "
        "mean over the systems below."
    )
    turns = (
        "Intervals are Student's over the timed runs, in each of which every system takes its turn."
    )
    return [
        Finding(finding),
        headline_table(found, turns),
        Figure(
            "times",
            plot_step_times,
            f"Time per particle, datum and step: {about['activation']}, {about['dtype']}, "
            f"n = {about['n_data']}, replicas: {about['n_replicas']}. It is the same for all "
            "numbers of particles where the cost is proportional to them.",
        ),
        Heading("Every system"),
        _systems(dataset),
        Text(
            "A timed run is a call of simulate, less one without steps, so that drawing the start "
            "and saving the end are not counted; nor is compilation. The two products with the "
            "inputs need 4 (d + 1) operations per particle and datum; their share is the time in "
            "which NumPy's matrix product does as many, over the time that a step takes. With few "
            "inputs the activation takes most of a step, and the share is small. Memory is the "
            "most that a step allocates, apart from Python and its libraries."
        ),
    ]


def _systems(dataset: xr.Dataset) -> Table:
    """Return one row per system."""
    rows = [["N", "d", "Threads", "ns per pair", "95% interval", "Products", "Memory, MB"]]
    axes = (dataset[name].values for name in ("n_particles", "n_features", "threads"))
    for n, d, t in product(*axes):
        at = dataset.sel(n_particles=n, n_features=d, threads=t)
        times = Estimate.from_xarray(at["ns_per_pair"])
        row = [f"{n}", f"{d}", f"{t}", format_value(times), format_interval(times) or "–"]
        memory = format_number(float(at["memory_bytes"]) / 1e6)
        rows.append([*row, f"{float(at['product_share']):.0%}", memory])
    return Table(rows, "Means over the timed runs, and the share of the two products.")
