"""Options that several sources share: said once, and seen in the signature of each loader."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from meanfield.errors import ArgumentError
from meanfield.problem.data import Labels, Missing, Standardization
from meanfield.system import memory

_SMALL, _MAX_RATIO, _COPIES = 1 << 26, 200, 3
"""Bytes that are unpacked without question, bytes for one byte, copies that are made."""

_Loader = TypeVar("_Loader", bound=Callable[..., Any])


class RowOptions(TypedDict, total=False):
    """How rows are standardised and chosen, see `from_arrays`."""

    standardize: Standardization
    test_fraction: float
    split_seed: int
    n_samples: int | None


class TableOptions(RowOptions, total=False):
    """The same for tables of the user's own: labels of any kind, gaps."""

    standardize_y: bool
    labels: Labels
    missing: Missing


def takes(options: type, of: Callable[..., Any], **defaults: Any) -> Callable[[_Loader], _Loader]:
    """Give a loader with ``**options: Unpack[options]`` the keywords that it passes on to `of`.

    Type checkers read the annotation; `inspect.signature` and `typing.get_type_hints` see each
    keyword with the default that it has in `of` or here.
    """
    hints = typing.get_type_hints(of)
    parameters = inspect.signature(of).parameters
    shared = [
        parameter.replace(annotation=hints[name], default=defaults.get(name, parameter.default))
        for name, parameter in parameters.items()
        if name in options.__annotations__
    ]

    def decorate(loader: _Loader) -> _Loader:
        @functools.wraps(loader)
        def load(**given: Any) -> Any:
            return loader(**{**defaults, **given})

        signature = inspect.signature(loader)
        *own, _ = signature.parameters.values()
        load.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        load.__annotations__ = {
            **{parameter.name: parameter.annotation for parameter in [*own, *shared]},
            "return": signature.return_annotation,
        }
        return typing.cast(_Loader, load)

    return decorate


def home_expanded(path: str | Path) -> Path:
    """Return a path whose leading ~ is the home folder, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # of a user who has none
        return Path(path)


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that is there."""
    path = home_expanded(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; check the path.")
    if not path.is_file():
        raise ArgumentError("path", message=f"{path} is not a file; give the path of one.")
    return path


def check_unpacked(path: Path, n_bytes: int, packed: int) -> None:
    """Refuse what unpacks to far more than the file is, or to more than the memory takes."""
    free = memory.available()
    if n_bytes > _SMALL and (n_bytes > _MAX_RATIO * packed or _COPIES * n_bytes > free):
        raise ArgumentError(
            "path",
            message=f"{path} has {packed / 1e6:.3g} MB and unpacks to {n_bytes / 1e6:.6g} MB or "
            f"more, where {free / 1e9:.3g} GB of memory are free; if that is what you want save it "
            "unpacked, or save fewer rows.",
        )
