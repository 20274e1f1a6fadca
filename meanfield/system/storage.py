"""Files that are whole or absent, and that notice when they were altered.

Every file is written beside its final place, flushed to the disk and renamed, so that a kill or a
full disk at any moment leaves the old file or the new one. Saved states are ``.npz`` files that
carry the SHA-256 of their content; result folders carry a ``manifest.json`` with the SHA-256 of
every output.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import CheckpointError

if TYPE_CHECKING:
    import xarray as xr

MANIFEST = "manifest.json"

# A saved state: its first member, what each array's name ends in, how its comment begins.
_DESCRIPTION, _ARRAY, _SEAL = "meanfield.json", ".npy", b"sha256 "
_DIGEST_BYTES = 64
_TEMPORARY = ".partial"

#: What a file system answers that does not know a call: CIFS, NFS, Lustre, FUSE.
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY}
_noted: set[str] = set()


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write `data` to `path` so that any reader sees the old file or the new one, never a part.

    The folder must exist. After an OSError (it is missing, not writable or full) the old file is
    untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            _flush(file.fileno(), path)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        _remove(temporary)
        if error.errno is None:
            raise
        # A full disk is reported without a name, and the temporary one is nobody's.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        _remove(temporary)
        raise


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Save named arrays and a JSON description in one checksummed ``.npz`` file, atomically.

    ``numpy.load`` opens it. The description is its member ``meanfield.json``, and the comment at
    its end is the SHA-256 of all bytes before. The same arrays and description always give the
    same bytes. Arrays come back C-contiguous; those of Python objects are refused (TypeError), for
    they would need pickle.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_DESCRIPTION), json.dumps(dict(meta or {})))
        for name, values in arrays.items():
            array = np.asarray(values, order="C")
            if array.dtype.hasobject:
                raise TypeError(
                    f"array {name!r} holds Python objects; convert it to numbers first."
                )
            if "\0" in name:
                raise ValueError(f"array {name!r} has NUL in its name; give it another name.")
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            # Of no time: a ZipInfo alone stands at the beginning of 1980.
            archive.writestr(zipfile.ZipInfo(f"{name}{_ARRAY}"), content.getbuffer())
        archive.comment = _SEAL + bytes(_DIGEST_BYTES)
    data = stream.getbuffer()
    data[-_DIGEST_BYTES:] = _digest(data)
    write_atomic(path, data)


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Load what `save_arrays` saved, after checking every byte.

    Arrays are fresh and writable; the description is as JSON gives it back (tuples become lists).
    A file that is truncated, altered or of another kind is a CheckpointError.
    """
    path = Path(path)
    data = path.read_bytes()
    if not data.startswith(b"PK\3\4") or _DESCRIPTION.encode() not in data[:64]:
        raise CheckpointError(_refusal(path, "is not a saved state of meanfield"))
    if data[-_DIGEST_BYTES:] != _digest(data):
        raise CheckpointError(_refusal(path, "is truncated or was altered"))
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        description, *names = archive.namelist()
        for name in names:
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
            arrays[name.removesuffix(_ARRAY)] = array
        return arrays, json.loads(archive.read(description))


def _digest(data: bytes | memoryview) -> bytes:
    """Return what the last bytes of a saved state are to be, in hexadecimal."""
    return hashlib.sha256(memoryview(data)[:-_DIGEST_BYTES]).hexdigest().encode()


def write_dataset(path: str | os.PathLike[str], dataset: xr.Dataset | xr.DataTree) -> None:
    """Write a dataset, or a tree of them, as netCDF-4, uncompressed and atomically."""
    # By way of memory: HDF5 crashes the process when the disk fills up under one of its files.
    write_atomic(path, dataset.to_netcdf(engine="h5netcdf"))


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset | xr.DataTree:
    """Read a netCDF-4 file into memory and close it; a CheckpointError if it is none.

    It is a tree where the file has groups.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    # By way of memory: HDF5 locks a file that it opens, which not every file system can.
    content = io.BytesIO(path.read_bytes())
    try:
        with xr.open_datatree(content, engine="h5netcdf") as tree:
            tree.load()
            return tree if tree.children else tree.to_dataset()
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(_refusal(path, "is not readable as netCDF-4")) from error


def attribute_list(dataset: xr.Dataset | xr.DataArray, name: str) -> list[Any]:
    """Return an attribute that is a list, empty where there is none.

    netCDF gives one of length 1 back as its item.
    """
    return np.atleast_1d(dataset.attrs.get(name, [])).tolist()


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
    try:
        content = json.loads(path.read_bytes())
        whole = content.pop("self") == _own_digest(content)
        files, about = dict(content["sha256"]), dict(content["about"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(_refusal(path, "is not a readable manifest")) from error
    if not whole:
        raise CheckpointError(_refusal(path, "was altered"))
    return files, about


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
        if name not in files or not output.is_file():
            raise CheckpointError(f"{output} is missing; resume, and it is written again.")
        if file_digest(output) != files[name]:
            raise CheckpointError(_refusal(output, "is truncated or was altered"))
    return checked


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_partial(folder: str | os.PathLike[str]) -> None:
    """Delete what a killed process left half-written in `folder`; whole files are never touched."""
    for leftover in Path(folder).glob(f".*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def _flush(descriptor: int, path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut, where its system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        note_once(
            f"The file system of {path.absolute().parent} does not confirm what is on the disk, so "
            "that a power cut may cost the newest files; --resume makes them again."
        )


def _flush_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write into it, not read it
        return
    try:
        _flush(descriptor, folder / "x")
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    """Remove what is left of a file, as far as the disk lets us."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def note_once(text: str) -> None:
    """Warn of a weakness of this machine that a run can live with, once in a process."""
    if text not in _noted:
        _noted.add(text)
        warnings.warn(text, stacklevel=3)


def _refusal(path: Path, what: str) -> str:
    return f"{path} {what}; delete it and resume, and only the work that it held is redone."
