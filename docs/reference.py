"""What is generated from the package itself: its public names, and every key of a configuration."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from markup import escaped, heading
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import meanfield
from meanfield.studies import STUDIES, get_study

# Where each public name is explained, in the order of the theory.
_PARTS = (
    ("Problems and particles", ("problem", "flow.schedule", "flow")),
    ("The limit", ("limit",)),
    ("Propagation of chaos", ("chaos", "transport", "statistics")),
    ("Moments and identifiability", ("moments", "identify")),
    ("Atoms and errors", ("dictionary", "decomposition", "cell")),
    ("Deep networks", ("deep",)),
    ("Estimators", ("estimators",)),
    ("A table of one's own, and studies", ("studies",)),
    ("Figures", ("plots",)),
    ("Errors", ("errors",)),
)


def reference_pages() -> dict[str, str]:
    """Return the pages of public names by file: one a part, whose table leads to a page a name."""
    shown: list[Any] = []
    pages = {}
    for title, modules in _PARTS:
        lines = [*heading(title), ""]
        for module in modules:
            lines += _module_entry(module, shown)
        pages[modules[0].replace(".", "-")] = "\n".join(lines) + "\n"
    lines = [*heading("Every public name"), "", ".. code-block:: python", ""]
    lines += ["   import meanfield as mf", "", ".. toctree::", "   :maxdepth: 2", ""]
    return {"index": "\n".join([*lines, *(f"   {name}" for name in pages), ""]), **pages}


def _module_entry(module: str, shown: list[Any]) -> list[str]:
    """Return the words of a module and the table of what has not been `shown` elsewhere."""
    part = importlib.import_module(f"meanfield.{module}")
    lines = [f".. py:module:: meanfield.{module}", "", inspect.getdoc(part) or "", ""]
    lines += [".. py:currentmodule:: None", ""]
    listed, tables = [], []
    for path, value in public(module).items():
        if any(value is other for other in shown):  # at its first home alone
            continue
        shown.append(value)
        if callable(value):
            listed.append(f"   {path}")
        else:
            tables += [*_data(path, value), ""]
    if listed:
        lines += [".. autosummary::", "   :toctree: .", "   :nosignatures:", "", *listed, ""]
    return lines + tables


def every_name() -> set[str]:
    """Return the paths of all public names."""
    return {path for _, modules in _PARTS for module in modules for path in public(module)}


def public(module: str) -> dict[str, Any]:
    """Return the public objects of a module by path; what `meanfield` itself offers comes first."""
    names = {name: getattr(meanfield, name) for name in meanfield.__all__}
    found = {
        f"meanfield.{name}": value
        for name, value in names.items()
        if value.__module__.split(".")[1] == module
    }
    part = importlib.import_module(f"meanfield.{module}")
    for name in getattr(part, "__all__", ()):
        if name not in names:
            found[f"meanfield.{module}.{name}"] = getattr(part, name)
    return found


def _data(path: str, value: Any) -> list[str]:
    """Return the lines of a table of names, or of a number, which is spelt out."""
    shown = value if isinstance(value, Iterable) else [value]
    return [f".. data:: {path}", "", "   " + ", ".join(f"``{name}``" for name in shown)]


def keys_page() -> str:
    """Return the page of every key, table by table, with the studies it is for."""
    uses: dict[tuple[str, ...], list[str]] = {}
    for name in STUDIES:
        for table, key, default, about in keys(get_study(name).config):
            uses.setdefault((table, key, default, about), []).append(name)
    lines = [*heading("Every key of a configuration"), ""]
    lines += ["``meanfield new STUDY`` prints the keys of a study with these words beside them;"]
    lines += [
        "``--set TABLE.KEY=VALUE`` changes one for a single run. A key that is unknown, or of"
    ]
    lines += ["a wrong kind, is refused by name.", ""]
    tables = list(dict.fromkeys(table for table, *_ in uses))
    for table in tables:
        title = f"[{table}]" if table else "At the top"
        own = {place: studies for place, studies in uses.items() if place[0] == table}
        known = [name for name in STUDIES if any(name in studies for studies in own.values())]
        lines += [*heading(title, "-"), "", f"Studies: {', '.join(known)}.", ""]
        for (_, key, default, about), studies in own.items():
            of = "" if studies == known else f" *({', '.join(studies)} only)*"
            lines += [f"``{key}``{default}", f"    {about}{of}", ""]
    return "\n".join(lines) + "\n"


def key_list(model: type[BaseModel]) -> list[str]:
    """Return the keys of a study as a definition list; those of the data stand elsewhere."""
    lines: list[str] = []
    for table, key, default, about in keys(model):
        if not table.startswith("data"):
            path = f"{table}.{key}" if table else key
            lines += [f"``{path}``{default}", f"    {about}", ""]
    if "data" in model.model_fields:
        lines += ["``data``", "    Where the data come from: :doc:`../keys`.", ""]
    return lines


def keys(model: type[BaseModel], table: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield every key: its table, its name, its default and what it is, as markup."""
    for key, field in model.model_fields.items():
        inner = [kind for kind in _kinds(field.annotation) if issubclass(kind, BaseModel)]
        path = f"{table}.{key}" if table else key
        for kind in inner:
            source = f'source = "{_source(kind)}"' if len(inner) > 1 else ""
            for at, name, default, about in keys(kind, path):
                yield f"{at}, {source}" if source else at, name, default, about
        if not inner:
            yield table, key, _default(field), escaped(field.description or "")


def _kinds(annotation: Any) -> list[type]:
    """Return the classes of an annotation: itself, or the members of a union."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def _source(table: type[BaseModel]) -> str:
    annotation = table.model_fields["source"].annotation
    return get_args(annotation)[0] if get_origin(annotation) is Literal else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return f" = ``{field.get_default(call_default_factory=True)!r}``"
