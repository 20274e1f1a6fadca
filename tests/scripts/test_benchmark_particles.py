"""The benchmark's bookkeeping: what it runs, compares and derives; never how long it takes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from scripts.benchmarks.particles import __main__ as command
from scripts.benchmarks.particles.grid import GRIDS, Row, scaling
from scripts.benchmarks.particles.measure import limit, measure_row
from scripts.benchmarks.particles.measurements import Measurements, Setup
from scripts.benchmarks.particles.report import headline, write_report

RATES = {
    "multiply_add_gflops": 100.0, "read_gb_s": 10.0, "write_gb_s": 5.0, "gemm_gflops": 80.0,
    "tanh_ns": 0.7, "relu_ns": 0.1, "silu_ns": 0.8, "gelu_ns": 1.5, "gaussian_ns": 2.0,
    "second_cache_bytes": 2.0**20,
}  # fmt: skip
SETUP = Setup("a machine", 2, 3, ("meanfield", "jax", "numpy"), {"jax": "1"})


def test_all_libraries_compute_the_same():
    row = Row(64, 2, 16, 3, "float64", "gelu")
    result = measure_row(row, repeats=2, threads=1, libraries=["meanfield", "numpy"])
    assert list(result) == ["meanfield", "numpy"]
    assert result["numpy"]["disagreement"] < 1e-12
    for found in result.values():
        assert "failure" not in found
        assert len(found["ns_per_pair"]) == 2
        assert min(found["ns_per_pair"]) > 0
        assert found["peak_bytes"] > 1e7


def test_limits_by_hand():
    row = Row(1024, 1, 128, 9, "float64", "tanh")  # 1 MB of activations: kept
    once = 2 * 2 * 10 / 100 + 0.7 + 11 / 128 * 2.0
    found = limit(row, RATES, 2)
    assert found["arithmetic"] == pytest.approx(once / 2)
    assert found["attainable"] == found["arithmetic"]
    assert found["blas"] == pytest.approx((once + 4 * 10 / 80 - 4 * 10 / 100) / 2)
    row = Row(2**20, 1, 128, 9, "float64", "tanh")
    again, memory = once + 0.2 + 0.7, 8 / 10 + 8 / 5
    assert limit(row, RATES, 2)["attainable"] == pytest.approx(min(again, memory) / 2)


@pytest.mark.parametrize("grid", GRIDS)
def test_grids_have_no_row_twice(grid):
    rows = list(GRIDS[grid]())
    assert len(set(rows)) == len(rows) == len({row.key for row in rows})
    assert all(row.n_steps >= 5 for row in rows)


def measured(times):
    """A file whose i-th row took ``(1 + i)`` times `times`; None for a library that failed."""
    found = Measurements(SETUP, bounds={"float64": RATES, "float32": RATES})
    for i, row in enumerate(GRIDS["small"]()):
        libraries = {
            name: {"failure": "killed"}
            if own is None
            else {
                "ns_per_pair": [(1 + i) * time for time in own],
                "compile_seconds": 1.0,
                "peak_bytes": 10**8,
                "disagreement": 0.0,
            }
            for name, own in zip(SETUP.libraries, times, strict=True)
        }
        found.rows[row.key] = {"row": row.as_dict(), "libraries": libraries}
    for name, line in scaling().items():
        sizes = [getattr(row, f"n_{name}") for row in line]
        found.scaling[name] = [{"size": size, "step_ns": [2.0 * size] * 3} for size in sizes]
    found.largest_peak_bytes = 5 * 10**8
    return found


def test_ratios_and_exponents():
    found = measured([[1.0, 1.0, 2.0], [4.0, 5.0, 8.0], None])
    for key in found.rows:
        assert found.best_peer(key) == "jax"
        np.testing.assert_allclose(found.ratio(key), [4.0, 5.0, 4.0])
    numbers = headline(found)
    mean = numbers["ratio_float64_narrow"]
    assert mean.value == pytest.approx(80.0 ** (1 / 3))
    assert mean.low < mean.value < mean.high
    assert numbers["smallest_ratio"].value == pytest.approx(4.0)
    for name in ("particles", "data", "replicas"):
        assert numbers[f"exponent_{name}"].value == pytest.approx(1.0)
    assert numbers["largest_peak_gb"].value == pytest.approx(0.5)


@pytest.mark.parametrize("peer", [[4.0, 5.0, 8.0], None])
def test_the_report_stands_on_the_file_alone(tmp_path, peer, fonts_as_outlines):
    found = measured([[1.0, 1.0, 2.0], peer, None])
    found.save(tmp_path)
    again = Measurements.load(tmp_path)
    assert again == found
    write_report(tmp_path, again)
    numbers = json.loads((tmp_path / "summary.json").read_text())["numbers"]
    assert any(key.startswith("ratio_") for key in numbers) == (peer is not None)
    page = (tmp_path / "report.md").read_text()
    assert page.count("(jax)") == (4 if peer else 0)
    for name in ("roofline", "times", "scaling"):
        assert f"({name}.png)" in page
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_measured_row_is_not_measured_again(tmp_path, monkeypatch):
    found = measured([[1.0, 1.0, 2.0], [4.0, 5.0, 8.0], None])
    rows = list(GRIDS["small"]())
    missing = rows[2]
    record = found.rows.pop(missing.key)
    found.save(tmp_path)
    timed = []

    def measure(row, *how):
        timed.append(row)
        return record["libraries"]

    monkeypatch.setattr(command, "measure_row", measure)
    command.measure(tmp_path, SETUP, rows, with_scaling=True)
    assert timed == [missing]
    assert Measurements.load(tmp_path).rows[missing.key] == record
    other = Setup("another machine", 2, 3, SETUP.libraries, {})
    with pytest.raises(SystemExit, match="another --out"):
        command.measure(tmp_path, other, rows, with_scaling=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--libraries", "jaxx"], "jax"),
        (["--threads", "1000000"], "at most"),
        (["--grid", "huge"], "grid"),
    ],
)
def test_wrong_options(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["particles", "--out", str(tmp_path), *options])
    with pytest.raises(SystemExit):
        command.main()
    assert message in capsys.readouterr().err
