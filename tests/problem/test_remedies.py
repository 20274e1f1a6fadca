"""What errors about data tell people to do, done."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import meanfield as mf
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem import Problem

X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.array([0.0, 1, 0, 1, 0, 1])
NAMES = ["a", "b", "c"] * 2
THREE = np.arange(6) % 3


def frame(values):
    return pd.DataFrame(values, columns=["p", "q"])


@pytest.mark.parametrize(
    ("name", "values", "loss"),
    [
        ("X", sparse.csr_matrix(X), "squared"),
        ("X", sparse.coo_array(X), "squared"),
        ("X", X.astype(object), "squared"),
        ("X", X.astype(str), "squared"),
        ("X", X.astype(str).tolist(), "squared"),
        ("X", X + 1j, "squared"),
        ("X", (X + 1j).tolist(), "squared"),
        ("X", np.array(["x", "y"] * 6).reshape(6, 2), "squared"),
        ("X", [["x", "y"]] * 3 + [["y", "x"]] * 3, "squared"),
        ("X", frame([["x", 1.0], ["y", 2.0]] * 3), "squared"),
        ("X", frame([["x", "u"], ["y", "v"]] * 3).astype("string"), "squared"),
        ("X", np.arange(12).astype("M8[s]").reshape(6, 2), "squared"),
        ("X", X[:, 0], "squared"),
        ("X", X[:, 0].tolist(), "squared"),
        ("X", pd.Series(X[:, 0]), "squared"),
        ("X", X[:, :, None], "squared"),
        ("X", X[:, :, None].tolist(), "squared"),
        ("y", sparse.csr_matrix(Y[:, None]), "squared"),
        ("y", pd.Series(NAMES), "cross-entropy"),
        ("y", pd.Series(NAMES, dtype="string"), "cross-entropy"),
        ("y", pd.Series(NAMES, dtype="category"), "cross-entropy"),
        ("y", np.array(NAMES), "cross-entropy"),
        ("y", NAMES, "cross-entropy"),
        ("y", np.array(NAMES, dtype=object), "cross-entropy"),
        ("y", np.array(["1", "2"] * 3), "squared"),
        ("y", Y.astype(object), "squared"),
        ("y", Y + 0j, "squared"),
        ("y", 3 + THREE, "cross-entropy"),
        ("y", (3 + THREE).tolist(), "cross-entropy"),
        ("y", THREE[:, None], "cross-entropy"),
        ("y", THREE[:, None].tolist(), "cross-entropy"),
        ("y", pd.DataFrame(THREE), "cross-entropy"),
        ("y", np.eye(3)[THREE], "cross-entropy"),
        ("y", pd.DataFrame(np.eye(3)[THREE]), "cross-entropy"),
        ("y", np.eye(3)[THREE].tolist(), "cross-entropy"),
        ("y", Y, "logistic"),
        ("y", Y.tolist(), "logistic"),
        ("y", pd.Series(Y), "logistic"),
        ("y", 1e200 * Y, "squared"),
        ("X", 1e200 * X, "squared"),
        ("X", (1e200 * X).tolist(), "squared"),
    ],
)
def test_code_that_an_error_names_works(name, values, loss):
    arguments = {"X": X, "y": Y, name: values}
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        Problem(**arguments, loss=loss)
    (code,) = re.findall(
        r"(?:pass|with|by .* or|, or|such as|use .*, or) ((?:X|y|np|pandas)[.(\[ ].*?)"
        r"(?:\.$| for one feature|, or| if one-hot)",
        str(caught.value),
    )[:1]
    arguments[name] = eval(code, {"np": np, "pandas": pd, name: values})
    assert Problem(**arguments, loss=loss).n_data == 6


def test_tensors_with_a_gradient_are_detached():
    class Tensor:
        """As PyTorch's, whose arrays cannot be had while it has a gradient."""

        def __array__(self, *args, **kwargs):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

        def detach(self):
            return self

        def cpu(self):
            return self

        def numpy(self):
            return X

    with pytest.raises(ArgumentTypeError, match=r"pass X\.detach\(\)\.cpu\(\)\.numpy\(\)"):
        Problem(Tensor(), Y)
    assert Problem(Tensor().detach().cpu().numpy(), Y).n_data == 6


@pytest.mark.parametrize("train", [("w", "b"), ("w",), ("b",)])
def test_frozen_output_weights_are_refused_where_outputs_differ(train):
    with pytest.raises(ArgumentError, match=r"the loss stays at ln 3; add 'a'\.") as caught:
        Problem(X, THREE, loss="cross-entropy", train=train)
    assert caught.value.argument == "train"
    assert Problem(X, THREE, loss="cross-entropy", train=("a", *train)).n_outputs == 3
    with pytest.raises(ArgumentError, match="none can learn its own"):
        Problem(X, np.stack([2 * Y - 1, 1 - 2 * Y], axis=1), loss="logistic", train=train)
    # One output, or outputs that are to be the same, learn.
    assert Problem(X, 2 * Y - 1, loss="logistic", train=train).n_outputs == 1
    assert Problem(X, np.stack([Y, Y], axis=1), train=train).n_outputs == 2


def test_cross_entropy_with_frozen_output_weights_could_only_have_stayed_at_ln_k():
    outputs = mf.simulate(
        Problem(X, Y, train=("w", "b"), temperature=0.0), 16, n_steps=3, seed=0
    ).predictions
    same = np.repeat(outputs[..., None], 3, axis=-1)
    entropy = Problem(X, THREE, loss="cross-entropy").risk(same)
    assert entropy == pytest.approx(np.log(3))


@pytest.mark.parametrize("kind", ["M8[s]", "m8[D]"])
def test_dates_are_numbers_only_in_units_that_somebody_chose(kind):
    dates = np.arange(6).astype(kind)
    remedy = r"np.subtract\(np.asarray\(y\), np.asarray\(y\).min\(\)\) / np.timedelta64\(1, 'D'\)"
    with pytest.raises(TypeError, match=rf"holds (dates|durations); pass .* {remedy}"):
        mf.Problem(X, list(dates))
    with pytest.raises(TypeError, match="column 'b' holds"):
        mf.Problem(pd.DataFrame({"a": np.zeros(6), "b": dates}), Y)
    days = (dates - dates.min()) / np.timedelta64(1, "D")
    assert mf.Problem(X, days).y[-1] == pytest.approx(5 if kind == "m8[D]" else 5 / 86400)
