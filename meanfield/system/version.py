"""The version of the package: here, and nowhere else."""

from __future__ import annotations

import subprocess
from pathlib import Path

VERSION = "0.1.0"

_ROOT = Path(__file__).parents[2]


def source_commit() -> str | None:
    """Return the commit of the checkout that runs, as `git describe` says; outside of one, None.

    ``-dirty`` stands behind it when tracked files differ, but for those in ``results``: results
    that are being made again change no code.
    """
    if not (_ROOT / ".git").exists():
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    described = _git("describe", "--always", "--tags")
    return described + ("-dirty" if changed else "") if described else None


def _git(*arguments: str) -> str:
    """Return what git says; nothing where it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
