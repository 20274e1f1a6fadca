"""The benchmark's bookkeeping: what it runs, compares and derives; never how long it takes."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import ConfigError
from meanfield.bench.grid import GRIDS, Row, scaling
from meanfield.bench.measure import limit, measure_row
from meanfield.studies.bench.report import best_peers, ratios, report
from meanfield.studies.bench.study import STUDY, BenchConfig, combine, prepare
from meanfield.workbench.config import parse
from meanfield.workbench.outputs import write_config, write_outputs

RATES = {
    "multiply_add_gflops": 100.0, "read_gb_s": 10.0, "write_gb_s": 5.0, "gemm_gflops": 80.0,
    "tanh_ns": 0.7, "relu_ns": 0.1, "silu_ns": 0.8, "gelu_ns": 1.5, "gaussian_ns": 2.0,
    "second_cache_bytes": 2.0**20,
}  # fmt: skip


def test_all_libraries_compute_the_same():
    row = Row(64, 2, 16, 3, "float64", "gelu")
    result = measure_row(row, repeats=2, threads=1, libraries=["meanfield", "numpy"])
    assert result["failure"].tolist() == ["", ""]
    assert result["disagreement"][1] < 1e-12
    assert result["ns_per_pair"].shape == (2, 2)
    assert (result["ns_per_pair"] > 0).all()
    assert (result["peak_bytes"] > 1e7).all()


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


def measured(rows, times):
    arrays = {
        f"row-{row.key}": {
            "ns_per_pair": np.array(times) * (1 + i),
            "compile_seconds": np.ones(3),
            "peak_bytes": np.array([1e8, 4e8, 9e8]),
            "disagreement": np.zeros(3),
            "failure": np.array(["", "", ""]),
        }
        for i, row in enumerate(rows)
    }
    for dtype in ("float64", "float32"):
        arrays["bounds"] = arrays.get("bounds", {}) | {
            f"{dtype}.{name}": np.array(value) for name, value in RATES.items()
        }
    for line in scaling().values():
        for row in line:
            arrays[f"alone-{row.key}"] = {"ns_per_pair": np.full((1, 3), 2.0)}
    arrays["alone-N1000000-R1-n1000-d10-float64-tanh"] = {
        "ns_per_pair": np.full((1, 3), 2.0), "peak_bytes": np.array([5e8])
    }  # fmt: skip
    return combine(
        rows, scaling(), arrays, threads=2, libraries=["meanfield", "jax", "numpy"],
        versions={"meanfield": "0"}, machine="a machine",
    )  # fmt: skip


def test_ratios_and_exponents():
    rows = list(GRIDS["small"]())
    outcome = measured(rows, [[1.0, 1.0, 2.0], [4.0, 5.0, 8.0], [np.nan] * 3])
    assert (best_peers(outcome.dataset) == 1).all()
    np.testing.assert_allclose(ratios(outcome.dataset), np.tile([4.0, 5.0, 4.0], (len(rows), 1)))
    mean = outcome.numbers["ratio_float64_narrow"]
    assert mean.value == pytest.approx(80.0 ** (1 / 3))
    assert mean.interval[0] < mean.value < mean.interval[1]
    for name in ("particles", "data", "replicas"):
        assert outcome.numbers[f"exponent_{name}"].value == pytest.approx(1.0)
    assert outcome.numbers["largest_peak_gb"].value == pytest.approx(0.5)


def test_the_report_tells_a_row_without_peers():
    from dataclasses import asdict

    rows = list(GRIDS["small"]())
    outcome = measured(rows, [[1.0, 1.0, 2.0], [np.nan] * 3, [np.nan] * 3])
    assert (best_peers(outcome.dataset) == -1).all()
    assert not any(key.startswith("ratio") for key in outcome.numbers)
    numbers = {key: asdict(number) for key, number in outcome.numbers.items()}
    assert "without peers" in report({"numbers": numbers}, outcome.dataset)[0].text


def test_a_study_from_end_to_end(tmp_path):
    table = {"grid": "small", "libraries": ["numpy"], "repeats": 2, "threads": 1}
    config = parse(BenchConfig, {"study": "bench", "bench": table})
    plan = prepare(config)
    # One row stands for all: what is timed does not matter here.
    bounds, row = plan.units[:2]
    timed = measure_row(
        Row(64, 1, 16, 2, "float64", "tanh"), repeats=2, threads=1, libraries=["meanfield", "numpy"]
    )
    results = {unit.key: timed for unit in plan.units[1:]}
    results["bounds"] = {f"{t}.{k}": np.array(v) for t in ("float64", "float32")
                         for k, v in RATES.items()}  # fmt: skip
    assert bounds.key == "bounds"
    assert row.arguments["libraries"] == ["meanfield", "numpy"]
    outcome = plan.combine(results)
    write_config(tmp_path, config)
    write_outputs(tmp_path, STUDY, config, outcome, 1.0)
    assert (tmp_path / "roofline.png").stat().st_size > 1000
    assert "Every row" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"libraries": ["jaxx"]}, "jax"),
        ({"threads": 10**6}, "at most that many"),
        ({"grid": "huge"}, "grid"),
    ],
)
def test_wrong_configurations(table, words):
    with pytest.raises(ConfigError, match=words):
        prepare(parse(BenchConfig, {"study": "bench", "bench": table}))
