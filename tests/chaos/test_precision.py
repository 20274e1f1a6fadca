"""Rates of a given precision: planned, reached, and the same from the library and the study."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

import meanfield as mf
from meanfield import plots
from meanfield.chaos.chaos_plan import PILOT, plan_chaos
from meanfield.chaos.late import CONTROL, late_means, sizes_against
from meanfield.chaos.measure_rates import measure
from meanfield.chaos.precision import CostNote, batches_between
from meanfield.chaos.reference_path import reference_path
from meanfield.studies import get_study
from meanfield.studies.chaos.study import ChaosConfig
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_data

COUNTS = [8, 16, 64, 128]
CONTENT = {
    "study": "chaos",
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 6, "n_test": 0},
    "problem": {"l2": 0.2, "temperature": 0.05},
    "run": {"step_size": 0.4, "n_steps": 20},
    "chaos": {"particle_counts": COUNTS, "precision": 0.5, "cloud_replicas": 2},
}


@pytest.fixture(scope="module")
def config():
    return parse(ChaosConfig, CONTENT)


@pytest.fixture(scope="module")
def rates(config):
    problem = build_data(config)[1]
    with pytest.warns(CostNote, match=r"precision = 0.5 takes about \d+ replicas, each of 2 syst"):
        return mf.chaos_rates(
            problem, COUNTS, precision=0.5, step_size=0.4, n_steps=20, cloud_replicas=2
        )


def test_the_precision_is_reached(rates):
    assert rates.dataset.sizes["replica"] > PILOT
    for metric in ("function", "w1_squared"):
        assert rates.fits[metric].slope.width / 2 <= 0.5
        assert rates.fits[metric].time_index is None
    assert rates.dataset.attrs["precision"] == 0.5


def test_what_is_fitted_is_the_mean_over_late_times_less_what_the_copies_explain(rates):
    dataset = rates.dataset
    is_late = dataset["time"].values >= dataset["time"].values[-1] / 2
    against, means = 1 / (1 / np.array(COUNTS) + 1 / 12800), []
    late, copies = (
        dataset[name].values[:, is_late].mean(axis=1) for name in ("function", "function_copies")
    )
    level = (copies.mean(axis=1) * against) @ dataset["systems"].values
    level /= dataset["systems"].values.sum()
    for values, others, count in zip(late, copies, against, strict=True):
        covariance = np.cov(values, others)
        share = covariance[0, 1] / covariance[1, 1]
        means.append(values.mean() - share * (others.mean() - level / count))
    np.testing.assert_allclose(dataset["function_peak"].sel(bound="value"), means)
    fitted = rates.fits["function"].fitted
    kept = ~np.isnan(fitted)
    weights, against, means = dataset["systems"].values[kept], against[kept], np.array(means)
    small = against.min() / against

    def left(unknown):
        level, slope, c2 = unknown
        curve = level + slope * np.log(against) + np.log1p(c2 * small)
        return np.sqrt(weights) * (np.log(means[kept]) - curve)

    by_hand = least_squares(left, [0.0, -1.0, 0.0], xtol=1e-12, ftol=1e-14, gtol=1e-14).x
    assert rates.slope["function"] == pytest.approx(by_hand[1], abs=1e-5)


def test_the_copies_have_a_known_error_which_takes_scatter_off(config):
    problem = build_data(config)[1]
    scheme = mf.Scheme.of(problem, step_size=0.4, n_steps=20)
    plan = plan_chaos(problem, scheme, COUNTS, precision=0.5, cloud_replicas=0)
    path = reference_path(plan, "auto")
    values = measure(plan, path, range(60))
    copies = values[CONTROL][:, plan.late].mean(axis=1)
    constant = copies * sizes_against(plan, path)[:, None]
    error = constant.std(axis=1, ddof=1) / np.sqrt(60)
    assert (abs(constant.mean(axis=1) - constant.mean()) < 3.5 * error).all()
    raw, reduced = (
        late_means(plan, path, values["w1_squared"], control) for control in (None, values[CONTROL])
    )
    assert (reduced.var(axis=1) < 0.8 * raw.var(axis=1)).all()
    law = replace(path, method="fokker-planck")
    np.testing.assert_array_equal(late_means(plan, law, values["w1_squared"], values[CONTROL]), raw)


def test_the_study_measures_the_same(tmp_path, monkeypatch, config, rates):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    with pytest.warns(CostNote):
        run_study(get_study("chaos"), config, tmp_path / "out")
    numbers = json.loads((tmp_path / "out/summary.json").read_text())["numbers"]
    for metric in ("function", "w1_squared", "coupling"):
        assert numbers[f"{metric}_slope"]["value"] == pytest.approx(rates.slope[metric], rel=1e-9)
    saved = storage.read_dataset(tmp_path / "out/result.nc")
    assert saved.sizes["replica"] == rates.dataset.sizes["replica"]
    page = (tmp_path / "out/report.html").read_text()
    assert "A half-width of 0.5 was asked for: a pilot of 12 repetitions planned the run" in page
    assert "mean over the second half of the run" in page


def test_a_pilot_that_suffices_is_all(config):
    problem = build_data(config)[1]
    with pytest.warns(CostNote, match="takes about 12 replicas"):
        rates = mf.chaos_rates(
            problem, COUNTS, precision=50.0, step_size=0.4, n_steps=10, cloud_replicas=0
        )
    assert rates.dataset.sizes["replica"] == PILOT


def test_batches_follow_each_other():
    problem = mf.Problem(np.ones((2, 1)), np.ones(2))
    plan = plan_chaos(problem, mf.Scheme.of(problem, step_size=0.1, n_steps=40), precision=0.1)
    assert [r for batch in batches_between(plan, 12, 47) for r in batch] == list(range(12, 47))
    assert batches_between(plan, 12, 12) == []
    assert plan.particle_counts[0] == 8
    assert plan.n_replicas == PILOT
    assert plan.late.sum() > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_replicas": 8}, "n_replicas follows from precision=0.1; leave one of the two out"),
        ({"particle_counts": [8, 16, 32]}, "at least four sizes for a slope of this precision"),
        ({"precision": 0.0}, "precision must be greater than 0"),
    ],
)
def test_what_cannot_be_asked_for(arguments, message):
    problem = mf.Problem(np.ones((2, 1)), np.ones(2))
    with pytest.raises(ValueError, match=message):
        mf.chaos_rates(problem, n_steps=4, **{"precision": 0.1, **arguments})
