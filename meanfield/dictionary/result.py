"""What an extraction returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meanfield.dictionary.certificate import Certificate
from meanfield.dictionary.refit import Array
from meanfield.dictionary.uncertainty import AtomIntervals
from meanfield.identify import Atoms

NOT_AT_REST = (
    "S counts the atoms that the network has; it is not at rest in this potential, and may find "
    "more."
)
"""What a missing atom means for a network that is judged by its own training objective."""


@dataclass(frozen=True, eq=False)
class Dictionary:
    r"""The sparse dictionary of a trained network.

    Attributes
    ----------
    n_atoms : int
        S.
    atoms : ndarray of shape (S, d) or (S, d + 1)
        Rows ``w``, or ``(w, b)`` with a bias; in canonical form, the largest coefficient first.
    coefficients : ndarray of shape (S,) or (S, k)
        ``c_i`` in ``f_S(x) = α + ⟨β, x⟩ + Σ_i c_i σ(⟨w_i, x⟩ + b_i)``.
    function : Atoms
        ``f_S``, with its affine part; `predict` evaluates it.
    compressed : Atoms
        As many atoms, refit to the network's own predictions instead of `target`.
    target : str
        What `function` was fit to: ``"labels"`` or ``"network"``; ``"rest"`` where it is the
        minimiser of the training objective. At rest `sizes` are those of its largest atoms, without
        a criterion and p-values, `confidence` is 1 where the duality gap certifies the minimum, and
        S can be relied on where it does, only one number is in `n_atoms_set`
        (`meanfield.dictionary.SparseMinimiser`) and the network is within 30 %.
    mass : ndarray of shape (S,)
        Fraction of the particles that belong to each atom.
    share : ndarray of shape (S,)
        Part of each coefficient that the network itself has: its predictions regressed on the
        atoms, relative to the coefficients. About 1, less what the penalty takes away.
    inactive_mass : float
        Fraction of the particles that belong to no atom.
    sizes : ndarray of int
        Numbers of atoms that were tried.
    residual : ndarray
        Relative residual ``‖target − f_s‖ / ‖target‖`` (affine part aside) of the best dictionary
        of each of `sizes`.
    criterion : ndarray
        Bayesian information criterion of each of `sizes`; S is where it is least.
    p_values : ndarray
        Of the test of each of `sizes` against one atom more, by the supremum of the score process:
        small where one more would explain what noise does not. NaN for sizes that were not tested,
        and for a dictionary refit to the network, whose predictions have no noise.
    n_atoms_set : tuple of int
        Sizes that cannot be excluded, S among them: refit to labels those that that test does not
        reject at 5 %, always those with a twentieth of the weight of S under the criterion. Where
        neurons gather no more than without structure (`spread`), all sizes from the least that
        comes within 30 % of the network to the number of groups that carry nine tenths of it. A
        rule, not a confidence set that is proved; how often it holds the truth shows
        ``scripts/validate uncertainty``.
    intervals : AtomIntervals
        Covariance of every atom, and intervals of coefficients, directions, offsets and lengths.
    network_gap, compression_gap : float
        ``‖f_S − f_µ‖ / ‖f_µ‖`` over the training inputs (affine part aside), and the same for
        `compressed`: the sparse residual of the network. NaN where the network is zero.
    spread, null_spread : float
        Mean ``sin²`` of the angle between the features of particles and of their nearest atom,
        weighted by contribution; and the same without structure: particles turned in uniformly
        random directions; in one dimension input weight and bias turned, or, without bias, sizes
        blurred.
    certificate : Certificate
        Whether the labels call for one more atom.
    confidence : float
        Weight of S among `sizes` under the criterion.
    confident : bool
        Whether S can be relied on: weight at least 0.9; no other size in `n_atoms_set`; every atom
        present in the network and resolved by it; dictionary and network within 30 %; particles
        that crowd around the atoms, by contribution and, in up to three dimensions, by count; and
        a search that was not cut off. Whether an atom is missing is for `certificate` to say.
    statement : str
        The same in words.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> problem = mf.Problem(X, np.tanh(2 * X[:, 0]), activation="tanh", bias=False)
    >>> found = mf.extract_dictionary((np.ones(2), np.array([[2.0, 0.0], [2.0, 0.1]])), problem)
    >>> found.n_atoms, found.atoms.round(1), found.predict(X).shape
    (1, array([[2., 0.]]), (100,))
    """

    n_atoms: int
    atoms: Array
    coefficients: Array
    function: Atoms
    compressed: Atoms
    target: str
    mass: Array
    share: Array
    inactive_mass: float
    sizes: Array
    residual: Array
    criterion: Array
    p_values: Array
    n_atoms_set: tuple[int, ...]
    intervals: AtomIntervals
    network_gap: float
    compression_gap: float
    spread: float
    null_spread: float
    certificate: Certificate
    confidence: float
    confident: bool
    statement: str

    def predict(self, X: Any) -> Array:
        """Evaluate ``f_S``.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            ``f_S(x_j)``.
        """
        return self.function.predict(X)
