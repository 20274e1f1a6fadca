"""Masked entries are refused wherever arrays come in: what they hide would count as data."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import deep, transport
from meanfield.errors import ArgumentError
from meanfield.problem import from_arrays, get_activation, get_loss
from meanfield.problem.targets import Teacher
from meanfield.statistics import rates

X = np.random.default_rng(0).normal(size=(8, 2))
Y = np.tanh(X[:, 0])
HIDDEN = np.ma.masked_greater(X, 0.5)
PROBLEM = mf.Problem(X, Y, l2=0.1, temperature=0.01)
CLOUD = mf.simulate(PROBLEM, 4, n_steps=2).particles
A, W, B = CLOUD.a[0], CLOUD.w[0], CLOUD.b[0]
COUNTS = [8, 16, 32, 64]
REGRESSOR = mf.MeanFieldRegressor(n_particles=4, n_steps=2).fit(X, Y)


def hide(values):
    """Mask the last entry."""
    values = np.array(values, dtype=float)
    mask = np.zeros(values.shape, dtype=bool)
    mask.flat[-1] = True
    return np.ma.array(values, mask=mask)


CALLS = {
    "wasserstein2": lambda: mf.wasserstein2(HIDDEN, X),
    "wasserstein2, second": lambda: mf.wasserstein2(X, HIDDEN),
    "wasserstein2, list": lambda: mf.wasserstein2([HIDDEN[0], HIDDEN[1]], X[:2]),
    "coupled": lambda: transport.matched_wasserstein2(HIDDEN, X),
    "gaussian": lambda: transport.gaussian_wasserstein2(
        hide([0.0, 0]), np.eye(2), [0.0, 0], np.eye(2)
    ),
    "matching": lambda: transport.optimal_matching(X, HIDDEN),
    "Particles": lambda: mf.Particles(hide(CLOUD.a), CLOUD.w, CLOUD.b),
    "Particles, b": lambda: mf.Particles(CLOUD.a, CLOUD.w, hide(CLOUD.b)),
    "from_arrays": lambda: mf.Particles.from_arrays(A, hide(W), B),
    "from_state_dict": lambda: mf.Particles.from_state_dict(
        {"0.weight": hide(W), "0.bias": B, "2.weight": A[None]}
    ),
    "Problem": lambda: mf.Problem(X, hide(Y)),
    "Problem, held out": lambda: mf.Problem(X, Y, X_test=HIDDEN, y_test=Y),
    "risk": lambda: PROBLEM.risk(hide(Y)),
    "score": lambda: PROBLEM.score(hide(Y)),
    "data": lambda: from_arrays(HIDDEN, Y),
    "data, drop": lambda: from_arrays(HIDDEN, Y, missing="drop"),
    "classes": lambda: from_arrays(X, hide(np.arange(8) % 2), labels="classes"),
    "original units": lambda: from_arrays(X, Y).original_units(hide(Y)),
    "standardized": lambda: from_arrays(X, Y).standardized(HIDDEN),
    "drive": lambda: mf.simulate(PROBLEM, 4, n_steps=2, drive=hide(np.zeros((3, 8)))),
    "step sizes": lambda: mf.simulate(PROBLEM, 4, n_steps=2, step_size=hide([0.1, 0.1])),
    "predict": lambda: mf.predict(PROBLEM, CLOUD, HIDDEN),
    "target": lambda: Teacher(hide([1.0, 2.0]), np.eye(2)),
    "target, inputs": lambda: Teacher([1.0], [[1.0, 2.0]])(HIDDEN),
    "activation": lambda: get_activation("tanh").value(HIDDEN),
    "loss": lambda: get_loss("squared").value(Y[:, None], hide(Y[:, None])),
    "admissible weight": lambda: mf.admissible_weight(hide(np.ones((2000, 2)))),
    "canonical": lambda: mf.canonical((hide(A), W, B), "tanh"),
    "canonical, predict": lambda: mf.canonical((A, W, B), "tanh").predict(HIDDEN),
    "equivalent": lambda: mf.equivalent((A, W, B), (A, W, hide(B)), "tanh"),
    "deep": lambda: deep.train(HIDDEN, Y, width=4, n_steps=1),
    "deep, labels": lambda: deep.train(X, hide(Y), width=4, n_steps=1),
    "deep, limit": lambda: deep.infinite_width(HIDDEN, Y, n_steps=1, n_samples=8),
    "deep, inputs": lambda: deep.check_inputs(HIDDEN),
    "rates": lambda: rates.fit_rate(COUNTS, hide(np.ones((4, 3)))),
    "orders": lambda: mf.fit_order([0.1, 0.2, 0.4, 0.8], hide([0.1, 0.2, 0.4, 0.8])),
    "regressor": lambda: mf.MeanFieldRegressor().fit(HIDDEN, Y),
    "regressor, weights": lambda: mf.MeanFieldRegressor().fit(X, Y, hide(np.ones(8))),
    "regressor, labels": lambda: mf.MeanFieldRegressor().partial_fit(X, hide(Y)),
    "regressor, predict": lambda: REGRESSOR.predict(HIDDEN),
    "classifier": lambda: mf.MeanFieldClassifier().fit(X, hide(Y > 0)),
    "dictionary, target": lambda: mf.coefficient_threshold_number((HIDDEN, Y), "tanh", degree=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_masks_are_refused(name):
    with pytest.raises(ArgumentError, match="has masked entries; fill them in"):
        CALLS[name]()


def test_a_mask_that_hides_nothing_is_no_fault_and_the_remedies_work():
    bare = np.ma.array(X, mask=np.zeros(X.shape, dtype=bool))
    assert mf.Problem(bare, Y) == PROBLEM.replace(l2=0.01, temperature=0.001)
    assert transport.matched_wasserstein2(bare, X) == 0
    x = np.ma.array([[0.0, 0], [99, 99]], mask=[[0, 0], [1, 1]])
    with pytest.raises(ArgumentError) as caught:
        transport.matched_wasserstein2(x, np.zeros((2, 2)))
    assert "x.filled(value)" in str(caught.value)
    assert transport.matched_wasserstein2(x.filled(0), np.zeros((2, 2))) == 0
    assert "np.ma.compress_rows(x)" in str(caught.value)
    assert transport.matched_wasserstein2(np.ma.compress_rows(x), np.zeros((1, 2))) == 0
