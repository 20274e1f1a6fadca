"""The axes of a sweep: keys of a configuration, the values that each takes, the points between."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from meanfield.errors import ConfigError

Axes = dict[str, list[Any]]
Point = dict[str, Any]

#: Grid points above which a sweep is a mistake.
MOST_POINTS = 10_000
_FORMS = "lo:hi:n, lo:hi:n:log, or a list such as 0.1,0.2,0.5"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::([^:]*))?(?::([^:]*))?")


def axes_of(texts: Sequence[str]) -> Axes:
    """Return the axes that options such as ``problem.l2=1e-4:1e-1:7:log`` describe."""
    axes: Axes = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise ConfigError(
                f"--over {text!r} is no axis; write KEY=VALUES, with VALUES as {_FORMS}."
            )
        if key in axes:
            raise ConfigError(f"--over names {key!r} twice; give all of its values in one.")
        axes[key] = _values(key, values)
    return axes


def _values(key: str, text: str) -> list[Any]:
    if not text:
        raise ConfigError(f"--over {key!r} has no values; give them as {_FORMS}.")
    if _RANGE.fullmatch(text):
        return _range(key, text)
    try:
        return list(tomllib.loads(f"values = [{text}]")["values"])
    except tomllib.TOMLDecodeError:
        return [_value(part.strip()) for part in text.split(",")]


def _value(text: str) -> Any:
    """Return a value of a list: as TOML has it, or as text where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _range(key: str, text: str) -> list[Any]:
    """Return evenly spaced values, in the logarithm too; whole ones where the ends are whole."""
    low, high, *more = text.split(":")
    count, scale = (more or [""])[0], more[1:]
    ends = float(low), float(high)
    if not count.isdecimal() or int(count) < 2 or scale not in ([], ["log"]):
        raise ConfigError(
            f"--over {key}={text!r} is no range; write lo:hi:n with n of 2 or more, or lo:hi:n:log."
        )
    if int(count) > MOST_POINTS:
        raise ConfigError(f"--over {key!r} has {count} values; give at most {MOST_POINTS}.")
    if scale and not min(ends) > 0:
        raise ConfigError(
            f"--over {key}={text!r} needs ends above 0 for the logarithm; change {low} or {high}, "
            "or leave out :log."
        )
    found = (np.geomspace if scale else np.linspace)(*ends, int(count))
    # As one would write them: the same point of another range has the same bits.
    values = [float(f"{value:.12g}") for value in found]
    if not re.search(r"[.eE]", low + high) and all(value.is_integer() for value in values):
        return [int(value) for value in values]
    return values


def checked_axes(axes: Mapping[str, Any]) -> Axes:
    """Return axes as dotted keys with lists of values that differ; refuse others."""
    found = {key: _listed(key, values) for key, values in _flat(axes)}
    if not found:
        raise ConfigError(
            "A sweep needs an axis; give one such as --over problem.l2=1e-4:1e-1:7:log, or "
            '{"problem.l2": [1e-4, 1e-3]} in Python.'
        )
    size = int(np.prod([len(values) for values in found.values()], dtype=float))
    if size > MOST_POINTS:
        raise ConfigError(f"The grid has {size} points; give at most {MOST_POINTS}.")
    for one, other in itertools.permutations(found, 2):
        if other.startswith(f"{one}."):
            raise ConfigError(f"The axes {one!r} and {other!r} change the same key; give one.")
    return found


def _flat(axes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys with their values; a file has tables in tables."""
    for key, values in axes.items():
        if isinstance(values, Mapping):
            yield from _flat(values, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", values


def _listed(key: str, values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list | tuple | range) or not len(values):
        raise ConfigError(f"axis {key!r} must hold a list of one or more values, got {values!r}.")
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    shown = [shown_value(value) for value in plain]
    for place, text in enumerate(shown):
        if text in shown[:place]:
            raise ConfigError(f"axis {key!r} holds {text} twice; give every value once.")
    return plain


def points_of(axes: Axes) -> list[Point]:
    """Return all points, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def shown_point(point: Point) -> str:
    """Return a point as a reader sees it."""
    return ", ".join(f"{key}={shown_value(value)}" for key, value in point.items())


def shown_value(value: Any) -> str:
    """Return a value as it is written in a configuration, texts without their quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value, default=str) if isinstance(value, list | tuple | dict) else str(value)


def coordinate(values: list[Any]) -> np.ndarray:
    """Return the values of an axis as a coordinate: numbers as they are, others as texts."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.array(values)
    return np.array([shown_value(value) for value in values], dtype=str)
