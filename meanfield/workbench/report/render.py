"""One self-contained page that says what a study found and what it means."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from meanfield.flow.cost import duration
from meanfield.system.provenance import Provenance
from meanfield.workbench.blocks import Block
from meanfield.workbench.report.formatting import typeset

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["typeset"] = typeset


def render_report(
    summary: Mapping[str, Any],
    blocks: Sequence[Block],
    images: Mapping[str, bytes],
    config: str,
    provenance: Provenance,
) -> str:
    """Return the page, as HTML that loads nothing from anywhere; `images` are PNGs by name."""
    versions = [["Library", "Version"], *map(list, provenance.versions.items())]
    if provenance.commit is not None:
        versions.append(["Commit", provenance.commit])
    kind = f"meanfield {summary['study']}"
    return _TEMPLATES.get_template("page.html").render(
        title=summary["title"] or kind,
        kind=kind,
        study=summary["study"],
        blocks=blocks,
        kind_of=lambda block: type(block).__name__,
        images={name: base64.b64encode(png).decode() for name, png in images.items()},
        config=config,
        versions=versions,
        machine=provenance.machine,
        duration=duration(provenance.seconds),
    )
