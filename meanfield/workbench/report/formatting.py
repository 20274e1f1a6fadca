"""Numbers and problems in words, the same in every report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from meanfield.workbench.study import Block, Heading, Text


def format_number(value: float | None, resolution: float | None = None) -> str:
    """Return a number as text.

    Parameters
    ----------
    value : float or None
        The number; None is what could not be measured.
    resolution : float, optional
        Length of its interval: no more digits than that justifies, but at least two significant
        ones. By default three significant digits.

    Returns
    -------
    str
        With a real minus sign.
    """
    if value is None:
        return "not measurable"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        digits, exponent = f"{value:.2e}".split("e")
        return f"{digits} × 10^{int(exponent)}".replace("-", "−")
    decimals = 2 - math.floor(math.log10(abs(value)))
    if resolution:
        decimals = 1 - math.floor(math.log10(min(resolution, abs(value))))
    return f"{value:.{min(max(decimals, 0), 6)}f}".replace("-", "−")


def format_estimate(number: Mapping[str, Any]) -> str:
    """Return a number of a summary with its interval, where there is one."""
    value, interval = format_value(number), format_interval(number)
    return f"{value} ({100 * number['level']:.0f}% interval {interval})" if interval else value


def format_value(number: Mapping[str, Any]) -> str:
    """Return the value of a number of a summary, with the digits that its interval justifies.

    A whole number without an interval is a count.
    """
    value = number["value"]
    if value is not None and number["interval"] is None and value == round(value):
        return f"{value:.0f}".replace("-", "−")
    return format_number(number["value"], _length(number))


def format_interval(number: Mapping[str, Any]) -> str:
    """Return the interval of a number of a summary as ``low to high``; nothing without one."""
    if number["interval"] is None:
        return ""
    return " to ".join(format_number(bound, _length(number)) for bound in number["interval"])


def agrees(number: Mapping[str, Any]) -> bool | None:
    """Return whether the interval holds what is expected; None when there is nothing to compare."""
    if number["expected"] is None or number["interval"] is None:
        return None
    low, high = number["interval"]
    return low <= number["expected"] <= high


def excludes_zero(number: Mapping[str, Any]) -> bool:
    """Return whether the interval tells what is expected, if that is not 0, from no effect."""
    low, high = number["interval"]
    return number["expected"] == 0 or not low <= 0 <= high


def verdict(number: Mapping[str, Any]) -> str:
    """Return the comparison with what is expected in a word or two."""
    if agrees(number) and not excludes_zero(number):
        return "too wide to tell"
    return {True: "as expected", False: "differs", None: "–"}[agrees(number)]


def slope_row(label: str, number: Mapping[str, Any]) -> list[str]:
    """Return a slope as a row of a table: label, value, interval, what is expected, verdict."""
    expected = "–" if number["expected"] is None else f"{number['expected']:g}".replace("-", "−")
    interval = format_interval(number)
    if not interval and number["value"] is not None:
        interval = "needs more replicas"
    return [label, format_value(number), interval or "–", expected, verdict(number)]


def _length(number: Mapping[str, Any]) -> float | None:
    return None if number["interval"] is None else number["interval"][1] - number["interval"][0]


def heading_for_problem(problem: str) -> list[Block]:
    """Return the part of a report that says what was learned."""
    return [Heading("What was computed"), Text(problem.strip("<>") + ".")]
