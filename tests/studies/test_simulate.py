"""The study `simulate` keeps what `mf.simulate` gives, for every kind of problem."""

from __future__ import annotations

import json

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.problem import SOURCES
from meanfield.statistics.intervals import mean_interval, wilson_interval
from meanfield.studies import get_study
from meanfield.studies.simulate import study as simulate
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.report.formatting import typeset
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_data
from meanfield.workbench.sections.learning import learned, under_way

PROBLEMS = {
    "regression": ({"n_outputs": 1}, {}),
    "vector": ({"n_outputs": 2, "n_features": 3}, {"bias": False}),
    "logistic": ({"labels": "sign"}, {"loss": "logistic"}),
    "classes": ({"n_outputs": 3, "labels": "class"}, {"loss": "cross-entropy"}),
}


def configuration(data=None, problem=None, run=None, **keys):
    return parse(
        simulate.SimulateConfig,
        {
            "study": "simulate",
            "seed": 3,
            "data": {
                "source": "teacher",
                "n_features": 2,
                "n_atoms": 4,
                "n_train": 15,
                "n_test": 8,
                **(data or {}),
            },
            "problem": problem or {},
            "run": run or {"n_steps": 12, "step_size": 0.2},
            "simulate": {
                "n_particles": 10,
                "n_replicas": 5,
                "save_at": [0, 7, 12],
                "loss_points": 3,
                **keys,
            },
        },
    )


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))


@pytest.mark.parametrize("kind", list(PROBLEMS))
def test_dataset_is_that_of_the_library(tmp_path, monkeypatch, kind):
    # Two replicas per unit: 5 steps of 10 particles.
    config = configuration(*PROBLEMS[kind])
    problem = build_data(config)[1]
    monkeypatch.setattr(simulate, "_UNIT_BYTES", 2 * 8 * 6 * 10 * problem.n_coordinates)
    run_study(get_study("simulate"), config, tmp_path / "out")
    assert len(list(tmp_path.glob("out/work/*.npz"))) == 3
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    steps = [0, 1, 3, 7, 12]
    run = mf.simulate(problem, 10, n_replicas=5, step_size=0.2, n_steps=12, seed=3, save_at=steps)
    assert saved["loss_step"].values.tolist() == steps
    np.testing.assert_array_equal(saved["loss"], run.loss)
    np.testing.assert_array_equal(saved["time"], [0.0, 7 * 0.2, 12 * 0.2])
    for position, step in enumerate((0, 7, 12)):
        np.testing.assert_array_equal(saved["a"].isel(step=position), run.at(step).a)
        np.testing.assert_array_equal(saved["w"].isel(step=position), run.at(step).w)
    assert ("b" in saved) == problem.bias
    test = problem.risk(run.predict(problem.X_test), held_out=True)
    np.testing.assert_array_equal(saved["test_loss"].isel(loss_step=-1), test)
    numbers = json.loads((tmp_path / "out/summary.json").read_text())["numbers"]
    mean, low, high = mean_interval(run.loss[:, -1])
    assert numbers["loss"]["value"] == pytest.approx(mean)
    assert numbers["loss"]["interval"] == pytest.approx([low, high])
    score, name = run.score(), "test_accuracy" if kind in ("logistic", "classes") else "test_r2"
    assert numbers[name]["value"] == pytest.approx(score.value)
    assert numbers[name]["interval"] == pytest.approx(score.interval)
    assert numbers[name]["resampled"] == "rows and replicas"


def test_data_are_loaded_once(tmp_path, monkeypatch):
    loaded, load = [], SOURCES["teacher"]
    watched = {"teacher": lambda **keys: loaded.append(keys) or load(**keys)}
    monkeypatch.setattr("meanfield.workbench.sections.data.SOURCES", watched)
    run_study(get_study("simulate"), configuration({}, n_replicas=1), tmp_path / "out")
    assert len(loaded) == 1
    record = json.loads((tmp_path / "out/data.json").read_text())
    assert (record["source"], record["n_train"]) == ("teacher", 15)


def test_an_accuracy_counts_the_rows_even_where_all_replicas_agree(tmp_path):
    config = configuration(
        {**PROBLEMS["classes"][0], "n_train": 60, "n_test": 36}, PROBLEMS["classes"][1]
    )
    problem = build_data(config)[1]
    outputs = np.repeat(problem.targets_test[None] * 2.0, 5, axis=0)
    outputs[:, 0] = -outputs[:, 0]
    arrays = {"loss": np.ones((5, 2)), "test_loss": np.ones((5, 2)), "final": outputs}
    arrays |= {"regularised": np.ones(5), "last": np.zeros((5, *problem.targets.shape))}
    outcome = simulate.combine(
        config, problem, config.scheme(problem), np.array([0, 12]), np.array([0]), {"r": arrays}
    )
    found = outcome.numbers["test_accuracy"]
    assert found.value == pytest.approx(35 / 36)
    low, high = wilson_interval(35, 36)
    assert found.interval == pytest.approx((low, high), abs=0.005)
    assert high - low > 0.1


def test_one_replica_has_no_interval_and_no_test_data_no_test_loss(tmp_path):
    config = configuration({"n_test": 0}, n_replicas=1, save_at=None)
    summary = run_study(get_study("simulate"), config, tmp_path / "out")
    assert list(summary["numbers"]) == ["train_r2", "regularised_risk", "loss"]
    assert summary["numbers"]["loss"]["interval"] is None
    report = (tmp_path / "out/report.html").read_text()
    assert "needs 2 replicas" in report
    assert "1 independent replicas" not in report
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert saved["step"].values.tolist() == [0, 12]


def test_schedules_and_batches_reach_the_run(tmp_path):
    run = {
        "n_steps": 12,
        "step_size": {"kind": "geometric", "start": 0.4, "stop": 0.1},
        "batch_size": 5,
        "anchor_period": 4,
        "integrator": "leimkuhler_matthews",
    }
    cooling = {"kind": "piecewise", "numbers": [0.01, 0.0], "changes": [6]}
    config = configuration(run=run, problem={"temperature": cooling})
    assert build_data(config)[1].temperature == 0.0
    run_study(get_study("simulate"), config, tmp_path / "out")
    dataset = storage.read_dataset(tmp_path / "out/result.nc")
    sizes = mf.schedule.Geometric(0.4, 0.1).values(12)
    np.testing.assert_allclose(dataset["time"], [0, sizes[:7].sum(), sizes.sum()])
    direct = mf.simulate(
        build_data(config)[1], 10, sizes, 12, seed=3, n_replicas=5, batch_size=5, anchor_period=4,
        integrator="leimkuhler-matthews", temperature=[0.01] * 6 + [0.0] * 6,
    )  # fmt: skip
    np.testing.assert_array_equal(dataset["w"][:, -1], direct.particles.w)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"step_size": {"kind": "geometrc"}}, "no kind 'geometrc'. Did you mean 'geometric'"),
        (
            {"step_size": {"kind": "constant", "value": 0.0}},
            "step_size must be greater than 0, got 0.0",
        ),
        ({"step_size": 0.0}, "key 'run.step_size' must be greater than 0, got 0.0"),
        (
            {"step_size": {"kind": "piecewise", "numbers": [1.0, 0.1], "changes": [90]}},
            "key 'run.step_size': .* changes at step 90, which a run of 12 steps does not reach",
        ),
        (
            {"temperature": 0.1},
            "key 'run.temperature' has moved: give problem.temperature, which takes a number or",
        ),
        ({"batch_size": 500}, "key 'run.batch_size': batch_size must be at most the 15 data"),
        ({"anchor_period": 5}, "anchor_period needs a batch_size"),
    ],
)
def test_wrong_schedules_and_batches_are_told_before_the_run(run, message):
    with pytest.raises(ConfigError, match=message):
        simulate.prepare(configuration(run={"n_steps": 12, **run}))


def test_run_whose_loss_rose_is_said_not_to_have_learned(tmp_path):
    loud = configuration(run={"n_steps": 12, "step_size": 50.0}, save_at=None)
    summary = run_study(get_study("simulate"), loud, tmp_path / "out")
    (note,) = summary["numbers"]["loss"]["notes"]
    assert "lower step_size" in note
    assert typeset(note) in (tmp_path / "out/report.html").read_text()
    summary = run_study(get_study("simulate"), configuration(), tmp_path / "learned")
    assert summary["numbers"]["loss"]["notes"] == []


def test_a_loss_that_is_still_falling_is_said(tmp_path):
    content = {
        "study": "simulate",
        "data": {"source": "parity", "n_features": 4, "coordinates": [0, 1], "n_train": 16},
        "problem": {"l2": 0.001, "temperature": 0.0},
        "run": {"step_size": 0.5, "n_steps": 60},
        "simulate": {"n_particles": 64, "n_replicas": 1},
    }
    run_study(get_study("simulate"), parse(simulate.SimulateConfig, content), tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "over the last fifth of the run: what follows describes networks under way" in page


def test_only_a_loss_that_falls_is_under_way():
    time = np.linspace(0.0, 10.0, 51)
    assert "still fell by 18%" in under_way(time, np.exp(-time / 10))
    for loss in (np.exp(-10 * time), time, np.zeros(51), np.full(51, np.nan)):
        assert under_way(time, 1.0 + loss if loss[0] else loss) == ""


def test_intervals_stay_in_the_possible_range():
    config = configuration(*PROBLEMS["logistic"], n_replicas=2)
    steps, keep = np.array([0, 12]), np.array([0])
    arrays = {
        "loss": np.array([[1.0, 0.1], [1.0, 0.9]]),
        "final": np.ones((2, 8)),
        "regularised": np.ones(2),
    }
    problem = build_data(config)[1]
    arrays["last"] = np.zeros((2, problem.n_data))
    outcome = simulate.combine(
        config, problem, config.scheme(problem), steps, keep, {"replicas-00000": arrays}
    )
    assert outcome.numbers["loss"].interval[0] == 0
    low, high = outcome.numbers["test_accuracy"].interval
    assert 0 <= low < high <= 1


def test_the_regularised_risk_and_a_certificate_where_there_is_one(tmp_path):
    config = configuration(
        {"n_features": 1, "n_test": 0}, {"l2": 0.1, "temperature": 0.05}, n_replicas=2, save_at=None
    )
    out = tmp_path / "out"
    numbers = run_study(get_study("simulate"), config, out)["numbers"]
    problem = build_data(config)[1]
    run = mf.simulate(
        problem, n_particles=config.simulate.n_particles, n_replicas=2,
        step_size=config.run.step_size, n_steps=config.run.n_steps, seed=config.seed,
    )  # fmt: skip
    squares = np.square(run.particles.coordinates).sum(-1).mean(1)
    regularised = (run.loss[:, -1] + 0.05 * squares).mean()
    assert numbers["regularised_risk"]["value"] == pytest.approx(regularised, rel=1e-9)
    gap = mf.duality_gap(run, [config.run.n_steps]).certified
    assert numbers["gap"]["value"] == pytest.approx(gap, rel=1e-6)
    assert "of that global optimum" in (out / "report.html").read_text()


def test_studies_that_train_tell_the_same_regularised_risk():
    X = np.random.default_rng(0).normal(size=(12, 2))
    problem = mf.Problem(X, X[:, 0], l2=(0.1, 0.3), train=("a", "w"), temperature=0.01)
    run = mf.simulate(problem, 8, step_size=0.1, n_steps=5, n_replicas=3)
    at = run.particles
    by_hand = (
        run.loss[:, -1] + 0.05 * np.square(at.a).mean(1) + 0.15 * np.square(at.w).sum(2).mean(1)
    )
    np.testing.assert_allclose(run.regularised_risk[:, -1], by_hand)
    told = learned(problem, at.coordinates)["regularised_risk"]
    assert told.value == pytest.approx(by_hand.mean())
    assert told.low < told.value < told.high
