"""How many cores and threads there are, and how many NumPy's matrix algebra may use.

The last digits of a sum depend on how many threads BLAS divides it into, and so do results: they
would depend on the machine, on how many workers share it, and on environment variables. One fixed
number rules that out. It is 1, which every share of a machine has; what is lost on large products,
units that run side by side win back (``--workers``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from loky import cpu_count
from threadpoolctl import ThreadpoolController

from meanfield.errors import ConfigError

_BLAS_THREADS = 1
_LOKY = "LOKY_MAX_CPU_COUNT"


def cores() -> int:
    """Return the cores that this process may use: quotas and affinities count."""
    try:
        return cpu_count()
    except ValueError:
        raise ConfigError(
            f"The environment variable {_LOKY} is {os.environ.get(_LOKY)!r}; set it to a whole "
            "number from 1 on, or unset it."
        ) from None


def limit_threads(threads: int) -> None:
    """Keep this process to its share of the cores."""
    from meanfield.system.compiling import numba, thread_count

    numba.set_num_threads(min(threads, thread_count()))
    _controller().limit(limits=threads)


class _Fixed:
    """How many blocks have asked for the fixed number, and what undoes it."""

    lock = threading.Lock()
    blocks = 0
    limiter: Any = None


@contextmanager
def fixed_blas() -> Iterator[None]:
    """Give the block, or the decorated function, the same BLAS threads on every machine.

    The number belongs to the process: the first of several blocks, nested or in other threads,
    sets it, and the last sets back what was before.
    """
    with _Fixed.lock:
        if not _Fixed.blocks:
            _take_control()
            _Fixed.limiter = _controller().limit(limits=_BLAS_THREADS, user_api="blas")
        _Fixed.blocks += 1
    try:
        yield
    finally:
        with _Fixed.lock:
            _Fixed.blocks -= 1
            if not _Fixed.blocks:
                _take_control()
                _Fixed.limiter.restore_original_limits()


def _take_control() -> None:
    """Let this thread set the number: threadpoolctl obeys the first that did, and it alone."""
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@cache
def _controller() -> ThreadpoolController:
    """Return what rules the libraries of NumPy and of SciPy, which has a BLAS of its own."""
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
