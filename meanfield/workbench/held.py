"""Finished units as they were read from a folder, and what is said when one is not what it seems.

What a unit returns is known to its study alone: a file of another content whose digest is right is
noticed only where it is used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import CheckpointError, ConfigError, DivergenceError, OfArgument
from meanfield.system.storage import refusal
from meanfield.workbench.study import Arrays, Unit


@dataclass(frozen=True)
class Held:
    """A finished unit as it was read: its file, its arrays, the seconds that it took."""

    path: Path
    arrays: Arrays
    seconds: float


#: What content of another form than expected raises; anything else is a fault of ours.
READING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def blamed(units: Sequence[Unit], held: Mapping[str, Held]) -> Iterator[None]:
    """Lay what content of another form raises to a file among `held`, if one can be to blame.

    One whose arrays are unlike those of most units of its kind, else one that is alone of its kind:
    where there is neither, every file is as its siblings are, and the fault is ours.
    """
    try:
        yield
    except (OfArgument, ConfigError, CheckpointError, DivergenceError):
        raise
    except READING as error:
        odd = _odd([unit for unit in units if unit.key in held], held)
        if odd is None:
            raise
        raise CheckpointError(refusal(held[odd].path, unlike("its name says", error))) from error


def unlike(expected: str, error: Exception) -> str:
    """Return what is said of a file that led to an error: the file's fault, or else ours."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return (
        f"does not hold what {expected} ({reason}; if nobody changed it the fault is meanfield's, "
        "and worth a report)"
    )


def _odd(units: Sequence[Unit], held: Mapping[str, Held]) -> str | None:
    """Return the key of a unit that is unlike most of its kind, else of one alone of its kind."""
    siblings = Counter(unit.function for unit in units)
    for form in (_types, _shapes):
        forms = {unit.key: form(held[unit.key].arrays) for unit in units}
        kinds: dict[Callable[..., Arrays], Counter[Any]] = defaultdict(Counter)
        for unit in units:
            kinds[unit.function][forms[unit.key]] += 1
        for unit in units:
            kind = kinds[unit.function]
            if kind[forms[unit.key]] < kind.most_common(1)[0][1]:
                return unit.key
    return next((unit.key for unit in units if siblings[unit.function] == 1), None)


def _types(arrays: Arrays) -> tuple[Any, ...]:
    return tuple((name, arrays[name].dtype.kind, arrays[name].ndim) for name in sorted(arrays))


def _shapes(arrays: Arrays) -> tuple[Any, ...]:
    return tuple((name, np.shape(arrays[name])) for name in sorted(arrays))
