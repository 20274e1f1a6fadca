"""The duality gap: zero at the optimum, falling along the flow, open where a run is stuck."""

import numpy as np
import pytest

import meanfield as mf

X = np.linspace(-2, 2, 9)[:, None]
ONE = {"train": ("w",), "bias": False}
PROBLEMS = {
    "one-parameter": mf.Problem(X, np.tanh(1.5 * X[:, 0]), l2=0.1, temperature=0.1, **ONE),
    "logistic": mf.Problem(
        X, np.sign(X[:, 0] + 0.1), loss="logistic", activation="sin", l2=0.2, temperature=0.1, **ONE
    ),
    "two-parameters": mf.Problem(
        X, np.tanh(X[:, 0]) + 0.2, train=("w", "b"), l2=0.2, temperature=0.1
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_flow_that_has_relaxed_is_certified_and_agrees_with_the_stationary_law(name):
    problem = PROBLEMS[name]
    path = mf.mean_field(problem, "fokker-planck", step_size=2.0, n_steps=60)
    found = mf.duality_gap(path, [0, 1, 3, 6, 60])
    gap = found.dataset["gap"].values[0]
    best = mf.stationary(problem).free_energy
    assert found.certified < 1e-6
    assert found.dataset["primal"].values[0, -1] == pytest.approx(best, abs=1e-6)
    assert found.dataset["dual"].values[0, -1] == pytest.approx(best, abs=1e-6)
    # Rounding decides once the gap is closed.
    open_ = gap[gap > 1e-9]
    assert len(open_) >= 2
    assert (np.diff(open_) < 0).all()
    assert gap[0] > 1e-4
    low, high = found.optimum
    assert low - 1e-9 <= best <= high + 1e-9
    assert "certified within" in repr(found)


def test_bounds_hold_at_any_predictions():
    problem = PROBLEMS["two-parameters"]
    best = mf.stationary(problem).free_energy
    run = mf.simulate(problem, n_particles=8, n_replicas=3, step_size=0.2, n_steps=20, seed=2)
    found = mf.duality_gap(run).dataset
    assert found.sizes == {"replica": 3, "step": 2}
    assert (found["dual"] <= best + 1e-9).all()
    assert (found["primal"] >= best - 1e-9).all()
    np.testing.assert_allclose(found["risk"], run.loss)


@pytest.mark.slow
def test_three_input_parameters_with_trained_output_weights():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 2))
    problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.3, temperature=0.2)
    run = mf.simulate(problem, n_particles=4096, step_size=0.2, n_steps=200)
    found = mf.duality_gap(run, [200])
    best = mf.stationary(problem).free_energy
    low, high = found.optimum
    assert low - 1e-6 <= best <= high + 1e-6
    assert found.certified < 1e-3


def test_a_run_that_is_stuck_stays_open():
    """All neurons in the wrong well of a low temperature: particles hardly cross."""
    x = np.linspace(-3, 3, 15)[:, None]
    problem = mf.Problem(
        x, np.sin(2 * x[:, 0]), activation="sin", l2=0.01, temperature=0.002, **ONE
    )
    start = mf.Particles(np.ones((1, 512)), np.full((1, 512, 1), 6.0))
    run = mf.simulate(problem, init=start, step_size=0.2, n_steps=400, save_at=[200, 400])
    stuck = mf.duality_gap(run)
    assert stuck.certified > 0.01
    before, after = stuck.dataset["gap"].values[0]
    assert after == pytest.approx(before, rel=0.1)
    law = mf.stationary(problem)
    assert stuck.optimum[0] <= law.free_energy <= stuck.optimum[1]
    free = mf.simulate(problem, init=law.sample(4096), step_size=0.2, n_steps=10)
    assert mf.duality_gap(free).certified < 0.1 * stuck.certified


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": [3]}, r"steps must be steps that were saved, got \[3\]"),
        ({"steps": []}, "steps must be steps that were saved, got none"),
    ],
)
def test_steps_that_were_not_saved(change, match):
    run = mf.simulate(PROBLEMS["one-parameter"], n_particles=8, n_steps=10)
    with pytest.raises(ValueError, match=match):
        mf.duality_gap(run, **change)


def test_what_has_no_certificate():
    with pytest.raises(TypeError, match="run must be a Run or a MeanFieldPath, got int"):
        mf.duality_gap(3)
    wide = mf.Problem(np.eye(4), np.ones(4), temperature=0.1)
    with pytest.raises(ValueError, match="at most 3 input parameters"):
        mf.duality_gap(mf.simulate(wide, n_particles=8, n_steps=2))
