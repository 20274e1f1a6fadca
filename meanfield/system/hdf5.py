"""Datasets as HDF5 files: written and read fast; their own data, and no more than their size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

import h5netcdf
import h5py
import xarray as xr
from xarray.backends import H5NetCDFStore

from meanfield.errors import CheckpointError

# What stands, in place of values that are never read, for a dimension without coordinates.
_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"


class _File(h5py.File):  # type: ignore[misc]  # h5py carries no types
    """A file that looks up each of its objects once.

    h5netcdf looks one up for every attribute and every length of a dimension: most of its time.
    """

    def __init__(self, content: IO[bytes], mode: str, **options: Any):
        super().__init__(content, mode, **options)
        self._found: dict[Any, Any] = {}
        self._written = mode != "r"

    def __getitem__(self, name: Any) -> Any:
        if not isinstance(name, str):  # a reference
            return super().__getitem__(name)
        found = self._found.get(name)
        # A dimension is replaced by its coordinates; what was deleted has no name.
        if found is None or (self._written and found.name is None):
            found = self._found[name] = super().__getitem__(name)
        return found


def to_netcdf(dataset: xr.Dataset | xr.DataTree) -> memoryview:
    """Return a dataset, or a tree of them, as the bytes of a netCDF-4 file."""
    content = io.BytesIO()
    parts = {"/": dataset}
    if isinstance(dataset, xr.DataTree):
        parts = {node.path: node.to_dataset(inherit=False) for node in dataset.subtree}
    # The order is kept because netCDF's own library needs it.
    with _File(content, "w", track_order=True) as file, h5netcdf.File(file, "w") as root:
        for path, part in parts.items():
            part.dump_to_store(H5NetCDFStore(root, group=path, mode="w"))
    return content.getbuffer()


def read_netcdf(content: IO[bytes]) -> xr.Dataset | xr.DataTree:
    """Read a netCDF-4 file into memory; a tree where the file has groups."""
    with _File(content, "r") as file, h5netcdf.File(file, "r", decode_vlen_strings=True) as root:
        found = {path: xr.open_dataset(H5NetCDFStore(root, group=path)) for path in _groups(root)}
        for dataset in found.values():
            dataset.load()
            dataset.set_close(None)  # which holds the file, and could not go to another process
    return xr.DataTree.from_dict(found) if len(found) > 1 else found["/"]


def _groups(group: Any) -> Iterator[str]:
    """Yield the paths of a group and of those within it."""
    yield group.name
    for inner in group.groups.values():
        yield from _groups(inner)


def refuse_outside(content: IO[bytes]) -> None:
    """Refuse what leads out of a file, or what is larger unpacked than the file is.

    The error says what the file does; who knows its name puts it before.
    """
    size = content.seek(0, 2)
    content.seek(0)
    with h5py.File(content, "r") as file:
        groups, seen, unpacked = [file["/"]], set(), 0
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise CheckpointError("holds a link")
                item = group[name]
                place = h5py.h5o.get_info(item.id).addr
                if place in seen or item == file["/"]:
                    raise CheckpointError("holds something under two names")
                seen.add(place)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    unpacked += _size(item)
                else:
                    raise CheckpointError("holds a type, not arrays alone")
    if unpacked > size:
        raise CheckpointError("is larger unpacked than it is")


def _size(item: Any) -> int:
    """Return the bytes of an array in memory; those of texts lie elsewhere in the file."""
    if item.external or item.is_virtual:
        raise CheckpointError("has its data in other files")
    unread = item.shape is None or item.attrs.get("NAME", b"").startswith(_DIMENSION)
    return 0 if unread else item.size * item.dtype.itemsize
