"""Obvious twins of the deep networks: one network, one sample at a time, nothing clever."""

from __future__ import annotations

import numpy as np

from tests.naive_functions import LOSSES

# Table 2 of [RFL], typed as printed: (initial variance, learning rate) of a layer, for width n.
TABLE_2 = {
    "sp": {
        "input": lambda n: (1.0, 1 / n),
        "hidden": lambda n: (1 / n, 1 / n),
        "output": lambda n: (1 / n, 1 / n),
    },
    "ntp": {
        "input": lambda n: (1.0, 1.0),
        "hidden": lambda n: (1 / n, 1 / n),
        "output": lambda n: (1 / n, 1 / n),
    },
    "ip": {
        "input": lambda n: (1.0, n),
        "hidden": lambda n: (1 / n**2, 1.0),
        "output": lambda n: (1 / n**2, 1 / n),
    },
    "mup": {
        "input": lambda n: (1.0, n),
        "hidden": lambda n: (1 / n, 1.0),
        "output": lambda n: (1 / n**2, 1 / n),
    },
}


def initial_weights(scheme, width, depth, n_features, seed, weight_variance=(1, 1, 1)):
    """Draw W^1, …, W^{L+1}."""
    kinds = ["input"] + ["hidden"] * (depth - 1) + ["output"]
    constants = [weight_variance[0]] + [weight_variance[1]] * (depth - 1) + [weight_variance[2]]
    shapes = [(width, n_features)] + [(width, width)] * (depth - 1) + [(1, width)]
    weights = []
    for layer, (kind, constant, shape) in enumerate(zip(kinds, constants, shapes, strict=True)):
        variance = constant * TABLE_2[scheme][kind](width)[0]
        stream = np.random.Philox(key=np.array([seed, layer], dtype=np.uint64))
        weights.append(np.sqrt(variance) * np.random.Generator(stream).standard_normal(shape))
    return weights


def layer_rates(scheme, width, depth, step_size, rate_scale=(1, 1, 1)):
    """Learning rates of W^1, …, W^{L+1}."""
    kinds = ["input"] + ["hidden"] * (depth - 1) + ["output"]
    scales = [rate_scale[0]] + [rate_scale[1]] * (depth - 1) + [rate_scale[2]]
    return [
        step_size * scale * TABLE_2[scheme][kind](width)[1]
        for kind, scale in zip(kinds, scales, strict=True)
    ]


def evaluate(weights, activation, xi):
    """Return f(ξ) and the features h of every hidden layer."""
    x, features = xi, []
    for matrix in weights[:-1]:
        h = matrix @ x
        features.append(h)
        x = activation.value(h)
    return float((weights[-1] @ x)[0]), features


def gradients(weights, activation, xi):
    """Return ∂f(ξ)/∂W for every layer."""
    _, features = evaluate(weights, activation, xi)
    inputs = [xi] + [activation.value(h) for h in features]
    result = [inputs[-1][None, :]]
    dx = weights[-1][0]
    for layer in range(len(features) - 1, -1, -1):
        dh = dx * activation.derivative(features[layer])
        result.append(np.outer(dh, inputs[layer]))
        dx = weights[layer].T @ dh
    return result[::-1]


def signal(loss, f, y):
    """χ for squared loss (f − y)² and logistic loss log(1 + exp(−y f))."""
    return (2 if loss == "squared" else 1) * LOSSES[loss].derivative(f, y)


def train(weights, rates, activation, X, y, loss, batches, scale=1.0):
    """Descend on the given batches; return predictions before every step and after the last."""
    weights = [matrix.copy() for matrix in weights]
    predictions = []
    for batch in batches:
        predictions.append([evaluate(weights, activation, xi)[0] for xi in X])
        steps = [np.zeros_like(matrix) for matrix in weights]
        for i in batch:
            chi = scale * signal(loss, predictions[-1][i], y[i])
            for step, gradient in zip(steps, gradients(weights, activation, X[i]), strict=True):
                step += chi * gradient
        for matrix, rate, step in zip(weights, rates, steps, strict=True):
            matrix -= rate * step
    predictions.append([evaluate(weights, activation, xi)[0] for xi in X])
    return np.array(predictions), weights


def particle_predictions(a, w, X, y, activation, step_size, n_steps):
    """Descend on the mean-field particle system without noise or penalty (½ mean squared loss)."""
    a, w, n = a.copy(), w.copy(), len(X)
    predictions = []
    for _ in range(n_steps + 1):
        z = w @ X.T
        f = a @ activation.value(z) / len(a)
        predictions.append(f)
        r = f - y
        grad_a = activation.value(z) @ r / n
        grad_w = (a[:, None] * activation.derivative(z) * r) @ X / n
        a, w = a - step_size * grad_a, w - step_size * grad_w
    return np.array(predictions)


def linear_limit(X, X_test, y, step_size, n_steps, input_variance, output_variance):
    """Iterate E[(a, w)(a, w)ᵀ] of a one-hidden-layer linear network; return its outputs."""
    d = X.shape[1]
    moments = np.diag([output_variance] + [input_variance] * d)
    outputs = []
    for _ in range(n_steps + 1):
        f = X @ moments[0, 1:]
        outputs.append(np.concatenate([f, X_test @ moments[0, 1:]]))
        g = 2 * (f - y) @ X
        update = np.eye(d + 1)
        update[0, 1:] -= step_size * g
        update[1:, 0] -= step_size * g
        moments = update @ moments @ update.T
    return np.array(outputs)


def arc_cosine_kernels(kernel):
    """E[relu(u) relu(v)] and E[relu'(u) relu'(v)] for Gaussian u, v with the given covariance."""
    scale = np.sqrt(np.diag(kernel))
    angle = np.arccos(np.clip(kernel / np.outer(scale, scale), -1, 1))
    value = np.outer(scale, scale) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    return value / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


def arc_sine_kernels(kernel):
    """E[erf(u) erf(v)] and E[erf'(u) erf'(v)] for Gaussian u, v with the given covariance."""
    inner = 1 + 2 * np.diag(kernel)
    value = 2 / np.pi * np.arcsin(2 * kernel / np.sqrt(np.outer(inner, inner)))
    return value, 4 / np.pi / np.sqrt(np.outer(inner, inner) - 4 * kernel**2)


def tangent_kernel(X, kernels, depth):
    """Return the µP tangent kernel at the start: unit variances and rates in every layer."""
    inputs = [X @ X.T]
    slopes = []
    for _ in range(depth):
        value, slope = kernels(inputs[-1])
        inputs.append(value)
        slopes.append(slope)
    total, backward = inputs[-1], np.ones_like(inputs[0])
    for layer in range(depth - 1, -1, -1):
        backward = backward * slopes[layer]
        total = total + backward * inputs[layer]
    return total


class FreeMatrix:
    """W_0 of the limit on vectors of coordinates: what it has not met it maps to axes of its own.

    `axes` yields unit vectors (times √K, so that their mean square is one) that nothing else holds.
    """

    def __init__(self, axes):
        self.axes = axes
        self.met = ([], [])  # features with images, error vectors with theirs: (unit, image)

    def apply(self, x, side=0):
        """W_0 x, or W_0ᵀ x for side 1."""
        result = np.zeros_like(x)
        for _ in range(2):  # what is left after the first round is rounding
            for unit, image in self.met[side]:
                share = np.mean(unit * x)
                result, x = result + share * image, x - share * unit
        size = np.sqrt(np.mean(x**2))
        if size > 1e-12:
            unit = x / size
            image = next(self.axes)
            for other, other_image in self.met[1 - side]:
                image = image + np.mean(other_image * unit) * other
            self.met[side].append((unit, image))
            result = result + size * image
        return result


def deep_linear_limit(X, y, depth, step_size, n_steps, n_axes):
    """Descend on an infinitely wide linear µP network; return the outputs before every step."""
    m, d = X.shape
    axes = iter(np.sqrt(n_axes) * np.eye(n_axes))
    first = np.array([next(axes) for _ in range(d)])
    a = next(axes)
    matrices = [FreeMatrix(axes) for _ in range(1, depth)]
    steps = [[] for _ in matrices]  # of every matrix the list of (−η χ dh, x)
    outputs = []
    for _ in range(n_steps + 1):
        x = [[X[i] @ first for i in range(m)]]
        for matrix, taken in zip(matrices, steps, strict=True):
            x.append([matrix.apply(v) + sum((np.mean(b * v) * g for g, b in taken)) for v in x[-1]])
        f = np.array([np.mean(a * v) for v in x[-1]])
        outputs.append(f)
        dh = [a]  # of a linear network the same for all inputs
        for matrix, taken in zip(reversed(matrices), reversed(steps), strict=True):
            before = sum((np.mean(g * dh[0]) * b for g, b in taken))
            dh.insert(0, matrix.apply(dh[0], side=1) + before)
        for i, chi in enumerate(2 * (f - y)):
            for taken, g, layer in zip(steps, dh[1:], x, strict=False):
                taken.append((-step_size * chi * g, layer[i]))
        chi = 2 * (f - y)
        first = first - step_size * (X.T @ chi)[:, None] * dh[0]
        a = a - step_size * sum(c * v for c, v in zip(chi, x[-1], strict=True))
    return np.array(outputs)
