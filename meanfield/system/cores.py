"""The processors of this machine."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return how many cores this process may use."""
    # Not every system confines processes to cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
