"""Numbers written as text: what is one, what is missing, and what separates thousands."""

from __future__ import annotations

import math
import re

_BLANK = {"", "?"}
_MISSING = _BLANK | {"na", "n/a", "nan", "-nan", "none", "null", "<na>", "nat", "#n/a"}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([,.' \u00a0\u202f\u2019_])\d{3}(\1\d{3})*([.,]\d*)?")
_SWAP = {ord("."): ",", ord(","): "."}


def is_missing(cell: str, words: bool = True) -> bool:
    """Tell whether a cell says that its value is missing; without `words` NA names a class."""
    return cell.lower() in (_MISSING if words else _BLANK)


def to_number(cell: str, decimal: str) -> float | None:
    """Return the number in a cell, NaN and infinity included, or None."""
    if decimal == ",":
        cell = cell.translate(_SWAP)
    # float() reads 1_000 as 1000, but a table has no such digits: it is an error or a text.
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def is_number(cell: str, decimal: str) -> bool:
    """Tell whether a cell holds a finite number."""
    number = to_number(cell, decimal)
    return number is not None and math.isfinite(number)


def has_thousands(cell: str) -> bool:
    """Tell whether every mark of a number is followed by exactly three digits, but a last one."""
    return bool(_THOUSANDS.fullmatch(cell))
