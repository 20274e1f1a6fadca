"""The random weights that training starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield import checks
from meanfield.deep.exchange import Layers
from meanfield.deep.parametrizations import LayerValues, Parametrization, get_parametrization
from meanfield.deep.task import BIAS_STREAM, as_scales
from meanfield.system import memory
from meanfield.system.generators import generator


def initial_weights(
    width: int,
    depth: int,
    n_features: int,
    *,
    n_outputs: int | None = None,
    parametrization: str | Parametrization = "mup",
    weight_variance: tuple[float, float, float] = (1.0, 1.0, 1.0),
    seed: int = 0,
    dtype: str = "float64",
) -> list[np.ndarray]:
    """Draw the weights that `train` starts from, to start another program at the same place.

    Layer ``l`` has independent normal entries from NumPy's Philox generator with key
    ``(seed, l − 1)``, row by row, of the variances of [RFL] Table 2.

    Parameters
    ----------
    width, depth, n_features : int
        Units per hidden layer, ``n``, hidden layers, ``L``, and input dimension, ``d``.
    n_outputs : int, optional
        Outputs, ``K``, where targets or classes are several.
    parametrization : str or Parametrization
        ``"sp"``, ``"ntp"``, ``"ip"`` or ``"mup"``.
    weight_variance : (float, float, float)
        Factors of the initial variances of ``W^1``, ``W^l`` and ``W^{L+1}``.
    seed : int
        Seed of the network.
    dtype : str
        ``"float64"`` or ``"float32"``; the same numbers, rounded.

    Returns
    -------
    list of ndarray
        ``W^1`` of shape (n, d), ``W^2, …, W^L`` of shape (n, n), and ``W^{L+1}`` of shape (n,),
        or (K, n) with `n_outputs`.

    Examples
    --------
    >>> from meanfield import deep
    >>> [w.shape for w in deep.initial_weights(64, 2, 10)]
    [(64, 10), (64, 64), (64,)]
    """
    n, depth = checks.count("width", width), checks.listed("depth", depth)
    d, seed = checks.count("n_features", n_features), checks.seed(seed)
    memory.fits(width=n, n_features=max(n, d))
    variances = get_parametrization(parametrization).variances(
        n, as_scales(weight_variance, "weight_variance")
    )
    n_last = 1 if n_outputs is None else checks.count("n_outputs", n_outputs)
    start = Start(n, depth, d, n_last, variances, None, np.dtype(checks.precision(dtype)))
    *inner, last = (start.matrix(seed, layer) for layer in range(depth + 1))
    return [*inner, last[0] if n_outputs is None else last]


@dataclass(frozen=True, eq=False)
class Start:
    """The weights and biases that networks of one shape start from, one layer at a time.

    They are drawn, or those that were `given`.
    """

    width: int
    depth: int
    n_features: int
    n_outputs: int
    variances: LayerValues
    bias_variance: float | None  # of hidden biases; None without biases
    dtype: np.dtype
    given: Layers | None = None

    @property
    def has_bias(self) -> bool:
        """Whether there are biases."""
        return self.bias_variance is not None

    def matrix(self, seed: int, layer: int) -> np.ndarray:
        """Return the weights of layer 0 to `depth` of the network of a seed, not a view."""
        if self.given is not None:
            return self.given[0][layer].astype(self.dtype)
        n, depth = self.width, self.depth
        shape = (self.n_outputs if layer == depth else n, n if layer else self.n_features)
        kind = 0 if layer == 0 else 2 if layer == depth else 1
        return draw_matrix(seed, layer, shape, self.variances[kind], self.dtype)

    def bias(self, seed: int, layer: int) -> np.ndarray:
        """Return the biases of a layer; those of the outputs start at zero."""
        if self.given is not None:
            return self.given[1][layer].astype(self.dtype)
        if layer == self.depth:
            return np.zeros(self.n_outputs, dtype=self.dtype)
        variance = self.bias_variance or 0.0
        return draw_matrix(seed, BIAS_STREAM + layer, (1, self.width), variance, self.dtype)[0]


def draw_matrix(
    seed: int, layer: int, shape: tuple[int, int], variance: float, dtype: np.dtype
) -> np.ndarray:
    """Draw a matrix with entries ``N(0, variance)``, the same numbers for every dtype.

    Drawn in blocks of rows: a float32 matrix never exists in float64.
    """
    random = generator(seed, layer)
    matrix = np.empty(shape, dtype=dtype)
    block = max(1, 2**20 // shape[1])
    for first in range(0, shape[0], block):
        rows = matrix[first : first + block]
        rows[:] = np.sqrt(variance) * random.standard_normal(rows.shape)
    return matrix


@dataclass(frozen=True, eq=False)
class LowRankWeights:
    """The weights after a run of the low-rank engine, put together when they are asked for.

    `hidden` holds for every hidden matrix its entries, or None for those that it started from, the
    number that they are multiplied by, and terms ``(E, M, U)`` of ``Eᵀ M U / n``.
    """

    start: Start
    seed: int
    basis: np.ndarray  # (r, d) of the inputs
    first: np.ndarray  # (r, n) in that basis
    kept: float  # of the first layer, where inputs do not reach
    hidden: list[tuple[np.ndarray | None, float, list[tuple[np.ndarray, ...]]]]
    last: np.ndarray  # (K, n), n W^{L+1}
    biases: list[np.ndarray]

    def layers(self) -> Layers:
        """Return all weights and biases."""
        n, kind = self.start.width, self.start.dtype.type
        basis = self.basis.astype(kind)
        first = self.start.matrix(self.seed, 0)
        weights = [kind(self.kept) * (first - (first @ basis.T) @ basis) + self.first.T @ basis]
        for layer, (entries, factor, terms) in enumerate(self.hidden):
            matrix = self.start.matrix(self.seed, layer + 1) if entries is None else entries.copy()
            matrix *= kind(factor)
            for errors, learned, features in terms:
                matrix += errors.T @ (learned @ features) / kind(n)
            weights.append(matrix)
        return [*weights, self.last / kind(n)], list(self.biases)


@dataclass(frozen=True, eq=False)
class DenseWeights:
    """The weights after a run of the dense engine."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    def layers(self) -> Layers:
        """Return all weights and biases."""
        return self.weights, self.biases
