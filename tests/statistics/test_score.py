"""R² and accuracy, with intervals that count rows as well as replicas."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

import meanfield as mf
from meanfield.statistics.score import accuracy, r2


def test_values_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(50, 1))
    predictions = targets + rng.normal(size=(1, 50, 1))
    assert r2(predictions, targets).value == pytest.approx(r2_score(targets, predictions[0]))
    labels, answers = rng.integers(0, 3, (2, 50))
    correct = (labels == answers)[None]
    assert accuracy(correct).value == pytest.approx(accuracy_score(labels, answers))


def test_copies_of_a_network_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(40, 2))
    one = targets + 0.5 * rng.normal(size=(1, 40, 2))
    many = np.repeat(one, 30, axis=0)
    assert r2(many, targets).low == pytest.approx(r2(one, targets).low)
    correct = rng.random((1, 40)) < 0.8
    found = accuracy(np.repeat(correct, 30, axis=0))
    assert found.low == pytest.approx(accuracy(correct).low, abs=0.01)


def test_intervals_hold_the_score_on_endless_rows():
    """Networks that differ, rows that differ: 95 % of intervals hold the expected score."""
    rng = np.random.default_rng(2)
    held = {"r2": 0, "accuracy": 0}
    n = 400
    for _ in range(n):
        targets = rng.normal(size=(60, 1))
        shifts = 0.2 * rng.normal(size=(8, 1, 1))  # an error of each network's own
        noise = 0.5 * rng.normal(size=(1, 60, 1))  # and one of each row
        found = r2(targets + noise + shifts, targets)
        held["r2"] += found.low <= 1 - (0.25 + 0.04) <= found.high
        difficulty = rng.normal(size=60)
        skill = 1 + 0.1 * rng.normal(size=(8, 1))
        correct = difficulty < skill
        found = accuracy(correct)
        # P(z < 1 + 0.1 z') for standard normal z, z'.
        held["accuracy"] += found.low <= 0.84012 <= found.high
    assert all(0.92 * n <= count <= 0.99 * n for count in held.values()), held


def test_what_is_always_right_may_still_err():
    found = accuracy(np.ones((5, 36), dtype=bool))
    assert found.value == found.high == 1
    assert 0.85 < found.low < 0.95


def test_labels_that_do_not_vary_have_no_r2():
    assert not r2(np.zeros((1, 5, 1)), np.ones((5, 1))).known


@pytest.mark.parametrize("loss", ["squared", "logistic", "cross-entropy"])
def test_a_run_knows_its_score(loss):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 2))
    y = {
        "squared": X[:, 0],
        "logistic": np.where(X[:, 0] > 0, 1, -1),
        "cross-entropy": np.digitize(X[:, 0], [-0.4, 0.4]),
    }[loss]
    problem = mf.Problem(
        X[:40], y[:40], loss=loss, l2=1e-3, temperature=0, X_test=X[40:], y_test=y[40:]
    )
    run = mf.simulate(problem, 128, 1.0, 400, n_replicas=2)
    predictions = run.predict(X[40:])
    if loss == "squared":
        by_hand = np.mean([r2_score(y[40:], row) for row in predictions])
    elif loss == "logistic":
        by_hand = np.mean(np.sign(predictions) == y[40:])
    else:
        by_hand = np.mean(predictions.argmax(axis=2) == y[40:])
    assert run.score().value == pytest.approx(by_hand)
    assert run.score().value > 0.85
    assert run.score(0).value < 0.7
    without = problem.replace(X_test=None, y_test=None)
    assert mf.simulate(without, 16, 1.0, 1).score().label == run.score().label
