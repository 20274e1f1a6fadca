"""Files that are whole or absent, and that notice when they were altered.

Every file is written beside its final place, flushed to the disk and renamed, so that a kill or a
full disk at any moment leaves the old file or the new one. Saved states are ``.npz`` files that
carry the SHA-256 of their content.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import CheckpointError
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr

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
    data = read_file(path)
    if not data.startswith(b"PK\3\4") or _DESCRIPTION.encode() not in data[:64]:
        raise CheckpointError(refusal(path, "is not a saved state of meanfield"))
    if data[-_DIGEST_BYTES:] != _digest(data):
        raise CheckpointError(refusal(path, "is truncated or was altered"))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            description, *names = archive.namelist()
            arrays = {name.removesuffix(_ARRAY): _read_array(archive, name) for name in names}
            meta = json.loads(archive.read(description))
    # Whoever can make the digest can put anything before it, and zip files fail in many ways.
    except Exception as error:
        raise CheckpointError(refusal(path, "does not hold arrays and a description")) from error
    if not isinstance(meta, dict) or len(arrays) != len(names):
        raise CheckpointError(refusal(path, "does not hold arrays and a description"))
    return arrays, meta


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read a member as `save_arrays` writes it: nothing packed, nothing but an array of plain type.

    Its size is that of the file: a few bytes cannot ask for more memory than there is.
    """
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError("packed")
    content = io.BytesIO(archive.read(name))
    np.lib.format.read_magic(content)
    shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError("objects, or a negative size")
    return np.frombuffer(content.read(), dtype).reshape(shape).copy()


def _digest(data: bytes | memoryview) -> bytes:
    """Return what the last bytes of a saved state are to be, in hexadecimal."""
    return hashlib.sha256(memoryview(data)[:-_DIGEST_BYTES]).hexdigest().encode()


def write_dataset(path: str | os.PathLike[str], dataset: xr.Dataset | xr.DataTree) -> None:
    """Write a dataset, or a tree of them, as netCDF-4, uncompressed and atomically.

    Its variables say what they are: see `described`.
    """
    import xarray as xr

    from meanfield.system.hdf5 import to_netcdf

    if isinstance(dataset, xr.DataTree):
        dataset = dataset.map_over_datasets(described)
    else:
        dataset = described(dataset)
    # By way of memory: HDF5 crashes the process when the disk fills up under one of its files.
    write_atomic(path, to_netcdf(dataset))


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset | xr.DataTree:
    """Read a netCDF-4 file into memory and close it; a CheckpointError if it is none.

    It is a tree where the file has groups.
    """
    from meanfield.system.hdf5 import read_netcdf, refuse_outside

    path = Path(path)
    # By way of memory: HDF5 locks a file that it opens, which not every file system can.
    content = io.BytesIO(read_file(path))
    try:
        refuse_outside(content)
        return read_netcdf(content)
    except CheckpointError as error:
        raise CheckpointError(refusal(path, str(error))) from None
    # HDF5, h5netcdf and xarray have no common error.
    except Exception as error:
        raise CheckpointError(refusal(path, "is not readable as netCDF-4")) from error


def attribute_list(dataset: xr.Dataset | xr.DataArray, name: str) -> list[Any]:
    """Return an attribute that is a list, empty where there is none.

    netCDF gives one of length 1 back as its item.
    """
    return np.atleast_1d(dataset.attrs.get(name, [])).tolist()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain_file(path: Path) -> Path:
    """Return a path if a file is there, itself: no link, and nothing that one could wait for."""
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no file"
        raise CheckpointError(f"{path} is {kind}; put the file itself in its place.")
    return path


def read_file(path: Path) -> bytes:
    """Return the content of a file of a folder of results; see `plain_file`."""
    try:
        return plain_file(path).read_bytes()
    except MemoryError:
        raise CheckpointError(refusal(path, "is larger than the memory")) from None


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


def refusal(path: Path, what: str) -> str:
    """Return what is said of a file that cannot be used as it stands."""
    return f"{path} {what}; delete it and resume, and only the work that it held is redone."
