"""The headline numbers of the study `recovery`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family

METHODS = {
    "dictionary": "dictionary",
    "frank_wolfe": "Frank–Wolfe",
    "hdbscan": "HDBSCAN",
    "kmeans": "k-means",
}
"""What looks for atoms, with its name in reports."""


@dataclass(frozen=True, kw_only=True)
class RecoveryHeadline(Headline):
    """Shares of teachers: by noise for networks of one width, by width for several.

    Parameters
    ----------
    exact : dict of str to Estimate
        Those whose number of atoms a method finds, by `method_at`.
    close : dict of str to Estimate
        Those that the dictionary finds with every direction within 1°, by noise.
    sure : dict of str to Estimate
        Those whose number of atoms is found, among those of confident dictionaries, by noise.
    success : dict of str to Estimate
        Those that confident dictionaries find with every direction within 1°, by width.
    fitted : dict of str to Estimate
        Those whose values the network has learned, by width.
    """

    exact: dict[str, Estimate] = family("exact_{}")
    close: dict[str, Estimate] = family("close_{}")
    sure: dict[str, Estimate] = family("sure_{}")
    success: dict[str, Estimate] = family("success_{}")
    fitted: dict[str, Estimate] = family("fitted_{}")


def method_at(method: str, noise: float) -> str:
    """Return the name of a method at a label noise."""
    return f"{method}_{noise:g}"
