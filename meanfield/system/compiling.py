"""How functions are compiled: with what rounding, and where the compiled code is kept.

Nothing else imports numba before this file, which says in words which of its environment variables
cannot be used. It is also the one place where compiled code is allowed to depart from the rounding
of plain arithmetic.

``contract`` alone: a product and a sum may become one fused operation, rounded once. Never:

- ``nnan``, ``ninf``: they delete checks for NaN and infinity, and a diverged run goes unnoticed;
- ``reassoc``: it reorders sums, and folds ``x + magic − magic`` away, a range reduction without
  which ``exp`` is silently wrong. ``fast`` and ``True`` contain all of these.

The particle step has no flags at all: its fused operations are written out.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from meanfield.errors import ConfigError
from meanfield.system.progress import tell

#: For ``numba.njit(fastmath=FAST_MATH)``; no other value of this option stands in the package.
FAST_MATH = {"contract"}

_NOT_KEPT = (
    "Compiled code cannot be kept between runs, as no folder for it can be written to, so that "
    "every run compiles anew; set NUMBA_CACHE_DIR to a folder that can."
)
_UNREADABLE = re.compile(r"Environment variable '(\w+)' is defined but its associated value '(.*)'")


def _import_numba() -> Any:
    """Import numba; what it finds wrong with an environment variable becomes one sentence."""
    threads = os.environ.get("NUMBA_NUM_THREADS", "1")
    if re.fullmatch(r"\s*[+-]?\d+\s*", threads) and int(threads) < 1:
        raise _unusable("NUMBA_NUM_THREADS", threads, "set it to a whole number from 1 on")
    if "numba" in sys.modules:
        return sys.modules["numba"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import numba
    for warning in caught:
        found = _UNREADABLE.match(str(warning.message))
        if found:
            raise _unusable(found[1], found[2], "set it to what numba can read")
        warnings.warn_explicit(
            warning.message, warning.category, warning.filename, warning.lineno, source=None
        )
    return numba


def _unusable(name: str, value: str, remedy: str) -> ConfigError:
    return ConfigError(f"The environment variable {name} is {value!r}; {remedy}, or unset it.")


numba = _import_numba()


# Where compiled code of the functions known so far lies.
_folders: set[Path] = set()


def cache_sizes() -> dict[Path, int]:
    """Return the bytes of compiled code in every folder that holds some."""
    sizes = {
        folder: sum(file.stat().st_size for file in folder.glob("*.nb[ci]"))
        for folder in sorted(_folders)
    }
    return {folder: size for folder, size in sizes.items() if size}


def cached(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit(**options)`` that keeps compiled code on the disk where it can."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            compiled = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder beside the source, and none of the user's
            warnings.warn(_NOT_KEPT, stacklevel=2)
            return numba.njit(**options)(function)
        if compiled is not function:  # not in plain Python
            compiled._cache._guard_against_spurious_io_errors = _without_cache
            compiled._cache.load_overload = partial(_load, compiled._cache.load_overload)
            _folders.add(Path(compiled._cache.cache_path))
        return compiled

    return decorate


def _load(load: Callable[[Any, Any], Any], signature: Any, target: Any) -> Any:
    """Load compiled code; none that was compiled for other types.

    Several processes that compile the same function at once may give two signatures the same
    file: the index, which is written first, then names code of another activation or version.
    """
    found = load(signature, target)
    if found is not None and tuple(found.signature.args) == tuple(signature):
        return found
    _tell_once()
    return None


@cache
def _tell_once() -> None:
    """Say why nothing moves for some seconds."""
    tell("Compiling, once; kept for later runs.")


@contextmanager
def _without_cache() -> Iterator[None]:
    """Go on without compiled code that cannot be read, or not written, as on a full disk."""
    try:
        yield
    except OSError:
        warnings.warn(_NOT_KEPT, stacklevel=2)


# What a process may use of the cores now, where it shares them with others.
_shares: list[Callable[[], int]] = []


def share_cores(now: Callable[[], int]) -> None:
    """Have compiled code of this process use no more threads than `now` tells at each call."""
    _shares[:] = [now]


def thread_count() -> int:
    """Return how many threads compiled code may use here and now: as numba is told, of a share."""
    try:
        return min([numba.get_num_threads(), *(now() for now in _shares)])
    except ValueError:  # its threading layer cannot be loaded
        layer = os.environ.get("NUMBA_THREADING_LAYER", "")
        raise _unusable("NUMBA_THREADING_LAYER", layer, "set it to 'workqueue'") from None
