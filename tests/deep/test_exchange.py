"""Weights of deep networks in and out, and the same training in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import deep
from tests.deep.naive_training import BIAS_RATES

EVERYTHING = {"bias": True, "weight_decay": 0.4, "richness": 0.7, "loss": "cross-entropy"}


def _data(m=6, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.arange(m) % 3


def _outputs(state, X, activation=np.tanh):
    """Evaluate a Sequential of linear layers from its weights by name."""
    names = [name.removesuffix(".weight") for name in state if name.endswith("weight")]
    for name in names:
        X = X @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0.0)
        X = activation(X) if name != names[-1] else X
    return X


@pytest.mark.parametrize("engine", ["dense", "low-rank"])
@pytest.mark.parametrize("scheme", ["sp", "mup"])
def test_weights_are_those_of_the_predictions_and_where_training_goes_on(engine, scheme):
    X, y = _data(m=3, d=8)  # fewer inputs than dimensions: weights that no input reaches
    arguments = {"width": 24, "depth": 3, "activation": "tanh", "step_size": 0.05, "tol": 0.0}
    arguments |= {"parametrization": scheme, "engine": engine, "X_test": X[::-1] + 0.3} | EVERYTHING
    whole = deep.train(X, y, n_steps=30, **arguments)
    first = deep.train(X, y, n_steps=12, **arguments)
    state = first.to_state_dict()
    assert list(state)[:3] == ["0.weight", "0.bias", "2.weight"]
    assert state["6.bias"].shape == (3,)
    everything = np.concatenate([first.predictions, first.predictions_test], axis=2)[0, -1]
    inputs = np.vstack([X, X[::-1] + 0.3])
    np.testing.assert_allclose(_outputs(state, inputs), everything, atol=1e-12)
    rest = deep.train(X, y, n_steps=18, init=state, **arguments)
    np.testing.assert_allclose(rest.predictions[0], whole.predictions[0, 12:], atol=1e-11)
    again = deep.train(X, y, n_steps=0, init=state, **arguments).to_state_dict()
    for name, value in state.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-12, atol=1e-15)


def test_engines_end_at_the_same_weights():
    X, y = _data(m=3, d=10)
    arguments = {"width": 512, "depth": 2, "activation": "tanh", "step_size": 0.03, "n_steps": 60}
    arguments |= {"weight_decay": 0.2}
    dense = deep.train(X, y, engine="dense", **arguments).to_state_dict()
    for n_steps in (10, 60):  # directions alone, then stages on all entries
        fast = deep.train(X, y, engine="low-rank", tol=0.0, **{**arguments, "n_steps": n_steps})
        exact = dense
        if n_steps < 60:
            exact = deep.train(X, y, engine="dense", **{**arguments, "n_steps": n_steps})
            exact = exact.to_state_dict()
        for name, value in fast.to_state_dict().items():
            size = np.abs(exact[name]).max()
            np.testing.assert_allclose(value, exact[name], atol=1e-12 * size)


@pytest.mark.filterwarnings("ignore:The 6 inputs span:UserWarning")
def test_several_networks_and_names():
    X, y = _data()
    arguments = {"width": 8, "depth": 1, "loss": "cross-entropy", "n_steps": 0}
    run = deep.train(X, y, n_replicas=2, seed=4, **arguments)
    with pytest.raises(ValueError, match="which of the 2 networks"):
        run.to_state_dict()
    with pytest.raises(ValueError, match="replica must be below 2"):
        run.to_state_dict(2)
    state = run.to_state_dict(1, names=["in", "out"])
    drawn = deep.initial_weights(8, 1, 4, n_outputs=3, seed=5)
    np.testing.assert_array_equal(state["in.weight"], drawn[0])
    np.testing.assert_array_equal(state["out.weight"], drawn[1])
    with pytest.raises(ValueError, match="names must be 2 different names"):
        run.to_state_dict(0, names=["in", "in"])
    without = deep.train(X, y, keep_weights=False, **arguments)
    with pytest.raises(ValueError, match="keep_weights=True"):
        without.to_state_dict()
    limit = deep.infinite_width(X, y, n_samples=64, n_steps=0, loss="cross-entropy")
    with pytest.raises(ValueError, match="a limit has none"):
        limit.replicas.to_state_dict()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"width": 9}, "pass width=8"),
        ({}, {"depth": 3}, "pass depth=2"),
        ({}, {"bias": False}, "pass bias=True"),
        ({}, {"n_replicas": 2}, "init is one network"),
        ({"4.bias": None}, {}, "has no '4.bias'"),
        (
            {"2.weight": np.ones((8, 7))},
            {},
            r"'2.weight' of shape \(8, 7\), and layer 2 .* \(8, 8\)",
        ),
        ({"2.bias": np.ones(3)}, {}, r"'2.bias' of shape \(3,\)"),
        ({"norm": np.ones(3)}, {}, "holds 'norm'"),
        ({"2.bias": np.ones((8, 1))}, {}, r"'2.bias' of shape \(8, 1\); make it 1-D"),
        ({"4.weight": np.ones(8)}, {}, r"'4.weight' of shape \(8,\); make it 2-D"),
        ({"0.weight": np.full((8, 4), np.inf)}, {}, "'0.weight' that are not finite"),
        ({"2.bias": np.full(8, np.nan)}, {}, "'2.bias' that are not finite"),
    ],
)
def test_weights_must_fit(change, arguments, message):
    X, y = _data()
    fitting = {"width": 8, "depth": 2, "bias": True, "loss": "cross-entropy", "n_steps": 1}
    state = deep.train(X, y, **fitting).to_state_dict()
    state = {name: value for name, value in (state | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        deep.train(X, y, init=state, **{**fitting, **arguments})
    for other, message in (
        ([1.0], "init must map names to arrays"),
        ({0: np.ones((8, 4))}, r"init must name its arrays by text, got \[0\]"),
        ({"0.weight": np.ones((8, 4)) + 1j}, r"init\['0.weight'\] is not an array of real"),
        ({"0.weight": np.full((8, 4), "1")}, r"init\['0.weight'\] is not an array of real"),
    ):
        with pytest.raises(TypeError, match=message):
            deep.train(X, y, init=other, **fitting)


def _torch_case(name):
    schedule = mf.schedule.Geometric(0.05, ratio=0.95)
    return {
        "sgd": {},
        "momentum": {"optimizer": "momentum"},
        "decay": {"weight_decay": 0.5},
        "schedule": {"step_size": schedule},
        "all": {"optimizer": "momentum", "weight_decay": 0.5, "step_size": schedule},
    }[name]


@pytest.mark.parametrize("scheme", ["sp", "ntp", "ip", "mup"])
@pytest.mark.parametrize("case", ["sgd", "momentum", "decay", "schedule", "all"])
def test_pytorch_trains_the_same_network(scheme, case):
    torch = pytest.importorskip("torch")
    X, y = _data()
    n, n_steps = 16, 50
    arguments = {"step_size": 0.02, **_torch_case(case)}
    linear = [torch.nn.Linear(*s, dtype=torch.float64) for s in ((4, n), (n, n), (n, 3))]
    tanh = torch.nn.Tanh()
    net = torch.nn.Sequential(linear[0], tanh, linear[1], tanh, linear[2])
    same = {"width": n, "depth": 2, "activation": "tanh", "loss": "cross-entropy", "bias": True}
    same |= {"reduction": "mean", "parametrization": scheme}
    start = deep.train(X, y, n_steps=0, seed=1, **same).to_state_dict()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
    if scheme == "mup":  # a tensor is as good as an array
        start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    powers = {"sp": (-1, -1, -1), "ntp": (0, -1, -1), "ip": (1, 0, -1), "mup": (1, 0, -1)}[scheme]
    hidden, output = (rule(n) for rule in BIAS_RATES[scheme])
    groups = [
        {"params": [parameter], "lr": rate, "factor": rate}
        for layer, power, bias in zip(linear, powers, (hidden, hidden, output), strict=True)
        for parameter, rate in ((layer.weight, float(n) ** power), (layer.bias, bias))
    ]
    sgd = torch.optim.SGD(groups, lr=1.0, momentum=0.9 if "optimizer" in arguments else 0.0)
    eta = arguments["step_size"]
    etas = [eta] * n_steps if isinstance(eta, float) else eta.values(n_steps)
    inputs, labels = torch.tensor(X), torch.tensor(y)
    predictions = []
    for eta in etas:
        sgd.zero_grad()
        f = net(inputs)
        predictions.append(f.detach().numpy().copy())
        torch.nn.functional.cross_entropy(f, labels).backward()
        with torch.no_grad():  # decoupled: the group's decay is λ / factor
            for group in sgd.param_groups:
                group["lr"] = eta * group["factor"]
                decay = arguments.get("weight_decay", 0.0) / group["factor"]
                group["params"][0].mul_(1 - group["lr"] * decay)
        sgd.step()
    for engine in ("dense", "low-rank"):
        run = deep.train(
            X, y, n_steps=n_steps, init=start, engine=engine, tol=0.0, **same, **arguments
        )
        np.testing.assert_allclose(run.predictions[0, :-1], predictions, rtol=0, atol=1e-10)
        for name, value in run.to_state_dict().items():
            final = net.state_dict()[name].numpy()
            np.testing.assert_allclose(value, final, rtol=0, atol=1e-10 * (1 + np.abs(final).max()))
    assert np.abs(predictions[-1] - predictions[0]).max() > 1e-3


@pytest.mark.slow
def test_ten_digits_are_told_apart_as_well_as_by_pytorch():
    pytest.importorskip("torch")
    from scripts.benchmarks.deep import on_digits

    found, _ = on_digits(1024, 400)
    assert abs(found["accuracy"] - found["torch_accuracy"]) <= 0.01
    assert found["accuracy"] > 0.95
