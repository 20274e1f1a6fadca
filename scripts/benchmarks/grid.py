"""What is measured: one row per system, type and activation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

# Particle–datum–step triples per timed run, for narrow inputs; wide ones get fewer.
_WORK = 1e8
_BYTES = 12e9  # of one (n, N) array per replica, several of which the peers hold


@dataclass(frozen=True)
class Row:
    """One system: N particles, R replicas, n data in d dimensions."""

    n_particles: int
    n_replicas: int
    n_data: int
    n_features: int
    dtype: str
    activation: str

    @property
    def pairs(self) -> int:
        """Particle–datum pairs per step."""
        return self.n_particles * self.n_replicas * self.n_data

    @property
    def n_steps(self) -> int:
        """Steps per timed run: seconds for the slowest, and enough to outweigh the first."""
        return int(min(1000, max(10, _WORK / self.pairs / (1 + self.n_features / 16))))

    def as_dict(self) -> dict:
        """The row as JSON."""
        return asdict(self)


def complete() -> Iterator[Row]:
    """The whole grid, less what the peers cannot hold in memory."""
    sizes = [(64, 256), (1024, 1), (4096, 1), (65536, 1), (10**6, 1)]
    for dtype in ("float64", "float32"):
        for activation in ("tanh", "relu", "silu", "gelu"):
            for n_particles, n_replicas in sizes:
                for n_data in (64, 512, 4096):
                    for n_features in (1, 2, 10, 32, 64, 256, 3072):
                        row = Row(n_particles, n_replicas, n_data, n_features, dtype, activation)
                        state = n_particles * n_replicas * n_features
                        if 8 * 6 * max(row.pairs, state) <= _BYTES:
                            yield row


def headline() -> Iterator[Row]:
    """The rows that the project's targets are about."""
    for dtype in ("float64", "float32"):
        for n_features in (1, 2, 10, 32, 64, 256):
            yield Row(4096, 1, 512, n_features, dtype, "tanh")
        for activation in ("relu", "silu", "gelu"):
            yield Row(4096, 1, 512, 10, dtype, activation)
        yield Row(64, 256, 64, 10, dtype, "tanh")
        yield Row(10**6, 1, 64, 10, dtype, "tanh")
        yield Row(1024, 1, 64, 3072, dtype, "tanh")


def small() -> Iterator[Row]:
    """A few quick rows, to see that everything runs."""
    for dtype in ("float64", "float32"):
        yield Row(1024, 1, 128, 10, dtype, "tanh")
        yield Row(64, 32, 64, 2, dtype, "relu")


GRIDS = {"small": small, "headline": headline, "complete": complete}
