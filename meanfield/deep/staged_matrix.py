"""Long training of a hidden matrix in stages, each of which needs few directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.deep.low_rank import LowRankMatrix
from meanfield.deep.products import rows_times

# Rows of a matrix that are changed at a time, so that no second one is needed.
_BLOCK = 512


def stage_size(n_rows: int) -> int:
    """Return how many terms a stage should hold.

    Measured: 8 per input are two to three times faster over long runs than 16 or more, with errors
    that are three times larger at the same tolerance.
    """
    return 8 * n_rows


class FullMatrix:
    """A hidden matrix with all its entries, which is changed only when a stage ends."""

    def __init__(self, entries: np.ndarray):
        self.entries = entries

    def forward(self, x: np.ndarray, tol: object = None) -> tuple[np.ndarray, np.ndarray]:
        """Return ``W x`` for every row, and the rows; nothing is left out whatever `tol`."""
        return np.ascontiguousarray((self.entries @ x.T).T), x

    def backward(self, dh: np.ndarray, tol: object = None) -> tuple[np.ndarray, np.ndarray]:
        """Return ``Wᵀ dh`` for every row, and the rows; nothing is left out whatever `tol`."""
        return rows_times(dh, self.entries), dh

    def add_learned(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add ``Σ_i a_i ⟨b_i, ·⟩``."""
        n_units = len(self.entries)
        b = b / b.dtype.type(n_units)
        for first in range(0, n_units, _BLOCK):
            rows = slice(first, first + _BLOCK)
            self.entries[rows] += a[:, rows].T @ b

    def image(self, x: np.ndarray) -> np.ndarray:
        """Return ``W x`` for every row."""
        return self.forward(x)[0]

    def transposed_image(self, dh: np.ndarray) -> np.ndarray:
        """Return ``Wᵀ dh`` for every row."""
        return self.backward(dh)[0]

    def shrink(self, factor: float) -> None:
        """Multiply the matrix by a number."""
        if factor != 1:
            self.entries *= self.entries.dtype.type(factor)

    @property
    def ranks(self) -> tuple[int, int]:
        """All directions, on both sides."""
        return self.entries.shape[1], self.entries.shape[0]


class StagedMatrix:
    """A hidden matrix that does most of its work on the few directions in use at present.

    Over a stretch of training the present features and error vectors move within a small space, the
    stage. On it the matrix is a `LowRankMatrix`, whose initial matrix is the whole one at the start
    of the stage; when the stage holds more than `stage_size` terms, what it learned is added to the
    whole, and the next one starts, with what is left of the velocity of momentum, which no whole
    has: its larger singular vectors are the first directions of the stage. The whole is a
    `LowRankMatrix` too, until it holds so many directions that all entries of the matrix,
    `initial`, cost less; that one is then overwritten.
    """

    def __init__(self, whole: LowRankMatrix, stage_size: float, initial: FullMatrix | None = None):
        self.whole: LowRankMatrix | FullMatrix = whole
        self.stage_size, self._initial = stage_size, initial
        self._n_units, self.tol, self._dtype = whole.p.shape[1], whole.tol, whole.p.dtype
        self._drawn = whole.drawn
        # Beyond so many terms the whole costs less with all its entries, where they are at hand.
        self._fill_at = np.inf if initial is None else max(stage_size, self._n_units // 4)
        self._stage: LowRankMatrix | None = None
        self._ends_at = 0.0  # terms of a stage
        self._carried: _Carried | None = None
        self._features: list[np.ndarray] = []
        self._errors: list[np.ndarray] = []

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``W x`` for every row, and coordinates for `update`; begins a step."""
        if self._stage is not None and self._stage.size > self._ends_at:
            self._end_stage()
        if self._stage is None and self._is_large():
            self._begin_stage()
        return self._present.forward(x)

    def backward(self, dh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``Wᵀ dh`` for every row, and coordinates for `update`."""
        return self._present.backward(dh)

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
        self._present.update(rate, chi, a, b, momentum, kept)

    def next_velocity(
        self, chi: np.ndarray, a: np.ndarray, b: np.ndarray, momentum: float
    ) -> float:
        """Return the Frobenius norm of what `update` multiplies by its rate."""
        return self._present.next_velocity(chi, a, b, momentum)

    @property
    def _present(self) -> LowRankMatrix:
        """The matrix that does the work: the stage, or the whole while stages would not pay."""
        present = self._stage or self.whole
        assert isinstance(present, LowRankMatrix)  # a full one has a stage at every step
        return present

    def _is_large(self) -> bool:
        """Whether the whole costs so much that stages pay."""
        limit = min(self._fill_at, 3 * self.stage_size)
        return isinstance(self.whole, FullMatrix) or self.whole.size > limit

    def _begin_stage(self) -> None:
        if self._carried is None:
            assert isinstance(self.whole, LowRankMatrix)
            self._carried = _carry(self.whole)
        if isinstance(self.whole, LowRankMatrix) and self.whole.size > self._fill_at:
            assert self._initial is not None
            learned_errors, learned, learned_features = self.whole.learned()
            self._initial.shrink(self.whole.scale)
            self.whole = self._initial
            self.whole.add_learned(learned_errors, learned @ learned_features)
        carried = self._carried
        whole, tol = self.whole, self.tol
        # Not `self`, which would make a cycle that keeps the matrix until garbage is collected.
        features, errors = self._features, self._errors

        def images(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
            result, coordinates = whole.forward(rows, tol / shares)
            features.append(coordinates)
            return result

        def transposed_images(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
            result, coordinates = whole.backward(rows, tol / shares)
            errors.append(coordinates)
            return result

        self._stage = LowRankMatrix(
            self._n_units,
            images,
            transposed_images,
            tol,
            # What one step can add fits in.
            capacity=int(min(self._n_units, 2 * self.stage_size + len(carried.sizes))),
            dtype=self._dtype,
            drawn=self._drawn,
        )
        if len(carried.sizes):
            if isinstance(whole, FullMatrix):
                features.append(carried.features)
                errors.append(carried.errors)
            else:
                features.append(_padded(carried.feature_coordinates, whole.size))
                errors.append(_padded(carried.error_coordinates, whole.size))
            self._stage.start_with(
                carried.sizes,
                (carried.features, whole.image(features[0])),
                (carried.errors, whole.transposed_image(errors[0])),
            )
        self._ends_at = self.stage_size + self._stage.size

    def _end_stage(self) -> None:
        if self._stage:
            self.whole.shrink(self._stage.scale)
        if self._stage and self._errors and self._features:
            _, learned, _ = self._stage.learned()
            errors, features = _stacked(self._errors), _stacked(self._features)
            self.whole.add_learned(errors, learned @ features)
            self._carried = _carry(self._stage, (errors, features))
        self._stage, self._features, self._errors = None, [], []

    def parts(self) -> tuple[np.ndarray | None, float, list[tuple[np.ndarray, ...]]]:
        """Return what the matrix is made of, as `LowRankWeights.hidden` has it."""
        stage = 1.0 if self._stage is None else self._stage.scale
        terms: list[tuple[np.ndarray, ...]] = []
        entries: np.ndarray | None = None
        if isinstance(self.whole, FullMatrix):
            entries, factor = self.whole.entries, stage
        else:
            errors, learned, features = self.whole.learned()
            factor = stage * self.whole.scale
            terms.append((errors, learned.dtype.type(stage) * learned, features))
        if self._stage is not None:
            terms.append(self._stage.learned())
        return entries, factor, terms

    @property
    def ranks(self) -> tuple[int, int]:
        """Number of directions of features and of error vectors that the whole knows."""
        return self.whole.ranks

    @property
    def is_full(self) -> bool:
        """Whether a direction was left out because the capacity was reached."""
        return isinstance(self.whole, LowRankMatrix) and self.whole.is_full


@dataclass
class _Carried:
    """A velocity on its way to the next stage, along orthonormal directions."""

    sizes: np.ndarray
    features: np.ndarray
    errors: np.ndarray
    feature_coordinates: np.ndarray  # in all terms of the whole
    error_coordinates: np.ndarray


def _carry(
    matrix: LowRankMatrix, coordinates: tuple[np.ndarray, np.ndarray] | None = None
) -> _Carried:
    """Take the velocity of a matrix.

    `coordinates` in the terms of the whole are those of its error vectors and features, in the
    order of arrival; without them it is the whole.
    """
    v = matrix.velocity()
    errors, features = coordinates or matrix.coordinates(v)
    return _Carried(
        v.sizes,
        v.right @ matrix.q[v.features],
        v.left @ matrix.p[v.errors],
        v.right @ features[: len(v.features)],
        v.left @ errors[: len(v.errors)],
    )


def _padded(coordinates: np.ndarray, n_terms: int) -> np.ndarray:
    """Return coordinates in later terms, too: what was met before has no share in them."""
    return np.pad(coordinates, [(0, 0), (0, n_terms - coordinates.shape[1])])


def _stacked(pieces: list[np.ndarray]) -> np.ndarray:
    """Return coordinates, one row per direction of a stage, in all terms of the whole."""
    rows = np.zeros((sum(map(len, pieces)), pieces[-1].shape[1]), dtype=pieces[-1].dtype)
    first = 0
    for piece in pieces:
        rows[first : first + len(piece), : piece.shape[1]] = piece
        first += len(piece)
    return rows
