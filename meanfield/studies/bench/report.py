"""What the benchmark shows: ratios, shares of the limits, exponents, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield import plots
from meanfield.statistics.intervals import mean_interval
from meanfield.workbench.report.formatting import format_estimate, format_number
from meanfield.workbench.study import Block, Figure, Finding, Heading, Number, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr

_NARROW = 32  # input dimensions


def median_times(dataset: xr.Dataset) -> np.ndarray:
    """Median nanoseconds per pair, shape (row, library)."""
    return dataset["ns_per_pair"].median("repeat").values


def best_peers(dataset: xr.Dataset) -> np.ndarray:
    """Index of the peer with the smallest median per row; −1 where no peer ran."""
    times = median_times(dataset)[:, 1:]
    lost = np.isnan(times)
    best = np.where(lost, np.inf, times).argmin(axis=1) + 1 if times.shape[1] else 0
    return np.where(lost.all(axis=1), -1, best)


def ratios(dataset: xr.Dataset) -> np.ndarray:
    """Time of the best peer over meanfield's, shape (row, repeat); NaN where no peer ran."""
    times, best = dataset["ns_per_pair"].values, best_peers(dataset)
    peers = times[np.arange(len(best)), best]
    return np.where(best[:, None] < 0, np.nan, peers / times[:, 0])


def headline(dataset: xr.Dataset) -> dict[str, Number]:
    """The numbers of the summary."""
    numbers: dict[str, Number] = {}
    ratio = ratios(dataset)
    features, dtypes = dataset["n_features"].values, dataset["row_dtype"].values
    groups = {
        f"ratio_{dtype}_{name}": (dtypes == dtype) & chosen
        for dtype in np.unique(dtypes)
        for name, chosen in (("narrow", features <= _NARROW), ("wide", features > _NARROW))
    }
    words = {"narrow": f"d ≤ {_NARROW}", "wide": f"d > {_NARROW}"}
    for key, chosen in groups.items():
        logs = np.log(ratio[chosen])
        logs = logs[~np.isnan(logs).any(axis=1)]
        if not len(logs):
            continue
        _, dtype, name = key.split("_")
        mean, low, high = (np.exp(float(x)) for x in mean_interval(logs.mean(axis=0)))
        label = f"Geometric mean of best peer's time over meanfield's, {dtype}, {words[name]}"
        numbers[key] = Number(label, mean, (low, high))
    if not np.isnan(ratio).all():
        medians = np.nanmedian(ratio, axis=1)
        numbers["smallest_ratio"] = Number(
            f"Smallest ratio of any row ({_describe(dataset, int(np.nanargmin(medians)))})",
            float(np.nanmin(medians)),
        )
    share = dataset["limit_attainable"].values / median_times(dataset)[:, 0]
    numbers["median_share"] = Number(
        "Median share of the attainable limit", float(np.median(share))
    )
    for name, label in (("particles", "N"), ("data", "n"), ("replicas", "the number of replicas")):
        if f"step_ns_{name}" in dataset:
            numbers[f"exponent_{name}"] = _exponent(dataset, name, label)
    if "largest_peak_bytes" in dataset:
        numbers["largest_peak_gb"] = Number(
            "Peak memory in GB of N = 10^6, n = 1000, d = 10, float64, Python included",
            float(dataset["largest_peak_bytes"]) / 1e9,
        )
    return numbers


def _exponent(dataset: xr.Dataset, name: str, label: str) -> Number:
    """Fitted exponent of the time per step, over the repeats."""
    sizes = np.log(dataset[f"{name}_size"].values)
    times = np.log(dataset[f"step_ns_{name}"].values)
    slopes = np.polyfit(sizes, times, 1)[0]
    mean, low, high = (float(x) for x in mean_interval(slopes))
    return Number(f"Exponent of the time per step in {label}", mean, (low, high), expected=1.0)


def _describe(dataset: xr.Dataset, i: int) -> str:
    row = dataset.isel(row=i)
    return (
        f"N = {int(row.n_particles)} × {int(row.n_replicas)}, n = {int(row.n_data)}, "
        f"d = {int(row.n_features)}, {row.row_dtype.item()}, {row.activation.item()}"
    )


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell how fast the particle step is, and what holds it."""
    numbers = summary["numbers"]
    compared = [numbers[key] for key in numbers if key.startswith("ratio_")]
    finding = (
        f"On {dataset.attrs['machine']}: "
        + "; ".join(f"{number['label'].lower()}: {format_estimate(number)}" for number in compared)
        if compared
        else f"Measured on {dataset.attrs['machine']}, without peers"
    )
    versions = ", ".join(
        f"{name.removeprefix('version_')} {value}"
        for name, value in dataset.attrs.items()
        if name.startswith("version_")
    )
    rows = [["Quantity", "Value"]]
    rows += [[number["label"], format_estimate(number)] for number in numbers.values()]
    blocks: list[Block] = [
        Finding(finding + "."),
        Table(
            rows,
            "Medians over the timed runs; intervals are Student's 95% intervals over the runs, in "
            "each of which all libraries take their turn.",
        ),
        Figure(
            "roofline",
            plots.plot_roofline,
            "Floating-point operations per second of the two products with the inputs, against "
            "their operations per pair, for tanh in float64. The lines are what the machine's "
            "measured rates allow.",
        ),
        Figure(
            "times",
            plots.plot_times,
            "Time per particle, datum and step against the input dimension, tanh in float64.",
        ),
        Heading("Every row"),
        _rows_table(dataset),
        Heading("What limits each regime"),
        Text(
            "Narrow inputs: the activation. A step needs σ at every pair to predict, and again, "
            "once all particles are summed, for the gradient. Where σ does not fit the "
            "second-level caches it is computed again or fetched from memory, which cost about "
            "the same; 'attainable' counts the cheaper of the two, 'arithmetic' pretends that "
            "memory is free. Wide inputs: the two products, at the rate of the multiply–add "
            "units; 'BLAS' takes them at that of NumPy's matrix product instead, which the "
            "kernels' own may exceed. Few data: the noise, one Gaussian per coordinate and step."
        ),
        Table(
            _bounds_rows(dataset),
            "Limits of one core while all are busy, measured in the same run.",
        ),
        Text(
            "The peers do the same steps: JAX as one jitted scan (vmap over replicas), PyTorch "
            "eagerly and compiled, NumPy with SciPy, each with its own generator, on the same "
            "cores, in a process of its own. Before anything is timed, a short noiseless run of "
            f"each is compared with ours. Compilation is not in the times. Versions: {versions}."
        ),
    ]
    if "step_ns_particles" in dataset:
        blocks.insert(
            4,
            Figure(
                "scaling",
                plots.plot_scaling,
                "Time per step as one size grows, the others fixed; dashed lines have slope 1.",
            ),
        )
    return blocks


def _rows_table(dataset: xr.Dataset) -> Table:
    times, best, ratio = median_times(dataset), best_peers(dataset), ratios(dataset)
    own_memory = dataset["peak_bytes"].values
    names = dataset["library"].values
    rows = [["System", "meanfield, ns", "best peer, ns", "ratio", "arithmetic", "attainable",
             "BLAS", "compile, s", "peak, MB", "peer's peak, MB"]]  # fmt: skip
    for i in range(dataset.sizes["row"]):
        own, peer = times[i, 0], best[i]
        rows.append(
            [
                _describe(dataset, i),
                format_number(own),
                f"{format_number(times[i, peer])} ({names[peer]})" if peer > 0 else "—",
                format_number(float(np.nanmedian(ratio[i]))) if peer > 0 else "—",
                f"{dataset['limit_arithmetic'].values[i] / own:.0%}",
                f"{dataset['limit_attainable'].values[i] / own:.0%}",
                f"{dataset['limit_blas'].values[i] / own:.0%}",
                format_number(float(dataset["compile_seconds"].values[i, 0])),
                f"{own_memory[i, 0] / 1e6:.0f}",
                f"{own_memory[i, peer] / 1e6:.0f}" if peer > 0 else "—",
            ]
        )
    return Table(
        rows,
        "ns per particle, datum and step; the shares are those of the three limits. Peak memory is "
        "that of the whole process, Python and libraries included.",
    )


def _bounds_rows(dataset: xr.Dataset) -> list[list[str]]:
    dtypes = [str(dtype) for dtype in dataset["dtype"].values]
    rows = [["Rate", *dtypes]]
    for quantity in dataset["quantity"].values:
        values = dataset["bound"].sel(quantity=quantity).values
        rows.append([str(quantity).replace("_", " "), *(format_number(float(v)) for v in values)])
    return rows
