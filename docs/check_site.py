"""python docs/check_site.py: follow every link of the built pages, and ask their search.

Fails when a link, picture or anchor leads nowhere, something is loaded from elsewhere, a word that
readers look for is found nowhere, or a page lacks what `questions.toml` looks for in it. Where
Chromium is there, the site's own search must also lead from the words of each question to its page,
and MathJax must be able to read every formula.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

SITE = Path(__file__).parent / "_build"
#: As the index has them, without their endings.
WORDS = ("custom", "callback", "sweep", "categor", "phase", "diagram", "activ", "loss", "minibatch")
QUESTIONS = tomllib.loads((Path(__file__).parent / "questions.toml").read_text())["question"]
_FIRST = 5
_ATTRIBUTE = re.compile(r'\s(href|src|id)="([^"]*)"')
_FORMULA = re.compile(r'<(?:span|div) class="math [^>]*>.*?</(?:span|div)>', re.DOTALL)
# The functions of Sphinx's own page of search, without the page.
_SEARCH = """<div id="search-progress"></div><pre id="found"></pre><script>
const ask = (words) => Search._performSearch(...Search._parseQuery(words)).reverse();
const pages = (words) => [...new Set(ask(words).map((result) => result[0]))];
document.getElementById("found").textContent = JSON.stringify(SEARCHES.map(pages));
</script>"""


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
    index = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    known = index["terms"].keys() | index["titleterms"].keys()
    wrong += [f"searching finds nothing for {word}" for word in WORDS if word not in known]
    wrong += _unanswered(pages)
    wrong += _in_chromium(pages.values())
    print("\n".join(wrong) or f"{len(pages)} pages: every link leads somewhere.")
    return min(len(wrong), 1)


def _leads_somewhere(page: Path, name: str, target: str, places: dict[Path, set[str]]) -> bool:
    if re.match(r"https?:|mailto:|data:", target):
        return name == "href" or target.startswith("data:")  # a link may lead out, a file may not
    file, _, anchor = target.partition("#")
    path = (page.parent / unquote(file.partition("?")[0])).resolve() if file else page
    known = not anchor or path not in places or unquote(anchor) in places[path] | {"top"}
    return path.exists() and known


def _unanswered(pages: dict[Path, str]) -> list[str]:
    """Return the questions whose page does not say what answers them."""
    wrong = []
    for question in QUESTIONS:
        text = re.sub(r"<[^>]*>", "", pages.get(SITE / f"{question['page']}.html", ""))
        if question["says"] not in " ".join(html.unescape(text).split()):
            wrong.append(f"{question['page']} lacks {question['says']!r}: {question['ask']}")
    return wrong


def _in_chromium(pages: Iterable[str]) -> list[str]:
    """Return the formulas that MathJax cannot read, and searches that do not find their page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    formulas = sorted({formula for page in pages for formula in _FORMULA.findall(page)})
    searches = [(words, question["page"]) for question in QUESTIONS for words in question["search"]]
    scripts = re.findall(r'<script[^>]* src="([^"?]*)', (SITE / "search.html").read_text())
    scripts = ["_static/tex-svg.js", *scripts]
    loaded = "".join(f'<script src="file://{SITE}/{script}"></script>' for script in scripts)
    asked = json.dumps([words for words, _ in searches])
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "site.html"
        searching = _SEARCH.replace("SEARCHES", asked)
        page.write_text(f'<meta charset="utf-8">{loaded}{"".join(formulas)}{searching}')
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += ["--virtual-time-budget=60000", "--dump-dom", f"file://{page}"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r'id="found">(\[.*?\])</pre>', shown)
    if "<mjx-container" not in shown or found is None:
        return ["Chromium did not show the formulas, or did not search"]
    wrong = [f"formula: {text}" for text in re.findall(r'data-mjx-error="([^"]*)"', shown)]
    for (words, page), first in zip(searches, json.loads(found[1]), strict=True):
        if page not in first[:_FIRST]:
            wrong.append(f"searching {words!r} leads to {first[:_FIRST]}, not to {page}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
