"""Options that several sources share: said once, and seen in the signature of each loader."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from meanfield.errors import ArgumentError
from meanfield.problem.data import Labels, Standardization

_Loader = TypeVar("_Loader", bound=Callable[..., Any])


class RowOptions(TypedDict, total=False):
    """How rows are standardised and chosen, see `from_arrays`."""

    standardize: Standardization
    test_fraction: float
    split_seed: int
    n_samples: int | None


class TableOptions(RowOptions, total=False):
    """The same for tables whose labels are numbers or names of classes."""

    standardize_y: bool
    labels: Labels


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


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that is there."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; check the path.")
    if not path.is_file():
        raise ArgumentError("path", message=f"{path} is not a file; give the path of one.")
    return path
