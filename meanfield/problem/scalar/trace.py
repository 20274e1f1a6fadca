"""A Python function of numbers becomes a program: it is called with symbols, once per branch."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.scalar.functions import BUILTINS, Math, of_math
from meanfield.problem.scalar.program import MOST_NODES, Program
from meanfield.problem.scalar.symbol import NotCompiled, Symbol, Tape, place_of

MOST_BRANCHES = 512
_POINTS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 0.1234, -0.1234, 1e-3, -1e-3, 3.7, -3.7, 7.1, -7.1)


def trace(function: Callable[..., Any], argument: str, n_inputs: int = 1) -> Program:
    """Return the program of a function of one or more numbers.

    The function is called with symbols, once for every way through its branches, with the functions
    of ``math``, and Python's ``max``, ``min``, ``float`` and ``int``, replaced by such that take
    symbols; also in functions that it calls. `argument` is what an error calls it.

    Raises
    ------
    TypeError, ValueError
        If it cannot be called, does something that has no compiled form, or does not depend on its
        arguments alone.
    """
    if not callable(function):
        raise ArgumentTypeError(
            argument, f"must be a function of a number, not {type(function).__name__}."
        )
    tape = Tape()
    inputs = [Symbol(tape, tape.input(i)) for i in range(n_inputs)]
    called = instrumented(function, {})
    left = [MOST_BRANCHES]

    def branch(decisions: tuple[bool, ...]) -> int:
        """Return the place of the result where these decisions are taken, and of what follows."""
        left[0] -= 1
        if left[0] < 0:
            raise NotCompiled(
                f"has more than {MOST_BRANCHES} ways through its branches; use fewer of them, or "
                "max and min"
            )
        tape.start(decisions)
        result, asked = place_of(tape, called(*inputs)), tape.asked
        for i in range(len(asked) - 1, len(decisions) - 1, -1):
            before = tuple(taken for _, taken in asked[:i])
            other = branch((*before, not asked[i][1]))
            result = tape("select", asked[i][0], result, other)
        return result

    try:
        program = tape.program(branch(()))
    except NotCompiled as error:
        raise ArgumentError(argument, f"{error}.") from None
    except TypeError as error:
        raise ArgumentTypeError(
            argument, f"cannot be called with {n_inputs} symbols for numbers ({error})."
        ) from None
    except OverflowError:  # of the builder
        raise ArgumentError(
            argument, f"takes more than {MOST_NODES} operations; write it with fewer."
        ) from None
    except Exception as error:
        raise ArgumentError(
            argument,
            f"cannot be called with a symbol for a number ({type(error).__name__}: {error}); use "
            "arithmetic, comparisons and the functions of math.",
        ) from error
    _check(function, program, argument, n_inputs)
    return program


def _check(function: Callable[..., Any], program: Program, argument: str, n_inputs: int) -> None:
    """Refuse a function whose program gives other numbers: it does not depend on z alone."""
    grids = np.meshgrid(*[np.array(_POINTS)] * n_inputs)
    points = [grid.ravel() for grid in grids]
    (found,) = program.evaluate(*points)
    for i, value in enumerate(found):
        at = [float(p[i]) for p in points]
        try:
            expected = float(function(*at))
        except (ArithmeticError, ValueError):  # a pole, or outside the domain
            continue
        except TypeError as error:
            raise ArgumentTypeError(
                argument, f"cannot be called with {', '.join(map(str, at))} ({error})."
            ) from None
        close = abs(value - expected) <= 1e-9 * max(abs(expected), 1e-3)
        if math.isfinite(expected) and math.isfinite(value) and not close:
            raise ArgumentError(
                argument,
                f"gives {expected:.9g} at {', '.join(f'{z:g}' for z in at)} but {value:.9g} when "
                "its operations are repeated; it must depend on its argument alone.",
            )


def instrumented(value: Any, memo: dict[int, Any]) -> Any:
    """Return a function that takes symbols, and so do the functions that it calls.

    What is no function, or none whose code can be read, stays as it is. `memo` holds what was done.
    """
    if id(value) in memo:
        return memo[id(value)]
    if value is math:
        return Math()
    if isinstance(value, BuiltinFunctionType) and value.__module__ == "math":
        return of_math(value.__name__, value)
    if isinstance(value, ModuleType) and value.__name__.split(".")[0] not in ("numpy", "scipy"):
        return _Inside(value, memo)
    if isinstance(value, FunctionType):
        return _rebuilt(value, memo)
    if isinstance(value, MethodType):
        return MethodType(instrumented(value.__func__, memo), _Inside(value.__self__, memo))
    if isinstance(value, partial):
        return partial(instrumented(value.func, memo), *value.args, **value.keywords)
    if isinstance(value, tuple | list) and any(map(callable, value)):
        return type(value)(instrumented(item, memo) for item in value)
    # numba's, NumPy's and functools' wrappers of Python functions
    for name in ("py_func", "pyfunc", "__wrapped__"):
        inner = getattr(value, name, None)
        if isinstance(inner, FunctionType):
            return instrumented(inner, memo)
    call = vars(type(value)).get("__call__")  # of an object that is called like a function
    if isinstance(call, FunctionType):
        return MethodType(instrumented(call, memo), _Inside(value, memo))
    return value


class _Inside:
    """A module, or an object, whose functions take symbols."""

    def __init__(self, owner: Any, memo: dict[int, Any]):
        self._owner, self._memo = owner, memo

    def __getattr__(self, name: str) -> Any:
        return instrumented(getattr(self._owner, name), self._memo)

    def __call__(self, *values: Any) -> Any:
        return instrumented(self._owner, self._memo)(*values)


def _rebuilt(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    """Return a copy of a function with what it refers to instrumented."""
    names: dict[str, Any] = {}

    def imported(name: str, *rest: Any) -> Any:
        return instrumented(builtins.__import__(name, *rest), memo)

    names["__builtins__"] = {**vars(builtins), **BUILTINS, "__import__": imported}
    cells = tuple(CellType() for _ in function.__closure__ or ())
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, cells or None
    )
    memo[id(function)] = copy
    names.update(
        (name, instrumented(function.__globals__[name], memo))
        for name in _names(function.__code__)
        if name in function.__globals__
    )
    for new, old in zip(cells, function.__closure__ or (), strict=True):
        try:
            new.cell_contents = instrumented(old.cell_contents, memo)
        except ValueError:  # not filled yet
            continue
    defaults = function.__defaults__
    copy.__defaults__ = None if defaults is None else tuple(instrumented(v, memo) for v in defaults)
    if function.__kwdefaults__:
        copy.__kwdefaults__ = {
            key: instrumented(value, memo) for key, value in function.__kwdefaults__.items()
        }
    return copy


def _names(code: CodeType) -> set[str]:
    """Return the names that a function, and those inside it, look up."""
    inside = (_names(part) for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*inside)
