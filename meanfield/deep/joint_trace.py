"""What a run records of the joint independence over inputs and steps."""

from __future__ import annotations

import numpy as np

#: What a vector is known to, in rounding errors, or tolerances, of the longest one.
_KNOWN = 8


class JointTrace:
    """Increments of features and error vectors of the first steps, of R networks.

    For every hidden matrix ``W^l`` they are ``δx^{l−1}_s(ξ_i)`` and ``dh^l_s(ξ_i)``, with ``δx_s =
    x_s − x_{s−1}`` and ``δx_0 = x_0``.
    """

    def __init__(self, precision: float):
        self.precision = precision
        self._features: list[list[np.ndarray]] = []
        self._errors: list[list[np.ndarray]] = []

    @staticmethod
    def is_open(step: int, n_steps: int) -> bool:
        """Whether a step belongs to the first `n_steps`, which begin with step 0; none if 0."""
        return n_steps > 0 and step <= n_steps

    def add(self, x: list[np.ndarray], dh: list[np.ndarray]) -> None:
        """Take the features ``x_1 … x_L`` and error vectors ``dh_1 … dh_L`` of a step."""
        self._features.append([part.astype(np.float64) for part in x[:-1]])
        self._errors.append([part.astype(np.float64) for part in dh[1:]])

    def summary(self, n_networks: int, n_matrices: int) -> tuple[np.ndarray, np.ndarray]:
        """Return least eigenvalues and ranks, (R, steps + 1, 2, L − 1), forward and backward."""
        shape = (n_networks, len(self._errors), 2, n_matrices)
        least, ranks = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        if not self._errors:
            return least, ranks
        for side, family in enumerate((self._features, self._errors)):
            for layer in range(n_matrices):
                for network in range(n_networks):
                    vectors = np.stack([step[layer][network] for step in family])
                    known = self.precision * np.linalg.norm(vectors, axis=-1).max()
                    if side == 0:
                        vectors[1:] = np.diff(vectors, axis=0)
                    found = joint_spectrum(vectors, known)
                    least[network, :, side, layer], ranks[network, :, side, layer] = found
        return least, ranks


def joint_spectrum(vectors: np.ndarray, known: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the least eigenvalue and the rank of the Gram matrices of the first 1, 2, … groups.

    Parameters
    ----------
    vectors : ndarray of shape (S, m, n)
        S groups of m vectors; the Gram matrix has entries ``u·v / n``.
    known : float
        Length that the error of a vector may have. A combination of unit coefficients that is no
        longer than what errors make of it is none that can be told from zero.

    Returns
    -------
    least, ranks : ndarray of shape (S,)
        Least eigenvalues, 0 where the rank is below the number of vectors.
    """
    n_groups, m, n = vectors.shape
    # Leading columns of a triangular factor have the singular values of those of the matrix.
    triangle = np.asarray(np.linalg.qr(vectors.reshape(n_groups * m, n).T, mode="r"))
    least, ranks = np.zeros(n_groups), np.zeros(n_groups, dtype=np.int64)
    for group in range(n_groups):
        size = (group + 1) * m
        values = np.linalg.svd(triangle[:size, :size], compute_uv=False)
        ranks[group] = np.count_nonzero(values > _KNOWN * np.sqrt(size) * known)
        if ranks[group] == size:
            least[group] = values[-1] ** 2 / n
    return least, ranks
