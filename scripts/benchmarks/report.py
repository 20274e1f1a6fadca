"""Table and roofline plot of saved measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def limit(row: dict, bounds: dict, threads: int) -> float:
    """Nanoseconds per pair that the machine's own rates allow.

    Two products with the inputs, one activation, and the noise of ``d + 2`` coordinates shared by
    ``n`` data, all at the rates of `scripts.benchmarks.bounds`; nothing computed twice.
    """
    rate = bounds[row["dtype"]]
    products = 2 * 2 * (row["n_features"] + 1) / rate["multiply_add_gflops"]
    noise = (row["n_features"] + 2) / row["n_data"] * rate["gaussian_ns"]
    return (products + rate[f"{row['activation']}_ns"] + noise) / threads


def best_peer(libraries: dict) -> tuple[str, float] | None:
    """The fastest of the others."""
    times = {
        name: entry["ns_per_pair"]
        for name, entry in libraries.items()
        if name != "meanfield" and "ns_per_pair" in entry
    }
    return min(times.items(), key=lambda item: item[1]) if times else None


def table(results: dict) -> str:
    """The measurements as a Markdown table, with geometric means."""
    lines = [
        "| N × R | n | d | type | σ | meanfield | best peer | ratio | of the limit | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ratios: dict[str, list[float]] = {"float64": [], "float32": []}
    for entry in results["rows"]:
        row, libraries = entry["row"], entry["libraries"]
        own, peer = libraries.get("meanfield", {}), best_peer(libraries)
        if "ns_per_pair" not in own or peer is None:
            continue
        ns = own["ns_per_pair"]
        ratio = peer[1] / ns
        if row["n_features"] <= 32:
            ratios[row["dtype"]].append(ratio)
        share = limit(row, results["bounds"], results["threads"]) / ns
        lines.append(
            f"| {row['n_particles']} × {row['n_replicas']} | {row['n_data']} "
            f"| {row['n_features']} | {row['dtype']} | {row['activation']} | {ns:.2f} ns "
            f"| {peer[1]:.2f} ns ({peer[0]}) | {ratio:.1f} | {share:.0%} | {own['peak_mb']:.0f} |"
        )
    for dtype, values in ratios.items():
        if values:
            mean = np.exp(np.mean(np.log(values)))
            lines.append(f"\nGeometric mean of the ratio for d ≤ 32, {dtype}: {mean:.2f}")
    return "\n".join(lines) + "\n"


def plot(results: dict, path: Path) -> None:
    """Time per pair against the width of the inputs, with the machine's limit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, dtype in zip(figure.subplots(1, 2, sharey=True), ("float64", "float32"), strict=True):
        rows = [e for e in results["rows"] if e["row"]["dtype"] == dtype]
        names = sorted({name for e in rows for name in e["libraries"]})
        for name in names:
            points = [
                (e["row"]["n_features"], e["libraries"][name]["ns_per_pair"])
                for e in rows
                if "ns_per_pair" in e["libraries"].get(name, {})
            ]
            if points:
                axes.plot(*zip(*sorted(points), strict=True), "o", label=name, alpha=0.7)
        widths = sorted({e["row"]["n_features"] for e in rows})
        if widths:
            base = {"dtype": dtype, "activation": "tanh", "n_data": 512}
            ceiling = [
                limit(base | {"n_features": d}, results["bounds"], results["threads"])
                for d in widths
            ]
            axes.plot(widths, ceiling, "k--", label="limit (tanh)")
        axes.set(xscale="log", yscale="log", xlabel="input dimension d", title=dtype)
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("ns per particle–datum pair and step")
    figure.axes[-1].legend(fontsize="small")
    figure.savefig(path, dpi=150)
