"""Data sources by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from meanfield import checks
from meanfield.errors import ArgumentTypeError, suggest
from meanfield.problem.data import Data
from meanfield.problem.sources import bundled, cifar10, csv, npz, synthetic

SOURCES: Mapping[str, Callable[..., Data]] = MappingProxyType(
    {
        "npz": npz.npz,
        "csv": csv.csv,
        "digits": bundled.digits,
        "diabetes": bundled.diabetes,
        "patches": bundled.patches,
        "cifar10": cifar10.cifar10,
        "teacher": synthetic.teacher,
        "single-index": synthetic.single_index,
        "multi-index": synthetic.multi_index,
        "parity": synthetic.parity,
        "hermite": synthetic.hermite,
    }
)
"""Loader of every source; all options are keyword-only and annotated."""


def load(source: str, **options: Any) -> Data:
    """Load data by the name of its source.

    Parameters
    ----------
    source : str
        A name in `SOURCES`.
    **options
        Options of that source.

    Returns
    -------
    Data

    Raises
    ------
    TypeError, ValueError
        If an option is unknown or missing; if the source is, or an option has an impossible value.

    Examples
    --------
    >>> from meanfield.problem import load
    >>> load("parity", n_features=5, coordinates=[0, 1], n_train=8).X.shape
    (8, 5)
    """
    loader = SOURCES[checks.choice("source", source, SOURCES)]
    parameters = inspect.signature(loader).parameters
    for name in options:
        if name not in parameters:
            hint = suggest(name, parameters)
            raise ArgumentTypeError(
                name, message=f"Source {source!r} has no option {name!r}.{hint}"
            )
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options:
            raise ArgumentTypeError(name, message=f"Source {source!r} needs the option {name!r}.")
    return loader(**options)
