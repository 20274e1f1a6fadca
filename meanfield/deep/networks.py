"""The two engines: networks whose weights are all stored, and one known by its action alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from meanfield.deep.descent import Activity
from meanfield.deep.optimizers import Pace, Rates, Stepper
from meanfield.deep.staged_matrix import StagedMatrix
from meanfield.deep.task import Signal, Task
from meanfield.deep.weights import DenseWeights, LowRankWeights, Start

Array = np.ndarray
Move = tuple[Any, Array, Callable[[Any], Array], float, float, float]
"""Name, array, the gradient times a number, rate, what weight decay keeps, and ε of Adam."""


class DenseNetwork:
    """MLPs of one width in a chosen parametrization, one per seed.

    Weights and learning rates are those of a parametrization, to the letter; only the error
    vectors that `backward` returns are multiplied by the width. `last` is (R, K, n).
    """

    def __init__(self, task: Task, start: Start, pace: Pace, seeds: list[int]):
        def stacked(draw: Callable[[int, int], Array], layer: int) -> Array:
            return np.stack([draw(seed, layer) for seed in seeds])

        self.task, self.pace, self.width = task, pace, start.width
        self.activation, self.stepper = task.activation, Stepper(task.optimizer)
        self.inputs = task.inputs.astype(start.dtype)
        self.first = stacked(start.matrix, 0)
        self.hidden = [stacked(start.matrix, l) for l in range(1, task.depth)]
        self.last = stacked(start.matrix, task.depth)
        layers = range(task.depth + 1) if start.has_bias else ()
        self.biases = [stacked(start.bias, l) for l in layers]

    def rates(self, step: int) -> Rates:
        """Return the rates of a step in the units of the limit."""
        return self.pace.in_limit_units(step)

    def forward(self, rows: Array | slice) -> Activity:
        """Evaluate the networks."""
        h, x = [], [self.inputs[rows]]
        for layer, matrix in enumerate([self.first, *self.hidden, self.last]):
            h.append(np.matmul(x[-1], _transpose(matrix)))
            if self.biases:
                h[-1] += self.biases[layer][:, None]
            if layer < self.task.depth:
                x.append(self.activation.value(h[-1]))
        f = h.pop() / self.last.dtype.type(self.task.richness)
        return Activity(self.task.as_predictions(f), h, x[1:], [])

    def backward(self, batch: Activity, directions: Array | None) -> list[Array]:
        """Return n times the gradients of ``⟨a, x_L⟩``, along `directions`, in ``h_l``."""
        n = self.last.dtype.type(self.width)
        last = self.last if directions is None else np.matmul(directions, self.last)
        dh = [n * last * self.activation.derivative(batch.h[-1])]
        for matrix, h in zip(reversed(self.hidden), reversed(batch.h[:-1]), strict=True):
            dh.append(np.matmul(dh[-1], matrix) * self.activation.derivative(h))
        return dh[::-1]

    def update(
        self, step: int, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> None:
        """Take a step."""
        for move in self._moves(step, rows, batch, dh, signal):
            self.stepper.step(*move)

    def move_sizes(
        self, step: int, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> Array:
        """Return the sizes of the next step of the weights, (R, L + 1)."""
        units = [self.width**-0.5, *[1.0] * len(self.hidden), self.width**0.5]
        moves = list(self._moves(step, rows, batch, dh, signal))[: len(units)]
        sizes = [
            unit * np.linalg.norm(self.stepper.move(key, gradient, rate, epsilon), axis=(1, 2))
            for unit, (key, _, gradient, rate, _, epsilon) in zip(units, moves, strict=True)
        ]
        return np.stack(sizes, axis=1)

    def _moves(
        self, step: int, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> Iterator[Move]:
        weights, biases, kept, epsilons, last_epsilon = self.pace.at(step)
        sizes, n = signal.sizes[:, :, None], self.last.dtype.type(self.width)
        weighted = [_transpose(sizes * g) / n for g in dh]
        chi = _transpose(signal.outputs)

        # A large gradient is not held twice: the factor goes to its smaller part.
        def of_hidden(g: Array, x: Array) -> Callable[[Any], Array]:
            return lambda factor: np.matmul(factor * g, x)

        first, last = self.inputs[rows], batch.x[-1]

        def of_first(factor: Any) -> Array:
            return factor * np.matmul(weighted[0], first)

        def of_last(factor: Any) -> Array:
            return factor * np.matmul(chi, last)

        yield "W1", self.first, of_first, weights.input, kept.input, epsilons.input
        for l, matrix in enumerate(self.hidden):
            gradient = of_hidden(weighted[l + 1], batch.x[l])
            yield f"W{l + 2}", matrix, gradient, weights.hidden, kept.hidden, epsilons.hidden
        yield "a", self.last, of_last, weights.output, kept.output, epsilons.output
        for l, bias in enumerate(self.biases):
            kind = _kind(l, self.task.depth)
            left = (*weighted, chi)[l]
            epsilon = last_epsilon if kind == 2 else epsilons.input
            yield f"b{l + 1}", bias, _summed(left, -1), biases[kind], kept[kind], epsilon

    @property
    def precision(self) -> float:
        """What vectors are known to: rounding."""
        return float(np.finfo(self.last.dtype).eps)

    def weights(self) -> list[DenseWeights]:
        """Return the present weights of every network."""
        arrays = [self.first, *self.hidden, self.last]
        return [
            DenseWeights([array[r] for array in arrays], [bias[r] for bias in self.biases])
            for r in range(len(self.last))
        ]

    def ranks(self) -> Array:
        """Return zeros: no directions are stored."""
        return np.zeros((len(self.last), 2, len(self.hidden)), dtype=np.int64)


def _kind(layer: int, depth: int) -> int:
    """Return the place of a layer among input, hidden and output."""
    return 0 if layer == 0 else 2 if layer == depth else 1


def _summed(terms: Array, axis: int) -> Callable[[Any], Array]:
    return lambda factor: factor * terms.sum(axis=axis)


def _transpose(matrices: Array) -> Array:
    return np.swapaxes(matrices, -1, -2)


class LowRankNetwork:
    """An MLP known by its action, in the units of the infinite-width limit.

    `coordinates` (m + m_test, r) are the inputs in an orthonormal basis of their span, `first`
    (r, n) the initial first-layer weights in that basis, `hidden` is ``W^2 … W^L``, and `last`
    (K, n) is ``a``, n times the output weights. `biases`, of all layers or none, are (n,), the last
    (K,).
    """

    def __init__(
        self,
        task: Task,
        coordinates: Array,
        first: Array,
        hidden: list[StagedMatrix],
        last: Array,
        biases: list[Array],
        pace: Pace,
    ):
        self.task, self.activation, self.pace = task, task.activation, pace
        self.stepper = Stepper(task.optimizer)
        self.inputs = coordinates.astype(first.dtype)
        self.first, self.hidden, self.last, self.biases = first, hidden, last, biases
        self.errors: list[Array] = []
        self.kept = 1.0  # of the first layer's weights where inputs do not reach
        self.offset = np.zeros((len(coordinates), len(last)), dtype=first.dtype)

    def rates(self, step: int) -> Rates:
        """Return the rates of a step in the units of the limit."""
        return self.pace.in_limit_units(step)

    def start_at_zero(self, last: Array) -> None:
        """Take output weights, and from now on subtract the output that they give now."""
        self.last = last
        self.offset = self.forward(slice(None)).f[0].reshape(-1, len(last))

    def forward(self, rows: Array | slice) -> Activity:
        """Evaluate the network."""
        h, memory = [self.inputs[rows] @ self.first], []
        self._add_bias(0, h[0])
        x = [self.activation.value(h[0])]
        for layer, matrix in enumerate(self.hidden):
            image, b = matrix.forward(x[-1])
            self._add_bias(layer + 1, image)
            h.append(image)
            memory.append(b)
            x.append(self.activation.value(image))
        f = x[-1] @ self.last.T / self.last.dtype.type(self.last.shape[1])
        self._add_bias(len(h), f)
        f = f / self.last.dtype.type(self.task.richness) - self.offset[rows]
        f = self.task.as_predictions(f[None])
        return Activity(f, _one_network(h), _one_network(x), _one_network(memory))

    def _add_bias(self, layer: int, image: Array) -> None:
        if self.biases:
            image += self.biases[layer]

    def backward(self, batch: Activity, directions: Array | None) -> list[Array]:
        """Return the error vectors ``dh_1, …, dh_L``; keep their coordinates for the update."""
        last = self.last if directions is None else directions[0] @ self.last
        dh = [last * self.activation.derivative(batch.h[-1][0])]
        self.errors = []
        for matrix, h in zip(reversed(self.hidden), reversed(batch.h[:-1]), strict=True):
            dx, a = matrix.backward(dh[-1])
            self.errors.append(a)
            dh.append(dx * self.activation.derivative(h[0]))
        self.errors.reverse()
        return _one_network(dh[::-1])

    def update(
        self, step: int, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> None:
        """Take a step."""
        rates, momentum = self.rates(step), self.task.optimizer.momentum
        self.kept *= rates.kept.input
        for matrix, a, b in zip(self.hidden, self.errors, batch.memory, strict=True):
            chi = signal.sizes[0]
            matrix.update(rates.weights.hidden, chi, a, b[0], momentum, rates.kept.hidden)
        for move in self._moves(rates, rows, batch, dh, signal):
            self.stepper.step(*move)

    def move_sizes(
        self, step: int, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> Array:
        """Return the sizes of the next step of the weights, (1, L + 1)."""
        rates, momentum = self.rates(step), self.task.optimizer.momentum
        hidden = [
            rates.weights.hidden * matrix.next_velocity(signal.sizes[0], a, b[0], momentum)
            for matrix, a, b in zip(self.hidden, self.errors, batch.memory, strict=True)
        ]
        first, last = (
            np.linalg.norm(self.stepper.move(key, gradient, rate, 0.0))
            / np.sqrt(self.last.shape[1])
            for key, _, gradient, rate, *_ in list(self._moves(rates, rows, batch, dh, signal))[:2]
        )
        return np.array([[first, *hidden, last]])

    def _moves(
        self, rates: Rates, rows: Array | slice, batch: Activity, dh: list[Array], signal: Signal
    ) -> Iterator[Move]:
        weights, biases, kept, *_ = rates
        weighted = (self.inputs[rows] * signal.sizes[0][:, None]).T
        chi = signal.outputs[0]
        first, last = dh[0][0], batch.x[-1][0]
        yield "W1", self.first, lambda c: c * (weighted @ first), weights.input, kept.input, 0.0
        yield "a", self.last, lambda c: c * (chi.T @ last), weights.output, kept.output, 0.0
        for l, bias in enumerate(self.biases):
            kind = _kind(l, self.task.depth)
            terms = chi if kind == 2 else signal.sizes[0][:, None] * dh[l][0]
            yield f"b{l + 1}", bias, _summed(terms, 0), biases[kind], kept[kind], 0.0

    @property
    def precision(self) -> float:
        """What vectors are known to: what is left out of them, or rounding."""
        return max([float(np.finfo(self.last.dtype).eps), *(m.tol for m in self.hidden)])

    def weights(self, start: Start, seed: int, basis: Array) -> list[LowRankWeights]:
        """Return the present weights, of a network that started so on inputs of that basis."""
        hidden = [matrix.parts() for matrix in self.hidden]
        first, kept, last, biases = self.first, self.kept, self.last, self.biases
        return [LowRankWeights(start, seed, basis, first, kept, hidden, last, biases)]

    def ranks(self) -> Array:
        """Return the number of stored directions, (1, 2, L − 1)."""
        return np.array([matrix.ranks for matrix in self.hidden]).reshape(-1, 2).T[None]


def _one_network(arrays: list[Array]) -> list[Array]:
    return [array[None] for array in arrays]


def input_coordinates(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates of the inputs in an orthonormal basis of their span, and the basis.

    When there are at least as many inputs as dimensions the basis is the standard one; otherwise
    that of Gram–Schmidt, which is unique: inputs in their order, without those in the span of
    earlier ones up to rounding, and each with a positive coordinate along its own direction.
    """
    n_inputs, n_features = inputs.shape
    if n_inputs >= n_features:
        return inputs, np.eye(n_features)
    kept = _independent(inputs)
    q, r = np.linalg.qr(inputs[kept].T)
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    basis = signs[:, None] * q.T
    coordinates = np.asfortranarray(inputs @ basis.T)
    coordinates[kept] = r.T * signs
    return coordinates, basis


def _independent(inputs: np.ndarray) -> np.ndarray:
    """Return the inputs that are not in the span of earlier ones up to rounding, as a mask."""
    basis = np.empty((0, inputs.shape[1]))
    kept = np.zeros(len(inputs), dtype=bool)
    for i, row in enumerate(inputs):
        rest = row
        for _ in range(2):
            rest = rest - (rest @ basis.T) @ basis
        size = np.linalg.norm(rest)
        kept[i] = size > np.sqrt(np.finfo(float).eps) * np.linalg.norm(row)
        if kept[i]:
            basis = np.vstack([basis, rest / size])
    return kept
