"""One sentence for what a configuration got wrong: the key, what came, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from meanfield.errors import suggest

_REQUIREMENTS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "list_type": "must be a list in square brackets",
    "model_type": "must be a table",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must hold at least {min_length} values",
    "too_long": "must hold at most {max_length} values",
    "value_error": "{error}",
}


def first_problem(model: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence on the first thing wrong with a configuration.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        What was expected.
    error : ValidationError
        What pydantic found.

    Returns
    -------
    str
        The key, what came instead, and the nearest valid choice where there is one.
    """
    problems = error.errors(include_url=False)
    # A misspelt key also shows as a missing one: name the misspelling.
    problem = min(problems, key=lambda found: found["type"] != "extra_forbidden")
    kind, got = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        *parents, last = problem["loc"]
        table = _locate(model, parents)[1]
        return f"key {_path(problem['loc'])!r} is not known.{suggest(last, table.model_fields)}"
    location, annotation = _locate(model, problem["loc"])
    key = _path(location)
    if kind == "missing":
        table = _path(location[:-1])
        return f"key {key!r} is missing; add it {f'to [{table}]' if table else 'at the top'}."
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"key {key!r} is {_shown(got)}, which is not known.{suggest(got, options)}"
    choices = [choice for choice in _members(annotation) if choice is not type(None)]
    if len(choices) > 1:
        requirement = "must be " + " or ".join(_TYPES[get_origin(c) or c] for c in choices)
    else:
        requirement = _REQUIREMENTS.get(kind, problem["msg"]).format(**problem.get("ctx", {}))
    return f"key {key!r} {requirement}, got {_shown(got)}."


_TYPES = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    list: "a list in square brackets",
    dict: "a table in braces",
}


def _locate(model: Any, location: Sequence[str | int]) -> tuple[list[str | int], Any]:
    """Follow a location down a model: the part of it that is keys, and what is expected there.

    What pydantic adds to name the members of a union is left out.
    """
    known: list[str | int] = []
    expected: Any = model
    for part in location:
        table = next((kind for kind in _members(expected) if _is_model(kind)), None)
        if isinstance(part, int):
            expected = (*get_args(expected), None)[0]
        elif table is not None and part in table.model_fields:
            expected = table.model_fields[part].annotation
        else:
            break
        known.append(part)
    table = next((kind for kind in _members(expected) if _is_model(kind)), None)
    return known, table or expected


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _path(location: Sequence[str | int]) -> str:
    """Write a location as a dotted key; positions in lists in brackets."""
    dotted = ".".join(f"[{part}]" if isinstance(part, int) else part for part in location)
    return dotted.replace(".[", "[")


def _shown(got: Any) -> str:
    """Return a value as the file has it, shortened; a table only by that name."""
    if isinstance(got, Mapping | BaseModel):
        return "a table"
    text = str(got).lower() if isinstance(got, bool) else repr(got)
    return text if len(text) <= 60 else text[:57] + "..."
