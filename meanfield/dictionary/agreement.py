"""How far dictionaries of several runs, seeds or times agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.dictionary.refit import Array
from meanfield.dictionary.result import Dictionary
from meanfield.identify import Atoms
from meanfield.identify.equivalence import match_atoms
from meanfield.identify.symmetry import symmetry_of

SAME_ATOM = 15.0
"""Atoms with directions further apart than this, in degrees, are not the same."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of several dictionaries with one of them, the reference.

    Attributes
    ----------
    n_atoms : ndarray of int, shape (m,)
        S of every dictionary.
    modal : int
        The most frequent S, the larger one when tied.
    modal_share : float
        Fraction of dictionaries with that S.
    reference : int
        Index of the reference: the first dictionary with the modal S.
    present : ndarray of shape (modal,)
        Fraction of dictionaries that have each atom of the reference.
    match : ndarray of int, shape (m, modal)
        Index, in each dictionary, of the match of each atom of the reference; −1 where there is
        none, and NaN in the following.
    sign : ndarray of shape (m, modal)
        Factor on the coefficient of the match once its direction is turned to the reference's.
    angle : ndarray of shape (m, modal)
        Angle, in degrees, from each atom of the reference to its match.
    coefficient : ndarray of shape (m, modal)
        Length of the difference of coefficients relative to the reference's.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> a, w = np.array([2.0, -1.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> both, half = mf.canonical((a, w), "tanh"), mf.canonical((a[:1], w[:1]), "tanh")
    >>> found = mf.dictionary.compare_dictionaries([both, both, half])
    >>> found.modal, found.n_atoms, found.present.round(2)
    (2, array([2, 2, 1]), array([1.  , 0.67]))
    """

    n_atoms: Array
    modal: int
    modal_share: float
    reference: int
    present: Array
    match: Array
    sign: Array
    angle: Array
    coefficient: Array

    def __str__(self) -> str:
        """Summarise in one sentence."""
        angle, present = np.nanmax(self.angle, initial=0.0), self.present.min(initial=1.0)
        return (
            f"{self.modal_share:.0%} of {len(self.n_atoms)} dictionaries have {self.modal} atoms; "
            f"every atom recurs in {present:.0%} or more, within {angle:.2g} degrees."
        )


def compare_dictionaries(dictionaries: Sequence[Dictionary | Atoms]) -> Agreement:
    """Match the atoms of several dictionaries: over seeds, replicas, or times of one run.

    Parameters
    ----------
    dictionaries : sequence of Dictionary or Atoms
        Dictionaries, or their functions, of one problem, or of problems with the same shape
        and activation.

    Returns
    -------
    Agreement
        How many agree in S, and how near their atoms are.

    Raises
    ------
    ValueError
        If there is none, or they have different activations.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> a, w = np.array([2.0, -1.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> one, other = mf.canonical((a, w), "tanh"), mf.canonical((-a, -w), "tanh")
    >>> mf.dictionary.compare_dictionaries([one, other]).angle.round(6)
    array([[0., 0.],
           [0., 0.]])
    """
    functions = [d if isinstance(d, Atoms) else d.function for d in dictionaries]
    if not functions:
        raise ValueError("dictionaries is empty; give at least one.")
    if any(f.activation != functions[0].activation for f in functions):
        raise ValueError("dictionaries have different activations and cannot be compared.")
    n_atoms = np.array([f.n_atoms for f in functions])
    counts = np.bincount(n_atoms)
    modal = int(len(counts) - 1 - counts[::-1].argmax())
    reference = int(np.flatnonzero(n_atoms == modal)[0])
    base = functions[reference]
    match = np.full((len(functions), modal), -1)
    sign, angle, coefficient = np.full((3, len(functions), modal), np.nan)
    flip = symmetry_of(base.activation).sign
    for row, other in enumerate(functions):
        for i, j in match_atoms(base, other, np.inf)[0]:
            cosine = base.w[i] @ other.w[j]
            cosine /= np.linalg.norm(base.w[i]) * np.linalg.norm(other.w[j])
            likeness = abs(cosine) if flip else cosine
            apart = float(np.degrees(np.arccos(np.clip(likeness, -1.0, 1.0))))
            if apart > SAME_ATOM:
                continue
            match[row, i], angle[row, i] = j, apart
            sign[row, i] = flip if cosine < 0 else 1
            difference = other.columns[j] * sign[row, i] - base.columns[i]
            coefficient[row, i] = np.linalg.norm(difference) / np.linalg.norm(base.columns[i])
    share, present = float((n_atoms == modal).mean()), np.isfinite(angle).mean(axis=0)
    return Agreement(n_atoms, modal, share, reference, present, match, sign, angle, coefficient)


def largest_angle(true: Array, found: Array) -> float:
    """Return the largest angle from the line of a true atom to the nearest line that was found.

    In degrees, from input weights (m, d), none of them zero, and (S, d); 90 when none of these has
    a line.
    """
    length = np.linalg.norm(found, axis=1)
    found = found[length > 0] / length[length > 0, None]
    if not len(found):
        return 90.0
    true = true / np.linalg.norm(true, axis=1)[:, None]
    nearest = found[np.abs(true @ found.T).argmax(axis=1)]
    # By sine and cosine: the arc cosine alone loses angles below 1e-6 degrees.
    cosine = (true * nearest).sum(axis=1)
    sine = np.linalg.norm(true - cosine[:, None] * nearest, axis=1)
    return float(np.degrees(np.arctan2(sine, np.abs(cosine))).max())
