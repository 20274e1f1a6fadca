"""What an experiment's report says of the number of atoms: how sure it is, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.dictionary.support import BY_WEIGHT
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms.report import AtomsHeadline
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import format_number, format_value

if TYPE_CHECKING:
    import xarray as xr

#: What a count that can be relied on may cost of R² or accuracy without a word.
_SCORE_LOST = 0.02


def count_sentence(summary: Summary, atoms: xr.Dataset) -> str:
    """Return how many atoms the networks have, and whether that can be relied on."""
    counts = atoms["n_atoms"].isel(look=-1).values
    low, high, networks = int(counts.min()), int(counts.max()), len(counts)
    noun = "atom" if high == 1 else "atoms"
    sure = _sure(atoms)
    if not high:
        sentence = "No atoms were found in the trained networks (S* = 0)"
    elif low == high:
        found = AtomsHeadline.read(summary)
        sentence = f"The trained networks consist of S* = {format_value(found.n_atoms)} {noun}"
    else:
        sentence = (
            f"The trained networks consist of {low} to {high} {noun}: the {networks} networks do "
            "not agree on S*, so that the data leave room for more than one answer"
        )
    if sure == networks:
        return f"{sentence}. Each count can be relied on for its own network."
    return (
        f"{sentence}. The count can be relied on in {sure} of {networks} networks; what would make "
        "it reliable is said below."
    )


def _sure(atoms: xr.Dataset) -> int:
    return int(atoms["confident"].isel(look=-1).sum())


def advice(atoms: xr.Dataset, overview: xr.Dataset) -> str:
    """Return what would make the count reliable: a penalty that was tried, else what is missing."""
    networks = atoms.sizes["replica"]
    if _sure(atoms) == networks:
        return ""
    return _tried_penalty(overview) or _what_is_missing(atoms.isel(look=-1))


def _tried_penalty(overview: xr.Dataset) -> str:
    """Name the nearest penalty at which the network that was tried has a count to rely on."""
    l2, sure = overview["l2"].values, overview["path_confident"].values > 0
    score = Estimate.from_xarray(overview["path_score"])
    own, counts = overview.attrs["l2"], overview["path_n_atoms"].values
    here = int(np.argmin(abs(l2 - own)))
    others = [i for i in np.flatnonzero(sure & (counts > 0)) if i != here]
    if not others:
        return ""
    least = score.value[here] - _SCORE_LOST
    good = [i for i in others if score.value[i] >= least]
    # Of two that are as near the larger: it needs fewer atoms.
    best = min(good or others, key=lambda i: (abs(np.log(l2[i] / own)), -l2[i]))
    name = score.label[:1].lower() + score.label[1:] if score.label[:2] != "R²" else score.label
    cost = "" if good else f", at the price of a lower {name}"
    n = int(counts[best])
    return (
        f"What would make it reliable{cost}: problem.l2 = {l2[best]:g} with problem.temperature = "
        f"{overview.attrs['temperature'] * l2[best] / own:g}. The network that was tried there has "
        f"{n} {'atom' if n == 1 else 'atoms'}, a count that can be relied on, and {name} "
        f"{format_number(score.value[best])}; that of the same seed has "
        f"{format_number(score.value[here])} at the penalty of this experiment."
    )


def _what_is_missing(last: xr.Dataset) -> str:
    """Name the key that answers the first doubt of most networks that cannot be relied on."""
    unsure = last.isel(replica=np.flatnonzero(last["confident"].values == 0))
    if (unsure["spread"] > BY_WEIGHT * unsure["null_spread"]).mean() > 0.5:
        return (
            "What would make it reliable: neurons have not gathered at their atoms. Cool for "
            "longer (twice atoms.cool_steps) and further (a tenth of atoms.cool_to)."
        )
    return (
        "What would make it reliable: atoms are too many, or too faint, to be told apart. A larger "
        "penalty leaves fewer of them: try problem.l2 and problem.temperature three and ten times "
        "as large, penalties.factors = [3.0, 10.0], and take the first that can be relied on."
    )


def against_penalty(overview: xr.Dataset) -> str:
    """Say what the penalty does to the count, as far as the counts can be relied on."""
    l2, counts = overview["l2"].values, overview["path_n_atoms"].values
    sure = overview["path_confident"].values > 0
    here = int(np.argmin(abs(l2 - overview.attrs["l2"])))
    listed = ", ".join(
        f"{n:.0f} at l2 = {at:g}{'' if reliable else ' (not to be relied on)'}"
        for at, n, reliable in zip(l2, counts, sure, strict=True)
    )
    text = (
        "S* belongs to a penalty, which every atom has to be worth. One network at each penalty "
        f"has this many atoms: {listed}. "
    )
    if not sure[here] or len(l2) == 1:
        return text.rstrip()
    smaller, larger = counts[:here][sure[:here]], counts[here + 1 :][sure[here + 1 :]]
    if (smaller > counts[here]).any():
        return text + (
            "At the penalty of this experiment atoms are merged that a smaller one keeps apart: "
            "the target has more than S* of them, and S* is right for this penalty."
        )
    if (larger < counts[here]).any():
        text += "A larger penalty merges some of them. "
    if len(smaller):
        text += "A smaller one keeps no more of them apart."
    elif here:
        text += "What a smaller one would keep apart, its networks do not tell reliably."
    return text.rstrip()
