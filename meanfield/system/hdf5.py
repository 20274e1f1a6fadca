"""What an HDF5 file may hold that is read as a Dataset: its own data, and no more than its size."""

from __future__ import annotations

from typing import IO, Any

from meanfield.errors import CheckpointError

# What stands, in place of values that are never read, for a dimension without coordinates.
_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"


def refuse_outside(content: IO[bytes]) -> None:
    """Refuse what leads out of a file, or what is larger unpacked than the file is.

    The error says what the file does; who knows its name puts it before.
    """
    import h5py

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
