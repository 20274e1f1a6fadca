"""Adam at finite width: its twin, PyTorch's, its powers of the width, and what does not hold it."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from tests.deep.naive_deep import initial_weights
from tests.deep.naive_training import gradients, hidden_biases, outputs, signal
from tests.naive_functions import ACTIVATIONS as TEXTBOOK

# Rates of W^1 and hidden biases, of W^l, of W^{L+1}, and of b^{L+1}, for width n.
RATES = {
    "sp": lambda n: (n**-1.5, n**-1.5, n**-1.5, n**-1.5),
    "ntp": lambda n: (n**-0.5, n**-1.5, 1 / n, 1.0),
    "ip": lambda n: (1.0, 1 / n, 1 / n, 1.0),
    "mup": lambda n: (1.0, 1 / n, 1 / n, 1.0),
}


def _data(m=5, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


def _start(scheme, width, depth, d, seed, bias):
    weights = initial_weights(scheme, width, depth, d, seed)
    inner = hidden_biases(width, depth, seed) if bias else [np.zeros(width)] * depth
    return [a.copy() for a in (*weights, *inner, np.zeros(1))]


def _rates(scheme, width, depth, eta):
    first, hidden, last, last_bias = RATES[scheme](width)
    rates = [first, *[hidden] * (depth - 1), last, *[first] * depth, last_bias]
    return [eta * rate for rate in rates]


def _twin(X, y, scheme, width, depth, eta, n_steps, bias, weight_decay=0.0):
    """Adam as Kingma and Ba print it, with decoupled decay; return the predictions."""
    arrays = _start(scheme, width, depth, X.shape[1], 0, bias)
    rates = _rates(scheme, width, depth, eta)
    means, squares = ([np.zeros_like(a) for a in arrays] for _ in range(2))
    predictions = []
    for step in range(1, n_steps + 2):
        pair = arrays[: depth + 1], arrays[depth + 1 :]
        f = np.array([outputs(*pair, TEXTBOOK["tanh"], xi)[0] for xi in X])
        predictions.append(f[:, 0])
        total = [np.zeros_like(a) for a in arrays]
        for i in range(len(X)):
            chi = signal("squared", f[i], y[i])
            parts = gradients(*pair, TEXTBOOK["tanh"], X[i], chi)
            for sum_, part in zip(total, parts[0] + parts[1], strict=True):
                sum_ += part
        for k, (array, g) in enumerate(zip(arrays, total, strict=True)):
            if k > depth and not bias:
                continue
            means[k] = 0.9 * means[k] + 0.1 * g
            squares[k] = 0.999 * squares[k] + 0.001 * g**2
            mean, square = means[k] / (1 - 0.9**step), squares[k] / (1 - 0.999**step)
            array *= 1 - eta * weight_decay
            array -= rates[k] * mean / (np.sqrt(square) + 1e-12)
    return np.array(predictions)


@pytest.mark.parametrize("scheme", list(RATES))
@pytest.mark.parametrize("bias", [False, True])
def test_adam_is_its_twin(scheme, bias):
    X, y = _data()
    arguments = {"bias": bias, "weight_decay": 0.5}
    run = deep.train(
        X, y, width=8, depth=3, parametrization=scheme, activation="tanh", step_size=0.03,
        optimizer="adam", n_steps=6, **arguments,
    )  # fmt: skip
    expected = _twin(X, y, scheme, 8, 3, 0.03, 6, **arguments)
    # Apart from ε, which is smaller in the twin than any gradient.
    np.testing.assert_allclose(run.predictions[0], expected, atol=1e-6)
    assert np.abs(expected[-1] - expected[0]).max() > 1e-3
    assert np.isnan(run.sharpness).all()
    assert run.engine == "dense"


def test_adam_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    X, y = _data()
    width, eta = 16, 0.02
    run = deep.train(
        X, y, width=width, depth=2, activation="tanh", step_size=eta, optimizer="adam", n_steps=50
    )
    arrays = [torch.tensor(a, requires_grad=True) for a in deep.initial_weights(width, 2, 4)]
    first, hidden, last, _ = RATES["mup"](width)
    # Gradients of W^1 and W^2 are of the size 1/n.
    groups = [
        {"params": [array], "lr": eta * rate, "eps": 1e-8 * size}
        for array, rate, size in zip(
            arrays, (first, hidden, last), (1 / width, 1 / width, 1.0), strict=True
        )
    ]
    optimizer = torch.optim.Adam(groups)
    inputs, targets = torch.tensor(X), torch.tensor(y)
    for step in range(51):
        f = torch.tanh(torch.tanh(inputs @ arrays[0].T) @ arrays[1].T) @ arrays[2].reshape(-1)
        np.testing.assert_allclose(run.predictions[0, step], f.detach().numpy(), atol=1e-10)
        optimizer.zero_grad()
        ((f - targets) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("scheme", "powers"), [("mup", (0, 0, 0, 0)), ("ntp", (-0.5, -0.5, -0.5, 0))]
)
def test_rates_keep_features_and_outputs_moving_as_the_parametrization_says(scheme, powers):
    X, y = _data()
    widths, moved = [64, 256, 1024], []
    for width in widths:
        run = deep.train(
            X, y, width=width, depth=3, parametrization=scheme, activation="tanh", step_size=0.01,
            optimizer="adam", n_steps=1, n_replicas=4, dtype="float32", save_at=[],
        )  # fmt: skip
        features = np.abs(run.features - run.initial_features).mean(axis=(0, 2, 3))
        output = np.abs(run.predictions[:, 1] - run.predictions[:, 0]).mean()
        moved.append([*features, output])
    slopes = np.polyfit(np.log(widths), np.log(moved), 1)[0]
    np.testing.assert_allclose(slopes, powers, atol=0.12)


def test_richness_divides_the_output_and_multiplies_the_rate():
    X, y = _data()
    settings = {"width": 32, "activation": "tanh", "optimizer": "adam", "n_steps": 1}
    # The targets are so large that the output hardly changes the signs of the first gradients.
    plain = deep.train(X, 5000 * y, step_size=1e-4, **settings)
    lazy = deep.train(X, 5000 * y, step_size=1e-4, richness=0.1, **settings)
    np.testing.assert_allclose(lazy.predictions[0, 0], 10 * plain.predictions[0, 0], rtol=1e-12)
    moved = [run.predictions[0, 1] - run.predictions[0, 0] for run in (plain, lazy)]
    np.testing.assert_allclose(moved[1], moved[0], rtol=0.02)
    steps = [run.features[0] - run.initial_features[0] for run in (plain, lazy)]
    assert np.linalg.norm(steps[1] - 0.1 * steps[0]) < 0.1 * np.linalg.norm(steps[1])


def test_what_does_not_hold_adam_says_so():
    X, y = _data()
    with pytest.raises(ValueError, match=r"engine must be 'dense' or 'auto' for optimizer='adam'"):
        deep.train(X, y, optimizer="adam", engine="low-rank", n_steps=1)
    with pytest.raises(ValueError, match=r"optimizer must be 'sgd' or 'momentum', got 'adam'"):
        deep.infinite_width(X, y, optimizer="adam", n_steps=1)
    with pytest.raises(ValueError, match=r"momentum is for optimizer='momentum', got 0.5 with 'ad"):
        deep.train(X, y, optimizer="adam", momentum=0.5, n_steps=1)
