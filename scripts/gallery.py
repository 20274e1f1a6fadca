"""python -m scripts.gallery: write the gallery of the README anew, from the committed results."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from docs.generate import ROOT, committed_result
from meanfield.studies import STUDIES
from scripts.validation import NAMES

README = ROOT / "README.md"
BEGIN, END = "<!-- gallery: python -m scripts.gallery -->\n", "<!-- end of gallery -->\n"
_COLUMNS = 3


def gallery() -> str:
    """Return one picture per study that has a committed result, and per validation script."""
    studies = [
        _cell(name, STUDIES[name].purpose, found[0], _command(found[0].parent))
        for name in STUDIES
        if (found := committed_result(name)) is not None
    ]
    proofs = [
        _cell(name, _first_line(name), path, f"scripts/validate {name}")
        for name in NAMES
        if (path := ROOT / "results" / name / f"{name}.png").exists()
    ]
    return f"{_table(studies)}\nValidation:\n\n{_table(proofs)}"


def _table(cells: list[str]) -> str:
    rows = [cells[i : i + _COLUMNS] for i in range(0, len(cells), _COLUMNS)]
    lines = ["<tr>\n" + "\n".join(row) + "\n</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>\n"


def _first_line(name: str) -> str:
    script = importlib.import_module(f"scripts.validation.{name}")
    return (script.__doc__ or "").partition("\n")[0]


def _cell(name: str, purpose: str, figure: Path, command: str) -> str:
    """Return a picture with what it answers and the command that made it."""
    source = figure.relative_to(ROOT)
    return (
        f'<td width="33%" valign="top"><b>{name}</b><br>{purpose}<br>'
        f'<img src="{source}" alt="{name}" width="100%"><br><code>{command}</code></td>'
    )


def _command(folder: Path) -> str:
    """Return the command that stands at the head of the configuration of a result."""
    config = ROOT / "scripts" / "studies" / f"{folder.name}.toml"
    return re.findall(r"^#     (.+)$", config.read_text(), re.MULTILINE)[0]


def with_gallery(text: str) -> str:
    """Return the README with its gallery made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + gallery() + END + after


if __name__ == "__main__":
    README.write_text(with_gallery(README.read_text()))
