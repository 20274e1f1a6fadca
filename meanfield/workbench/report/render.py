"""One self-contained page that says what a study found and what it means."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from meanfield.system.provenance import Provenance
from meanfield.workbench.report.page import PAGE
from meanfield.workbench.study import Block, Figure, Finding, Heading, Table, Text


def render_report(
    summary: Mapping[str, Any],
    blocks: Sequence[Block],
    images: Mapping[str, bytes],
    config: str,
    provenance: Provenance,
) -> str:
    """Return the page; it loads nothing from anywhere.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``.
    blocks : sequence of Block
        The report of the study.
    images : mapping of str to bytes
        PNG of each figure of the report, by name.
    config : str
        The complete configuration.
    provenance : Provenance
        How the numbers came about.

    Returns
    -------
    str
        HTML.
    """
    kind = f"meanfield {summary['study']}"
    versions = [["Library", "Version"], *([name, v] for name, v in provenance.versions.items())]
    if provenance.commit is not None:
        versions.append(["Commit", provenance.commit])
    return PAGE.substitute(
        title=escape(summary["title"] or kind),
        kind=escape(kind),
        body="\n".join(_block(block, images) for block in blocks),
        command=escape(f"meanfield {summary['study']} config.toml --out NEW_FOLDER"),
        config=escape(config),
        versions=_table(versions),
        machine=escape(provenance.machine),
        duration=escape(duration(provenance.seconds)),
    )


def duration(seconds: float) -> str:
    """Return a length of time in the units that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _block(block: Block, images: Mapping[str, bytes]) -> str:
    match block:
        case Finding(text):
            return f'<p class="finding">{escape(text)}</p>'
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Table(rows, caption):
            return f"{_table(rows)}<p class='caption'>{escape(caption)}</p>"
        case Figure(name, _, caption):
            data = base64.b64encode(images[name]).decode()
            return (
                f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
    raise TypeError(f"A report has no block {type(block).__name__}.")


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    inside = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{inside}</tbody></table></div>"
    )
