"""What an experiment's report says of the number of atoms: how sure it is, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.dictionary.extract import COUNTED_AT_REST
from meanfield.dictionary.support import BY_WEIGHT
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms.report import AtomsHeadline
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import format_number, format_share, format_value

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[Any]

#: What a count that can be relied on may cost of R² or accuracy without a word.
_SCORE_LOST = 0.02


def count_sentence(summary: Summary, atoms: xr.Dataset, overview: xr.Dataset) -> str:
    """Return how many atoms the networks have, and whether that can be relied on."""
    last = atoms.isel(look=-1)
    counts = last["n_atoms"].values
    low, high, networks = int(counts.min()), int(counts.max()), len(counts)
    at_rest = bool((last["from_rest"] > 0).all())
    noun = "atom" if high == 1 else "atoms"
    sure = _sure(atoms)
    if not high:
        sentence = "No atoms were found in the trained networks (S* = 0)"
    elif low == high:
        found = AtomsHeadline.read(summary)
        sentence = f"The trained networks consist of S* = {format_value(found.n_atoms)} {noun}"
        if at_rest:
            gap = format_share(float(last["network_gap"].mean()))
            sentence += (
                f" at rest, where the training objective is least; they differ from that by {gap}"
            )
    elif at_rest:
        least, most = int(last["least"].min()), int(last["most"].max())
        sentence = (
            f"At rest, where the training objective is least, the networks consist of {least} to "
            f"{most} {noun}: some are too faint, or too much alike, to be counted for certain"
        )
    else:
        sentence = (
            f"The trained networks consist of {low} to {high} {noun}: the {networks} networks do "
            "not agree on S*, so that the data leave room for more than one answer"
        )
    if sure == networks and at_rest:
        return f"{sentence}. The count can be relied on: a duality gap certifies it."
    if sure == networks:
        return f"{sentence}. Each count can be relied on for its own network."
    below = "makes it reliable" if _tried_penalty(overview) else "was tried to make it so"
    return (
        f"{sentence}. The count can be relied on in {sure} of {networks} networks; what {below} "
        "is said below."
    )


def _sure(atoms: xr.Dataset) -> int:
    return int(atoms["confident"].isel(look=-1).sum())


def advice(atoms: xr.Dataset, overview: xr.Dataset) -> str:
    """Return the penalty at which more networks were tried and can be relied on, or what is known.

    Nothing is advised that the run has not tried.
    """
    if _sure(atoms) == atoms.sizes["replica"]:
        return ""
    return _tried_penalty(overview) or _nothing_found(atoms.isel(look=-1), overview)


def candidates(l2: Array, sure: Array, counts: Array, score: Estimate, here: int) -> list[int]:
    """Return positions of penalties whose network has a count to rely on, the best first.

    Those come first that cost no more of the score than `_SCORE_LOST`, of these the nearest, and of
    two that are as near the larger, which needs fewer atoms.
    """
    others = [i for i in np.flatnonzero(sure & (counts > 0)).tolist() if i != here]
    return sorted(
        others,
        key=lambda i: (_costs(score, i, here), abs(np.log(l2[i] / l2[here])).round(6), -l2[i]),
    )


def _costs(score: Estimate, i: int, here: int) -> bool:
    return bool(score.value[i] < score.value[here] - _SCORE_LOST)


def _tried_penalty(overview: xr.Dataset) -> str:
    """Name the penalty at which several networks were tried and all have a count to rely on."""
    if "trial_l2" not in overview:
        return ""
    held = np.flatnonzero((overview["trial_confident"].values > 0).all(axis=1))
    if not len(held):
        return ""
    chosen, l2, own = int(held[0]), overview["l2"].values, overview.attrs["l2"]
    at, counts = overview["trial_l2"].values[chosen], overview["trial_n_atoms"].values[chosen]
    score = Estimate.from_xarray(overview["path_score"])
    here, there = int(np.argmin(abs(l2 - own))), int(np.argmin(abs(l2 - at)))
    name = score.label[:1].lower() + score.label[1:] if score.label[:2] != "R²" else score.label
    cost = f", at the price of a lower {name}" if _costs(score, there, here) else ""
    low, high = int(counts.min()), int(counts.max())
    many = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"What makes it reliable{cost}: problem.l2 = {at:g} with problem.temperature = "
        f"{overview.attrs['temperature'] * at / own:g}. All {len(counts)} networks that were tried "
        f"there have {many} {'atom' if high == 1 else 'atoms'}, each a count that can be relied "
        f"on; the first has {name} {format_number(score.value[there])}, and that of the same seed "
        f"{format_number(score.value[here])} at the penalty of this experiment."
    )


def _nothing_found(last: xr.Dataset, overview: xr.Dataset) -> str:
    """Say what was tried in vain, the first doubt of most networks, and what would answer it."""
    others = [at for at in overview["l2"].values if not np.isclose(at, overview.attrs["l2"])]
    tried = ", ".join(f"{at:g}" for at in others)
    if "trial_l2" in overview:
        sure = (overview["trial_confident"].values > 0).sum(axis=1)
        told = ", ".join(
            f"{n} of {overview.sizes['trial_network']} at l2 = {at:g}"
            for n, at in zip(sure, overview["trial_l2"].values, strict=True)
        )
        found = (
            f"of the other penalties, l2 = {tried}, none was found at which all networks that were "
            f"tried have a count that can be relied on ({told})"
        )
    elif others:
        found = (
            f"of the other penalties, l2 = {tried}, none has a network with a count that can be "
            "relied on"
        )
    else:
        found = "no other penalty was tried (penalties.factors)"
    text = f"No key of this file is known to make it reliable: {found}"
    unsure = last.isel(replica=np.flatnonzero(last["confident"].values == 0))
    if (unsure["from_rest"] > 0).all():
        doubt = (
            "Some atoms are too faint, or too much alike, to be counted for certain; penalties "
            "between those that were tried may have none such (penalties.factors)."
        )
    elif (unsure["spread"] > BY_WEIGHT * unsure["null_spread"]).mean() > 0.5:
        doubt = (
            "Neurons have not gathered at their atoms: so many atoms are what the labels can tell "
            "apart, and the networks themselves may consist of more, or of no few atoms at all."
        )
    elif (unsure["most"] > unsure["least"]).mean() > 0.5:
        doubt = (
            "Several numbers of atoms explain the networks equally well: the rows at hand do not "
            "tell them apart; more of them may."
        )
    else:
        doubt = (
            "Atoms are too many, or too faint, to be told apart with the rows at hand; more of "
            "them may separate them."
        )
    if "statement" in last and any("atoms.target" in str(one) for one in last["statement"].values):
        doubt = f"{doubt} {COUNTED_AT_REST}"
    return f"{text}. {doubt}"


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
