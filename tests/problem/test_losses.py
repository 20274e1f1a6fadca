"""Losses: textbook values, derivatives, convexity, far tails."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from meanfield.problem import LOSSES, get_loss
from tests import naive_functions


def example(name, seed=0, shape=(3, 5, 4)):
    """Predictions and targets of shape (..., n, k) for a loss."""
    rng = np.random.default_rng(seed)
    f = rng.normal(scale=2, size=shape)
    if name == "squared":
        return f, rng.normal(size=shape[-2:])
    if name == "logistic":
        return f, rng.choice([-1.0, 1.0], size=shape[-2:])
    return f, np.eye(shape[-1])[rng.integers(shape[-1], size=shape[-2])]


@pytest.fixture(params=list(LOSSES))
def loss(request):
    return LOSSES[request.param]


def test_value_and_derivative_are_the_textbook_formulas(loss):
    f, targets = example(loss.name)
    naive = naive_functions.LOSSES[loss.name]
    value, derivative = loss.value(f, targets), loss.derivative(f, targets)
    assert value.shape == f.shape[:-1]
    np.testing.assert_allclose(value, naive.value(f, targets), rtol=1e-13)
    np.testing.assert_allclose(derivative, naive.derivative(f, targets), rtol=1e-13, atol=1e-15)


def test_derivative_is_the_limit_of_differences(loss):
    f, targets = example(loss.name)
    h = 1e-5
    derivative = loss.derivative(f, targets)
    assert derivative.shape == f.shape
    for o in range(f.shape[-1]):
        step = h * np.eye(f.shape[-1])[o]
        difference = (loss.value(f + step, targets) - loss.value(f - step, targets)) / (2 * h)
        assert np.abs(derivative[..., o] - difference).max() < 1e-9


def test_curvature_is_the_derivative_of_the_derivative(loss):
    f, targets = example(loss.name)
    h = 1e-5
    curvature = loss.curvature(f, targets)
    assert curvature.shape == (*f.shape, f.shape[-1])
    for o in range(f.shape[-1]):
        step = h * np.eye(f.shape[-1])[o]
        difference = loss.derivative(f + step, targets) - loss.derivative(f - step, targets)
        assert np.abs(curvature[..., o] - difference / (2 * h)).max() < 1e-9


def test_loss_is_convex_in_the_prediction(loss):
    f, targets = example(loss.name, shape=(50, 5, 4))
    g, _ = example(loss.name, seed=1, shape=(50, 5, 4))
    middle = loss.value((f + g) / 2, targets)
    ends = (loss.value(f, targets) + loss.value(g, targets)) / 2
    assert np.all(middle < ends)
    # first-order condition
    tangent = loss.value(f, targets) + (loss.derivative(f, targets) * (g - f)).sum(axis=-1)
    assert np.all(loss.value(g, targets) > tangent)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_nothing_overflows_and_dtype_stays(loss, dtype):
    f = np.array([[1e4, -1e4], [-1e4, 1e4], [0, 0]], dtype=dtype)
    targets = np.array([[1.0, 0.0]] * 3) if loss.code == 2 else np.array([[1.0, -1.0]] * 3)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, derivative = loss.value(f, targets), loss.derivative(f, targets)
        curvature = loss.curvature(f, targets)
    assert value.dtype == derivative.dtype == curvature.dtype == dtype
    far = {"squared": 9999.0**2, "logistic": 0.0, "cross-entropy": 0.0}[loss.name]
    assert value[0] == pytest.approx(far, abs=0)
    assert value[1] == pytest.approx(10001.0**2 if loss.code == 0 else 2e4)
    assert np.isfinite(derivative).all()


def test_confident_predictions_keep_a_small_loss():
    small = math.exp(-50)
    logistic, entropy = get_loss("logistic"), get_loss("cross-entropy")
    assert logistic.value(np.array([[50.0]]), np.ones((1, 1)))[0] == pytest.approx(small, rel=1e-12)
    f = np.array([[50.0, 0.0, 0.0]])
    assert entropy.value(f, np.eye(3)[[0]])[0] == pytest.approx(2 * small, rel=1e-12)


def test_cross_entropy_of_two_classes_is_logistic():
    f = np.linspace(-30, 30, 61)[:, None]
    pair = np.concatenate([np.zeros_like(f), f], axis=1)
    two = get_loss("cross-entropy").value(pair, np.eye(2)[np.ones(61, int)])
    assert np.allclose(two, get_loss("logistic").value(f, np.ones_like(f)), rtol=1e-13, atol=0)


def test_cross_entropy_gradient_sums_to_zero():
    f, targets = example("cross-entropy")
    assert np.abs(get_loss("cross-entropy").derivative(f, targets).sum(axis=-1)).max() < 1e-15


def test_names():
    assert [loss.code for loss in LOSSES.values()] == [0, 1, 2]
    for spelled in ("cross-entropy", "Cross Entropy", "cross_entropy", "crossentropy"):
        assert get_loss(spelled) is LOSSES["cross-entropy"]
    assert get_loss(LOSSES["squared"]) is LOSSES["squared"]
    assert pickle.loads(pickle.dumps(LOSSES["logistic"])) is LOSSES["logistic"]
    with pytest.raises(ValueError, match=r"Unknown loss 'logisitc'. Did you mean 'logistic'\?"):
        get_loss("logisitc")
    with pytest.raises(TypeError, match="loss must be a name or a Loss, not NoneType"):
        get_loss(None)
