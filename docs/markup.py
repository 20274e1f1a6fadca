"""Words of reStructuredText."""

from __future__ import annotations


def heading(title: str, line: str = "=") -> list[str]:
    """Return a title with the line below it."""
    return [title, line * len(title)]


def escaped(text: str) -> str:
    """Return a text whose characters mean themselves in reStructuredText."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")
