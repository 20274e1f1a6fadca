"""Settings of the pages: `scripts/docs` builds them."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import meanfield

project = "meanfield"
author = copyright = "The meanfield developers"
release = version = meanfield.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "generate",
]
# What is executed is read where sphinx-gallery writes it, below `made`.
exclude_patterns = ["_build", "gallery", "tutorial", "theory", "made/*/*.ipynb"]
templates_path = ["templates"]
default_role = "code"

html_theme = "furo"
html_title = "meanfield"
html_static_path = ["static", str(files("mathjax") / "static/mathjax/es5/tex-svg.js")]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"font-stack--monospace": "ui-monospace, Menlo, Consolas, monospace"},
}

# MathJax lies in the site, so that it needs no network; letters that its fonts lack are replaced.
mathjax_path = "tex-svg.js"
mathjax3_config = {"svg": {"fontCache": "global"}, "options": {"enableMenu": False}}
_LETTERS = str.maketrans({"µ": "μ", "²": "^2", "′": "'"})

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
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "doc_module": ("meanfield",),
    "reference_url": {"meanfield": None},
    "backreferences_dir": "made/used",
    "show_memory": False,
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


def setup(app: Sphinx) -> None:
    """Have the letters of formulas replaced as pages are read."""
    app.connect("doctree-read", letters)
