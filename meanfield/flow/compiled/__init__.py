"""The compiled particle step."""

from __future__ import annotations

from meanfield.system import compiling  # noqa: F401 (before anything imports numba)
