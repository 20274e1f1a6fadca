"""Errors that name the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any


class OfArgument(Exception):
    """What `ArgumentError` and `ArgumentTypeError` share."""

    def __init__(self, argument: str, predicate: str = "", message: str = ""):
        super().__init__(argument, predicate, message)
        self.argument = argument

    def __str__(self) -> str:
        argument, predicate, message = self.args
        return message or f"{argument} {predicate}"


class ArgumentError(OfArgument, ValueError):
    """An argument, or an option, has a value that cannot be used; `argument` is its name.

    What follows the name in the sentence of the error is the `predicate`: what is asked of it, what
    came, and what to do. Where the sentence does not start with the name, `message` is all of it.
    """


class ArgumentTypeError(OfArgument, TypeError):
    """An argument has a type that cannot be used; else as `ArgumentError`."""


class DivergenceError(ArithmeticError):
    """A run left the finite numbers.

    Attributes
    ----------
    step : int
        First step whose state or prediction is not finite.
    replica : int
        Replica in which it happened.
    stable_step_size : float or None
        A step size for which the same run, checked again, stayed finite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, -1.0])
    >>> try:
    ...     mf.simulate(problem, 16, step_size=500.0, n_steps=50)
    ... except mf.DivergenceError as error:
    ...     print(error.stable_step_size < 500)
    True
    """

    def __init__(self, message: str, *, step: int, replica: int, stable_step_size: float | None):
        super().__init__(message)
        self.step = step
        self.replica = replica
        self.stable_step_size = stable_step_size

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self.__dict__), self.args


class CheckpointError(ValueError):
    """A saved state is truncated, altered, or belongs to another run.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import meanfield as mf
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "run.npz"
    >>> _ = file.write_bytes(b"not a state")
    >>> problem = mf.Problem([[0.0], [1.0]], [1.0, -1.0])
    >>> try:
    ...     mf.simulate(problem, 16, n_steps=5, checkpoint=file)
    ... except mf.CheckpointError as error:
    ...     print(str(error).split("/")[-1])
    run.npz is not a saved state of meanfield; delete it and resume, ...
    """


class ConfigError(ValueError):
    """A configuration, an output folder or an environment variable cannot be used as it stands.

    Examples
    --------
    >>> import meanfield as mf
    >>> try:
    ...     mf.sweep({"study": "simulate", "data": {"source": "digits"}}, {"problem.l3": [0.1]})
    ... except mf.ConfigError as error:
    ...     print(error)
    grid point problem.l3=0.1: key 'problem.l3' is not known. Choose one of: activation, ...
    """


class WorkerError(RuntimeError):
    """The processes that a study ran on were lost; what they had finished is kept."""


def suggest(name: object, options: Iterable[str]) -> str:
    """Return a hint naming the closest option, or all options when none is close."""
    options = list(options)
    close = difflib.get_close_matches(str(name).lower(), options, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return " Choose one of: " + ", ".join(options) + "."
