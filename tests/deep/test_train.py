"""Finite-width training: against naive twins, finite differences and the particle system."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import DivergenceError, deep
from meanfield.deep import staged_matrix
from meanfield.problem.activations import ACTIVATIONS
from tests.deep.naive_deep import (
    TABLE_2,
    evaluate,
    initial_weights,
    layer_rates,
    particle_predictions,
    signal,
    train,
)
from tests.naive_functions import ACTIVATIONS as TEXTBOOK

SCHEMES = ("sp", "ntp", "ip", "mup")


def _data(m=5, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


def _settings(activation):
    """Settings below the edge of stability, beyond which rounding errors grow exponentially."""
    if ACTIVATIONS[activation].degree in (None, 1):
        return {"step_size": 0.01, "depth": 3}
    step_size = 1e-6 if activation == "he6" else 5e-4
    return {"step_size": step_size, "depth": 2, "weight_variance": (0.1, 0.002, 0.1)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_table_of_scalings(scheme):
    for n in (4, 64):
        entry = deep.PARAMETRIZATIONS[scheme]
        variances, rates = entry.variances(n, (1, 1, 1)), entry.rates(n, 1.0, (1, 1, 1))
        for kind in ("input", "hidden", "output"):
            expected = TABLE_2[scheme][kind](n)
            got = getattr(variances, kind), getattr(rates, kind)
            np.testing.assert_allclose(got, expected, rtol=1e-15)


def test_constants_of_the_experiments():
    for scheme in SCHEMES:
        variance, rate = deep.experiment_scales(scheme, 64)
        assert variance == (2 / 64, 2, 2)
        assert rate == ((1, 1, 1) if scheme == "sp" else (1 / 64, 1, 1))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_dense_engine_is_the_naive_network(scheme, loss):
    X, y = _data()
    constants = {"weight_variance": (0.5, 2.0, 3.0), "rate_scale": (0.7, 0.4, 1.3)}
    run = deep.train(
        X,
        y,
        width=7,
        depth=3,
        parametrization=scheme,
        activation="silu",
        loss=loss,
        step_size=0.1,
        n_steps=20,
        seed=3,
        n_replicas=2,
        engine="dense",
        **constants,
    )
    for replica in range(2):
        weights = initial_weights(scheme, 7, 3, 4, 3 + replica, constants["weight_variance"])
        rates = layer_rates(scheme, 7, 3, 0.1, constants["rate_scale"])
        silu = TEXTBOOK["silu"]
        expected, final = train(weights, rates, silu, X, y, loss, [range(5)] * 20)
        np.testing.assert_allclose(run.predictions[replica], expected, rtol=0, atol=1e-12)
        for i, xi in enumerate(X):
            before = np.array(evaluate(weights, silu, xi)[1])
            after = np.array(evaluate(final, silu, xi)[1])
            np.testing.assert_allclose(run.initial_features[replica, :, i], before, atol=1e-13)
            np.testing.assert_allclose(run.features[replica, :, i], after, atol=1e-12)
            change = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
            np.testing.assert_allclose(run.feature_change[replica, -1, :, i], change, rtol=1e-10)


def test_one_step_follows_the_numerical_gradient():
    X, y = _data(m=3, d=2)
    tanh, width, depth, eta = TEXTBOOK["tanh"], 3, 2, 0.3
    for scheme in SCHEMES:
        weights = initial_weights(scheme, width, depth, 2, seed=1)
        rates = layer_rates(scheme, width, depth, eta)
        moved = [matrix.copy() for matrix in weights]
        for layer, matrix in enumerate(weights):
            for index in np.ndindex(matrix.shape):
                risks = []
                for shift in (1e-5, -1e-5):
                    shifted = [w.copy() for w in weights]
                    shifted[layer][index] += shift
                    f = np.array([evaluate(shifted, tanh, xi)[0] for xi in X])
                    risks.append(np.sum((f - y) ** 2))
                moved[layer][index] -= rates[layer] * (risks[0] - risks[1]) / 2e-5
        expected = [evaluate(moved, tanh, xi)[0] for xi in X]
        run = deep.train(
            X,
            y,
            width=width,
            depth=depth,
            parametrization=scheme,
            activation="tanh",
            step_size=eta,
            n_steps=1,
            seed=1,
        )
        np.testing.assert_allclose(run.predictions[0, 1], expected, rtol=1e-7)


@pytest.mark.parametrize("engine", ["dense", "low-rank"])
def test_minibatches_follow_one_schedule(engine):
    X, y = _data(m=7)
    run = deep.train(
        X,
        y,
        width=6,
        depth=2,
        activation="tanh",
        step_size=0.2,
        n_steps=12,
        n_replicas=2,
        batch_size=3,
        reduction="mean",
        batch_seed=5,
        engine=engine,
        tol=0.0,
    )
    from meanfield.deep.task import schedule

    batches = schedule(7, 3, 5, 12)
    for epoch in range(6):
        assert len(set(batches[2 * epoch]) | set(batches[2 * epoch + 1])) == 6
    for replica in range(2):
        weights = initial_weights("mup", 6, 2, 4, replica)
        rates = layer_rates("mup", 6, 2, 0.2)
        tanh = TEXTBOOK["tanh"]
        expected, _ = train(weights, rates, tanh, X, y, "squared", batches, scale=1 / 3)
        np.testing.assert_allclose(run.predictions[replica], expected, rtol=0, atol=1e-12)


def test_one_hidden_layer_under_mup_is_the_particle_system():
    X, y = _data(m=6, d=3)
    eta, width = 0.05, 40
    for activation in ("tanh", "relu", "silu"):
        run = deep.train(
            X, y, width=width, depth=1, activation=activation, step_size=eta, n_steps=300, seed=2
        )
        first, last = initial_weights("mup", width, 1, 3, seed=2)
        expected = particle_predictions(
            width * last[0], first, X, y, TEXTBOOK[activation], 2 * len(X) * eta, 300
        )
        np.testing.assert_allclose(run.predictions[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("loss", "factor"), [("squared", 2), ("logistic", 1)])
def test_one_hidden_layer_under_mup_is_what_the_particle_solver_computes(loss, factor):
    X, y = _data(m=6, d=3)
    eta, width = 0.02, 100
    first, last = initial_weights("mup", width, 1, 3, seed=4)
    particles = mf.Particles.from_arrays(width * last[0], first)
    for activation in ("tanh", "silu", "relu"):
        run = deep.train(
            X,
            y,
            width=width,
            depth=1,
            activation=activation,
            loss=loss,
            step_size=eta,
            n_steps=200,
            seed=4,
        )
        problem = mf.Problem(
            X, y, activation=activation, loss=loss, bias=False, l2=0.0, temperature=0.0
        )
        solver = mf.simulate(
            problem,
            step_size=factor * len(X) * eta,
            n_steps=200,
            init=particles,
            save_at=range(201),
        )
        expected = solver.predictions[0]
        assert np.abs(expected[-1] - expected[0]).max() > 0.1
        np.testing.assert_allclose(run.predictions[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_initial_weights_are_those_of_training(scheme):
    X, y = _data()
    arguments = {"width": 32, "depth": 3, "parametrization": scheme, "seed": 5,
                 "weight_variance": (1.5, 0.7, 2.0)}  # fmt: skip
    run = deep.train(X, y, activation="tanh", step_size=0.01, n_steps=0, **arguments)
    *inner, last = deep.initial_weights(n_features=X.shape[1], **arguments)
    x = X
    for matrix in inner:
        x = np.tanh(x @ matrix.T)
    np.testing.assert_allclose(run.predictions[0, 0], x @ last, atol=1e-13)
    single = deep.initial_weights(n_features=X.shape[1], dtype="float32", **arguments)
    for rounded, exact in zip(single, [*inner, last], strict=True):
        np.testing.assert_array_equal(rounded, exact.astype(np.float32))


# Every activation under one scheme, and every scheme with one that is smooth and one that is not.
PAIRS = [(SCHEMES[i % len(SCHEMES)], name) for i, name in enumerate(ACTIVATIONS)]
PAIRS += [(scheme, name) for scheme in SCHEMES for name in ("tanh", "relu")]


@pytest.mark.parametrize(("scheme", "activation"), sorted(set(PAIRS)))
def test_engines_agree(scheme, activation):
    X, y = _data()
    arguments = {
        "width": 48,
        "parametrization": scheme,
        "activation": activation,
        "n_steps": 100,
        "X_test": 1.1 * X[:2] + 0.1,
        **_settings(activation),
    }
    dense = deep.train(X, y, engine="dense", **arguments)
    fast = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
    assert (dense.engine, fast.engine) == ("dense", "low-rank")
    assert dense.sharpness.max() < 2
    assert np.abs(dense.predictions[0, -1] - dense.predictions[0, 0]).max() > 1e-2
    for name in ("predictions", "predictions_test", "kernel_h", "kernel_x", "features"):
        got, expected = getattr(fast, name), getattr(dense, name)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11 * (1 + np.abs(expected).max()))
    for name in ("sharpness", "weight_change", "feature_size", "feature_change"):
        got, expected = getattr(fast, name), getattr(dense, name)
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-11)


def test_engines_agree_on_logistic_loss_and_many_inputs():
    X, y = _data(m=30, d=3)  # more inputs than dimensions, nearly as many as units
    arguments = {"width": 32, "loss": "logistic", "step_size": 0.02, "n_steps": 100, "depth": 4}
    dense = deep.train(X, y, engine="dense", **arguments)
    fast = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
    np.testing.assert_allclose(fast.predictions, dense.predictions, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("activation", "step_size"), [("tanh", 0.1), ("silu", 0.03)])
def test_error_falls_with_the_tolerance(activation, step_size):
    X, y = _data(m=6, d=10)
    arguments = {"activation": activation, "step_size": step_size, "width": 128, "n_steps": 60}
    exact = deep.train(X, y, engine="dense", **arguments).predictions
    tolerances, errors, ranks = (1e-1, 1e-2, 1e-3, 1e-4), [], []
    for tol in tolerances:
        run = deep.train(X, y, engine="low-rank", tol=tol, **arguments)
        errors.append(np.abs(run.predictions - exact).max())
        ranks.append(run.ranks[0, -1].sum())
    assert (np.array(errors) < np.array(tolerances)).all()
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert slope > 0.9
    assert ranks == sorted(ranks)


def test_stages_change_nothing_but_the_work(monkeypatch):
    X, y = _data(m=3, d=10)
    arguments = {"activation": "tanh", "width": 512, "n_steps": 150, "step_size": 0.03}
    exact = deep.train(X, y, engine="dense", **arguments).predictions
    begun = []
    begin = staged_matrix.StagedMatrix._begin_stage

    def count(self):
        begin(self)
        begun.append(type(self.whole).__name__)

    monkeypatch.setattr(staged_matrix.StagedMatrix, "_begin_stage", count)
    run = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
    assert begun.count("LowRankMatrix") > 2
    assert begun.count("FullMatrix") > 2
    np.testing.assert_allclose(run.predictions, exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("engine", ["dense", "low-rank"])
def test_float32_rounds_the_same_network(engine):
    X, y = _data()
    runs = [
        deep.train(X, y, width=64, step_size=0.02, n_steps=30, engine=engine, dtype=dtype)
        for dtype in ("float64", "float32")
    ]
    assert runs[1].features.dtype == np.float32
    error = np.abs(runs[0].predictions - runs[1].predictions).max()
    assert 0 < error < 1e-5


@pytest.mark.parametrize("engine", ["dense", "low-rank"])
def test_networks_do_not_depend_on_their_company(engine):
    X, y = _data()
    arguments = {"width": 16, "n_steps": 30, "engine": engine, "tol": 1e-6}
    together = deep.train(X, y, seed=5, n_replicas=3, **arguments)
    assert together.seeds == (5, 6, 7)
    alone = deep.train(X, y, seed=7, X_test=X[:1] + 1, predict_every=7, **arguments)
    kept = np.isin(together.steps, alone.steps)
    assert {0, 7, 14, 21, 28, 30} <= set(alone.steps)
    np.testing.assert_allclose(
        together.predictions[2, kept], alone.predictions[0], rtol=0, atol=1e-10
    )
    assert np.abs(together.predictions[2] - together.predictions[1]).max() > 1e-2


def test_recorded_weight_change_and_error_signals():
    X, y = _data()
    width, depth, eta = 9, 2, 0.1
    run = deep.train(X, y, width=width, depth=depth, activation="tanh", step_size=eta, n_steps=3)
    weights, rates = initial_weights("mup", width, depth, 4, 0), layer_rates("mup", width, 2, eta)
    tanh = TEXTBOOK["tanh"]
    previous = weights
    for step in range(3):
        _, present = train(weights, rates, tanh, X, y, "squared", [range(5)] * (step + 1))
        moves = [np.linalg.norm(p - q) for p, q in zip(present, previous, strict=True)]
        scaled = [moves[0] / np.sqrt(width), moves[1], moves[2] * np.sqrt(width)]
        np.testing.assert_allclose(run.weight_change[0, step], scaled, rtol=1e-10)
        previous = present
    chi = [signal("squared", f, t) for f, t in zip(run.predictions[0, 1], y, strict=True)]
    np.testing.assert_allclose(run.error_signals[0, 1], chi)
    np.testing.assert_allclose(run.loss[0, 1], np.sum((run.predictions[0, 1] - y) ** 2))


def test_sharpness_tells_where_descent_turns_unstable():
    # One linear layer on one input: f is multiplied by about 1 − sharpness near a minimum.
    X, y = np.array([[1.0]]), np.array([0.0])
    arguments = {"width": 200, "depth": 1, "activation": "identity", "n_steps": 60}
    calm = deep.train(X, y, step_size=0.3, **arguments)
    assert calm.sharpness[0, 0] < 2
    assert np.abs(calm.predictions[0, -1]) < np.abs(calm.predictions[0, 0])
    rough = deep.train(X, y, step_size=0.6, **arguments)
    assert rough.sharpness[0, 0] > 2
    assert np.abs(rough.predictions[0, 3]) > np.abs(rough.predictions[0, 0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_that_stands_still_is_filled_in(dtype):
    X, y = _data()
    arguments = {"width": 64, "activation": "tanh", "n_steps": 1500, "dtype": dtype}
    filled = deep.train(X, y, engine="dense", save_at=range(0, 1500, 50), **arguments)
    assert (np.diff(filled.predictions[0, 1400:], axis=0) == 0).all()  # it was
    whole = deep.train(X, y, engine="dense", save_at=[], **arguments)
    eps = np.finfo(dtype).eps
    assert filled.predictions.shape == whole.predictions.shape == (1, 1501, 5)
    np.testing.assert_allclose(filled.predictions, whole.predictions, rtol=0, atol=50 * eps)
    np.testing.assert_allclose(filled.features, whole.features, rtol=0, atol=500 * eps)
    assert filled.kernel_h.shape[1] == len(filled.saved_steps) == 31


def test_automatic_choice_of_the_engine():
    X, y = _data()
    assert deep.train(X, y, width=16, n_steps=1).engine == "dense"
    assert deep.train(X, y, width=1024, n_steps=1).engine == "low-rank"
    assert deep.train(X, y, width=1024, depth=1, n_steps=1).engine == "dense"


def test_divergence_is_named_and_a_stable_step_size_found():
    X, y = _data()
    with pytest.raises(DivergenceError, match="diverged at step") as caught:
        deep.train(X, y, width=32, activation="relu", step_size=2.0, n_steps=200, n_replicas=2)
    stable = caught.value.stable_step_size
    assert 0 < stable < 2.0
    assert str(caught.value.step) in str(caught.value)
    run = deep.train(
        X,
        y,
        width=32,
        activation="relu",
        step_size=stable,
        n_steps=200,
        seed=caught.value.replica,
    )
    assert np.isfinite(run.predictions).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be an integer of at least 1"),
        ({"depth": 0}, "depth must be"),
        ({"parametrization": "mop"}, "Did you mean 'mup'"),
        ({"engine": "fast"}, "Unknown engine 'fast'"),
        ({"reduction": "max"}, "Unknown reduction 'max'"),
        ({"batch_size": 6}, "exceeds the 5 training inputs"),
        ({"save_at": [11]}, "save_at goes up to 11"),
        ({"weight_variance": (1, 1)}, "three numbers"),
        ({"weight_variance": (1, -1, 1)}, "not negative"),
        ({"dtype": "float16"}, "Unknown dtype 'float16'"),
        ({"step_size": -0.1}, "step_size must be"),
        ({"batch_size": 2, "batch_seed": 2**64}, "batch_seed must be below"),
        ({"X_test": np.ones((2, 3))}, "X_test must have 4 columns"),
    ],
)
def test_arguments_are_checked(arguments, message):
    X, y = _data()
    with pytest.raises(ValueError, match=message):
        deep.train(X, y, **{"n_steps": 10, "width": 8, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 10**6}, "lower width"),
        ({"n_steps": 10**12}, "lower n_steps"),
        ({"n_steps": 10**11, "batch_size": 2}, "lower n_steps"),
    ],
)
def test_what_does_not_fit_into_memory_is_refused(arguments, message):
    X, y = _data()
    with pytest.raises(MemoryError, match=rf"GB of memory and .* available; {message}"):
        deep.train(X, y, **{"n_steps": 10, "width": 8, **arguments})


def test_targets_must_suit_the_loss():
    X, y = _data()
    with pytest.raises(ValueError, match="±1"):
        deep.train(X, y + 0.5, loss="logistic", n_steps=1)
    with pytest.raises(ValueError, match=r"class labels 0\.\."):
        deep.train(X, y, loss="cross-entropy", n_steps=1)
