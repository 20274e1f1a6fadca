"""The report of the study `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.statistics.estimate import Estimate
from meanfield.studies.bench.figures import plot_step_times
from meanfield.studies.bench.headline import BenchHeadline
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_number,
    format_value,
)
from meanfield.workbench.study import Block, Figure, Finding, Heading, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report how fast the particle step is, and what it could be compared with."""
    found, about = BenchHeadline.read(summary), dataset.attrs
    finding = (
        f"On this machine ({about['machine']}) a step takes "
        f"{format_estimate(found.ns_per_pair)} ns per particle and datum, in the geometric "
        "mean over the systems below."
    )
    table = [["Quantity", "Value", "95% interval"]]
    table += [
        [number.label, format_value(number), format_interval(number) or "–"]
        for number in found.numbers().values()
    ]
    return [
        Finding(finding),
        Table(table, "Intervals are Student's over the timed runs, in each of which every system "
              "takes its turn."),
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
    ]  # fmt: skip


def _systems(dataset: xr.Dataset) -> Table:
    """Return one row per system."""
    rows = [["N", "d", "Threads", "ns per pair", "95% interval", "Products", "Memory, MB"]]
    for n in dataset["n_particles"].values:
        for d in dataset["n_features"].values:
            for t in dataset["threads"].values:
                at = dataset.sel(n_particles=n, n_features=d, threads=t)
                times = Estimate.from_xarray(at["ns_per_pair"])
                rows.append(
                    [
                        f"{n}",
                        f"{d}",
                        f"{t}",
                        format_value(times),
                        format_interval(times) or "–",
                        f"{float(at['product_share']):.0%}",
                        format_number(float(at["memory_bytes"]) / 1e6),
                    ]
                )
    return Table(rows, "Means over the timed runs, and the share of the two products.")
