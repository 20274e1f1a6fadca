"""Formulas as MathML, which every browser shows without a script and without a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)

# Formulas in docstrings are written to be read as they stand; the converter wants commands.
_COMMANDS = {
    "∫": "int", "∂": "partial", "∇": "nabla", "⟨": "langle", "⟩": "rangle", "∈": "in",
    "≤": "leq", "≥": "geq", "→": "to", "←": "leftarrow", "∞": "infty", "×": "times", "±": "pm",
    "⊤": "top", "⊗": "otimes", "∝": "propto", "≈": "approx", "√": "surd", "…": "ldots",
    "·": "cdot", "Σ": "Sigma", "µ": "mu", "ℓ": "ell", "‖": "|", "∼": "sim", "≠": "neq",
    "∑": "sum", "²": "^2", "−": "-", "½": "tfrac12", "∘": "circ", "′": "prime",
}  # fmt: skip


def _mathml(formula: str, block: bool, where: nodes.Node) -> str:
    # The brackets of MathML grow by themselves.
    text = re.sub(r"\\[bB]ig(?![a-z])", "", formula)
    for character, command in _COMMANDS.items():
        plain = command[0] in "^-"
        text = text.replace(character, command if plain else rf"\{command} ")
    if block and r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{align*}}{text}\end{{align*}}"
    try:
        return latex2mathml.tex2mathml(text, as_block=block)
    except (MathError, AttributeError) as error:
        _LOGGER.warning("The formula %r cannot be shown: %s", formula, error, location=where)
        return f"<code>{formula}</code>"


def visit_inline(self: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(_mathml(node.astext(), False, node))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    self.body.append(f'<div class="formula">{_mathml(node.astext(), True, node)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
