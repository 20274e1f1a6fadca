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
class Stability:
    """Agreement of several dictionaries with one of them, the reference.

    Attributes
    ----------
    n_atoms : ndarray of int, shape (m,)
        S of every dictionary.
    modal : int
        The most frequent S, the larger one when tied.
    agreement : float
        Fraction of dictionaries with that S.
    reference : int
        Index of the reference: the first dictionary with the modal S.
    present : ndarray of shape (modal,)
        Fraction of dictionaries that have each atom of the reference.
    angle : ndarray of shape (m, modal)
        Angle, in degrees, from each atom of the reference to its match; NaN where there is none.
    coefficient : ndarray of shape (m, modal)
        Length of the difference of coefficients relative to the reference's; NaN likewise.
    """

    n_atoms: Array
    modal: int
    agreement: float
    reference: int
    present: Array
    angle: Array
    coefficient: Array

    def __str__(self) -> str:
        """Summarise in one sentence."""
        angle, present = np.nanmax(self.angle, initial=0.0), self.present.min(initial=1.0)
        return (
            f"{self.agreement:.0%} of {len(self.n_atoms)} dictionaries have {self.modal} atoms; "
            f"every atom recurs in {present:.0%} or more, within {angle:.2g} degrees."
        )


def compare_dictionaries(dictionaries: Sequence[Dictionary | Atoms]) -> Stability:
    """Match the atoms of several dictionaries: over seeds, replicas, or times of one run.

    Parameters
    ----------
    dictionaries : sequence of Dictionary or Atoms
        Dictionaries, or their functions, of one problem, or of problems with the same shape
        and activation.

    Returns
    -------
    Stability
        How many agree in S, and how near their atoms are.

    Raises
    ------
    ValueError
        If there is none, or they have different activations.
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
    angle = np.full((len(functions), modal), np.nan)
    coefficient = np.full_like(angle, np.nan)
    sign = symmetry_of(base.activation).sign
    for row, other in enumerate(functions):
        for i, j in match_atoms(base, other, np.inf)[0]:
            cosine = base.w[i] @ other.w[j]
            cosine /= np.linalg.norm(base.w[i]) * np.linalg.norm(other.w[j])
            apart = float(np.degrees(np.arccos(min(abs(cosine), 1.0))))
            if apart > SAME_ATOM:
                continue
            match = other.columns[j] * (sign if cosine < 0 else 1)
            size = np.linalg.norm(base.columns[i])
            angle[row, i] = apart
            coefficient[row, i] = np.linalg.norm(match - base.columns[i]) / size
    return Stability(
        n_atoms,
        modal,
        float((n_atoms == modal).mean()),
        reference,
        np.isfinite(angle).mean(axis=0),
        angle,
        coefficient,
    )
