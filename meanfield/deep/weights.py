"""The random weights that training starts from."""

from __future__ import annotations

import numpy as np

from meanfield import checks
from meanfield.deep.parametrizations import Parametrization, get_parametrization
from meanfield.deep.task import as_scales
from meanfield.system import memory
from meanfield.system.generators import generator


def initial_weights(
    width: int,
    depth: int,
    n_features: int,
    *,
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
        ``W^1`` of shape (n, d), ``W^2, …, W^L`` of shape (n, n), and ``W^{L+1}`` of shape (n,).

    Examples
    --------
    >>> from meanfield import deep
    >>> [w.shape for w in deep.initial_weights(64, 2, 10)]
    [(64, 10), (64, 64), (64,)]
    """
    n, depth = checks.count("width", width), checks.listed("depth", depth)
    d, seed = checks.count("n_features", n_features), checks.seed(seed)
    memory.fits(width=n, n_features=max(n, d))
    kind = np.dtype(checks.precision(dtype))
    variance = get_parametrization(parametrization).variances(
        n, as_scales(weight_variance, "weight_variance")
    )
    return [
        draw_matrix(seed, 0, (n, d), variance.input, kind),
        *(draw_matrix(seed, l, (n, n), variance.hidden, kind) for l in range(1, depth)),
        draw_matrix(seed, depth, (1, n), variance.output, kind)[0],
    ]


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
