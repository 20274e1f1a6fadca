"""python docs/check_site.py: follow every link of the built pages, and try words in their search.

Fails when a link, picture or anchor leads nowhere, something is loaded from elsewhere, a word that
readers look for finds no page, or, where Chromium is there, MathJax cannot read a formula.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

SITE = Path(__file__).parent / "_build"
#: As the index has them, without their endings.
WORDS = ("custom", "callback", "sweep", "categor", "phase", "diagram", "activ", "loss", "minibatch")
_ATTRIBUTE = re.compile(r'\s(href|src|id)="([^"]*)"')
_FORMULA = re.compile(r'<(?:span|div) class="math [^>]*>.*?</(?:span|div)>', re.DOTALL)


def main() -> int:
    """Print what is wrong; return how much."""
    pages = {path: path.read_text() for path in SITE.rglob("*.html")}
    found = {path: _ATTRIBUTE.findall(text) for path, text in pages.items()}
    places = {path: {v for name, v in names if name == "id"} for path, names in found.items()}
    wrong = [
        f"{path.relative_to(SITE)}: {value}"
        for path, names in found.items()
        for name, value in names
        if name != "id" and not _leads_somewhere(path, name, html.unescape(value), places)
    ]
    index = (SITE / "searchindex.js").read_text()
    terms = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))["terms"]
    wrong += [f"searching finds nothing for {word}" for word in WORDS if word not in terms]
    wrong += _unreadable_formulas(pages.values())
    print("\n".join(wrong) or f"{len(pages)} pages: every link leads somewhere.")
    return min(len(wrong), 1)


def _leads_somewhere(page: Path, name: str, target: str, places: dict[Path, set[str]]) -> bool:
    if re.match(r"https?:|mailto:|data:", target):
        return name == "href" or target.startswith("data:")  # a link may lead out, a file may not
    file, _, anchor = target.partition("#")
    path = (page.parent / unquote(file.partition("?")[0])).resolve() if file else page
    known = not anchor or path not in places or unquote(anchor) in places[path] | {"top"}
    return path.exists() and known


def _unreadable_formulas(pages: Iterable[str]) -> list[str]:
    """Return the formulas that MathJax cannot read, all shown on one page in Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    formulas = sorted({formula for page in pages for formula in _FORMULA.findall(page)})
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "formulas.html"
        script = f'<script src="file://{SITE}/_static/tex-svg.js"></script>'
        page.write_text(f'<meta charset="utf-8">{script}{"".join(formulas)}')
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += ["--virtual-time-budget=60000", "--dump-dom", f"file://{page}"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if "<mjx-container" not in shown:
        return ["Chromium did not show the formulas"]
    return [f"formula: {text}" for text in re.findall(r'data-mjx-error="([^"]*)"', shown)]


if __name__ == "__main__":
    sys.exit(main())
