"""The two engines: networks whose weights are all stored, and one known by its action alone."""

from __future__ import annotations

import numpy as np

from meanfield.deep.descent import Activity
from meanfield.deep.parametrizations import LayerValues
from meanfield.deep.staged_matrix import StagedMatrix
from meanfield.deep.task import Task
from meanfield.deep.weights import draw_matrix


class DenseNetwork:
    """MLPs of one width in a chosen parametrization, one per seed.

    Weights and learning rates are those of a parametrization, to the letter; only the error
    vectors that `backward` returns are multiplied by the width.
    """

    def __init__(
        self,
        task: Task,
        width: int,
        variance: LayerValues,
        weight_rates: LayerValues,
        seeds: list[int],
        dtype: np.dtype,
    ):
        def draw(layer: int, rows: int, columns: int, variance: float) -> np.ndarray:
            shape = (rows, columns)
            return np.stack([draw_matrix(seed, layer, shape, variance, dtype) for seed in seeds])

        self.weight_rates, self.rates = weight_rates, in_limit_units(weight_rates, width)
        self.activation, self.width, self.richness = task.activation, width, task.richness
        self.inputs = task.inputs.astype(dtype)
        self.first = draw(0, width, self.inputs.shape[1], variance.input)
        self.hidden = [draw(l, width, width, variance.hidden) for l in range(1, task.depth)]
        self.last = draw(task.depth, 1, width, variance.output)[:, 0]

    def forward(self, rows: np.ndarray | slice) -> Activity:
        """Evaluate the networks."""
        h = [np.matmul(self.inputs[rows], _transpose(self.first))]
        x = [self.activation.value(h[0])]
        for matrix in self.hidden:
            h.append(np.matmul(x[-1], _transpose(matrix)))
            x.append(self.activation.value(h[-1]))
        f = np.matmul(x[-1], self.last[:, :, None])[..., 0] / self.last.dtype.type(self.richness)
        return Activity(f, h, x, [])

    def backward(self, batch: Activity) -> list[np.ndarray]:
        """Return ``n`` times the gradients of ``⟨a, x_L⟩`` in ``h_1, …, h_L``."""
        n = self.last.dtype.type(self.width)
        dh = [n * self.last[:, None, :] * self.activation.derivative(batch.h[-1])]
        for matrix, h in zip(reversed(self.hidden), reversed(batch.h[:-1]), strict=True):
            dh.append(np.matmul(dh[-1], matrix) * self.activation.derivative(h))
        return dh[::-1]

    def update(
        self, rows: np.ndarray | slice, batch: Activity, dh: list[np.ndarray], chi: np.ndarray
    ) -> None:
        """Take one gradient step."""
        rates = self.weight_rates
        weighted = [_transpose(chi[:, :, None] * g) / g.dtype.type(self.width) for g in dh]
        kind = self.last.dtype.type
        self.first -= kind(rates.input) * np.matmul(weighted[0], self.inputs[rows])
        for matrix, g, x in zip(self.hidden, weighted[1:], batch.x[:-1], strict=True):
            matrix -= np.matmul(kind(rates.hidden) * g, x)
        self.last -= kind(rates.output) * np.matmul(chi[:, None, :], batch.x[-1])[:, 0]

    def ranks(self) -> np.ndarray:
        """Return zeros: no directions are stored."""
        return np.zeros((len(self.last), 2, len(self.hidden)), dtype=np.int64)


def in_limit_units(rates: LayerValues, width: int) -> LayerValues:
    """Return learning rates for ``a = n W^{L+1}`` and error vectors that are ``n`` times larger."""
    return LayerValues(rates.input / width, rates.hidden, rates.output * width)


def _transpose(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


class LowRankNetwork:
    """An MLP known by its action, in the units of the infinite-width limit.

    `coordinates` (m + m_test, r) are the inputs in an orthonormal basis of their span, `first`
    (r, n) the initial first-layer weights in that basis, `hidden` is ``W^2 … W^L``, and `last`
    (n,) is ``a``, n times the output weights.
    """

    def __init__(
        self,
        task: Task,
        coordinates: np.ndarray,
        first: np.ndarray,
        hidden: list[StagedMatrix],
        last: np.ndarray,
        rates: LayerValues,
    ):
        self.activation, self.richness = task.activation, task.richness
        self.inputs = coordinates.astype(first.dtype)
        self.first, self.hidden, self.last, self.rates = first, hidden, last, rates
        self.errors: list[np.ndarray] = []
        self.offset = np.zeros(len(coordinates), dtype=first.dtype)

    def start_at_zero(self, last: np.ndarray) -> None:
        """Take output weights, and from now on subtract the output that they give now."""
        self.last = last
        self.offset = self.forward(slice(None)).f[0]

    def forward(self, rows: np.ndarray | slice) -> Activity:
        """Evaluate the network."""
        h, memory = [self.inputs[rows] @ self.first], []
        x = [self.activation.value(h[0])]
        for matrix in self.hidden:
            image, b = matrix.forward(x[-1])
            h.append(image)
            memory.append(b)
            x.append(self.activation.value(image))
        f = x[-1] @ self.last / self.last.dtype.type(len(self.last) * self.richness)
        f -= self.offset[rows]
        return Activity(f[None], _one_network(h), _one_network(x), _one_network(memory))

    def backward(self, batch: Activity) -> list[np.ndarray]:
        """Return the error vectors ``dh_1, …, dh_L``; keep their coordinates for the update."""
        dh = [self.last * self.activation.derivative(batch.h[-1][0])]
        self.errors = []
        for matrix, h in zip(reversed(self.hidden), reversed(batch.h[:-1]), strict=True):
            dx, a = matrix.backward(dh[-1])
            self.errors.append(a)
            dh.append(dx * self.activation.derivative(h[0]))
        self.errors.reverse()
        return _one_network(dh[::-1])

    def update(
        self, rows: np.ndarray | slice, batch: Activity, dh: list[np.ndarray], chi: np.ndarray
    ) -> None:
        """Take one gradient step."""
        kind = self.last.dtype.type
        for matrix, a, b in zip(self.hidden, self.errors, batch.memory, strict=True):
            matrix.update(self.rates.hidden, chi[0], a, b[0])
        weighted = (self.inputs[rows] * chi[0][:, None]).T
        self.first -= kind(self.rates.input) * (weighted @ dh[0][0])
        self.last -= kind(self.rates.output) * (chi[0] @ batch.x[-1][0])

    def ranks(self) -> np.ndarray:
        """Return the number of stored directions, (1, 2, L − 1)."""
        return np.array([matrix.ranks for matrix in self.hidden]).reshape(-1, 2).T[None]


def _one_network(arrays: list[np.ndarray]) -> list[np.ndarray]:
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
