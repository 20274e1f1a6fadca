"""The study `widths`: numbers are those of the library, verdicts follow the rule."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from meanfield import deep, plots
from meanfield.errors import ConfigError
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.widths import study as widths
from meanfield.studies.widths.config import WidthsConfig
from meanfield.studies.widths.report import WidthsHeadline, _finding, keeps_size, report
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.executors.calls import Call
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.deep_inputs import load_inputs, scale_inputs


def configuration(data=None, limit=None, **network):
    return parse(
        WidthsConfig,
        {
            "study": "widths",
            "seed": 42,
            "data": {
                "source": "digits",
                "classes": [0, 1],
                "standardize": "none",
                "test_fraction": 0.0,
                "n_samples": 6,
                **(data or {}),
            },
            "network": {
                "activations": ["tanh"],
                "widths": [32, 8, 16],
                "n_seeds": 3,
                "n_steps": 30,
                **network,
            },
            "limit": {"n_samples": 128, "n_replicas": 2, **(limit or {})},
            "verdict": {"from_width": 8},
        },
    )


@pytest.fixture
def plain_figures(monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))


def test_dataset_is_that_of_the_library(tmp_path, plain_figures):
    config = configuration()
    run_study(get_study("widths"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert saved["width"].values.tolist() == [8, 16, 32]
    assert saved["seed"].values.tolist() == [42, 43, 44]
    data = load_inputs(config)
    X, y = scale_inputs(data.X, 8.0), data.y
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 8.0)
    for scheme in ("sp", "mup"):
        weight_variance, rate_scale = deep.experiment_scales(scheme, 64)
        run = deep.train(
            X,
            y,
            width=16,
            parametrization=scheme,
            activation="tanh",
            n_steps=30,
            seed=43,
            reduction="mean",
            weight_variance=weight_variance,
            rate_scale=rate_scale,
        )
        at = saved.sel(activation="tanh", scheme=scheme, width=16, seed=43)
        expected = deep.feature_change(run.features[0], run.initial_features[0]).mean(axis=-1)
        np.testing.assert_allclose(at["feature_change"], expected, rtol=1e-12)
        np.testing.assert_array_equal(
            at["feature_diversity"], deep.feature_diversity(run.features[0])
        )
        np.testing.assert_array_equal(
            at["joint_diversity"], deep.joint_diversity(run.features[0], run.initial_features[0])
        )
        np.testing.assert_array_equal(at["feature_size"], run.feature_size[0, :6])
        np.testing.assert_array_equal(at["loss"], run.loss[0, [0, -1]])
    means = saved["feature_change"].mean("seed")
    found = Estimate.from_xarray(saved["feature_change_mean"])
    np.testing.assert_allclose(found.value, means, rtol=1e-12)
    assert (found.low < found.value).all()
    assert saved["limit_feature_change"].shape == (1, 2, 3)


def test_cautions_about_the_limit_reach_the_report(tmp_path, plain_figures):
    config = configuration(
        limit={"max_rank": 4}, parametrizations=["mup"], widths=[8, 16], n_steps=3, n_seeds=2
    )
    run_study(get_study("widths"), config, tmp_path / "out")
    report = (tmp_path / "out/report.html").read_text()
    assert "tanh, infinite width: max_rank=4 directions did not suffice" in report
    assert "seeds 42 to 43" in report


def test_one_network_is_one_unit_and_finished_ones_are_not_trained_again(
    tmp_path, plain_figures, monkeypatch
):
    config = configuration(parametrizations=["mup"], n_steps=2)
    units = widths.prepare(config).units
    assert len(units) == 1 + 3 * 3
    assert units[0].key == "tanh-limit"
    run_study(get_study("widths"), config, tmp_path / "out")
    before = (tmp_path / "out/result.nc").read_bytes()
    (tmp_path / "out/work/tanh-mup-000016-043.npz").unlink()
    trained = []
    train = deep.train

    def count(*args, **kwargs):
        trained.append((kwargs["width"], kwargs["seed"]))
        return train(*args, **kwargs)

    monkeypatch.setattr(deep, "train", count)
    run_study(get_study("widths"), config, tmp_path / "out", resume=True)
    assert trained == [(16, 43)]
    assert (tmp_path / "out/result.nc").read_bytes() == before


def test_networks_that_diverge_are_left_out_and_counted(tmp_path, plain_figures):
    config = configuration(
        limit={"n_replicas": 0}, parametrizations=["sp"], step_size=40.0, activations=["identity"]
    )
    run_study(get_study("widths"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert int(saved["diverged"].sum()) > 0
    assert "diverged and are left out" in (tmp_path / "out/report.html").read_text()


def test_exponents_of_known_powers_and_verdicts_by_the_rule():
    n = np.array([8, 16, 32, 64])
    rng = np.random.default_rng(0)
    noise = np.exp(0.02 * rng.standard_normal((1, 2, 4, 5, 2)))
    powers = np.array([[-1.0, -0.5], [0.0, 0.3]])  # scheme, layer
    values = noise * n[:, None, None] ** powers[None, :, None, None, :]
    dims = ("activation", "scheme", "width", "seed", "layer")
    dataset = xr.Dataset(
        dict.fromkeys(widths._LABELS, (dims, values)),
        coords={"activation": ["tanh"], "scheme": ["sp", "mup"], "width": n},
        attrs={"from_width": 16},
    )
    numbers = widths._fit_exponents(dataset, seed=0).numbers()
    for scheme, least in (("sp", -1.0), ("mup", 0.0)):
        number = numbers[f"tanh_{scheme}_feature_change"]
        assert number.value == pytest.approx(least, abs=0.05)
        assert number.interval[0] < number.value < number.interval[1]
        assert [note.text for note in number.notes] == ["least over layers: layer 1"]
    by_layer = Estimate.from_xarray(dataset["feature_change_exponent"])
    np.testing.assert_allclose(by_layer.value[0], powers, atol=0.05)
    assert (by_layer.low < by_layer.value).all()
    assert keeps_size(Estimate(0.0, -0.1, 0.1)) is True
    assert keeps_size(Estimate(-0.5, -0.6, -0.4)) is False
    assert keeps_size(Estimate(-0.2, -0.4, 0.0)) is None
    assert keeps_size(Estimate(np.nan)) is None
    assert keeps_size(Estimate(-0.5)) is False


def test_findings_of_the_paper_come_out_of_the_data(tmp_path, plain_figures):
    config = parse(
        WidthsConfig,
        {
            "study": "widths",
            "seed": 42,
            "data": widths.EXAMPLE["data"],
            "network": {"activations": ["tanh"], "widths": [64, 128, 256], "n_seeds": 5}
            | {"n_steps": 60, "dtype": "float32"},
            "limit": {"n_replicas": 0},
        },
    )
    summary = run_study(get_study("widths"), config, tmp_path / "out")
    found = WidthsHeadline.read(summary)
    learns, rich = (
        {name: keeps_size(exponent) for name, exponent in exponents.items()}
        for exponents in (found.feature_change, found.feature_diversity)
    )
    assert learns == {"tanh_sp": False, "tanh_ntp": False, "tanh_ip": True, "tanh_mup": True}
    assert rich == {"tanh_sp": True, "tanh_ntp": True, "tanh_ip": False, "tanh_mup": True}
    for scheme in ("sp", "ntp"):
        assert found.feature_change[f"tanh_{scheme}"].value < -0.4
    assert "Only µP both learns features" in (tmp_path / "out/report.html").read_text()


def test_finding_says_what_the_data_do_not_decide():
    yes, no, unclear = Estimate(0.0, -0.1, 0.1), Estimate(-1.0, -1.1, -0.9), Estimate(0.0, -1, 1)
    found = WidthsHeadline(
        feature_change={"tanh_sp": no, "tanh_ip": yes, "tanh_mup": unclear},
        feature_diversity={"tanh_sp": unclear, "tanh_ip": yes, "tanh_mup": yes},
    )
    assert _finding(found, ["tanh"], ["sp"]) == (
        "No parametrization was shown both to learn features and to keep them rich with every "
        "activation (tanh)."
    )
    assert _finding(found, ["tanh"], ["sp", "ip", "mup"]) == (
        "IP learns features and keeps them rich as the width grows (tanh). The data do not decide "
        "about µP; more seeds or widths would."
    )
    assert "at least two widths" in _finding(WidthsHeadline(), ["tanh"], ["sp"])


def test_every_figure_can_be_drawn(tmp_path):
    config = configuration(activations=["tanh", "relu"], n_steps=6, widths=[8, 16])
    plan = widths.prepare(config)
    results = {unit.key: Call(unit, {}, None)().arrays for unit in plan.units}
    outcome = plan.combine(results)
    numbers = {key: number.to_summary() for key, number in outcome.numbers.items()}
    summary = {"numbers": numbers}
    figures = [b for b in report(summary, outcome.dataset) if hasattr(b, "plot")]
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 2 * 5 + 4 + 2
    for figure in (figures[0], figures[4], figures[-3], figures[-1]):
        png, pdf = plots.render(figure.plot, outcome.dataset)
        assert png.startswith(b"\x89PNG")
        assert pdf.startswith(b"%PDF")


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'mup'"):
        widths.prepare(configuration(parametrizations=["mop"]))
    with pytest.raises(ConfigError, match=r"^key 'network\.momentum': momentum is for"):
        widths.prepare(configuration(momentum=0.5))
    with pytest.raises(
        ConfigError, match=r"^key 'network\.weight_decay': weight_decay times the rate"
    ):
        widths.prepare(configuration(weight_decay=20.0))
    np.savez(tmp_path / "two.npz", X=np.eye(4), y=np.eye(4)[:, :2])
    with pytest.raises(ConfigError, match=r"network\.loss.*must be 1-D class labels"):
        widths.prepare(
            with_data(source="npz", path=str(tmp_path / "two.npz"), test_fraction=0.0).model_copy(
                update={"network": configuration(loss="cross-entropy").network}
            )
        )
    np.savez(tmp_path / "zero.npz", X=np.eye(4)[:, :3], y=np.ones(4))
    with pytest.raises(ConfigError, match="an input is zero"):
        widths.prepare(with_data(source="npz", path=str(tmp_path / "zero.npz"), test_fraction=0.0))
    with pytest.raises(ConfigError, match=r"binary version.*cs\.toronto\.edu"):
        widths.prepare(with_data(source="cifar10", folder=str(tmp_path)))


def test_networks_are_trained_as_the_configuration_says(tmp_path, plain_figures):
    training = {"loss": "cross-entropy", "bias": True, "optimizer": "momentum", "momentum": 0.8}
    training |= {
        "weight_decay": 0.5,
        "step_size": {"kind": "geometric", "start": 0.05, "ratio": 0.9},
    }
    config = configuration(
        {"classes": [0, 1, 2], "n_samples": 9}, widths=[8, 16], n_steps=10, n_seeds=2,
        parametrizations=["mup"], **training,
    )  # fmt: skip
    summary = run_study(get_study("widths"), config, tmp_path / "out")
    saved = storage.read_dataset(tmp_path / "out/result.nc").sel(activation="tanh", scheme="mup")
    data = load_inputs(config, "cross-entropy")
    X, scales = scale_inputs(data.X, 8.0), deep.experiment_scales("mup", 64)
    training["step_size"] = 0.05 * 0.9 ** np.arange(10)
    run = deep.train(
        X, data.y, width=16, n_steps=10, activation="tanh", seed=43, reduction="mean",
        weight_variance=scales[0], rate_scale=scales[1], **training,
    )  # fmt: skip
    found = saved["loss"].sel(width=16, seed=43).values
    np.testing.assert_allclose(found, run.loss[0, [0, -1]], rtol=1e-12)
    shares = np.unique(data.y, return_counts=True)[1] / 9
    assert saved.attrs["constant_loss"] == pytest.approx(-(shares * np.log(shares)).sum())
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "rates from 0.05 to 0.0194 on the mean cross-entropy loss" in page
    assert "Every layer has biases. A step keeps 0.8 of the one before (momentum)." in page
    assert summary["numbers"]


def test_two_spellings_of_a_name_are_one():
    config = configuration(activations=["tanh", "Tanh"], parametrizations=["mup", "µP"])
    assert config.network.networks == (["tanh"], ["mup"])
    keys = [unit.key for unit in widths.prepare(config).units]
    assert len(set(keys)) == len(keys)


def test_images_of_cifar10_come_from_the_users_own_files(tmp_path):
    random = np.random.default_rng(0)
    for batch in range(1, 6):
        records = random.integers(0, 256, (40, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(40) % 10
        records.tofile(tmp_path / f"data_batch_{batch}.bin")
    config = with_data(
        source="cifar10",
        folder=str(tmp_path),
        classes=["airplane", "automobile"],
        standardize="none",
        test_fraction=0.0,
        n_samples=10,
    )
    arguments = widths.prepare(config).units[0].arguments["common"]
    assert arguments["X"].shape == (10, 3072)
    np.testing.assert_allclose(np.mean(arguments["X"] ** 2, axis=1), 1.0)
    assert sorted(arguments["y"]) == [-1.0] * 5 + [1.0] * 5


def with_data(**data):
    content = {"study": "widths", "data": data}
    return parse(WidthsConfig, content)
