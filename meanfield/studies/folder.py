"""The folder of a study: who may write to it, whose work it holds, and what is done."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meanfield import __version__, storage
from meanfield.errors import CheckpointError, ConfigError
from meanfield.studies.base import Arrays

WORK = "work"
_STAMP = "stamp.json"
_LOCK = "lock"
_ENDING = ".mfs"


@dataclass(frozen=True)
class Stamp:
    """What the numbers of a study depend on; a folder belongs to one stamp.

    Parameters
    ----------
    study : str
        Name of the study.
    config : dict
        Its configuration without what only words depend on.
    data : str
        Fingerprint of the data.
    version : str
        Version of the package.
    """

    study: str
    config: dict[str, Any]
    data: str
    version: str = __version__

    @property
    def text(self) -> str:
        """The stamp as it is written."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def difference(self, begun: dict[str, Any]) -> str | None:
        """Say how this stamp differs from the one that a folder was begun with."""
        mine = json.loads(self.text)
        if begun == mine:
            return None
        before, now = _flat(begun.get("config", {})), _flat(mine["config"])
        if begun.get("study") != self.study:
            return f"by the study {begun.get('study')!r}, and this is {self.study!r}"
        for key in sorted(before | now):
            if before.get(key) != now.get(key):
                return f"with {key} = {before.get(key)!r}, and now it is {now.get(key)!r}"
        if begun.get("version") != self.version:
            return f"by version {begun.get('version')}, and this is version {self.version}"
        return "with other data than the configuration now points to"


class StudyFolder:
    """A folder that this process alone writes to; see `claim`.

    Parameters
    ----------
    path : Path
        The folder.
    stamp : Stamp
        What it belongs to.
    """

    def __init__(self, path: Path, stamp: Stamp):
        self.path = path
        self._stamp = stamp

    def checkpoint(self, key: str) -> Path:
        """Return the file in which a unit may keep its own progress."""
        return self.path / WORK / f"{key}.running"

    def save_unit(self, key: str, arrays: Arrays, seconds: float) -> None:
        """Keep the result of a unit; its own progress is then no longer needed."""
        meta = {"unit": key, "stamp": self._stamp.text, "seconds": seconds}
        storage.save_arrays(self._unit(key), arrays, meta)
        self.checkpoint(key).unlink(missing_ok=True)

    def load_unit(self, key: str) -> tuple[Arrays, float] | None:
        """Return the arrays of a finished unit and the seconds that it took, or None.

        Raises
        ------
        CheckpointError
            The file is truncated or altered, or holds another unit or the work of another study.
        """
        path = self._unit(key)
        if not path.exists():
            return None
        arrays, meta = storage.load_arrays(path)
        if meta.get("unit") != key or meta.get("stamp") != self._stamp.text:
            raise CheckpointError(
                f"{path} holds other work than its name says; delete it and run again with "
                "--resume, and only that work is redone."
            )
        return arrays, meta["seconds"]

    def _unit(self, key: str) -> Path:
        return self.path / WORK / f"{key}{_ENDING}"


@contextmanager
def claim(path: str | os.PathLike[str], stamp: Stamp, *, resume: bool) -> Iterator[StudyFolder]:
    """Make or reopen the folder of a study and keep every other process out of it meanwhile.

    Parameters
    ----------
    path : path-like
        The folder.
    stamp : Stamp
        What is to be run.
    resume : bool
        Whether work that the folder holds may be continued.

    Yields
    ------
    StudyFolder
        The folder, until the block ends; a crash frees it too.

    Raises
    ------
    ConfigError
        The folder cannot be written, is in use, holds other files, or the work of another stamp.
    CheckpointError
        The folder's own record is damaged.
    """
    path = Path(path)
    work = path / WORK
    try:
        foreign = path.is_dir() and {entry.name for entry in path.iterdir()} - {WORK}
        if foreign and not (work / _STAMP).exists():
            raise ConfigError(
                f"{path} holds other files, such as {min(foreign)!r}, and no study; "
                "give --out a new folder."
            )
        work.mkdir(parents=True, exist_ok=True)
        lock = open(work / _LOCK, "a")  # noqa: SIM115 (closed below: that frees the lock)
    except OSError as error:
        raise ConfigError(
            f"Cannot write to {path} ({error.strerror}); give --out a folder that you may write to."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{path} is in use by another run; wait for it or give --out another folder."
            ) from None
        _check_stamp(work / _STAMP, stamp, resume)
        storage.remove_partial(work)
        storage.remove_partial(path)
        yield StudyFolder(path, stamp)


def _check_stamp(file: Path, stamp: Stamp, resume: bool) -> None:
    """Put the stamp on a new folder; refuse a folder that belongs to something else."""
    folder = file.parent.parent
    if not file.exists():
        storage.write_atomic(file, stamp.text.encode())
        return
    if not resume:
        raise ConfigError(
            f"{folder} already holds a study; add --resume to continue it, or give --out "
            "another folder."
        )
    try:
        begun = json.loads(file.read_bytes())
        difference = stamp.difference(begun)
    except (ValueError, AttributeError, TypeError):
        raise CheckpointError(
            f"{file} is truncated or was altered; give --out a new folder and run without --resume."
        ) from None
    if difference is not None:
        raise ConfigError(
            f"{folder} was begun {difference}; undo that change, or give --out a new folder."
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
