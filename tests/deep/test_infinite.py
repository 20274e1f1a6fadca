"""The infinite-width limit: closed forms, finite widths approaching it, and what it warns about."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest
from scipy import stats

from meanfield import deep
from meanfield.deep import low_rank, networks
from meanfield.deep.low_rank import LowRankMatrix
from meanfield.deep.networks import DenseNetwork
from meanfield.deep.staged_matrix import StagedMatrix
from meanfield.errors import DivergenceError
from tests.deep.naive_deep import (
    arc_cosine_kernels,
    arc_sine_kernels,
    linear_limit,
    tangent_kernel,
)

pytestmark = pytest.mark.filterwarnings("ignore:The step size reaches:UserWarning")


def _data(m=6, d=10, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


def _assert_within_error(mean, error, expected, n_replicas, floor):
    """No entry further from `expected` than chance allows, 1 in 10^4 over all of them."""
    allowed = stats.t.isf(1e-4 / (2 * mean.size), n_replicas - 1) * error + floor
    worst = np.max(np.abs(mean - expected) / allowed)
    assert worst < 1, f"{worst:.2f} times the allowed deviation"


def test_linear_limit_is_closed_under_second_moments():
    X, _ = _data(m=5, d=6)
    y, X_test = X[:, 0] - 2 * X[:, 1], X[:2] * 1.5 - 0.3
    limit = deep.infinite_width(
        X,
        y,
        X_test=X_test,
        depth=1,
        activation="identity",
        step_size=0.05,
        n_steps=100,
        n_samples=4096,
        n_replicas=8,
        weight_variance=(0.7, 1.0, 1.3),
    )
    expected = linear_limit(X, X_test, y, 0.05, 100, input_variance=0.7, output_variance=1.3)
    mean = np.hstack([limit.predictions, limit.predictions_test])[1:]
    error = np.hstack([limit.predictions_error, limit.predictions_test_error])[1:]
    assert np.abs(expected[-1, :5] - y).max() < 0.2 * np.abs(y).max()  # it has learned
    assert error.max() < 2e-3
    _assert_within_error(mean, error, expected[1:], 8, floor=1e-5)
    np.testing.assert_array_equal(limit.predictions[0], 0)


@pytest.mark.parametrize(
    ("activation", "kernels"), [("relu", arc_cosine_kernels), ("erf", arc_sine_kernels)]
)
def test_kernels_at_the_start_have_closed_forms(activation, kernels):
    X, y = _data(m=4, d=6)
    limit = deep.infinite_width(
        X, y, activation=activation, n_steps=0, n_samples=2**14, n_replicas=8, n_quasi=64
    )
    kernel = X @ X.T
    for layer in range(3):
        error = limit.replicas.kernel_h[:, 0, layer].std(axis=0) / np.sqrt(8)
        _assert_within_error(limit.kernel_h[0, layer], error, kernel, 8, floor=1e-4)
        kernel = kernels(kernel)[0]
        error = limit.replicas.kernel_x[:, 0, layer].std(axis=0) / np.sqrt(8)
        _assert_within_error(limit.kernel_x[0, layer], error, kernel, 8, floor=1e-4)


@pytest.mark.parametrize(
    ("activation", "kernels"), [("relu", arc_cosine_kernels), ("erf", arc_sine_kernels)]
)
def test_first_step_follows_the_tangent_kernel(activation, kernels):
    X, y = _data(m=4, d=6)
    eta = 1e-4
    limit = deep.infinite_width(
        X, y, activation=activation, step_size=eta, n_steps=1, n_samples=2**14, n_replicas=8
    )
    expected = 2 * tangent_kernel(X, kernels, depth=3) @ y
    got, error = limit.predictions[1] / eta, limit.predictions_error[1] / eta
    assert error.max() < 0.02 * np.abs(expected).max()
    _assert_within_error(got, error, expected, 8, floor=1e-3 * np.abs(expected).max())


_ALL = {"bias": True, "optimizer": "momentum", "weight_decay": 0.3, "step_size": 0.03}


@pytest.mark.parametrize(
    "case",
    [
        {"loss": "logistic"},
        {"batch_size": 4},
        {"loss": "cross-entropy"},
        {"loss": "cross-entropy", "batch_size": 4, **_ALL},
    ],
)
def test_wide_networks_average_to_the_limit(case):
    X, y = _data()
    if case.get("loss") == "cross-entropy":
        y = np.arange(6) % 3
    arguments = {
        "depth": 3,
        "activation": "tanh",
        "step_size": 0.1,
        "n_steps": 10,
        "save_at": [10],
        "X_test": X[:2] + 0.2,
        **case,
    }
    limit = deep.infinite_width(X, y, n_samples=2048, n_replicas=4, **arguments)
    run = deep.train(X, y, width=128, n_replicas=64, engine="dense", **arguments)
    error = run.predictions.std(axis=0) / 8
    gap = np.abs(run.predictions.mean(axis=0) - limit.predictions)
    assert (gap < 4.5 * error + 1.5 / 128).all()
    gap = np.abs(run.predictions_test.mean(axis=0) - limit.predictions_test)
    assert (gap < 4.5 * run.predictions_test.std(axis=0) / 8 + 1.5 / 128).all()
    assert np.abs(limit.predictions[-1]).max() > 0.3


def test_terms_of_the_same_step_belong_in(monkeypatch):
    X, y = _data()
    arguments = {"width": 256, "depth": 2, "activation": "gelu", "step_size": 0.05, "n_steps": 20}
    exact = deep.train(X, y, engine="dense", **arguments).predictions

    def gap():
        run = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
        return np.abs(run.predictions - exact).max()

    assert gap() < 1e-11

    def to_the_letter(self, batch, directions):
        """Leave out what (B.8) leaves out, s = t: E[∂dh_t / ∂Ẑ^{W_0 x_t}] = E[a gelu''(h_t)]."""
        (matrix,), h = self.hidden, batch.h[1][0]
        slope = self.activation.derivative
        dx, coordinates = matrix.backward(self.last * slope(h))
        curvature = (slope(h + 1e-4) - slope(h - 1e-4)) / 2e-4
        dx -= np.mean(self.last * curvature, axis=1)[:, None] * batch.x[0][0]
        self.errors = [coordinates]
        return [(dx * slope(batch.h[0][0]))[None], (self.last * slope(h))[None]]

    monkeypatch.setattr(networks.LowRankNetwork, "backward", to_the_letter)
    assert gap() > 1e-2


def test_without_projection_truncation_fails(monkeypatch):
    X, y = _data()
    arguments = {"depth": 2, "activation": "tanh", "step_size": 0.1, "n_samples": 1024}
    arguments |= {"n_steps": 40, "n_replicas": 1}
    projected = deep.infinite_width(X, y, **arguments).replicas.ranks[0, -1].sum()

    def as_drawn(self, first, size, shares):
        self.far[first:size] = self.images(self.near[first:size], shares)

    monkeypatch.setattr(low_rank._Side, "_take_images", as_drawn)
    drawn = deep.infinite_width(X, y, **arguments).replicas.ranks[0, -1].sum()
    assert drawn > 1.5 * projected


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize(
    ("activation", "eta", "widths", "per_width"),
    [("tanh", 0.1, (24, 48, 96, 192), 30), ("silu", 0.03, (64, 128, 256), 8)],
)
def test_bias_falls_like_one_over_the_width(depth, activation, eta, widths, per_width):
    X, y = _data()
    arguments = {"depth": depth, "activation": activation, "step_size": eta, "n_steps": 30}
    limit = deep.infinite_width(X, y, n_samples=2**14, n_replicas=8, save_at=[], **arguments)
    networks = {
        width: deep.train(
            X,
            y,
            width=width,
            n_replicas=per_width * width,
            engine="dense",
            dtype="float32",
            save_at=[],
            **arguments,
        ).predictions
        for width in widths
    }
    found = deep.width_convergence(limit.predictions, networks, limit.predictions_error)
    assert (found.bias.value > 2.5 * found.bias.arms[0]).all()  # five standard errors
    assert -1.25 < found.bias_fit.slope.low < found.bias_fit.slope.high < -0.75
    assert -0.6 < found.spread_fit.slope.low < found.spread_fit.slope.high < -0.4


def test_least_eigenvalues_stay_positive_where_the_theorem_applies():
    X, y = _data()
    limit = deep.infinite_width(
        X, y, activation="tanh", step_size=0.05, n_steps=20, n_samples=2048, n_replicas=4
    )
    assert limit.notes == ()
    for name in ("least_eigenvalue_h", "least_eigenvalue_x"):
        value, error = getattr(limit, name), getattr(limit, f"{name}_error")
        assert value.shape == (len(limit.saved_steps), 3)
        assert (value > 10 * error).all()
        assert (value > 1e-3).all()
    change = limit.feature_change[-1]
    assert (change > 0.1).all()
    wide = deep.train(X, y, width=512, activation="tanh", step_size=0.05, n_steps=60, n_replicas=4)
    np.testing.assert_allclose(
        wide.least_eigenvalue_x.mean(axis=0)[-1], limit.least_eigenvalue_x[-1], rtol=0.15
    )
    np.testing.assert_allclose(wide.feature_change.mean(axis=0)[-1], change, rtol=0.15)


def test_more_inputs_than_dimensions_are_explained():
    X, y = _data(m=5, d=3)
    with pytest.warns(UserWarning, match=r"span 3 dimensions, so h_1 = W_1 ξ has rank 3"):
        limit = deep.infinite_width(X, y, step_size=0.02, n_steps=5, n_samples=1024, n_replicas=2)
    assert np.abs(limit.least_eigenvalue_h[:, 0]).max() < 1e-12
    assert (limit.least_eigenvalue_h[:, 1:] > 1e-6).all()
    assert (limit.least_eigenvalue_x > 1e-6).all()


def test_a_run_that_stands_still_has_no_error_signal_left():
    X, y = _data()
    limit = deep.infinite_width(
        X, y, depth=2, activation="tanh", step_size=0.1, n_steps=400, n_samples=1024, n_replicas=2
    )
    assert limit.weight_change[0].min() > 1e-2
    assert limit.weight_change[-1].max() < 1e-6
    assert np.abs(limit.error_signals[-1]).max() < 1e-5


def test_without_independent_features_training_can_stand_still_short_of_the_targets():
    X, y = _data(m=4, d=2, seed=3)  # a linear network cannot fit four points in the plane
    with pytest.warns(UserWarning, match="span 2 dimensions"):
        limit = deep.infinite_width(
            X,
            y,
            depth=1,
            activation="identity",
            step_size=0.05,
            n_steps=1000,
            n_samples=1024,
            n_replicas=2,
        )
    assert limit.weight_change[-1].max() < 1e-8
    assert np.abs(limit.error_signals[-1]).max() > 0.1


def test_the_same_seed_gives_the_same_limit_and_replicas_differ():
    X, y = _data()
    arguments = {"n_steps": 3, "n_samples": 256, "step_size": 0.02}
    first = deep.infinite_width(X, y, seed=4, n_replicas=3, **arguments)
    again = deep.infinite_width(X, y, seed=4, n_replicas=2, **arguments)
    np.testing.assert_array_equal(first.replicas.predictions[:2], again.replicas.predictions)
    assert np.abs(np.diff(first.replicas.predictions, axis=0)[:, -1]).min() > 0
    single = deep.infinite_width(X, y, seed=4, n_replicas=1, **arguments)
    assert np.isnan(single.predictions_error).all()


def test_progress_is_reported():
    X, y = _data()
    calls = []
    deep.infinite_width(
        X,
        y,
        n_steps=1,
        n_samples=64,
        n_replicas=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_edge_of_stability_is_seen_without_saved_steps():
    X, y = _data()
    arguments = {"n_samples": 256, "n_replicas": 2, "activation": "tanh", "step_size": 0.6}
    notes = []
    for save_at in ([], range(11)):
        with pytest.warns(UserWarning, match="edge of stability"):
            limit = deep.infinite_width(X, y, n_steps=10, save_at=save_at, **arguments)
        notes.append(limit.notes)
    assert notes[0] == notes[1]


@pytest.mark.parametrize("engine", ["dense", "low-rank", "limit"])
def test_networks_go_with_their_runs(engine):
    """By reference counts alone: what waits for a garbage collection adds up over replicas."""
    X, y = _data()
    arguments = {"depth": 3, "activation": "tanh", "step_size": 0.05, "n_steps": 60}
    kinds = (LowRankMatrix, StagedMatrix, DenseNetwork)

    def networks():
        # By type: isinstance would ask a proxy for the class of what may be gone.
        return sum(issubclass(type(x), kinds) for x in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = networks()
        if engine == "limit":
            deep.infinite_width(X, y, n_samples=256, n_replicas=2, **arguments)
        else:
            deep.train(X, y, width=128, n_replicas=2, engine=engine, **arguments)
        assert networks() == before
    finally:
        gc.enable()


def test_warnings_name_the_edge_of_stability_and_truncation():
    X, y = _data()
    arguments = {"n_samples": 256, "n_replicas": 2, "activation": "tanh"}
    with pytest.warns(UserWarning, match="edge of stability"):
        limit = deep.infinite_width(X, y, step_size=0.6, n_steps=10, **arguments)
    assert limit.sharpness.max() > 2
    with pytest.warns(UserWarning, match="max_rank=8 directions did not suffice"):
        limit = deep.infinite_width(X, y, step_size=0.05, n_steps=10, max_rank=8, **arguments)
    assert limit.replicas.ranks.max() == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 1000}, "power of two, such as 512 or 1024"),
        ({"n_quasi": 30_000}, "n_quasi must be at most 21201"),
        ({"n_replicas": 0}, "n_replicas must be"),
        ({"max_rank": 0}, "max_rank must be"),
        ({"tol": -1.0}, "tol must be"),
    ],
)
def test_arguments_are_checked(arguments, message):
    X, y = _data()
    with pytest.raises(ValueError, match=message):
        deep.infinite_width(X, y, **{"n_steps": 10, **arguments})


def test_many_inputs_get_a_budget_of_directions_and_memory_is_refused_early():
    X, y = _data(m=300, d=400)
    arguments = {"depth": 1, "n_samples": 1024, "n_steps": 2, "step_size": 1e-4, "save_at": []}
    assert deep.infinite_width(X, y, n_replicas=1, **arguments).rank_budget == 600
    assert deep.infinite_width(X, y, n_replicas=1, max_rank=7, **arguments).rank_budget == 7
    few = deep.infinite_width(X[:4], y[:4], n_replicas=1, **{**arguments, "n_steps": 200})
    assert few.rank_budget == 512
    with pytest.raises(MemoryError, match=r"lower n_samples, max_rank or n_replicas"):
        deep.infinite_width(X, y, n_samples=2**20, n_quasi=0, n_steps=1000, depth=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_samples": 2**26}, "lower n_samples"), ({"n_steps": 10**12}, "lower n_steps")],
)
def test_what_does_not_fit_into_memory_is_refused(arguments, message):
    X, y = _data()
    with pytest.raises(MemoryError, match=rf"GB of memory and .* available; {message}"):
        deep.infinite_width(X, y, **{"n_steps": 10, **arguments})


def test_divergence_is_named_and_a_stable_step_size_found():
    X, y = _data()
    arguments = {"activation": "relu", "n_steps": 60, "n_samples": 256, "n_quasi": 0}
    with pytest.raises(DivergenceError, match=r"The limit \(replica \d\) diverged at") as caught:
        deep.infinite_width(X, y, step_size=5.0, **arguments)
    stable = caught.value.stable_step_size
    assert 0 < stable < 5.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = deep.infinite_width(X, y, step_size=stable, n_replicas=1, **arguments)
    assert np.isfinite(limit.predictions).all()
