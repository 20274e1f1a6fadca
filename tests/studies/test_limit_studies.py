"""The studies around the limit: each runs, tells its numbers, and refuses what cannot work."""

from __future__ import annotations

import json

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_problem
from meanfield.workbench.study import Context

DATA = {"source": "single-index", "n_features": 1, "link": "tanh", "n_train": 6, "n_test": 0}
ONE = {"bias": False, "train": ["w"], "l2": 0.2, "temperature": 0.1}
LINEAR = {**ONE, "activation": "identity"}


def configuration(name, keys, problem=ONE, run=None):
    content = {
        "study": name,
        "seed": 3,
        "data": DATA,
        "problem": problem,
        "run": {"step_size": 0.25, "n_steps": 40, **(run or {})},
        name: keys,
    }
    return parse(get_study(name).config, content)


def finished(tmp_path, config):
    """Run a study; return its numbers, its dataset and its page."""
    out = tmp_path / "out"
    run_study(get_study(config.study), config, out)
    numbers = json.loads((out / "summary.json").read_text())["numbers"]
    return numbers, storage.read_dataset(out / "result.nc"), (out / "report.html").read_text()


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))


def test_references(tmp_path):
    keys = {"particle_counts": [4, 8, 16], "n_replicas": 24, "n_particles": 2000}
    config = configuration("references", keys)
    numbers, saved, page = finished(tmp_path, config)
    assert list(saved["reference"].values) == ["particles", "chain", "fokker-planck"]
    assert saved.attrs["base"] == "chain"
    problem = build_problem(config)
    rates = mf.chaos_rates(
        problem, [4, 8, 16], 24, step_size=0.25, n_steps=40, seed=3, cloud_replicas=0
    )
    slope = numbers["coupling_chain"]
    assert slope["value"] == pytest.approx(rates.slope["coupling"], rel=1e-9)
    # All three stand for the same limit.
    for method in ("particles", "fokker-planck"):
        assert numbers[f"coupling_{method}"]["value"] == pytest.approx(slope["value"], abs=0.05)
        assert 0 < numbers[f"gap_{method}"]["value"] < 0.05
    assert "law_w2_particles" not in numbers
    assert "Every interval holds −1" in page or "Not −1" in page


def test_moments(tmp_path):
    keys = {"n_particles": 4000, "max_order": 12, "n_times": 4, "nu": 4.0}
    problem = {"l2": 0.2, "temperature": 0.1}
    numbers, saved, page = finished(tmp_path, configuration("moments", keys, problem))
    assert saved.sizes["law"] == 5
    expected = {name: numbers[f"order_{name}"]["expected"] for name in saved["law"].values}
    assert expected == {
        "gaussian": 0.5,
        "laplace": 1.0,
        "uniform-ball": 0.0,
        "stretched-exponential": pytest.approx(1 / 0.7),
        "student-t": 4.0,
    }
    np.testing.assert_array_equal(
        np.isfinite(saved["log_w_star"].sel(law="student-t")), np.arange(1, 13) < 4
    )
    assert "there w*_k = 0" in page
    # At the start G is 1 up to sampling, and the heavier weight grows.
    np.testing.assert_allclose(saved["growth"].isel(time=0), 1.0, atol=0.1)
    ratio = saved["heavier"] / saved["admitted"]
    np.testing.assert_allclose(ratio.sel(law="gaussian"), np.arange(1, 13) ** 0.5)
    exact = mf.admissible_weight("gaussian", dimension=3, max_order=12)
    np.testing.assert_allclose(saved["log_w_star"].sel(law="gaussian"), exact.log_w_star)


@pytest.mark.parametrize(
    ("name", "keys", "problem", "message"),
    [
        ("references", {"methods": []}, ONE, "key 'references.methods'"),
        ("references", {"methods": ["gaussian"]}, ONE, "does not apply"),
        ("references", {}, {"l2": 0.1}, "at most 2 trained coordinates"),
        ("moments", {"laws": []}, ONE, "key 'moments.laws'"),
    ],
)
def test_what_cannot_work_is_told_before_the_work(name, keys, problem, message):
    with pytest.raises(ConfigError, match=message):
        get_study(name).prepare(configuration(name, keys, problem))


def test_moments_that_no_order_supports_are_told():
    keys = {"n_particles": 1000, "laws": ["student-t"], "n_times": 4}
    config = configuration("moments", keys, {"l2": 0.05, "temperature": 0.02})
    (unit,) = get_study("moments").prepare(config).units
    problem = unit.arguments["problem"]
    loud = problem.replace(y=1e6 * problem.y)
    with pytest.raises(ConfigError, match="smaller step size"):
        unit.function(**{**unit.arguments, "problem": loud}, context=Context())
