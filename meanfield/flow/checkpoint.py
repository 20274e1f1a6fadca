"""Progress of a long run on disk: written atomically, verified before it is used."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from meanfield.errors import CheckpointError
from meanfield.system import storage


def fingerprint(*parts: object) -> str:
    """Return a SHA-256 of arrays and of anything else through its ``repr``."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()


class Checkpoint:
    """The state of one run in one file, saved at most every `interval` seconds.

    A `path` of None keeps nothing; a file that a run of another fingerprint left is refused.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, run_fingerprint: str, interval: float = 30.0
    ):
        self._path = None if path is None else Path(path)
        self._fingerprint = run_fingerprint
        self._interval = interval
        self._last = time.monotonic()

    def load(
        self, like: Callable[[int], Mapping[str, np.ndarray]], steps: range
    ) -> tuple[dict[str, np.ndarray], int] | None:
        """Return the saved arrays and their step, or None when there are none.

        `like` gives arrays of the types and shapes that a step in `steps` has.
        """
        if self._path is None or not self._path.exists():
            return None
        arrays, meta = storage.load_arrays(self._path)
        if meta.get("fingerprint") != self._fingerprint:
            raise CheckpointError(
                f"The checkpoint {self._path} was left by another run (other data, parameters or "
                "seed); give another path, or delete it to start afresh."
            )
        step = meta.get("step")
        if type(step) is not int or step not in steps or not _alike(arrays, like(step)):
            raise CheckpointError(storage.refusal(self._path, "does not hold a state of this run"))
        return arrays, step

    def due(self) -> bool:
        """Whether the interval has passed since the last write."""
        return self._path is not None and time.monotonic() - self._last >= self._interval

    def save(self, arrays: Mapping[str, np.ndarray], step: int) -> None:
        """Write the state at a step now."""
        if self._path is not None:
            meta = {"step": step, "fingerprint": self._fingerprint}
            storage.save_arrays(self._path, arrays, meta)
            self._last = time.monotonic()


def _alike(arrays: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays have the names, shapes and types of others."""
    return arrays.keys() == wanted.keys() and all(
        (arrays[name].shape, arrays[name].dtype) == (like.shape, like.dtype)
        for name, like in wanted.items()
    )
