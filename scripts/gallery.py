"""python -m scripts.gallery: write the gallery of the README anew, from the committed results."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate import ROOT, committed_result
from meanfield.studies import STUDIES

README = ROOT / "README.md"
BEGIN, END = "<!-- gallery: python -m scripts.gallery -->\n", "<!-- end of gallery -->\n"
_COLUMNS = 3


def gallery() -> str:
    """Return a table of one picture per study that has a committed result."""
    cells = [
        _cell(name, found[0]) for name in STUDIES if (found := committed_result(name)) is not None
    ]
    rows = [cells[i : i + _COLUMNS] for i in range(0, len(cells), _COLUMNS)]
    lines = ["<tr>\n" + "\n".join(row) + "\n</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>\n"


def _cell(name: str, figure: Path) -> str:
    """Return a picture with what it answers and the command that made it."""
    command = _command(figure.parent.relative_to(ROOT / "results"))
    source = figure.relative_to(ROOT)
    return (
        f'<td width="33%" valign="top"><b>{name}</b><br>{STUDIES[name].purpose}<br>'
        f'<img src="{source}" alt="{name}" width="100%"><br><code>{command}</code></td>'
    )


def _command(folder: Path) -> str:
    """Return the command that stands at the head of the configuration of a result."""
    kind = "studies" if folder.parent == Path() else folder.parent
    config = ROOT / "scripts" / kind / f"{folder.name}.toml"
    return re.findall(r"^#     (.+)$", config.read_text(), re.MULTILINE)[0]


def with_gallery(text: str) -> str:
    """Return the README with its gallery made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + gallery() + END + after


if __name__ == "__main__":
    README.write_text(with_gallery(README.read_text()))
