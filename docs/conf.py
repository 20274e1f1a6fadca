"""Settings of the pages: `scripts/docs` builds them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import meanfield

project = "meanfield"
author = copyright = "The meanfield developers"
release = version = meanfield.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "mathml",
    "generate",
]
exclude_patterns = ["_build"]
default_role = "code"
html_theme = "alabaster"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "description": "Mean-field theory of two-layer networks",
    "page_width": "80rem",
    "fixed_sidebar": True,
}
html_show_sourcelink = False

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
