"""The study `chaos` gives what `chaos_rates` gives, whole or in pieces."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.chaos.reference_path import reference_path
from meanfield.errors import ConfigError
from meanfield.flow.checkpoint import Checkpoint
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.chaos import report
from meanfield.studies.chaos import study as chaos
from meanfield.system import storage
from meanfield.system.progress import Bar
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_data

SMALL = {
    "study": "chaos",
    "seed": 5,
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 10, "n_test": 0},
    "problem": {"l2": 0.05, "temperature": 0.01},
    "run": {"step_size": 0.2, "n_steps": 40},
    "chaos": {
        "particle_counts": [8, 16, 32],
        "n_replicas": 10,
        "times": [1, 5, 20, 30, 40],
        "cloud_replicas": 6,
        "reference": {"n_particles": 800},
    },
}
LINEAR = {
    **SMALL,
    "problem": {
        "activation": "identity",
        "bias": False,
        "train": ["w"],
        "l2": 0.1,
        "temperature": 0.01,
    },
    "chaos": {**SMALL["chaos"], "reference": {}},
}


def configuration(content=SMALL, **chaos_keys):
    content = {**content, "chaos": {**content["chaos"], **chaos_keys}}
    return parse(chaos.ChaosConfig, content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("chaos") / "out"
    run_study(get_study("chaos"), configuration(), out)
    return out


def test_numbers_are_those_of_chaos_rates(folder):
    config = configuration()
    problem = build_data(config)[1]
    settings = {"step_size": 0.2, "seed": 5}
    path = mf.mean_field(problem, n_steps=40, n_particles=800, **settings)
    rates = mf.chaos_rates(
        problem,
        [8, 16, 32],
        10,
        n_steps=40,
        times=[1, 5, 20, 30, 40],
        cloud_replicas=6,
        reference=path,
        **settings,
    )
    numbers = json.loads((folder / "summary.json").read_text())["numbers"]
    for metric in ("coupling", "matched_w2", "function", "raw_w2", "sampling_floor"):
        found = numbers[f"{metric}_slope"]
        # The order of a sum may depend on how an array lies in memory.
        assert found["value"] == pytest.approx(rates.slope[metric], rel=1e-12)
        assert found["interval"] == pytest.approx(rates.slope_ci[metric], rel=1e-12)
        assert found["expected"] == rates.expected_slope[metric]
        assert found["notes"] == list(rates.flags[metric])
    for metric in ("coupling", "matched_w2", "function"):
        constant, trend = numbers[f"{metric}_constant"], numbers[f"{metric}_trend"]
        assert constant["value"] == pytest.approx(rates.constant[metric], rel=1e-12)
        assert trend["value"] == pytest.approx(rates.trends[metric].change.value, rel=1e-12)
    saved = storage.read_dataset(folder / "result.nc")
    for name, variable in rates.dataset.variables.items():
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(saved[name], variable, rtol=1e-11)


def test_folder_has_the_figures(folder):
    for name in ("rates", "constants", "raw_w2", "loss"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    # A figure of upper bounds alone would show nothing.
    assert "No bias of the average network was seen" in page
    assert not (folder / "law_bias.png").exists()
    assert "must not be fitted with 1/N" in page
    assert "A slope of −1 means that twice as many particles halve" in page


def test_a_bias_that_is_seen_has_its_figure(folder):
    saved = storage.read_dataset(folder / "result.nc").copy(deep=True)
    saved["law_bias_mean"].loc[{"bound": "low"}] = 1e-9
    assert report._bias(saved, Estimate(-2.0)).name == "law_bias"


def test_fitted_lines_pass_through_the_measured_points(folder):
    saved = storage.read_dataset(folder / "result.nc")
    against = 1 / (1 / saved["particles"].values + 1 / 800)
    for metric in ("coupling", "matched_w2", "function"):
        means = saved[metric].mean("replica")
        peak = np.log(means).sum("particles").argmax("time")
        measured = saved[f"{metric}_peak"].sel(bound="value").values
        np.testing.assert_array_equal(measured, means.isel(time=peak))
        slope, level = np.polyfit(np.log(against), np.log(measured), 1)
        np.testing.assert_allclose(
            saved[f"{metric}_line"], np.exp(level) * against**slope, rtol=1e-10
        )
        assert saved[f"{metric}_slope"].sel(bound="value") == pytest.approx(slope, rel=1e-10)


def test_interrupted_between_units(tmp_path, folder, monkeypatch):
    study, config, out = get_study("chaos"), configuration(), tmp_path / "out"
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    calls = iter(range(100))

    def stop(plan, path, replicas, *, measure=chaos.measure, **more):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return measure(plan, path, replicas, **more)

    monkeypatch.setattr(chaos, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, config, out)
    assert len(list((out / "work").glob("*.npz"))) == 4  # the reference, the wells, two batches
    run_study(study, config, out, resume=True)
    assert next(calls) == 4  # 3 batches, and the one that was stopped
    assert_same_bits(out, folder)


def assert_same_bits(out, folder):
    assert (out / "summary.json").read_bytes() == (folder / "summary.json").read_bytes()
    resumed, reference = (storage.read_dataset(at / "result.nc") for at in (out, folder))
    for name, variable in reference.variables.items():
        assert resumed[name].values.tobytes() == variable.values.tobytes()


def test_interrupted_within_the_reference(tmp_path, folder, monkeypatch):
    study, config, out = get_study("chaos"), configuration(), tmp_path / "out"
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    monkeypatch.setattr(Checkpoint, "due", lambda checkpoint: True)
    seen = []

    class Stop(Bar):
        def __call__(self, done, total):
            seen.append(done)
            if self.label == "mean-field path (particles)" and len(seen) == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study, config, out, progress=Stop(""))
    assert 0 < seen[-1] < 800
    (running,) = (out / "work").glob("*.[mr]*")
    assert (running.name.split(".")[0], running.suffix) == ("reference", ".running")
    stopped_at = seen[-1]
    seen.clear()
    seen += [None] * 4
    run_study(study, config, out, resume=True, progress=Stop(""))
    assert seen[5] > stopped_at  # it went on where it was stopped
    assert_same_bits(out, folder)


@pytest.mark.parametrize("name", ["chaos", "simulate"])
def test_units_can_travel(name):
    """Units hold plain data and top-level functions: an executor may send them elsewhere."""
    study = get_study(name)
    for unit in study.prepare(parse(study.config, dict(study.example))).units:
        twin = pickle.loads(pickle.dumps(unit))
        assert twin.function is unit.function
        assert twin.arguments.keys() == unit.arguments.keys()


def test_exact_reference_is_used_where_it_applies(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    run_study(get_study("chaos"), configuration(LINEAR, cloud_replicas=0), tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert saved.attrs["reference"] == "gaussian"
    page = (tmp_path / "out/report.html").read_text()
    assert "the limit is known exactly" in page
    assert "raw W₂²" not in page
    arrays, _ = storage.load_arrays(tmp_path / "out/work/reference.npz")
    exact = reference_path(chaos.prepare(configuration(LINEAR)).units[0].arguments["plan"])
    assert exact.method == "gaussian"
    np.testing.assert_array_equal(arrays["predictions"], exact.predictions)


ONE = {
    **SMALL,
    "data": {**SMALL["data"], "n_features": 1},
    "problem": {"bias": False, "train": ["w"], "l2": 0.1, "temperature": 0.05},
    "chaos": {**SMALL["chaos"], "reference": {}, "cloud_replicas": 0},
}


@pytest.mark.parametrize(
    ("method", "used", "says"),
    [
        ("auto", "chain", "the law of the same discrete scheme"),
        ("fokker-planck", "fokker-planck", "the law in continuous time"),
    ],
)
def test_law_on_a_grid_as_the_reference(tmp_path, monkeypatch, method, used, says):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    config = configuration(ONE, reference={"method": method})
    summary = run_study(get_study("chaos"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert saved.attrs["reference"] == used
    assert 0 < saved.attrs["reference_error"] < 1e-2
    page = (tmp_path / "out/report.html").read_text()
    assert says in page
    assert "Distance to the limit law itself" in page
    problem = build_data(config)[1]
    direct = mf.chaos_rates(
        problem,
        [8, 16, 32],
        10,
        step_size=0.2,
        n_steps=40,
        seed=5,
        times=[1, 5, 20, 30, 40],
        cloud_replicas=0,
        reference=method,
    )
    for metric in ("law_w2", "law_floor", "matched_w2"):
        slope = summary["numbers"][f"{metric}_slope"]
        assert slope["value"] == pytest.approx(direct.slope[metric], rel=1e-9)
    assert summary["numbers"]["law_w2_slope"]["expected"] is None


def test_without_noise_only_the_function_is_expected_to_converge(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    content = {**SMALL, "problem": {"l2": 0.05, "temperature": 0.0}}
    summary = run_study(get_study("chaos"), configuration(content), tmp_path / "out")
    expected = {key: number["expected"] for key, number in summary["numbers"].items()}
    assert expected["function_slope"] == -1
    assert expected["coupling_slope"] is expected["matched_w2_slope"] is None
    assert "exchange" not in expected
    page = (tmp_path / "out/report.html").read_text()
    assert "only the function distance has a theorem" in page


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"particle_counts": [8, 16]}, "at least three"),
        ({"times": [1, 41]}, "n_steps=40"),
        ({"n_replicas": 2}, "n_replicas"),
        ({"cloud_size": 16}, "cloud_size"),
        ({"particle_counts": [8, 16]}, "^key 'chaos.particle_counts': particle_counts must hold"),
        ({"reference": {"method": "gaussian"}}, "Gaussian closure does not apply"),
        ({"reference": {"method": "chain"}}, "at most 2 trained coordinates"),
        ({"reference": {"method": "fokker-planck"}}, "at most 2 trained coordinates"),
    ],
)
def test_combinations_are_checked_before_the_work(keys, message):
    with pytest.raises(ConfigError, match=message):
        get_study("chaos").prepare(configuration(**keys))


def test_the_prediction_comes_with_the_study_where_it_is_asked_for(tmp_path):
    out = tmp_path / "out"
    run_study(get_study("chaos"), configuration(LINEAR, predict=True), out)
    numbers = json.loads((out / "summary.json").read_text())["numbers"]
    for metric in ("function", "coupling"):
        low, high = numbers[f"{metric}_predicted"]["interval"]
        assert low < numbers[f"{metric}_predicted"]["value"] < high
        assert numbers[f"{metric}_ratio"]["expected"] == 1.0
    page = (out / "report.html").read_text()
    assert "What theory predicts, with nothing fitted" in page
    assert "measured at N = 32 over predicted is" in page
