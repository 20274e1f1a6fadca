"""Long work in batches: enough to show progress and to be shared out, each of bounded size."""

from __future__ import annotations

_SMALLEST, _SHARE = 4, 16


def batches(count: int, most: int) -> list[range]:
    """Split the numbers below `count` into runs of at most `most`.

    They grow along the way, and a larger count has the same ones first, but for a last one that was
    not full: so that what is extended is not done again.
    """
    found: list[range] = []
    first = 0
    while first < count:
        # A power of two, so that most counts that people choose end with a full one.
        grown = 1 << ((first // _SHARE) | 1).bit_length() - 1
        size = min(max(_SMALLEST, grown), max(1, most))
        found.append(range(first, min(first + size, count)))
        first += size
    return found
