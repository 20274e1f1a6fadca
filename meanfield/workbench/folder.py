"""The folder of a study: who may write to it, whose work it holds, and what is done."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

from pydantic import ConfigDict, Field, ValidationError

from meanfield.errors import CheckpointError, ConfigError
from meanfield.system import manifest, storage
from meanfield.system.records import Real, Record, read_record
from meanfield.system.texts import decode
from meanfield.system.version import VERSION
from meanfield.workbench.digest import Digests
from meanfield.workbench.held import Held
from meanfield.workbench.study import Arrays, Unit

CONFIG, DATA = "config.toml", "data.json"
#: Key of the fingerprint of the data in `DATA`.
FINGERPRINT = "fingerprint"
WORK = "work"
_STAMP = "stamp.json"
_LOCK = "lock"
_ENDING = ".npz"
_RUNNING = ".running"


class _StampRecord(Record):
    """What ``stamp.json`` holds; see `Stamp`."""

    study: str
    config: dict[str, Any]
    data: str
    version: str


class _DataMark(Record):
    """What a folder without its work remembers of the data, in `DATA`."""

    model_config = ConfigDict(extra="ignore")

    fingerprint: str | None = None


class _UnitRecord(Record):
    """What stands beside the arrays of a finished unit."""

    unit: str
    stamp: str
    digest: str
    seconds: Annotated[Real, Field(ge=0)]


@dataclass(frozen=True)
class Stamp:
    """What the numbers of a study depend on; a folder belongs to one stamp."""

    study: str
    config: dict[str, Any]  # without what only words depend on
    data: str  # fingerprint
    version: str = VERSION
    late: tuple[str, ...] = ()  # dotted keys that finished work does not depend on

    @property
    def text(self) -> str:
        """The stamp as it is written."""
        fields = asdict(self)
        late = fields.pop("late")
        fields["config"] = _without(fields["config"], late)
        return json.dumps(fields, indent=1, sort_keys=True) + "\n"

    @property
    def whole(self) -> str:
        """The stamp with its late keys too."""
        return json.dumps(asdict(self), sort_keys=True)

    def difference(self, begun: dict[str, Any]) -> str | None:
        """Say how this stamp differs from the one that a folder was begun with."""
        if begun["study"] != self.study:
            return f"by the study {begun['study']!r}, and this is {self.study!r}"
        before, now = (_flat(_without(c, self.late)) for c in (begun["config"], self.config))
        for key in sorted((before | now).keys()):
            if before.get(key) != now.get(key):
                return f"with {key} = {before.get(key)!r}, and now it is {now.get(key)!r}"
        if begun.get("version", self.version) != self.version:
            return f"by version {begun['version']}, and this is version {self.version}"
        if begun.get("data", self.data) != self.data:
            return "with other data than the configuration now points to"
        return None


class StudyFolder:
    """A folder that this process alone writes to; see `claim`."""

    def __init__(self, path: Path, stamp: Stamp):
        self.path = path
        self._stamp = stamp
        self._digests: dict[str, str] = {}

    def checkpoint(self, key: str) -> Path:
        """Return the file in which a unit may keep its own progress."""
        return self.path / WORK / f"{key}.{self._digests[key][:8]}{_RUNNING}"

    def save_unit(self, key: str, arrays: Arrays, seconds: float) -> Arrays:
        """Keep the result of a unit; its own progress is then no longer needed.

        Returns the arrays as a resumed run would find them: the last bits of a sum may depend on
        how an array lies in memory, so that the originals must not be used.
        """
        meta = {"unit": key, "stamp": self._stamp.text, "digest": self._digests[key]}
        storage.save_arrays(self._unit(key), arrays, meta | {"seconds": seconds})
        self.checkpoint(key).unlink(missing_ok=True)
        return storage.load_arrays(self._unit(key))[0]

    def held_units(self, units: Sequence[Unit]) -> dict[str, Held]:
        """Return the finished units by key, without those that a late key has changed."""
        self._digests = Digests().units(units, self._stamp.whole)
        found = {unit.key: self._load_unit(unit.key) for unit in units}
        return {key: held for key, held in found.items() if held is not None}

    def _load_unit(self, key: str) -> Held | None:
        path = self._unit(key)
        if not os.path.lexists(path):
            return None
        arrays, meta = storage.load_arrays(path)
        try:
            saved = _UnitRecord.model_validate(meta)
        except ValidationError:
            what = "does not say which work it holds"
            raise CheckpointError(storage.refusal(path, what)) from None
        if saved.unit != key or saved.stamp != self._stamp.text:
            raise CheckpointError(
                f"{path} holds other work than its name says; delete it and run again with "
                "--resume, and only that work is redone."
            )
        if saved.digest != self._digests[key]:
            return None
        return Held(path, arrays, saved.seconds)

    def _unit(self, key: str) -> Path:
        return self.path / WORK / f"{key}{_ENDING}"


@contextmanager
def claim(path: str | os.PathLike[str], stamp: Stamp, *, resume: bool) -> Iterator[StudyFolder]:
    """Make or reopen the folder of a study; keep other processes out until the block ends.

    A crash frees it too. `resume` allows to continue the work that the folder holds.
    """
    path = Path(path)
    work = path / WORK
    try:
        _refuse_foreign(path)
        work.mkdir(parents=True, exist_ok=True)
        lock = open(work / _LOCK, "a")  # noqa: SIM115 (closed below: that frees the lock)
    except OSError as error:
        _refuse_dangling(path)
        raise ConfigError(
            f"Cannot write to {path} ({error.strerror}); give --out a folder that you may write to."
        ) from None
    with lock:
        _lock(lock, path)
        _check_stamp(path, stamp, resume)
        storage.remove_partial(work)
        storage.remove_partial(path)
        yield StudyFolder(path, stamp)


def _lock(file: TextIO, path: Path) -> None:
    """Keep other processes out until the file is closed, where the file system can do that."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # over NFS, a lock of another is the latter
        raise ConfigError(
            f"{path} is in use by another run; wait for it or give --out another folder."
        ) from None
    except OSError as error:
        if error.errno not in {*storage.UNSUPPORTED, errno.ENOLCK}:
            raise OSError(error.errno, error.strerror, file.name) from None
        storage.note_once(
            f"The file system of {path.absolute()} has no locks, so that nothing stops a second "
            "run into this folder: start none."
        )


def _refuse_dangling(path: Path) -> None:
    """Refuse a folder behind a link that leads nowhere."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise ConfigError(
                f"{part} is a link to {os.readlink(part)}, which is not there; make that folder, "
                "or give --out another one."
            )


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder that holds anything but a study."""
    if not path.is_dir() or any((path / mark).exists() for mark in (f"{WORK}/{_STAMP}", CONFIG)):
        return
    foreign = {entry.name for entry in path.iterdir()} - {WORK}
    if foreign:
        raise ConfigError(
            f"{path} holds other files, such as {min(foreign)!r}, and no study; give --out a new "
            "folder."
        )


def _holds_work(path: Path) -> bool:
    """Whether a folder holds a unit, finished or under way, or a result."""
    units = (entry.suffix in (_ENDING, _RUNNING) for entry in (path / WORK).iterdir())
    return any(units) or (path / manifest.MANIFEST).exists()


def _check_stamp(path: Path, stamp: Stamp, resume: bool) -> None:
    """Put the stamp on a new folder; refuse a folder that belongs to something else."""
    file = path / WORK / _STAMP
    begun = _begun(path)
    if begun is not None and not _holds_work(path):
        # Nothing is lost by beginning again, as after a step size that diverged at once.
        file.unlink(missing_ok=True)
        begun = None
    if begun is not None:
        if not resume:
            raise ConfigError(
                f"{path} already holds a study; add --resume to continue it, or give --out "
                "another folder."
            )
        difference = stamp.difference(begun)
        if difference is not None:
            raise ConfigError(
                f"{path} was begun {difference}; undo that change, or give --out a new folder."
            )
    if not file.exists():
        storage.write_atomic(file, stamp.text.encode())


def _begun(path: Path) -> dict[str, Any] | None:
    """Return what a folder was begun with: its stamp, or the configuration of its results."""
    file = path / WORK / _STAMP
    try:
        if file.exists():
            return read_record(file, _StampRecord).model_dump()
        file = path / CONFIG
        if file.exists():
            config = tomllib.loads(decode(storage.read_file(file)))
            config.pop("title", None)
            begun = {"study": config["study"], "config": config}
            _StampRecord.model_validate({**begun, "data": "", "version": ""})
            file = path / DATA
            if file.exists() and (mark := read_record(file, _DataMark).fingerprint) is not None:
                begun["data"] = mark
            return begun
    except (ValueError, KeyError, RecursionError):
        raise CheckpointError(
            f"{file} is truncated or was altered; give --out a new folder and run without --resume."
        ) from None
    return None


def _without(table: dict[str, Any], keys: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Return nested tables without some dotted keys."""
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in table.items()
        if prefix + key not in keys
    }


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, under dotted keys, without what is not set."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value
    return flat
