"""How many replicas a rate study of a given precision takes, from those that are there.

The half-widths of the slopes of both headline metrics are to reach `ChaosPlan.precision`. A pilot
of twelve replicas gives their standard errors, which fall like one over the root of the number of
replicas; what it plans is measured at once, and whatever is then lacking in a round or two more.
What is fitted is described in `late`.
Stopping that looks at the half-width this seldom hardly biases the slope.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.chaos.chaos_plan import ChaosPlan
from meanfield.chaos.late import CONTROL, late_means, sizes_against
from meanfield.errors import ArgumentError
from meanfield.flow.cost import duration
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.statistics.intervals import normal_quantile
from meanfield.statistics.resampling import draw_repeats
from meanfield.statistics.settled import Settled, settled_slope

Array = NDArray[np.floating]
Pieces = list[dict[str, Array]]

#: Metrics whose slopes are to be known this well.
TARGETS = ("function", "w1_squared")
#: A round measures this much more than its own replicas say, whose errors are uncertain.
_CUSHION = 1.1
#: Where this was not enough, as many replicas more at least.
_MORE = 1.15


class CostNote(UserWarning):
    """What a run of a given precision is going to cost."""


def needed(
    plan: ChaosPlan,
    path: MeanFieldPath,
    pieces: Sequence[dict[str, Array]],
    *,
    planning: bool = False,
) -> int:
    """Return how many replicas are needed in all: those there are, where the precision is reached.

    It is when the intervals over replicas say so; `planning` asks their standard errors alone.
    """
    assert plan.precision is not None
    there = sum(piece["function"].shape[2] for piece in pieces)
    wanted = there
    for metric in TARGETS:
        found = late_slope(plan, path, pieces, metric)
        if found is None:
            continue
        if not planning and found.slope.width / 2 <= plan.precision:
            continue
        # Intervals of few replicas are much wider than their errors: these plan.
        share = (normal_quantile() * found.error / plan.precision) ** 2 * _CUSHION
        least = there if planning else math.ceil(there * _MORE)
        wanted = max(wanted, least, min(math.ceil(there * share), plan.most_replicas))
    return wanted


def late_slope(
    plan: ChaosPlan, path: MeanFieldPath, pieces: Sequence[dict[str, Array]], metric: str
) -> Settled | None:
    """Fit the late means of a metric; None where one of them is zero."""
    values, control = (
        np.concatenate([piece[name] for piece in pieces], axis=2) for name in (metric, CONTROL)
    )
    late = late_means(plan, path, values, control)
    if (late.mean(axis=1) <= 0).any():
        return None
    repeats = draw_repeats(late.shape[1], plan.scheme.seed)
    systems = np.array(plan.systems, dtype=float)
    return settled_slope(sizes_against(plan, path), late, systems, repeats)


def until_precise(
    plan: ChaosPlan,
    path: MeanFieldPath,
    pieces: Pieces,
    more: Callable[[range], dict[str, Array]],
) -> Pieces:
    """Return further pieces, ``more(replicas)``, until the precision is reached."""
    found: Pieces = []
    there = sum(piece["function"].shape[2] for piece in pieces)
    while (wanted := needed(plan, path, [*pieces, *found])) > there:
        if there >= plan.most_replicas:
            raise ArgumentError(
                "precision",
                f"= {plan.precision:g} is not reached with {there} replicas; ask for less.",
            )
        found += [more(batch) for batch in batches_between(plan, there, wanted)]
        there = wanted
    return found


def batches_between(plan: ChaosPlan, first: int, last: int) -> list[range]:
    """Split replicas from `first` up to `last` as `ChaosPlan.batches` does."""
    if first >= last:
        return []
    split = replace(plan, n_replicas=last - first).batches()
    return [range(first + part.start, min(first + part.stop, last)) for part in split]


def say_cost(plan: ChaosPlan, wanted: int, seconds: float) -> None:
    """Say what is planned; `seconds` is what a replica takes."""
    left = max(wanted - plan.n_replicas, 0)
    largest = max(plan.particle_counts)
    text = (
        f"precision = {plan.precision:g} takes about {wanted} replicas, each of {plan.systems[0]} "
        f"systems of N = {min(plan.particle_counts)} up to {plan.systems[-1]} of N = {largest}: "
        f"about {duration(max(left * seconds, 1.0))} from here."
    )
    warnings.warn(text, CostNote, stacklevel=2)
