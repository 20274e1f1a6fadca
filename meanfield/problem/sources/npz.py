"""Arrays from npz archives; pickles are refused."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.sources.options import TableOptions, check_unpacked, existing_file, takes

# Where the header of a member tells the lengths of its name and of what is extra.
_NAME_LENGTHS = 26
_PIECE = 2**24  # bytes that are checked at a time


@takes(TableOptions, of=from_arrays)
def npz(
    *,
    path: str | Path,
    X: str = "X",
    y: str = "y",
    X_test: str = "X_test",
    y_test: str = "y_test",
    **rows: Unpack[TableOptions],
) -> Data:
    """Read arrays from an npz archive; nothing in it is unpickled.

    What `numpy.savez` wrote is mapped rather than read, so that the numbers that are learned from
    are all that takes memory; what `numpy.savez_compressed` wrote is unpacked beside them.

    Parameters
    ----------
    path : str or Path
        The archive.
    X, y : str
        Names of the arrays of inputs and labels.
    X_test, y_test : str
        Names of the held-out arrays; under the default names they may be absent.
    standardize, standardize_y, labels, missing : as for `from_arrays`
        Standardisation, encoding of classes, and NaN.
    test_fraction, split_seed, n_samples : as for `from_arrays`
        Choice of rows.

    Returns
    -------
    Data

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file; an array does not hold real numbers; or the file is not an npz
        archive, holds pickles, or lacks an array.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, meanfield as mf
    >>> archive = pathlib.Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(archive, X=np.eye(4), y=[0.0, 1.0, 2.0, 3.0])
    >>> mf.problem.npz(path=archive).X.shape
    (4, 4)
    """
    path = existing_file(path)
    with _opened(path) as archive:
        wanted = {"X": X, "y": y}
        if (X_test, y_test) != ("X_test", "y_test") or {X_test, y_test} & set(archive.files):
            wanted |= {"X_test": X_test, "y_test": y_test}
        for option, name in wanted.items():
            _check_name(path, archive, option, name)
        _check_sizes(path, archive, wanted.values())
        arrays = {key: _read(path, partial(_array, path, archive, wanted[key])) for key in wanted}
    return from_arrays(**arrays, info={"source": "npz", "path": str(path)}, **rows)


def npz_labels(path: Path, y: str) -> tuple[np.ndarray, bool]:
    """Return the array of labels of an archive, and whether it has held-out arrays."""
    with _opened(path) as archive:
        _check_name(path, archive, "target", y)
        _check_sizes(path, archive, [y])
        labels = _read(path, partial(archive.__getitem__, y))
        return labels, bool({"X_test", "y_test"} & set(archive.files))


def _opened(path: Path) -> Any:
    """Open an archive of several arrays."""
    archive = _read(path, partial(np.load, path, allow_pickle=False))
    if isinstance(archive, np.ndarray):
        raise ArgumentError(
            "path", message=f"{path} holds one bare array; save it with np.savez(path, X=X, y=y)."
        )
    return archive


def _check_name(path: Path, archive: Any, option: str, name: str) -> None:
    """Refuse the name of an array that is not there."""
    if name not in archive.files:
        found = ", ".join(archive.files) or "nothing"
        raise ArgumentError(option, message=f"{path} has no array {name!r}; it holds {found}.")


def _check_sizes(path: Path, archive: Any, names: Iterable[str]) -> None:
    """Refuse arrays that unpack to far more than the file, from what their headers say."""
    total = 0
    for name in names:
        shape, _, dtype = _read(path, partial(_header, archive.zip, _entry(archive, name)))
        total += math.prod(shape) * max(dtype.itemsize, 8)  # numbers become 64-bit floats
    check_unpacked(path, total, path.stat().st_size)


def _array(path: Path, archive: Any, name: str) -> np.ndarray:
    """Return an array, mapped where it lies in the file as it is, and checked as one read."""
    entry = archive.zip.getinfo(_entry(archive, name))
    if entry.compress_type != zipfile.ZIP_STORED or not entry.file_size:
        return archive[name]
    with path.open("rb") as file:
        file.seek(entry.header_offset + _NAME_LENGTHS)
        lengths = np.frombuffer(file.read(4), "<u2")
        start = entry.header_offset + _NAME_LENGTHS + 4 + int(lengths.sum())
        file.seek(start)
        shape, fortran, dtype = _header_of(file)
        offset = file.tell()
    if dtype.hasobject or not math.prod(shape):
        return archive[name]
    held, checksum = np.memmap(path, np.uint8, "r", start, (entry.file_size,)), 0
    for first in range(0, len(held), _PIECE):
        checksum = zlib.crc32(held[first : first + _PIECE].tobytes(), checksum)
    if checksum != entry.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {entry.filename!r}")
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _entry(archive: Any, name: str) -> str:
    """Return the name that an array has as a member of the archive."""
    return name if name in archive.zip.namelist() else f"{name}.npy"


def _header(archive: zipfile.ZipFile, entry: str) -> Any:
    """Return shape, order and dtype of an array without reading it."""
    with archive.open(entry) as file:
        return _header_of(file)


def _header_of(file: Any) -> Any:
    """Return the same from an open file, of which the header is read."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """Turn what NumPy and zipfile raise on foreign or broken files into one sentence."""
    try:
        return read()
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            problem = "holds pickled objects, which are never loaded, or is not an npz archive"
        else:
            problem = f"is not a readable npz archive ({error})"
        raise ArgumentError(
            "path", message=f"{path} {problem}; save numeric arrays with np.savez."
        ) from None
