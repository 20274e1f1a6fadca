"""Pages that write themselves: one per study and validation script, and the public names."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx

import meanfield
from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import parse
from meanfield.workbench.toml import to_toml
from scripts import validation
from scripts.validation.__main__ import described
from scripts.validation.output import read_numbers

ROOT = Path(__file__).parents[1]

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


def study_page(name: str) -> str:
    """Return the page of a study: what it does, how to run it, every key, a figure."""
    study = get_study(name)
    module = inspect.getmodule(study.prepare)
    config = parse(study.config, dict(study.example))
    lines = [name, "=" * len(name), "", STUDIES[name].purpose, ""]
    lines += [_first_paragraphs(module), ""]
    lines += [".. code-block:: console", ""]
    lines += [f"   meanfield new {name} > {name}.toml"]
    lines += [f"   meanfield {name} {name}.toml --out results/mine", ""]
    lines += _shown(name)
    lines += ["Configuration", "-------------", ""]
    lines += ["What `meanfield new` prints; it runs as it stands.", ""]
    lines += [".. code-block:: toml", ""]
    lines += [f"   {line}".rstrip() for line in to_toml(config).splitlines()]
    lines += ["", "Keys", "----", "", *_keys(type(config))]
    return "\n".join(lines) + "\n"


def _first_paragraphs(module: Any) -> str:
    """Return the description of a module after its first line."""
    text = inspect.getdoc(module) or ""
    return text.partition("\n")[2].strip()


def _shown(name: str) -> list[str]:
    """Return the first figure of a committed result of that study, with its caption."""
    found = committed_result(name)
    if found is None:
        return []
    figure, caption = found
    shutil.copy(figure, ROOT / "docs" / "studies" / f"{name}.png")
    where = figure.parent.relative_to(ROOT)
    lines = [f".. figure:: {name}.png", f"   :alt: {caption}", ""]
    return [*lines, f"   {_escaped(caption)} (``{where}``)", ""]


def validation_page(name: str) -> str:
    """Return the page of a validation script: what it shows, its numbers and picture, itself."""
    script = importlib.import_module(f"scripts.validation.{name}")
    about, _, rest = (inspect.getdoc(script) or "").partition("\n")
    folder = ROOT / "results" / name
    shutil.copy(folder / f"{name}.png", ROOT / "docs" / "validation" / f"{name}.png")
    lines = [name, "=" * len(name), "", about, "", rest.strip(), ""]
    lines += [".. code-block:: console", "", f"   scripts/validate {name}", ""]
    lines += [f".. figure:: {name}.png", f"   :alt: {script.TITLE}", "", f"   {script.TITLE}.", ""]
    lines += [".. list-table::", "   :header-rows: 1", ""]
    rows = [("Number", "Value [95 % interval]")]
    rows += [(n.label, described(n)) for n in read_numbers(folder).values()]
    for row in rows:
        first, second = (_escaped(cell) for cell in row)
        lines += [f"   * - {first}", f"     - {second}"]
    lines += ["", f".. literalinclude:: ../../scripts/validation/{name}.py", ""]
    return "\n".join(lines)


def committed_result(name: str) -> tuple[Path, str] | None:
    """Return the picture and the caption of a committed result of a study.

    A folder of the study's own name is taken before others, and these in the order of their paths.
    """
    summaries = sorted(
        (ROOT / "results").glob("*/summary.json"), key=lambda path: (path.parent.name != name, path)
    )
    for path in summaries:
        summary = json.loads(path.read_bytes())
        if summary.get("study") == name and "picture" in summary:
            picture = summary["picture"]
            return path.with_name(f"{picture['name']}.png"), picture["caption"]
    return None


def _keys(model: type[BaseModel], path: str = "") -> list[str]:
    """Return every key with its description as a definition list."""
    lines: list[str] = []
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            lines += _keys(kind, f"{path}{key}.")
            continue
        default = (
            ""
            if field.is_required()
            else f" = ``{field.get_default(call_default_factory=True)!r}``"
        )
        lines += [f"``{path}{key}``{default}", f"    {_escaped(field.description or '')}", ""]
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")


def api_page() -> str:
    """Return the page of public names."""
    lines = ["Public names", "============", "", ".. code-block:: python", ""]
    lines += ["   import meanfield as mf", ""]
    shown: list[Any] = []
    for title, modules in _PARTS:
        lines += [title, "-" * len(title), ""]
        for module in modules:
            lines += [f".. automodule:: meanfield.{module}", ""]
            for path, value in _public(module).items():
                if all(value is not other for other in shown):  # at its first home alone
                    lines += [*_entry(path, value), ""]
                    shown.append(value)
    return "\n".join(lines) + "\n"


def _public(module: str) -> dict[str, Any]:
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


def _entry(path: str, value: Any) -> list[str]:
    """Return the lines of one public object; a table of names, or a number, is spelt out."""
    if inspect.isclass(value):
        # What scikit-learn adds refers to pages of its own.
        hidden = "set_fit_request, set_partial_fit_request, set_score_request"
        return [f".. autoclass:: {path}", "   :members:", f"   :exclude-members: {hidden}"]
    if callable(value):
        return [f".. autofunction:: {path}"]
    shown = value if isinstance(value, Iterable) else [value]
    return [f".. data:: {path}", "", "   " + ", ".join(f"``{name}``" for name in shown)]


def table(path: Path) -> str:
    """Return a committed result in Markdown, one paragraph and one table, for these pages."""
    lines = path.read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    words = [line.replace("`", "``") for line in lines if line[:1] != "|"]
    out = ["\n".join(words).strip(), "", ".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        first, *others = (_escaped(cell).replace("`", "``") for cell in row)
        out += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(out) + "\n"


def write_pages(app: Sphinx) -> None:
    """Write the pages before they are read."""
    docs = Path(app.srcdir)
    about = "Each is one command and one configuration."
    _write_folder(docs / "studies", "Studies", about, STUDIES, study_page)
    about = "The library against what is known exactly, in short scripts."
    _write_folder(docs / "validation", "Validation", about, validation.NAMES, validation_page)
    tables = docs / "tables"
    tables.mkdir(exist_ok=True)
    for name in ("estimators", "cluster", "reliability"):
        _write(tables / f"{name}.inc", table(ROOT / "results" / name / "README.md"))
    _write(docs / "api.rst", api_page())


def _write_folder(
    folder: Path, title: str, about: str, names: Iterable[str], page: Callable[[str], str]
) -> None:
    """Write a page for every name, and one that lists them; delete those of names that went."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.rst"):
        if old.stem not in {*names, "index"}:
            old.unlink()
    for name in names:
        _write(folder / f"{name}.rst", page(name))
    lines = [title, "=" * len(title), "", about, "", ".. toctree::", "   :maxdepth: 1", ""]
    _write(folder / "index.rst", "\n".join([*lines, *(f"   {name}" for name in names), ""]))


def _write(path: Path, text: str) -> None:
    """Write what has changed, so that the rest is not built again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages at the start of a build."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
