"""Targets that are functions of the user's own."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.problem import FunctionTarget, HermiteTarget, from_target


def sine(X):
    return np.sin(X[:, 0]) * X[:, 1]


def test_a_function_is_a_target():
    data = from_target(sine, n_features=2, n_train=20, n_test=5, noise=0.0, seed=3)
    np.testing.assert_array_equal(data.y, sine(data.X))
    np.testing.assert_array_equal(data.y_test, sine(data.X_test))
    assert data.info["target"] == {"kind": "function", "name": "sine", "n_features": 2}
    # The inputs are those of any other target.
    same = from_target(HermiteTarget(2, {"1,1": 1.0}), n_train=20, n_test=5, seed=3)
    np.testing.assert_array_equal(data.X, same.X)
    assert data.target == FunctionTarget(sine, 2) != FunctionTarget(np.sum, 2)
    assert len({data.target, FunctionTarget(sine, 2)}) == 1
    budget = mf.decompose_error(
        data.problem(l2=0.1, temperature=0.01),
        data.target,
        n_particles=8,
        n_steps=5,
        n_replicas=4,
        n_population=64,
        long_particles=32,
        path_particles=64,
        settle_steps=20,
        data_counts=[8, 32],
    )
    assert budget.total.value > 0


def test_a_function_makes_a_problem():
    drawn = {"n_train": 20, "n_test": 5, "noise": 0.1, "inputs": "sphere", "seed": 3}
    problem = mf.problem.from_function(sine, 2, **drawn, l2=0.02, loss="huber", name="mine")
    assert problem == from_target(sine, n_features=2, **drawn).problem(l2=0.02, loss="huber")
    assert (problem.n_data, len(problem.X_test), problem.name) == (20, 5, "mine")
    with pytest.raises(ValueError, match="n_features"):
        mf.problem.from_function(sine, 0)


def test_functions_of_several_outputs_and_classes():
    two = from_target(lambda X: X[:, :2], n_features=3, n_train=10, labels="class")
    np.testing.assert_array_equal(two.y, two.X[:, :2].argmax(axis=1))
    three = {"n_features": 3, "labels": "class"}
    few = from_target(lambda X: X, n_train=2, n_test=9, seed=1, **three)
    with pytest.raises(ValueError, match=r"n_train = 2 leaves class \d without .* raise n_train"):
        few.problem(loss="cross-entropy")
    many = from_target(lambda X: X, n_train=30, n_test=9, seed=1, **three)
    assert many.problem(loss="cross-entropy").n_outputs == 3
    whole = from_target(lambda X: X[:, 0] > 0, n_features=1, n_train=10)
    assert set(whole.y) == {0.0, 1.0}


class Counting:
    n_features = 4

    def __call__(self, X):
        return X.sum(axis=1)


def test_a_callable_that_knows_its_inputs_need_not_be_told():
    assert from_target(Counting(), n_train=5).X.shape == (5, 4)
    assert from_target(Counting(), n_features=4, n_train=5).info["target"]["name"] == "Counting"


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (sine, {}, r"n_features is needed: a function does not tell .* n_features=2"),
        (sine, {"n_features": 0}, "n_features must be an integer of at least 1"),
        (3.0, {"n_features": 2}, "target must be a Target or a function of the rows, got float"),
        (Counting(), {"n_features": 2}, "n_features is 2 but the target has 4 inputs"),
        (HermiteTarget(2, {"1": 1.0}), {"n_features": 3}, "n_features is 3 but the target has 2"),
        (lambda X: 1.0, {"n_features": 2}, r"target must return shape \(n,\) or \(n, k\)"),
        (lambda X: X[:, 0] / 0, {"n_features": 2}, "target is NaN or infinite at some inputs"),
        (lambda X: X[:, 0].astype(str), {"n_features": 2}, "target must return real numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_missing_is_named(target, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        from_target(target, **options)
