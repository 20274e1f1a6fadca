"""One sentence for what a configuration got wrong: the key, what came, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

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
    "dict_type": "must be a table in braces",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must hold at least {min_length} values",
    "too_long": "must hold at most {max_length} values",
    "value_error": "{error}",
}

#: Keys of earlier versions, and what to write instead.
_MOVED = {"run.temperature": "problem.temperature, which takes a number or a schedule"}

_TYPES = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    list: "a list in square brackets",
    dict: "a table in braces",
}


class _Place(NamedTuple):
    """Where in a configuration: the keys down to it, and what is expected.

    `tag` is the key by which the tables of a union are told apart, if they are.
    """

    keys: list[str | int]
    expected: Any
    tag: str | None = None

    def __str__(self) -> str:
        """Write the keys as one dotted key; positions in lists in brackets."""
        return _dotted(self.keys)

    @property
    def members(self) -> list[Any]:
        """The kinds of values that are expected."""
        return [member for member in _members(self.expected) if member is not type(None)]

    @property
    def options(self) -> list[Any]:
        """The values that are expected, where they can be listed."""
        kinds = self.members
        if self.tag is not None:
            kinds = [table.model_fields[self.tag].annotation for table in kinds]
        return [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]


def first_problem(model: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence on the first thing wrong: the key, what came, the nearest choice."""
    problems = error.errors(include_url=False)
    # A misspelt key also shows as a missing one: name the misspelling.
    problem = min(problems, key=lambda found: found["type"] != "extra_forbidden")
    place = _locate(model, problem["loc"])
    if place.tag is None and len(place.members) > 1:
        # The member of a union that takes such values says more than "this or that".
        others = [p for p in problems if _locate(model, p["loc"]).keys == place.keys]
        problem = next((p for p in others if not p["type"].endswith(_MISMATCHES)), problem)
    return _sentence(place, problem)


# What pydantic calls a value of another type.
_MISMATCHES = ("_type", "_from_float")


def _sentence(place: _Place, problem: Mapping[str, Any]) -> str:
    kind, got, context = problem["type"], problem["input"], problem.get("ctx", {})
    key = str(place)
    if kind == "extra_forbidden":
        wrong = problem["loc"][-1]
        key = _dotted([*place.keys, wrong])
        if key in _MOVED:
            return f"key {key!r} has moved: give {_MOVED[key]}."
        return f"key {key!r} is not known.{suggest(wrong, place.expected.model_fields)}"
    if place.tag is not None and kind in ("missing", "union_tag_not_found"):
        options = ", ".join(place.options)
        return f"key '{key}.{place.tag}' is missing; add it, one of {options}."
    if kind == "missing":
        table = _dotted(place.keys[:-1])
        return f"key {key!r} is missing; add it {f'to [{table}]' if table else 'at the top'}."
    if kind == "union_tag_invalid":
        key, got = f"{key}.{place.tag}", got[place.tag]
    if kind in ("literal_error", "union_tag_invalid"):
        return f"key {key!r} is {_shown(got)}, which is not known.{suggest(got, place.options)}"
    cause = context.get("error")
    argument = getattr(cause, "argument", None)
    if argument is not None:
        inside = getattr(place.expected, "model_fields", ())
        key = f"{key}.{argument}" if argument in inside else key
        return f"key {key!r}: {cause}"
    if place.tag is None and len(place.members) > 1 and kind.endswith(_MISMATCHES):
        requirement = "must be " + " or ".join(_TYPES[get_origin(m) or m] for m in place.members)
    else:
        requirement = _REQUIREMENTS.get(kind, problem["msg"]).format(**context)
    return f"key {key!r} {requirement}, got {_shown(got)}."


def _locate(model: type[BaseModel], location: Sequence[str | int]) -> _Place:
    """Follow a location down a model, as far as it is keys.

    What pydantic adds to name the members of a union is left out.
    """
    keys: list[str | int] = []
    expected: Any = model
    tag = None
    for part in location:
        tables = [kind for kind in _members(expected) if _is_model(kind)]
        if tag is not None:
            named = (t for t in tables if part in get_args(t.model_fields[tag].annotation))
            expected, tag = next(named), None
            continue
        if isinstance(part, int):
            expected = (*get_args(expected), None)[0]
        elif tables and part in tables[0].model_fields:
            field = tables[0].model_fields[part]
            expected, tag = field.annotation, field.discriminator
        else:
            expected = tables[0] if tables else expected
            break
        keys.append(part)
    return _Place(keys, expected, tag)


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, of unions in it as well, or the annotation alone."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in _members(member))
    return (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _dotted(keys: Sequence[str | int]) -> str:
    """Write keys as one dotted key; positions in lists in brackets."""
    dotted = ".".join(f"[{part}]" if isinstance(part, int) else part for part in keys)
    return dotted.replace(".[", "[")


def _shown(got: Any) -> str:
    """Return a value as the file has it, shortened; a table only by that name."""
    if isinstance(got, Mapping | BaseModel):
        return "a table"
    text = str(got).lower() if isinstance(got, bool) else repr(got)
    return text if len(text) <= 60 else text[:57] + "..."
