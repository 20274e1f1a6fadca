"""The study `limit`: its numbers are those of the library, and what it says follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep, plots
from meanfield.deep.feature_metrics import nondegeneracy
from meanfield.errors import ConfigError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import mean_interval
from meanfield.studies import get_study
from meanfield.studies.limit import study as limit
from meanfield.studies.limit.config import LimitConfig
from meanfield.studies.limit.report import STILL, report, verdict
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.executors.calls import Call
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.deep_inputs import load_inputs, scale_inputs, simulate_limit


def configuration(data=None, network=None, convergence=None, **sampling):
    return parse(
        LimitConfig,
        {
            "study": "limit",
            "seed": 5,
            "data": {
                "source": "single-index",
                "n_features": 8,
                "n_train": 4,
                "n_test": 3,
                "labels": "sign",
                **(data or {}),
            },
            "network": {"activations": ["tanh"], "depths": [1, 2], "n_steps": 40}
            | {"step_size": 0.1, **(network or {})},
            "limit": {"n_samples": 256, "n_replicas": 3, **sampling},
            "convergence": {"widths": [4, 8], "n_steps": 5, "n_samples": 256, "n_replicas": 2}
            | (convergence or {}),
            "joint": {"n_steps": 1, "widths": [16], "n_samples": 64, "n_replicas": 2},
        },
    )


@pytest.fixture
def plain_figures(monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))


def test_labels_that_do_not_suit_the_loss_are_refused_before_the_work():
    config = configuration({"labels": "real"}, {"loss": "logistic"})
    with pytest.raises(
        ConfigError, match=r"^key 'network\.loss': y must be ±1 for the logistic loss"
    ):
        limit.prepare(config)


def test_dataset_is_that_of_the_library(tmp_path, plain_figures):
    config = configuration()
    summary = run_study(get_study("limit"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    data = load_inputs(config)
    X, y, X_test = scale_inputs(data.X, 1.0), data.y, scale_inputs(data.X_test, 1.0)
    arguments = {"activation": "tanh", "depth": 2, "step_size": 0.1, "seed": 5}
    run = deep.infinite_width(
        X, y, X_test=X_test, n_steps=40, n_samples=256, n_replicas=3, max_rank=512, **arguments
    )
    at = saved.sel(case="tanh-2")
    for key, values in (
        ("predictions", run.replicas.predictions),
        ("predictions_test", run.replicas.predictions_test),
        ("feature_change", run.replicas.feature_change.mean(axis=-1)),
        ("least_h", run.replicas.least_eigenvalue_h),
        ("least_x", run.replicas.least_eigenvalue_x),
        ("kernel_x", run.replicas.kernel_x[:, -1]),
        ("weight_change", run.replicas.weight_change),
    ):
        mean, low, high = mean_interval(values)
        found = Estimate.from_xarray(at[key])
        np.testing.assert_allclose(found.value, mean, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.low, low, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.high, high, rtol=1e-9, atol=1e-12)
    assert np.isnan(saved["least_h"].sel(case="tanh-1", layer=2)).all()
    least = min(report.least for report in nondegeneracy(run))
    number = summary["numbers"]["tanh-2_least_eigenvalue"]
    assert number["value"] == pytest.approx(least, rel=1e-9)
    assert number["interval"][0] < least < number["interval"][1]
    signal = np.abs(run.error_signals[-1]).max()
    assert summary["numbers"]["tanh-2_error_signal"]["value"] == pytest.approx(signal)


def test_several_outputs_momentum_and_a_schedule(tmp_path, plain_figures):
    training = {"loss": "cross-entropy", "bias": True, "optimizer": "momentum", "weight_decay": 0.2}
    rates = {"kind": "geometric", "start": 0.05, "ratio": 0.9}
    config = parse(
        LimitConfig,
        {
            "study": "limit",
            "data": {
                "source": "digits",
                "classes": [0, 1, 2],
                "n_samples": 6,
                "test_fraction": 0.5,
            },
            "network": {"activations": ["tanh"], "depths": [2], "n_steps": 8, "step_size": rates}
            | training,
            "limit": {"n_samples": 128, "n_replicas": 2},
            "convergence": {"widths": [4, 8], "n_steps": 5, "n_samples": 128, "n_replicas": 2}
            | {"networks_per_unit": 10.0},
        },
    )
    run_study(get_study("limit"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc").sel(case="tanh-2")
    data = load_inputs(config, "cross-entropy")
    X, X_test = scale_inputs(data.X, 1.0), scale_inputs(data.X_test, 1.0)
    etas = 0.05 * 0.9 ** np.arange(8)
    same = {"activation": "tanh", "depth": 2, **training}
    run = simulate_limit(
        X=X, y=data.y, X_test=X_test, step_size=etas, n_steps=8, n_samples=128, n_replicas=2, **same
    )
    assert saved["predictions"].dims[:3] == ("step", "input", "output")
    assert saved.sizes["output"] == 3
    found = Estimate.from_xarray(saved["predictions"]).value
    np.testing.assert_allclose(found, run.predictions, atol=1e-13)
    finite = {
        n: deep.train(X, data.y, width=n, n_replicas=10 * n, n_steps=5, step_size=etas[:5], **same)
        for n in (4, 8)
    }
    spread = [np.sqrt(f.predictions.var(axis=0, ddof=1).mean()) for f in finite.values()]
    np.testing.assert_allclose(Estimate.from_xarray(saved["spread"]).value, spread, rtol=1e-5)


def test_finite_networks_are_compared_with_their_limit(tmp_path, plain_figures):
    config = configuration(network={"depths": [2]})
    run_study(get_study("limit"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc").sel(case="tanh-2")
    data = load_inputs(config)
    X, y = scale_inputs(data.X, 1.0), data.y
    arguments = {"activation": "tanh", "depth": 2, "step_size": 0.1, "n_steps": 5}
    reference = simulate_limit(X=X, y=y, n_samples=256, n_replicas=2, seed=5, **arguments)
    runs = {n: deep.train(X, y, width=n, n_replicas=20 * n, seed=5, **arguments) for n in (4, 8)}
    networks = {n: run.predictions for n, run in runs.items()}
    expected = deep.width_convergence(reference.predictions, networks, reference.predictions_error)
    for name, rtol in (("spread", 1e-5), ("bias", 1e-4), ("gap", 1e-5)):
        found, wanted = Estimate.from_xarray(saved[name]), getattr(expected, name)
        np.testing.assert_allclose(found.value, wanted.value, rtol=rtol)
        np.testing.assert_allclose(found.high, wanted.high, rtol=rtol)

    kernels = {n: run.kernel_x[:, -1] for n, run in runs.items()}
    aligned = deep.kernel_convergence(reference.kernel_x[-1], kernels)
    for key, wanted in (
        ("alignment", aligned.alignment),
        ("misalignment_times_width", aligned.scaled),
    ):
        np.testing.assert_allclose(Estimate.from_xarray(saved[key]).value, wanted.value, rtol=1e-4)


def test_groups_hold_every_network_once():
    assert limit.group_sizes(64, 30) == [1024, 896]
    assert limit.group_sizes(4, 0.1) == [1]
    assert sum(limit.group_sizes(96, 40)) == 3840
    units = limit.prepare(configuration(convergence={"widths": [512, 4]})).units
    firsts = {
        unit.key: (unit.arguments["first_seed"], unit.arguments["n_networks"])
        for unit in units
        if "first_seed" in unit.arguments
    }
    seeds = [
        seed
        for key, (first, count) in firsts.items()
        if key.startswith("tanh-2-000512")
        for seed in range(first, first + count)
    ]
    assert seeds == list(range(5, 5 + 20 * 512))


def test_standstill_without_error_signals_is_found(tmp_path, plain_figures):
    config = configuration(network={"depths": [2], "n_steps": 400}, convergence={"widths": []})
    summary = run_study(get_study("limit"), config, tmp_path / "out")
    numbers = summary["numbers"]
    assert numbers["tanh-2_last_move"]["value"] < STILL
    assert numbers["tanh-2_error_signal"]["value"] < 1e-3
    report = (tmp_path / "out/report.html").read_text()
    assert "Training stands still at the end in 1 of 1" in report
    assert "tanh-2_bias_exponent" not in numbers


def test_more_inputs_than_dimensions_are_explained_not_failed(tmp_path, plain_figures):
    config = configuration(
        data={"n_features": 2}, network={"depths": [2], "n_steps": 5}, convergence={"widths": []}
    )
    summary = run_study(get_study("limit"), config, tmp_path / "out")
    assert summary["numbers"]["tanh-2_least_eigenvalue"]["value"] > 1e-6
    report = (tmp_path / "out/report.html").read_text()
    assert "0: 4 inputs span 2 dimensions" in report
    assert "Theorem 4.5(1) cannot hold" in report


def test_edge_of_stability_is_a_caution_of_the_report(tmp_path, plain_figures, recwarn):
    config = configuration(
        network={"depths": [2], "n_steps": 5, "step_size": 1.0}, convergence={"widths": []}
    )
    run_study(get_study("limit"), config, tmp_path / "out")
    assert "edge of stability" in (tmp_path / "out/report.html").read_text()
    assert not any("edge of stability" in str(warning.message) for warning in recwarn)


def test_exponents_are_confirmed_by_their_interval():
    for low, high, expected in (
        (-1.2, -0.8, "yes"),
        (-1.3, -0.8, "too wide"),
        (-0.9, -0.8, "yes"),
        (-0.9, -0.7, "no"),
        (np.nan, np.nan, "not measurable"),
    ):
        assert verdict(Estimate((low + high) / 2, low, high, expected=-1.0)) == expected


def test_every_figure_can_be_drawn():
    config = configuration(network={"n_steps": 12})
    plan = limit.prepare(config)
    results = {unit.key: Call(unit, {}, None)().arrays for unit in plan.units}
    outcome = plan.combine(results)
    summary = {"numbers": {key: number.to_summary() for key, number in outcome.numbers.items()}}
    figures = [b for b in report(summary, outcome.dataset) if hasattr(b, "plot")]
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 2 + 2 + 1 + 3 + 4
    for figure in (figures[0], figures[2], *figures[-4:]):
        png, _ = plots.render(figure.plot, outcome.dataset)
        assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": {"activations": ["tanhh"]}}, "Did you mean 'tanh'"),
        ({"convergence": {"widths": [8]}}, "two widths or more"),
    ],
)
def test_configuration_is_checked(arguments, message):
    with pytest.raises(ConfigError, match=message):
        limit.prepare(configuration(**arguments))


def test_a_limit_beyond_memory_is_refused_before_it_starts():
    with pytest.raises(ConfigError, match=r"'limit\.n_samples'.* GB of memory, and"):
        limit.prepare(configuration(n_samples=2**30, n_replicas=1))


@pytest.mark.filterwarnings("error")
def test_dependent_features_have_least_eigenvalue_zero_and_a_figure(tmp_path):
    # In one dimension unit inputs coincide up to sign, and so do their features.
    config = configuration(
        {"n_features": 1}, {"depths": [2], "n_steps": 5}, {"widths": [4, 8], "n_steps": 2}
    )
    summary = run_study(get_study("limit"), config, tmp_path / "out")
    number = summary["numbers"]["tanh-2_least_eigenvalue"]
    assert number["value"] == 0
    assert number["interval"] is None
    assert "linearly dependent" in number["notes"][0]
    assert "0 (singular, up to rounding)" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("depth", [1, 2])
def test_rates_of_a_schedule_reach_to_the_last_step_of_every_unit(depth):
    rates = {"kind": "geometric", "start": 0.1, "stop": 0.01}
    network = {"depths": [depth], "n_steps": 3, "step_size": rates}
    config = configuration(network=network, convergence={"n_steps": 2})
    joint = config.joint.model_copy(update={"n_steps": 5})
    plan = limit.prepare(config.model_copy(update={"joint": joint}))
    lengths = {unit.key: unit.arguments for unit in plan.units}
    lengths = {key: a.get("common", a.get("same"))["step_size"] for key, a in lengths.items()}
    expected = np.geomspace(0.1, 0.01, 3 if depth == 1 else 5)
    assert (f"tanh-{depth}-joint" in lengths) == (depth == 2)
    for key, found in lengths.items():
        steps = 5 if "joint" in key else 3 if key.endswith("limit") else 2
        np.testing.assert_allclose(found, expected[:steps])


def test_joint_independence_and_batches_are_those_of_the_library(tmp_path, plain_figures):
    config = configuration(
        data={"n_train": 4},
        network={"depths": [2], "n_steps": 30, "batch_size": 2},
        convergence={"widths": []},
    )
    section = {"n_steps": 2, "widths": [32], "n_samples": 256, "n_replicas": 2}
    config = config.model_copy(update={"joint": config.joint.model_copy(update=section)})
    run_study(get_study("limit"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc").sel(case="tanh-2", matrix=2)
    data = load_inputs(config)
    X, y = scale_inputs(data.X, 1.0), data.y
    settings = {"depth": 2, "activation": "tanh", "step_size": 0.1, "n_steps": 2, "batch_size": 2}
    settings |= {"tol": 1e-9, "joint_steps": 2, "n_replicas": 2, "seed": 5}
    limit_run = deep.infinite_width(X, y, n_samples=256, **settings)
    wide = deep.train(X, y, width=32, **settings)
    for run, name in ((limit_run, "joint_least"), (wide, "joint_least_32")):
        for report_, direction in zip(
            deep.joint_nondegeneracy(run), ("forward", "backward"), strict=True
        ):
            found = Estimate.from_xarray(saved[name].sel(direction=direction))
            np.testing.assert_allclose(found.value, report_.least.value, rtol=1e-6)
    assert saved["joint_size"].values.tolist() == [4, 8, 12]
    # The last epoch, of two batches, is saved: both count where training stands still.
    assert {28, 29, 30} <= set(saved["saved_step"].values.tolist())
    text = (tmp_path / "out/report.html").read_text()
    assert "Joint independence over inputs and steps" in text
    assert "(batches of 2, 2 an epoch)" in text
    with pytest.raises(ConfigError, match=r"'network\.batch_size' = 9 exceeds the 4 training"):
        limit.prepare(configuration(network={"batch_size": 9}))
