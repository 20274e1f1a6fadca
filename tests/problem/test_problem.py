"""Problem: what it accepts, what it refuses and how, identity, derived numbers."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import meanfield as mf
from meanfield.problem import Problem

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = RNG.normal(size=12)
CLASSES = np.arange(12) % 3
SIGNS = np.where(Y > 0, 1, -1)


def refused(message, *args, error=ValueError, **options):
    with pytest.raises(error, match=re.escape(message)) as caught:
        Problem(*args, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))


def test_defaults_and_derived_numbers():
    problem = mf.Problem(X, Y)
    assert problem.activation.name == "tanh"
    assert problem.loss.name == "squared"
    assert problem.train == ("a", "w", "b")
    assert (problem.l2_output, problem.l2_input, problem.temperature) == (0.01, 0.01, 0.001)
    assert (problem.n_data, problem.n_features, problem.n_outputs) == (12, 3, 1)
    assert (problem.n_coordinates, problem.n_parameters) == (5, 5)
    assert not problem.vector_output
    assert problem.X_test is problem.y_test is problem.targets_test is problem.name is None


@pytest.mark.parametrize(
    ("options", "coordinates", "parameters", "train"),
    [
        ({}, 6, 6, ("a", "w", "b")),
        ({"bias": False}, 5, 5, ("a", "w")),
        ({"train": ["w"]}, 6, 3, ("w",)),
        ({"train": ("b", "a")}, 6, 3, ("a", "b")),
        ({"train": ("w",), "bias": False}, 5, 3, ("w",)),
    ],
)
def test_coordinates_of_a_particle(options, coordinates, parameters, train):
    problem = Problem(X, np.stack([Y, Y], axis=1), **options)
    assert problem.vector_output
    assert problem.n_coordinates == coordinates
    assert problem.n_parameters == parameters
    assert problem.train == train


def test_targets_of_each_loss():
    assert np.array_equal(Problem(X, Y).targets, Y[:, None])
    assert np.array_equal(Problem(X, SIGNS, loss="logistic").targets, SIGNS[:, None])
    problem = Problem(X, CLASSES.astype(float), loss="cross-entropy", X_test=X[:2], y_test=[2, 2])
    assert problem.vector_output
    assert problem.y.dtype == np.int64
    assert np.array_equal(problem.targets, np.eye(3)[CLASSES])
    assert np.array_equal(problem.targets_test, np.eye(3)[[2, 2]])
    assert np.array_equal(Problem(X, SIGNS > 0, loss="cross-entropy").y, SIGNS > 0)


def test_arrays_are_private_float64_and_read_only():
    source = np.asfortranarray(X.astype(np.float32))
    problem = Problem(source, Y)
    source[0, 0] = 99
    assert problem.X[0, 0] == np.float32(X[0, 0])
    for array in (problem.X, problem.y, problem.targets):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_pandas_and_lists_are_accepted():
    frame = pd.DataFrame(X, columns=list("abc"))
    assert Problem(frame, pd.Series(Y)) == Problem(X, Y) == Problem(X.tolist(), Y.tolist())


def test_a_problem_does_not_change():
    problem = Problem(X, Y)
    with pytest.raises(AttributeError, match=r"use problem.replace\(l2_output=...\)"):
        problem.l2_output = 1.0
    with pytest.raises(AttributeError, match="does not change"):
        del problem.X


def test_replace_keeps_the_rest():
    problem = Problem(X, Y, "relu", l2=(0.1, 0.2), temperature=0, train=("w",), name="toy")
    other = problem.replace(temperature=0.5)
    assert other.temperature == 0.5
    assert (other.l2_output, other.l2_input, other.train) == (0.1, 0.2, ("w",))
    assert other.name == "toy"
    assert other.replace(temperature=0) == problem
    with pytest.raises(TypeError, match="Did you mean 'temperature'"):
        problem.replace(temperatur=1)


def test_copies_are_equal_and_still_read_only():
    problem = Problem(X, Y, X_test=X, y_test=Y, name="toy")
    for other in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert other == problem
        assert hash(other) == hash(problem)
        assert other.name == "toy"
        assert np.array_equal(other.X_test, X)
        assert not other.X.flags.writeable
    assert problem != "toy"


BASE = {"X": X, "y": SIGNS, "activation": "tanh", "loss": "squared"}


@pytest.mark.parametrize(
    "change",
    [
        {"X": X + 1e-15},
        {"X": X.reshape(12, 3)[::-1]},
        {"y": -SIGNS},
        {"activation": "erf"},
        {"activation": "he1"},
        {"loss": "logistic"},
        {"bias": False},
        {"train": ("a", "w")},
        {"train": ("w",)},
        {"l2": (0.01, 0.02)},
        {"l2": (0.02, 0.01)},
        {"temperature": 0.0011},
    ],
    ids=str,
)
def test_fingerprint_changes_with_the_dynamics(change):
    assert Problem(**{**BASE, **change}).fingerprint != Problem(**BASE).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"X": X.tolist()},
        {"y": SIGNS.astype(float)},
        {"y": SIGNS[:, None]},
        {"activation": "TANH"},
        {"l2": (0.01, 0.01)},
        {"train": ["b", "w", "a"]},
        {"temperature": np.float64(0.001)},
        {"name": "another"},
        {"X_test": X[:1], "y_test": SIGNS[:1]},
    ],
    ids=str,
)
def test_fingerprint_ignores_the_rest(change):
    assert Problem(**{**BASE, **change}).fingerprint == Problem(**BASE).fingerprint


def test_fingerprint_is_pinned():
    # Saved runs are recognised by it: a change here orphans them.
    problem = Problem([[0.0, 1.0], [-0.0, 2.0]], [1, -1])
    assert problem == Problem([[-0.0, 1.0], [0.0, 2.0]], [1, -1])
    assert problem.fingerprint.startswith("ba8e3cda")
    assert re.fullmatch("[0-9a-f]{64}", problem.fingerprint)


def test_repr_says_what_it_is():
    problem = Problem(X, Y, l2=(0.1, 0.2), bias=False, X_test=X, y_test=Y, name="toy")
    assert repr(problem) == (
        "<Problem 'toy': n=12, d=3, k=1, tanh without bias, squared loss, train=(a, w), "
        "l2=(0.1, 0.2), temperature=0.001, 12 held out>"
    )


def test_risk_is_the_mean_loss():
    problem = Problem(X, Y, X_test=X[:4], y_test=Y[:4])
    f = RNG.normal(size=(5, 2, 12))
    assert np.allclose(problem.risk(f), ((f - Y) ** 2).mean(axis=-1) / 2, rtol=1e-14)
    assert np.array_equal(problem.risk(f[..., None]), problem.risk(f))
    assert problem.risk(Y[:4], held_out=True) == 0
    uniform = Problem(X, CLASSES, loss="cross-entropy").risk(np.zeros((12, 3)))
    assert uniform == pytest.approx(np.log(3), rel=1e-15)


def test_risk_refuses_other_shapes():
    with pytest.raises(ValueError, match=re.escape("must have shape (..., 12), got (5,)")):
        Problem(X, Y).risk(np.zeros(5))
    vector = Problem(X, CLASSES, loss="cross-entropy")
    with pytest.raises(ValueError, match=re.escape("must have shape (..., 12, 3), got (12,)")):
        vector.risk(np.zeros(12))
    with pytest.raises(ValueError, match="give X_test and y_test"):
        vector.risk(np.zeros((12, 3)), held_out=True)


def test_arrays_that_are_refused():
    bad = X.copy()
    bad[3, 1], bad[4, 0] = np.nan, np.inf
    refused("X has 2 NaN or infinite entries, the first at index (3, 1)", bad, Y)
    refused(
        "y has 1 NaN or infinite entries, the first at index 2", X, np.where(Y[2] == Y, -np.inf, Y)
    )
    refused("y has 5 rows but X has 12", X, Y[:5])
    refused("y_test has 5 rows but X_test has 12", X, Y, X_test=X, y_test=Y[:5])
    refused("X must be 2-D, got shape (12,); pass np.reshape(X, (-1, 1))", X[:, 0], Y)
    refused("X must be 2-D, one row per data point", X[None], Y)
    refused("y must have shape (n,) or (n, k), got ()", X, 3.0)
    refused("X is empty, shape (0, 3)", X[:0], Y[:0])
    refused("X is empty, shape (12, 0)", X[:, :0], Y)
    refused("X is ragged", [[1, 2], [3]], [1, 2])
    refused("X has masked entries", np.ma.masked_greater(X, 1), Y)
    refused(
        "not dtype object; pass np.asarray(X, dtype=float)", X.astype(object), Y, error=TypeError
    )
    refused("not dtype complex128; pass np.real(X)", X + 1j, Y, error=TypeError)
    refused("np.unique(y, return_inverse=True)[1]", X, ["cat", "dog"] * 6, error=TypeError)
    refused("it holds dates", X, np.arange(12).astype("M8[s]"), error=TypeError)
    mixed = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    refused("X must hold real numbers, not texts", mixed, [1, 2], error=TypeError)


def test_held_out_data_must_fit():
    refused("y_test is missing; give X_test and y_test together", X, Y, X_test=X)
    refused("X_test is missing", X, Y, y_test=Y)
    refused("X_test must have 3 columns, got shape (12, 2)", X, Y, X_test=X[:, :2], y_test=Y)
    refused("y_test has shape (12, 2)", X, Y, X_test=X, y_test=np.stack([Y, Y], axis=1))
    refused(
        "y_test must hold the class labels 0..2 for cross-entropy, got {3}",
        X, CLASSES, loss="cross-entropy", X_test=X[:1], y_test=[3],
    )  # fmt: skip


def test_labels_must_suit_the_loss():
    remedy = "np.where(np.equal(y, np.max(y)), 1, -1)"
    for shift in (0, 1):
        message = f"for the logistic loss, got {{{shift}, {shift + 1}}}; set labels = "
        refused(message, X, (SIGNS > 0) + shift, loss="logistic")
        refused(remedy, X, (SIGNS > 0) + shift, loss="logistic")
    refused("it is for two classes, cross-entropy for more", X, Y, loss="logistic")
    refused("encode it as y is", X, SIGNS, X_test=X[:2], y_test=[0, 1], loss="logistic")
    entropy = {"loss": "cross-entropy"}
    refused(
        "0..1 for cross-entropy, got {-1, 1}; use the logistic loss with labels",
        X,
        SIGNS,
        **entropy,
    )
    refused('got {1, 2, 3}; use labels = "classes" in [data]', X, CLASSES + 1, **entropy)
    refused("got {0, 0.5, 1}", X, CLASSES / 2, **entropy)
    refused("y has one class only, 0", X, CLASSES * 0, **entropy)
    refused("pass np.argmax(y, axis=1) if one-hot", X, np.eye(3)[CLASSES], **entropy)
    refused("pass np.ravel(y)", X, CLASSES[:, None], **entropy)


def test_options_that_are_refused():
    refused("Did you mean 'relu'?", X, Y, activation="rellu")
    refused("Unknown loss 'hinge'", X, Y, loss="hinge")
    refused("temperature must be finite and not negative, got -1.0", X, Y, temperature=-1)
    refused("temperature must be finite and not negative, got nan", X, Y, temperature=np.nan)
    refused("temperature must be a number, got '1'", X, Y, temperature="1", error=TypeError)
    refused("l2 must be finite and not negative, got inf", X, Y, l2=np.inf)
    refused("l2[1] must be finite and not negative, got -2.0", X, Y, l2=(1, -2))
    refused("got 3 numbers", X, Y, l2=[1, 2, 3])
    refused("l2 must be a number, got None", X, Y, l2=None, error=TypeError)
    refused("bias must be True or False, got 1", X, Y, bias=1, error=TypeError)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (("a", "c"), "unknown parameter 'c'"),
        (("a", "w", "a"), "names 'a' 2 times"),
        ((), "train is empty"),
        ((1,), "unknown parameter 1"),
    ],
)
def test_train_must_name_parameters(train, message):
    refused(message, X, Y, train=train)


def test_train_and_bias():
    refused("train names 'b' but bias is False", X, Y, train=("a", "b"), bias=False)
    refused("train names 'b' but bias is False", X, Y, train=("b",), bias=False)
    refused("must be a sequence of names", X, Y, train="aw", error=TypeError)
    refused("must be a sequence of names", X, Y, train=None, error=TypeError)


finite = st.floats(-1e6, 1e6)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)),
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)),
)
def test_any_arrays_make_a_problem_or_a_clear_error(inputs, labels):
    fits = (
        inputs.ndim == 2
        and labels.ndim in (1, 2)
        and len(inputs) == len(labels)
        and np.isfinite(inputs).all()
        and np.isfinite(labels).all()
        and max(np.abs(inputs).max(), np.abs(labels).max()) <= 1e120
    )
    if fits:
        problem = Problem(inputs, labels)
        assert np.array_equal(problem.y, labels)
        assert problem.vector_output == (labels.ndim == 2)
    else:
        with pytest.raises(ValueError, match=r"^(X|y) .*\.$"):
            Problem(inputs, labels)


@settings(max_examples=40, deadline=None)
@given(st.tuples(finite, finite), finite)
def test_penalties_and_temperature_are_kept_or_refused(l2, temperature):
    if min(*l2, temperature) >= 0:
        problem = Problem(X, Y, l2=l2, temperature=temperature)
        assert (problem.l2_output, problem.l2_input, problem.temperature) == (*l2, temperature)
    else:
        with pytest.raises(ValueError, match=r"^(l2\[[01]\]|temperature) must be finite"):
            Problem(X, Y, l2=l2, temperature=temperature)
