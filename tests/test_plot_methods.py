"""Results that plot themselves: on the axes they are given, with the numbers they hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf
import meanfield.plots


def problem():
    X = np.random.default_rng(0).normal(size=(12, 2))
    return mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)


@pytest.mark.parametrize("n_replicas", [1, 3])
def test_run_draws_its_loss(n_replicas):
    settings = {"n_replicas": n_replicas, "save_at": [0, 5, 10], "every_loss": False}
    run = mf.simulate(problem(), 8, 0.2, 10, **settings)
    ax = Figure().subplots()
    assert run.plot(ax=ax) is ax
    mean = ax.get_lines()[-1]
    np.testing.assert_allclose(mean.get_xdata(), [0.0, 1.0, 2.0])
    np.testing.assert_allclose(mean.get_ydata(), run.loss.mean(axis=0))
    assert mean.get_linestyle() == "None"  # of three steps nothing is known in between
    assert len(ax.get_lines()) == (1 if n_replicas == 1 else 1 + n_replicas)
    assert "N = 8" in ax.get_legend().get_texts()[-1].get_text()


def test_runs_on_the_same_axes_differ():
    ax = Figure().subplots()
    for temperature in np.geomspace(0.001, 0.1, 9):
        cool = problem().replace(temperature=float(temperature))
        mf.simulate(cool, 8, 0.2, 10, n_replicas=2, save_at=range(11)).plot(ax)
    means = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    looks = {(line.get_color(), line.get_linestyle()) for line in means}
    labels = {line.get_label() for line in means}
    assert len(means) == len(looks) == len(labels) == 9
    mf.simulate(problem(), 8, 0.2, 10, save_at=range(11)).plot(ax, label="mine")
    assert ax.get_legend().get_texts()[-1].get_text() == "mine"


def test_colours_and_labels_are_the_callers():
    run = mf.simulate(problem(), 8, 0.2, 10, save_at=range(11))
    assert run.plot(Figure().subplots(), color="#123456").get_lines()[-1].get_color() == "#123456"
    rates = mf.chaos_rates(problem(), [8, 16, 32], n_replicas=6, step_size=0.2, n_steps=10)
    ax = Figure().subplots()
    rates.plot(ax)
    first = len(ax.get_legend().get_texts())
    rates.plot(ax, label="again", color="#123456")
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sum(text.startswith("again, ") for text in texts) == first - 1  # one guide for both
    assert texts.count("expected: slope $-1$") == 1
    assert any(line.get_color() == "#123456" for line in ax.get_lines())


def test_datasets_of_results_are_drawn_as_they_are():
    run = mf.simulate(problem(), 8, 0.2, 10, n_replicas=2, save_at=range(11))
    ax = mf.plots.plot_loss(run.to_xarray(), Figure().subplots())
    np.testing.assert_allclose(ax.get_lines()[-1].get_ydata(), run.loss.mean(axis=0))
    assert run.to_xarray()["a"].dims[:2] == run.to_xarray()["loss"].dims == ("replica", "step")
    rates = mf.chaos_rates(problem(), [8, 16, 32], n_replicas=6, step_size=0.2, n_steps=10)
    for plot in (mf.plots.plot_rates, mf.plots.plot_constants, mf.plots.plot_loss):
        assert plot(rates.dataset, Figure().subplots()).has_data()


def test_rates_draw_what_was_fitted():
    rates = mf.chaos_rates(problem(), [8, 16, 32], n_replicas=6, step_size=0.2, n_steps=10)
    ax = Figure().subplots()
    assert rates.plot(ax=ax) is ax
    fit = rates.fits["matched_w2"]
    label = next(
        text.get_text() for text in ax.get_legend().get_texts() if "W_2" in text.get_text()
    )
    assert f"{fit.slope.value:.2f}".replace("-", "−") in label
    curves = rates.dataset
    measured = rates.dataset["matched_w2"].isel(time=fit.time_index).values
    np.testing.assert_allclose(curves["matched_w2_peak"].sel(bound="value"), measured.mean(axis=1))
    # Against 1/N + 1/M, the reference's own error included.
    counts, reference = np.array([8, 16, 32]), rates.dataset.attrs.get("reference_particles")
    against = np.log(1 / (1 / counts + 1 / reference) if reference else counts)
    slope = np.polyfit(against, np.log(curves["matched_w2_line"]), 1)[0]
    assert slope == pytest.approx(fit.slope.value)
