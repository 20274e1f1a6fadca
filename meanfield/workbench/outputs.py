"""What a study leaves in its folder, each file whole or absent, and the manifest last."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from meanfield import plots
from meanfield.errors import CheckpointError, ConfigError
from meanfield.system import manifest, storage
from meanfield.system.provenance import Provenance
from meanfield.system.records import read_record
from meanfield.system.texts import decode
from meanfield.system.threads import fixed_blas
from meanfield.system.version import VERSION
from meanfield.workbench.blocks import figures
from meanfield.workbench.config import StudyConfig, beside
from meanfield.workbench.folder import CONFIG, DATA
from meanfield.workbench.headline import SummaryRecord
from meanfield.workbench.held import READING, unlike
from meanfield.workbench.report.render import render_report
from meanfield.workbench.sections.data import DataRecord, data_blocks
from meanfield.workbench.study import Outcome, Study
from meanfield.workbench.toml import to_toml

Spread = Callable[[Callable[[Any], Any], list[Any]], Iterable[Any]]
"""Return what a function gives for each of some values, in order, as `map` does."""

SUMMARY, REPORT = "summary.json", "report.html"
_FIGURE = re.compile(r"\w[\w.+-]*")


def write_config(folder: Path, config: StudyConfig) -> None:
    """Write the complete configuration."""
    header = (
        f"# Complete configuration of the study {config.study} (meanfield {VERSION}).\n"
        f"# Run it again:  meanfield {config.study} config.toml --out NEW_FOLDER\n\n"
    )
    text = to_toml(beside(config, folder.resolve()))
    storage.write_atomic(folder / CONFIG, (header + text).encode())


def write_data(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of the data: what raw inputs need before saved particles are applied."""
    storage.write_atomic(folder / DATA, (json.dumps(record, ensure_ascii=False) + "\n").encode())


def write_outputs(
    folder: Path,
    study: Study,
    config: StudyConfig,
    outcome: Outcome,
    seconds: float,
    *,
    spread: Spread | None,
) -> dict[str, Any]:
    """Write everything that a finished study leaves behind; the result alone without `spread`.

    Figures are drawn by ``spread(draw, figures)``. Returns the summary.
    """
    summary = {
        "study": study.name,
        "title": config.title,
        "version": VERSION,
        "numbers": {key: number.to_summary() for key, number in outcome.numbers.items()},
    }
    storage.write_dataset(folder / study.result, outcome.dataset)
    if spread is not None:
        _write_views(folder, study, summary, Provenance.here(seconds), spread)
    return summary


@fixed_blas()
def refresh_report(folder: str | os.PathLike[str], get_study: Callable[[str], Study]) -> Path:
    """Draw the figures and write the report again, from the saved results alone.

    Returns the path of the report; a FileNotFoundError tells of a folder without a finished study.
    """
    folder = Path(folder)
    files, about = manifest.read_manifest(folder)
    manifest.verify(folder, [CONFIG, SUMMARY])
    saved = read_record(folder / SUMMARY, SummaryRecord)
    try:
        study = get_study(saved.study)
        provenance = TypeAdapter(Provenance).validate_json(json.dumps(about), strict=True)
    except ConfigError as error:
        raise CheckpointError(
            f"{folder / SUMMARY} is of no study of this version: {error}"
        ) from None
    except ValidationError:
        raise CheckpointError(
            storage.refusal(folder / manifest.MANIFEST, "does not say how the results came about")
        ) from None
    manifest.verify(folder, [study.result, *({DATA} & files.keys())])
    if any(number.note_codes is None for number in saved.numbers.values()):
        raise CheckpointError(
            f"{folder} was made by an earlier version, which kept its results in another form; run "
            "its config.toml again into a new folder."
        )
    try:
        _write_views(folder, study, saved.model_dump(exclude_unset=True), provenance)
    except CheckpointError:
        raise
    # What a report reads is the study's own; a file with other variables, of other shapes, whose
    # digest is right, fails wherever that is noticed.
    except READING as error:
        raise CheckpointError(
            storage.refusal(folder / study.result, unlike(f"the study {study.name} leaves", error))
        ) from error
    return folder / REPORT


def _write_views(
    folder: Path,
    study: Study,
    summary: dict[str, Any],
    provenance: Provenance,
    spread: Spread = map,
) -> None:
    """Write the figures, the report and the manifest; name the first figure in the summary."""
    # Read back, so that the first report shows what any later one will.
    dataset = storage.read_dataset(folder / study.result)
    blocks = study.report(summary, dataset)
    for figure in figures(blocks):
        if not _FIGURE.fullmatch(figure.name):
            what = f"asks for a figure {figure.name[:60]!r}, which is no name of a file"
            raise CheckpointError(storage.refusal(folder / study.result, what))
    shown = next(figures(blocks), None)
    if shown is not None:
        summary["picture"] = {"name": shown.name, "caption": shown.caption}
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    storage.write_atomic(folder / SUMMARY, text.encode())
    images: dict[str, bytes] = {}
    names = [CONFIG, SUMMARY, study.result, REPORT]
    if (folder / DATA).exists():  # not every study is on data
        blocks = [*blocks, *data_blocks(read_record(folder / DATA, DataRecord))]
        names.append(DATA)
    drawn = list(figures(blocks))
    draw = partial(_draw, dataset)
    for figure, (png, pdf) in zip(drawn, spread(draw, [f.plot for f in drawn]), strict=True):
        images[figure.name] = png
        storage.write_atomic(folder / f"{figure.name}.png", images[figure.name])
        storage.write_atomic(folder / f"{figure.name}.pdf", pdf)
        names += [f"{figure.name}.png", f"{figure.name}.pdf"]
    try:
        config = decode(storage.read_file(folder / CONFIG))
    except UnicodeDecodeError:
        raise CheckpointError(storage.refusal(folder / CONFIG, "is no text")) from None
    page = render_report(summary, blocks, images, config, provenance)
    storage.write_atomic(folder / REPORT, page.encode())
    manifest.write_manifest(folder, names, asdict(provenance))


def _draw(dataset: Any, plot: Callable[[Any, Any], Any]) -> tuple[bytes, bytes]:
    """Draw one figure of a result, as PNG and as PDF."""
    return plots.render(plot, dataset)
