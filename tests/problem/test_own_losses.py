"""Losses of the user's own: values, derivatives, checks, and the same steps as plain NumPy."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest

import meanfield as mf
from meanfield import deep
from meanfield.problem import LOSSES, Loss, get_loss, huber, quantile

F, Y = np.linspace(-3, 3, 61)[:, None] + 0.013, np.full((61, 1), 0.4)


def log_cosh(f, y):
    return math.log(math.cosh(f - y))


def log_cosh_slope(f, y):
    return math.tanh(f - y)


def test_huber_and_quantile_are_their_formulas():
    r = F - Y
    inside = np.abs(r) <= 0.7
    loss = huber(0.7)
    value = np.where(inside, r**2 / 2, 0.7 * (np.abs(r) - 0.35))
    np.testing.assert_allclose(loss.value(F, Y), value[:, 0], rtol=1e-14)
    np.testing.assert_allclose(loss.derivative(F, Y), np.clip(r, -0.7, 0.7), rtol=1e-14)
    np.testing.assert_array_equal(loss.curvature(F, Y)[:, 0], inside)
    pinball = quantile(0.9)
    np.testing.assert_allclose(pinball.value(F, Y), np.where(r < 0, -0.9 * r, 0.1 * r)[:, 0])
    np.testing.assert_allclose(pinball.derivative(F, Y), np.where(r < 0, -0.9, 0.1), rtol=1e-14)
    assert loss.convex
    assert pinball.convex


def test_outputs_are_summed_and_the_curvature_is_diagonal():
    loss = Loss.from_function(log_cosh, log_cosh_slope)
    f, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_allclose(loss.value(f, y), np.log(np.cosh(f - y)).sum(axis=1), rtol=1e-13)
    expected = (1 - np.tanh(f - y) ** 2)[..., None] * np.eye(3)
    np.testing.assert_allclose(loss.curvature(f, y), expected, rtol=1e-12)
    assert loss.value(f.astype(np.float32), y).dtype == np.float32


@pytest.mark.parametrize(
    ("functions", "options", "message"),
    [
        ((log_cosh, lambda f, y: f - y), {}, r"derivative is .* at y = .* differences of value"),
        ((log_cosh, None, lambda f, y: 1.0), {}, "curvature is .* differences of derivative"),
        ((lambda f, y: math.log(f),), {"name": "ln"}, "value is not finite at f = -10"),
        ((lambda f: f,), {"name": "one"}, "value cannot be called"),
        ((log_cosh,), {"labels": "class"}, "labels must be 'real' or 'sign'"),
        ((log_cosh,), {"name": "Squared"}, "is that of a known loss"),
        ((lambda f, y: f,), {}, "name is needed"),
    ],
)
def test_what_is_given_is_checked(functions, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Loss.from_function(*functions, **options)


def test_labels_that_do_not_suit_name_the_loss():
    loss = Loss.from_function(
        lambda f, y: max(0.0, 1.0 - f * y) ** 2, name="squared hinge", labels="sign"
    )
    with pytest.raises(ValueError, match=r"y must be ±1 for the squared hinge loss, got {0, 0\.5"):
        loss.check_labels([0.0, 0.5, 2.0], n_points=3)


def test_names_and_families():
    assert get_loss("Huber (0.7)") is huber(0.7)
    assert get_loss("quantile") == quantile(0.5) == pickle.loads(pickle.dumps(quantile(0.5)))
    for name, message in (
        ("hubber", "Did you mean 'huber'"),
        ("huber(-1)", "delta must be"),
        ("quantile(2)", "level must be below 1"),
        ("quantile(x)", r"'x' is no number; write one, such as quantile\(0.5\)"),
        ("huber()", r"'' is no number; write one, such as huber\(1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            get_loss(name)
    with pytest.raises(TypeError, match="from_function"):
        get_loss(log_cosh)


def test_entries_of_the_table_cannot_be_changed_by_hand():
    for changes in ({"name": "mine"}, {"labels": "sign"}, {"code": 1}):
        with pytest.raises(ValueError, match="is not changed by hand; make one"):
            dataclasses.replace(LOSSES["squared"], **changes)
    with pytest.raises(TypeError, match="_value"):
        dataclasses.replace(LOSSES["squared"], _value=log_cosh)


def test_problems_tell_losses_apart_by_what_they_compute():
    X, y = np.eye(3), np.arange(3.0)
    own = [Loss.from_function(lambda f, y, c=c: c * log_cosh(f, y), name="l") for c in (1.0, 1.1)]
    first, second = (mf.Problem(X, y, loss=loss) for loss in own)
    assert first != second
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("loss", [huber(0.3), Loss.from_function(log_cosh, log_cosh_slope)])
def test_fifty_steps_are_those_of_plain_numpy(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = np.column_stack([np.sin(X[:, 0]), 3 * X[:, 1] ** 2])
    problem = mf.Problem(X, y, loss=loss, temperature=0.0, l2=0.01)
    run = mf.simulate(problem, n_particles=70, step_size=0.2, n_steps=50, save_at=[0, 50], seed=3)
    start = run.at(0)
    a, w, b = (part[0].copy() for part in (start.a, start.w, start.b))
    for _ in range(50):
        sigma = np.tanh(w @ X.T + b[:, None])
        r = sigma.T @ a / len(a) - y
        signal = (np.clip(r, -0.3, 0.3) if loss is huber(0.3) else np.tanh(r)) / len(y)
        back = (a @ signal.T) * (1 - sigma**2)
        a, w, b = (
            a - 0.2 * (sigma @ signal + 0.01 * a),
            w - 0.2 * (back @ X + 0.01 * w),
            b - 0.2 * (back.sum(axis=1) + 0.01 * b),
        )
    last = run.at(50)
    for found, expected in zip((last.a, last.w, last.b), (a, w, b), strict=True):
        assert np.abs(found[0] - expected).max() <= 1e-11
    assert run.loss[0, -1] < run.loss[0, 0]


def test_deep_networks_follow_the_loss_that_is_given():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    options = {"width": 16, "depth": 2, "n_steps": 5, "step_size": 0.1}
    squared = deep.train(X, y, **options).predictions
    # The error signal of the squared loss of deep networks is 2 (f − y).
    twice = Loss.from_function(lambda f, y: (f - y) ** 2, name="twice")
    np.testing.assert_allclose(deep.train(X, y, loss=twice, **options).predictions, squared)
    other = deep.train(X, y, loss=huber(0.1), **options).predictions
    assert np.abs(other - squared).max() > 1e-3


def test_a_loss_that_is_not_convex_has_no_stationary_law_here():
    loss = Loss.from_function(lambda f, y: 1 - math.exp(-((f - y) ** 2)), name="bump")
    assert not loss.convex
    problem = mf.Problem(np.ones((2, 1)), [0.0, 1.0], loss=loss, bias=False)
    with pytest.raises(ValueError, match="the bump loss is not convex"):
        mf.stationary(problem)
