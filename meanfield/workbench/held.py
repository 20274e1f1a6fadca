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


@contextmanager
def blamed(units: Sequence[Unit], held: Mapping[str, Held]) -> Iterator[None]:
    """Lay what fails in other words than our own to a file that was read, if any was.

    The first whose arrays are unlike those of most units of its kind is named, else the first.
    """
    try:
        yield
    except (OfArgument, ConfigError, CheckpointError, DivergenceError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if not held:
            raise
        odd = _odd([unit for unit in units if unit.key in held], held)
        what = "does not hold what its name says"
        raise CheckpointError(refusal(held[odd].path, what)) from error


def _odd(units: Sequence[Unit], held: Mapping[str, Held]) -> str:
    """Return the key of the first unit that is unlike most of its kind, else of the first."""
    for form in (_types, _shapes):
        forms = {unit.key: form(held[unit.key].arrays) for unit in units}
        kinds: dict[Callable[..., Arrays], Counter[Any]] = defaultdict(Counter)
        for unit in units:
            kinds[unit.function][forms[unit.key]] += 1
        for unit in units:
            kind = kinds[unit.function]
            if kind[forms[unit.key]] < kind.most_common(1)[0][1]:
                return unit.key
    return units[0].key


def _types(arrays: Arrays) -> tuple[Any, ...]:
    return tuple((name, arrays[name].dtype.kind, arrays[name].ndim) for name in sorted(arrays))


def _shapes(arrays: Arrays) -> tuple[Any, ...]:
    return tuple((name, np.shape(arrays[name])) for name in sorted(arrays))
