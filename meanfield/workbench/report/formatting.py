"""Numbers and problems in words, the same in every report."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.blocks import Block, Heading, Table, Text
from meanfield.workbench.headline import Headline

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_number(value: float | None, resolution: float | None = None) -> str:
    """Return a number as text, with a real minus sign; None or NaN is what was not measurable.

    `resolution` is the length of its interval: no more digits than that justifies, but at least two
    significant ones and at most four. By default three significant digits.
    """
    if value is None or math.isnan(value):
        return "not measurable"
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    # A small bound is shown as the rest of its interval is.
    least = 1e-6 if resolution and resolution >= 1e-4 else 1e-3
    if not least <= abs(value) < 1e5:
        digits, exponent = f"{value:.2e}".split("e")
        power = str(int(exponent)).translate(_SUPERSCRIPTS)
        return f"{digits} × 10{power}".replace("-", "−")
    magnitude = math.floor(math.log10(abs(value)))
    decimals = 2 - magnitude
    if resolution:
        # A narrow interval of few replicas may be narrow by chance: four digits at most.
        decimals = min(1 - math.floor(math.log10(min(resolution, abs(value)))), 3 - magnitude)
    return f"{value:.{max(decimals, 0)}f}".replace("-", "−")


def format_share(value: float) -> str:
    """Return a share as a percentage of two digits; what is next to nothing or all is told so."""
    if math.isnan(value):
        return "not measurable"
    percent = 100 * value
    if 0 < abs(percent) < 0.01:
        return "less than 0.01%" if value > 0 else "a loss of less than 0.01%"
    if 99.5 <= percent < 100:
        return f"{min(percent, 99.99):.2f}%"
    text = f"{percent:.0f}" if abs(percent) >= 9.5 else f"{percent:.2g}"
    return f"{text}%".replace("-", "−")


def typeset(text: str) -> str:
    """Return text of a report with minus signs and powers of ten as print has them.

    Whatever formatted a number: of two minus signs on a page none is a hyphen.
    """
    text = _POWER.sub(lambda m: f"{m[1]} × 10{str(int(m[2])).translate(_SUPERSCRIPTS)}", text)
    return _HYPHEN.sub("−", text).replace(" × 10", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10")


_POWER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e([+-]\d+)\b")
# Before a number, and not within a word, a name or a range.
_HYPHEN = re.compile(r"(?<![\w\-.)\]/])-(?=\.?\d)")


def format_estimate(estimate: Estimate) -> str:
    """Return an estimate with its interval, where there is one."""
    value, interval = format_value(estimate), format_interval(estimate)
    return f"{value} ({100 * estimate.level:.0f}% interval {interval})" if interval else value


def format_short(estimate: Estimate) -> str:
    """Return an estimate with the bounds of its interval, for tables that say what they are."""
    value, interval = format_value(estimate), format_interval(estimate)
    return f"{value} ({interval})" if interval else value


def format_value(estimate: Estimate) -> str:
    """Return the value of an estimate, with the digits that its interval justifies.

    A whole number without an interval, or with whole bounds, is a count.
    """
    if _counts(estimate):
        return f"{estimate.value:.0f}".replace("-", "−")
    return format_number(estimate.value, _length(estimate))


def format_interval(estimate: Estimate) -> str:
    """Return the interval of an estimate as ``low to high``; nothing without one."""
    if estimate.interval is None:
        return ""
    if _counts(estimate):
        return f"{estimate.low:.0f} to {estimate.high:.0f}".replace("-", "−")
    return " to ".join(format_number(bound, _length(estimate)) for bound in estimate.interval)


def _counts(estimate: Estimate) -> bool:
    """Whether a value and its bounds, where it has them, are whole numbers."""
    numbers = (estimate.value, *(estimate.interval or ()))
    return all(math.isfinite(number) and number == round(number) for number in numbers)


def verdict(estimate: Estimate) -> str:
    """Return the comparison with what is expected in a word or two."""
    if estimate.agrees and estimate.expected != 0 and not estimate.excludes(0.0):
        return "too wide to tell"
    return {True: "as expected", False: "differs", None: "–"}[estimate.agrees]


def slope_row(label: str, estimate: Estimate) -> list[str]:
    """Return a slope as a row of a table: label, value, interval, what is expected, verdict."""
    expected = "–" if estimate.expected is None else f"{estimate.expected:g}".replace("-", "−")
    interval = format_interval(estimate)
    if not interval and estimate.known:
        interval = "needs more replicas"
    return [label, format_value(estimate), interval or "–", expected, verdict(estimate)]


def _length(estimate: Estimate) -> float | None:
    return None if estimate.interval is None else estimate.width


def headline_table(
    headline: Headline,
    caption: str,
    columns: Sequence[str] = ("Quantity", "Value", "95% interval"),
    *,
    missing: str = "–",
) -> Table:
    """Return the headline numbers as a table; `missing` stands where there is no interval."""
    numbers = headline.numbers().values()
    rows = [[n.label, format_value(n), format_interval(n) or missing] for n in numbers]
    return Table([list(columns), *rows], caption)


def heading_for_problem(problem: str) -> list[Block]:
    """Return the part of a report that says what was learned."""
    return [Heading("What was computed"), Text(problem.strip("<>") + ".")]
