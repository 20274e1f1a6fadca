"""What the rates of a study say together: one well, or several between which partners separate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.metrics import ONE_WELL_METRICS
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw

if TYPE_CHECKING:
    from meanfield.chaos.wells import Wells
    from meanfield.problem import Problem

Array = NDArray[np.floating]

#: Separated partners count where they make up at least this part of the coupling distance.
_SHARE = 0.05
#: Notes that offer a reason for a slope, which separated partners and kinks are.
_REASONS = ("floor", "slope", "slope-or-floor", "pre-asymptotic")


def partners_separate(values: Mapping[str, Array], wells: Wells) -> bool:
    """Whether partners in different wells are a part of ``D_N`` that many particles do not mend.

    `values` are those of `measure`. Asked are the two largest systems at the last time: separated
    partners are there, and make up 5 % of ``D_N`` or more. They do so where they would at their
    least distance, or where the others cannot: partners no further apart than L add at most L times
    their mean distance, and in a well they are no further apart than twice its spread.
    """
    share, total, near = (
        values[name][-2:, -1].mean(axis=1) for name in ("separated", "coupling", "w1_squared")
    )
    far = max(wells.size, 2 * wells.spread)
    part = np.maximum(share * wells.size**2, total - far * np.sqrt(near))
    return bool((share > 0).all() and (part >= _SHARE * total).all())


def with_reasons(
    fits: Mapping[str, PowerLaw], problem: Problem, separate: bool
) -> dict[str, PowerLaw]:
    """Return fits in which nothing is expected that holds in one well only, and reasons are named.

    Of partners that separate no rate 1/N is expected: neither a slope nor a constant. At a kink the
    rate is as expected while few partners straddle it.
    """
    out = {}
    for metric, fit in fits.items():
        slope, kept = fit.slope, [n for n in fit.slope.notes if n.code not in _REASONS]
        found = metric.removesuffix("_modulo") in ONE_WELL_METRICS and slope.known
        if found and separate:
            slope = replace(slope, expected=None, notes=(_SEPARATED, *kept))
            fit = replace(fit, slope=slope, constant=Estimate(np.nan))
        elif found and not problem.activation.smooth and len(kept) < len(slope.notes):
            fit = replace(fit, slope=replace(slope, notes=(_KINKED, *kept)))
        out[metric] = fit
    return out


_SEPARATED = Note(
    "wells",
    "Partners end up in different wells of the potential, for large N a share of about N^(−1/2) of "
    "them. Where these dominate, the distance falls like N^(−1/2) and N times it has no limit; at "
    "smaller N it has a slope of its own, and none is expected.",
)
_KINKED = Note(
    "kink",
    "The activation has a kink. At a fixed step size partners on different sides of it are kicked "
    "apart, a share of about N^(−1/2) of them, so that N times the distance has no limit; smaller "
    "steps put this off.",
)


def verdict(
    fits: Mapping[str, PowerLaw], wells: Wells, separate: bool, share: float, noise: bool
) -> str:
    """Return what was found in a sentence; `share` is that of separated partners at the largest N.

    The rates it names are those of the law; each stands beside its slope, and one that was not
    found is told as such.
    """
    if not noise:
        return (
            "no noise: a law that is uniform in time is known for the function alone, which "
            f"{_falls(fits['function'], '1/N')}."
        )
    if separate:
        held = ", ".join(f"{100 * part:.0f}%" for part in wells.occupation)
        where = (
            f"{wells.n_wells} minima, which hold {held} of the particles"
            if wells.n_wells > 1
            else "though descent found one minimum only"
        )
        return (
            f"several wells: partners separate ({where}; {100 * share:.2g}% of partners are more "
            f"than {wells.size:.2g} apart at the largest N); squared W1 "
            f"{_falls(fits['w1_squared'], '1/N')}, D_N like N^(−1/2) where separated "
            f"partners dominate (slope here {_slope(fits['coupling'])})."
        )
    minima = (
        f" (the potential has {wells.n_wells} minima, but partners stay together)"
        if wells.n_wells > 1
        else ""
    )
    return f"one well{minima}: W2² {_falls(fits['matched_w2'], '1/N')}."


def _falls(fit: PowerLaw, law: str) -> str:
    """Say that a metric falls like its law, or that it was not found to."""
    slope = fit.slope
    if not slope.known:
        return f"has no slope to compare with {law}"
    if slope.agrees and not slope.excludes(0.0):
        return f"should fall like {law}, which the slope {_slope(fit)} is too imprecise to show"
    if unsettled(slope):
        return f"has not settled to {law} at these N (pre-asymptotic, slope {_slope(fit)})"
    if slope.agrees:
        return f"falls like {law} (slope {_slope(fit)})"
    return f"does not fall like the expected {law} here (slope {_slope(fit)})"


def unsettled(slope: Estimate) -> bool:
    """Whether it was noted that a metric has not settled to its rate at these N."""
    return any(note.code == "pre-asymptotic" for note in slope.notes)


def _slope(fit: PowerLaw) -> str:
    slope = fit.slope
    text = f"{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]"
    return text if slope.interval is not None else f"{slope.value:.2f}"


def exchange_sentence(occupation: Array, exchange: Estimate) -> str:
    """Return how many wells hold the late particles, and how often these change; empty for one."""
    if len(occupation) < 2:
        return ""
    value, low, high = exchange.value, exchange.low, exchange.high
    held = ", ".join(f"{100 * part:.0f}%" for part in occupation)
    start = f"Wells: {len(occupation)} minima hold {held} of the late particles, which"
    if not np.isfinite(value):
        return f"{start} change wells too fast, or too few of them are known, to say how often."
    if value == 0:
        return f"{start} were not seen to change wells (less than {high:.2g} times a unit of time)."
    return f"{start} change wells {value:.2g} [{low:.2g}, {high:.2g}] times a unit of time."
