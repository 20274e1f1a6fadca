"""Descents from many places at once, whose evaluations are those of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS, MEMORY = 500, 12
"""Evaluations at most, and the steps that a descent remembers."""
FALL = 1e-4
"""Part of the fall along the slope that a step must bring."""
SHORTEST = 1e-9
"""Step, relative to its place, at which a descent that finds nothing lower ends."""


def descend_all(
    function: Callable[[Array], tuple[Array, Array]],
    starts: Array,
    *,
    first: Array | float,
    enough: Array | float,
    longest: Array | float = np.inf,
    reach: float = np.inf,
    steps: int = STEPS,
) -> tuple[Array, Array, NDArray[np.bool_]]:
    r"""Descend from every row of `starts` (S, D) to a minimum by L-BFGS.

    `function` returns values (S,) and slopes (S, D) at as many places, each row by itself. The
    first step has the length `first`, none is longer than `longest`, and coordinates stay within
    `reach`; a descent ends with a step that gains at most `enough`. Returned are the places,
    their values, and whether the descent ended: without a minimum, or far from it, it does not.

    The quasi-Newton method of limited memory (Nocedal and Wright, *Numerical Optimization*, 2nd
    edition, algorithm 7.4), every row with memory and length of step of its own; a step that does
    not bring enough is tried again at a shorter length, and one along which the slope does not
    grow is not remembered.
    """
    ends, lowest, ended = starts.copy(), np.empty(len(starts)), np.zeros(len(starts), dtype=bool)
    rows, places = np.arange(len(starts)), starts.clip(-reach, reach)
    values, slopes = function(places)
    size, most, least = (np.broadcast_to(x, len(starts)) for x in (first, longest, enough))
    size = np.minimum(size, most)
    steepest = np.linalg.norm(slopes, axis=1)
    directions = -slopes * (size / np.where(steepest > 0, steepest, 1))[:, None]
    rates = np.ones(len(starts))
    memory = np.zeros((2, MEMORY, *starts.shape))
    for _ in range(steps):
        trial = (places + rates[:, None] * directions).clip(-reach, reach)
        there, turned = function(trial)
        moved = trial - places
        fall = -(moved * slopes).sum(axis=1)
        with np.errstate(invalid="ignore"):
            lower = there <= values - FALL * fall
        lower &= np.isfinite(there) & (fall >= 0)
        gained = np.where(lower, values - there, np.inf)
        # The lowest point of the parabola through both values with the slope at the first.
        excess = np.where(np.isfinite(there), there - values + fall, np.inf)
        half = np.full(len(fall), 0.5)
        shorter = np.clip(np.divide(half * fall, excess, out=half, where=excess > 0), 0.1, 0.5)
        rates = np.where(lower, 1.0, rates * shorter)
        new = np.flatnonzero(lower)
        _remember(memory, new, moved[new], turned[new] - slopes[new])
        places, slopes = (
            np.where(lower[:, None], after, before)
            for after, before in ((trial, places), (turned, slopes))
        )
        values = np.where(lower, there, values)
        if len(new):
            ahead = _quasi_newton(memory[:, :, new], slopes[new])
            length = np.linalg.norm(ahead, axis=1)
            # Without memory along the slope, twice as far as before.
            untold = ~memory[1, -1, new].any(axis=1)
            far = np.where(untold, 2 * np.linalg.norm(moved[new], axis=1), length)
            far = np.minimum(far, most[new])
            directions[new] = ahead * (far / np.where(length > 0, length, 1))[:, None]
        step = rates * np.linalg.norm(directions, axis=1)
        done = (gained <= least) | (step <= SHORTEST * np.linalg.norm(places, axis=1))
        if done.any():
            over, left = rows[done], ~done
            ends[over], lowest[over], ended[over] = places[done], values[done], True
            rows, places, values, slopes = rows[left], places[left], values[left], slopes[left]
            directions, rates = directions[left], rates[left]
            most, least = most[left], least[left]
            memory = memory[:, :, left]
        if not len(rows):
            break
    ends[rows], lowest[rows] = places, values
    return ends, lowest, ended


def _remember(memory: Array, rows: Array, moved: Array, turned: Array) -> None:
    """Add steps and changes of slope (S, D) to the last place of the memory (2, M, S, D)."""
    bend = (moved * turned).sum(axis=1)
    lengths = np.linalg.norm(moved, axis=1) * np.linalg.norm(turned, axis=1)
    convex = bend > 1e-8 * lengths
    kept = rows[convex]
    memory[:, :-1, kept] = memory[:, 1:, kept]
    memory[0, -1, kept], memory[1, -1, kept] = moved[convex], turned[convex]


def _quasi_newton(memory: Array, slopes: Array) -> Array:
    """Return minus the inverse curvature of the memory times the slopes; minus these without."""
    steps, turns = memory
    bends = (steps * turns).sum(axis=2)
    shares = np.divide(1, bends, out=np.zeros_like(bends), where=bends > 0)
    ahead = -slopes
    taken = []
    for step, turn, share in zip(steps[::-1], turns[::-1], shares[::-1], strict=True):
        part = share * (step * ahead).sum(axis=1)
        ahead = ahead - part[:, None] * turn
        taken.append(part)
    square = (turns[-1] ** 2).sum(axis=1)
    ahead = ahead * np.where(square > 0, bends[-1] / np.where(square > 0, square, 1), 1)[:, None]
    for step, turn, share, part in zip(steps, turns, shares, taken[::-1], strict=True):
        ahead = ahead + (part - share * (turn * ahead).sum(axis=1))[:, None] * step
    return ahead
