"""Several outputs, biases, momentum, weight decay, schedules: twins, engines, exact identities."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import deep
from meanfield.deep.task import schedule
from tests.deep.naive_deep import initial_weights
from tests.deep.naive_training import hidden_biases, train
from tests.naive_functions import ACTIVATIONS as TEXTBOOK

SCHEMES = ("sp", "ntp", "ip", "mup")
CLASSES = {"loss": "cross-entropy"}
CASES = {
    "classes": CLASSES,
    "biases": {"bias": True, "step_size": 0.02},
    "momentum": {"optimizer": "momentum"},
    "decay": {"weight_decay": 0.3},
    "schedule": {"step_size": mf.schedule.Geometric(0.1, ratio=0.97)},
    "all": {
        **CLASSES,
        "bias": True,
        "optimizer": "momentum",
        "weight_decay": 0.3,
        "richness": 0.8,
        "step_size": mf.schedule.Geometric(0.1, ratio=0.97),
    },
}


def _data(m=6, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


def _case(name, m=6, d=4):
    """Return inputs, targets and arguments of a case."""
    X, y = _data(m, d)
    arguments = {"step_size": 0.05, **CASES[name]}
    if arguments.get("loss") == "cross-entropy":
        y = np.arange(m) % 3
    if arguments.get("optimizer") == "momentum":
        scale = arguments["step_size"]
        arguments["step_size"] = (
            0.005 if isinstance(scale, float) else mf.schedule.Geometric(0.02, ratio=0.97)
        )
    return X, y, arguments


def _twin(X, y, scheme, width, depth, seed, n_steps, batches=None, scale=1.0, **arguments):
    """Train the naive twin with the arguments of `deep.train`."""
    n_outputs = 3 if arguments.get("loss") == "cross-entropy" else 1
    weights = initial_weights(scheme, width, depth, X.shape[1], seed)
    stream = np.random.Philox(key=np.array([seed, depth], dtype=np.uint64))
    last = np.random.Generator(stream).standard_normal((n_outputs, width))
    richness = arguments.get("richness", 1.0)
    weights[-1] = last * np.abs(weights[-1][0, 0] / last[0, 0]) / richness
    bias = arguments.get("bias", False)
    inner = hidden_biases(width, depth, seed) if bias else [np.zeros(width)] * depth
    eta = arguments["step_size"]
    etas = [eta] * n_steps if isinstance(eta, float) else eta.values(n_steps)
    predictions, arrays = train(
        weights,
        [*inner, np.zeros(n_outputs)],
        TEXTBOOK["tanh"],
        X,
        y,
        scheme=scheme,
        loss=arguments.get("loss", "squared"),
        etas=etas,
        batches=batches or [range(len(X))] * n_steps,
        momentum=0.9 if "optimizer" in arguments else 0.0,
        weight_decay=arguments.get("weight_decay", 0.0),
        scale=scale,
        richness=richness,
        with_bias=bias,
    )
    return (predictions if n_outputs > 1 else predictions[..., 0]), arrays


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("case", CASES)
def test_dense_engine_is_the_naive_network(scheme, case):
    X, y, arguments = _case(case)
    run = deep.train(
        X, y, width=7, depth=3, parametrization=scheme, activation="tanh", n_steps=25, seed=3,
        n_replicas=2, engine="dense", **arguments,
    )  # fmt: skip
    for replica in range(2):
        expected, _ = _twin(X, y, scheme, 7, 3, 3 + replica, 25, **arguments)
        np.testing.assert_allclose(run.predictions[replica], expected, rtol=0, atol=1e-12)
    assert np.abs(run.predictions[:, -1] - run.predictions[:, 0]).max() > 1e-2


@pytest.mark.parametrize("engine", ["dense", "low-rank"])
def test_everything_at_once_in_batches(engine):
    X, y, arguments = _case("all", m=7)
    run = deep.train(
        X, y, width=6, depth=2, activation="tanh", n_steps=12, batch_size=3, batch_seed=5,
        reduction="mean", engine=engine, tol=0.0, **arguments,
    )  # fmt: skip
    batches = list(schedule(7, 3, 5, 12))
    expected, _ = _twin(X, y, "mup", 6, 2, 0, 12, batches, 1 / 3, **arguments)
    assert run.predictions.shape == (1, 13, 7, 3)
    np.testing.assert_allclose(run.predictions[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("case", "scheme"), [*((case, "mup") for case in CASES), *(("all", s) for s in SCHEMES[:3])]
)
def test_engines_agree(scheme, case):
    X, y, arguments = _case(case)
    arguments |= {"width": 48, "parametrization": scheme, "activation": "tanh", "n_steps": 120}
    arguments |= {"X_test": 1.1 * X[:2] + 0.1}
    dense = deep.train(X, y, engine="dense", **arguments)
    fast = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
    assert dense.sharpness.max() < 2
    assert np.abs(dense.predictions[0, -1] - dense.predictions[0, 0]).max() > 1e-2
    for name in ("predictions", "predictions_test", "kernel_h", "features", "loss"):
        got, expected = getattr(fast, name), getattr(dense, name)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
    for name in ("sharpness", "weight_change", "feature_size", "feature_change"):
        got, expected = getattr(fast, name), getattr(dense, name)
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_decay_and_velocity_survive_the_stages(momentum):
    X, y = _data(m=3, d=10)
    arguments = {"activation": "tanh", "width": 256, "n_steps": 100, "step_size": 0.03}
    arguments |= {"weight_decay": 0.2, "bias": True, "momentum": momentum}
    if momentum:
        arguments |= {"optimizer": "momentum", "step_size": 0.003}
    exact = deep.train(X, y, engine="dense", **arguments).predictions
    fast = deep.train(X, y, engine="low-rank", tol=0.0, **arguments)
    assert (fast.ranks[0, -1] == 256).all()  # the stages were many, and the matrices are full
    np.testing.assert_allclose(fast.predictions, exact, rtol=0, atol=1e-10)


def test_step_recorded_with_momentum_is_the_one_taken():
    X, y, arguments = _case("momentum")
    for engine in ("dense", "low-rank"):
        run = deep.train(
            X,
            y,
            width=9,
            depth=2,
            activation="tanh",
            n_steps=3,
            engine=engine,
            tol=0.0,
            **arguments,
        )
        before = initial_weights("mup", 9, 2, 4, 0)
        for steps in range(1, 4):
            after = _twin(X, y, "mup", 9, 2, 0, steps, **arguments)[1][:3]
            moves = [np.linalg.norm(p - q) for p, q in zip(after, before, strict=True)]
            scaled = [moves[0] / 3, moves[1], moves[2] * 3]
            np.testing.assert_allclose(run.weight_change[0, steps - 1], scaled, rtol=1e-10)
            before = after


def test_one_number_per_step_and_none_are_schedules():
    X, y = _data()
    arguments = {"width": 12, "activation": "tanh", "n_steps": 9}
    constant = deep.train(X, y, step_size=0.05, **arguments).predictions
    np.testing.assert_array_equal(
        deep.train(X, y, step_size=[0.05] * 9, **arguments).predictions, constant
    )
    stopped = deep.train(X, y, step_size=[0.05] * 4 + [0.0] * 5, **arguments).predictions
    np.testing.assert_array_equal(stopped[:, :5], constant[:, :5])
    assert (stopped[:, 5:] == stopped[:, 4:5]).all()


def test_decay_alone_shrinks_a_linear_network_by_a_known_factor():
    X, y = _data()
    arguments = {"width": 16, "activation": "identity", "n_steps": 20, "weight_decay": 5e7}
    arguments |= {"rate_scale": (0.4, 1.0, 0.7), "step_size": 1e-9, "engine": "low-rank"}
    run = deep.train(X, y, tol=0.0, **arguments)
    share = (1 - 0.02) * (1 - 0.05) ** 2 * (1 - 0.035)  # three layers and the output
    expected = run.predictions[0, 0] * share ** np.arange(21)[:, None]
    np.testing.assert_allclose(run.predictions[0], expected, rtol=0, atol=1e-6)


def test_initial_weights_of_several_outputs():
    with pytest.raises(ValueError, match=r"n_outputs must be"):
        deep.initial_weights(8, 2, 4, n_outputs=0)
    several = deep.initial_weights(8, 2, 4, n_outputs=3, seed=1)
    scalar = deep.initial_weights(8, 2, 4, seed=1)
    for one, weights in zip(scalar, [*several[:2], several[2][0]], strict=True):
        np.testing.assert_array_equal(one, weights)
    X, _ = _data()
    run = deep.train(
        X, np.arange(6) % 3, width=8, depth=2, seed=1, n_steps=0, activation="tanh", **CLASSES
    )
    x = np.tanh(np.tanh(X @ several[0].T) @ several[1].T)
    np.testing.assert_allclose(run.predictions[0, 0], x @ several[2].T, atol=1e-14)


def test_own_losses_learn_from_batches():
    X, y = _data()
    arguments = {"width": 8, "n_steps": 4, "activation": "tanh", "step_size": 0.05, "batch_size": 2}
    half = mf.Loss.from_function(lambda f, y: 0.5 * (f - y) ** 2, name="half")
    own = deep.train(X, y, loss=half, **arguments)
    known = deep.train(X, y, **{**arguments, "step_size": 0.025})
    np.testing.assert_allclose(own.predictions, known.predictions, atol=1e-13)
    np.testing.assert_allclose(own.sharpness, known.sharpness, rtol=1e-10)


def test_two_targets_are_two_losses_added():
    X, y = _data()
    Y = np.stack([y, 0.3 * X[:, 0]], axis=1)
    arguments = {"width": 32, "depth": 2, "activation": "tanh", "step_size": 0.02, "n_steps": 30}
    run = deep.train(X, Y, engine="dense", **arguments)
    chi = 2 * (run.predictions - Y)
    np.testing.assert_allclose(run.error_signals, chi)
    np.testing.assert_allclose(run.loss, np.square(chi / 2).sum(axis=(-1, -2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamax"}, "Unknown optimizer 'adamax'"),
        ({"momentum": 0.5}, "momentum is for optimizer='momentum'"),
        ({"optimizer": "momentum", "momentum": 1.0}, "momentum must be below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative"),
        ({"weight_decay": 20.0}, r"weight_decay times the largest rate, 0\.1, must be below 1"),
        ({"bias": 1}, "bias must be True or False"),
        ({"bias": True, "bias_variance": -1.0}, "bias_variance must be"),
        ({"step_size": [0.1, 0.2]}, r"step_size must be one number or one per step \(10\)"),
    ],
)
@pytest.mark.parametrize("function", [deep.train, deep.infinite_width])
def test_arguments_are_checked(function, arguments, message):
    X, y = _data()
    with pytest.raises((ValueError, TypeError), match=message):
        function(X, y, **{"n_steps": 10, "depth": 2, **arguments})


def test_dead_units_leave_no_direction_to_rounding_errors():
    X = np.random.default_rng(5).standard_normal((30, 6)) / 2
    arguments = {"width": 300, "depth": 3, "activation": "relu", "loss": "cross-entropy"}
    arguments |= {"optimizer": "momentum", "step_size": 0.05, "n_steps": 40, "reduction": "mean"}
    arguments |= {"batch_size": 7, "seed": 1}
    dense, fast = (
        deep.train(X, np.arange(30) % 3, engine=engine, tol=0.0, bias=True, **arguments)
        for engine in ("dense", "low-rank")
    )
    np.testing.assert_allclose(fast.predictions, dense.predictions, atol=1e-12)
