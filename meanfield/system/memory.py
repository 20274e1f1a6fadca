"""How much memory there is, said before a run starts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from meanfield.errors import ArgumentError

# Files of a control group, version 2 and 1: its limit, its use, and what the system would give
# back of that (pages of files).
_VERSION_2 = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
_VERSION_1 = (
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
# What is never refused: to read what the system has left takes longer than to use as much.
_LITTLE = 2**20


def require(n_bytes: float, remedy: str) -> None:
    """Refuse with a MemoryError to start what does not fit, naming both numbers and `remedy`."""
    free = available() if n_bytes > _LITTLE else math.inf
    if n_bytes > 0.9 * free:
        raise MemoryError(
            f"This run needs about {n_bytes / 1e9:.3g} GB of memory and {free / 1e9:.3g} GB are "
            f"available; {remedy}."
        )


def fits(itemsize: int = 8, /, **sizes: int) -> None:
    """Refuse an array of these sizes, with as many bytes a number, that does not fit into memory.

    Raises
    ------
    ArgumentError
        Naming the largest size, and both numbers.
    """
    n_bytes = float(itemsize) * math.prod(sizes.values())
    free = available() if n_bytes > _LITTLE else math.inf
    if n_bytes > 0.9 * free:
        name = max(sizes, key=lambda size: sizes[size])
        shape = " × ".join(f"{size:.4g}" for size in sizes.values())
        raise ArgumentError(
            name,
            f"= {sizes[name]} asks for {shape} numbers, {n_bytes / 1e9:.3g} GB of memory, and "
            f"{free / 1e9:.3g} GB are available; give a smaller {name}.",
        )


def available(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process can still take.

    The least of what the machine has and what is left below the limits of the control groups
    that hold this process (containers, batch systems). `root` is where the system's files are.
    """
    return max(0, min([_machine(root), *_control_groups(root)]))


def _machine(root: Path) -> int:
    """Return Linux's own estimate where there is one, else free pages, else 4 GB."""
    found = _entry(root / "proc/meminfo", "MemAvailable:")
    if found is not None:
        return 1024 * found
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 * 10**9


def _control_groups(root: Path) -> Iterator[int]:
    """Yield what is left below every limit; a container sees its own group as the top one."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, path = line.split(":", 2)[1:]
        if controllers and "memory" not in controllers.split(","):
            continue
        place, limit, usage, reclaimable = _VERSION_1 if controllers else _VERSION_2
        top = root / place
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                yield most - used + (_entry(folder / "memory.stat", reclaimable) or 0)
            if folder == top:
                break


def _entry(path: Path, key: str) -> int | None:
    """Return the number behind `key` in a table of the system."""
    for line in _text(path).splitlines():
        name, *values = line.split()
        if name == key:
            return int(values[0])
    return None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
