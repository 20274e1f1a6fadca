"""What a study leaves in its folder, each file whole or absent, and the manifest last."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meanfield import plots
from meanfield.errors import CheckpointError
from meanfield.system import storage
from meanfield.system.provenance import Provenance
from meanfield.system.texts import read_text
from meanfield.system.threads import fixed_blas
from meanfield.system.version import VERSION
from meanfield.workbench.blocks import figures
from meanfield.workbench.config import StudyConfig
from meanfield.workbench.folder import CONFIG, DATA
from meanfield.workbench.report.render import render_report
from meanfield.workbench.sections.data import data_blocks
from meanfield.workbench.study import Outcome, Study
from meanfield.workbench.toml import to_toml

SUMMARY, RESULT, REPORT = "summary.json", "result.nc", "report.html"


def write_config(folder: Path, config: StudyConfig) -> None:
    """Write the complete configuration."""
    header = (
        f"# Complete configuration of the study {config.study} (meanfield {VERSION}).\n"
        f"# Run it again:  meanfield {config.study} config.toml --out NEW_FOLDER\n\n"
    )
    storage.write_atomic(folder / CONFIG, (header + to_toml(config)).encode())


def write_data(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of the data: what raw inputs need before saved particles are applied."""
    storage.write_atomic(folder / DATA, (json.dumps(record, ensure_ascii=False) + "\n").encode())


def write_outputs(
    folder: Path, study: Study, config: StudyConfig, outcome: Outcome, seconds: float
) -> dict[str, Any]:
    """Write everything that a finished study leaves behind; return the summary."""
    summary = {
        "study": study.name,
        "title": config.title,
        "version": VERSION,
        "numbers": {key: number.to_summary() for key, number in outcome.numbers.items()},
    }
    storage.write_dataset(folder / RESULT, outcome.dataset)
    _write_views(folder, study, summary, Provenance.here(seconds))
    return summary


@fixed_blas()
def refresh_report(folder: str | os.PathLike[str], get_study: Callable[[str], Study]) -> Path:
    """Draw the figures and write the report again, from the saved results alone.

    Returns the path of the report; a FileNotFoundError tells of a folder without a finished study.
    """
    folder = Path(folder)
    files, about = storage.read_manifest(folder)
    storage.verify(folder, [CONFIG, SUMMARY, RESULT, *({DATA} & files.keys())])
    summary = json.loads((folder / SUMMARY).read_bytes())
    study = get_study(summary["study"])
    if any("note_codes" not in number for number in summary["numbers"].values()):
        raise CheckpointError(
            f"{folder} was made by an earlier version, which kept its results in another form; run "
            "its config.toml again into a new folder."
        )
    try:
        provenance = Provenance(**about)
    except TypeError:
        raise CheckpointError(
            f"{folder / storage.MANIFEST} was altered; run the study again with --resume."
        ) from None
    _write_views(folder, study, summary, provenance)
    return folder / REPORT


def _write_views(
    folder: Path, study: Study, summary: dict[str, Any], provenance: Provenance
) -> None:
    """Write the figures, the report and the manifest; name the first figure in the summary."""
    # Read back, so that the first report shows what any later one will.
    dataset = storage.read_dataset(folder / RESULT)
    blocks = study.report(summary, dataset)
    shown = next(figures(blocks), None)
    if shown is not None:
        summary["picture"] = {"name": shown.name, "caption": shown.caption}
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    storage.write_atomic(folder / SUMMARY, text.encode())
    images: dict[str, bytes] = {}
    names = [CONFIG, SUMMARY, RESULT, REPORT]
    if (folder / DATA).exists():  # not every study is on data
        blocks = [*blocks, *data_blocks(json.loads((folder / DATA).read_bytes()))]
        names.append(DATA)
    for figure in figures(blocks):
        images[figure.name], pdf = plots.render(figure.plot, dataset)
        storage.write_atomic(folder / f"{figure.name}.png", images[figure.name])
        storage.write_atomic(folder / f"{figure.name}.pdf", pdf)
        names += [f"{figure.name}.png", f"{figure.name}.pdf"]
    config = read_text(folder / CONFIG)
    page = render_report(summary, blocks, images, config, provenance)
    storage.write_atomic(folder / REPORT, page.encode())
    storage.write_manifest(folder, names, asdict(provenance))
