"""The plain engine: every weight matrix is stored and multiplied, several networks at once."""

from __future__ import annotations

import numpy as np

from meanfield.deep.descent import Activity
from meanfield.deep.parametrizations import LayerValues, Parametrization
from meanfield.deep.task import Task
from meanfield.deep.weights import draw_matrix


class DenseNetwork:
    """MLPs of one width in a chosen parametrization, one per seed.

    Weights and learning rates are those of the parametrization, to the letter; only the error
    vectors that `backward` returns are multiplied by the width.
    """

    def __init__(
        self,
        task: Task,
        width: int,
        parametrization: Parametrization,
        weight_variance: tuple[float, float, float],
        rate_scale: tuple[float, float, float],
        seeds: list[int],
        dtype: np.dtype,
    ):
        def draw(layer: int, rows: int, columns: int, variance: float) -> np.ndarray:
            shape = (rows, columns)
            return np.stack([draw_matrix(seed, layer, shape, variance, dtype) for seed in seeds])

        variance = parametrization.variances(width, weight_variance)
        self.weight_rates = parametrization.rates(width, task.step_size, rate_scale)
        self.rates = in_limit_units(self.weight_rates, width)
        self.activation = task.activation
        self.width = width
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
        return Activity(np.matmul(x[-1], self.last[:, :, None])[..., 0], h, x, [])

    def backward(self, batch: Activity) -> list[np.ndarray]:
        """Return ``n`` times the gradients of ``f`` in ``h_1, …, h_L``."""
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
