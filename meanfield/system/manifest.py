"""``manifest.json``: the SHA-256 of every output in a folder of results, and of itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from meanfield.errors import CheckpointError
from meanfield.system.records import Record, read_record
from meanfield.system.storage import file_digest, plain_file, refusal, write_atomic

MANIFEST = "manifest.json"

# Names of files within the folder, on any system: no root, no drive, no step upwards.
_NAME = re.compile(r"(?!.*\.\.(/|$))(?![/.]+$)[^/\\:\x00-\x1f][^\\:\x00-\x1f]*")
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Manifest(Record):
    format: Literal[2]
    about: dict[str, Any]
    sha256: dict[str, _Digest]
    self: _Digest


def write_manifest(
    folder: str | os.PathLike[str], names: Iterable[str], about: Mapping[str, Any] | None = None
) -> None:
    """Record the SHA-256 of the named files of `folder` in its ``manifest.json``.

    `about` says how the files came about: anything that JSON can hold.
    """
    folder = Path(folder)
    files = {name: file_digest(folder / name) for name in sorted(names)}
    content = {"format": 2, "about": dict(about or {}), "sha256": files}
    content["self"] = _own_digest(content)
    write_atomic(folder / MANIFEST, (json.dumps(content, indent=2) + "\n").encode())


def read_manifest(folder: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what `write_manifest` recorded: SHA-256 by name, and how the files came about.

    Without a manifest (the study has not finished) this is a FileNotFoundError, with one that
    cannot be read a CheckpointError.
    """
    path = Path(folder) / MANIFEST
    found = read_record(path, _Manifest)
    if found.self != _own_digest(found.model_dump(exclude={"self"})):
        raise CheckpointError(refusal(path, "was altered"))
    for name in found.sha256:
        if not _NAME.fullmatch(name):
            raise CheckpointError(
                refusal(path, f"lists {name[:60]!r}, which is no file within its folder")
            )
    return found.sha256, found.about


def _own_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def verify(folder: str | os.PathLike[str], names: Iterable[str] | None = None) -> list[str]:
    """Check outputs of `folder`, all by default, against its manifest; return their names.

    A file that is missing, truncated or altered is a CheckpointError; else as `read_manifest`.
    """
    folder = Path(folder)
    files, _ = read_manifest(folder)
    checked = list(files) if names is None else list(names)
    for name in checked:
        output = folder / name
        if name not in files or not os.path.lexists(output):
            raise CheckpointError(f"{output} is missing; resume, and it is written again.")
        if not plain_file(output).resolve().is_relative_to(folder.resolve()):
            raise CheckpointError(refusal(output, "lies outside of its folder"))
        if file_digest(output) != files[name]:
            raise CheckpointError(refusal(output, "is truncated or was altered"))
    return checked
