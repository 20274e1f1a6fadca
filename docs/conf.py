"""Settings of the pages: `scripts/docs` builds them."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from reference import every_name

import meanfield

project = "meanfield"
author = copyright = "The meanfield developers"
release = version = meanfield.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "generate",
]
# What is executed is read where sphinx-gallery writes it, below `made`.
exclude_patterns = ["_build", "gallery", "tutorial", "theory", "made/*/*.ipynb"]
exclude_patterns += ["**sg_execution_times.rst"]  # loads scripts from elsewhere
templates_path = ["templates"]
default_role = "code"

html_theme = "furo"
html_title = "meanfield"
html_static_path = ["static", str(files("mathjax") / "static/mathjax/es5/tex-svg.js")]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
html_search_scorer = str(Path(__file__).parent / "search_scorer.js")
html_theme_options = {
    "light_css_variables": {"font-stack--monospace": "ui-monospace, Menlo, Consolas, monospace"},
}

# MathJax lies in the site, so that it needs no network; letters that its fonts lack are replaced.
mathjax_path = "tex-svg.js"
mathjax3_config = {"svg": {"fontCache": "global"}, "options": {"enableMenu": False}}
_LETTERS = str.maketrans({"µ": "μ", "²": "^2", "′": "'"})

# Names within single backticks that have a page.
_NAME = re.compile(r"(?<![`:])`mf\.([\w.]+)`(?!`)")
_NAMES = {path.partition(".")[2] for path in every_name()}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["tutorial", "theory", "gallery"],
    "gallery_dirs": ["made/tutorial", "made/theory", "made/gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib", "scraper.animations"),
    "reset_modules": ("matplotlib", "scraper.layout"),
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib|list",  # what a line that draws ends in
    "doc_module": ("meanfield",),
    "reference_url": {"meanfield": None},
    "backreferences_dir": "made/used",
    "show_memory": False,
    "parallel": True,  # as many scripts at once as `-j` says
    "matplotlib_animations": (True, "jshtml"),
    "download_all_examples": False,
    "show_signature": False,
}


def letters(app: Sphinx, tree: nodes.document) -> None:
    """Replace letters of formulas that MathJax would take from another font."""
    for node in [*tree.findall(nodes.math), *tree.findall(nodes.math_block)]:
        text = node.astext().translate(_LETTERS)
        node.children = []
        node += nodes.Text(text)


def linked(app: Sphinx, page: str, text: list[str]) -> None:
    """Have `mf.name` lead to the page of that name."""
    text[0] = _NAME.sub(_link, text[0])


def _link(found: re.Match[str]) -> str:
    name = found[1]
    return f":py:obj:`mf.{name} <meanfield.{name}>`" if name in _NAMES else found[0]


def setup(app: Sphinx) -> None:
    """Have names linked, and the letters of formulas replaced, as pages are read."""
    app.connect("source-read", linked)
    app.connect("doctree-read", letters)
