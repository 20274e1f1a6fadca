"""Argument checks shared by the public functions: one sentence that names the argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield.errors import ArgumentError, ArgumentTypeError, suggest

_PRECISIONS = ("float64", "float32")


#: No computer holds more of anything than `MOST`; what a list or a unit of work is made for each of
#: is done one by one, and has fewer.
MOST, MOST_LISTED = 10**12, 10**5


def count(name: str, value: object, minimum: int = 1, maximum: int = MOST) -> int:
    """Return `value` as an integer of at least `minimum` and at most `maximum`."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentTypeError(name, f"must be an integer, got {shown(value)}.") from None
    if isinstance(value, bool) or found < minimum:
        raise ArgumentError(name, f"must be an integer of at least {minimum}, got {shown(value)}.")
    if found > maximum:
        raise ArgumentError(name, f"must be at most {maximum}, got {shown(value)}.")
    return found


def listed(name: str, value: object, minimum: int = 1) -> int:
    """Return the number of what is made and done one by one: replicas, teachers, networks."""
    return count(name, value, minimum, MOST_LISTED)


def steps(value: object, minimum: int = 1) -> int:
    """Return the number of steps of a run, which must fit the counter of the noise, 32 bits."""
    found = count("n_steps", value, minimum)
    if found >= 2**32:
        raise ArgumentError("n_steps", f"must be less than 2**32, got {value!r}.")
    return found


def counts(name: str, values: object, minimum: int = 1) -> list[int]:
    """Return `values` as ascending integers of at least `minimum`, without repetition."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(name, f"must be a sequence of integers, got {shown(values)}.")
    return sorted({count(name, value, minimum) for value in values})


def number(name: str, value: object) -> float:
    """Return `value` as a float, finite or not."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        unmasked(name, value)
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(name, f"must be a number, got {shown(value)}.")
    try:
        return float(value)
    except OverflowError:
        raise _too_large(name) from None


def numbers(name: str, values: object) -> NDArray[np.float64]:
    """Return numbers, finite or not, as an array of any shape; text and truth values are none."""
    unmasked(name, values)
    try:
        found = np.asarray(values)
    except ValueError:
        raise ArgumentTypeError(name, "must hold as many numbers in every row.") from None
    if found.dtype.kind == "O":
        flat = [number(name, value) for value in found.ravel()]
        return np.array(flat, dtype=float).reshape(found.shape)
    if found.dtype.kind not in "iuf":
        raise ArgumentTypeError(name, f"must hold numbers, got {shown(values)}.")
    return found.astype(float)


def whole(name: str, values: object, most: int, shown_most: str) -> NDArray[np.int64]:
    """Return whole numbers from 0 to `most`, which `shown_most` names, as an array of any shape."""
    found = numbers(name, values)
    wrong = ~((found >= 0) & (found <= most) & (np.floor(found) == found))
    if wrong.any():
        got = float(found.ravel()[wrong.argmax()])
        raise ArgumentError(
            name, f"must be a whole number between 0 and {shown_most}={most}, got {got}."
        )
    return found.astype(np.int64)


def text(name: str, value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ArgumentTypeError(name, f"must be a text, got {shown(value)}.")
    return str(value)


def instance(name: str, value: object, kind: type) -> None:
    """Refuse what is not of a class."""
    if not isinstance(value, kind):
        raise ArgumentTypeError(name, f"must be a {kind.__name__}, got {type(value).__name__}.")


def real(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    found = number(name, value)
    if not math.isfinite(found):
        raise ArgumentError(name, f"must be finite, got {value!r}.")
    return found


def positive(name: str, value: object) -> float:
    """Return `value` as a finite float above zero."""
    found = real(name, value)
    if found <= 0:
        raise ArgumentError(name, f"must be greater than 0, got {value!r}.")
    return found


def nonnegative(name: str, value: object) -> float:
    """Return `value` as a finite float of at least zero."""
    found = number(name, value)
    if not 0 <= found < math.inf:
        raise ArgumentError(name, f"must be finite and not negative, got {found}.")
    return found + 0.0  # no negative zero


def unmasked(name: str, *values: object) -> None:
    """Refuse masked entries, in lists too: what they hide would count as data."""
    for value in values:
        if isinstance(value, list | tuple):
            unmasked(name, *value)
        elif isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise ArgumentError(
                name,
                f"has masked entries; fill them in, with {name}.filled(value), or drop their rows, "
                f"with np.ma.compress_rows({name}).",
            )


def finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as an array of finite floats, of any shape."""
    unmasked(name, values)
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentTypeError(name, f"must hold numbers, got {type(values).__name__}.") from None
    except OverflowError:
        raise _too_large(name) from None
    finite = np.isfinite(found)
    if not finite.all():
        raise ArgumentError(
            name,
            f"must be finite, but holds NaN or infinity in {(~finite).sum()} of "
            f"{found.size} entries; drop them or fill them in.",
        )
    return found


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = list(options)
    if not isinstance(value, str) or value not in options:
        raise ArgumentError(
            name, message=f"Unknown {name} {shown(value)}.{suggest(value, options)}"
        )
    return value


def precision(value: DTypeLike) -> str:
    """Return a dtype as ``"float64"`` or ``"float32"``."""
    try:
        name: object = np.dtype(value).name
    except TypeError:
        name = value
    return choice("dtype", name, _PRECISIONS)


def seed(value: object, name: str = "seed") -> int:
    """Return a seed as an integer in [0, 2^64)."""
    found = count(name, value, minimum=0, maximum=2**64)
    if found >= 2**64:
        raise ArgumentError(name, f"must be below 2**64, got {value!r}.")
    return found


def shown(value: object) -> str:
    """Return a representation that fits into a sentence."""
    try:
        found = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        found = ""
    return found if 0 < len(found) <= 60 and "\n" not in found else type(value).__name__


def apart(*values: float) -> list[str]:
    """Return numbers in the fewest digits, at least six, that tell those that differ apart."""
    texts: list[str] = []
    for digits in range(6, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _too_large(name: str) -> ArgumentError:
    largest = np.finfo(float).max
    return ArgumentError(name, f"must lie within ±{largest:.3g}, got an integer beyond that.")
