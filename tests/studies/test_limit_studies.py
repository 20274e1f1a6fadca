"""The studies around the limit: each runs, tells its numbers, and refuses what cannot work."""

from __future__ import annotations

import json

import pytest

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_problem

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


@pytest.mark.parametrize(
    ("name", "keys", "problem", "message"),
    [
        ("references", {"methods": []}, ONE, "key 'references.methods'"),
        ("references", {"methods": ["gaussian"]}, ONE, "does not apply"),
        ("references", {}, {"l2": 0.1}, "at most 2 trained coordinates"),
    ],
)
def test_what_cannot_work_is_told_before_the_work(name, keys, problem, message):
    with pytest.raises(ConfigError, match=message):
        get_study(name).prepare(configuration(name, keys, problem))
