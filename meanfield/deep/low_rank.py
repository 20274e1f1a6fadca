"""A hidden matrix known only on the directions that training has met."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.deep.descent import Activity
from meanfield.deep.parametrizations import LayerValues
from meanfield.deep.task import Task

Images = Callable[[np.ndarray], np.ndarray]
"""Maps new directions (k, n) to their images under the initial matrix, (k, n)."""


class Basis:
    """Rows that are orthonormal under ``⟨u, v⟩ = u·v / n``, growing up to a fixed capacity.

    `vectors[:rank]` is the basis and `images[:rank]` what the matrix made of it. The arrays are
    allocated for the full capacity at once; the system commits memory only as rows fill.
    """

    def __init__(self, capacity: int, n_units: int, tol: float, dtype: np.dtype):
        self.vectors = np.empty((capacity, n_units), dtype=dtype)
        self.images = np.empty((capacity, n_units), dtype=dtype)
        self.rank = 0
        self.tol = tol
        self.is_full = False

    def coordinates(self, rows: np.ndarray, first: int = 0) -> np.ndarray:
        """Return ``⟨rows_i, u_j⟩`` for basis vectors j ≥ `first`, shape (rows, rank − first)."""
        u = self.vectors[first : self.rank]
        return np.matmul(rows, u.T) / rows.dtype.type(rows.shape[1])

    def extend(self, rows: np.ndarray) -> tuple[np.ndarray, int]:
        """Span `rows` up to `tol`, by pivoted Gram–Schmidt, orthogonalised twice.

        Returns the coordinates of `rows` in the extended basis and the number of new vectors.
        """
        known = self.coordinates(rows)
        first = self.rank
        sizes = _norms(rows)
        # Pythagoras finds the rows worth a closer look; it resolves residuals down to √eps.
        slack = 64 * np.finfo(rows.dtype).eps
        distance = np.square(sizes) - np.einsum("ij,ij->i", known, known)
        open_rows = np.flatnonzero(distance > (self.tol**2 - slack) * np.square(sizes))
        if len(open_rows) == 0:
            return known, 0
        rest = rows[open_rows] - known[open_rows] @ self.vectors[:first]
        sizes = sizes[open_rows]
        while not self._span_farthest(rest, sizes):
            pass
        added = self.rank - first
        if added:
            known = np.concatenate([known, self.coordinates(rows, first)], axis=1)
        return known, added

    def _span_farthest(self, rest: np.ndarray, sizes: np.ndarray) -> bool:
        """Add the row of `rest` that is relatively longest; return whether none is left."""
        left = _norms(rest)
        relative = np.divide(left, sizes, out=np.zeros_like(left), where=sizes > 0)
        pivot = int(np.argmax(relative))
        if relative[pivot] <= self.tol:
            return True
        if self.rank == len(self.vectors):
            self.is_full = True
            return True
        u = rest[pivot : pivot + 1] / left[pivot]
        for _ in range(2):
            u -= self.coordinates(u) @ self.vectors[: self.rank]
            u /= _norms(u)[0]
        self.vectors[self.rank] = u[0]
        self.rank += 1
        rest -= self.coordinates(rest, self.rank - 1) @ u
        rest[pivot] = 0
        return False


class LowRankMatrix:
    r"""A hidden weight matrix during training, represented on what it has acted on.

    With :math:`U, E` orthonormal bases of the features and of the error vectors met so far,
    :math:`V, G` their images under :math:`W_0` and :math:`W_0^⊤`, and :math:`b = ⟨U, x⟩`,
    :math:`a = ⟨E, dh⟩`,

    .. math::
       W x &= \sum_j V_j b_j + \sum_k E_k (⟨G_k, x⟩ + (M b)_k), \\
       W^⊤ dh &= \sum_k G_k a_k + \sum_j U_j (⟨V_j, dh⟩ + (M^⊤ a)_j), \\
       M &← M − η \sum_i χ_i a_i b_i^⊤.

    A new image is made orthogonal to the opposite basis, so nothing is counted twice. Images come
    from a real :math:`W_0` (finite width) or are fresh Gaussian vectors (infinite width).
    """

    def __init__(
        self,
        n_units: int,
        images: Images,
        transposed_images: Images,
        tol: float,
        capacity: int,
        dtype: np.dtype,
    ):
        self.features = Basis(capacity, n_units, tol, dtype)
        self.errors = Basis(capacity, n_units, tol, dtype)
        self.images, self.transposed_images = images, transposed_images
        self.learned = np.zeros((capacity, capacity), dtype=dtype)  # M: errors × features

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``W x`` for every row and the coordinates of the rows."""
        return _apply(self.features, self.errors, self.images, self.learned, x)

    def backward(self, dh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``Wᵀ dh`` for every row and the coordinates of the rows."""
        return _apply(self.errors, self.features, self.transposed_images, self.learned.T, dh)

    def update(self, rate: float, chi: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        """Take the gradient step of this matrix."""
        step = chi.dtype.type(rate) * np.matmul((chi[:, None] * a).T, b)
        self.learned[: a.shape[1], : b.shape[1]] -= step


def _apply(
    near: Basis, far: Basis, images: Images, learned: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Multiply rows by the matrix (or, with the roles of the bases swapped, its transpose)."""
    known, added = near.extend(rows)
    far_vectors, far_images = far.vectors[: far.rank], far.images[: far.rank]
    if added:
        new = slice(near.rank - added, near.rank)
        z = images(near.vectors[new])
        near.images[new] = z - far.coordinates(z) @ far_vectors
    onto_far = np.matmul(rows, far_images.T) / rows.dtype.type(rows.shape[1])
    onto_far += known @ learned[: far.rank, : near.rank].T
    result = known @ near.images[: near.rank]
    result += onto_far @ far_vectors
    return result, known


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", rows, rows) / rows.shape[1])


class LowRankNetwork:
    """An MLP whose hidden matrices are `LowRankMatrix`, in the units of the infinite-width limit.

    Parameters
    ----------
    task : Task
        What is trained on.
    coordinates : ndarray of shape (m + m_test, r)
        The inputs in an orthonormal basis of their span.
    first : ndarray of shape (r, n)
        Initial first-layer weights in that basis, one row per basis vector.
    hidden : list of LowRankMatrix
        ``W^2 … W^L``.
    last : ndarray of shape (n,)
        ``a``, n times the output weights.
    rates : LayerValues
        Learning rates in the units of the limit.
    """

    def __init__(
        self,
        task: Task,
        coordinates: np.ndarray,
        first: np.ndarray,
        hidden: list[LowRankMatrix],
        last: np.ndarray,
        rates: LayerValues,
    ):
        self.activation = task.activation
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
        f = x[-1] @ self.last / self.last.dtype.type(len(self.last)) - self.offset[rows]
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
        ranks = [[m.features.rank for m in self.hidden], [m.errors.rank for m in self.hidden]]
        return np.array([ranks])


def _one_network(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [array[None] for array in arrays]


def input_coordinates(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates of the inputs in an orthonormal basis of their span, and the basis.

    When there are at least as many inputs as dimensions the basis is the standard one.
    """
    n_inputs, n_features = inputs.shape
    if n_inputs >= n_features:
        return inputs, np.eye(n_features)
    q, r = np.linalg.qr(inputs.T)
    return r.T, q.T
