"""How much memory a run needs, said before it starts."""

from __future__ import annotations

import os
from pathlib import Path


def available_memory() -> int:
    """Return the bytes of memory that a new process could use now.

    Linux's own estimate where there is one, else free pages, else 4 GB.
    """
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 * 10**9


def require_memory(needed: int, remedy: str) -> None:
    """Refuse a run that needs more memory than there is.

    Raises
    ------
    ValueError
        Naming both numbers and `remedy`.
    """
    available = available_memory()
    if needed > 0.9 * available:
        raise ValueError(
            f"This run needs {needed / 1e9:.3g} GB of memory and {available / 1e9:.3g} GB are "
            f"available; {remedy}."
        )
