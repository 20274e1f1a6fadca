"""Pages that write themselves: one per study and validation script, keys, and public names."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))  # for scripts/gallery.py, which imports this

from markup import escaped, heading
from reference import key_list, keys_page, reference_pages

from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import parse
from meanfield.workbench.toml import to_toml
from scripts import validation
from scripts.validation.__main__ import described
from scripts.validation.output import read_numbers

ROOT = Path(__file__).parents[1]
#: Not in git.
MADE = ROOT / "docs" / "made"


def study_page(name: str) -> str:
    """Return the page of a study: what it does, how to run it, every key, a figure."""
    study = get_study(name)
    module = inspect.getmodule(study.prepare)
    config = parse(study.config, dict(study.example))
    lines = [*heading(f"{name}: {_without_stop(STUDIES[name].purpose)}"), ""]
    lines += [_first_paragraphs(module), ""]
    lines += [f"In a few lines of Python: :doc:`/made/gallery/study_{name}`. By command:", ""]
    lines += [".. code-block:: console", ""]
    lines += [f"   meanfield new {name} > {name}.toml"]
    lines += [f"   meanfield {name} {name}.toml --out results/mine", ""]
    lines += _shown(name)
    lines += ["Configuration", "-------------", ""]
    lines += ["What `meanfield new` prints; it runs as it stands.", ""]
    lines += [".. code-block:: toml", ""]
    lines += [f"   {line}".rstrip() for line in to_toml(config).splitlines()]
    lines += ["", "Keys", "----", "", *key_list(type(config))]
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
    shutil.copy(figure, MADE / "studies" / f"{name}.png")
    lines = [f".. figure:: {name}.png", f"   :alt: {caption}", ""]
    return [*lines, f"   {escaped(caption)} (``scripts/study {figure.parent.name}``)", ""]


def validation_page(name: str) -> str:
    """Return the page of a validation script: what it shows, its numbers and picture, itself."""
    script = importlib.import_module(f"scripts.validation.{name}")
    about, _, rest = (inspect.getdoc(script) or "").partition("\n")
    folder = ROOT / "results" / name
    shutil.copy(folder / f"{name}.png", MADE / "validation" / f"{name}.png")
    lines = [*heading(f"{name}: {_without_stop(about)}"), "", rest.strip(), ""]
    lines += [".. code-block:: console", "", f"   scripts/validate {name}", ""]
    lines += [f".. figure:: {name}.png", f"   :alt: {script.TITLE}", "", f"   {script.TITLE}.", ""]
    lines += [".. list-table::", "   :header-rows: 1", ""]
    rows = [("Number", "Value [95 % interval]")]
    rows += [(n.label, described(n)) for n in read_numbers(folder).values()]
    for row in rows:
        first, second = (escaped(cell) for cell in row)
        lines += [f"   * - {first}", f"     - {second}"]
    lines += ["", f".. literalinclude:: ../../../scripts/validation/{name}.py", ""]
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


def table(path: Path) -> str:
    """Return a committed result in Markdown, one paragraph and one table, for these pages."""
    lines = path.read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    words = [line.replace("`", "``") for line in lines if line[:1] != "|"]
    out = ["\n".join(words).strip(), "", ".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        first, *others = (escaped(cell).replace("`", "``") for cell in row)
        out += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(out) + "\n"


def _without_stop(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def write_pages(app: Sphinx, config: Any) -> None:
    """Write the pages before Sphinx looks for them."""
    for kind in ("studies", "validation", "tables", "reference"):
        (MADE / kind).mkdir(parents=True, exist_ok=True)
    for name in STUDIES:
        _write(MADE / "studies" / f"{name}.rst", study_page(name))
    for name in validation.NAMES:
        _write(MADE / "validation" / f"{name}.rst", validation_page(name))
    for name in ("estimators", "cluster", "reliability"):
        _write(MADE / "tables" / f"{name}.inc", table(ROOT / "results" / name / "README.md"))
    _write(MADE / "keys.rst", keys_page())
    for name, page in reference_pages().items():
        _write(MADE / "reference" / f"{name}.rst", page)


def _write(path: Path, text: str) -> None:
    """Write what has changed, so that the rest is not built again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages at the start of a build."""
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True}
