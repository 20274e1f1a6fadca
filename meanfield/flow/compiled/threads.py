"""A few threads inside one compiled call: how many, how they start, where they wait.

Plain threads with compiled code that releases the GIL, rather than numba's parallel loops: they
need no threading layer (safe from several Python threads at once), compile in a fraction of the
time, and one launch serves all steps.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from meanfield.flow.compiled.simd.mode import inline

_SPINS = 2000  # about 50 µs; after that, give the core away


def run(size: int, work: Callable[[int], None]) -> None:
    """Call ``work(rank)`` for every rank below ``size``, each on its own thread."""
    if size == 1:
        work(0)
        return
    # All or none: a rank that waits for one that never started would wait for ever.
    gate = threading.Barrier(size)
    errors: list[BaseException] = []

    def member(rank: int) -> None:
        try:
            gate.wait()
            work(rank)
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(1, size)]
    try:
        for thread in threads:
            thread.start()
    except BaseException:
        gate.abort()
        raise
    member(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@intrinsic
def _atomic_add(typingctx: Any, array: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """array[0] += value, all at once; the sum."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = context.make_array(array)(context, builder, args[0]).data
        value = context.cast(builder, args[1], sig.args[1], types.int64)
        return builder.add(builder.atomic_rmw("add", pointer, value, "seq_cst"), value)

    return types.int64(array, value), lower


@intrinsic
def _rest(typingctx: Any) -> tuple[Any, Callable[..., Any]]:
    """Give the core away for the shortest time there is.

    A sleep, not a yield: a thread that wakes up is placed on an idle core, one that yields stays
    where it is, even on the core of the member it waits for.
    """
    name, microseconds = ("Sleep", 0) if os.name == "nt" else ("usleep", 1)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = ir.IntType(32)
        kind = ir.FunctionType(number, [number])
        call = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(call, [number(microseconds)])

    return types.int32(), lower


if config.DISABLE_JIT:  # the same in plain Python
    _lock = threading.Lock()

    def _atomic_add(array: NDArray[np.int64], value: int) -> int:
        with _lock:
            array[0] += value
            return array[0]

    def _rest() -> None:
        time.sleep(1e-6)


@inline
def wait(arrivals: NDArray[np.int64], size: int) -> None:
    """Return once all ``size`` members have called this equally often."""
    if size == 1:
        return
    arrived = _atomic_add(arrivals, 1)
    goal = (arrived + size - 1) // size * size
    spins = 0
    while _atomic_add(arrivals, 0) < goal:
        spins += 1
        if spins > _SPINS:
            _rest()
