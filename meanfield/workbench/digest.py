"""A digest of anything that a unit is called with: equal for equal work, in any process."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from meanfield.workbench.study import Unit


class Digests:
    """Digests of values, and of units with all that they need; each large value is read once.

    What they have read lives as long as they do.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}

    def units(self, units: Sequence[Unit], otherwise: str) -> dict[str, str]:
        """Return the digest of each unit, and of those that it needs, by its key.

        What has an argument that nothing tells from others is told apart by its key and by the
        text `otherwise`.
        """
        found: dict[str, str] = {}
        for unit in units:
            needs = {argument: found[key] for argument, key in unit.needs.items()}
            try:
                made = self.of((unit.function, dict(unit.arguments), needs))
            except (TypeError, RecursionError):
                made = self.of((unit.key, otherwise))
            found[unit.key] = made.hex()
        return found

    def of(self, value: object) -> bytes:
        """Return the digest of a value made of numbers, texts, arrays and objects of those."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        digest = hashlib.sha256()
        for part in self._parts(value):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        found = digest.digest()
        if not isinstance(value, bool | int | float | str | None):
            self._known[id(value)] = (value, found)
        return found

    def _parts(self, value: Any) -> Iterator[bytes | memoryview]:
        """Yield a name of the kind of a value, and what tells it from others of the kind."""
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            if "<" in value.__qualname__:
                raise TypeError(f"{value.__qualname__} is no function that others could find")
            yield f"named {value.__module__}:{value.__qualname__}".encode()
            return
        kind = type(value)
        yield f"{kind.__module__}:{kind.__qualname__}".encode()
        if isinstance(value, str):
            yield value.encode("utf-8", "surrogatepass")
        elif value is None or isinstance(value, bool | int | float | complex | range | bytes):
            yield repr(value).encode()
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError("an array of Python objects cannot be told from others")
            yield f"{array.dtype.str}{array.shape}".encode()
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        elif isinstance(value, Mapping):
            yield from sorted(self.of(key) + self.of(item) for key, item in value.items())
        elif isinstance(value, Set):
            yield from sorted(map(self.of, value))
        elif isinstance(value, list | tuple):
            yield from map(self.of, value)
        elif isinstance(value, functools.partial):
            yield self.of((value.func, value.args, value.keywords))
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield self.of(field.name)
                yield self.of(getattr(value, field.name))
        else:
            # As pickle takes it apart: how it is made again, and from what.
            reduced = value.__reduce_ex__(4)
            if isinstance(reduced, str):
                yield f"{value.__module__}:{reduced}".encode()
            else:
                yield from map(self.of, reduced[:3])
