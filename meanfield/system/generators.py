"""Random generators of the analyses: one place for seeds and their streams.

The noise of the particles has a generator of its own, `meanfield.flow.noise`.
"""

from __future__ import annotations

import numpy as np


def generator(seed: int, stream: int | None = None) -> np.random.Generator:
    """Return the Philox generator of a checked seed, or of one of the streams that share it."""
    if stream is None:
        return np.random.Generator(np.random.Philox(seed))
    key = np.array([seed, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
