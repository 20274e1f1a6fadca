"""How particles and data are cut into loops, and the sizes of the pieces.

A *group* of particles fills the registers that one running sum takes: 32 in float64 and 64 in
float32 on machines with AVX-512, half of that elsewhere (``lanes`` in `simd`).

A *block* is 64 particles, whole groups of either type. One thread copies a block into a buffer
(C, 64), coordinate by coordinate, and takes it through a whole step. The noise is made for a block
at a time as well: 16 counters of Philox are 64 words (`meanfield.flow.noise`).

A *tile* is the pre-activations of one block at 64 data, (64, 64): 32 KiB in float64, which stay in
the first-level cache from one matrix product to the next. With many coordinates, a tile is made in
passes over 64 of them, so that the weights stay there too.

A *chunk* is a run of blocks, whose number depends on N alone: the predictions of its particles are
summed first, those of the chunks then, in their order. Threads share out chunks, so a sum does not
depend on how many threads there are.

Inputs are held tile by tile, in a tile pass by pass, and in a pass by fours of data, (16, columns
of the pass, 4): either matrix product takes a group times four data, or times four coordinates, and
reads what it needs close together, however many coordinates there are. Tiles are padded to 64 rows,
and to a multiple of four columns.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: An array of either precision, float64 where nothing else is said.
Numbers: TypeAlias = NDArray[Any]

#: Particles per block; the noise is defined by blocks of 64.
BLOCK = 64
#: Data per tile.
TILE_ROWS = 64
#: Coordinates per pass of the pre-activations.
PASS_COORDINATES = 64
#: Chunks per replica at most, and blocks per chunk at least.
MAX_CHUNKS, MIN_CHUNK_BLOCKS = 64, 4


def aligned(size: int, dtype: np.dtype[Any]) -> Numbers:
    """Zeros whose first byte starts a cache line."""
    room = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * dtype.itemsize].view(dtype)
