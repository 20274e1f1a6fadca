"""A hidden matrix known only on the directions that training has met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Images = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps new directions (k, n) to their images under the initial matrix, (k, n), told how large each
direction is in the vector that it was first found in.
"""


#: Relative difference below which rests count as alike, lest rounding choose among them.
_ALIKE = 1e-6
#: Grid of a direction whose image is drawn, relative to what may be left out of its row.
_GRID = 0.1


class Velocity(NamedTuple):
    """Singular values of a velocity, and its singular vectors in terms of a matrix."""

    left: np.ndarray  # (k, error vectors)
    sizes: np.ndarray  # (k,)
    right: np.ndarray  # (k, features)
    errors: np.ndarray  # places of the error vectors among the terms
    features: np.ndarray  # and of the features


class LowRankMatrix:
    r"""A hidden weight matrix during training, represented on what it has acted on.

    With :math:`⟨u, v⟩ = u·v / n`, :math:`U, E` orthonormal bases of the features and of the error
    vectors met so far, :math:`V, G` their images under :math:`W_0` and :math:`W_0^⊤`, and
    :math:`b = ⟨U, x⟩`, :math:`a = ⟨E, dh⟩`,

    .. math::
       W x &= \sum_j V_j b_j + \sum_k E_k (⟨G_k, x⟩ + (M b)_k), \\
       W^⊤ dh &= \sum_k G_k a_k + \sum_j U_j (⟨V_j, dh⟩ + (M^⊤ a)_j), \\
       M &← M − η \sum_i χ_i a_i b_i^⊤.

    Weight decay multiplies all of ``W``: the terms of :math:`W_0` by one number, the `scale`, and
    ``M``. The velocity of momentum is a sum of past gradients, :math:`E N U^⊤` with
    :math:`N ← β N + \sum_i χ_i a_i b_i^⊤`, and :math:`M ← M − η N`: it meets no other directions.

    A new image is made orthogonal to the opposite basis, so nothing is counted twice. Images come
    from a real :math:`W_0` (finite width) or are fresh Gaussian vectors (infinite width), `drawn`.

    A short rest magnifies the rounding errors of its row, and the rests that its direction leaves
    magnify them again; a drawn image turns with its direction. There a new direction is put on a
    grid finer than what may be left out: the errors vanish, and another processor draws the same.

    Every direction is one term of :math:`W_0 = \sum_r p_r ⟨q_r, ·⟩`: a feature gives ``q = U_j``
    and ``p = V_j``, an error vector ``q = G_k`` and ``p = E_k``. The terms are kept in the order of
    their arrival, so that ``W`` and its transpose cost two products with contiguous rows each. The
    arrays are allocated for the full capacity; the system commits memory only as rows fill.
    """

    def __init__(
        self,
        n_units: int,
        images: Images,
        transposed_images: Images,
        tol: float,
        capacity: int,
        dtype: np.dtype,
        drawn: bool = False,
    ):
        self.p = np.empty((2 * capacity, n_units), dtype=dtype)
        self.q = np.empty((2 * capacity, n_units), dtype=dtype)
        self._learned = np.zeros((256, 256), dtype=dtype)  # M: errors × features
        self._velocity = np.zeros((0, 0), dtype=dtype)  # N, for the terms that it has met
        self.size, self.tol, self.drawn, self.scale = 0, tol, drawn, 1.0
        features = np.zeros(2 * capacity, dtype=bool)
        errors = np.zeros(2 * capacity, dtype=bool)
        self._forward = _Side(self.q, self.p, features, errors, images, tol, drawn, capacity)
        self._backward = _Side(
            self.p, self.q, errors, features, transposed_images, tol, drawn, capacity
        )

    def forward(
        self, x: np.ndarray, tol: float | np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``W x`` for every row, and the coordinates of the rows in all terms.

        `tol`, one number or one per row, replaces the tolerance for new directions.
        """
        self.size, coordinates = self._forward.extend(x, self.size, tol)
        return self.image(coordinates), coordinates

    def image(self, coordinates: np.ndarray) -> np.ndarray:
        """Return ``W x`` for vectors ``x`` in the span of the features, from their coordinates."""
        learned, scale = self._learned_part(), coordinates.dtype.type(self.scale)
        return (scale * coordinates + coordinates @ learned.T) @ self.p[: self.size]

    def backward(
        self, dh: np.ndarray, tol: float | np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``Wᵀ dh`` for every row, and the coordinates of the rows in all terms."""
        self.size, coordinates = self._backward.extend(dh, self.size, tol)
        return self.transposed_image(coordinates), coordinates

    def transposed_image(self, coordinates: np.ndarray) -> np.ndarray:
        """Return ``Wᵀ dh`` for vectors in the span of the error vectors, from coordinates."""
        learned, scale = self._learned_part(), coordinates.dtype.type(self.scale)
        return (scale * coordinates + coordinates @ learned) @ self.q[: self.size]

    def velocity(self) -> Velocity:
        """Return the velocity by its singular values, those below the tolerance left out."""
        known = self._velocity
        errors = np.flatnonzero(self._backward.own[: len(known)])
        features = np.flatnonzero(self._forward.own[: len(known)])
        own = known[np.ix_(errors, features)]
        left, sizes, right = np.linalg.svd(own, full_matrices=False)
        kept = sizes > self.tol * np.max(sizes, initial=0.0)
        return Velocity(left[:, kept].T, sizes[kept], right[kept], errors, features)

    def coordinates(self, v: Velocity) -> tuple[np.ndarray, np.ndarray]:
        """Return coordinates of the error vectors and features of a velocity, in all terms.

        An image is orthogonal to what was met before it alone: of later directions it has a share.
        """
        p, q = self.p[: self.size], self.q[: self.size]
        return _products(p[v.errors], p), _products(q[v.features], q)

    def start_with(
        self,
        sizes: np.ndarray,
        features: tuple[np.ndarray, np.ndarray],
        errors: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Take a velocity ``Σ_k sizes_k errors_k featuresᵀ_k`` of another representation.

        `features` and `errors` are orthonormal directions, each with their images.
        """
        k = len(sizes)
        self.q[:k], self.p[:k] = features
        self.p[k : 2 * k] = errors[0]
        self.q[k : 2 * k] = errors[1] - _products(errors[1], self.q[:k]) @ self.q[:k]
        self._forward.own[:k] = self._backward.own[k : 2 * k] = True
        self._forward.rank = self._backward.rank = k
        self.size = 2 * k
        self._velocity = np.zeros((2 * k, 2 * k), dtype=self.p.dtype)
        self._velocity[k:, :k] = np.diag(sizes)

    def update(
        self,
        rate: float,
        chi: np.ndarray,
        a: np.ndarray,
        b: np.ndarray,
        momentum: float = 0.0,
        kept: float = 1.0,
    ) -> None:
        """Take a step: `a` from `backward`, `b` from `forward`; decay leaves the share `kept`."""
        self.shrink(kept)
        if momentum == 0:
            self.add_learned(a, -chi.dtype.type(rate) * chi[:, None] * b)
            return
        self._velocity = self._next_velocity(chi, a, b, momentum)
        n = len(self._velocity)
        self._learned_part()[:n, :n] -= chi.dtype.type(rate) * self._velocity

    def next_velocity(
        self, chi: np.ndarray, a: np.ndarray, b: np.ndarray, momentum: float
    ) -> float:
        """Return the Frobenius norm of what `update` multiplies by its rate."""
        return float(np.linalg.norm(self._next_velocity(chi, a, b, momentum)))

    def _next_velocity(
        self, chi: np.ndarray, a: np.ndarray, b: np.ndarray, momentum: float
    ) -> np.ndarray:
        known = self._velocity
        velocity = np.zeros((self.size, self.size), dtype=known.dtype)
        velocity[: len(known), : len(known)] = known.dtype.type(momentum) * known
        self._add(velocity, a, chi[:, None] * b)
        return velocity

    def shrink(self, factor: float) -> None:
        """Multiply the matrix by a number."""
        if factor != 1:
            self.scale *= factor
            self._learned *= self._learned.dtype.type(factor)

    def learned(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ``E``, ``M`` and ``U``, error vectors and features in the order of arrival."""
        errors = np.flatnonzero(self._backward.own[: self.size])
        features = np.flatnonzero(self._forward.own[: self.size])
        M = self._learned_part()[np.ix_(errors, features)]
        return self.p[errors], M, self.q[features]

    def add_learned(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add ``Σ_i a_i b_iᵀ`` to ``M``, from coordinates in all terms."""
        self._add(self._learned_part(), a, b)

    def _add(self, matrix: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        a = a * self._backward.own[: a.shape[1]]
        b = b * self._forward.own[: b.shape[1]]
        matrix[: a.shape[1], : b.shape[1]] += a.T @ b

    def _learned_part(self) -> np.ndarray:
        """Return ``M`` for the present terms; its array doubles when they outgrow it."""
        if self.size > len(self._learned):
            known = self._learned
            self._learned = np.zeros((2 * self.size, 2 * self.size), dtype=known.dtype)
            self._learned[: len(known), : len(known)] = known
        return self._learned[: self.size, : self.size]

    @property
    def ranks(self) -> tuple[int, int]:
        """Number of directions of features and of error vectors."""
        return self._forward.rank, self._backward.rank

    @property
    def is_full(self) -> bool:
        """Whether a direction was left out because the capacity was reached."""
        return self._forward.is_full or self._backward.is_full


@dataclass
class _Side:
    """The matrix seen from its domain, or its transpose seen from its own.

    `near` holds a vector of the domain per term, `far` one of the range. The terms marked in `own`
    have their basis vector here, those in `other` on the far side.
    """

    near: np.ndarray
    far: np.ndarray
    own: np.ndarray
    other: np.ndarray
    images: Images
    tol: float
    drawn: bool
    capacity: int
    rank: int = 0
    is_full: bool = False

    def extend(
        self, rows: np.ndarray, size: int, tol: float | np.ndarray | None = None
    ) -> tuple[int, np.ndarray]:
        """Span `rows` up to `tol`, by pivoted Gram–Schmidt, orthogonalised twice.

        Returns the new number of terms and ``⟨near_r, rows_i⟩``, shape (rows, terms).
        """
        coordinates = _products(rows, self.near[:size])
        known = coordinates * self.own[:size]
        # The residual that is left out, for every row.
        allowed = _norms(rows) * (self.tol if tol is None else tol)
        # Pythagoras finds the rows worth a closer look. It is off by some eps; where √eps decides,
        # every row gets one.
        squares = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
        distance = squares - np.einsum("ij,ij->i", known, known)
        slack = 4 * np.finfo(rows.dtype).eps * squares
        bound = np.square(allowed)
        open_rows = np.flatnonzero((distance > bound - slack) | (bound < 2 * slack))
        if len(open_rows) == 0:
            return size, coordinates
        rest = rows[open_rows] - known[open_rows] @ self.near[:size]
        norms, allowed = np.sqrt(squares[open_rows]), allowed[open_rows]
        first, shares = size, []
        while share := self._span_farthest(rest, norms, allowed, size):
            size += 1
            shares.append(share)
        if shares:
            self._take_images(first, size, np.array(shares, dtype=rows.dtype))
            fresh = _products(rows, self.near[first:size])
            coordinates = np.concatenate([coordinates, fresh], axis=1)
        return size, coordinates

    def _span_farthest(
        self, rest: np.ndarray, norms: np.ndarray, allowed: np.ndarray, size: int
    ) -> float:
        """Add the row of `rest` that most exceeds what is allowed.

        Returns its length relative to the vector that it is the rest of; 0 if there is none.
        """
        left = _norms(rest)
        excess = np.divide(left, allowed, out=np.zeros_like(left), where=norms > 0)
        pivot = int(np.argmax(excess))
        if excess[pivot] <= 1:
            return 0.0
        if self.rank == self.capacity:
            self.is_full = True
            return 0.0
        u = rest[pivot : pivot + 1] / left[pivot]
        if self.drawn:
            pivot = int(np.argmax(excess >= (1 - _ALIKE) * excess[pivot]))
            u = np.round(rest[pivot : pivot + 1] / (_GRID * allowed[pivot]))
            u /= _norms(u)[0]
        for _ in range(2):
            u -= (_products(u, self.near[:size]) * self.own[:size]) @ self.near[:size]
            remains = float(_norms(u)[0])
            u /= remains or 1.0
        if remains < 0.5:  # rounding errors alone: dead units leave no room for a direction
            rest[pivot] = 0
            return self._span_farthest(rest, norms, allowed, size)
        self.near[size] = u[0]
        self.own[size] = True
        self.rank += 1
        rest -= _products(rest, u) @ u
        rest[pivot] = 0
        return float(left[pivot] / norms[pivot])

    def _take_images(self, first: int, size: int, shares: np.ndarray) -> None:
        """Give the new terms their images, orthogonal to the opposite basis."""
        z = self.images(self.near[first:size], shares)
        along = _products(z, self.far[:first]) * self.other[:first]
        self.far[first:size] = z - along @ self.far[:first]


def _products(rows: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Return ``⟨rows_i, many_j⟩``."""
    # Measured with OpenBLAS: the order of the factors decides up to a factor 1.6 either way.
    if rows.dtype == np.float32:
        return np.ascontiguousarray((many @ rows.T).T) / np.float32(rows.shape[1])
    return rows @ many.T / rows.shape[1]


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", rows, rows) / rows.shape[1])
