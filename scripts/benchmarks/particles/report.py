"""The report of the comparison: ratios, shares of the limits, exponents, every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meanfield.plots.style import render
from meanfield.statistics.estimate import Estimate
from meanfield.system import storage
from meanfield.workbench.report.formatting import format_number
from scripts.benchmarks.particles import figures
from scripts.benchmarks.particles.grid import Row
from scripts.benchmarks.particles.measure import limit
from scripts.benchmarks.particles.measurements import Measurements

SUMMARY, REPORT = "summary.json", "report.md"

_NARROW = 32  # input dimensions
_RATES = {
    "multiply_add_gflops": "multiply–add units, GFLOP/s",
    "gemm_gflops": "NumPy's matrix product, GFLOP/s",
    "read_gb_s": "reading memory, GB/s",
    "write_gb_s": "writing memory, GB/s",
    "tanh_ns": "tanh, ns",
    "relu_ns": "relu, ns",
    "silu_ns": "silu, ns",
    "gelu_ns": "gelu, ns",
    "gaussian_ns": "a Gaussian, ns",
    "second_cache_bytes": "second-level cache, bytes",
}
_GROWING = {"particles": "N", "data": "n", "replicas": "the number of replicas"}


def write_report(folder: Path, found: Measurements) -> None:
    """Write ``summary.json``, ``report.md`` and the figures."""
    numbers = headline(found)
    summary = {"numbers": {key: number.to_summary() for key, number in numbers.items()}}
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    storage.write_atomic(folder / SUMMARY, text.encode())
    storage.write_atomic(folder / REPORT, report(found, numbers).encode())
    for name, plot in figures.FIGURES.items():
        if name != "scaling" or found.scaling:
            storage.write_atomic(folder / f"{name}.png", render(plot, found)[0])


def rows(found: Measurements) -> dict[str, Row]:
    """Return the measured rows by key."""
    return {key: Row(**record["row"]) for key, record in found.rows.items()}


def shares(found: Measurements, key: str, row: Row) -> dict[str, float]:
    """Return each limit of the machine over the median time of meanfield."""
    own = float(np.median(found.times(key, "meanfield")))
    limits = limit(row, found.bounds[row.dtype], found.setup.threads)
    return {name: value / own for name, value in limits.items()}


def headline(found: Measurements) -> dict[str, Estimate]:
    """Return the numbers of the summary."""
    numbers: dict[str, Estimate] = {}
    systems = rows(found)
    ratios = {key: found.ratio(key) for key in systems}
    compared = [key for key in systems if not np.isnan(ratios[key]).any()]
    for dtype in sorted({row.dtype for row in systems.values()}):
        for name, wide, words in (
            ("narrow", False, f"d ≤ {_NARROW}"),
            ("wide", True, f"d > {_NARROW}"),
        ):
            chosen = [
                np.log(ratios[key])
                for key in compared
                if systems[key].dtype == dtype and (systems[key].n_features > _NARROW) == wide
            ]
            if chosen:
                label = f"Geometric mean of best peer's time over meanfield's, {dtype}, {words}"
                logs = np.mean(chosen, axis=0)
                mean = Estimate.mean(logs, label=label, resampled="timed runs")
                numbers[f"ratio_{dtype}_{name}"] = mean.map(lambda log: float(np.exp(log)))
    if compared:
        medians = {key: float(np.median(ratios[key])) for key in compared}
        least = min(medians, key=medians.__getitem__)
        numbers["smallest_ratio"] = Estimate(
            medians[least],
            label=f"Smallest ratio of any row ({systems[least].description})",
        )
    share = [shares(found, key, row)["attainable"] for key, row in systems.items()]
    numbers["median_share"] = Estimate(
        np.median(share), label="Median share of the attainable limit"
    )
    for name, line in found.scaling.items():
        sizes = np.log([record["size"] for record in line])
        times = np.log([record["step_ns"] for record in line])
        label = f"Exponent of the time per step in {_GROWING[name]}"
        numbers[f"exponent_{name}"] = Estimate.mean(
            np.polyfit(sizes, times, 1)[0], expected=1.0, label=label, resampled="timed runs"
        )
    if found.largest_peak_bytes is not None:
        numbers["largest_peak_gb"] = Estimate(
            found.largest_peak_bytes / 1e9,
            label="Peak memory in GB of N = 10⁶, n = 1000, d = 10, float64, Python included",
        )
    return numbers


def report(found: Measurements, numbers: dict[str, Estimate]) -> str:
    """Return the report in Markdown."""
    setup = found.setup
    peers = ", ".join(f"{name} {version}" for name, version in setup.versions.items())
    return "\n".join(
        [
            "# The particle step against JAX, PyTorch and NumPy",
            "",
            f"Measured on {setup.machine} with {setup.threads} threads; {peers}. Made by "
            "`python -m scripts.benchmarks.particles` from `measurements.json`.",
            "",
            *_markdown([["Quantity", "Value", "95 % interval"], *_number_rows(numbers)]),
            "",
            "Medians over the timed runs; intervals are Student's over the runs, in each of which "
            "every library takes its turn.",
            "",
            "![Floating-point rate of the products with the inputs](roofline.png)",
            "",
            "Floating-point operations per second of the two products with the inputs, against "
            "their operations per pair, for tanh in float64. The lines are what the measured rates "
            "of the machine allow.",
            "",
            "![Time per pair and step](times.png)",
            "",
            "Time per particle, datum and step against the input dimension, tanh in float64.",
            "",
            *_scaling_figure(found),
            "## Every row",
            "",
            *_markdown(_system_rows(found)),
            "",
            "Nanoseconds per particle, datum and step; the shares are those of the three limits. "
            "Peak memory is that of the whole process, Python and libraries included.",
            "",
            "## Limits",
            "",
            "Narrow inputs: the activation. A step needs σ at every pair to predict, and again, "
            "once all particles are summed, for the gradient. Where σ does not fit the "
            "second-level caches it is computed again or fetched from memory, which cost about "
            "the same; *attainable* counts the cheaper of the two, *arithmetic* takes memory as "
            "free. Wide inputs: the two products, at the rate of the multiply–add units; *BLAS* "
            "takes them at that of NumPy's matrix product instead, which the package's own "
            "products may exceed. Few data: the noise, one Gaussian per coordinate and step.",
            "",
            *_markdown(_bounds_rows(found)),
            "",
            "Rates of one core while all are busy, measured in the same run.",
            "",
            "## Method",
            "",
            "All libraries take the same steps: JAX as one jitted scan (vmap over replicas), "
            "PyTorch eagerly and compiled, NumPy with SciPy, each with its own generator, on the "
            "same cores, in a process of its own. Before anything is timed, a short noiseless run "
            "of each is compared with that of meanfield. Compilation is not in the times.",
            "",
        ]
    )


def _markdown(table: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a table whose first row is the header."""
    head, *body = table
    for row in (head, ["---"] * len(head), *body):
        yield f"| {' | '.join(row)} |"


def _number_rows(numbers: dict[str, Estimate]) -> list[list[str]]:
    return [
        [
            number.label,
            format_number(number.value),
            "" if number.interval is None else " to ".join(map(format_number, number.interval)),
        ]
        for number in numbers.values()
    ]


def _scaling_figure(found: Measurements) -> list[str]:
    if not found.scaling:
        return []
    caption = "Time per step as one size grows, the others fixed; dashed lines have slope 1."
    return ["![Time per step](scaling.png)", "", caption, ""]


def _system_rows(found: Measurements) -> list[list[str]]:
    table = [["System", "meanfield, ns", "best peer, ns", "ratio", "of arithmetic",
              "of attainable", "of BLAS", "compile, s", "peak, MB", "peer's peak, MB"]]  # fmt: skip
    for key, row in rows(found).items():
        libraries, peer = found.rows[key]["libraries"], found.best_peer(key)
        cells = [row.description, format_number(float(np.median(found.times(key, "meanfield"))))]
        if peer is None:
            cells += ["—", "—"]
        else:
            cells += [f"{format_number(float(np.median(found.times(key, peer))))} ({peer})"]
            cells += [format_number(float(np.median(found.ratio(key))))]
        cells += [f"{share:.0%}" for share in shares(found, key, row).values()]
        cells += [format_number(libraries["meanfield"]["compile_seconds"])]
        cells += [f"{libraries['meanfield']['peak_bytes'] / 1e6:.0f}"]
        cells += ["—" if peer is None else f"{libraries[peer]['peak_bytes'] / 1e6:.0f}"]
        table.append(cells)
    return table


def _bounds_rows(found: Measurements) -> list[list[str]]:
    bounds = found.bounds.values()
    lines = [[words, *(format_number(b[name]) for b in bounds)] for name, words in _RATES.items()]
    return [["Rate", *found.bounds], *lines]
