"""What a configuration names as ``module:name``: what stands under a name in a file of Python."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from meanfield.errors import ArgumentError


class Reference(str):
    """The text ``module:name`` of a configuration, with what it names."""

    found: Any


_LOADED: dict[Path, tuple[bytes, ModuleType]] = {}
"""Files that were read, with a digest of what stood in them."""


def load_reference(
    argument: str, reference: str, folder: str | os.PathLike[str] | None = None
) -> Any:
    """Return what ``module:name`` names; `argument` is what an error calls it.

    The module is looked for in the `folder`, then in the working directory, then where Python
    looks. A file of the first two is read again when it has changed.

    Raises
    ------
    ValueError
        If there is no such module or name, or the module cannot be imported.
    """
    module_name, _, name = (part.strip() for part in reference.partition(":"))
    folders = [Path() if place is None else Path(place) for place in (folder, None)]
    module = _imported(argument, reference, module_name, [place.resolve() for place in folders])
    if not hasattr(module, name):
        raise ArgumentError(
            argument,
            message=f"{module_name} has no {name!r}, which {reference!r} names; define it.",
        )
    return getattr(module, name)


def _imported(argument: str, reference: str, name: str, folders: list[Path]) -> ModuleType:
    try:
        for folder in folders:
            path = folder.joinpath(*name.split(".")).with_suffix(".py")
            if path.is_file():
                return _from_file(name, path, folder)
        with _path_with(folders):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name == name.split(".")[0] or not name
        text = (
            f"There is no module {name!r}, which {reference!r} names; put {name}.py beside the "
            "configuration or into the working directory."
            if missing
            else f"{name!r}, which {reference!r} names, cannot be imported: {error}."
        )
        raise ArgumentError(argument, message=text) from None
    except Exception as error:
        raise ArgumentError(
            argument,
            message=f"{name!r}, which {reference!r} names, cannot be imported "
            f"({type(error).__name__}: {error}); correct it.",
        ) from error


def _from_file(name: str, path: Path, folder: Path) -> ModuleType:
    """Return the module in a file, as it is now."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    known = _LOADED.get(path)
    if known is not None and known[0] == digest:
        return known[1]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _path_with([folder]):
        # Compiled here: what Python keeps beside the file is told apart by its time in seconds.
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    _LOADED[path] = (digest, module)
    return module


@contextmanager
def _path_with(folders: list[Path]) -> Iterator[None]:
    """Let imports look into some folders first."""
    before = list(sys.path)
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        sys.path[:] = before
