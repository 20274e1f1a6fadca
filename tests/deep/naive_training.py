"""An obvious twin of training with several outputs, biases, momentum, decay and schedules."""

from __future__ import annotations

import numpy as np

from tests.deep.naive_deep import layer_rates

# Learning rates of hidden biases, and of those of the output, for width n.
BIAS_RATES = {
    "sp": (lambda n: 1 / n, lambda n: 1 / n),
    "ntp": (lambda n: 1.0, lambda n: 1.0),
    "ip": (lambda n: n, lambda n: 1.0),
    "mup": (lambda n: n, lambda n: 1.0),
}


def bias_rates(scheme, width, depth, step_size, rate_scale=(1, 1, 1)):
    """Learning rates of b^1, …, b^{L+1}."""
    hidden, output = (rule(width) for rule in BIAS_RATES[scheme])
    scales = [rate_scale[0]] + [rate_scale[1]] * (depth - 1) + [rate_scale[2]]
    rules = [hidden] * depth + [output]
    return [step_size * scale * rule for scale, rule in zip(scales, rules, strict=True)]


def hidden_biases(width, depth, seed, variance=1.0):
    """Draw b^1, …, b^L from the streams after 3 · 2^32."""
    streams = [
        np.random.Philox(key=np.array([seed, (3 << 32) + l], np.uint64)) for l in range(depth)
    ]
    return [np.sqrt(variance) * np.random.Generator(s).standard_normal(width) for s in streams]


def signal(loss, f, y):
    """χ of one input: f and y are vectors; for cross-entropy y is a class."""
    if loss == "squared":
        return 2 * (f - y)
    if loss == "logistic":
        return -y / (1 + np.exp(y * f))
    shares = np.exp(f - f.max())
    shares /= shares.sum()
    shares[int(y)] -= 1
    return shares


def outputs(weights, biases, activation, xi):
    """Return the outputs of one input, and what enters every layer and every activation."""
    inputs, features = [xi], []
    for matrix, bias in zip(weights[:-1], biases[:-1], strict=True):
        features.append(matrix @ inputs[-1] + bias)
        inputs.append(activation.value(features[-1]))
    return weights[-1] @ inputs[-1] + biases[-1], inputs, features


def gradients(weights, biases, activation, xi, chi):
    """Return the gradients of ⟨χ, f(ξ)⟩ in the weights and in the biases."""
    _, inputs, features = outputs(weights, biases, activation, xi)
    of_weights, of_biases = [np.outer(chi, inputs[-1])], [chi]
    dx = weights[-1].T @ chi
    for layer in range(len(features) - 1, -1, -1):
        dh = dx * activation.derivative(features[layer])
        of_weights.append(np.outer(dh, inputs[layer]))
        of_biases.append(dh)
        dx = weights[layer].T @ dh
    return of_weights[::-1], of_biases[::-1]


def train(
    weights,
    biases,
    activation,
    X,
    y,
    *,
    scheme,
    loss,
    etas,
    batches,
    rate_scale=(1, 1, 1),
    momentum=0.0,
    weight_decay=0.0,
    scale=1.0,
    richness=1.0,
    with_bias=True,
):
    """Descend as PyTorch's SGD with momentum would, with decay; return predictions and weights.

    The division of the output by the richness is that of the last weights and biases here: their
    rates keep their size, and the others are multiplied by its square.
    """
    depth, width = len(weights) - 1, len(weights[0])
    arrays = [a.copy() for a in (*weights, *biases)]
    velocities = [np.zeros_like(a) for a in arrays]
    decays = [rate_scale[0]] + [rate_scale[1]] * (depth - 1) + [rate_scale[2]]
    predictions = []

    def predict():
        pair = arrays[: depth + 1], arrays[depth + 1 :]
        predictions.append([outputs(*pair, activation, xi)[0] for xi in X])

    for eta, batch in zip(etas, batches, strict=True):
        predict()
        total = [np.zeros_like(a) for a in arrays]
        for i in batch:
            chi = scale * signal(loss, np.array(predictions[-1][i]), y[i])
            found = gradients(arrays[: depth + 1], arrays[depth + 1 :], activation, X[i], chi)
            for part, gradient in zip(total, found[0] + found[1], strict=True):
                part += gradient
        rates = layer_rates(scheme, width, depth, eta, rate_scale)
        rates += bias_rates(scheme, width, depth, eta, rate_scale)
        for k, (rate, part) in enumerate(zip(rates, total, strict=True)):
            if k > depth and not with_bias:
                continue
            arrays[k] *= 1 - eta * decays[k % (depth + 1)] * weight_decay
            rate *= 1.0 if k % (depth + 1) == depth else richness**2
            velocities[k] = momentum * velocities[k] + part
            arrays[k] -= rate * velocities[k]
    predict()
    return np.array(predictions), arrays
