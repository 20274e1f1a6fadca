"""The study `bench`: what it derives from times, and its page; never how long anything takes."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import ConfigError
from meanfield.studies.bench.study import STUDY, BenchConfig, combine, measure, prepare
from meanfield.workbench.config import parse
from meanfield.workbench.outputs import write_config, write_outputs

SYSTEMS = {
    "n_particles": [32, 64], "n_features": [2, 5], "n_data": 16, "n_replicas": 2,
    "activation": "tanh", "dtype": "float64", "threads": [1, 2],
}  # fmt: skip


def found(step_seconds):
    """Times per step that hold for all systems and two runs, by number of threads."""
    times = np.broadcast_to(np.array(step_seconds)[:, None], (2, 2, 2, 2))
    return {
        "step_seconds": times * np.array([1.0, 2.0])[:, None, None, None],  # like N
        "product_gflops": np.array([[10.0, 10.0], [20.0, 20.0]]),
        "memory_bytes": np.array([[1e6, 2e6], [3e6, 4e6]]),
    }


def test_numbers_by_hand():
    outcome = combine(SYSTEMS, "a machine", found([4e-6, 2e-6]))
    per_pair = outcome.dataset["ns_per_pair"].sel(bound="value")
    np.testing.assert_allclose(per_pair.sel(threads=2), 2e-6 * 1e9 / (32 * 2 * 16))
    np.testing.assert_allclose(per_pair.sel(threads=1), 2 * per_pair.sel(threads=2))
    # 4 (d + 1) operations at 20 per nanosecond.
    share = outcome.dataset["product_share"].sel(threads=2, n_features=5)
    np.testing.assert_allclose(share, 24 / 20 / per_pair.sel(threads=2, n_features=5))
    assert outcome.numbers["thread_gain"].value == pytest.approx(2.0)
    assert outcome.numbers["memory_mb"].value == pytest.approx(4.0)


def test_from_end_to_end(tmp_path):
    table = {**SYSTEMS, "n_particles": [32], "threads": [1], "repeats": 2}
    config = parse(BenchConfig, {"study": "bench", "bench": table})
    plan = prepare(config)
    arguments = plan.units[0].arguments
    seen = []
    times = measure(**arguments, progress=lambda *done: seen.append(done))
    assert times["step_seconds"].shape == (1, 2, 1, 2)
    assert (times["memory_bytes"] > 8 * 32 * 2 * np.array([4, 7])).all()  # the particles
    assert seen == [(1, 2), (2, 2)]
    # What was timed does not matter here.
    times["step_seconds"] = np.abs(times["step_seconds"]) + 1e-9
    outcome = plan.combine({"times": times})
    assert "thread_gain" not in outcome.numbers
    write_config(tmp_path, config)
    write_outputs(tmp_path, STUDY, config, outcome, 1.0, spread=map)
    assert (tmp_path / "times.png").stat().st_size > 1000
    assert "Every system" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"threads": [10**6]}, "must be at most"),
        ({"n_particles": []}, r"'bench\.n_particles' is empty"),
        ({"activation": "tahn"}, "tanh"),
        ({"libraries": ["numpy"]}, "libraries"),
    ],
)
def test_wrong_configurations(table, message):
    with pytest.raises(ConfigError, match=message):
        prepare(parse(BenchConfig, {"study": "bench", "bench": table}))
