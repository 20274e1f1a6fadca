"""Numbers and problems in words, the same in every report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meanfield.studies.base import Block, Heading, Text


def format_number(value: float | None) -> str:
    """Return a number with three significant digits."""
    if value is None:
        return "–"
    text = f"{value:#.3g}".rstrip(".")
    if "e" not in text:
        return text.replace("-", "−")
    digits, exponent = text.split("e")
    return f"{digits} × 10^{int(exponent)}".replace("-", "−")


def format_interval(number: Mapping[str, Any]) -> str:
    """Return `` (95% interval low to high)`` for a number of a summary; nothing without one."""
    interval = number["interval"]
    if interval is None:
        return ""
    low, high = map(format_number, interval)
    return f" ({100 * number['level']:.0f}% interval {low} to {high})"


def heading_for_problem(problem: str) -> list[Block]:
    """Return the part of a report that says what was learned."""
    return [Heading("What was computed"), Text(problem.strip("<>") + ".")]
