"""A complete, commented TOML file from a configuration."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WIDTH = 88


def to_toml(config: BaseModel) -> str:
    """Return `config` as TOML with every key, each under its description.

    Fields are numbers, strings, booleans, lists of those, None, or further models, which become
    tables. Reading the text back gives an equal configuration. Keys that are not set (None, for
    which TOML has no value) appear as comments.
    """
    return "\n".join(_table(config, ())).strip("\n") + "\n"


def _table(model: BaseModel, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its keys first, then its sub-tables, as TOML demands."""
    if path:
        yield ""
        yield from _comment(type(model).__doc__)
        yield f"[{'.'.join(path)}]"
    tables, last = {}, None
    # What has no default comes first.
    for name, field in sorted(
        type(model).model_fields.items(), key=lambda item: not item[1].is_required()
    ):
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            tables[name] = value
            continue
        explanation = _explanation(field)
        if explanation != last:  # neighbours that share an explanation show it once
            yield from _comment(explanation)
        last = explanation
        yield f"# {name} =    (not set)" if value is None else f"{name} = {_value(value)}"
    for name, value in tables.items():
        yield from _table(value, (*path, name))


def _explanation(field: FieldInfo) -> str:
    """Return the description of a key, with its choices where they are few."""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    if len(choices) < 2:
        return field.description or ""
    return f"{field.description} Choices: {', '.join(choices)}."


def _comment(text: str | None) -> list[str]:
    """Wrap the first paragraph of a description into comment lines."""
    first = " ".join((text or "").strip().split("\n\n")[0].split())
    return textwrap.wrap(
        first, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the one control character that JSON leaves alone.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{_value(key)} = {_value(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }"
    raise TypeError(f"TOML has no value for {type(value).__name__}.")
