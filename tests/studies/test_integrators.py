"""The study `integrators` measures what the library would, and tells what it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study, integrators
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_problem


def configuration(section=None, problem=None, **tables):
    return parse(
        integrators.IntegratorsConfig,
        {
            "study": "integrators",
            "seed": 2,
            "data": {
                "source": "teacher", "n_features": 1, "n_atoms": 1, "bias": False, "n_train": 6,
                "inputs": "uniform-cube", "output_norm": 3.0, "n_test": 1,
            },
            "problem": {"bias": False, "l2": 0.5, "temperature": 2.0, **(problem or {})},
            "integrators": {
                "step_sizes": [0.2, 0.4, 0.8], "reference_step": 0.1, "n_particles": 64,
                "n_replicas": 10, "burn_in": 4.0, "duration": 12.0,
                "path_step_sizes": [0.1, 0.2, 0.4], "path_time": 1.6, **(section or {}),
            },
            **tables,
        },
    )  # fmt: skip


def test_errors_are_differences_of_plain_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    config = configuration({"batch_size": 2, "anchor_period": 3})
    run_study(get_study("integrators"), config, tmp_path / "out")
    dataset = storage.read_dataset(tmp_path / "out/result.nc")
    problem = build_problem(config)
    law = mf.stationary(problem)
    start = law.sample(64, 10, 2)
    f = law.predictions

    def amplitude(name, h, m):
        run = mf.simulate(
            problem, step_size=h, n_steps=round(12 / h), integrator=name, init=start, seed=2,
            substeps=m, save_at=range(round(12 / h) + 1),
        )  # fmt: skip
        return run.predictions @ f / (f @ f)

    fine = amplitude("leimkuhler-matthews", 0.1, 1)
    gap = (amplitude("euler", 0.4, 4) - fine[:, ::4])[:, 10:]
    assert dataset["bias_mean"].sel(variant="euler", step_size=0.4) == pytest.approx(gap.mean())
    coarse = amplitude("leimkuhler-matthews", 0.2, 2)
    gap = (coarse[:, :-1] - (fine[:, :-1:2] + fine[:, 2::2]) / 2)[:, 20:]
    at = dataset["bias_mean"].sel(variant="leimkuhler-matthews", step_size=0.2)
    assert at == pytest.approx(gap.mean())
    batches = mf.simulate(
        problem, step_size=0.4, n_steps=30, init=start[:8], seed=2, substeps=4, batch_size=2,
        anchor_period=3, save_at=range(31),
    )  # fmt: skip
    gap = (batches.predictions @ f / (f @ f) - fine[:8, ::4])[:, 10:]
    assert dataset["bias_mean"].sel(variant="euler, SVRG", step_size=0.4) == pytest.approx(
        gap.mean()
    )
    np.testing.assert_allclose(dataset["cost"].sel(step_size=0.4)[:5], [2.5] * 4 + [2.5 / 3])
    assert dataset["cost"].sel(variant="euler, SVRG", step_size=0.4) == pytest.approx(2.5)

    def end(name, h, m):
        few = mf.simulate(
            problem, step_size=h, n_steps=round(1.6 / h), integrator=name, init=start, seed=2,
            substeps=m,
        )  # fmt: skip
        return few.particles.coordinates

    away = end("leimkuhler-matthews", 0.2, 64) - end("euler", 0.1 / 32, 1)
    error = np.sqrt(np.square(away).sum(-1).mean())
    assert dataset["path_mean"].sel(variant="leimkuhler-matthews", path_step_size=0.2) == (
        pytest.approx(error)
    )


def test_orders_are_fitted_where_they_can_be():
    h = np.array([0.2, 0.3, 0.4, 0.6, 0.8])
    noise = 1e-3 * np.random.default_rng(0).normal(size=(5, 12))
    number = integrators._order("bias", "x", h, h[:, None] ** 2 + noise, 2.0)
    assert number.interval[0] < 2 < number.interval[1]
    assert not number.notes
    hidden = integrators._order("bias", "x", h, 0.03 * h[:, None] ** 2 + 4 * noise, 2.0)
    assert hidden.notes[0].startswith("Fitted from")
    nothing = integrators._order("bias", "x", h, 1e-6 * h[:, None] + noise, 2.0)
    assert np.isnan(nothing.value)
    assert "an order would be fitted to noise" in nothing.notes[0]
    diverged = np.vstack([h[:3, None] + 0.1 * noise[:3], np.full((2, 12), np.nan)])
    number = integrators._order("bias", "x", h, diverged, 1.0)
    assert abs(number.value - 1) < 0.1
    assert "diverged" in number.notes[0]


def test_the_price_of_an_accuracy_is_interpolated():
    cost = np.array([8.0, 4.0, 2.0])
    mean = np.array([0.015, 0.03, 0.06])
    price = integrators._price("x", cost, mean, mean / 1.5, mean * 1.5)
    assert price.value == pytest.approx(4.0)
    assert price.interval == pytest.approx((8 / 3, 6.0))
    small = integrators._price("x", cost, mean / 10, mean / 20, mean / 5)
    assert (small.value, small.interval) == (2.0, None)
    assert integrators._price("x", cost, mean * 10, mean * 5, mean * 20) is None


@pytest.mark.parametrize(
    ("section", "tables", "message"),
    [
        ({"step_sizes": [0.2, 0.4]}, {}, "at least three step sizes"),
        ({"step_sizes": [0.2, 0.4, 0.55]}, {}, "step_sizes must hold whole multiples of 0.1"),
        ({"duration": 12.1}, {}, "duration must hold whole multiples of 0.2"),
        ({"burn_in": 12.0}, {}, "burn_in must be shorter than duration"),
        ({"schemes": ["eulr"]}, {}, "Unknown integrator 'eulr'"),
        ({"batch_size": 7}, {}, "batch_size must be at most the 6 data"),
        ({"n_replicas": 2}, {}, "n_replicas must be at least 4"),
        ({}, {"run": {"step_size": 0.3}}, "key 'run' is not known"),
        ({}, {"problem": {"bias": False, "temperature": 0.0}}, "temperature"),
    ],
)
def test_wrong_settings_are_told_before_the_work(section, tables, message):
    with pytest.raises(ConfigError, match=message):
        integrators.prepare(configuration(section, **tables))


@pytest.mark.parametrize("name", ["plot_path_errors", "plot_scheme_bias", "plot_cost"])
def test_figures_show_every_scheme_that_has_the_error(name):
    h, names = np.array([0.1, 0.2, 0.4]), ["euler", "leimkuhler-matthews", "euler, SVRG"]
    error = np.array([0.1 * h, -0.01 * h**2, 0.2 * h])
    path = np.array([h, np.sqrt(h), np.nan * h])
    variables = {"cost": (("variant", "step_size"), np.outer([1, 1, 0.7], 1 / h))}
    for part, values, axis in (("bias", error, "step_size"), ("path", path, "path_step_size")):
        for end, factor in (("mean", 1.0), ("low", 0.8), ("high", 1.2)):
            variables[f"{part}_{end}"] = (("variant", axis), factor * values)
    coordinates = {"variant": names, "step_size": h, "path_step_size": h}
    dataset = xr.Dataset(variables, coordinates)
    ax = Figure().subplots()
    assert getattr(plots, name)(dataset, ax) is ax
    labels = [label for label in ax.get_legend_handles_labels()[1] if "order" not in label]
    assert labels == (names[:2] if name == "plot_path_errors" else names)
    bottom, top = ax.get_ylim()
    drawn = path if name == "plot_path_errors" else error
    assert bottom < np.nanmin(np.abs(drawn))
    assert top > np.nanmax(np.abs(drawn))
